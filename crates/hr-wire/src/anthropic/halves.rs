//! Both halves of this dialect, as the rest of the router reaches them.

use std::sync::Arc;

use bytes::Bytes;
use hr_core::catalog::{Dialect, ErrorRow, Provider};
use hr_core::failure::Failure;
use hr_core::time::Millis;

use super::{bridge, compose, encoder, error, facts, prepare, quirk, reply, request, stream, watch, whole};
use crate::dialect::{
    ClientHalf, Decode, Decoded, Echo, Encode, Encoded, Outgoing, Prepared, UpstreamHalf, WatchOptions, Whole,
};
use crate::envelope::{BadRequest, Envelope};
use crate::facts::ChatFacts;
use crate::hub::{Reply, Request};
use crate::lane;
use crate::refusal::Refusal;

/// Anthropic Messages.
#[derive(Clone, Copy, Debug)]
pub struct Anthropic;

impl ClientHalf for Anthropic {
    fn native(&self) -> Option<Dialect> {
        Some(Dialect::Anthropic)
    }

    fn read(&self, body: Bytes) -> Result<(Envelope, ChatFacts), BadRequest> {
        facts::read(body, true)
    }

    fn decode(&self, envelope: &Envelope) -> Result<Decoded, BadRequest> {
        request::decode(envelope)
    }

    fn encode(&self, reply: &Reply, echo: &Echo) -> Bytes {
        reply::encode(reply, echo).into()
    }

    fn encoder(&self, echo: &Arc<Echo>) -> Box<dyn Encode> {
        Box::new(encoder::Encoder::new(Arc::clone(echo)))
    }

    fn pass_whole(&self, body: &Bytes, echo: &Echo) -> Bytes {
        whole::with_model(body, &echo.model)
    }

    fn refuse(&self, refusal: &Refusal<'_>) -> Vec<u8> {
        error::body(refusal)
    }

    fn error_event(&self, refusal: &Refusal<'_>) -> Bytes {
        error::event(refusal)
    }

    fn keep_alive(&self) -> &'static [u8] {
        error::PING
    }
}

impl UpstreamHalf for Anthropic {
    fn dialect(&self) -> Dialect {
        Dialect::Anthropic
    }

    fn chat_path(&self) -> &'static str {
        "/messages"
    }

    fn forwards(&self) -> &'static [&'static str] {
        &["anthropic-beta", "anthropic-version"]
    }

    fn encode(&self, request: &Request, outgoing: &Outgoing<'_>) -> Encoded {
        compose::encode(request, outgoing)
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
        error::read(status, headers, body, rows, now)
    }

    fn read_whole(&self, body: &[u8], rows: &[ErrorRow], now: Millis) -> Result<Whole, Failure> {
        whole::read(body, rows, now)
    }

    fn decode(&self, body: &[u8], rows: &[ErrorRow], now: Millis) -> Result<Reply, Failure> {
        whole::decode(body, rows, now)
    }

    fn decoder(&self, provider: &Arc<Provider>, now: Millis) -> Box<dyn Decode> {
        Box::new(stream::Decoder::new(Arc::clone(provider), now))
    }

    fn watch(&self, options: WatchOptions) -> Box<dyn lane::Watch> {
        Box::new(watch::Watch::new(options))
    }

    fn to_whole(&self, body: &Bytes, provider: &Arc<Provider>, now: Millis) -> Result<Bytes, Failure> {
        bridge::to_whole(body, provider, now)
    }

    fn to_stream(&self, body: &Bytes) -> Result<Bytes, Failure> {
        bridge::to_stream(body)
    }

    fn quirk_exists(&self, name: &str) -> bool {
        quirk::quirk_exists(name)
    }
}
