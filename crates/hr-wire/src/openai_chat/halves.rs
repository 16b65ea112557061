//! Both halves of this dialect, as the rest of the router reaches them.

use std::sync::Arc;

use bytes::Bytes;
use hr_core::catalog::{Dialect, ErrorRow, Provider};
use hr_core::failure::Failure;
use hr_core::time::Millis;
use hr_core::usage::Usage;

use super::stream::{Decoder, Encoder, Watch};
use super::{bridge, error, prepare, quirk, reply, request, stream, whole};
use crate::dialect::{
    ClientHalf, Decode, Decoded, Echo, Encode, Encoded, Outgoing, Prepared, UpstreamHalf, WatchOptions, Whole,
};
use crate::envelope::{BadRequest, Envelope};
use crate::facts::ChatFacts;
use crate::hub::{Event, Fingerprint, NameRules, Names, Reply, Request};
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

    fn encode(&self, reply: &Reply, _echo: &Echo) -> Bytes {
        reply::encode(reply).into()
    }

    fn encoder(&self, echo: &Arc<Echo>) -> Box<dyn Encode> {
        Box::new(Encoder::new(echo.include_usage))
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

impl Encode for Encoder {
    fn push(&mut self, event: &Event, out: &mut Vec<u8>) {
        Encoder::push(self, event, out);
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        Encoder::finish(self, out);
    }

    fn fail(&mut self, refusal: &Refusal<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(&error::event(refusal));
    }

    fn keep_alive(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(sse::KEEP_ALIVE);
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

    fn encode(&self, request: &Request, _outgoing: &Outgoing<'_>) -> Encoded {
        let names = Names::of(&request.tools, NameRules { longest: 64, namespaces: false, custom: false });
        Encoded { body: request::encode(request), losses: Vec::new(), names }
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

    fn decode(&self, body: &[u8], _rows: &[ErrorRow], _now: Millis) -> Result<Reply, Failure> {
        reply::decode(body)
    }

    fn decoder(&self, _provider: &Arc<Provider>, _now: Millis) -> Box<dyn Decode> {
        Box::new(Decoder::default())
    }

    fn watch(&self, options: WatchOptions) -> Box<dyn lane::Watch> {
        let watch = Watch::new(stream::WatchOptions { hide_usage: options.hide_usage });
        Box::new(watch.of(options.provider, options.now))
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

impl Decode for Decoder {
    fn push(&mut self, frame: &sse::Frame, out: &mut Vec<Event>) -> Result<(), Failure> {
        match &frame.data {
            Some(data) => Decoder::push(self, data, out),
            None => Ok(()),
        }
    }

    fn finish(&mut self, out: &mut Vec<Event>) -> Result<(), Failure> {
        Decoder::finish(self, out)
    }

    fn is_done(&self) -> bool {
        Decoder::is_done(self)
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
        Vec::new()
    }

    fn keepsake(&mut self) -> Option<Keepsake> {
        None
    }

    fn reply(&mut self) -> Option<Bytes> {
        None
    }
}
