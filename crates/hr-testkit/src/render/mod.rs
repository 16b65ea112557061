//! Answers in the wire format of each dialect, written from the provider's side.
//!
//! Nothing here knows how the router reads or writes these formats: the fakes are a second opinion. A whole reply
//! is one JSON value; a streamed one is [`Events`], whose parts the faults of an answer tell apart.

mod anthropic;
mod chat;
mod responses;

use serde_json::{Map, Value};

use crate::answer::{Answer, Usage};
use crate::dialect::{Dialect, Endpoint};
use crate::issued::Issued;
use crate::refusal::Refusal;

/// The instant that every reply states: a fixed one, so that replies are the same on each run.
pub(crate) const CREATED: u64 = 1_700_000_000;

/// What a reply depends on besides its script.
pub(crate) struct Asked<'a> {
    pub(crate) dialect: Dialect,
    pub(crate) endpoint: Endpoint,
    /// The place of the call in the log: ids are made of it.
    pub(crate) sequence: usize,
    pub(crate) model: &'a str,
    pub(crate) key: Option<&'a str>,
    /// Whom seals are issued to: the account, or else the key.
    pub(crate) owner: &'a str,
    pub(crate) body: &'a Value,
    pub(crate) body_bytes: usize,
    pub(crate) dimensions: usize,
    pub(crate) issued: &'a Issued,
}

impl Asked<'_> {
    /// Whether a stream was asked for, where there are streams.
    pub(crate) fn stream(&self) -> bool {
        self.body["stream"] == true && self.endpoint == Endpoint::Generate
    }
}

/// One event of a stream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    /// Its `event` line, where the dialect has one.
    pub(crate) name: Option<&'static str>,
    pub(crate) data: Value,
}

impl Event {
    /// An event that is named by the `type` in its data.
    fn named(name: &'static str, data: Value) -> Event {
        let mut fields = Map::from_iter([("type".to_owned(), Value::from(name))]);
        fields
            .extend(data.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())));
        fields.insert("type".to_owned(), name.into());
        Event { name: Some(name), data: fields.into() }
    }

    fn bare(data: Value) -> Event {
        Event { name: None, data }
    }
}

/// An event between opening and closing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Beat {
    /// It stands around content.
    Frame(Event),
    /// It carries content.
    Content(Event),
    /// It carries the same content so many times.
    Filler(Event, u64),
}

/// A streamed answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Events {
    pub(crate) opening: Vec<Event>,
    pub(crate) beats: Vec<Beat>,
    pub(crate) closing: Vec<Event>,
    /// What ends the stream after the last event.
    pub(crate) done: Option<&'static str>,
}

/// The whole reply.
pub(crate) fn whole(answer: &Answer, asked: &Asked<'_>, usage: Usage) -> Value {
    match asked.dialect {
        Dialect::Chat => chat::whole(answer, asked, usage),
        Dialect::Anthropic => anthropic::whole(answer, asked, usage),
        Dialect::Responses | Dialect::Codex => responses::whole(answer, asked, usage),
    }
}

/// The reply as a stream.
pub(crate) fn stream(answer: &Answer, asked: &Asked<'_>, usage: Usage) -> Events {
    match asked.dialect {
        Dialect::Chat => chat::stream(answer, asked, usage),
        Dialect::Anthropic => anthropic::stream(answer, asked, usage),
        Dialect::Responses | Dialect::Codex => responses::stream(answer, asked, usage),
    }
}

/// What tells of an error in a stream that had begun.
pub(crate) fn failure(refusal: &Refusal, asked: &Asked<'_>) -> Vec<Event> {
    match asked.dialect {
        Dialect::Chat => vec![Event::bare(asked.dialect.envelope(refusal.status, &refusal.error(asked.key)))],
        Dialect::Anthropic => {
            let error = asked.dialect.envelope(refusal.status, &refusal.error(asked.key));
            vec![Event::named("error", error)]
        }
        Dialect::Responses | Dialect::Codex => responses::failure(refusal, asked),
    }
}

/// A stream that is nothing but an error.
pub(crate) fn only_failure(refusal: &Refusal, asked: &Asked<'_>) -> Vec<Event> {
    let mut events = match asked.dialect {
        Dialect::Responses | Dialect::Codex => responses::opening(asked),
        Dialect::Chat | Dialect::Anthropic => Vec::new(),
    };
    events.extend(failure(refusal, asked));
    events
}

/// What a dialect sends between the events, to show that it is still there.
pub(crate) fn sign_of_life(dialect: Dialect) -> Option<Event> {
    match dialect {
        Dialect::Chat | Dialect::Responses => None,
        Dialect::Anthropic => Some(Event::named("ping", serde_json::json!({}))),
        Dialect::Codex => Some(Event::named("keepalive", serde_json::json!({}))),
    }
}
