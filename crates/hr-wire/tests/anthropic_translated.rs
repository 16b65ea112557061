//! The Messages dialect at one end: streams that its clients can read, and requests that its API takes.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped here fails the test")]

use std::sync::Arc;

use hr_core::catalog::{Dialect, Quirks};
use hr_core::usage::Usage;
use hr_wire::Envelope;
use hr_wire::anthropic::Anthropic;
use hr_wire::dialect::{ClientHalf, Echo, Outgoing, UpstreamHalf};
use hr_wire::hub::carrier::{Carried, unpack};
use hr_wire::hub::{
    Block, Breakpoint, CallKind, Document, DocumentSource, Effort, Event, Fingerprint, Finish, Format,
    ImageSource, Message, Opaque, OpaqueKind, Part, RawJson, Reasoning, Reply, Request, Role, Start, Tool,
    ToolCall, ToolChoice, ToolKind, ToolOutput,
};
use hr_wire::refusal::Refusal;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value, json};

fn echo() -> Echo {
    Echo { model: "asked".into(), shows_reasoning: true, prompt_tokens: 7, nonce: 3, ..Echo::default() }
}

/// The events that are written, as name and data.
fn written(events: &[Event], echo: Echo) -> Vec<(String, Value)> {
    let mut encoder = Anthropic.encoder(&Arc::new(echo));
    let mut out = Vec::new();
    for event in events {
        encoder.push(event, &mut out);
    }
    encoder.finish(&mut out);
    read(&out)
}

fn read(out: &[u8]) -> Vec<(String, Value)> {
    let text = std::str::from_utf8(out).unwrap();
    let events = text.split_terminator("\n\n").map(|event| {
        let (name, data) = event.split_once('\n').unwrap();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        (name.strip_prefix("event: ").unwrap().to_owned(), data)
    });
    events.collect()
}

/// Holds a stream to its grammar and gives its blocks, put together as clients do.
fn grammar(events: &[(String, Value)]) -> Vec<Value> {
    let mut blocks: Vec<Value> = Vec::new();
    let mut input = String::new();
    let mut open = None;
    let mut state = "before";
    for (name, data) in events {
        assert_eq!(data["type"], json!(name));
        if name == "ping" {
            continue;
        }
        state = match (state, name.as_str()) {
            ("before", "message_start") => {
                assert!(data["message"]["usage"]["input_tokens"].is_u64());
                "within"
            }
            ("within", "content_block_start") => {
                assert_eq!((open, &data["index"]), (None, &json!(blocks.len())));
                open = Some(blocks.len());
                input.clear();
                blocks.push(data["content_block"].clone());
                "within"
            }
            ("within", "content_block_delta") => {
                assert_eq!(data["index"].as_u64().map(|index| index as usize), open);
                let block = blocks.last_mut().unwrap();
                for key in ["text", "thinking", "signature"] {
                    if let Some(more) = data["delta"][key].as_str() {
                        block[key] = json!(block[key].as_str().unwrap().to_owned() + more);
                    }
                }
                input.push_str(data["delta"]["partial_json"].as_str().unwrap_or_default());
                "within"
            }
            ("within", "content_block_stop") => {
                assert_eq!(data["index"].as_u64().map(|index| index as usize), open.take());
                let block = blocks.last_mut().unwrap();
                if block["type"] == "tool_use" {
                    block["input"] = serde_json::from_str(&input).unwrap_or_else(|_| json!(input));
                }
                "within"
            }
            ("within", "message_delta") => {
                assert_eq!(open, None);
                assert!(data["usage"]["input_tokens"].is_u64() && data["usage"]["output_tokens"].is_u64());
                assert!(data["delta"]["stop_reason"].is_string());
                "ending"
            }
            ("ending", "message_stop") => "ended",
            (state, name) => panic!("`{name}` while {state}"),
        };
    }
    assert_eq!(state, "ended");
    blocks
}

fn call(id: &str, name: &str) -> Start {
    Start::ToolCall { id: id.into(), name: name.into(), namespace: None, kind: CallKind::Function }
}

fn delta(block: usize, text: &str) -> Event {
    Event::Delta { block, text: text.into() }
}

#[test]
fn interleaved_calls_go_out_one_after_the_other() {
    let events = [
        Event::Begin { id: "u".into(), model: "up".into(), created: 1 },
        Event::Start { block: 0, start: Start::Text },
        delta(0, "Hm."),
        Event::End { block: 0 },
        Event::Start { block: 1, start: call("x", "f") },
        delta(1, "{\"a\":"),
        Event::Start { block: 2, start: call("y", "g") },
        delta(2, "{\"b\":"),
        delta(1, "1}"),
        delta(2, "2}"),
        Event::End { block: 1 },
        Event::End { block: 2 },
        Event::Finish(Finish::read("tool_calls")),
        Event::Usage(Usage { input: Some(30), output: Some(8), cached: Some(10), ..Usage::default() }),
    ];
    let mut encoder = Anthropic.encoder(&Arc::new(echo()));
    let mut out = Vec::new();
    for event in &events[..8] {
        encoder.push(event, &mut out);
    }
    let so_far = String::from_utf8(out.clone()).unwrap();
    assert!(so_far.contains("\"name\":\"f\"") && !so_far.contains("\"name\":\"g\""), "{so_far}");
    encoder.push(&events[8], &mut out);
    assert!(
        String::from_utf8(out).unwrap().contains("\"name\":\"g\""),
        "the first is whole, so the next begins"
    );

    let told = written(&events, echo());
    let blocks = grammar(&told);
    assert_eq!(blocks.len(), 3);
    assert_eq!((&blocks[1]["input"], &blocks[2]["input"]), (&json!({"a": 1}), &json!({"b": 2})));
    let (_, end) = &told[told.len() - 2];
    assert_eq!(end["delta"]["stop_reason"], "tool_use");
    assert_eq!(
        (&end["usage"]["input_tokens"], &end["usage"]["cache_read_input_tokens"]),
        (&json!(20), &json!(10))
    );
    assert_eq!(told[0].1["message"]["model"], "asked");
}

#[test]
fn what_is_not_there_opens_no_block() {
    let events = [
        Event::Start { block: 0, start: Start::Text },
        delta(0, " \n"),
        Event::End { block: 0 },
        Event::Start { block: 1, start: Start::Reasoning },
        Event::End { block: 1 },
        Event::Start { block: 2, start: call("", "f") },
        Event::End { block: 2 },
        Event::Start { block: 3, start: call("", "f") },
        Event::End { block: 3 },
        Event::Finish(Finish::read("stop")),
    ];
    let blocks = grammar(&written(&events, echo()));
    assert_eq!(blocks.len(), 2);
    assert_eq!(blocks[0]["input"], json!({}));
    assert_ne!(blocks[0]["id"], blocks[1]["id"]);
}

#[test]
fn reasoning_is_shown_as_it_was_asked_for_and_always_signed() {
    let opaque = Opaque {
        origin: Dialect::OpenaiResponses,
        kind: OpaqueKind::Encrypted,
        id: Some("rs_1".into()),
        data: "gAAA".into(),
    };
    let thought = Block::Reasoning(Reasoning { text: "so".into(), opaque: Some(opaque.clone()) });
    let bare = Block::Reasoning(Reasoning { text: "so".into(), opaque: None });
    let of = |block: &Block, echo: Echo| {
        let blocks = vec![block.clone(), Block::Text("hi".into())];
        let reply = Reply { blocks, finish: Some(Finish::read("stop")), ..Reply::default() };
        let whole: Value = serde_json::from_slice(&ClientHalf::encode(&Anthropic, &reply, &echo)).unwrap();
        let streamed = grammar(&written(&hr_wire::hub::unfold(&reply), echo));
        assert_eq!(whole["content"], json!(streamed));
        streamed[0].clone()
    };
    let signed = of(&thought, echo());
    assert_eq!(signed["thinking"], "so");
    assert_eq!(unpack(signed["signature"].as_str().unwrap()), Carried::Ours(Some(opaque.clone())));
    assert_ne!(of(&bare, echo())["signature"], "");
    let hidden = Echo { shows_reasoning: false, ..echo() };
    assert_eq!(of(&thought, hidden.clone())["type"], "text");
    let asked = json!({"model": "m", "thinking": {"type": "adaptive", "display": "omitted"}});
    let sealed = Echo { request: Some(Envelope::read(asked.to_string().into()).unwrap()), ..hidden };
    assert_eq!(of(&bare, sealed.clone())["type"], "text");
    let sealed = of(&thought, sealed);
    assert_eq!(sealed["thinking"], "");

    // What it sends back is what was carried, and known by its own fingerprint.
    let body = json!({"model": "m", "max_tokens": 9, "messages": [
        {"role": "user", "content": "x"}, {"role": "assistant", "content": [sealed]}, {"role": "user", "content": "y"}]});
    let (envelope, facts) = Anthropic.read(body.to_string().into()).unwrap();
    assert_eq!(facts.opaque, [opaque.fingerprint()]);
    let decoded = ClientHalf::decode(&Anthropic, &envelope).unwrap();
    let expected = Part::Reasoning(Reasoning { text: String::new(), opaque: Some(opaque) });
    assert_eq!(decoded.request.messages[1].parts, [expected]);
}

#[test]
fn a_stream_that_breaks_ends_in_an_error_event() {
    let mut encoder = Anthropic.encoder(&Arc::new(echo()));
    let mut out = Vec::new();
    encoder.push(&Event::Start { block: 0, start: Start::Text }, &mut out);
    encoder.push(&delta(0, "half"), &mut out);
    encoder.keep_alive(&mut out);
    encoder.fail(&Refusal::new(529, "busy"), &mut out);
    let told = read(&out);
    assert_eq!(told[told.len() - 2].0, "ping");
    assert_eq!(told[told.len() - 1].0, "error");
    assert_eq!(told[told.len() - 1].1["error"], json!({"type": "overloaded_error", "message": "busy"}));
}

/// Blocks of a reply, and an order in which their pieces may come.
fn streams() -> impl Strategy<Value = (Vec<Event>, Reply)> {
    let text = || "[a-z \"\\\\é{}]{0,9}";
    let block = prop_oneof![
        text().prop_map(Block::Text),
        text().prop_map(|text| Block::Reasoning(Reasoning { text, opaque: None })),
        ("[a-c]{0,2}", text()).prop_map(|(id, value)| Block::ToolCall(ToolCall {
            id,
            name: "f".into(),
            arguments: json!({ "value": value }).to_string(),
            ..ToolCall::default()
        })),
    ];
    (vec(block, 1..6), vec(any::<prop::sample::Index>(), 40)).prop_map(|(blocks, picks)| {
        let reply = Reply { blocks, finish: Some(Finish::read("stop")), ..Reply::default() };
        // What of each block is still to come, in pieces of two characters.
        let mut waiting: Vec<Vec<Event>> = Vec::new();
        for event in hr_wire::hub::unfold(&reply) {
            match event {
                Event::Start { .. } => waiting.push(vec![event]),
                Event::Delta { block, text } => {
                    let letters: Vec<char> = text.chars().collect();
                    for piece in letters.chunks(2) {
                        waiting[block].push(delta(block, &piece.iter().collect::<String>()));
                    }
                }
                Event::End { block } => waiting[block].push(event),
                _ => {}
            }
        }
        let mut queues: Vec<_> = waiting.into_iter().map(|events| events.into_iter().peekable()).collect();
        let mut events = Vec::new();
        let mut started = 0;
        let mut picks = picks.into_iter().cycle();
        while queues.iter_mut().any(|queue| queue.peek().is_some()) {
            // Blocks begin in order; only calls go on beside others.
            let calls_only = |place: usize| matches!(reply.blocks[place], Block::ToolCall(_));
            let over: Vec<bool> = queues.iter_mut().map(|queue| queue.peek().is_none()).collect();
            let may_begin = (0..started).all(|other| calls_only(other) || over[other]);
            let ready: Vec<usize> = (0..queues.len().min(started + 1))
                .filter(|place| !over[*place] && (*place < started || may_begin))
                .collect();
            let place = ready[picks.next().unwrap().index(ready.len())];
            events.extend(queues[place].next());
            started = started.max(place + 1);
        }
        events.push(Event::Finish(Finish::read("stop")));
        (events, reply)
    })
}

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, name: None, parts, extras: Default::default() }
}

fn text(text: &str) -> Part {
    Part::Text(text.into())
}

fn raw(value: Value) -> RawJson {
    RawJson(RawValue::from_string(value.to_string()).unwrap())
}

fn tool(name: &str, schema: Option<Value>) -> Tool {
    Tool {
        name: name.into(),
        namespace: None,
        description: None,
        kind: ToolKind::Function { parameters: schema.map(raw), strict: None },
        deferred: false,
        breakpoint: None,
    }
}

fn sent(request: &Request) -> (Value, Vec<String>) {
    let quirks = Quirks::default();
    let encoded = UpstreamHalf::encode(&Anthropic, request, &Outgoing::new("up", &quirks));
    let losses = encoded.losses.into_iter().map(|loss| loss.what).collect();
    (serde_json::from_slice(&encoded.body).unwrap(), losses)
}

fn asking(parts: Vec<Part>) -> Request {
    Request { messages: vec![message(Role::User, parts)], ..Request::default() }
}

#[test]
fn the_wish_to_reason_is_said_in_its_own_words() {
    let of = |effort: Effort, choice: Option<ToolChoice>| {
        let mut request = Request { tool_choice: choice, temperature: Some(0.5), ..asking(vec![text("x")]) };
        request.tools.push(tool("f", None));
        request.reasoning.effort = Some(effort);
        sent(&request)
    };
    let (body, losses) = of(Effort::High, None);
    assert_eq!(
        (&body["thinking"], &body["output_config"]),
        (&json!({"type": "adaptive"}), &json!({"effort": "high"}))
    );
    assert_eq!((body.get("temperature"), losses), (None, vec!["temperature".to_owned()]));
    assert_eq!(of(Effort::None, None).0["thinking"], json!({"type": "disabled"}));
    let (body, losses) = of(Effort::Low, Some(ToolChoice::Required));
    assert_eq!(
        (&body["thinking"], &body["tool_choice"]),
        (&json!({"type": "disabled"}), &json!({"type": "any"}))
    );
    assert_eq!(losses, ["reasoning"]);
    let quirks = Quirks::default();
    let plain = asking(vec![text("x")]);
    let encoded = UpstreamHalf::encode(
        &Anthropic,
        &plain,
        &Outgoing { max_output_cap: Some(64_000), ..Outgoing::new("up", &quirks) },
    );
    let body: Value = serde_json::from_slice(&encoded.body).unwrap();
    assert_eq!((&body["max_tokens"], body.get("thinking")), (&json!(64_000), None));
}

#[test]
fn pictures_and_papers_are_written_as_the_api_takes_them() {
    let image = |media_type: &str, data: &str| Part::Image {
        source: ImageSource::Base64 { media_type: media_type.into(), data: data.into() },
        detail: None,
    };
    let paper = |media_type: &str, data: &str| {
        Part::Document(Document {
            source: DocumentSource::Base64 { media_type: media_type.into(), data: data.into() },
            title: Some("t".into()),
            context: None,
        })
    };
    let (body, losses) = sent(&asking(vec![
        image("image/jpg; x=1", "AAAA\n AAAA"),
        image("image/jpeg", "iVBORw0KGgoAAA"),
        image("image/tiff", "SUkq"),
        paper("application/pdf", "JVBERi0="),
        paper("text/plain; charset=utf-8", "aGk="),
    ]));
    let blocks = &body["messages"][0]["content"];
    let base64 =
        |media_type: &str, data: &str| json!({"type": "base64", "media_type": media_type, "data": data});
    assert_eq!(blocks[0]["source"], base64("image/jpeg", "AAAAAAAA"));
    assert_eq!(blocks[1]["source"]["media_type"], "image/png", "the bytes know better");
    assert_eq!(
        (&blocks[2]["type"], &losses),
        (&json!("text"), &vec!["messages[].content[].image".to_owned()])
    );
    assert_eq!(blocks[3]["source"], base64("application/pdf", "JVBERi0="));
    assert_eq!(blocks[4]["source"], json!({"type": "text", "media_type": "text/plain", "data": "hi"}));
}

#[test]
fn tools_have_objects_at_their_root() {
    let schema = |schema: Option<Value>| {
        sent(&Request { tools: vec![tool("f", schema)], ..asking(vec![text("x")]) }).0["tools"][0]["input_schema"].clone()
    };
    assert_eq!(schema(None), json!({"type": "object", "properties": {}}));
    assert_eq!(schema(Some(json!({"properties": {"a": {}}})))["type"], "object");
    let union = schema(Some(json!({"anyOf": [
        {"type": "object", "properties": {"a": {"type": "string"}, "b": {}}, "required": ["a", "b"]},
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
    ]})));
    assert_eq!(
        union,
        json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {}}, "required": ["a"]})
    );
    let tools = vec![tool("f", None), tool("g", None), tool("f", None)];
    let allowed = ToolChoice::Allowed { names: vec!["g".into(), "f".into()], required: true };
    let request = Request {
        tools,
        tool_choice: Some(allowed),
        parallel_tool_calls: Some(false),
        ..asking(vec![text("x")])
    };
    let body = sent(&request).0;
    assert_eq!(body["tools"].as_array().unwrap().len(), 2);
    assert_eq!(body["tool_choice"], json!({"type": "any", "disable_parallel_tool_use": true}));
    let none = Request { tools: Vec::new(), ..request };
    assert_eq!(sent(&none).0.get("tool_choice"), None);
}

#[test]
fn a_schema_for_the_answer_is_brought_to_what_is_taken() {
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}});
    let format =
        Format::Schema { name: "x".into(), description: None, schema: Some(raw(schema)), strict: None };
    let (body, losses) = sent(&Request { format: Some(format), ..asking(vec![text("x")]) });
    assert_eq!(
        body["output_config"]["format"],
        json!({"type": "json_schema", "schema": {"type": "object", "properties": {"n": {"type": "integer"}}, "additionalProperties": false}})
    );
    assert_eq!(losses, ["format.schema"]);
    let (body, losses) = sent(&Request { format: Some(Format::Json), ..asking(vec![text("x")]) });
    assert!(body["system"][0]["text"].as_str().unwrap().contains("JSON"));
    assert_eq!(losses, ["format"]);
}

#[test]
fn later_instructions_stand_where_they_may_and_else_are_reminders() {
    let system = || message(Role::System, vec![text("be brief")]);
    let (user, model) =
        (|| message(Role::User, vec![text("x")]), || message(Role::Assistant, vec![text("y")]));
    let of = |messages: Vec<Message>| sent(&Request { messages, ..Request::default() }).0;
    let body = of(vec![system(), user(), system(), model(), user()]);
    assert_eq!(body["system"][0]["text"], "be brief");
    assert_eq!(body["messages"][1]["role"], "system");
    let body = of(vec![user(), model(), system(), user()]);
    assert_eq!(body["messages"][2]["content"][0]["text"], "<system-reminder>\nbe brief\n</system-reminder>");
}

#[test]
fn what_has_no_place_is_named() {
    let extras = json!({"seed": 1, "n": 1, "logprobs": false, "logit_bias": {"1": 2}});
    let mut request = asking(vec![
        text("x"),
        Part::Audio { format: "wav".into(), data: "AA".into() },
        Part::Reasoning(Reasoning { text: "theirs".into(), opaque: None }),
    ]);
    request.extras = hr_wire::hub::Extras::of(Dialect::OpenaiChat, extras.as_object().unwrap().clone());
    request.temperature = Some(1.5);
    let (body, losses) = sent(&request);
    assert_eq!(
        losses,
        ["messages[].content[].audio", "messages[].reasoning", "temperature", "seed", "logit_bias"]
    );
    assert_eq!(body["temperature"], 1);
    assert_eq!(body.get("seed"), None);
}

#[test]
fn reasoning_goes_only_to_who_signed_it() {
    let signed = |origin| Opaque { origin, kind: OpaqueKind::Signature, id: None, data: "sig".into() };
    let of = |opaque: Opaque, foreign: &[Fingerprint]| {
        let thought = Part::Reasoning(Reasoning { text: "t".into(), opaque: Some(opaque) });
        let request = Request {
            messages: vec![
                message(Role::User, vec![text("x")]),
                message(Role::Assistant, vec![thought, text("y")]),
                message(Role::User, vec![text("z")]),
            ],
            ..Request::default()
        };
        let quirks = Quirks::default();
        let outgoing = Outgoing { foreign, ..Outgoing::new("up", &quirks) };
        let body: Value =
            serde_json::from_slice(&UpstreamHalf::encode(&Anthropic, &request, &outgoing).body).unwrap();
        body["messages"][1]["content"][0]["type"].clone()
    };
    assert_eq!(of(signed(Dialect::Anthropic), &[]), "thinking");
    assert_eq!(of(signed(Dialect::Anthropic), &[Fingerprint::of("sig")]), "text");
    assert_eq!(of(signed(Dialect::OpenaiResponses), &[]), "text");
}

fn parts() -> impl Strategy<Value = Vec<Part>> {
    let part = prop_oneof![
        3 => "[a-z ]{0,4}".prop_map(Part::Text),
        2 => ("[a-d.]{0,2}", prop_oneof![Just(""), Just("null"), Just("5"), Just("{"), Just("{\"a\":1}")]).prop_map(|(id, arguments)| {
            Part::ToolCall(ToolCall { id, name: "f".into(), arguments: arguments.into(), ..ToolCall::default() })
        }),
        2 => ("[a-d.]{0,2}", any::<bool>()).prop_map(|(call_id, is_error)| {
            Part::ToolOutput(ToolOutput { call_id, is_error, ..ToolOutput::default() })
        }),
        1 => Just(Part::Breakpoint(Breakpoint::default())),
        1 => Just(Part::Reasoning(Reasoning { text: "t".into(), opaque: None })),
    ];
    vec(part, 0..5)
}

fn conversations() -> impl Strategy<Value = Vec<Message>> {
    let role = prop_oneof![Just(Role::System), Just(Role::User), Just(Role::Assistant), Just(Role::Tool)];
    let fits = |role: Role, part: &Part| match part {
        Part::ToolCall(_) | Part::Reasoning(_) => role == Role::Assistant,
        Part::ToolOutput(_) => matches!(role, Role::User | Role::Tool),
        _ => true,
    };
    let message = (role, parts()).prop_map(move |(role, mut parts)| {
        parts.retain(|part| fits(role, part));
        message(role, parts)
    });
    vec(message, 1..9)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_stream_keeps_the_grammar_and_all_that_was_said((events, reply) in streams()) {
        let blocks = grammar(&written(&events, echo()));
        let whole: Value = serde_json::from_slice(&ClientHalf::encode(&Anthropic, &reply, &echo())).unwrap();
        prop_assert_eq!(&whole["content"], &json!(blocks));
        let ids: Vec<&str> = blocks.iter().filter_map(|block| block["id"].as_str()).collect();
        let mut once = ids.clone();
        once.sort_unstable();
        once.dedup();
        prop_assert_eq!(once.len(), ids.len());
    }

    #[test]
    fn every_request_keeps_the_rules_of_the_api(messages in conversations()) {
        let request = Request { messages, tools: vec![tool("f", None)], ..Request::default() };
        let (body, _) = sent(&request);
        prop_assert!(body.to_string().matches("cache_control").count() <= 4);
        let mut waiting: Vec<String> = Vec::new();
        let mut before = "";
        for message in body["messages"].as_array().unwrap() {
            let role = message["role"].as_str().unwrap();
            prop_assert!(role != before, "two turns of {role}");
            before = role;
            let mut results: Vec<String> = Vec::new();
            let mut spoke = false;
            let answering = std::mem::take(&mut waiting);
            for block in message["content"].as_array().unwrap() {
                match block["type"].as_str().unwrap() {
                    "text" => {
                        spoke = true;
                        prop_assert!(!block["text"].as_str().unwrap().trim().is_empty());
                    }
                    "tool_use" => {
                        prop_assert!(block["input"].is_object());
                        let id = block["id"].as_str().unwrap();
                        prop_assert!(!id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)));
                        waiting.push(id.to_owned());
                    }
                    "tool_result" => {
                        prop_assert!(!spoke, "a result after words");
                        results.push(block["tool_use_id"].as_str().unwrap().to_owned());
                    }
                    other => prop_assert!(false, "{other}"),
                }
            }
            prop_assert_eq!(results, answering);
        }
        prop_assert!(waiting.is_empty(), "calls without results");
    }
}
