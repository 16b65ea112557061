//! One thing that a provider said of one limit.

use serde::{Deserialize, Serialize};

use crate::catalog::{LimitSpan, LimitUnit, OwnerScope};
use crate::time::Millis;

/// Where something is known from; the earlier beats the later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A header of a reply.
    Header,
    /// The body of a refusal.
    Body,
    /// What refusals that named no number have shown.
    Refusals,
    /// The catalogue. It orders candidates and excludes none.
    Catalog,
}

/// Which models share a limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// The one that was called.
    #[default]
    ThisModel,
    /// These, by their ids; one that ends in `*` stands for all that begin so, one that begins with `*` for all
    /// that end so.
    Models(Vec<String>),
    /// All of the provider.
    AllModels,
}

/// All that one reply said of limits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    /// One reading a limit.
    pub readings: Vec<Reading>,
    /// What the provider's clock showed, when it told (`Date`) and it can be true: it counts its days by that one.
    pub clock: Option<Millis>,
}

/// What a provider said of one limit, in a header or in the body of a refusal. What it did not say is absent.
/// Numbers are as it said them; the ledger clamps what cannot be true.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// Whom it counts against.
    pub owner: Option<OwnerScope>,
    /// Which models share it.
    pub reach: Reach,
    /// What it counts.
    pub unit: LimitUnit,
    /// Over which span.
    pub span: Option<LimitSpan>,
    /// How much there is in a whole span.
    pub limit: Option<f64>,
    /// How much of it is left, this call included.
    pub remaining: Option<f64>,
    /// When it is whole again, by our clock.
    pub reset: Option<Millis>,
    /// Where it was said.
    pub source: Source,
}
