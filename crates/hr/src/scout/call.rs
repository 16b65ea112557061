//! One tiny call to a model, and what came back: for questions in the background and for `hr try`.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hr_core::catalog::Dialect;
use hr_core::failure::{Failure, FailureKind};
use hr_core::pool::{Member, PoolModel};
use hr_core::quota::Said;
use hr_core::route::{Candidate, Permit, Work};
use hr_core::time::Millis;
use hr_core::usage::Usage;
use hr_wire::complaint::MAX_ERROR_BODY;
use hr_wire::dialect::{Outgoing, Prepared, client_half, upstream_half};
use hr_wire::envelope::Envelope;
use hr_wire::hub::{Block, FinishKind, Reply};
use hr_wire::limits;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use serde_json::json;
use tokio::time::Instant;

use crate::gate::Live;
use crate::gate::attempt::broken;
use crate::upstream::account::PATIENCE_WITH_OTHERS;
use crate::upstream::body::UpstreamBody;
use crate::upstream::client::Errand;
use crate::watch::events::chain;

/// The most bytes of a tiny answer.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Tiny {
    /// Whether it is to call a tool rather than to say a word.
    pub tool: bool,
    /// The most tokens of the answer.
    pub max_tokens: u64,
    /// Whether it is to come as a stream, so that its first token can be told from its last.
    pub stream: bool,
}

/// The request for a model, in its provider's dialect and under its quirks.
///
/// # Errors
/// When it cannot be written for this provider.
pub fn letter(member: &Member, model: &PoolModel, tiny: Tiny) -> Result<Prepared, Failure> {
    let unwritable = |why: &dyn std::fmt::Display| {
        Failure::new(FailureKind::Unsupported, format!("the question cannot be written: {why}"))
    };
    let client = client_half(Dialect::OpenaiChat);
    let (envelope, _) = client.read(body(&model.id, tiny)).map_err(|bad| unwritable(&bad.message))?;
    let outgoing = Outgoing {
        stream: tiny.stream,
        model_quirks: &model.quirks,
        max_output_cap: Some(tiny.max_tokens),
        ..Outgoing::new(&model.id, &member.provider.quirks)
    };
    let upstream = upstream_half(member.provider.dialect);
    if member.provider.dialect == Dialect::OpenaiChat {
        return Ok(upstream.prepare(&envelope, &outgoing));
    }
    let decoded = client.decode(&envelope).map_err(|bad| unwritable(&bad.message))?;
    let encoded = upstream.encode(&decoded.request, &outgoing);
    let envelope = Envelope::read(encoded.body).map_err(|bad| unwritable(&bad.message))?;
    Ok(upstream.prepare(&envelope, &outgoing))
}

fn body(model: &str, tiny: Tiny) -> Bytes {
    let mut body = json!({ "model": model, "max_tokens": tiny.max_tokens, "stream": tiny.stream });
    let words = if tiny.tool { "What is the weather in Oslo?" } else { "Reply with: ok" };
    body["messages"] = json!([{ "role": "user", "content": words }]);
    if tiny.tool {
        body["tools"] = json!([{ "type": "function", "function": {
            "name": "get_weather",
            "description": "The weather in a city",
            "parameters": {
                "type": "object",
                "properties": { "city": { "type": "string" } },
                "required": ["city"],
            },
        }}]);
        body["tool_choice"] = json!("required");
    }
    Bytes::from(body.to_string())
}

/// What came back.
pub struct Heard {
    /// The headers, where there was an answer.
    pub headers: HeaderMap,
    /// From the call to the first thing that was said.
    pub first: Option<Duration>,
    /// From the call to its end.
    pub total: Duration,
    /// What the headers say of limits.
    pub said: Said,
    /// The answer, or what went wrong.
    pub reply: Result<Reply, Failure>,
}

impl Heard {
    /// Nothing, since nothing was sent.
    #[must_use]
    pub fn nothing(why: Failure) -> Self {
        Self {
            headers: HeaderMap::new(),
            first: None,
            total: Duration::ZERO,
            said: Said::default(),
            reply: Err(why),
        }
    }

    /// What it used, as reported.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.reply.as_ref().ok().and_then(|reply| reply.usage).unwrap_or_default()
    }
}

/// Calls a candidate once. Nothing is tried again.
pub async fn call(
    live: &Live,
    candidate: Candidate,
    permit: Permit,
    letter: Prepared,
    wait: Duration,
    now: Millis,
) -> Heard {
    let began = Instant::now();
    let mut heard = Heard::nothing(Failure::new(FailureKind::Timeout, "nothing came in time"));
    let exchange = exchange(live, candidate, permit, letter, now, began, &mut heard);
    if let Ok(reply) = tokio::time::timeout(wait, exchange).await {
        heard.reply = reply;
    }
    heard.total = began.elapsed();
    heard
}

async fn exchange(
    live: &Live,
    candidate: Candidate,
    permit: Permit,
    letter: Prepared,
    now: Millis,
    began: Instant,
    heard: &mut Heard,
) -> Result<Reply, Failure> {
    let provider = &live.roster.member(candidate).provider;
    let mut headers = live.headers(candidate).clone();
    for (name, value) in &letter.headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.entry(HeaderName::from_static(name)).or_insert(value);
        }
    }
    if let Some(mut signer) = live.signer(candidate) {
        headers = signer.sign(headers, PATIENCE_WITH_OTHERS).await?;
    }
    let mut request = Request::new(Full::new(letter.body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = live.address(candidate, Work::Chat).clone();
    *request.headers_mut() = headers;
    let response = live.client.send(request, Errand::Model(permit)).await;
    let (head, incoming) =
        response.map_err(|error| Failure::new(FailureKind::Network, chain(&error)))?.into_parts();
    let fields = head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    heard.said = limits::read(fields, &provider.metering, live.roster.model_id(candidate), now);
    heard.headers = head.headers;
    let mut body = UpstreamBody::new(&heard.headers, incoming);
    let upstream = upstream_half(provider.dialect);
    if head.status != StatusCode::OK {
        let bytes = body.whole(MAX_ERROR_BODY).await.unwrap_or_default();
        let header = |name: &str| heard.headers.get(name).and_then(|value| value.to_str().ok());
        return Err(upstream.read_error(head.status.as_u16(), &header, &bytes, &provider.errors, now));
    }
    let mut all = BytesMut::new();
    while let Some(chunk) = body.chunk().await {
        all.extend_from_slice(&chunk.map_err(|error| broken(&error))?);
        // Comments come before anything is said.
        if heard.first.is_none() && all.as_ref().split(|byte: &u8| *byte == b'\n').any(says_something) {
            heard.first = Some(began.elapsed());
        }
        if all.len() > MAX_ANSWER_BYTES {
            return Err(Failure::new(FailureKind::Malformed, "much was said to a tiny question"));
        }
    }
    let mut whole = all.freeze();
    if !matches!(whole.trim_ascii_start().first(), Some(b'{' | b'[')) {
        whole = upstream.to_whole(&whole, provider, now)?;
    }
    upstream.decode(&whole, &provider.errors, now)
}

fn says_something(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    line.starts_with(b"data:") || line.starts_with(b"{") || line.starts_with(b"[")
}

/// How an answer looks to whoever wanted a tool called.
#[must_use]
pub fn look(reply: &Reply) -> hr_core::capability::probe::Look {
    let text = |block: &Block| match block {
        Block::Text(text) | Block::Refusal(text) => !text.trim().is_empty(),
        _ => false,
    };
    hr_core::capability::probe::Look {
        called: reply.blocks.iter().any(|block| matches!(block, Block::ToolCall(_))),
        spoke: reply.blocks.iter().any(text),
        cut: reply.finish.as_ref().is_some_and(|finish| finish.kind() == FinishKind::Length),
        reasoned: reply.blocks.iter().any(|block| matches!(block, Block::Reasoning(_))),
    }
}
