//! Hub events, written as a stream of this dialect.

use std::sync::Arc;

use hr_core::catalog::Dialect;
use hr_core::usage::Usage;

use super::types::usage_json;
use super::{error, reply};
use crate::dialect::{Echo, Encode};
use crate::hub::{CallKind, Event, OpaqueKind, Start};
use crate::json::write_string;
use crate::refusal::Refusal;
use crate::sse;

/// Writes hub events as chunks, in the grammar that strict clients need: the role once and first, calls
/// numbered from 0, one finish reason, usage last and only when wanted, then `[DONE]`.
#[derive(Debug, Default)]
pub struct Encoder {
    echo: Arc<Echo>,
    /// What all chunks begin with; empty until the reply has begun.
    head: Vec<u8>,
    blocks: Vec<Block>,
    calls: u64,
    /// Whether some reasoning was said.
    thought: bool,
    usage: Option<Usage>,
    finished: bool,
}

/// A block that has begun.
#[derive(Clone, Copy, Debug)]
enum Block {
    /// Text in this field of the delta.
    Text(&'static str),
    /// Reasoning, and whether something of it was said.
    Reasoning { said: bool },
    /// A call of this number.
    Call { number: u64, kind: CallKind, is_empty: bool },
    /// Nothing that this dialect shows.
    Hidden,
}

impl Encoder {
    /// An encoder for one reply.
    #[must_use]
    pub fn new(echo: &Arc<Echo>) -> Self {
        Self { echo: Arc::clone(echo), ..Self::default() }
    }

    fn begin(&mut self, id: &str, model: &str, created: u64, out: &mut Vec<u8>) {
        if !self.head.is_empty() {
            return;
        }
        let head = &mut self.head;
        head.extend_from_slice(b"{\"id\":");
        write_string(head, &reply::id(reply::PREFIX, id, &self.echo));
        head.extend_from_slice(b",\"object\":\"chat.completion.chunk\",\"created\":");
        head.extend_from_slice(reply::created(created, &self.echo).to_string().as_bytes());
        head.extend_from_slice(b",\"model\":");
        write_string(head, reply::model(model, &self.echo));
        head.extend_from_slice(b",\"choices\":[");
        self.delta(out, |out| out.extend_from_slice(br#""role":"assistant","content":"""#));
    }

    fn start(&mut self, start: &Start, out: &mut Vec<u8>) {
        let block = match start {
            Start::Text => Block::Text("content"),
            Start::Refusal => Block::Text("refusal"),
            Start::Reasoning if self.echo.shows_reasoning => Block::Reasoning { said: false },
            Start::Reasoning | Start::Other { .. } => Block::Hidden,
            Start::ToolCall { id, name, kind, .. } => {
                let number = self.calls;
                self.calls += 1;
                let (word, input) = words(*kind);
                self.call(number, out, |out| {
                    out.extend_from_slice(b",\"id\":");
                    write_string(out, id);
                    out.extend_from_slice(format!(",\"type\":\"{word}\",\"{word}\":{{\"name\":").as_bytes());
                    write_string(out, name);
                    out.extend_from_slice(format!(",\"{input}\":\"\"}}").as_bytes());
                });
                Block::Call { number, kind: *kind, is_empty: true }
            }
        };
        self.blocks.push(block);
    }

    fn more(&mut self, block: usize, text: &str, out: &mut Vec<u8>) {
        match self.blocks.get_mut(block) {
            _ if text.is_empty() => {}
            Some(Block::Text(field)) => {
                let field = *field;
                self.text(field, text, out);
            }
            Some(Block::Reasoning { said }) => {
                // A whole reply has a line for each, and so has this.
                let next = !std::mem::replace(said, true) && std::mem::replace(&mut self.thought, true);
                if next {
                    self.text("reasoning_content", "\n", out);
                }
                self.text("reasoning_content", text, out);
            }
            Some(Block::Call { number, kind, is_empty }) => {
                *is_empty = false;
                let (number, kind) = (*number, *kind);
                self.arguments(number, kind, text, out);
            }
            Some(Block::Hidden) | None => {}
        }
    }

    fn text(&self, field: &'static str, text: &str, out: &mut Vec<u8>) {
        self.delta(out, |out| {
            out.push(b'"');
            out.extend_from_slice(field.as_bytes());
            out.extend_from_slice(b"\":");
            write_string(out, text);
        });
    }

    fn end(&mut self, block: usize, out: &mut Vec<u8>) {
        // A call without arguments comes back with the next request, where they must be JSON.
        if let Some(Block::Call { number, kind: CallKind::Function, is_empty: true }) = self.blocks.get(block)
        {
            self.arguments(*number, CallKind::Function, "{}", out);
        }
    }

    fn arguments(&self, number: u64, kind: CallKind, text: &str, out: &mut Vec<u8>) {
        let (word, input) = words(kind);
        self.call(number, out, |out| {
            out.extend_from_slice(format!(",\"{word}\":{{\"{input}\":").as_bytes());
            write_string(out, text);
            out.push(b'}');
        });
    }

    fn call(&self, number: u64, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        self.delta(out, |out| {
            out.extend_from_slice(format!("\"tool_calls\":[{{\"index\":{number}").as_bytes());
            write(out);
            out.extend_from_slice(b"}]");
        });
    }

    fn delta(&self, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        self.choice(None, out, write);
    }

    fn choice(&self, finish: Option<&str>, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b"{\"index\":0,\"delta\":{");
        write(out);
        out.extend_from_slice(b"},\"logprobs\":null,\"finish_reason\":");
        match finish {
            Some(word) => write_string(out, word),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b"}]");
        if self.echo.include_usage {
            out.extend_from_slice(b",\"usage\":null");
        }
        out.extend_from_slice(b"}\n\n");
    }
}

impl Encode for Encoder {
    fn push(&mut self, event: &Event, out: &mut Vec<u8>) {
        match event {
            Event::Begin { id, model, created } => return self.begin(id, model, *created, out),
            Event::Usage(usage) => return self.usage = Some(*usage),
            _ => self.begin("", "", 0, out),
        }
        match event {
            Event::Start { start, .. } => self.start(start, out),
            Event::Delta { block, text } => self.more(*block, text, out),
            Event::Opaque { block, opaque } => {
                let ours = opaque.origin == Dialect::OpenaiChat && opaque.kind == OpaqueKind::Beside;
                if let (true, Some(Block::Call { number, .. })) = (ours, self.blocks.get(*block)) {
                    self.call(*number, out, |out| {
                        out.extend_from_slice(b",\"extra_content\":");
                        out.extend_from_slice(opaque.data.as_bytes());
                    });
                }
            }
            Event::End { block } => self.end(*block, out),
            Event::Finish(finish) if !self.finished => {
                self.finished = true;
                self.choice(Some(reply::word(finish.kind())), out, |_| {});
            }
            Event::Finish(_) | Event::Begin { .. } | Event::Usage(_) => {}
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if let (true, Some(usage)) = (self.echo.include_usage, self.usage) {
            out.extend_from_slice(b"data: ");
            out.extend_from_slice(&self.head);
            out.extend_from_slice(b"],\"usage\":");
            out.extend_from_slice(usage_json(&usage).as_bytes());
            out.extend_from_slice(b"}\n\n");
        }
        sse::encode(out, None, b"[DONE]");
    }

    fn fail(&mut self, refusal: &Refusal<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(&error::event(refusal));
    }

    fn keep_alive(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(sse::KEEP_ALIVE);
    }
}

/// The word for a kind of call, and for its input.
fn words(kind: CallKind) -> (&'static str, &'static str) {
    match kind {
        CallKind::Function => ("function", "arguments"),
        CallKind::Custom => ("custom", "input"),
    }
}
