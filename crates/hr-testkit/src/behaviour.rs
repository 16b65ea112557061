//! What a fake does with one call.

use std::time::Duration;

use serde_json::Value;

use crate::answer::Answer;
use crate::gate::Gate;
use crate::hint::Hint;
use crate::obliging;
use crate::refusal::Refusal;

/// What a fake does with one call.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// Answers, with whatever faults the [`Answer`] has.
    Answer(Box<Answer>),
    /// Answers what fits the request: calls the tool that is forced or spoken of, fills in schemas, thinks when it
    /// may, and stops where it is told to.
    Obliging,
    /// 429, with a hint of this style at when to come back.
    RateLimited {
        /// How it says when.
        hint: Hint,
        /// When: from now.
        wait: Duration,
    },
    /// Refuses with a status and a body.
    Refuse(Box<Refusal>),
    /// A 200 whose body, or whose first event, is this error.
    ErrorInside(Box<Refusal>),
    /// These bytes, whatever was asked.
    Raw {
        /// The HTTP status.
        status: u16,
        /// The `content-type`.
        content_type: String,
        /// The body.
        body: String,
    },
    /// Takes the request and never says a word.
    HangBeforeHeaders,
    /// Sends the headers of a good reply and then nothing.
    HangAfterHeaders,
    /// Resets the connection (RST) instead of answering.
    ResetBeforeHeaders,
    /// Closes the connection (FIN) instead of answering.
    CloseBeforeHeaders,
    /// Does the other thing after a while.
    Delayed(Duration, Box<Behaviour>),
    /// Does the other thing when the gate opens.
    Gated(Gate, Box<Behaviour>),
}

impl Behaviour {
    /// 429 with a hint at when to come back.
    #[must_use]
    pub fn rate_limited(hint: Hint, wait: Duration) -> Behaviour {
        Behaviour::RateLimited { hint, wait }
    }

    /// A 200 that holds an error.
    #[must_use]
    pub fn error_inside(refusal: Refusal) -> Behaviour {
        Behaviour::ErrorInside(Box::new(refusal))
    }

    /// An HTML page, as a proxy in between writes it.
    #[must_use]
    pub fn html(status: u16) -> Behaviour {
        let body = crate::refusal::page(status, "a proxy");
        Behaviour::Raw { status, content_type: "text/html; charset=utf-8".into(), body }
    }

    /// A 200 whose JSON stops in the middle.
    #[must_use]
    pub fn malformed_json() -> Behaviour {
        Behaviour::raw(200, r#"{"id":"chatcmpl-0","object":"chat.completion","choices":[{"index":0,"mess"#)
    }

    /// A 200 with nothing in it.
    #[must_use]
    pub fn empty_body() -> Behaviour {
        Behaviour::raw(200, "")
    }

    /// These bytes as `application/json`.
    #[must_use]
    pub fn raw(status: u16, body: impl Into<String>) -> Behaviour {
        Behaviour::Raw { status, content_type: "application/json".into(), body: body.into() }
    }

    /// The same with everything that depends on the request decided.
    pub(crate) fn decided(self, body: &Value, number: usize) -> Behaviour {
        match self {
            Behaviour::Obliging => obliging::answer(body, number).into(),
            Behaviour::Delayed(delay, inner) => inner.decided(body, number).after(delay),
            Behaviour::Gated(gate, inner) => inner.decided(body, number).behind(&gate),
            other => other,
        }
    }

    /// The same after a while.
    #[must_use]
    pub fn after(self, delay: Duration) -> Behaviour {
        Behaviour::Delayed(delay, Box::new(self))
    }

    /// The same when the gate opens.
    #[must_use]
    pub fn behind(self, gate: &Gate) -> Behaviour {
        Behaviour::Gated(gate.clone(), Box::new(self))
    }
}

impl From<Answer> for Behaviour {
    fn from(answer: Answer) -> Behaviour {
        Behaviour::Answer(Box::new(answer))
    }
}

impl From<Refusal> for Behaviour {
    fn from(refusal: Refusal) -> Behaviour {
        Behaviour::Refuse(Box::new(refusal))
    }
}
