//! The shapes on the wire, as far as the hub has a word for what is in them. Everything else is kept in
//! `rest` and goes back as it came.

use hr_core::catalog::Dialect;
use hr_core::usage::Usage;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::hub::{CallKind, Opaque, OpaqueKind, ToolCall};

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
    /// The call of the older `functions`.
    #[serde(default, skip_serializing)]
    pub function_call: Option<WireFunction>,
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
    /// Its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `function` or `custom`.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What is called, with what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<WireFunction>,
    /// The tool that takes free text, and the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom: Option<WireCustom>,
    /// What the provider wants back beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra_content: Option<Box<RawValue>>,
}

impl WireCall {
    /// A call under this name and with this input; `opaque` things go along where they are of this dialect.
    #[must_use]
    pub fn of(call: &ToolCall, name: &str, input: &str, opaque: Option<&Opaque>) -> Self {
        let beside =
            opaque.filter(|opaque| opaque.origin == Dialect::OpenaiChat && opaque.kind == OpaqueKind::Beside);
        let extra_content = beside.and_then(|beside| RawValue::from_string(beside.data.clone()).ok());
        let mut wire = Self { id: Some(call.id.clone()), extra_content, ..Self::default() };
        match call.kind {
            CallKind::Function => {
                wire.kind = Some("function".to_owned());
                wire.function = Some(WireFunction { name: name.to_owned(), arguments: Some(input.into()) });
            }
            CallKind::Custom => {
                wire.kind = Some("custom".to_owned());
                wire.custom = Some(WireCustom { name: name.to_owned(), input: input.to_owned() });
            }
        }
        wire
    }
}

/// The function of a call.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct WireFunction {
    /// Its name.
    pub name: String,
    /// Its arguments: JSON text in a string; some clients send the value itself.
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

/// The free-text tool of a call.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct WireCustom {
    /// Its name.
    pub name: String,
    /// The text.
    pub input: String,
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
    /// The tool that takes free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom: Option<WireToolCustom>,
    /// That the tools up to this one are worth caching; not of the standard.
    #[serde(default, skip_serializing)]
    pub cache_control: Option<WireMark>,
}

/// The function of a tool.
#[derive(Debug, Default, Deserialize, Serialize)]
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

/// A tool that takes free text.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct WireToolCustom {
    /// Its name.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The grammar of the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Box<RawValue>>,
}

/// A cache mark, as other dialects have it and some servers of this one take it.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct WireMark {
    /// How long to keep it.
    #[serde(default)]
    pub ttl: Option<String>,
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

/// Usage as clients of this dialect read it: the three counts are always there.
#[must_use]
pub fn usage_json(usage: &Usage) -> String {
    let mut wire = json!({
        "prompt_tokens": usage.input.unwrap_or(0),
        "completion_tokens": usage.output.unwrap_or(0),
        "total_tokens": usage.total().unwrap_or(0),
    });
    for (details, count, value) in [
        ("prompt_tokens_details", "cached_tokens", usage.cached),
        ("prompt_tokens_details", "cache_write_tokens", usage.cache_write),
        ("completion_tokens_details", "reasoning_tokens", usage.reasoning),
    ] {
        if let Some(value) = value {
            wire[details][count] = value.into();
        }
    }
    wire.to_string()
}
