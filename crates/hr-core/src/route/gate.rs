//! The hard gates, each with a reason code. What is not known never gates.

use serde::Serialize;

use super::ask::{Ask, Work};
use super::slots::{Address, MemberSlots, ModelSlot, ProviderSlot};
use super::spend::LONGEST_ANSWER;
use super::tried::Tried;
use crate::capability::Source;
use crate::failure::FailureKind;
use crate::pool::{Member, PoolModel};
use crate::quota::Hold;
use crate::time::Millis;

/// An estimate of tokens may be off by this factor: a refusal of a prompt that is smaller than the window by
/// more than this speaks of a tier or a rate, not of the window.
pub const ESTIMATE_DOUBT: u64 = 2;

/// The least answer, in tokens, that a window must leave room for.
const LEAST_ANSWER: u64 = 1_024;

/// The longest answer that fits the model's window behind a prompt of this size, where one that is as long as
/// `wanted` does not, as far as the window is known. The size is an estimate, so an eighth of it is kept free.
#[must_use]
pub fn room(model: &PoolModel, prompt_tokens: u64, wanted: u64) -> Option<u64> {
    let window = model.context.filter(|window| prompt_tokens.saturating_add(wanted) > *window)?;
    let taken = prompt_tokens.saturating_add(prompt_tokens / 8);
    Some(window.saturating_sub(taken).max(LEAST_ANSWER))
}

/// Why a candidate is passed over.
#[derive(Serialize, Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// The provider is switched off, or has nothing to serve this with.
    Unavailable,
    /// There is no credential.
    Credential,
    /// The settings leave this model out.
    Excluded,
    /// It is known to have no tools.
    Tools,
    /// It is known not to see images.
    Vision,
    /// It is known not to keep to a JSON schema.
    Structured,
    /// Prompt and answer do not fit its window.
    Context,
    /// The prompt is longer than the settings send here.
    SkipTokensOver,
    /// It refused answers of this length.
    OutputCap,
    /// It refused a parameter that this request has.
    Refuses,
    /// Something would be lost on the way to it, and the caller wants nothing lost.
    Loss,
    /// It would cost more than the request may.
    Spend,
    /// It is not known to call tools, and the caller wants nobody else.
    Unconfirmed,
    /// Its quota is used up.
    Quota,
    /// It is failing, and enough calls went to those who fail.
    Retries,
    /// It rests.
    Cooldown,
    /// Its provider's circuit is open, or half-open with the probe under way.
    Breaker,
    /// This request has tried it.
    Tried,
    /// The caller asked for somebody else, and nobody but them.
    NotAsked,
}

impl Gate {
    /// All reasons.
    pub const ALL: [Self; 19] = [
        Self::Unavailable,
        Self::Credential,
        Self::Excluded,
        Self::Tools,
        Self::Vision,
        Self::Structured,
        Self::Context,
        Self::SkipTokensOver,
        Self::OutputCap,
        Self::Refuses,
        Self::Loss,
        Self::Spend,
        Self::Unconfirmed,
        Self::Quota,
        Self::Retries,
        Self::Cooldown,
        Self::Breaker,
        Self::Tried,
        Self::NotAsked,
    ];

    /// The stable code of the gate, as logs, metrics and responses name it.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Credential => "credential",
            Self::Excluded => "excluded",
            Self::Tools => "tools",
            Self::Vision => "vision",
            Self::Structured => "structured",
            Self::Context => "context",
            Self::SkipTokensOver => "skip_tokens_over",
            Self::OutputCap => "output_cap",
            Self::Refuses => "refuses",
            Self::Loss => "loss",
            Self::Spend => "spend",
            Self::Unconfirmed => "unconfirmed",
            Self::Quota => "quota",
            Self::Retries => "retries",
            Self::Cooldown => "cooldown",
            Self::Breaker => "breaker",
            Self::Tried => "tried",
            Self::NotAsked => "not_asked",
        }
    }
}

/// Who is passed over, and why. Without a key it is true of all keys, without a model of all models.
#[derive(Serialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exclusion {
    /// The member, by index into the pool.
    pub member: usize,
    /// The model, by index into the member; [`super::Candidate::EMBED`] is its embedding model.
    pub model: Option<usize>,
    /// The key, by index into the member.
    pub key: Option<usize>,
    /// The reason.
    pub gate: Gate,
    /// When it ends by itself, where that is known.
    pub until: Option<Millis>,
    /// The failure that led to it.
    pub because: Option<FailureKind>,
    /// How many more keys of the model are passed over for the same reason.
    pub alike: u32,
}

impl Exclusion {
    pub(super) fn new(member: usize, gate: Gate) -> Self {
        Self { member, model: None, key: None, gate, until: None, because: None, alike: 0 }
    }

    pub(super) fn cooling(member: usize, (until, because): (Millis, FailureKind)) -> Self {
        Self { until: Some(until), because: Some(because), ..Self::new(member, Gate::Cooldown) }
    }

    pub(super) fn quota(member: usize, hold: Hold) -> Self {
        Self { until: Some(hold.until), because: Some(hold.because), ..Self::new(member, Gate::Quota) }
    }

    pub(super) fn breaker(member: usize, provider: &ProviderSlot, now: Millis) -> Self {
        Self { until: provider.breaker.open_until(now), ..Self::new(member, Gate::Breaker) }
    }

    pub(super) fn tried(member: usize, because: FailureKind) -> Self {
        Self { because: Some(because), ..Self::new(member, Gate::Tried) }
    }

    pub(super) fn model(self, model: usize) -> Self {
        Self { model: Some(model), ..self }
    }

    pub(super) fn key(self, key: usize) -> Self {
        Self { key: Some(key), ..self }
    }
}

/// Parameters that label, keep, price or count a request: an answer is the same without them.
const BOOKKEEPING: [&str; 7] = [
    "metadata",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "store",
    "user",
];

/// Parameters that mean the same in every dialect; what others mean, a translation has said in its own names.
const COMMON: [&str; 5] = ["parallel_tool_calls", "temperature", "top_k", "top_logprobs", "top_p"];

/// What a member's quirks leave out of this request.
fn dropped<'a>(ask: &'a Ask, member: &'a Member) -> impl Iterator<Item = &'a str> {
    let native = ask.dialect == Some(member.provider.dialect);
    member.provider.quirks.drop.iter().map(String::as_str).filter(move |name| {
        // Which usage is counted is ours to say, and nothing is called in parallel where nothing is offered.
        let says_something = *name != "stream_options" && (ask.tools || *name != "parallel_tool_calls");
        says_something && (native || COMMON.contains(name)) && ask.params.iter().any(|param| param == name)
    })
}

/// How many things a translation for a member loses: none where it speaks the caller's dialect, and none that
/// are known where they were not counted yet.
fn untranslatable(ask: &Ask, member: &Member) -> u32 {
    let dialect = member.provider.dialect;
    if ask.dialect == Some(dialect) { 0 } else { ask.losses.of(dialect).unwrap_or(0) }
}

/// How much of what shapes an answer is lost on the way to a member.
pub(super) fn losses(ask: &Ask, member: &Member) -> u32 {
    let shaping = dropped(ask, member).filter(|name| !BOOKKEEPING.contains(name)).count();
    untranslatable(ask, member).saturating_add(u32::try_from(shaping).unwrap_or(u32::MAX))
}

/// Whether anything at all is lost on the way to a member.
fn loses(ask: &Ask, member: &Member) -> bool {
    ask.work == Work::Chat && (untranslatable(ask, member) > 0 || dropped(ask, member).next().is_some())
}

/// What is lost on the way to a member, in words for the caller.
pub(super) fn lost(ask: &Ask, member: &Member) -> Vec<String> {
    let mut lost: Vec<String> = dropped(ask, member).map(str::to_owned).collect();
    if untranslatable(ask, member) > 0 {
        lost.push(format!("what cannot be said in `{}`", member.provider.dialect.name()));
    }
    lost
}

/// What a gate looks at, whoever it is asked about.
pub(super) struct Gatekeeper<'a> {
    pub(super) now: Millis,
    pub(super) ask: &'a Ask,
    pub(super) tried: &'a Tried,
    /// Output tokens added for a model that reasons.
    pub(super) reasoning_reserve: u64,
    /// Whether an answer may be shorter than the caller allows, where the window leaves no more.
    pub(super) shorten: bool,
    /// Whether a model will do that was once asked for a tool call and answered in words.
    pub(super) wordy: bool,
}

impl Gatekeeper<'_> {
    /// Whether the member as a whole is out.
    pub(super) fn member(&self, index: usize, member: &Member, provider: &ProviderSlot) -> Option<Exclusion> {
        let nothing = match self.ask.work {
            Work::Chat => member.models.is_empty(),
            Work::Embed => member.embed_model.is_none(),
        };
        let gate = if member.off.is_some() || nothing {
            Gate::Unavailable
        } else if member.keys.is_empty() {
            Gate::Credential
        } else if member.skip_tokens_over.is_some_and(|most| self.ask.prompt_tokens > most) {
            Gate::SkipTokensOver
        } else if self.ask.strict && loses(self.ask, member) {
            Gate::Loss
        } else if provider.refusals.hit(self.now, self.ask).is_some() {
            Gate::Refuses
        } else {
            return provider.cooldown.active(self.now).map(|rest| Exclusion::cooling(index, rest));
        };
        Some(Exclusion::new(index, gate))
    }

    /// Whether a chat model is out for what it is or what it taught us.
    pub(super) fn model(
        &self,
        (member_index, member): (usize, &Member),
        (model_index, model): (usize, &PoolModel),
        slot: &ModelSlot,
    ) -> Option<Exclusion> {
        let output = self.output(member, model);
        let gate = if self.lacks_tools(model) {
            Gate::Tools
        } else if self.ask.tool_loop && model.tools.is_none() {
            Gate::Unconfirmed
        } else if self.ask.vision && model.vision == Some(false) {
            Gate::Vision
        } else if self.ask.structured && model.structured == Some(false) {
            Gate::Structured
        } else if self.outgrows(model, output) {
            Gate::Context
        } else if output.is_some_and(|size| slot.output.refuses(self.now, size)) {
            Gate::OutputCap
        } else {
            return self.state(member_index, model_index, slot);
        };
        Some(Exclusion::new(member_index, gate).model(model_index))
    }

    /// Whether a model is known not to call the tools that are offered.
    fn lacks_tools(&self, model: &PoolModel) -> bool {
        if self.ask.tool_loop {
            return model.tools == Some(false);
        }
        self.ask.tools && model.tools == Some(false) && !(self.wordy && once_wordy(model))
    }

    /// Whether a model of any kind is out for its state.
    pub(super) fn state(&self, member: usize, model: usize, slot: &ModelSlot) -> Option<Exclusion> {
        if slot.refusals.hit(self.now, self.ask).is_some() {
            return Some(Exclusion::new(member, Gate::Refuses).model(model));
        }
        if slot.prompt.refuses(self.now, self.ask.prompt_tokens) {
            return Some(Exclusion::new(member, Gate::Context).model(model));
        }
        if let Some(rest) = slot.cooldown.active(self.now) {
            return Some(Exclusion::cooling(member, rest).model(model));
        }
        let kind = self.tried.rules_out(member, model)?;
        Some(Exclusion::tried(member, kind).model(model))
    }

    /// How long an answer this model would be asked for, when the caller said how long.
    pub(super) fn output(&self, member: &Member, model: &PoolModel) -> Option<u64> {
        let reserve = if model.reasoning == Some(true) { self.reasoning_reserve } else { 0 };
        let wanted = self.ask.max_output?.saturating_add(reserve);
        let caps = [member.max_output_tokens, model.max_output];
        let wanted = caps.into_iter().flatten().fold(wanted, u64::min);
        let room = if self.shorten { room(model, self.ask.prompt_tokens, wanted) } else { None };
        Some(room.map_or(wanted, |room| room.min(wanted)))
    }

    /// The longest answer that may come of it, as far as anything bounds it.
    pub(super) fn longest(&self, member: &Member, model: &PoolModel) -> u64 {
        let bounds = [self.output(member, model), member.max_output_tokens, model.max_output];
        bounds.into_iter().flatten().min().unwrap_or(LONGEST_ANSWER)
    }

    /// Whether the request does not fit the model's window, as far as that is known.
    fn outgrows(&self, model: &PoolModel, output: Option<u64>) -> bool {
        let Some(window) = model.context else { return false };
        let size = self.ask.prompt_tokens;
        let answer = output.unwrap_or(0);
        if size.saturating_add(if self.shorten { answer.min(LEAST_ANSWER) } else { answer }) > window {
            return true;
        }
        self.tried
            .too_small()
            .is_some_and(|refused| window <= refused && size.saturating_mul(ESTIMATE_DOUBT) >= refused)
    }
}

/// Whether a model is thought not to call tools for one answer only, which may have been a whim.
pub(super) fn once_wordy(model: &PoolModel) -> bool {
    model.evidence.tools.is_some_and(|witness| witness.source == Source::Probed)
}

/// Why a candidate must not be called now, looking only at rests.
pub(super) fn resting(
    now: Millis,
    provider: &ProviderSlot,
    address: &Address,
) -> Option<(Millis, FailureKind)> {
    let key = &provider.keys[address.key];
    let model = &provider.models[address.model].cooldown;
    let pair = key.pair(address.model).map(|pair| &pair.cooldown);
    [Some(&provider.cooldown), Some(&key.cooldown), Some(model), pair]
        .into_iter()
        .flatten()
        .filter_map(|cooldown| cooldown.active(now))
        .max_by_key(|(until, _)| *until)
}

/// Why a key cannot be used now with any model.
pub(super) fn key_rest(
    now: Millis,
    provider: &ProviderSlot,
    slots: &MemberSlots,
    key: usize,
) -> Option<(Millis, FailureKind)> {
    provider.keys[slots.keys[key]].cooldown.active(now)
}
