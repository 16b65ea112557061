//! The fake upstream: as fast as it can be, so that what is measured is not it.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use crate::body::Script;
use crate::dialect::Dialect;
use crate::process::announce;
use crate::replies::{self, Replies};

/// What the upstream looks at in a request.
#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    stream: bool,
}

/// A stream at its pace: the first chunk at once, each next one on a tick, the end right after the last.
struct Paced {
    replies: &'static Replies,
    ticks: Interval,
    sent: usize,
    chunks: usize,
}

impl Body for Paced {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.sent > self.chunks {
            return Poll::Ready(None);
        }
        if (1..self.chunks).contains(&self.sent) {
            ready!(self.ticks.poll_tick(context));
        }
        let Replies { opening, chunk, closing, .. } = self.replies;
        let bytes = match self.sent {
            0 => Bytes::from([*opening, *chunk].concat()),
            sent if sent < self.chunks => Bytes::from_static(chunk.as_bytes()),
            _ => Bytes::from_static(closing.as_bytes()),
        };
        self.sent += 1;
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }
}

type Reply = Response<Either<Full<Bytes>, Paced>>;

async fn answer(request: Request<Incoming>) -> Result<Reply, hyper::Error> {
    let Some(dialect) = Dialect::at(request.uri().path()) else {
        return Ok(refusal("nothing is served here"));
    };
    let body = request.into_body().collect().await?.to_bytes();
    let Ok(asked) = serde_json::from_slice::<Asked>(&body) else {
        return Ok(refusal("the body is no request"));
    };
    let replies = replies::of(dialect);
    let (content_type, body) = if asked.stream {
        ("text/event-stream", Either::Right(paced(replies, &Script::find(&body).unwrap_or_default())))
    } else {
        ("application/json", Either::Left(Full::new(Bytes::from_static(replies.whole.as_bytes()))))
    };
    let mut reply = Response::new(body);
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    Ok(reply)
}

fn refusal(why: &'static str) -> Reply {
    let mut reply = Response::new(Either::Left(Full::new(Bytes::from_static(why.as_bytes()))));
    *reply.status_mut() = StatusCode::BAD_REQUEST;
    reply
}

fn paced(replies: &'static Replies, script: &Script) -> Paced {
    let interval = script.interval.max(Duration::from_millis(1));
    let mut ticks = tokio::time::interval_at(Instant::now() + interval, interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    Paced { replies, ticks, sent: 0, chunks: script.chunks.max(1) }
}

/// Serves until it is killed.
pub fn serve() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("no port for the upstream")?;
        announce(listener.local_addr()?)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let serving = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service_fn(answer));
            // A connection that its client drops is the end of that connection and nothing more.
            tokio::spawn(async move { drop(serving.await) });
        }
    })
}
