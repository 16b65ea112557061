//! What strict fakes refuse, in the words of the real servers.

use hr_testkit::{Answer, Dialect, Fake, Match, Rule, Script, Strictness};
use serde_json::{Value, json};

use crate::caller::{ask, fake, headers, path, request};
use crate::client::call;

/// A change to a good request, and what the refusal of the changed one says.
type Case = (fn(&mut Value), &'static str);

async fn strict(dialect: Dialect, strictness: Strictness) -> Fake {
    fake(dialect, Script::new().strict(strictness)).await
}

/// The words of a refusal, whatever its shape; an empty text for a good answer.
async fn refused(fake: &Fake, body: &Value) -> String {
    let reply = ask(fake, "key", body).await;
    if reply.status == 200 {
        return String::new();
    }
    assert_eq!(reply.status, 400, "{}", reply.text());
    let body = reply.json();
    let words = if body["detail"].is_string() { &body["detail"] } else { &body["error"]["message"] };
    words.as_str().unwrap().to_owned()
}

async fn all_refused(fake: &Fake, cases: &[Case]) {
    let stream = fake.dialect() == Dialect::Codex;
    assert_eq!(refused(fake, &request(fake.dialect(), stream)).await, "");
    for (index, (change, words)) in cases.iter().enumerate() {
        let mut body = request(fake.dialect(), stream);
        change(&mut body);
        let said = refused(fake, &body).await;
        assert!(said.contains(words), "case {index}: `{said}` instead of `{words}`");
    }
    assert_eq!(fake.calls().iter().filter(|call| call.status == Some(400)).count(), cases.len());
    assert!(fake.violations().len() >= cases.len());
}

fn assistant(blocks: Value) -> Value {
    json!({"role": "assistant", "content": blocks})
}

fn user(blocks: Value) -> Value {
    json!({"role": "user", "content": blocks})
}

fn tool_use(id: &str) -> Value {
    json!({"type": "tool_use", "id": id, "name": "look", "input": {}})
}

fn tool_result(id: &str) -> Value {
    json!({"type": "tool_result", "tool_use_id": id, "content": "ok"})
}

#[tokio::test]
async fn anthropic_refuses_what_the_real_one_refuses() {
    let fake = strict(Dialect::Anthropic, Strictness::new().output_cap(8192)).await;
    let cases: &[Case] = &[
        (|body| body["banana"] = 1.into(), "banana: Extra inputs are not permitted"),
        (|body| body["max_tokens"] = Value::Null, "max_tokens: Field required"),
        (|body| body["max_tokens"] = 9000.into(), "max_tokens: 9000 > 8192"),
        (|body| body["temperature"] = 1.5.into(), "temperature: Input should be less than or equal to 1"),
        (|body| body["context_management"] = json!({}), "context_management: Extra inputs"),
        (|body| body["stop_sequences"] = json!([" "]), "must contain non-whitespace"),
        (|body| body["system"] = json!([{"type": "text", "text": ""}]), "must be non-empty"),
        (|body| body["messages"] = json!([]), "at least one message"),
        (|body| body["messages"] = json!([user("".into())]), "text content blocks must be non-empty"),
        (
            |body| body["messages"] = json!([user(json!([{"type": "text", "text": "a", "x": 1}]))]),
            "messages.0.content.0.text.x: Extra inputs are not permitted",
        ),
        (
            |body| {
                body["messages"] =
                    json!([user("a".into()), assistant(json!([tool_use("t")])), user("b".into())])
            },
            "`tool_use` ids were found without `tool_result` blocks immediately after: t",
        ),
        (
            |body| body["messages"] = json!([user(json!([tool_result("t")]))]),
            "unexpected `tool_use_id` found in `tool_result` blocks: t",
        ),
        (
            |body| {
                let results = user(json!([{"type": "text", "text": "first"}, tool_result("t")]));
                body["messages"] = json!([user("a".into()), assistant(json!([tool_use("t")])), results]);
            },
            "immediately after: t",
        ),
        (
            |body| {
                let results = user(json!([tool_result("t.1")]));
                body["messages"] = json!([user("a".into()), assistant(json!([tool_use("t.1")])), results]);
            },
            "String should match pattern '^[a-zA-Z0-9_-]+$'",
        ),
        (
            |body| body["messages"] = json!([user("a".into()), assistant("b".into())]),
            "does not support assistant message prefill",
        ),
        (
            |body| {
                let thought = json!({"type": "thinking", "thinking": "hm", "signature": "made up"});
                body["messages"] = json!([user("a".into()), assistant(json!([thought])), user("b".into())]);
            },
            "messages.1.content.0: Invalid `signature` in `thinking` block",
        ),
        (
            |body| {
                let source = json!({"type": "url", "url": "https://example.com/a.png"});
                let image = json!([{"type": "image", "source": source}]);
                body["messages"].as_array_mut().unwrap().push(json!({"role": "system", "content": image}));
            },
            "`system` messages take text only",
        ),
        (
            |body| {
                let image = json!({"type": "base64", "media_type": "image/bmp", "data": "AAAA"});
                body["messages"] = json!([user(json!([{"type": "image", "source": image}]))]);
            },
            "media_type: Input should be 'image/jpeg'",
        ),
        (
            |body| body["tools"] = json!([{"name": "a b", "input_schema": {"type": "object"}}]),
            "tools.0.custom.name: String should match pattern",
        ),
        (
            |body| {
                let tool = json!({"name": "a", "input_schema": {"type": "object"}});
                body["tools"] = json!([tool, tool]);
            },
            "Tool names must be unique",
        ),
        (|body| body["tools"] = json!([{"name": "a"}]), "input_schema: Field required"),
        (
            |body| body["tools"] = json!([{"name": "a", "input_schema": {"type": "object", "anyOf": []}}]),
            "does not support oneOf, allOf, or anyOf",
        ),
        (|body| body["tool_choice"] = json!({"type": "auto"}), "only be specified while providing tools"),
        (
            |body| {
                body["tools"] = json!([{"name": "a", "input_schema": {"type": "object"}}]);
                body["tool_choice"] = json!({"type": "any"});
                body["thinking"] = json!({"type": "enabled", "budget_tokens": 1024});
            },
            "Thinking may not be enabled when tool_choice forces tool use",
        ),
        (
            |body| body["thinking"] = json!({"type": "enabled", "budget_tokens": 100}),
            "greater than or equal to 1024",
        ),
        (
            |body| body["thinking"] = json!({"type": "enabled", "budget_tokens": 4096}),
            "`max_tokens` must be greater than `thinking.budget_tokens`",
        ),
        (
            |body| {
                body["thinking"] = json!({"type": "enabled", "budget_tokens": 1024});
                let results = user(json!([tool_result("t")]));
                body["messages"] = json!([user("a".into()), assistant(json!([tool_use("t")])), results]);
            },
            "Expected `thinking` or `redacted_thinking`, but found `tool_use`",
        ),
        (
            |body| {
                let block = json!({"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}});
                body["messages"] = json!([user(json!([block, block, block, block, block]))]);
            },
            "A maximum of 4 blocks with cache_control may be provided. Found 5",
        ),
        (
            |body| {
                body["output_config"] =
                    json!({"format": {"type": "json_schema", "schema": {"type": "object"}}})
            },
            "'additionalProperties' must be explicitly set to false",
        ),
    ];
    all_refused(&fake, cases).await;
}

#[tokio::test]
async fn anthropic_wants_its_headers() {
    let fake = strict(Dialect::Anthropic, Strictness::new()).await;
    let body = request(Dialect::Anthropic, false).to_string();
    let without = |name: &str| {
        let mut headers = headers(Dialect::Anthropic, "key");
        headers.retain(|(header, _)| *header != name);
        headers
    };
    let ask = |headers: Vec<(&'static str, String)>| {
        let (fake, body) = (&fake, body.clone());
        async move { call(fake, "POST", path(Dialect::Anthropic), &headers, body).await.unwrap() }
    };
    let unsigned = ask(without("x-api-key")).await;
    assert_eq!(
        (unsigned.status, unsigned.json()["error"]["type"].as_str()),
        (401, Some("authentication_error"))
    );
    assert_eq!(ask(without("anthropic-version")).await.status, 400);
    let mut bearer = without("x-api-key");
    bearer.push(("authorization", "Bearer key".into()));
    assert_eq!(ask(bearer).await.status, 200);
    let mut foreign = headers(Dialect::Anthropic, "key");
    foreign.push(("api-key", "key".into()));
    assert_eq!(ask(foreign).await.status, 400);
    let mut beta: Value = request(Dialect::Anthropic, false);
    beta["context_management"] = json!({"edits": []});
    let mut headers = headers(Dialect::Anthropic, "key");
    headers.push(("anthropic-beta", "other-2025-01-01,context-management-2025-06-27".into()));
    assert_eq!(call(&fake, "POST", "/v1/messages", &headers, beta.to_string()).await.unwrap().status, 200);
}

#[tokio::test]
async fn anthropic_counts_tokens() {
    let fake = strict(Dialect::Anthropic, Strictness::new()).await;
    let mut body = request(Dialect::Anthropic, false);
    let count = |body: Value| {
        let fake = &fake;
        let headers = headers(Dialect::Anthropic, "key");
        async move { call(fake, "POST", "/v1/messages/count_tokens", &headers, body.to_string()).await.unwrap() }
    };
    assert_eq!(count(body.clone()).await.status, 400, "there is no `max_tokens` and no `stream` to count");
    body.as_object_mut().unwrap().retain(|name, _| ["model", "messages"].contains(&name.as_str()));
    fake.push(Match::any(), Answer::text("not for this"));
    assert!(count(body).await.json()["input_tokens"].as_u64().unwrap() > 0);
    assert_eq!(fake.calls().len(), 2);
}

#[tokio::test]
async fn signatures_come_back_to_their_key_only() {
    let thoughts = Answer::text("ok").reasoning("hm").redacted("secret thoughts");
    let script = Script::new().strict(Strictness::new()).otherwise(thoughts);
    let fake = fake(Dialect::Anthropic, script).await;
    let reply = ask(&fake, "one", &request(Dialect::Anthropic, false)).await.json();
    let mut body = request(Dialect::Anthropic, false);
    body["messages"] = json!([user("a".into()), assistant(reply["content"].clone()), user("b".into())]);
    assert_eq!(ask(&fake, "one", &body).await.status, 200);
    assert_eq!(ask(&fake, "two", &body).await.status, 400, "it was issued to another key");
    body["messages"][1]["content"][0]["thinking"] = "changed".into();
    assert_eq!(ask(&fake, "one", &body).await.status, 400, "other thoughts");
}

#[tokio::test]
async fn responses_refuse_what_the_real_ones_refuse() {
    let fake = strict(Dialect::Responses, Strictness::new().refusing(["top_p"])).await;
    fn item(body: &mut Value, item: Value) {
        body["input"].as_array_mut().unwrap().push(item);
    }
    let cases: &[Case] = &[
        (|body| body["messages"] = json!([]), "Unknown parameter: 'messages'."),
        (|body| body["model"] = Value::Null, "Invalid type for 'model'"),
        (|body| drop(body.as_object_mut().unwrap().remove("input")), "Missing required parameter: 'input'."),
        (
            |body| body["top_p"] = 0.5.into(),
            "Unsupported parameter: 'top_p' is not supported with this model.",
        ),
        (|body| body["max_output_tokens"] = 15.into(), "Expected a value >= 16, but got 15 instead."),
        (|body| body["stream_options"] = json!({"include_usage": true}), "'stream_options.include_usage'"),
        (|body| body["service_tier"] = "standard_only".into(), "Invalid value: 'standard_only'"),
        (|body| body["previous_response_id"] = "resp_1".into(), "'resp_1' not found"),
        (
            |body| body["input"][0]["content"][0]["type"] = "output_text".into(),
            "Invalid value: 'output_text'",
        ),
        (|body| body["input"][0]["content"][0]["type"] = "text".into(), "Invalid value: 'text'"),
        (|body| body["input"][0]["banana"] = 1.into(), "Unknown parameter: 'input[0].banana'."),
        (
            |body| item(body, json!({"role": "assistant", "content": [{"type": "input_text", "text": "a"}]})),
            "Supported values are: 'output_text', 'refusal'.",
        ),
        (|body| item(body, json!({"role": "assistant", "content": []})), "must not be empty"),
        (|body| item(body, json!({"role": "assistant", "content": null})), "but got null instead"),
        (
            |body| item(body, json!({"type": "reasoning", "id": "rs_1", "summary": []})),
            "Item with id 'rs_1' not found. Items are not persisted when `store` is set to false.",
        ),
        (
            |body| item(body, json!({"type": "reasoning", "encrypted_content": "x", "summary": []})),
            "could not be verified",
        ),
        (
            |body| {
                item(body, json!({"type": "function_call", "call_id": "c", "name": "n", "arguments": "{}"}))
            },
            "No tool output found for function call c.",
        ),
        (
            |body| item(body, json!({"type": "function_call_output", "call_id": "c", "output": "x"})),
            "No tool call found for function call output with call_id c.",
        ),
        (
            |body| {
                let long = "c".repeat(65);
                item(body, json!({"type": "function_call", "call_id": long, "name": "n", "arguments": "{}"}));
            },
            "string too long",
        ),
        (|body| body["input"][0]["id"] = "call_1".into(), "Expected an ID that begins with 'msg'."),
        (
            |body| body["tools"] = json!([{"type": "function", "function": {"name": "a"}}]),
            "Missing required parameter: 'tools[0].name'.",
        ),
        (
            |body| {
                body["tools"] = json!([{"type": "function", "name": "a.b", "parameters": {"type": "object"}}])
            },
            "does not match pattern",
        ),
        (
            |body| {
                let schema =
                    json!({"type": "object", "properties": {"x": {}}, "additionalProperties": false});
                body["tools"] =
                    json!([{"type": "function", "name": "a", "parameters": schema, "strict": true}]);
            },
            "'required' is required to be supplied",
        ),
        (
            |body| {
                body["tools"] = json!([{"type": "function", "name": "a", "parameters": null}]);
                body["tool_choice"] = json!({"type": "function", "function": {"name": "a"}});
            },
            "Unknown parameter: 'tool_choice.function'.",
        ),
        (|body| body["tool_choice"] = "required".into(), "must be specified with 'tools' parameter"),
        (
            |body| body["text"] = json!({"format": {"type": "json_schema", "json_schema": {}}}),
            "Unknown parameter: 'text.format.json_schema'.",
        ),
    ];
    all_refused(&fake, cases).await;
}

#[tokio::test]
async fn encrypted_thoughts_come_back_to_their_account_only() {
    let answer = Answer::empty().reasoning("hm").and_tool("call_1", "look", "{}");
    for dialect in [Dialect::Responses, Dialect::Codex] {
        let script = Script::new().strict(Strictness::new()).otherwise(answer.clone());
        let fake = fake(dialect, script).await;
        let stream = dialect == Dialect::Codex;
        let first = ask(&fake, "one", &request(dialect, stream)).await;
        let items: Vec<Value> = if stream {
            let done =
                |event: &Value| (event["type"] == "response.output_item.done").then(|| event["item"].clone());
            first.events().iter().filter_map(done).collect()
        } else {
            first.json()["output"].as_array().unwrap().clone()
        };
        let mut body = request(dialect, stream);
        let input = body["input"].as_array_mut().unwrap();
        input.extend(items);
        input.push(json!({"type": "function_call_output", "call_id": "call_1", "output": "ok"}));
        assert_eq!(ask(&fake, "one", &body).await.status, 200, "{dialect:?}");
        let foreign = ask(&fake, "two", &body).await;
        assert_eq!(foreign.json()["error"]["code"], "invalid_encrypted_content");
        body["input"].as_array_mut().unwrap().remove(1);
        let alone = ask(&fake, "one", &body).await;
        assert!(alone.text().contains("was provided without its required 'reasoning' item"));
        body["input"][1].as_object_mut().unwrap().remove("id");
        assert_eq!(ask(&fake, "two", &body).await.status, 200, "without its id it stands alone");
    }
}

#[tokio::test]
async fn a_subscription_refuses_what_the_real_one_refuses() {
    let fake = strict(Dialect::Codex, Strictness::new()).await;
    let cases: &[Case] = &[
        (|body| body["store"] = true.into(), "Store must be set to false"),
        (|body| drop(body.as_object_mut().unwrap().remove("store")), "Store must be set to false"),
        (|body| body["stream"] = false.into(), "Stream must be set to true"),
        (|body| body["max_output_tokens"] = 100.into(), "Unsupported parameter: max_output_tokens"),
        (|body| body["temperature"] = 1.into(), "Unsupported parameter: temperature"),
        (|body| body["metadata"] = json!({}), "Unsupported parameter: metadata"),
        (|body| body["previous_response_id"] = "x".into(), "Unsupported parameter: previous_response_id"),
        (|body| body["input"] = "hi".into(), "Input must be a list"),
        (|body| body["input"][0]["role"] = "system".into(), "System messages are not allowed"),
        (
            |body| body["input"][0]["content"][0]["prompt_cache_breakpoint"] = json!({}),
            "prompt_cache_breakpoint is not supported on this model",
        ),
    ];
    all_refused(&fake, cases).await;
    let body = request(Dialect::Codex, true).to_string();
    let mut headers = headers(Dialect::Codex, "key");
    headers.pop();
    let nameless = call(&fake, "POST", path(Dialect::Codex), &headers, body).await.unwrap();
    assert_eq!(nameless.status, 401);
}

#[tokio::test]
async fn rules_are_only_those_of_the_script() {
    let mut prefill = request(Dialect::Anthropic, false);
    prefill["messages"] = json!([user("a".into()), assistant("b".into())]);
    let lenient = strict(Dialect::Anthropic, Strictness::new().without(Rule::NoPrefill)).await;
    assert_eq!(refused(&lenient, &prefill).await, "");
    let mut middle = request(Dialect::Anthropic, false);
    middle["messages"] = json!([user("a".into()), {"role": "system", "content": "now"}]);
    assert_eq!(refused(&lenient, &middle).await, "");
    let older =
        strict(Dialect::Anthropic, Strictness::new().with([Rule::NoSystemTurns, Rule::BudgetOnly])).await;
    assert_eq!(refused(&older, &middle).await, "role 'system' is not supported on this model");
    let mut adaptive = request(Dialect::Anthropic, false);
    adaptive["thinking"] = json!({"type": "adaptive"});
    assert_eq!(refused(&lenient, &adaptive).await, "");
    assert_eq!(refused(&older, &adaptive).await, "adaptive thinking is not supported on this model");
}
