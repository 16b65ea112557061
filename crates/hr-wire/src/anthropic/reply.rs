//! Whole replies of the hub, written for a caller.

use std::collections::BTreeSet;

use hr_core::catalog::Dialect;
use hr_core::usage::Usage;
use serde_json::{Value, json};

use super::blocks::input;
use super::request::Display;
use super::types::usage_json;
use crate::dialect::Echo;
use crate::hub::carrier::carry;
use crate::hub::{
    Block, CallKind, Finish, FinishKind, Opaque, OpaqueKind, Reasoning, Reply, ToolCall, names,
};

/// Characters of an answer that are taken for a token where nobody says what it cost.
const CHARACTERS_OF_A_TOKEN: u64 = 4;

/// Writes a whole reply, all keys of the published schema.
pub(super) fn encode(reply: &Reply, echo: &Echo) -> Vec<u8> {
    let display = display(echo);
    let mut ids = Ids::new(echo);
    let mut content: Vec<String> = Vec::with_capacity(reply.blocks.len());
    let mut told = Told::default();
    for block in &reply.blocks {
        match block {
            Block::Text(text) if text.trim().is_empty() => {}
            Block::Text(text) => {
                told.characters += text.len() as u64;
                content.push(text_block(text));
            }
            Block::Refusal(text) => {
                told.refused(text);
                content.push(text_block(text));
            }
            Block::Reasoning(reasoning) => content.extend(thinking(reasoning, display)),
            Block::ToolCall(call) => {
                told.calls = true;
                told.characters += call.arguments.len() as u64;
                content.push(tool_use(call, &ids.unique(&call.id)));
            }
            Block::Other { origin: Dialect::Anthropic, value } => content.push(value.to_string()),
            Block::Other { .. } => {}
        }
    }
    let stop = Stop::of(reply.finish.as_ref(), &told);
    let usage = usage_json(&told.usage(reply.usage, echo));
    format!(
        "{{\"id\":{},\"type\":\"message\",\"role\":\"assistant\",\"model\":{},\"content\":[{}],\"stop_reason\":\"{}\",\
         \"stop_sequence\":{},\"stop_details\":{},\"container\":null,\"usage\":{usage}}}",
        json!(message_id(echo)),
        json!(echo.model),
        content.join(","),
        stop.reason,
        stop.sequence,
        stop.details,
    )
    .into_bytes()
}

/// The schema wants `citations`, and there are clients that take `null` for none of its types.
fn text_block(text: &str) -> String {
    json!({"type": "text", "text": text, "citations": []}).to_string()
}

fn thinking(reasoning: &Reasoning, display: Display) -> Option<String> {
    let text = match display {
        Display::Nothing => return None,
        Display::Sealed if reasoning.opaque.is_none() => return None,
        Display::Sealed => "",
        Display::Whole => &reasoning.text,
    };
    let block = match &reasoning.opaque {
        Some(opaque) if is_redacted(opaque) => json!({"type": "redacted_thinking", "data": opaque.data}),
        None if text.is_empty() => return None,
        opaque => json!({"type": "thinking", "thinking": text, "signature": signature(opaque.as_ref())}),
    };
    Some(block.to_string())
}

fn tool_use(call: &ToolCall, id: &str) -> String {
    let input = match call.kind {
        CallKind::Function => input(&call.arguments),
        CallKind::Custom => json!({ names::INPUT: call.arguments }).to_string(),
    };
    format!(
        "{{\"type\":\"tool_use\",\"id\":{},\"name\":{},\"input\":{input},\"caller\":{{\"type\":\"direct\"}}}}",
        json!(id),
        json!(call.name)
    )
}

/// Whether it is a whole block of its own.
pub(super) fn is_redacted(opaque: &Opaque) -> bool {
    opaque.origin == Dialect::Anthropic && opaque.kind == OpaqueKind::Redacted
}

/// What stands in `signature`: a signature as it came, or what only we can read. It is never empty, since
/// clients drop reasoning without one.
pub(super) fn signature(opaque: Option<&Opaque>) -> String {
    match opaque {
        Some(opaque) if opaque.origin == Dialect::Anthropic && opaque.kind == OpaqueKind::Signature => {
            opaque.data.clone()
        }
        opaque => carry(opaque),
    }
}

/// How much of the reasoning the caller sees.
pub(super) fn display(echo: &Echo) -> Display {
    match (&echo.request, echo.shows_reasoning) {
        (_, true) => Display::Whole,
        (Some(request), false) if Display::of(request) == Display::Sealed => Display::Sealed,
        _ => Display::Nothing,
    }
}

/// The id of the answer: unique, since clients take two answers of one id for one.
pub(super) fn message_id(echo: &Echo) -> String {
    format!("msg_01{}", base62(echo.nonce))
}

/// A number in letters and digits, always as many.
fn base62(number: u64) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut rest = number;
    let mut digits = [b'0'; 11];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(rest % 62) as usize];
        rest /= 62;
    }
    digits.iter().map(|digit| char::from(*digit)).collect()
}

/// The ids of the calls of one answer: a client would lose the second of two that are the same.
#[derive(Debug)]
pub(super) struct Ids {
    nonce: u64,
    used: BTreeSet<String>,
}

impl Ids {
    pub(super) fn new(echo: &Echo) -> Self {
        Self { nonce: echo.nonce, used: BTreeSet::new() }
    }

    /// The id, or one of ours where it is missing or taken.
    pub(super) fn unique(&mut self, id: &str) -> String {
        let free = !id.is_empty() && !self.used.contains(id);
        let id =
            if free { id.to_owned() } else { format!("toolu_{}_{}", base62(self.nonce), self.used.len()) };
        self.used.insert(id.clone());
        id
    }
}

/// What an answer came to.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Whether a tool is called.
    pub calls: bool,
    /// The words of a refusal.
    pub refusal: Option<String>,
    /// How much was said.
    pub characters: u64,
}

impl Told {
    /// Notes words of refusal.
    pub(super) fn refused(&mut self, words: &str) {
        self.characters += words.len() as u64;
        self.refusal.get_or_insert_default().push_str(words);
    }

    /// What it cost, as reported, and an estimate where nothing was.
    pub(super) fn usage(&self, reported: Option<Usage>, echo: &Echo) -> Usage {
        let usage = reported.unwrap_or_default();
        Usage {
            input: usage.input.or(Some(echo.prompt_tokens)),
            output: usage.output.or(Some(self.characters / CHARACTERS_OF_A_TOKEN + 1)),
            ..usage
        }
    }
}

/// Why an answer ended, in the words of this dialect.
pub(super) struct Stop {
    /// `stop_reason`.
    pub reason: &'static str,
    /// `stop_sequence`.
    pub sequence: Value,
    /// `stop_details`.
    pub details: Value,
}

impl Stop {
    /// For this finish of what was told.
    pub(super) fn of(finish: Option<&Finish>, told: &Told) -> Self {
        let finish = finish.cloned().unwrap_or_else(|| Finish::read("end_turn")).borne_out(told.calls);
        let of = |reason| Self { reason, sequence: Value::Null, details: Value::Null };
        match finish.kind() {
            FinishKind::Length if finish.raw() == "model_context_window_exceeded" => {
                of("model_context_window_exceeded")
            }
            FinishKind::Length => of("max_tokens"),
            FinishKind::ToolCalls => of("tool_use"),
            FinishKind::ContentFilter => Self::refusal(told),
            FinishKind::Stop | FinishKind::Other if told.refusal.is_some() => Self::refusal(told),
            FinishKind::Stop | FinishKind::Other => match finish.stop_sequence() {
                Some(word) => Self { sequence: json!(word), ..of("stop_sequence") },
                None if finish.raw() == "pause_turn" => of("pause_turn"),
                None => of("end_turn"),
            },
        }
    }

    fn refusal(told: &Told) -> Self {
        let details = json!({"type": "refusal", "category": null, "explanation": told.refusal});
        Self { reason: "refusal", sequence: Value::Null, details }
    }
}
