//! The main job: asked, served, told by whom.

use hr_testkit::{Answer, End, Fake, Script};
use serde_json::json;

use crate::caller::question;
use crate::house::{Guest, House};

#[tokio::test]
async fn a_question_is_answered_and_the_headers_say_by_whom() {
    let fake = Fake::start(Script::new().otherwise(Answer::text("forty-two").usage(7, 3))).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake)], "").await;
    let got = house.caller().chat("what is the answer?").await;
    assert_eq!(got.status, 200);
    assert_eq!(got.said(), "forty-two");
    assert_eq!(got.header("x-provider"), "alpha");
    assert_eq!(got.header("x-hermes-model"), "alpha-model");
    assert_eq!(got.header("x-hermes-attempts"), "1");
    assert!(got.header("x-request-id").starts_with("req_"));
    let call = &fake.calls()[0];
    assert_eq!(call.model.as_deref(), Some("alpha-model"));
    assert_eq!(call.key.as_deref(), Some("sk-alpha-1"));
    assert!(call.headers["user-agent"].to_str().unwrap().starts_with("hermes-router/"));
}

#[tokio::test]
async fn a_stream_arrives_whole_and_in_order() {
    let fake =
        Fake::start(Script::new().otherwise(Answer::text("one two three four").chunks(4))).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake)], "").await;
    let got = house.caller().stream("count").await;
    assert_eq!(got.status, 200);
    assert_eq!(got.said(), "one two three four");
    assert!(got.done());
    assert_eq!(got.header("x-provider"), "alpha");
}

#[tokio::test]
async fn usage_in_a_stream_is_shown_to_those_who_asked() {
    let fake = Fake::start(Script::new().otherwise(Answer::text("hello").usage(5, 2))).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake)], "").await;
    let quiet = house.caller().stream("hi").await;
    assert!(quiet.events().iter().all(|event| event["usage"].is_null()), "{}", quiet.text());
    let mut body = question("hi");
    body["stream"] = json!(true);
    body["stream_options"] = json!({ "include_usage": true });
    let told = house.caller().post("/v1/chat/completions", &body).await;
    assert!(told.events().iter().any(|event| event["usage"]["prompt_tokens"] == 5), "{}", told.text());
    assert!(fake.calls().iter().all(|call| call.json()["stream_options"]["include_usage"] == true));
}

#[tokio::test]
async fn the_callers_bytes_reach_the_provider_with_only_the_model_replaced() {
    let fake = Fake::start(Script::new().otherwise(Answer::text("ok"))).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake)], "").await;
    let body = "{ \"messages\" : [ {\"role\":\"user\",\"content\":\"\\u00e4 \\/ 1e400\"} ],\n \"x_unknown\": \
                12345678901234567890123, \"model\":\"hermes-router\" , \"seed\" : 1 }";
    let caller = house.caller();
    let got = caller.send(caller.request("POST", "/v1/chat/completions", body)).await;
    assert_eq!(got.status, 200, "{}", got.text());
    let expected = body.replace("\"hermes-router\"", "\"alpha-model\"");
    assert_eq!(fake.calls()[0].body, expected.as_bytes());
}

#[tokio::test]
async fn a_caller_that_leaves_takes_the_upstream_call_with_it() {
    let slow = Answer::text("long").drip(100_000, std::time::Duration::from_millis(20));
    let fake = Fake::start(Script::new().otherwise(slow)).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake)], "").await;
    let caller = house.caller();
    let mut body = question("go on");
    body["stream"] = json!(true);
    let answer = caller.open(caller.request("POST", "/v1/chat/completions", body.to_string())).await;
    assert_eq!(answer.status(), 200);
    drop(answer);
    fake.settled().await;
    assert_eq!(fake.calls()[0].end(), Some(End::ClientLeft));
}

#[tokio::test]
async fn a_caller_that_leaves_before_the_answer_takes_the_upstream_call_with_it() {
    let fake = Fake::start(Script::new().otherwise(hr_testkit::Behaviour::HangBeforeHeaders)).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake)], "").await;
    let caller = house.caller();
    let asking = tokio::spawn(async move { caller.chat("hello?").await });
    fake.until(|calls| calls.len() == 1).await;
    asking.abort();
    fake.settled().await;
    assert_eq!(fake.calls()[0].end(), Some(End::ClientLeft));
}

#[tokio::test]
async fn embeddings_go_to_a_provider_that_has_them() {
    let fake = Fake::start(Script::new().dimensions(8)).await.unwrap();
    let plain = Fake::start(Script::new()).await.unwrap();
    let house = House::open(
        &[
            Guest::new("plain", &plain),
            Guest::new("alpha", &fake).extra("[embedding]\nmodel = \"alpha-embed\""),
        ],
        "",
    )
    .await;
    let got = house.caller().post("/v1/embeddings", &json!({ "model": "any", "input": ["a", "b"] })).await;
    assert_eq!(got.status, 200, "{}", got.text());
    assert_eq!(got.json()["data"].as_array().unwrap().len(), 2);
    assert_eq!(got.header("x-provider"), "alpha");
    assert_eq!(fake.calls()[0].model.as_deref(), Some("alpha-embed"));
}

#[tokio::test]
async fn models_list_the_router_first() {
    let fake = Fake::start(Script::new()).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake)], "").await;
    let models = house.caller().get("/v1/models").await.json();
    let ids: Vec<&str> =
        models["data"].as_array().unwrap().iter().map(|m| m["id"].as_str().unwrap()).collect();
    assert_eq!(
        ids,
        ["hermes-router", "hermes-router:fast", "hermes-router:best", "hermes-router:frugal", "alpha-model"]
    );
    let one = house.caller().get("/v1/models/alpha-model").await;
    assert_eq!(one.json()["owned_by"], "alpha");
    assert_eq!(house.caller().get("/v1/models/nobody").await.status, 404);
}

#[tokio::test]
async fn strangers_and_other_names_are_turned_away() {
    let fake = Fake::start(Script::new()).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake)], "").await;
    let got = house.stranger().chat("hi").await;
    assert_eq!(got.status, 401);
    assert_eq!(got.json()["error"]["code"], "invalid_api_key");
    assert_eq!(house.stranger().get("/health").await.status, 200);
    assert_eq!(house.stranger().get("/metrics").await.status, 200);
    let caller = house.caller();
    let mut request = caller.request("GET", "/v1/models", "");
    request.headers_mut().insert("host", "evil.example".parse().unwrap());
    assert_eq!(caller.send(request).await.status, 403);
    let mut request = caller.request("POST", "/v1/chat/completions", question("hi").to_string());
    request.headers_mut().insert("origin", "https://evil.example".parse().unwrap());
    assert_eq!(caller.send(request).await.status, 403);
    assert!(fake.calls().is_empty());
}

#[tokio::test]
async fn unknown_paths_and_methods_are_refused_in_json() {
    let fake = Fake::start(Script::new()).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake)], "").await;
    let caller = house.caller();
    let got = caller.get("/v1/nowhere").await;
    assert_eq!((got.status.as_u16(), got.json()["error"]["code"].as_str()), (404, Some("unknown_url")));
    let got = caller.get("/v1/chat/completions").await;
    assert_eq!(got.status, 405);
    assert_eq!(got.header("allow"), "POST");
}

#[tokio::test]
async fn a_pinned_model_goes_to_its_provider_only() {
    let (a, b) = (Fake::start(Script::new()).await.unwrap(), Fake::start(Script::new()).await.unwrap());
    let house = House::open(&[Guest::new("alpha", &a), Guest::new("bravo", &b)], "").await;
    for _ in 0..4 {
        let mut body = question("hi");
        body["model"] = json!("bravo/bravo-model");
        let got = house.caller().post("/v1/chat/completions", &body).await;
        assert_eq!(got.header("x-provider"), "bravo");
    }
    assert!(a.calls().is_empty());
}

#[tokio::test]
async fn strict_names_refuse_what_nobody_knows() {
    let fake = Fake::start(Script::new()).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake)], "STRICT_MODELS=1").await;
    let mut body = question("hi");
    body["model"] = json!("no-such-model");
    let got = house.caller().post("/v1/chat/completions", &body).await;
    assert_eq!((got.status.as_u16(), got.json()["error"]["code"].as_str()), (404, Some("model_not_found")));
}

#[tokio::test]
async fn a_pinned_model_need_not_be_listed() {
    let (a, b) = (Fake::start(Script::new()).await.unwrap(), Fake::start(Script::new()).await.unwrap());
    let house = House::open(&[Guest::new("alpha", &a), Guest::new("bravo", &b)], "").await;
    let mut body = question("hi");
    body["model"] = json!("bravo/vendor/of-tomorrow");
    let got = house.caller().post("/v1/chat/completions", &body).await;
    assert_eq!(
        (got.status.as_u16(), got.header("x-hermes-model")),
        (200, "vendor/of-tomorrow"),
        "{}",
        got.text()
    );
    assert_eq!(b.calls()[0].model.as_deref(), Some("vendor/of-tomorrow"));
    assert!(a.calls().is_empty());
}

#[tokio::test]
async fn a_model_that_is_excluded_is_not_called_for_those_who_name_it_either() {
    let fake = Fake::start(Script::new()).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake)], "ALPHA_EXCLUDE_MODELS=dear,Vendor/Dearer").await;
    for model in ["alpha/dear", "alpha/DEAR", "ALPHA/vendor/dearer"] {
        let mut body = question("hi");
        body["model"] = json!(model);
        let got = house.caller().post("/v1/chat/completions", &body).await;
        assert_eq!(
            (got.status.as_u16(), got.json()["error"]["code"].as_str()),
            (404, Some("model_not_found")),
            "{model}: {}",
            got.text()
        );
    }
    assert!(fake.calls().is_empty());
    assert_eq!(house.caller().chat("hi").await.status.as_u16(), 200);
}

#[tokio::test]
async fn a_model_that_is_known_but_no_default_is_used_when_it_is_named() {
    let fake = Fake::start(Script::new()).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake).and_model("spare", "default = false")], "").await;
    for _ in 0..4 {
        assert_eq!(house.caller().chat("hi").await.header("x-hermes-model"), "alpha-model");
    }
    let mut body = question("hi");
    body["model"] = json!("spare");
    assert_eq!(house.caller().post("/v1/chat/completions", &body).await.header("x-hermes-model"), "spare");
}

#[tokio::test]
async fn an_embedding_model_that_is_named_is_kept_to() {
    let (a, b) = (Fake::start(Script::new()).await.unwrap(), Fake::start(Script::new()).await.unwrap());
    let embeds = |model: &str| format!("[embedding]\nmodel = \"{model}\"");
    let (first, second) = (embeds("a-embed"), embeds("b-embed"));
    let guests = [Guest::new("alpha", &a).extra(&first), Guest::new("bravo", &b).extra(&second)];
    let house = House::open(&guests, "").await;
    for (model, provider) in [("b-embed", "bravo"), ("any", "alpha"), ("bravo/b-embed", "bravo")] {
        let got = house.caller().post("/v1/embeddings", &json!({ "model": model, "input": "x" })).await;
        assert_eq!(got.header("x-provider"), provider, "{model}: {}", got.text());
    }
}
