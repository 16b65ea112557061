//! Callers that ask in one dialect and read answers in another, as some editors do.

use std::sync::Arc;

use bytes::Bytes;
use hr_core::catalog::Dialect;
use hr_wire::dialect::{ClientHalf, Decoded, Echo, Encode};
use hr_wire::envelope::{BadRequest, Envelope};
use hr_wire::facts::ChatFacts;
use hr_wire::hub::Reply;
use hr_wire::openai_chat::OpenaiChat;
use hr_wire::openai_responses::OpenaiResponses;
use hr_wire::refusal::Refusal;

/// Requests of the Responses dialect at the endpoint of chat, whose answers are read as chat.
#[derive(Clone, Copy, Debug)]
pub struct Crossed;

impl Crossed {
    /// Whether a body that was sent to the endpoint of chat is one of these. Some have an empty list of messages
    /// beside their input.
    #[must_use]
    pub fn is_meant(body: &Bytes) -> bool {
        let Ok(envelope) = Envelope::read(body.clone()) else { return false };
        let is_empty = |list: &str| list.trim_matches(['[', ']', ' ', '\n', '\r', '\t']).is_empty();
        envelope.get("input").is_some() && envelope.get("messages").is_none_or(is_empty)
    }
}

fn includes_usage(options: &str) -> bool {
    #[derive(serde::Deserialize)]
    struct Options {
        include_usage: Option<bool>,
    }
    serde_json::from_str::<Options>(options).is_ok_and(|options| options.include_usage == Some(true))
}

impl ClientHalf for Crossed {
    fn native(&self) -> Option<Dialect> {
        None
    }

    fn read(&self, body: Bytes) -> Result<(Envelope, ChatFacts), BadRequest> {
        let whole = Envelope::read(body)?;
        let mut draft = whole.draft();
        draft.remove("messages");
        let (envelope, mut facts) = OpenaiResponses.read(draft.finish())?;
        // Nobody asks for replies by their ids here, and usage only as in chat.
        facts.keep = false;
        facts.include_usage = envelope.get("stream_options").is_some_and(includes_usage);
        if let Some(previous) = facts.previous.take() {
            let words =
                format!("the response `{previous}` cannot be gone on from here; use /v1/responses for that");
            return Err(BadRequest::about("previous_response_id", words).code("unsupported_parameter"));
        }
        Ok((envelope, facts))
    }

    fn decode(&self, envelope: &Envelope) -> Result<Decoded, BadRequest> {
        OpenaiResponses.decode(envelope)
    }

    fn encode(&self, reply: &Reply, echo: &Echo) -> Bytes {
        OpenaiChat.encode(reply, echo)
    }

    fn encoder(&self, echo: &Arc<Echo>) -> Box<dyn Encode> {
        OpenaiChat.encoder(echo)
    }

    fn refuse(&self, refusal: &Refusal<'_>) -> Vec<u8> {
        OpenaiChat.refuse(refusal)
    }

    fn error_event(&self, refusal: &Refusal<'_>) -> Bytes {
        OpenaiChat.error_event(refusal)
    }

    fn keep_alive(&self) -> &'static [u8] {
        OpenaiChat.keep_alive()
    }
}
