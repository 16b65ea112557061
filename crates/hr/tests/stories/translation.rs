//! What a translation loses, and what must not get lost or into the wrong hands on the way.

use hr_testkit::{Answer, Dialect, Fake, Match, Refusal, Script};
use serde_json::{Value, json};

use crate::caller::{Got, question};
use crate::dialects::{Client, speaking};
use crate::house::{Guest, House};

async fn strictly(house: &House, path: &str, body: &Value) -> Got {
    let caller = house.caller();
    let mut request = caller.request("POST", path, body.to_string());
    request.headers_mut().insert("x-hermes-strict", "1".parse().unwrap());
    caller.send(request).await
}

/// A chat request with something that no other dialect has.
fn rich() -> Value {
    let mut body = question("hello");
    body["logit_bias"] = json!({ "50256": -100 });
    body
}

#[tokio::test]
async fn what_gets_lost_is_named_and_refused_to_who_wants_nothing_lost() {
    let fake = Fake::speaking(Dialect::Anthropic, Script::new()).await.unwrap();
    let house = House::open(&[speaking("alpha", &fake)], "").await;
    let got = house.caller().post("/v1/chat/completions", &rich()).await;
    assert_eq!(got.status, 200, "{}", got.text());
    assert!(got.header("x-hermes-loss").contains("logit_bias"), "{}", got.header("x-hermes-loss"));

    let got = strictly(&house, "/v1/chat/completions", &rich()).await;
    assert_eq!(got.status, 400, "{}", got.text());
    assert_eq!(got.json()["error"]["code"], "would_lose", "{}", got.text());
    assert!(got.text().contains("logit_bias"), "{}", got.text());
    assert_eq!(fake.calls().len(), 1);

    let got = strictly(&house, "/v1/chat/completions", &question("hello")).await;
    assert_eq!((got.status.as_u16(), got.header("x-hermes-loss")), (200, ""), "{}", got.text());
}

#[tokio::test]
async fn who_loses_nothing_is_preferred() {
    let lossy = Fake::speaking(Dialect::Anthropic, Script::new()).await.unwrap();
    let exact = Fake::start(Script::new()).await.unwrap();
    let guests = [speaking("lossy", &lossy), Guest::new("exact", &exact)];
    let house = House::open(&guests, "").await;
    for _ in 0..4 {
        let got = house.caller().post("/v1/chat/completions", &rich()).await;
        assert_eq!((got.header("x-provider"), got.header("x-hermes-loss")), ("exact", ""), "{}", got.text());
        let got = strictly(&house, "/v1/chat/completions", &rich()).await;
        assert_eq!(got.header("x-provider"), "exact", "{}", got.text());
    }
}

#[tokio::test]
async fn what_the_user_shows_goes_to_who_can_take_it_or_to_nobody() {
    let mut body = question("What is it?");
    let sound = json!({"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}});
    body["messages"] = json!([{"role": "user", "content": [sound]}]);
    let deaf = Fake::speaking(Dialect::Anthropic, Script::new()).await.unwrap();
    let house = House::open(&[speaking("deaf", &deaf)], "").await;
    let got = house.caller().post("/v1/chat/completions", &body).await;
    assert_eq!(got.status, 422, "{}", got.text());
    assert_eq!(got.json()["error"]["code"], "unsupported_content", "{}", got.text());
    assert!(deaf.calls().is_empty(), "nobody is asked about what is gone");

    let hears = Fake::start(Script::new()).await.unwrap();
    let house = House::open(&[speaking("deaf", &deaf), Guest::new("hears", &hears)], "").await;
    let got = house.caller().post("/v1/chat/completions", &body).await;
    assert_eq!((got.status.as_u16(), got.header("x-provider")), (200, "hears"), "{}", got.text());
}

#[tokio::test]
async fn a_conversation_of_nothing_is_asked_of_nobody() {
    let fake = Fake::start(Script::new()).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake)], "").await;
    let body = json!({"model": "auto", "input": [{"type": "bogus"}]});
    let got = house.caller().post("/v1/responses", &body).await;
    assert_eq!(got.status, 400, "{}", got.text());
    assert_eq!(got.json()["error"]["code"], "empty_conversation", "{}", got.text());
    assert!(fake.calls().is_empty());
}

#[tokio::test]
async fn what_a_provider_leaves_out_counts_for_who_wants_nothing_lost() {
    let fake = Fake::start(Script::new()).await.unwrap();
    let drops = Guest::new("alpha", &fake).extra("[quirks]\ndrop = [\"logit_bias\"]\n");
    let house = House::open(&[drops], "").await;
    let got = strictly(&house, "/v1/chat/completions", &rich()).await;
    assert_eq!(got.status, 400, "{}", got.text());
    assert!(got.text().contains("logit_bias"), "{}", got.text());
    assert!(fake.calls().is_empty());
}

/// The turn after a call of a tool, as a caller of chat sends it back: without any reasoning.
fn after_the_call(reply: &Value) -> Value {
    let call = &reply["choices"][0]["message"]["tool_calls"][0];
    let mut body = question("look at the file");
    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(json!({ "role": "assistant", "content": null, "tool_calls": [call] }));
    messages.push(json!({ "role": "tool", "tool_call_id": call["id"], "content": "it is empty" }));
    with_tool(body)
}

fn with_tool(mut body: Value) -> Value {
    body["tools"] = json!([{ "type": "function",
        "function": { "name": "look", "parameters": { "type": "object", "properties": {} } } }]);
    body["reasoning_effort"] = json!("high");
    body
}

#[tokio::test]
async fn a_turn_gets_back_the_reasoning_that_its_caller_cannot_carry() {
    let answer = Answer::tool("look", "{}").reasoning("a file is to be looked at");
    for stream in [false, true] {
        let script = Script::new().once(Match::any(), [answer.clone()]).otherwise(Answer::text("done"));
        let fake = Fake::speaking(Dialect::Anthropic, script).await.unwrap();
        let guest = speaking("alpha", &fake).model("alpha-model", "reasoning = true\nmax_output = 64000");
        let house = House::open(&[guest], "").await;
        let mut body = with_tool(question("look at the file"));
        body["stream"] = json!(stream);
        let got = house.caller().post("/v1/chat/completions", &body).await;
        assert_eq!(got.status, 200, "{}", got.text());
        let reply = if stream {
            let delta = |event: &Value| event["choices"][0]["delta"]["tool_calls"][0].clone();
            let events = got.events();
            let mut call = events.iter().map(delta).find(|call| call["id"].is_string()).unwrap();
            call["function"]["arguments"] = json!("{}");
            call.as_object_mut().unwrap().remove("index");
            json!({ "choices": [{ "message": { "tool_calls": [call] } }] })
        } else {
            got.json()
        };
        let got = house.caller().post("/v1/chat/completions", &after_the_call(&reply)).await;
        assert_eq!(got.status, 200, "{}", got.text());
        let sent = fake.calls()[1].json();
        let turn = &sent["messages"][1]["content"];
        assert_eq!(turn[0]["type"], "thinking", "stream {stream}: {sent}");
        assert_eq!(turn[0]["thinking"], "a file is to be looked at", "{sent}");
        assert!(turn[0]["signature"].as_str().is_some_and(|signature| !signature.is_empty()), "{sent}");
        assert!(fake.violations().is_empty(), "{:?}", fake.violations());
    }
}

/// Some providers number the calls of each conversation from the same beginning.
#[tokio::test]
async fn a_turn_gets_nothing_of_another_whose_call_has_the_same_id() {
    let answer =
        Answer::empty().and_tool("look:0", "look", r#"{"path":"a"}"#).reasoning("a is to be looked at");
    let script = Script::new().once(Match::any(), [answer]).otherwise(Answer::text("done"));
    let fake = Fake::start(script).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake)], "").await;
    let mut body = Client::Messages.question("look at it", false);
    body["tools"] = json!([{ "name": "look", "input_schema": { "type": "object", "properties": {} } }]);
    let reply = house.caller().post("/v1/messages", &body).await.json();
    let call = reply["content"].as_array().unwrap().iter().find(|block| block["type"] == "tool_use").unwrap();
    for (path, is_it) in [("b", false), ("a", true)] {
        let mut body = body.clone();
        let mut call = call.clone();
        call["input"]["path"] = json!(path);
        let result = json!({ "type": "tool_result", "tool_use_id": call["id"], "content": "it is empty" });
        let messages = body["messages"].as_array_mut().unwrap();
        messages.push(json!({ "role": "assistant", "content": [call] }));
        messages.push(json!({ "role": "user", "content": [result] }));
        let got = house.caller().post("/v1/messages", &body).await;
        assert_eq!(got.status, 200, "{}", got.text());
        let sent = fake.calls().last().unwrap().json().to_string();
        assert_eq!(sent.contains("a is to be looked at"), is_it, "{path}: {sent}");
    }
}

#[tokio::test]
async fn what_one_account_sealed_is_not_shown_to_another() {
    let answer = Answer::tool("look", "{}").reasoning("secret thoughts");
    let script = Script::new().once(Match::any(), [answer]).otherwise(Answer::text("done"));
    let first = Fake::speaking(Dialect::Anthropic, script.clone()).await.unwrap();
    let second =
        Fake::speaking(Dialect::Anthropic, Script::new().otherwise(Answer::text("done"))).await.unwrap();
    let guest = |id, fake| {
        speaking(id, fake).model(
            if id == "alpha" { "alpha-model" } else { "bravo-model" },
            "reasoning = true\nmax_output = 64000",
        )
    };
    let house = House::open(&[guest("alpha", &first)], "").await;
    let mut body = Client::Messages.question("look at the file", false);
    body["max_tokens"] = json!(4000);
    body["thinking"] = json!({ "type": "enabled", "budget_tokens": 2000 });
    body["tools"] = json!([{ "name": "look", "input_schema": { "type": "object", "properties": {} } }]);
    let reply = house.caller().post("/v1/messages", &body).await.json();
    assert_eq!(reply["content"][0]["type"], "thinking", "{reply}");
    let seal = reply["content"][0]["signature"].as_str().unwrap().to_owned();
    let call = reply["content"]
        .as_array()
        .unwrap()
        .iter()
        .find(|block| block["type"] == "tool_use")
        .unwrap()
        .clone();
    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(json!({ "role": "assistant", "content": reply["content"] }));
    messages.push(json!({ "role": "user", "content": [
        { "type": "tool_result", "tool_use_id": call["id"], "content": "it is empty" } ] }));

    // Who sealed it is preferred to another who could serve as well, and gets it as it was.
    house.change(&[guest("alpha", &first), guest("bravo", &second)], "");
    for _ in 0..3 {
        let got = house.caller().post("/v1/messages", &body).await;
        assert_eq!(got.header("x-provider"), "alpha", "{}", got.text());
    }
    assert!(first.calls().last().unwrap().json().to_string().contains(&seal));
    // Nobody else gets it, and the call and its result stay a pair.
    house.change(&[guest("bravo", &second)], "");
    let got = house.caller().post("/v1/messages", &body).await;
    assert_eq!((got.status.as_u16(), got.header("x-provider")), (200, "bravo"), "{}", got.text());
    let sent = second.calls()[0].json().to_string();
    assert!(!sent.contains(&seal), "{sent}");
    assert!(sent.contains("tool_use") && sent.contains("tool_result"), "{sent}");
    assert!(second.violations().is_empty(), "{:?}", second.violations());
}

/// Whoever issued it is not known, as after a restart, and only one account could have: so it is tried.
#[tokio::test]
async fn what_an_account_cannot_read_is_left_out_and_the_same_account_asked_again() {
    let sealed = json!({ "model": "hermes-router", "input": [
        { "role": "user", "content": "look at the file" },
        { "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "of-another-account" },
        { "type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "look", "arguments": "{}" },
        { "type": "function_call_output", "call_id": "call_1", "output": "it is empty" },
    ]});
    let signed = json!({ "model": "hermes-router", "max_tokens": 4000, "messages": [
        { "role": "user", "content": "look at the file" },
        { "role": "assistant", "content": [
            { "type": "thinking", "thinking": "hm", "signature": "of-another-account" },
            { "type": "tool_use", "id": "call_1", "name": "look", "input": {} } ] },
        { "role": "user", "content": [
            { "type": "tool_result", "tool_use_id": "call_1", "content": "it is empty" } ] },
    ]});
    let unread = Refusal::new(
        400,
        "invalid_request_error",
        "invalid_encrypted_content",
        "The encrypted content for item rs_1 could not be verified.",
    );
    let unsigned = Refusal::new(
        400,
        "invalid_request_error",
        "",
        "messages.1.content.0: Invalid `signature` in `thinking` block",
    );
    for (dialect, path, body, refusal) in [
        (Dialect::Responses, "/v1/responses", &sealed, unread),
        (Dialect::Anthropic, "/v1/messages", &signed, unsigned),
    ] {
        let script = Script::new().once(Match::any(), [refusal.clone()]).otherwise(Answer::text("done"));
        let fake = Fake::speaking(dialect, script).await.unwrap();
        let house = House::open(&[speaking("alpha", &fake)], "").await;
        let got = house.caller().post(path, body).await;
        assert_eq!((got.status.as_u16(), got.header("x-hermes-attempts")), (200, "2"), "{}", got.text());
        let sent: Vec<String> = fake.calls().iter().map(|call| call.json().to_string()).collect();
        assert!(sent[0].contains("of-another-account"), "{}", sent[0]);
        assert!(!sent[1].contains("of-another-account") && sent[1].contains("call_1"), "{}", sent[1]);
        assert!(
            got.header("x-hermes-loss").contains("reasoning"),
            "{dialect:?}: {}",
            got.header("x-hermes-loss")
        );
        // Who refuses what it got without any refuses for good.
        let script = Script::new().otherwise(refusal);
        let fake = Fake::speaking(dialect, script).await.unwrap();
        let house = House::open(&[speaking("alpha", &fake)], "").await;
        let got = house.caller().post(path, body).await;
        assert_eq!((got.status.as_u16(), fake.calls().len()), (400, 2), "{}", got.text());
    }
}

#[tokio::test]
async fn who_refuses_the_reasoning_of_earlier_turns_is_asked_again_without_it() {
    let history = json!({ "model": "hermes-router", "messages": [
        { "role": "user", "content": "look at the file" },
        { "role": "assistant", "content": "It is empty.", "reasoning_content": "a secret thought" },
        { "role": "user", "content": "look again" },
    ]});
    for words in [
        "messages.1.reasoning_content: Extra inputs are not permitted",
        "property 'messages.1.reasoning_content' is unsupported",
        "property 'reasoning_content' is unsupported",
    ] {
        let refusal = Refusal::new(400, "invalid_request_error", "", words);
        let script = Script::new().once(Match::any(), [refusal]).otherwise(Answer::text("done"));
        let fake = Fake::start(script).await.unwrap();
        let house = House::open(&[Guest::new("alpha", &fake)], "").await;
        let got = house.caller().post("/v1/chat/completions", &history).await;
        assert_eq!(
            (got.status.as_u16(), got.header("x-hermes-attempts")),
            (200, "2"),
            "{words}: {}",
            got.text()
        );
        let sent: Vec<String> = fake.calls().iter().map(|call| call.json().to_string()).collect();
        assert!(sent[0].contains("a secret thought") && !sent[1].contains("a secret thought"), "{}", sent[1]);
        assert!(got.header("x-hermes-loss").contains("reasoning"), "{}", got.header("x-hermes-loss"));
    }
}
