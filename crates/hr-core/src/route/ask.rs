//! The few facts about a request that routing may look at.

use serde::{Deserialize, Serialize};

use super::spend::Allowance;
use crate::catalog::Dialect;
use crate::secret::KeyId;

/// A named preference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// The cheapest model that is strong enough.
    #[default]
    Balanced,
    /// The quickest answer: local and fast providers first for what they can do.
    Fast,
    /// The strongest model first.
    Best,
    /// The least money and the least scarce quota first.
    Frugal,
}

/// What the caller asked to be served by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Anyone, by preference.
    Profile(Profile),
    /// This model first, then anyone.
    Prefer(String),
    /// This provider and model, nobody else.
    Pin {
        /// The provider's id.
        provider: String,
        /// The model's id at that provider.
        model: String,
    },
}

/// What kind of answer is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// A chat completion.
    #[default]
    Chat,
    /// Embedding vectors.
    Embed,
}

/// How much reasoning was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effort {
    /// Not said, or none.
    #[default]
    Unsaid,
    /// A little.
    Low,
    /// Some.
    Medium,
    /// Much: the first token may take long.
    High,
}

/// What kind of work a caller says its request is (`X-Hermes-Workload-Hint`); `general` is the same as nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hint {
    /// To think out what to do: models that reason fit.
    Planning,
    /// To write code: models with tools fit.
    Coding,
    /// To read code: models that reason fit.
    Review,
    /// To try things out: quick answers fit.
    Debug,
    /// To look at images: models that see fit.
    Vision,
}

/// How many things of a request each dialect cannot carry; what was not counted yet is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses([Option<u32>; Dialect::ALL.len()]);

impl Losses {
    /// Notes how many things a dialect cannot carry.
    pub fn note(&mut self, dialect: Dialect, count: usize) {
        self.0[dialect as usize] = Some(u32::try_from(count).unwrap_or(u32::MAX));
    }

    /// How many things a dialect cannot carry, when that was counted.
    #[must_use]
    pub fn of(&self, dialect: Dialect) -> Option<u32> {
        self.0[dialect as usize]
    }
}

/// The facts about a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    /// What it wants to be served by.
    pub target: Target,
    /// The preference, also for a preferred model's substitutes.
    pub profile: Profile,
    /// What kind of answer is wanted.
    pub work: Work,
    /// A cheap estimate of the prompt's tokens, tools included.
    pub prompt_tokens: u64,
    /// The most tokens of the answer, when the caller said.
    pub max_output: Option<u64>,
    /// From 1 (hardest) to 5 (easiest), from the text alone.
    pub difficulty: u8,
    /// Whether tools are offered.
    pub tools: bool,
    /// Whether an image is in it.
    pub vision: bool,
    /// Whether a JSON schema binds the answer.
    pub structured: bool,
    /// How much reasoning is wanted.
    pub effort: Effort,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// What the caller speaks; `None` when every provider needs a translation.
    pub dialect: Option<Dialect>,
    /// What a translation would lose.
    pub losses: Losses,
    /// Whether the caller would rather be refused than lose anything.
    pub strict: bool,
    /// Who issued the opaque things in the conversation, the latest last: they are lost on anybody else.
    pub issuers: Vec<KeyId>,
    /// What calls for it may cost.
    pub allowance: Allowance,
    /// The conversation that it belongs to: a number made of its caller and what tells conversations apart.
    pub session: Option<u64>,
    /// Whether the conversation begins with it, as far as is known: it is at home nowhere yet. Requests that only happen
    /// to be alike begin alike.
    pub begins: bool,
    /// What kind of work its caller says it is.
    pub hint: Option<Hint>,
    /// Whether only models that are known to call tools will do.
    pub tool_loop: bool,
    /// The names of its top-level parameters, to steer clear of who refuses one of them.
    pub params: Vec<String>,
}

impl Default for Ask {
    fn default() -> Self {
        Self {
            target: Target::Profile(Profile::Balanced),
            profile: Profile::Balanced,
            work: Work::Chat,
            prompt_tokens: 0,
            max_output: None,
            difficulty: 3,
            tools: false,
            vision: false,
            structured: false,
            effort: Effort::Unsaid,
            stream: false,
            dialect: Some(Dialect::OpenaiChat),
            losses: Losses::default(),
            strict: false,
            issuers: Vec::new(),
            allowance: Allowance::default(),
            session: None,
            begins: false,
            hint: None,
            tool_loop: false,
            params: Vec::new(),
        }
    }
}
