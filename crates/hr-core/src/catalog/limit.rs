//! What a provider's file says of limits: the published ones, and what its own words on them mean.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::quota::Reach;

/// Who the provider counts a limit against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OwnerScope {
    /// Each key by itself.
    Key,
    /// The project that keys belong to.
    Project,
    /// The organisation that keys belong to.
    Organisation,
    /// The account that keys belong to.
    Account,
    /// The network address that calls come from.
    Address,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitUnit {
    /// Calls.
    Requests,
    /// Tokens of prompts and answers.
    Tokens,
    /// Tokens of prompts.
    InputTokens,
    /// Tokens of answers.
    OutputTokens,
    /// Calls at the same time.
    Concurrent,
    /// US dollars.
    Money,
    /// Hundredths of a plan, of which only the provider knows what they are.
    Percent,
}

/// The span a limit counts over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitSpan {
    /// At the same time.
    Now,
    /// A second.
    Second,
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// Five rolling hours.
    FiveHours,
    /// A day.
    Day,
    /// A week.
    Week,
    /// A calendar month.
    Month,
}

impl LimitSpan {
    /// How long it lasts; the longest, where months differ. `None` for what is counted at the same time.
    #[must_use]
    pub fn length(self) -> Option<Duration> {
        const HOUR: u64 = 3600;
        let seconds = match self {
            Self::Now => return None,
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => HOUR,
            Self::FiveHours => 5 * HOUR,
            Self::Day => 24 * HOUR,
            Self::Week => 7 * 24 * HOUR,
            Self::Month => 31 * 24 * HOUR,
        };
        Some(Duration::from_secs(seconds))
    }
}

/// A free limit as published or measured; orders candidates later, excludes none.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// Who it is counted against.
    pub owner: OwnerScope,
    /// The models that share it, as [`reach`] reads them; empty means each model by itself.
    pub models: Vec<String>,
    /// What it counts.
    pub unit: LimitUnit,
    /// Over which span.
    pub per: LimitSpan,
    /// How much.
    pub amount: f64,
    /// When it starts again: `rolling`, `utc-midnight`, `pacific-midnight`, `calendar-month`.
    pub reset: Option<String>,
    /// Where the fact comes from.
    pub source: Option<String>,
    /// The day of the fact.
    pub date: Option<String>,
}

impl Limit {
    /// The models that share it.
    #[must_use]
    pub fn reach(&self) -> Reach {
        reach(&self.models)
    }
}

/// The models that a list in a provider's file means: nothing is each model by itself, `*` all of them together, and
/// anything else those that are named; `*:free` are all that end so, `embed-*` all that begin so.
#[must_use]
pub fn reach(models: &[String]) -> Reach {
    match models {
        [] => Reach::ThisModel,
        models if models.iter().any(|model| model == "*") => Reach::AllModels,
        models => Reach::Models(models.to_vec()),
    }
}

/// Whether a list entry as [`reach`] reads them means this model.
#[must_use]
pub fn fits(pattern: &str, model: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(end), _) => model.ends_with(end),
        (_, Some(start)) => model.starts_with(start),
        _ => pattern == model,
    }
}

/// What rate-limit headers and refusals of a provider speak of, where they do not say so themselves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metering {
    /// Who is counted.
    pub owner: Option<OwnerScope>,
    /// The models that share what headers tell, as [`reach`] reads them.
    pub models: Vec<String>,
    /// The span of requests that come without one.
    pub requests: Option<LimitSpan>,
    /// The span of tokens that come without one.
    pub tokens: Option<LimitSpan>,
}

/// The limit that an error row speaks of. What the answer itself says of unit and span goes before.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RefusedLimit {
    /// Who it is counted against.
    pub owner: Option<OwnerScope>,
    /// The models that share it, as [`reach`] reads them; `None` leaves it to the row's scope.
    pub models: Option<Vec<String>>,
    /// What it counts.
    pub unit: Option<LimitUnit>,
    /// Over which span.
    pub per: Option<LimitSpan>,
    /// When it starts again, as of [`Limit::reset`].
    pub reset: Option<String>,
    /// What the instants that its words name without a zone are ahead of UTC: `+08:00`.
    pub zone: Option<String>,
}
