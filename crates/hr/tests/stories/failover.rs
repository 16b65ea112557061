//! No error reaches the caller while a healthy candidate remains.

use std::time::Duration;

use hr_testkit::{Answer, Behaviour, Ending, Fake, Framing, Hint, Match, Refusal, Script};
use serde_json::json;

use crate::caller::question;
use crate::house::{Guest, House};

/// Every way to fail before anything good was said.
fn faults() -> Vec<(&'static str, Behaviour)> {
    let minute = Duration::from_secs(60);
    vec![
        ("429 seconds", Behaviour::rate_limited(Hint::RetryAfterSeconds, minute)),
        ("429 date", Behaviour::rate_limited(Hint::RetryAfterDate, minute)),
        ("429 prose", Behaviour::rate_limited(Hint::Prose, minute)),
        ("429 bare", Behaviour::rate_limited(Hint::Bare, minute)),
        ("401", Refusal::bad_key().into()),
        ("402", Refusal::no_money().into()),
        ("403", Refusal::forbidden().into()),
        ("404", Refusal::model_missing("m").into()),
        ("410", Refusal::model_gone("m").into()),
        ("413", Refusal::too_large().into()),
        ("422", Refusal::unprocessable("seed").into()),
        ("unsupported", Refusal::unsupported_parameter("seed").into()),
        ("500", Refusal::server_error().into()),
        ("503", Refusal::unavailable().into()),
        ("529", Refusal::overloaded().into()),
        ("hang before headers", Behaviour::HangBeforeHeaders),
        ("hang after headers", Behaviour::HangAfterHeaders),
        ("reset", Behaviour::ResetBeforeHeaders),
        ("close", Behaviour::CloseBeforeHeaders),
        ("malformed", Behaviour::malformed_json()),
        ("html 200", Behaviour::html(200)),
        ("html 502", Behaviour::html(502)),
        ("empty body", Behaviour::empty_body()),
        ("empty answer", Answer::empty().into()),
        ("error inside", Behaviour::error_inside(Refusal::server_error())),
    ]
}

#[tokio::test]
async fn whatever_one_provider_does_the_other_answers() {
    for (name, fault) in faults() {
        for stream in [false, true] {
            let bad = Fake::start(Script::new().otherwise(fault.clone())).await.unwrap();
            let good = Fake::start(Script::new().otherwise(Answer::text("saved"))).await.unwrap();
            // Rated better for the question, the bad one is asked first.
            let guests = [
                Guest::new("bad", &bad).model("bad-model", "rating = 5"),
                Guest::new("good", &good).model("good-model", "rating = 1"),
            ];
            let house = House::open(&guests, "UPSTREAM_FIRST_BYTE_TIMEOUT=0.5").await;
            let mut body = question("what is 2 + 2?");
            body["stream"] = json!(stream);
            body["seed"] = json!(1);
            let got = house.caller().post("/v1/chat/completions", &body).await;
            assert_eq!(got.status, 200, "{name}, stream {stream}: {}", got.text());
            assert_eq!(got.said(), "saved", "{name}, stream {stream}");
            assert_eq!(got.header("x-hermes-attempts"), "2", "{name}, stream {stream}");
            assert_eq!(got.header("x-provider"), "good", "{name}, stream {stream}");
        }
    }
}

#[tokio::test]
async fn odd_but_good_answers_are_good() {
    let odd: Vec<(&str, Answer)> = vec![
        ("gzip", Answer::text("odd").gzip()),
        ("comments", Answer::text("odd").comments()),
        ("crlf", Answer::text("odd").framing(Framing::Crlf)),
        ("split bytes", Answer::text("ödd ☃").framing(Framing::Bytes)),
        ("no done", Answer::text("odd").ending(Ending::NoDone)),
        ("one bad event", Answer::text("odd").bad_events(1)),
    ];
    for (name, answer) in odd {
        let said = if name == "split bytes" { "ödd ☃" } else { "odd" };
        let fake = Fake::start(Script::new().otherwise(answer)).await.unwrap();
        let house = House::open(&[Guest::new("alpha", &fake)], "").await;
        let got = house.caller().stream("hi").await;
        assert_eq!(got.status, 200, "{name}: {}", got.text());
        assert_eq!(got.said(), said, "{name}: {}", got.text());
        assert!(got.done(), "{name}: {}", got.text());
    }
}

#[tokio::test]
async fn a_stream_that_is_cut_ends_in_an_error_and_not_in_a_short_success() {
    for ending in [
        Ending::NoFinish(2),
        Ending::Cut(2),
        Ending::Reset(2),
        Ending::Error(2, Box::new(Refusal::server_error())),
    ] {
        let fake =
            Fake::start(Script::new().otherwise(Answer::text("half an answer").chunks(4).ending(ending)))
                .await
                .unwrap();
        let house = House::open(&[Guest::new("alpha", &fake)], "").await;
        let got = house.caller().stream("hi").await;
        assert_eq!(got.status, 200);
        let events = got.events();
        assert!(events.iter().any(|event| event["error"]["message"].is_string()), "{}", got.text());
        assert!(events.iter().all(|event| event["choices"][0]["finish_reason"] != "stop"), "{}", got.text());
    }
}

#[tokio::test]
async fn the_callers_own_mistake_comes_back_once_and_as_it_is() {
    let a = Fake::start(Script::new().otherwise(Refusal::caller_mistake())).await.unwrap();
    let b = Fake::start(Script::new().otherwise(Refusal::caller_mistake())).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &a).keys(3), Guest::new("bravo", &b)], "").await;
    let got = house.caller().chat("hi").await;
    assert_eq!(got.status, 400, "{}", got.text());
    assert_eq!(got.json()["error"]["type"], "invalid_request_error");
    assert_eq!(a.calls().len() + b.calls().len(), 1);
}

#[tokio::test]
async fn a_key_that_was_told_to_wait_is_left_alone() {
    let limited = Behaviour::rate_limited(Hint::RetryAfterSeconds, Duration::from_secs(60));
    let fake = Fake::start(Script::new().always(Match::key("sk-alpha-1"), limited)).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake).keys(2)], "").await;
    for _ in 0..20 {
        assert_eq!(house.caller().chat("hi").await.status, 200);
    }
    let calls = fake.calls();
    assert_eq!(calls.iter().filter(|call| call.key.as_deref() == Some("sk-alpha-1")).count(), 1);
}

#[tokio::test]
async fn a_bad_key_does_not_spoil_its_neighbours() {
    let fake = Fake::start(Script::new().always(Match::key("sk-alpha-1"), Refusal::bad_key())).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake).keys(3)], "").await;
    for _ in 0..9 {
        assert_eq!(house.caller().chat("hi").await.status, 200);
    }
    let calls = fake.calls();
    assert_eq!(calls.iter().filter(|call| call.key.as_deref() == Some("sk-alpha-1")).count(), 1);
    let others = ["sk-alpha-2", "sk-alpha-3"]
        .map(|key| calls.iter().filter(|call| call.key.as_deref() == Some(key)).count());
    assert!(others[0].abs_diff(others[1]) <= 1, "{others:?}");
}

#[tokio::test]
async fn when_every_quota_is_spent_the_answer_is_a_429_with_the_earliest_time() {
    let limit = |seconds| Behaviour::rate_limited(Hint::RetryAfterSeconds, Duration::from_secs(seconds));
    let a = Fake::start(Script::new().otherwise(limit(300))).await.unwrap();
    let b = Fake::start(Script::new().otherwise(limit(120))).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &a), Guest::new("bravo", &b)], "").await;
    for round in 0..2 {
        let got = house.caller().chat("hi").await;
        assert_eq!(got.status, 429, "{}", got.text());
        assert_eq!(got.json()["error"]["code"], "rate_limit_exceeded");
        let wait: u64 = got.header("retry-after").parse().unwrap();
        assert!((60..=120).contains(&wait), "{wait}");
        assert_eq!(got.header("x-should-retry"), "false");
        assert_eq!(got.header("x-hermes-attempts"), if round == 0 { "2" } else { "0" });
    }
    assert_eq!((a.calls().len(), b.calls().len()), (1, 1));
}

#[tokio::test]
async fn when_everything_is_down_the_answer_is_one_honest_503() {
    let fake = Fake::start(Script::new().otherwise(Refusal::server_error())).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake)], "").await;
    let got = house.caller().chat("hi").await;
    assert_eq!(got.status, 503, "{}", got.text());
    assert_eq!(got.json()["error"]["type"], "router_error");
    assert!(got.json()["error"]["message"].as_str().unwrap().contains("All providers exhausted"));
    // The first try and the few repeats that the budget allows.
    assert!(fake.calls().len() <= 3, "{}", fake.calls().len());
}

#[tokio::test]
async fn an_empty_pool_says_so() {
    let house = House::open(&[], "").await;
    let got = house.caller().chat("hi").await;
    assert_eq!(got.status, 503);
    assert!(got.json()["error"]["message"].as_str().unwrap().contains("All providers exhausted"));
    assert_eq!(got.header("x-should-retry"), "false");
}

#[tokio::test]
async fn a_passing_fault_of_the_only_provider_is_not_seen() {
    let script = Script::new().once(Match::any(), [Refusal::unavailable()]).otherwise(Answer::text("back"));
    let fake = Fake::start(script).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake)], "").await;
    assert_eq!(house.caller().chat("hi").await.said(), "back");
}

#[tokio::test]
async fn what_a_provider_quotes_of_our_key_does_not_reach_the_caller() {
    let fake =
        Fake::start(Script::new().otherwise(Refusal::caller_mistake().echoing_the_key())).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake).key_list(&["canary-upstream-key"])], "").await;
    let got = house.caller().chat("hi").await;
    assert_eq!(got.status, 400);
    assert!(!got.text().contains("canary-upstream-key"), "{}", got.text());
    assert!(got.text().contains("[redacted]"), "{}", got.text());
}

#[tokio::test]
async fn an_address_that_leads_back_here_is_noticed() {
    let good = Fake::start(Script::new().otherwise(Answer::text("out"))).await.unwrap();
    let outers_key = "sk-router-of-the-outer-house";
    let outers = format!("PROXY_API_KEYS={outers_key}");
    let outer = House::open(&[], &outers).await;
    let guests = [
        Guest::at("circle", format!("http://{}/v1", outer.address))
            .key_list(&[outers_key])
            .model("c", "rating = 5"),
        Guest::new("good", &good).model("g", "rating = 1"),
    ];
    let inner = House::open(&guests, "").await;
    // The outer house sends everything to the inner one, which sends it back: a circle over two.
    let inner_as_guest =
        Guest::at("inner", format!("http://{}/v1", inner.address)).key_list(&[crate::house::KEY]);
    outer.change(&[inner_as_guest], &outers);
    let caller = crate::caller::Caller::new(outer.address, Some(outers_key));
    let got = caller.chat("what is 2 + 2?").await;
    assert_eq!(got.status, 200, "{}", got.text());
    assert_eq!(got.said(), "out");
}

#[tokio::test]
async fn an_answer_that_a_content_filter_withheld_is_called_that() {
    let body = json!({
        "id": "x", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": "" }, "finish_reason": "content_filter" }],
    });
    let fake = Fake::start(Script::new().otherwise(Behaviour::raw(200, body.to_string()))).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake)], "").await;
    let got = house.caller().chat("hi").await;
    assert_eq!(got.status, 400);
    assert_eq!(got.json()["error"]["code"], "content_filter", "{}", got.text());
    assert_eq!(fake.calls().len(), 1);
}

#[tokio::test]
async fn a_provider_that_has_ended_says_so_to_who_pins_it() {
    let fake = Fake::start(Script::new().otherwise(Answer::text("ok"))).await.unwrap();
    let past = Guest::new("beta", &fake).extra("[retired]\ndate = \"2026-01-31\"\nnote = \"beta has ended\"");
    let house = House::open(&[Guest::new("alpha", &fake), past], "").await;
    let mut body = question("hi");
    body["model"] = json!("beta/beta-model");
    let got = house.caller().post("/v1/chat/completions", &body).await;
    assert_eq!(got.status, 503);
    assert!(got.text().contains("beta has ended"), "{}", got.text());
    assert_eq!(house.caller().chat("hi").await.status, 200);
}
