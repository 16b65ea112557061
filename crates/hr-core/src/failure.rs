//! What happened upstream, as data. A dialect says what happened; [`crate::route::policy`] says what follows.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::quota::Said;

/// What went wrong with one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The request itself is wrong, whoever is asked.
    CallerMistake,
    /// The provider refused the content; another would be asked to break its rules too.
    ContentRefused,
    /// The key is unknown, expired or revoked.
    BadKey,
    /// The account behind the key has no money, credit or plan left.
    NoMoney,
    /// This key may not use this model (tier, region, gate).
    ModelForbidden,
    /// The provider does not know the model, or not now.
    ModelMissing,
    /// The model was retired for good.
    ModelGone,
    /// The provider as a whole was retired, or does not serve this place or client.
    ProviderGone,
    /// The request does not fit this model or tier; a bigger window may take it.
    TooLarge,
    /// This provider or model refuses a parameter or feature that others take.
    Unsupported,
    /// Too fast: a short window (second, minute, hour) is used up.
    RateLimited,
    /// A long window (day, month, plan) is used up.
    QuotaSpent,
    /// The model or the provider has more work than it can take.
    Overloaded,
    /// The provider broke: a 5xx other than overload.
    ServerError,
    /// No connection, or one that broke.
    Network,
    /// Nothing came in time.
    Timeout,
    /// An answer that is not what the dialect promises: HTML, half a JSON, nonsense.
    Malformed,
    /// A 200 that holds no answer.
    Empty,
    /// A stream that ended without a finish reason.
    Cut,
    /// The address leads back to this router.
    Loop,
}

/// Whose limit a refusal speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// This key, on this model only.
    KeyModel,
    /// This key, on every model.
    Key,
    /// This model, whatever key is used.
    Model,
    /// The whole provider.
    Provider,
    /// Every key of the same owner.
    Owner,
}

/// What happened in one attempt, with all that routing may want to know of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// What went wrong.
    pub kind: FailureKind,
    /// The HTTP status, when there was one.
    pub status: Option<u16>,
    /// When to come back, as the provider said; a claim, bounded by policy.
    pub retry_after: Option<Duration>,
    /// Whose limit it is, when the answer tells; else the policy's own scope for the kind.
    pub scope: Option<Scope>,
    /// The request parameter that was refused, for [`FailureKind::Unsupported`].
    pub param: Option<String>,
    /// What the answer said of limits.
    pub said: Said,
    /// The provider's words or the transport's, for the operator's log. May hold anything: scrub before use.
    pub message: String,
}

impl Failure {
    /// A failure of this kind with these words and nothing else known.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            status: None,
            retry_after: None,
            scope: None,
            param: None,
            said: Said::default(),
            message: message.into(),
        }
    }

    /// The same failure, with the HTTP status it came with.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// The same failure, with the provider's retry hint.
    #[must_use]
    pub fn retry_after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }
}

impl FailureKind {
    /// The stable code of the kind, as logs, metrics and responses name it.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::CallerMistake => "caller_mistake",
            Self::ContentRefused => "content_refused",
            Self::BadKey => "bad_key",
            Self::NoMoney => "no_money",
            Self::ModelForbidden => "model_forbidden",
            Self::ModelMissing => "model_missing",
            Self::ModelGone => "model_gone",
            Self::ProviderGone => "provider_gone",
            Self::TooLarge => "too_large",
            Self::Unsupported => "unsupported",
            Self::RateLimited => "rate_limited",
            Self::QuotaSpent => "quota_spent",
            Self::Overloaded => "overloaded",
            Self::ServerError => "server_error",
            Self::Network => "network",
            Self::Timeout => "timeout",
            Self::Malformed => "malformed",
            Self::Empty => "empty",
            Self::Cut => "cut",
            Self::Loop => "loop",
        }
    }
}
