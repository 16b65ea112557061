//! The endpoints as clients find them: lists of models, wrong base addresses, errors, counts of tokens.

use std::time::Duration;

use hr_testkit::{Answer, Behaviour, Dialect, Fake, Hint, Match, Refusal, Script};
use serde_json::{Value, json};

use crate::caller::{Caller, Got, question};
use crate::dialects::{CLIENTS, Client, UPSTREAMS, speaking};
use crate::house::{Guest, House, KEY};

async fn house() -> (Fake, House) {
    let fake = Fake::start(Script::new().otherwise(Answer::text("here"))).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake)], "").await;
    (fake, house)
}

async fn get(caller: &Caller, path: &str, headers: &[(&'static str, &str)]) -> Got {
    let mut request = caller.request("GET", path, "");
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    caller.send(request).await
}

#[tokio::test]
async fn each_client_gets_the_list_of_models_that_it_reads() {
    let (_fake, house) = house().await;
    let caller = house.caller();
    let ids = |list: &Value, key: &str| -> Vec<String> {
        list.as_array().unwrap().iter().map(|entry| entry[key].as_str().unwrap().to_owned()).collect()
    };
    let openai = get(&caller, "/v1/models", &[]).await.json();
    assert_eq!(openai["object"], "list");
    assert_eq!(openai["data"][0]["object"], "model");
    assert!(ids(&openai["data"], "id").contains(&"alpha-model".to_owned()));

    for list in [
        get(&caller, "/v1/models", &[("anthropic-version", "2023-06-01")]).await.json(),
        get(&house.stranger(), "/v1/models?limit=1000", &[("x-api-key", KEY)]).await.json(),
    ] {
        let names = ids(&list["data"], "id");
        assert_eq!((&list["first_id"], list["has_more"].as_bool()), (&json!(names[0]), Some(false)));
        assert!(names.contains(&"claude-hermes-router".to_owned()), "{names:?}");
        assert!(names.contains(&"alpha-model".to_owned()), "{names:?}");
        let entry = &list["data"][0];
        assert_eq!(entry["type"], "model");
        assert!(entry["created_at"].as_str().unwrap().ends_with('Z'), "{entry}");
    }

    let catalogue = get(&caller, "/v1/models?client_version=0.169.0", &[]).await.json();
    assert!(ids(&catalogue["models"], "slug").contains(&"hermes-router".to_owned()));
    for key in [
        "display_name",
        "supported_reasoning_levels",
        "shell_type",
        "visibility",
        "supported_in_api",
        "priority",
        "base_instructions",
        "supports_reasoning_summaries",
        "support_verbosity",
        "truncation_policy",
        "supports_parallel_tool_calls",
        "experimental_supported_tools",
    ] {
        assert!(!catalogue["models"][0][key].is_null(), "{key}");
    }

    let one = get(&caller, "/v1/models/claude-hermes-router", &[("anthropic-version", "2023-06-01")]).await;
    assert_eq!((one.status.as_u16(), one.json()["type"].as_str()), (200, Some("model")));
    let missing = get(&caller, "/v1/models/nobody", &[("anthropic-version", "2023-06-01")]).await;
    assert_eq!(
        (missing.status.as_u16(), missing.json()["error"]["type"].as_str()),
        (404, Some("not_found_error"))
    );
}

#[tokio::test]
async fn the_alias_in_the_list_can_be_asked_for_where_names_are_strict() {
    let fake = Fake::start(Script::new()).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake)], "STRICT_MODELS=1").await;
    for (model, status) in [("claude-hermes-router:best", 200), ("claude-nobody", 404)] {
        let mut body = Client::Messages.question("hello", false);
        body["model"] = json!(model);
        assert_eq!(house.caller().post("/v1/messages", &body).await.status, status, "{model}");
    }
}

#[tokio::test]
async fn a_base_address_that_is_written_wrong_reaches_the_right_place() {
    let (_fake, house) = house().await;
    for (path, client) in [
        ("/chat/completions", Client::Chat),
        ("/v1/v1/chat/completions", Client::Chat),
        ("/v1/chat/completions/", Client::Chat),
        ("//v1//chat/completions", Client::Chat),
        ("/openai/v1/chat/completions", Client::Chat),
        ("/messages", Client::Messages),
        ("/v1/v1/messages", Client::Messages),
        ("/anthropic/v1/messages?beta=true", Client::Messages),
        ("/anthropic/messages", Client::Messages),
        ("/v1/messages/?beta=true", Client::Messages),
        ("/responses", Client::Responses),
        ("/v1/v1/responses", Client::Responses),
        ("/openai/v1/responses/", Client::Responses),
    ] {
        let got = house.caller().post(path, &client.question("hello", false)).await;
        assert_eq!(got.status, 200, "{path}: {}", got.text());
        assert_eq!(client.text(&got.json()), "here", "{path}: {}", got.text());
    }
    for path in ["/models", "/v1/v1/models", "/openai/v1/models/", "/anthropic/v1/models"] {
        assert_eq!(house.caller().get(path).await.status, 200, "{path}");
    }
    for path in ["/", "/v1", "/anthropic", "/health"] {
        let caller = house.stranger();
        let got = caller.send(caller.request("HEAD", path, "")).await;
        assert_eq!((got.status.as_u16(), got.body.len()), (200, 0), "{path}");
    }
}

#[tokio::test]
async fn a_prompt_gets_its_continuation_from_any_dialect() {
    for upstream in UPSTREAMS {
        let fake =
            Fake::speaking(upstream, Script::new().otherwise(Answer::text("there was"))).await.unwrap();
        let house = House::open(&[speaking("alpha", &fake)], "").await;
        let mut body = json!({ "model": "hermes-router", "prompt": "Once upon a time", "max_tokens": 20 });
        let got = house.caller().post("/v1/completions", &body).await;
        assert_eq!(got.status, 200, "{upstream:?}: {}", got.text());
        assert_eq!(got.json()["object"], "text_completion", "{upstream:?}");
        assert_eq!(got.json()["choices"][0]["text"], "there was", "{upstream:?}");
        body["stream"] = json!(true);
        let got = house.caller().post("/completions", &body).await;
        let text = |event: &Value| event["choices"][0]["text"].as_str().unwrap_or_default().to_owned();
        assert_eq!(got.events().iter().map(text).collect::<String>(), "there was", "{upstream:?}");
        assert!(got.done(), "{upstream:?}: {}", got.text());
        assert!(fake.calls()[0].json().to_string().contains("Once upon a time"), "{upstream:?}");
        assert!(fake.violations().is_empty(), "{upstream:?}: {:?}", fake.violations());
    }
    let (_fake, house) = house().await;
    let got = house.caller().post("/v1/completions", &json!({ "model": "x" })).await;
    assert_eq!((got.status.as_u16(), got.json()["error"]["param"].as_str()), (400, Some("prompt")));
}

#[tokio::test]
async fn an_editor_that_asks_as_in_responses_is_answered_as_in_chat() {
    for upstream in UPSTREAMS {
        let script = Script::new().otherwise(Answer::tool("look", "{}"));
        let fake = Fake::speaking(upstream, script).await.unwrap();
        let house = House::open(&[speaking("alpha", &fake)], "").await;
        for (stream, messages) in [(false, None), (true, Some(json!([])))] {
            let name = format!("{upstream:?}, stream {stream}");
            let mut body = json!({ "model": "hermes-router", "stream": stream, "instructions": "be brief",
                "input": [{ "role": "user", "content": [{ "type": "input_text", "text": "look at it" }] }],
                "tools": [{ "type": "function", "name": "look",
                    "parameters": { "type": "object", "properties": {} } }] });
            if let Some(messages) = messages {
                body["messages"] = messages;
            }
            let got = house.caller().post("/v1/chat/completions", &body).await;
            assert_eq!(got.status, 200, "{name}: {}", got.text());
            if stream {
                let calls = |event: &Value| event["choices"][0]["delta"]["tool_calls"][0].clone();
                let named = got.events().iter().any(|event| calls(event)["function"]["name"] == "look");
                assert!(named && got.done(), "{name}: {}", got.text());
            } else {
                let call = &got.json()["choices"][0]["message"]["tool_calls"][0];
                assert_eq!(call["function"]["name"], "look", "{name}");
            }
        }
        assert!(fake.violations().is_empty(), "{upstream:?}: {:?}", fake.violations());
    }
    // What is wrong with it is said of what was meant.
    let (_fake, house) = house().await;
    let wrong = json!({ "model": "x", "input": "hi", "temperature": "hot" });
    let got = house.caller().post("/v1/chat/completions", &wrong).await;
    assert_eq!((got.status.as_u16(), got.json()["error"]["param"].as_str()), (400, Some("temperature")));
    let neither = house.caller().post("/v1/chat/completions", &json!({ "model": "x" })).await;
    assert_eq!(neither.json()["error"]["param"], "messages");
}

#[tokio::test]
async fn the_id_in_an_error_is_the_id_in_its_head() {
    let (_fake, house) = house().await;
    let got = house.caller().post("/v1/messages", &json!({ "model": "x" })).await;
    assert_eq!(got.status, 400);
    assert_eq!(got.json()["request_id"], got.header("request-id"), "{}", got.text());
}

#[tokio::test]
async fn an_error_in_another_shape_gets_the_shape_of_the_dialect() {
    for (client, upstream) in [
        (Client::Chat, Dialect::Chat),
        (Client::Messages, Dialect::Anthropic),
        (Client::Responses, Dialect::Responses),
    ] {
        for body in
            [r#"{"detail":"the field `x` is odd"}"#, r#"{"message":"the field `x` is odd","code":400}"#]
        {
            let script = Script::new().otherwise(Behaviour::raw(400, body));
            let fake = Fake::speaking(upstream, script).await.unwrap();
            let house = House::open(&[speaking("alpha", &fake)], "").await;
            let got = house.caller().post(client.path(), &client.question("hello", false)).await;
            assert_eq!(got.status, 400, "{client:?}: {}", got.text());
            assert!(client.is_error(&got.json()), "{client:?}: {}", got.text());
            assert!(got.text().contains("is odd"), "{client:?}: {}", got.text());
        }
    }
}

#[tokio::test]
async fn what_no_window_holds_is_called_what_makes_the_client_ask_for_less() {
    let fake = Fake::start(Script::new()).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake).model("small", "context = 4000")], "").await;
    for (tokens, words, wanted) in [
        (32_000, 2_900, "input length and `max_tokens` exceed context limit: "),
        (32_000, 100_000, "prompt is too long: "),
    ] {
        let mut body = Client::Messages.question(&"word ".repeat(words), false);
        body["max_tokens"] = json!(tokens);
        let got = house.caller().post("/v1/messages", &body).await;
        assert_eq!(got.status, 400, "{}", got.text());
        let said = got.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(said.starts_with(wanted) && said.contains("> 4000"), "{said}");
        let mut body = Client::Chat.question(&"word ".repeat(words), false);
        body["max_tokens"] = json!(tokens);
        let got = house.caller().post("/v1/chat/completions", &body).await;
        assert_eq!(got.json()["error"]["code"], "context_length_exceeded", "{}", got.text());
    }
    assert!(fake.calls().is_empty());
    // Where there is room for an answer, it is asked for as long as there is room for.
    for client in CLIENTS {
        let mut body = client.question("hello", false);
        body[if client == Client::Responses { "max_output_tokens" } else { "max_tokens" }] = json!(32_000);
        let got = house.caller().post(client.path(), &body).await;
        assert_eq!(got.status, 200, "{client:?}: {}", got.text());
        let call = fake.calls().pop().unwrap();
        let sent: Value = serde_json::from_slice(&call.body).unwrap();
        let asked = ["max_tokens", "max_completion_tokens"].iter().find_map(|name| sent[*name].as_u64());
        assert!((1_024..4_000).contains(&asked.unwrap()), "{client:?}: {asked:?}");
    }
}

#[tokio::test]
async fn what_is_refused_for_its_content_does_not_look_like_a_wrong_key() {
    let moderated =
        Refusal::new(403, "permission_error", "content_policy_violation", "your input was flagged");
    for client in CLIENTS {
        for upstream in UPSTREAMS {
            let script = Script::new().otherwise(moderated.clone());
            let fake = Fake::speaking(upstream, script).await.unwrap();
            let house = House::open(&[speaking("alpha", &fake)], "").await;
            let got = house.caller().post(client.path(), &client.question("hello", false)).await;
            assert_eq!(got.status, 400, "{client:?} over {upstream:?}: {}", got.text());
            assert!(client.is_error(&got.json()), "{client:?} over {upstream:?}: {}", got.text());
        }
    }
}

#[tokio::test]
async fn a_coding_agent_that_gives_up_at_a_429_is_told_what_makes_it_come_back() {
    for (wait, status, code) in [(30, 503, "rate_limit_exceeded"), (3000, 429, "usage_limit_reached")] {
        let limited = Behaviour::rate_limited(Hint::RetryAfterSeconds, Duration::from_secs(wait));
        let fake = Fake::start(Script::new().otherwise(limited)).await.unwrap();
        let house = House::open(&[Guest::new("alpha", &fake)], "").await;
        let caller = house.caller();
        let body = Client::Responses.question("hello", true).to_string();
        let mut request = caller.request("POST", "/v1/responses", body.clone());
        request.headers_mut().insert("originator", "codex_exec".parse().unwrap());
        let got = caller.send(request).await;
        assert_eq!((got.status.as_u16(), got.json()["error"]["code"].as_str()), (status, Some(code)));
        assert!(got.header("retry-after").parse::<u64>().unwrap() <= wait, "{}", got.text());
        // Everybody else knows what a 429 is.
        let got = caller.send(caller.request("POST", "/v1/responses", body)).await;
        assert_eq!(got.status, 429, "{}", got.text());
    }
}

#[tokio::test]
async fn what_one_account_sealed_is_not_shown_to_another_that_counts() {
    let first =
        Fake::speaking(Dialect::Anthropic, Script::new().otherwise(Answer::text("hi").reasoning("hm")));
    let first = first.await.unwrap();
    let second = Fake::speaking(Dialect::Anthropic, Script::new()).await.unwrap();
    let guest = |id, fake| speaking(id, fake).model("claude", "reasoning = true\nmax_output = 64000");
    let house = House::open(&[guest("alpha", &first)], "").await;
    let mut body = Client::Messages.question("hello", false);
    body["max_tokens"] = json!(4000);
    body["thinking"] = json!({ "type": "enabled", "budget_tokens": 2000 });
    let reply = house.caller().post("/v1/messages", &body).await.json();
    let seal = reply["content"][0]["signature"].as_str().unwrap().to_owned();
    for key in ["max_tokens", "stream"] {
        body.as_object_mut().unwrap().remove(key);
    }
    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(json!({ "role": "assistant", "content": reply["content"] }));
    messages.push(json!({ "role": "user", "content": "go on" }));
    house.change(&[guest("alpha", &first), guest("bravo", &second)], "");
    let path = "/v1/messages/count_tokens";
    assert_eq!(house.caller().post(path, &body).await.status, 200);
    assert!(first.calls().last().unwrap().json().to_string().contains(&seal), "its own account may see it");
    house.change(&[guest("bravo", &second)], "");
    assert_eq!(house.caller().post(path, &body).await.status, 200);
    assert_eq!(second.calls().len(), 1);
    assert!(!second.calls()[0].json().to_string().contains(&seal));
}

#[tokio::test]
async fn every_refusal_is_in_the_callers_own_dialect() {
    let (_fake, house) = house().await;
    let (caller, stranger) = (house.caller(), house.stranger());
    for client in CLIENTS {
        let question = client.question("hello", false).to_string();
        let path = client.path();
        let refused = [
            (400, caller.send(caller.request("POST", path, "{")).await),
            (400, caller.send(caller.request("POST", path, "{}")).await),
            (401, stranger.send(stranger.request("POST", path, question.clone())).await),
            (405, caller.send(caller.request("PUT", path, question.clone())).await),
            (404, caller.send(caller.request("POST", &format!("{path}/no/such"), question)).await),
        ];
        for (status, got) in refused {
            assert_eq!(got.status, status, "{client:?}: {}", got.text());
            assert!(client.is_error(&got.json()), "{client:?}, {status}: {}", got.text());
            assert_eq!(got.header("content-type"), "application/json", "{client:?}, {status}");
            let id = got.header("x-request-id");
            assert!(id.starts_with("req_"), "{client:?}, {status}");
            let anthropic = if client == Client::Messages { id } else { "" };
            assert_eq!(got.header("request-id"), anthropic, "{client:?}, {status}");
        }
    }
    let lost = get(&caller, "/v1/nowhere", &[("anthropic-version", "2023-06-01")]).await;
    assert!(Client::Messages.is_error(&lost.json()), "{}", lost.text());
    let lost = get(&caller, "/v1/nowhere", &[]).await;
    assert!(Client::Chat.is_error(&lost.json()), "{}", lost.text());
    let full = House::open(&[], "MAX_REQUEST_BYTES=2000").await;
    for client in CLIENTS {
        let large = full.caller().post(client.path(), &client.question(&"x".repeat(3000), false)).await;
        assert_eq!(large.status, 413, "{client:?}");
        assert!(client.is_error(&large.json()), "{client:?}: {}", large.text());
        let nobody = full.caller().post(client.path(), &client.question("hello", false)).await;
        assert_eq!(nobody.status, 503, "{client:?}");
        assert!(client.is_error(&nobody.json()), "{client:?}: {}", nobody.text());
    }
}

#[tokio::test]
async fn either_header_may_hold_the_key() {
    let (_fake, house) = house().await;
    let caller = house.stranger();
    for client in CLIENTS {
        for (authorization, api_key) in
            [(KEY, ""), ("", KEY), ("of-another-login", KEY), (KEY, "of-another-login")]
        {
            let mut request = caller.request("POST", client.path(), client.question("hi", false).to_string());
            for (name, value) in
                [("authorization", format!("Bearer {authorization}")), ("x-api-key", api_key.to_owned())]
            {
                request.headers_mut().insert(name, value.parse().unwrap());
            }
            assert_eq!(caller.send(request).await.status, 200, "{client:?} {authorization}, {api_key}");
        }
    }
}

#[tokio::test]
async fn tokens_are_counted_by_who_would_serve_and_else_here() {
    let mut body = Client::Messages.question("How many tokens is this sentence, I wonder?", false);
    body.as_object_mut().unwrap().remove("max_tokens");
    body.as_object_mut().unwrap().remove("stream");
    let path = "/v1/messages/count_tokens?beta=true";
    let anthropic = Fake::speaking(Dialect::Anthropic, Script::new()).await.unwrap();
    let house = House::open(&[speaking("alpha", &anthropic)], "").await;
    let exact = house.caller().post(path, &body).await;
    assert_eq!(exact.status, 200, "{}", exact.text());
    assert_eq!(anthropic.calls().len(), 1);
    assert!(anthropic.violations().is_empty(), "{:?}", anthropic.violations());
    // It was no request of the pool.
    let status = house.caller().get("/v1/status").await.json();
    assert_eq!(status["providers"]["alpha"]["stats"]["total_requests"], 0);

    anthropic.set(Script::new().always(Match::path("/v1/messages/count_tokens"), Refusal::server_error()));
    let counted = house.caller().post(path, &body).await;
    assert_eq!(counted.status, 200, "{}", counted.text());
    assert!((10..40).contains(&counted.json()["input_tokens"].as_u64().unwrap()), "{}", counted.text());

    let chat = Fake::start(Script::new()).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &chat)], "").await;
    let plain = house.caller().post(path, &body).await.json()["input_tokens"].as_u64().unwrap();
    body["tools"] = json!([{ "name": "look", "description": "Looks at a file of the project.",
        "input_schema": { "type": "object", "properties": { "path": { "type": "string" } } } }]);
    body["system"] = json!("You are a careful engineer who reads before writing.");
    let more = house.caller().post(path, &body).await.json()["input_tokens"].as_u64().unwrap();
    assert!(more > plain + 25, "{plain} and {more}");
    assert!(chat.calls().is_empty());
    // As many at once as a client sends for an overview of its context.
    let all = (0..35).map(|_| {
        let (caller, body) = (house.caller(), body.clone());
        tokio::spawn(async move { caller.post(path, &body).await })
    });
    for asked in all.collect::<Vec<_>>() {
        assert_eq!(asked.await.unwrap().json()["input_tokens"], more);
    }
    let wrong = house.caller().post(path, &json!({ "model": "x" })).await;
    assert_eq!(wrong.status, 400);
    assert!(Client::Messages.is_error(&wrong.json()), "{}", wrong.text());
}

#[tokio::test]
async fn a_coding_agent_keeps_its_name_where_the_provider_wants_it() {
    let fake = Fake::start(Script::new()).await.unwrap();
    let wants = Guest::new("alpha", &fake).top("pass_user_agent = [\"claude-cli/\"]\n");
    let house = House::open(&[wants], "").await;
    let caller = house.caller();
    for (name, passed) in [("claude-cli/2.1 (cli)", true), ("curl/8", false)] {
        let mut request = caller.request("POST", "/v1/chat/completions", question("hi").to_string());
        request.headers_mut().insert("user-agent", name.parse().unwrap());
        assert_eq!(caller.send(request).await.status, 200);
        let seen = fake.calls().last().unwrap().headers["user-agent"].to_str().unwrap().to_owned();
        assert_eq!(seen == name, passed, "{seen}");
    }
}

/// What speaks about the dialect goes along once: two versions in one request would be read as neither.
#[tokio::test]
async fn the_callers_version_and_betas_reach_a_provider_of_its_dialect() {
    let fake = Fake::speaking(Dialect::Anthropic, Script::new().otherwise(Answer::text("hi"))).await.unwrap();
    let house = House::open(&[speaking("alpha", &fake)], "").await;
    for (given, expected) in [(None, "2023-06-01"), (Some("2026-10-21"), "2026-10-21")] {
        let body = Client::Messages.question("hello", false).to_string();
        let mut request = house.caller().request("POST", "/v1/messages?beta=true", body);
        let headers = request.headers_mut();
        headers.append("anthropic-beta", "one-2026-01-01".parse().unwrap());
        headers.append("anthropic-beta", "two-2026-02-02".parse().unwrap());
        headers.extend(given.map(|version| {
            ("anthropic-version".parse::<http::HeaderName>().unwrap(), version.parse().unwrap())
        }));
        assert_eq!(house.caller().send(request).await.status, 200);
        let call = fake.calls().pop().unwrap();
        let values = |name: &str| -> Vec<String> {
            call.headers.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
        };
        assert_eq!(values("anthropic-version"), [expected]);
        assert_eq!(values("anthropic-beta"), ["one-2026-01-01", "two-2026-02-02"]);
    }
}
