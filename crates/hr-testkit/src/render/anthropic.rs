//! Answers as Anthropic Messages.

use serde_json::{Map, Value, json};

use super::{Asked, Beat, Event, Events};
use crate::answer::{Answer, FILLER_PIECE, Stop, Usage, pieces};
use crate::dialect::Endpoint;

pub(super) fn whole(answer: &Answer, asked: &Asked<'_>, usage: Usage) -> Value {
    if asked.endpoint == Endpoint::Count {
        return json!({"input_tokens": usage.prompt});
    }
    let content: Vec<_> = blocks(answer, asked).iter().map(|block| block.whole(answer)).collect();
    let mut message = message(asked, content.into(), usage_json(usage, usage.completion));
    message["stop_reason"] = stop_reason(answer).into();
    message["stop_sequence"] = stop_sequence(answer);
    message["stop_details"] = stop_details(answer);
    message
}

pub(super) fn stream(answer: &Answer, asked: &Asked<'_>, usage: Usage) -> Events {
    let start = message(asked, json!([]), usage_json(usage, 1));
    let mut beats = Vec::new();
    for (index, block) in blocks(answer, asked).iter().enumerate() {
        let delta = |delta| Event::named("content_block_delta", json!({"index": index, "delta": delta}));
        let start = json!({"index": index, "content_block": block.start()});
        beats.push(Beat::Frame(Event::named("content_block_start", start)));
        beats.extend(block.deltas(answer).into_iter().map(delta).map(Beat::Content));
        if matches!(block, Block::Text(_)) && answer.filler > 0 {
            let event = delta(json!({"type": "text_delta", "text": "x".repeat(FILLER_PIECE)}));
            beats.push(Beat::Filler(event, answer.filler_pieces()));
        }
        if let Block::Thinking { signature: Some(signature), .. } = block {
            beats.push(Beat::Frame(delta(json!({"type": "signature_delta", "signature": signature}))));
        }
        beats.push(Beat::Frame(Event::named("content_block_stop", json!({"index": index}))));
    }
    let end = json!({
        "delta": {
            "stop_reason": stop_reason(answer),
            "stop_sequence": stop_sequence(answer),
            "stop_details": stop_details(answer),
            "container": null,
        },
        "usage": usage_json(usage, usage.completion),
    });
    Events {
        opening: vec![
            Event::named("message_start", json!({"message": start})),
            Event::named("ping", json!({})),
        ],
        beats,
        closing: vec![Event::named("message_delta", end), Event::named("message_stop", json!({}))],
        done: None,
    }
}

/// One content block.
enum Block<'a> {
    Thinking { text: String, signature: Option<String> },
    Redacted(&'a str),
    Text(&'a str),
    Tool { id: &'a str, name: &'a str, arguments: &'a str },
}

fn blocks<'a>(answer: &'a Answer, asked: &Asked<'_>) -> Vec<Block<'a>> {
    let mut blocks = Vec::new();
    if let Some(thoughts) = &answer.reasoning {
        let omitted = asked.body["thinking"]["display"] == "omitted";
        let text = if omitted { String::new() } else { thoughts.clone() };
        let signature = answer.sealed.then(|| asked.issued.seal(asked.owner, asked.sequence, &text));
        blocks.push(Block::Thinking { text, signature });
    }
    if let Some(data) = &answer.redacted {
        asked.issued.remember(data, asked.owner, "");
        blocks.push(Block::Redacted(data));
    }
    if !answer.is_silent() {
        blocks.push(Block::Text(&answer.text));
    }
    let tools = answer.tool_calls.iter();
    blocks.extend(tools.map(|call| Block::Tool {
        id: &call.id,
        name: &call.name,
        arguments: &call.arguments,
    }));
    blocks
}

impl Block<'_> {
    fn whole(&self, answer: &Answer) -> Value {
        match self {
            Block::Thinking { text, signature } => {
                json!({"type": "thinking", "thinking": text, "signature": signature.clone().unwrap_or_default()})
            }
            Block::Redacted(data) => json!({"type": "redacted_thinking", "data": data}),
            Block::Text(_) => json!({"type": "text", "text": answer.whole_text(), "citations": []}),
            Block::Tool { id, name, arguments } => {
                // A tool without arguments is called with an empty object; broken JSON cannot be shown whole.
                let input = serde_json::from_str(arguments).unwrap_or_else(|_| Value::Object(Map::new()));
                json!({"type": "tool_use", "id": id, "name": name, "input": input, "caller": {"type": "direct"}})
            }
        }
    }

    /// The block as it begins.
    fn start(&self) -> Value {
        match self {
            Block::Thinking { .. } => json!({"type": "thinking", "thinking": "", "signature": ""}),
            Block::Redacted(data) => json!({"type": "redacted_thinking", "data": data}),
            Block::Text(_) => json!({"type": "text", "text": "", "citations": []}),
            Block::Tool { id, name, .. } => {
                json!({"type": "tool_use", "id": id, "name": name, "input": {}, "caller": {"type": "direct"}})
            }
        }
    }

    fn deltas(&self, answer: &Answer) -> Vec<Value> {
        let cut = |kind: &str, field: &str, text: &str, count| -> Vec<Value> {
            pieces(text, count).into_iter().map(|piece| json!({"type": kind, field: piece})).collect()
        };
        match self {
            Block::Thinking { text, .. } => cut("thinking_delta", "thinking", text, 2),
            Block::Redacted(_) => Vec::new(),
            Block::Text(text) => cut("text_delta", "text", text, answer.chunks),
            Block::Tool { arguments, .. } => cut("input_json_delta", "partial_json", arguments, 2),
        }
    }
}

fn message(asked: &Asked<'_>, content: Value, usage: Value) -> Value {
    json!({
        "id": format!("msg_fake{:04}", asked.sequence),
        "type": "message",
        "role": "assistant",
        "model": asked.model,
        "content": content,
        "stop_reason": null,
        "stop_sequence": null,
        "stop_details": null,
        "container": null,
        "usage": usage,
    })
}

fn usage_json(usage: Usage, output: u64) -> Value {
    json!({
        "input_tokens": usage.prompt.saturating_sub(usage.cached + usage.cache_written),
        "cache_creation_input_tokens": usage.cache_written,
        "cache_read_input_tokens": usage.cached,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_written,
            "ephemeral_1h_input_tokens": 0,
        },
        "output_tokens": output,
        "output_tokens_details": {"thinking_tokens": usage.reasoning.min(output)},
        "server_tool_use": null,
        "service_tier": "standard",
        "inference_geo": "not_available",
    })
}

fn stop_reason(answer: &Answer) -> &'static str {
    match answer.stop {
        Stop::Length => "max_tokens",
        Stop::Sequence(_) => "stop_sequence",
        Stop::Filtered => "refusal",
        Stop::Natural if answer.refusal.is_some() => "refusal",
        Stop::Natural if !answer.tool_calls.is_empty() => "tool_use",
        Stop::Natural => "end_turn",
    }
}

fn stop_sequence(answer: &Answer) -> Value {
    match &answer.stop {
        Stop::Sequence(sequence) => sequence.as_str().into(),
        _ => Value::Null,
    }
}

fn stop_details(answer: &Answer) -> Value {
    if stop_reason(answer) == "refusal" {
        json!({"type": "refusal", "category": null, "explanation": answer.refusal})
    } else {
        Value::Null
    }
}
