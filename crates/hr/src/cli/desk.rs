//! What every command has at hand: where it was called, and the files as they are.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use hr_core::catalog::{Catalog, Provider};
use hr_core::credentials::AuthSource;
use hr_core::problem::{Problem, did_you_mean};
use hr_core::secret::{InstallSecret, Secret};
use hr_core::settings::Layers;
use hr_core::settings::define::Setting;
use hr_core::settings::define::general::{HOST, PORT, PROXY_API_KEYS};
use hr_core::settings::resolve::PLACEHOLDER_KEYS;

use crate::cli::report::{Advice, Problems};
use crate::files::home::Home;
use crate::files::install;
use crate::files::load::{self, Loaded, Sources};
use crate::files::running::{self, Running};
use crate::store;

/// The place of work of a command.
pub struct Desk {
    /// Where things live.
    pub home: Home,
    /// The process environment.
    pub environment: BTreeMap<String, String>,
}

impl Desk {
    /// The desk of this process.
    pub fn open() -> anyhow::Result<Self> {
        let cwd = std::env::current_dir().context("could not find the working directory")?;
        // A variable that is not text is none of ours.
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        let environment: BTreeMap<String, String> = std::env::vars_os().filter_map(text).collect();
        Ok(Self { home: Home::find(&environment, &cwd), environment })
    }

    /// Everything, read and checked as a whole.
    pub fn load(&self) -> anyhow::Result<Loaded> {
        self.load_with(&BTreeMap::new())
    }

    /// The same under flags.
    pub fn load_with(&self, flags: &BTreeMap<String, String>) -> anyhow::Result<Loaded> {
        load::load(&self.home, &self.environment, flags).map_err(|problems| Problems(problems).into())
    }

    /// The files alone: a command that mends a wrong value must work while it is wrong.
    pub fn sources(&self) -> Sources {
        Sources::read(&self.home, &self.environment, &BTreeMap::new())
    }

    /// All providers.
    pub fn catalog(&self) -> anyhow::Result<Catalog> {
        self.sources().catalog().map_err(|problems| Problems(problems).into())
    }

    /// What is written, unresolved.
    pub fn layers(&self) -> anyhow::Result<Layers> {
        let layers = self.sources().layers(&self.home, &self.environment, &BTreeMap::new());
        layers.map_err(|problems| Problems(problems).into())
    }

    /// What is written, unresolved: works while some value is wrong.
    pub fn written(&self) -> anyhow::Result<Written> {
        let sources = self.sources();
        let problems = |problems: Vec<Problem>| anyhow::Error::from(Problems(problems));
        Ok(Written {
            catalog: sources.catalog().map_err(problems)?,
            layers: sources.layers(&self.home, &self.environment, &BTreeMap::new()).map_err(problems)?,
            auth: sources
                .credentials(&self.home)
                .map_err(|problem| problems(vec![problem]))?
                .into_iter()
                .collect(),
            install: install::secret(&self.home.install_key).map_err(|problem| problems(vec![problem]))?,
        })
    }

    /// The credentials file in use.
    pub fn auth_path(&self) -> PathBuf {
        self.sources().auth_path().to_path_buf()
    }

    /// Where the store lies; works while some value is wrong.
    pub fn store_path(&self) -> PathBuf {
        let layers = self.sources().legible_layers(&self.home, &self.environment, &BTreeMap::new());
        store::place(&self.home, &layers)
    }

    /// The router that runs from this home.
    pub fn running(&self) -> anyhow::Result<Option<Running>> {
        running::find(&self.home.pid)
    }

    /// Where a router of this home is reached, and with which key: where it says it listens, else where it
    /// would. A router goes on with its old settings while new ones are wrong, so this does not need them all.
    pub fn way_in(&self) -> anyhow::Result<(SocketAddr, Option<Secret>)> {
        let layers = self.sources().legible_layers(&self.home, &self.environment, &BTreeMap::new());
        let written = |setting: &Setting| layers.get(setting.name).map(|found| found.value.to_owned());
        let keys = written(&PROXY_API_KEYS).unwrap_or_default();
        let key =
            keys.split(',').map(str::trim).find(|key| !key.is_empty() && !PLACEHOLDER_KEYS.contains(key));
        let address = match self.running()? {
            Some(running) => running.address,
            None => {
                let host =
                    written(&HOST).and_then(|host| host.parse().ok()).unwrap_or(Ipv4Addr::LOCALHOST.into());
                let port = written(&PORT).unwrap_or_else(|| PORT.default.to_owned());
                SocketAddr::new(host, port.parse().unwrap_or_default())
            }
        };
        Ok((address, key.map(Secret::new)))
    }
}

/// What is written in files and environment, each part readable by itself.
pub struct Written {
    /// All providers.
    pub catalog: Catalog,
    /// Settings.
    pub layers: Layers,
    /// The credentials file, when there is one.
    pub auth: Vec<AuthSource>,
    /// What key ids are made with.
    pub install: InstallSecret,
}

/// The provider that a person named, by id or alias, whatever the case.
pub fn provider<'a>(catalog: &'a Catalog, name: Option<&str>) -> anyhow::Result<&'a Arc<Provider>> {
    let known = || {
        let ids: Vec<&str> = catalog.providers.iter().map(|provider| provider.id.as_str()).collect();
        format!("known providers: {}", ids.join(", "))
    };
    let Some(name) = name else {
        return Err(Advice::new("no provider was named", known()).into());
    };
    catalog.find(name).ok_or_else(|| {
        let what = format!("unknown provider `{}`", name.escape_debug());
        match did_you_mean(name, catalog.names()) {
            Some(guess) => Advice::new(what, guess).and(known()),
            None => Advice::new(what, known()),
        }
        .into()
    })
}
