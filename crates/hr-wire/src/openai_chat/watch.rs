//! The native lane's stream: bytes pass as they came while somebody watches.
//!
//! Only what the caller's client could not read is changed: see [`super::mend`].

use std::sync::Arc;

use bytes::Bytes;
use hr_core::catalog::{ErrorRow, Provider};
use hr_core::failure::{Failure, FailureKind};
use hr_core::time::Millis;
use hr_core::usage::Usage;

use super::glance::Glance;
use super::mend::Mender;
use super::whole::broken_off;
use crate::complaint::read_inner_error;
use crate::hub::{Fingerprint, Finish};
use crate::lane::no_answer;
use crate::sse::{self, Decoder, Frame};

/// How many events that cannot be read are withheld before the stream is given up.
const UNREADABLE_TOLERATED: u64 = 1;

const DONE: &[u8] = b"data: [DONE]\n\n";

/// Watches one reply as it streams: passes whole events, untouched, and finds out what became of it.
#[derive(Debug, Default)]
pub struct Watch {
    /// Whether the caller did not ask for the usage that the router asked for.
    hide_usage: bool,
    /// Whose stream it is, and when it began: errors in it are read by the provider's rows.
    origin: Option<(Arc<Provider>, Millis)>,
    decoder: Decoder,
    mender: Mender,
    usage: Option<Usage>,
    finish: Option<Finish>,
    /// Choices that began and that finished, as bits.
    present: u128,
    finished: u128,
    content: bool,
    reasoning: bool,
    /// Whether anything at all came that has data.
    began: bool,
    done: bool,
    withheld: u64,
    unreadable: u64,
    /// Opaque things that passed and were not asked for yet.
    issued: Vec<Fingerprint>,
}

/// What becomes of one event.
enum Fate {
    /// It goes out as it came.
    Pass,
    /// It stays here.
    Withhold,
    /// These bytes go out instead.
    Replace(Bytes),
}

impl Watch {
    /// A watch over a stream that is about to begin. `hide_usage` tells that the caller did not ask for the
    /// usage that the router asked for.
    #[must_use]
    pub fn new(hide_usage: bool) -> Self {
        Self { hide_usage, ..Self::default() }
    }

    /// The same over a stream of this provider that begins now.
    #[must_use]
    pub fn of(mut self, provider: Arc<Provider>, now: Millis) -> Self {
        self.origin = Some((provider, now));
        self
    }

    /// Takes the next chunk and puts what may go out into `out`. A chunk of whole events that all pass goes
    /// out as it is, in one piece.
    pub fn push(&mut self, chunk: Bytes, out: &mut Vec<Bytes>) -> Result<(), Failure> {
        if self.done {
            return Ok(());
        }
        // Neighbours within the chunk go out together: `run` is what waits to.
        let mut run = 0..0;
        self.decoder.push(chunk.clone());
        let ended = loop {
            if self.done {
                break Ok(());
            }
            let frame = match self.decoder.next_frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => break Ok(()),
                Err(error) => break Err(Failure::new(FailureKind::Malformed, error.to_string())),
            };
            let fate = match self.judge(&frame) {
                Ok(fate) => fate,
                Err(failure) => break Err(failure),
            };
            let instead = match (fate, frame.within) {
                (Fate::Pass, Some(span)) if span.start == run.end => {
                    run.end = span.end;
                    continue;
                }
                (Fate::Pass, Some(span)) => {
                    flush(&chunk, &mut run, out);
                    run = span;
                    continue;
                }
                (Fate::Pass, None) => Some(frame.raw),
                (Fate::Replace(bytes), _) => Some(bytes),
                (Fate::Withhold, _) => None,
            };
            flush(&chunk, &mut run, out);
            out.extend(instead);
        };
        flush(&chunk, &mut run, out);
        ended
    }

    /// Takes the end of the stream. A finish reason that was seen ends it well; the `[DONE]` is added where
    /// it is missing.
    pub fn finish(&mut self, out: &mut Vec<Bytes>) -> Result<(), Failure> {
        if !self.done
            && let Some(frame) = self.decoder.finish()
        {
            self.last(&frame, out)?;
        }
        if !self.is_finished() {
            return Err(self.cut());
        }
        if !self.is_good() {
            return Err(no_answer(self.finish.as_ref()));
        }
        if !self.done {
            self.done = true;
            out.push(Bytes::from_static(DONE));
        }
        Ok(())
    }

    /// Whether an event was seen that carries something. Until then nothing may go out.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.content || self.reasoning
    }

    /// Whether every choice that began has a finish reason: what happens to the connection after that does
    /// not matter.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.finish.is_some() && self.present & !self.finished == 0
    }

    /// Whether the `[DONE]` has passed; nothing after it is looked at.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// The tokens reported so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.usage.unwrap_or_default()
    }

    /// Why it ended, when it has.
    #[must_use]
    pub fn finish_reason(&self) -> Option<&Finish> {
        self.finish.as_ref()
    }

    /// How many events were withheld because they could not be read.
    #[must_use]
    pub fn withheld(&self) -> u64 {
        self.withheld
    }

    /// The opaque things that have passed since this was last asked.
    pub fn issued(&mut self) -> Vec<Fingerprint> {
        std::mem::take(&mut self.issued)
    }

    /// The last event, which may lack its empty line.
    fn last(&mut self, frame: &Frame, out: &mut Vec<Bytes>) -> Result<(), Failure> {
        let unreadable = self.unreadable;
        let fate = self.judge(frame)?;
        if self.unreadable > unreadable && !self.is_finished() {
            // Half an event at the end is where the connection broke.
            return Err(self.cut());
        }
        match fate {
            Fate::Withhold => {}
            Fate::Replace(bytes) => out.push(bytes),
            Fate::Pass if frame.data.is_none() => {}
            Fate::Pass => out.push(whole_frame(frame)),
        }
        Ok(())
    }

    fn cut(&self) -> Failure {
        if self.began {
            Failure::new(FailureKind::Cut, "the stream ended without a finish reason").status(200)
        } else {
            Failure::new(FailureKind::Empty, "the stream ended before its first event").status(200)
        }
    }

    fn judge(&mut self, frame: &Frame) -> Result<Fate, Failure> {
        let Some(data) = &frame.data else { return self.judge_without_data(frame) };
        let trimmed = data.trim_ascii();
        if trimmed == b"[DONE]" {
            self.done = true;
            return self.judge_done(frame, trimmed.len() == data.len());
        }
        self.began = true;
        let event = frame.event.as_deref().unwrap_or_default();
        if event == b"error" {
            return Err(self.error(data));
        }
        if trimmed.is_empty() || (event == b"ping" && trimmed.len() < 64 && !trimmed.starts_with(b"{\"id")) {
            // A sign of life; clients would take its data for a chunk and stumble over it.
            return Ok(Fate::Replace(Bytes::from_static(sse::KEEP_ALIVE)));
        }
        let glance = std::str::from_utf8(data).ok().and_then(|text| Glance::at(text, "delta", false).ok());
        let Some(glance) = glance else { return self.unreadable() };
        if glance.error {
            return Err(self.error(data));
        }
        if let Some(failure) = glance.finish.as_ref().and_then(|finish| broken_off(finish.raw())) {
            return Err(failure);
        }
        let fate = self.take(&glance, data)?;
        if !matches!(fate, Fate::Pass) {
            return Ok(fate);
        }
        let mended = if glance.odd { self.mender.mend(data) } else { None };
        if mended.is_none() && !frame.has_connection_fields {
            return Ok(Fate::Pass);
        }
        let mut plain = Vec::with_capacity(data.len() + 64);
        sse::encode(&mut plain, None, mended.as_deref().unwrap_or(data));
        Ok(Fate::Replace(plain.into()))
    }

    /// Notes what a chunk holds.
    fn take(&mut self, glance: &Glance, data: &[u8]) -> Result<Fate, Failure> {
        if let Some(usage) = glance.usage {
            self.usage = Some(usage);
        }
        let Some(choices) = glance.choices else {
            if glance.usage.is_some() {
                return Ok(Fate::Withhold);
            }
            let failure = self.error(data);
            // A refusal in another shape, such as `{"status":429,…}`; anything else is only strange.
            let refused = !matches!(failure.kind, FailureKind::ServerError | FailureKind::Malformed);
            return if refused { Err(failure) } else { self.unreadable() };
        };
        self.issued.extend(&glance.opaque);
        self.present |= glance.present;
        self.finished |= glance.finished;
        self.content |= glance.content || glance.tool_call;
        self.reasoning |= glance.reasoning;
        if let Some(finish) = &glance.finish {
            self.finish = Some(finish.clone());
        }
        let usage_only = choices == 0 && glance.usage.is_some();
        Ok(if usage_only && self.hide_usage { Fate::Withhold } else { Fate::Pass })
    }

    /// The mark of the end. It is passed when the stream did end well, and made exact: clients compare it.
    fn judge_done(&mut self, frame: &Frame, exact: bool) -> Result<Fate, Failure> {
        if !self.is_finished() {
            return Err(self.cut());
        }
        if !self.is_good() {
            return Err(no_answer(self.finish.as_ref()));
        }
        let plain = exact && frame.event.is_none() && !frame.has_connection_fields;
        Ok(if plain { Fate::Pass } else { Fate::Replace(Bytes::from_static(DONE)) })
    }

    /// An event without data: comments pass, anything else was never meant as a stream of events.
    fn judge_without_data(&mut self, frame: &Frame) -> Result<Fate, Failure> {
        match frame.raw.trim_ascii().first() {
            Some(b'{' | b'[') => Err(self.not_a_stream(frame)),
            Some(b'<') => {
                Err(Failure::new(FailureKind::Malformed, "the stream is a page of HTML").status(200))
            }
            Some(b':') if !frame.has_connection_fields && frame.event.is_none() => Ok(Fate::Pass),
            None => Ok(Fate::Pass),
            Some(_) => Ok(Fate::Withhold),
        }
    }

    /// A JSON text where events were expected: usually an error.
    fn not_a_stream(&self, frame: &Frame) -> Failure {
        match serde_json::from_slice::<serde_json::Value>(&frame.raw) {
            Ok(value) if value.get("choices").is_none() => self.error(&frame.raw),
            _ => Failure::new(FailureKind::Malformed, "the answer is not a stream of events").status(200),
        }
    }

    fn error(&self, data: &[u8]) -> Failure {
        let (rows, now): (&[ErrorRow], _) = match &self.origin {
            Some((provider, began)) => (&provider.errors, *began),
            None => (&[], Millis(0)),
        };
        read_inner_error(data, rows, now)
    }

    fn unreadable(&mut self) -> Result<Fate, Failure> {
        self.unreadable += 1;
        if self.unreadable > UNREADABLE_TOLERATED {
            return Err(Failure::new(FailureKind::Malformed, "a second event of the stream cannot be read")
                .status(200));
        }
        self.withheld += 1;
        Ok(Fate::Withhold)
    }
}

/// Passes what waits to, as a slice of its chunk.
fn flush(chunk: &Bytes, run: &mut std::ops::Range<usize>, out: &mut Vec<Bytes>) {
    if run.start < run.end {
        out.push(if run.len() == chunk.len() { chunk.clone() } else { chunk.slice(run.clone()) });
    }
    *run = run.end..run.end;
}

/// The event with the empty line that its sender forgot.
fn whole_frame(frame: &Frame) -> Bytes {
    let mut whole = frame.raw.to_vec();
    let missing = if whole.ends_with(b"\n") { 1 } else { 2 };
    whole.resize(whole.len() + missing, b'\n');
    whole.into()
}
