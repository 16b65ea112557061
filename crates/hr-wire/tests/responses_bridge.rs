//! The Responses dialect towards others: what its clients see of foreign replies, what its providers get of
//! foreign requests.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped here fails the test")]

use std::sync::Arc;

use bytes::Bytes;
use hr_core::catalog::{Dialect, Quirks, builtin};
use hr_core::time::Millis;
use hr_core::usage::Usage;
use hr_wire::dialect::{
    ClientHalf, Echo, Encode, Outgoing, UpstreamHalf, WatchOptions, client_half, upstream_half,
};
use hr_wire::hub::carrier::{self, Carried};
use hr_wire::hub::{
    CallKind, Document, DocumentSource, Effort, Event, Extras, Finish, Format, ImageSource, Message, Opaque,
    OpaqueKind, Part, RawJson, Reasoning, ReasoningWish, Request, Role, Start, Thinking, Tool, ToolCall,
    ToolChoice, ToolKind, ToolOutput,
};
use hr_wire::refusal::Refusal;
use hr_wire::sse;
use serde_json::{Value, json};

fn client() -> &'static dyn ClientHalf {
    client_half(Dialect::OpenaiResponses)
}

fn upstream() -> &'static dyn UpstreamHalf {
    upstream_half(Dialect::OpenaiResponses)
}

fn data(stream: &[u8]) -> Vec<Value> {
    let mut decoder = sse::Decoder::default();
    decoder.push(Bytes::copy_from_slice(stream));
    let mut events = Vec::new();
    while let Some(frame) = decoder.next_frame().unwrap() {
        events.extend(frame.data.map(|data| serde_json::from_slice::<Value>(&data).unwrap()));
    }
    let numbers: Vec<u64> = events.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    events
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

fn encoded(events: Vec<Event>) -> (Box<dyn Encode>, Vec<Value>) {
    let mut encoder =
        client().encoder(&Arc::new(Echo { model: "asked".into(), nonce: 3, ..Echo::default() }));
    let mut out = Vec::new();
    for event in &events {
        encoder.push(event, &mut out);
    }
    encoder.finish(&mut out);
    (encoder, data(&out))
}

fn begin() -> Event {
    Event::Begin { id: "c".into(), model: "m-1".into(), created: 5 }
}

fn start_call(block: usize, id: &str, kind: CallKind) -> Event {
    let start = Start::ToolCall { id: id.into(), name: "f".into(), namespace: None, kind };
    Event::Start { block, start }
}

fn delta(block: usize, text: &str) -> Event {
    Event::Delta { block, text: text.into() }
}

fn last(events: &[Value]) -> &Value {
    &events.last().unwrap()["response"]
}

#[test]
fn reasoning_then_text_then_a_call_are_closed_in_order() {
    let (_, events) = encoded(vec![
        begin(),
        Event::Start { block: 0, start: Start::Reasoning },
        delta(0, "hm"),
        Event::End { block: 0 },
        Event::Start { block: 1, start: Start::Text },
        delta(1, ""),
        delta(1, "so"),
        Event::End { block: 1 },
        start_call(2, "call_1", CallKind::Function),
        delta(2, "{\"a\""),
        delta(2, ":1}"),
        Event::End { block: 2 },
        Event::Finish(Finish::read("tool_calls")),
        Event::Usage(Usage { input: Some(3), output: Some(2), ..Usage::default() }),
    ]);
    assert_eq!(
        kinds(&events),
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.reasoning_summary_part.added",
            "response.reasoning_summary_text.delta",
            "response.reasoning_summary_text.done",
            "response.reasoning_summary_part.done",
            "response.output_item.done",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.output_item.added",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    let response = last(&events);
    assert_eq!(
        response["usage"],
        json!({
            "input_tokens": 3, "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": 2, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 5,
        })
    );
    assert_eq!((&response["model"], &response["created_at"]), (&json!("m-1"), &json!(5)));
    // Reasoning that nobody signed is marked as ours, so that it is known again.
    let blob = response["output"][0]["encrypted_content"].as_str().unwrap();
    assert_eq!(carrier::unpack(blob), Carried::Ours(None));
}

#[test]
fn a_call_that_was_cut_is_never_complete() {
    let halved = |kind, finish: &str| {
        encoded(vec![
            begin(),
            start_call(0, "a", CallKind::Function),
            delta(0, "{\"whole\":true}"),
            start_call(1, "b", kind),
            delta(1, "{\"half\":"),
            Event::End { block: 0 },
            Event::End { block: 1 },
            Event::Finish(Finish::read(finish)),
        ])
        .1
    };
    for kind in [CallKind::Function, CallKind::Custom] {
        let events = halved(kind, "length");
        let response = last(&events);
        assert_eq!(events.last().unwrap()["type"], "response.incomplete");
        assert_eq!(response["incomplete_details"]["reason"], "max_output_tokens");
        assert_eq!(response["output"][1]["status"], "incomplete");
    }
    assert_eq!(last(&halved(CallKind::Function, "length"))["output"][0]["status"], "completed");
    let failed = halved(CallKind::Function, "stop");
    assert_eq!(kinds(&failed)[failed.len() - 2..], ["error", "response.failed"]);
    assert_eq!(last(&failed)["error"]["code"], "invalid_tool_arguments");
    assert!(!kinds(&failed).contains(&"response.completed"));
}

#[test]
fn a_text_that_was_cut_is_incomplete_and_what_stood_before_it_is_not() {
    let (_, events) = encoded(vec![
        begin(),
        Event::Start { block: 0, start: Start::Text },
        delta(0, "a"),
        Event::End { block: 0 },
        Event::Start { block: 1, start: Start::Text },
        delta(1, "b"),
        Event::End { block: 1 },
        Event::Finish(Finish::read("content_filter")),
    ]);
    let response = last(&events);
    assert_eq!(response["incomplete_details"]["reason"], "content_filter");
    let states: Vec<&Value> =
        response["output"].as_array().unwrap().iter().map(|item| &item["status"]).collect();
    assert_eq!(states, ["completed", "incomplete"]);
}

#[test]
fn a_response_has_all_that_typed_clients_insist_on_and_repeats_its_request() {
    let request = json!({
        "model": "asked", "input": "x", "temperature": 0.5, "metadata": {"a": "b"}, "text": {"verbosity": "low"},
        "tools": [{"type": "function", "name": "f", "parameters": {"n": 1.10}}], "reasoning": {"effort": "low"},
        "instructions": "i", "max_output_tokens": null,
    });
    let (envelope, _) = client().read(request.to_string().into()).unwrap();
    let echo = Echo { nonce: 1, request: Some(envelope), ..Echo::default() };
    let response: Value = serde_json::from_slice(&client().encode(&Default::default(), &echo)).unwrap();
    for key in [
        "id",
        "object",
        "created_at",
        "completed_at",
        "status",
        "error",
        "incomplete_details",
        "instructions",
        "model",
        "tools",
        "output",
        "parallel_tool_calls",
        "metadata",
        "tool_choice",
        "temperature",
        "top_p",
        "truncation",
        "text",
        "presence_penalty",
        "frequency_penalty",
        "top_logprobs",
        "reasoning",
        "usage",
        "max_output_tokens",
        "max_tool_calls",
        "store",
        "background",
        "service_tier",
        "safety_identifier",
        "prompt_cache_key",
        "previous_response_id",
    ] {
        assert!(response.get(key).is_some(), "{key}");
    }
    assert_eq!(response["text"], json!({"verbosity": "low", "format": {"type": "text"}}));
    assert_eq!(response["reasoning"], json!({"effort": "low", "summary": null}));
    assert_eq!(response["tools"][0]["strict"], true);
    assert_eq!((&response["temperature"], &response["instructions"]), (&json!(0.5), &json!("i")));
}

fn provider() -> Arc<hr_core::catalog::Provider> {
    Arc::clone(builtin().find("codex").unwrap())
}

fn stream(name: &str) -> Bytes {
    let path = format!("{}/../../fixtures/openai_responses/{name}.stream.txt", env!("CARGO_MANIFEST_DIR"));
    let mut bytes = Vec::new();
    let mut file = std::fs::OpenOptions::new().read(true).open(path).unwrap();
    std::io::Read::read_to_end(&mut file, &mut bytes).unwrap();
    bytes.into()
}

#[test]
fn a_stream_that_signs_of_life_began_goes_on_under_the_same_id_and_count() {
    let echo = Arc::new(Echo { model: "asked".into(), nonce: 4, now: 9, ..Echo::default() });
    let mut native = Vec::new();
    let options = WatchOptions {
        hide_usage: false,
        keep: true,
        echo: Arc::clone(&echo),
        provider: provider(),
        now: Millis(0),
    };
    let mut watch = upstream().watch(options);
    let (all, mut out) = (stream("text"), Vec::new());
    // The provider begins at once and then thinks.
    let thinks = all.windows(20).position(|window| window == b"event: response.outp").unwrap();
    watch.push(all.slice(..thinks), &mut out).unwrap();
    assert_eq!((watch.is_good(), out.len()), (false, 0));
    native.extend_from_slice(&client().early_sign(&echo));
    native.extend_from_slice(&client().early_sign(&echo));
    let mid = thinks + 2000;
    watch.push(all.slice(thinks..mid), &mut out).unwrap();
    native.extend(out.drain(..).flatten());
    native.extend_from_slice(&watch.keep_alive());
    watch.push(all.slice(mid..), &mut out).unwrap();
    watch.finish(&mut out).unwrap();
    native.extend(out.drain(..).flatten());
    let events = data(&native);
    assert_eq!(kinds(&events)[..3], ["response.created", "response.in_progress", "response.in_progress"]);
    let counted = events.iter().map(|event| event["sequence_number"].as_u64().unwrap());
    assert!(counted.eq(0..events.len() as u64), "without a gap");
    assert_eq!(kinds(&events).iter().filter(|kind| **kind == "response.created").count(), 1);
    assert_eq!(*kinds(&events).last().unwrap(), "response.completed");
    let id = &events[0]["response"]["id"];
    assert!(events.iter().all(|event| event["response"].is_null() || event["response"]["id"] == *id));
    let kept: Value = serde_json::from_slice(&watch.reply().unwrap()).unwrap();
    assert_eq!((&kept["id"], &kept["output"]), (id, &last(&events)["output"]));

    let echo = Arc::new(Echo { nonce: 5, ..Echo::default() });
    let mut translated = client().early_sign(&echo).to_vec();
    let mut encoder = client().encoder(&echo);
    for event in [begin(), Event::Start { block: 0, start: Start::Text }, delta(0, "x")] {
        encoder.push(&event, &mut translated);
    }
    encoder.keep_alive(&mut translated);
    encoder.fail(&Refusal::new(502, "gone").code("stream_interrupted"), &mut translated);
    encoder.finish(&mut translated);
    let events = data(&translated);
    assert_eq!(kinds(&events).iter().filter(|kind| **kind == "response.created").count(), 1);
    assert_eq!(kinds(&events)[events.len() - 3..], ["response.in_progress", "error", "response.failed"]);
    assert_eq!(events[0]["response"]["id"], last(&events)["id"]);
    assert_eq!(encoder.reply(), None);
}

#[test]
fn a_failure_after_nothing_but_signs_of_life_goes_on_from_them() {
    let echo = Echo { nonce: 6, ..Echo::default() };
    let mut out = client().early_sign(&echo).to_vec();
    out.extend_from_slice(&client().early_error(&Refusal::new(503, "nobody is left"), &echo));
    let events = data(&out);
    assert_eq!(kinds(&events), ["response.created", "response.in_progress", "error", "response.failed"]);
    assert_eq!(last(&events)["error"], json!({"code": "server_is_overloaded", "message": "nobody is left"}));
}

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, name: None, parts, extras: Extras::default() }
}

fn function(name: &str) -> Tool {
    let schema = serde_json::value::RawValue::from_string("{\"n\":1.10}".into()).unwrap();
    Tool {
        name: name.into(),
        namespace: None,
        description: None,
        kind: ToolKind::Function { parameters: Some(RawJson(schema)), strict: None },
        deferred: true,
        breakpoint: None,
    }
}

fn sent(request: &Request, foreign: &[hr_wire::hub::Fingerprint]) -> (Value, Vec<String>) {
    let quirks = Quirks::default();
    let outgoing = Outgoing { foreign, ..Outgoing::new("m", &quirks) };
    let encoded = upstream().encode(request, &outgoing);
    let losses = encoded.losses.iter().map(|loss| loss.what.clone()).collect();
    (serde_json::from_slice(&encoded.body).unwrap(), losses)
}

fn call(id: &str) -> Part {
    Part::ToolCall(ToolCall { id: id.into(), name: "f".into(), ..ToolCall::default() })
}

fn encrypted(data: &str) -> Opaque {
    Opaque {
        origin: Dialect::OpenaiResponses,
        kind: OpaqueKind::Encrypted,
        id: Some("rs_1".into()),
        data: data.into(),
    }
}

#[test]
fn a_foreign_request_becomes_items() {
    let long = "call ".repeat(20);
    let image = Part::Image {
        source: ImageSource::Base64 { media_type: "image/png".into(), data: "AA==".into() },
        detail: None,
    };
    let file = Document {
        source: DocumentSource::Base64 { media_type: "application/pdf".into(), data: "JQ==".into() },
        title: Some("a.pdf".into()),
        context: None,
    };
    let output = ToolOutput {
        call_id: long.clone(),
        content: vec![Part::Text("seen".into()), image.clone()],
        is_error: true,
        ..ToolOutput::default()
    };
    let request = Request {
        model: "m".into(),
        messages: vec![
            message(Role::System, vec![Part::Text("be".into()), Part::Text("brief".into())]),
            message(Role::User, vec![Part::Text("look".into()), image, Part::Document(file)]),
            message(Role::Assistant, vec![Part::Text(String::new()), Part::Text("well".into()), call(&long)]),
            message(Role::Tool, vec![Part::ToolOutput(output)]),
            message(Role::System, vec![Part::Text("now".into())]),
            message(Role::User, vec![Part::Text("go on".into())]),
        ],
        tools: vec![function("f")],
        tool_choice: Some(ToolChoice::Named { name: "f".into(), namespace: None }),
        format: Some(Format::Json),
        max_output: Some(5),
        stop: vec!["x".into()],
        top_k: Some(4),
        reasoning: ReasoningWish { thinking: Some(Thinking::On), budget: Some(9000), ..Default::default() },
        stream: true,
        ..Request::default()
    };
    let (body, losses) = sent(&request, &[]);
    assert_eq!(losses, ["max_output_tokens", "stop", "top_k"]);
    assert_eq!(body["instructions"], "be\n\nbrief");
    let items = body["input"].as_array().unwrap();
    assert_eq!(
        items[0]["content"][1],
        json!({"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "auto"})
    );
    assert_eq!(items[0]["content"][2]["file_data"], "data:application/pdf;base64,JQ==");
    assert_eq!(items[1]["content"], json!([{"type": "output_text", "text": "well"}]));
    assert_eq!((&items[2]["type"], &items[2]["arguments"]), (&json!("function_call"), &json!("{}")));
    let id = items[2]["call_id"].as_str().unwrap();
    assert!(id.len() <= 64 && id == items[3]["call_id"]);
    assert_eq!(items[3]["output"][0]["text"], "Error:");
    assert_eq!(items[3]["output"][2]["type"], "input_image");
    assert_eq!((&items[4]["role"], &items[5]["role"]), (&json!("system"), &json!("user")));
    assert_eq!(
        body["tools"],
        json!([{"type": "function", "name": "f", "parameters": {"n": 1.10}, "strict": false}])
    );
    assert_eq!(body["tool_choice"], json!({"type": "function", "name": "f"}));
    assert_eq!(body["reasoning"], json!({"effort": "high", "summary": "auto"}));
    assert_eq!(body["include"], json!(["reasoning.encrypted_content"]));
    assert_eq!(
        (&body["max_output_tokens"], &body["store"], &body["stream"]),
        (&json!(16), &json!(false), &json!(true))
    );
}

#[test]
fn only_own_reasoning_is_sent_back_and_never_without_what_came_of_it() {
    let thought = |opaque| Part::Reasoning(Reasoning { text: "hm".into(), opaque: Some(opaque) });
    let signed = Opaque { origin: Dialect::Anthropic, kind: OpaqueKind::Signature, ..encrypted("sig") };
    let request = Request {
        messages: vec![
            message(Role::User, vec![Part::Text("a".into())]),
            message(
                Role::Assistant,
                vec![thought(signed), thought(encrypted("own")), Part::Text("b".into())],
            ),
            message(Role::User, vec![Part::Text("c".into())]),
            message(Role::Assistant, vec![thought(encrypted("theirs")), Part::Text("d".into())]),
            message(Role::User, vec![Part::Text("e".into())]),
            message(Role::Assistant, vec![Part::Text("f".into()), thought(encrypted("own"))]),
        ],
        reasoning: ReasoningWish { effort: Some(Effort::Low), ..Default::default() },
        ..Request::default()
    };
    let (body, losses) = sent(&request, &[encrypted("theirs").fingerprint()]);
    let types: Vec<&Value> = body["input"].as_array().unwrap().iter().map(|item| &item["type"]).collect();
    assert_eq!(types, ["message", "reasoning", "message", "message", "message", "message", "message"]);
    assert_eq!(body["input"][1]["encrypted_content"], "own");
    assert_eq!(body["input"][1]["id"], "rs_1");
    assert_eq!(losses, ["messages[].reasoning"]);
}

#[test]
fn what_a_coding_agent_sends_reaches_the_hub() {
    let body = json!({"model": "m", "store": false, "include": ["reasoning.encrypted_content"], "client_metadata": {},
    "prompt_cache_key": "k", "instructions": "i",
    "tools": [{"type": "namespace", "name": "n", "description": "d", "tools": [{"type": "custom", "name": "w"}]}],
    "input": [
        {"type": "additional_tools", "role": "developer", "tools": [{"type": "function", "name": "g", "parameters": {}}]},
        {"role": "user", "content": "a"},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "x"}], "encrypted_content": carrier::carry(None)},
        {"type": "tool_search_call", "call_id": "s", "execution": "client", "arguments": {"query": "q"}},
        {"type": "tool_search_output", "call_id": "s", "tools": [{"type": "function", "name": "h", "parameters": {}}]},
        {"type": "ghost_snapshot", "ghost_commit": {}},
        {"type": "compaction", "encrypted_content": "blob"},
        {"type": "item_reference", "id": "x"},
    ]});
    let (envelope, facts) = client().read(body.to_string().into()).unwrap();
    assert!(facts.tools);
    let decoded = client().decode(&envelope).unwrap();
    let tools: Vec<(&str, Option<&str>)> =
        decoded.request.tools.iter().map(|tool| (tool.name.as_str(), tool.namespace.as_deref())).collect();
    assert_eq!(tools, [("w", Some("n")), ("g", None), ("h", None)]);
    let lost: Vec<&str> = decoded.losses.iter().map(|loss| loss.what.as_str()).collect();
    assert_eq!(lost, ["input[].item_reference"]);
    let [system, user, assistant, tool, compacted] = decoded.request.messages.as_slice() else {
        panic!("{:?}", decoded.request.messages)
    };
    assert_eq!((system.role, user.role), (Role::System, Role::User));
    let [Part::Reasoning(reasoning), Part::ToolCall(call)] = assistant.parts.as_slice() else { panic!() };
    assert_eq!((reasoning.text.as_str(), &reasoning.opaque), ("x", &None));
    assert_eq!((call.name.as_str(), call.arguments.as_str()), ("tool_search", "{\"query\":\"q\"}"));
    let Part::ToolOutput(output) = &tool.parts[0] else { panic!() };
    assert_eq!(output.content, [Part::ToolReference("h".into())]);
    assert!(matches!(compacted.parts[0], Part::Other { origin: Dialect::OpenaiResponses, .. }));
    assert_eq!(decoded.request.extras, Extras::default());
}

#[test]
fn words_that_one_provider_keeps_are_not_left_out_in_silence() {
    for body in [
        json!({"model": "m", "input": "and then?", "conversation": "conv_1"}),
        json!({"model": "m", "prompt": {"id": "pmpt_1"}}),
    ] {
        let (envelope, _) = client().read(body.to_string().into()).unwrap();
        let bad = client().decode(&envelope).unwrap_err();
        assert_eq!((bad.status, bad.code), (422, Some("unsupported_parameter")), "{body}");
    }
}

#[test]
fn defaults_are_no_loss_and_what_is_lost_has_a_name() {
    let lost = |fields: Value| {
        let mut body = json!({"model": "m", "input": "a"});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let (envelope, _) = client().read(body.to_string().into()).unwrap();
        let decoded = client().decode(&envelope).unwrap();
        let extras = decoded.request.extras.fields.keys().cloned();
        decoded.losses.into_iter().map(|loss| loss.what).chain(extras).collect::<Vec<_>>()
    };
    let defaults = json!({"truncation": "disabled", "background": false, "store": false, "top_logprobs": 0,
        "metadata": {}, "temperature": 1, "top_p": 1, "parallel_tool_calls": true, "service_tier": "auto",
        "reasoning": {"effort": "low", "context": "auto", "mode": "standard"}});
    assert_eq!(lost(defaults), [""; 0]);
    let wishes = json!({"truncation": "auto", "max_tool_calls": 3, "reasoning": {"mode": "pro", "context": "all_turns"},
        "include": ["reasoning.encrypted_content", "web_search_call.action.sources"]});
    let names = [
        "reasoning.context",
        "reasoning.mode",
        "include.web_search_call.action.sources",
        "truncation",
        "max_tool_calls",
    ];
    assert_eq!(lost(wishes), names);
}

#[test]
fn a_tool_without_parameters_and_a_document_with_words_about_it_are_sent_whole() {
    let mut tool = function("f");
    tool.kind = ToolKind::Function { parameters: None, strict: None };
    let document = Document {
        source: DocumentSource::Url("https://example.com/a.pdf".into()),
        title: None,
        context: Some("from the archive".into()),
    };
    let request = Request {
        messages: vec![message(Role::User, vec![Part::Document(document)])],
        tools: vec![tool],
        ..Request::default()
    };
    let (body, _) = sent(&request, &[]);
    assert_eq!(body["tools"][0]["parameters"], json!({"type": "object", "properties": {}}));
    assert_eq!(
        body["input"][0]["content"],
        json!([
            {"type": "input_text", "text": "from the archive"},
            {"type": "input_file", "file_url": "https://example.com/a.pdf"},
        ])
    );
}

#[test]
fn an_answer_without_end_is_not_kept_and_is_no_success() {
    let mut encoder = client().encoder(&Arc::new(Echo::default()));
    let mut out = Vec::new();
    encoder.push(&begin(), &mut out);
    encoder.push(&Event::Start { block: 0, start: Start::Text }, &mut out);
    let piece = delta(0, &"x".repeat(16 * 1024 * 1024));
    for _ in 0..5 {
        out.clear();
        encoder.push(&piece, &mut out);
    }
    assert!(out.is_empty(), "what is not kept is not said either");
    encoder.finish(&mut out);
    let events = data(&out);
    assert_eq!(kinds(&events), ["error", "response.failed"]);
}

#[test]
fn the_pieces_of_arguments_are_the_arguments_also_where_there_are_none() {
    let (_, events) = encoded(vec![
        begin(),
        start_call(0, "call_1", CallKind::Function),
        Event::End { block: 0 },
        Event::Finish(Finish::read("tool_calls")),
    ]);
    let told = |kind: &str, member: &str| -> Vec<Value> {
        let kind = format!("response.function_call_arguments.{kind}");
        events.iter().filter(|event| event["type"] == kind).map(|event| event[member].clone()).collect()
    };
    assert_eq!(told("delta", "delta"), ["{}"]);
    assert_eq!(told("done", "arguments"), ["{}"]);
    assert_eq!(last(&events)["output"][0]["arguments"], "{}");
}

#[test]
fn a_stream_made_of_a_whole_reply_has_what_typed_clients_insist_on() {
    let body = json!({"id": "resp_1", "object": "response", "status": "completed", "model": "m", "output": [
        {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
         "content": [{"type": "output_text", "text": "hi", "annotations": []}]},
    ]});
    let made = upstream().to_stream(&Bytes::from(body.to_string())).unwrap();
    let events = data(&made);
    let texts: Vec<&Value> = events
        .iter()
        .filter(|event| event["type"].as_str().unwrap().starts_with("response.output_text."))
        .collect();
    assert_eq!(texts.len(), 2);
    assert!(texts.iter().all(|event| event["logprobs"] == json!([])), "{texts:?}");
}

#[test]
fn an_answer_with_an_error_is_none_whole_or_streamed() {
    let answer = json!({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": "hi", "annotations": []}]});
    for error in [json!({"code": "server_error", "message": "boom"}), json!({}), json!("boom"), json!(false)]
    {
        let response = json!({"id": "resp_1", "object": "response", "status": "completed", "model": "m",
            "output": [answer], "error": error});
        assert!(upstream().to_stream(&Bytes::from(response.to_string())).is_err(), "{error}");
        let event = json!({"type": "response.completed", "sequence_number": 0, "response": response});
        let stream = Bytes::from(format!("event: response.completed\ndata: {event}\n\n"));
        assert!(upstream().to_whole(&stream, &provider(), Millis(0)).is_err(), "{error}");
        let mut decoder = upstream().decoder(&provider(), Millis(0));
        let mut frames = sse::Decoder::default();
        frames.push(stream);
        let frame = frames.next_frame().unwrap().unwrap();
        assert!(decoder.push(&frame, &mut Vec::new()).is_err(), "{error}");
    }
}

#[test]
fn calls_side_by_side_stand_in_the_order_of_their_places() {
    let (_, events) = encoded(vec![
        begin(),
        start_call(0, "call_a", CallKind::Function),
        start_call(1, "call_b", CallKind::Function),
        delta(1, "{}"),
        Event::End { block: 1 },
        start_call(2, "call_c", CallKind::Function),
        delta(0, "{}"),
        delta(2, "{}"),
        Event::Finish(Finish::read("tool_calls")),
    ]);
    let told: Vec<u64> = events
        .iter()
        .filter(|event| event["type"] == "response.output_item.done")
        .map(|event| event["output_index"].as_u64().unwrap())
        .collect();
    assert_eq!(told, [1, 0, 2], "the second was whole first");
    let output = last(&events)["output"].as_array().unwrap();
    let ids: Vec<&str> = output.iter().map(|item| item["call_id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["call_a", "call_b", "call_c"]);
}

#[test]
fn a_file_has_a_name_that_tells_what_it_is() {
    for (title, media_type, name) in [
        (None, "application/pdf", "document.pdf"),
        (Some("report.pdf"), "application/pdf", "report.pdf"),
        (Some("Report of 2026"), "application/pdf", "Report of 2026.pdf"),
        (None, "text/plain", "document.txt"),
        (Some("table"), "text/csv", "table.csv"),
    ] {
        let source = DocumentSource::Base64 { media_type: media_type.into(), data: "AA==".into() };
        let document = Document { source, title: title.map(str::to_owned), context: None };
        let messages = vec![message(Role::User, vec![Part::Document(document)])];
        let (body, _) = sent(&Request { messages, ..Request::default() }, &[]);
        assert_eq!(body["input"][0]["content"][0]["filename"], name);
    }
}
