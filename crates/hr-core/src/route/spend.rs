//! Money: what calls for a request may cost, and the proof that one of them may be made.

use serde::{Deserialize, Serialize};

use super::plan::Candidate;
use crate::catalog::SpendClass;
use crate::failure::FailureKind;
use crate::pool::{Member, PoolModel};
use crate::settings::address::Address;

/// The longest answer that is reckoned with when nothing bounds it, in tokens.
pub const LONGEST_ANSWER: u64 = 32_768;

/// Prices are for so many tokens.
const PRICED_TOKENS: f64 = 1_000_000.0;

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

    /// What is allowed after calls that may have cost this much.
    #[must_use]
    pub fn after(self, spent: f64) -> Self {
        Self { per_request: self.per_request.map(|most| most - spent), ..self }
    }

    /// The permit for a call of this size to a model, unless it may cost more than is allowed. `output` is the longest
    /// answer that may come.
    #[must_use]
    pub fn permit(self, model: &PoolModel, input: u64, output: u64) -> Option<Permit> {
        self.grant(model.spend, || worst_cost(model, input, output))
    }

    /// The permit for a call of this size to a member's embedding model.
    #[must_use]
    pub fn permit_embedding(self, member: &Member, input: u64) -> Option<Permit> {
        self.grant(embedding_class(member), || embedding_cost(member, input))
    }

    /// The only place where permits are made.
    fn grant(self, class: SpendClass, cost: impl FnOnce() -> Option<f64>) -> Option<Permit> {
        let dear = || self.per_request.is_some_and(|most| cost().is_none_or(|cost| cost > most));
        (class <= self.most && !(class == SpendClass::Paid && dear())).then_some(Permit { class })
    }
}

/// What a call may cost at most, in US dollars; `None` when the price is not known.
#[must_use]
pub fn worst_cost(model: &PoolModel, input: u64, output: u64) -> Option<f64> {
    match (model.spend, model.price) {
        (SpendClass::Free | SpendClass::Included, _) => Some(0.0),
        (SpendClass::Paid, Some(price)) => Some(cost(input, price.input) + cost(output, price.output)),
        (SpendClass::Paid, None) => None,
    }
}

#[expect(clippy::cast_precision_loss, reason = "no call has that many tokens")]
fn cost(tokens: u64, price: f64) -> f64 {
    tokens as f64 * price / PRICED_TOKENS
}

/// Whether the address in force is one where the provider charges for every call.
#[must_use]
pub fn is_sold(member: &Member) -> bool {
    let hosts = &member.provider.paid_hosts;
    !hosts.is_empty()
        && Address::parse(&member.base_url)
            .is_ok_and(|address| hosts.iter().any(|host| host == address.host()))
}

/// What a call to a member's embedding model costs: what the provider's file says of that model or of all.
fn embedding_class(member: &Member) -> SpendClass {
    if is_sold(member) {
        return SpendClass::Paid;
    }
    let own = embedding_model(member).and_then(|model| model.spend);
    own.unwrap_or(member.provider.spend)
}

fn embedding_cost(member: &Member, input: u64) -> Option<f64> {
    Some(cost(input, embedding_model(member)?.price?.input))
}

fn embedding_model(member: &Member) -> Option<&crate::catalog::Model> {
    let id = member.embed_model.as_deref()?;
    member.provider.models.iter().find(|model| model.id == id)
}

/// Whether a call that ended so may have cost something: it was not refused, or nobody knows.
pub(super) fn may_have_cost(kind: FailureKind) -> bool {
    use FailureKind as K;
    match kind {
        K::ContentRefused | K::ServerError | K::Network | K::Timeout | K::Malformed | K::Empty | K::Cut => {
            true
        }
        K::CallerMistake
        | K::BadKey
        | K::NoMoney
        | K::ModelForbidden
        | K::ModelMissing
        | K::ModelGone
        | K::ProviderGone
        | K::Loop
        | K::TooLarge
        | K::Unsupported
        | K::RateLimited
        | K::QuotaSpent
        | K::Overloaded => false,
    }
}

/// What a call to a candidate that may have cost something may have cost at most; `None` when nobody knows.
pub(super) fn cost_of(
    candidate: Candidate,
    member: &Member,
    input: u64,
    longest: impl FnOnce(&PoolModel) -> u64,
) -> Option<f64> {
    match member.models.get(candidate.model) {
        Some(model) => worst_cost(model, input, longest(model)),
        None if embedding_class(member) == SpendClass::Paid => embedding_cost(member, input),
        None => Some(0.0),
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
