//! The native lane of the Responses dialect: what of a request is changed, and what never is.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped here fails the test")]

use bytes::Bytes;
use hr_core::catalog::{Dialect, Quirks, builtin};
use hr_wire::Envelope;
use hr_wire::dialect::{Outgoing, Prepared, upstream_half};
use hr_wire::hub::carrier;
use hr_wire::hub::{Fingerprint, Loss, Opaque, OpaqueKind};
use hr_wire::openai_responses::{quirk_exists, quirk_names};
use proptest::prelude::*;
use serde_json::{Value, json};

fn prepared(body: &str, outgoing: &Outgoing<'_>) -> Prepared {
    let envelope = Envelope::read(Bytes::from(body.to_owned())).unwrap();
    upstream_half(Dialect::OpenaiResponses).prepare(&envelope, outgoing)
}

fn text(prepared: &Prepared) -> String {
    String::from_utf8(prepared.body.to_vec()).unwrap()
}

fn sent(body: &Value, outgoing: &Outgoing<'_>) -> (Value, Prepared) {
    let prepared = prepared(&body.to_string(), outgoing);
    (serde_json::from_slice(&prepared.body).unwrap(), prepared)
}

/// What one function makes of these fields.
fn with(function: &str, body: &Value) -> (Value, Prepared) {
    let quirks = Quirks { functions: vec![function.to_owned()], ..Quirks::default() };
    sent(body, &Outgoing::new("m", &quirks))
}

/// What the backend of subscriptions gets of these fields.
fn subscribed(body: &Value, model: &str) -> (Value, Prepared) {
    let catalog = builtin();
    let provider = catalog.find("codex").unwrap();
    let listed = provider.models.iter().find(|known| known.id == model).map(|model| &model.quirks);
    let alike = || provider.family(model).map(|family| &family.quirks);
    let of_model = listed.or_else(alike).cloned().unwrap_or_default();
    let outgoing = Outgoing { model_quirks: &of_model, ..Outgoing::new(model, &provider.quirks) };
    sent(body, &outgoing)
}

fn names(losses: &[Loss]) -> Vec<&str> {
    losses.iter().map(|loss| loss.what.as_str()).collect()
}

#[test]
fn the_functions_are_known_by_name() {
    assert!(quirk_exists("responses_lite") && !quirk_exists("drop_nulls"));
    assert!(quirk_names().all(|name| hr_core::catalog::QUIRK_FUNCTIONS.contains(&name)));
}

#[test]
fn the_backend_of_subscriptions_gets_what_it_takes_and_no_more() {
    let body = json!({
        "model": "auto", "input": "hi", "stream": false, "store": true, "max_output_tokens": 100,
        "temperature": 0.5, "top_p": 1, "truncation": "disabled", "metadata": {"a": "b"},
        "context_management": [], "service_tier": "flex", "parallel_tool_calls": true, "user": "u",
        "stream_options": {"include_obfuscation": false}, "top_logprobs": 0, "background": false,
    });
    let (sent, prepared) = subscribed(&body, "gpt-5.5");
    assert_eq!(
        sent,
        json!({
            "model": "gpt-5.5", "stream": true, "store": false, "instructions": "",
            "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
            "include": ["reasoning.encrypted_content"],
        })
    );
    let mut lost = names(&prepared.losses);
    lost.sort_unstable();
    assert_eq!(lost, ["max_output_tokens", "metadata", "service_tier", "temperature", "user"]);
    assert!(prepared.headers.is_empty());
}

#[test]
fn what_a_coding_agent_sends_is_no_loss() {
    let body = json!({
        "model": "auto", "instructions": "i", "input": [{"role": "developer", "content": "d"}],
        "tools": [{"type": "function", "name": "f", "parameters": {}}], "tool_choice": "auto",
        "parallel_tool_calls": true, "reasoning": {"effort": "medium", "summary": "auto"}, "store": false,
        "stream": true, "include": ["reasoning.encrypted_content"], "prompt_cache_key": "k",
        "text": {"verbosity": "low"}, "client_metadata": {"a": "b"},
    });
    let (sent, prepared) = subscribed(&body, "auto");
    assert_eq!(prepared.losses, []);
    assert_eq!(sent, body);
}

#[test]
fn history_is_brought_to_a_backend_without_memory() {
    let long = "m".repeat(70);
    let body = json!({"model": "m", "input": [
        {"role": "system", "content": [{"type": "input_text", "text": "s", "prompt_cache_breakpoint": {}}]},
        {"type": "item_reference", "id": "x"},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "reasoning", "id": "rs_2", "summary": [], "content": null, "encrypted_content": "g"},
        {"type": "message", "id": long, "role": "assistant", "content": []},
        {"type": "function_call", "id": "call_1", "call_id": "call_1", "name": "f", "arguments": "{}"},
        {"type": "function_call", "id": "fc_1", "call_id": "call_2", "name": "f", "arguments": "{}"},
    ]});
    let (sent, prepared) = subscribed(&body, "gpt-5.5");
    assert_eq!(
        sent["input"],
        json!([
            {"role": "developer", "content": [{"type": "input_text", "text": "s"}]},
            {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "g"},
            {"type": "message", "role": "assistant", "content": []},
            {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"},
            {"type": "function_call", "id": "fc_1", "call_id": "call_2", "name": "f", "arguments": "{}"},
        ])
    );
    assert_eq!(names(&prepared.losses), ["input[].item_reference", "input[].reasoning"]);
}

#[test]
fn ids_of_calls_that_are_too_long_become_the_same_shorter_ones() {
    let long = format!("call_{}", "x".repeat(80));
    let body = json!({"model": "m", "input": [
        {"type": "function_call", "call_id": long, "name": "f", "arguments": "{}"},
        {"type": "function_call", "call_id": "functions.f:0", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": long, "output": ""},
    ]});
    let (sent, _) = with("stateless_items", &body);
    let id = |place: usize| sent["input"][place]["call_id"].as_str().unwrap();
    assert!(id(0).len() <= 64 && id(0).starts_with("call_x"), "{}", id(0));
    assert_eq!(id(0), id(2));
    assert_eq!(id(1), "functions.f:0");
}

#[test]
fn what_says_nothing_is_no_loss_where_it_is_dropped() {
    let body = json!({"model": "m", "input": "a", "temperature": 1, "top_p": 1.0, "truncation": "disabled",
        "background": false, "metadata": {}, "top_logprobs": 0, "stream_options": {"include_obfuscation": false}});
    assert_eq!(names(&subscribed(&body, "gpt-5.5").1.losses), [""; 0]);
    let body =
        json!({"model": "m", "input": "a", "temperature": 0.5, "truncation": "auto", "metadata": {"a": "b"}});
    assert_eq!(names(&subscribed(&body, "gpt-5.5").1.losses), ["temperature", "truncation", "metadata"]);
}

#[test]
fn the_lighter_form_puts_everything_into_the_input() {
    let body = json!({
        "model": "auto", "instructions": "be brief", "tools": [{"type": "function", "name": "f"}],
        "parallel_tool_calls": true, "reasoning": {"effort": "low"},
        "input": [{"role": "user", "content": [
            {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "high"},
            {"type": "input_image", "image_url": "https://example.com/a.png"},
        ]}],
    });
    let (sent, prepared) = subscribed(&body, "gpt-5.6-terra");
    assert_eq!(prepared.headers, [("x-openai-internal-codex-responses-lite", "true".to_owned())]);
    assert_eq!(sent.get("tools"), None);
    assert_eq!(sent.get("instructions"), None);
    assert_eq!(sent["parallel_tool_calls"], false);
    assert_eq!(sent["reasoning"], json!({"effort": "low", "context": "all_turns"}));
    assert_eq!(
        sent["input"],
        json!([
            {"type": "additional_tools", "role": "developer", "tools": [{"type": "function", "name": "f"}]},
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "be brief"}]},
            {"role": "user", "content": [
                {"type": "input_image", "image_url": "data:image/png;base64,AA=="},
                {"type": "input_text", "text": "[image: https://example.com/a.png]"},
            ]},
        ])
    );
    assert_eq!(names(&prepared.losses), ["input[].content[].image_url"]);
}

#[test]
fn models_that_are_not_listed_are_treated_like_their_family() {
    let body = json!({"model": "auto", "input": "a", "instructions": "i", "reasoning": {"summary": "auto"}});
    let (sent, prepared) = subscribed(&body, "gpt-5.6-sol");
    assert_eq!((sent.get("instructions"), prepared.headers.len()), (None, 1), "{sent}");
    let (sent, prepared) = subscribed(&body, "gpt-5.3-codex-spark");
    assert_eq!((&sent["instructions"], &sent["reasoning"]), (&json!("i"), &json!({})));
    assert_eq!(names(&prepared.losses), ["reasoning.summary"]);
}

#[test]
fn single_functions_do_what_they_are_called() {
    let search = json!({"model": "m", "tools": [{"type": "web_search_preview_2025_03_11"}, {"type": "custom"}],
        "tool_choice": {"type": "web_search_preview"}});
    let (sent, _) = with("newest_web_search", &search);
    assert_eq!(sent["tools"][0]["type"], "web_search");
    assert_eq!(sent["tool_choice"]["type"], "web_search");
    let (sent, _) =
        with("no_choice_without_tools", &json!({"model": "m", "tools": [], "tool_choice": "auto"}));
    assert_eq!(sent, json!({"model": "m"}));
    let (sent, _) = with("include_encrypted_reasoning", &json!({"model": "m", "include": ["a"]}));
    assert_eq!(sent["include"], json!(["a", "reasoning.encrypted_content"]));
    let (sent, _) = with("priority_tier_only", &json!({"model": "m", "service_tier": "priority"}));
    assert_eq!(sent["service_tier"], "priority");
    let (sent, lost) = with(
        "drop_reasoning_summary",
        &json!({"model": "m", "reasoning": {"effort": "low", "summary": "auto"}}),
    );
    assert_eq!(sent["reasoning"], json!({"effort": "low"}));
    assert_eq!(names(&lost.losses), ["reasoning.summary"]);
}

#[test]
fn what_somebody_else_encrypted_is_left_out_and_what_stands_beside_it_stays() {
    let ours = carrier::carry(Some(&Opaque {
        origin: Dialect::Anthropic,
        kind: OpaqueKind::Signature,
        id: None,
        data: "sig".into(),
    }));
    let body = json!({"model": "m", "input": [
        {"role": "user", "content": "a"},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "theirs"},
        {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "x"},
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "own"},
        {"type": "function_call", "id": "fc_2", "call_id": "c2", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c2", "output": "x"},
        {"type": "reasoning", "id": "rs_3", "summary": [], "encrypted_content": ours},
        {"type": "message", "id": "msg_3", "role": "assistant", "content": []},
        {"type": "compaction", "id": "cmp_1", "encrypted_content": "theirs"},
        {"type": "compaction", "id": "cmp_2", "encrypted_content": "own"},
    ]});
    let quirks = Quirks::default();
    let foreign = [Fingerprint::of("theirs")];
    let outgoing = Outgoing { foreign: &foreign, ..Outgoing::new("m", &quirks) };
    let (sent, prepared) = sent(&body, &outgoing);
    assert_eq!(names(&prepared.losses), ["input[].reasoning", "input[].compaction"]);
    assert_eq!(
        sent["input"],
        json!([
            {"role": "user", "content": "a"},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "x"},
            {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "own"},
            {"type": "function_call", "id": "fc_2", "call_id": "c2", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c2", "output": "x"},
            {"type": "message", "role": "assistant", "content": []},
            {"type": "compaction", "id": "cmp_2", "encrypted_content": "own"},
        ])
    );
}

#[test]
fn the_cap_bounds_the_answer_and_adds_no_bound() {
    let quirks = Quirks::default();
    let outgoing = Outgoing { max_output_cap: Some(50), ..Outgoing::new("m", &quirks) };
    assert_eq!(sent(&json!({"model": "m", "max_output_tokens": 100}), &outgoing).0["max_output_tokens"], 50);
    assert_eq!(sent(&json!({"model": "m"}), &outgoing).0, json!({"model": "m"}));
}

/// JSON text of any shape, with numbers and keys that no value tree keeps.
fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("1e400".to_owned()),
        Just("1.10".to_owned()),
        Just("12345678901234567890123".to_owned()),
        Just("\"\\ud800 \\u0041\"".to_owned()),
        "[a-z \\\\n]{0,8}".prop_map(|text| Value::from(text).to_string()),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[ {} ]", items.join(" , "))),
            prop::collection::vec(("[a-c]", inner), 0..4).prop_map(|fields| {
                let fields: Vec<String> =
                    fields.iter().map(|(key, value)| format!("\"{key}\" : {value}")).collect();
                format!("{{{}}}", fields.join(",\t"))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn all_but_the_model_passes_byte_for_byte(fields in prop::collection::vec(("x_[a-z]{1,6}", any_json()), 0..6), place in 0_usize..6, input in any_json()) {
        let mut parts: Vec<String> = fields.iter().map(|(key, value)| format!("\"{key}\" :{value}")).collect();
        parts.insert(place.min(parts.len()), "\"model\": \"asked\"".to_owned());
        parts.push(format!("\"input\" : {input}"));
        let body = format!("{{ {} }}", parts.join(" ,"));
        let quirks = Quirks::default();
        let prepared = prepared(&body, &Outgoing::new("true-one", &quirks));
        prop_assert_eq!(text(&prepared), body.replacen("\"asked\"", "\"true-one\"", 1));
        prop_assert!(prepared.losses.is_empty() && prepared.headers.is_empty());
    }
}
