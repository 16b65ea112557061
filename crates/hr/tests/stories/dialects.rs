//! Any of the three dialects reaches any of the three.

use std::time::Duration;

use hr_testkit::{Answer, Behaviour, Dialect, Ending, Fake, Hint, Refusal, Script};
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

#[tokio::test]
async fn whatever_one_dialect_does_another_answers() {
    for client in CLIENTS {
        for (bad_dialect, good_dialect) in [
            (Dialect::Chat, Dialect::Anthropic),
            (Dialect::Anthropic, Dialect::Codex),
            (Dialect::Responses, Dialect::Chat),
        ] {
            let foreign = match bad_dialect {
                Dialect::Chat => {
                    r#"{"type":"message","role":"assistant","content":[{"type":"text","text":"x"}]}"#
                }
                _ => r#"{"choices":[{"index":0,"message":{"content":"x"},"finish_reason":"stop"}]}"#,
            };
            let half = |ending| Behaviour::from(Answer::text("never seen").ending(ending));
            for (fault, behaviour) in [
                ("500", Behaviour::from(Refusal::server_error())),
                ("limit", Behaviour::rate_limited(Hint::RetryAfterSeconds, Duration::from_secs(60))),
                ("bad key", Refusal::bad_key().into()),
                ("forbidden", Refusal::forbidden().into()),
                ("empty", Answer::empty().into()),
                ("empty body", Behaviour::empty_body()),
                ("malformed", Behaviour::malformed_json()),
                ("page", Behaviour::html(200)),
                ("error inside", Behaviour::error_inside(Refusal::overloaded())),
                ("words of another dialect", Behaviour::raw(200, foreign)),
                ("cut", half(Ending::CutAt(20))),
                ("ended", half(Ending::NoFinish(0))),
                ("error first", half(Ending::Error(0, Box::new(Refusal::server_error())))),
            ] {
                for stream in [false, true] {
                    let name = format!("{client:?}, stream {stream}: {fault} of {bad_dialect:?}");
                    let bad = Script::new().otherwise(behaviour.clone());
                    let bad = Fake::speaking(bad_dialect, bad).await.unwrap();
                    let good = Script::new().otherwise(Answer::text("saved"));
                    let good = Fake::speaking(good_dialect, good).await.unwrap();
                    let guests = [
                        speaking("bad", &bad).model("bad-model", "rating = 5"),
                        speaking("good", &good).model("good-model", "rating = 1"),
                    ];
                    let house = House::open(&guests, "").await;
                    // The bad one is preferred by name.
                    let mut body = client.question("what is 2 + 2?", stream);
                    body["model"] = json!("bad-model");
                    let got = house.caller().post(client.path(), &body).await;
                    assert_eq!(got.status, 200, "{name}: {}", got.text());
                    let said = if stream { client.streamed(&got.events()) } else { client.text(&got.json()) };
                    assert_eq!(said, "saved", "{name}: {}", got.text());
                    assert_eq!(got.header("x-provider"), "good", "{name}");
                    assert_eq!(got.header("x-hermes-attempts"), "2", "{name}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_cut_ends_in_an_error_of_the_callers_dialect() {
    for client in CLIENTS {
        for upstream in UPSTREAMS {
            for ending in [Ending::NoFinish(2), Ending::Cut(2), Ending::Reset(2)] {
                let name = format!("{client:?} over {upstream:?}, {ending:?}");
                let answer = Answer::text("half an answer").chunks(4).ending(ending);
                let fake = Fake::speaking(upstream, Script::new().otherwise(answer)).await.unwrap();
                let house = House::open(&[speaking("alpha", &fake)], "").await;
                let got = house.caller().post(client.path(), &client.question("hello", true)).await;
                // Nothing may have been said when it broke: then it is an answer like any other failure.
                if got.status != 200 {
                    assert!(client.is_error(&got.json()), "{name}: {}", got.text());
                    continue;
                }
                assert!(client.is_broken(&got.events()), "{name}: {}", got.text());
                assert!(!client.is_whole(got.text()), "{name}: {}", got.text());
            }
        }
    }
}

#[tokio::test]
async fn a_mistake_comes_back_in_the_callers_dialect() {
    for client in CLIENTS {
        for upstream in UPSTREAMS {
            for stream in [false, true] {
                let name = format!("{client:?} over {upstream:?}, stream {stream}");
                let script = Script::new().otherwise(Refusal::caller_mistake());
                let fake = Fake::speaking(upstream, script).await.unwrap();
                let house = House::open(&[speaking("alpha", &fake)], "").await;
                let got = house.caller().post(client.path(), &client.question("hello", stream)).await;
                assert_eq!(got.status, 400, "{name}: {}", got.text());
                assert!(client.is_error(&got.json()), "{name}: {}", got.text());
                assert_eq!(fake.calls().len(), 1, "{name}");
            }
        }
    }
}

#[tokio::test]
async fn a_conversation_that_is_too_long_is_called_what_makes_the_client_shorten_it() {
    for client in CLIENTS {
        for upstream in UPSTREAMS {
            let script = Script::new().otherwise(Refusal::context_exceeded());
            let fake = Fake::speaking(upstream, script).await.unwrap();
            let house = House::open(&[speaking("alpha", &fake)], "").await;
            let got = house.caller().post(client.path(), &client.question("hello", false)).await;
            let name = format!("{client:?} over {upstream:?}: {}", got.text());
            assert_eq!(got.status, 400, "{name}");
            match client {
                Client::Messages => assert!(got.text().contains("prompt is too long"), "{name}"),
                Client::Chat | Client::Responses => {
                    assert_eq!(got.json()["error"]["code"], "context_length_exceeded", "{name}");
                }
            }
        }
    }
}

#[tokio::test]
async fn callers_of_messages_see_the_model_that_they_asked_for() {
    for upstream in UPSTREAMS {
        for stream in [false, true] {
            let fake = Fake::speaking(upstream, Script::new().otherwise(Answer::text("hi"))).await.unwrap();
            let house = House::open(&[speaking("alpha", &fake)], "").await;
            let mut body = Client::Messages.question("hello", stream);
            body["model"] = json!("claude-hermes-router");
            let got = house.caller().post("/v1/messages", &body).await;
            let model = if stream {
                got.events()[0]["message"]["model"].clone()
            } else {
                got.json()["model"].clone()
            };
            assert_eq!(model, "claude-hermes-router", "{upstream:?}, stream {stream}: {}", got.text());
            assert_eq!(got.header("x-hermes-model"), "alpha-model");
        }
    }
}

#[tokio::test]
async fn a_server_that_only_streams_and_one_that_never_does_are_both_fine() {
    for client in CLIENTS {
        for upstream in [Dialect::Chat, Dialect::Anthropic, Dialect::Responses] {
            for (stream, answer) in
                [(false, Answer::text("bridged").streamed()), (true, Answer::text("bridged").whole())]
            {
                let name = format!("{client:?} over {upstream:?}, stream {stream}");
                let fake = Fake::speaking(upstream, Script::new().otherwise(answer)).await.unwrap();
                let house = House::open(&[speaking("alpha", &fake)], "").await;
                let got = house.caller().post(client.path(), &client.question("hello", stream)).await;
                assert_eq!(got.status, 200, "{name}: {}", got.text());
                let said = if stream { client.streamed(&got.events()) } else { client.text(&got.json()) };
                assert_eq!(said, "bridged", "{name}: {}", got.text());
                assert!(!stream || client.is_whole(got.text()), "{name}: {}", got.text());
            }
        }
    }
}

#[tokio::test]
async fn who_wants_reasoning_only_sealed_gets_the_seal_without_the_words() {
    for stream in [false, true] {
        let script = Script::new().otherwise(Answer::text("done").reasoning("step by step"));
        let fake = Fake::speaking(Dialect::Responses, script).await.unwrap();
        let house = House::open(&[speaking("alpha", &fake)], "").await;
        let mut body = Client::Messages.question("hello", stream);
        body["thinking"] = json!({ "type": "adaptive", "display": "omitted" });
        let got = house.caller().post(Client::Messages.path(), &body).await;
        assert_eq!(got.status, 200, "{}", got.text());
        assert!(got.text().contains("\"signature\":\"hr1."), "stream {stream}: {}", got.text());
        assert!(!got.text().contains("step by step"), "stream {stream}: {}", got.text());
    }
}
