//! The native lane's stream: bytes pass as they came while somebody watches.
//!
//! Changed are only the model, since callers see the one that they asked for, and what a strict client could not
//! read: events without their name, signs of life without their data.

use std::sync::Arc;

use bytes::Bytes;
use hr_core::failure::{Failure, FailureKind};
use hr_core::usage::Usage;

use super::bridge::Assembly;
use super::error;
use super::types::{WireBlock, WireEvent, WireUsage};
use super::whole::{REFUSAL, malformed};
use crate::dialect::WatchOptions;
use crate::hub::carrier::{Carried, unpack};
use crate::hub::{Fingerprint, Finish, FinishKind};
use crate::json::quoted;
use crate::lane::pass::{self, Fate, Judge, Unreadable};
use crate::lane::{self, Keepsake, no_answer};
use crate::patch;
use crate::refusal::Refusal;
use crate::sse::{self, Decoder, Frame};

const STOP: &[u8] = b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

/// Watches one reply as it streams.
pub(super) struct Watch {
    options: WatchOptions,
    decoder: Decoder,
    usage: Option<WireUsage>,
    stop: Option<Finish>,
    content: bool,
    reasoning: bool,
    began: bool,
    done: bool,
    unreadable: Unreadable,
    /// The signature of the block under way.
    signature: String,
    issued: Vec<Fingerprint>,
    /// The reply as far as it came, when it is wanted.
    assembly: Option<Assembly>,
}

impl Watch {
    pub(super) fn new(options: WatchOptions) -> Self {
        Self {
            assembly: options.keep.then(Assembly::default),
            options,
            decoder: Decoder::default(),
            usage: None,
            stop: None,
            content: false,
            reasoning: false,
            began: false,
            done: false,
            unreadable: Unreadable::default(),
            signature: String::new(),
            issued: Vec::new(),
        }
    }

    /// The beginning of the message with the model that the caller asked for.
    fn renamed(&self, data: &[u8]) -> Option<String> {
        let model = &self.options.echo.model;
        if model.is_empty() {
            return None;
        }
        let name = quoted(model);
        patch::within(std::str::from_utf8(data).ok()?, "message", |message| {
            patch::within(message, "model", |old| (old != name).then(|| name.clone()))
        })
    }

    /// Notes what an event tells.
    fn take(&mut self, event: &WireEvent<'_>) -> Result<(), Failure> {
        match &*event.kind {
            "message_start" => self.usage = event.message.as_ref().and_then(|message| message.usage),
            "content_block_start" => {
                let block = event.content_block.and_then(|block| serde_json::from_str(block.get()).ok());
                let block: WireBlock<'_> = block.ok_or_else(|| malformed("a block cannot be read".into()))?;
                match block.kind.as_str() {
                    "text" => self.content |= block.text.is_some_and(|text| !text.trim().is_empty()),
                    "thinking" => self.signature = block.signature.unwrap_or_default(),
                    "redacted_thinking" => {
                        self.reasoning = true;
                        self.issue(&block.data.unwrap_or_default());
                    }
                    _ => self.content = true,
                }
            }
            "content_block_delta" => {
                if let Some(delta) = &event.delta {
                    let blank = |text: &Option<std::borrow::Cow<'_, str>>| {
                        text.as_ref().is_none_or(|text| text.trim().is_empty())
                    };
                    self.content |= !blank(&delta.text);
                    self.reasoning |= delta.thinking.as_ref().is_some_and(|text| !text.is_empty());
                    self.signature.push_str(delta.signature.as_deref().unwrap_or_default());
                }
            }
            "content_block_stop" => {
                let signature = std::mem::take(&mut self.signature);
                self.reasoning |= !signature.is_empty();
                self.issue(&signature);
            }
            "message_delta" => {
                if let Some(usage) = event.usage {
                    self.usage.get_or_insert_default().update(usage);
                }
                if let Some(word) = event.delta.as_ref().and_then(|delta| delta.stop_reason.as_deref()) {
                    self.stop = Some(Finish::read(word));
                }
            }
            "message_stop" => {
                self.sound()?;
                self.done = true;
            }
            _ => {}
        }
        Ok(())
    }

    /// Notes what only its issuer can read.
    fn issue(&mut self, field: &str) {
        let fingerprint = match unpack(field) {
            Carried::Native(data) if data.is_empty() => None,
            Carried::Native(data) => Some(Fingerprint::of(&data)),
            Carried::Ours(opaque) => opaque.map(|opaque| opaque.fingerprint()),
        };
        self.issued.extend(fingerprint);
    }

    /// Whether the reply ended, and said something.
    fn sound(&self) -> Result<(), Failure> {
        let Some(stop) = &self.stop else {
            let (kind, words) = match self.began {
                true => (FailureKind::Cut, "the stream ended without a stop reason"),
                false => (FailureKind::Empty, "the stream ended before its first event"),
            };
            return Err(Failure::new(kind, words).status(200));
        };
        let output = self.usage.and_then(|usage| usage.output_tokens);
        let only_filled_a_cache = stop.kind() == FinishKind::Length && output == Some(0);
        match self.content || self.reasoning || only_filled_a_cache || stop.raw() == REFUSAL {
            true => Ok(()),
            false => Err(no_answer(Some(stop))),
        }
    }

    fn error(&self, data: &[u8]) -> Failure {
        error::read_inner(data, &self.options.provider.errors, self.options.now)
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
            return pass::without_data(frame, |raw| self.error(raw));
        };
        let trimmed = data.trim_ascii();
        if trimmed.is_empty() || trimmed == b"[DONE]" {
            return Ok(Fate::Withhold);
        }
        let name = frame.event.as_deref().unwrap_or_default();
        if name == b"ping" && trimmed != b"{\"type\": \"ping\"}" && trimmed != b"{\"type\":\"ping\"}" {
            return Ok(Fate::Replace(Bytes::from_static(error::PING)));
        }
        self.began |= name != b"ping";
        if name == b"error" {
            return Err(self.error(data));
        }
        let Ok(event) = serde_json::from_slice::<WireEvent<'_>>(data) else {
            return self.unreadable.withhold(data);
        };
        if event.kind == "error" || event.error.is_some_and(|error| error.get() != "null") {
            return Err(self.error(data));
        }
        if event.kind.is_empty() {
            return self.unreadable.withhold(data);
        }
        if let Some(assembly) = &mut self.assembly {
            assembly.take(data);
        }
        self.take(&event)?;
        let renamed = if event.kind == "message_start" { self.renamed(data) } else { None };
        let named = name == event.kind.as_bytes();
        if named && renamed.is_none() && !frame.has_connection_fields {
            return Ok(Fate::Pass);
        }
        let mut plain = Vec::with_capacity(data.len() + 64);
        sse::encode(&mut plain, Some(&event.kind), renamed.as_deref().map_or(data, str::as_bytes));
        Ok(Fate::Replace(plain.into()))
    }
}

impl lane::Watch for Watch {
    fn push(&mut self, chunk: Bytes, out: &mut Vec<Bytes>) -> Result<(), Failure> {
        pass::push(self, &chunk, out)
    }

    fn finish(&mut self, out: &mut Vec<Bytes>) -> Result<(), Failure> {
        pass::push_last(self, out)?;
        if self.done {
            return Ok(());
        }
        self.sound()?;
        self.done = true;
        out.push(Bytes::from_static(STOP));
        Ok(())
    }

    fn is_good(&self) -> bool {
        self.content || self.reasoning || (self.done && self.stop.is_some())
    }

    fn is_finished(&self) -> bool {
        self.stop.is_some()
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn usage(&self) -> Usage {
        self.usage.map(Usage::from).unwrap_or_default()
    }

    fn withheld(&self) -> u64 {
        self.unreadable.count()
    }

    fn fail(&mut self, refusal: &Refusal<'_>) -> Bytes {
        error::event(refusal)
    }

    fn keep_alive(&mut self) -> Bytes {
        Bytes::from_static(error::PING)
    }

    fn issued(&mut self) -> Vec<Fingerprint> {
        std::mem::take(&mut self.issued)
    }

    fn keepsake(&mut self) -> Option<Keepsake> {
        None
    }

    fn reply(&mut self) -> Option<Bytes> {
        let assembly = self.assembly.take().filter(|_| self.done)?;
        Some(super::whole::with_model(&assembly.finish()?, &Arc::clone(&self.options.echo).model))
    }
}
