//! Callers of streams who wait for long: they get their status and signs of life, and those who may answer are
//! tried behind them. What would have been a refusal is then an error inside the stream.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hr_core::route::record::Name;
use hr_wire::dialect::{ClientHalf, Echo};
use http::StatusCode;
use tokio::time::{Instant, Sleep};

use super::answer::{self, Answer, AnswerBody, Refusal};
use super::reply::{self, Stream};
use super::{Gate, routes};
use crate::watch::events::Early;

/// How a caller is spoken to before anybody has answered.
pub struct Voice {
    /// What the caller speaks.
    pub client: &'static dyn ClientHalf,
    /// What of the request comes back in its answer.
    pub echo: Arc<Echo>,
    /// The id of the request.
    pub id: Name,
    /// Remembers what has gone out.
    pub early: Arc<Early>,
}

type Work = Pin<Box<dyn Future<Output = Result<Answer, Refusal>> + Send>>;

/// Waits for an answer until `HOLD_LIMIT` has passed; then gives one that waits on.
///
/// # Errors
/// The refusal, when it came in time.
pub async fn within(
    gate: Arc<Gate>,
    limit: Duration,
    voice: Voice,
    work: impl Future<Output = Result<Answer, Refusal>> + Send + 'static,
) -> Result<Answer, Refusal> {
    let mut work: Work = Box::pin(work);
    match tokio::time::timeout(limit, &mut work).await {
        Ok(ended) => ended,
        Err(_) => {
            let sign = Box::pin(tokio::time::sleep(Duration::ZERO));
            let interval = limit.min(reply::KEEP_ALIVE);
            voice.early.sends();
            let held = Held { gate, voice, stage: Stage::Waiting(work), sign, interval };
            Ok(answer::stream(AnswerBody::Held(Box::new(held))))
        }
    }
}

/// A stream for a caller who waits while somebody is found who answers.
pub struct Held {
    gate: Arc<Gate>,
    voice: Voice,
    stage: Stage,
    /// Runs until the next sign of life.
    sign: Pin<Box<Sleep>>,
    interval: Duration,
}

enum Stage {
    Waiting(Work),
    Answering(Box<Stream>),
    Ended,
}

impl Held {
    /// The next bytes for the caller; `None` at the end.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let work = match &mut self.stage {
            Stage::Ended => return Poll::Ready(None),
            Stage::Answering(stream) => return stream.poll_next(context),
            Stage::Waiting(work) => work,
        };
        match routes::poll_unless_it_panics(work.as_mut(), context) {
            Poll::Ready(Some(Ok(answer))) => match answer.into_body() {
                AnswerBody::Stream(mut stream) => {
                    let first = stream.poll_next(context);
                    self.stage = Stage::Answering(stream);
                    first
                }
                AnswerBody::Whole(_) | AnswerBody::Held(_) => self.fail(&routes::defect()),
            },
            Poll::Ready(Some(Err(refusal))) => self.fail(&refusal),
            Poll::Ready(None) => self.fail(&routes::defect()),
            Poll::Pending if self.gate.is_closing() => {
                self.voice.early.stops();
                let words = "the router stops and nobody has answered yet; ask again";
                self.fail(&Refusal::new(StatusCode::SERVICE_UNAVAILABLE, words).code("router_stopped"))
            }
            Poll::Pending => {
                ready!(self.sign.as_mut().poll(context));
                self.sign.as_mut().reset(Instant::now() + self.interval);
                Poll::Ready(Some(self.voice.client.early_sign(&self.voice.echo)))
            }
        }
    }

    fn fail(&mut self, refusal: &Refusal) -> Poll<Option<Bytes>> {
        self.stage = Stage::Ended;
        let Voice { client, echo, id, .. } = &self.voice;
        Poll::Ready(Some(client.early_error(&refusal.words(id), echo)))
    }
}
