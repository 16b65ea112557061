//! Streams that were brought to callers wrongly. What goes out is told as a digest: an event a word.

use std::sync::Arc;

use bytes::Bytes;
use hr_core::catalog::{Dialect, builtin};
use hr_core::time::Millis;
use hr_wire::dialect::{Echo, WatchOptions, client_half, upstream_half};
use hr_wire::hub::Names;
use hr_wire::lane::{Translated, Watch};
use hr_wire::refusal::Refusal;
use serde_json::Value;

use Dialect::{Anthropic, OpenaiChat as Chat, OpenaiResponses as Responses};

/// The number in the table, the provider's dialect, its events, the caller's dialect, and what goes out.
type Case = (u16, Dialect, &'static [&'static str], Dialect, &'static str);

/// How many tokens the prompt is thought to have.
const ESTIMATE: u64 = 42;

const CASES: &[Case] = &[
    (
        1,
        Chat,
        &[
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"look","arguments":"{\"a\":"}}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#,
        ],
        Anthropic,
        r#"begin 0:tool_use:look 0+{"a":1} 0. end:tool_use stop"#,
    ),
    (
        2,
        Responses,
        &[
            r#"{"type":"response.created","response":{"id":"r1","status":"in_progress","output":[]}}"#,
            r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","id":"f1","call_id":"c1","name":"look","arguments":""}}"#,
            r#"{"type":"response.function_call_arguments.done","output_index":0,"item_id":"f1","arguments":"{\"a\":1}"}"#,
            r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"function_call","id":"f1","call_id":"c1","name":"look","arguments":"{\"a\":1}"}}"#,
            r#"{"type":"response.completed","response":{"id":"r1","status":"completed","output":[]}}"#,
        ],
        Anthropic,
        r#"begin 0:tool_use:look 0+{"a":1} 0. end:tool_use stop"#,
    ),
    (
        3,
        Responses,
        &[
            r#"{"type":"response.created","response":{"id":"r1","status":"in_progress","output":[]}}"#,
            r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","id":"f1","call_id":"c1","name":"look","arguments":""}}"#,
            r#"{"type":"response.function_call_arguments.delta","output_index":0,"item_id":"f1","delta":"{\"a\":1}"}"#,
            r#"{"type":"response.function_call_arguments.done","output_index":0,"item_id":"f1","arguments":"{\"a\":1}"}"#,
            r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"function_call","id":"f1","call_id":"c1","name":"look","arguments":"{\"a\":1}"}}"#,
            r#"{"type":"response.completed","response":{"id":"r1","status":"completed","output":[]}}"#,
        ],
        Chat,
        r#"role call0:look {"a":1} end:tool_calls done"#,
    ),
    (
        4,
        Chat,
        &[
            r#"{"choices":[{"index":0,"delta":{"content":"Hello","tool_calls":[]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
        ],
        Anthropic,
        "begin 0:text 0+Hello 0. end:end_turn stop",
    ),
    (
        7,
        Chat,
        &[
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"one","arguments":"{}"}}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"c2","type":"function","function":{"name":"two","arguments":"{}"}}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#,
        ],
        Anthropic,
        "begin 0:tool_use:one 0+{} 0. 1:tool_use:two 1+{} 1. end:tool_use stop",
    ),
    (
        8,
        Chat,
        &[
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"look","arguments":"{\"a\""}}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]},"finish_reason":"tool_calls"}]}"#,
        ],
        Anthropic,
        r#"begin 0:tool_use:look 0+{"a":1} 0. end:tool_use stop"#,
    ),
    (
        9,
        Anthropic,
        &[
            r#"{"type":"message_start","message":{"id":"m1","type":"message","role":"assistant","model":"m","content":[],"usage":{"input_tokens":1,"output_tokens":1}}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"I"}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t1","name":"look","input":{}}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{}"}}"#,
            r#"{"type":"content_block_stop","index":1}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":2}}"#,
            r#"{"type":"message_stop"}"#,
        ],
        Chat,
        "role +I call0:look {} end:tool_calls done",
    ),
    (
        14,
        Chat,
        &[
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"look","arguments":"{}"}}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
        ],
        Anthropic,
        "begin 0:tool_use:look 0+{} 0. end:tool_use stop",
    ),
    (
        15,
        Anthropic,
        &[
            r#"{"type":"message_start","message":{"id":"m1","type":"message","role":"assistant","model":"m","content":[],"usage":{"input_tokens":1,"output_tokens":1}}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}"#,
            r#"{"type":"message_stop"}"#,
        ],
        Chat,
        "role +Hello end:stop done",
    ),
    (
        20,
        Chat,
        &[
            r#"{"choices":[{"index":0,"delta":{"content":"Hello"}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"reasoning_content":"so"}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"bye"}}]}"#,
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
        ],
        Anthropic,
        "begin 0:text 0+Hello 0. 1:thinking 1+so 1~ 1. 2:text 2+bye 2. end:end_turn stop",
    ),
    (
        21,
        Chat,
        &[
            r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"","tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"look","arguments":"{}"}}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":""},"finish_reason":"tool_calls"}]}"#,
        ],
        Anthropic,
        "begin 0:tool_use:look 0+{} 0. end:tool_use stop",
    ),
    (
        28,
        Chat,
        &[
            r#"{"choices":[],"prompt_filter_results":[]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"Hello"}}]}"#,
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
        ],
        Anthropic,
        "begin 0:text 0+Hello 0. end:end_turn stop",
    ),
    (
        30,
        Chat,
        &[
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"look","arguments":"{\"a\""}}]}}]}"#,
        ],
        Anthropic,
        r#"begin 0:tool_use:look 0+{"a" error"#,
    ),
    (
        31,
        Chat,
        &[r#"{"choices":[{"index":0,"delta":{"content":"Hel"}}]}"#],
        Anthropic,
        "begin 0:text 0+Hel error",
    ),
    (
        35,
        Anthropic,
        &[
            r#"{"type":"message_start","message":{"id":"m1","type":"message","role":"assistant","model":"m","content":[],"usage":{"input_tokens":1,"output_tokens":1}}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hel"}}"#,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"lo"}}"#,
        ],
        Chat,
        "role +Hel error",
    ),
    (
        45,
        Chat,
        &[
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"","arguments":""}}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"name":"look","arguments":"{}"}}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#,
        ],
        Anthropic,
        "begin 0:tool_use:look 0+{} 0. end:tool_use stop",
    ),
    (
        93,
        Chat,
        &[
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"look","arguments":""}}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#,
        ],
        Responses,
        "item:function_call:look {} completed",
    ),
    (
        106,
        Chat,
        &[
            r#"{"choices":[{"index":0,"delta":{"reasoning":"so"}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"Hello"}}]}"#,
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
        ],
        Responses,
        "item:reasoning so item:message Hello completed",
    ),
    (
        127,
        Anthropic,
        &[
            r#"{"type":"message_start","message":{"id":"m1","type":"message","role":"assistant","model":"m","content":[]}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"Hello"}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"}}"#,
            r#"{"type":"message_stop"}"#,
        ],
        Chat,
        "role +Hello end:stop done",
    ),
    (
        128,
        Chat,
        &[
            r#"{"choices":[{"index":0,"delta":{"content":"Hello"}}],"usage":null}"#,
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}"#,
        ],
        Anthropic,
        "begin 0:text 0+Hello 0. end:end_turn stop",
    ),
];

/// The numbers of the cases.
pub(super) fn numbers() -> impl Iterator<Item = u16> {
    CASES.iter().map(|(number, ..)| *number)
}

#[test]
fn streams_reach_their_callers_as_they_should() {
    for (number, from, events, to, expected) in CASES {
        let named = *from != Chat;
        let mut stream = String::new();
        for event in *events {
            let value: Value = serde_json::from_str(event).unwrap();
            if named {
                stream.push_str(&format!("event: {}\n", value["type"].as_str().unwrap()));
            }
            stream.push_str(&format!("data: {event}\n\n"));
        }
        let (out, _) = translate(*from, *to, stream);
        assert_eq!(digest(*to, &out), *expected, "number {number}\n{out}");
    }
}

/// Events of a chat provider as an Anthropic caller gets them.
fn messages(events: &[&str]) -> Vec<Value> {
    let stream = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    let (out, well) = translate(Chat, Anthropic, stream);
    assert!(well, "{out}");
    out.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect()
}

#[test]
fn a_message_begins_with_an_estimate() {
    let events = messages(&[
        r#"{"choices":[{"index":0,"delta":{"content":"Hello"}}]}"#,
        r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
    ]);
    assert_eq!(events[0]["message"]["usage"]["input_tokens"], ESTIMATE);
}

#[test]
fn usage_after_the_reason_to_stop_is_told() {
    let events = messages(&[
        r#"{"choices":[{"index":0,"delta":{"content":"Hello"}}]}"#,
        r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":11,"completion_tokens":7,"total_tokens":18}}"#,
    ]);
    let end = events.iter().find(|event| event["type"] == "message_delta").unwrap();
    assert_eq!((&end["usage"]["input_tokens"], &end["usage"]["output_tokens"]), (&11.into(), &7.into()));
}

#[test]
fn signs_of_life_are_what_clients_know() {
    for dialect in Dialect::ALL {
        let echo = Arc::new(Echo { model: "asked".into(), ..Echo::default() });
        let client = client_half(dialect);
        let mut began = Vec::new();
        client.encoder(&echo).keep_alive(&mut began);
        for sign in [client.keep_alive(), &began] {
            let sign = std::str::from_utf8(sign).unwrap();
            assert!(sign.ends_with("\n\n"), "{dialect:?}: {sign}");
            for data in sign.lines().filter_map(|line| line.strip_prefix("data: ")) {
                let event: Value = serde_json::from_str(data).unwrap();
                assert!(event["type"].is_string(), "{dialect:?}: {sign}");
            }
            assert_eq!(
                dialect == Anthropic,
                sign.contains(r#""type":"ping""#) || sign.contains(r#""type": "ping""#)
            );
        }
    }
}

/// What of a stream goes out, in all.
fn translate(from: Dialect, to: Dialect, stream: String) -> (String, bool) {
    let provider = builtin().providers.iter().find(|provider| provider.dialect == from).unwrap().clone();
    let echo = Echo {
        model: "asked".into(),
        shows_reasoning: true,
        prompt_tokens: ESTIMATE,
        now: 1_790_000_000,
        ..Echo::default()
    };
    let options =
        WatchOptions { hide_usage: false, keep: false, echo: Arc::new(echo), provider, now: Millis(0) };
    let mut lane = Translated::new(client_half(to), upstream_half(from), Names::default(), options);
    let mut out = Vec::new();
    let ended = lane.push(Bytes::from(stream), &mut out).and_then(|()| lane.finish(&mut out));
    if ended.is_err() {
        out.push(lane.fail(&Refusal::new(502, "the provider broke off")));
    }
    (String::from_utf8(out.concat()).unwrap(), ended.is_ok())
}

/// A stream as words, pieces of the same thing joined.
fn digest(dialect: Dialect, out: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for data in out.lines().filter_map(|line| line.strip_prefix("data: ")) {
        if data == "[DONE]" {
            words.push("done".into());
            continue;
        }
        let event: Value = serde_json::from_str(data).unwrap();
        match dialect {
            Chat => chat_words(&event, &mut words),
            Anthropic => anthropic_words(&event, &mut words),
            Responses => responses_words(&event, &mut words),
        }
    }
    words.join(" ")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn chat_words(event: &Value, words: &mut Vec<String>) {
    if event.get("error").is_some() {
        return words.push("error".into());
    }
    let choice = &event["choices"][0];
    let delta = &choice["delta"];
    if !delta["role"].is_null() {
        words.push("role".into());
    }
    if !text(&delta["content"]).is_empty() {
        words.push(format!("+{}", text(&delta["content"])));
    }
    for call in delta["tool_calls"].as_array().into_iter().flatten() {
        let function = &call["function"];
        if !function["name"].is_null() {
            words.push(format!("call{}:{}", call["index"], text(&function["name"])));
        }
        if !text(&function["arguments"]).is_empty() {
            words.push(text(&function["arguments"]).to_owned());
        }
    }
    if !choice["finish_reason"].is_null() {
        words.push(format!("end:{}", text(&choice["finish_reason"])));
    }
}

fn anthropic_words(event: &Value, words: &mut Vec<String>) {
    let index = &event["index"];
    let delta = &event["delta"];
    match text(&event["type"]) {
        "message_start" => words.push("begin".into()),
        "content_block_start" => {
            let block = &event["content_block"];
            let name = block["name"].as_str().map(|name| format!(":{name}")).unwrap_or_default();
            words.push(format!("{index}:{}{name}", text(&block["type"])));
        }
        "content_block_delta" if delta["type"] == "signature_delta" => words.push(format!("{index}~")),
        "content_block_delta" => {
            let more = ["text", "partial_json", "thinking"].map(|field| text(&delta[field])).concat();
            let start = format!("{index}+");
            match words.last_mut().filter(|word| word.starts_with(&start)) {
                Some(word) => word.push_str(&more),
                None if more.is_empty() => {}
                None => words.push(start + &more),
            }
        }
        "content_block_stop" => words.push(format!("{index}.")),
        "message_delta" => words.push(format!("end:{}", text(&delta["stop_reason"]))),
        "message_stop" => words.push("stop".into()),
        "ping" => {}
        other => words.push(other.to_owned()),
    }
}

fn responses_words(event: &Value, words: &mut Vec<String>) {
    let item = &event["item"];
    match text(&event["type"]) {
        "response.output_item.done" => {
            let name = item["name"].as_str().map(|name| format!(":{name}")).unwrap_or_default();
            let said = [&item["arguments"], &item["content"][0]["text"], &item["summary"][0]["text"]];
            words.push(format!("item:{}{name} {}", text(&item["type"]), said.map(text).concat()));
        }
        end @ ("response.completed" | "response.incomplete" | "response.failed") => {
            words.push(end.trim_start_matches("response.").to_owned());
        }
        _ => {}
    }
}
