//! One call to one candidate: built, signed, sent, and waited for until its first good event, its whole
//! reply, or a failure. Nothing has gone to the caller before this returns.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hr_core::failure::{Failure, FailureKind};
use hr_core::route::{Permit, Work};
use hr_wire::dialect::Whole;
use hr_wire::lane::{Translation, Watch};
use hr_wire::openai_chat;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::Full;
use tokio::time::Instant;

use super::lane::Lane;
use super::receipt::Receipt;
use crate::upstream::account::{PATIENCE, PATIENCE_WITH_OTHERS};
use crate::upstream::body::{BodyError, UpstreamBody};
use crate::upstream::client::Errand;

/// The most bytes of a whole reply.
const MAX_REPLY_BYTES: usize = 64 * 1024 * 1024;
/// The most bytes of a reply that is not a success.
const MAX_ERROR_BYTES: usize = hr_wire::complaint::MAX_ERROR_BODY;
/// How long the body of a reply that is not a success is waited for.
const ERROR_BODY_WAIT: Duration = Duration::from_secs(5);
/// The most bytes of a stream that are held back before its first good event.
const MAX_PREFACE_BYTES: usize = 1024 * 1024;

/// What is sent in one attempt.
pub struct Order {
    /// That the call may cost what it costs.
    pub permit: Permit,
    /// The body, made for this candidate.
    pub body: Bytes,
    /// What the request needs beside the headers of every call to this candidate.
    pub headers: HeaderMap,
    /// What kind of answer is wanted.
    pub work: Work,
    /// Whether a stream is wanted.
    pub stream: bool,
    /// Whether the caller wants to see the usage of its stream.
    pub wants_usage: bool,
    /// Whether no other candidate remains.
    pub alone: bool,
    /// How the answer is read.
    pub lane: Lane,
    /// How long the first event, or the whole reply, is waited for.
    pub wait: Duration,
}

/// An attempt that produced something good.
pub enum Started {
    /// A whole reply, as the caller gets it.
    Whole(Box<Translation>),
    /// A stream with a good first event.
    Stream(Opening),
}

/// A stream up to its first good event, and the rest to come.
pub struct Opening {
    /// What may go out at once.
    pub ready: VecDeque<Bytes>,
    /// The rest; `None` when the stream has ended well already.
    pub rest: Option<UpstreamBody>,
    /// Follows the stream.
    pub watch: Box<dyn Watch>,
}

/// An attempt that failed: the router's view of it, and the provider's own answer where there was one.
pub struct Failed {
    /// What happened.
    pub failure: Failure,
    /// The provider's status and body, to give back when the mistake is the caller's own.
    pub answer: Option<(StatusCode, Bytes)>,
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self { failure, answer: None }
    }
}

/// Calls the candidate of the receipt.
///
/// # Errors
/// When nothing good came back within the order's wait.
pub async fn attempt(receipt: &mut Receipt, order: Order) -> Result<Started, Failed> {
    let deadline = Instant::now() + order.wait;
    match tokio::time::timeout_at(deadline, call(receipt, order)).await {
        Ok(ended) => ended,
        Err(_) => Err(Failure::new(FailureKind::Timeout, "nothing good came in time").into()),
    }
}

async fn call(receipt: &mut Receipt, order: Order) -> Result<Started, Failed> {
    let live = receipt.live.clone();
    let Order { permit, body, headers, work, stream, wants_usage, lane, alone, .. } = order;
    let patience = if alone { PATIENCE } else { PATIENCE_WITH_OTHERS };
    let mut signed = live.headers(receipt.candidate).clone();
    signed.extend(headers);
    let mut signer = live.signer(receipt.candidate);
    let (head, incoming) = loop {
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = live.address(receipt.candidate, work).clone();
        *request.headers_mut() = match &mut signer {
            None => std::mem::take(&mut signed),
            Some(signer) => signer.sign(signed.clone(), patience).await?,
        };
        receipt.goes_out();
        let sent = live.client.send(request, Errand::Model(permit)).await;
        let response = sent.map_err(|error| unreachable_failure(&error))?;
        match &mut signer {
            // Once more with a newer token, if there is one.
            Some(signer) if response.status() == StatusCode::UNAUTHORIZED => signer.refused(patience).await?,
            _ => break response.into_parts(),
        }
    };
    receipt.hears(&head.headers);
    let mut body = UpstreamBody::new(&head.headers, incoming);
    if head.status != StatusCode::OK {
        return Err(refused(receipt, &lane, head.status, &head.headers, body).await);
    }
    let first = begin(&mut body).await?;
    if stream && !is_json(&first) {
        return open(receipt, first, body, &lane).await;
    }
    let rest = body.whole(MAX_REPLY_BYTES).await.map_err(|error| broken(&error))?;
    let bytes = match rest.is_empty() {
        true => first,
        false => [first, rest].concat().into(),
    };
    receipt.first_byte();
    let provider = receipt.provider();
    if work == Work::Embed {
        let usage = openai_chat::read_embedding(&bytes, &provider.errors, receipt.now())?;
        let whole = Whole { usage, ..Whole::default() };
        return Ok(Started::Whole(Box::new(Translation { body: bytes, whole, keepsake: None })));
    }
    if !stream {
        return Ok(Started::Whole(Box::new(lane.whole(bytes, provider, receipt.now())?)));
    }
    let (watch, ready) = lane.streamed(&bytes, provider, receipt.now(), !wants_usage)?;
    Ok(Started::Stream(Opening { ready: ready.into(), rest: None, watch }))
}

/// Reads a body up to the first piece that is not blank. What it is shows there; what it is called may be wrong.
async fn begin(body: &mut UpstreamBody) -> Result<Bytes, Failed> {
    let Some(first) = body.chunk().await else { return Ok(Bytes::new()) };
    let first = first.map_err(|error| broken(&error))?;
    if !first.trim_ascii().is_empty() {
        return Ok(first);
    }
    let mut all = BytesMut::from(first);
    while let Some(chunk) = body.chunk().await {
        let chunk = chunk.map_err(|error| broken(&error))?;
        all.extend_from_slice(&chunk);
        if !chunk.trim_ascii().is_empty() {
            break;
        }
        if all.len() > MAX_PREFACE_BYTES {
            return Err(Failure::new(FailureKind::Malformed, "much was sent and nothing said").into());
        }
    }
    Ok(all.freeze())
}

/// Reads a stream that begins with this piece up to its first good event.
async fn open(
    receipt: &mut Receipt,
    first: Bytes,
    mut body: UpstreamBody,
    lane: &Lane,
) -> Result<Started, Failed> {
    let mut watch = lane.watch(receipt.provider(), receipt.now(), lane.hide_usage);
    let mut out = Vec::new();
    let mut held = 0;
    let mut chunk = first;
    loop {
        held += chunk.len();
        watch.push(chunk, &mut out)?;
        if watch.is_good() {
            receipt.first_byte();
            receipt.answers();
            return Ok(Started::Stream(Opening { ready: out.into(), rest: Some(body), watch }));
        }
        if held > MAX_PREFACE_BYTES {
            return Err(Failure::new(FailureKind::Malformed, "much was streamed and nothing said").into());
        }
        chunk = match body.chunk().await {
            Some(next) => next.map_err(|error| broken(&error))?,
            None => {
                watch.finish(&mut out)?;
                return Ok(Started::Stream(Opening { ready: out.into(), rest: None, watch }));
            }
        };
    }
}

/// Reads an answer that is not a 200.
async fn refused(
    receipt: &Receipt,
    lane: &Lane,
    status: StatusCode,
    headers: &HeaderMap,
    body: UpstreamBody,
) -> Failed {
    let body = match tokio::time::timeout(ERROR_BODY_WAIT, body.whole(MAX_ERROR_BYTES)).await {
        Ok(Ok(bytes)) => bytes,
        // The status alone still tells something.
        Ok(Err(_)) | Err(_) => Bytes::new(),
    };
    let rows = &receipt.provider().errors;
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let failure = lane.upstream.read_error(status.as_u16(), &header, &body, rows, receipt.now());
    let answer = (status.is_client_error() && !body.is_empty()).then_some((status, body));
    Failed { failure, answer }
}

/// Whether a body that begins so is JSON, which no stream of events begins like.
fn is_json(first: &[u8]) -> bool {
    matches!(first.trim_ascii_start().first(), Some(b'{' | b'['))
}

/// A call that got no answer.
fn unreachable_failure(error: &(dyn std::error::Error + 'static)) -> Failed {
    Failure::new(FailureKind::Network, crate::watch::events::chain(error)).into()
}

/// An answer whose body could not be read.
pub fn broken(error: &BodyError) -> Failure {
    let kind = match error {
        BodyError::Broken(_) => FailureKind::Network,
        BodyError::TooLarge(_) | BodyError::Damaged(_) | BodyError::Encoding => FailureKind::Malformed,
    };
    Failure::new(kind, crate::watch::events::chain(error))
}
