//! The translated lane's stream: read in the provider's dialect, written in the caller's.

use std::sync::Arc;

use bytes::Bytes;
use hr_core::catalog::Provider;
use hr_core::failure::{Failure, FailureKind};
use hr_core::time::Millis;
use hr_core::usage::Usage;
use serde_json::Value;

use super::law::{Law, malformed};
use super::{Keepsake, Watch};
use crate::complaint::read_inner_error;
use crate::dialect::{ClientHalf, Decode, Encode, UpstreamHalf, WatchOptions};
use crate::hub::{Event, Fingerprint, Names, Restorer};
use crate::refusal::Refusal;
use crate::sse::{self, Frame};

/// How many events that cannot be read are passed over before the stream is given up.
const UNREADABLE_TOLERATED: u64 = 1;

/// Fields that a whole reply has in one dialect or another, and an error in none.
const REPLY_FIELDS: [&str; 3] = ["choices", "output", "content"];

/// Turns one reply as it streams into the caller's dialect, and finds out what became of it.
///
/// The reason why it ended is held back until all is judged: a client that has it takes the answer for whole.
pub struct Translated {
    decoder: Box<dyn Decode>,
    restorer: Restorer,
    encoder: Box<dyn Encode>,
    frames: sse::Decoder,
    law: Law,
    shows_reasoning: bool,
    /// Whose stream it is, and when it began: errors in it are read by the provider's rows.
    provider: Arc<Provider>,
    now: Millis,
    /// Reused for each event of the stream.
    read: Vec<Event>,
    restored: Vec<Event>,
    /// Whether anything at all came that has data.
    began: bool,
    ended: bool,
    withheld: u64,
}

impl Translated {
    /// A stream of this upstream half for a caller of this client half, who knows the tools by their own names.
    #[must_use]
    pub fn new(
        client: &dyn ClientHalf,
        upstream: &dyn UpstreamHalf,
        names: Names,
        options: WatchOptions,
    ) -> Self {
        Self {
            decoder: upstream.decoder(&options.provider, options.now),
            restorer: Restorer::new(names),
            encoder: client.encoder(&options.echo),
            frames: sse::Decoder::default(),
            law: Law::default(),
            shows_reasoning: options.echo.shows_reasoning,
            provider: options.provider,
            now: options.now,
            read: Vec::new(),
            restored: Vec::new(),
            began: false,
            ended: false,
            withheld: 0,
        }
    }

    /// Takes the events that wait, writing what goes out.
    fn frames(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        while !self.ended {
            match self.frames.next_frame() {
                Ok(Some(frame)) => self.frame(&frame, out)?,
                Ok(None) => break,
                Err(error) => return Err(malformed(error.to_string())),
            }
        }
        Ok(())
    }

    fn frame(&mut self, frame: &Frame, out: &mut Vec<u8>) -> Result<(), Failure> {
        let Some(data) = &frame.data else { return self.without_data(frame) };
        if data.trim_ascii().is_empty() {
            return Ok(());
        }
        self.began = true;
        let read = self.decoder.push(frame, &mut self.read);
        // What was good before a failure still goes out.
        self.write(out)?;
        match read {
            Err(failure) if failure.kind == FailureKind::Malformed && !is_json(data) => {
                self.pass_over(failure)
            }
            Err(failure) => Err(failure),
            Ok(()) if self.decoder.is_done() => self.end(out),
            Ok(()) => Ok(()),
        }
    }

    /// Writes the events that were read.
    fn write(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        for event in self.read.drain(..) {
            self.law.take(&event)?;
            if !matches!(event, Event::Finish(_) | Event::Usage(_)) {
                self.restorer.push(event, &mut self.restored);
            }
            for event in self.restored.drain(..) {
                self.encoder.push(&event, out);
            }
        }
        Ok(())
    }

    /// One event that is no JSON may be a slip of the line.
    fn pass_over(&mut self, failure: Failure) -> Result<(), Failure> {
        self.withheld += 1;
        if self.withheld > UNREADABLE_TOLERATED { Err(failure) } else { Ok(()) }
    }

    /// An event without data: comments say nothing, anything else was never meant as a stream of events.
    fn without_data(&self, frame: &Frame) -> Result<(), Failure> {
        match frame.raw.trim_ascii().first() {
            Some(b'{' | b'[') => Err(self.not_a_stream(frame)),
            Some(b'<') => Err(malformed("the stream is a page of HTML".into())),
            _ => Ok(()),
        }
    }

    /// A JSON text where events were expected: usually an error.
    fn not_a_stream(&self, frame: &Frame) -> Failure {
        match serde_json::from_slice::<Value>(&frame.raw) {
            Ok(value) if REPLY_FIELDS.iter().all(|field| value.get(field).is_none()) => {
                read_inner_error(&frame.raw, &self.provider.errors, self.now)
            }
            _ => malformed("the answer is not a stream of events".into()),
        }
    }

    /// The last event, which may lack its empty line.
    fn last(&mut self, frame: &Frame, out: &mut Vec<u8>) -> Result<(), Failure> {
        let withheld = self.withheld;
        let taken = self.frame(frame, out);
        let is_half = self.withheld > withheld
            || taken.as_ref().is_err_and(|failure| {
                failure.kind == FailureKind::Malformed
                    && frame.data.as_ref().is_some_and(|data| !is_json(data))
            });
        if is_half && !self.is_finished() {
            // Half an event at the end is where the connection broke.
            return Err(Failure::new(FailureKind::Cut, "the stream ended within an event").status(200));
        }
        if is_half { Ok(()) } else { taken }
    }

    /// Judges the reply and writes its end.
    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        let ended = self.decoder.finish(&mut self.read);
        self.write(out)?;
        ended?;
        let finish = self.law.judge(self.shows_reasoning)?;
        self.ended = true;
        self.encoder.push(&Event::Finish(finish), out);
        if let Some(usage) = self.law.usage() {
            self.encoder.push(&Event::Usage(usage), out);
        }
        self.encoder.finish(out);
        Ok(())
    }
}

impl Watch for Translated {
    fn push(&mut self, chunk: Bytes, out: &mut Vec<Bytes>) -> Result<(), Failure> {
        if self.ended {
            return Ok(());
        }
        let mut written = Vec::new();
        self.frames.push(chunk);
        let pushed = self.frames(&mut written);
        pass(written, out);
        pushed
    }

    fn finish(&mut self, out: &mut Vec<Bytes>) -> Result<(), Failure> {
        if self.ended {
            return Ok(());
        }
        let mut written = Vec::new();
        let mut ended = match self.frames.finish() {
            Some(frame) => self.last(&frame, &mut written),
            None => Ok(()),
        };
        if ended.is_ok() && !self.ended {
            ended = if self.began {
                self.end(&mut written)
            } else {
                let words = "the stream ended before its first event";
                Err(Failure::new(FailureKind::Empty, words).status(200))
            };
        }
        pass(written, out);
        ended
    }

    fn is_good(&self) -> bool {
        self.law.is_good()
    }

    fn is_finished(&self) -> bool {
        self.ended || self.law.is_finished() || self.decoder.is_finished()
    }

    fn is_done(&self) -> bool {
        self.ended
    }

    fn usage(&self) -> Usage {
        self.law.usage().unwrap_or_default()
    }

    fn withheld(&self) -> u64 {
        self.withheld
    }

    fn fail(&mut self, refusal: &Refusal<'_>) -> Bytes {
        let mut out = Vec::new();
        self.encoder.fail(refusal, &mut out);
        out.into()
    }

    fn keep_alive(&mut self) -> Bytes {
        let mut out = Vec::new();
        self.encoder.keep_alive(&mut out);
        out.into()
    }

    fn issued(&mut self) -> Vec<Fingerprint> {
        self.law.issued()
    }

    fn keepsake(&mut self) -> Option<Keepsake> {
        if self.ended { self.law.keepsake() } else { None }
    }

    fn reply(&mut self) -> Option<Bytes> {
        if self.ended { self.encoder.reply() } else { None }
    }
}

fn pass(written: Vec<u8>, out: &mut Vec<Bytes>) {
    if !written.is_empty() {
        out.push(written.into());
    }
}

fn is_json(data: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(data).is_ok()
}
