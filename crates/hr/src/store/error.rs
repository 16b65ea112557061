//! Why the store cannot be used, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why the store cannot be used. Nothing of its file has been changed then.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// What is in the file cannot be trusted.
    #[error("the state file `{}` is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// It has a format that only a later version knows.
    #[error("the state file `{}` has format {found}; this version of hr knows formats up to {known}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i32,
        /// The last format that is known here.
        known: i32,
    },
    /// It is something else.
    #[error("`{}` is not a state file of hr: {what}", path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        what: String,
    },
    /// Another router uses it.
    #[error("the state file `{}` is in use by {}", path.display(), user(*pid))]
    InUse {
        /// The file.
        path: PathBuf,
        /// The other router's process, when it is known.
        pid: Option<u32>,
    },
    /// The system does not let it be read.
    #[error("the state file `{}` cannot be read: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        cause: String,
    },
    /// While it was in use, another file has taken its place.
    #[error("the state file `{}` is another one than before", path.display())]
    Replaced {
        /// The file.
        path: PathBuf,
    },
    /// The system does not let it be written. Serving can go on without.
    #[error("the state file `{}` cannot be written: {cause}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        cause: String,
    },
}

fn user(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another router".to_owned(), |pid| format!("another router, process {pid}"))
}

impl StoreError {
    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Damaged { path, .. } => {
                let path = path.display();
                format!(
                    "it is left as it is: put a backup in its place, or move it away together with `{path}-wal` \
                     and `{path}-shm`; then the router begins anew and learns again"
                )
            }
            Self::Newer { .. } => {
                "start the newer version again, or name another file in `ROUTER_STATE_FILE`".to_owned()
            }
            Self::NotOurs { .. } => {
                "it is left as it is: name another file in `ROUTER_STATE_FILE`".to_owned()
            }
            Self::InUse { .. } => {
                "each router needs a file of its own: stop the other one, or name another file in \
                 `ROUTER_STATE_FILE`"
                    .to_owned()
            }
            Self::Unreadable { .. } => {
                "it must be readable and writable for the user who runs `hr`".to_owned()
            }
            Self::Replaced { .. } => {
                "it is left as it is, and read at the next start; what is learned until then is lost: stop the router \
                 before you put a file in its place"
                    .to_owned()
            }
            Self::Unwritable { .. } => {
                "see that there is room on the disk, and that the file and its folder are writable for the user who \
                 runs `hr`"
                    .to_owned()
            }
        }
    }

    pub(super) fn damaged(path: &Path, what: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_path_buf(), what: what.into() }
    }

    pub(super) fn not_ours(path: &Path, what: impl Into<String>) -> Self {
        Self::NotOurs { path: path.to_path_buf(), what: what.into() }
    }

    pub(super) fn unreadable(path: &Path, error: &io::Error) -> Self {
        Self::Unreadable { path: path.to_path_buf(), cause: error.to_string() }
    }

    pub(super) fn unwritable(path: &Path, cause: impl ToString) -> Self {
        Self::Unwritable { path: path.to_path_buf(), cause: cause.to_string() }
    }

    /// What an error of SQLite means for the file.
    pub(super) fn of(path: &Path, error: &rusqlite::Error) -> Self {
        /// SQLite's extended code for a file that ends too early.
        const SHORT_READ: i32 = 522;
        let Some(inner) = error.sqlite_error() else { return Self::damaged(path, error.to_string()) };
        match inner.code {
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
                Self::InUse { path: path.to_path_buf(), pid: None }
            }
            ErrorCode::SystemIoFailure if inner.extended_code == SHORT_READ => {
                Self::damaged(path, "it ends too early")
            }
            ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied
            | ErrorCode::CannotOpen
            | ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::OutOfMemory => Self::unwritable(path, error),
            _ => Self::damaged(path, error.to_string()),
        }
    }
}
