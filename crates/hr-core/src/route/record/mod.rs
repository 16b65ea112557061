//! What was decided for one request, and from what: small enough to be kept for each, whole enough to be computed
//! again ([`super::replay`]).
//!
//! A [`Draft`] goes along with a request and takes down each plan that somebody was called by, and each call.
//! Closed, it is a [`Record`] of at most [`MAX_BYTES`] of JSON: what matters least is left out first, and how much
//! was left out is said. It names what the configuration names, kinds, numbers and times: no text of the
//! request, no header, no key. [`Subject`] is what a plan is taken down from.

mod draft;
mod name;
mod points;
mod subject;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

pub use draft::Draft;
pub use name::Name;
pub use points::Points;
pub(super) use subject::name_of;
pub use subject::{Subject, short};

use super::ask::{Effort, Hint, Profile, Work};
use super::merits::{Brief, Merits};
use super::turns::Turns;
use crate::catalog::SpendClass;
use crate::failure::FailureKind;
use crate::pool::Rotation;
use crate::quota::Outlook;
use crate::time::Millis;
use crate::usage::Usage;

/// The version of the rules by which candidates are judged. Another number for each change of them, so that no record
/// is computed again by rules that it was not made by.
pub const RULES: u32 = 1;

/// The most bytes of a record.
pub const MAX_BYTES: usize = 2_048;

/// Stands for the id of a model that only the caller knows: it may be any text.
pub const MADE_UP: &str = "(named by the caller)";

/// What was decided for one request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The id of the request.
    pub id: Name,
    /// When it came.
    pub at: Millis,
    /// The rules that candidates were judged by: [`RULES`] of the program that judged.
    pub rules: u32,
    /// The version of the provider files.
    pub catalog: Name,
    /// Where it was asked.
    pub endpoint: Cow<'static, str>,
    /// The status of its answer.
    pub status: u16,
    /// How it ended.
    pub ended: Cow<'static, str>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// The tokens that it cost, as reported.
    #[serde(default, skip_serializing_if = "is_default")]
    pub usage: Usage,
    /// What it asked; absent when it was refused before that was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask: Option<Asked>,
    /// The plans by which somebody was called, and the last one when nobody was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plans: Vec<Planned>,
    /// How many more plans there were.
    #[serde(default, skip_serializing_if = "is_default")]
    pub plans_left_out: u32,
    /// The calls, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Call>,
    /// How many more calls there were.
    #[serde(default, skip_serializing_if = "is_default")]
    pub attempts_left_out: u32,
    /// What the provider that answered was not given, by name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub lost: String,
}

/// What a request asked, as far as routing looks at it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// What kind of answer it wanted.
    pub work: Work,
    /// The preference.
    pub profile: Profile,
    /// The model that it asked for, when it asked for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Name>,
    /// The provider that it asked for, and nobody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<Name>,
    /// The estimated tokens of its prompt.
    pub tokens: u64,
    /// The most tokens of the answer, when it said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output: Option<u64>,
    /// From 1 (hardest) to 5 (easiest).
    pub difficulty: u8,
    /// Whether it offered tools.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tools: bool,
    /// Whether an image was in it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub vision: bool,
    /// Whether a JSON schema bound the answer.
    #[serde(default, skip_serializing_if = "is_default")]
    pub structured: bool,
    /// How much reasoning it wanted.
    #[serde(default, skip_serializing_if = "is_default")]
    pub effort: Effort,
    /// Whether the answer was streamed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub stream: bool,
    /// Whether it would rather have been refused than lose anything.
    #[serde(default, skip_serializing_if = "is_default")]
    pub strict: bool,
    /// What kind of work its caller said it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<Hint>,
    /// Whether only models known to call tools would do.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tool_loop: bool,
    /// Whether its conversation had a name by which it can be at home somewhere.
    #[serde(default, skip_serializing_if = "is_default")]
    pub session: bool,
    /// The dearest class of calls that it might make.
    pub spend: SpendClass,
    /// US dollars that it might cost, when that was bounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cost: Option<f64>,
}

/// A plan, and who was called by it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    /// Its place among the plans of the request.
    #[serde(default, skip_serializing_if = "is_default")]
    pub place: u32,
    /// What the score knew of the request.
    pub brief: Brief,
    /// The number that decides where a rotation begins which has not begun yet.
    pub draw: u64,
    /// The best candidates, without those that could not be begun.
    pub candidates: Vec<Row>,
    /// How many more keys could have been called, of models that are not listed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub left_out: u32,
    /// How many stood further in front but could not be begun: somebody else had just used up their quota, or this
    /// request its budget for such calls.
    #[serde(default, skip_serializing_if = "is_default")]
    pub not_begun: u32,
    /// Who was called: a key of the first candidate, by its place among the member's keys. Nobody, when the request
    /// was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen: Option<u32>,
    /// Who was passed over, by reason; told of the first plan, and of one by which nobody was called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excluded: Vec<PassedOver>,
}

/// A candidate: a model at a provider, with those of its keys that are alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The provider's id.
    pub provider: Name,
    /// The model's id; [`MADE_UP`] where only the caller knows it.
    pub model: Name,
    /// What the score looked at.
    pub merits: Merits,
    /// Its points, those that are not 0; fewer go first.
    pub points: Points,
    /// What was known of the quotas of the first of its keys.
    #[serde(default, skip_serializing_if = "is_default")]
    pub quota: Quota,
    /// The keys that could be called with, in their turn, by their places among the member's; the first ones of them.
    pub keys: Vec<u32>,
    /// How many these are in all.
    pub count: u32,
    /// How its keys take turns; told of the first candidate only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<Turn>,
}

impl Row {
    /// The sum of its points.
    #[must_use]
    pub fn total(&self) -> i32 {
        self.points.values().fold(0, |sum, points| sum.saturating_add(*points))
    }
}

/// How the keys of a model take turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// The rule.
    pub rotation: Rotation,
    /// How many keys there are, those included that may not be asked.
    pub of: u32,
    /// The one whose turn was last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<u32>,
}

impl Turn {
    /// The same with the plan's draw, as whose turn it is was computed from.
    #[must_use]
    pub fn turns(self, draw: u64) -> Turns {
        let Self { rotation, of, last } = self;
        Turns { rotation, keys: of as usize, last: last.map(|last| last as usize), draw }
    }
}

impl From<Turns> for Turn {
    fn from(turns: Turns) -> Self {
        Self { rotation: turns.rotation, of: number(turns.keys), last: turns.last.map(number) }
    }
}

/// What was known of the quotas of a call that there was room for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// What is published, or a guess, says that nothing is left.
    #[serde(default, skip_serializing_if = "is_default")]
    pub likely_spent: bool,
    /// How much is left of what lapses next, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_percent: Option<u8>,
    /// In how many seconds that lapses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lapses_in_s: Option<u64>,
    /// How many calls are left of the scarcest long quota.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls_left: Option<u32>,
}

impl From<Outlook> for Quota {
    fn from(outlook: Outlook) -> Self {
        let Outlook { likely_spent, lapsing, lapses_in, scarce } = outlook;
        // Of a share of anything, whatever came in as a number is between nothing and all of it.
        let percent = |share: f32| (share.clamp(0.0, 1.0) * 100.0).round() as u8;
        Self {
            likely_spent,
            left_percent: lapsing.map(percent),
            lapses_in_s: lapses_in.map(|wait| wait.as_secs()),
            calls_left: scarce,
        }
    }
}

/// Those who were passed over for one reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PassedOver {
    /// The code of the reason ([`super::Gate::code`]).
    pub gate: Cow<'static, str>,
    /// How many.
    pub count: u32,
    /// When the first of them can be asked again, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Millis>,
    /// The failure that led to it, where it is the same for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<FailureKind>,
    /// Some of them: provider, model and key, as far as each is meant.
    pub who: Vec<String>,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// The plan that it came of, by its place among those of the request.
    pub plan: u32,
    /// Who was called.
    #[serde(flatten)]
    pub who: Who,
    /// What came of it.
    pub outcome: Outcome,
    /// The HTTP status of a failure that had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// How long after the request came it was made, in milliseconds.
    pub after_ms: u64,
    /// How long it took until its outcome was known, in milliseconds.
    pub ms: u64,
}

/// What came of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It began to answer well.
    Answered,
    /// Nothing, while anybody waited.
    Abandoned,
    /// This failure.
    #[serde(untagged)]
    Failed(FailureKind),
}

/// Somebody to call, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// The provider's id.
    pub provider: Name,
    /// The model's id; [`MADE_UP`] where only the caller knows it.
    pub model: Name,
    /// The beginning of the key's id.
    pub key: String,
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
