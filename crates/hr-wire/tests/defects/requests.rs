//! Requests that were brought to providers wrongly: places in what is sent, and what has to stand there.

use bytes::Bytes;
use hr_core::catalog::{Dialect, Quirks};
use hr_wire::Envelope;
use hr_wire::dialect::{Outgoing, client_half, upstream_half};
use serde_json::{Value, json};

use Dialect::{Anthropic, OpenaiChat as Chat, OpenaiResponses as Responses};

/// A place, and what is there as JSON; `""` where nothing may be.
type Place = (&'static str, &'static str);
/// The number in the table, the caller's dialect and request, the provider's dialect, and what it is sent.
type Case = (u16, Dialect, &'static str, Dialect, &'static [Place]);

const CASES: &[Case] = &[
    (
        50,
        Anthropic,
        r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"look"},{"role":"assistant","content":[{"type":"tool_use","id":"t1","name":"look","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":"seen"},{"type":"text","text":"and now?"}]}],"tools":[{"name":"look","input_schema":{"type":"object"}}]}"#,
        Chat,
        &[
            ("/messages/2/role", r#""tool""#),
            ("/messages/2/content", r#""seen""#),
            ("/messages/3/content", r#""and now?""#),
        ],
    ),
    (
        51,
        Anthropic,
        r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"look"},{"role":"assistant","content":[{"type":"text","text":"I look."},{"type":"tool_use","id":"t1","name":"look","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":"seen"}]}],"tools":[{"name":"look","input_schema":{"type":"object"}}]}"#,
        Chat,
        &[("/messages/1/content", r#""I look.""#), ("/messages/1/tool_calls/0/function/name", r#""look""#)],
    ),
    (
        52,
        Anthropic,
        r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"look"},{"role":"assistant","content":[{"type":"tool_use","id":"t1","name":"look","input":{}}]},{"role":"user","content":[{"type":"text","text":"first"},{"type":"tool_result","tool_use_id":"t1","content":"seen"}]}],"tools":[{"name":"look","input_schema":{"type":"object"}}]}"#,
        Chat,
        &[("/messages/2/role", r#""tool""#), ("/messages/3/content", r#""first""#)],
    ),
    (
        57,
        Chat,
        r#"{"model":"m","messages":[{"role":"user","content":"look"},{"role":"assistant","content":"","tool_calls":[{"id":"c1","type":"function","function":{"name":"look","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c1","content":"seen"}],"tools":[{"type":"function","function":{"name":"look"}}]}"#,
        Anthropic,
        &[("/messages/1/content/0/type", r#""tool_use""#), ("/messages/1/content/1", "")],
    ),
    (
        64,
        Anthropic,
        r#"{"model":"m","max_tokens":9,"system":[{"type":"text","text":"Be brief.","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":[{"type":"text","text":"hi","cache_control":{"type":"ephemeral"}}]}]}"#,
        Responses,
        &[("/instructions", r#""Be brief.""#), ("/input/0/content/0/cache_control", "")],
    ),
    (
        69,
        Chat,
        r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"stop":"END"}"#,
        Anthropic,
        &[("/stop_sequences", r#"["END"]"#)],
    ),
    (
        70,
        Chat,
        r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"max_completion_tokens":77}"#,
        Anthropic,
        &[("/max_tokens", "77")],
    ),
    (
        75,
        Chat,
        r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"response_format":null}"#,
        Anthropic,
        &[("/output_config", ""), ("/response_format", "")],
    ),
    (
        81,
        Chat,
        r##"{"model":"m","messages":[{"role":"user","content":"hi"}],"response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":{"type":"object","properties":{"a":{"$ref":"#/$defs/x"}},"$defs":{"x":{"type":"string"}}}}}}"##,
        Responses,
        &[("/text/format/name", r#""n""#), ("/text/format/schema/$defs/x/type", r#""string""#)],
    ),
    (
        83,
        Anthropic,
        r##"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"tools":[{"name":"look","input_schema":{"type":"object","properties":{"a":{"$ref":"#/$defs/x"}},"$defs":{"x":{"type":"string"}}}}]}"##,
        Chat,
        &[("/tools/0/function/parameters/$defs/x/type", r#""string""#)],
    ),
    (
        85,
        Anthropic,
        r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"tools":[{"name":"look","input_schema":{"type":"object"}}],"tool_choice":{"type":"any"}}"#,
        Chat,
        &[("/tool_choice", r#""required""#)],
    ),
    (
        86,
        Chat,
        r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"look"}}],"tool_choice":"none"}"#,
        Anthropic,
        &[("/tool_choice/type", r#""none""#)],
    ),
    (
        87,
        Anthropic,
        r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"tools":[{"name":"look","input_schema":{"type":"object"}}],"tool_choice":{"type":"tool","name":"look"}}"#,
        Chat,
        &[("/tool_choice/type", r#""function""#), ("/tool_choice/function/name", r#""look""#)],
    ),
    (
        89,
        Chat,
        r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"look"}}],"parallel_tool_calls":false}"#,
        Anthropic,
        &[("/tool_choice/disable_parallel_tool_use", "true")],
    ),
    (
        90,
        Chat,
        r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"look"}}]}"#,
        Anthropic,
        &[("/tools/0/name", r#""look""#), ("/tools/0/input_schema/type", r#""object""#)],
    ),
    (
        72,
        Chat,
        r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true,"stream_options":{"include_usage":true}}"#,
        Anthropic,
        &[("/stream_options", "")],
    ),
    (
        102,
        Anthropic,
        r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"look"},{"role":"assistant","content":[{"type":"tool_use","id":"t1","name":"look","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","is_error":true,"content":"no such file"}]}],"tools":[{"name":"look","input_schema":{"type":"object"}}]}"#,
        Chat,
        &[("/messages/2/content", r#""Error: no such file""#)],
    ),
    (
        172,
        Responses,
        r#"{"model":"m","input":"hi"}"#,
        Chat,
        &[("/messages/0/role", r#""user""#), ("/messages/0/content", r#""hi""#)],
    ),
    (
        98,
        Responses,
        r#"{"model":"m","input":[{"role":"user","content":"hi"},{"type":"custom_tool_call","id":"ctc_1","call_id":"c1","name":"patch","input":"free"},{"type":"custom_tool_call_output","call_id":"c1","output":"done"}],"tools":[{"type":"custom","name":"patch"}]}"#,
        Anthropic,
        &[("/messages/1/content/0/id", r#""c1""#), ("/messages/2/content/0/tool_use_id", r#""c1""#)],
    ),
    (
        56,
        Anthropic,
        r#"{"model":"m","max_tokens":9,"system":[{"type":"text","text":"one"},{"type":"text","text":"two"}],"messages":[{"role":"user","content":"hi"}]}"#,
        Responses,
        &[("/instructions", r#""one\n\ntwo""#)],
    ),
];

/// The numbers of the cases.
pub(super) fn numbers() -> impl Iterator<Item = u16> {
    CASES.iter().map(|(number, ..)| *number)
}

#[test]
fn requests_reach_their_providers_as_they_should() {
    for (number, from, request, to, places) in CASES {
        let sent = translate(*from, *to, request);
        for (place, expected) in *places {
            let expected: Option<Value> =
                (!expected.is_empty()).then(|| serde_json::from_str(expected).unwrap());
            assert_eq!(sent.pointer(place), expected.as_ref(), "number {number}, {place}\n{sent:#}");
        }
    }
}

fn translate(from: Dialect, to: Dialect, request: &str) -> Value {
    let client = client_half(from);
    let (envelope, _) = client.read(Bytes::copy_from_slice(request.as_bytes())).expect(request);
    let decoded = client.decode(&envelope).expect(request);
    let quirks = Quirks::default();
    let outgoing = Outgoing::new("theirs", &quirks);
    let upstream = upstream_half(to);
    let written = Envelope::read(upstream.encode(&decoded.request, &outgoing).body).unwrap();
    let sent: Value = serde_json::from_slice(&upstream.prepare(&written, &outgoing).body).unwrap();
    assert_eq!(sent["model"], json!("theirs"));
    sent
}
