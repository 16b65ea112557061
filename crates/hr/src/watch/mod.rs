//! What happened, for operators: [`events`] are log lines, [`metrics`] are counters.
//!
//! A log line never holds text that came from a caller or a provider: a key, a prompt or a header could be
//! in it. It names what the configuration names, kinds, statuses and times.

pub mod events;
pub mod metrics;
