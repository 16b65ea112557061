//! The older endpoint of this dialect: a prompt in, its continuation out.
//!
//! Nobody is asked for it natively any more. The prompt becomes the one message of a conversation, and the
//! answer's text the continuation, so that old programs keep working with today's models.

mod reply;
mod request;

use std::sync::Arc;

use bytes::Bytes;
use hr_core::catalog::Dialect;

use super::error;
use crate::dialect::{ClientHalf, Decoded, Echo, Encode};
use crate::envelope::{BadRequest, Envelope};
use crate::facts::ChatFacts;
use crate::hub::Reply;
use crate::refusal::Refusal;
use crate::sse;

/// `POST /v1/completions`.
#[derive(Clone, Copy, Debug)]
pub struct Completions;

impl ClientHalf for Completions {
    fn native(&self) -> Option<Dialect> {
        None
    }

    fn read(&self, body: Bytes) -> Result<(Envelope, ChatFacts), BadRequest> {
        request::read(body)
    }

    fn decode(&self, envelope: &Envelope) -> Result<Decoded, BadRequest> {
        request::decode(envelope)
    }

    fn encode(&self, reply: &Reply, echo: &Echo) -> Bytes {
        reply::encode(reply, echo).into()
    }

    fn encoder(&self, echo: &Arc<Echo>) -> Box<dyn Encode> {
        Box::new(reply::Encoder::new(echo))
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
