//! The processes of a run: started pinned, found by the address they announce, ended with the run.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};

use crate::dialect::Dialect;
use crate::home::Home;
use crate::load::{Said, Seen};
use crate::plan::{Loop, START_LIMIT};

/// Between two looks whether `hr` serves yet: what a measured start is too long by at most.
const LOOK_INTERVAL: Duration = Duration::from_micros(100);

/// What `hr` prints, in its home.
const LOG: &str = "output";

/// A process that serves until it is dropped.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Prints where this process listens, for the one that started it.
pub fn announce(address: SocketAddr) -> Result<()> {
    println!("{address}");
    std::io::stdout().flush()?;
    Ok(())
}

/// A command that runs this program again, on `core`.
fn pinned(core: usize, command: &[&OsStr]) -> Result<Command> {
    let own = std::env::current_exe().context("this program cannot be found")?;
    let mut pinned = Command::new(own);
    pinned.arg("pinned").arg(core.to_string()).arg("--").args(command);
    Ok(pinned)
}

fn own_part(core: usize, arguments: &[&str]) -> Result<Command> {
    let own = std::env::current_exe().context("this program cannot be found")?;
    let mut command = vec![own.as_os_str()];
    command.extend(arguments.iter().map(OsStr::new));
    pinned(core, &command)
}

/// Starts the upstream or the proxy: a part of this program that announces its address.
pub fn start_part(core: usize, arguments: &[&str]) -> Result<Server> {
    let mut child = own_part(core, arguments)?.stdout(Stdio::piped()).spawn()?;
    let stdout = child.stdout.take();
    // From here on it is ended whatever happens.
    let mut server = Server { child, address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)) };
    let line = first_line(stdout).with_context(|| format!("`{}` did not start", arguments.join(" ")))?;
    server.address = line.trim().parse().with_context(|| format!("`{}` is no address", line.trim()))?;
    Ok(server)
}

fn first_line(stdout: Option<ChildStdout>) -> Result<String> {
    let mut line = String::new();
    BufReader::new(stdout.context("no output")?).read_line(&mut line)?;
    Ok(line)
}

/// Starts `hr` on `core`, or wherever there is room, and waits until it answers; also says how long that took.
pub fn start_hr(binary: &Path, home: &Home, core: Option<usize>) -> Result<(Server, Duration)> {
    let address = free_address()?;
    let mut command = match core {
        Some(core) => pinned(core, &[binary.as_os_str(), OsStr::new("start")])?,
        None => {
            let mut command = Command::new(binary);
            command.arg("start");
            command
        }
    };
    home.settle(&mut command, address.port());
    let log = home.path().join(LOG);
    let output = File::create(&log).with_context(|| format!("`{}` cannot be written", log.display()))?;
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    let begin = Instant::now();
    let child = command.spawn().with_context(|| format!("`{}` cannot be started", binary.display()))?;
    let mut server = Server { child, address };
    loop {
        if healthy(address) {
            return Ok((server, begin.elapsed()));
        }
        if let Some(status) = server.child.try_wait()? {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            bail!("`hr start` ended with {status}: {}", said.trim());
        }
        ensure!(
            begin.elapsed() < START_LIMIT,
            "`hr start` did not serve within `{}` s",
            START_LIMIT.as_secs()
        );
        std::thread::sleep(LOOK_INTERVAL);
    }
}

/// Whether `GET /health` is answered with 200.
fn healthy(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(START_LIMIT))?;
        write!(stream, "GET /health HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
        let mut status = [0; b"HTTP/1.1 200".len()];
        stream.read_exact(&mut status)?;
        Ok(&status == b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}

fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr()?)
}

/// Sends a load from `core` to `to` in `dialect`; `opened` runs once when all its connections have the beginning of a reply.
pub fn send_load(
    core: usize,
    to: SocketAddr,
    dialect: Dialect,
    load: &Loop,
    mut opened: impl FnMut() -> Result<()>,
) -> Result<Seen> {
    let arguments = [
        ("--to", to.to_string()),
        ("--dialect", dialect.id().to_owned()),
        ("--connections", load.connections.to_string()),
        ("--requests", load.requests.to_string()),
        ("--body-bytes", load.body_bytes.to_string()),
        ("--chunks", load.chunks.to_string()),
        ("--interval", load.interval.as_millis().to_string()),
        ("--ramp", load.ramp.as_micros().to_string()),
    ];
    let mut words = vec!["load"];
    words.extend(arguments.iter().flat_map(|(name, value)| [*name, value.as_str()]));
    let mut child = own_part(core, &words)?.stdout(Stdio::piped()).spawn()?;
    let lines = BufReader::new(child.stdout.take().context("no output")?).lines();
    let mut seen = None;
    let mut failed = None;
    // The load bounds its own time, so its output ends.
    for line in lines {
        match serde_json::from_str(&line?)? {
            Said::Open => failed = opened().err(),
            Said::Done(done) => seen = Some(done),
        }
    }
    let status = child.wait()?;
    if let Some(error) = failed {
        return Err(error);
    }
    let seen = seen.ok_or_else(|| anyhow!("the load on `{to}` ended with {status}"))?;
    ensure!(
        seen.answered == load.total(),
        "`{}` requests of `{}` were answered",
        seen.answered,
        load.total()
    );
    Ok(seen)
}

/// The release binary beside this program, built anew when cargo started us.
pub fn build_hr() -> Result<PathBuf> {
    if let Some(cargo) = std::env::var_os("CARGO") {
        let status = Command::new(cargo).args(["build", "--release", "--package", "hr"]).status()?;
        ensure!(status.success(), "`hr` could not be built");
    }
    let own = std::env::current_exe().context("this program cannot be found")?;
    let binary = own.with_file_name("hr");
    ensure!(
        binary.is_file(),
        "`{}` is missing: build it with `cargo build --release -p hr`, or name one with `--hr`",
        binary.display()
    );
    Ok(binary)
}
