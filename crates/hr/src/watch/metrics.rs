//! Counters, and how Prometheus reads them. The names are the original product's.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use hr_core::route::{BreakerPhase, MemberState};
use parking_lot::Mutex;

/// The content type of the text that [`Metrics::render`] writes.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4";

/// Counters of what the router did since it started.
#[derive(Default)]
pub struct Metrics {
    /// Answers by class: index is the first digit of the status.
    answers: [AtomicU64; 6],
    /// Tokens by provider. Written once a reply, read by status and metrics.
    tokens: Mutex<BTreeMap<String, u64>>,
}

impl Metrics {
    /// Nothing has happened.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts an answer to a caller.
    pub fn answered(&self, status: u16) {
        if let Some(count) = self.answers.get(usize::from(status / 100)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts tokens that a provider reported.
    pub fn tokens(&self, provider: &str, tokens: u64) {
        if tokens == 0 {
            return;
        }
        let mut all = self.tokens.lock();
        match all.get_mut(provider) {
            Some(count) => *count += tokens,
            None => {
                all.insert(provider.to_owned(), tokens);
            }
        }
    }

    /// Tokens that a provider reported since the start.
    pub fn tokens_of(&self, provider: &str) -> u64 {
        self.tokens.lock().get(provider).copied().unwrap_or(0)
    }

    /// The counters as Prometheus reads them.
    pub fn render(&self, uptime_seconds: u64, members: &[MemberState]) -> String {
        let mut text = String::with_capacity(2048);
        header(&mut text, "hermes_router_uptime_seconds", "gauge", "Seconds since the router started.");
        line(&mut text, "hermes_router_uptime_seconds", None, uptime_seconds as f64);
        header(&mut text, "hermes_router_providers", "gauge", "Providers in the pool.");
        line(&mut text, "hermes_router_providers", None, members.len() as f64);
        header(
            &mut text,
            "hermes_router_answers_total",
            "counter",
            "Answers to callers, by class of status.",
        );
        for (class, count) in self.answers.iter().enumerate().skip(2) {
            let class = format!("{class}xx");
            line(&mut text, "hermes_router_answers_total", Some(("status", &class)), load(count));
        }
        type Read = fn(&MemberState) -> Option<f64>;
        let by_provider: [(&str, &str, &str, Read); 4] = [
            ("hermes_router_requests_total", "counter", "Calls to a provider.", |m| Some(m.requests as f64)),
            ("hermes_router_errors_total", "counter", "Calls to a provider that failed.", |m| {
                Some(m.errors as f64)
            }),
            ("hermes_router_avg_latency_ms", "gauge", "Mean time of good calls.", |m| m.avg_latency_ms),
            ("hermes_router_circuit_breaker_open", "gauge", "Whether a provider's circuit is open.", |m| {
                Some(f64::from(u8::from(m.breaker.phase != BreakerPhase::Closed)))
            }),
        ];
        for (name, kind, help, read) in by_provider {
            header(&mut text, name, kind, help);
            for member in members {
                if let Some(value) = read(member) {
                    line(&mut text, name, Some(("provider", &member.provider)), value);
                }
            }
        }
        header(&mut text, "hermes_router_tokens_total", "counter", "Tokens that a provider reported.");
        for (provider, tokens) in self.tokens.lock().iter() {
            line(&mut text, "hermes_router_tokens_total", Some(("provider", provider)), *tokens as f64);
        }
        text
    }
}

fn load(count: &AtomicU64) -> f64 {
    count.load(Ordering::Relaxed) as f64
}

fn header(text: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn line(text: &mut String, name: &str, label: Option<(&str, &str)>, value: f64) {
    let _ = match label {
        None => writeln!(text, "{name} {value}"),
        Some((label, of)) => writeln!(text, "{name}{{{label}=\"{}\"}} {value}", escaped(of)),
    };
}

/// A label value: backslash, quote and line feed must be escaped.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_are_escaped() {
        let mut text = String::new();
        line(&mut text, "x", Some(("provider", "a\"b\\c\nd")), 1.0);
        assert_eq!(text, "x{provider=\"a\\\"b\\\\c\\nd\"} 1\n");
    }

    #[test]
    fn tokens_add_up() {
        let metrics = Metrics::new();
        metrics.tokens("a", 3);
        metrics.tokens("a", 4);
        metrics.answered(200);
        let text = metrics.render(7, &[]);
        assert!(text.contains("hermes_router_tokens_total{provider=\"a\"} 7\n"), "{text}");
        assert!(text.contains("hermes_router_answers_total{status=\"2xx\"} 1\n"), "{text}");
        assert!(text.contains("hermes_router_uptime_seconds 7\n"), "{text}");
    }
}
