//! Every log line of the request path, in one place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use hr_core::catalog::Provider;
use hr_core::failure::{Failure, FailureKind};
use hr_core::route::record::Name;
use hr_core::route::{Candidate, Effect, Roster};
use tracing::{debug, info, warn};

use super::diary::Entry;

/// The causes of an error of the transport, joined. Made by libraries of the connection, so that it holds
/// addresses and system errors, never content.
#[must_use]
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// An attempt failed. The provider's own words stay out: they may quote the request. What came without a
/// status are our own words, or the transport's; a hint is the catalogue's.
pub fn attempt_failed(provider: &Provider, failure: &Failure) {
    let cause = if failure.status.is_none() { failure.message.as_str() } else { "" };
    info!(
        provider = provider.id,
        kind = failure.kind.code(),
        status = failure.status,
        retry_after_ms = failure.retry_after.map(|wait| wait.as_millis() as u64),
        cause,
        hint = provider.hint(failure.kind),
        "an attempt failed"
    );
}

/// Something follows from an attempt. A model that only the caller knows (`listed` says which are not) is not
/// named, and neither is what a provider refused: both may hold anything.
pub fn effect(effect: &Effect, listed: impl Fn(&str) -> bool) {
    match effect {
        Effect::Cooled { scope, provider, model, key, until, because } => info!(
            provider,
            ?scope,
            model = model.as_deref().filter(|model| listed(model)),
            key = key.as_ref().map(|key| key.0.as_str()),
            until_ms = until.0,
            because = because.code(),
            "cooling"
        ),
        Effect::BreakerOpened { provider, until } => {
            warn!(provider, until_ms = until.0, "the circuit of a provider opened");
        }
        Effect::BreakerClosed { provider } => info!(provider, "the circuit of a provider closed"),
        Effect::BreakerHalfOpen { provider } => debug!(provider, "the circuit of a provider is tried"),
        Effect::Recovered { scope, provider, .. } => debug!(provider, ?scope, "recovered"),
        Effect::Learned { provider, .. } => debug!(provider, "a refusal taught something"),
    }
}

/// Stands in the log as the status of an answer that nobody waited for.
const CALLER_LEFT: u16 = 499;

/// The status of a stream that begins before anybody has answered.
const SENT_EARLY: u16 = 200;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With an answer, or with a refusal that says so by its status.
    Well,
    /// With a refusal inside a stream whose status had gone out already.
    Refused,
    /// In the middle of the stream.
    Cut(FailureKind),
    /// The router stopped before the end.
    Stopped,
    /// The caller left before the end.
    CallerLeft,
}

/// What has gone out for a request before anybody had answered it, and whether its end is written down.
#[derive(Debug, Default)]
pub struct Early {
    sent: AtomicBool,
    stopped: AtomicBool,
    written: AtomicBool,
}

impl Early {
    /// Notes that the status has gone out.
    pub fn sends(&self) {
        self.sent.store(true, Ordering::Relaxed);
    }

    /// Notes that the router stopped and told the caller so.
    pub fn stops(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether what became of it is written down.
    #[must_use]
    pub fn is_written(&self) -> bool {
        self.written.load(Ordering::Relaxed)
    }

    /// The status that the caller has seen, and how it ended with that.
    fn seen(&self, status: u16, ended: Ended) -> (u16, Ended) {
        match ended {
            _ if !self.sent.load(Ordering::Relaxed) => (status, ended),
            Ended::CallerLeft if self.stopped.load(Ordering::Relaxed) => (SENT_EARLY, Ended::Stopped),
            Ended::Well if status != SENT_EARLY => (SENT_EARLY, Ended::Refused),
            _ => (SENT_EARLY, ended),
        }
    }
}

/// Who was called.
pub struct Called {
    /// The roster that the candidate is of.
    pub roster: Arc<Roster>,
    /// The candidate.
    pub candidate: Candidate,
    /// Whether its model is one that the configuration names.
    pub listed: bool,
}

impl Called {
    /// The provider's id.
    #[must_use]
    pub fn provider(&self) -> &str {
        &self.roster.provider(self.candidate).id
    }

    /// The model's id.
    #[must_use]
    pub fn model(&self) -> &str {
        self.roster.model_id(self.candidate)
    }
}

/// One line for one request, written at its end.
pub struct RequestLine {
    /// The id that the caller sees as `X-Request-Id`.
    pub id: Name,
    /// The endpoint.
    pub endpoint: &'static str,
    /// Who answered, or was called last.
    pub called: Option<Called>,
    /// Calls made for it.
    pub attempts: u32,
    /// What is written down of why it went where it went.
    entry: Option<Entry>,
    early: Arc<Early>,
    began: Instant,
    lost: Option<String>,
    withheld: u64,
    ended: bool,
}

impl RequestLine {
    /// A line for a request that began then.
    #[must_use]
    pub fn new(id: Name, endpoint: &'static str, early: Arc<Early>, began: Instant) -> Self {
        Self {
            id,
            endpoint,
            called: None,
            attempts: 0,
            entry: None,
            early,
            began,
            lost: None,
            withheld: 0,
            ended: false,
        }
    }

    /// The same with an entry in the diary, which is closed with it.
    #[must_use]
    pub fn and_entry(mut self, entry: Entry) -> Self {
        self.entry = Some(entry);
        self
    }

    /// Writes something into the diary.
    pub fn entry(&mut self, write: impl FnOnce(&mut Entry)) {
        if let Some(entry) = &mut self.entry {
            write(entry);
        }
    }

    /// Notes the names of what the provider that answered did not get.
    pub fn lost(&mut self, names: Option<&str>) {
        self.entry(|entry| entry.lost(names.unwrap_or_default()));
        self.lost = names.map(str::to_owned);
    }

    /// Notes how many events of the stream could not be read and were left out.
    pub fn withheld(&mut self, events: u64) {
        self.withheld = events;
    }

    /// Writes the line; only the first end counts.
    pub fn end(&mut self, status: u16, ended: Ended) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let (status, ended) = self.early.seen(status, ended);
        let how = match ended {
            Ended::Well => "well",
            Ended::Refused => "refused",
            Ended::Cut(kind) => kind.code(),
            Ended::Stopped => "stopped",
            Ended::CallerLeft => "caller_left",
        };
        self.entry(|entry| entry.close(status, how));
        self.early.written.store(true, Ordering::Relaxed);
        let called = self.called.as_ref();
        info!(
            request_id = self.id.as_str(),
            endpoint = self.endpoint,
            status,
            ended = how,
            provider = called.map(Called::provider),
            dialect = called.map(|called| called.roster.provider(called.candidate).dialect.name()),
            model = called.filter(|called| called.listed).map(Called::model),
            attempts = self.attempts,
            lost = self.lost,
            withheld = (self.withheld > 0).then_some(self.withheld),
            took_ms = self.began.elapsed().as_millis() as u64,
            "request"
        );
    }
}

impl Drop for RequestLine {
    fn drop(&mut self) {
        self.end(CALLER_LEFT, Ended::CallerLeft);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_gone_out_is_what_the_line_says() {
        let early = Early::default();
        assert_eq!(early.seen(503, Ended::Well), (503, Ended::Well));
        assert_eq!(early.seen(CALLER_LEFT, Ended::CallerLeft), (499, Ended::CallerLeft));
        early.sends();
        assert_eq!(early.seen(503, Ended::Well), (200, Ended::Refused));
        assert_eq!(early.seen(200, Ended::Well), (200, Ended::Well));
        assert_eq!(early.seen(CALLER_LEFT, Ended::CallerLeft), (200, Ended::CallerLeft));
        early.stops();
        assert_eq!(early.seen(CALLER_LEFT, Ended::CallerLeft), (200, Ended::Stopped));
    }
}
