//! Secrets reach nobody: not the log, not an error, not a status, not a metric.

use std::io::Write;
use std::sync::Arc;

use hr_testkit::{Answer, Behaviour, Ending, Fake, Match, Refusal, Script};
use parking_lot::Mutex;
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

use crate::caller::{Got, question};
use crate::house::{Guest, House};

const UPSTREAM: &str = "canary-upstream-0f3a77";
const PROMPT: &str = "canary-prompt-1b9e42";
const HEADER: &str = "canary-header-77aa01";
const MADE_UP: &str = "canary-model-20be55";
const WRONG: &str = "canary-wrong-key-5d20c8";

/// Collects every log line, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn canaries_stay_where_they_were_put() {
    let log = Log::default();
    // The filter of the program at its most talkative level. For all threads: a line that another thread comes
    // upon first, where nobody listens, would not be heard here either.
    let lines = tracing_subscriber::fmt::layer().with_writer(log.clone()).with_ansi(false);
    let subscriber = tracing_subscriber::registry().with(hermes_router::watch::filter("trace")).with(lines);
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let script = Script::new()
        .always(Match::model("echo"), Refusal::caller_mistake().echoing_the_key())
        .always(Match::model("bad"), Refusal::bad_key().echoing_the_key())
        .always(Match::model("down"), Refusal::server_error().echoing_the_key())
        .always(Match::model("late"), Refusal::new(504, "timeout", "timeout", "late").echoing_the_key())
        .always(Match::model(MADE_UP), Refusal::bad_key())
        .always(Match::model("cut"), Answer::text("a b c d").chunks(4).ending(Ending::NoFinish(2)))
        .otherwise(Answer::text("fine"));
    let fake = Fake::start(script).await.unwrap();
    let guest = Guest::new("alpha", &fake)
        .key_list(&[UPSTREAM])
        .and_model("echo", "default = false")
        .and_model("bad", "default = false")
        .and_model("down", "default = false")
        .and_model("late", "default = false")
        .and_model("cut", "default = false");
    let house = House::open(&[guest], "").await;
    let caller = house.caller();
    let mut answers: Vec<Got> = Vec::new();
    for model in [
        "hermes-router",
        "alpha/cut",
        "alpha/echo",
        "alpha/down",
        "alpha/late",
        &format!("alpha/{MADE_UP}"),
        "alpha/bad",
    ] {
        for stream in [false, true] {
            let mut body = question(PROMPT);
            body["model"] = json!(model);
            body["stream"] = json!(stream);
            body["user"] = json!(PROMPT);
            let mut request = caller.request("POST", "/v1/chat/completions", body.to_string());
            request.headers_mut().insert("x-anything", HEADER.parse().unwrap());
            request.headers_mut().insert("cookie", HEADER.parse().unwrap());
            answers.push(caller.send(request).await);
        }
    }
    let wrong = crate::caller::Caller::new(house.address, Some(WRONG));
    answers.push(wrong.chat(PROMPT).await);
    answers.push(wrong.get(&format!("/v1/{WRONG}?key={WRONG}")).await);
    for page in ["/", "/health", "/metrics", "/v1/status", "/v1/models"] {
        answers.push(caller.get(page).await);
    }
    let log = String::from_utf8(log.0.lock().clone()).unwrap();
    assert!(log.contains("an attempt failed"), "the log was not collected: {log}");
    for secret in [UPSTREAM, HEADER, WRONG, crate::house::KEY] {
        assert!(!log.contains(secret), "{secret} is in the log: {log}");
        for got in &answers {
            let shown = format!("{:?} {}", got.headers, String::from_utf8_lossy(&got.body));
            assert!(!shown.contains(secret), "{secret} is in an answer: {shown}");
        }
    }
    for text in [PROMPT, MADE_UP] {
        assert!(!log.contains(text), "{text} is in the log: {log}");
    }
}

#[tokio::test]
async fn a_key_is_found_behind_escapes_too() {
    let hidden = r#"{"error":{"message":"bad key sk-canary\/with\u002fslash","\u0073k-canary/with/slash":1,"note":"\/ \"stays\""}}"#;
    let fake = Fake::start(Script::new().otherwise(Behaviour::raw(400, hidden))).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake).key_list(&["sk-canary/with/slash"])], "").await;
    let got = house.caller().chat("hi").await;
    assert_eq!(got.status, 400);
    let expected = r#"{"error":{"message":"bad key [redacted]","[redacted]":1,"note":"\/ \"stays\""}}"#;
    assert_eq!(got.text(), expected);
}
