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
use super::receipt::{Receipt, Sequel};
use crate::upstream::body::UpstreamBody;
use crate::watch::events::{Ended, RequestLine};

/// The longest time in which a caller hears nothing.
pub const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long a provider may keep its connection open after the end mark. Nothing is expected then but the end,
/// without which the connection could not be used again.
const AFTER_DONE: Duration = Duration::from_millis(250);

/// How long a provider is waited for that has said why the answer ended: for its usage and its end mark, which
/// some never send.
const AFTER_FINISH: Duration = Duration::from_secs(3);

/// A stream on its way to the caller.
pub struct Stream {
    ready: VecDeque<Bytes>,
    rest: Option<UpstreamBody>,
    watch: Box<dyn Watch>,
    /// Reused for each chunk.
    out: Vec<Bytes>,
    receipt: Option<Receipt>,
    sequel: Sequel,
    line: RequestLine,
    pause: Pause,
}

/// A provider is silent: how long it may be, and when the caller hears a sign of life. What the caller hears
/// from us changes nothing about the provider's time.
struct Pause {
    /// How long the provider may be silent.
    idle: Duration,
    /// How long the caller may hear nothing.
    interval: Duration,
    /// Runs only while the provider is waited for, not while the caller is.
    timer: Pin<Box<Sleep>>,
    /// When the provider's time is up; `None` while it is not waited for.
    until: Option<Instant>,
    /// When the caller must hear something.
    sign: Instant,
    /// Whether the caller heard something since the provider was last waited for.
    heard: bool,
}

impl Stream {
    /// Forwards this stream.
    #[must_use]
    pub fn new(opening: Opening, receipt: Receipt, sequel: Sequel, line: RequestLine) -> Self {
        let timeouts = &receipt.live.settings.timeouts;
        let (idle, interval) = (timeouts.stream_idle, timeouts.hold.min(KEEP_ALIVE));
        Self {
            ready: opening.ready,
            rest: opening.rest,
            watch: opening.watch,
            out: Vec::new(),
            receipt: Some(receipt),
            sequel,
            line,
            pause: Pause {
                idle,
                interval,
                timer: Box::pin(tokio::time::sleep(idle)),
                until: None,
                sign: Instant::now() + interval,
                heard: true,
            },
        }
    }

    /// The next bytes for the caller; `None` at the end.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                self.pause.heard = true;
                return Poll::Ready(Some(bytes));
            }
            let Some(rest) = &mut self.rest else {
                self.ended_well();
                return Poll::Ready(None);
            };
            let chunk = match rest.poll_chunk(context) {
                Poll::Ready(chunk) => chunk,
                Poll::Pending if self.is_closing() => {
                    self.stop();
                    continue;
                }
                Poll::Pending => {
                    ready!(self.poll_pause(context));
                    continue;
                }
            };
            self.pause.until = None;
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

    /// Ready when the provider was silent for too long, or the caller has heard nothing for too long.
    fn poll_pause(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let finished = self.watch.is_finished();
        let pause = &mut self.pause;
        let until = match pause.until {
            Some(until) => until,
            None => {
                let now = Instant::now();
                let patience = match (self.watch.is_done(), finished) {
                    (true, _) => pause.idle.min(AFTER_DONE),
                    (false, true) => pause.idle.min(AFTER_FINISH),
                    (false, false) => pause.idle,
                };
                if std::mem::take(&mut pause.heard) {
                    pause.sign = now + pause.interval;
                }
                let until = now + patience;
                pause.until = Some(until);
                pause.timer.as_mut().reset(if finished { until } else { until.min(pause.sign) });
                until
            }
        };
        ready!(pause.timer.as_mut().poll(context));
        let now = Instant::now();
        if now >= until {
            self.fell_silent();
        } else {
            pause.sign = now + pause.interval;
            pause.timer.as_mut().reset(if finished { until } else { until.min(pause.sign) });
            if !finished {
                self.ready.push_back(self.watch.keep_alive());
            }
        }
        Poll::Ready(())
    }

    fn is_closing(&self) -> bool {
        self.receipt.as_ref().is_some_and(|receipt| receipt.gate.is_closing())
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

    /// Ends the stream because the provider broke off.
    fn cut(&mut self, failure: Failure) {
        let status = match failure.kind {
            FailureKind::Timeout => 504,
            FailureKind::Overloaded => 529,
            FailureKind::RateLimited | FailureKind::QuotaSpent => 429,
            _ => 502,
        };
        self.break_off(&Refusal {
            kind: Some("upstream_error"),
            code: Some("upstream_cut"),
            ..Refusal::new(status, "the provider broke off in the middle of the answer; ask again")
        });
        self.line.end(200, Ended::Cut(failure.kind));
        if let Some(receipt) = self.receipt.take() {
            receipt.fail(failure);
        }
    }

    /// Ends the stream because the router stops. That is no fault of the provider.
    fn stop(&mut self) {
        let words = "the router stops in the middle of the answer; ask again";
        self.break_off(&Refusal::new(503, words).code("router_stopped"));
        self.line.end(200, Ended::Stopped);
        self.receipt = None;
    }

    /// Ends the stream with an error that the caller's client understands; never as a shortened success.
    fn break_off(&mut self, refusal: &Refusal<'_>) {
        self.rest = None;
        // What was good before the cut still goes out.
        self.ready.extend(self.out.drain(..));
        let refusal = Refusal { id: Some(&self.line.id), ..*refusal };
        self.ready.push_back(self.watch.fail(&refusal));
    }

    fn ended_well(&mut self) {
        if let Some(receipt) = self.receipt.take() {
            self.line.withheld(self.watch.withheld());
            self.line.entry(|entry| entry.used(self.watch.usage()));
            self.line.end(200, Ended::Well);
            let (issued, keepsake, reply) = (self.watch.issued(), self.watch.keepsake(), self.watch.reply());
            receipt.remember(&self.sequel, &issued, keepsake, reply);
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
