//! Both halves of this dialect, as the rest of the router reaches them.

use std::sync::Arc;

use bytes::Bytes;
use hr_core::catalog::{Dialect, ErrorRow, Provider};
use hr_core::failure::Failure;
use hr_core::time::Millis;
use hr_core::usage::Usage;

use super::stream::{Decoder, Encoder, Watch};
use super::{bridge, error, prepare, quirk, reply, request, stream, whole, write};
use crate::dialect::{
    ClientHalf, Decode, Decoded, Echo, Encode, Encoded, Outgoing, Prepared, UpstreamHalf, WatchOptions, Whole,
};
use crate::envelope::{BadRequest, Envelope};
use crate::facts::ChatFacts;
use crate::hub::{Fingerprint, Reply, Request};
use crate::lane::{self, Keepsake};
use crate::refusal::Refusal;
use crate::{complaint, sse};

/// OpenAI Chat Completions.
#[derive(Clone, Copy, Debug)]
pub struct OpenaiChat;

impl ClientHalf for OpenaiChat {
    fn native(&self) -> Option<Dialect> {
        Some(Dialect::OpenaiChat)
    }

    fn read(&self, body: Bytes) -> Result<(Envelope, ChatFacts), BadRequest> {
        super::read_chat(body)
    }

    fn decode(&self, envelope: &Envelope) -> Result<Decoded, BadRequest> {
        request::decode(envelope)
    }

    fn encode(&self, reply: &Reply, echo: &Echo) -> Bytes {
        reply::encode(reply, echo).into()
    }

    fn encoder(&self, echo: &Arc<Echo>) -> Box<dyn Encode> {
        Box::new(Encoder::new(echo))
    }

    fn refuse(&self, refusal: &Refusal<'_>) -> Vec<u8> {
        error::body(refusal)
    }

    fn error_event(&self, refusal: &Refusal<'_>) -> Bytes {
        error::event(refusal)
    }

    fn keep_alive(&self) -> &'static [u8] {
        sse::KEEP_ALIVE
    }
}

impl UpstreamHalf for OpenaiChat {
    fn dialect(&self) -> Dialect {
        Dialect::OpenaiChat
    }

    fn chat_path(&self) -> &'static str {
        "/chat/completions"
    }

    fn embeddings_path(&self) -> Option<&'static str> {
        Some("/embeddings")
    }

    fn encode(&self, request: &Request, outgoing: &Outgoing<'_>) -> Encoded {
        write::encode(request, outgoing)
    }

    fn prepare(&self, envelope: &Envelope, outgoing: &Outgoing<'_>) -> Prepared {
        prepare::prepare(envelope, outgoing)
    }

    fn read_error<'h>(
        &self,
        status: u16,
        headers: &dyn Fn(&str) -> Option<&'h str>,
        body: &[u8],
        rows: &[ErrorRow],
        now: Millis,
    ) -> Failure {
        complaint::read_error(status, headers, body, rows, now)
    }

    fn read_whole(&self, body: &[u8], rows: &[ErrorRow], now: Millis) -> Result<Whole, Failure> {
        whole::read_whole(body, rows, now)
    }

    fn decode(&self, body: &[u8], rows: &[ErrorRow], now: Millis) -> Result<Reply, Failure> {
        reply::decode(body, rows, now)
    }

    fn decoder(&self, provider: &Arc<Provider>, now: Millis) -> Box<dyn Decode> {
        Box::new(Decoder::of(Arc::clone(provider), now))
    }

    fn watch(&self, options: WatchOptions) -> Box<dyn lane::Watch> {
        Box::new(Watch::new(options.hide_usage).of(options.provider, options.now))
    }

    fn to_whole(&self, body: &Bytes, provider: &Arc<Provider>, now: Millis) -> Result<Bytes, Failure> {
        bridge::to_whole(body, Arc::clone(provider), now)
    }

    fn to_stream(&self, body: &Bytes) -> Result<Bytes, Failure> {
        stream::of_whole(body, true)
    }

    fn quirk_exists(&self, name: &str) -> bool {
        quirk::quirk_exists(name)
    }
}

impl lane::Watch for Watch {
    fn push(&mut self, chunk: Bytes, out: &mut Vec<Bytes>) -> Result<(), Failure> {
        Watch::push(self, chunk, out)
    }

    fn finish(&mut self, out: &mut Vec<Bytes>) -> Result<(), Failure> {
        Watch::finish(self, out)
    }

    fn is_good(&self) -> bool {
        Watch::is_good(self)
    }

    fn is_finished(&self) -> bool {
        Watch::is_finished(self)
    }

    fn is_done(&self) -> bool {
        Watch::is_done(self)
    }

    fn usage(&self) -> Usage {
        Watch::usage(self)
    }

    fn withheld(&self) -> u64 {
        Watch::withheld(self)
    }

    fn fail(&mut self, refusal: &Refusal<'_>) -> Bytes {
        error::event(refusal)
    }

    fn keep_alive(&mut self) -> Bytes {
        Bytes::from_static(sse::KEEP_ALIVE)
    }

    fn issued(&mut self) -> Vec<Fingerprint> {
        Watch::issued(self)
    }

    fn keepsake(&mut self) -> Option<Keepsake> {
        None
    }

    fn reply(&mut self) -> Option<Bytes> {
        None
    }
}
