//! Requests that are wrong, and where each is told to be.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped here fails the test")]

use bytes::Bytes;
use hr_wire::openai_chat::error;
use hr_wire::openai_chat::{read_chat, read_embeddings};
use hr_wire::refusal::Refusal;
use hr_wire::{BadRequest, Envelope};

fn chat(body: &str) -> BadRequest {
    read_chat(Bytes::from(body.to_owned())).expect_err(body)
}

fn embeddings(body: &str) -> BadRequest {
    Envelope::read(Bytes::from(body.to_owned()))
        .and_then(|envelope| read_embeddings(&envelope))
        .expect_err(body)
}

/// A chat request with one sound message and these further fields.
fn with(fields: &str) -> String {
    format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}],{fields}}}"#)
}

/// A chat request of this message.
fn said(message: &str) -> String {
    format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}},{message}]}}"#)
}

fn holds(bad: &BadRequest, param: Option<&str>, body: &str) {
    assert_eq!((bad.status, bad.param.as_deref()), (400, param), "{body}: {bad}");
    let refusal: serde_json::Value = serde_json::from_slice(&error::body(&Refusal::from(bad))).unwrap();
    assert_eq!(refusal["error"]["type"], "invalid_request_error");
    assert_eq!(refusal["error"]["param"].as_str(), param);
    assert!(!bad.message.ends_with('.') && bad.message.len() > 10, "{bad}");
}

#[test]
fn bodies_that_are_no_json_object_are_refused() {
    let bodies = [
        "",
        "  \n",
        "null",
        "true",
        "12",
        "\"text\"",
        "[]",
        "[{}]",
        "{",
        "{\"model\"",
        "{\"model\":}",
        "{\"model\":\"m\"",
        "{\"model\":\"m\",}",
        "{'model':'m'}",
        "{\"a\":01}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\n\"}",
        "{\"a\":tru}",
        "{} x",
        "{\"a\":NaN}",
        "model=m&stream=true",
        "<html></html>",
    ];
    for body in bodies {
        holds(&chat(body), None, body);
    }
    let deep = format!("{{\"messages\":{}{}}}", "[".repeat(50_000), "]".repeat(50_000));
    holds(&chat(&deep), None, "deep");
    let wide = format!("{{{}}}", (0..1000).map(|n| format!("\"k{n}\":0")).collect::<Vec<_>>().join(","));
    holds(&chat(&wide), None, "wide");
    let binary = Envelope::read(Bytes::from_static(b"{\"model\":\"\xff\xfe\"}")).unwrap_err();
    holds(&binary, None, "binary");
}

#[test]
fn fields_that_are_wrong_are_named() {
    let table = [
        (r#"{"messages":[{"role":"user","content":"hi"}]}"#.to_owned(), "model"),
        (r#"{"model":null,"messages":[{"role":"user","content":"hi"}]}"#.to_owned(), "model"),
        (r#"{"model":7,"messages":[{"role":"user","content":"hi"}]}"#.to_owned(), "model"),
        (r#"{"model":" ","messages":[{"role":"user","content":"hi"}]}"#.to_owned(), "model"),
        (r#"{"model":"m"}"#.to_owned(), "messages"),
        (r#"{"model":"m","messages":null}"#.to_owned(), "messages"),
        (r#"{"model":"m","messages":"hi"}"#.to_owned(), "messages"),
        (r#"{"model":"m","messages":{}}"#.to_owned(), "messages"),
        (r#"{"model":"m","messages":[]}"#.to_owned(), "messages"),
        (r#"{"model":"m","messages":["hi"]}"#.to_owned(), "messages[0]"),
        (r#"{"model":"m","messages":[null]}"#.to_owned(), "messages[0]"),
        (r#"{"model":"m","model":"n","messages":[{"role":"user","content":"hi"}]}"#.to_owned(), "model"),
        (with(r#""messages":[]"#), "messages"),
        (with(r#""stream":true,"stream":false"#), "stream"),
        (with(r#""stream":"true""#), "stream"),
        (with(r#""stream":1"#), "stream"),
        (with(r#""stream_options":{"include_usage":true}"#), "stream_options"),
        (with(r#""stream":false,"stream_options":{}"#), "stream_options"),
        (with(r#""stream":true,"stream_options":true"#), "stream_options"),
        (with(r#""stream":true,"stream_options":{"include_usage":"yes"}"#), "stream_options.include_usage"),
        (with(r#""temperature":"0.5""#), "temperature"),
        (with(r#""temperature":2.1"#), "temperature"),
        (with(r#""temperature":-0.1"#), "temperature"),
        (with(r#""top_p":1.5"#), "top_p"),
        (with(r#""top_p":[]"#), "top_p"),
        (with(r#""n":0"#), "n"),
        (with(r#""n":1.5"#), "n"),
        (with(r#""n":"2""#), "n"),
        (with(r#""presence_penalty":3"#), "presence_penalty"),
        (with(r#""frequency_penalty":-2.5"#), "frequency_penalty"),
        (with(r#""max_tokens":0"#), "max_tokens"),
        (with(r#""max_tokens":-5"#), "max_tokens"),
        (with(r#""max_tokens":10.5"#), "max_tokens"),
        (with(r#""max_tokens":"100""#), "max_tokens"),
        (with(r#""max_completion_tokens":true"#), "max_completion_tokens"),
        (with(r#""max_completion_tokens":99999999999999999999"#), "max_completion_tokens"),
        (with(r#""logprobs":"yes""#), "logprobs"),
        (with(r#""top_logprobs":21"#), "top_logprobs"),
        (with(r#""logit_bias":[1]"#), "logit_bias"),
        (with(r#""logit_bias":{"50256":"-100"}"#), "logit_bias.50256"),
        (with(r#""logit_bias":{"50256":-101}"#), "logit_bias.50256"),
        (with(r#""stop":7"#), "stop"),
        (with(r#""stop":["a",7]"#), "stop[1]"),
        (with(r#""stop":["a","b","c","d","e"]"#), "stop"),
        (with(r#""seed":"x""#), "seed"),
        (with(r#""user":5"#), "user"),
        (with(r#""metadata":{"a":1}"#), "metadata.a"),
        (with(r#""metadata":"a""#), "metadata"),
        (with(r#""modalities":"text""#), "modalities"),
        (with(r#""parallel_tool_calls":"no""#), "parallel_tool_calls"),
        (with(r#""reasoning_effort":3"#), "reasoning_effort"),
        (with(r#""response_format":"json""#), "response_format"),
        (with(r#""response_format":{}"#), "response_format.type"),
        (with(r#""response_format":{"type":"xml"}"#), "response_format.type"),
        (with(r#""response_format":{"type":"json_schema"}"#), "response_format.json_schema"),
        (
            with(r#""response_format":{"type":"json_schema","json_schema":{}}"#),
            "response_format.json_schema.name",
        ),
        (
            with(r#""response_format":{"type":"json_schema","json_schema":{"name":"n","schema":[]}}"#),
            "response_format.json_schema.schema",
        ),
        (with(r#""tools":{}"#), "tools"),
        (with(r#""tools":[]"#), "tools"),
        (with(r#""tools":["f"]"#), "tools[0]"),
        (with(r#""tools":[{"function":{"name":"f"}}]"#), "tools[0].type"),
        (with(r#""tools":[{"type":"function"}]"#), "tools[0].function"),
        (with(r#""tools":[{"type":"function","function":{}}]"#), "tools[0].function.name"),
        (with(r#""tools":[{"type":"function","function":{"name":""}}]"#), "tools[0].function.name"),
        (
            with(r#""tools":[{"type":"function","function":{"name":"f","parameters":"{}"}}]"#),
            "tools[0].function.parameters",
        ),
        (with(r#""tool_choice":"required""#), "tool_choice"),
        (with(r#""tool_choice":"maybe""#), "tool_choice"),
        (with(r#""tool_choice":1"#), "tool_choice"),
        (with(r#""tool_choice":{"type":"function"}"#), "tool_choice.function"),
        (with(r#""tool_choice":{"type":"function","function":{}}"#), "tool_choice.function.name"),
        (with(r#""functions":[{"description":"d"}]"#), "functions[0].name"),
        (with(r#""function_call":"always""#), "function_call"),
    ];
    for (body, param) in table {
        holds(&chat(&body), Some(param), &body);
    }
}

#[test]
fn messages_that_are_wrong_are_named() {
    let table = [
        (r#"{"content":"hi"}"#, "messages[1].role"),
        (r#"{"role":7,"content":"hi"}"#, "messages[1].role"),
        (r#"{"role":"robot","content":"hi"}"#, "messages[1].role"),
        (r#"{"role":"user"}"#, "messages[1].content"),
        (r#"{"role":"user","content":null}"#, "messages[1].content"),
        (r#"{"role":"user","content":7}"#, "messages[1].content"),
        (r#"{"role":"user","content":{}}"#, "messages[1].content"),
        (r#"{"role":"user","content":[]}"#, "messages[1].content"),
        (r#"{"role":"user","content":["hi"]}"#, "messages[1].content[0]"),
        (r#"{"role":"user","content":[{"text":"hi"}]}"#, "messages[1].content[0].type"),
        (r#"{"role":"user","content":[{"type":"texture","text":"hi"}]}"#, "messages[1].content[0].type"),
        (r#"{"role":"user","content":[{"type":"text"}]}"#, "messages[1].content[0].text"),
        (r#"{"role":"user","content":[{"type":"text","text":1}]}"#, "messages[1].content[0].text"),
        (r#"{"role":"user","content":[{"type":"image_url"}]}"#, "messages[1].content[0].image_url"),
        (
            r#"{"role":"user","content":[{"type":"image_url","image_url":{}}]}"#,
            "messages[1].content[0].image_url.url",
        ),
        (
            r#"{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":1}}]}"#,
            "messages[1].content[1].image_url.url",
        ),
        (
            r#"{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"x"}}]}"#,
            "messages[1].content[0].input_audio.format",
        ),
        (r#"{"role":"user","content":[{"type":"file","file":"x"}]}"#, "messages[1].content[0].file"),
        (r#"{"role":"user","content":"hi","name":5}"#, "messages[1].name"),
        (
            r#"{"role":"system","content":[{"type":"image_url","image_url":{"url":"u"}}]}"#,
            "messages[1].content[0].type",
        ),
        (r#"{"role":"system","content":null}"#, "messages[1].content"),
        (r#"{"role":"assistant"}"#, "messages[1].content"),
        (r#"{"role":"assistant","content":null}"#, "messages[1].content"),
        (r#"{"role":"assistant","tool_calls":{}}"#, "messages[1].tool_calls"),
        (r#"{"role":"assistant","tool_calls":[]}"#, "messages[1].tool_calls"),
        (r#"{"role":"assistant","tool_calls":[7]}"#, "messages[1].tool_calls[0]"),
        (r#"{"role":"assistant","tool_calls":[{"type":"function"}]}"#, "messages[1].tool_calls[0].id"),
        (r#"{"role":"assistant","tool_calls":[{"id":"a"}]}"#, "messages[1].tool_calls[0].type"),
        (
            r#"{"role":"assistant","tool_calls":[{"id":"a","type":"function"}]}"#,
            "messages[1].tool_calls[0].function",
        ),
        (
            r#"{"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"f"}}]}"#,
            "messages[1].tool_calls[0].function.arguments",
        ),
        (
            r#"{"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":{}}}]}"#,
            "messages[1].tool_calls[0].function.arguments",
        ),
        (r#"{"role":"tool","content":"18"}"#, "messages[1].tool_call_id"),
        (r#"{"role":"tool","tool_call_id":7,"content":"18"}"#, "messages[1].tool_call_id"),
        (r#"{"role":"tool","tool_call_id":"a"}"#, "messages[1].content"),
        (r#"{"role":"function","content":"18"}"#, "messages[1].name"),
    ];
    for (message, param) in table {
        let body = said(message);
        holds(&chat(&body), Some(param), &body);
    }
}

#[test]
fn embeddings_that_are_wrong_are_named() {
    let table = [
        (r#"{"input":"a"}"#, "model"),
        (r#"{"model":"m"}"#, "input"),
        (r#"{"model":"m","input":null}"#, "input"),
        (r#"{"model":"m","input":7}"#, "input"),
        (r#"{"model":"m","input":{}}"#, "input"),
        (r#"{"model":"m","input":""}"#, "input"),
        (r#"{"model":"m","input":[]}"#, "input"),
        (r#"{"model":"m","input":["a",""]}"#, "input[1]"),
        (r#"{"model":"m","input":["a",7]}"#, "input[1]"),
        (r#"{"model":"m","input":[1,2.5]}"#, "input[1]"),
        (r#"{"model":"m","input":[[1],[]]}"#, "input[1]"),
        (r#"{"model":"m","input":[[1],["a"]]}"#, "input[1][0]"),
        (r#"{"model":"m","input":[null]}"#, "input[0]"),
        (r#"{"model":"m","input":"a","encoding_format":"hex"}"#, "encoding_format"),
        (r#"{"model":"m","input":"a","encoding_format":1}"#, "encoding_format"),
        (r#"{"model":"m","input":"a","dimensions":0}"#, "dimensions"),
        (r#"{"model":"m","input":"a","dimensions":"256"}"#, "dimensions"),
        (r#"{"model":"m","input":"a","user":1}"#, "user"),
        (r#"{"model":"m","input":"a","input":"b"}"#, "input"),
    ];
    for (body, param) in table {
        holds(&embeddings(body), Some(param), body);
    }
}

#[test]
fn sound_requests_pass() {
    let bodies = [
        with(r#""temperature":null,"stop":null,"tools":null,"stream":null,"response_format":null,"n":1"#),
        with(r#""some_new_field":{"deep":[1,2,{"a":null}]},"stream_options":null"#),
        with(r#""stop":"END","logit_bias":{"1":-100},"seed":-7,"metadata":{"a":"b"},"tool_choice":"none""#),
        with(
            r#""tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":{"type":"function","function":{"name":"f"}}"#,
        ),
        with(r#""tools":[{"type":"web_search"}],"tool_choice":"required""#),
        with(r#""response_format":{"type":"json_schema","schema":{"type":"object"}}"#),
        said(r#"{"role":"developer","content":[{"type":"text","text":"x"}]}"#),
        said(r#"{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}}"#),
        said(r#"{"role":"assistant","content":"","reasoning_content":"r"}"#),
        said(
            r#"{"role":"assistant","content":[{"type":"thinking","thinking":[]},{"type":"text","text":"x"}]}"#,
        ),
        said(r#"{"role":"function","name":"f","content":null}"#),
        said(r#"{"role":"user","content":[{"type":"image_url","image_url":"https://x/y.png"}],"name":null}"#),
    ];
    for body in bodies {
        if let Err(bad) = read_chat(Bytes::from(body.clone())) {
            panic!("{body}: {bad} at {:?}", bad.param);
        }
    }
    for (input, inputs) in [("\"a\"", 1), ("[\"a\",\"b\"]", 2), ("[1,2,3]", 1), ("[[1],[2,3]]", 2)] {
        let body = format!(r#"{{"model":"m","input":{input},"encoding_format":"base64","dimensions":8}}"#);
        let facts = read_embeddings(&Envelope::read(Bytes::from(body)).unwrap()).unwrap();
        assert_eq!((facts.inputs, facts.dimensions), (inputs, Some(8)));
    }
}
