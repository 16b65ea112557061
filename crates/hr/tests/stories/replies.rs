//! Replies that are kept, and gone on from.

use hr_testkit::{Answer, Dialect, Fake, Match, Script};
use serde_json::json;

use crate::caller::Caller;
use crate::dialects::{Client, UPSTREAMS, speaking};
use crate::house::{Guest, House};

#[tokio::test]
async fn a_conversation_goes_on_from_a_reply_that_was_kept() {
    for upstream in UPSTREAMS {
        for stream in [false, true] {
            let name = format!("{upstream:?}, stream {stream}");
            let fake =
                Fake::speaking(upstream, Script::new().otherwise(Answer::text("Paris"))).await.unwrap();
            let house = House::open(&[speaking("alpha", &fake)], "").await;
            let first = Client::Responses.question("the capital of France?", stream);
            let got = house.caller().post("/v1/responses", &first).await;
            assert_eq!(got.status, 200, "{name}: {}", got.text());
            let id = if stream {
                got.events().last().unwrap()["response"]["id"].clone()
            } else {
                got.json()["id"].clone()
            };
            let mut second = Client::Responses.question("and how large is it?", stream);
            second["previous_response_id"] = id.clone();
            let got = house.caller().post("/v1/responses", &second).await;
            assert_eq!(got.status, 200, "{name}: {}", got.text());
            if !matches!(upstream, Dialect::Responses | Dialect::Codex) && !stream {
                assert_eq!(got.json()["previous_response_id"], id, "{name}");
            }
            let sent = fake.calls()[1].json().to_string();
            for words in ["the capital of France?", "Paris", "and how large is it?"] {
                assert!(sent.contains(words), "{name}: `{words}` is not in {sent}");
            }
            assert!(!sent.contains("previous_response_id"), "{name}: {sent}");
            assert!(fake.violations().is_empty(), "{name}: {:?}", fake.violations());

            let id = id.as_str().unwrap();
            let page = format!("/v1/responses/{id}");
            let kept = house.caller().get(&page).await;
            assert_eq!((kept.status.as_u16(), kept.json()["id"].as_str()), (200, Some(id)), "{name}");
            assert_eq!(Client::Responses.text(&kept.json()), "Paris", "{name}");
            let input = house.caller().get(&format!("{page}/input_items")).await.json();
            assert_eq!(input["data"][0]["content"], "the capital of France?", "{name}");

            let caller = house.caller();
            let gone = caller.send(caller.request("DELETE", &page, "")).await;
            assert_eq!(gone.json(), json!({ "id": id, "object": "response", "deleted": true }), "{name}");
            assert_eq!(house.caller().get(&page).await.status, 404, "{name}");
            let got = house.caller().post("/v1/responses", &second).await;
            assert_eq!(got.status, 400, "{name}");
            assert_eq!(got.json()["error"]["code"], "previous_response_not_found", "{name}");
            assert_eq!(got.json()["error"]["param"], "previous_response_id", "{name}");
        }
    }
}

/// Large requests are kept as they are instead of being copied.
#[tokio::test]
async fn a_large_conversation_goes_on_too() {
    let words = "a page ".repeat(100_000);
    let listed = json!([
        { "role": "user", "content": words },
        { "role": "assistant", "content": "the first answer" },
        { "role": "user", "content": "and more" },
    ]);
    for (input, asked, items) in [(json!(words), words.as_str(), 1), (listed, "and more", 3)] {
        let fake = Fake::start(Script::new().otherwise(Answer::text("Paris"))).await.unwrap();
        let house = House::open(&[Guest::new("alpha", &fake)], "").await;
        let mut body = Client::Responses.question("", false);
        body["input"] = input;
        let first = house.caller().post("/v1/responses", &body).await;
        assert_eq!(first.status, 200, "{items}");
        let id = first.json()["id"].clone();
        let mut second = Client::Responses.question("so?", false);
        second["previous_response_id"] = id.clone();
        assert_eq!(house.caller().post("/v1/responses", &second).await.status, 200, "{items}");
        let sent = fake.calls()[1].json();
        let said: Vec<&str> = sent["messages"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|message| message["content"].as_str())
            .collect();
        assert_eq!(said.len(), items + 2, "the conversation, its reply and what is new");
        assert_eq!(said[items - 1..], [asked, "Paris", "so?"]);
        let page = format!("/v1/responses/{}/input_items", id.as_str().unwrap());
        assert_eq!(house.caller().get(&page).await.json()["data"].as_array().unwrap().len(), items);
    }
}

#[tokio::test]
async fn an_item_may_be_named_instead_of_sent_again() {
    for upstream in UPSTREAMS {
        let script =
            Script::new().once(Match::any(), [Answer::tool("look", "{}")]).otherwise(Answer::text("done"));
        let fake = Fake::speaking(upstream, script).await.unwrap();
        let house = House::open(&[speaking("alpha", &fake)], "").await;
        let mut body = Client::Responses.question("look at the file", false);
        body["tools"] = json!([{ "type": "function", "name": "look", "parameters": { "type": "object", "properties": {} } }]);
        let reply = house.caller().post("/v1/responses", &body).await.json();
        let call =
            reply["output"].as_array().unwrap().iter().find(|item| item["type"] == "function_call").unwrap();
        body["input"] = json!([
            { "role": "user", "content": "look at the file" },
            { "type": "item_reference", "id": call["id"] },
            { "type": "function_call_output", "call_id": call["call_id"], "output": "it is empty" },
        ]);
        let got = house.caller().post("/v1/responses", &body).await;
        assert_eq!(got.status, 200, "{upstream:?}: {}", got.text());
        assert_eq!(Client::Responses.text(&got.json()), "done", "{upstream:?}");
        assert!(!fake.calls()[1].json().to_string().contains("item_reference"), "{upstream:?}");
        assert!(fake.violations().is_empty(), "{upstream:?}: {:?}", fake.violations());

        // A reply that is forgotten takes its items with it.
        let page = format!("/v1/responses/{}", reply["id"].as_str().unwrap());
        let caller = house.caller();
        assert_eq!(caller.send(caller.request("DELETE", &page, "")).await.status, 200);
        house.caller().post("/v1/responses", &body).await;
        let sent: Vec<String> = fake.calls().iter().skip(2).map(|call| call.json().to_string()).collect();
        assert!(sent.iter().all(|sent| !sent.contains("\"arguments\"")), "{upstream:?}: {sent:?}");
    }
}

#[tokio::test]
async fn a_reply_is_kept_for_its_own_caller_and_only_if_it_may_be() {
    let fake = Fake::start(Script::new().otherwise(Answer::text("hi"))).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake)], "").await;
    let ours = house.caller().post("/v1/responses", &Client::Responses.question("hello", false)).await.json();
    let page = format!("/v1/responses/{}", ours["id"].as_str().unwrap());
    assert_eq!(house.caller().get(&page).await.status, 200);
    assert_eq!(house.stranger().get(&page).await.status, 401);
    house.add_key("sk-somebody-else");
    let other = Caller::new(house.address, Some("sk-somebody-else"));
    let seen = other.get(&page).await;
    assert_eq!(seen.status, 404);
    assert!(Client::Responses.is_error(&seen.json()), "{}", seen.text());
    let mut next = Client::Responses.question("go on", false);
    next["previous_response_id"] = ours["id"].clone();
    assert_eq!(other.post("/v1/responses", &next).await.status, 400);
    assert_eq!(house.caller().post("/v1/responses", &next).await.status, 200);

    let mut fleeting = Client::Responses.question("hello", false);
    fleeting["store"] = json!(false);
    let id = house.caller().post("/v1/responses", &fleeting).await.json()["id"].clone();
    assert_eq!(house.caller().get(&format!("/v1/responses/{}", id.as_str().unwrap())).await.status, 404);
}
