//! The router that runs from a home: who it is and where it listens.
//!
//! The file names the process; the lock on the file proves that it is alive. The kernel lets go of the lock
//! when the process ends, however it ends, so a file left behind by a crash is known to be stale.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use hr_core::time::Millis;
use serde::{Deserialize, Serialize};

use crate::files::store::{folder_of, make_folder};

/// The longest such file that is read.
const MAX_BYTES: u64 = 4096;

/// How long a command that only looks, see [`find`], may hold the lock: longer means a router has it.
const GLANCE: Duration = Duration::from_millis(200);

/// A router that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Its process.
    pub pid: u32,
    /// The name of its program, so that a number from another machine or container is not taken for it.
    pub program: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// When it started.
    pub started: Millis,
}

impl Running {
    /// This process, listening there since now.
    pub fn this_process(address: SocketAddr, started: Millis) -> Self {
        let pid = std::process::id();
        Self { pid, program: program_of(pid).unwrap_or_default(), address, started }
    }

    /// Whether its number still belongs to the program that wrote the file.
    pub fn is_that_program(&self) -> bool {
        program_of(self.pid).is_none_or(|program| program == self.program)
    }
}

/// What the system calls a process; `None` where it does not tell.
fn program_of(pid: u32) -> Option<String> {
    if !Path::new("/proc/self/comm").exists() {
        return None;
    }
    Some(fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end().to_owned())
}

/// The router that runs, when the file says so and its lock is held.
pub fn find(path: &Path) -> anyhow::Result<Option<Running>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("could not read `{}`", path.display())),
    };
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => {}
        // Nobody holds it: left behind. (A file system without locks looks the same; then nothing is claimed.)
        Ok(()) | Err(TryLockError::Error(_)) => return Ok(None),
    }
    let mut text = String::new();
    Read::by_ref(&mut file)
        .take(MAX_BYTES)
        .read_to_string(&mut text)
        .with_context(|| format!("could not read `{}`", path.display()))?;
    // Between taking the lock and writing, a starting router has an empty file.
    Ok(serde_json::from_str(&text).ok())
}

/// The claim of a home by this process, for as long as it lives.
pub struct Claim {
    path: PathBuf,
    file: File,
}

impl Claim {
    /// Claims the home, or gives back `None` when another router has it.
    pub fn take(path: &Path) -> anyhow::Result<Option<Self>> {
        make_folder(folder_of(path))?;
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(path)
            .with_context(|| format!("could not open `{}`", path.display()))?;
        let give_up = Instant::now() + GLANCE;
        while let Err(TryLockError::WouldBlock) = file.try_lock() {
            if Instant::now() >= give_up {
                return Ok(None);
            }
            thread::sleep(GLANCE / 20);
        }
        // Without locks (`TryLockError::Error`) two routers cannot be told apart; one may still run.
        file.set_len(0).with_context(|| format!("could not write `{}`", path.display()))?;
        Ok(Some(Self { path: path.to_path_buf(), file }))
    }

    /// Writes down who has it.
    pub fn announce(&mut self, running: &Running) -> anyhow::Result<()> {
        let text = serde_json::to_string(running).context("could not describe this process")?;
        self.file
            .seek(SeekFrom::Start(0))
            .and_then(|_| self.file.set_len(0))
            .and_then(|()| self.file.write_all(text.as_bytes()))
            .with_context(|| format!("could not write `{}`", self.path.display()))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Emptied rather than removed: a removed file could be locked by one and made anew by another.
        let _ = self.file.set_len(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me() -> Running {
        Running::this_process("127.0.0.1:8319".parse().unwrap(), Millis(7))
    }

    #[test]
    fn a_claim_is_seen_by_others_and_ends_with_its_holder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/router.pid");
        assert_eq!(find(&path).unwrap(), None);
        let mut claim = Claim::take(&path).unwrap().unwrap();
        assert_eq!(find(&path).unwrap(), None, "claimed but not yet announced");
        claim.announce(&me()).unwrap();
        assert_eq!(find(&path).unwrap(), Some(me()));
        assert!(me().is_that_program());
        assert!(Claim::take(&path).unwrap().is_none(), "there is only one");
        drop(claim);
        assert_eq!(find(&path).unwrap(), None);
        assert!(Claim::take(&path).unwrap().is_some());
    }

    #[test]
    fn a_file_left_behind_claims_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("router.pid");
        std::fs::write(&path, serde_json::to_string(&me()).unwrap()).unwrap();
        assert_eq!(find(&path).unwrap(), None);
        assert!(Claim::take(&path).unwrap().is_some());
    }

    #[test]
    fn another_program_under_that_number_is_not_it() {
        let stranger = Running { program: "init".to_owned(), ..me() };
        assert!(!stranger.is_that_program() || program_of(1).is_none());
    }
}
