//! The file: made once and whole, looked at before it is trusted, and never touched when it cannot be.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hr_core::route::Change;
use hr_core::time::Millis;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use tempfile::TempPath;

use super::error::StoreError;
use super::lock::Lock;
use super::{calls, import, rows, schema};
use crate::files::store::{beside, folder_of, make_folder};

/// How long SQLite waits for a moment in which the file is not in use.
const BUSY: Duration = Duration::from_millis(250);

/// Up to this size the whole file is checked at the start; above it only what is read then, lest the start be felt.
pub(super) const CHECK_WHOLE_UP_TO: u64 = 4 * 1024 * 1024;

/// From this length on the log is moved into the file when nobody has to wait for that.
pub(super) const LOG_WHEN_QUIET: u64 = 1024 * 1024;

/// SQLite's own header: its length, and where the format and the application are named in it.
const HEADER: usize = 100;
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
const USER_VERSION_AT: usize = 60;
const APPLICATION_ID_AT: usize = 68;

/// A store that nobody else uses, ready to be written.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) connection: Connection,
    pub(super) lock: Lock,
    /// What was kept in it.
    pub(super) kept: Vec<Change>,
    /// Under which name the original's file is kept that was taken over.
    pub(super) imported: Option<PathBuf>,
}

/// What lies at the place of the store.
enum Found {
    Nothing,
    Ours,
    Original,
}

/// Opens the store, or makes it. `older` is where the original's file may lie besides.
pub(super) fn ready(path: &Path, older: Option<&Path>, now: Millis) -> Result<Ready, StoreError> {
    let lock = Lock::take(path)?;
    let mut imported = None;
    match look(path)? {
        Found::Ours => {}
        Found::Original => imported = Some(take_over_in_place(path, now)?),
        Found::Nothing => {
            let older = older.filter(|older| older.exists());
            // Somebody else's file of that name is none of our business.
            let found = older.and_then(|older| Some((older, import::read(older).ok()?)));
            make(path, found.as_ref().map_or(&[], |(_, changes)| changes), now)?;
            imported = found.map(|(older, _)| import::set_aside(older)).transpose()?;
        }
    }
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let kept = trusted(path, &connection)?;
    settle_down(path, &connection).map_err(|error| StoreError::of(path, &error))?;
    Ok(Ready { connection, lock, kept, imported })
}

/// What is kept in a store that cannot be written.
pub(super) fn kept(path: &Path) -> Result<Vec<Change>, StoreError> {
    match look(path)? {
        Found::Ours => trusted(path, &open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?),
        Found::Nothing | Found::Original => Ok(Vec::new()),
    }
}

/// A connection that only reads a store; `None` when there is none yet.
pub(super) fn reader(path: &Path) -> Result<Option<Connection>, StoreError> {
    match look(path)? {
        Found::Ours => open(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map(Some),
        Found::Nothing | Found::Original => Ok(None),
    }
}

/// Looks at the header without SQLite, which would make, recover or refuse files in its own way.
fn look(path: &Path) -> Result<Found, StoreError> {
    let told = match fs::metadata(path) {
        Ok(told) => told,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(StoreError::unreadable(path, &error)),
    };
    if !told.is_file() {
        return Err(StoreError::not_ours(path, "it is not a regular file"));
    }
    let mut header = Vec::with_capacity(HEADER);
    File::open(path)
        .and_then(|file| file.take(HEADER as u64).read_to_end(&mut header))
        .map_err(|error| StoreError::unreadable(path, &error))?;
    if header.is_empty() {
        return Err(StoreError::damaged(path, "it is empty"));
    }
    if header.trim_ascii_start().starts_with(b"{") {
        return Ok(Found::Original);
    }
    if !header.starts_with(MAGIC) {
        return Err(StoreError::damaged(path, "it is no SQLite database"));
    }
    let (Some(application), Some(version)) =
        (number(&header, APPLICATION_ID_AT), number(&header, USER_VERSION_AT))
    else {
        return Err(StoreError::damaged(path, "it ends in its header"));
    };
    if application != schema::APPLICATION_ID {
        return Err(StoreError::not_ours(path, "it is the database of another program"));
    }
    if version > schema::VERSION {
        return Err(StoreError::Newer { path: path.to_path_buf(), found: version, known: schema::VERSION });
    }
    if version < schema::VERSION {
        return Err(StoreError::damaged(path, format!("its format {version} does not exist")));
    }
    Ok(Found::Ours)
}

fn number(header: &[u8], at: usize) -> Option<i32> {
    let bytes = header.get(at..at + 4)?;
    Some(i32::from_be_bytes(bytes.try_into().ok()?))
}

fn open(path: &Path, mode: OpenFlags) -> Result<Connection, StoreError> {
    let fail = |error: &rusqlite::Error| StoreError::of(path, error);
    // No URIs: a path may have a question mark in it.
    let connection = Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(|error| fail(&error))?;
    connection.busy_timeout(BUSY).map_err(|error| fail(&error))?;
    // Until it is trusted, nothing is moved from the log into the file, also not when it is closed.
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .map_err(|error| fail(&error))?;
    // Rows of a damaged file must not make SQLite read beyond them.
    connection.pragma_update(None, "cell_size_check", true).map_err(|error| fail(&error))?;
    Ok(connection)
}

/// Everything that is kept, once the file has proved itself.
fn trusted(path: &Path, connection: &Connection) -> Result<Vec<Change>, StoreError> {
    let fail = |error: rusqlite::Error| StoreError::of(path, &error);
    rows::know_all(connection).map_err(fail)?;
    if fs::metadata(path).is_ok_and(|told| told.len() <= CHECK_WHOLE_UP_TO) {
        let found: String =
            connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(fail)?;
        if found != "ok" {
            return Err(StoreError::damaged(path, found.lines().collect::<Vec<_>>().join(", ")));
        }
    }
    read_kept(path, connection)
}

/// All pieces of state, with the calls that were noted since.
pub(super) fn read_kept(path: &Path, connection: &Connection) -> Result<Vec<Change>, StoreError> {
    let mut kept = rows::read_kept(connection).map_err(|error| StoreError::of(path, &error))?;
    kept.extend(calls::read(path));
    Ok(kept)
}

/// From here on the file is ours to write.
fn settle_down(path: &Path, connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A commit is not forced to the disk: a kill loses nothing by that, and a power cut only the last moments.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    // The writer chooses the moment itself, see `writer`.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    // What a crash has left is moved now, while nobody waits for it.
    shorten_log(path, connection, LOG_WHEN_QUIET)
}

/// Moves the log into the file when it is longer than that. While somebody reads it may stay; then it grows on.
pub(super) fn shorten_log(path: &Path, connection: &Connection, longest: u64) -> rusqlite::Result<()> {
    let length = fs::metadata(beside(path, "-wal")).map_or(0, |told| told.len());
    if length > longest {
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    }
    Ok(())
}

/// Makes an empty store with these changes in it. It gets its name when it is whole, so that no kill leaves half of it.
fn make(path: &Path, changes: &[Change], now: Millis) -> Result<(), StoreError> {
    let fail = |error: rusqlite::Error| StoreError::of(path, &error);
    let fresh = fresh(path)?;
    let mut connection = Connection::open(&fresh).map_err(fail)?;
    connection.pragma_update(None, "application_id", schema::APPLICATION_ID).map_err(fail)?;
    connection.pragma_update(None, "user_version", schema::VERSION).map_err(fail)?;
    connection.execute_batch(schema::TABLES).map_err(fail)?;
    rows::write(&mut connection, changes, &[], now).map_err(fail)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(fail)?;
    connection.close().map_err(|(_, error)| fail(error))?;
    set_orphans_aside(path, &calls::ENDINGS)?;
    put_in_place(path, fresh)
}

/// An empty file beside the store.
fn fresh(path: &Path) -> Result<TempPath, StoreError> {
    let folder = folder_of(path);
    make_folder(folder).map_err(|error| StoreError::unwritable(path, format!("{error:#}")))?;
    let fresh = tempfile::Builder::new()
        .prefix(".hr-")
        .permissions(fs::Permissions::from_mode(0o600))
        .tempfile_in(folder)
        .map_err(|error| StoreError::unwritable(path, error))?;
    Ok(fresh.into_temp_path())
}

/// Gives a whole store its name, which nobody has.
pub(super) fn put_in_place(path: &Path, fresh: TempPath) -> Result<(), StoreError> {
    set_orphans_aside(path, &["-wal", "-shm"])?;
    fresh.persist_noclobber(path).map_err(|error| StoreError::unwritable(path, error.error))
}

/// A copy of all that a connection has, also when its file was deleted.
pub(super) fn copy(path: &Path, connection: &Connection) -> Result<TempPath, StoreError> {
    let fresh = fresh(path)?;
    let name = fresh.to_str().ok_or_else(|| StoreError::unwritable(path, "its path is not text"))?;
    connection.execute("VACUUM INTO ?1", [name]).map_err(|error| StoreError::of(path, &error))?;
    Ok(fresh)
}

/// Which file it is, by device and number; none when there is none.
pub(super) fn identity(path: &Path) -> Result<Option<(u64, u64)>, StoreError> {
    match fs::metadata(path) {
        Ok(told) => Ok(Some((told.dev(), told.ino()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::unreadable(path, &error)),
    }
}

/// A log without its file would be taken for the new file's.
fn set_orphans_aside(path: &Path, endings: &[&str]) -> Result<(), StoreError> {
    for ending in endings {
        match fs::rename(beside(path, ending), beside(path, &format!("{ending}.orphaned"))) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(StoreError::unwritable(path, error)),
        }
    }
    Ok(())
}

/// Puts a store in the place of the original's file, which gets another name.
fn take_over_in_place(path: &Path, now: Millis) -> Result<PathBuf, StoreError> {
    let changes = import::read(path)?;
    let aside = import::set_aside(path)?;
    if let Err(error) = make(path, &changes, now) {
        // As if nothing had been tried; should this fail, too, the file is still there under its other name.
        let _ = fs::rename(&aside, path);
        return Err(error);
    }
    Ok(aside)
}
