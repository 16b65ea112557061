//! The real program as a process of its own, with its files in a temporary folder.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hermes_router::files::running;
use tempfile::TempDir;

use crate::caller::Caller;

/// The access key.
pub const KEY: &str = "sk-router-of-the-process";
/// How often something that must come is looked for.
const LOOK: Duration = Duration::from_millis(10);

/// A running router; killed when dropped.
pub struct Router {
    pub address: SocketAddr,
    pub folder: TempDir,
    pub child: Child,
}

impl Router {
    /// Starts a router whose `.env` has these lines and whose `providers.d` has these files.
    pub async fn start(settings: &str, providers: &[(&str, String)]) -> Self {
        Self::start_in(&[], settings, providers).await
    }

    /// The same with these variables in its environment, which is empty otherwise.
    pub async fn start_in(
        environment: &[(&str, &str)],
        settings: &str,
        providers: &[(&str, String)],
    ) -> Self {
        let folder = TempDir::new().unwrap();
        // It takes a free port itself: one that is only looked up may be somebody else's a moment later.
        // The calls that reach a fake are the callers': nobody asks what its models can do.
        let env = format!("PROXY_API_KEYS={KEY}\nPORT=0\nPROBE_AT_START=0\n{settings}\n");
        std::fs::write(folder.path().join(".env"), env).unwrap();
        std::fs::create_dir(folder.path().join("providers.d")).unwrap();
        for (name, text) in providers {
            std::fs::write(folder.path().join("providers.d").join(format!("{name}.toml")), text).unwrap();
        }
        let (address, child) = run(folder.path(), environment).await;
        Self { address, folder, child }
    }

    /// Ends it at once, as a crash does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it anew in its folder, with nothing in its environment.
    pub async fn start_again(&mut self) {
        (self.address, self.child) = run(self.folder.path(), &[]).await;
    }

    /// Everything it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// A file of its folder.
    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Somebody who calls it with the right key.
    pub fn caller(&self) -> Caller {
        Caller::new(self.address, Some(KEY))
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits until the process has ended and gives its exit code.
    pub async fn ended(&mut self) -> Option<i32> {
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Its resident memory in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status =
            std::fs::read_to_string(Path::new("/proc").join(self.child.id().to_string()).join("status"))
                .unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").trim().parse().unwrap()
    }
}

/// Runs a router in this folder, and waits until it listens.
async fn run(folder: &Path, environment: &[(&str, &str)]) -> (SocketAddr, Child) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_hr"))
        .arg("start")
        .env_clear()
        .envs(environment.iter().copied())
        .env("HR_HOME", folder)
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(folder.join("log")).unwrap())
        .spawn()
        .unwrap();
    let pid_file = folder.join("router.pid");
    let address = loop {
        // For a moment after a crash the file may still name the one before.
        if let Some(running) = running::find(&pid_file).unwrap().filter(|running| running.pid == child.id()) {
            break running.address;
        }
        if child.try_wait().unwrap().is_some() {
            panic!("the router ended: {}", std::fs::read_to_string(folder.join("log")).unwrap_or_default());
        }
        tokio::time::sleep(LOOK).await;
    };
    (address, child)
}

impl Drop for Router {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The file of a fake provider with one model.
pub fn provider(id: &str, base_url: &str) -> (String, String) {
    (
        id.to_owned(),
        format!(
            "id = \"{id}\"\nbase_url = \"{base_url}\"\nspend = \"free\"\n[discovery]\nlist = []\n\
             [[model]]\nid = \"{id}-model\"\n"
        ),
    )
}
