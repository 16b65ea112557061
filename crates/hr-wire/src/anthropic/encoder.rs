//! Hub events, written as a stream of this dialect.
//!
//! The dialect knows one open block at a time, numbered without gaps; the hub's calls of tools may interleave.
//! So blocks go out in the order in which they began: the first that is not closed is written as it comes, and
//! what comes for those behind it waits. A call whose arguments are a whole object is closed as soon as another
//! one goes on.

use std::sync::Arc;

use hr_core::catalog::Dialect;
use hr_core::usage::Usage;
use serde_json::{Value, json};

use super::error;
use super::reply::{Ids, Stop, Told, display, is_redacted, message_id, signature};
use super::request::Display;
use super::types::usage_json;
use crate::dialect::{Echo, Encode};
use crate::hub::{CallKind, Event, Finish, Opaque, Start, names};
use crate::json::write_string;
use crate::refusal::Refusal;
use crate::sse;

/// Writes one answer.
pub(super) struct Encoder {
    echo: Arc<Echo>,
    display: Display,
    ids: Ids,
    began: bool,
    blocks: Vec<Slot>,
    /// The first block that is not closed.
    front: usize,
    /// How many blocks have a number on the wire.
    next: usize,
    told: Told,
    finish: Option<Finish>,
    usage: Option<Usage>,
}

/// A block on its way out.
struct Slot {
    start: Start,
    /// Its number on the wire, once it is open there.
    open: Option<usize>,
    /// What came and has not gone out.
    pending: String,
    opaque: Option<Opaque>,
    /// Whether arguments went out.
    sent: bool,
    /// Whether all of it came.
    ended: bool,
    braces: Braces,
}

/// How far the arguments of a call have come.
#[derive(Default)]
struct Braces {
    depth: usize,
    in_string: bool,
    escaped: bool,
    began: bool,
}

impl Braces {
    fn take(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => {
                    self.began = true;
                    self.depth += 1;
                }
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    fn are_closed(&self) -> bool {
        self.began && self.depth == 0 && !self.in_string
    }
}

impl Encoder {
    pub(super) fn new(echo: Arc<Echo>) -> Self {
        Self {
            display: display(&echo),
            ids: Ids::new(&echo),
            echo,
            began: false,
            blocks: Vec::new(),
            front: 0,
            next: 0,
            told: Told::default(),
            finish: None,
            usage: None,
        }
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if self.began {
            return;
        }
        self.began = true;
        let usage = Usage { input: Some(self.echo.prompt_tokens), output: Some(1), ..Usage::default() };
        let message = json!({
            "id": message_id(&self.echo),
            "type": "message",
            "role": "assistant",
            "model": self.echo.model,
            "content": [],
            "stop_reason": null,
            "stop_sequence": null,
            "stop_details": null,
            "container": null,
            "usage": usage_json(&usage),
        });
        event(out, "message_start", &json!({"type": "message_start", "message": message}));
        out.extend_from_slice(error::PING);
    }

    /// Writes what can go out by now.
    fn advance(&mut self, out: &mut Vec<u8>) {
        while let Some(slot) = self.blocks.get(self.front) {
            let others_go_on = || self.blocks[self.front + 1..].iter().any(|slot| slot.has_news());
            let is_call = matches!(slot.start, Start::ToolCall { .. });
            let closes = slot.ended || (is_call && slot.braces.are_closed() && others_go_on());
            self.flush(out);
            if !closes {
                return;
            }
            self.close(out);
            self.front += 1;
        }
    }

    /// Writes what has come of the first block that is not closed.
    fn flush(&mut self, out: &mut Vec<u8>) {
        let Some(slot) = self.blocks.get_mut(self.front) else { return };
        let (kind, key) = match &slot.start {
            // White space alone is no text: it waits for words to follow.
            Start::Text | Start::Refusal if slot.open.is_none() && slot.pending.trim().is_empty() => return,
            Start::Text | Start::Refusal => ("text_delta", "text"),
            Start::Reasoning if self.display != Display::Whole => return slot.pending.clear(),
            Start::Reasoning if slot.pending.is_empty() => return,
            Start::Reasoning => ("thinking_delta", "thinking"),
            // Free text is wrapped, and that can be done only when it is whole.
            Start::ToolCall { kind: CallKind::Custom, .. } if !slot.ended => return self.open(out),
            Start::ToolCall { kind: CallKind::Custom, .. } => {
                slot.pending = json!({ names::INPUT: slot.pending }).to_string();
                ("input_json_delta", "partial_json")
            }
            Start::ToolCall { .. } if !slot.sent && slot.pending.trim().is_empty() => return self.open(out),
            Start::ToolCall { .. } => ("input_json_delta", "partial_json"),
            Start::Other { .. } => return,
        };
        self.open(out);
        if let Some(slot) = self.blocks.get_mut(self.front)
            && let (Some(number), false) = (slot.open, slot.pending.is_empty())
        {
            slot.sent = true;
            delta(out, number, kind, key, &slot.pending);
            slot.pending.clear();
        }
    }

    /// Opens the first block that is not closed.
    fn open(&mut self, out: &mut Vec<u8>) {
        let Some(slot) = self.blocks.get_mut(self.front) else { return };
        if slot.open.is_some() {
            return;
        }
        let block = match &slot.start {
            Start::Text | Start::Refusal => json!({"type": "text", "text": "", "citations": []}),
            Start::Reasoning => match &slot.opaque {
                Some(opaque) if is_redacted(opaque) => {
                    json!({"type": "redacted_thinking", "data": opaque.data})
                }
                _ => json!({"type": "thinking", "thinking": "", "signature": ""}),
            },
            Start::ToolCall { id, name, .. } => {
                self.told.calls = true;
                let id = self.ids.unique(id);
                json!({"type": "tool_use", "id": id, "name": name, "input": {}, "caller": {"type": "direct"}})
            }
            Start::Other { value, .. } => value.clone(),
        };
        slot.open = Some(self.next);
        start(out, self.next, &block);
        self.next += 1;
    }

    /// Closes the first block that is not closed; one of which nothing is seen was never there.
    fn close(&mut self, out: &mut Vec<u8>) {
        let Some(slot) = self.blocks.get(self.front) else { return };
        let sealed = slot.opaque.is_some() && self.display != Display::Nothing;
        match &slot.start {
            Start::Other { origin: Dialect::Anthropic, .. } | Start::ToolCall { .. } => self.open(out),
            Start::Reasoning if sealed => self.open(out),
            _ => {}
        }
        let Some(slot) = self.blocks.get(self.front) else { return };
        let Some(number) = slot.open else { return };
        match &slot.start {
            Start::Reasoning if !slot.opaque.as_ref().is_some_and(is_redacted) => {
                delta(out, number, "signature_delta", "signature", &signature(slot.opaque.as_ref()));
            }
            Start::ToolCall { .. } if !slot.sent => {
                delta(out, number, "input_json_delta", "partial_json", "{}")
            }
            _ => {}
        }
        event(out, "content_block_stop", &json!({"type": "content_block_stop", "index": number}));
    }
}

impl Slot {
    /// Whether anything came of it: another call goes on.
    fn has_news(&self) -> bool {
        !self.pending.is_empty() || self.ended || !matches!(self.start, Start::ToolCall { .. })
    }
}

impl Encode for Encoder {
    fn push(&mut self, event: &Event, out: &mut Vec<u8>) {
        self.begin(out);
        match event {
            Event::Begin { .. } => {}
            Event::Start { start, .. } => self.blocks.push(Slot {
                start: start.clone(),
                open: None,
                pending: String::new(),
                opaque: None,
                sent: false,
                ended: false,
                braces: Braces::default(),
            }),
            Event::Delta { block, text } => {
                let Some(slot) = self.blocks.get_mut(*block) else { return };
                match &slot.start {
                    Start::ToolCall { kind: CallKind::Function, .. } => slot.braces.take(text),
                    Start::Refusal => self.told.refused(text),
                    _ => {}
                }
                if !matches!(slot.start, Start::Refusal | Start::Reasoning) {
                    self.told.characters += text.len() as u64;
                }
                // What comes for a block that is closed is the white space behind its arguments.
                if *block >= self.front {
                    slot.pending.push_str(text);
                }
            }
            Event::Opaque { block, opaque } => {
                if let Some(slot) = self.blocks.get_mut(*block) {
                    slot.opaque = Some(opaque.clone());
                }
            }
            Event::End { block } => {
                if let Some(slot) = self.blocks.get_mut(*block) {
                    slot.ended = true;
                }
            }
            Event::Finish(finish) => self.finish = Some(finish.clone()),
            Event::Usage(usage) => self.usage = Some(*usage),
        }
        self.advance(out);
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        self.begin(out);
        for slot in &mut self.blocks {
            slot.ended = true;
        }
        self.advance(out);
        let stop = Stop::of(self.finish.as_ref(), &self.told);
        let delta = json!({
            "stop_reason": stop.reason,
            "stop_sequence": stop.sequence,
            "stop_details": stop.details,
            "container": null,
        });
        let usage = usage_json(&self.told.usage(self.usage, &self.echo));
        event(out, "message_delta", &json!({"type": "message_delta", "delta": delta, "usage": usage}));
        event(out, "message_stop", &json!({"type": "message_stop"}));
    }

    fn fail(&mut self, refusal: &Refusal<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(&error::event(refusal));
    }

    fn keep_alive(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(error::PING);
    }
}

/// Writes an event.
pub(super) fn event(out: &mut Vec<u8>, name: &str, data: &Value) {
    sse::encode(out, Some(name), data.to_string().as_bytes());
}

/// Writes the beginning of a block.
pub(super) fn start(out: &mut Vec<u8>, number: usize, block: &Value) {
    let data = json!({"type": "content_block_start", "index": number, "content_block": block});
    event(out, "content_block_start", &data);
}

/// Writes more of a block. Most of a stream is this, so it is put together by hand.
pub(super) fn delta(out: &mut Vec<u8>, number: usize, kind: &str, key: &str, text: &str) {
    out.extend_from_slice(b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":");
    out.extend_from_slice(number.to_string().as_bytes());
    out.extend_from_slice(b",\"delta\":{\"type\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\",\"");
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":");
    write_string(out, text);
    out.extend_from_slice(b"}}\n\n");
}
