//! The visitor: an ordinary OpenAI client that knows one address, one key and one model.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use serde_json::{Value, json};

use super::scene::ACCESS_KEY;
use crate::upstream::client::{Client, Errand};

/// The model that stands for the whole pool.
pub const MODEL: &str = "hermes-router";
/// How long a connection to the router may take.
const CONNECT: Duration = Duration::from_secs(2);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// The most bytes of an answer.
const MAX_ANSWER: usize = 1024 * 1024;

/// What is asked, in turn: nothing that the router takes for easy, so that the small model comes last.
const QUESTIONS: [&str; 4] = [
    "Compare two ways to sort a long list.",
    "Explain how a hash table grows.",
    "Design a table for a small library.",
    "Summarize what a circuit breaker does.",
];

/// An answer as a client sees it.
pub struct Visit {
    /// Whether a stream was asked for.
    pub stream: bool,
    /// The status.
    pub status: StatusCode,
    /// Whether it is a whole, well-formed answer with text in it.
    pub served: bool,
    /// `X-Provider`.
    pub provider: Option<String>,
    /// `X-Hermes-Model`.
    pub model: Option<String>,
    /// `X-Hermes-Attempts`.
    pub attempts: usize,
    /// From the request to its last byte.
    pub took: Duration,
}

/// An ordinary client.
pub struct Visitor {
    client: Client,
    base: String,
}

impl Visitor {
    /// A client of the router at this address.
    pub fn new(address: SocketAddr) -> Visitor {
        Visitor { client: Client::new(CONNECT), base: base_url(address) }
    }

    /// Asks one question; every third answer is wanted as a stream.
    pub async fn ask(&self, number: usize) -> anyhow::Result<Visit> {
        let stream = number % 3 == 2;
        let question = QUESTIONS[number % QUESTIONS.len()];
        let body = json!({
            "model": MODEL,
            "messages": [{"role": "user", "content": question}],
            "stream": stream,
        });
        let begun = Instant::now();
        let (status, headers, body) = self.send(Method::POST, "/chat/completions", body.to_string()).await?;
        let took = begun.elapsed();
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok(Visit {
            stream,
            status,
            served: status == StatusCode::OK && has_answer(stream, &body),
            provider: header("x-provider"),
            model: header("x-hermes-model"),
            attempts: header("x-hermes-attempts").and_then(|count| count.parse().ok()).unwrap_or(0),
            took,
        })
    }

    /// What the router says of its providers.
    pub async fn status(&self) -> anyhow::Result<Value> {
        let (_, _, body) = self.send(Method::GET, "/status", String::new()).await?;
        serde_json::from_slice(&body).context("the router's status is not JSON")
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: String,
    ) -> anyhow::Result<(StatusCode, HeaderMap, Bytes)> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(AUTHORIZATION, format!("Bearer {ACCESS_KEY}"))
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))?;
        let answer = async {
            let (head, body) = self.client.send(request, Errand::Upkeep).await?.into_parts();
            let body =
                Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| anyhow::anyhow!(error))?;
            anyhow::Ok((head.status, head.headers, body.to_bytes()))
        };
        tokio::time::timeout(PATIENCE, answer).await.context("the router did not answer in time")?
    }
}

/// Where a client finds the router.
pub fn base_url(address: SocketAddr) -> String {
    format!("http://{address}/v1")
}

/// Whether a body holds an answer that came to its end.
fn has_answer(stream: bool, body: &[u8]) -> bool {
    if !stream {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        return body["choices"][0]["message"]["content"].as_str().is_some_and(|text| !text.is_empty());
    }
    let text = String::from_utf8_lossy(body);
    let data: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    let events: Vec<Value> = data.iter().filter_map(|data| serde_json::from_str(data).ok()).collect();
    let said =
        |event: &Value| event["choices"][0]["delta"]["content"].as_str().is_some_and(|text| !text.is_empty());
    let finished = |event: &Value| event["choices"][0]["finish_reason"].is_string();
    events.iter().any(said)
        && events.iter().any(finished)
        && events.iter().all(|event| event.get("error").is_none())
        && data.last() == Some(&"[DONE]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_finished_stream_with_text_is_an_answer() {
        let said = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n";
        let finished = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
        let done = "data: [DONE]\n\n";
        let error = "data: {\"error\":{\"message\":\"cut\"}}\n\n";
        let holds = |parts: &[&str]| has_answer(true, parts.concat().as_bytes());
        assert!(holds(&[said, finished, done]));
        assert!(!holds(&[said, finished]));
        assert!(!holds(&[said, done]));
        assert!(!holds(&[finished, done]));
        assert!(!holds(&[said, error, finished, done]));
    }

    #[test]
    fn only_text_is_a_whole_answer() {
        assert!(has_answer(false, br#"{"choices":[{"message":{"content":"hi"}}]}"#));
        assert!(!has_answer(false, br#"{"choices":[{"message":{"content":""}}]}"#));
        assert!(!has_answer(false, b"<html>"));
    }
}
