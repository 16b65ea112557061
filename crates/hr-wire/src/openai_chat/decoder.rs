//! A stream of this dialect, read into hub events.

use std::borrow::Cow;
use std::sync::Arc;

use hr_core::catalog::{Dialect, ErrorRow, Provider};
use hr_core::failure::{Failure, FailureKind};
use hr_core::time::Millis;
use serde_json::Value;

use super::chunk::{Choice, Chunk, Piece, Said};
use super::whole::broken_off;
use crate::complaint::read_inner_error;
use crate::dialect::Decode;
use crate::hub::{CallKind, Event, Fingerprint, Finish, FinishKind, Opaque, OpaqueKind, Start};
use crate::json::Cursor;
use crate::sse::Frame;

/// How many calls of tools a reply may hold.
pub const MAX_CALLS: usize = 128;

/// The longest data of an event called `ping` that is taken for a sign of life.
const LONGEST_PING: usize = 64;

/// Reads chunks into hub events. Only the first choice is read, since the hub has one.
#[derive(Debug, Default)]
pub struct Decoder {
    /// Whose stream it is, and when it began: errors in it are read by the provider's rows.
    origin: Option<(Arc<Provider>, Millis)>,
    /// The id of the reply, once it has begun; ids of calls that have none are made of it.
    id: Option<String>,
    done: bool,
    next_block: usize,
    /// The block of text, reasoning or refusal that is open.
    open: Option<(usize, Start)>,
    calls: Vec<Call>,
    finish: Option<Finish>,
}

/// A call of a tool.
#[derive(Debug, Default)]
struct Call {
    index: Option<u64>,
    /// Its id as the provider gave it, and as it was announced.
    id: Option<String>,
    announced: Option<String>,
    name: String,
    is_custom: bool,
    /// Its arguments so far, and how long they were when they were last found to be not whole.
    arguments: String,
    not_whole: usize,
    extra: Option<String>,
    /// Its block, once it was announced.
    block: Option<usize>,
    ended: bool,
}

impl Decoder {
    /// Reads a stream of this provider that begins now.
    #[must_use]
    pub fn of(provider: Arc<Provider>, now: Millis) -> Self {
        Self { origin: Some((provider, now)), ..Self::default() }
    }

    /// Takes the data of one event.
    ///
    /// # Errors
    /// When it says that something failed, or cannot be read.
    pub fn push(&mut self, data: &[u8], out: &mut Vec<Event>) -> Result<(), Failure> {
        if self.done {
            return Ok(());
        }
        if data.trim_ascii() == b"[DONE]" {
            self.done = true;
            return Ok(());
        }
        let text = String::from_utf8_lossy(data);
        let chunk = Chunk::read(&text, "delta").map_err(|syntax| {
            malformed(format!("an event of the stream is not JSON: {} at byte {}", syntax.what, syntax.at))
        })?;
        if chunk.error {
            return Err(self.error(data));
        }
        if !chunk.has_choices && chunk.usage.is_none() {
            let failure = self.error(data);
            // A refusal in another shape, such as `{"status":429,…}`; anything else is only strange.
            let refused = !matches!(failure.kind, FailureKind::ServerError | FailureKind::Malformed);
            return if refused { Err(failure) } else { Ok(()) };
        }
        if self.id.is_none() {
            let id = chunk.id.unwrap_or_default().into_owned();
            let model = chunk.model.unwrap_or_default().into_owned();
            out.push(Event::Begin { id: id.clone(), model, created: chunk.created.unwrap_or(0) });
            self.id = Some(id);
        }
        if let Some(choice) = chunk.choice {
            self.choice(choice, out)?;
        }
        out.extend(chunk.usage.map(Event::Usage));
        Ok(())
    }

    /// Takes the end of the stream. Without a finish reason it was cut; the end mark alone is enough where
    /// tools were called, since some servers say no more then.
    ///
    /// # Errors
    /// When the reply was not whole.
    pub fn finish(&mut self, out: &mut Vec<Event>) -> Result<(), Failure> {
        let calls_only = self.done && !self.calls.is_empty();
        let finish = self.finish.take().or_else(|| calls_only.then(|| Finish::read("tool_calls")));
        let Some(finish) = finish else {
            return Err(
                Failure::new(FailureKind::Cut, "the stream ended without a finish reason").status(200)
            );
        };
        self.close(out);
        for place in 0..self.calls.len() {
            self.announce(place, out)?;
            self.end(place, out);
        }
        self.calls.clear();
        out.push(Event::Finish(finish));
        Ok(())
    }

    /// Whether the end mark has passed.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done
    }

    fn error(&self, data: &[u8]) -> Failure {
        let (rows, now): (&[ErrorRow], _) = match &self.origin {
            Some((provider, began)) => (&provider.errors, *began),
            None => (&[], Millis(0)),
        };
        read_inner_error(data, rows, now)
    }

    fn choice(&mut self, choice: Choice<'_>, out: &mut Vec<Event>) -> Result<(), Failure> {
        for said in choice.said {
            match said {
                Said::Text(text) => self.text(Start::Text, text, out)?,
                Said::Reasoning(text) => self.text(Start::Reasoning, text, out)?,
                Said::Refusal(text) => self.text(Start::Refusal, text, out)?,
            }
        }
        for piece in choice.calls {
            self.call(piece, out)?;
        }
        if let Some(word) = choice.finish {
            if let Some(failure) = broken_off(&word) {
                return Err(failure);
            }
            self.finish = Some(finish(&word, choice.stop_word.as_deref(), !self.calls.is_empty()));
        }
        Ok(())
    }

    /// Adds text to the open block, or begins one.
    fn text(&mut self, start: Start, text: Cow<'_, str>, out: &mut Vec<Event>) -> Result<(), Failure> {
        let block = match &self.open {
            Some((block, open)) if *open == start => *block,
            _ => {
                self.close(out);
                self.settle(out)?;
                let block = self.next(start.clone(), out);
                self.open = Some((block, start));
                block
            }
        };
        out.push(Event::Delta { block, text: text.into_owned() });
        Ok(())
    }

    /// Adds to a call, or begins one.
    fn call(&mut self, piece: Piece<'_>, out: &mut Vec<Event>) -> Result<(), Failure> {
        let place = match self.find(&piece) {
            Some(place) => place,
            None if piece.is_empty() => return Ok(()),
            None => {
                if self.calls.len() == MAX_CALLS {
                    return Err(malformed(format!("the reply calls more than {MAX_CALLS} tools")));
                }
                self.close(out);
                self.settle(out)?;
                self.calls.push(Call { index: piece.index, is_custom: piece.is_custom, ..Call::default() });
                self.calls.len() - 1
            }
        };
        let call = &mut self.calls[place];
        if call.id.is_none() {
            call.id = piece.id.map(Cow::into_owned);
        }
        if let Some(name) = piece.name.filter(|name| call.block.is_none() && *name != call.name) {
            call.name.push_str(&name);
        }
        let extra = piece.extra.filter(|_| call.extra.is_none());
        let mut arguments = piece.arguments;
        // The whole once more, as some servers send it at the end.
        if !arguments.is_empty() && call.arguments == arguments && (piece.is_value || is_object(&arguments)) {
            arguments = Cow::Borrowed("");
        }
        if piece.is_value && !call.arguments.is_empty() {
            arguments = Cow::Borrowed("");
        }
        if call.ended && arguments.trim().is_empty() {
            return Ok(());
        }
        if call.ended {
            return Err(malformed("arguments came for a call that was whole".into()));
        }
        call.arguments.push_str(&arguments);
        let block = call.block;
        if let Some(extra) = extra {
            call.extra = Some(extra.to_owned());
        }
        match block {
            // The name may still grow until the arguments begin.
            None if !arguments.is_empty() && !self.calls[place].name.is_empty() => self.announce(place, out),
            None => Ok(()),
            Some(block) => {
                if !arguments.is_empty() {
                    out.push(Event::Delta { block, text: arguments.into_owned() });
                }
                out.extend(extra.map(|extra| Event::Opaque { block, opaque: beside(extra) }));
                Ok(())
            }
        }
    }

    /// The call that a piece belongs to: by its index, else by its id, else the last one. Servers that give
    /// all calls one index tell them apart by their ids.
    fn find(&self, piece: &Piece<'_>) -> Option<usize> {
        let same_id = |call: &Call| match (&call.id, &piece.id) {
            (Some(known), Some(id)) => known == id,
            _ => true,
        };
        match (piece.index, &piece.id) {
            (Some(index), _) => {
                let begins = piece.name.is_some();
                let fits = |call: &Call| call.index == Some(index) && (!begins || same_id(call));
                self.calls.iter().rposition(fits)
            }
            (None, Some(_)) => self.calls.iter().rposition(|call| call.id.is_some() && same_id(call)),
            // A name where a call with a name has its arguments already begins the next.
            (None, None) if piece.name.is_some() => self.calls.len().checked_sub(1).filter(|last| {
                let call = &self.calls[*last];
                call.name.is_empty() || (call.arguments.is_empty() && !piece.is_value)
            }),
            (None, None) => self.calls.len().checked_sub(1),
        }
    }

    /// Announces a call, with what is known of it.
    fn announce(&mut self, place: usize, out: &mut Vec<Event>) -> Result<(), Failure> {
        if self.calls[place].block.is_some() {
            return Ok(());
        }
        if self.calls[place].name.is_empty() {
            return Err(malformed("the reply calls a tool without a name".into()));
        }
        let id = self.id_of(place);
        let call = &self.calls[place];
        let kind = if call.is_custom { CallKind::Custom } else { CallKind::Function };
        let start = Start::ToolCall { id: id.clone(), name: call.name.clone(), namespace: None, kind };
        let block = self.next(start, out);
        let call = &mut self.calls[place];
        call.block = Some(block);
        call.announced = Some(id);
        if !call.arguments.is_empty() {
            out.push(Event::Delta { block, text: call.arguments.clone() });
        }
        out.extend(call.extra.as_deref().map(|extra| Event::Opaque { block, opaque: beside(extra) }));
        Ok(())
    }

    /// The id of a call: its own where no other call has it, else one made up.
    fn id_of(&self, place: usize) -> String {
        call_id(self.calls[place].id.as_deref(), self.id.as_deref().unwrap_or_default(), place, |id| {
            self.calls.iter().any(|call| call.announced.as_deref() == Some(id))
        })
    }

    /// Something else begins: calls that are whole are ended, and those that wait are announced.
    fn settle(&mut self, out: &mut Vec<Event>) -> Result<(), Failure> {
        for place in 0..self.calls.len() {
            let call = &mut self.calls[place];
            // What did not grow is no more whole than before: it may be long, and others may come often.
            if call.ended || call.arguments.len() == call.not_whole {
                continue;
            }
            if is_object(&call.arguments) {
                self.announce(place, out)?;
                self.end(place, out);
            } else {
                call.not_whole = call.arguments.len();
            }
        }
        Ok(())
    }

    fn end(&mut self, place: usize, out: &mut Vec<Event>) {
        let call = &mut self.calls[place];
        if let (Some(block), false) = (call.block, call.ended) {
            call.ended = true;
            out.push(Event::End { block });
        }
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

impl Decode for Decoder {
    fn push(&mut self, frame: &Frame, out: &mut Vec<Event>) -> Result<(), Failure> {
        let Some(data) = &frame.data else { return Ok(()) };
        match frame.event.as_deref() {
            Some(b"error") => Err(self.error(data)),
            Some(b"ping") if data.len() < LONGEST_PING && !data.starts_with(b"{\"id") => Ok(()),
            _ => Self::push(self, data, out),
        }
    }

    fn finish(&mut self, out: &mut Vec<Event>) -> Result<(), Failure> {
        Self::finish(self, out)
    }

    fn is_finished(&self) -> bool {
        self.finish.is_some()
    }

    fn is_done(&self) -> bool {
        self.done
    }
}

/// The id of a call: its own, where it has one that no call before it has; else one that is made of the id of
/// the reply and its place, so that it is the same however the stream is cut.
pub(super) fn call_id(
    own: Option<&str>,
    reply: &str,
    place: usize,
    is_taken: impl Fn(&str) -> bool,
) -> String {
    match own {
        Some(id) if !is_taken(id) => id.to_owned(),
        Some(id) => format!("{id}_{}", place + 1),
        None => format!("call_{:016x}{place:02x}", Fingerprint::of(reply).0),
    }
}

/// Why a reply ended, with the stop word where one was met. Some servers repeat the reason in its place.
pub(super) fn finish(word: &str, stop_word: Option<&str>, calls: bool) -> Finish {
    let stop_word = stop_word.filter(|word| Finish::read(word).kind() == FinishKind::Other);
    Finish::read(word).at(stop_word).borne_out(calls)
}

/// What a provider wants back beside a call. Clients write it anew, so it is known by its compact form.
pub(super) fn beside(extra: &str) -> Opaque {
    let compact = serde_json::from_str::<Value>(extra).map(|value| value.to_string());
    let data = compact.unwrap_or_else(|_| extra.to_owned());
    Opaque { origin: Dialect::OpenaiChat, kind: OpaqueKind::Beside, id: None, data }
}

/// Whether a text is a whole JSON object.
fn is_object(text: &str) -> bool {
    let mut cursor = Cursor::new(text);
    let text = text.trim_ascii();
    text.starts_with('{') && text.ends_with('}') && cursor.skip().and_then(|_| cursor.end()).is_ok()
}

fn malformed(words: String) -> Failure {
    Failure::new(FailureKind::Malformed, words).status(200)
}
