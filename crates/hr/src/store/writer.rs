//! The one thread that writes.
//!
//! It sleeps until somebody says that something has changed, takes what there is to write, commits it as one
//! transaction, and looks again. What fails is tried again until it works; nobody waits for it meanwhile.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use hr_core::route::{Change, Noted, Table};
use hr_core::time::Millis;
use rusqlite::Connection;
use tracing::{info, warn};

use super::calls::Calls;
use super::error::StoreError;
use super::file::{self, Ready};
use super::lock::Lock;
use super::{Decided, Shared, prune, rows};

/// The least pause after a commit. Under load it makes batches; what changes during it may be lost by a kill.
const PACE: Duration = Duration::from_millis(1);

/// The pause is so many times as long as the commit took: the part of a processor that writing may take.
const PACE_BY_COMMIT: u32 = 15;

/// The longest pause for that.
const LONGEST_PACE: Duration = Duration::from_millis(20);

/// The most decisions of one transaction.
const MAX_BATCH: usize = 1024;

/// How long after a failure the next attempt is made.
const RETRY: Duration = Duration::from_secs(1);

/// Between two warnings about the same trouble.
const BETWEEN_WARNINGS: Duration = Duration::from_secs(60);

/// How often is looked whether something is old enough to be forgotten.
const PRUNE_EVERY: Duration = Duration::from_secs(10);

/// How often is looked whether the file is still there.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How often state is looked through for what is very old.
const STALE_EVERY: Duration = Duration::from_secs(3600);

/// How long nothing must have changed before the log is moved into the file.
const QUIET: Duration = Duration::from_millis(200);

/// From this length on the log is moved in any case.
const LOG_AT_MOST: u64 = 4 * 1024 * 1024;

/// How many commits are made between two looks at the length of the log.
const COMMITS_BETWEEN_LOOKS: u32 = 64;

/// Says what has changed since it was last asked.
pub(super) type Pull = Box<dyn FnMut() -> Vec<Change> + Send>;

/// Says what time it is.
pub(super) type Now = Box<dyn Fn() -> Millis + Send>;

pub(super) struct Writer {
    pub(super) path: PathBuf,
    pub(super) shared: Arc<Shared>,
    pub(super) calls: Arc<Calls>,
    pub(super) pull: Pull,
    pub(super) now: Now,
    /// The file; none while it cannot be opened.
    pub(super) open: Option<(Connection, Lock)>,
    /// What was taken and is not written yet.
    pub(super) pending: BTreeMap<(Table, String), Change>,
    pub(super) trouble: Trouble,
    pub(super) commits: u32,
    /// Which file is open, once that has been looked at.
    pub(super) identity: Option<(u64, u64)>,
    /// When was last told that the file is gone.
    pub(super) missed: Option<Instant>,
}

/// What is told of failures: one warning a minute, and the end of it.
#[derive(Default)]
pub(super) struct Trouble {
    told: Option<Instant>,
    retry: Option<Instant>,
    lasts: bool,
}

impl Trouble {
    pub(super) fn met(&mut self, error: &StoreError, lost: u64) {
        let now = Instant::now();
        self.lasts = true;
        self.retry = Some(now + RETRY);
        if self.told.is_none_or(|told| now.duration_since(told) >= BETWEEN_WARNINGS) {
            self.told = Some(now);
            warn!(cause = %error, hint = error.hint(), lost_decisions = lost, "what was learned cannot be kept; serving goes on");
        }
    }

    fn over(&mut self, lost: u64) {
        self.retry = None;
        if std::mem::take(&mut self.lasts) {
            info!(lost_decisions = lost, "what is learned is kept again");
        }
    }

    /// How long is left until the next attempt.
    fn hold(&self) -> Option<Duration> {
        self.retry.map(|at| at.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
    }
}

impl Writer {
    pub(super) fn run(mut self) {
        let mut wrote = Instant::now();
        let mut pruned: Option<Instant> = None;
        let mut swept: Option<Instant> = None;
        let mut looked: Option<Instant> = None;
        loop {
            let stopping = self.shared.stopping.load(Ordering::Acquire);
            if let Some(left) = self.trouble.hold().filter(|_| !stopping) {
                thread::park_timeout(left);
                continue;
            }
            let began = Instant::now();
            if self.work(stopping) {
                wrote = Instant::now();
                if !stopping {
                    let pause = wrote.duration_since(began).saturating_mul(PACE_BY_COMMIT);
                    thread::sleep(pause.clamp(PACE, LONGEST_PACE));
                }
            } else if stopping {
                break;
            }
            if self.trouble.hold().is_some() {
                continue;
            }
            if looked.is_none_or(|at| at.elapsed() >= LOOK_EVERY) {
                self.look_after_file();
                looked = Some(Instant::now());
            }
            if pruned.is_none_or(|at| at.elapsed() >= PRUNE_EVERY) && !self.prune(&mut swept) {
                pruned = Some(Instant::now());
            }
            let quiet = wrote.elapsed() >= QUIET;
            if quiet || self.commits >= COMMITS_BETWEEN_LOOKS {
                self.commits = 0;
                self.shorten_log(if quiet { file::LOG_WHEN_QUIET } else { LOG_AT_MOST });
            }
            if !self.shared.has_work() {
                thread::park_timeout(if quiet { LOOK_EVERY } else { QUIET });
            }
        }
        if let Some((connection, _lock)) = self.open.take() {
            // Moves the log into the file; should that fail, the next start does it.
            if let Err((_, error)) = connection.close() {
                warn!(cause = %error, "the state file was not closed well");
            }
        }
    }

    /// Writes what there is; false when there was nothing, or it cannot be written.
    fn work(&mut self, stopping: bool) -> bool {
        if self.shared.dirty.swap(false, Ordering::AcqRel) || stopping {
            let changes = (self.pull)();
            self.pending
                .extend(changes.into_iter().map(|change| ((change.table, change.id.clone()), change)));
        }
        let decided = self.shared.queue.first(MAX_BATCH);
        if self.pending.is_empty() && decided.is_empty() {
            return false;
        }
        match self.commit(&decided) {
            Ok(()) => {
                if let Some(number) = Noted::counted(self.pending.values()) {
                    self.calls.counted(number);
                }
                self.pending.clear();
                self.shared.queue.done(decided.len());
                self.commits += 1;
                self.trouble.over(self.shared.queue.lost());
                true
            }
            Err(error) => {
                self.trouble.met(&error, self.shared.queue.lost());
                false
            }
        }
    }

    fn commit(&mut self, decided: &[Arc<Decided>]) -> Result<(), StoreError> {
        let (connection, _) = match &mut self.open {
            Some(open) => open,
            closed => {
                let now = (self.now)();
                let Ready { connection, lock, .. } = file::ready(&self.path, None, now)?;
                closed.insert((connection, lock))
            }
        };
        rows::write(connection, self.pending.values(), decided, (self.now)())
            .map_err(|error| StoreError::of(&self.path, &error))
    }

    /// Sees to it that the file is there, and says once a minute when it was not.
    fn look_after_file(&mut self) {
        let found = self.put_back();
        let recent = self.missed.is_some_and(|at| at.elapsed() < BETWEEN_WARNINGS);
        if recent || matches!(found, Ok(false)) {
            return;
        }
        self.missed = Some(Instant::now());
        match found {
            Ok(_) => {
                warn!(file = %self.path.display(), "the state file was deleted: it has been written anew")
            }
            Err(error) => {
                warn!(cause = %error, hint = error.hint(), "what was learned may be lost; serving goes on");
            }
        }
    }

    /// Writes the file anew when it was deleted, with all that the one has that is still open. True when it was.
    fn put_back(&mut self) -> Result<bool, StoreError> {
        let Some((connection, _)) = &self.open else {
            self.identity = None;
            return Ok(false);
        };
        let found = file::identity(&self.path)?;
        if found.is_some() {
            let known = self.identity.or(found);
            self.identity = known;
            return match known == found {
                true => Ok(false),
                false => Err(StoreError::Replaced { path: self.path.clone() }),
            };
        }
        let copy = file::copy(&self.path, connection)?;
        // The old one goes first: its end takes its log with it, which has the same name as the new one's.
        (self.open, self.identity) = (None, None);
        file::put_in_place(&self.path, copy)?;
        self.shared.generation.fetch_add(1, Ordering::AcqRel);
        Ok(true)
    }

    /// One step of forgetting; whether there may be more to forget.
    fn prune(&mut self, swept: &mut Option<Instant>) -> bool {
        let Some((connection, _)) = &self.open else { return false };
        let now = (self.now)();
        let mut forget = || -> rusqlite::Result<bool> {
            let more = prune::step(connection, now, &prune::DECISIONS)?;
            let more = prune::step(connection, now, &prune::REQUESTS)? || more;
            if !more && swept.is_none_or(|at| at.elapsed() >= STALE_EVERY) {
                *swept = Some(Instant::now());
                prune::stale_state(connection, now)?;
            }
            Ok(more)
        };
        match forget() {
            Ok(more) => {
                self.trouble.over(self.shared.queue.lost());
                more
            }
            Err(error) => {
                self.trouble.met(&StoreError::of(&self.path, &error), self.shared.queue.lost());
                false
            }
        }
    }

    /// Moves the log into the file when it is longer than that. Without success the log only grows on.
    fn shorten_log(&mut self, longest: u64) {
        let Some((connection, _)) = &self.open else { return };
        if let Err(error) = file::shorten_log(&self.path, connection, longest) {
            self.trouble.met(&StoreError::of(&self.path, &error), self.shared.queue.lost());
        }
    }
}
