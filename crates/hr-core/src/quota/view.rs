//! What people are shown of quotas.

use serde::Serialize;

use super::reading::Source;
use crate::catalog::{LimitSpan, LimitUnit, OwnerScope};
use crate::secret::KeyId;
use crate::time::Millis;

/// How sure a bucket's numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// Nothing but what is published.
    Guess,
    /// Learned from refusals, or said some time ago.
    Likely,
    /// Said by the provider in this very span.
    Sure,
}

/// The quotas of one owner.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OwnerQuota {
    /// The provider's id.
    pub provider: String,
    /// The declared name; without one, nothing tells more than the keys do.
    pub owner: Option<String>,
    /// Its keys.
    pub keys: Vec<KeyId>,
    /// Keys among them that were not declared to belong here but seem to, by a refusal that their own use does not
    /// explain.
    pub joined: Vec<KeyId>,
    /// Whether somebody else seems to use the same quota.
    pub shared: bool,
    /// Its buckets, those that end first in front.
    pub buckets: Vec<BucketView>,
}

/// One limit of one owner.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BucketView {
    /// Whom the provider counts it against, as far as that is known.
    pub scope: Option<OwnerScope>,
    /// The models that share it; empty means all.
    pub models: Vec<String>,
    /// What it counts.
    pub unit: LimitUnit,
    /// Over which span; absent where only its end is known.
    pub span: Option<LimitSpan>,
    /// How much there is in a whole span, when that is known.
    pub limit: Option<f64>,
    /// How much of it is used, calls in flight included.
    pub used: f64,
    /// How much is left, when the limit is known.
    pub left: Option<f64>,
    /// When it is whole again, when that is known.
    pub resets_at: Option<Millis>,
    /// Whether nothing is left that may be used now.
    pub spent: bool,
    /// Where the limit is known from.
    pub source: Source,
    /// How sure that is.
    pub confidence: Confidence,
    /// When the provider last said something of it.
    pub said_at: Option<Millis>,
}

impl super::Ledger {
    /// What is left of each quota of each owner.
    #[must_use]
    pub fn view(&self, _now: Millis, _provider: &str) -> Vec<OwnerQuota> {
        Vec::new()
    }
}
