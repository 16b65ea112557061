//! What models can do is found out in the background, and never costs anything.

use std::time::Duration;

use hermes_router::scout;
use hr_core::route::Table;
use hr_testkit::{Answer, Behaviour, Call, Fake, Hint, Match, Refusal, Script};
use serde_json::{Value, json};

use crate::house::{Guest, House};

/// What `/v1/status` says of one ability of a provider's model.
async fn ability(house: &House, provider: &str, at: usize, ability: &str) -> Value {
    let mut status = house.caller().get("/v1/status").await.json();
    let place = format!("/providers/{provider}/model_caps/{at}/abilities/{ability}");
    status.pointer_mut(&place).map(Value::take).unwrap_or_default()
}

/// The same once it is known.
async fn known(house: &House, provider: &str, at: usize, name: &str) -> Value {
    for _ in 0..500 {
        let known = ability(house, provider, at, name).await;
        if !known.is_null() {
            return known;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nothing is known of `{name}`: {}", house.caller().get("/v1/status").await.json());
}

fn asked(calls: &[Call]) -> Vec<&Call> {
    calls.iter().filter(|call| call.path.ends_with("/chat/completions")).collect()
}

fn called() -> Answer {
    Answer::tool("get_weather", r#"{"city":"Oslo"}"#)
}

/// A list of models, in place of the fake's own.
fn list(models: Value) -> Behaviour {
    Behaviour::raw(200, json!({ "object": "list", "data": models }).to_string())
}

#[tokio::test]
async fn a_model_of_which_nobody_told_is_asked_once() {
    let fake = Fake::start(Script::new().otherwise(called())).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake).keys(3)], "").await;
    scout::spawn(&house.gate);
    let tools = known(&house, "alpha", 0, "tools").await;
    assert_eq!((&tools["value"], &tools["source"]), (&json!(true), &json!("probed")), "{tools}");
    assert!(tools["age_s"].as_u64().unwrap() < 60);
    let calls = fake.calls();
    let asked = asked(&calls);
    assert_eq!(asked.len(), 1, "one key of three");
    assert!(asked[0].json()["max_tokens"].as_u64().unwrap() <= 64);
    // It counts like any other call.
    let status = house.caller().get("/v1/status").await.json();
    assert_eq!(status["providers"]["alpha"]["stats"]["total_requests"], 1);
    // And it is kept.
    let kept = house.gate.router().changes();
    let kept = kept.iter().find(|change| change.table == Table::Capabilities).unwrap();
    assert_eq!(kept.id, "alpha/alpha-model");
    assert!(kept.kept.as_ref().unwrap().contains("probed"));
}

#[tokio::test]
async fn a_list_that_tells_saves_the_question() {
    let models = json!([{"id": "alpha-model", "context_length": 8_000, "supported_parameters": ["temperature"],
        "architecture": {"input_modalities": ["text", "image"]}, "top_provider": {"max_completion_tokens": 900}}]);
    let script = Script::new().otherwise(called()).always(Match::path("/models"), list(models));
    let fake = Fake::start(script).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake)], "").await;
    scout::spawn(&house.gate);
    let tools = known(&house, "alpha", 0, "tools").await;
    assert_eq!((&tools["value"], &tools["source"]), (&json!(false), &json!("listed")));
    assert_eq!(ability(&house, "alpha", 0, "vision").await["value"], true);
    assert_eq!(ability(&house, "alpha", 0, "context").await["value"], 8_000);
    assert_eq!(ability(&house, "alpha", 0, "max_output").await["value"], 900);
    assert!(asked(&fake.calls()).is_empty(), "{:?}", fake.calls());
}

#[tokio::test]
async fn what_the_user_has_set_is_not_asked_and_not_overruled() {
    let models = json!([{"id": "alpha-model", "supported_parameters": ["tools"]}]);
    let script = Script::new().otherwise(called()).always(Match::path("/models"), list(models));
    let fake = Fake::start(script).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake)], "ALPHA_SUPPORTS_TOOLS=0").await;
    scout::spawn(&house.gate);
    assert_eq!(known(&house, "alpha", 0, "structured_output").await["source"], "listed");
    let tools = ability(&house, "alpha", 0, "tools").await;
    assert_eq!(tools, json!({ "value": false, "source": "override", "age_s": null }));
    assert!(asked(&fake.calls()).is_empty());
}

#[tokio::test]
async fn a_paid_model_is_never_asked_and_neither_is_any_when_that_is_switched_off() {
    let paid = Fake::start(Script::new().otherwise(called())).await.unwrap();
    let free = Fake::start(Script::new().otherwise(called())).await.unwrap();
    let guests = || {
        let paid =
            Guest::new("dear", &paid).model("m", "spend = \"paid\"").and_model("n", "spend = \"included\"");
        [paid, Guest::new("alpha", &free)]
    };
    let house = House::open(&guests(), "SPEND=paid").await;
    scout::spawn(&house.gate);
    known(&house, "alpha", 0, "tools").await;
    paid.until(|calls| !calls.is_empty()).await;
    paid.settled().await;
    assert!(asked(&paid.calls()).is_empty(), "a list costs nothing, a question does");

    let quiet = House::open(&guests(), "PROBE_AT_START=0").await;
    let before = asked(&free.calls()).len();
    let lists = paid.calls().len();
    scout::spawn(&quiet.gate);
    paid.until(|calls| calls.len() > lists).await;
    // Its list is fetched by the same round that would have asked.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(asked(&free.calls()).len(), before);
}

#[tokio::test]
async fn a_bad_key_says_nothing_of_the_model_and_the_next_key_is_asked() {
    let script = Script::new()
        .otherwise(called())
        .always(Match::key("sk-alpha-1"), Refusal::bad_key())
        .always(Match::key("sk-alpha-2"), Refusal::bad_key());
    let fake = Fake::start(script).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake).keys(3)], "ROTATION_MODE=sequential").await;
    scout::spawn(&house.gate);
    assert_eq!(known(&house, "alpha", 0, "tools").await["value"], true);

    let broken = Fake::start(Script::new().otherwise(Refusal::bad_key())).await.unwrap();
    let house = House::open(&[Guest::new("beta", &broken)], "").await;
    scout::spawn(&house.gate);
    broken
        .until(|calls| {
            calls.iter().any(|call| call.path.ends_with("/chat/completions") && call.ended.is_some())
        })
        .await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(ability(&house, "beta", 0, "tools").await, Value::Null, "unknown, not no");
}

#[tokio::test]
async fn a_refusal_of_tools_is_a_no_and_one_of_speed_is_not() {
    let refuses =
        Refusal::new(400, "invalid_request_error", "", "this model does not support tools").param("tools");
    let without = Fake::start(Script::new().otherwise(refuses)).await.unwrap();
    let limited = Behaviour::rate_limited(Hint::RetryAfterSeconds, Duration::from_secs(60));
    let busy = Fake::start(Script::new().otherwise(limited)).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &without), Guest::new("busy", &busy)], "").await;
    scout::spawn(&house.gate);
    let tools = known(&house, "alpha", 0, "tools").await;
    assert_eq!((&tools["value"], &tools["source"]), (&json!(false), &json!("probed")));
    busy.until(|calls| {
        calls.iter().any(|call| call.path.ends_with("/chat/completions") && call.ended.is_some())
    })
    .await;
    assert_eq!(ability(&house, "busy", 0, "tools").await, Value::Null);
    assert_eq!(asked(&busy.calls()).len(), 1, "nobody is asked again at once");
}

#[tokio::test]
async fn a_real_refusal_is_remembered_with_its_source() {
    let refuses =
        Refusal::new(400, "invalid_request_error", "", "this model does not support tools").param("tools");
    let fake = Fake::start(Script::new().otherwise(refuses)).await.unwrap();
    let other = Fake::start(Script::new().otherwise(called())).await.unwrap();
    let guests = [
        Guest::new("alpha", &fake).model("a", "tools = true\nrating = 1"),
        Guest::new("beta", &other).model("b", "tools = true\nrating = 3"),
    ];
    let house = House::open(&guests, "PROBE_AT_START=0").await;
    assert_eq!(ability(&house, "alpha", 0, "tools").await["source"], "catalog");
    scout::spawn(&house.gate);
    let body = json!({
        "model": "hermes-best", "messages": [{"role": "user", "content": "prove that this compiler is right"}],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    });
    assert_eq!(house.caller().post("/v1/chat/completions", &body).await.status, 200);
    for (provider, value, source) in [("alpha", false, "refusal"), ("beta", true, "served")] {
        let mut tools = Value::Null;
        for _ in 0..500 {
            tools = ability(&house, provider, 0, "tools").await;
            if tools["source"] == source {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!((&tools["value"], &tools["source"]), (&json!(value), &json!(source)), "{provider}");
    }
}

#[tokio::test]
async fn models_are_added_from_the_list_where_that_is_wanted() {
    let models = json!([
        {"id": "old"},
        {"id": "text-embedding-9"},
        {"id": "dear", "pricing": {"prompt": "0.00001", "completion": "0.00003"}},
        {"id": "new-70b", "pricing": {"prompt": "0", "completion": "0"}},
        {"id": "banned", "pricing": {"prompt": "0", "completion": "0"}},
        {"id": "tiny-1b", "pricing": {"prompt": "0", "completion": "0"}},
    ]);
    let script = Script::new().otherwise(Answer::text("ok")).always(Match::path("/models"), list(models));
    let fake = Fake::start(script).await.unwrap();
    let guests = [Guest::new("alpha", &fake).model("old", "tools = true").and_model("gone", "")];
    let settings =
        "PROBE_AT_START=0\nAUTO_DISCOVER_MODELS=1\nAUTO_DISCOVER_MODEL_LIMIT=3\nALPHA_EXCLUDE_MODELS=banned";
    let house = House::open(&guests, settings).await;
    scout::spawn(&house.gate);
    let mut ids = Vec::new();
    for _ in 0..500 {
        let status = house.caller().get("/v1/status").await.json();
        ids = status["providers"]["alpha"]["models"].as_array().unwrap().clone();
        if ids.len() == 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(ids, [json!("old"), json!("new-70b"), json!("tiny-1b")]);
    let listed = house.caller().get("/v1/models").await.json().to_string();
    assert!(listed.contains("new-70b") && !listed.contains("dear") && !listed.contains("banned"), "{listed}");
}

#[tokio::test]
async fn a_list_also_tells_of_the_models_that_it_has_added() {
    let models = json!([
        {"id": "old", "context_length": 9_000, "supported_parameters": ["tools"]},
        {"id": "added", "context_length": 7_000, "supported_parameters": ["temperature"]},
    ]);
    let script = Script::new().otherwise(called()).always(Match::path("/models"), list(models));
    let fake = Fake::start(script).await.unwrap();
    let guests = [Guest::new("alpha", &fake).model("old", "")];
    let house = House::open(&guests, "AUTO_DISCOVER_MODELS=1").await;
    scout::spawn(&house.gate);
    let context = known(&house, "alpha", 1, "context").await;
    assert_eq!((&context["value"], &context["source"]), (&json!(7_000), &json!("listed")));
    let tools = ability(&house, "alpha", 1, "tools").await;
    assert_eq!((&tools["value"], &tools["source"]), (&json!(false), &json!("listed")));
    assert!(asked(&fake.calls()).is_empty(), "nothing is left to ask: {:?}", fake.calls());
    assert_eq!(fake.calls().len(), 1, "one list is enough");
}

#[tokio::test]
async fn what_was_found_out_survives_a_restart_and_is_not_asked_again() {
    let fake = Fake::start(Script::new().otherwise(called())).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake)], "").await;
    scout::spawn(&house.gate);
    known(&house, "alpha", 0, "tools").await;
    let kept = house.gate.router().changes();
    let calls = fake.calls().len();

    let again = House::open(&[Guest::new("alpha", &fake)], "").await;
    assert_eq!(again.gate.router().restore(again.gate.clock.now(), kept), 0);
    scout::spawn(&again.gate);
    assert_eq!(known(&again, "alpha", 0, "tools").await["source"], "probed");
    assert_eq!(fake.calls().len(), calls, "neither list nor model was asked");
}
