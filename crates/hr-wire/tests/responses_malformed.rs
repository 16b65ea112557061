//! Requests of the Responses dialect that are refused, and where the refusal points; and odd ones that are not.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped here fails the test")]

use bytes::Bytes;
use hr_core::catalog::Dialect;
use hr_wire::dialect::client_half;
use hr_wire::envelope::BadRequest;
use serde_json::{Value, json};

fn read(body: &Value) -> Result<(), BadRequest> {
    let client = client_half(Dialect::OpenaiResponses);
    let (envelope, _) = client.read(Bytes::from(body.to_string()))?;
    client.decode(&envelope).map(drop)
}

/// A body with these fields beside a model and an input.
fn body(fields: Value) -> Value {
    let mut body = json!({"model": "m", "input": "hi"});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

#[test]
fn refusals_point_at_what_is_wrong() {
    let item = |item: Value| json!({"input": [{"role": "user", "content": "a"}, item]});
    let part = |part: Value| json!({"input": [{"role": "user", "content": [part]}]});
    let cases: &[(Value, u16, &str, &str)] = &[
        (json!({"model": null}), 400, "model", "invalid_type"),
        (json!({"model": " "}), 400, "model", "invalid_value"),
        (json!({"input": 5}), 400, "input", "invalid_type"),
        (json!({"input": []}), 400, "input", "empty_array"),
        (item(json!("x")), 400, "input[1]", "invalid_type"),
        (item(json!({})), 400, "input[1].type", "missing_required_parameter"),
        (
            item(json!({"type": "message", "content": "x"})),
            400,
            "input[1].role",
            "missing_required_parameter",
        ),
        (item(json!({"role": "robot", "content": "x"})), 400, "input[1].role", "invalid_value"),
        (item(json!({"role": "user"})), 400, "input[1].content", "missing_required_parameter"),
        (item(json!({"role": "user", "content": null})), 400, "input[1].content", "invalid_type"),
        (part(json!({"text": "x"})), 400, "input[0].content[0].type", "missing_required_parameter"),
        (part(json!({"type": "input_text"})), 400, "input[0].content[0].text", "missing_required_parameter"),
        (part(json!({"type": "input_text", "text": 1})), 400, "input[0].content[0].text", "invalid_type"),
        (
            part(json!({"type": "input_image"})),
            400,
            "input[0].content[0].image_url",
            "missing_required_parameter",
        ),
        (
            part(json!({"type": "input_image", "image_url": {}})),
            400,
            "input[0].content[0].image_url",
            "invalid_type",
        ),
        (
            part(json!({"type": "input_image", "file_id": "f"})),
            422,
            "input[0].content[0].file_id",
            "unsupported_file",
        ),
        (
            part(json!({"type": "input_file"})),
            400,
            "input[0].content[0].file_data",
            "missing_required_parameter",
        ),
        (
            item(json!({"type": "function_call", "name": "f", "arguments": "{}"})),
            400,
            "input[1].call_id",
            "missing_required_parameter",
        ),
        (
            item(json!({"type": "function_call", "call_id": "c", "arguments": "{}"})),
            400,
            "input[1].name",
            "missing_required_parameter",
        ),
        (
            item(json!({"type": "function_call", "call_id": "c", "name": "f"})),
            400,
            "input[1].arguments",
            "missing_required_parameter",
        ),
        (
            item(json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": {}})),
            400,
            "input[1].arguments",
            "invalid_type",
        ),
        (
            item(json!({"type": "custom_tool_call", "call_id": "c", "name": "f"})),
            400,
            "input[1].input",
            "missing_required_parameter",
        ),
        (
            item(json!({"type": "function_call_output", "output": "x"})),
            400,
            "input[1].call_id",
            "missing_required_parameter",
        ),
        (
            item(json!({"type": "function_call_output", "call_id": "c"})),
            400,
            "input[1].output",
            "missing_required_parameter",
        ),
        (
            item(json!({"type": "function_call_output", "call_id": "c", "output": [{"text": "x"}]})),
            400,
            "input[1].output[0].type",
            "missing_required_parameter",
        ),
        (item(json!({"type": "reasoning", "summary": "x"})), 400, "input[1].summary", "invalid_type"),
        (item(json!({"type": "item_reference"})), 400, "input[1].id", "missing_required_parameter"),
        (item(json!({"type": "computer_call", "call_id": "c"})), 422, "input[1].type", "unsupported_item"),
        (json!({"tools": {}}), 400, "tools", "invalid_type"),
        (json!({"tools": [{}]}), 400, "tools[0].type", "missing_required_parameter"),
        (json!({"tools": [{"type": "function"}]}), 400, "tools[0].name", "missing_required_parameter"),
        (json!({"tools": [{"type": "function", "name": ""}]}), 400, "tools[0].name", "invalid_value"),
        (
            json!({"tools": [{"type": "function", "name": "f", "parameters": 1}]}),
            400,
            "tools[0].parameters",
            "invalid_type",
        ),
        (
            json!({"tools": [{"type": "namespace", "name": "n"}]}),
            400,
            "tools[0].tools",
            "missing_required_parameter",
        ),
        (
            json!({"tools": [{"type": "namespace", "name": "n", "tools": [{"type": "function"}]}]}),
            400,
            "tools[0].tools[0].name",
            "missing_required_parameter",
        ),
        (json!({"tools": [{"type": "computer_use_preview"}]}), 422, "tools[0].type", "unsupported_tool"),
        (json!({"tool_choice": "some"}), 400, "tool_choice", "invalid_value"),
        (json!({"tool_choice": {"type": "function"}}), 400, "tool_choice.name", "missing_required_parameter"),
        (json!({"text": {"format": {"type": "yaml"}}}), 400, "text.format.type", "invalid_value"),
        (
            json!({"text": {"format": {"type": "json_schema", "name": "n"}}}),
            400,
            "text.format.schema",
            "missing_required_parameter",
        ),
        (json!({"reasoning": {"effort": 3}}), 400, "reasoning.effort", "invalid_type"),
        (json!({"temperature": 3}), 400, "temperature", "out_of_range"),
        (json!({"max_output_tokens": 0}), 400, "max_output_tokens", "out_of_range"),
        (json!({"metadata": {"a": 1}}), 400, "metadata.a", "invalid_type"),
        (json!({"include": [1]}), 400, "include[0]", "invalid_type"),
        (json!({"stream": "yes"}), 400, "stream", "invalid_type"),
        (
            json!({"previous_response_id": "r", "conversation": "c"}),
            400,
            "previous_response_id",
            "mutually_exclusive_parameters",
        ),
        (
            json!({"tools": [{"type": "namespace", "name": "a", "tools": [{"type": "namespace", "name": "b", "tools": []}]}]}),
            400,
            "tools[0].tools[0].type",
            "invalid_value",
        ),
    ];
    for (fields, status, param, code) in cases {
        let bad = read(&body(fields.clone())).expect_err(&fields.to_string());
        assert_eq!(
            (bad.status, bad.param.as_deref(), bad.code),
            (*status, Some(*param), Some(*code)),
            "{fields}: {bad}"
        );
    }
    assert_eq!(read(&json!({"model": "m"})).unwrap_err().param.as_deref(), Some("input"));
}

#[test]
fn odd_but_legal_requests_are_taken() {
    let cases = [
        json!({"input": [{"role": "user", "content": "a"}, {"role": "developer", "content": "b"}]}),
        json!({"input": [{"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": null, "content": null}, {"role": "assistant", "content": "x"}]}),
        json!({"input": [{"type": "local_shell_call", "id": "l", "call_id": "c", "action": {}, "status": "completed"}, {"type": "brand_new_item"}]}),
        json!({"input": [{"role": "user", "content": []}]}),
        json!({"tools": [], "tool_choice": null, "metadata": null, "text": {}, "reasoning": null, "include": []}),
        json!({"tools": [{"type": "web_search"}, {"type": "tool_search", "execution": "client"}, {"type": "mcp", "server_label": "s"}]}),
        json!({"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": []}}),
        json!({"reasoning": {"effort": "ultra", "summary": null}}),
        json!({"an_unknown_field": {"deep": [1]}}),
    ];
    for fields in cases {
        read(&body(fields.clone())).unwrap_or_else(|bad| panic!("{fields}: {bad} {:?}", bad.param));
    }
    read(&json!({"model": "m", "previous_response_id": "resp_1"})).unwrap();
}
