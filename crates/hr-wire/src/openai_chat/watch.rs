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
use crate::lane::pass::{self, Fate, Judge, Unreadable};
use crate::sse::{self, Decoder, Frame};

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
    unreadable: Unreadable,
    /// Opaque things that passed and were not asked for yet.
    issued: Vec<Fingerprint>,
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
        pass::push(self, &chunk, out)
    }

    /// Takes the end of the stream. A finish reason that was seen ends it well; the `[DONE]` is added where
    /// it is missing.
    pub fn finish(&mut self, out: &mut Vec<Bytes>) -> Result<(), Failure> {
        pass::push_last(self, out)?;
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
        self.unreadable.count()
    }

    /// The opaque things that have passed since this was last asked.
    pub fn issued(&mut self) -> Vec<Fingerprint> {
        std::mem::take(&mut self.issued)
    }

    fn cut(&self) -> Failure {
        if self.began {
            Failure::new(FailureKind::Cut, "the stream ended without a finish reason").status(200)
        } else {
            Failure::new(FailureKind::Empty, "the stream ended before its first event").status(200)
        }
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
            return if refused { Err(failure) } else { self.unreadable.withhold(data) };
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

    /// A JSON text where events were expected: usually an error.
    fn not_a_stream(&self, raw: &[u8]) -> Failure {
        match serde_json::from_slice::<serde_json::Value>(raw) {
            Ok(value) if value.get("choices").is_none() => self.error(raw),
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
        let Some(glance) = glance else { return self.unreadable.withhold(data) };
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
}
