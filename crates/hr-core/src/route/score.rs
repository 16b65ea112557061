//! The order among those who may be asked: a sum of documented terms, each visible.
//!
//! A term is a small number that is best at 0; a profile gives each a weight; what is stored and shown are
//! the weighted points, so that a row of [`Terms`] adds up to its `total`, and the lowest total goes first.
//! The weights are steps apart on purpose: measured terms come in few buckets and weigh little, so that
//! noise decides nothing that a price or a promise should.
//!
//! Everything is computed from a [`Brief`] and [`Merits`] alone, so that whoever keeps those can compute it again.

use serde::Serialize;

use super::ask::{Hint, Profile, Work};
use super::merits::{AT_A_PRICE, Brief, Merits, Tier};

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
    /// It does not fit the kind of work that the caller named.
    pub unfit: i32,
    /// The conversation is at home with another key or model.
    pub away: i32,
    /// Few calls of a long quota are left, and the request is easier than the model is strong.
    pub scarce: i32,
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
    /// The share of its calls that failed lately, in buckets.
    pub unreliable: i32,
    /// Its measured wait for the first byte, in buckets.
    pub latency: i32,
    /// Nothing of its quota is about to lapse unused.
    pub lapsing: i32,
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
    unfit: i32,
    away: i32,
    /// What a conversation's home is worth where calls are paid: less than a step of the price.
    home_at_a_price: i32,
    scarce: i32,
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
    unreliable: i32,
    latency: i32,
    lapsing: i32,
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
    unfit: 2_000,
    away: 4_000,
    home_at_a_price: 240,
    scarce: 700,
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
    unreliable: 100,
    latency: 30,
    lapsing: 40,
    not_fast: 0,
};

/// The quickest. Nothing is spent for speed that would not be spent anyway.
const FAST: Weights =
    Weights { not_local: 100_000, away: 1_000, distance: 20, latency: 300, not_fast: 600, ..BALANCED };

/// The strongest; among equals, money before what is lost on the way.
const BEST: Weights = Weights {
    spend: 3_000,
    insufficient: 0,
    unfit: 450,
    away: 300,
    home_at_a_price: 19,
    scarce: 0,
    distance: 0,
    weakness: 20_000,
    quality: 1,
    price: 20,
    not_issuer: 900,
    ..BALANCED
};

/// The least money, then the least scarce.
const FRUGAL: Weights = Weights {
    price: 2_500,
    insufficient: 1_500,
    unfit: 1_000,
    away: 2_000,
    home_at_a_price: 2_000,
    ..BALANCED
};

/// Embeddings: vectors of two models do not compare, so the order is fixed.
const EMBED: Weights = Weights {
    order: 100,
    spend: 0,
    insufficient: 0,
    unfit: 0,
    away: 0,
    home_at_a_price: 0,
    scarce: 0,
    distance: 0,
    price: 0,
    unconfirmed: 0,
    loss: 0,
    translated: 0,
    not_issuer: 0,
    elsewhere: 0,
    trouble: 0,
    unreliable: 0,
    latency: 0,
    lapsing: 0,
    ..BALANCED
};

/// The points for not being quick when the prompt is below `FAST_ROUTE_THRESHOLD`, or the caller wants it.
const FAST_ROUTE_POINTS: i32 = 500;

/// A model that is weaker than the request needs by this much is no home to a conversation.
const FAR_TOO_WEAK: i32 = 2;

/// The worst rank of quality that still counts.
const QUALITY_MAX: u32 = 900;

impl Weights {
    fn of(brief: &Brief) -> Self {
        let mut weights = match (brief.work, brief.profile) {
            (Work::Embed, _) => return EMBED,
            (Work::Chat, Profile::Balanced) => BALANCED,
            (Work::Chat, Profile::Fast) => FAST,
            (Work::Chat, Profile::Best) => BEST,
            (Work::Chat, Profile::Frugal) => FRUGAL,
        };
        if brief.quick {
            weights.not_fast = weights.not_fast.max(FAST_ROUTE_POINTS);
        }
        if !brief.light {
            weights.not_local = 0;
        }
        weights
    }
}

/// The points of a candidate with these merits for a request like this.
#[must_use]
pub fn terms(brief: &Brief, merits: &Merits) -> Terms {
    let weights = Weights::of(brief);
    let other_model = weights.other_model * i32::from(merits.other);
    if brief.work == Work::Embed {
        let place = i32::try_from(merits.member).unwrap_or(i32::MAX);
        return Terms { other_model, order: weights.order.saturating_mul(place), ..Terms::default() }
            .summed();
    }
    let distance = i32::from(brief.difficulty) - i32::from(merits.rating);
    let fast = merits.fast || (merits.local && brief.light);
    Terms {
        other_model,
        not_local: weights.not_local * i32::from(!merits.local),
        spend: weights.spend * i32::from(merits.spend),
        insufficient: weights.insufficient * i32::from(distance < 0),
        unfit: weights.unfit * i32::from(!fits(brief, merits)),
        away: away(brief, merits, &weights, distance),
        scarce: weights.scarce * i32::from(distance > 0) * i32::from(merits.scarce),
        distance: weights.distance * distance.abs(),
        weakness: weights.weakness * i32::from(merits.rating),
        quality: weights.quality * i32::try_from(merits.quality.min(QUALITY_MAX)).unwrap_or(i32::MAX),
        price: weights.price * i32::from(merits.price),
        unconfirmed: weights.unconfirmed * i32::from(merits.unconfirmed),
        loss: weights.loss * i32::from(merits.losses),
        translated: weights.translated * i32::from(merits.translated),
        not_issuer: weights.not_issuer * i32::from(brief.issued && merits.issued.is_none()),
        elsewhere: weights.elsewhere * i32::from(merits.shook),
        trouble: weights.trouble * i32::from(merits.trouble),
        unreliable: weights.unreliable * i32::from(merits.unreliable),
        latency: weights.latency * i32::from(merits.latency),
        lapsing: weights.lapsing * i32::from(merits.kept),
        not_fast: weights.not_fast * i32::from(!fast),
        ..Terms::default()
    }
    .summed()
}

/// The points for not being where the conversation is at home: its provider has the start of it in its cache.
fn away(brief: &Brief, merits: &Merits, weights: &Weights, distance: i32) -> i32 {
    if !brief.housed {
        return 0;
    }
    let home = merits.home && distance > -FAR_TOO_WEAK;
    let worth = if merits.spend < AT_A_PRICE { weights.away } else { weights.home_at_a_price };
    weights.away - if home { worth } else { 0 }
}

/// Whether a model fits the kind of work that the caller named; what is not known of its tools may well fit.
fn fits(brief: &Brief, merits: &Merits) -> bool {
    match brief.hint {
        Some(Hint::Coding) => merits.tools,
        Some(Hint::Planning | Hint::Review) => merits.reasons,
        Some(Hint::Vision) => merits.sees,
        Some(Hint::Debug) | None => true,
    }
}

/// A place in the order; the lowest goes first. Fields in the order in which they decide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// Behind a breaker or not; then, but for embeddings, how likely it is that the call is in vain.
    tier: (bool, Tier),
    /// The sum of the terms.
    total: i32,
    /// How long ago it issued something that the conversation holds.
    issued: u32,
    /// When its provider's turn was last; then what the model is worth, then the user's order.
    turn: (u64, u32, u32, u32),
    /// For embeddings, which stay with one provider, the tier decides here.
    late: Tier,
    /// Quota that is used up first, and quota that is kept.
    quota: (u8, u8),
}

/// The place of a candidate. Keys of the same place take turns ([`super::turns`]).
#[must_use]
pub fn rank(brief: &Brief, merits: &Merits, terms: &Terms) -> Rank {
    let chat = brief.work == Work::Chat;
    let turn = if chat { (merits.turn, merits.quality) } else { (0, 0) };
    Rank {
        tier: (merits.tier.is_shut(), if chat { merits.tier } else { Tier::Open }),
        total: terms.total,
        issued: merits.issued.unwrap_or(u32::MAX),
        turn: (turn.0, turn.1, merits.member, merits.model),
        late: merits.tier,
        quota: (merits.kept, merits.scarce),
    }
}

impl Terms {
    /// Each term by its name, as it is shown.
    #[must_use]
    pub fn parts(&self) -> [(&'static str, i32); 22] {
        [
            ("other_model", self.other_model),
            ("order", self.order),
            ("not_local", self.not_local),
            ("spend", self.spend),
            ("insufficient", self.insufficient),
            ("unfit", self.unfit),
            ("away", self.away),
            ("scarce", self.scarce),
            ("distance", self.distance),
            ("weakness", self.weakness),
            ("quality", self.quality),
            ("price", self.price),
            ("unconfirmed", self.unconfirmed),
            ("loss", self.loss),
            ("translated", self.translated),
            ("not_issuer", self.not_issuer),
            ("elsewhere", self.elsewhere),
            ("trouble", self.trouble),
            ("unreliable", self.unreliable),
            ("latency", self.latency),
            ("lapsing", self.lapsing),
            ("not_fast", self.not_fast),
        ]
    }

    fn summed(mut self) -> Self {
        self.total = self.parts().into_iter().fold(0, |sum, (_, points)| sum.saturating_add(points));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::super::merits::MANY_LOSSES;
    use super::*;

    #[test]
    fn what_is_lost_on_the_way_is_never_worth_money_or_another_model() {
        for weights in [BALANCED, FAST, BEST, FRUGAL] {
            let lost = weights.loss * i32::from(MANY_LOSSES)
                + weights.translated
                + weights.not_issuer
                + weights.away;
            assert!(lost < weights.spend && weights.spend * 2 < weights.other_model, "{weights:?}");
        }
    }
    #[test]
    fn a_home_is_worth_more_than_noise_and_less_than_money_or_what_was_issued() {
        for weights in [BALANCED, FAST, BEST, FRUGAL] {
            assert!(weights.away > weights.lapsing * 2 + 90, "{weights:?}");
            assert!(
                weights.away < weights.not_issuer && weights.home_at_a_price < weights.price,
                "{weights:?}"
            );
        }
    }

    #[test]
    fn fitting_the_work_never_promotes_a_model_that_is_too_weak() {
        for weights in [BALANCED, FAST, BEST, FRUGAL] {
            assert!(weights.unfit < weights.insufficient.max(weights.weakness), "{weights:?}");
        }
    }
}
