//! The lane that one attempt's answer takes: passed on as it came, where both ends speak the same dialect, or
//! brought into the caller's.

use std::sync::Arc;

use bytes::Bytes;
use hr_core::catalog::Provider;
use hr_core::failure::Failure;
use hr_core::time::Millis;
use hr_wire::dialect::{ClientHalf, Echo, UpstreamHalf, WatchOptions};
use hr_wire::hub::Names;
use hr_wire::lane::{Translated, Translation, Watch, translate_whole};

/// What some servers put before a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How the answer to an attempt is read, and what the caller gets of it.
pub struct Lane {
    /// What the caller speaks.
    pub client: &'static dyn ClientHalf,
    /// What the provider speaks.
    pub upstream: &'static dyn UpstreamHalf,
    /// What tools are called on the wire, where the request was translated.
    pub names: Option<Names>,
    /// What of the request comes back in the reply.
    pub echo: Arc<Echo>,
    /// Whether the usage in the stream was asked for by us alone.
    pub hide_usage: bool,
    /// Whether the whole reply is wanted at the end of a stream.
    pub keep: bool,
}

impl Lane {
    /// A watch over a stream that begins now.
    #[must_use]
    pub fn watch(&self, provider: &Arc<Provider>, now: Millis, hide_usage: bool) -> Box<dyn Watch> {
        let options = WatchOptions {
            hide_usage,
            keep: self.keep,
            echo: Arc::clone(&self.echo),
            provider: Arc::clone(provider),
            now,
        };
        match &self.names {
            None => self.upstream.watch(options),
            Some(names) => Box::new(Translated::new(self.client, self.upstream, names.clone(), options)),
        }
    }

    /// A whole reply as the caller gets it, and what is to know of it. A server that only streams gave a stream:
    /// then it is what that amounts to.
    ///
    /// # Errors
    /// The failure that it really is.
    pub fn whole(&self, body: Bytes, provider: &Arc<Provider>, now: Millis) -> Result<Translation, Failure> {
        let body = if is_stream(&body) { self.upstream.to_whole(&body, provider, now)? } else { body };
        match &self.names {
            None => {
                let whole = self.upstream.read_whole(&body, &provider.errors, now)?;
                let body = self.client.pass_whole(&body, &self.echo);
                Ok(Translation { body, whole, keepsake: None })
            }
            Some(names) => {
                translate_whole(self.client, self.upstream, names, &self.echo, &body, provider, now)
            }
        }
    }

    /// The stream that was asked for, of a server that cannot stream or did not for once, with its watch.
    ///
    /// # Errors
    /// The failure that it really is.
    pub fn streamed(
        &self,
        body: &Bytes,
        provider: &Arc<Provider>,
        now: Millis,
        hide_usage: bool,
    ) -> Result<(Box<dyn Watch>, Vec<Bytes>), Failure> {
        self.upstream.read_whole(body, &provider.errors, now)?;
        let events = self.upstream.to_stream(body)?;
        let mut watch = self.watch(provider, now, hide_usage);
        let mut out = Vec::new();
        watch.push(events, &mut out)?;
        watch.finish(&mut out)?;
        Ok((watch, out))
    }
}

/// Whether a body is a stream of events, which no JSON begins like.
fn is_stream(body: &[u8]) -> bool {
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body).trim_ascii_start();
    [&b"data:"[..], b"event:", b"id:", b"retry:", b":"].iter().any(|field| body.starts_with(field))
}
