//! A stream where a whole reply was asked for: some servers only stream. The other direction is
//! [`super::stream::of_whole`].

use std::sync::Arc;

use bytes::Bytes;
use hr_core::catalog::Provider;
use hr_core::failure::{Failure, FailureKind};
use hr_core::time::Millis;

use super::reply;
use super::stream::{Decoder, Watch};
use crate::dialect::Echo;
use crate::hub::fold;
use crate::sse;

/// The whole reply that a stream of this provider, which has ended, amounts to.
///
/// # Errors
/// When it holds an error, ends too early, or says nothing.
pub fn to_whole(body: &Bytes, provider: Arc<Provider>, now: Millis) -> Result<Bytes, Failure> {
    let mut watch = Watch::default().of(provider, now);
    let mut sound = Vec::new();
    watch.push(body.clone(), &mut sound)?;
    watch.finish(&mut sound)?;
    let (mut frames, mut decoder, mut events) = (sse::Decoder::default(), Decoder::default(), Vec::new());
    let malformed = |error: sse::TooLong| Failure::new(FailureKind::Malformed, error.to_string());
    for chunk in sound {
        frames.push(chunk);
        while let Some(frame) = frames.next_frame().map_err(malformed)? {
            if let Some(data) = frame.data {
                decoder.push(&data, &mut events)?;
            }
        }
    }
    decoder.finish(&mut events)?;
    let echo = Echo { shows_reasoning: true, ..Echo::default() };
    Ok(reply::encode(&fold(&events), &echo).into())
}
