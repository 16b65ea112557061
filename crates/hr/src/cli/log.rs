//! The log of a router that runs: lines on standard error.

use std::io::{self, IsTerminal};

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts the log, and keeps panics from saying more than the log would.
pub fn start(level: &str) {
    let colour = io::stderr().is_terminal() && crate::cli::paint::Paint::stderr().is_on();
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(colour);
    // A second start in one process, as in tests, keeps the first log.
    let _ = tracing_subscriber::registry().with(crate::watch::filter(level)).with(lines).try_init();
    std::panic::set_hook(Box::new(|panic| {
        // What it says may quote a request or a key; where it happened is enough to find it.
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current().name().unwrap_or("unnamed").to_owned();
        tracing::error!(place, thread, "a defect: the program panicked");
    }));
}
