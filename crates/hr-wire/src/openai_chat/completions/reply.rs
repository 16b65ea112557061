//! The continuation of a prompt, whole and as a stream.

use std::sync::Arc;

use hr_core::usage::Usage;

use super::super::error;
use super::super::reply::{created, id, model, word};
use super::super::types::usage_json;
use crate::dialect::{Echo, Encode};
use crate::hub::{Block, Event, Finish, FinishKind, Reply, Start};
use crate::json::write_string;
use crate::refusal::Refusal;
use crate::sse;

/// What the ids of replies begin with.
const PREFIX: &str = "cmpl-";

/// Writes a whole reply: its text is the continuation.
pub(super) fn encode(reply: &Reply, echo: &Echo) -> Vec<u8> {
    let mut text = String::new();
    for block in &reply.blocks {
        if let Block::Text(more) | Block::Refusal(more) = block {
            text.push_str(more);
        }
    }
    let mut out = head(&reply.id, &reply.model, reply.created, echo);
    choice(&mut out, &text, Some(reply.finish.as_ref()));
    out.push(b']');
    if let Some(usage) = &reply.usage {
        out.extend_from_slice(b",\"usage\":");
        out.extend_from_slice(usage_json(usage).as_bytes());
    }
    out.push(b'}');
    out
}

/// What a reply begins with, and each chunk of one, up to its choices.
fn head(given: &str, named: &str, made: u64, echo: &Echo) -> Vec<u8> {
    let mut out = b"{\"id\":".to_vec();
    write_string(&mut out, &id(PREFIX, given, echo));
    out.extend_from_slice(b",\"object\":\"text_completion\",\"created\":");
    out.extend_from_slice(created(made, echo).to_string().as_bytes());
    out.extend_from_slice(b",\"model\":");
    write_string(&mut out, model(named, echo));
    out.extend_from_slice(b",\"choices\":[");
    out
}

/// A choice with this text; the finish is `None` while there is more to come.
fn choice(out: &mut Vec<u8>, text: &str, finish: Option<Option<&Finish>>) {
    out.extend_from_slice(b"{\"text\":");
    write_string(out, text);
    out.extend_from_slice(b",\"index\":0,\"logprobs\":null,\"finish_reason\":");
    match finish {
        None => out.extend_from_slice(b"null"),
        // There are no calls here, so none is the reason.
        Some(finish) => {
            let kind = finish.map_or(FinishKind::Stop, |finish| finish.clone().borne_out(false).kind());
            write_string(out, word(kind));
        }
    }
    out.push(b'}');
}

/// Writes hub events as chunks of text.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    echo: Arc<Echo>,
    /// What all chunks begin with.
    head: Vec<u8>,
    /// Whether each block is text for the reader.
    blocks: Vec<bool>,
    usage: Option<Usage>,
}

impl Encoder {
    pub(super) fn new(echo: &Arc<Echo>) -> Self {
        Self { echo: Arc::clone(echo), head: head("", "", 0, echo), ..Self::default() }
    }

    fn chunk(&self, text: &str, finish: Option<&Finish>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(&self.head);
        choice(out, text, finish.map(Some));
        out.extend_from_slice(b"]}\n\n");
    }
}

impl Encode for Encoder {
    fn push(&mut self, event: &Event, out: &mut Vec<u8>) {
        match event {
            Event::Begin { id, model, created } => self.head = head(id, model, *created, &self.echo),
            Event::Start { start, .. } => self.blocks.push(matches!(start, Start::Text | Start::Refusal)),
            Event::Delta { block, text } if self.blocks.get(*block) == Some(&true) => {
                self.chunk(text, None, out);
            }
            Event::Finish(finish) => self.chunk("", Some(finish), out),
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Delta { .. } | Event::Opaque { .. } | Event::End { .. } => {}
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if let (true, Some(usage)) = (self.echo.include_usage, self.usage) {
            out.extend_from_slice(b"data: ");
            out.extend_from_slice(&self.head);
            out.extend_from_slice(format!("],\"usage\":{}}}\n\n", usage_json(&usage)).as_bytes());
        }
        sse::encode(out, None, b"[DONE]");
    }

    fn fail(&mut self, refusal: &Refusal<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(&error::event(refusal));
    }

    fn keep_alive(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(sse::KEEP_ALIVE);
    }
}
