//! Quirks of messages: what some providers refuse in a history that others wrote.

use super::Workbench;
use crate::hub::Loss;
use crate::json::{Cursor, Kind, Syntax, quoted};
use crate::patch::{self, Fate};

/// Fields that carry reasoning in a message.
const REASONING_FIELDS: &[&str] =
    &["reasoning_content", "reasoning", "reasoning_details", "think", "thinking"];

/// Types of content parts that carry reasoning.
const REASONING_PARTS: &[&str] = &["thinking", "redacted_thinking", "think", "reasoning"];

/// The role `developer` becomes `system`.
pub(super) fn developer_to_system(bench: &mut Workbench<'_>, _: &mut Vec<Loss>) {
    bench.change_messages(&["developer"], |message| {
        let is_developer = reads(message.get("role"), "developer");
        if is_developer {
            message.set("role", quoted("system"));
        }
        is_developer
    });
}

/// Whether a field is there and is this string.
fn reads(field: Option<&str>, word: &str) -> bool {
    field.and_then(patch::string).is_some_and(|text| text == word)
}

/// Reasoning of earlier turns is left out.
pub(super) fn strip_reasoning_history(bench: &mut Workbench<'_>, losses: &mut Vec<Loss>) {
    let stripped = bench.change_messages(&["reasoning", "think"], |message| {
        let mut changed = false;
        for field in REASONING_FIELDS {
            changed |= message.remove(field);
        }
        if let Some(content) = message.get("content").and_then(without_reasoning) {
            message.set("content", content);
            changed = true;
        }
        changed
    });
    if stripped {
        losses.push(Loss::dropped("messages[].reasoning_content"));
    }
}

/// The content without parts that carry reasoning; nothing when there are none.
fn without_reasoning(content: &str) -> Option<String> {
    if patch::kind(content) != Some(Kind::Array) {
        return None;
    }
    let is_reasoning = |part: &str| {
        let kind = patch::field(part, "type").and_then(patch::string);
        kind.is_some_and(|kind| REASONING_PARTS.contains(&&*kind))
    };
    let mut left = false;
    let rest = patch::each(content, |_, part| {
        if is_reasoning(part) {
            return Fate::Drop;
        }
        left = true;
        Fate::Keep
    })?;
    Some(if left { rest } else { quoted("") })
}

/// `reasoning_content` of earlier turns is sent as `reasoning`.
pub(super) fn rename_reasoning_history(bench: &mut Workbench<'_>, _: &mut Vec<Loss>) {
    bench.change_messages(&["reasoning_content"], |message| {
        if message.get("reasoning").is_some() {
            return message.remove("reasoning_content");
        }
        message.rename("reasoning_content", "reasoning")
    });
}

/// Ids of tool calls that are not nine letters or digits are replaced by a hash of themselves, the same at
/// the call and at its result.
pub(super) fn tool_ids_nine_alphanumeric(bench: &mut Workbench<'_>, _: &mut Vec<Loss>) {
    bench.change_messages(&["tool_calls", "tool_call_id"], |message| {
        let id = message.get("tool_call_id").and_then(shorten);
        let calls = message
            .get("tool_calls")
            .and_then(|calls| patch::each(calls, |_, call| patch::within(call, "id", shorten).into()));
        let mut changed = false;
        for (key, new) in [("tool_call_id", id), ("tool_calls", calls)] {
            if let Some(new) = new {
                message.set(key, new);
                changed = true;
            }
        }
        changed
    });
}

/// The shorter id as JSON text; nothing when it is short enough.
fn shorten(id: &str) -> Option<String> {
    let old = patch::string(id)?;
    let new = nine_alphanumeric(&old);
    (new != old).then(|| quoted(&new))
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
    let stripped = bench.change_messages(&["extra_content"], |message| {
        let calls = message.get("tool_calls").and_then(|calls| {
            patch::each(calls, |_, call| patch::object(call, |call| call.remove("extra_content")).into())
        });
        let mut changed = message.remove("extra_content");
        if let Some(calls) = calls {
            message.set("tool_calls", calls);
            changed = true;
        }
        changed
    });
    if stripped {
        losses.push(Loss::dropped("messages[].tool_calls[].extra_content"));
    }
}

/// `name` of messages other than function results is left out.
pub(super) fn strip_message_names(bench: &mut Workbench<'_>, losses: &mut Vec<Loss>) {
    let stripped = bench.change_messages(&["\"name\""], |message| {
        !reads(message.get("role"), "function") && message.remove("name")
    });
    if stripped {
        losses.push(Loss::dropped("messages[].name"));
    }
}

/// Content that is an array of nothing but text becomes one string.
pub(super) fn flatten_text_content(bench: &mut Workbench<'_>, _: &mut Vec<Loss>) {
    bench.change_messages(&["\"text\""], |message| {
        let Some(flat) = message.get("content").and_then(flat_text) else { return false };
        message.set("content", flat);
        true
    });
}

/// The texts of an array of text parts as one JSON string, a line break between them.
fn flat_text(content: &str) -> Option<String> {
    let mut flat = String::from("\"");
    let mut cursor = Cursor::new(content);
    let mut is_text = true;
    let walked = cursor.items(|cursor, index| {
        let part = cursor.skip()?;
        is_text &= reads(patch::field(part, "type"), "text");
        // The text stays as it is written, escapes included.
        match patch::field(part, "text").and_then(|text| Cursor::new(text).string().ok()) {
            Some(text) => {
                if index > 0 {
                    flat.push_str("\\n");
                }
                flat.push_str(text.raw);
            }
            None => is_text = false,
        }
        Ok::<(), Syntax>(())
    });
    flat.push('"');
    (walked.is_ok() && is_text).then_some(flat)
}

/// Assistant messages that say and call nothing are left out.
pub(super) fn drop_empty_assistant(bench: &mut Workbench<'_>, _: &mut Vec<Loss>) {
    bench.change("messages", |messages| {
        patch::each(messages, |_, message| {
            let is_empty = reads(patch::field(message, "role"), "assistant") && says_nothing(message);
            if is_empty { Fate::Drop } else { Fate::Keep }
        })
    });
}

fn says_nothing(message: &str) -> bool {
    let is_empty = |value: &str| match patch::kind(value) {
        Some(Kind::Null) => true,
        Some(Kind::String) => Cursor::new(value).string().is_ok_and(|text| text.is_blank()),
        Some(Kind::Array) => value
            .strip_prefix('[')
            .and_then(|items| items.strip_suffix(']'))
            .is_some_and(|items| items.trim().is_empty()),
        _ => false,
    };
    ["content", "tool_calls", "function_call", "refusal", "audio"]
        .iter()
        .all(|key| patch::field(message, key).is_none_or(is_empty))
}
