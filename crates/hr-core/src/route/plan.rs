//! The plan of a request: who may be asked, in which order, and who may not, each with the reason.

use serde::Serialize;

use super::gate::Exclusion;
use super::merits::{Brief, Merits};
use super::score::Terms;
use super::spend::Permit;
use super::turns::Turns;
use crate::quota::{Need, Outlook};
use crate::time::Millis;

/// The most choices of a plan: more than any request may call. In a larger pool the rest is only counted.
pub const CHOICES: usize = 64;

/// How many exclusions of keys of one model are told one by one.
pub const EXCLUSIONS: u32 = 64;

/// A candidate that failed this often in a row is known to be bad; one failure may be chance.
pub const KNOWN_BAD_STRIKES: u8 = 2;

/// A provider whose last attempts failed this often in a row, whatever the key, is not just unlucky: behind
/// its open breaker all candidates are known to be bad, else those that failed themselves.
pub const DEAD_STREAK: u32 = 4;

/// Provider, model and key, by index into the roster's pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Candidate {
    /// The member of the pool.
    pub member: usize,
    /// The member's model, or [`Candidate::EMBED`].
    pub model: usize,
    /// The member's key.
    pub key: usize,
}

impl Candidate {
    /// Stands as a model's index for the member's embedding model.
    pub const EMBED: usize = usize::MAX;
}

/// Somebody to ask.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Choice {
    /// Who.
    pub candidate: Candidate,
    /// It is failing, as far as is known, or has failed this very request: asking it costs of a small budget.
    pub known_bad: bool,
    /// Why it stands where it stands.
    pub terms: Terms,
    /// What that was computed from.
    #[serde(skip)]
    pub merits: Merits,
    /// What was known of its quotas.
    #[serde(skip)]
    pub outlook: Outlook,
    /// How its model's keys take turns.
    #[serde(skip)]
    pub turns: Turns,
    /// That the call may cost what it costs.
    #[serde(skip)]
    pub permit: Permit,
    /// What the call is expected to take of its quotas.
    #[serde(skip)]
    pub(super) need: Need,
    /// It tests a claim that its quota is used up.
    #[serde(skip)]
    pub(super) test: bool,
    /// It is one more call to a failing candidate, which the budget for these must allow.
    #[serde(skip)]
    pub(super) retry: bool,
    /// The conversation that it is for.
    #[serde(skip)]
    pub(super) session: Option<u64>,
    /// The size of the prompt, to learn from a refusal.
    #[serde(skip)]
    pub(super) prompt: u64,
    /// The size of the answer that is asked for, likewise.
    #[serde(skip)]
    pub(super) output: Option<u64>,
}

impl Choice {
    /// Whether the call puts to the test that its quota is used up.
    #[must_use]
    pub fn is_test(&self) -> bool {
        self.test
    }
}

/// Who may be asked, best first, and who may not.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Plan {
    /// Best first.
    pub choices: Vec<Choice>,
    /// Everybody else, with the reason.
    pub exclusions: Vec<Exclusion>,
    /// How many more there are, of whom nobody knows whether they may be asked: there are choices enough.
    pub more: usize,
    /// What was known of the request.
    #[serde(skip)]
    pub brief: Brief,
    /// Refused parameters behind [`Gate::Refuses`].
    #[serde(skip)]
    pub(super) refused: Vec<String>,
    /// What would be lost behind [`Gate::Loss`].
    #[serde(skip)]
    pub(super) lost: Vec<String>,
}

impl Plan {
    /// When the first of those who rest can be asked again.
    #[must_use]
    pub fn earliest(&self) -> Option<Millis> {
        self.exclusions.iter().filter_map(|exclusion| exclusion.until).min()
    }
}
