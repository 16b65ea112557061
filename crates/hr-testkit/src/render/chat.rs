//! Answers as OpenAI Chat Completions.

use serde_json::{Value, json};

use super::{Asked, Beat, CREATED, Event, Events};
use crate::answer::{Answer, FILLER_PIECE, Stop, ToolCall, Usage, pieces};

pub(super) fn whole(answer: &Answer, asked: &Asked<'_>, usage: Usage) -> Value {
    let text = answer.whole_text();
    let silent = text.is_empty() && (!answer.tool_calls.is_empty() || answer.refusal.is_some());
    let content = if silent { Value::Null } else { text.into() };
    let mut message =
        json!({"role": "assistant", "content": content, "refusal": answer.refusal, "annotations": []});
    if let Some(reasoning) = &answer.reasoning {
        message[answer.reasoning_field] = reasoning.as_str().into();
    }
    if !answer.tool_calls.is_empty() {
        message["tool_calls"] = answer.tool_calls.iter().map(|call| whole_call(call, asked)).collect();
    }
    json!({
        "id": id(asked),
        "object": "chat.completion",
        "created": CREATED,
        "model": asked.model,
        "choices": [{
            "index": 0,
            "message": message,
            "logprobs": null,
            "finish_reason": finish_reason(answer),
        }],
        "usage": usage_json(usage),
    })
}

pub(super) fn stream(answer: &Answer, asked: &Asked<'_>, usage: Usage) -> Events {
    let piece = |delta| chunk(asked, delta, None);
    let mut beats: Vec<_> =
        deltas(answer, asked).into_iter().map(|delta| Beat::Content(piece(delta))).collect();
    if answer.filler > 0 {
        let event = piece(json!({"content": "x".repeat(FILLER_PIECE)}));
        beats.push(Beat::Filler(event, answer.filler_pieces()));
    }
    let mut closing = vec![chunk(asked, json!({}), Some(finish_reason(answer)))];
    if asked.body["stream_options"]["include_usage"] == true {
        closing.push(Event::bare(json!({
            "id": id(asked),
            "object": "chat.completion.chunk",
            "created": CREATED,
            "model": asked.model,
            "choices": [],
            "usage": usage_json(usage),
        })));
    }
    Events {
        opening: vec![piece(json!({"role": "assistant", "content": ""}))],
        beats,
        closing,
        done: Some("data: [DONE]\n\n"),
    }
}

/// The deltas that carry content, in order.
fn deltas(answer: &Answer, asked: &Asked<'_>) -> Vec<Value> {
    let mut deltas = Vec::new();
    if let Some(reasoning) = &answer.reasoning {
        deltas.push(json!({answer.reasoning_field: reasoning}));
    }
    let cut = |field: &str, text: &str| -> Vec<Value> {
        pieces(text, answer.chunks).into_iter().map(|piece| json!({field: piece})).collect()
    };
    deltas.extend(cut("content", &answer.text));
    deltas.extend(answer.refusal.iter().flat_map(|refusal| cut("refusal", refusal)));
    for (index, call) in answer.tool_calls.iter().enumerate() {
        let (kind, field) =
            if is_custom(call, asked) { ("custom", "input") } else { ("function", "arguments") };
        let mut opening = json!({
            "index": index,
            "id": call.id,
            "type": kind,
            kind: {"name": call.name, field: ""},
        });
        if let Some(extra) = &call.extra {
            opening["extra_content"] = extra.clone();
        }
        deltas.push(json!({"tool_calls": [opening]}));
        let parts = pieces(&call.arguments, 2);
        deltas.extend(
            parts.into_iter().map(|part| json!({"tool_calls": [{"index": index, kind: {field: part}}]})),
        );
    }
    deltas
}

fn chunk(asked: &Asked<'_>, delta: Value, finish_reason: Option<&str>) -> Event {
    Event::bare(json!({
        "id": id(asked),
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": asked.model,
        "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason}],
    }))
}

fn id(asked: &Asked<'_>) -> String {
    format!("chatcmpl-{}", asked.sequence)
}

fn finish_reason(answer: &Answer) -> &'static str {
    match answer.stop {
        Stop::Length => "length",
        Stop::Filtered => "content_filter",
        Stop::Natural if !answer.tool_calls.is_empty() => "tool_calls",
        Stop::Natural | Stop::Sequence(_) => "stop",
    }
}

fn usage_json(usage: Usage) -> Value {
    json!({
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.prompt + usage.completion,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached,
            "cache_write_tokens": usage.cache_written,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}

fn whole_call(call: &ToolCall, asked: &Asked<'_>) -> Value {
    let mut json = if is_custom(call, asked) {
        json!({"id": call.id, "type": "custom", "custom": {"name": call.name, "input": call.arguments}})
    } else {
        json!({
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        })
    };
    if let Some(extra) = &call.extra {
        json["extra_content"] = extra.clone();
    }
    json
}

/// Whether the request offers this tool as one that takes free text.
fn is_custom(call: &ToolCall, asked: &Asked<'_>) -> bool {
    let offered = asked.body["tools"].as_array().map_or(&[][..], Vec::as_slice);
    offered.iter().any(|tool| tool["type"] == "custom" && tool["custom"]["name"] == call.name.as_str())
}
