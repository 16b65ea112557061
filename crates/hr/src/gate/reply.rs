//! Past the commit point: the stream is forwarded as it arrives, and watched.
//!
//! The caller's connection pulls: a slow reader slows the provider down instead of filling our memory, and
//! a reader that leaves drops this and with it the provider's connection.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hr_core::failure::{Failure, FailureKind};
use hr_wire::lane::Watch;
use hr_wire::refusal::Refusal;
use tokio::time::{Instant, Sleep};

use super::attempt::{self, Opening};
use super::receipt::Receipt;
use crate::upstream::body::UpstreamBody;
use crate::watch::events::{Ended, RequestLine};

/// How long a provider may keep its connection open after the end mark. Nothing is expected then but the end,
/// without which the connection could not be used again.
const AFTER_DONE: Duration = Duration::from_millis(250);

/// A stream on its way to the caller.
pub struct Stream {
    ready: VecDeque<Bytes>,
    rest: Option<UpstreamBody>,
    watch: Box<dyn Watch>,
    /// Reused for each chunk.
    out: Vec<Bytes>,
    receipt: Option<Receipt>,
    idle: Duration,
    /// Runs only while the provider is waited for, not while the caller is.
    silence: Pin<Box<Sleep>>,
    waiting: bool,
    line: RequestLine,
}

impl Stream {
    /// Forwards this stream; the provider may be silent for `idle` at most.
    #[must_use]
    pub fn new(opening: Box<Opening>, receipt: Receipt, idle: Duration, line: RequestLine) -> Self {
        Self {
            ready: opening.ready,
            rest: opening.rest,
            watch: opening.watch,
            out: Vec::new(),
            receipt: Some(receipt),
            idle,
            silence: Box::pin(tokio::time::sleep(idle)),
            waiting: false,
            line,
        }
    }

    /// The next bytes for the caller; `None` at the end.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Poll::Ready(Some(bytes));
            }
            let Some(rest) = &mut self.rest else {
                self.ended_well();
                return Poll::Ready(None);
            };
            let chunk = match rest.poll_chunk(context) {
                Poll::Ready(chunk) => chunk,
                Poll::Pending => {
                    ready!(self.poll_silence(context));
                    self.fell_silent();
                    continue;
                }
            };
            self.waiting = false;
            match chunk {
                Some(Ok(bytes)) => match self.watch.push(bytes, &mut self.out) {
                    Ok(()) => self.ready.extend(self.out.drain(..)),
                    Err(failure) => self.cut(failure),
                },
                Some(Err(error)) if !self.watch.is_finished() => self.cut(attempt::broken(&error)),
                // An end after the finish reason is an end, however the connection went.
                Some(Err(_)) | None => self.end(),
            }
        }
    }

    /// Ready when the provider was silent for too long.
    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if !self.waiting {
            self.waiting = true;
            let patience = if self.watch.is_done() { self.idle.min(AFTER_DONE) } else { self.idle };
            self.silence.as_mut().reset(Instant::now() + patience);
        }
        self.silence.as_mut().poll(context)
    }

    /// Silence after a finish reason is an end like any other; before it, the answer is not whole.
    fn fell_silent(&mut self) {
        if self.watch.is_finished() {
            self.end();
        } else {
            self.cut(Failure::new(FailureKind::Timeout, "the stream fell silent"));
        }
    }

    /// Takes the end of the provider's stream.
    fn end(&mut self) {
        match self.watch.finish(&mut self.out) {
            Ok(()) => {
                self.rest = None;
                self.ready.extend(self.out.drain(..));
            }
            Err(failure) => self.cut(failure),
        }
    }

    /// Ends the stream with an error that the caller's client understands; never as a shortened success.
    fn cut(&mut self, failure: Failure) {
        self.rest = None;
        // What was good before the cut still goes out.
        self.ready.extend(self.out.drain(..));
        self.ready.push_back(self.watch.fail(&Refusal {
            kind: Some("upstream_error"),
            code: Some("upstream_cut"),
            ..Refusal::new(502, "the provider broke off in the middle of the answer; ask again")
        }));
        self.line.end(200, Ended::Cut(failure.kind));
        if let Some(receipt) = self.receipt.take() {
            receipt.fail(failure);
        }
    }

    fn ended_well(&mut self) {
        if let Some(receipt) = self.receipt.take() {
            self.line.withheld(self.watch.withheld());
            self.line.end(200, Ended::Well);
            receipt.succeed(self.watch.usage());
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.watch.is_finished() {
            // Most clients leave at the end mark and do not wait for the end: they have the whole answer.
            self.ended_well();
        } else if self.receipt.is_some() {
            self.line.end(200, Ended::CallerLeft);
        }
    }
}
