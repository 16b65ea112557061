//! Every answer that is the router's own: JSON, streams, and refusals in the shape that the caller reads.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hr_wire::dialect::ClientHalf;
use hr_wire::envelope::BadRequest;
use hr_wire::refusal;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};

use super::held::Held;
use super::reply::Stream;

/// A wait beyond this is of no use to a client's own retries.
pub const WORTH_A_RETRY: Duration = Duration::from_secs(60);

/// How many headers most answers get, those that the server adds included.
const USUAL_HEADERS: usize = 9;

/// What goes back to a caller.
pub type Answer = Response<AnswerBody>;

/// The body of an answer.
pub enum AnswerBody {
    /// All of it; `None` once it was taken.
    Whole(Option<Bytes>),
    /// As it arrives.
    Stream(Box<Stream>),
    /// As it arrives, once somebody is found who answers.
    Held(Box<Held>),
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(
                bytes.take().filter(|bytes| !bytes.is_empty()).map(|bytes| Ok(Frame::data(bytes))),
            ),
            Self::Stream(stream) => {
                stream.poll_next(context).map(|chunk| chunk.map(|bytes| Ok(Frame::data(bytes))))
            }
            Self::Held(held) => {
                held.poll_next(context).map(|chunk| chunk.map(|bytes| Ok(Frame::data(bytes))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(bytes) if bytes.as_ref().is_none_or(Bytes::is_empty))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Stream(_) | Self::Held(_) => SizeHint::default(),
        }
    }
}

/// An answer of these bytes.
#[must_use]
pub fn whole(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(AnswerBody::Whole(Some(body.into())));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.reserve(USUAL_HEADERS);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// A JSON answer.
#[must_use]
pub fn json(status: StatusCode, value: &serde_json::Value) -> Answer {
    whole(status, "application/json", value.to_string())
}

/// A stream of events.
#[must_use]
pub fn stream(body: AnswerBody) -> Answer {
    let mut answer = Response::new(body);
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Proxies in front of the router would otherwise collect events before they pass them on.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    answer
}

/// That a request is not served, and what its caller can do. Its words get their shape at the last moment,
/// from the dialect of whoever reads them.
#[derive(Debug)]
pub struct Refusal(Box<Words>);

#[derive(Debug)]
struct Words {
    status: StatusCode,
    message: String,
    kind: Option<&'static str>,
    code: Option<&'static str>,
    param: Option<String>,
    retry_after: Option<Duration>,
    retry_helps: Option<bool>,
    allow: Option<&'static str>,
    /// The body as a provider of the caller's dialect wrote it.
    as_written: Option<Bytes>,
    /// What else the answer's head says.
    headers: HeaderMap,
}

/// By so many milliseconds a wait may be told too long: each who passed it on has rounded it up.
const ROUNDED: u128 = 10;

/// A wait in whole seconds, rounded up: coming back a moment early would be refused again.
#[must_use]
pub fn in_seconds(wait: Duration) -> u128 {
    wait.as_millis().saturating_sub(ROUNDED).div_ceil(1000).max(1)
}

impl Refusal {
    /// A refusal in these words.
    #[must_use]
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self(Box::new(Words {
            status,
            message: message.into(),
            kind: None,
            code: None,
            param: None,
            retry_after: None,
            retry_helps: None,
            allow: None,
            as_written: None,
            headers: HeaderMap::new(),
        }))
    }

    /// Under this stable code.
    #[must_use]
    pub fn code(mut self, code: &'static str) -> Self {
        self.0.code = Some(code);
        self
    }

    /// Of this type, where the status alone does not tell it.
    #[must_use]
    pub fn kind(mut self, kind: &'static str) -> Self {
        self.0.kind = Some(kind);
        self
    }

    /// Because of this part of the request.
    #[must_use]
    pub fn param(mut self, param: impl Into<String>) -> Self {
        self.0.param = Some(param.into());
        self
    }

    /// That the endpoint answers to these methods.
    #[must_use]
    pub fn allow(mut self, methods: &'static str) -> Self {
        self.0.allow = Some(methods);
        self
    }

    /// With the time after which it may be asked again. Clients are told when their own quick retries are
    /// of no use.
    #[must_use]
    pub fn retry_after(mut self, wait: Option<Duration>) -> Self {
        self.0.retry_after = wait;
        if wait.is_some_and(|wait| wait > WORTH_A_RETRY) {
            self.0.retry_helps = Some(false);
        }
        self
    }

    /// That asking again soon is of no use, whatever the status suggests.
    #[must_use]
    pub fn final_for_now(mut self) -> Self {
        self.0.retry_helps = Some(false);
        self
    }

    /// In exactly these words, which a provider of the caller's dialect wrote.
    #[must_use]
    pub fn as_written(mut self, body: impl Into<Bytes>) -> Self {
        self.0.as_written = Some(body.into());
        self
    }

    /// The headers that its answer gets beside its own.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.0.headers
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// What is wrong with the request of this id, before it has a dialect's shape.
    #[must_use]
    pub fn words<'a>(&'a self, id: &'a str) -> refusal::Refusal<'a> {
        refusal::Refusal {
            status: self.0.status.as_u16(),
            kind: self.0.kind,
            code: self.0.code,
            message: &self.0.message,
            param: self.0.param.as_deref(),
            id: Some(id),
        }
    }

    /// The answer to the request of this id, for somebody who speaks this dialect.
    #[must_use]
    pub fn answer(mut self, client: &dyn ClientHalf, id: &str) -> Answer {
        let as_written = self.0.as_written.take();
        let body = as_written.unwrap_or_else(|| client.refuse(&self.words(id)).into());
        let mut answer = whole(self.0.status, "application/json", body);
        let headers = answer.headers_mut();
        headers.extend(self.0.headers);
        if let Some(wait) = self.0.retry_after {
            let seconds = in_seconds(wait);
            if let Ok(value) = HeaderValue::from_str(&seconds.to_string()) {
                headers.insert(RETRY_AFTER, value);
            }
        }
        if let Some(methods) = self.0.allow {
            headers.insert(ALLOW, HeaderValue::from_static(methods));
        }
        if self.0.retry_helps == Some(false) {
            headers.insert("x-should-retry", HeaderValue::from_static("false"));
        }
        answer
    }
}

impl From<BadRequest> for Refusal {
    fn from(bad: BadRequest) -> Self {
        let status = StatusCode::from_u16(bad.status).unwrap_or(StatusCode::BAD_REQUEST);
        let mut refusal = Self::new(status, bad.message);
        refusal.0.code = bad.code;
        refusal.0.param = bad.param;
        refusal
    }
}
