//! The system's own notices of change.
//!
//! [`Folders`] has the folders watched that files of ours are in, and passes on what may be about these files: locks,
//! stores and temporary files lie in the same folders. `linux` and `elsewhere` are how the system is asked.

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod linux;

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use parking_lot::Mutex;

#[cfg(not(target_os = "linux"))]
use elsewhere::System;
#[cfg(target_os = "linux")]
use linux::System;

use super::store;

/// Folders that are watched.
pub(super) struct Folders {
    /// `None` where the system has no notices to give.
    system: Option<System>,
    /// Whether all folders are watched.
    pub(super) complete: bool,
    /// The file names that matter.
    names: Arc<Mutex<BTreeSet<OsString>>>,
}

impl Folders {
    /// Gives a notice of each change, from a thread of the system's.
    pub(super) fn watch(notice: SyncSender<()>) -> Self {
        let names = Arc::new(Mutex::new(BTreeSet::new()));
        let known = Arc::clone(&names);
        let system = System::new(move |name: Option<&OsStr>| {
            if name.is_none_or(|name| matters(name, &known.lock())) {
                // When there is a notice already, this change is covered by it.
                let _ = notice.try_send(());
            }
        });
        if let Err(error) = &system {
            tracing::warn!(%error, "the system reports no file changes, looking for them instead");
        }
        Self { system: system.ok(), complete: false, names }
    }

    /// Watches the folders of these files, and that of the user's own providers.
    pub(super) fn follow(&mut self, files: &[PathBuf], providers: &Path) {
        let mut names = BTreeSet::new();
        let mut folders = BTreeSet::from([providers.to_path_buf()]);
        for file in files {
            for path in [file.clone(), store::real_path(file)] {
                names.extend(path.file_name().map(OsStr::to_os_string));
                folders.insert(store::folder_of(&path).to_path_buf());
            }
        }
        *self.names.lock() = names;
        let Some(system) = &mut self.system else { return };
        self.complete = true;
        for folder in folders {
            // Until it is made, its own folder tells of it.
            let missing = folder == providers && !folder.exists();
            // Watching a folder again is harmless, and needed when it was removed and made anew.
            if !missing && system.watch(&folder).is_err() {
                self.complete = false;
            }
        }
    }
}

/// Whether it matters that a file of this name has changed.
fn matters(name: &OsStr, names: &BTreeSet<OsString>) -> bool {
    Path::new(name).extension() == Some(OsStr::new("toml")) || names.contains(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_files_matter() {
        let names = BTreeSet::from([OsString::from(".env")]);
        assert!(matters(OsStr::new(".env"), &names));
        assert!(matters(OsStr::new("x.toml"), &names));
        assert!(!matters(OsStr::new("state.db"), &names));
    }
}
