//! From a loaded configuration to a serving process, and to its end: stopped, or run again in its place.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::Context as _;
use hr_core::problem::Problem;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info, warn};

use super::{Configuration, Gate, server};
use crate::files::home::Home;
use crate::files::load::Loaded;
use crate::files::watch;
use crate::scout;
use crate::store::Opened;

/// Connections that may wait to be accepted, also while the router drains before it runs itself again.
const BACKLOG: i32 = 4096;

/// What a router is started with.
pub struct RunOptions {
    /// What was read from the files and the environment.
    pub loaded: Loaded,
    /// Where the files are.
    pub home: Home,
    /// The environment at the start; it wins over the files at every reload, too.
    pub environment: BTreeMap<String, String>,
    /// The command line's settings; they win over all.
    pub flags: BTreeMap<String, String>,
    /// Where callers come in; open already.
    pub listener: TcpListener,
    /// What was kept from earlier runs, and where to go on.
    pub store: Opened,
}

/// Why serving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Stop,
    Restart,
}

/// Serves until the process is told to stop (SIGTERM, SIGINT) or to run itself again (SIGUSR2).
///
/// # Errors
/// When the configuration cannot be used, or the system refuses what a server needs.
pub fn run(options: RunOptions) -> anyhow::Result<()> {
    raise_file_limit();
    // Asked now: once the file is replaced by a newer version, the system no longer names its place.
    let program = std::env::current_exe().context("the program's own file is not known")?;
    rustix::net::listen(options.listener.as_fd(), BACKLOG).context("the listener cannot be used")?;
    // Stays open while the server drains, so that nobody is refused in between.
    let doorstep = options.listener.try_clone().context("the listener cannot be kept")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    let end = runtime.block_on(serve(options))?;
    runtime.shutdown_background();
    match end {
        End::Stop => Ok(()),
        End::Restart => run_again(&program, &doorstep),
    }
}

async fn serve(options: RunOptions) -> anyhow::Result<End> {
    let RunOptions { loaded, home, environment, flags, listener, store } = options;
    let (port, host) = (loaded.settings.port, loaded.settings.host.clone());
    let print = loaded.print;
    let gate = Gate::new(configuration(loaded))?;
    remember(&gate, store)?;
    scout::spawn(&gate);
    let reloaded = Arc::clone(&gate);
    let _watcher = watch::watch(home, environment, flags, print, move |change| match change {
        Ok(loaded) => {
            if (loaded.settings.port, &loaded.settings.host) != (port, &host) {
                warn!("PORT or HOST has changed; that needs `hr restart`");
            }
            reload(&reloaded, loaded);
        }
        Err(problems) => refused(&problems),
    })?;
    let mut signals = Signals::new()?;
    // Where files may not grow any further, a write is to fail; unheard, the signal would end the process.
    let _file_too_large = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))
        .context("signals cannot be received")?;
    let (tell, told) = tokio::sync::oneshot::channel();
    let stop = async move {
        let end = signals.next().await;
        info!(?end, "draining");
        // The receiver lives as long as this function.
        let _ = tell.send(end);
    };
    let all_ended = server::serve(listener, Arc::clone(&gate), stop).await?;
    // Tokens that were asked for must be stored, also when nobody waits for them any more.
    gate.accounts.settled().await;
    if let Some(store) = gate.store() {
        store.close();
    }
    if !all_ended {
        warn!("requests were still in flight when SHUTDOWN_TIMEOUT ended");
    }
    Ok(told.await.unwrap_or(End::Stop))
}

/// Takes back what earlier runs have learned.
fn remember(gate: &Arc<Gate>, store: Opened) -> anyhow::Result<()> {
    if let Some(copy) = &store.imported {
        info!(copy = %copy.display(), "the state of the original product was taken over");
    }
    let lost = gate.keep(store).context("the store cannot be started")?;
    if lost > 0 {
        warn!(lost, "some of what was kept could not be read, and is learned anew");
    }
    Ok(())
}

fn configuration(loaded: Loaded) -> Configuration {
    Configuration {
        settings: loaded.settings,
        catalog: loaded.catalog,
        pool: loaded.pool,
        auth: loaded.auth_path,
    }
}

fn reload(gate: &Gate, loaded: Loaded) {
    if loaded.settings.proxy_api_keys.is_empty() {
        warn!("no access key is left, so every caller is refused; set PROXY_API_KEYS");
    }
    for warning in &loaded.warnings {
        warn!(%warning, "the configuration has a doubtful place");
    }
    match gate.install(configuration(loaded)) {
        Ok(()) => info!("a changed configuration is in force"),
        Err(unusable) => {
            error!(cause = crate::watch::events::chain(&unusable), "a changed configuration was refused");
        }
    }
}

fn refused(problems: &[Problem]) {
    for problem in problems {
        error!(%problem, "a changed configuration was refused; the old one stays");
    }
}

/// The signals that end serving.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    again: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("signals cannot be received");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            again: listen(SignalKind::user_defined2())?,
        })
    }

    async fn next(&mut self) -> End {
        tokio::select! {
            _ = self.terminate.recv() => End::Stop,
            _ = self.interrupt.recv() => End::Stop,
            _ = self.again.recv() => End::Restart,
        }
    }
}

/// Replaces this process by a fresh one of the same program, which goes on with the listening socket.
fn run_again(program: &Path, doorstep: &TcpListener) -> anyhow::Result<()> {
    use std::os::fd::AsRawFd as _;
    rustix::io::fcntl_setfd(doorstep, rustix::io::FdFlags::empty())
        .context("the listener cannot be handed on")?;
    // The names of systemd's socket activation, which `hr start` understands anyway.
    let failed = Command::new(program)
        .args(std::env::args_os().skip(1))
        .env("LISTEN_FDS", "1")
        .env("LISTEN_FDS_FIRST_FD", doorstep.as_raw_fd().to_string())
        .env_remove("LISTEN_PID")
        .exec();
    Err(failed).context("the program could not be run again")
}

/// Each stream needs two file handles; the usual soft limit of 1,024 would end at 500 streams.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if limit.current != limit.maximum && setrlimit(Resource::Nofile, raised).is_err() {
        warn!("the limit of open files could not be raised");
    }
}
