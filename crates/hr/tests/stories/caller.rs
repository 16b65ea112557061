//! A caller: plain HTTP, nothing clever, so that what is seen is what was sent.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

/// Somebody who calls the router.
#[derive(Clone)]
pub struct Caller {
    address: SocketAddr,
    key: Option<String>,
    http: Client<HttpConnector, Full<Bytes>>,
}

/// What came back.
#[derive(Debug)]
pub struct Got {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Got {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// A header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The text of the answer, whole or streamed.
    pub fn said(&self) -> String {
        if self.header("content-type").starts_with("text/event-stream") {
            let deltas = self
                .events()
                .into_iter()
                .filter_map(|event| event["choices"][0]["delta"]["content"].as_str().map(str::to_owned));
            return deltas.collect();
        }
        self.json()["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned()
    }

    /// The events of a stream, without its end mark.
    pub fn events(&self) -> Vec<Value> {
        self.text()
            .lines()
            .filter_map(|line| line.strip_prefix("data:"))
            .map(str::trim)
            .filter(|data| *data != "[DONE]")
            .map(|data| serde_json::from_str(data).unwrap())
            .collect()
    }

    /// Whether a stream has its end mark.
    pub fn done(&self) -> bool {
        self.text().lines().any(|line| line.trim() == "data: [DONE]")
    }
}

/// Why there is no answer.
pub type Lost = Box<dyn std::error::Error + Send + Sync>;

impl Caller {
    /// A caller of this router with this key.
    pub fn new(address: SocketAddr, key: Option<&str>) -> Self {
        let http = Client::builder(TokioExecutor::new()).build_http();
        Self { address, key: key.map(str::to_owned), http }
    }

    /// A request whose path begins with a slash.
    pub fn request(&self, method: &str, path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        request.header("content-type", "application/json").body(Full::new(body.into())).unwrap()
    }

    /// Sends a request and waits for the head of its answer.
    pub async fn open(&self, request: Request<Full<Bytes>>) -> http::Response<Incoming> {
        self.http.request(request).await.unwrap()
    }

    /// Sends a request and reads its answer.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Got {
        self.try_send(request).await.unwrap()
    }

    /// Sends a request and reads its answer; an error when the router went away meanwhile.
    pub async fn try_send(&self, request: Request<Full<Bytes>>) -> Result<Got, Lost> {
        let (head, body) = self.http.request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Got { status: head.status, headers: head.headers, body })
    }

    /// Reads a page.
    pub async fn get(&self, path: &str) -> Got {
        self.send(self.request("GET", path, "")).await
    }

    /// Posts JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Got {
        self.send(self.request("POST", path, body.to_string())).await
    }

    /// Asks the pool one thing.
    pub async fn chat(&self, text: &str) -> Got {
        self.post("/v1/chat/completions", &question(text)).await
    }

    /// Asks the pool one thing and reads the streamed answer.
    pub async fn stream(&self, text: &str) -> Got {
        let mut body = question(text);
        body["stream"] = json!(true);
        self.post("/v1/chat/completions", &body).await
    }
}

/// A request with one user message.
pub fn question(text: &str) -> Value {
    json!({ "model": "hermes-router", "messages": [{ "role": "user", "content": text }] })
}
