//! Replies that come in one piece: what is to know of them, and the way to the hub.

use bytes::Bytes;
use hr_core::catalog::{Dialect, ErrorRow};
use hr_core::failure::{Failure, FailureKind};
use hr_core::time::Millis;
use hr_core::usage::Usage;
use serde_json::{Map, Value};

use super::error;
use super::parts;
use super::types::{WireBlock, WireReply};
use crate::dialect::Whole;
use crate::hub::{Block, Extras, Finish, FinishKind, Reasoning, Reply, ToolCall};
use crate::json::quoted;
use crate::lane::no_answer;
use crate::patch;

/// The word for a model that does not want to go on.
pub(super) const REFUSAL: &str = "refusal";

/// Fields of a reply that the hub has a word for, or that mean something only in one reply.
const KNOWN: [&str; 9] =
    ["id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "stop_details", "usage"];

/// Reads the body of a 200: an answer, or the failure that it really is.
pub(super) fn read(body: &[u8], rows: &[ErrorRow], now: Millis) -> Result<Whole, Failure> {
    let reply = decode(body, rows, now)?;
    let opaque = reply.blocks.iter().filter_map(|block| match block {
        Block::Reasoning(reasoning) => reasoning.opaque.as_ref().map(|opaque| opaque.fingerprint()),
        _ => None,
    });
    Ok(Whole {
        usage: reply.usage.unwrap_or_default(),
        opaque: opaque.collect(),
        finish: reply.finish,
        model: Some(reply.model).filter(|model| !model.is_empty()),
    })
}

/// Reads a whole reply.
pub(super) fn decode(body: &[u8], rows: &[ErrorRow], now: Millis) -> Result<Reply, Failure> {
    let text = readable(body)?;
    let wire: WireReply<'_> = serde_json::from_str(text).map_err(|error| {
        let head: String = text.chars().take(120).collect();
        malformed(format!("the answer cannot be read: {error} in `{head}`"))
    })?;
    if wire.error.is_some_and(|error| error.get() != "null") {
        return Err(error::read_inner(text.as_bytes(), rows, now));
    }
    let Some(content) = wire.content else { return Err(error::read_inner(text.as_bytes(), rows, now)) };
    let mut reply = Reply {
        id: wire.id,
        model: wire.model,
        usage: wire.usage.map(Usage::from),
        extras: extras(text),
        ..Reply::default()
    };
    for text in content {
        reply.blocks.extend(block(text.get())?);
    }
    let refused = wire.stop_reason.as_deref() == Some(REFUSAL);
    let explanation =
        wire.stop_details.and_then(|details| details.explanation).filter(|text| !text.is_empty());
    reply.blocks.extend(explanation.filter(|_| refused).map(Block::Refusal));
    let calls = reply.blocks.iter().any(|block| matches!(block, Block::ToolCall(_)));
    reply.finish =
        wire.stop_reason.map(|word| Finish::read(&word).at(wire.stop_sequence.as_deref()).borne_out(calls));
    match says_something(&reply) {
        true => Ok(reply),
        false => Err(no_answer(reply.finish.as_ref())),
    }
}

/// Whether a caller would call it an answer.
fn says_something(reply: &Reply) -> bool {
    let content = reply.blocks.iter().any(|block| match block {
        Block::Text(text) | Block::Refusal(text) => !text.trim().is_empty(),
        Block::ToolCall(_) | Block::Other { .. } => true,
        Block::Reasoning(_) => false,
    });
    let Some(finish) = &reply.finish else { return content };
    let cut = finish.kind() == FinishKind::Length;
    let only_filled_a_cache = cut && reply.usage.is_some_and(|usage| usage.output == Some(0));
    // A model that was cut off while it reasoned did answer, as far as it came; one that refuses, too.
    content || only_filled_a_cache || finish.raw() == REFUSAL || (cut && !reply.blocks.is_empty())
}

fn block(text: &str) -> Result<Option<Block>, Failure> {
    let wire: WireBlock<'_> = serde_json::from_str(text)
        .map_err(|error| malformed(format!("a block of the answer cannot be read: {error}")))?;
    Ok(match wire.kind.as_str() {
        "text" => wire.text.filter(|text| !text.is_empty()).map(Block::Text),
        "thinking" | "redacted_thinking" => {
            let opaque = parts::opaque(&wire);
            let reasoning = Reasoning { text: wire.thinking.unwrap_or_default(), opaque };
            let says = !reasoning.text.is_empty() || reasoning.opaque.is_some();
            says.then_some(Block::Reasoning(reasoning))
        }
        "tool_use" => Some(Block::ToolCall(ToolCall {
            id: wire.id.unwrap_or_default(),
            name: wire.name.ok_or_else(|| malformed("a call in the answer has no name".into()))?,
            arguments: parts::input(wire.input),
            ..ToolCall::default()
        })),
        "" => return Err(malformed("a block of the answer has no type".into())),
        _ => serde_json::from_str(text).ok().map(|value| Block::Other { origin: Dialect::Anthropic, value }),
    })
}

/// The fields that only this dialect knows.
fn extras(text: &str) -> Extras {
    let mut fields: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
    fields.retain(|key, value| !KNOWN.contains(&key.as_str()) && !value.is_null());
    Extras::of(Dialect::Anthropic, fields)
}

/// The reply of a provider with the model that the caller asked for.
pub(super) fn with_model(body: &Bytes, model: &str) -> Bytes {
    let Ok(text) = std::str::from_utf8(body) else { return body.clone() };
    if model.is_empty() {
        return body.clone();
    }
    let name = quoted(model);
    match patch::within(text, "model", |old| (old != name).then(|| name.clone())) {
        Some(new) => new.into(),
        None => body.clone(),
    }
}

fn readable(body: &[u8]) -> Result<&str, Failure> {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let Ok(text) = std::str::from_utf8(body) else { return Err(malformed("the answer is not UTF-8".into())) };
    let text = text.trim_ascii();
    match text.as_bytes().first() {
        None => Err(Failure::new(FailureKind::Empty, "the answer has no body").status(200)),
        Some(b'<') => Err(malformed("the answer is a page of HTML".into())),
        _ => Ok(text),
    }
}

/// An answer that is not what the dialect promises.
pub(super) fn malformed(words: String) -> Failure {
    Failure::new(FailureKind::Malformed, words).status(200)
}
