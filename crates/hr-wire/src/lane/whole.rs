//! The translated lane's whole replies.

use bytes::Bytes;
use hr_core::catalog::Provider;
use hr_core::failure::Failure;
use hr_core::time::Millis;

use super::Keepsake;
use super::law::Law;
use crate::dialect::{ClientHalf, Echo, UpstreamHalf, Whole};
use crate::hub::{Names, unfold};

/// A whole reply in the caller's dialect.
#[derive(Clone, Debug)]
pub struct Translation {
    /// Its body.
    pub body: Bytes,
    /// What there is to know of it.
    pub whole: Whole,
    /// What must be remembered for the caller because its dialect cannot carry it.
    pub keepsake: Option<Keepsake>,
}

/// Turns a whole reply of a provider into one of the caller's dialect.
///
/// # Errors
/// The failure that the reply really is: by the same laws as a stream.
pub fn translate_whole(
    client: &dyn ClientHalf,
    upstream: &dyn UpstreamHalf,
    names: &Names,
    echo: &Echo,
    body: &[u8],
    provider: &Provider,
    now: Millis,
) -> Result<Translation, Failure> {
    let mut reply = upstream.decode(body, &provider.errors, now)?;
    let mut law = Law::default();
    for event in unfold(&reply) {
        law.take(&event)?;
    }
    let finish = law.judge(false)?;
    reply.finish = Some(finish.clone());
    names.restore(&mut reply);
    let whole = Whole {
        usage: reply.usage.unwrap_or_default(),
        finish: Some(finish),
        model: (!reply.model.is_empty()).then(|| reply.model.clone()),
        opaque: law.issued(),
    };
    Ok(Translation { body: client.encode(&reply, echo), whole, keepsake: law.keepsake() })
}
