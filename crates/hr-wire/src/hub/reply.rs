//! A reply, whole.

use hr_core::usage::Usage;

use super::Extras;

/// Why a reply ended: what all dialects have in common, and the word that was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finish {
    kind: FinishKind,
    raw: Box<str>,
}

/// Why a reply ended, in the words of the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishKind {
    /// The model was done, or met a stop word.
    Stop,
    /// The limit of tokens was reached.
    Length,
    /// Tools are called.
    ToolCalls,
    /// A filter withheld what would have come.
    ContentFilter,
    /// A word that is not known; it counts as an end.
    Other,
}

impl Finish {
    /// The finish that a provider named with this word.
    #[must_use]
    pub fn read(raw: &str) -> Self {
        let kind = match raw {
            "stop" | "STOP" | "end_turn" | "eos" | "stop_sequence" | "COMPLETE" => FinishKind::Stop,
            "length" | "max_tokens" | "MAX_TOKENS" | "model_length" => FinishKind::Length,
            "tool_calls" | "function_call" | "tool_use" | "TOOL_CALL" => FinishKind::ToolCalls,
            "content_filter" | "SAFETY" | "safety" | "sensitive" | "refusal" => FinishKind::ContentFilter,
            _ => FinishKind::Other,
        };
        Self { kind, raw: raw.into() }
    }

    /// The finish as what was said bears it out: calls that went out are `tool_calls`, whatever the provider
    /// called it, and without a call there are none. A cut by length stays one.
    #[must_use]
    pub fn borne_out(mut self, calls: bool) -> Self {
        self.kind = match (self.kind, calls) {
            (FinishKind::Stop | FinishKind::Other, true) => FinishKind::ToolCalls,
            (FinishKind::ToolCalls, false) => FinishKind::Stop,
            (kind, _) => kind,
        };
        self
    }

    /// What it means.
    #[must_use]
    pub fn kind(&self) -> FinishKind {
        self.kind
    }

    /// The word that was used.
    #[must_use]
    pub fn raw(&self) -> &str {
        &self.raw
    }
}

/// A block of a reply.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// Text for the reader.
    Text(String),
    /// The model's reasoning.
    Reasoning(String),
    /// The model's own words of refusal.
    Refusal(String),
    /// A call of a tool.
    ToolCall {
        /// The id that its result will name.
        id: String,
        /// The tool.
        name: String,
        /// The arguments as JSON text, exactly as they came.
        arguments: String,
    },
}

/// A whole reply: one choice.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    /// The id of the answer.
    pub id: String,
    /// The model that answered, as the provider names it.
    pub model: String,
    /// When it was made, in seconds since the epoch, as the provider says.
    pub created: u64,
    /// What it says, in order.
    pub blocks: Vec<Block>,
    /// Why it ended; `None` when it did not.
    pub finish: Option<Finish>,
    /// What it cost, as reported.
    pub usage: Option<Usage>,
    /// Fields that only the dialect of origin knows.
    pub extras: Extras,
}
