//! One router per store: a lock on a file beside it, which the kernel lets go of however the process ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::error::StoreError;
use crate::files::store::{beside, folder_of, make_folder};

/// Only the owner may read and write.
const OWNER_FILE: u32 = 0o600;

/// The longest process number that is read.
const MAX_PID_BYTES: u64 = 16;

/// That nobody else uses the store while this is alive. The descriptor is closed by an exec, so that a router
/// that runs itself again can take it anew.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of a store, and writes down who has it.
    pub(super) fn take(path: &Path) -> Result<Self, StoreError> {
        make_folder(folder_of(path)).map_err(|error| StoreError::unwritable(path, format!("{error:#}")))?;
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(OWNER_FILE)
            .open(beside(path, ".lock"))
            .map_err(|error| StoreError::unwritable(path, error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::InUse { path: path.to_path_buf(), pid: holder(&mut file) });
            }
            Err(TryLockError::Error(error)) => return Err(StoreError::unwritable(path, error)),
        }
        // Only a help for people: the lock holds without it, also on a full disk.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| write!(file, "{}", std::process::id()));
        Ok(Self { _file: file })
    }
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(MAX_PID_BYTES).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
