//! What a caller wishes for one request is done, and what cannot be read is not guessed at.

use std::time::Duration;

use hr_testkit::{Answer, Behaviour, Fake, Hint, Match, Script};
use serde_json::{Value, json};

use crate::caller::{Got, question};
use crate::dialects::{CLIENTS, Client};
use crate::house::{Guest, House};

async fn post(house: &House, path: &str, body: &Value, headers: &[(&'static str, &str)]) -> Got {
    let caller = house.caller();
    let mut request = caller.request("POST", path, body.to_string());
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    caller.send(request).await
}

async fn chat(house: &House, body: &Value, headers: &[(&'static str, &str)]) -> Got {
    post(house, "/v1/chat/completions", body, headers).await
}

fn keys(fake: &Fake) -> Vec<String> {
    fake.calls().into_iter().map(|call| call.key.unwrap_or_default()).collect()
}

#[tokio::test]
async fn a_request_may_cost_less_than_the_settings_allow_and_never_more() {
    let dear = Fake::start(Script::new().otherwise(Answer::text("dear"))).await.unwrap();
    let free = Fake::start(Script::new().otherwise(Answer::text("free"))).await.unwrap();
    let guests = [
        Guest::new("dear", &dear).model("dear-model", "spend = \"paid\""),
        Guest::new("cheap", &free).model("cheap-model", ""),
    ];
    let house = House::open(&guests, "").await;
    let mut named = question("hi");
    named["model"] = json!("dear-model");
    assert_eq!(chat(&house, &named, &[]).await.said(), "dear");
    assert_eq!(chat(&house, &named, &[("x-hermes-spend", "free")]).await.said(), "free");
    // Its price is not known, so it may be more than any bound.
    assert_eq!(chat(&house, &named, &[("x-hermes-max-cost", "5")]).await.said(), "free");
    let mut pinned = question("hi");
    pinned["model"] = json!("dear/dear-model");
    let got = chat(&house, &pinned, &[("x-hermes-spend", "included")]).await;
    assert_eq!((got.status.as_u16(), got.json()["error"]["code"].as_str()), (402, Some("spend_limit")));
    assert_eq!(got.header("x-should-retry"), "false");
    house.change(&guests, "SPEND=free");
    assert_eq!(chat(&house, &named, &[("x-hermes-spend", "paid")]).await.said(), "free");
    assert_eq!(dear.calls().len(), 1);
}

#[tokio::test]
async fn a_wish_that_cannot_be_read_is_refused_in_the_callers_dialect() {
    let fake = Fake::start(Script::new()).await.unwrap();
    let guest = Guest::new("alpha", &fake).extra("[embedding]\nmodel = \"vectors\"");
    let house = House::open(&[guest], "").await;
    for (name, value) in
        [("x-hermes-spend", "cheap"), ("x-hermes-max-cost", "$1"), ("x-hermes-max-wait", "soon")]
    {
        for client in CLIENTS {
            let got = post(&house, client.path(), &client.question("hi", true), &[(name, value)]).await;
            assert_eq!(got.status, 400, "{client:?}: {}", got.text());
            assert!(client.is_error(&got.json()), "{client:?}: {}", got.text());
            assert!(got.text().contains(name), "{client:?}: {}", got.text());
        }
        let vectors = json!({ "model": "vectors", "input": "hi" });
        assert_eq!(post(&house, "/v1/embeddings", &vectors, &[(name, value)]).await.status, 400);
    }
    let odd = [("x-hermes-workload-hint", "poetry"), ("x-hermes-session-affinity", "a b")];
    assert_eq!(chat(&house, &question("hi"), &odd).await.status, 200, "hints are only hints");
    assert_eq!(fake.calls().len(), 1);
}

#[tokio::test]
async fn who_does_not_want_to_wait_is_told_the_earliest_time_at_once() {
    let limited = Behaviour::rate_limited(Hint::RetryAfterSeconds, Duration::from_secs(4));
    let fake = Fake::start(Script::new().once(Match::any(), [limited])).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake)], "MAX_WAIT=0").await;
    for client in CLIENTS {
        for headers in [&[][..], &[("originator", "codex_exec")]] {
            let got = post(&house, client.path(), &client.question("hi", true), headers).await;
            let agent = client == Client::Responses && !headers.is_empty();
            // An agent that takes a 429 for the end of its plan comes back after a 503.
            assert_eq!(got.status, if agent { 503 } else { 429 }, "{client:?}: {}", got.text());
            let wait: u64 = got.header("retry-after").parse().unwrap();
            assert!((1..=4).contains(&wait), "{client:?}: {wait}");
            assert_eq!(got.header("x-should-retry"), "", "{client:?}: coming back helps");
        }
    }
    assert_eq!(fake.calls().len(), 1, "the others were not sent");
    let got = chat(&house, &question("hi"), &[("x-hermes-max-wait", "10")]).await;
    assert_eq!((got.status.as_u16(), fake.calls().len()), (200, 2), "{}", got.text());
    assert!(fake.too_early(Duration::ZERO).is_empty());
}

#[tokio::test]
async fn a_loop_of_tools_gets_only_who_is_known_to_call_them() {
    let plain = Fake::start(Script::new().otherwise(Answer::text("plain"))).await.unwrap();
    let tools = Fake::start(Script::new().otherwise(Answer::text("tools"))).await.unwrap();
    let unknown = Guest::new("unknown", &plain).model("unknown-model", "rating = 5");
    let known = Guest::new("known", &tools).model("known-model", "tools = true\nrating = 1");
    let house = House::open(&[unknown], "PROBE_AT_START=0").await;
    let wish = [("x-hermes-tool-loop", "yes")];
    for client in CLIENTS {
        let got = post(&house, client.path(), &client.question("hi", false), &wish).await;
        assert_eq!(got.status, 400, "{client:?}");
        assert!(got.text().contains("Tool-loop mode requires tool definitions"), "{}", got.text());
        assert!(client.is_error(&got.json()), "{client:?}: {}", got.text());
    }
    let mut body = question("hi");
    body["tools"] = json!([{ "type": "function", "function": { "name": "look", "parameters": {} } }]);
    let got = chat(&house, &body, &wish).await;
    assert_eq!(got.status, 503, "{}", got.text());
    assert_eq!(got.json()["error"]["message"], "No tool-capable models available");
    assert_eq!(got.json()["error"]["type"], "router_error");
    assert_eq!(chat(&house, &body, &[]).await.said(), "plain", "unknown is good enough without the wish");
    let unknown = Guest::new("unknown", &plain).model("unknown-model", "rating = 5");
    house.change(&[unknown, known], "PROBE_AT_START=0");
    assert_eq!(chat(&house, &body, &wish).await.said(), "tools");
}

#[tokio::test]
async fn a_conversation_stays_with_its_key_and_moves_in_one_hop() {
    for named in [true, false] {
        let fake = Fake::start(Script::new()).await.unwrap();
        let house = House::open(&[Guest::new("alpha", &fake).keys(5)], "").await;
        let mut body = question("one");
        let wish = [("x-hermes-session-affinity", "conversation-1")];
        let headers = if named { &wish[..] } else { &[] };
        let mut turns = async |count: usize| {
            for turn in 0..count {
                // Others come and go in between.
                let other = question(&format!("{named} {turn} {count}"));
                assert_eq!(chat(&house, &other, &[]).await.status, 200);
                let before = fake.calls().len();
                let got = chat(&house, &body, headers).await;
                assert_eq!(got.status, 200, "{}", got.text());
                let messages = body["messages"].as_array_mut().unwrap();
                messages.push(json!({ "role": "assistant", "content": got.said() }));
                messages.push(json!({ "role": "user", "content": "and?" }));
                let made = keys(&fake).split_off(before);
                assert_eq!(got.header("x-hermes-attempts"), made.len().to_string());
                if count == 1 {
                    return made;
                }
                assert_eq!(made.len(), 1);
            }
            keys(&fake).into_iter().skip(1).step_by(2).collect()
        };
        let stayed = turns(20).await;
        assert!(stayed.iter().all(|key| *key == stayed[0]), "named {named}: {stayed:?}");
        let limited = Behaviour::rate_limited(Hint::RetryAfterSeconds, Duration::from_secs(60));
        fake.set(Script::new().always(Match::key(stayed[0].clone()), limited));
        let moved = turns(1).await;
        assert!(moved.len() <= 2, "named {named}: {moved:?}");
        let home = &moved[moved.len() - 1];
        assert_ne!(*home, stayed[0]);
        assert_eq!(turns(1).await, std::slice::from_ref(home), "it stays where it went");
    }
}

#[tokio::test]
async fn a_hint_prefers_who_fits() {
    let thinks = Fake::start(Script::new().otherwise(Answer::text("thinks"))).await.unwrap();
    let plain = Fake::start(Script::new().otherwise(Answer::text("plain"))).await.unwrap();
    let guests = [
        Guest::new("plain", &plain).model("plain-model", "reasoning = false\nrating = 3"),
        Guest::new("thinks", &thinks).model("thinks-model", "reasoning = true\nrating = 3"),
    ];
    let house = House::open(&guests, "").await;
    for _ in 0..4 {
        let got = chat(&house, &question("hi"), &[("x-hermes-workload-hint", "planning")]).await;
        assert_eq!(got.said(), "thinks", "{}", got.text());
    }
}
