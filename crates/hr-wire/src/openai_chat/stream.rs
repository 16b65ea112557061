//! Streams of this dialect: watched as they pass ([`Watch`]), read into hub events ([`Decoder`]), and
//! written from them ([`Encoder`]).

use std::sync::Arc;

use bytes::Bytes;
use hr_core::failure::Failure;
use hr_core::time::Millis;

use super::reply;
use crate::dialect::{Echo, Encode as _};
use crate::hub::unfold;

pub use super::decoder::{Decoder, MAX_CALLS};
pub use super::encoder::Encoder;
pub use super::watch::Watch;

/// A whole reply as the stream it should have been: some servers answer in one piece when a stream was asked
/// for.
///
/// # Errors
/// When it is no answer.
pub fn of_whole(body: &[u8], include_usage: bool) -> Result<Bytes, Failure> {
    let reply = reply::decode(body, &[], Millis(0))?;
    let echo = Echo { include_usage, shows_reasoning: true, ..Echo::default() };
    let mut encoder = Encoder::new(&Arc::new(echo));
    let mut out = Vec::with_capacity(body.len() + 512);
    for event in unfold(&reply) {
        encoder.push(&event, &mut out);
    }
    encoder.finish(&mut out);
    Ok(out.into())
}
