//! Whole replies, to the hub and back.

use hr_core::catalog::{Dialect, ErrorRow};
use hr_core::failure::Failure;
use hr_core::time::Millis;
use serde_json::{Map, Value};

use super::chunk::{Choice, Chunk, Said};
use super::decoder::{beside, call_id, finish};
use super::types::{WireCall, usage_json};
use super::whole::{nonsense, read_whole, readable};
use crate::dialect::Echo;
use crate::hub::{Block, CallKind, Extras, Fingerprint, Finish, FinishKind, Reasoning, Reply, ToolCall};
use crate::json::{quoted, write_string};

/// Reads a whole reply; its first choice, since the hub has one.
///
/// # Errors
/// The failure that it really is, by the rows of its provider.
pub fn decode(body: &[u8], rows: &[ErrorRow], now: Millis) -> Result<Reply, Failure> {
    read_whole(body, rows, now)?;
    let text = readable(body)?;
    let chunk = Chunk::read(text, "message").map_err(|syntax| nonsense(text, syntax))?;
    let rest: Map<String, Value> = chunk
        .rest
        .iter()
        .filter_map(|(key, value)| Some((key.to_string(), serde_json::from_str(value).ok()?)))
        .collect();
    let mut reply = Reply {
        id: chunk.id.unwrap_or_default().into_owned(),
        model: chunk.model.unwrap_or_default().into_owned(),
        created: chunk.created.unwrap_or(0),
        usage: chunk.usage,
        extras: Extras::of(Dialect::OpenaiChat, rest),
        ..Reply::default()
    };
    let Some(choice) = chunk.choice else { return Ok(reply) };
    let (word, stop_word) = (choice.finish.clone(), choice.stop_word.clone());
    reply.blocks = blocks(choice, &reply.id);
    let calls = reply.blocks.iter().any(|block| matches!(block, Block::ToolCall(_)));
    // A body that is whole has ended, also where its server does not say why.
    reply.finish = Some(finish(word.as_deref().unwrap_or("stop"), stop_word.as_deref(), calls));
    Ok(reply)
}

/// What the ids of replies begin with; some clients look.
pub(super) const PREFIX: &str = "chatcmpl-";

/// The blocks of an answer: reasoning, text, refusal, calls.
fn blocks(choice: Choice<'_>, reply: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for said in choice.said {
        blocks.push(match said {
            Said::Text(text) => Block::Text(text.into_owned()),
            Said::Reasoning(text) => Block::Reasoning(Reasoning { text: text.into_owned(), opaque: None }),
            Said::Refusal(text) => Block::Refusal(text.into_owned()),
        });
    }
    let mut ids: Vec<String> = Vec::new();
    for (place, piece) in choice.calls.into_iter().filter(|piece| !piece.is_empty()).enumerate() {
        let id = call_id(piece.id.as_deref(), reply, place, |id| ids.iter().any(|taken| taken == id));
        ids.push(id.clone());
        blocks.push(Block::ToolCall(ToolCall {
            id,
            name: piece.name.unwrap_or_default().into_owned(),
            namespace: None,
            kind: if piece.is_custom { CallKind::Custom } else { CallKind::Function },
            arguments: piece.arguments.into_owned(),
            opaque: piece.extra.map(beside),
        }));
    }
    blocks
}

/// Writes a whole reply.
#[must_use]
pub fn encode(reply: &Reply, echo: &Echo) -> Vec<u8> {
    let (mut text, mut refusal, mut reasoning) = (None::<String>, None::<String>, None::<String>);
    let mut calls: Vec<WireCall> = Vec::new();
    for block in &reply.blocks {
        match block {
            Block::Text(more) => text.get_or_insert_default().push_str(more),
            Block::Refusal(more) => refusal.get_or_insert_default().push_str(more),
            Block::Reasoning(more) if echo.shows_reasoning && !more.text.is_empty() => {
                let whole = reasoning.get_or_insert_default();
                whole.push_str(if whole.is_empty() { "" } else { "\n" });
                whole.push_str(&more.text);
            }
            Block::ToolCall(call) => {
                calls.push(WireCall::of(call, &call.name, arguments(call), call.opaque.as_ref()))
            }
            Block::Reasoning(_) | Block::Other { .. } => {}
        }
    }
    let mut out = Vec::with_capacity(512 + text.as_ref().map_or(0, String::len));
    out.extend_from_slice(b"{\"id\":");
    write_string(&mut out, &id(PREFIX, &reply.id, echo));
    out.extend_from_slice(b",\"object\":\"chat.completion\",\"created\":");
    out.extend_from_slice(created(reply.created, echo).to_string().as_bytes());
    out.extend_from_slice(b",\"model\":");
    write_string(&mut out, model(&reply.model, echo));
    out.extend_from_slice(b",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":");
    write_optional(&mut out, text.as_deref());
    out.extend_from_slice(b",\"refusal\":");
    write_optional(&mut out, refusal.as_deref());
    if let Some(reasoning) = &reasoning {
        out.extend_from_slice(b",\"reasoning_content\":");
        write_string(&mut out, reasoning);
    }
    if !calls.is_empty() {
        out.extend_from_slice(b",\"tool_calls\":");
        // Nothing in it can fail to be written: keys are strings.
        out.extend_from_slice(&serde_json::to_vec(&calls).unwrap_or_default());
    }
    out.extend_from_slice(b",\"annotations\":[]},\"logprobs\":null,\"finish_reason\":");
    let finish = reply.finish.clone().unwrap_or_else(|| Finish::read("stop"));
    write_string(&mut out, word(finish.borne_out(!calls.is_empty()).kind()));
    out.extend_from_slice(b"}]");
    if let Some(usage) = &reply.usage {
        out.extend_from_slice(b",\"usage\":");
        out.extend_from_slice(usage_json(usage).as_bytes());
    }
    for (key, value) in reply.extras.for_dialect(Dialect::OpenaiChat).into_iter().flatten() {
        out.extend_from_slice(format!(",{}:{value}", quoted(key)).as_bytes());
    }
    out.push(b'}');
    out
}

/// The arguments of a call as clients take them: nothing is an empty object.
pub(super) fn arguments(call: &ToolCall) -> &str {
    let is_blank = call.kind == CallKind::Function && call.arguments.trim().is_empty();
    if is_blank { "{}" } else { &call.arguments }
}

fn write_optional(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => write_string(out, text),
        None => out.extend_from_slice(b"null"),
    }
}

/// The id of a reply for clients of this dialect: the provider's, or one that no other reply has. Clients that
/// see one id twice take two turns for one.
pub(super) fn id(prefix: &str, given: &str, echo: &Echo) -> String {
    if given.starts_with(prefix) || (echo.nonce == 0 && !given.is_empty()) {
        return given.to_owned();
    }
    format!("{prefix}{:016x}{:08x}", echo.nonce, Fingerprint::of(given).0 & 0xffff_ffff)
}

/// When a reply was made, or now.
pub(super) fn created(given: u64, echo: &Echo) -> u64 {
    if given == 0 { echo.now } else { given }
}

/// The model that answered, or the one that was asked for.
pub(super) fn model<'a>(given: &'a str, echo: &'a Echo) -> &'a str {
    if given.is_empty() { &echo.model } else { given }
}

/// The word of this dialect for a finish; clients know no others.
pub(super) fn word(kind: FinishKind) -> &'static str {
    match kind {
        FinishKind::Stop | FinishKind::Other => "stop",
        FinishKind::Length => "length",
        FinishKind::ToolCalls => "tool_calls",
        FinishKind::ContentFilter => "content_filter",
    }
}
