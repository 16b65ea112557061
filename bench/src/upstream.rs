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
use crate::process::announce;

const REPLY: &[u8] = br#"{"id":"chatcmpl-7QmTz2","object":"chat.completion","created":1760000000,"model":"bench-model","choices":[{"index":0,"message":{"role":"assistant","content":"A mutex admits one holder, who alone may release it. A semaphore admits a fixed number of holders and may be raised by anyone."},"finish_reason":"stop","logprobs":null}],"usage":{"prompt_tokens":48,"completion_tokens":29,"total_tokens":77}}"#;

const FIRST_CHUNK: &[u8] = b"data: {\"id\":\"chatcmpl-7QmTz2\",\"object\":\"chat.completion.chunk\",\"created\":1760000000,\"model\":\"bench-model\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"A mutex\"},\"finish_reason\":null}]}\n\n";
const CHUNK: &[u8] = b"data: {\"id\":\"chatcmpl-7QmTz2\",\"object\":\"chat.completion.chunk\",\"created\":1760000000,\"model\":\"bench-model\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" admits\"},\"finish_reason\":null}]}\n\n";
const LAST_CHUNKS: &[u8] = b"data: {\"id\":\"chatcmpl-7QmTz2\",\"object\":\"chat.completion.chunk\",\"created\":1760000000,\"model\":\"bench-model\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: {\"id\":\"chatcmpl-7QmTz2\",\"object\":\"chat.completion.chunk\",\"created\":1760000000,\"model\":\"bench-model\",\"choices\":[],\"usage\":{\"prompt_tokens\":48,\"completion_tokens\":100,\"total_tokens\":148}}\n\ndata: [DONE]\n\n";

/// What the upstream looks at in a request.
#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    stream: bool,
    #[serde(default)]
    metadata: Script,
}

/// A stream at its pace: the first chunk at once, each next one on a tick, the end right after the last.
struct Paced {
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
        let chunk = match self.sent {
            0 => FIRST_CHUNK,
            sent if sent < self.chunks => CHUNK,
            _ => LAST_CHUNKS,
        };
        self.sent += 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(chunk)))))
    }
}

type Reply = Response<Either<Full<Bytes>, Paced>>;

async fn answer(request: Request<Incoming>) -> Result<Reply, hyper::Error> {
    let body = request.into_body().collect().await?.to_bytes();
    let Ok(asked) = serde_json::from_slice::<Asked>(&body) else {
        let mut reply =
            Response::new(Either::Left(Full::new(Bytes::from_static(b"the body is not a chat request"))));
        *reply.status_mut() = StatusCode::BAD_REQUEST;
        return Ok(reply);
    };
    let (content_type, body) = if asked.stream {
        ("text/event-stream", Either::Right(paced(&asked.metadata)))
    } else {
        ("application/json", Either::Left(Full::new(Bytes::from_static(REPLY))))
    };
    let mut reply = Response::new(body);
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    Ok(reply)
}

fn paced(script: &Script) -> Paced {
    let milliseconds = script.interval.parse().unwrap_or(1).max(1);
    let interval = Duration::from_millis(milliseconds);
    let mut ticks = tokio::time::interval_at(Instant::now() + interval, interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    Paced { ticks, sent: 0, chunks: script.chunks.parse().unwrap_or(1).max(1) }
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
