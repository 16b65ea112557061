//! The yardstick: a pass-through proxy that does as little as one can.
//!
//! hyper in, the value of `model` replaced in the body, hyper's pooled client out, and the reply's frames
//! straight back. It knows no keys, checks nothing, counts nothing and never tries again. The replacement is
//! the cheap kind: one pass over the JSON to find the value and one copy around it, no tree.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::uri::{Authority, Scheme};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::net::TcpListener;

use crate::process::announce;

/// What `model` is replaced with, as JSON.
const MODEL: &str = "\"bench-model\"";

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    model: &'a RawValue,
}

/// The body with another model.
fn with_model(body: &[u8]) -> serde_json::Result<Vec<u8>> {
    let named: Named<'_> = serde_json::from_slice(body)?;
    let value = named.model.get();
    let start = value.as_ptr() as usize - body.as_ptr() as usize;
    let mut changed = Vec::with_capacity(body.len() + MODEL.len());
    changed.extend_from_slice(&body[..start]);
    changed.extend_from_slice(MODEL.as_bytes());
    changed.extend_from_slice(&body[start + value.len()..]);
    Ok(changed)
}

struct Proxy {
    client: Client<HttpConnector, Full<Bytes>>,
    upstream: Authority,
}

impl Proxy {
    async fn forward(&self, request: Request<Incoming>) -> Result<Response<Incoming>> {
        let (mut head, body) = request.into_parts();
        let body = with_model(&body.collect().await?.to_bytes())?;
        let mut uri = head.uri.into_parts();
        uri.scheme = Some(Scheme::HTTP);
        uri.authority = Some(self.upstream.clone());
        head.uri = uri.try_into()?;
        // Each hop has its own.
        for name in [HOST, CONTENT_LENGTH, CONNECTION, TRANSFER_ENCODING] {
            head.headers.remove(name);
        }
        let mut reply = self.client.request(Request::from_parts(head, Full::new(Bytes::from(body)))).await?;
        for name in [CONNECTION, TRANSFER_ENCODING] {
            reply.headers_mut().remove(name);
        }
        Ok(reply)
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Either<Incoming, Full<Bytes>>>> {
        Ok(match self.forward(request).await {
            Ok(reply) => reply.map(Either::Left),
            Err(error) => {
                let mut reply = Response::new(Either::Right(Full::from(format!("{error:#}"))));
                *reply.status_mut() = StatusCode::BAD_GATEWAY;
                reply
            }
        })
    }
}

/// Serves until it is killed.
pub fn serve(to: SocketAddr) -> Result<()> {
    // The runtime that a service has when its author does not think about it, and that `hr` has too.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector);
        let proxy: &'static Proxy = Box::leak(Box::new(Proxy { client, upstream: to.to_string().parse()? }));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("no port for the proxy")?;
        announce(listener.local_addr()?)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let serving = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service_fn(|request| proxy.answer(request)));
            // A connection that its client drops is the end of that connection and nothing more.
            tokio::spawn(async move { drop(serving.await) });
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_model_changes() {
        let body = br#"{ "a": [1, "model"], "model" : "hermes-router" , "z": {"model": 2} }"#;
        let changed = with_model(body).unwrap();
        assert_eq!(changed, br#"{ "a": [1, "model"], "model" : "bench-model" , "z": {"model": 2} }"#);
    }

    #[test]
    fn a_body_without_a_model_is_an_error() {
        assert!(with_model(b"{}").is_err());
    }
}
