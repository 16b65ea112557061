//! A reply, whole.

use hr_core::catalog::Dialect;
use hr_core::usage::Usage;
use serde_json::Value;

use super::Extras;
use super::request::{Reasoning, ToolCall};

/// Why a reply ended: what all dialects have in common, and the word that was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finish {
    kind: FinishKind,
    raw: Box<str>,
    stop_sequence: Option<Box<str>>,
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
            "stop" | "STOP" | "end_turn" | "eos" | "stop_sequence" | "COMPLETE" | "completed" => {
                FinishKind::Stop
            }
            "length"
            | "max_tokens"
            | "MAX_TOKENS"
            | "model_length"
            | "max_output_tokens"
            | "model_context_window_exceeded" => FinishKind::Length,
            "tool_calls" | "function_call" | "tool_use" | "TOOL_CALL" => FinishKind::ToolCalls,
            "content_filter" | "SAFETY" | "safety" | "sensitive" | "refusal" => FinishKind::ContentFilter,
            _ => FinishKind::Other,
        };
        Self { kind, raw: raw.into(), stop_sequence: None }
    }

    /// The same, with the stop word that was met.
    #[must_use]
    pub fn at(mut self, stop_sequence: Option<&str>) -> Self {
        self.stop_sequence = stop_sequence.map(Into::into);
        self
    }

    /// The stop word that was met, where it was said.
    #[must_use]
    pub fn stop_sequence(&self) -> Option<&str> {
        self.stop_sequence.as_deref()
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
    Reasoning(Reasoning),
    /// The model's own words of refusal.
    Refusal(String),
    /// A call of a tool.
    ToolCall(ToolCall),
    /// A block that only one dialect knows, as it came: a search that the provider ran itself.
    Other {
        /// The dialect.
        origin: Dialect,
        /// The block.
        value: Value,
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
