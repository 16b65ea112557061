//! Streams of this dialect: watched as they pass ([`Watch`]), read into hub events ([`Decoder`]), and
//! written from them ([`Encoder`]).

use bytes::Bytes;
use hr_core::failure::{Failure, FailureKind};
use hr_core::time::Millis;
use serde_json::Value;

use super::reply::{self, Piece, pieces, word};
use super::types::{WireAnswer, WireCall, WireChoice, WireFunction, WireReply};
use crate::complaint::read_inner_error;
use crate::hub::{CallKind, Event, Finish, Start, unfold};
use crate::sse;

pub use super::watch::{Watch, WatchOptions};

/// How many calls of tools a reply may hold.
pub const MAX_CALLS: usize = 128;

/// Reads chunks into hub events. Only the first choice is read, since the hub has one.
#[derive(Debug, Default)]
pub struct Decoder {
    begun: bool,
    done: bool,
    next_block: usize,
    /// The block of text, reasoning or refusal that is open.
    open: Option<(usize, Start)>,
    calls: Vec<Call>,
    finish: Option<Finish>,
}

/// A call of a tool that has begun.
#[derive(Debug)]
struct Call {
    index: Option<u64>,
    id: Option<String>,
    block: usize,
}

impl Decoder {
    /// Takes the data of one event.
    pub fn push(&mut self, data: &[u8], out: &mut Vec<Event>) -> Result<(), Failure> {
        if self.done {
            return Ok(());
        }
        if data.trim_ascii() == b"[DONE]" {
            self.done = true;
            return Ok(());
        }
        let malformed = |words: String| Failure::new(FailureKind::Malformed, words).status(200);
        let chunk: WireReply = serde_json::from_slice(data)
            .map_err(|error| malformed(format!("an event of the stream has an unknown shape: {error}")))?;
        if chunk.rest.get("error").is_some_and(|error| !error.is_null()) {
            return Err(read_inner_error(data, &[], Millis(0)));
        }
        if !self.begun {
            self.begun = true;
            out.push(Event::Begin { id: chunk.id, model: chunk.model, created: chunk.created });
        }
        for choice in chunk.choices {
            if choice.index == 0 {
                self.choice(choice, out)?;
            }
        }
        out.extend(chunk.usage.map(|usage| Event::Usage(usage.into())));
        Ok(())
    }

    /// Takes the end of the stream. Without a finish reason it was cut.
    pub fn finish(&mut self, out: &mut Vec<Event>) -> Result<(), Failure> {
        let Some(finish) = self.finish.take() else {
            return Err(
                Failure::new(FailureKind::Cut, "the stream ended without a finish reason").status(200)
            );
        };
        self.close(out);
        for call in self.calls.drain(..) {
            out.push(Event::End { block: call.block });
        }
        out.push(Event::Finish(finish));
        Ok(())
    }

    /// Whether the end mark has passed.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done
    }

    fn choice(&mut self, choice: WireChoice, out: &mut Vec<Event>) -> Result<(), Failure> {
        if let Some(delta) = choice.delta {
            let reasoning = delta.reasoning_content.as_ref().or(delta.reasoning.as_ref());
            self.text(Start::Reasoning, reasoning.map_or("", String::as_str), out);
            for piece in pieces(delta.content.as_ref()) {
                match piece {
                    Piece::Text(text) => self.text(Start::Text, text, out),
                    Piece::Reasoning(text) => self.text(Start::Reasoning, &text, out),
                }
            }
            self.text(Start::Refusal, delta.refusal.as_deref().unwrap_or_default(), out);
            for call in delta.tool_calls.into_iter().flatten() {
                self.call(call, out)?;
            }
        }
        if let Some(reason) = choice.finish_reason.filter(|reason| !reason.is_empty()) {
            if reason == "error" {
                let words = "the stream ended with the finish reason `error`";
                return Err(Failure::new(FailureKind::ServerError, words).status(200));
            }
            self.finish = Some(Finish::read(&reason).borne_out(!self.calls.is_empty()));
        }
        Ok(())
    }

    /// Adds text to the open block, or begins one.
    fn text(&mut self, start: Start, text: &str, out: &mut Vec<Event>) {
        if text.is_empty() {
            return;
        }
        let block = match &self.open {
            Some((block, open)) if *open == start => *block,
            _ => {
                self.close(out);
                let block = self.next(start.clone(), out);
                self.open = Some((block, start));
                block
            }
        };
        out.push(Event::Delta { block, text: text.to_owned() });
    }

    /// Adds to a call, or begins one. Servers that send no index send each call whole, with its id.
    fn call(&mut self, wire: WireCall, out: &mut Vec<Event>) -> Result<(), Failure> {
        let arguments = wire.function.arguments_text();
        let id = wire.id.filter(|id| !id.is_empty());
        let known = match (wire.index, &id) {
            (Some(index), _) => self.calls.iter().position(|call| call.index == Some(index)),
            (None, Some(id)) => self.calls.iter().position(|call| call.id.as_ref() == Some(id)),
            (None, None) => self.calls.len().checked_sub(1),
        };
        let block = match known {
            Some(known) => self.calls[known].block,
            None => {
                if self.calls.len() == MAX_CALLS {
                    let words = format!("the reply calls more than {MAX_CALLS} tools");
                    return Err(Failure::new(FailureKind::Malformed, words).status(200));
                }
                self.close(out);
                let start = Start::ToolCall {
                    id: id.clone().unwrap_or_else(|| format!("call_{}", self.calls.len())),
                    name: wire.function.name.unwrap_or_default(),
                    namespace: None,
                    kind: CallKind::Function,
                };
                let block = self.next(start, out);
                self.calls.push(Call { index: wire.index, id, block });
                block
            }
        };
        if !arguments.is_empty() {
            out.push(Event::Delta { block, text: arguments });
        }
        Ok(())
    }

    fn next(&mut self, start: Start, out: &mut Vec<Event>) -> usize {
        let block = self.next_block;
        self.next_block += 1;
        out.push(Event::Start { block, start });
        block
    }

    fn close(&mut self, out: &mut Vec<Event>) {
        if let Some((block, _)) = self.open.take() {
            out.push(Event::End { block });
        }
    }
}

/// Writes hub events as chunks, in the grammar that strict clients need: the role once and first, calls
/// numbered from 0, one finish reason, usage last and only when wanted, then `[DONE]`.
#[derive(Debug, Default)]
pub struct Encoder {
    include_usage: bool,
    /// What all chunks have in common.
    head: WireReply,
    /// What each block is: the start, and its number among the calls.
    blocks: Vec<(Start, u64)>,
    calls: u64,
    usage: Option<hr_core::usage::Usage>,
}

impl Encoder {
    /// An encoder for a caller who wants usage or does not.
    #[must_use]
    pub fn new(include_usage: bool) -> Self {
        Self { include_usage, ..Self::default() }
    }

    /// Writes what one event becomes.
    pub fn push(&mut self, event: &Event, out: &mut Vec<u8>) {
        match event {
            Event::Begin { id, model, created } => {
                self.head = WireReply {
                    id: id.clone(),
                    object: "chat.completion.chunk".into(),
                    created: *created,
                    model: model.clone(),
                    ..WireReply::default()
                };
                let role = Some("assistant".into());
                self.delta(WireAnswer { role, content: Some("".into()), ..WireAnswer::default() }, out);
            }
            Event::Start { start, .. } => {
                self.blocks.push((start.clone(), self.calls));
                if let Start::ToolCall { id, name, .. } = start {
                    self.call(WireCall { index: Some(self.calls), ..WireCall::of(id, name, "") }, out);
                    self.calls += 1;
                }
            }
            Event::Delta { block, text } => self.more(*block, text, out),
            Event::Opaque { .. } | Event::End { .. } => {}
            Event::Finish(finish) => {
                let choice = WireChoice {
                    delta: Some(WireAnswer::default()),
                    finish_reason: Some(word(finish.kind()).into()),
                    ..WireChoice::default()
                };
                self.chunk(vec![choice], out);
            }
            Event::Usage(usage) => self.usage = Some(*usage),
        }
    }

    /// Writes the end.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if let (true, Some(usage)) = (self.include_usage, self.usage) {
            self.head.usage = Some(usage.into());
            self.chunk(Vec::new(), out);
        }
        sse::encode(out, None, b"[DONE]");
    }

    fn more(&mut self, block: usize, text: &str, out: &mut Vec<u8>) {
        let Some((start, call)) = self.blocks.get(block) else { return };
        let text = text.to_owned();
        let mut answer = WireAnswer::default();
        match start {
            Start::Text => answer.content = Some(Value::String(text)),
            Start::Reasoning => answer.reasoning_content = Some(text),
            Start::Refusal => answer.refusal = Some(text),
            Start::ToolCall { .. } => {
                let function = WireFunction { name: None, arguments: Some(text.into()) };
                let call = WireCall { index: Some(*call), function, ..WireCall::default() };
                return self.call(call, out);
            }
            Start::Other { .. } => return,
        }
        self.delta(answer, out);
    }

    fn call(&mut self, call: WireCall, out: &mut Vec<u8>) {
        self.delta(WireAnswer { tool_calls: Some(vec![call]), ..WireAnswer::default() }, out);
    }

    fn delta(&mut self, delta: WireAnswer, out: &mut Vec<u8>) {
        self.chunk(vec![WireChoice { delta: Some(delta), ..WireChoice::default() }], out);
    }

    fn chunk(&mut self, choices: Vec<WireChoice>, out: &mut Vec<u8>) {
        self.head.choices = choices;
        // Nothing in it can fail to be written: keys are strings and numbers finite.
        let json = serde_json::to_vec(&self.head).unwrap_or_default();
        sse::encode(out, None, &json);
    }
}

/// A whole reply as the stream it should have been: some servers answer in one piece when a stream was asked
/// for.
pub fn of_whole(body: &[u8], include_usage: bool) -> Result<Bytes, Failure> {
    let reply = reply::decode(body)?;
    let mut encoder = Encoder::new(include_usage);
    let mut out = Vec::with_capacity(body.len() + 512);
    for event in unfold(&reply) {
        encoder.push(&event, &mut out);
    }
    encoder.finish(&mut out);
    Ok(out.into())
}
