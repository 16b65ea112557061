//! What an account sealed goes back to that account, and to nobody else, in whatever dialect it came and went.

use hr_testkit::{Answer, Dialect, Fake, Match, Refusal, Script};
use serde_json::{Value, json};

use crate::dialects::{CLIENTS, Client, speaking};
use crate::house::{Guest, House};

/// Those who seal their thoughts.
const SEALERS: [Dialect; 3] = [Dialect::Anthropic, Dialect::Responses, Dialect::Codex];

/// A first turn that makes a model think and look.
fn first(client: Client, stream: bool) -> Value {
    let mut body = client.question("look at the file", stream);
    let schema = json!({ "type": "object", "properties": {} });
    match client {
        Client::Chat => {
            body["reasoning_effort"] = json!("high");
            body["tools"] =
                json!([{ "type": "function", "function": { "name": "look", "parameters": schema } }]);
        }
        Client::Messages => {
            body["max_tokens"] = json!(4000);
            body["thinking"] = json!({ "type": "enabled", "budget_tokens": 2000 });
            body["tools"] = json!([{ "name": "look", "input_schema": schema }]);
        }
        Client::Responses => {
            body["store"] = json!(false);
            body["reasoning"] = json!({ "effort": "high", "summary": "auto" });
            body["include"] = json!(["reasoning.encrypted_content"]);
            body["input"] = json!([{ "role": "user", "content": "look at the file" }]);
            body["tools"] = json!([{ "type": "function", "name": "look", "parameters": schema }]);
        }
    }
    body
}

/// The turn after it, as a client that keeps all it is given sends it.
fn second(client: Client, mut body: Value, reply: &Value) -> Value {
    match client {
        Client::Chat => {
            let message = &reply["choices"][0]["message"];
            let call = &message["tool_calls"][0];
            let messages = body["messages"].as_array_mut().unwrap();
            messages.push(message.clone());
            messages.push(json!({ "role": "tool", "tool_call_id": call["id"], "content": "it is empty" }));
        }
        Client::Messages => {
            let blocks = reply["content"].as_array().unwrap();
            let call = blocks.iter().find(|block| block["type"] == "tool_use").unwrap();
            let messages = body["messages"].as_array_mut().unwrap();
            messages.push(json!({ "role": "assistant", "content": blocks }));
            messages.push(json!({ "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": call["id"], "content": "it is empty" } ] }));
        }
        Client::Responses => {
            let items = reply["output"].as_array().unwrap();
            let call = items.iter().find(|item| item["type"] == "function_call").unwrap();
            let input = body["input"].as_array_mut().unwrap();
            input.extend(items.iter().cloned());
            input.push(json!({ "type": "function_call_output", "call_id": call["call_id"],
                "output": "it is empty" }));
        }
    }
    body
}

/// The reply that a stream amounts to.
fn folded(client: Client, events: &[Value]) -> Value {
    let add = |place: &mut Value, more: &Value| {
        let text = place.as_str().unwrap_or_default().to_owned() + more.as_str().unwrap();
        *place = json!(text);
    };
    match client {
        Client::Responses => events.last().unwrap()["response"].clone(),
        Client::Chat => {
            let mut message = json!({ "role": "assistant", "content": null });
            for delta in events.iter().map(|event| &event["choices"][0]["delta"]) {
                if let Some(call) = delta["tool_calls"].get(0) {
                    let all = &mut message["tool_calls"];
                    if call["id"].is_string() {
                        *all = json!([call]);
                        all[0].as_object_mut().unwrap().remove("index");
                    } else if call["function"]["arguments"].is_string() {
                        add(&mut all[0]["function"]["arguments"], &call["function"]["arguments"]);
                    }
                }
            }
            json!({ "choices": [{ "message": message }] })
        }
        Client::Messages => {
            let mut blocks = Vec::new();
            for event in events {
                match event["type"].as_str() {
                    Some("content_block_start") => blocks.push(event["content_block"].clone()),
                    Some("content_block_delta") => {
                        let block: &mut Value = blocks.last_mut().unwrap();
                        for key in ["text", "thinking", "signature"] {
                            if event["delta"][key].is_string() {
                                add(&mut block[key], &event["delta"][key]);
                            }
                        }
                    }
                    _ => {}
                }
            }
            json!({ "content": blocks })
        }
    }
}

fn guest<'a>(id: &'a str, fake: &Fake) -> Guest<'a> {
    speaking(id, fake).model("thinker", "reasoning = true\nmax_output = 64000")
}

#[tokio::test]
async fn seals_go_back_to_their_account_alone() {
    for client in CLIENTS {
        for upstream in SEALERS {
            for stream in [false, true] {
                let name = format!("{client:?} over {upstream:?}, stream {stream}");
                let thinks = Answer::tool("look", "{}").reasoning("a file is to be looked at");
                let script = Script::new().once(Match::any(), [thinks]).otherwise(Answer::text("done"));
                let alpha = Fake::speaking(upstream, script).await.unwrap();
                let bravo = Script::new().otherwise(Answer::text("done"));
                let bravo = Fake::speaking(upstream, bravo).await.unwrap();
                let house = House::open(&[guest("alpha", &alpha)], "").await;
                let body = first(client, stream);
                let got = house.caller().post(client.path(), &body).await;
                assert_eq!(got.status, 200, "{name}: {}", got.text());
                let reply = if stream { folded(client, &got.events()) } else { got.json() };
                let body = second(client, body, &reply);

                house.change(&[guest("alpha", &alpha), guest("bravo", &bravo)], "");
                let got = house.caller().post(client.path(), &body).await;
                assert_eq!(
                    (got.status.as_u16(), got.header("x-provider")),
                    (200, "alpha"),
                    "{name}: {}",
                    got.text()
                );
                let sent = alpha.calls()[1].json().to_string();
                let seal = if upstream == Dialect::Anthropic {
                    "\"signature\":\""
                } else {
                    "\"encrypted_content\":\""
                };
                assert!(sent.contains(seal), "{name}: {sent}");

                // It fails in the middle of it all, and somebody else goes on.
                alpha.set(Script::new().otherwise(Refusal::server_error()));
                let got = house.caller().post(client.path(), &body).await;
                assert_eq!(
                    (got.status.as_u16(), got.header("x-provider")),
                    (200, "bravo"),
                    "{name}: {}",
                    got.text()
                );
                let sent = bravo.calls()[0].json().to_string();
                assert!(!sent.contains(seal), "{name}: {sent}");
                assert!(sent.contains("it is empty") && sent.contains("look"), "{name}: {sent}");
                for fake in [&alpha, &bravo] {
                    assert!(fake.violations().is_empty(), "{name}: {:?}", fake.violations());
                }
            }
        }
    }
}

/// Some chat providers put a signature beside a call, and refuse the next turn without it.
#[tokio::test]
async fn what_is_beside_a_call_goes_back_to_its_account_alone() {
    const BESIDE: &str = "seal+of/the==call";
    for client in CLIENTS {
        for stream in [false, true] {
            let name = format!("{client:?}, stream {stream}");
            let sealed =
                Answer::tool("look", "{}").extra(json!({ "google": { "thought_signature": BESIDE } }));
            let script = Script::new().once(Match::any(), [sealed]).otherwise(Answer::text("done"));
            let alpha = Fake::start(script).await.unwrap();
            let bravo = Fake::start(Script::new().otherwise(Answer::text("done"))).await.unwrap();
            let house = House::open(&[guest("alpha", &alpha)], "").await;
            let body = first(client, stream);
            let got = house.caller().post(client.path(), &body).await;
            assert_eq!(got.status, 200, "{name}: {}", got.text());
            let reply = if stream { folded(client, &got.events()) } else { got.json() };
            let body = second(client, body, &reply);

            house.change(&[guest("alpha", &alpha), guest("bravo", &bravo)], "");
            let got = house.caller().post(client.path(), &body).await;
            assert_eq!((got.status.as_u16(), got.header("x-provider")), (200, "alpha"), "{name}");
            let sent = alpha.calls()[1].json();
            let call = sent["messages"].as_array().unwrap().iter().find(|turn| turn["tool_calls"].is_array());
            let beside = &call.unwrap()["tool_calls"][0]["extra_content"]["google"]["thought_signature"];
            assert_eq!(beside, BESIDE, "{name}: {sent}");

            alpha.set(Script::new().otherwise(Refusal::server_error()));
            let got = house.caller().post(client.path(), &body).await;
            assert_eq!((got.status.as_u16(), got.header("x-provider")), (200, "bravo"), "{name}");
            let sent = bravo.calls()[0].json().to_string();
            assert!(!sent.contains(BESIDE) && sent.contains("it is empty"), "{name}: {sent}");
        }
    }
}
