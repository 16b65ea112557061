//! What Anthropic Messages takes as a conversation: roles, blocks, and calls of tools with their results.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::anthropic::{check_mark, extra, is_thinking};
use super::kind::{is_plain, list, text};
use super::{Inspected, Rule, Strictness};

/// The most characters of an id.
const MAX_ID: usize = 256;

/// Types of images.
const IMAGES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

/// Blocks with their fields, and whether users, assistants and results of tools have them.
const BLOCKS: &[(&str, &[&str], [bool; 3])] = &[
    ("text", &["text", "cache_control", "citations"], [true, true, true]),
    ("image", &["source", "cache_control"], [true, false, true]),
    ("document", &["source", "title", "context", "citations", "cache_control"], [true, false, true]),
    ("search_result", &["source", "title", "content", "citations", "cache_control"], [true, false, true]),
    ("container_upload", &["file_id", "cache_control"], [true, true, false]),
    ("tool_reference", &["tool_name", "cache_control"], [false, false, true]),
    ("tool_result", &["tool_use_id", "content", "is_error", "cache_control"], [true, false, false]),
    ("thinking", &["thinking", "signature"], [false, true, false]),
    ("redacted_thinking", &["data"], [false, true, false]),
    ("tool_use", &["id", "name", "input", "cache_control", "caller"], [false, true, false]),
    ("server_tool_use", &["id", "name", "input", "cache_control", "caller"], [false, true, false]),
];

/// The fields of the results of tools that run at the provider.
const SERVER_RESULT: [&str; 5] = ["type", "tool_use_id", "content", "cache_control", "caller"];

/// The conversation of a request.
pub(super) struct Turns<'a> {
    pub(super) strictness: &'a Strictness,
    pub(super) body: &'a Value,
    pub(super) call: &'a Inspected<'a>,
}

/// Messages of one role that follow each other, as one.
struct Turn<'a> {
    role: &'a str,
    /// Where it begins.
    at: usize,
    blocks: Vec<(String, &'a Value)>,
}

impl Turns<'_> {
    pub(super) fn check(&self, fault: &mut impl FnMut(String)) {
        let messages = list(&self.body["messages"]);
        if messages.is_empty() {
            fault("messages: at least one message is required".into());
            return;
        }
        for (index, message) in messages.iter().enumerate() {
            self.check_message(message, index, fault);
        }
        if messages[0]["role"] != "user" {
            fault("messages: first message must use the \"user\" role".into());
        }
        self.check_system(messages, fault);
        self.check_pairs(&merged(messages), fault);
        self.check_end(messages, fault);
    }

    fn check_message(&self, message: &Value, index: usize, fault: &mut impl FnMut(String)) {
        let path = format!("messages.{index}");
        extra(message, &["role", "content"], &path, fault);
        let role = text(&message["role"]);
        if !["user", "assistant", "system"].contains(&role) {
            fault(format!("{path}.role: Input should be 'user', 'assistant' or 'system'"));
        }
        match &message["content"] {
            Value::String(words) if words.is_empty() => {
                fault(format!("{path}: text content blocks must be non-empty"));
            }
            Value::String(_) => {}
            Value::Array(blocks) if blocks.is_empty() => fault(format!(
                "{path}: all messages must have non-empty content except for the optional final assistant message"
            )),
            Value::Array(blocks) => {
                let place = usize::from(role == "assistant");
                for (number, block) in blocks.iter().enumerate() {
                    self.check_block(block, place, &format!("{path}.content.{number}"), fault);
                }
            }
            Value::Null => fault(format!("{path}.content: Field required")),
            _ => fault(format!("{path}.content: Input should be a valid string or list")),
        }
    }

    fn check_block(&self, block: &Value, place: usize, path: &str, fault: &mut impl FnMut(String)) {
        let kind = text(&block["type"]);
        let path = format!("{path}.{kind}");
        check_mark(&block["cache_control"], &path, fault);
        let Some((_, fields, places)) = BLOCKS.iter().find(|(known, ..)| *known == kind) else {
            if kind.ends_with("_tool_result") {
                extra(block, &SERVER_RESULT, &path, fault);
            } else {
                fault(format!(
                    "{path}: Input tag '{kind}' found using 'type' does not match any of the expected tags"
                ));
            }
            return;
        };
        if !places[place] {
            fault(format!("{path}: `{kind}` blocks are not permitted here"));
        }
        let known: Vec<_> = fields.iter().copied().chain(["type"]).collect();
        extra(block, &known, &path, fault);
        match kind {
            "text" if text(&block["text"]).is_empty() => {
                fault(format!("{path}: text content blocks must be non-empty"));
            }
            "image" => check_image(&block["source"], &path, fault),
            "document" => check_document(&block["source"], &path, fault),
            "thinking" => self.check_signature(block, &path, fault),
            "redacted_thinking" if !self.call.is_issued(self.strictness, text(&block["data"]), None) => {
                fault(format!("{path}: Invalid `data` in `redacted_thinking` block"));
            }
            "tool_use" => check_call(block, &path, fault),
            "tool_result" => self.check_result(block, &path, fault),
            _ => {}
        }
    }

    fn check_signature(&self, block: &Value, path: &str, fault: &mut impl FnMut(String)) {
        if !block["thinking"].is_string() {
            fault(format!("{path}.thinking: Field required"));
        }
        let Some(signature) = block["signature"].as_str() else {
            fault(format!("{path}.signature: Field required"));
            return;
        };
        if !self.call.is_issued(self.strictness, signature, block["thinking"].as_str()) {
            let place = path.trim_end_matches(".thinking");
            fault(format!("{place}: Invalid `signature` in `thinking` block"));
        }
    }

    fn check_result(&self, block: &Value, path: &str, fault: &mut impl FnMut(String)) {
        if !is_plain(text(&block["tool_use_id"]), MAX_ID) {
            fault(format!("{path}.tool_use_id: String should match pattern '^[a-zA-Z0-9_-]+$'"));
        }
        if block.get("is_error").is_some_and(|is_error| !is_error.is_boolean()) {
            fault(format!("{path}.is_error: Input should be a valid boolean"));
        }
        match &block["content"] {
            Value::Null | Value::String(_) => {}
            Value::Array(blocks) => {
                for (number, inner) in blocks.iter().enumerate() {
                    self.check_block(inner, 2, &format!("{path}.content.{number}"), fault);
                }
            }
            _ => fault(format!("{path}.content: Input should be a valid string or list")),
        }
    }

    /// Turns of the system in the middle of a conversation.
    fn check_system(&self, messages: &[Value], fault: &mut impl FnMut(String)) {
        for (index, message) in messages.iter().enumerate() {
            if message["role"] != "system" {
                continue;
            }
            if self.strictness.has(Rule::NoSystemTurns) {
                fault("role 'system' is not supported on this model".into());
                return;
            }
            let before = index.checked_sub(1).map_or("", |before| text(&messages[before]["role"]));
            let after = messages.get(index + 1).map(|after| text(&after["role"]));
            if before != "user" || after.is_some_and(|after| after != "assistant") {
                fault(format!(
                    "messages.{index}: a `system` message must follow a `user` message and be last or followed by an `assistant` message"
                ));
            }
            if list(&message["content"]).iter().any(|block| block["type"] != "text") {
                fault(format!("messages.{index}.content: `system` messages take text only"));
            }
        }
    }

    fn check_pairs(&self, turns: &[Turn<'_>], fault: &mut impl FnMut(String)) {
        let mut seen = Vec::new();
        for (place, turn) in turns.iter().enumerate() {
            let calls = ids(turn, "tool_use", "id");
            for (path, id) in &calls {
                if seen.contains(id) {
                    fault(format!("{path}: `tool_use` ids must be unique"));
                }
                seen.push(*id);
            }
            let answers: Vec<_> = turns.get(place + 1).map_or_else(Vec::new, leading_results);
            let open: Vec<_> = calls.iter().map(|(_, id)| *id).filter(|id| !answers.contains(id)).collect();
            if !open.is_empty() {
                fault(format!(
                    "messages.{}: `tool_use` ids were found without `tool_result` blocks immediately after: {}. \
                     Each `tool_use` block must have a corresponding `tool_result` block in the next message.",
                    turn.at,
                    open.join(", ")
                ));
            }
            let before: Vec<_> = place.checked_sub(1).map_or_else(Vec::new, |before| {
                ids(&turns[before], "tool_use", "id").into_iter().map(|(_, id)| id).collect()
            });
            let mut answered = Vec::new();
            for (path, id) in ids(turn, "tool_result", "tool_use_id") {
                if !before.contains(&id) {
                    fault(format!(
                        "{path}: unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each `tool_result` \
                         block must have a corresponding `tool_use` block in the previous message."
                    ));
                } else if answered.contains(&id) {
                    fault(format!(
                        "{path}: each tool_use must have a single result. Found multiple `tool_result` blocks with id: {id}"
                    ));
                }
                answered.push(id);
            }
        }
    }

    /// What the last turns have to be.
    fn check_end(&self, messages: &[Value], fault: &mut impl FnMut(String)) {
        let last = messages.last().unwrap_or(&Value::Null);
        if last["role"] == "assistant" {
            if self.strictness.has(Rule::NoPrefill) {
                fault(
                    "This model does not support assistant message prefill. The conversation must end with a user message."
                        .into(),
                );
            }
            let end = last["content"].as_str().or_else(|| list(&last["content"]).last()?["text"].as_str());
            if end.is_some_and(|end| end.ends_with(char::is_whitespace)) {
                fault("messages: final assistant content cannot end with trailing whitespace".into());
            }
        }
        // With a budget, the turn that called the tools has to begin with its thoughts.
        let turns = merged(messages);
        let [.., called, results] = turns.as_slice() else { return };
        let budget = self.body["thinking"]["type"] == "enabled" && is_thinking(self.body);
        let in_loop = called.role == "assistant" && !leading_results(results).is_empty();
        let first = called.blocks.first().map_or("", |(_, block)| text(&block["type"]));
        if budget && in_loop && !["thinking", "redacted_thinking"].contains(&first) {
            fault(format!(
                "messages.{}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{first}`. When \
                 `thinking` is enabled, a final `assistant` message must start with a thinking block.",
                called.at
            ));
        }
    }
}

/// Neighbours of one role as one turn; what the system says in between belongs to none.
fn merged(messages: &[Value]) -> Vec<Turn<'_>> {
    let mut turns: Vec<Turn<'_>> = Vec::new();
    for (at, message) in messages.iter().enumerate().filter(|(_, message)| message["role"] != "system") {
        let role = text(&message["role"]);
        // A bare text is a block too: it can stand before results that have to come first.
        let content = &message["content"];
        let content = if content.is_string() { std::slice::from_ref(content) } else { list(content) };
        let blocks = content.iter().enumerate();
        let blocks = blocks.map(|(number, block)| (format!("messages.{at}.content.{number}"), block));
        match turns.last_mut() {
            Some(turn) if turn.role == role => turn.blocks.extend(blocks),
            _ => turns.push(Turn { role, at, blocks: blocks.collect() }),
        }
    }
    turns
}

/// The ids in the blocks of a kind, and where they are.
fn ids<'a>(turn: &Turn<'a>, kind: &str, field: &str) -> Vec<(String, &'a str)> {
    let blocks = turn.blocks.iter().filter(|(_, block)| block["type"] == kind);
    blocks.map(|(path, block)| (path.clone(), text(&block[field]))).collect()
}

/// The calls that the results at the beginning of a turn belong to.
fn leading_results<'a>(turn: &Turn<'a>) -> Vec<&'a str> {
    let leading = turn.blocks.iter().take_while(|(_, block)| block["type"] == "tool_result");
    leading.map(|(_, block)| text(&block["tool_use_id"])).collect()
}

fn check_call(block: &Value, path: &str, fault: &mut impl FnMut(String)) {
    if !is_plain(text(&block["id"]), MAX_ID) {
        fault(format!("{path}.id: String should match pattern '^[a-zA-Z0-9_-]+$'"));
    }
    let name = text(&block["name"]);
    if name.is_empty() || name.len() > 200 {
        fault(format!("{path}.name: String should have at least 1 and at most 200 characters"));
    }
    if !block["input"].is_object() {
        fault(format!("{path}.input: Input should be a valid dictionary"));
    }
}

fn check_image(source: &Value, path: &str, fault: &mut impl FnMut(String)) {
    match text(&source["type"]) {
        "base64" => {
            extra(source, &["type", "media_type", "data"], &format!("{path}.source.base64"), fault);
            if !IMAGES.contains(&text(&source["media_type"])) {
                fault(format!(
                    "{path}.source.base64.media_type: Input should be 'image/jpeg', 'image/png', 'image/gif' or 'image/webp'"
                ));
            }
            check_base64(&source["data"], path, fault);
        }
        "url" => check_url(source, path, fault),
        "file" => extra(source, &["type", "file_id"], &format!("{path}.source.file"), fault),
        kind => fault(format!("{path}.source: Input tag '{kind}' found using 'type' does not match")),
    }
}

fn check_document(source: &Value, path: &str, fault: &mut impl FnMut(String)) {
    match text(&source["type"]) {
        "base64" => {
            extra(source, &["type", "media_type", "data"], &format!("{path}.source.base64"), fault);
            if source["media_type"] != "application/pdf" {
                fault(format!("{path}.source.base64.media_type: Input should be 'application/pdf'"));
            }
            check_base64(&source["data"], path, fault);
        }
        "text" => {
            extra(source, &["type", "media_type", "data"], &format!("{path}.source.text"), fault);
            if source["media_type"] != "text/plain" {
                fault(format!("{path}.source.text.media_type: Input should be 'text/plain'"));
            }
        }
        "url" => check_url(source, path, fault),
        "content" => extra(source, &["type", "content"], &format!("{path}.source.content"), fault),
        "file" => extra(source, &["type", "file_id"], &format!("{path}.source.file"), fault),
        kind => fault(format!("{path}.source: Input tag '{kind}' found using 'type' does not match")),
    }
}

fn check_url(source: &Value, path: &str, fault: &mut impl FnMut(String)) {
    extra(source, &["type", "url"], &format!("{path}.source.url"), fault);
    if !text(&source["url"]).starts_with("http") {
        fault(format!("{path}.source.url.url: Only HTTPS URLs are supported."));
    }
}

fn check_base64(data: &Value, path: &str, fault: &mut impl FnMut(String)) {
    if text(data).is_empty() || STANDARD.decode(text(data)).is_err() {
        fault(format!("{path}.source.base64: invalid base64 data"));
    }
}
