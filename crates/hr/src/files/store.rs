//! How a file that matters is read and written: bounded, under a lock, replaced as a whole, never more
//! readable than its owner, and with the last good copy kept.
//!
//! Every edit goes through [`Held`]: take the lock, read what is there *now*, write the whole file anew. Two
//! `hr auth add` at once therefore both win, and a crash in between leaves the old file.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tempfile::NamedTempFile;

/// The largest file that is read: far above any real one, far below what would hurt.
pub const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// By how much a new text may be longer than the present one, with room to spare: a few tokens.
const MORE_ROOM: usize = 64 * 1024;

/// How long an edit waits for another one to finish.
pub const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// How often a taken lock is tried again.
const LOCK_RETRY: Duration = Duration::from_millis(5);

/// Only the owner may read and write.
const OWNER_FILE: u32 = 0o600;

/// Only the owner may look inside.
const OWNER_FOLDER: u32 = 0o700;

/// The text of a file; `None` when there is none. Refuses what is not UTF-8 or above [`MAX_FILE_BYTES`].
pub fn read(path: &Path) -> io::Result<Option<String>> {
    // Asked before it is opened: opening a pipe would wait for a writer.
    match fs::metadata(path) {
        Ok(told) if !told.is_file() => return Err(io::Error::other("it is not a regular file")),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file at the limit from one above it.
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it is larger than {MAX_FILE_BYTES} bytes"),
        ));
    }
    String::from_utf8(bytes)
        .map(Some)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text"))
}

/// Makes a folder and those above it, open to the owner alone. One that exists is left as it is.
pub fn make_folder(path: &Path) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(OWNER_FOLDER)
        .create(path)
        .with_context(|| format!("could not make the folder `{}`", path.display()))
}

/// Where a path leads when it is a symbolic link: edits go to the real file and the link stays.
pub fn real_path(path: &Path) -> PathBuf {
    /// As many links as Linux itself follows.
    const MAX_LINKS: usize = 40;
    let mut path = path.to_path_buf();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(Path::new("")).join(target),
            Err(_) => break,
        }
    }
    path
}

/// Writes a whole file so that a reader sees the old text or the new one, and only its owner either.
pub fn replace(path: &Path, text: &str) -> anyhow::Result<()> {
    let path = real_path(path);
    let folder = folder_of(&path);
    make_folder(folder)?;
    write_whole(&path, folder, text).with_context(|| format!("could not write `{}`", path.display()))
}

/// Whether [`replace`] would find a place to write to, and room for what is there with [`MORE_ROOM`].
///
/// # Errors
///
/// Why it would not.
pub fn can_write(path: &Path) -> anyhow::Result<()> {
    let path = real_path(path);
    let present = fs::metadata(&path).map_or(0, |told| told.len()).min(MAX_FILE_BYTES);
    // A full disk still takes an empty file.
    let filler = " ".repeat(MORE_ROOM + usize::try_from(present).unwrap_or_default());
    let folder = folder_of(&path);
    make_folder(folder)?;
    written(folder, &filler).with_context(|| format!("could not write `{}`", path.display()))?;
    Ok(())
}

/// Writes a file that is not there yet. False when it is: then it stays as it is.
pub fn create(path: &Path, text: &str) -> anyhow::Result<bool> {
    let folder = folder_of(path);
    make_folder(folder)?;
    let created = written(folder, text).and_then(|fresh| match fresh.persist_noclobber(path) {
        Ok(_) => Ok(true),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.error),
    });
    created.with_context(|| format!("could not write `{}`", path.display()))
}

/// A file without its name yet, safe on disk. It is removed again unless it gets its name.
fn written(folder: &Path, text: &str) -> io::Result<NamedTempFile> {
    let mut fresh = tempfile::Builder::new()
        .prefix(".hr-")
        .permissions(fs::Permissions::from_mode(OWNER_FILE))
        .tempfile_in(folder)?;
    fresh.write_all(text.as_bytes())?;
    fresh.as_file().sync_all()?;
    Ok(fresh)
}

fn write_whole(path: &Path, folder: &Path, text: &str) -> io::Result<()> {
    written(folder, text)?.persist(path).map_err(|error| error.error)?;
    // The rename itself is safe on disk only once its folder is; some file systems cannot do that.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

/// The folder a file is in.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// The path beside this one with an ending added to its whole name.
pub fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(ending);
    path.with_file_name(name)
}

/// A file that nobody else edits while this is alive.
///
/// The lock is on a file of its own (`auth.json.lock`), because the edited one is replaced by each edit.
pub struct Held {
    path: PathBuf,
    // Unlocks when it is closed.
    _lock: File,
}

impl Held {
    /// Waits, at most [`LOCK_PATIENCE`], until nobody else edits the file.
    pub fn take(path: &Path) -> anyhow::Result<Self> {
        Self::take_within(path, LOCK_PATIENCE)
    }

    /// The same with another patience.
    pub fn take_within(path: &Path, patience: Duration) -> anyhow::Result<Self> {
        let path = real_path(path);
        make_folder(folder_of(&path))?;
        let lock_path = beside(&path, ".lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(OWNER_FILE)
            .open(&lock_path)
            .with_context(|| format!("could not open the lock `{}`", lock_path.display()))?;
        let give_up = Instant::now() + patience;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(Self { path, _lock: lock }),
                Err(TryLockError::WouldBlock) if Instant::now() < give_up => thread::sleep(LOCK_RETRY),
                Err(TryLockError::WouldBlock) => bail!(
                    "another program has been editing `{}` for {} s",
                    path.display(),
                    patience.as_secs()
                ),
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("could not lock `{}`", lock_path.display()));
                }
            }
        }
    }

    /// The text as it is now; `None` when there is no file.
    pub fn read(&self) -> anyhow::Result<Option<String>> {
        read(&self.path).with_context(|| format!("could not read `{}`", self.path.display()))
    }

    /// Writes the whole file anew.
    pub fn replace(&self, text: &str) -> anyhow::Result<()> {
        replace(&self.path, text)
    }

    /// Keeps a copy of the present text, known to be good, in `<name>.bak`.
    pub fn keep_copy(&self, text: &str) -> anyhow::Result<()> {
        replace(&beside(&self.path, ".bak"), text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_written_is_the_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/auth.json");
        replace(&path, "{}").unwrap();
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
    }

    #[test]
    fn a_file_open_to_others_is_closed_by_the_next_edit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        fs::write(&path, "A=1\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        replace(&path, "A=2\n").unwrap();
        assert_eq!(mode(&path), 0o600);
        assert_eq!(read(&path).unwrap().unwrap(), "A=2\n");
    }

    #[test]
    fn trying_to_write_leaves_everything_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("auth.json");
        replace(&path, "{}").unwrap();
        can_write(&path).unwrap();
        assert_eq!(read(&path).unwrap().unwrap(), "{}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(can_write(&path.join("below a file")).is_err());
    }

    #[test]
    fn a_link_stays_and_its_target_is_edited() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real/auth.json"), folder.path().join("auth.json"));
        replace(&real, "old").unwrap();
        std::os::unix::fs::symlink("real/auth.json", &link).unwrap();
        let held = Held::take(&link).unwrap();
        held.replace("new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().file_type().is_symlink());
        assert_eq!(read(&real).unwrap().unwrap(), "new");
        assert!(folder.path().join("real/auth.json.lock").exists());
    }

    #[test]
    fn a_link_to_nothing_gets_its_target_made() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("auth.json");
        std::os::unix::fs::symlink("elsewhere/auth.json", &link).unwrap();
        replace(&link, "x").unwrap();
        assert_eq!(read(&folder.path().join("elsewhere/auth.json")).unwrap().unwrap(), "x");
    }

    #[test]
    fn two_cannot_hold_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("auth.json");
        let held = Held::take(&path).unwrap();
        let refused = Held::take_within(&path, Duration::ZERO).err().unwrap().to_string();
        assert!(refused.contains("another program has been editing"), "{refused}");
        drop(held);
        Held::take_within(&path, Duration::ZERO).unwrap();
    }

    #[test]
    fn edits_at_the_same_time_lose_nothing() {
        const EDITORS: usize = 16;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        thread::scope(|scope| {
            for number in 0..EDITORS {
                let path = &path;
                scope.spawn(move || {
                    let held = Held::take(path).unwrap();
                    let text = held.read().unwrap().unwrap_or_default();
                    held.replace(&format!("{text}{number}\n")).unwrap();
                });
            }
        });
        assert_eq!(read(&path).unwrap().unwrap().lines().count(), EDITORS);
    }

    #[test]
    fn reading_is_bounded_and_wants_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("big");
        assert_eq!(read(&path).unwrap(), None);
        let limit = usize::try_from(MAX_FILE_BYTES).unwrap();
        fs::write(&path, vec![b'a'; limit]).unwrap();
        assert_eq!(read(&path).unwrap().unwrap().len(), limit);
        fs::write(&path, vec![b'a'; limit + 1]).unwrap();
        assert_eq!(read(&path).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        fs::write(&path, [0xff, 0xfe]).unwrap();
        assert_eq!(read(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(read(folder.path()).is_err());
    }
}
