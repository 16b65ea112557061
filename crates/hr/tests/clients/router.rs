//! The real binary, in a home of its own, and what is run against it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use hermes_router::files::running;
use hr_testkit::Fake;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::installed::{self, Part, say};

/// The access key of the routers here.
pub const ACCESS_KEY: &str = "sk-router-client-tests";
/// How long the router, or the llama.cpp server, may take to start on a busy machine.
pub const START_LIMIT: Duration = Duration::from_secs(60);
/// How long all checks of a scene may take on a busy machine.
const SCENE_LIMIT: Duration = Duration::from_secs(300);
/// How often a starting router is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A home with settings and providers in it, before a router runs from there.
pub struct Home {
    folder: TempDir,
    environment: Vec<(String, String)>,
}

impl Home {
    /// With a free port and one access key.
    pub fn new() -> Home {
        let mut home = Home { folder: tempfile::tempdir().unwrap(), environment: Vec::new() };
        std::fs::create_dir(home.folder.path().join("providers.d")).unwrap();
        home.set("HR_HOME", home.folder.path().to_str().unwrap().to_owned());
        home.set("PORT", "0");
        home.set("PROXY_API_KEYS", ACCESS_KEY);
        home
    }

    /// Sets an environment variable.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.environment.push((name.to_owned(), value.into()));
    }

    /// Writes a file, which only its owner may read.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
    }

    /// Adds a provider that a fake plays; `rest` is the rest of its file.
    pub fn provider(&self, id: &str, fake: &Fake, rest: &str) {
        self.provider_at(id, &fake.base_url(), rest);
    }

    /// Adds a provider.
    pub fn provider_at(&self, id: &str, base_url: &str, rest: &str) {
        self.write(
            &format!("providers.d/{id}.toml"),
            &format!("id = \"{id}\"\nbase_url = \"{base_url}\"\n{rest}"),
        );
    }

    /// Starts the real binary, and returns once it listens.
    pub async fn start(self) -> Router {
        let log = self.folder.path().join("log.txt");
        let mut process = Command::new(env!("CARGO_BIN_EXE_hr"))
            .arg("start")
            // Nothing of whoever runs the tests: neither keys nor addresses.
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let pid_file = self.folder.path().join("router.pid");
        let listening = async {
            loop {
                if let Some(running) = running::find(&pid_file).unwrap() {
                    return Ok(running.address);
                }
                if let Some(status) = process.try_wait().unwrap() {
                    return Err(status);
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        match tokio::time::timeout(START_LIMIT, listening).await {
            Ok(Ok(address)) => {
                Router { address: format!("http://{address}"), _process: process, log, _home: self }
            }
            other => {
                panic!("the router did not start: {other:?}\n{}", std::fs::read_to_string(&log).unwrap())
            }
        }
    }
}

/// A router that runs; it ends with this value.
pub struct Router {
    /// Its address without a path.
    pub address: String,
    _process: Child,
    log: PathBuf,
    _home: Home,
}

impl Router {
    /// Its address with the `/v1` that most clients want in it.
    pub fn base_url(&self) -> String {
        format!("{}/v1", self.address)
    }

    /// Runs all checks of a script in a scene, a line each.
    pub async fn run(&self, script: &str, folder: &Path, scene: &str) {
        let path = installed::sources().join(script);
        let mut command = match part_of(script) {
            Part::Python => {
                let mut command = Command::new(folder.join("bin/python"));
                command.arg(path);
                command
            }
            Part::Node => {
                let mut command = Command::new("node");
                command.arg(path).env("HR_NODE_MODULES", folder);
                command
            }
        };
        let mut child = command
            .arg(scene)
            .env("HR_BASE_URL", self.base_url())
            .env("HR_ROOT_URL", &self.address)
            .env("HR_API_KEY", ACCESS_KEY)
            .env("HR_PICTURE", PICTURE)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            // Loopback is not to be looked for behind somebody's proxy.
            .env("NO_PROXY", "127.0.0.1")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let checks = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                say(&format!("{script}, {scene}: {line}"));
            }
            child.wait().await.unwrap()
        };
        let status = tokio::time::timeout(SCENE_LIMIT, checks).await.expect("the checks did not end in time");
        assert!(status.success(), "{script}, {scene}: a check failed; the router's log:\n{}", self.log());
    }

    /// What it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// Which part a script is for.
pub fn part_of(script: &str) -> Part {
    if script.ends_with(".py") { Part::Python } else { Part::Node }
}

/// A red square, one pixel of it, as a PNG in base64.
pub const PICTURE: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC";
