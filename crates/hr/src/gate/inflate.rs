//! Request bodies that came compressed. Some clients compress what is large, and say so in `Content-Encoding`.

use std::io::Read;

use bytes::Bytes;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, StatusCode};

use super::answer::Refusal;
use super::intake::too_large;

/// How many encodings may lie over one another.
const MAX_LAYERS: usize = 2;

/// The encodings of a body, the outermost first.
///
/// # Errors
/// 415 when one of them is not known here.
pub fn encodings(headers: &HeaderMap) -> Result<Vec<Encoding>, Refusal> {
    let mut found = Vec::new();
    for value in headers.get_all(CONTENT_ENCODING) {
        for name in value.to_str().unwrap_or("?").split(',') {
            found.extend(match name.trim().to_ascii_lowercase().as_str() {
                "identity" | "" => None,
                "gzip" | "x-gzip" => Some(Encoding::Gzip),
                "deflate" => Some(Encoding::Deflate),
                "br" => Some(Encoding::Brotli),
                "zstd" => Some(Encoding::Zstd),
                _ => return Err(unknown()),
            });
        }
    }
    if found.len() > MAX_LAYERS {
        return Err(unknown());
    }
    found.reverse();
    Ok(found)
}

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Gzip.
    Gzip,
    /// Deflate: with zlib's frame around it as the standard says, or bare as some send it.
    Deflate,
    /// Brotli.
    Brotli,
    /// Zstandard.
    Zstd,
}

impl Encoding {
    /// What was compressed, at most `limit` bytes of it.
    ///
    /// # Errors
    /// 413 when it is larger, 400 when it is damaged.
    pub fn inflate(self, body: &[u8], limit: usize) -> Result<Bytes, Refusal> {
        match self {
            Self::Gzip => bounded(MultiGzDecoder::new(body), limit),
            Self::Deflate if is_zlib(body) => bounded(ZlibDecoder::new(body), limit),
            Self::Deflate => bounded(DeflateDecoder::new(body), limit),
            Self::Brotli => bounded(brotli_decompressor::Decompressor::new(body, 4096), limit),
            Self::Zstd => {
                let decoder = ruzstd::decoding::StreamingDecoder::new(body).map_err(|_| damaged())?;
                bounded(decoder, limit)
            }
        }
    }
}

/// The two bytes in front of zlib's frame: its method, and a sum that is a multiple of 31.
fn is_zlib(body: &[u8]) -> bool {
    matches!(body, [first, second, ..] if first & 0x0f == 8 && (u16::from(*first) << 8 | u16::from(*second)) % 31 == 0)
}

fn bounded(decoder: impl Read, limit: usize) -> Result<Bytes, Refusal> {
    let mut out = Vec::new();
    // One byte more than is allowed tells what is too large.
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    decoder.take(most).read_to_end(&mut out).map_err(|_| damaged())?;
    if out.len() > limit { Err(too_large(limit)) } else { Ok(out.into()) }
}

fn damaged() -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "the request body is not what its `Content-Encoding` says")
        .code("broken_body")
        .param("Content-Encoding")
}

fn unknown() -> Refusal {
    Refusal::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "the request body has an encoding that is not known here; send it plain, or as gzip, zstd, br or deflate",
    )
    .code("unsupported_content_encoding")
    .param("Content-Encoding")
}
