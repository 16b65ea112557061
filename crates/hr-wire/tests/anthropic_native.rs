//! The Messages dialect at both ends: what providers get of a caller's bytes, and which requests are refused.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped here fails the test")]

use bytes::Bytes;
use hr_core::catalog::{Quirks, builtin};
use hr_core::failure::FailureKind;
use hr_core::route::ask::Effort;
use hr_core::time::Millis;
use hr_wire::anthropic::{Anthropic, quirk_exists, quirk_names};
use hr_wire::dialect::{ClientHalf, Outgoing, Prepared, UpstreamHalf};
use hr_wire::hub::{Fingerprint, Opaque, OpaqueKind, carrier};
use hr_wire::refusal::Refusal;
use hr_wire::{BadRequest, Envelope};
use proptest::prelude::*;
use serde_json::{Value, json};

fn envelope(body: &Value) -> Envelope {
    Envelope::read(body.to_string().into()).unwrap()
}

fn prepared(body: &Value, functions: &[&str], cap: Option<u64>) -> (Value, Prepared) {
    let quirks = Quirks::default();
    let functions: Vec<String> = functions.iter().map(|name| (*name).to_owned()).collect();
    let outgoing = Outgoing { model_quirks: &functions, max_output_cap: cap, ..Outgoing::new("up", &quirks) };
    let prepared = Anthropic.prepare(&envelope(body), &outgoing);
    (serde_json::from_slice(&prepared.body).unwrap(), prepared)
}

fn lost(prepared: &Prepared) -> Vec<&str> {
    prepared.losses.iter().map(|loss| loss.what.as_str()).collect()
}

fn refusal(change: impl FnOnce(&mut Value)) -> BadRequest {
    let mut body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
    change(&mut body);
    Anthropic.read(body.to_string().into()).expect_err(&body.to_string())
}

#[test]
fn what_is_wrong_is_named_where_it_is() {
    type Change = fn(&mut Value);
    let cases: &[(Change, &str)] = &[
        (|body| body["model"] = json!(5), "model"),
        (|body| body["max_tokens"] = json!(null), "max_tokens"),
        (|body| body["max_tokens"] = json!(-1), "max_tokens"),
        (|body| body["max_tokens"] = json!("9"), "max_tokens"),
        (|body| body["messages"] = json!("hi"), "messages"),
        (|body| body["messages"] = json!([]), "messages"),
        (|body| body["messages"] = json!(["hi"]), "messages[0]"),
        (|body| body["messages"][0] = json!({"content": "x"}), "messages[0].role"),
        (|body| body["messages"][0] = json!({"role": "user"}), "messages[0].content"),
        (|body| body["messages"][0]["role"] = json!("tool"), "messages[0].role"),
        (|body| body["messages"][0]["content"] = json!(5), "messages[0].content"),
        (|body| body["messages"][0]["content"] = json!([]), "messages[0].content"),
        (|body| body["messages"][0]["content"] = json!([{"text": "x"}]), "messages[0].content[0].type"),
        (|body| body["messages"][0]["content"] = json!([{"type": "text"}]), "messages[0].content[0].text"),
        (
            |body| body["messages"][0]["content"] = json!([{"type": "text", "text": 5}]),
            "messages[0].content[0].text",
        ),
        (|body| body["messages"][0]["content"] = json!([{"type": "image"}]), "messages[0].content[0].source"),
        (
            |body| {
                body["messages"][0]["content"] =
                    json!([{"type": "image", "source": {"type": "base64", "data": "x"}}])
            },
            "messages[0].content[0].source.media_type",
        ),
        (
            |body| body["messages"][0]["content"] = json!([{"type": "tool_result", "content": "x"}]),
            "messages[0].content[0].tool_use_id",
        ),
        (
            |body| {
                body["messages"][0]["content"] =
                    json!([{"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text"}]}]);
            },
            "messages[0].content[0].content[0].text",
        ),
        (
            |body| {
                body["messages"][0]["content"] =
                    json!([{"type": "tool_use", "id": "a", "name": "f", "input": {}}]);
            },
            "messages[0].content[0].type",
        ),
        (
            |body| {
                body["messages"][0] = json!({"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": "{}"}]});
            },
            "messages[0].content[0].input",
        ),
        (
            |body| {
                body["messages"][0] =
                    json!({"role": "assistant", "content": [{"type": "thinking", "thinking": "t"}]});
            },
            "messages[0].content[0].signature",
        ),
        (|body| body["system"] = json!(5), "system"),
        (|body| body["system"] = json!([{"type": "image"}]), "system[0].source"),
        (
            |body| body["system"] = json!([{"type": "tool_use", "id": "a", "name": "f", "input": {}}]),
            "system[0].type",
        ),
        (|body| body["temperature"] = json!(1.5), "temperature"),
        (|body| body["stop_sequences"] = json!("x"), "stop_sequences"),
        (|body| body["stop_sequences"] = json!([" "]), "stop_sequences[0]"),
        (|body| body["stream"] = json!("yes"), "stream"),
        (|body| body["tools"] = json!({}), "tools"),
        (|body| body["tools"] = json!([{"name": "f"}]), "tools[0].input_schema"),
        (|body| body["tools"] = json!([{"input_schema": {}}]), "tools[0].name"),
        (
            |body| {
                body["tools"] = json!([{"name": "f", "input_schema": {}}, {"name": "f", "input_schema": {}}])
            },
            "tools[1].name",
        ),
        (|body| body["tool_choice"] = json!("auto"), "tool_choice"),
        (|body| body["tool_choice"] = json!({"type": "required"}), "tool_choice.type"),
        (|body| body["tool_choice"] = json!({"type": "any"}), "tool_choice"),
        (|body| body["thinking"] = json!({"type": "enabled"}), "thinking.enabled.budget_tokens"),
        (
            |body| body["thinking"] = json!({"type": "enabled", "budget_tokens": 5}),
            "thinking.enabled.budget_tokens",
        ),
        (
            |body| body["output_config"] = json!({"format": {"type": "json_schema"}}),
            "output_config.format.schema",
        ),
        (|body| body["output_config"] = json!({"effort": 5}), "output_config.effort"),
    ];
    for (change, param) in cases {
        let bad = refusal(change);
        assert_eq!((bad.status, bad.param.as_deref()), (400, Some(*param)), "{bad}");
        let told: Value = serde_json::from_slice(&Anthropic.refuse(&Refusal::from(&bad))).unwrap();
        let path = param.replace('[', ".").replace(']', "");
        let message = told["error"]["message"].as_str().unwrap();
        assert!(message.starts_with(&format!("{path}: ")), "{message}");
        assert_eq!(told["error"]["type"], "invalid_request_error");
    }
}

#[test]
fn what_is_new_or_unusual_passes() {
    let bodies = [
        json!({"model": "m", "max_tokens": 0, "messages": [{"role": "user", "content": "x"}]}),
        json!({"model": "m", "max_tokens": 1, "tools": [], "stop_sequences": [], "messages": [
            {"role": "user", "content": [{"type": "from_the_future", "x": 1}]},
            {"role": "system", "content": [{"type": "text", "text": "be brief"}]},
            {"role": "assistant", "content": []},
        ]}),
        json!({"model": "m", "max_tokens": 1, "tools": [{"type": "web_search_20990101", "name": "s"}],
        "thinking": {"type": "someday"}, "messages": [{"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "a"},
            {"type": "tool_result", "tool_use_id": "b", "content": [{"type": "tool_reference", "tool_name": "t"}]},
            {"type": "document", "source": {"type": "content", "content": "x"}},
        ]}]}),
    ];
    for body in bodies {
        let (envelope, _) =
            Anthropic.read(body.to_string().into()).unwrap_or_else(|bad| panic!("{body}: {bad}"));
        let (same, _) = prepared(&body, &[], None);
        let mut expected = body;
        expected["model"] = json!("up");
        assert_eq!(same, expected);
        ClientHalf::decode(&Anthropic, &envelope).unwrap();
    }
}

#[test]
fn the_difficulty_is_that_of_the_persons_words() {
    let ask = |content: Value| {
        let body = json!({"model": "m", "max_tokens": 1, "messages": [
            {"role": "user", "content": "Refactor the architecture and prove the algorithm step by step."},
            {"role": "assistant", "content": "Done."},
            {"role": "user", "content": content},
        ]});
        Anthropic.read(body.to_string().into()).unwrap().1.difficulty
    };
    let result = json!([{"type": "tool_result", "tool_use_id": "a", "content": "hello"}]);
    let reminded = json!([
        {"type": "text", "text": "<system-reminder>refactor, migrate, prove</system-reminder>"},
        {"type": "text", "text": "thanks"},
    ]);
    assert_eq!(ask(reminded), ask(json!("thanks")));
    assert!(ask(result) < ask(json!("thanks")), "while tools run, the question is still the one before");
}

#[test]
fn effort_counts_only_where_reasoning_is_on() {
    let effort = |fields: Value| {
        let mut body = json!({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}]});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        Anthropic.read(body.to_string().into()).unwrap().1.effort
    };
    assert_eq!(effort(json!({"output_config": {"effort": "high"}})), Effort::Unsaid);
    assert_eq!(
        effort(json!({"output_config": {"effort": "high"}, "thinking": {"type": "adaptive"}})),
        Effort::High
    );
    assert_eq!(effort(json!({"thinking": {"type": "enabled", "budget_tokens": 1024}})), Effort::Low);
    assert_eq!(effort(json!({"thinking": {"type": "enabled", "budget_tokens": 30000}})), Effort::High);
    assert_eq!(effort(json!({"thinking": {"type": "disabled"}})), Effort::Unsaid);
}

#[test]
fn reasoning_of_others_goes_and_the_rest_stays_to_the_byte() {
    let ours = carrier::carry(Some(&Opaque {
        origin: hr_core::catalog::Dialect::OpenaiChat,
        kind: OpaqueKind::Encrypted,
        id: None,
        data: "secret".into(),
    }));
    let block =
        |signature: &str| format!(r#"{{"type":"thinking" ,"thinking":"t","signature":"{signature}"}}"#);
    let body = |assistant: &str| {
        format!(
            r#"{{"model":"m", "max_tokens":9,"messages":[ {{"role":"user","content":"\u00e9"}},{assistant}{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"a"}}]}}], "x":1e400}}"#
        )
    };
    let call = r#"{"type":"tool_use","id":"a","name":"f","input":{"n":1.10}}"#;
    let turn = |blocks: &str| format!(r#"{{"role":"assistant","content":[{blocks}]}},"#);
    let sent = |text: &str, foreign: &[Fingerprint]| {
        let quirks = Quirks::default();
        let envelope = Envelope::read(Bytes::from(text.to_owned())).unwrap();
        let prepared = Anthropic.prepare(&envelope, &Outgoing { foreign, ..Outgoing::new("m", &quirks) });
        (String::from_utf8(prepared.body.to_vec()).unwrap(), prepared.losses.len())
    };
    let foreign = [Fingerprint::of("theirs")];
    let own = body(&turn(&format!("{},{call}", block("own"))));
    assert_eq!(sent(&own, &foreign), (own.clone(), 0));
    let without = body(&turn(call));
    assert_eq!(sent(&body(&turn(&format!("{},{call}", block("theirs")))), &foreign), (without.clone(), 1));
    assert_eq!(sent(&body(&turn(&format!("{},{call}", block(&ours)))), &[]), (without.clone(), 1));
    let redacted = r#"{"type":"redacted_thinking","data":"theirs"}"#;
    assert_eq!(sent(&body(&turn(&format!("{redacted},{call}"))), &foreign), (without, 1));
    assert_eq!(sent(&body(&turn(redacted)), &foreign).0, body(""), "a turn of nothing else goes with it");
}

#[test]
fn limits_are_kept_and_budgets_below_them() {
    let ask = |max: u64, budget: u64| {
        json!({"model": "m", "max_tokens": max, "messages": [{"role": "user", "content": "x"}],
               "thinking": {"type": "enabled", "budget_tokens": budget}})
    };
    let (sent, _) = prepared(&ask(64_000, 31_999), &[], Some(8192));
    assert_eq!((&sent["max_tokens"], &sent["thinking"]["budget_tokens"]), (&json!(8192), &json!(8191)));
    let (sent, _) = prepared(&ask(64_000, 31_999), &[], Some(1000));
    assert_eq!((&sent["max_tokens"], sent.get("thinking")), (&json!(1000), None));
    let (sent, _) = prepared(&ask(5000, 2000), &[], Some(8192));
    assert_eq!((&sent["max_tokens"], &sent["thinking"]["budget_tokens"]), (&json!(5000), &json!(2000)));
}

#[test]
fn reasoning_is_brought_to_what_the_model_takes() {
    let ask = |fields: Value| {
        let mut body =
            json!({"model": "m", "max_tokens": 32_000, "messages": [{"role": "user", "content": "x"}]});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        body
    };
    let adaptive = ask(json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "medium"}}));
    let (sent, told) = prepared(&adaptive, &["thinking_by_budget"], Some(64_000));
    assert_eq!(sent["thinking"], json!({"type": "enabled", "budget_tokens": 8192}));
    assert_eq!((sent.get("output_config"), lost(&told)), (None, vec![]));

    let small = {
        let mut body = adaptive.clone();
        body["max_tokens"] = json!(500);
        body
    };
    let (sent, _) = prepared(&small, &["thinking_by_budget"], Some(64_000));
    assert_eq!((&sent["max_tokens"], &sent["thinking"]["budget_tokens"]), (&json!(8692), &json!(8192)));
    let (sent, told) = prepared(&small, &["thinking_by_budget"], Some(600));
    assert_eq!((sent.get("thinking"), lost(&told)), (None, vec!["reasoning"]));

    let all = ask(json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}));
    for (cap, most) in [(None, 32_000), (Some(64_000), 64_000)] {
        let (sent, _) = prepared(&all, &["thinking_by_budget"], cap);
        let told = (&sent["max_tokens"], &sent["thinking"]["budget_tokens"]);
        assert_eq!(told, (&json!(most), &json!(most - 1)));
    }

    let budget = ask(json!({"thinking": {"type": "enabled", "budget_tokens": 31_999, "display": "omitted"}}));
    let (sent, told) = prepared(&budget, &["thinking_adaptive"], None);
    assert_eq!(sent["thinking"], json!({"type": "adaptive", "display": "omitted"}));
    assert_eq!(
        (&sent["output_config"]["effort"], lost(&told)),
        (&json!("xhigh"), vec!["thinking.budget_tokens"])
    );

    let off = ask(json!({"thinking": {"type": "disabled"}}));
    let (sent, _) = prepared(&off, &["thinking_always"], None);
    assert_eq!((sent.get("thinking"), &sent["output_config"]["effort"]), (None, &json!("low")));
    let (sent, _) = prepared(&adaptive, &["no_thinking"], None);
    assert_eq!((sent.get("thinking"), sent.get("output_config")), (None, None));
}

#[test]
fn a_running_tool_loop_without_its_reasoning_goes_on_without_any() {
    let body = json!({"model": "m", "max_tokens": 9000, "thinking": {"type": "adaptive"}, "messages": [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a"}]},
    ]});
    let (sent, _) = prepared(&body, &["thinking_by_budget"], None);
    assert_eq!(sent["thinking"], json!({"type": "disabled"}));
    let mut whole = body;
    whole["messages"][1]["content"]
        .as_array_mut()
        .unwrap()
        .insert(0, json!({"type": "thinking", "thinking": "", "signature": "s"}));
    assert_eq!(prepared(&whole, &["thinking_by_budget"], None).0["thinking"]["type"], "enabled");
}

#[test]
fn other_quirks_do_what_they_are_called() {
    let body = json!({"model": "m", "max_tokens": 9, "temperature": 0.5, "top_p": 0.5, "top_k": 3,
    "tools": [{"name": "f", "input_schema": {}}],
    "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": true},
    "messages": [
        {"role": "user", "content": "x"},
        {"role": "system", "content": [{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}]},
        {"role": "assistant", "content": "{"},
    ]});
    let (sent, told) = prepared(&body, &["no_sampling"], None);
    assert_eq!([sent.get("temperature"), sent.get("top_p"), sent.get("top_k")], [None, None, None]);
    assert_eq!(lost(&told), ["temperature", "top_p", "top_k"]);
    let (sent, told) = prepared(&body, &["one_sampling_field"], None);
    assert_eq!((&sent["temperature"], sent.get("top_p"), lost(&told)), (&json!(0.5), None, vec!["top_p"]));
    let (sent, told) = prepared(&body, &["no_prefill"], None);
    assert_eq!(sent["messages"][3], json!({"role": "user", "content": "Continue."}));
    assert_eq!(lost(&told), ["messages"]);
    let (sent, told) = prepared(&body, &["no_mid_system"], None);
    let reminder = "<system-reminder>\nbe brief\n</system-reminder>";
    assert_eq!(
        sent["messages"][1],
        json!({"role": "user", "content": [{"type": "text", "text": reminder, "cache_control": {"type": "ephemeral"}}]})
    );
    assert_eq!(lost(&told), ["messages[].role"]);
    let (sent, told) = prepared(&body, &["no_forced_tool_choice"], None);
    assert_eq!(sent["tool_choice"], json!({"type": "auto", "disable_parallel_tool_use": true}));
    assert_eq!(lost(&told), ["tool_choice"]);
}

#[test]
fn an_effort_that_a_model_does_not_know_becomes_the_one_below() {
    let catalog = builtin();
    let family = catalog.find("anthropic").unwrap().family("claude-opus-4-6-20260205").unwrap();
    let functions: Vec<&str> = family.quirks.iter().map(String::as_str).collect();
    let format = json!({"type": "json_schema", "schema": {}});
    for (asked, wanted, losses) in
        [("xhigh", "high", &["output_config.effort"][..]), ("high", "high", &[]), ("max", "max", &[])]
    {
        let body = json!({
            "model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}],
            "output_config": {"effort": asked, "format": format},
        });
        let (sent, told) = prepared(&body, &functions, None);
        assert_eq!(sent["output_config"], json!({"effort": wanted, "format": format}));
        assert_eq!(lost(&told), losses, "{asked}");
    }
}

#[test]
fn a_schema_that_cannot_bind_is_asked_for_in_words() {
    let words = "Respond with JSON that follows this schema, and with nothing else:\n{\"type\":\"object\"}";
    let block = json!({"type": "text", "text": words});
    let config = json!({"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object"}}});
    let asked = |system: Value| {
        let mut body =
            json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
        body["output_config"] = config.clone();
        if !system.is_null() {
            body["system"] = system;
        }
        let (sent, told) = prepared(&body, &["no_output_format"], None);
        assert_eq!(
            (lost(&told), &sent["output_config"]),
            (vec!["output_config.format"], &json!({"effort": "low"}))
        );
        sent["system"].clone()
    };
    assert_eq!(asked(Value::Null), words);
    assert_eq!(asked("Be brief.".into()), format!("Be brief.\n\n{words}"));
    let brief = json!({"type": "text", "text": "Be brief."});
    assert_eq!(asked(json!([brief])), json!([brief, block]));
    assert_eq!(asked(json!([])), json!([block]));
}

#[test]
fn every_quirk_leaves_a_plain_request_alone() {
    let plain = json!({"model": "up", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
    for name in quirk_names() {
        assert!(quirk_exists(name));
        let (sent, told) = prepared(&plain, &[name], Some(100));
        assert_eq!((sent, lost(&told)), (plain.clone(), vec![]), "{name}");
    }
    assert!(!quirk_exists("no_such_thing"));
}

#[test]
fn errors_of_the_api_are_told_apart() {
    let read = |status: u16, kind: &str, words: &str| {
        let body = json!({"type": "error", "error": {"type": kind, "message": words}, "request_id": "r"});
        Anthropic.read_error(status, &|_| None, body.to_string().as_bytes(), &[], Millis(0)).kind
    };
    assert_eq!(read(529, "overloaded_error", "Overloaded"), FailureKind::Overloaded);
    assert_eq!(
        read(429, "rate_limit_error", "This request would exceed your rate limit"),
        FailureKind::RateLimited
    );
    assert_eq!(read(401, "authentication_error", "invalid x-api-key"), FailureKind::BadKey);
    assert_eq!(
        read(400, "invalid_request_error", "Your credit balance is too low to access the API"),
        FailureKind::NoMoney
    );
    assert_eq!(
        read(400, "invalid_request_error", "prompt is too long: 250000 tokens > 200000 maximum"),
        FailureKind::TooLarge
    );
    assert_eq!(read(413, "request_too_large", "Request exceeds the maximum size"), FailureKind::TooLarge);
    assert_eq!(read(404, "not_found_error", "model: claude-9"), FailureKind::ModelMissing);
    assert_eq!(read(500, "api_error", "Internal server error"), FailureKind::ServerError);
    assert_eq!(read(504, "timeout_error", "Request timed out"), FailureKind::Timeout);
    let header = |name: &str| match name {
        "anthropic-ratelimit-requests-remaining" => Some("0"),
        "anthropic-ratelimit-requests-reset" => Some("1970-01-01T00:01:00Z"),
        _ => None,
    };
    let failure = Anthropic.read_error(429, &header, b"{}", &[], Millis(0));
    assert_eq!(failure.retry_after.unwrap().as_secs(), 60);
}

/// JSON as callers may write it: order, white space and numbers that no value tree keeps.
fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("1.10".to_owned()),
        Just("123456789012345678901234567890".to_owned()),
        "[a-z é\"\\\\]{0,8}".prop_map(|text| json!(text).to_string()),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4)
                .prop_map(|items| format!("[ {}]", items.join(" ,"))),
            proptest::collection::vec(("[a-z]{1,4}", inner), 0..4).prop_map(|fields| {
                let fields: Vec<String> = fields
                    .iter()
                    .enumerate()
                    .map(|(at, (key, value))| format!("\"{key}{at}\": {value}"))
                    .collect();
                format!("{{{} }}", fields.join(" , "))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_native_request_differs_by_its_model_alone(
        model in "[a-z0-9/-]{1,12}",
        unknown in proptest::collection::vec(any_json(), 0..3),
        within in any_json(),
        text in "[ -~é]{0,20}",
    ) {
        let extra: String =
            unknown.iter().enumerate().map(|(at, value)| format!(" \"unknown_{at}\" : {value},")).collect();
        let body = |model: &str| format!(
            "{{ \"max_tokens\":16 ,{extra}\"model\" : {},\"messages\":[{{\"role\":\"user\" ,\"content\":[{{\"type\":\"text\",\"text\":{},\"new\":{within}}}]}}] }}\n",
            json!(model), json!(text)
        );
        let quirks = Quirks::default();
        let envelope = Anthropic.read(body(&model).into()).unwrap().0;
        let sent = Anthropic.prepare(&envelope, &Outgoing::new("claude/new", &quirks)).body;
        prop_assert_eq!(sent, body("claude/new"));
    }

    #[test]
    fn every_answer_that_is_no_200_means_something(status in 100..600_u16, body in proptest::collection::vec(any::<u8>(), 0..80)) {
        let failure = Anthropic.read_error(status, &|_| None, &body, &[], Millis(0));
        let refusal = Refusal::new(status, &failure.message);
        let told: Value = serde_json::from_slice(&Anthropic.refuse(&refusal)).unwrap();
        prop_assert_eq!(&told["type"], "error");
        prop_assert!(told["error"]["type"].is_string() && told["error"]["message"].is_string());
    }

    #[test]
    fn nonsense_is_never_an_answer(body in proptest::collection::vec(any::<u8>(), 0..60)) {
        prop_assert!(Anthropic.read_whole(&body, &[], Millis(0)).is_err());
    }
}
