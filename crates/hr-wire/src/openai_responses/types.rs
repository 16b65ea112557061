//! The shapes on the wire, as far as the hub has a word for what is in them. Items are read as values: there
//! are some thirty types of them, and what is not known goes on as it came.

use hr_core::usage::Usage;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// A tool of a request. Unlike in other dialects, nothing of it is nested.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct WireTool {
    /// `function`, `custom`, `namespace`, or one that the provider runs itself.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// Its name; tools that the provider runs have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The schema of a function's arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Box<RawValue>>,
    /// Whether the schema binds strictly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
    /// The grammar of a custom tool's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Box<RawValue>>,
    /// Whether it is shown only once it was searched for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defer_loading: Option<bool>,
    /// The tools of a namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<Box<RawValue>>>,
}

/// `text`: how the answer is to be written.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct WireText {
    /// Its shape.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<WireFormat>,
    /// How wordy it is to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verbosity: Option<String>,
}

/// The shape of an answer.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct WireFormat {
    /// `text`, `json_object` or `json_schema`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// The schema's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The schema itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Box<RawValue>>,
    /// Whether it binds strictly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

/// `reasoning`: what is wanted of it.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct WireReasoning {
    /// How much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effort: Option<String>,
    /// Which summary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// The older name of `summary`.
    #[serde(default, skip_serializing)]
    pub generate_summary: Option<String>,
    /// Which turns it looks at.
    #[serde(default, skip_serializing)]
    pub context: Option<String>,
    /// How it is gone about.
    #[serde(default, skip_serializing)]
    pub mode: Option<String>,
}

/// A response, whole, or as an event of a stream carries it.
#[derive(Debug, Default, Deserialize)]
pub struct WireResponse {
    /// Its id.
    #[serde(default)]
    pub id: String,
    /// The model.
    #[serde(default)]
    pub model: String,
    /// When it was made; some servers write a fraction.
    #[serde(default)]
    pub created_at: Option<f64>,
    /// `completed`, `incomplete`, `failed`, `in_progress`…
    #[serde(default)]
    pub status: Option<String>,
    /// Why it failed.
    #[serde(default)]
    pub error: Option<Value>,
    /// Why it is not complete.
    #[serde(default)]
    pub incomplete_details: Option<WireIncomplete>,
    /// The items.
    #[serde(default)]
    pub output: Option<Vec<Value>>,
    /// What it cost.
    #[serde(default)]
    pub usage: Option<WireUsage>,
}

/// Why a response is not complete.
#[derive(Debug, Default, Deserialize)]
pub struct WireIncomplete {
    /// `max_output_tokens` or `content_filter`.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Usage.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct WireUsage {
    /// Tokens of the prompt.
    #[serde(default)]
    pub input_tokens: Option<u64>,
    /// Tokens of the answer.
    #[serde(default)]
    pub output_tokens: Option<u64>,
    /// What the prompt is made of.
    #[serde(default)]
    pub input_tokens_details: Option<WireInputDetails>,
    /// What the answer is made of.
    #[serde(default)]
    pub output_tokens_details: Option<WireOutputDetails>,
}

/// What the prompt is made of.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct WireInputDetails {
    /// Tokens from the provider's cache.
    #[serde(default)]
    pub cached_tokens: Option<u64>,
    /// Tokens written to the provider's cache.
    #[serde(default)]
    pub cache_write_tokens: Option<u64>,
}

/// What the answer is made of.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct WireOutputDetails {
    /// Tokens spent on reasoning.
    #[serde(default)]
    pub reasoning_tokens: Option<u64>,
}

impl From<WireUsage> for Usage {
    fn from(wire: WireUsage) -> Self {
        Self {
            input: wire.input_tokens,
            output: wire.output_tokens,
            cached: wire.input_tokens_details.and_then(|details| details.cached_tokens),
            cache_write: wire.input_tokens_details.and_then(|details| details.cache_write_tokens),
            reasoning: wire.output_tokens_details.and_then(|details| details.reasoning_tokens),
        }
    }
}

/// Usage as this dialect's clients need it: all numbers are there, since typed ones insist on them.
#[must_use]
pub fn wire_usage(usage: Usage) -> Value {
    serde_json::json!({
        "input_tokens": usage.input.unwrap_or(0),
        "input_tokens_details": {
            "cached_tokens": usage.cached.unwrap_or(0),
            "cache_write_tokens": usage.cache_write.unwrap_or(0),
        },
        "output_tokens": usage.output.unwrap_or(0),
        "output_tokens_details": {"reasoning_tokens": usage.reasoning.unwrap_or(0)},
        "total_tokens": usage.total().unwrap_or(0),
    })
}
