//! Whole replies, to the hub and back.

use hr_core::catalog::Dialect;
use hr_core::failure::Failure;
use hr_core::time::Millis;
use serde_json::Value;

use super::types::{WireAnswer, WireCall, WireChoice, WireReply};
use super::whole::read_whole;
use crate::hub::{Block, Extras, Finish, FinishKind, Reasoning, Reply, ToolCall};

/// Reads a whole reply; its first choice, since the hub has one.
pub fn decode(body: &[u8]) -> Result<Reply, Failure> {
    read_whole(body, &[], Millis(0))?;
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let wire: WireReply = serde_json::from_slice(body).map_err(|error| {
        let words = format!("the answer has an unknown shape: {error}");
        Failure::new(hr_core::failure::FailureKind::Malformed, words).status(200)
    })?;
    let mut reply = Reply {
        id: wire.id,
        model: wire.model,
        created: wire.created,
        usage: wire.usage.map(Into::into),
        extras: Extras::of(Dialect::OpenaiChat, wire.rest),
        ..Reply::default()
    };
    let Some(choice) = wire.choices.into_iter().next() else { return Ok(reply) };
    if let Some(answer) = choice.message {
        take(answer, &mut reply.blocks);
    }
    let calls = reply.blocks.iter().any(|block| matches!(block, Block::ToolCall(_)));
    reply.finish = choice.finish_reason.map(|reason| Finish::read(&reason).borne_out(calls));
    Ok(reply)
}

/// The blocks of an answer: reasoning, text, refusal, calls.
fn take(answer: WireAnswer, blocks: &mut Vec<Block>) {
    let not_empty = |text: &String| !text.is_empty();
    blocks.extend(answer.reasoning_content.or(answer.reasoning).filter(not_empty).map(reasoning));
    for piece in pieces(answer.content.as_ref()) {
        blocks.push(match piece {
            Piece::Text(text) => Block::Text(text.to_owned()),
            Piece::Reasoning(text) => reasoning(text),
        });
    }
    blocks.extend(answer.refusal.filter(not_empty).map(Block::Refusal));
    for (place, call) in answer.tool_calls.into_iter().flatten().enumerate() {
        let arguments = call.function.arguments_text();
        blocks.push(Block::ToolCall(ToolCall {
            id: call.id.unwrap_or_else(|| format!("call_{place}")),
            name: call.function.name.unwrap_or_default(),
            arguments,
            ..ToolCall::default()
        }));
    }
}

fn reasoning(text: String) -> Block {
    Block::Reasoning(Reasoning { text, opaque: None })
}

/// A piece of content.
pub(super) enum Piece<'a> {
    /// Text.
    Text(&'a str),
    /// Reasoning that some providers put among the content.
    Reasoning(String),
}

/// The pieces of content: one string, or parts of text and thinking. Empty ones are nothing.
pub(super) fn pieces(content: Option<&Value>) -> Vec<Piece<'_>> {
    let text = |value: &'_ Value| value.as_str().map(str::to_owned);
    match content {
        Some(Value::String(whole)) if !whole.is_empty() => vec![Piece::Text(whole)],
        Some(Value::Array(parts)) => parts
            .iter()
            .filter_map(|part| match &part["thinking"] {
                Value::Null => part["text"].as_str().map(Piece::Text),
                Value::Array(thoughts) => Some(Piece::Reasoning(
                    thoughts.iter().filter_map(|thought| text(&thought["text"])).collect(),
                )),
                thought => text(thought).map(Piece::Reasoning),
            })
            .filter(|piece| match piece {
                Piece::Text(text) => !text.is_empty(),
                Piece::Reasoning(text) => !text.is_empty(),
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// Writes a whole reply.
#[must_use]
pub fn encode(reply: &Reply) -> Vec<u8> {
    let mut answer = WireAnswer { role: Some("assistant".into()), ..WireAnswer::default() };
    let mut text: Option<String> = None;
    for block in &reply.blocks {
        match block {
            Block::Text(more) => text.get_or_insert_default().push_str(more),
            Block::Reasoning(more) => answer.reasoning_content.get_or_insert_default().push_str(&more.text),
            Block::Refusal(more) => answer.refusal.get_or_insert_default().push_str(more),
            Block::ToolCall(call) => {
                let call = WireCall::of(&call.id, &call.name, &call.arguments);
                answer.tool_calls.get_or_insert_default().push(call);
            }
            Block::Other { .. } => {}
        }
    }
    answer.content = Some(text.map_or(Value::Null, Value::String));
    let wire = WireReply {
        id: reply.id.clone(),
        object: "chat.completion".into(),
        created: reply.created,
        model: reply.model.clone(),
        choices: vec![WireChoice {
            index: 0,
            message: Some(answer),
            delta: None,
            finish_reason: reply.finish.as_ref().map(|finish| word(finish.kind()).into()),
        }],
        usage: reply.usage.map(Into::into),
        rest: reply.extras.for_dialect(Dialect::OpenaiChat).cloned().unwrap_or_default(),
    };
    // Nothing in it can fail to be written: keys are strings and numbers finite.
    serde_json::to_vec(&wire).unwrap_or_default()
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
