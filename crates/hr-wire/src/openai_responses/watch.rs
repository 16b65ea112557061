//! The native lane's stream: bytes pass as they came while somebody watches.
//!
//! Nothing goes out before there is an answer in it, so that another provider can still be asked. From then
//! on events pass untouched, but where the router itself put events into the caller's stream: then those that
//! follow are numbered on, and the response keeps the id under which the caller knows it.

use bytes::Bytes;
use hr_core::failure::{Failure, FailureKind};
use hr_core::usage::Usage;

use super::encoder::{lifecycle, response_id};
use super::error;
use super::glance::{self, Glance};
use super::kept::Items;
use super::reply::finish_of;
use super::response::{self, State};
use super::types::WireResponse;
use super::whole::{cut, inner_error};
use crate::dialect::WatchOptions;
use crate::hub::{Fingerprint, Finish, FinishKind};
use crate::json::quoted;
use crate::lane::pass::{self, Fate, Judge, Passage, Unreadable};
use crate::lane::{self, Keepsake, no_answer};
use crate::patch;
use crate::refusal::Refusal;
use crate::sse::{self, Decoder, Frame};

/// The most bytes of events that are held back until there is an answer among them.
const MAX_HELD: usize = 16 * 1024 * 1024;

/// Watches one reply as it streams.
#[derive(Debug)]
pub struct Watch {
    options: WatchOptions,
    decoder: Decoder,
    /// Events that wait for an answer, as they came.
    held: Vec<Frame>,
    held_bytes: usize,
    /// How the caller's stream differs from the provider's, once something went out.
    shift: Option<Shift>,
    /// The number of the next event, as the caller counts.
    sequence: u64,
    /// The number of the next event, as the provider counts.
    seen: u64,
    /// The response as it was when it began.
    begun: Option<String>,
    /// Whole items, for an end that leaves them out.
    items: Items,
    issued: Vec<Fingerprint>,
    usage: Option<Usage>,
    finish: Option<Finish>,
    good: bool,
    reasoned: bool,
    began: bool,
    done: bool,
    unreadable: Unreadable,
    reply: Option<String>,
}

/// How the caller's stream differs from the provider's.
#[derive(Clone, Debug, Default)]
struct Shift {
    /// What is added to the number of an event.
    by: u64,
    /// The id that the caller knows the response by.
    id: Option<String>,
}

impl Watch {
    /// A watch over a stream that is about to begin.
    #[must_use]
    pub fn new(options: WatchOptions) -> Self {
        Self {
            options,
            decoder: Decoder::default(),
            held: Vec::new(),
            held_bytes: 0,
            shift: None,
            sequence: 0,
            seen: 0,
            begun: None,
            items: Items::default(),
            issued: Vec::new(),
            usage: None,
            finish: None,
            good: false,
            reasoned: false,
            began: false,
            done: false,
            unreadable: Unreadable::default(),
            reply: None,
        }
    }

    fn is_out(&self) -> bool {
        self.shift.is_some()
    }

    /// Lets out what was held. If the router has begun the caller's stream by then, its id and its count stay.
    fn let_out(&mut self, passage: &mut Passage<'_>) {
        let signs = self.options.echo.signs.count();
        self.shift = Some(match signs {
            0 => Shift::default(),
            by => Shift { by, id: Some(response_id(&self.options.echo)) },
        });
        self.sequence = signs;
        for frame in std::mem::take(&mut self.held) {
            let fate = self.shifted(&frame, Fate::Pass);
            passage.pass(fate, frame);
        }
        self.held_bytes = 0;
    }

    /// An event as it fits into the caller's stream.
    fn shifted(&mut self, frame: &Frame, fate: Fate) -> Fate {
        let Some(shift) = self.shift.clone() else { return fate };
        if shift.by == 0 && shift.id.is_none() {
            self.sequence = self.seen;
            return fate;
        }
        let replaced = match &fate {
            Fate::Replace(raw) => Some(raw.clone()),
            _ => None,
        };
        let reread = replaced.as_ref().and_then(reread);
        let Some(data) = reread.as_ref().map_or(frame.data.as_ref(), |frame| frame.data.as_ref()) else {
            return fate;
        };
        let text = std::str::from_utf8(data).unwrap_or_default();
        let Ok(glance) = Glance::at(text) else { return fate };
        if shift.id.is_some() && glance.kind.as_deref() == Some("response.created") {
            // The caller has seen one. The events after it take its number.
            if let Some(shift) = &mut self.shift {
                shift.by = shift.by.saturating_sub(1);
            }
            return Fate::Withhold;
        }
        if let Some(sequence) = glance.sequence {
            self.sequence = sequence.saturating_add(shift.by).saturating_add(1);
        }
        let new = patch::object(text, |draft| {
            if let Some(sequence) = glance.sequence {
                draft.set("sequence_number", sequence.saturating_add(shift.by).to_string());
            }
            let response = draft.get("response").map(str::to_owned);
            if let (Some(response), Some(id)) = (response, &shift.id)
                && let Some(named) = patch::within(&response, "id", |_| Some(quoted(id)))
            {
                draft.set("response", named);
            }
            true
        });
        match new {
            Some(new) => Fate::Replace(event(glance.kind.as_deref().unwrap_or_default(), &new)),
            None => fate,
        }
    }

    /// The end of the response.
    fn end(&mut self, kind: &str, glance: &Glance<'_>, data: &[u8]) -> Result<Fate, Failure> {
        let Some(response) = glance.response else { return self.unreadable.withhold(data) };
        let wire: WireResponse = serde_json::from_str(response).map_err(|error| {
            let words = format!("the end of the stream has an unknown shape: {error}");
            Failure::new(FailureKind::Malformed, words).status(200)
        })?;
        if wire.has_failed() {
            return Err(self.error(data));
        }
        let is_cut = kind == "response.incomplete" || wire.status.as_deref() == Some("incomplete");
        let finish = finish_of(&wire, is_cut);
        self.usage = wire.usage.map(Into::into);
        let told = glance::items(response);
        self.good |= told.iter().any(|item| glance::answers(item));
        if self.items.is_empty() {
            self.issued.extend(told.iter().filter_map(|item| glance::opaque(item)));
        }
        self.reasoned |= told.iter().any(|item| patch::field(item, "type") == Some("\"reasoning\""));
        // A model that was cut off while it reasoned did answer, as far as it came.
        let cut_while_reasoning = self.reasoned && finish.kind() == FinishKind::Length;
        if !self.good && !cut_while_reasoning {
            return Err(no_answer(Some(&finish)));
        }
        // One backend leaves the items out here; they came one by one before.
        let rebuilt = (told.is_empty() && !self.items.is_empty()).then(|| {
            let items = self.items.array();
            patch::object(response, |draft| {
                draft.set("output", items);
                true
            })
        });
        let rebuilt = rebuilt.flatten();
        self.done = true;
        self.finish = Some(finish);
        if self.options.keep {
            self.reply = Some(rebuilt.clone().unwrap_or_else(|| response.to_owned()));
        }
        let name = if is_cut { "response.incomplete" } else { "response.completed" };
        if rebuilt.is_none() && kind == name {
            return Ok(Fate::Pass);
        }
        let text = std::str::from_utf8(data).unwrap_or_default();
        let new = patch::object(text, |draft| {
            draft.set("type", quoted(name));
            if let Some(rebuilt) = rebuilt {
                draft.set("response", rebuilt);
            }
            true
        });
        Ok(new.map_or(Fate::Pass, |new| Fate::Replace(event(name, &new))))
    }

    /// A JSON text where events were expected: usually an error.
    fn not_a_stream(&self, raw: &[u8]) -> Failure {
        match std::str::from_utf8(raw).ok().map(|text| Glance::at(text.trim()).is_ok()) {
            Some(true) => self.error(raw),
            _ => Failure::new(FailureKind::Malformed, "the answer is not a stream of events").status(200),
        }
    }

    fn error(&self, data: &[u8]) -> Failure {
        inner_error(data, &self.options.provider.errors, self.options.now)
    }

    /// The response as the caller knows it, in this state.
    fn response(&self, status: &str, error: Option<(&str, &str)>) -> String {
        let id = self.shift.as_ref().and_then(|shift| shift.id.as_deref());
        let known = self.begun.as_deref().and_then(|begun| {
            patch::object(begun, |draft| {
                draft.set("status", quoted(status));
                if let Some((code, message)) = error {
                    draft.set("error", response::error(code, message));
                }
                if let Some(id) = id {
                    draft.set("id", quoted(id));
                }
                true
            })
        });
        known.unwrap_or_else(|| {
            let echo = &self.options.echo;
            let own = response_id(echo);
            let state = State {
                id: &own,
                model: &echo.model,
                created: echo.now,
                status,
                items: &[],
                usage: None,
                incomplete: None,
                error,
            };
            response::write(&state, echo)
        })
    }
}

impl Judge for Watch {
    fn decoder(&mut self) -> &mut Decoder {
        &mut self.decoder
    }

    fn is_over(&self) -> bool {
        self.done
    }

    fn judge(&mut self, frame: &Frame) -> Result<Fate, Failure> {
        let Some(data) = &frame.data else {
            return pass::without_data(frame, |raw| self.not_a_stream(raw));
        };
        let trimmed = data.trim_ascii();
        if trimmed == b"[DONE]" || trimmed.is_empty() {
            return Ok(Fate::Withhold);
        }
        self.began = true;
        let glance = std::str::from_utf8(data).ok().and_then(|text| Glance::at(text).ok());
        let Some(glance) = glance else { return self.unreadable.withhold(data) };
        self.seen = glance.sequence.map_or(self.seen, |sequence| sequence.saturating_add(1));
        let named = frame.event.as_deref().and_then(|name| std::str::from_utf8(name).ok());
        let kind = glance.kind.as_deref().or(named).unwrap_or_default().to_owned();
        match kind.as_str() {
            "error" | "response.failed" => return Err(self.error(data)),
            "" if glance.error => return Err(self.error(data)),
            "response.created" | "response.in_progress" | "response.queued" => {
                self.begun = self.begun.take().or_else(|| glance.response.map(str::to_owned));
            }
            "response.completed" | "response.incomplete" | "response.done" => {
                return self.end(&kind, &glance, data);
            }
            "response.output_item.added" => {
                let item = glance.item.unwrap_or_default();
                self.good |= patch::field(item, "type") != Some("\"message\"") && glance::answers(item);
            }
            "response.output_item.done" => {
                if let Some(item) = glance.item {
                    self.good |= glance::answers(item);
                    self.reasoned |= patch::field(item, "type") == Some("\"reasoning\"");
                    self.issued.extend(glance::opaque(item));
                    self.items.put(glance.output_index, item)?;
                }
            }
            kind if kind.ends_with(".delta") => self.good |= glance.delta,
            kind if !kind.starts_with("response.") || kind == "response.metadata" => {
                // Signs of life and notes of one backend to its own client.
                return Ok(Fate::Withhold);
            }
            _ => {}
        }
        if frame.has_connection_fields {
            return Ok(Fate::Replace(event(&kind, std::str::from_utf8(data).unwrap_or_default())));
        }
        Ok(Fate::Pass)
    }

    /// Passes an event on unless an answer is still waited for.
    fn take(&mut self, frame: Frame, passage: &mut Passage<'_>) -> Result<(), Failure> {
        let fate = self.judge(&frame)?;
        if !self.is_out() {
            if matches!(fate, Fate::Withhold) {
                return Ok(());
            }
            self.held_bytes += frame.raw.len();
            if self.held_bytes > MAX_HELD {
                let words = format!("the stream says nothing in its first {MAX_HELD} bytes");
                return Err(Failure::new(FailureKind::Malformed, words).status(200));
            }
            let frame = match fate {
                Fate::Replace(raw) => Frame { raw, within: None, ..frame },
                _ => frame,
            };
            self.held.push(frame);
            if self.good || self.done {
                self.let_out(passage);
            }
            return Ok(());
        }
        let fate = match fate {
            Fate::Withhold => fate,
            fate => self.shifted(&frame, fate),
        };
        passage.pass(fate, frame);
        Ok(())
    }
}

impl lane::Watch for Watch {
    fn push(&mut self, chunk: Bytes, out: &mut Vec<Bytes>) -> Result<(), Failure> {
        let ended = pass::push(self, &chunk, out);
        // What waits for a later chunk is no longer a slice of this one.
        self.held.iter_mut().for_each(|frame| frame.within = None);
        ended
    }

    fn finish(&mut self, out: &mut Vec<Bytes>) -> Result<(), Failure> {
        pass::push_last(self, out)?;
        if self.done { Ok(()) } else { Err(cut(self.began)) }
    }

    fn is_good(&self) -> bool {
        self.good || self.done
    }

    fn is_finished(&self) -> bool {
        self.done
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn usage(&self) -> Usage {
        self.usage.unwrap_or_default()
    }

    fn withheld(&self) -> u64 {
        self.unreadable.count()
    }

    fn fail(&mut self, refusal: &Refusal<'_>) -> Bytes {
        let response = self.response("failed", Some((error::code_of(refusal), refusal.message)));
        let mut out = Vec::new();
        error::write_failure(refusal, self.sequence, &response, &mut out);
        self.sequence += 2;
        out.into()
    }

    fn keep_alive(&mut self) -> Bytes {
        if !self.is_out() {
            // The response has not begun for the caller.
            return Bytes::from_static(sse::KEEP_ALIVE);
        }
        let response = self.response("in_progress", None);
        let mut out = Vec::new();
        lifecycle("response.in_progress", self.sequence, &response, &mut out);
        self.sequence += 1;
        if let Some(shift) = &mut self.shift {
            shift.by += 1;
        }
        out.into()
    }

    fn issued(&mut self) -> Vec<Fingerprint> {
        std::mem::take(&mut self.issued)
    }

    fn keepsake(&mut self) -> Option<Keepsake> {
        None
    }

    fn reply(&mut self) -> Option<Bytes> {
        let reply = self.reply.take()?;
        let id = self.shift.as_ref().and_then(|shift| shift.id.as_deref());
        let named = id.and_then(|id| patch::within(&reply, "id", |_| Some(quoted(id))));
        Some(named.unwrap_or(reply).into())
    }
}

/// An event with this name and these data. They are one line: line breaks between tokens are as good as blanks.
fn event(kind: &str, data: &str) -> Bytes {
    let mut out = Vec::with_capacity(data.len() + 64);
    let line = data.replace(['\n', '\r'], " ");
    sse::encode(&mut out, (!kind.is_empty()).then_some(kind), line.as_bytes());
    out.into()
}

/// The event in these bytes.
fn reread(raw: &Bytes) -> Option<Frame> {
    let mut decoder = Decoder::default();
    decoder.push(raw.clone());
    decoder.next_frame().ok().flatten()
}
