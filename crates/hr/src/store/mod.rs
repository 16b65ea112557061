//! What outlives the process: one SQLite file.
//!
//! [`open`] looks at the file and reads what was kept; [`Opened::start`] begins to write. State is pulled: the gate
//! says that something has [`changed`](Store::changed), and the writing thread fetches the changes from the router.
//! Decisions are pushed into a bounded queue. Nobody on the way of a request ever waits for the disk. [`Reader`] is
//! for commands that look into the store of a router that runs, or of none.

mod calls;
mod error;
mod file;
mod import;
mod lock;
mod prune;
mod queue;
mod rows;
mod schema;
mod writer;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::{self, Thread};
use std::time::Duration;

use hr_core::route::record::{Name, Record};
use hr_core::route::{Change, Noted};
use hr_core::settings::define::general::ROUTER_STATE_FILE;
use hr_core::settings::{Layers, Origin};
use hr_core::time::Millis;
use hr_core::usage::Usage;
use parking_lot::Mutex;
use rusqlite::Connection;
use tracing::warn;

pub use error::StoreError;
pub use queue::MAX_WAITING;

use crate::files::home::{Home, Place};
use crate::files::store::{folder_of, real_path};
use calls::Calls;
use file::Ready;
use lock::Lock;
use queue::Queue;
use writer::{Trouble, Writer};

/// The name under which the original product keeps its state.
const ORIGINAL_NAME: &str = "router_state.json";

/// How long the end of the process waits until the last things are written.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);

/// A decision record. It is made to bytes where there is time: when it is written, or asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Written {
    /// As it was decided.
    Record(Box<Record>),
    /// As bytes.
    Bytes(Vec<u8>),
}

impl Written {
    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Record(record) => Cow::Owned(record.to_json()),
            Self::Bytes(bytes) => Cow::Borrowed(bytes),
        }
    }
}

impl Default for Written {
    fn default() -> Self {
        Self::Bytes(Vec::new())
    }
}

/// What became of a request, and why it went where it went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decided {
    /// The request's id.
    pub id: Name,
    /// When it ended.
    pub at: Millis,
    /// Who answered, or was called last.
    pub provider: Option<Name>,
    /// The model; none where it is one that only the caller knows.
    pub model: Option<Name>,
    /// The status that the caller saw.
    pub status: u16,
    /// Calls made for it.
    pub attempts: u32,
    /// What it used, as reported.
    pub usage: Usage,
    /// What it cost in US dollars, where the price is known.
    pub cost: Option<f64>,
    /// From its beginning to its end.
    pub took: Duration,
    /// The decision record. It holds no text of a prompt.
    pub record: Written,
}

/// A decision that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The request's id.
    pub id: String,
    /// When it ended.
    pub at: Millis,
    /// The record.
    pub record: Vec<u8>,
}

/// Where the store lies: where `ROUTER_STATE_FILE` says, else in the state folder. A relative path starts where it
/// was written: from the folder of the settings file, or else from the working directory.
#[must_use]
pub fn place(home: &Home, layers: &Layers) -> PathBuf {
    let Some(found) = layers.get(ROUTER_STATE_FILE.name) else { return home.state.clone() };
    let from = match found.origin {
        Origin::EnvFile(..) => folder_of(&home.env),
        Origin::Flag | Origin::Environment | Origin::Default => &home.cwd,
    };
    from.join(found.value)
}

/// Where the original product would have kept its state, when that is not where the store lies.
#[must_use]
pub fn original_place(home: &Home) -> Option<PathBuf> {
    (home.place == Place::WorkingDirectory).then(|| home.cwd.join(ORIGINAL_NAME))
}

/// A store that was opened and is not written yet.
#[derive(Debug)]
pub struct Opened {
    path: PathBuf,
    open: Option<(Connection, Lock)>,
    calls: Calls,
    /// What was kept: to be given back to the router.
    pub kept: Vec<Change>,
    /// Under which name the original product's file is kept that was taken over.
    pub imported: Option<PathBuf>,
    /// Why it cannot be written, when it cannot: that is tried again while serving.
    pub trouble: Option<StoreError>,
}

/// Opens the store for this process alone, or makes it. `original` is a place besides where the original product's
/// state may lie.
///
/// # Errors
///
/// When what lies there cannot be used. It is not changed then. That it cannot be written is no error.
pub fn open(path: &Path, original: Option<&Path>, now: Millis) -> Result<Opened, StoreError> {
    let path = real_path(path);
    match file::ready(&path, original, now) {
        Ok(Ready { connection, lock, kept, imported }) => {
            let calls = Calls::open(&path, &kept);
            Ok(Opened { path, open: Some((connection, lock)), calls, kept, imported, trouble: None })
        }
        Err(trouble @ StoreError::Unwritable { .. }) => {
            // What can be read is of use also when nothing can be added.
            let kept = match file::kept(&path) {
                Err(StoreError::Unwritable { .. } | StoreError::Unreadable { .. }) => Vec::new(),
                kept => kept?,
            };
            Ok(Opened {
                path,
                open: None,
                calls: Calls::default(),
                kept,
                imported: None,
                trouble: Some(trouble),
            })
        }
        Err(error) => Err(error),
    }
}

impl Opened {
    /// Begins to write. `pull` says what has changed since it was last asked, `now` what time it is; both are called
    /// on the writing thread.
    ///
    /// # Errors
    ///
    /// When the system has no thread for it.
    pub fn start(
        self,
        pull: impl FnMut() -> Vec<Change> + Send + 'static,
        now: impl Fn() -> Millis + Send + 'static,
    ) -> std::io::Result<Store> {
        let shared = Arc::new(Shared::default());
        let mut trouble = Trouble::default();
        if let Some(error) = &self.trouble {
            trouble.met(error, 0);
        }
        let calls = Arc::new(self.calls);
        let (ends, ended) = mpsc::sync_channel(1);
        let writer = Writer {
            path: self.path.clone(),
            shared: Arc::clone(&shared),
            calls: Arc::clone(&calls),
            pull: Box::new(pull),
            now: Box::new(now),
            open: self.open,
            pending: BTreeMap::new(),
            trouble,
            commits: 0,
            identity: None,
            missed: None,
        };
        let thread = thread::Builder::new().name("store".to_owned()).spawn(move || {
            writer.run();
            // Nobody listens when the process ends without waiting.
            let _ = ends.send(());
        })?;
        let thread = thread.thread().clone();
        Ok(Store {
            path: self.path,
            shared,
            calls,
            thread,
            ended: Mutex::new(ended),
            reader: Mutex::new(None),
        })
    }
}

/// What the gate and the writing thread share.
#[derive(Debug, Default)]
struct Shared {
    dirty: AtomicBool,
    stopping: AtomicBool,
    /// How often the file was written anew.
    generation: AtomicU64,
    queue: Queue,
}

impl Shared {
    fn has_work(&self) -> bool {
        self.dirty.load(Ordering::Acquire) || self.stopping.load(Ordering::Acquire) || !self.queue.is_empty()
    }
}

/// The store of a router that runs.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    shared: Arc<Shared>,
    calls: Arc<Calls>,
    thread: Thread,
    ended: Mutex<mpsc::Receiver<()>>,
    /// With the generation of the file that it reads.
    reader: Mutex<Option<(u64, Reader)>>,
}

impl Store {
    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Says that the router has something new to keep. Costs next to nothing.
    pub fn changed(&self) {
        if !self.shared.dirty.swap(true, Ordering::AcqRel) {
            self.thread.unpark();
        }
    }

    /// Notes a call that is about to go out, so that a kill does not forget it.
    pub fn note(&self, call: &Noted<'_>) {
        self.calls.note(call);
    }

    /// Keeps what became of a request, and finds it from now on. Gives it back when it is lost, since the disk does
    /// not take what comes; see [`Store::lost`].
    pub fn remember(&self, decided: Arc<Decided>) -> Option<Arc<Decided>> {
        match self.shared.queue.add(decided) {
            Ok(is_first) => {
                if is_first {
                    self.thread.unpark();
                }
                None
            }
            Err(lost) => Some(lost),
        }
    }

    /// How many decisions were lost because they could not be written in time.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.shared.queue.lost()
    }

    /// The decision about a request. Reads from the disk: not for a thread that serves others meanwhile.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn decision(&self, id: &str) -> Result<Option<Decision>, StoreError> {
        self.find(Some(id))
    }

    /// The decision about the last request that ended.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn last_decision(&self) -> Result<Option<Decision>, StoreError> {
        self.find(None)
    }

    fn find(&self, id: Option<&str>) -> Result<Option<Decision>, StoreError> {
        if let Some(waiting) = self.shared.queue.find(id) {
            return Ok(Some(Decision {
                id: waiting.id.to_string(),
                at: waiting.at,
                record: waiting.record.bytes().into_owned(),
            }));
        }
        let generation = self.shared.generation.load(Ordering::Acquire);
        let mut reader = self.reader.lock();
        if reader.as_ref().is_none_or(|(of, _)| *of != generation) {
            *reader = Reader::open(&self.path)?.map(|reader| (generation, reader));
        }
        reader.as_ref().map_or(Ok(None), |(_, reader)| reader.find(id))
    }

    /// Writes what is left and closes the file. Waits a few seconds at most.
    pub fn close(&self) {
        self.shared.stopping.store(true, Ordering::Release);
        self.thread.unpark();
        if self.ended.lock().recv_timeout(CLOSE_PATIENCE).is_err() {
            warn!(file = %self.path.display(), "the last things that were learned could not be kept in time");
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// A view into a store that changes nothing, whether or not a router uses it.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    connection: Connection,
}

impl Reader {
    /// Opens it; `None` when nothing was kept there yet.
    ///
    /// # Errors
    ///
    /// When what lies there cannot be used.
    pub fn open(path: &Path) -> Result<Option<Self>, StoreError> {
        let path = real_path(path);
        Ok(file::reader(&path)?.map(|connection| Self { path, connection }))
    }

    /// The decision about a request.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn decision(&self, id: &str) -> Result<Option<Decision>, StoreError> {
        self.find(Some(id))
    }

    /// The decision about the last request that ended.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn last_decision(&self) -> Result<Option<Decision>, StoreError> {
        self.find(None)
    }

    fn find(&self, id: Option<&str>) -> Result<Option<Decision>, StoreError> {
        rows::decision(&self.connection, id).map_err(|error| StoreError::of(&self.path, &error))
    }

    /// All state that was kept.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn kept(&self) -> Result<Vec<Change>, StoreError> {
        file::read_kept(&self.path, &self.connection)
    }
}
