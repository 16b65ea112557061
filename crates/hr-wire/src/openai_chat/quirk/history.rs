//! Quirks of messages: what some providers refuse in a history that others wrote.

use serde_json::{Map, Value};

use super::Workbench;
use crate::hub::Loss;

/// Fields that carry reasoning in a message.
const REASONING_FIELDS: &[&str] =
    &["reasoning_content", "reasoning", "reasoning_details", "think", "thinking"];

/// Types of content parts that carry reasoning.
const REASONING_PARTS: &[&str] = &["thinking", "redacted_thinking", "think", "reasoning"];

/// The role `developer` becomes `system`.
pub(super) fn developer_to_system(bench: &mut Workbench<'_>, _: &mut Vec<Loss>) {
    if bench.mentions("messages", &["developer"]) {
        bench.change_messages(|message| match message.get_mut("role") {
            Some(role) if role == "developer" => {
                *role = "system".into();
                true
            }
            _ => false,
        });
    }
}

/// Reasoning of earlier turns is left out.
pub(super) fn strip_reasoning_history(bench: &mut Workbench<'_>, losses: &mut Vec<Loss>) {
    if !bench.mentions("messages", &["reasoning", "think"]) {
        return;
    }
    let stripped = bench.change_messages(|message| {
        let before = message.len();
        message.retain(|key, _| !REASONING_FIELDS.contains(&key.as_str()));
        let mut changed = message.len() != before;
        if let Some(parts) = message.get_mut("content").and_then(Value::as_array_mut) {
            let before = parts.len();
            parts.retain(|part| !part["type"].as_str().is_some_and(|kind| REASONING_PARTS.contains(&kind)));
            changed |= parts.len() != before;
            if parts.is_empty() {
                message.insert("content".into(), "".into());
            }
        }
        changed
    });
    if stripped {
        losses.push(Loss::dropped("messages[].reasoning_content"));
    }
}

/// `reasoning_content` of earlier turns is sent as `reasoning`.
pub(super) fn rename_reasoning_history(bench: &mut Workbench<'_>, _: &mut Vec<Loss>) {
    if bench.mentions("messages", &["reasoning_content"]) {
        bench.change_messages(|message| {
            let Some(reasoning) = message.remove("reasoning_content") else { return false };
            message.entry("reasoning").or_insert(reasoning);
            true
        });
    }
}

/// Ids of tool calls that are not nine letters or digits are replaced by a hash of themselves, the same at
/// the call and at its result.
pub(super) fn tool_ids_nine_alphanumeric(bench: &mut Workbench<'_>, _: &mut Vec<Loss>) {
    if !bench.mentions("messages", &["tool_calls", "tool_call_id"]) {
        return;
    }
    bench.change_messages(|message| {
        let mut changed = message.get_mut("tool_call_id").is_some_and(shorten);
        for call in message.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten() {
            changed |= call.get_mut("id").is_some_and(shorten);
        }
        changed
    });
}

fn shorten(id: &mut Value) -> bool {
    let Some(old) = id.as_str() else { return false };
    let new = nine_alphanumeric(old);
    let changed = new != old;
    *id = new.into();
    changed
}

/// The id itself when it is nine letters or digits, else nine of its hash (FNV-1a, 64 bits, spread well
/// enough for the calls of one conversation).
#[must_use]
pub fn nine_alphanumeric(id: &str) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    if id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return id.to_owned();
    }
    let mut hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    (0..9)
        .map(|_| {
            let digit = DIGITS[(hash % 62) as usize];
            hash /= 62;
            char::from(digit)
        })
        .collect()
}

/// `extra_content` of tool calls and messages is left out: only its author understands it.
pub(super) fn strip_extra_content(bench: &mut Workbench<'_>, losses: &mut Vec<Loss>) {
    if !bench.mentions("messages", &["extra_content"]) {
        return;
    }
    let stripped = bench.change_messages(|message| {
        let mut changed = message.remove("extra_content").is_some();
        for call in message.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten() {
            changed |= call.as_object_mut().is_some_and(|call| call.remove("extra_content").is_some());
        }
        changed
    });
    if stripped {
        losses.push(Loss::dropped("messages[].tool_calls[].extra_content"));
    }
}

/// `name` of messages other than function results is left out.
pub(super) fn strip_message_names(bench: &mut Workbench<'_>, losses: &mut Vec<Loss>) {
    if !bench.mentions("messages", &["\"name\""]) {
        return;
    }
    let stripped = bench.change_messages(|message| {
        message.get("role").is_none_or(|role| role != "function") && message.remove("name").is_some()
    });
    if stripped {
        losses.push(Loss::dropped("messages[].name"));
    }
}

/// Content that is an array of nothing but text becomes one string.
pub(super) fn flatten_text_content(bench: &mut Workbench<'_>, _: &mut Vec<Loss>) {
    if !bench.mentions("messages", &["\"text\""]) {
        return;
    }
    bench.change_messages(|message| {
        let Some(flat) = message.get("content").and_then(flat_text) else { return false };
        message.insert("content".into(), flat.into());
        true
    });
}

fn flat_text(content: &Value) -> Option<String> {
    let texts: Option<Vec<&str>> = content
        .as_array()?
        .iter()
        .map(|part| if part["type"] == "text" { part["text"].as_str() } else { None })
        .collect();
    texts.map(|texts| texts.join("\n"))
}

/// Assistant messages that say and call nothing are left out.
pub(super) fn drop_empty_assistant(bench: &mut Workbench<'_>, _: &mut Vec<Loss>) {
    if !bench.mentions("messages", &["\"assistant\""]) {
        return;
    }
    bench.change("messages", |messages| {
        let Some(messages) = messages.as_array_mut() else { return false };
        let before = messages.len();
        messages.retain(|message| {
            message["role"] != "assistant" || !message.as_object().is_some_and(says_nothing)
        });
        messages.len() != before
    });
}

fn says_nothing(message: &Map<String, Value>) -> bool {
    let empty = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    };
    ["content", "tool_calls", "function_call", "refusal", "audio"]
        .iter()
        .all(|key| message.get(*key).is_none_or(empty))
}
