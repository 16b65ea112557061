//! The sums at the end.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;

use super::rests::Rests;
use super::scene::{ACCESS_KEY, Seen};
use super::visitor::{MODEL, Visit, base_url};

/// What the show came to.
#[derive(Debug, Default, Serialize)]
pub struct Tally {
    /// Requests that were sent to the router.
    pub requests: usize,
    /// Those that got a whole answer.
    pub served: usize,
    /// Those that did not.
    pub failed: usize,
    /// Those that more than one provider was called for.
    pub rescued: usize,
    /// Calls that the router made to providers.
    pub calls: usize,
    /// Calls that brought no answer.
    pub wasted_calls: usize,
    /// Calls to a key before the time that its provider had stated; must be none.
    pub calls_too_early: usize,
    /// Requests that went past somebody who rested, without a call.
    pub went_around: usize,
    /// Answers by provider.
    pub by_provider: BTreeMap<String, usize>,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// What connects a client.
#[derive(Debug, Serialize)]
pub struct Connection {
    /// The address.
    pub base_url: String,
    /// The access key, where it is known.
    pub api_key: Option<&'static str>,
    /// The model.
    pub model: &'static str,
}

impl Connection {
    /// To the demo's own router.
    pub fn here(address: SocketAddr) -> Connection {
        Connection { base_url: base_url(address), api_key: Some(ACCESS_KEY), model: MODEL }
    }

    /// To the router that `hr start` starts.
    pub fn usual(port: &str) -> Connection {
        Connection { base_url: format!("http://127.0.0.1:{port}/v1"), api_key: None, model: MODEL }
    }
}

/// What programs are told at the end.
#[derive(Debug, Serialize)]
pub struct Report<'a> {
    /// The sums.
    #[serde(flatten)]
    pub tally: &'a Tally,
    /// What connects a client.
    pub connection: &'a Connection,
}

impl Tally {
    /// Adds one request, the calls made for it, and who rested when it came.
    pub fn add(&mut self, visit: &Visit, calls: &[Seen], rested: &Rests) {
        self.requests += 1;
        self.calls += calls.len();
        if visit.served {
            self.served += 1;
            self.wasted_calls += calls.len().saturating_sub(1);
            self.rescued += usize::from(visit.attempts > 1);
            *self.by_provider.entry(visit.provider.clone().unwrap_or_default()).or_default() += 1;
        } else {
            self.failed += 1;
            self.wasted_calls += calls.len();
        }
        self.went_around += usize::from(!rested.is_empty());
    }

    /// Ends the sums.
    pub fn close(&mut self, took: Duration, calls_too_early: usize) {
        self.seconds = (took.as_secs_f64() * 10.0).round() / 10.0;
        self.calls_too_early = calls_too_early;
    }
}
