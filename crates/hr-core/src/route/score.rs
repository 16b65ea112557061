//! The order among those who may be asked: a sum of documented terms, each visible.
//!
//! A term is a small number that is best at 0; a profile gives each a weight; what is stored and shown are
//! the weighted points, so that a row of [`Terms`] adds up to its `total`, and the lowest total goes first.
//! The weights are steps apart on purpose: measured terms come in few buckets and weigh little, so that
//! noise decides nothing that a price or a promise should.

use serde::Serialize;

use super::ask::{Ask, Effort, Profile, Target, Work};
use super::gate::losses;
use super::slots::{Average, ModelSlot, ProviderSlot};
use super::tried::Tried;
use crate::catalog::SpendClass;
use crate::pool::{Member, PoolModel, RouteRules};
use crate::time::Millis;

/// The weighted points of a candidate; fewer go first.
#[derive(Serialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// It is not the model that was asked for.
    pub other_model: i32,
    /// Its place in the catalogue, for embeddings only: one provider serves as long as it lives.
    pub order: i32,
    /// It is not on the user's own machine, where that is wanted.
    pub not_local: i32,
    /// It costs: an included call one step, a paid one two.
    pub spend: i32,
    /// It is weaker than the request needs.
    pub insufficient: i32,
    /// How far its strength is from what is needed.
    pub distance: i32,
    /// How far it is from the strongest.
    pub weakness: i32,
    /// Its rank among models of the same strength.
    pub quality: i32,
    /// How dear it is, in buckets, when calls are paid.
    pub price: i32,
    /// Abilities that the request needs and that nobody confirmed.
    pub unconfirmed: i32,
    /// How much of the request is lost on the way to it.
    pub loss: i32,
    /// It does not speak the caller's dialect.
    pub translated: i32,
    /// Its key did not issue the opaque things in the conversation, so that they are lost on it.
    pub not_issuer: i32,
    /// Its provider has failed this very request.
    pub elsewhere: i32,
    /// Its provider's trouble of the last minute.
    pub trouble: i32,
    /// Its measured wait for the first byte, in buckets.
    pub latency: i32,
    /// It is not known to be quick, where that is wanted.
    pub not_fast: i32,
    /// The sum.
    pub total: i32,
}

/// The points of one step of each term.
#[derive(Clone, Copy, Debug)]
struct Weights {
    other_model: i32,
    order: i32,
    not_local: i32,
    spend: i32,
    insufficient: i32,
    distance: i32,
    weakness: i32,
    quality: i32,
    price: i32,
    unconfirmed: i32,
    loss: i32,
    translated: i32,
    not_issuer: i32,
    elsewhere: i32,
    trouble: i32,
    latency: i32,
    not_fast: i32,
}

/// The cheapest that is strong enough. Money first; then whoever the conversation belongs to; then those strong
/// enough, the least strong of them first, so that scarce strong ones are kept.
const BALANCED: Weights = Weights {
    other_model: 1_000_000,
    order: 0,
    not_local: 0,
    spend: 20_000,
    insufficient: 3_000,
    distance: 100,
    weakness: 0,
    quality: 0,
    price: 250,
    unconfirmed: 700,
    loss: 500,
    translated: 60,
    not_issuer: 5_000,
    elsewhere: 400,
    trouble: 150,
    latency: 30,
    not_fast: 0,
};

/// The quickest. Nothing is spent for speed that would not be spent anyway.
const FAST: Weights = Weights { not_local: 100_000, distance: 20, latency: 300, not_fast: 600, ..BALANCED };

/// The strongest; among equals, money before what is lost on the way.
const BEST: Weights = Weights {
    spend: 3_000,
    insufficient: 0,
    distance: 0,
    weakness: 20_000,
    quality: 1,
    price: 20,
    not_issuer: 900,
    ..BALANCED
};

/// The least money, then the least scarce.
const FRUGAL: Weights = Weights { price: 2_500, insufficient: 1_500, ..BALANCED };

/// Embeddings: vectors of two models do not compare, so the order is fixed.
const EMBED: Weights = Weights {
    order: 100,
    spend: 0,
    insufficient: 0,
    distance: 0,
    price: 0,
    unconfirmed: 0,
    loss: 0,
    translated: 0,
    not_issuer: 0,
    elsewhere: 0,
    trouble: 0,
    latency: 0,
    ..BALANCED
};

/// The points for not being quick when the prompt is below `FAST_ROUTE_THRESHOLD`.
const FAST_ROUTE_POINTS: i32 = 500;

/// From this difficulty on, the fast profile is served by the user's own machine.
const EASY_ENOUGH_FOR_LOCAL: u8 = 3;

/// The longest prompt that it is given for being quick: more takes it long to read.
const SHORT_ENOUGH_FOR_LOCAL: u64 = 8_000;

/// A window that nobody stated is trusted with prompts below this.
const UNSTATED_WINDOW: u64 = 8_192;

/// Waits in milliseconds that part the buckets of latency.
const LATENCY_STEPS: [f64; 3] = [2_000.0, 5_000.0, 15_000.0];

/// USD per million tokens, in and out together, that part the buckets of price.
const PRICE_STEPS: [f64; 5] = [0.5, 1.0, 2.5, 6.0, 15.0];

/// Weights of recent trouble that part its buckets.
const TROUBLE_STEPS: [f64; 2] = [0.5, 2.0];

/// The worst rank of quality that still counts.
const QUALITY_MAX: u32 = 900;

/// How many steps a value has passed.
fn bucket(value: f64, steps: &[f64]) -> i32 {
    steps.iter().map(|step| i32::from(value >= *step)).sum()
}

/// Scores candidates for one request.
pub(super) struct Scorer<'a> {
    now: Millis,
    ask: &'a Ask,
    tried: &'a Tried,
    weights: Weights,
    /// Whether the user's own machine counts as quick for this request.
    local_is_fast: bool,
}

impl<'a> Scorer<'a> {
    pub(super) fn new(now: Millis, ask: &'a Ask, tried: &'a Tried, rules: &RouteRules) -> Self {
        let mut weights = match (ask.work, ask.profile) {
            (Work::Embed, _) => EMBED,
            (Work::Chat, Profile::Balanced) => BALANCED,
            (Work::Chat, Profile::Fast) => FAST,
            (Work::Chat, Profile::Best) => BEST,
            (Work::Chat, Profile::Frugal) => FRUGAL,
        };
        if ask.work == Work::Chat && (1..rules.fast_route_threshold).contains(&ask.prompt_tokens) {
            weights.not_fast = weights.not_fast.max(FAST_ROUTE_POINTS);
        }
        let local_is_fast = is_light(ask);
        if !local_is_fast {
            weights.not_local = 0;
        }
        Self { now, ask, tried, weights, local_is_fast }
    }

    /// The points of a chat model at a member.
    pub(super) fn chat(
        &self,
        (index, member): (usize, &Member),
        model: &PoolModel,
        (provider, slot): (&ProviderSlot, &ModelSlot),
    ) -> Terms {
        let (ask, weights) = (self.ask, &self.weights);
        let distance = i32::from(ask.difficulty) - i32::from(model.rating);
        let latency = Average::fresh(slot.first_byte, self.now);
        let fast = member.provider.fast || (member.provider.local && self.local_is_fast);
        Terms {
            other_model: weights.other_model * self.other_model(&model.id),
            not_local: weights.not_local * i32::from(!member.provider.local),
            spend: weights.spend * spend_step(model.spend),
            insufficient: weights.insufficient * i32::from(distance < 0),
            distance: weights.distance * distance.abs(),
            weakness: weights.weakness * i32::from(model.rating),
            quality: weights.quality * i32::try_from(model.quality.min(QUALITY_MAX)).unwrap_or(i32::MAX),
            price: weights.price * price_step(model),
            unconfirmed: weights.unconfirmed * self.unconfirmed(model),
            loss: weights.loss * loss_step(losses(ask, member)),
            translated: weights.translated * i32::from(ask.dialect != Some(member.provider.dialect)),
            elsewhere: weights.elsewhere * i32::from(self.tried.shook(index)),
            trouble: weights.trouble * bucket(provider.trouble.level(self.now), &TROUBLE_STEPS),
            latency: weights.latency * latency.map_or(0, |millis| bucket(millis, &LATENCY_STEPS)),
            not_fast: weights.not_fast * i32::from(!fast),
            ..Terms::default()
        }
        .summed()
    }

    /// The same points for keys that did not issue what the conversation holds, where some key did.
    pub(super) fn not_issuer(&self, terms: Terms) -> Terms {
        Terms { not_issuer: self.weights.not_issuer, ..terms }.summed()
    }

    /// The points of a member's embedding model.
    pub(super) fn embed(&self, index: usize, model: &str) -> Terms {
        let place = i32::try_from(index).unwrap_or(i32::MAX);
        Terms {
            other_model: self.weights.other_model * self.other_model(model),
            order: self.weights.order.saturating_mul(place),
            ..Terms::default()
        }
        .summed()
    }

    fn other_model(&self, id: &str) -> i32 {
        match &self.ask.target {
            Target::Prefer(preferred) => i32::from(preferred != id),
            Target::Profile(_) | Target::Pin { .. } => 0,
        }
    }

    fn unconfirmed(&self, model: &PoolModel) -> i32 {
        let ask = self.ask;
        let lacks = [
            ask.tools && model.tools.is_none(),
            ask.vision && model.vision.is_none(),
            ask.effort > Effort::Unsaid && model.reasoning != Some(true),
            ask.prompt_tokens >= UNSTATED_WINDOW && model.context.is_none(),
        ];
        lacks.into_iter().map(i32::from).sum()
    }
}

impl Terms {
    fn summed(mut self) -> Self {
        let parts = [
            self.other_model,
            self.order,
            self.not_local,
            self.spend,
            self.insufficient,
            self.distance,
            self.weakness,
            self.quality,
            self.price,
            self.unconfirmed,
            self.loss,
            self.translated,
            self.not_issuer,
            self.elsewhere,
            self.trouble,
            self.latency,
            self.not_fast,
        ];
        self.total = parts.into_iter().fold(0, i32::saturating_add);
        self
    }
}

fn spend_step(spend: SpendClass) -> i32 {
    match spend {
        SpendClass::Free => 0,
        SpendClass::Included => 1,
        SpendClass::Paid => 2,
    }
}

/// Whether a request is short or casual: no tools, no long prompt, little to think about.
fn is_light(ask: &Ask) -> bool {
    ask.difficulty >= EASY_ENOUGH_FOR_LOCAL
        && ask.prompt_tokens <= SHORT_ENOUGH_FOR_LOCAL
        && ask.effort <= Effort::Low
        && !ask.tools
}

/// The number of losses from which more make no difference.
const MANY_LOSSES: u8 = 3;

fn loss_step(losses: u32) -> i32 {
    i32::from(u8::try_from(losses).unwrap_or(u8::MAX).min(MANY_LOSSES))
}

/// The bucket of a paid model's price; not knowing it is the dearest.
fn price_step(model: &PoolModel) -> i32 {
    if model.spend != SpendClass::Paid {
        return 0;
    }
    let dearest = i32::try_from(PRICE_STEPS.len()).unwrap_or(i32::MAX);
    model.price.map_or(dearest, |price| bucket(price.input + price.output, &PRICE_STEPS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_on_the_way_is_never_worth_money_or_another_model() {
        for weights in [BALANCED, FAST, BEST, FRUGAL] {
            let lost = weights.loss * i32::from(MANY_LOSSES) + weights.translated + weights.not_issuer;
            assert!(lost < weights.spend && weights.spend * 2 < weights.other_model, "{weights:?}");
        }
    }
}
