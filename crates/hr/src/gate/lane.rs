//! The lane that one attempt's answer takes: passed on as it came, where both ends speak the same dialect.

use std::sync::Arc;

use bytes::Bytes;
use hr_core::catalog::Provider;
use hr_core::failure::Failure;
use hr_core::time::Millis;
use hr_wire::dialect::{Echo, UpstreamHalf, WatchOptions, Whole};
use hr_wire::lane::Watch;

/// How the answer to an attempt is read, and what the caller gets of it.
pub struct Lane {
    /// What the provider speaks.
    pub upstream: &'static dyn UpstreamHalf,
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
        self.upstream.watch(WatchOptions {
            hide_usage,
            keep: self.keep,
            echo: Arc::clone(&self.echo),
            provider: Arc::clone(provider),
            now,
        })
    }

    /// A whole reply as the caller gets it, and what is to know of it.
    ///
    /// # Errors
    /// The failure that it really is.
    pub fn whole(
        &self,
        body: Bytes,
        provider: &Arc<Provider>,
        now: Millis,
    ) -> Result<(Bytes, Whole), Failure> {
        let whole = self.upstream.read_whole(&body, &provider.errors, now)?;
        Ok((body, whole))
    }
}
