//! The few facts about a request that routing may look at.

use serde::{Deserialize, Serialize};

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
            params: Vec::new(),
        }
    }
}
