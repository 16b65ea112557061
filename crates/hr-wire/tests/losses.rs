//! What is a loss and what is none, and the small things of requests that are easily lost.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped here fails the test")]

use std::sync::Arc;

use bytes::Bytes;
use hr_core::catalog::{Dialect, Provider, Quirks, builtin};
use hr_core::time::Millis;
use hr_wire::Envelope;
use hr_wire::dialect::{Echo, Outgoing, client_half, upstream_half};
use hr_wire::hub::{Block, Event, Finish, Reasoning, Reply, unfold};
use hr_wire::sse;
use serde_json::{Value, json};

use Dialect::{Anthropic, OpenaiChat as Chat, OpenaiResponses as Responses};

/// The plainest request with these fields laid over it.
fn request(dialect: Dialect, fields: &Value) -> Bytes {
    let mut body = match dialect {
        Chat => json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]}),
        Responses => json!({"model": "m", "input": "hi", "store": false}),
        Anthropic => {
            json!({"model": "m", "max_tokens": 4096, "messages": [{"role": "user", "content": "hi"}]})
        }
    };
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body.to_string().into()
}

/// What a provider gets of a request, and what it does not.
fn send(from: Dialect, fields: &Value, to: Dialect, outgoing: &Outgoing<'_>) -> (Value, Vec<String>) {
    let client = client_half(from);
    let (envelope, _) = client.read(request(from, fields)).unwrap_or_else(|bad| panic!("{bad:?}: {fields}"));
    let mut losses = Vec::new();
    let written = if from == to {
        envelope
    } else {
        let decoded = client.decode(&envelope).unwrap();
        let encoded = upstream_half(to).encode(&decoded.request, outgoing);
        losses.extend(decoded.losses.into_iter().chain(encoded.losses));
        Envelope::read(encoded.body).unwrap()
    };
    let prepared = upstream_half(to).prepare(&written, outgoing);
    losses.extend(prepared.losses);
    let losses = losses.into_iter().map(|loss| loss.what).collect();
    (serde_json::from_slice(&prepared.body).unwrap(), losses)
}

fn plainly(from: Dialect, fields: &Value, to: Dialect) -> (Value, Vec<String>) {
    send(from, fields, to, &Outgoing::new("theirs", &Quirks::default()))
}

#[test]
fn what_goes_without_saying_is_no_loss() {
    let sdk_turn = json!({"role": "assistant", "content": "yes", "refusal": null, "annotations": [], "audio": null,
        "function_call": null, "tool_calls": null, "parsed": null});
    let cases = [
        (Chat, json!({"n": 1, "store": false, "logprobs": false, "presence_penalty": 0.0, "logit_bias": {}})),
        (Chat, json!({"temperature": 1, "reasoning_effort": "high", "response_format": {"type": "text"}})),
        (
            Chat,
            json!({"verbosity": "medium", "service_tier": "auto", "modalities": ["text"], "prompt_cache_key": "k"}),
        ),
        (
            Chat,
            json!({"messages": [{"role": "user", "content": "hi"}, sdk_turn, {"role": "user", "content": "on"}]}),
        ),
        (Anthropic, json!({"mcp_servers": [], "speed": "standard", "context_management": {"edits": []}})),
        (
            Responses,
            json!({"truncation": "disabled", "background": false, "metadata": {}, "top_logprobs": 0}),
        ),
    ];
    for (from, fields) in cases {
        for to in Dialect::ALL {
            let (_, losses) = plainly(from, &fields, to);
            assert!(losses.is_empty(), "{from:?} to {to:?}: {losses:?} of {fields}");
        }
    }
}

#[test]
fn a_default_that_a_provider_does_not_want_is_no_loss() {
    let drop =
        ["n", "store", "logprobs", "prompt_cache_key", "parallel_tool_calls", "seed"].map(str::to_owned);
    let quirks = Quirks { drop: drop.to_vec(), ..Quirks::default() };
    let outgoing = Outgoing::new("theirs", &quirks);
    let tool = json!([{"type": "function", "function": {"name": "f"}}]);
    let said_nothing = json!({"n": 1, "store": false, "logprobs": false, "parallel_tool_calls": true, "tools": tool, "seed": null});
    assert_eq!(send(Chat, &said_nothing, Chat, &outgoing).1, Vec::<String>::new());
    assert_eq!(send(Chat, &json!({"n": 2, "seed": 0}), Chat, &outgoing).1, ["n", "seed"]);
    // The key is made of who is asking, so that a conversation stays together; its caller never sent one.
    let asked = json!({"metadata": {"user_id": "ann"}});
    assert_eq!(send(Anthropic, &asked, Chat, &outgoing).1, Vec::<String>::new());

    let of_model = ["no_sampling".to_owned()];
    let plain = Quirks::default();
    let outgoing = Outgoing { model_quirks: &of_model, ..Outgoing::new("theirs", &plain) };
    let (sent, losses) =
        send(Chat, &json!({"temperature": 1, "top_p": 1.0, "top_k": 1}), Anthropic, &outgoing);
    assert_eq!((losses, &sent["temperature"]), (vec!["top_k".to_owned()], &Value::Null));
}

#[test]
fn what_switches_something_is_a_loss() {
    let cases = [
        (Chat, json!({"web_search_options": {}}), "web_search_options"),
        (Chat, json!({"think": false}), "think"),
        (Chat, json!({"seed": 0}), "seed"),
        (
            Chat,
            json!({"messages": [{"role": "system", "name": "boss", "content": "Be brief."}, {"role": "user", "content": "hi"}]}),
            "messages[].name",
        ),
    ];
    for (from, fields, lost) in cases {
        assert_eq!(plainly(from, &fields, Anthropic).1, [lost], "{fields}");
    }
    let tool = |callers: Value| json!({"tools": [{"name": "f", "input_schema": {"type": "object"}, "allowed_callers": callers}]});
    assert_eq!(
        plainly(Anthropic, &tool(json!(["code_execution_20250825"])), Chat).1,
        ["tools[].allowed_callers"]
    );
    assert_eq!(plainly(Anthropic, &tool(json!(["direct"])), Chat).1, Vec::<String>::new());
    let pdf = json!({"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="});
    let document = json!({"type": "document", "source": pdf, "citations": {"enabled": true}});
    let asked = json!({"messages": [{"role": "user", "content": [document]}]});
    assert_eq!(plainly(Anthropic, &asked, Chat).1, ["messages[].content[].citations"]);
}

#[test]
fn a_tool_is_there_if_it_was_added_last() {
    let change = |kind: &str| json!({"role": "system", "content": [{"type": kind, "tool": {"type": "tool_reference", "name": "f"}}]});
    let said = |role: &str| json!({"role": role, "content": "so"});
    let tools = |changes: &[&str]| {
        let mut messages = vec![said("user")];
        for kind in changes {
            messages.extend([change(kind), said("assistant"), said("user")]);
        }
        let fields =
            json!({"tools": [{"name": "f", "input_schema": {"type": "object"}}], "messages": messages});
        plainly(Anthropic, &fields, Chat).0["tools"].as_array().map_or(0, Vec::len)
    };
    assert_eq!(tools(&["tool_removal"]), 0);
    assert_eq!(tools(&["tool_removal", "tool_addition"]), 1);
}

#[test]
fn examples_of_a_tool_are_told_with_it() {
    let tool = json!({"name": "f", "description": "Does.", "input_schema": {"type": "object"}, "input_examples": [{"a": 1}]});
    let (sent, _) = plainly(Anthropic, &json!({"tools": [tool]}), Chat);
    assert_eq!(sent["tools"][0]["function"]["description"], "Does.\n\nExamples of its input: [{\"a\":1}]");
}

#[test]
fn a_sentence_that_citations_cut_is_whole_again() {
    let cited = json!({"type": "text", "text": "grew by 3 %", "citations": [{"type": "char_location"}]});
    let text = |text: &str| json!({"type": "text", "text": text});
    let answer = json!([text("It "), cited, text(" last year."), text("More?")]);
    let messages = json!([{"role": "user", "content": "hi"}, {"role": "assistant", "content": answer}, {"role": "user", "content": "on"}]);
    let (sent, _) = plainly(Anthropic, &json!({"messages": messages}), Chat);
    assert_eq!(sent["messages"][1]["content"], "It grew by 3 % last year.\nMore?");
}

#[test]
fn a_budget_stays_below_the_answer() {
    let quirks = Quirks::default();
    let wish = json!({"max_tokens": 2048, "thinking": {"type": "enabled", "budget_tokens": 16384}});
    let capped = |cap| Outgoing { max_output_cap: Some(cap), ..Outgoing::new("theirs", &quirks) };
    let (sent, losses) = send(Chat, &wish, Anthropic, &capped(4096));
    assert_eq!((&sent["max_tokens"], &sent["thinking"]["budget_tokens"]), (&json!(4096), &json!(4095)));
    assert_eq!(losses, ["reasoning"]);
    let (sent, losses) = send(Chat, &wish, Anthropic, &capped(1024));
    assert_eq!((&sent["max_tokens"], &sent["thinking"]), (&json!(1024), &Value::Null));
    assert_eq!(losses, ["reasoning"]);
    let (sent, losses) = send(Chat, &wish, Anthropic, &capped(64_000));
    assert_eq!((&sent["max_tokens"], &sent["thinking"]["budget_tokens"]), (&json!(18432), &json!(16384)));
    assert!(losses.is_empty());
}

#[test]
fn marks_on_tools_count_too() {
    let tool = |name: String| json!({"type": "function", "function": {"name": name}, "cache_control": {"type": "ephemeral"}});
    let tools: Vec<Value> = (0..7).map(|number| tool(format!("f{number}"))).collect();
    let (sent, losses) = plainly(Chat, &json!({"tools": tools}), Anthropic);
    assert_eq!(sent.to_string().matches("cache_control").count(), 4);
    assert_eq!(losses, ["cache_control"]);
}

#[test]
fn thoughts_are_a_line_each_also_in_a_stream() {
    let echo = Arc::new(Echo { shows_reasoning: true, ..Echo::default() });
    let thought = |text: &str| Block::Reasoning(Reasoning { text: text.into(), opaque: None });
    let blocks = vec![thought("one"), thought(""), thought("two"), Block::Text("so".into())];
    let reply = Reply { blocks, finish: Some(Finish::read("stop")), ..Reply::default() };
    let whole: Value = serde_json::from_slice(&client_half(Chat).encode(&reply, &echo)).unwrap();
    let mut encoder = client_half(Chat).encoder(&echo);
    let mut out = Vec::new();
    for event in unfold(&reply) {
        encoder.push(&event, &mut out);
    }
    let told: String = String::from_utf8(out)
        .unwrap()
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok())
        .filter_map(|chunk| chunk["choices"][0]["delta"]["reasoning_content"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(whole["choices"][0]["message"]["reasoning_content"], told.as_str());
    assert_eq!(told, "one\ntwo");
}

#[test]
fn a_block_that_is_no_object_does_no_harm() {
    let provider = |dialect| -> Arc<Provider> {
        builtin().providers.iter().find(|provider| provider.dialect == dialect).cloned().unwrap()
    };
    let mut decoder = upstream_half(Anthropic).decoder(&provider(Anthropic), Millis(0));
    let events = [
        r#"{"type":"message_start","message":{"id":"m"}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":["server_tool_use"]}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{}"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
    ];
    let mut frames = sse::Decoder::default();
    for event in events {
        frames.push(format!("data: {event}\n\n").into());
    }
    let mut read: Vec<Event> = Vec::new();
    let mut all = std::iter::from_fn(|| frames.next_frame().unwrap());
    assert!(all.any(|frame| decoder.push(&frame, &mut read).is_err()), "{read:?}");
}

#[test]
fn a_grammar_is_told_in_the_same_words_everywhere() {
    let grammar = json!({"type": "grammar", "syntax": "lark", "definition": "start: /x+/"});
    let tool = json!({"type": "custom", "name": "patch", "description": "Edits.", "format": grammar});
    let fields = json!({"tools": [tool, {"type": "custom", "name": "say", "format": {"type": "text"}}]});
    let words = "Edits.\n\n`input` must follow this lark grammar:\nstart: /x+/";
    let (to_chat, _) = plainly(Responses, &fields, Chat);
    let (to_anthropic, _) = plainly(Responses, &fields, Anthropic);
    assert_eq!(to_chat["tools"][0]["function"]["description"], words);
    assert_eq!(to_anthropic["tools"][0]["description"], words);
}

/// Why a request must not be sent to a provider of that dialect.
fn refused(from: Dialect, fields: &Value, to: Dialect) -> Option<(u16, Option<&'static str>)> {
    let client = client_half(from);
    let (envelope, _) = client.read(request(from, fields)).unwrap_or_else(|bad| panic!("{bad:?}: {fields}"));
    let decoded = client.decode(&envelope).unwrap();
    let quirks = Quirks::default();
    let encoded = upstream_half(to).encode(&decoded.request, &Outgoing::new("theirs", &quirks));
    encoded.refused.map(|bad| (bad.status, bad.code))
}

#[test]
fn a_conversation_of_which_nothing_is_left_is_refused() {
    let empty = Some((400, Some("empty_conversation")));
    let bogus = json!({"instructions": "Be brief.", "input": [{"type": "bogus"}]});
    let unknown = json!([{"role": "user", "content": [{"type": "bogus"}]}]);
    let blank = json!([{"role": "user", "content": " "}]);
    for to in [Chat, Anthropic] {
        assert_eq!(refused(Responses, &bogus, to), empty, "{to:?}");
        assert_eq!(refused(Responses, &json!({"input": [{"type": "bogus"}]}), to), empty, "{to:?}");
    }
    assert_eq!(refused(Anthropic, &json!({"messages": unknown}), Chat), empty);
    assert_eq!(refused(Anthropic, &json!({"messages": unknown}), Responses), empty);
    assert_eq!(refused(Chat, &json!({"messages": blank}), Anthropic), empty);
    for (from, to) in [(Chat, Anthropic), (Chat, Responses), (Anthropic, Chat), (Responses, Chat)] {
        assert_eq!(refused(from, &json!({}), to), None, "{from:?} {to:?}");
    }
}

#[test]
fn instructions_alone_are_sent() {
    let fields = json!({"messages": [{"role": "system", "content": "Tell a joke."}]});
    for to in [Anthropic, Responses] {
        assert_eq!(refused(Chat, &fields, to), None, "{to:?}");
    }
    let (sent, _) = plainly(Chat, &fields, Anthropic);
    assert_eq!((&sent["messages"][0]["role"], &sent["system"]), (&json!("user"), &Value::Null));
    let (sent, _) = plainly(Chat, &fields, Responses);
    assert_eq!(sent["input"].as_array().map(Vec::len), Some(1));
}

#[test]
fn what_the_user_shows_does_not_vanish_in_silence() {
    let sound = json!({"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}});
    let file = json!({"type": "file", "file": {"file_id": "file-1"}});
    let bitmap = json!({"type": "image_url", "image_url": {"url": "data:image/bmp;base64,Qk0="}});
    let asked = |part: &Value| json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, part]}]});
    for part in [&sound, &file, &bitmap] {
        assert_eq!(
            refused(Chat, &asked(part), Anthropic),
            Some((422, Some("unsupported_content"))),
            "{part}"
        );
        assert_eq!(refused(Chat, &asked(part), Responses), None, "{part}");
    }
    let call = json!({"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let by_a_tool = json!({"messages": [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": [bitmap]},
    ]});
    assert_eq!(refused(Chat, &by_a_tool, Anthropic), None, "a note is enough");
}
