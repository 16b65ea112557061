//! What providers get instead of what the caller sent.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped here fails the test")]

use bytes::Bytes;
use hr_core::catalog::{Dialect, QUIRK_FUNCTIONS, Quirks};
use hr_wire::Envelope;
use hr_wire::dialect::{Outgoing, Prepared, upstream_half};
use hr_wire::openai_chat::{prepare, prepare_embeddings, quirk_exists, quirk_names};
use serde_json::{Value, json};

fn outgoing(quirks: &Quirks) -> Outgoing<'_> {
    Outgoing::new("up", quirks)
}

fn sent(body: &Value, outgoing: &Outgoing<'_>) -> (Value, Prepared) {
    let prepared = prepare(&Envelope::read(Bytes::from(body.to_string())).unwrap(), outgoing);
    (serde_json::from_slice(&prepared.body).unwrap(), prepared)
}

/// What one function makes of these fields, and how many losses it names.
fn with(function: &str, fields: Value) -> (Value, usize) {
    let quirks = Quirks { functions: vec![function.to_owned()], ..Quirks::default() };
    let mut body = json!({"model": "m"});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let (mut sent, prepared) = sent(&body, &outgoing(&quirks));
    assert_eq!(sent["model"], "up");
    sent.as_object_mut().unwrap().remove("model");
    (sent, prepared.losses.len())
}

#[test]
fn the_catalogue_knows_the_same_functions() {
    let someone_has = |name: &str| Dialect::ALL.iter().any(|it| upstream_half(*it).quirk_exists(name));
    let nobodys: Vec<_> = QUIRK_FUNCTIONS.iter().filter(|name| !someone_has(name)).collect();
    assert!(nobodys.is_empty(), "{nobodys:?}");
    let unlisted: Vec<_> = quirk_names().filter(|name| !QUIRK_FUNCTIONS.contains(name)).collect();
    assert!(unlisted.is_empty(), "{unlisted:?}");
    assert!(quirk_exists("drop_nulls") && !quirk_exists("drop_everything"));
}

#[test]
fn every_function_leaves_a_plain_request_alone() {
    let plain = json!({"messages": [{"role": "user", "content": "hi"}]});
    for function in quirk_names() {
        assert_eq!(with(function, plain.clone()), (plain.clone(), 0), "{function}");
    }
}

/// What this function makes of a body, as bytes.
fn bytes_with(function: &str, body: &str) -> String {
    let quirks = Quirks { functions: vec![function.to_owned()], ..Quirks::default() };
    let envelope = Envelope::read(Bytes::from(body.to_owned())).unwrap();
    String::from_utf8(prepare(&envelope, &outgoing(&quirks)).body.to_vec()).unwrap()
}

/// Legal JSON that no value tree carries: long numbers, trailing zeros, numbers beyond a float, equal keys,
/// half a surrogate pair, escapes, white space.
const ODD: &str =
    r#""x" : 123456789012345678901234567890, "y":1.10,"z":1e400 ,"z":1E+2,"s":"\ud800 \u00e9\/","w":[ ]"#;

#[test]
fn functions_change_nothing_beside_what_they_are_for() {
    let odd = ODD;
    for (function, from, to) in [
        ("developer_to_system", r#"{"role":"developer",ODD}"#, r#"{"role":"system",ODD}"#),
        ("strip_reasoning_history", r#"{"reasoning_content":"r", ODD}"#, "{ODD}"),
        (
            "strip_reasoning_history",
            r#"{ODD,"content":[ {"type":"thinking"} , {"ODD":1}]}"#,
            r#"{ODD,"content":[ {"ODD":1}]}"#,
        ),
        ("rename_reasoning_history", r#"{"reasoning_content" :"r",ODD}"#, r#"{"reasoning" :"r",ODD}"#),
        (
            "strip_extra_content",
            r#"{"tool_calls":[{ODD,"extra_content":1}],ODD}"#,
            r#"{"tool_calls":[{ODD}],ODD}"#,
        ),
        ("strip_message_names", r#"{ODD,"name":"n"}"#, "{ODD}"),
        (
            "flatten_text_content",
            r#"{"content":[{"type":"text","text":"\ud800"},{"text":"\u00e9","type":"text"}],ODD}"#,
            r#"{"content":"\ud800\n\u00e9",ODD}"#,
        ),
        ("drop_empty_assistant", r#"{"role":"assistant","content":[ ],ODD}"#, ""),
        (
            "fill_reasoning_beside_calls",
            r#"{"tool_calls":[ {ODD}],"reasoning":"\ud800",ODD}"#,
            r#"{"tool_calls":[ {ODD}],"reasoning":"\ud800",ODD,"reasoning_content":"\ud800"}"#,
        ),
        (
            "fill_thought_signatures",
            r#"{"tool_calls":[ {ODD} , {ODD}],ODD}"#,
            concat!(
                r#"{"tool_calls":[ {ODD,"extra_content":{"google":{"thought_signature":"#,
                r#""skip_thought_signature_validator"}}} , {ODD}],ODD}"#
            ),
        ),
    ] {
        let body = |message: &str, second: &str| {
            let message = message.replace("\"ODD\"", "\"odd\"").replace("ODD", odd);
            let comma = if message.is_empty() { "" } else { " ,\n" };
            format!(r#"{{"model":"{second}", "messages": [{message}{comma}{{"role":"user",{odd}}} ]}}"#)
        };
        assert_eq!(bytes_with(function, &body(from, "m")), body(to, "up"), "{function}");
    }
    let tools = |parameters: &str, model: &str| {
        format!(
            r#"{{"tools":[ {{"function":{{"parameters":{parameters},{odd}}},{odd}}}],"model":"{model}"}}"#
        )
    };
    let before = format!(
        r#"{{"$schema":"s","properties":{{"$schema":{{"additionalProperties":false, {odd}}}}},{odd}}}"#
    );
    let after = format!(r#"{{"properties":{{"$schema":{{{odd}}}}},{odd}}}"#);
    assert_eq!(bytes_with("strip_schema_keys", &tools(&before, "m")), tools(&after, "up"));
}

#[test]
fn the_four_verbs() {
    let quirks = Quirks {
        drop: vec!["logit_bias".into(), "user".into()],
        rename: vec![
            ("max_completion_tokens".into(), "max_tokens".into()),
            ("seed".into(), "random_seed".into()),
        ],
        clamp: vec![("temperature".into(), 0.0, 1.0), ("max_tokens".into(), 1.0, 100.0)],
        force: vec![("safe".into(), json!(true))],
        functions: Vec::new(),
    };
    let body = json!({"model": "m", "logit_bias": {"1": 1}, "user": null, "max_tokens": 5, "max_completion_tokens": 500,
        "seed": 7, "temperature": 1.5, "other": [1]});
    let (sent, prepared) = sent(&body, &outgoing(&quirks));
    assert_eq!(
        sent,
        json!({"model": "up", "max_tokens": 100, "random_seed": 7, "temperature": 1, "other": [1], "safe": true})
    );
    let lost: Vec<&str> = prepared.losses.iter().map(|loss| loss.what.as_str()).collect();
    assert_eq!(lost, ["logit_bias", "temperature", "max_tokens"]);
}

#[test]
fn usage_is_asked_for_where_it_can_be() {
    let plain = Quirks::default();
    let streaming = |quirks| Outgoing { stream: true, ..outgoing(quirks) };
    let (asked, prepared) = sent(&json!({"model": "m", "stream": true}), &streaming(&plain));
    assert_eq!(asked["stream_options"], json!({"include_usage": true}));
    assert!(prepared.asked_for_usage);
    let body = json!({"model": "m", "stream": true, "stream_options": {"include_obfuscation": false, "include_usage": false}});
    let (kept, _) = sent(&body, &streaming(&plain));
    assert_eq!(kept["stream_options"], json!({"include_obfuscation": false, "include_usage": true}));
    let dropping = Quirks { drop: vec!["stream_options".into()], ..Quirks::default() };
    let (dropped, prepared) = sent(&body, &streaming(&dropping));
    assert_eq!(dropped.get("stream_options"), None);
    assert!(!prepared.asked_for_usage && prepared.losses.is_empty());
}

#[test]
fn the_reserve_comes_before_the_cap() {
    let quirks = Quirks::default();
    let body = json!({"model": "m", "max_tokens": 100, "max_completion_tokens": 9000});
    let (sent, _) =
        sent(&body, &Outgoing { reasoning_reserve: 4096, max_output_cap: Some(8192), ..outgoing(&quirks) });
    assert_eq!((&sent["max_tokens"], &sent["max_completion_tokens"]), (&json!(4196), &json!(8192)));
}

#[test]
fn embeddings_get_the_model_and_the_verbs() {
    let quirks = Quirks { drop: vec!["user".into()], ..Quirks::default() };
    let envelope = Envelope::read(Bytes::from_static(br#"{"model":"m", "input":"a","user":"u"}"#)).unwrap();
    assert_eq!(prepare_embeddings(&envelope, "up", &quirks), &br#"{"model":"up", "input":"a"}"#[..]);
}

#[test]
fn histories_are_made_fit() {
    let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let signed = |id: &str, signature: &str| {
        let mut call = call(id);
        call["extra_content"] = json!({"google": {"thought_signature": signature}});
        call
    };
    let table = [
        (
            "developer_to_system",
            json!([{"role": "developer", "content": "developer"}, {"role": "user", "content": "x"}]),
            json!([{"role": "system", "content": "developer"}, {"role": "user", "content": "x"}]),
            0,
        ),
        (
            "strip_reasoning_history",
            json!([{"role": "assistant", "content": [{"type": "thinking", "thinking": []}, {"type": "text", "text": "x"}]},
                {"role": "assistant", "content": "y", "reasoning_content": "r", "reasoning": "r", "think": 1}]),
            json!([{"role": "assistant", "content": [{"type": "text", "text": "x"}]}, {"role": "assistant", "content": "y"}]),
            1,
        ),
        (
            "rename_reasoning_history",
            json!([{"role": "assistant", "content": "y", "reasoning_content": "r"}]),
            json!([{"role": "assistant", "content": "y", "reasoning": "r"}]),
            0,
        ),
        (
            "strip_extra_content",
            json!([{"role": "assistant", "tool_calls": [{"id": "a", "extra_content": {"google": 1}}]}]),
            json!([{"role": "assistant", "tool_calls": [{"id": "a"}]}]),
            1,
        ),
        (
            "strip_message_names",
            json!([{"role": "user", "name": "ann", "content": "x"}, {"role": "function", "name": "f", "content": "y"}]),
            json!([{"role": "user", "content": "x"}, {"role": "function", "name": "f", "content": "y"}]),
            1,
        ),
        (
            "flatten_text_content",
            json!([{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
                {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "u"}}]}]),
            json!([{"role": "user", "content": "a\nb"},
                {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "u"}}]}]),
            0,
        ),
        (
            "drop_empty_assistant",
            json!([{"role": "assistant", "content": ""}, {"role": "assistant", "content": null, "tool_calls": [call("a")]},
                {"role": "user", "content": ""}]),
            json!([{"role": "assistant", "content": null, "tool_calls": [call("a")]}, {"role": "user", "content": ""}]),
            0,
        ),
        (
            "fill_reasoning_beside_calls",
            json!([{"role": "assistant", "tool_calls": [call("a")]},
                {"role": "assistant", "tool_calls": [call("b")], "reasoning_content": "r"},
                {"role": "assistant", "tool_calls": [call("c")], "reasoning_content": "", "reasoning": "s"},
                {"role": "assistant", "content": "x", "tool_calls": []}]),
            json!([{"role": "assistant", "tool_calls": [call("a")], "reasoning_content": " "},
                {"role": "assistant", "tool_calls": [call("b")], "reasoning_content": "r"},
                {"role": "assistant", "tool_calls": [call("c")], "reasoning_content": "s", "reasoning": "s"},
                {"role": "assistant", "content": "x", "tool_calls": []}]),
            0,
        ),
        (
            "fill_thought_signatures",
            json!([{"role": "assistant", "tool_calls": [signed("a", "s1"), call("b")]},
                {"role": "assistant", "tool_calls": [call("c"), call("d")]},
                {"role": "assistant", "tool_calls": []}, {"role": "assistant", "tool_calls": null}]),
            json!([{"role": "assistant", "tool_calls": [signed("a", "s1"), call("b")]},
                {"role": "assistant", "tool_calls": [signed("c", "skip_thought_signature_validator"), call("d")]},
                {"role": "assistant", "tool_calls": []}, {"role": "assistant", "tool_calls": null}]),
            0,
        ),
    ];
    for (function, messages, wanted, losses) in table {
        let (sent, named) = with(function, json!({"messages": messages}));
        assert_eq!((&sent["messages"], named), (&wanted, losses), "{function}");
    }
}

#[test]
fn tool_ids_agree_on_both_ends() {
    let messages = json!([
        {"role": "assistant", "tool_calls": [{"id": "call_abcdef"}, {"id": "aB3dE6gH9"}]},
        {"role": "tool", "tool_call_id": "aB3dE6gH9", "content": "1"},
        {"role": "tool", "tool_call_id": "call_abcdef", "content": "2"},
    ]);
    let (sent, _) = with("tool_ids_nine_alphanumeric", json!({"messages": messages}));
    let id = sent["messages"][0]["tool_calls"][0]["id"].as_str().unwrap();
    assert!(id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    assert_eq!(sent["messages"][2]["tool_call_id"], id);
    assert_eq!(sent["messages"][0]["tool_calls"][1]["id"], "aB3dE6gH9");
    assert_eq!(sent["messages"][1]["tool_call_id"], "aB3dE6gH9");
}

#[test]
fn fields_are_made_fit() {
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    let schema = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": {}}});
    let described =
        |text: &str| json!([{"type": "function", "function": {"name": "f", "description": text}}]);
    let table = [
        (
            "no_sampling_while_reasoning",
            json!({"temperature": 0.2, "top_p": 1, "logprobs": null, "seed": 7, "reasoning_effort": "low"}),
            json!({"seed": 7, "reasoning_effort": "low"}),
            1,
        ),
        (
            "no_sampling_while_reasoning",
            json!({"temperature": 0.2, "reasoning_effort": "none"}),
            json!({"temperature": 0.2, "reasoning_effort": "none"}),
            0,
        ),
        ("describe_tools", json!({"tools": tools}), json!({"tools": described("")}), 0),
        ("describe_tools", json!({"tools": described("d")}), json!({"tools": described("d")}), 0),
        (
            "describe_tools",
            json!({"tools": [{"type": "function", "function": {"name": "f", "description": null}}]}),
            json!({"tools": described("")}),
            0,
        ),
        ("tool_choice_required_to_any", json!({"tool_choice": "required"}), json!({"tool_choice": "any"}), 0),
        (
            "tool_choice_auto_only",
            json!({"tool_choice": "required", "tools": tools}),
            json!({"tool_choice": "auto", "tools": tools}),
            1,
        ),
        ("tool_choice_auto_only", json!({"tool_choice": "none", "tools": tools}), json!({}), 0),
        (
            "single_tool_calls",
            json!({"tools": tools}),
            json!({"tools": tools, "parallel_tool_calls": false}),
            0,
        ),
        ("single_tool_calls", json!({"parallel_tool_calls": true}), json!({}), 0),
        (
            "one_max_tokens_field",
            json!({"max_tokens": 1, "max_completion_tokens": 2}),
            json!({"max_completion_tokens": 2}),
            0,
        ),
        ("temperature_floor", json!({"temperature": 0}), json!({"temperature": 1e-8}), 0),
        ("temperature_floor", json!({"temperature": 0.5}), json!({"temperature": 0.5}), 0),
        ("drop_nulls", json!({"stop": null, "n": 1}), json!({"n": 1}), 0),
        ("drop_text_response_format", json!({"response_format": {"type": "text"}}), json!({}), 0),
        (
            "json_schema_to_json_object",
            json!({"response_format": schema}),
            json!({"response_format": {"type": "json_object"}}),
            1,
        ),
        (
            "response_format_not_with_tools",
            json!({"response_format": schema, "tools": tools}),
            json!({"tools": tools}),
            1,
        ),
        (
            "response_format_not_with_tools",
            json!({"response_format": schema}),
            json!({"response_format": schema}),
            0,
        ),
        (
            "effort_none_with_tools",
            json!({"tools": tools, "reasoning_effort": "high"}),
            json!({"tools": tools, "reasoning_effort": "none"}),
            1,
        ),
        ("effort_up_to_high", json!({"reasoning_effort": "max"}), json!({"reasoning_effort": "high"}), 1),
        (
            "effort_up_to_high",
            json!({"reasoning_effort": "minimal"}),
            json!({"reasoning_effort": "minimal"}),
            0,
        ),
        ("effort_from_low", json!({"reasoning_effort": "minimal"}), json!({"reasoning_effort": "low"}), 1),
        (
            "effort_to_reasoning_object",
            json!({"reasoning_effort": "low"}),
            json!({"reasoning": {"effort": "low"}}),
            0,
        ),
    ];
    for (function, fields, wanted, losses) in table {
        assert_eq!(with(function, fields.clone()), (wanted, losses), "{function} {fields}");
    }
}

#[test]
fn schemas_are_made_fit() {
    let tools = |parameters: Value| json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": parameters}}]});
    let parameters = |sent: &Value| sent["tools"][0]["function"]["parameters"].clone();
    let nested = json!({"$schema": "s", "type": "object", "additionalProperties": false, "properties": {
        "additionalProperties": {"type": "array", "items": {"type": "object", "additionalProperties": true}}}});
    let (sent, _) = with("strip_schema_keys", tools(nested));
    assert_eq!(
        parameters(&sent),
        json!({"type": "object", "properties": {"additionalProperties": {"type": "array", "items": {"type": "object"}}}})
    );

    let rich = json!({"type": "object", "$defs": {"City": {"type": ["string", "null"], "minLength": 1}}, "additionalProperties": false,
        "properties": {"city": {"$ref": "#/$defs/City"}, "kind": {"const": "a"}, "size": {"oneOf": [{"type": "number"}, {"type": "null"}]},
            "many": {"type": ["string", "number"]}}, "required": ["city"]});
    let (sent, losses) = with("openapi_schema_subset", tools(rich));
    assert_eq!(losses, 1);
    assert_eq!(
        parameters(&sent),
        json!({"type": "object", "properties": {"city": {"type": "string", "nullable": true, "minLength": 1}, "kind": {"enum": ["a"]},
            "size": {"type": "number", "nullable": true}, "many": {"anyOf": [{"type": "string"}, {"type": "number"}]}}, "required": ["city"]})
    );
}

#[test]
fn references_that_multiply_stay_small() {
    let children: Value =
        (0..50).map(|n| (format!("p{n}"), json!({"$ref": "#"}))).collect::<serde_json::Map<_, _>>().into();
    let bomb = json!({"type": "object", "properties": children});
    let fields = json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": bomb}}]});
    let (sent, _) = with("openapi_schema_subset", fields);
    assert!(sent.to_string().len() < 1_000_000);
}
