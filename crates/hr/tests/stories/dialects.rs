//! Any of the three dialects reaches any of the three.

use hr_testkit::{Answer, Dialect, Fake, Script};
use serde_json::{Value, json};

use crate::house::{Guest, House};

/// A caller's dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    Chat,
    Messages,
    Responses,
}

pub const CLIENTS: [Client; 3] = [Client::Chat, Client::Messages, Client::Responses];
pub const UPSTREAMS: [Dialect; 4] = [Dialect::Chat, Dialect::Anthropic, Dialect::Responses, Dialect::Codex];

impl Client {
    pub fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Messages => "/v1/messages",
            Self::Responses => "/v1/responses",
        }
    }

    /// A request with one user message.
    pub fn question(self, text: &str, stream: bool) -> Value {
        let mut body = match self {
            Self::Chat => json!({ "messages": [{ "role": "user", "content": text }] }),
            Self::Messages => {
                json!({ "max_tokens": 200, "messages": [{ "role": "user", "content": text }] })
            }
            Self::Responses => json!({ "input": text }),
        };
        body["model"] = json!("hermes-router");
        body["stream"] = json!(stream);
        body
    }

    /// The text of a whole answer.
    pub fn text(self, reply: &Value) -> String {
        let texts = |list: &Value| -> String {
            list.as_array().into_iter().flatten().filter_map(|part| part["text"].as_str()).collect()
        };
        match self {
            Self::Chat => reply["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned(),
            Self::Messages => texts(&reply["content"]),
            Self::Responses => {
                reply["output"].as_array().into_iter().flatten().map(|item| texts(&item["content"])).collect()
            }
        }
    }

    /// The text of a streamed answer.
    pub fn streamed(self, events: &[Value]) -> String {
        let piece = |event: &Value| match self {
            Self::Chat => event["choices"][0]["delta"]["content"].as_str().map(str::to_owned),
            Self::Messages if event["type"] == "content_block_delta" => {
                event["delta"]["text"].as_str().map(str::to_owned)
            }
            Self::Responses if event["type"] == "response.output_text.delta" => {
                event["delta"].as_str().map(str::to_owned)
            }
            _ => None,
        };
        events.iter().filter_map(piece).collect()
    }

    /// Whether a streamed answer says that it is whole.
    pub fn is_whole(self, text: &str) -> bool {
        match self {
            Self::Chat => text.contains("data: [DONE]"),
            Self::Messages => text.contains("event: message_stop"),
            Self::Responses => text.contains("event: response.completed"),
        }
    }

    /// Whether it ends in an error that its clients raise.
    pub fn is_broken(self, events: &[Value]) -> bool {
        let Some(last) = events.last() else { return false };
        match self {
            Self::Chat => last["error"]["message"].is_string(),
            Self::Messages => last["type"] == "error" && last["error"]["type"].is_string(),
            Self::Responses => {
                last["type"] == "response.failed" && last["response"]["error"]["code"].is_string()
            }
        }
    }

    /// Whether a body is an error of this dialect.
    pub fn is_error(self, body: &Value) -> bool {
        match self {
            Self::Messages => {
                body["type"] == "error"
                    && body["error"]["type"].is_string()
                    && body["error"]["message"].is_string()
            }
            Self::Chat | Self::Responses => {
                let error = &body["error"];
                error["message"].is_string()
                    && error["type"].is_string()
                    && error.get("param").is_some()
                    && error.get("code").is_some()
            }
        }
    }
}

/// A guest that speaks a dialect.
pub fn speaking<'a>(id: &'a str, fake: &Fake) -> Guest<'a> {
    let name = match fake.dialect() {
        Dialect::Chat => "openai_chat",
        Dialect::Anthropic => "anthropic",
        Dialect::Responses | Dialect::Codex => "openai_responses",
    };
    let extra = match fake.dialect() {
        Dialect::Anthropic => "auth = \"header:x-api-key\"\n[headers]\nanthropic-version = \"2023-06-01\"\n",
        _ => "",
    };
    let guest = Guest::new(id, fake).top(&format!("dialect = \"{name}\"\n{extra}"));
    match fake.dialect() {
        Dialect::Codex => guest.extra(quirks(include_str!("../../../../catalog/codex.toml"))),
        _ => guest,
    }
}

/// The quirks in a file of the catalogue.
fn quirks(file: &str) -> &str {
    let from = file.find("[quirks]").unwrap();
    let length = file[from..].find("\n\n").unwrap();
    &file[from..from + length]
}

#[tokio::test]
async fn every_dialect_reaches_every_dialect() {
    for client in CLIENTS {
        for upstream in UPSTREAMS {
            for stream in [false, true] {
                let name = format!("{client:?} over {upstream:?}, stream {stream}");
                let script = Script::new().otherwise(Answer::text("a good answer").chunks(3));
                let fake = Fake::speaking(upstream, script).await.unwrap();
                let house = House::open(&[speaking("alpha", &fake)], "").await;
                let got = house.caller().post(client.path(), &client.question("hello", stream)).await;
                assert_eq!(got.status, 200, "{name}: {} {:?}", got.text(), fake.violations());
                assert_eq!(got.header("x-provider"), "alpha", "{name}");
                if stream {
                    assert_eq!(client.streamed(&got.events()), "a good answer", "{name}: {}", got.text());
                    assert!(client.is_whole(got.text()), "{name}: {}", got.text());
                } else {
                    assert_eq!(client.text(&got.json()), "a good answer", "{name}: {}", got.text());
                }
                assert!(fake.violations().is_empty(), "{name}: {:?}", fake.violations());
            }
        }
    }
}
