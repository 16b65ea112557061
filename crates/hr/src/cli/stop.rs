//! `hr stop`

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::cli::desk::Desk;
use crate::cli::report::Advice;
use crate::cli::{print, talk};
use crate::files::running::Running;

/// How much longer than `SHUTDOWN_TIMEOUT` a router may take to end or to come back.
const GRACE: Duration = Duration::from_secs(10);

/// How often the process is looked at while waiting for it.
const GLANCE: Duration = Duration::from_millis(20);

/// What is assumed while the settings are broken: the router still has those from before.
const USUAL_SHUTDOWN: Duration = Duration::from_secs(30);

/// After which waiting is worth a word.
const WORTH_A_WORD: Duration = Duration::from_secs(2);

/// Stop the router
///
/// Requests in flight are finished first, for at most `SHUTDOWN_TIMEOUT` seconds.
///
/// Example:
///
///   hr stop
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Stop {}

impl Stop {
    pub fn run(&self, desk: &Desk) -> anyhow::Result<()> {
        let Some(running) = desk.running()? else { return nobody(desk) };
        send(&running, Signal::TERM)?;
        let mut waiting = Waiting::new(desk, "finishing the requests in flight");
        while desk.running()?.is_some_and(|now| now.pid == running.pid) {
            if !waiting.goes_on() {
                let hint = format!("`kill -9 {}` ends it at once", running.pid);
                return Err(Advice::new("the router has not stopped", hint).into());
            }
        }
        print::out("The router has stopped.\n")
    }
}

/// Nothing to stop is what was wanted, unless one runs that this home knows nothing of.
fn nobody(desk: &Desk) -> anyhow::Result<()> {
    let (address, _) = desk.way_in()?;
    if talk::get(address, "/health", None).is_ok() {
        let what = format!("something answers at `{address}`, but no router runs from this home");
        return Err(
            Advice::new(what, "`hr config path` shows the home; is `HR_HOME` another one there?").into()
        );
    }
    print::say("No router runs.");
    Ok(())
}

/// Sends a signal to the process that runs the router.
pub fn send(running: &Running, signal: Signal) -> anyhow::Result<()> {
    let pid = i32::try_from(running.pid).ok().and_then(Pid::from_raw);
    let Some(pid) = pid.filter(|_| running.is_that_program()) else {
        bail!("the router runs as process {}, but not on this machine or in another container", running.pid);
    };
    kill_process(pid, signal).with_context(|| format!("could not signal the process {}", running.pid))
}

/// Whether the process is there at all.
pub fn is_alive(running: &Running) -> bool {
    let pid = i32::try_from(running.pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid).is_ok())
}

/// A bounded wait that says so when it gets long.
pub struct Waiting {
    since: Instant,
    until: Instant,
    words: &'static str,
    said: bool,
}

impl Waiting {
    pub fn new(desk: &Desk, words: &'static str) -> Self {
        let shutdown = desk.load().map_or(USUAL_SHUTDOWN, |loaded| loaded.settings.timeouts.shutdown);
        let since = Instant::now();
        Self { since, until: since + shutdown + GRACE, words, said: false }
    }

    /// Waits a little; false when it has been long enough.
    pub fn goes_on(&mut self) -> bool {
        if !self.said && self.since.elapsed() > WORTH_A_WORD {
            self.said = true;
            print::say(&format!("waiting: {} …", self.words));
        }
        thread::sleep(GLANCE);
        Instant::now() < self.until
    }
}
