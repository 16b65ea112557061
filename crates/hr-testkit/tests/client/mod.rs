//! A small HTTP client that sees what a router would see, breaks included.

#![allow(dead_code, reason = "each test file uses a part of it")]

use bytes::Bytes;
use hr_testkit::Fake;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper::{HeaderMap, Request};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// A reply, as far as it came.
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    /// The data frames as they came.
    pub frames: Vec<Bytes>,
    /// Whether the body came to its proper end.
    pub complete: bool,
}

impl Reply {
    pub fn bytes(&self) -> Vec<u8> {
        self.frames.concat()
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.bytes()).expect("the body is UTF-8")
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes()).expect("the body is JSON")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The decoded events of a stream; undecodable ones and `[DONE]` are left out.
    pub fn events(&self) -> Vec<Value> {
        let text = self.text();
        let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
        data.filter_map(|data| serde_json::from_str(data).ok()).collect()
    }

    /// The content of a stream.
    pub fn content(&self) -> String {
        let content = |event: &Value| event["choices"][0]["delta"]["content"].as_str().map(str::to_owned);
        self.events().iter().filter_map(content).collect()
    }
}

/// A chat request for one user message.
pub fn chat(stream: bool) -> Value {
    json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": stream})
}

/// Sends one call on a connection of its own; an error is a connection that broke before the headers.
pub async fn post(fake: &Fake, path: &str, key: &str, body: &Value) -> Result<Reply, hyper::Error> {
    send(fake, "POST", path, key, body.to_string()).await
}

pub async fn send(
    fake: &Fake,
    method: &str,
    path: &str,
    key: &str,
    body: String,
) -> Result<Reply, hyper::Error> {
    let headers = [("authorization", format!("Bearer {key}")), ("content-type", "application/json".into())];
    call(fake, method, path, &headers, body).await
}

/// Sends one call with these headers.
pub async fn call(
    fake: &Fake,
    method: &str,
    path: &str,
    headers: &[(&str, String)],
    body: String,
) -> Result<Reply, hyper::Error> {
    let stream = TcpStream::connect(fake.address()).await.expect("the fake listens");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header("host", fake.address().to_string());
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let request = request.body(Full::new(Bytes::from(body))).expect("the request is well formed");
    let (head, mut body) = sender.send_request(request).await?.into_parts();
    let mut frames = Vec::new();
    let complete = loop {
        match body.frame().await {
            Some(Ok(frame)) => frames.extend(frame.into_data().ok()),
            Some(Err(_)) => break false,
            None => break true,
        }
    };
    connection.abort();
    Ok(Reply { status: head.status.as_u16(), headers: head.headers, frames, complete })
}
