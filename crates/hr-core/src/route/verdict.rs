//! What to tell the caller when nobody served: the one reason behind all reasons.

use super::gate::Gate;
use super::plan::Plan;
use super::tried::{Memory, Tried};
use crate::failure::FailureKind;
use crate::time::Millis;

/// Why a request could not be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everybody who could have served is held back by a rate limit or a spent quota.
    RateLimited {
        /// When the first of them can be asked again.
        retry_at: Option<Millis>,
    },
    /// Somebody could have served but failed or rests.
    Unavailable {
        /// When the first of them can be asked again.
        retry_at: Option<Millis>,
    },
    /// The pool has nobody who could ever serve this.
    NoProviders,
    /// Everybody who could have served has too small a window.
    TooLarge,
    /// Everybody lacks something that the request asks for.
    Unservable {
        /// What is lacking: `tools`, `images`, a schema, names of parameters, or what a dialect cannot say, with
        /// commas between them.
        feature: String,
    },
}

/// What the reasons speak of.
#[derive(Default)]
struct Reasons {
    limited: bool,
    failing: bool,
    too_large: bool,
    lacking: Vec<String>,
}

impl Reasons {
    fn failure(&mut self, kind: FailureKind, param: Option<&str>) {
        match kind {
            FailureKind::RateLimited | FailureKind::QuotaSpent => self.limited = true,
            FailureKind::TooLarge => self.too_large = true,
            FailureKind::Unsupported => self.lack(param.unwrap_or("a feature of this request")),
            _ => self.failing = true,
        }
    }

    fn lack(&mut self, what: &str) {
        if !self.lacking.iter().any(|known| known == what) {
            self.lacking.push(what.to_owned());
        }
    }
}

impl Plan {
    /// The reason why nobody served, from who was passed over and who was `tried`. Lacks of those who could
    /// not have served anyway matter only when nobody could.
    #[must_use]
    pub fn verdict(&self, tried: &Tried) -> Verdict {
        // Who is left was not asked for want of time or calls; of who was, the failure below tells.
        let unasked = self.choices.iter().any(|choice| tried.memory(choice.candidate) == Memory::Fresh);
        let mut reasons = Reasons { failing: unasked, ..Reasons::default() };
        for exclusion in &self.exclusions {
            match (exclusion.gate, exclusion.because) {
                (Gate::Cooldown | Gate::Quota, Some(kind)) => reasons.failure(kind, None),
                (Gate::Cooldown | Gate::Quota | Gate::Breaker | Gate::Retries, _) => reasons.failing = true,
                (Gate::Context | Gate::OutputCap | Gate::SkipTokensOver, _) => reasons.too_large = true,
                (Gate::Tools, _) => reasons.lack("tools"),
                (Gate::Vision, _) => reasons.lack("images"),
                (Gate::Structured, _) => reasons.lack("a JSON schema for the answer"),
                // `refused` and `lost` name what stands behind these two, and `tried` tells of what was tried;
                // the rest could never have served.
                (Gate::Refuses | Gate::Loss | Gate::Tried, _) => {}
                (Gate::Unavailable | Gate::Credential | Gate::Excluded | Gate::NotAsked, _) => {}
                (Gate::Unconfirmed, _) => reasons.lack("tools that are confirmed"),
                (Gate::Spend, _) => {}
            }
        }
        for param in self.refused.iter().chain(&self.lost) {
            reasons.lack(param);
        }
        for (kind, param) in tried.failures() {
            reasons.failure(kind, param);
        }
        let retry_at = self.earliest();
        match reasons {
            Reasons { failing: true, .. } => Verdict::Unavailable { retry_at },
            Reasons { limited: true, .. } => Verdict::RateLimited { retry_at },
            Reasons { too_large: true, .. } => Verdict::TooLarge,
            Reasons { lacking, .. } if !lacking.is_empty() => {
                Verdict::Unservable { feature: lacking.join(", ") }
            }
            _ => Verdict::NoProviders,
        }
    }
}
