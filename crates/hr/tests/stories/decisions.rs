//! Why a request went where it went: each leaves a record, which its answer names.

use std::sync::Arc;
use std::time::Duration;

use hermes_router::store;
use hr_core::route::record::{MADE_UP, MAX_BYTES, Outcome, Record};
use hr_core::route::replay::{Replay, replay};
use hr_core::time::Millis;
use hr_testkit::{Answer, Behaviour, Ending, Fake, Hint, Match, Refusal, Script};
use serde_json::json;

use crate::caller::{Caller, Got, question};
use crate::house::{Guest, House};

const UPSTREAM: &str = "canary-upstream-7c11d0";
const PROMPT: &str = "canary-prompt-4ab9d2";
const HEADER: &str = "canary-header-09f3e1";
const MADE_UP_MODEL: &str = "canary-model-c0ffee";

/// The record that an answer names.
async fn record(caller: &Caller, got: &Got) -> Record {
    let id = got.header("x-hermes-decision");
    assert_eq!(id, got.header("x-request-id"), "one id for both");
    let kept = caller.get(&format!("/v1/decisions/{id}")).await;
    assert_eq!(kept.status, 200, "{}", kept.text());
    assert!(kept.body.len() <= MAX_BYTES, "{}", kept.text());
    let record: Record = serde_json::from_slice(&kept.body).unwrap();
    assert_eq!(record.id, id);
    assert!(matches!(replay(&record), Replay::Same { .. }), "{:?}: {}", replay(&record), kept.text());
    record
}

async fn answers() -> Fake {
    Fake::start(Script::new().otherwise(Answer::text("a b c"))).await.unwrap()
}

#[tokio::test]
async fn an_answer_names_its_record_whole_or_streamed() {
    let fake = answers().await;
    let house = House::open(&[Guest::new("alpha", &fake).keys(3)], "").await;
    let caller = house.caller();
    for streamed in [false, true] {
        let got = if streamed { caller.stream("hi").await } else { caller.chat("hi").await };
        assert_eq!(got.status, 200);
        let record = record(&caller, &got).await;
        assert_eq!((record.status, record.ended.as_ref(), record.attempts.len()), (200, "well", 1));
        assert_eq!(record.attempts[0].outcome, Outcome::Answered);
        assert_eq!(record.attempts[0].who.provider, "alpha");
        assert!(record.usage.output.is_some(), "{record:?}");
        assert_eq!(record.catalog.len(), 12);
        let plan = &record.plans[0];
        assert_eq!((plan.candidates[0].count, plan.candidates[0].model.as_str()), (3, "alpha-model"));
        assert_eq!(caller.get("/v1/decisions/last").await.json()["id"], got.header("x-hermes-decision"));
    }
}

#[tokio::test]
async fn the_way_through_failures_is_told_call_by_call() {
    let limited = Behaviour::rate_limited(Hint::RetryAfterSeconds, Duration::from_secs(60));
    let dry = Fake::start(Script::new().otherwise(limited)).await.unwrap();
    let fake = answers().await;
    let guests = [
        Guest::new("alpha", &dry).keys(2).model("m", "rating = 5"),
        Guest::new("beta", &fake).model("m", "rating = 4"),
    ];
    let house = House::open(&guests, "").await;
    let caller = house.caller();
    let got = caller.chat("hi").await;
    let told = record(&caller, &got).await;
    assert_eq!(got.header("x-hermes-attempts"), told.attempts.len().to_string());
    let (last, failed) = told.attempts.split_last().unwrap();
    assert!(!failed.is_empty(), "{told:?}");
    for call in failed {
        assert_eq!((call.who.provider.as_str(), call.status), ("alpha", Some(429)), "{told:?}");
        assert!(matches!(call.outcome, Outcome::Failed(_)));
    }
    assert_eq!((last.who.provider.as_str(), last.outcome), ("beta", Outcome::Answered));
    // The next one knows beforehand, and says so.
    let next = record(&caller, &caller.chat("hi").await).await;
    assert_eq!(next.attempts.len(), 1, "{next:?}");
    let passed_over = &next.plans[0].excluded[0];
    assert!(["cooldown", "quota"].contains(&passed_over.gate.as_ref()), "{next:?}");
    assert!(passed_over.until.is_some() && passed_over.who[0].starts_with("alpha/m"), "{next:?}");
}

#[tokio::test]
async fn refusals_have_records_too() {
    let fake = Fake::start(Script::new().otherwise(Refusal::bad_key())).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake)], "").await;
    let caller = house.caller();
    let got = caller.chat("hi").await;
    assert_eq!(got.status, 503, "{}", got.text());
    let told = record(&caller, &got).await;
    assert_eq!((told.status, told.plans.len()), (503, 2));
    assert_eq!(told.plans[1].chosen, None);
    // Refused before anything was planned.
    let got = caller.post("/v1/chat/completions", &json!({ "model": "m" })).await;
    assert_eq!(got.status, 400);
    let told = record(&caller, &got).await;
    assert_eq!((told.status, told.ask, told.plans.len(), told.attempts.len()), (400, None, 0, 0));
}

#[tokio::test]
async fn a_stream_that_breaks_off_or_is_left_says_so() {
    let script = Script::new().otherwise(Answer::text("a b c d").chunks(4).ending(Ending::NoFinish(2)));
    let fake = Fake::start(script).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake)], "").await;
    let caller = house.caller();
    let got = caller.stream("hi").await;
    assert_eq!(record(&caller, &got).await.ended, "cut");
}

#[tokio::test]
async fn unknown_ids_are_refused_and_strangers_learn_nothing() {
    let fake = answers().await;
    let house = House::open(&[Guest::new("alpha", &fake)], "").await;
    for (id, code) in [("last", "decision_not_found"), ("req_1", "decision_not_found")] {
        let got = house.caller().get(&format!("/v1/decisions/{id}")).await;
        assert_eq!((got.status.as_u16(), &got.json()["error"]["code"]), (404, &json!(code)));
    }
    assert_eq!(house.caller().chat("hi").await.status, 200);
    for path in ["/v1/decisions/last", "/v1/explain"] {
        assert_eq!(house.stranger().get(path).await.status, 401);
    }
}

#[tokio::test]
async fn no_text_of_a_request_and_no_secret_is_in_a_record() {
    let script = Script::new()
        .always(Match::model("echo"), Refusal::caller_mistake().echoing_the_key())
        .always(Match::model("down"), Refusal::server_error().echoing_the_key())
        .otherwise(Answer::text("fine"));
    let fake = Fake::start(script).await.unwrap();
    let guest = Guest::new("alpha", &fake)
        .key_list(&[UPSTREAM])
        .and_model("echo", "default = false")
        .and_model("down", "default = false");
    let house = House::open(&[guest], "").await;
    let caller = house.caller();
    for model in ["hermes-router", "alpha/echo", "alpha/down", PROMPT, &format!("alpha/{MADE_UP_MODEL}")] {
        for stream in [false, true] {
            let mut body = question(PROMPT);
            body["model"] = json!(model);
            body["stream"] = json!(stream);
            body["user"] = json!(PROMPT);
            body[PROMPT] = json!(PROMPT);
            let mut request = caller.request("POST", "/v1/chat/completions", body.to_string());
            for name in ["x-anything", "x-hermes-session-affinity", "x-hermes-profile", "session_id"] {
                request.headers_mut().insert(name, HEADER.parse().unwrap());
            }
            let got = caller.send(request).await;
            let told = record(&caller, &got).await;
            let json = serde_json::to_string(&told).unwrap();
            for secret in [UPSTREAM, PROMPT, HEADER, MADE_UP_MODEL, crate::house::KEY] {
                assert!(!json.contains(secret), "{secret} is in {json}");
            }
            assert_eq!(json.contains(MADE_UP), model.ends_with(MADE_UP_MODEL), "{json}");
        }
    }
}

#[tokio::test]
async fn what_left_the_memory_is_found_in_the_store() {
    let fake = answers().await;
    let house = House::open(&[Guest::new("alpha", &fake)], "").await;
    let folder = tempfile::tempdir().unwrap();
    let opened = store::open(&folder.path().join("state.db"), None, Millis(1)).unwrap();
    house.gate.keep(opened).unwrap();
    let caller = house.caller();
    let first = caller.chat("hi").await;
    let told = record(&caller, &first).await;
    house.gate.store().unwrap().close();
    let reader = store::Reader::open(&folder.path().join("state.db")).unwrap().unwrap();
    let kept = reader.decision(&told.id).unwrap().unwrap();
    assert_eq!(serde_json::from_slice::<Record>(&kept.record).unwrap(), told);
    let diary = Arc::clone(&house.gate.diary);
    assert_eq!(diary.find(Some(&told.id)).unwrap().unwrap(), kept.record);
}

#[tokio::test]
async fn a_request_is_explained_without_being_sent() {
    let fake = answers().await;
    let guests = [
        Guest::new("alpha", &fake).model("m", "rating = 2\ntools = true"),
        Guest::new("beta", &fake).model("n", "tools = false"),
    ];
    let house = House::open(&guests, "").await;
    let caller = house.caller();
    let explained = caller.get("/v1/explain?tools=1&tokens=500").await.json();
    assert_eq!((&explained["state"], &explained["ask"]["tokens"]), (&json!("live"), &json!(500)));
    let candidates = explained["plan"]["candidates"].as_array().unwrap();
    assert_eq!((candidates.len(), &candidates[0]["provider"]), (1, &json!("alpha")), "{explained}");
    let excluded = &explained["plan"]["excluded"][0];
    assert_eq!((&excluded["gate"], &excluded["who"]), (&json!("tools"), &json!(["beta/n"])), "{explained}");
    let pinned = caller.get("/v1/explain?model=beta%2Fn").await.json();
    assert_eq!(pinned["plan"]["candidates"][0]["model"], "n", "{pinned}");
    assert_eq!(caller.get("/v1/explain?colour=red").await.status, 400);
    assert_eq!(caller.get("/v1/explain?tools=perhaps").await.status, 400);
    assert_eq!(fake.calls().len(), 0, "nothing was sent");
}
