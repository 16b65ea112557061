//! The log: every call that reached a fake, what it was told, and how it ended.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::HeaderMap;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::watch;

/// The most calls that are kept; the oldest are forgotten first.
const MAX_CALLS: usize = 100_000;

/// How a call ended, as seen from the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The whole reply was handed to the connection.
    Answered,
    /// The other side left before that.
    ClientLeft,
    /// The script broke the connection or the reply on purpose.
    Broken,
}

/// One call that reached a fake.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its place in the log, from 0.
    pub sequence: usize,
    /// When its body had arrived.
    pub received: Instant,
    /// The HTTP method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The key it was signed with, whatever the header; the account where a subscription names one.
    pub key: Option<String>,
    /// The `model` of its body.
    pub model: Option<String>,
    /// Whether it asked for a stream.
    pub stream: bool,
    /// All its headers.
    pub headers: HeaderMap,
    /// Its body as it came.
    pub body: Bytes,
    /// The status it was answered with; `None` when it got no headers.
    pub status: Option<u16>,
    /// How long the answer asked the caller to stay away.
    pub told_to_wait: Option<Duration>,
    /// How and when it ended; `None` while it is open.
    pub ended: Option<(End, Instant)>,
}

impl Call {
    /// The body as JSON, or `Null` when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// How it ended; `None` while it is open.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.ended.map(|(end, _)| end)
    }

    /// Whether it was answered in full with a 2xx.
    #[must_use]
    pub fn served(&self) -> bool {
        self.end() == Some(End::Answered) && self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

/// Something a strict fake did not accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The [`Call::sequence`] of the call.
    pub call: usize,
    /// What was wrong with it.
    pub what: String,
}

/// The calls and violations of one fake, and a way to wait for the next change.
pub(crate) struct Log {
    entries: Mutex<Entries>,
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct Entries {
    calls: VecDeque<Call>,
    /// How many were forgotten.
    forgotten: usize,
    violations: VecDeque<Violation>,
}

impl Entries {
    fn call(&mut self, sequence: usize) -> Option<&mut Call> {
        self.calls.get_mut(sequence.checked_sub(self.forgotten)?)
    }
}

impl Log {
    pub(crate) fn new() -> Log {
        Log { entries: Mutex::default(), changes: watch::Sender::new(0) }
    }

    /// Adds a call and returns its place.
    pub(crate) fn open(&self, mut call: Call) -> usize {
        let sequence = {
            let mut entries = self.entries.lock();
            if entries.calls.len() == MAX_CALLS {
                entries.calls.pop_front();
                entries.forgotten += 1;
            }
            call.sequence = entries.forgotten + entries.calls.len();
            let sequence = call.sequence;
            entries.calls.push_back(call);
            sequence
        };
        self.changed();
        sequence
    }

    pub(crate) fn answered_with(&self, sequence: usize, status: u16, told_to_wait: Option<Duration>) {
        if let Some(call) = self.entries.lock().call(sequence) {
            call.status = Some(status);
            call.told_to_wait = told_to_wait;
        }
    }

    pub(crate) fn close(&self, sequence: usize, end: End) {
        if let Some(call) = self.entries.lock().call(sequence) {
            call.ended.get_or_insert((end, Instant::now()));
        }
        self.changed();
    }

    pub(crate) fn violated(&self, call: usize, what: Vec<String>) {
        let violations = &mut self.entries.lock().violations;
        violations.extend(what.into_iter().map(|what| Violation { call, what }));
        let surplus = violations.len().saturating_sub(MAX_CALLS);
        violations.drain(..surplus);
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.entries.lock().calls.iter().cloned().collect()
    }

    /// The calls whose bodies arrived at this instant or later.
    pub(crate) fn calls_since(&self, since: Instant) -> Vec<Call> {
        let entries = self.entries.lock();
        let recent = entries.calls.iter().rev().take_while(|call| call.received >= since).count();
        entries.calls.range(entries.calls.len() - recent..).cloned().collect()
    }

    pub(crate) fn violations(&self) -> Vec<Violation> {
        self.entries.lock().violations.iter().cloned().collect()
    }

    /// Returns as soon as the calls are as wished.
    pub(crate) async fn until(&self, wish: impl Fn(&[Call]) -> bool) {
        let mut changes = self.changes.subscribe();
        loop {
            changes.mark_unchanged();
            if wish(self.entries.lock().calls.make_contiguous()) {
                return;
            }
            // The sender lives in `self`, so this only fails when the log is gone.
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    fn changed(&self) {
        self.changes.send_modify(|version| *version += 1);
    }
}

/// The calls that came although the same key had been told to stay away, `grace` for those on their way left out.
pub(crate) fn too_early(calls: &[Call], grace: Duration) -> Vec<Call> {
    let told: Vec<_> = calls
        .iter()
        .filter_map(|call| Some((call.key.as_deref(), call.ended?.1, call.told_to_wait?)))
        .collect();
    let is_early = |call: &&Call| {
        told.iter().any(|(key, since, wait)| {
            *key == call.key.as_deref() && call.received > *since + grace && call.received < *since + *wait
        })
    };
    calls.iter().filter(is_early).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(key: &str, received: Instant, told_to_wait: Option<Duration>) -> Call {
        Call {
            sequence: 0,
            received,
            method: "POST".into(),
            path: "/v1/chat/completions".into(),
            key: Some(key.into()),
            model: None,
            stream: false,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            status: Some(429),
            told_to_wait,
            ended: Some((End::Answered, received)),
        }
    }

    #[test]
    fn a_call_before_the_wait_is_over_is_too_early() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let calls = [
            call("a", at(0), Some(Duration::from_secs(10))),
            call("b", at(5), None),
            call("a", at(1), None),
            call("a", at(6), None),
            call("a", at(11), None),
        ];
        let early = too_early(&calls, Duration::from_secs(2));
        assert_eq!(early.iter().map(|call| call.received).collect::<Vec<_>>(), [at(6)]);
    }
}
