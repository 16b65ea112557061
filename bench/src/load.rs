//! The load generator: closed loops over connections that are kept alive.
//!
//! Every reply is checked, since a fast error would look like a fast success: status, a text or all the chunks,
//! and the end. The first thing that is wrong ends the load with an error that says what came.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use crate::body::{self, Script};
use crate::dialect::{Dialect, PIECE};
use crate::home::ACCESS_KEY;
use crate::plan::{LOAD_LIMIT, REPLY_LIMIT};

/// A load, as the command line gives it.
#[derive(Clone, Debug, clap::Args)]
pub struct Load {
    /// Where to send it
    #[arg(long)]
    pub to: SocketAddr,
    /// In which dialect
    #[arg(long)]
    pub dialect: Dialect,
    /// Connections
    #[arg(long)]
    pub connections: usize,
    /// Requests on each
    #[arg(long)]
    pub requests: usize,
    /// The size of a body
    #[arg(long)]
    pub body_bytes: usize,
    /// Chunks of a stream, 0 for a plain reply
    #[arg(long)]
    pub chunks: usize,
    /// Milliseconds between chunks
    #[arg(long)]
    pub interval: u64,
    /// Microseconds over which the connections start
    #[arg(long)]
    pub ramp: u64,
}

/// What a load prints, a line each.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// Every connection has the beginning of its first reply.
    Open,
    /// All requests were answered as they should be.
    Done(Seen),
}

/// What a load saw.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Seen {
    /// Requests answered.
    pub answered: usize,
    /// Microseconds from sending to the first byte of the reply's body: the median.
    pub first_byte: f64,
    /// Microseconds from sending to the end of the reply: the median.
    pub whole: f64,
}

/// The times of one request.
struct Times {
    first_byte: Duration,
    whole: Duration,
}

impl Load {
    /// Sends it and prints what was seen.
    pub fn run(self) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let seen = LocalSet::new()
            .block_on(&runtime, async { tokio::time::timeout(LOAD_LIMIT, self.send_all()).await })
            .with_context(|| format!("the load was not through after `{}` s", LOAD_LIMIT.as_secs()))??;
        say(&Said::Done(seen))
    }

    async fn send_all(self) -> Result<Seen> {
        let script = (self.chunks > 0)
            .then(|| Script { chunks: self.chunks, interval: Duration::from_millis(self.interval) });
        let body = Bytes::from(body::request(self.dialect, self.body_bytes, script.as_ref()));
        let waiting = Rc::new(Cell::new(self.connections));
        let mut connections = Vec::with_capacity(self.connections);
        let start = tokio::time::Instant::now();
        let step = Duration::from_micros(self.ramp) / u32::try_from(self.connections.max(1))?;
        for index in 0..self.connections {
            let load = self.clone();
            let body = body.clone();
            let waiting = Rc::clone(&waiting);
            let begin = start + step * u32::try_from(index)?;
            connections.push(tokio::task::spawn_local(async move {
                let mut sender = connect(load.to).await?;
                tokio::time::sleep_until(begin).await;
                let mut times = Vec::with_capacity(load.requests);
                for request in 0..load.requests {
                    let opened = || {
                        if request == 0 && waiting.replace(waiting.get() - 1) == 1 {
                            say(&Said::Open)
                        } else {
                            Ok(())
                        }
                    };
                    times.push(load.send(&mut sender, body.clone(), opened).await?);
                }
                Ok::<_, anyhow::Error>(times)
            }));
        }
        let mut times = Vec::with_capacity(self.connections * self.requests);
        for connection in connections {
            times.extend(connection.await.context("a connection panicked")??);
        }
        Ok(Seen {
            answered: times.len(),
            first_byte: median(times.iter().map(|times| times.first_byte)),
            whole: median(times.iter().map(|times| times.whole)),
        })
    }

    async fn send(
        &self,
        sender: &mut SendRequest<Full<Bytes>>,
        body: Bytes,
        opened: impl FnOnce() -> Result<()>,
    ) -> Result<Times> {
        let request = Request::post(self.dialect.path())
            .header(HOST, self.to.to_string())
            .header(AUTHORIZATION, format!("Bearer {ACCESS_KEY}"))
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))?;
        sender.ready().await?;
        let begin = Instant::now();
        let reply = sender.send_request(request).await.context("no reply")?;
        let status = reply.status();
        let (first_byte, text) = read(reply, begin, opened).await?;
        let whole = begin.elapsed();
        ensure!(status == StatusCode::OK, "status `{}`: {}", status.as_u16(), String::from_utf8_lossy(&text));
        self.check(&text)?;
        Ok(Times { first_byte, whole })
    }

    /// That a reply is whole.
    fn check(&self, text: &[u8]) -> Result<()> {
        let text = std::str::from_utf8(text).context("a reply that is not UTF-8")?;
        if self.chunks == 0 {
            let whole = text.starts_with('{') && text.ends_with('}') && text.contains(PIECE);
            ensure!(whole, "a reply that is no JSON object with the text");
            return Ok(());
        }
        let piece = format!("{}\"{PIECE}\"", self.dialect.before_piece());
        let pieces = text.matches(&piece).count();
        ensure!(pieces == self.chunks, "`{pieces}` chunks of `{}`", self.chunks);
        let last = text.trim_end().rsplit("\n\n").next().unwrap_or_default();
        ensure!(text.ends_with("\n\n") && last.contains(self.dialect.end()), "a stream without its end");
        Ok(())
    }
}

/// Reads a reply to its end; the time is that of its first bytes.
async fn read(
    reply: Response<Incoming>,
    begin: Instant,
    opened: impl FnOnce() -> Result<()>,
) -> Result<(Duration, Vec<u8>)> {
    let mut body = reply.into_body();
    let mut first_byte = None;
    let mut opened = Some(opened);
    let mut text = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.context("a reply that was cut")?.into_data() else { continue };
        if data.is_empty() {
            continue;
        }
        first_byte.get_or_insert_with(|| begin.elapsed());
        if let Some(opened) = opened.take() {
            opened()?;
        }
        if text.len() + data.len() > REPLY_LIMIT {
            bail!("a reply of more than `{REPLY_LIMIT}` bytes");
        }
        text.extend_from_slice(&data);
    }
    let first_byte = first_byte.context("an empty reply")?;
    Ok((first_byte, text))
}

async fn connect(to: SocketAddr) -> Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(to).await.with_context(|| format!("`{to}` does not answer"))?;
    stream.set_nodelay(true)?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Its error is also the request's.
    tokio::task::spawn_local(async move { drop(connection.await) });
    Ok(sender)
}

fn median(times: impl Iterator<Item = Duration>) -> f64 {
    let mut times: Vec<Duration> = times.collect();
    times.sort_unstable();
    times.get(times.len() / 2).map_or(f64::NAN, |middle| middle.as_secs_f64() * 1e6)
}

fn say(said: &Said) -> Result<()> {
    println!("{}", serde_json::to_string(said)?);
    Ok(())
}
