//! What happened, for operators: [`events`] are log lines, [`metrics`] are counters, the [`diary`] has the reasons.
//!
//! A log line never holds text that came from a caller or a provider: a key, a prompt or a header could be
//! in it. It names what the configuration names, kinds, statuses and times.

pub mod diary;
pub mod events;
pub mod metrics;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

/// Our own crates, as they call themselves in the log.
const OURS: [&str; 3] = ["hermes_router", "hr_core", "hr_wire"];

/// What is logged at a level: our own lines. Libraries would show headers, and so keys, at their lower levels;
/// they are heard from warnings on.
#[must_use]
pub fn filter(level: &str) -> Targets {
    let level = level.parse().unwrap_or(LevelFilter::INFO);
    Targets::new().with_default(level.min(LevelFilter::WARN)).with_targets(OURS.map(|target| (target, level)))
}
