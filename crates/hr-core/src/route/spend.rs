//! Money: what calls for a request may cost, and the proof that one of them may be made.

use serde::{Deserialize, Serialize};

use crate::catalog::{Provider, SpendClass};
use crate::pool::PoolModel;

/// What calls for one request may cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Allowance {
    /// The dearest class of calls that may be made.
    pub most: SpendClass,
    /// US dollars that all calls for the request may cost together; a call whose price is not known is then none
    /// of them.
    pub per_request: Option<f64>,
}

impl Default for Allowance {
    /// A key that was given is the permit.
    fn default() -> Self {
        Self { most: SpendClass::Paid, per_request: None }
    }
}

impl Allowance {
    /// What both allow.
    #[must_use]
    pub fn narrowed(self, other: Self) -> Self {
        let per_request = match (self.per_request, other.per_request) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        Self { most: self.most.min(other.most), per_request }
    }

    /// The permit for a call of this size to a model, unless it may cost more than is allowed. The only place where
    /// permits are made.
    #[must_use]
    pub fn permit(self, model: &PoolModel, _input: u64, _output: u64) -> Option<Permit> {
        (model.spend <= self.most).then_some(Permit { class: model.spend })
    }

    /// The permit for a call to a provider's embedding model.
    #[must_use]
    pub fn permit_embedding(self, provider: &Provider) -> Option<Permit> {
        (provider.spend <= self.most).then_some(Permit { class: provider.spend })
    }
}

/// The proof that a call may cost what it costs: nothing is sent to a provider without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit {
    class: SpendClass,
}

impl Permit {
    /// What the call costs at most.
    #[must_use]
    pub fn class(self) -> SpendClass {
        self.class
    }
}
