//! What happened, for operators: [`events`] are log lines, [`metrics`] are counters.
//!
//! A log line never holds text that came from a caller or a provider: a key, a prompt or a header could be
//! in it. It names what the configuration names, kinds, statuses and times.

pub mod events;
pub mod metrics;

use tracing_subscriber::EnvFilter;

/// What is logged at a level: our own lines only. Libraries may log the heads of requests at their most
/// talkative levels, and a key may be in one.
#[must_use]
pub fn filter(level: &str) -> EnvFilter {
    EnvFilter::new(format!("off,hermes_router={level}"))
}
