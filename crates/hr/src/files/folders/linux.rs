//! Notices by `inotify`, asked for less than a general library asks for: that files were written to their end, came or
//! went. Each single write and each read would be told, too, and the store writes into the same folder many times a
//! second, under load thousands.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use inotify::{EventMask, Inotify, WatchDescriptor, WatchMask, Watches};

/// What is asked for.
const CHANGES: WatchMask = WatchMask::CLOSE_WRITE
    .union(WatchMask::CREATE)
    .union(WatchMask::DELETE)
    .union(WatchMask::MOVED_FROM)
    .union(WatchMask::MOVED_TO)
    .union(WatchMask::ATTRIB)
    .union(WatchMask::DELETE_SELF)
    .union(WatchMask::MOVE_SELF)
    .union(WatchMask::ONLYDIR);

/// Room for a few dozen notices at once.
const BUFFER_BYTES: usize = 4096;

/// What the system is asked by; its thread ends when this is dropped.
pub(super) struct System {
    watches: Watches,
    watched: HashSet<WatchDescriptor>,
    stop: Arc<AtomicBool>,
}

impl System {
    /// Tells the names of files that have changed; no name is any of them.
    pub(super) fn new(tell: impl Fn(Option<&OsStr>) + Send + 'static) -> io::Result<Self> {
        let mut inotify = Inotify::init()?;
        let watches = inotify.watches();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        thread::Builder::new().name("folders".to_owned()).spawn(move || {
            let mut buffer = [0; BUFFER_BYTES];
            while !stopped.load(Ordering::SeqCst) {
                match inotify.read_events_blocking(&mut buffer) {
                    // A watch that has ended has said before why.
                    Ok(events) => events
                        .filter(|event| !event.mask.contains(EventMask::IGNORED))
                        .for_each(|event| tell(event.name)),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => return,
                }
            }
        })?;
        Ok(Self { watches, watched: HashSet::new(), stop })
    }

    /// Watches a folder.
    pub(super) fn watch(&mut self, folder: &Path) -> io::Result<()> {
        self.watched.insert(self.watches.add(folder, CHANGES)?);
        Ok(())
    }
}

impl Drop for System {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // The end of a watch is told, which wakes the thread. One that had ended by itself cannot be ended.
        for watch in std::mem::take(&mut self.watched) {
            let _ = self.watches.remove(watch);
        }
    }
}
