//! Takes notice when settings, credentials or providers are edited.
//!
//! One thread waits for the system to report a change in one of the folders (editors replace files, so
//! watching the files themselves would lose them), lets the writer finish, reads everything anew and hands
//! on what came out. It looks at contents, not at times: touching a file changes nothing, and the state in
//! force after the last change is always that of the last contents.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use hr_core::problem::Problem;

use crate::files::folders::Folders;
use crate::files::home::Home;
use crate::files::load::{Loaded, Print, Sources};

/// How long to wait for what. Together well below the 100 ms within which a change is to be in force, but for
/// settings or keys that are all gone.
#[derive(Clone, Copy)]
struct Pace {
    /// Silence after which a writer is taken to be done.
    quiet: Duration,
    /// How long to wait for silence; files that change all the time are read all the same.
    settle: Duration,
    /// How long to wait for the rest of what looks half-written, before it is taken at its word.
    patience: Duration,
    /// The same for a file that was emptied or is gone: who writes it anew empties it first, and on a busy machine that
    /// alone may take longer than everything else, with no notice of it before it is done.
    emptied: Duration,
    /// How often to look without having been told: network file systems report nothing.
    rescan: Duration,
    /// How often to look when the system cannot report changes at all.
    poll: Duration,
}

const PACE: Pace = Pace {
    quiet: Duration::from_millis(4),
    settle: Duration::from_millis(16),
    patience: Duration::from_millis(40),
    emptied: Duration::from_secs(1),
    rescan: Duration::from_secs(2),
    poll: Duration::from_millis(50),
};

/// The coarsest clock of a file system that is reckoned with: of two writes within it, the second may not show
/// in the [`Stamp`].
const TICK: Duration = Duration::from_secs(2);

/// Watches until it is dropped; then no further call is made.
pub struct Watcher {
    stop: Arc<AtomicBool>,
    notice: SyncSender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = self.notice.try_send(());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Calls `on_change` with each new state of the files, valid or not, from a thread of its own. `print` is that
/// of the state in force ([`Loaded::print`]): a change made since it was read is reported at once.
///
/// # Errors
///
/// When the thread cannot be started.
pub fn watch(
    home: Home,
    environment: BTreeMap<String, String>,
    flags: BTreeMap<String, String>,
    print: Print,
    on_change: impl FnMut(Result<Loaded, Vec<Problem>>) + Send + 'static,
) -> anyhow::Result<Watcher> {
    watch_at(PACE, home, environment, flags, print, on_change)
}

fn watch_at(
    pace: Pace,
    home: Home,
    environment: BTreeMap<String, String>,
    flags: BTreeMap<String, String>,
    print: Print,
    on_change: impl FnMut(Result<Loaded, Vec<Problem>>) + Send + 'static,
) -> anyhow::Result<Watcher> {
    // Room for one notice is enough: it stands for all that happened before the next look.
    let (notice, notices) = sync_channel(1);
    let stop = Arc::new(AtomicBool::new(false));
    let folders = Folders::watch(notice.clone());
    // All that may be there; what is there is found by looking.
    let files = vec![home.env.clone(), home.auth.clone(), home.providers.clone()];
    let mut lookout = Lookout {
        pace,
        home,
        environment,
        flags,
        seen: print,
        shape: Shape::default(),
        files,
        stamps: Vec::new(),
        looked: SystemTime::UNIX_EPOCH,
        folders,
        notices,
        stop: Arc::clone(&stop),
        on_change,
    };
    let thread = thread::Builder::new()
        .name("files".to_owned())
        .spawn(move || lookout.run())
        .context("could not start the thread that watches the files")?;
    Ok(Watcher { stop, notice, thread: Some(thread) })
}

/// What the thread knows.
struct Lookout<F> {
    pace: Pace,
    home: Home,
    environment: BTreeMap<String, String>,
    flags: BTreeMap<String, String>,
    /// The contents that were handed on last, or are in force.
    seen: Print,
    /// What those contents looked like.
    shape: Shape,
    /// All files that were looked at, and the folder of the user's own providers.
    files: Vec<PathBuf>,
    /// What the system says of the files, to look without reading.
    stamps: Vec<Stamp>,
    /// When they were taken.
    looked: SystemTime,
    folders: Folders,
    notices: Receiver<()>,
    stop: Arc<AtomicBool>,
    on_change: F,
}

impl<F: FnMut(Result<Loaded, Vec<Problem>>)> Lookout<F> {
    fn run(&mut self) {
        self.look();
        while !self.stop.load(Ordering::SeqCst) {
            let every = if self.folders.complete { self.pace.rescan } else { self.pace.poll };
            match self.notices.recv_timeout(every) {
                Ok(()) => self.settle(),
                Err(RecvTimeoutError::Timeout) if !self.may_have_changed() => continue,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if !self.stop.load(Ordering::SeqCst) {
                self.look();
            }
        }
    }

    /// Waits for silence, but not for ever.
    fn settle(&self) {
        let give_up = Instant::now() + self.pace.settle;
        loop {
            let left = give_up.saturating_duration_since(Instant::now());
            if left.is_zero() || self.notices.recv_timeout(left.min(self.pace.quiet)).is_err() {
                return;
            }
        }
    }

    fn read(&self) -> Sources {
        Sources::read(&self.home, &self.environment, &self.flags)
    }

    /// Reads everything and hands on what came out, if it is new.
    fn look(&mut self) {
        let began = Instant::now();
        let mut latest: Option<(Print, Instant)> = None;
        loop {
            // Watched first and read afterwards, so that nothing falls between the two. A folder made anew
            // needs a new watch.
            self.folders.follow(&self.files, &self.home.providers);
            self.looked = SystemTime::now();
            self.stamps = self.stamps_now();
            let sources = self.read();
            let before = std::mem::replace(&mut self.files, sources.files(&self.home));
            if before != self.files && began.elapsed() < self.pace.patience {
                continue;
            }
            let (shape, print) = (Shape::of(&sources), sources.print());
            if print == self.seen {
                self.shape = shape;
                return;
            }
            let since = latest.filter(|(known, _)| *known == print).map_or_else(Instant::now, |(_, at)| at);
            latest = Some((print, since));
            let loaded = sources.resolve(&self.home, &self.environment, &self.flags);
            // A writer may be in the middle of it. What no rest follows within reason is meant.
            let cut = shape.looks_cut(&self.shape);
            let unfinished = loaded.is_err() || cut.is_some();
            let left = self.patience_left(began, since, cut);
            if unfinished && !left.is_zero() && !self.stop.load(Ordering::SeqCst) {
                let _ = self.notices.recv_timeout(left.min(self.pace.quiet));
                continue;
            }
            self.seen = print;
            self.shape = shape;
            (self.on_change)(loaded);
            return;
        }
    }

    /// How long the rest is still waited for, in a look that began then, of contents first read at `since`. What
    /// looks cut is doubted from there on, however long the look had waited for others: it may have been cut a
    /// moment ago.
    fn patience_left(&self, began: Instant, since: Instant, cut: Option<Cut>) -> Duration {
        let patience = match cut {
            None => return self.pace.patience.saturating_sub(began.elapsed()),
            Some(Cut::Short) => self.pace.patience,
            Some(Cut::Emptied) => self.pace.emptied,
        };
        // Nobody writes for ever.
        let all = self.pace.emptied.max(self.pace.patience).saturating_sub(began.elapsed());
        patience.saturating_sub(since.elapsed()).min(all)
    }

    fn stamps_now(&self) -> Vec<Stamp> {
        self.files.iter().map(|path| Stamp::of(path)).collect()
    }

    /// Whether the contents may be others than those of the last look.
    fn may_have_changed(&self) -> bool {
        let recent = self.looked - TICK;
        self.stamps_now() != self.stamps || self.stamps.iter().any(|stamp| stamp.is_after(recent))
    }
}

/// What the system says of a file without reading it: which one it is, its length, when it was written.
#[derive(PartialEq, Eq)]
struct Stamp(Option<(u64, u64, SystemTime)>);

impl Stamp {
    fn of(path: &Path) -> Self {
        let told = std::fs::metadata(path).ok();
        Self(told.and_then(|told| Some((told.ino(), told.len(), told.modified().ok()?))))
    }

    fn is_after(&self, instant: SystemTime) -> bool {
        self.0.is_some_and(|(_, _, written)| written > instant)
    }
}

/// What contents look like, to tell an edit that is not finished.
#[derive(Default)]
struct Shape {
    env: Outline,
    auth: Outline,
    providers: usize,
}

/// What one text looks like.
#[derive(Default)]
struct Outline {
    has_text: bool,
    ends_with_line: bool,
}

/// In which way contents look like an edit that is not finished.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cut {
    /// Ending in the middle of a line where it did not before; or a provider's file is gone.
    Short,
    /// Settings or keys without any text where there was some: hardly ever meant.
    Emptied,
}

impl Outline {
    fn of(text: Option<&str>) -> Self {
        let text = text.unwrap_or_default();
        Self { has_text: !text.is_empty(), ends_with_line: text.ends_with('\n') }
    }

    fn looks_cut(&self, before: &Self) -> Option<Cut> {
        if !before.has_text {
            None
        } else if !self.has_text {
            Some(Cut::Emptied)
        } else {
            (before.ends_with_line && !self.ends_with_line).then_some(Cut::Short)
        }
    }
}

impl Shape {
    fn of(sources: &Sources) -> Self {
        Self {
            env: Outline::of(sources.env_text()),
            auth: Outline::of(sources.auth_text()),
            providers: sources.provider_count(),
        }
    }

    fn looks_cut(&self, before: &Self) -> Option<Cut> {
        let fewer = (self.providers < before.providers).then_some(Cut::Short);
        self.env.looks_cut(&before.env).max(self.auth.looks_cut(&before.auth)).max(fewer)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::mpsc::{Receiver, TryRecvError};

    use super::*;
    use crate::files::load::load;
    use crate::files::store;

    type Change = Result<Loaded, Vec<Problem>>;

    /// Long enough for any machine: it is only used up when something is wrong.
    const LONG: Duration = Duration::from_secs(30);

    /// A home of its own, watched.
    struct Scene {
        folder: tempfile::TempDir,
        home: Home,
        changes: Receiver<Change>,
        watcher: Option<Watcher>,
    }

    impl Scene {
        fn open(pace: Pace, env: &str) -> Self {
            Self::open_then(pace, env, |_| {})
        }

        /// Does something between the first load and the watch.
        fn open_then(pace: Pace, env: &str, between: impl FnOnce(&Home)) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let environment = BTreeMap::from([("HR_HOME".to_owned(), folder.path().display().to_string())]);
            let home = Home::find(&environment, folder.path());
            fs::write(&home.env, env).unwrap();
            let print = load(&home, &environment, &BTreeMap::new()).unwrap().print;
            between(&home);
            let (tell, changes) = sync_channel(1024);
            let on_change = move |change| tell.send(change).unwrap();
            let watcher =
                watch_at(pace, home.clone(), environment, BTreeMap::new(), print, on_change).unwrap();
            Self { folder, home, changes, watcher: Some(watcher) }
        }

        fn next(&self) -> Change {
            self.changes.recv_timeout(LONG).expect("a change is reported")
        }

        fn next_port(&self) -> u16 {
            self.next().unwrap().settings.port
        }
    }

    #[test]
    fn a_change_is_reported_and_the_same_contents_again_are_not() {
        let scene = Scene::open(Pace { patience: LONG, ..PACE }, "PORT=1001\n");
        store::replace(&scene.home.env, "PORT=1002\n").unwrap();
        assert_eq!(scene.next_port(), 1002);
        store::replace(&scene.home.env, "PORT=1002\n").unwrap();
        fs::write(&scene.home.env, "PORT=1002\n").unwrap();
        store::replace(&scene.home.env, "PORT=1003\n").unwrap();
        assert_eq!(scene.next_port(), 1003);
        assert!(matches!(scene.changes.try_recv(), Err(TryRecvError::Empty)));
    }

    #[test]
    fn a_change_between_the_load_and_the_watch_is_not_lost() {
        let scene =
            Scene::open_then(PACE, "PORT=1001\n", |home| fs::write(&home.env, "PORT=1002\n").unwrap());
        assert_eq!(scene.next_port(), 1002);
    }

    #[test]
    fn what_is_broken_is_refused_with_its_place_and_mending_it_is_noticed() {
        let scene = Scene::open(PACE, "PORT=1001\n");
        store::replace(&scene.home.env, "PORT=1001\nHOST\n").unwrap();
        let problems = scene.next().unwrap_err();
        assert_eq!((problems[0].line, problems.len()), (Some(2), 1));
        store::replace(&scene.home.env, "PORT=1002\n").unwrap();
        assert_eq!(scene.next_port(), 1002);
        store::replace(&scene.home.auth, "{\"providers\": {").unwrap();
        let problems = scene.next().unwrap_err();
        assert!(problems[0].file.ends_with("auth.json"), "{problems:?}");
        store::replace(&scene.home.auth, "{\"providers\": {\"groq\": [\"k-1\"]}}").unwrap();
        assert_eq!(scene.next().unwrap().pool.members.len(), 1);
    }

    #[test]
    fn what_a_writer_has_only_begun_is_not_believed() {
        let scene = Scene::open(Pace { patience: LONG, emptied: LONG, ..PACE }, "PORT=1001\n");
        fs::write(&scene.home.auth, "{\"providers\": {\"groq\": [\"k-1\"]}}").unwrap();
        assert_eq!(scene.next().unwrap().pool.members.len(), 1);
        for port in 2001..2006 {
            // Emptied, cut in the middle of a line, gone: each for as long as a slow writer takes.
            fs::write(&scene.home.env, "").unwrap();
            thread::sleep(PACE.settle * 2);
            fs::write(&scene.home.env, "PORT=20").unwrap();
            thread::sleep(PACE.settle * 2);
            fs::remove_file(&scene.home.env).unwrap();
            fs::write(&scene.home.auth, "").unwrap();
            thread::sleep(PACE.settle * 2);
            fs::write(&scene.home.auth, "{\"providers\": {\"groq\": [\"k-1\"]}}").unwrap();
            fs::write(&scene.home.env, format!("PORT={port}\n")).unwrap();
            let loaded = scene.next().unwrap();
            assert_eq!((loaded.settings.port, loaded.pool.members.len()), (port, 1));
        }
    }

    #[test]
    fn an_emptied_file_is_doubted_for_longer() {
        let scene = Scene::open(Pace { emptied: LONG, ..PACE }, "PORT=1001\n");
        // A broken file beside it does not shorten the wait.
        fs::write(&scene.home.auth, "{").unwrap();
        scene.next().unwrap_err();
        fs::write(&scene.home.env, "").unwrap();
        thread::sleep(PACE.patience * 3);
        fs::write(&scene.home.auth, "{}").unwrap();
        thread::sleep(PACE.patience * 3);
        fs::write(&scene.home.env, "PORT=1002\n").unwrap();
        assert_eq!(scene.next_port(), 1002);
    }

    #[test]
    fn what_stays_empty_is_meant() {
        let scene = Scene::open(PACE, "PORT=1001\n");
        fs::write(&scene.home.env, "").unwrap();
        assert_eq!(scene.next_port(), 8319);
        store::replace(&scene.home.env, "PORT=1002\n").unwrap();
        assert_eq!(scene.next_port(), 1002);
        fs::remove_file(&scene.home.env).unwrap();
        assert_eq!(scene.next_port(), 8319);
    }

    #[test]
    fn own_providers_come_change_and_go() {
        const FILE: &str = "id = \"mine\"\nbase_url = \"http://127.0.0.1:1/v1\"\n";
        let scene = Scene::open(PACE, "");
        let path = scene.home.providers.join("mine.toml");
        fs::create_dir(&scene.home.providers).unwrap();
        store::replace(&path, FILE).unwrap();
        assert!(scene.next().unwrap().catalog.find("mine").is_some());
        store::replace(&path, &FILE.replace("base_url", "base_ulr")).unwrap();
        let problems = scene.next().unwrap_err();
        assert!(problems[0].file.ends_with("mine.toml") && problems[0].line == Some(2), "{problems:?}");
        store::replace(&path, FILE).unwrap();
        assert!(scene.next().unwrap().catalog.find("mine").is_some());
        fs::remove_file(&path).unwrap();
        assert!(scene.next().unwrap().catalog.find("mine").is_none());
        fs::remove_dir(&scene.home.providers).unwrap();
        fs::create_dir(&scene.home.providers).unwrap();
        store::replace(&path, FILE).unwrap();
        assert!(scene.next().unwrap().catalog.find("mine").is_some());
    }

    #[test]
    fn the_last_of_many_changes_wins() {
        let scene = Scene::open(PACE, "PORT=1001\n");
        for port in 3000..3300 {
            store::replace(&scene.home.env, &format!("PORT={port}\n")).unwrap();
        }
        while scene.next_port() != 3299 {}
    }

    #[test]
    fn changes_without_end_are_not_waited_for() {
        let scene = Scene::open(PACE, "PORT=1001\n");
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut port = 4000;
                while !stop.load(Ordering::SeqCst) {
                    port = if port == 4999 { 4000 } else { port + 1 };
                    store::replace(&scene.home.env, &format!("PORT={port}\n")).unwrap();
                }
            });
            let first = scene.next();
            stop.store(true, Ordering::SeqCst);
            assert!((4000..5000).contains(&first.unwrap().settings.port));
        });
    }

    #[test]
    fn a_folder_that_a_link_leads_to_is_looked_at_even_without_notice() {
        let pace = Pace { rescan: Duration::from_millis(10), ..PACE };
        let scene = Scene::open(pace, "PORT=1001\n");
        let at = |name: &str| scene.folder.path().join(name);
        for (name, port) in [("one", 5001), ("two", 5002)] {
            fs::create_dir(at(name)).unwrap();
            fs::write(at(name).join("env"), format!("PORT={port}\n")).unwrap();
        }
        std::os::unix::fs::symlink("one", at("now")).unwrap();
        std::os::unix::fs::symlink("now/env", at("fresh")).unwrap();
        fs::rename(at("fresh"), &scene.home.env).unwrap();
        assert_eq!(scene.next_port(), 5001);
        std::os::unix::fs::symlink("two", at("next")).unwrap();
        fs::rename(at("next"), at("now")).unwrap();
        assert_eq!(scene.next_port(), 5002);
    }

    #[test]
    fn a_file_in_a_folder_that_is_not_there_yet_is_noticed() {
        let scene = Scene::open(PACE, "ROUTER_AUTH_FILE=later/keys.json\n");
        let path = scene.folder.path().join("later/keys.json");
        store::replace(&path, "{\"providers\": {\"groq\": [\"k-1\"]}}").unwrap();
        assert_eq!(scene.next().unwrap().pool.members.len(), 1);
        store::replace(&path, "{\"providers\": {\"groq\": [\"k-1\"], \"gemini\": [\"k-2\"]}}").unwrap();
        assert_eq!(scene.next().unwrap().pool.members.len(), 2);
    }

    #[test]
    fn nothing_is_reported_after_it_was_dropped() {
        let mut scene = Scene::open(PACE, "PORT=1001\n");
        drop(scene.watcher.take());
        fs::write(&scene.home.env, "PORT=1002\n").unwrap();
        assert!(scene.changes.recv().is_err(), "the caller's closure is gone");
    }
}
