//! What comes out of a fake, seen from the other end of a real connection.

#![allow(clippy::unwrap_used)]

mod client;

use std::io::Read as _;
use std::time::Duration;

use client::{Reply, chat, post, send};
use hr_testkit::{
    Answer, Behaviour, End, Ending, Fake, Framing, Gate, Hint, Match, Quota, Refusal, Script, Strictness,
};
use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";

async fn ask(behaviour: impl Into<Behaviour>, stream: bool) -> Result<Reply, hyper::Error> {
    let fake = Fake::start(Script::new().otherwise(behaviour)).await.unwrap();
    post(&fake, CHAT, "key", &chat(stream)).await
}

#[tokio::test]
async fn a_whole_answer_is_a_completion() {
    let answer = Answer::text("Hello").reasoning("hm").and_tool("call_1", "look", r#"{"a":1}"#).usage(3, 4);
    let reply = ask(answer, false).await.unwrap();
    assert_eq!(reply.status, 200);
    let body = reply.json();
    assert_eq!(body["model"], "m");
    let message = &body["choices"][0]["message"];
    assert_eq!(message["content"], "Hello");
    assert_eq!(message["reasoning_content"], "hm");
    assert_eq!(message["tool_calls"][0]["function"]["arguments"], r#"{"a":1}"#);
    assert_eq!(body["choices"][0]["finish_reason"], "tool_calls");
    let usage = &body["usage"];
    assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"]), (&json!(3), &json!(4)));
    assert_eq!(usage["total_tokens"], 7);
}

#[tokio::test]
async fn a_streamed_answer_has_the_same_content() {
    let fake = Fake::start(Script::new().otherwise(Answer::text("Grüße, 世界").chunks(3))).await.unwrap();
    let reply = post(&fake, CHAT, "key", &chat(true)).await.unwrap();
    assert_eq!(reply.header("content-type"), Some("text/event-stream"));
    assert_eq!(reply.content(), "Grüße, 世界");
    assert!(reply.text().ends_with("data: [DONE]\n\n"));
    let usage = |reply: &Reply| reply.events().iter().any(|event| event["usage"].is_object());
    assert!(!usage(&reply));
    let mut asking = chat(true);
    asking["stream_options"] = json!({"include_usage": true});
    assert!(usage(&post(&fake, CHAT, "key", &asking).await.unwrap()));
}

#[tokio::test]
async fn layouts_do_not_change_the_events() {
    let answer = Answer::text("Grüße, 世界");
    let plain = ask(answer.clone(), true).await.unwrap();
    let crlf = ask(answer.clone().framing(Framing::Crlf), true).await.unwrap();
    assert_eq!(crlf.text(), plain.text().replace('\n', "\r\n"));
    let bytes = ask(answer.clone().framing(Framing::Bytes), true).await.unwrap();
    assert_eq!(bytes.text(), plain.text());
    assert!(bytes.frames.len() > plain.frames.len(), "more writes than events");
    let noisy = ask(answer.clone().comments().bad_events(2), true).await.unwrap();
    assert_eq!(noisy.content(), plain.content());
    assert_eq!(noisy.text().matches("\"choices\":[{\"ind\n").count(), 2);
    assert!(noisy.text().contains("\n: still here\n"));
    let zipped = ask(answer.clone().gzip(), true).await.unwrap();
    assert_eq!(zipped.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(&zipped.bytes()[..]).read_to_string(&mut text).unwrap();
    assert_eq!(text, plain.text());
    let whole = ask(answer.whole().content_type("text/plain"), true).await.unwrap();
    assert_eq!(whole.header("content-type"), Some("text/plain"));
    assert_eq!(whole.json()["object"], "chat.completion");
}

#[tokio::test]
async fn streams_end_as_scripted() {
    let answer = |ending| Answer::text("abcdefgh").chunks(4).ending(ending);
    let finished = |reply: &Reply| reply.text().contains(r#""finish_reason":"stop""#);

    let no_done = ask(answer(Ending::NoDone), true).await.unwrap();
    assert!(no_done.complete && finished(&no_done) && !no_done.text().contains("[DONE]"));
    let no_finish = ask(answer(Ending::NoFinish(2)), true).await.unwrap();
    assert!(no_finish.complete && !finished(&no_finish));
    assert_eq!(no_finish.content(), "abcd");
    for ending in [Ending::Cut(1), Ending::Reset(1)] {
        let broken = ask(answer(ending), true).await.unwrap();
        assert!(!broken.complete && !finished(&broken));
        assert_eq!(broken.content(), "ab");
    }
    let error = ask(answer(Ending::Error(3, Box::new(Refusal::server_error()))), true).await.unwrap();
    assert_eq!(error.content(), "abcdef");
    assert!(error.complete && error.events().last().unwrap()["error"]["message"].is_string());
}

#[tokio::test]
async fn whole_replies_break_too() {
    let answer = |ending| Answer::text("abcdefgh").ending(ending);
    let truncated = ask(answer(Ending::NoFinish(0)), false).await.unwrap();
    assert!(truncated.complete && serde_json::from_slice::<Value>(&truncated.bytes()).is_err());
    assert!(!ask(answer(Ending::Cut(0)), false).await.unwrap().complete);
    assert!(!ask(answer(Ending::Reset(0)), false).await.unwrap().complete);
    let error = ask(answer(Ending::Error(0, Box::new(Refusal::overloaded()))), false).await.unwrap();
    assert_eq!((error.status, error.json()["error"]["type"].as_str()), (200, Some("overloaded_error")));
}

#[tokio::test]
async fn connections_break_before_the_headers() {
    assert!(ask(Behaviour::ResetBeforeHeaders, false).await.is_err());
    assert!(ask(Behaviour::CloseBeforeHeaders, false).await.is_err());
}

#[tokio::test]
async fn a_reset_is_a_reset_and_a_close_is_none() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    for (behaviour, is_reset) in
        [(Behaviour::ResetBeforeHeaders, true), (Behaviour::CloseBeforeHeaders, false)]
    {
        let fake = Fake::start(Script::new().otherwise(behaviour)).await.unwrap();
        let mut stream = tokio::net::TcpStream::connect(fake.address()).await.unwrap();
        let request = format!("POST {CHAT} HTTP/1.1\r\nhost: fake\r\ncontent-length: 2\r\n\r\n{{}}");
        stream.write_all(request.as_bytes()).await.unwrap();
        let outcome = stream.read(&mut [0; 64]).await;
        assert_eq!(outcome.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset), is_reset);
        assert_eq!(fake.calls()[0].end(), Some(End::Broken));
    }
}

#[tokio::test]
async fn who_waits_in_vain_is_seen_leaving() {
    let hang = Answer::text("abcd").ending(Ending::Hang(1));
    for behaviour in [Behaviour::HangBeforeHeaders, Behaviour::HangAfterHeaders, hang.into()] {
        let fake = Fake::start(Script::new().otherwise(behaviour)).await.unwrap();
        let body = chat(true);
        tokio::select! {
            _ = post(&fake, CHAT, "key", &body) => panic!("it was answered"),
            () = fake.until(|calls| calls.len() == 1) => {}
        }
        fake.settled().await;
        assert_eq!(fake.calls()[0].end(), Some(End::ClientLeft));
    }
}

#[tokio::test]
async fn refusals_have_their_status_and_hint() {
    let cases: Vec<(Behaviour, u16)> = vec![
        (Refusal::caller_mistake().into(), 400),
        (Refusal::unsupported_parameter("seed").into(), 400),
        (Refusal::bad_key().into(), 401),
        (Refusal::no_money().into(), 402),
        (Refusal::forbidden().into(), 403),
        (Refusal::model_missing("m").into(), 404),
        (Refusal::model_gone("m").into(), 410),
        (Refusal::too_large().into(), 413),
        (Refusal::unprocessable("seed").into(), 422),
        (Refusal::server_error().into(), 500),
        (Refusal::unavailable().into(), 503),
        (Refusal::overloaded().into(), 529),
        (Behaviour::html(502), 502),
        (Behaviour::html(200), 200),
        (Behaviour::malformed_json(), 200),
        (Behaviour::empty_body(), 200),
        (Behaviour::error_inside(Refusal::server_error()), 200),
        (Behaviour::rate_limited(Hint::Bare, Duration::ZERO), 429),
    ];
    for (behaviour, status) in cases {
        let reply = ask(behaviour.clone(), true).await.unwrap();
        assert_eq!(reply.status, status, "{behaviour:?}");
        assert!(reply.complete);
    }
    let wait = Duration::from_secs(7);
    let limited = ask(Behaviour::rate_limited(Hint::RetryAfterSeconds, wait), false).await.unwrap();
    assert_eq!(limited.header("retry-after"), Some("7"));
    let echoed = ask(Refusal::bad_key().echoing_the_key(), false).await.unwrap();
    assert!(echoed.json()["error"]["message"].as_str().unwrap().contains("You sent: key."));
}

#[tokio::test]
async fn every_call_is_in_the_log() {
    let script =
        Script::new().once(Match::key("one"), [Refusal::server_error().retry_after(Duration::from_secs(2))]);
    let fake = Fake::start(script).await.unwrap();
    post(&fake, CHAT, "one", &chat(false)).await.unwrap();
    post(&fake, CHAT, "two", &chat(true)).await.unwrap();
    fake.settled().await;
    let calls = fake.calls();
    assert_eq!(calls.len(), 2);
    assert_eq!((calls[0].key.as_deref(), calls[0].status), (Some("one"), Some(500)));
    assert_eq!(calls[0].told_to_wait, Some(Duration::from_secs(2)));
    assert!(!calls[0].served() && calls[1].served() && calls[1].stream);
    assert_eq!((calls[1].path.as_str(), calls[1].model.as_deref()), (CHAT, Some("m")));
    assert_eq!(calls[1].json(), chat(true));
    assert!(fake.too_early(Duration::ZERO).is_empty(), "the other key was not told to wait");
    post(&fake, CHAT, "one", &chat(false)).await.unwrap();
    assert_eq!(fake.too_early(Duration::ZERO).len(), 1);
}

#[tokio::test]
async fn the_script_changes_at_run_time() {
    let fake = Fake::start(Script::new()).await.unwrap();
    let start = std::time::Instant::now();
    fake.push(Match::any(), Refusal::overloaded());
    assert_eq!(post(&fake, CHAT, "key", &chat(false)).await.unwrap().status, 529);
    assert_eq!(post(&fake, CHAT, "key", &chat(false)).await.unwrap().status, 200);
    assert_eq!(fake.calls_since(start).len(), 2);
    let later = std::time::Instant::now();
    fake.set(Script::new().otherwise(Refusal::no_money()));
    assert_eq!(post(&fake, CHAT, "key", &chat(false)).await.unwrap().status, 402);
    assert_eq!((fake.calls().len(), fake.calls_since(later).len()), (3, 1));
}

#[tokio::test]
async fn a_hidden_quota_runs_dry_for_its_key_only() {
    let quota = Quota::new(Hint::RetryAfterSeconds).requests(2, Duration::from_secs(3600));
    let fake = Fake::start(Script::new().quota(Match::any(), quota)).await.unwrap();
    let mut told = Vec::new();
    for key in ["a", "a", "a", "b"] {
        told.push(post(&fake, CHAT, key, &chat(false)).await.unwrap());
    }
    assert_eq!(told.iter().map(|reply| reply.status).collect::<Vec<_>>(), [200, 200, 429, 200]);
    let wait: u64 = told[2].header("retry-after").unwrap().parse().unwrap();
    assert!((1..=3600).contains(&wait));
    assert!(
        told[0].headers.keys().all(|name| !name.as_str().contains("ratelimit")),
        "nothing is revealed before"
    );
}

#[tokio::test]
async fn a_place_is_free_again_when_its_call_ends() {
    let gate = Gate::closed();
    let script = Script::new()
        .quota(Match::any(), Quota::new(Hint::Bare).concurrent(1))
        .once(Match::any(), [Behaviour::from(Answer::text("late")).behind(&gate)]);
    let fake = Fake::start(script).await.unwrap();
    let body = chat(false);
    let first = post(&fake, CHAT, "key", &body);
    let others = async {
        fake.until(|calls| calls.len() == 1).await;
        let refused = post(&fake, CHAT, "key", &body).await.unwrap();
        gate.open();
        refused
    };
    let (first, refused) = tokio::join!(first, others);
    assert_eq!((first.unwrap().status, refused.status), (200, 429));
    fake.settled().await;
    assert_eq!(post(&fake, CHAT, "key", &body).await.unwrap().status, 200);
}

#[tokio::test]
async fn strict_fakes_and_unknown_keys_refuse() {
    let script = Script::new().strict(Strictness::new().unprocessable()).keys(["good"]);
    let fake = Fake::start(script).await.unwrap();
    assert_eq!(post(&fake, CHAT, "bad", &chat(false)).await.unwrap().status, 401);
    assert_eq!(post(&fake, CHAT, "good", &chat(false)).await.unwrap().status, 200);
    let mut wrong = chat(false);
    wrong["banana"] = true.into();
    assert_eq!(post(&fake, CHAT, "good", &wrong).await.unwrap().status, 422);
    let violations = fake.violations();
    assert_eq!(violations.len(), 1);
    assert_eq!(
        (violations[0].call, violations[0].what.as_str()),
        (2, "`banana` is not a field of this request")
    );
}

#[tokio::test]
async fn embeddings_models_and_other_paths() {
    let fake = Fake::start(Script::new().models(["a", "b"]).dimensions(5)).await.unwrap();
    let models = send(&fake, "GET", "/v1/models", "key", String::new()).await.unwrap();
    assert_eq!(models.json()["data"][1]["id"], "b");
    let body = json!({"model": "e", "input": ["x", "y"]});
    let embedded = post(&fake, "/v1/embeddings", "key", &body).await.unwrap().json();
    assert_eq!(embedded["data"][1]["embedding"].as_array().unwrap().len(), 5);
    assert_eq!(post(&fake, "/v1/other", "key", &body).await.unwrap().status, 404);
    fake.push(Match::path("/models"), Refusal::server_error());
    assert_eq!(send(&fake, "GET", "/v1/models", "key", String::new()).await.unwrap().status, 500);
}

#[tokio::test]
async fn big_answers_have_their_size() {
    let bytes = 1_000_000;
    let whole = ask(Answer::big(bytes), false).await.unwrap();
    assert!(whole.bytes().len() as u64 >= bytes);
    let streamed = ask(Answer::big(bytes), true).await.unwrap();
    assert!(streamed.content().len() as u64 >= bytes && streamed.text().ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn a_dropped_fake_is_gone() {
    let fake = Fake::start(Script::new().otherwise(Behaviour::HangBeforeHeaders)).await.unwrap();
    let address = fake.address();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    drop(fake);
    let mut rest = Vec::new();
    // The open connection ends, and no other is taken.
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest).await;
    assert!(rest.is_empty());
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
