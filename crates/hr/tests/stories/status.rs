//! What `/v1/status` tells of those that are not well, in the words that scripts of the original read.

use std::time::Duration;

use hr_testkit::{Answer, Behaviour, Fake, Hint, Refusal, Script};
use serde_json::Value;

use crate::house::{Guest, House};

async fn alpha(house: &House) -> Value {
    house.caller().get("/v1/status").await.json()["providers"]["alpha"].take()
}

#[tokio::test]
async fn the_keys_that_scripts_of_the_original_read_are_there() {
    let fake = Fake::start(Script::new().otherwise(Answer::text("ok"))).await.unwrap();
    let guest =
        Guest::new("alpha", &fake).model("m", "rating = 2\ntools = true").and_model("n", "rating = 3");
    let house = House::open(&[guest], "").await;
    assert_eq!(house.caller().chat("hi").await.status, 200);
    let alpha = alpha(&house).await;
    for path in [
        "/keys/0/key_tail",
        "/keys/0/status",
        "/keys/0/ready_in",
        "/keys/0/requests",
        "/stats/avg_latency_ms",
        "/stats/error_rate",
        "/stats/total_requests",
        "/stats/errors",
        "/breaker/open",
        "/breaker/opens_in_s",
        "/breaker/recent_health_fails",
        "/tokens",
        "/rating",
        "/model",
        "/models/1",
        "/available",
        "/supports_tools",
        "/tools_confirmed",
        "/skip_if_tokens_over",
        "/max_output_tokens",
        "/model_caps/0/model",
        "/model_caps/0/rating",
        "/model_caps/0/supports_tools",
        "/model_caps/0/tools_confirmed",
    ] {
        assert!(alpha.pointer(path).is_some_and(|value| !value.is_null()), "{path}: {alpha}");
    }
    // Not known is not the same as no, and both are told apart.
    assert_eq!((&alpha["tools_confirmed"], &alpha["reasoning"]), (&true.into(), &Value::Null));
    assert_eq!(alpha["model_caps"][1]["tools_confirmed"], false);
    let first_byte =
        alpha["model_caps"].as_array().unwrap().iter().find_map(|caps| caps["first_byte_ms"].as_f64());
    assert!(first_byte.is_some(), "{alpha}");
}

#[tokio::test]
async fn a_quota_that_comes_back_leaves_it_available() {
    let limited = Behaviour::rate_limited(Hint::RetryAfterSeconds, Duration::from_secs(60));
    let fake = Fake::start(Script::new().otherwise(limited)).await.unwrap();
    // What is called only when it is named has no say in whether the key rests.
    let guest = Guest::new("alpha", &fake).and_model("named", "default = false");
    let house = House::open(&[guest], "").await;
    assert_eq!(house.caller().chat("hi").await.status, 429);
    let alpha = alpha(&house).await;
    assert_eq!(alpha["keys"][0]["status"], "cooling", "{alpha}");
    assert_eq!((&alpha["available"], &alpha["because"]), (&true.into(), &"rate_limited".into()), "{alpha}");
    assert!(alpha["cooling_for_s"].as_u64().unwrap() > 50, "{alpha}");
}

#[tokio::test]
async fn what_only_its_owner_can_mend_makes_it_unavailable_and_says_why() {
    for (refusal, because) in [
        (Refusal::bad_key(), "bad_key"),
        (Refusal::no_money(), "no_money"),
        (Refusal::model_missing("alpha-model"), "model_missing"),
    ] {
        let fake = Fake::start(Script::new().otherwise(refusal)).await.unwrap();
        let house = House::open(&[Guest::new("alpha", &fake)], "").await;
        for attempts in ["1", "0"] {
            let got = house.caller().chat("hi").await;
            assert_eq!(
                (got.status.as_u16(), got.header("x-hermes-attempts")),
                (503, attempts),
                "{}",
                got.text()
            );
            assert!(got.text().contains("`hr status` says why"), "{}", got.text());
        }
        let alpha = alpha(&house).await;
        assert_eq!((&alpha["available"], &alpha["because"]), (&false.into(), &because.into()), "{alpha}");
        assert_eq!(alpha["model_caps"][0]["because"], because, "{alpha}");
    }
}
