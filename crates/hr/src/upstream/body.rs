//! The body of an answer, chunk by chunk, inflated where the provider compressed it unasked.

use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use flate2::write::{MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use http_body::Body as _;
use hyper::body::Incoming;

/// The most bytes that one compressed chunk may inflate to; more is an attack or nonsense.
const MAX_INFLATED_CHUNK: usize = 64 * 1024 * 1024;

/// Why an answer's body could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The connection broke.
    #[error("the connection broke while the answer was read")]
    Broken(#[source] hyper::Error),
    /// The body is larger than its limit.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// The compressed data is damaged.
    #[error("the compressed answer is damaged")]
    Damaged(#[source] std::io::Error),
    /// The provider used an encoding that was not asked for and is not known here.
    #[error("the answer has an unknown content encoding")]
    Encoding,
}

/// An answer's body.
pub struct UpstreamBody {
    incoming: Incoming,
    inflate: Inflate,
}

enum Inflate {
    Plain,
    Gzip(Box<MultiGzDecoder<Sink>>),
    Zlib(Box<ZlibDecoder<Sink>>),
    Unknown,
}

/// Takes what a decoder inflates, up to [`MAX_INFLATED_CHUNK`], so that a few bytes cannot fill the memory.
#[derive(Default)]
struct Sink(Vec<u8>);

impl Write for Sink {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + data.len() > MAX_INFLATED_CHUNK {
            return Err(std::io::Error::other("a chunk inflates beyond its limit"));
        }
        self.0.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl UpstreamBody {
    /// The body under the encoding that its headers name.
    #[must_use]
    pub fn new(headers: &HeaderMap, incoming: Incoming) -> Self {
        let inflate = match headers.get(CONTENT_ENCODING).map(http::HeaderValue::as_bytes) {
            None | Some(b"identity" | b"") => Inflate::Plain,
            Some(b"gzip" | b"x-gzip") => Inflate::Gzip(Box::new(MultiGzDecoder::new(Sink::default()))),
            Some(b"deflate") => Inflate::Zlib(Box::new(ZlibDecoder::new(Sink::default()))),
            Some(_) => Inflate::Unknown,
        };
        Self { incoming, inflate }
    }

    /// The next chunk; `None` at the end.
    pub fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            let frame = match ready!(Pin::new(&mut self.incoming).poll_frame(context)) {
                None => return Poll::Ready(None),
                Some(Err(broken)) => return Poll::Ready(Some(Err(BodyError::Broken(broken)))),
                Some(Ok(frame)) => frame,
            };
            let Ok(data) = frame.into_data() else { continue };
            let inflated = self.inflate(data);
            match inflated {
                Ok(chunk) if chunk.is_empty() => {}
                done => return Poll::Ready(Some(done)),
            }
        }
    }

    /// The next chunk; `None` at the end.
    pub async fn chunk(&mut self) -> Option<Result<Bytes, BodyError>> {
        std::future::poll_fn(|context| self.poll_chunk(context)).await
    }

    /// The whole body, at most `limit` bytes.
    ///
    /// # Errors
    /// When it breaks, is too large, or cannot be inflated.
    pub async fn whole(mut self, limit: usize) -> Result<Bytes, BodyError> {
        let Some(first) = self.chunk().await else { return Ok(Bytes::new()) };
        let first = first?;
        // Most answers come in one chunk, which then needs no copy.
        let Some(second) = self.chunk().await else { return bounded(first, limit) };
        let mut all = BytesMut::with_capacity(first.len() * 2);
        all.extend_from_slice(&first);
        all.extend_from_slice(&second?);
        while let Some(chunk) = self.chunk().await {
            if all.len() > limit {
                return Err(BodyError::TooLarge(limit));
            }
            all.extend_from_slice(&chunk?);
        }
        bounded(all.freeze(), limit)
    }

    fn inflate(&mut self, data: Bytes) -> Result<Bytes, BodyError> {
        let out = match &mut self.inflate {
            Inflate::Plain => return Ok(data),
            Inflate::Unknown => return Err(BodyError::Encoding),
            Inflate::Gzip(decoder) => {
                decoder.write_all(&data).and_then(|()| decoder.flush()).map_err(BodyError::Damaged)?;
                std::mem::take(&mut decoder.get_mut().0)
            }
            Inflate::Zlib(decoder) => {
                decoder.write_all(&data).and_then(|()| decoder.flush()).map_err(BodyError::Damaged)?;
                std::mem::take(&mut decoder.get_mut().0)
            }
        };
        Ok(Bytes::from(out))
    }
}

fn bounded(bytes: Bytes, limit: usize) -> Result<Bytes, BodyError> {
    if bytes.len() > limit { Err(BodyError::TooLarge(limit)) } else { Ok(bytes) }
}
