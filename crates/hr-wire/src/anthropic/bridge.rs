//! A stream where a whole reply was asked for, and the reverse, both within the dialect: nothing that either
//! holds is lost, known here or not.

use std::sync::Arc;

use bytes::Bytes;
use hr_core::catalog::Provider;
use hr_core::failure::Failure;
use hr_core::time::Millis;
use serde_json::{Map, Value, json};

use super::encoder::{delta, event, start};
use super::watch::Watch;
use super::whole::malformed;
use crate::dialect::{Echo, WatchOptions};
use crate::lane::Watch as _;

/// The whole reply that a stream, which has ended, amounts to.
pub(super) fn to_whole(body: &Bytes, provider: &Arc<Provider>, now: Millis) -> Result<Bytes, Failure> {
    let mut watch = Watch::new(WatchOptions {
        hide_usage: false,
        keep: true,
        echo: Arc::new(Echo::default()),
        provider: Arc::clone(provider),
        now,
    });
    let mut passed = Vec::new();
    watch.push(body.clone(), &mut passed)?;
    watch.finish(&mut passed)?;
    watch.reply().ok_or_else(|| malformed("the stream has no beginning".into()))
}

/// A reply put together from the events of its stream.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    message: Option<Map<String, Value>>,
    blocks: Vec<(u64, Map<String, Value>, String)>,
}

impl Assembly {
    /// Takes the data of an event.
    pub(super) fn take(&mut self, data: &[u8]) {
        let Ok(mut event) = serde_json::from_slice::<Value>(data) else { return };
        let index = event["index"].as_u64().unwrap_or_default();
        match event["type"].as_str() {
            Some("message_start") => {
                if let Value::Object(message) = event["message"].take() {
                    self.message.get_or_insert(message);
                }
            }
            Some("content_block_start") => {
                if let Value::Object(block) = event["content_block"].take() {
                    self.blocks.push((index, block, String::new()));
                }
            }
            Some("content_block_delta") => {
                if let Some((_, block, input)) = self.blocks.iter_mut().rfind(|(open, ..)| *open == index) {
                    add(block, input, &event["delta"]);
                }
            }
            Some("message_delta") => {
                let Some(message) = &mut self.message else { return };
                if let Value::Object(delta) = event["delta"].take() {
                    message.extend(delta);
                }
                if let Value::Object(later) = event["usage"].take() {
                    let usage = message.entry("usage").or_insert_with(|| json!({}));
                    if let Value::Object(usage) = usage {
                        usage.extend(later.into_iter().filter(|(_, value)| !value.is_null()));
                    }
                }
            }
            _ => {}
        }
    }

    /// The reply.
    pub(super) fn finish(self) -> Option<Bytes> {
        let mut message = self.message?;
        let blocks = self.blocks.into_iter().map(|(_, mut block, input)| {
            if let Ok(input) = serde_json::from_str::<Value>(&input) {
                block.insert("input".into(), input);
            }
            Value::Object(block)
        });
        message.insert("content".into(), blocks.collect());
        Some(Value::Object(message).to_string().into())
    }
}

/// Adds a piece to a block.
fn add(block: &mut Map<String, Value>, input: &mut String, delta: &Value) {
    match delta["type"].as_str() {
        Some("input_json_delta") => input.push_str(delta["partial_json"].as_str().unwrap_or_default()),
        Some("citations_delta") => {
            let citation = delta["citation"].clone();
            match block.get_mut("citations").and_then(Value::as_array_mut) {
                Some(citations) => citations.push(citation),
                None => drop(block.insert("citations".into(), json!([citation]))),
            }
        }
        _ => {
            for key in ["text", "thinking", "signature"] {
                let Some(more) = delta[key].as_str() else { continue };
                // In its place: a long answer comes in many pieces.
                match block.get_mut(key) {
                    Some(Value::String(whole)) => whole.push_str(more),
                    _ => drop(block.insert(key.into(), more.into())),
                }
            }
        }
    }
}

/// A whole reply that was read, as the stream that was asked for.
pub(super) fn to_stream(body: &Bytes) -> Result<Bytes, Failure> {
    let text = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let mut message: Map<String, Value> = serde_json::from_slice(text)
        .map_err(|fault| malformed(format!("the answer has an unknown shape: {fault}")))?;
    let content = match message.insert("content".into(), json!([])) {
        Some(Value::Array(content)) => content,
        _ => return Err(malformed("the answer has no content".into())),
    };
    let mut last = Map::new();
    for key in ["stop_reason", "stop_sequence", "stop_details", "container"] {
        if let Some(value) = message.get_mut(key) {
            last.insert(key.to_owned(), value.take());
        }
    }
    let usage = message.get("usage").filter(|usage| usage.is_object()).cloned().unwrap_or_else(|| json!({}));
    let mut out = Vec::with_capacity(body.len() + 1024);
    event(&mut out, "message_start", &json!({"type": "message_start", "message": message}));
    for (number, block) in content.into_iter().enumerate() {
        stream_block(number, block, &mut out);
    }
    event(&mut out, "message_delta", &json!({"type": "message_delta", "delta": last, "usage": usage}));
    event(&mut out, "message_stop", &json!({"type": "message_stop"}));
    Ok(out.into())
}

fn stream_block(number: usize, mut block: Value, out: &mut Vec<u8>) {
    let mut pieces: Vec<(&str, &str, String)> = Vec::new();
    let mut take = |block: &mut Value, kind, key: &'static str| {
        if let Some(text) = block[key].as_str().filter(|text| !text.is_empty()).map(str::to_owned) {
            block[key] = "".into();
            pieces.push((kind, key, text));
        }
    };
    match block["type"].as_str() {
        Some("text") => take(&mut block, "text_delta", "text"),
        Some("thinking") => {
            take(&mut block, "thinking_delta", "thinking");
            take(&mut block, "signature_delta", "signature");
        }
        // Clients take the input of a call from its pieces only.
        Some("tool_use" | "server_tool_use") => {
            let input = block["input"].take();
            block["input"] = json!({});
            pieces.push(("input_json_delta", "partial_json", input.to_string()));
        }
        _ => {}
    }
    start(out, number, &block);
    for (kind, key, text) in pieces {
        delta(out, number, kind, key, &text);
    }
    event(out, "content_block_stop", &json!({"type": "content_block_stop", "index": number}));
}
