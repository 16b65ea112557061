//! The log of a router that runs: lines on standard error.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Our own crates, as they call themselves in the log.
const OURS: [&str; 3] = ["hermes_router", "hr_core", "hr_wire"];

/// Starts the log, and keeps panics from saying more than the log would.
///
/// Only our own crates speak at the level that was chosen. The libraries below would show headers, and so keys,
/// at their lower levels; they are heard from warnings on.
pub fn start(level: &str) {
    let level = level.parse().unwrap_or(LevelFilter::INFO);
    let filter = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_targets(OURS.map(|target| (target, level)));
    let colour = io::stderr().is_terminal() && crate::cli::paint::Paint::stderr().is_on();
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(colour);
    // A second start in one process, as in tests, keeps the first log.
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
    std::panic::set_hook(Box::new(|panic| {
        // What it says may quote a request or a key; where it happened is enough to find it.
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current().name().unwrap_or("unnamed").to_owned();
        tracing::error!(place, thread, "a defect: the program panicked");
    }));
}
