//! Both halves of this dialect, as the rest of the router reaches them.

use std::sync::Arc;

use bytes::Bytes;
use hr_core::catalog::{Dialect, ErrorRow, Provider};
use hr_core::failure::Failure;
use hr_core::time::Millis;

use super::encoder::{Encoder, lifecycle, response_id};
use super::response::{self, State};
use super::stream::Decoder;
use super::watch::Watch;
use super::{compose, error, facts, prepare, quirk, reply, request, whole};
use crate::dialect::{
    ClientHalf, Decode, Decoded, Echo, Encode, Encoded, Outgoing, Prepared, UpstreamHalf, WatchOptions, Whole,
};
use crate::envelope::{BadRequest, Envelope};
use crate::facts::ChatFacts;
use crate::hub::{Reply, Request};
use crate::refusal::Refusal;
use crate::{complaint, lane, sse};

/// OpenAI Responses.
#[derive(Clone, Copy, Debug)]
pub struct OpenaiResponses;

impl ClientHalf for OpenaiResponses {
    fn native(&self) -> Option<Dialect> {
        Some(Dialect::OpenaiResponses)
    }

    fn read(&self, body: Bytes) -> Result<(Envelope, ChatFacts), BadRequest> {
        facts::read(body)
    }

    fn decode(&self, envelope: &Envelope) -> Result<Decoded, BadRequest> {
        request::decode(envelope)
    }

    fn encode(&self, reply: &Reply, echo: &Echo) -> Bytes {
        reply::encode(reply, echo)
    }

    fn encoder(&self, echo: &Arc<Echo>) -> Box<dyn Encode> {
        Box::new(Encoder::new(Arc::clone(echo)))
    }

    fn refuse(&self, refusal: &Refusal<'_>) -> Vec<u8> {
        error::body(refusal)
    }

    fn error_event(&self, refusal: &Refusal<'_>) -> Bytes {
        error::only_event(refusal, &Echo::default())
    }

    fn keep_alive(&self) -> &'static [u8] {
        sse::KEEP_ALIVE
    }

    /// The response begins, and from then on is in progress. Some SDKs take nothing before its beginning, and
    /// coding agents count only events as signs of life.
    fn early_sign(&self, echo: &Echo) -> Bytes {
        let id = response_id(echo);
        let state = State {
            id: &id,
            model: &echo.model,
            created: echo.now,
            status: "in_progress",
            items: &[],
            usage: None,
            incomplete: None,
            error: None,
        };
        let response = response::write(&state, echo);
        let mut out = Vec::new();
        if echo.signs.count() == 0 {
            lifecycle("response.created", echo.signs.add(1), &response, &mut out);
        }
        lifecycle("response.in_progress", echo.signs.add(1), &response, &mut out);
        out.into()
    }

    fn early_error(&self, refusal: &Refusal<'_>, echo: &Echo) -> Bytes {
        error::only_event(refusal, echo)
    }
}

impl UpstreamHalf for OpenaiResponses {
    fn dialect(&self) -> Dialect {
        Dialect::OpenaiResponses
    }

    fn chat_path(&self) -> &'static str {
        "/responses"
    }

    fn embeddings_path(&self) -> Option<&'static str> {
        Some("/embeddings")
    }

    fn forwards(&self) -> &'static [&'static str] {
        &["session-id", "session_id", "thread-id", "x-client-request-id"]
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
        complaint::read_error(status, headers, body, rows, now)
    }

    fn read_whole(&self, body: &[u8], rows: &[ErrorRow], now: Millis) -> Result<Whole, Failure> {
        whole::read_whole(body, rows, now)
    }

    fn decode(&self, body: &[u8], rows: &[ErrorRow], now: Millis) -> Result<Reply, Failure> {
        reply::decode(body, rows, now)
    }

    fn decoder(&self, provider: &Arc<Provider>, now: Millis) -> Box<dyn Decode> {
        Box::new(Decoder::new(Some(Arc::clone(provider)), now))
    }

    fn watch(&self, options: WatchOptions) -> Box<dyn lane::Watch> {
        Box::new(Watch::new(options))
    }

    fn to_whole(&self, body: &Bytes, provider: &Arc<Provider>, now: Millis) -> Result<Bytes, Failure> {
        whole::to_whole(body, provider, now)
    }

    fn to_stream(&self, body: &Bytes) -> Result<Bytes, Failure> {
        whole::to_stream(body)
    }

    fn quirk_exists(&self, name: &str) -> bool {
        quirk::quirk_exists(name)
    }
}
