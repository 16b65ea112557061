//! The caller's body: read once, into one buffer, within its limit.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use tokio::time::{Instant, timeout_at};

use super::answer::Refusal;
use super::inflate::{self, Encoding};

/// The longest silence while a caller sends its body.
const BODY_IDLE: Duration = Duration::from_secs(30);
/// How long what a refused caller still sends is read away, so that it sees the answer and not a reset.
const LINGER: Duration = Duration::from_secs(2);
/// And how many bytes of it. A caller that sends more sees its connection break.
const LINGER_BYTES: usize = 16 * 1024 * 1024;

/// Reads a body of at most `limit` bytes, for at most as long as `patience` in all.
///
/// # Errors
/// 413 over the limit (at once where the length was promised), 415 for an unknown compression, 408 when the
/// caller stops sending or takes too long, 400 when the connection breaks.
pub async fn read(
    headers: &HeaderMap,
    mut body: Incoming,
    limit: usize,
    patience: Duration,
) -> Result<Bytes, Refusal> {
    let until = Instant::now() + patience;
    let encodings = match inflate::encodings(headers) {
        Ok(encodings) => encodings,
        Err(refusal) => {
            linger(body);
            return Err(refusal);
        }
    };
    let promised = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok())
        .and_then(|length| length.parse::<usize>().ok())
        .unwrap_or(0);
    if promised > limit {
        linger(body);
        return Err(too_large(limit));
    }
    // What was promised is within the limit, and the system gives no memory before it is written to.
    let mut all = BytesMut::with_capacity(promised);
    loop {
        let frame = match timeout_at(until.min(Instant::now() + BODY_IDLE), body.frame()).await {
            Err(_) => {
                return Err(Refusal::new(
                    StatusCode::REQUEST_TIMEOUT,
                    "the request body did not arrive in time",
                )
                .code("request_timeout"));
            }
            Ok(None) => return unpacked(all.freeze(), encodings, limit).await,
            Ok(Some(Err(_))) => {
                return Err(
                    Refusal::new(StatusCode::BAD_REQUEST, "the request body broke off").code("broken_body")
                );
            }
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else { continue };
        if all.len() + data.len() > limit {
            linger(body);
            return Err(too_large(limit));
        }
        if all.is_empty() && body.is_end_stream() {
            // The whole body came in one piece, which needs no copy.
            return unpacked(data, encodings, limit).await;
        }
        all.extend_from_slice(&data);
    }
}

/// The body without its compression.
async fn unpacked(body: Bytes, encodings: Vec<Encoding>, limit: usize) -> Result<Bytes, Refusal> {
    if encodings.is_empty() {
        return Ok(body);
    }
    let work = move || encodings.into_iter().try_fold(body, |body, encoding| encoding.inflate(&body, limit));
    // A few bytes can be work for long.
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(super::routes::defect()))
}

/// Reads away, in the background and for a short while, what a refused caller is still sending.
pub fn linger(mut body: Incoming) {
    if body.is_end_stream() {
        return;
    }
    tokio::spawn(async move {
        let drained = async {
            let mut seen = 0;
            while seen < LINGER_BYTES
                && let Some(Ok(frame)) = body.frame().await
            {
                seen += frame.data_ref().map_or(0, Bytes::len);
            }
        };
        // Either way the caller had its chance to read the answer.
        let _ = tokio::time::timeout(LINGER, drained).await;
    });
}

/// That a body is larger than it may be.
pub fn too_large(limit: usize) -> Refusal {
    Refusal::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("the request body is larger than {limit} bytes (set MAX_REQUEST_BYTES to allow more)"),
    )
    .code("request_too_large")
}
