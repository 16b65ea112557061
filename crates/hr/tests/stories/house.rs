//! A whole router over fake providers, in this process: real files in a temporary folder, a real listener on
//! loopback, real HTTP on both sides.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;

use hermes_router::files::home::Home;
use hermes_router::files::load;
use hermes_router::gate::{Configuration, Gate, server};
use hr_testkit::Fake;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::caller::Caller;

/// The access key of the house.
pub const KEY: &str = "sk-router-of-the-house";

/// A provider of the house.
pub struct Guest<'a> {
    id: &'a str,
    base_url: String,
    keys: Vec<String>,
    models: Vec<String>,
    top: String,
    extra: String,
}

impl<'a> Guest<'a> {
    /// A provider with one model `ID-model` and one key `sk-ID-1`.
    pub fn new(id: &'a str, fake: &Fake) -> Self {
        Self::at(id, fake.base_url())
    }

    /// The same at any address.
    pub fn at(id: &'a str, base_url: String) -> Self {
        Self {
            id,
            base_url,
            keys: vec![format!("sk-{id}-1")],
            models: vec![format!("[[model]]\nid = \"{id}-model\"\n")],
            top: String::new(),
            extra: String::new(),
        }
    }

    /// With so many keys `sk-ID-1`, `sk-ID-2`…
    pub fn keys(mut self, count: usize) -> Self {
        self.keys = (1..=count).map(|number| format!("sk-{}-{number}", self.id)).collect();
        self
    }

    /// With these keys.
    pub fn key_list(mut self, keys: &[&str]) -> Self {
        self.keys = keys.iter().map(|&key| key.to_owned()).collect();
        self
    }

    /// With this model instead, and these further lines of its entry.
    pub fn model(mut self, id: &str, lines: &str) -> Self {
        self.models = vec![format!("[[model]]\nid = \"{id}\"\n{lines}\n")];
        self
    }

    /// With one more model.
    pub fn and_model(mut self, id: &str, lines: &str) -> Self {
        self.models.push(format!("[[model]]\nid = \"{id}\"\n{lines}\n"));
        self
    }

    /// With these further lines before its models.
    pub fn top(mut self, lines: &str) -> Self {
        self.top = lines.to_owned();
        self
    }

    /// With these further lines at the end of its file.
    pub fn extra(mut self, lines: &str) -> Self {
        self.extra = lines.to_owned();
        self
    }

    /// Its file.
    pub fn toml(&self) -> String {
        format!(
            "id = \"{}\"\nbase_url = \"{}\"\nspend = \"free\"\n{}\n{}\n{}\n",
            self.id,
            self.base_url,
            self.top,
            self.models.concat(),
            self.extra
        )
    }

    fn variable(&self) -> String {
        format!("{}_API_KEYS={}\n", self.id.to_uppercase().replace('-', "_"), self.keys.join(","))
    }
}

/// A router with its files.
pub struct House {
    /// The gateway.
    pub gate: Arc<Gate>,
    /// Where it listens.
    pub address: SocketAddr,
    folder: TempDir,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl House {
    /// Opens a house for these guests under these settings (`NAME=value` lines).
    pub async fn open(guests: &[Guest<'_>], settings: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        Self::open_on(listener, guests, settings).await
    }

    /// Opens a house on a listener that stands already.
    pub async fn open_on(listener: TcpListener, guests: &[Guest<'_>], settings: &str) -> Self {
        let address = listener.local_addr().unwrap();
        let folder = TempDir::new().unwrap();
        write(folder.path(), guests, settings, address.port());
        let gate = Gate::new(read(folder.path())).unwrap();
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&gate);
        let serving = tokio::spawn(async move {
            let stop = async {
                let _ = stopped.await;
            };
            server::serve(listener, served, stop).await.unwrap();
        });
        Self { gate, address, folder, stop, serving }
    }

    /// Stops the router as a signal would, and waits until it has ended.
    pub async fn close(self) {
        let _ = self.stop.send(());
        self.serving.await.unwrap();
    }

    /// A caller with the key of the house.
    pub fn caller(&self) -> Caller {
        Caller::new(self.address, Some(KEY))
    }

    /// A caller without a key.
    pub fn stranger(&self) -> Caller {
        Caller::new(self.address, None)
    }

    /// One more access key, in force at once.
    pub fn add_key(&self, key: &str) {
        let file = self.folder.path().join(".env");
        let text = std::fs::read_to_string(&file).unwrap();
        let ours = format!("PROXY_API_KEYS={KEY}");
        std::fs::write(&file, text.replace(&ours, &format!("{ours},{key}"))).unwrap();
        self.gate.install(read(self.folder.path())).unwrap();
    }

    /// Declares keys of guests to be one owner's, each with the guest and the owner's name; in force at once.
    pub fn declare(&self, owners: &[(&str, Vec<String>, String)]) {
        let mut configuration = read(self.folder.path());
        for member in &mut configuration.pool.members {
            let own: Vec<_> = owners.iter().filter(|(guest, ..)| *guest == member.provider.id).collect();
            for key in &mut member.keys {
                let secret = key.secret.as_ref().map_or("", |secret| secret.expose()).to_owned();
                let owner = own.iter().find(|(_, keys, _)| keys.contains(&secret));
                key.owner = owner.map(|(.., name)| name.clone());
            }
        }
        self.gate.install(configuration).unwrap();
    }

    /// Other guests and settings, in force at once.
    pub fn change(&self, guests: &[Guest<'_>], settings: &str) {
        write(self.folder.path(), guests, settings, self.address.port());
        self.gate.install(read(self.folder.path())).unwrap();
    }
}

fn write(folder: &Path, guests: &[Guest<'_>], settings: &str, port: u16) {
    let own = folder.join("providers.d");
    if own.exists() {
        std::fs::remove_dir_all(&own).unwrap();
    }
    std::fs::create_dir_all(&own).unwrap();
    let mut env = format!("{settings}\nPORT={port}\nPROXY_API_KEYS={KEY}\n");
    for guest in guests {
        std::fs::write(own.join(format!("{}.toml", guest.id)), guest.toml()).unwrap();
        write!(env, "{}", guest.variable()).unwrap();
    }
    std::fs::write(folder.join(".env"), env).unwrap();
}

fn read(folder: &Path) -> Configuration {
    let environment = BTreeMap::from([("HR_HOME".to_owned(), folder.display().to_string())]);
    let home = Home::find(&environment, folder);
    let loaded = load::load(&home, &environment, &BTreeMap::new()).unwrap();
    Configuration {
        settings: loaded.settings,
        catalog: loaded.catalog,
        pool: loaded.pool,
        auth: loaded.auth_path,
    }
}
