//! A caller that asks a fake in its own dialect, and what it finds in the reply.

use hr_testkit::{Dialect, Fake, Script};
use serde_json::{Value, json};

use crate::client::{Reply, call};

/// The dialects that are not chat.
pub const OTHERS: [Dialect; 3] = [Dialect::Anthropic, Dialect::Responses, Dialect::Codex];

pub async fn fake(dialect: Dialect, script: Script) -> Fake {
    Fake::speaking(dialect, script).await.unwrap()
}

/// The path of a dialect's answers.
pub fn path(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Chat => "/v1/chat/completions",
        Dialect::Anthropic => "/v1/messages",
        Dialect::Responses => "/v1/responses",
        Dialect::Codex => "/backend-api/codex/responses",
    }
}

/// The headers that a dialect wants, signed with this key.
pub fn headers(dialect: Dialect, key: &str) -> Vec<(&'static str, String)> {
    let mut headers = vec![("content-type", "application/json".to_owned())];
    match dialect {
        Dialect::Anthropic => {
            headers.push(("x-api-key", key.to_owned()));
            headers.push(("anthropic-version", "2023-06-01".to_owned()));
        }
        _ => headers.push(("authorization", format!("Bearer {key}"))),
    }
    if dialect == Dialect::Codex {
        headers.push(("chatgpt-account-id", format!("account-of-{key}")));
    }
    headers
}

/// A good request of one user message.
pub fn request(dialect: Dialect, stream: bool) -> Value {
    match dialect {
        Dialect::Chat => crate::client::chat(stream),
        Dialect::Anthropic => json!({
            "model": "m",
            "max_tokens": 4096,
            "messages": [{"role": "user", "content": "hi"}],
            "stream": stream,
        }),
        Dialect::Responses | Dialect::Codex => json!({
            "model": "m",
            "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
            "include": ["reasoning.encrypted_content"],
            "store": false,
            "stream": stream,
        }),
    }
}

/// Sends a body to the dialect's path.
pub async fn ask(fake: &Fake, key: &str, body: &Value) -> Reply {
    let dialect = fake.dialect();
    call(fake, "POST", path(dialect), &headers(dialect, key), body.to_string()).await.unwrap()
}

/// The types of a stream's events, runs of one type told once.
pub fn types(reply: &Reply) -> Vec<String> {
    let mut types: Vec<_> =
        reply.events().iter().map(|event| event["type"].as_str().unwrap_or("?").to_owned()).collect();
    types.dedup();
    types
}
