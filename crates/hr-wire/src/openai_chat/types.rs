//! The shapes on the wire, as far as the hub has a word for what is in them. Everything else is kept in
//! `rest` and goes back as it came.

use hr_core::usage::Usage;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// A message of a request.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct WireMessage {
    /// Who speaks.
    pub role: String,
    /// A string, parts, or nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Value>,
    /// The speaker's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A refusal of the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// Reasoning, in the common spelling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// Reasoning, in the other one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// Calls of tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<WireCall>>,
    /// The call that this is the result of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// All other fields.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A call of a tool.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct WireCall {
    /// Its place among the calls; only in a stream, and not from everyone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// Its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `function`.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What is called, with what.
    #[serde(default)]
    pub function: WireFunction,
}

impl WireCall {
    /// A call of a function.
    #[must_use]
    pub fn of(id: &str, name: &str, arguments: &str) -> Self {
        let function = WireFunction { name: Some(name.to_owned()), arguments: Some(arguments.into()) };
        Self { index: None, id: Some(id.to_owned()), kind: Some("function".to_owned()), function }
    }
}

/// The function of a call.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct WireFunction {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its arguments: JSON text in a string; some servers send the value itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Value>,
}

impl WireFunction {
    /// The arguments as JSON text.
    #[must_use]
    pub fn arguments_text(&self) -> String {
        match &self.arguments {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
        }
    }
}

/// A tool of a request.
#[derive(Debug, Deserialize, Serialize)]
pub struct WireTool {
    /// `function`, `custom`, or a provider's own.
    #[serde(rename = "type")]
    pub kind: String,
    /// The function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<WireToolFunction>,
}

/// The function of a tool.
#[derive(Debug, Deserialize, Serialize)]
pub struct WireToolFunction {
    /// Its name.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The schema of its arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Box<RawValue>>,
    /// Whether the schema binds strictly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

/// A response format.
#[derive(Debug, Deserialize, Serialize)]
pub struct WireFormat {
    /// `text`, `json_object` or `json_schema`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json_schema: Option<WireSchema>,
}

/// The schema of a response format.
#[derive(Debug, Deserialize, Serialize)]
pub struct WireSchema {
    /// Its name.
    pub name: String,
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

/// A whole reply, or a chunk of a streamed one.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct WireReply {
    /// The id of the answer.
    #[serde(default)]
    pub id: String,
    /// `chat.completion` or `chat.completion.chunk`.
    #[serde(default)]
    pub object: String,
    /// When it was made.
    #[serde(default)]
    pub created: u64,
    /// The model.
    #[serde(default)]
    pub model: String,
    /// The choices.
    #[serde(default)]
    pub choices: Vec<WireChoice>,
    /// The usage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<WireUsage>,
    /// All other fields.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A choice of a reply: `message` when it is whole, `delta` in a chunk.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct WireChoice {
    /// Its number.
    #[serde(default)]
    pub index: u64,
    /// What it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<WireAnswer>,
    /// What it adds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta: Option<WireAnswer>,
    /// Why it ended.
    #[serde(default)]
    pub finish_reason: Option<String>,
}

/// What the model says. An empty one in a delta is written as `{}`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct WireAnswer {
    /// `assistant`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Text, or parts of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Value>,
    /// Reasoning, in the common spelling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// Reasoning, in the other one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// A refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// Calls of tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<WireCall>>,
}

/// Usage.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct WireUsage {
    /// Tokens of the prompt.
    #[serde(default)]
    pub prompt_tokens: Option<u64>,
    /// Tokens of the answer.
    #[serde(default)]
    pub completion_tokens: Option<u64>,
    /// Both.
    #[serde(default)]
    pub total_tokens: Option<u64>,
    /// What the prompt is made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_tokens_details: Option<WirePromptDetails>,
    /// What the answer is made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_tokens_details: Option<WireAnswerDetails>,
}

/// What the prompt is made of.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct WirePromptDetails {
    /// Tokens from the provider's cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<u64>,
    /// Tokens written to the provider's cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_tokens: Option<u64>,
}

/// What the answer is made of.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct WireAnswerDetails {
    /// Tokens spent on reasoning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
}

impl From<WireUsage> for Usage {
    fn from(wire: WireUsage) -> Self {
        Self {
            input: wire.prompt_tokens,
            output: wire.completion_tokens,
            cached: wire.prompt_tokens_details.and_then(|details| details.cached_tokens),
            cache_write: wire.prompt_tokens_details.and_then(|details| details.cache_write_tokens),
            reasoning: wire.completion_tokens_details.and_then(|details| details.reasoning_tokens),
        }
    }
}

impl From<Usage> for WireUsage {
    fn from(usage: Usage) -> Self {
        Self {
            prompt_tokens: usage.input,
            completion_tokens: usage.output,
            total_tokens: usage.total(),
            prompt_tokens_details: usage.cached.or(usage.cache_write).map(|_| WirePromptDetails {
                cached_tokens: usage.cached,
                cache_write_tokens: usage.cache_write,
            }),
            completion_tokens_details: usage
                .reasoning
                .map(|reasoning| WireAnswerDetails { reasoning_tokens: Some(reasoning) }),
        }
    }
}
