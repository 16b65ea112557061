//! Notices by whatever the system has for them.

use std::ffi::OsStr;
use std::path::Path;

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

/// What the system is asked by.
pub(super) struct System(RecommendedWatcher);

impl System {
    /// Tells the names of files that have changed; no name is any of them.
    pub(super) fn new(tell: impl Fn(Option<&OsStr>) + Send + 'static) -> notify::Result<Self> {
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return tell(None) };
            if event.need_rescan() || event.paths.is_empty() {
                return tell(None);
            }
            // Our own reading makes events too.
            let writes = match event.kind {
                EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
                EventKind::Access(_) => false,
                _ => true,
            };
            if writes {
                event.paths.iter().for_each(|path| tell(path.file_name()));
            }
        })?;
        Ok(Self(watcher))
    }

    /// Watches a folder.
    pub(super) fn watch(&mut self, folder: &Path) -> notify::Result<()> {
        self.0.watch(folder, RecursiveMode::NonRecursive)
    }
}
