//! Counting tokens: `POST /messages/count_tokens`, whose requests are those for an answer without its limit.

use bytes::Bytes;
use serde_json::Value;

use super::facts::{self, TOKENS_OF_AN_IMAGE};
use super::prepare;
use crate::check::present;
use crate::dialect::Outgoing;
use crate::envelope::{BadRequest, Envelope};
use crate::facts::ChatFacts;

/// The path of the endpoint, below the base address.
pub const PATH: &str = "/messages/count_tokens";

/// Fields that hold no words: bytes of images and documents, and what only a provider can read.
const WORDLESS: [&str; 4] = ["data", "signature", "cache_control", "media_type"];

/// What of a request a tokenizer has to count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Countable {
    /// All texts: system prompt, messages, tools with their schemas.
    pub texts: Vec<String>,
    /// Tokens of what is no text: images and documents.
    pub beside: u64,
}

/// Reads a request to count tokens.
///
/// # Errors
/// A refusal that points at what is wrong.
pub fn read(body: Bytes) -> Result<(Envelope, ChatFacts), BadRequest> {
    facts::read(body, false)
}

/// All that counts in a request that was read.
#[must_use]
pub fn countable(envelope: &Envelope) -> Countable {
    let mut found = Countable::default();
    for key in ["system", "messages"] {
        if let Some(Ok(value)) = present(envelope, key).map(serde_json::from_str::<Value>) {
            collect(&value, &mut found);
        }
    }
    for key in ["tools", "output_config", "output_format"] {
        // Names and keywords of a schema cost as much as its words.
        found.texts.extend(present(envelope, key).map(str::to_owned));
    }
    found
}

fn collect(value: &Value, found: &mut Countable) {
    match value {
        Value::String(text) => found.texts.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(fields) => match fields.get("type").and_then(Value::as_str) {
            Some("image") => found.beside += TOKENS_OF_AN_IMAGE,
            Some("document") if fields.get("source").is_some_and(|source| source["type"] == "base64") => {
                let bytes = fields["source"]["data"].as_str().map_or(0, str::len);
                found.beside += bytes as u64 / super::messages::DOCUMENT_BYTES_OF_A_TOKEN;
            }
            Some("tool_use") => {
                for key in ["name", "input"] {
                    let text = fields.get(key).map(|value| match value {
                        Value::String(name) => name.clone(),
                        other => other.to_string(),
                    });
                    found.texts.extend(text);
                }
            }
            // The text of a plain document stands in `data` too.
            Some("text") if fields.contains_key("data") => {
                found.texts.extend(fields["data"].as_str().map(str::to_owned));
            }
            _ => {
                for (key, value) in fields {
                    if !WORDLESS.contains(&key.as_str()) && key != "type" {
                        collect(value, found);
                    }
                }
            }
        },
        _ => {}
    }
}

/// The request as it goes to a provider of this dialect.
#[must_use]
pub fn prepare(envelope: &Envelope, outgoing: &Outgoing<'_>) -> Bytes {
    prepare::prepare(envelope, outgoing).body
}

/// The answer.
#[must_use]
pub fn reply(tokens: u64) -> Bytes {
    format!("{{\"input_tokens\":{tokens}}}").into()
}

/// The number in a provider's answer.
#[must_use]
pub fn read_reply(body: &[u8]) -> Option<u64> {
    serde_json::from_slice::<Value>(body).ok()?["input_tokens"].as_u64()
}
