//! Streams of providers, read into hub events.

use std::sync::Arc;

use hr_core::catalog::{Dialect, Provider};
use hr_core::failure::{Failure, FailureKind};
use hr_core::time::Millis;
use serde_json::{Map, Value};

use super::error;
use super::types::{WireBlock, WireDelta, WireEvent, WireReply, WireUsage};
use super::whole::{REFUSAL, malformed};
use crate::dialect::Decode;
use crate::hub::{CallKind, Event, Finish, Opaque, OpaqueKind, Start};
use crate::lane::no_answer;
use crate::sse;

/// Reads one answer.
pub(super) struct Decoder {
    provider: Arc<Provider>,
    now: Millis,
    begun: bool,
    done: bool,
    /// The blocks that are open, by their number on the wire.
    open: Vec<(u64, Open)>,
    next_block: usize,
    calls: bool,
    usage: Option<WireUsage>,
    stop: Option<Finish>,
    explanation: Option<String>,
}

/// A block under way.
enum Open {
    /// Text.
    Text(usize),
    /// Reasoning, with what was signed of it so far.
    Reasoning(usize, Option<Opaque>),
    /// A call: what it began with, and whether arguments came.
    Call(usize, String, bool),
    /// A block that only this dialect knows, with its input so far; it is told of when it is whole.
    Other(Map<String, Value>, String),
}

impl Decoder {
    pub(super) fn new(provider: Arc<Provider>, now: Millis) -> Self {
        Self {
            provider,
            now,
            begun: false,
            done: false,
            open: Vec::new(),
            next_block: 0,
            calls: false,
            usage: None,
            stop: None,
            explanation: None,
        }
    }

    fn event(&mut self, data: &[u8], out: &mut Vec<Event>) -> Result<(), Failure> {
        let event: WireEvent<'_> = serde_json::from_slice(data)
            .map_err(|fault| malformed(format!("an event of the stream has an unknown shape: {fault}")))?;
        if event.kind == "error" || event.error.is_some_and(|error| error.get() != "null") {
            return Err(error::read_inner(data, &self.provider.errors, self.now));
        }
        match &*event.kind {
            "message_start" => self.begin(event.message, out),
            "content_block_start" => {
                let block =
                    event.content_block.ok_or_else(|| malformed("a block begins with nothing".into()))?;
                self.start(event.index, block.get(), out)?;
            }
            "content_block_delta" => self.delta(event.index, event.delta.unwrap_or_default(), out)?,
            "content_block_stop" => {
                if let Some(place) = self.open.iter().position(|(index, _)| *index == event.index) {
                    let (_, block) = self.open.remove(place);
                    self.end(block, out);
                }
            }
            "message_delta" => {
                let delta = event.delta.unwrap_or_default();
                if let Some(usage) = event.usage {
                    self.usage.get_or_insert_default().update(usage);
                }
                if let Some(word) = delta.stop_reason {
                    self.stop = Some(Finish::read(&word).at(delta.stop_sequence.as_deref()));
                }
                self.explanation =
                    delta.stop_details.and_then(|details| details.explanation).or(self.explanation.take());
            }
            "message_stop" => self.done = true,
            // The API says that there will be others, which mean nothing to those who do not know them.
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, message: Option<WireReply<'_>>, out: &mut Vec<Event>) {
        let Some(message) = message.filter(|_| !self.begun) else { return };
        self.begun = true;
        self.usage = message.usage;
        out.push(Event::Begin { id: message.id, model: message.model, created: 0 });
    }

    fn start(&mut self, index: u64, text: &str, out: &mut Vec<Event>) -> Result<(), Failure> {
        let wire: WireBlock<'_> = serde_json::from_str(text)
            .map_err(|fault| malformed(format!("a block of the stream cannot be read: {fault}")))?;
        self.begin(Some(WireReply::default()), out);
        // A server that forgets to close a block before it opens the next one at its place.
        if let Some(place) = self.open.iter().position(|(open, _)| *open == index) {
            let (_, block) = self.open.remove(place);
            self.end(block, out);
        }
        let block = match wire.kind.as_str() {
            "text" => {
                let block = self.next(Start::Text, out);
                more(block, wire.text.unwrap_or_default(), out);
                Open::Text(block)
            }
            "thinking" | "redacted_thinking" => {
                let block = self.next(Start::Reasoning, out);
                let opaque = super::parts::opaque(&wire);
                more(block, wire.thinking.unwrap_or_default(), out);
                Open::Reasoning(block, opaque)
            }
            "tool_use" => {
                self.calls = true;
                let name = wire.name.ok_or_else(|| malformed("a call in the stream has no name".into()))?;
                let id = wire.id.unwrap_or_default();
                let start = Start::ToolCall { id, name, namespace: None, kind: CallKind::Function };
                let block = self.next(start, out);
                let input = wire.input.map(|input| input.get().trim()).filter(|input| *input != "null");
                Open::Call(block, input.unwrap_or("{}").to_owned(), false)
            }
            "" => return Err(malformed("a block of the stream has no type".into())),
            _ => match serde_json::from_str(text) {
                Ok(value) => Open::Other(value, String::new()),
                Err(fault) => {
                    return Err(malformed(format!("a block of the stream cannot be read: {fault}")));
                }
            },
        };
        self.open.push((index, block));
        Ok(())
    }

    fn delta(&mut self, index: u64, delta: WireDelta<'_>, out: &mut Vec<Event>) -> Result<(), Failure> {
        let Some((_, open)) = self.open.iter_mut().find(|(open, _)| *open == index) else {
            return Err(malformed(format!("the stream goes on with block {index}, which is not open")));
        };
        match open {
            Open::Text(block) => more(*block, delta.text.unwrap_or_default().into_owned(), out),
            Open::Reasoning(block, opaque) => {
                if let Some(signed) = delta.signature.filter(|signed| !signed.is_empty()) {
                    let whole = opaque.get_or_insert_with(|| Opaque {
                        origin: Dialect::Anthropic,
                        kind: OpaqueKind::Signature,
                        id: None,
                        data: String::new(),
                    });
                    whole.data.push_str(&signed);
                }
                more(*block, delta.thinking.unwrap_or_default().into_owned(), out);
            }
            Open::Call(block, _, came) => {
                let piece = delta.partial_json.unwrap_or_default();
                *came |= !piece.is_empty();
                more(*block, piece.into_owned(), out);
            }
            Open::Other(_, input) => input.push_str(&delta.partial_json.unwrap_or_default()),
        }
        Ok(())
    }

    fn end(&mut self, block: Open, out: &mut Vec<Event>) {
        let block = match block {
            Open::Text(block) => block,
            Open::Reasoning(block, opaque) => {
                out.extend(opaque.map(|opaque| Event::Opaque { block, opaque }));
                block
            }
            Open::Call(block, input, came) => {
                if !came {
                    out.push(Event::Delta { block, text: input });
                }
                block
            }
            Open::Other(mut value, input) => {
                if let Ok(input) = serde_json::from_str::<Value>(&input) {
                    value.insert("input".into(), input);
                }
                let value = Value::Object(value);
                self.next(Start::Other { origin: Dialect::Anthropic, value }, out)
            }
        };
        out.push(Event::End { block });
    }

    fn next(&mut self, start: Start, out: &mut Vec<Event>) -> usize {
        let block = self.next_block;
        self.next_block += 1;
        out.push(Event::Start { block, start });
        block
    }
}

impl Decode for Decoder {
    fn push(&mut self, frame: &sse::Frame, out: &mut Vec<Event>) -> Result<(), Failure> {
        match &frame.data {
            Some(data) if !self.done && !data.trim_ascii().is_empty() && data.trim_ascii() != b"[DONE]" => {
                self.event(data, out)
            }
            _ => Ok(()),
        }
    }

    fn finish(&mut self, out: &mut Vec<Event>) -> Result<(), Failure> {
        let Some(stop) = self.stop.take() else {
            let (kind, words) = match self.begun {
                true => (FailureKind::Cut, "the stream ended without a stop reason"),
                false => (FailureKind::Empty, "the stream ended before its first event"),
            };
            return Err(Failure::new(kind, words).status(200));
        };
        for (_, block) in std::mem::take(&mut self.open) {
            self.end(block, out);
        }
        let refused = stop.raw() == REFUSAL;
        if let Some(words) = self.explanation.take().filter(|words| refused && !words.is_empty()) {
            let block = self.next(Start::Refusal, out);
            more(block, words, out);
            out.push(Event::End { block });
        }
        if self.next_block == 0 && !refused {
            return Err(no_answer(Some(&stop)));
        }
        out.extend(self.usage.take().map(|usage| Event::Usage(usage.into())));
        out.push(Event::Finish(stop.borne_out(self.calls)));
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.done
    }
}

fn more(block: usize, text: String, out: &mut Vec<Event>) {
    if !text.is_empty() {
        out.push(Event::Delta { block, text });
    }
}
