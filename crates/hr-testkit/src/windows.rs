//! Headers with which good answers tell how much is left.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::hint::timestamp;

/// One window of a subscription's use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// How much of it is used, in percent.
    pub used_percent: f64,
    /// How long it is, in minutes.
    pub minutes: u64,
    /// When it begins anew, from now; `None` is told as an empty text.
    pub resets_in: Option<Duration>,
}

/// What a subscription tells of its windows with every answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Windows {
    /// The plan.
    pub plan: String,
    /// The first window.
    pub primary: Window,
    /// The second window.
    pub secondary: Option<Window>,
}

impl Windows {
    /// A first window of five hours that resets in an hour, so much of it used, and no second one.
    #[must_use]
    pub fn used(percent: f64) -> Windows {
        let resets_in = Some(Duration::from_secs(3600));
        let primary = Window { used_percent: percent, minutes: 300, resets_in };
        Windows { plan: "plus".into(), primary, secondary: None }
    }

    /// The headers of an answer that is given now.
    #[must_use]
    pub fn headers(&self) -> Vec<(String, String)> {
        let mut headers = vec![
            ("x-codex-plan-type".to_owned(), self.plan.clone()),
            ("x-codex-active-limit".to_owned(), "premium".to_owned()),
            ("x-codex-credits-has-credits".to_owned(), "False".to_owned()),
            ("x-codex-credits-unlimited".to_owned(), "False".to_owned()),
            ("x-codex-credits-balance".to_owned(), String::new()),
        ];
        // A second window that does not exist is told as zeros with an empty reset.
        let none = Window { used_percent: 0.0, minutes: 0, resets_in: None };
        for (name, window) in [("primary", self.primary), ("secondary", self.secondary.unwrap_or(none))] {
            let mut say = |what: &str, value| headers.push((format!("x-codex-{name}-{what}"), value));
            say("used-percent", window.used_percent.to_string());
            say("window-minutes", window.minutes.to_string());
            say("reset-at", window.resets_in.map(|wait| unix_in(wait).to_string()).unwrap_or_default());
            say("reset-after-seconds", window.resets_in.unwrap_or_default().as_secs().to_string());
        }
        headers
    }

    /// What the account's page of usage says now.
    #[must_use]
    pub fn body(&self) -> Value {
        let window = |window: Window| {
            json!({
                "used_percent": window.used_percent,
                "limit_window_seconds": window.minutes * 60,
                "reset_after_seconds": window.resets_in.unwrap_or_default().as_secs(),
                "reset_at": window.resets_in.map(unix_in),
            })
        };
        let reached = self.primary.used_percent >= 100.0;
        json!({
            "plan_type": self.plan,
            "rate_limit": {
                "allowed": !reached,
                "limit_reached": reached,
                "primary_window": window(self.primary),
                "secondary_window": self.secondary.map(window),
            },
            "credits": {"has_credits": false, "unlimited": false, "balance": null},
            "rate_limit_reached_type": null,
        })
    }
}

/// What Anthropic tells of its limits with every answer: so many requests and tokens left until a reset.
#[must_use]
pub fn anthropic_limits(requests: u64, tokens: u64, resets_in: Duration) -> Vec<(String, String)> {
    let reset = timestamp(unix_in(resets_in));
    let mut headers = Vec::new();
    for (name, limit, left) in [
        ("requests", 50, requests),
        ("tokens", 40_000, tokens),
        ("input-tokens", 30_000, tokens),
        ("output-tokens", 8_000, tokens),
    ] {
        let mut say = |what: &str, value| headers.push((format!("anthropic-ratelimit-{name}-{what}"), value));
        say("limit", limit.to_string());
        say("remaining", left.to_string());
        say("reset", reset.clone());
    }
    headers
}

/// The instant that is so far away, in seconds since the epoch.
fn unix_in(wait: Duration) -> u64 {
    (SystemTime::now() + wait).duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
