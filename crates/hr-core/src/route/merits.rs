//! What the score looks at: of a request in a [`Brief`], of a candidate in its [`Merits`].
//!
//! Both are small and plain, so that a decision can be kept with them and be computed again. What was measured
//! stands in them as buckets.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ask::{Ask, Effort, Hint, Profile, Target, Work};
use super::gate::losses;
use super::slots::{Average, ModelSlot, ProviderSlot};
use super::tried::Tried;
use crate::catalog::SpendClass;
use crate::pool::{Member, PoolModel, Rotation, RouteRules};
use crate::quota::Outlook;
use crate::time::Millis;

/// From this difficulty on, the fast profile is served by the user's own machine.
const EASY_ENOUGH_FOR_LOCAL: u8 = 3;

/// The longest prompt that it is given for being quick: more takes it long to read.
const SHORT_ENOUGH_FOR_LOCAL: u64 = 8_000;

/// A window that nobody stated is trusted with prompts below this.
const UNSTATED_WINDOW: u64 = 8_192;

/// The number of losses from which more make no difference.
pub(super) const MANY_LOSSES: u8 = 3;

/// Waits in milliseconds that part the buckets of latency.
const LATENCY_STEPS: [f64; 3] = [2_000.0, 5_000.0, 15_000.0];

/// USD per million tokens, in and out together, that part the buckets of price.
const PRICE_STEPS: [f64; 5] = [0.5, 1.0, 2.5, 6.0, 15.0];

/// The bucket of a price that nobody knows: the dearest.
const PRICE_UNKNOWN: u8 = 5;

/// The step of calls that cost money.
pub(super) const AT_A_PRICE: u8 = 2;

/// Within which time which part of a quota has to lapse so that it is used up first; the best bucket first.
const LAPSING_STEPS: [(Duration, f32); 2] =
    [(Duration::from_secs(30 * 60), 0.5), (Duration::from_secs(2 * 60 * 60), 0.25)];

/// The bucket of a quota of which nothing is about to lapse.
const KEPT: u8 = 2;

/// Calls left of a long quota that part the buckets of scarcity.
const SCARCE_STEPS: [u32; 2] = [100, 20];

/// Weights of recent trouble that part its buckets.
const TROUBLE_STEPS: [f64; 2] = [0.5, 2.0];

/// What the score knows of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brief {
    /// What kind of answer is wanted.
    #[serde(rename = "w")]
    pub work: Work,
    /// The preference.
    #[serde(rename = "p")]
    pub profile: Profile,
    /// From 1 (hardest) to 5 (easiest).
    #[serde(rename = "d")]
    pub difficulty: u8,
    /// What kind of work the caller says it is; [`Hint::Vision`] only with an image.
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<Hint>,
    /// Whether a quick answer is wanted.
    #[serde(rename = "q", default, skip_serializing_if = "is_default")]
    pub quick: bool,
    /// Whether it is short or casual, so that the user's own machine is quick with it.
    #[serde(rename = "l", default, skip_serializing_if = "is_default")]
    pub light: bool,
    /// Whether somebody issued opaque things that it holds.
    #[serde(rename = "i", default, skip_serializing_if = "is_default")]
    pub issued: bool,
    /// Whether its conversation is at home somewhere.
    #[serde(rename = "s", default, skip_serializing_if = "is_default")]
    pub housed: bool,
}

impl Brief {
    /// The brief of a request whose conversation is at home somewhere or not.
    pub(super) fn new(ask: &Ask, rules: &RouteRules, housed: bool) -> Self {
        let short = (1..rules.fast_route_threshold).contains(&ask.prompt_tokens);
        Self {
            work: ask.work,
            profile: ask.profile,
            difficulty: ask.difficulty,
            hint: ask.hint.filter(|hint| *hint != Hint::Vision || ask.vision),
            quick: ask.work == Work::Chat && (short || ask.hint == Some(Hint::Debug)),
            light: is_light(ask),
            issued: !ask.issuers.is_empty(),
            housed,
        }
    }
}

/// Whether a request is short or casual: no tools, no long prompt, little to think about.
fn is_light(ask: &Ask) -> bool {
    ask.difficulty >= EASY_ENOUGH_FOR_LOCAL
        && ask.prompt_tokens <= SHORT_ENOUGH_FOR_LOCAL
        && ask.effort <= Effort::Low
        && !ask.tools
}

/// How likely it is that a call is in vain; a higher tier is asked only after all of the lower ones, and those
/// behind a breaker only when there is nobody else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Nothing speaks against it.
    #[default]
    Open,
    /// What is published, or a guess, says that its quota is used up.
    Doubtful,
    /// Its quota is used up, unless its limit has grown.
    Limit,
    /// It has failed lately.
    Suspect,
    /// Its provider's breaker is open.
    Shut,
    /// Both.
    SuspectShut,
}

impl Tier {
    /// Whether it is behind a breaker.
    #[must_use]
    pub fn is_shut(self) -> bool {
        self >= Self::Shut
    }
}

/// What the score looks at of a candidate: of a model at a provider, with those of its keys that are alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Merits {
    /// The member, by index into the pool.
    #[serde(rename = "m")]
    pub member: u32,
    /// The model, by index into the member; the highest number for the embedding model.
    #[serde(rename = "n")]
    pub model: u32,
    /// How likely it is that the call is in vain.
    #[serde(rename = "t", skip_serializing_if = "is_default")]
    pub tier: Tier,
    /// It is not the model that was asked for.
    #[serde(rename = "o", skip_serializing_if = "is_default")]
    pub other: bool,
    /// From 1 (outstanding) to 5 (basic).
    #[serde(rename = "r", skip_serializing_if = "is_default")]
    pub rating: u8,
    /// Tie-break among equals: lower is better.
    #[serde(rename = "q", skip_serializing_if = "is_default")]
    pub quality: u32,
    /// What a call costs: 0 nothing, 1 nothing more, 2 money.
    #[serde(rename = "s", skip_serializing_if = "is_default")]
    pub spend: u8,
    /// How dear it is, in buckets, when calls are paid.
    #[serde(rename = "p", skip_serializing_if = "is_default")]
    pub price: u8,
    /// It is on the user's own machine.
    #[serde(rename = "l", skip_serializing_if = "is_default")]
    pub local: bool,
    /// Its provider is known to be quick.
    #[serde(rename = "f", skip_serializing_if = "is_default")]
    pub fast: bool,
    /// It may call tools.
    #[serde(rename = "ct", skip_serializing_if = "is_default")]
    pub tools: bool,
    /// It is known to see images.
    #[serde(rename = "cv", skip_serializing_if = "is_default")]
    pub sees: bool,
    /// It is known to reason.
    #[serde(rename = "cr", skip_serializing_if = "is_default")]
    pub reasons: bool,
    /// How many abilities the request needs that nobody confirmed.
    #[serde(rename = "u", skip_serializing_if = "is_default")]
    pub unconfirmed: u8,
    /// How many things are lost on the way to it, up to a few.
    #[serde(rename = "x", skip_serializing_if = "is_default")]
    pub losses: u8,
    /// It does not speak the caller's dialect.
    #[serde(rename = "y", skip_serializing_if = "is_default")]
    pub translated: bool,
    /// How long ago, in turns of issuers, its key issued something that the conversation holds.
    #[serde(rename = "i", skip_serializing_if = "is_default")]
    pub issued: Option<u32>,
    /// The conversation is at home with it.
    #[serde(rename = "h", skip_serializing_if = "is_default")]
    pub home: bool,
    /// Its provider has failed this very request.
    #[serde(rename = "e", skip_serializing_if = "is_default")]
    pub shook: bool,
    /// Its provider's trouble of the last minute, in buckets.
    #[serde(rename = "b", skip_serializing_if = "is_default")]
    pub trouble: u8,
    /// The share of its calls that failed lately, in buckets.
    #[serde(rename = "v", skip_serializing_if = "is_default")]
    pub unreliable: u8,
    /// Its measured wait for the first byte, in buckets.
    #[serde(rename = "w", skip_serializing_if = "is_default")]
    pub latency: u8,
    /// How little of its quota is about to lapse unused, in buckets.
    #[serde(rename = "k", skip_serializing_if = "is_default")]
    pub kept: u8,
    /// How few calls of a long quota are left, in buckets.
    #[serde(rename = "z", skip_serializing_if = "is_default")]
    pub scarce: u8,
    /// When its provider's turn was last, as a count of all turns.
    #[serde(rename = "a", skip_serializing_if = "is_default")]
    pub turn: u64,
}

impl Merits {
    /// The same with what is known of a key's quotas. Where keys are drained one after the other, what is about to
    /// lapse does not change their order.
    pub(super) fn with_outlook(self, outlook: &Outlook, rotation: Rotation) -> Self {
        let kept = if rotation == Rotation::Sequential { KEPT } else { kept(outlook) };
        let scarce =
            outlook.scarce.map_or(0, |calls| SCARCE_STEPS.iter().map(|step| u8::from(calls <= *step)).sum());
        Self { kept, scarce, ..self }
    }
}

/// How little of a quota is about to lapse unused: 0 where much is, and soon.
fn kept(outlook: &Outlook) -> u8 {
    let (Some(left), Some(wait)) = (outlook.lapsing, outlook.lapses_in) else { return KEPT };
    let hit = LAPSING_STEPS.iter().position(|(within, least)| wait <= *within && left >= *least);
    hit.and_then(|step| u8::try_from(step).ok()).unwrap_or(KEPT)
}

/// What is left out of a record.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// How many steps a value has passed.
pub(super) fn bucket(value: f64, steps: &[f64]) -> u8 {
    steps.iter().map(|step| u8::from(value >= *step)).sum()
}

/// Finds out the merits of candidates for one request.
pub(super) struct Assessor<'a> {
    now: Millis,
    ask: &'a Ask,
    tried: &'a Tried,
}

impl<'a> Assessor<'a> {
    pub(super) fn new(now: Millis, ask: &'a Ask, tried: &'a Tried) -> Self {
        Self { now, ask, tried }
    }

    /// The merits of a chat model at a member, whatever the key.
    pub(super) fn chat(
        &self,
        (index, member): (usize, &Member),
        (at, model): (usize, &PoolModel),
        (provider, slot): (&ProviderSlot, &ModelSlot),
    ) -> Merits {
        let latency = Average::fresh(slot.first_byte, self.now);
        Merits {
            other: self.is_other(&model.id),
            rating: model.rating,
            quality: model.quality,
            spend: spend_step(model.spend),
            price: price_bucket(model),
            local: member.provider.local,
            fast: member.provider.fast,
            tools: model.tools != Some(false),
            sees: model.vision == Some(true),
            reasons: model.reasoning == Some(true),
            unconfirmed: self.unconfirmed(model),
            losses: u8::try_from(losses(self.ask, member)).unwrap_or(u8::MAX).min(MANY_LOSSES),
            translated: self.ask.dialect != Some(member.provider.dialect),
            shook: self.tried.shook(index),
            trouble: bucket(provider.trouble.level(self.now), &TROUBLE_STEPS),
            unreliable: slot.reliability.bucket(self.now),
            latency: latency.map_or(0, |millis| bucket(millis, &LATENCY_STEPS)),
            turn: provider.turn,
            ..placed(index, at)
        }
    }

    /// The merits of a member's embedding model.
    pub(super) fn embed(&self, index: usize, model: &str) -> Merits {
        Merits { other: self.is_other(model), ..placed(index, usize::MAX) }
    }

    fn is_other(&self, id: &str) -> bool {
        match &self.ask.target {
            Target::Prefer(preferred) => preferred != id,
            Target::Profile(_) | Target::Pin { .. } => false,
        }
    }

    fn unconfirmed(&self, model: &PoolModel) -> u8 {
        let ask = self.ask;
        let lacks = [
            ask.tools && model.tools.is_none(),
            ask.vision && model.vision.is_none(),
            ask.effort > Effort::Unsaid && model.reasoning != Some(true),
            ask.prompt_tokens >= UNSTATED_WINDOW && model.context.is_none(),
        ];
        lacks.into_iter().map(u8::from).sum()
    }
}

/// Merits of somebody of whom only the place is known.
fn placed(member: usize, model: usize) -> Merits {
    let number = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
    Merits { member: number(member), model: number(model), ..Merits::default() }
}

fn spend_step(spend: SpendClass) -> u8 {
    match spend {
        SpendClass::Free => 0,
        SpendClass::Included => 1,
        SpendClass::Paid => AT_A_PRICE,
    }
}

/// The bucket of a paid model's price.
fn price_bucket(model: &PoolModel) -> u8 {
    match model.price {
        _ if model.spend != SpendClass::Paid => 0,
        Some(price) => bucket(price.input + price.output, &PRICE_STEPS),
        None => PRICE_UNKNOWN,
    }
}
