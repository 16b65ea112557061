//! The shapes on the wire, as far as the hub has a word for what is in them.
//!
//! One shape serves all blocks, since what a block holds is decided by its `type`. What must come back as it was
//! written (inputs of tools, schemas) stays JSON text.

use std::borrow::Cow;

use hr_core::usage::Usage;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// A message of a request.
#[derive(Debug, Deserialize)]
pub struct WireMessage<'a> {
    /// Who speaks.
    pub role: String,
    /// A string or blocks.
    #[serde(borrow)]
    pub content: &'a RawValue,
}

/// A block, of a request or of a reply.
#[derive(Debug, Default, Deserialize)]
pub struct WireBlock<'a> {
    /// What it is.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// The text of `text`.
    #[serde(default)]
    pub text: Option<String>,
    /// The reasoning of `thinking`.
    #[serde(default)]
    pub thinking: Option<String>,
    /// The signature over it.
    #[serde(default)]
    pub signature: Option<String>,
    /// What `redacted_thinking` holds.
    #[serde(default)]
    pub data: Option<String>,
    /// Where an image or a document is; the name of where a search result comes from.
    #[serde(default)]
    pub source: Option<Value>,
    /// The title of a document or a search result.
    #[serde(default)]
    pub title: Option<String>,
    /// What the sender says about a document.
    #[serde(default)]
    pub context: Option<String>,
    /// What a text cites; whether a document may be cited.
    #[serde(default)]
    pub citations: Option<Value>,
    /// The id of a call.
    #[serde(default)]
    pub id: Option<String>,
    /// The tool that is called.
    #[serde(default)]
    pub name: Option<String>,
    /// What it is called with.
    #[serde(borrow, default)]
    pub input: Option<&'a RawValue>,
    /// The call that a result answers.
    #[serde(default)]
    pub tool_use_id: Option<String>,
    /// What is in a result: a string or blocks.
    #[serde(borrow, default)]
    pub content: Option<&'a RawValue>,
    /// Whether the tool failed.
    #[serde(default)]
    pub is_error: Option<bool>,
    /// The tool that a `tool_reference` names.
    #[serde(default)]
    pub tool_name: Option<String>,
    /// The tool that is added or removed on the way.
    #[serde(default)]
    pub tool: Option<Value>,
    /// A mark of what is worth caching.
    #[serde(default)]
    pub cache_control: Option<CacheControl>,
}

impl WireBlock<'_> {
    /// Whether it is a text with citations.
    #[must_use]
    pub fn cites(&self) -> bool {
        self.citations.as_ref().and_then(Value::as_array).is_some_and(|citations| !citations.is_empty())
    }
}

/// A mark of what is worth caching.
#[derive(Debug, Deserialize)]
pub struct CacheControl {
    /// How long.
    #[serde(default)]
    pub ttl: Option<String>,
}

/// A tool of a request.
#[derive(Debug, Deserialize)]
pub struct WireTool<'a> {
    /// Nothing or `custom` for the caller's own; else one that is known by its type.
    #[serde(rename = "type", default)]
    pub kind: Option<String>,
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
    /// The schema of its input.
    #[serde(borrow, default)]
    pub input_schema: Option<&'a RawValue>,
    /// Whether the schema binds strictly.
    #[serde(default)]
    pub strict: Option<bool>,
    /// Whether it is shown only once it was searched for.
    #[serde(default)]
    pub defer_loading: Option<bool>,
    /// Inputs that show how it is used.
    #[serde(borrow, default)]
    pub input_examples: Option<&'a RawValue>,
    /// Who may call it: the model (`direct`), or programs that the API runs.
    #[serde(default)]
    pub allowed_callers: Option<Vec<String>>,
    /// A mark of what is worth caching.
    #[serde(default)]
    pub cache_control: Option<CacheControl>,
}

/// A whole reply.
#[derive(Debug, Default, Deserialize)]
pub struct WireReply<'a> {
    /// The id of the answer.
    #[serde(default)]
    pub id: String,
    /// The model that answered.
    #[serde(default)]
    pub model: String,
    /// What it says; nothing where there is no such field.
    #[serde(borrow, default)]
    pub content: Option<Vec<&'a RawValue>>,
    /// What went wrong.
    #[serde(borrow, default)]
    pub error: Option<&'a RawValue>,
    /// Why it ended.
    #[serde(default)]
    pub stop_reason: Option<String>,
    /// The stop word that was met.
    #[serde(default)]
    pub stop_sequence: Option<String>,
    /// More about why it ended.
    #[serde(default)]
    pub stop_details: Option<StopDetails>,
    /// What it cost.
    #[serde(default)]
    pub usage: Option<WireUsage>,
}

/// More about why a reply ended.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct StopDetails {
    /// In words.
    #[serde(default)]
    pub explanation: Option<String>,
}

/// An event of a stream.
#[derive(Debug, Deserialize)]
pub struct WireEvent<'a> {
    /// What it is.
    #[serde(rename = "type", borrow, default)]
    pub kind: Cow<'a, str>,
    /// The number of the block it is about.
    #[serde(default)]
    pub index: u64,
    /// The message that begins.
    #[serde(borrow, default)]
    pub message: Option<WireReply<'a>>,
    /// The block that begins.
    #[serde(borrow, default)]
    pub content_block: Option<&'a RawValue>,
    /// What is added to a block or a message.
    #[serde(borrow, default)]
    pub delta: Option<WireDelta<'a>>,
    /// What it cost so far.
    #[serde(default)]
    pub usage: Option<WireUsage>,
    /// What went wrong.
    #[serde(borrow, default)]
    pub error: Option<&'a RawValue>,
}

/// What is added to a block, or to the message at its end.
#[derive(Debug, Default, Deserialize)]
pub struct WireDelta<'a> {
    /// What it is.
    #[serde(rename = "type", borrow, default)]
    pub kind: Cow<'a, str>,
    /// Of `text_delta`.
    #[serde(borrow, default)]
    pub text: Option<Cow<'a, str>>,
    /// Of `thinking_delta`.
    #[serde(borrow, default)]
    pub thinking: Option<Cow<'a, str>>,
    /// Of `signature_delta`.
    #[serde(borrow, default)]
    pub signature: Option<Cow<'a, str>>,
    /// Of `input_json_delta`.
    #[serde(borrow, default)]
    pub partial_json: Option<Cow<'a, str>>,
    /// Why the message ended.
    #[serde(default)]
    pub stop_reason: Option<String>,
    /// The stop word that was met.
    #[serde(default)]
    pub stop_sequence: Option<String>,
    /// More about why it ended.
    #[serde(default)]
    pub stop_details: Option<StopDetails>,
}

/// What a reply cost. In a stream the numbers grow: each one replaces the one before.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
pub struct WireUsage {
    /// Tokens of the prompt that are not in the other two.
    #[serde(default, deserialize_with = "count")]
    pub input_tokens: Option<u64>,
    /// Tokens of the prompt that were written to the cache.
    #[serde(default, deserialize_with = "count")]
    pub cache_creation_input_tokens: Option<u64>,
    /// Tokens of the prompt that came from the cache.
    #[serde(default, deserialize_with = "count")]
    pub cache_read_input_tokens: Option<u64>,
    /// Tokens of the answer.
    #[serde(default, deserialize_with = "count")]
    pub output_tokens: Option<u64>,
    /// How they were spent.
    #[serde(default)]
    pub output_tokens_details: Option<OutputDetails>,
}

/// How the tokens of an answer were spent.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
pub struct OutputDetails {
    /// On reasoning.
    #[serde(default, deserialize_with = "count")]
    pub thinking_tokens: Option<u64>,
}

impl WireUsage {
    /// Takes over what a later report says.
    pub fn update(&mut self, later: Self) {
        self.input_tokens = later.input_tokens.or(self.input_tokens);
        self.cache_creation_input_tokens =
            later.cache_creation_input_tokens.or(self.cache_creation_input_tokens);
        self.cache_read_input_tokens = later.cache_read_input_tokens.or(self.cache_read_input_tokens);
        self.output_tokens = later.output_tokens.or(self.output_tokens);
        self.output_tokens_details = later.output_tokens_details.or(self.output_tokens_details);
    }
}

impl From<WireUsage> for Usage {
    /// The cached tokens stand outside of `input_tokens` here and inside of them everywhere else.
    fn from(wire: WireUsage) -> Self {
        let parts = [wire.input_tokens, wire.cache_creation_input_tokens, wire.cache_read_input_tokens];
        let said = parts.iter().any(Option::is_some);
        Self {
            input: said.then(|| parts.iter().flatten().fold(0, |sum: u64, part| sum.saturating_add(*part))),
            output: wire.output_tokens,
            cached: wire.cache_read_input_tokens,
            cache_write: wire.cache_creation_input_tokens,
            reasoning: wire.output_tokens_details.and_then(|details| details.thinking_tokens),
        }
    }
}

/// A count of tokens, as compatible servers write it too: `12`, `12.0`, `"12"`; anything else says nothing.
fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let written = match Option::<Value>::deserialize(deserializer)? {
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::String(text)) => text,
        _ => return Ok(None),
    };
    Ok(written.split('.').next().and_then(|whole| whole.parse().ok()))
}

/// The usage as it is told to callers, all keys of the published schema.
#[must_use]
pub fn usage_json(usage: &Usage) -> Value {
    let (cached, written) = (usage.cached.unwrap_or(0), usage.cache_write.unwrap_or(0));
    let fresh = usage.input.unwrap_or(0).saturating_sub(cached).saturating_sub(written);
    let mut fields = Map::new();
    fields.insert("input_tokens".into(), fresh.into());
    fields.insert("cache_creation_input_tokens".into(), written.into());
    fields.insert("cache_read_input_tokens".into(), cached.into());
    fields.insert("cache_creation".into(), Value::Null);
    fields.insert("output_tokens".into(), usage.output.unwrap_or(0).into());
    let details = usage.reasoning.map(|tokens| serde_json::json!({ "thinking_tokens": tokens }));
    fields.insert("output_tokens_details".into(), details.unwrap_or(Value::Null));
    fields.insert("server_tool_use".into(), Value::Null);
    fields.insert("service_tier".into(), "standard".into());
    fields.insert("inference_geo".into(), Value::Null);
    Value::Object(fields)
}
