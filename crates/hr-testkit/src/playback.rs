//! The body of a reply as steps, played to the connection one write at a time.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::time::Sleep;

use crate::call::{End, Log};
use crate::quota::Place;

/// One step of a body.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// These bytes, as a write of their own.
    Send(Bytes),
    /// These bytes so many times.
    Repeat(Bytes, u64),
    /// A pause.
    Wait(Duration),
    /// Nothing more, until the other side leaves.
    Hang,
    /// The connection closes here.
    Cut,
    /// The connection is reset here.
    Reset,
}

/// Why a connection ends without its reply: the script says so.
#[derive(Debug)]
pub(crate) struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the script broke the connection")
    }
}

impl std::error::Error for Broken {}

/// The mark of a connection that is to be reset when it closes.
#[derive(Clone, Default)]
pub(crate) struct ResetMark(Arc<AtomicBool>);

impl ResetMark {
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Writes the end of a call into the log: the one it is told, or that the client left when it is just dropped.
pub(crate) struct Receipt {
    pub(crate) log: Arc<Log>,
    pub(crate) sequence: usize,
    pub(crate) reset: ResetMark,
    pub(crate) places: Vec<Place>,
}

impl Receipt {
    pub(crate) fn close(&mut self, end: End) {
        self.places.clear();
        self.log.close(self.sequence, end);
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        // The first end counts, so this one only shows when no other was told.
        self.close(End::ClientLeft);
    }
}

/// A body that plays its steps.
pub(crate) struct Playback {
    steps: VecDeque<Step>,
    end: End,
    pause: Option<Pin<Box<Sleep>>>,
    breathe: bool,
    receipt: Receipt,
}

impl Playback {
    /// A body of these steps that ends so when all were played.
    pub(crate) fn new(steps: impl Into<VecDeque<Step>>, end: End, receipt: Receipt) -> Playback {
        let mut playback = Playback { steps: steps.into(), end, pause: None, breathe: false, receipt };
        playback.settle();
        playback
    }

    /// The length of the body, when it is one plain write.
    pub(crate) fn length(&self) -> Option<usize> {
        match self.steps.iter().collect::<Vec<_>>().as_slice() {
            [] => Some(0),
            [Step::Send(bytes)] => Some(bytes.len()),
            _ => None,
        }
    }

    fn settle(&mut self) {
        if self.steps.is_empty() {
            self.receipt.close(self.end);
        }
    }

    /// Plays a write, and lets the connection flush it before the next step.
    fn play(&mut self, bytes: Bytes) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.breathe = true;
        self.settle();
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }
}

impl Body for Playback {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = &mut *self;
        loop {
            if std::mem::take(&mut this.breathe) && !this.steps.is_empty() {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            if let Some(pause) = &mut this.pause {
                ready!(pause.as_mut().poll(context));
                this.pause = None;
            }
            match this.steps.pop_front() {
                None => return Poll::Ready(None),
                Some(Step::Send(bytes)) => return this.play(bytes),
                Some(Step::Repeat(_, 0)) => this.settle(),
                Some(Step::Repeat(bytes, times)) => {
                    this.steps.push_front(Step::Repeat(bytes.clone(), times - 1));
                    return this.play(bytes);
                }
                Some(Step::Wait(pause)) => this.pause = Some(Box::pin(tokio::time::sleep(pause))),
                Some(Step::Hang) => {
                    this.steps.push_front(Step::Hang);
                    return Poll::Pending;
                }
                Some(broken @ (Step::Cut | Step::Reset)) => {
                    if broken == Step::Reset {
                        this.receipt.reset.set();
                    }
                    this.receipt.close(End::Broken);
                    return Poll::Ready(Some(Err(Broken)));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.steps.is_empty()
    }
}
