//! Requests of the chat dialect over the hub: what is carried, and what is named as lost.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped here fails the test")]

use bytes::Bytes;
use hr_core::catalog::{Dialect, Quirks};
use hr_wire::Envelope;
use hr_wire::dialect::{ClientHalf, Encoded, Outgoing, UpstreamHalf};
use hr_wire::hub::{
    Breakpoint, CallKind, Document, DocumentSource, Effort, Extras, ImageSource, Message, Opaque, OpaqueKind,
    Part, RawJson, Reasoning, ReasoningWish, Request, Role, Thinking, Tool, ToolCall, ToolChoice, ToolKind,
    ToolOutput,
};
use hr_wire::openai_chat::{OpenaiChat, prepare, read_chat, read_whole};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value, json};

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, name: None, parts, extras: Extras::default() }
}

fn text(text: &str) -> Part {
    Part::Text(text.into())
}

fn encoded(request: &Request) -> (Value, Vec<String>, Encoded) {
    let quirks = Quirks::default();
    let encoded = UpstreamHalf::encode(&OpenaiChat, request, &Outgoing::new("m", &quirks));
    let lost = encoded.losses.iter().map(|loss| loss.what.clone()).collect();
    (serde_json::from_slice(&encoded.body).unwrap(), lost, encoded)
}

fn decoded(body: &Value) -> Request {
    let envelope = Envelope::read(Bytes::from(body.to_string())).unwrap();
    ClientHalf::decode(&OpenaiChat, &envelope).unwrap().request
}

fn of(messages: Vec<Message>) -> Request {
    Request { model: "m".into(), messages, ..Request::default() }
}

fn tool(name: &str, kind: ToolKind) -> Tool {
    Tool { name: name.into(), namespace: None, description: None, kind, deferred: false, breakpoint: None }
}

fn raw(json: &str) -> RawJson {
    RawJson(RawValue::from_string(json.into()).unwrap())
}

const FUNCTION: ToolKind = ToolKind::Function { parameters: None, strict: None };

#[test]
fn pictures_of_results_are_shown_after_all_of_them() {
    let call = |id: &str, name: &str| {
        Part::ToolCall(ToolCall { id: id.into(), name: name.into(), ..ToolCall::default() })
    };
    let image = Part::Image {
        source: ImageSource::Base64 { media_type: "image/png".into(), data: "AA==".into() },
        detail: None,
    };
    let output = |id: &str, content: Vec<Part>, is_error: bool| {
        Part::ToolOutput(ToolOutput { call_id: id.into(), content, is_error, ..ToolOutput::default() })
    };
    let request = of(vec![
        message(
            Role::Assistant,
            vec![
                Part::Reasoning(Reasoning { text: "t".into(), opaque: None }),
                text("Reading."),
                call("a1", "read"),
                call("a2", "ls"),
                call("a3", "find"),
            ],
        ),
        message(
            Role::User,
            vec![
                output("a1", vec![text("ok"), image], false),
                output("a2", vec![text("denied")], true),
                output("a3", vec![Part::ToolReference("WebSearch".into())], false),
                text("go on"),
            ],
        ),
    ]);
    let (body, lost, _) = encoded(&request);
    let called = |id: &str, name: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": "{}"}});
    assert_eq!(
        body["messages"],
        json!([
            {"role": "assistant", "content": "Reading.", "reasoning_content": "t",
             "tool_calls": [called("a1", "read"), called("a2", "ls"), called("a3", "find")]},
            {"role": "tool", "content": "ok\n[attached below]", "tool_call_id": "a1"},
            {"role": "tool", "content": "Error: denied", "tool_call_id": "a2"},
            {"role": "tool", "content": "Tools now available: WebSearch", "tool_call_id": "a3"},
            {"role": "user", "content": [
                {"type": "text", "text": "[from tool call a1]"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
                {"type": "text", "text": "go on"},
            ]},
        ])
    );
    assert!(lost.is_empty(), "{lost:?}");
}

#[test]
fn later_instructions_stay_in_their_place() {
    let request = of(vec![
        message(Role::System, vec![text("a"), text("b")]),
        message(Role::Developer, vec![text("c")]),
        message(Role::User, vec![text("hi")]),
        message(Role::System, vec![text("be brief")]),
        message(Role::Assistant, vec![text("ok")]),
    ]);
    let (body, lost, _) = encoded(&request);
    assert_eq!(
        body["messages"],
        json!([
            {"role": "system", "content": "a\n\nb\n\nc"},
            {"role": "user", "content": "hi\n<system-reminder>\nbe brief\n</system-reminder>"},
            {"role": "assistant", "content": "ok"},
        ])
    );
    assert_eq!(lost, ["messages[].role"]);
}

#[test]
fn documents_are_files_or_text() {
    let document = |source| Part::Document(Document { source, title: Some("T".into()), context: None });
    let pdf = || DocumentSource::Base64 { media_type: "application/pdf".into(), data: "AA==".into() };
    let context = Some("of May".to_owned());
    let spoken_of = Part::Document(Document { source: pdf(), title: None, context });
    let words = DocumentSource::Base64 { media_type: "text/plain".into(), data: "aGk=".into() };
    let (body, lost, _) = encoded(&of(vec![message(
        Role::User,
        vec![
            document(pdf()),
            spoken_of,
            document(DocumentSource::Text("body".into())),
            document(words),
            document(DocumentSource::Url("https://x.example/a.pdf".into())),
        ],
    )]));
    assert_eq!(
        body["messages"][0]["content"],
        json!([
            {"type": "file", "file": {"filename": "T", "file_data": "data:application/pdf;base64,AA=="}},
            {"type": "text", "text": "of May"},
            {"type": "file", "file": {"filename": "document.pdf", "file_data": "data:application/pdf;base64,AA=="}},
            {"type": "text", "text": "T\nbody"},
            {"type": "text", "text": "T\nhi"},
            {"type": "text", "text": "[document at https://x.example/a.pdf]"},
        ])
    );
    assert_eq!(lost, ["messages[].content[].document"]);
}

#[test]
fn choices_go_with_their_tools() {
    let mut request = of(vec![message(Role::User, vec![text("x")])]);
    request.tool_choice = Some(ToolChoice::Required);
    request.parallel_tool_calls = Some(false);
    let (body, ..) = encoded(&request);
    assert!(body.get("tool_choice").is_none() && body.get("parallel_tool_calls").is_none());

    request.tools = vec![tool("a", FUNCTION), tool("b", FUNCTION), tool("a", FUNCTION)];
    let (body, ..) = encoded(&request);
    assert_eq!(body["tool_choice"], "required");
    assert_eq!(body["tools"].as_array().unwrap().len(), 2, "two tools of one name");
    assert_eq!(body["tools"][0]["function"]["parameters"], json!({"type": "object", "properties": {}}));

    request.tool_choice = Some(ToolChoice::Allowed { names: vec!["b".into()], required: true });
    let (body, ..) = encoded(&request);
    assert_eq!(
        (&body["tool_choice"], &body["tools"][0]["function"]["name"]),
        (&json!("required"), &json!("b"))
    );
    assert_eq!(body["tools"].as_array().unwrap().len(), 1);
}

#[test]
fn tools_of_other_kinds_become_functions_or_are_named() {
    let mut request = of(vec![message(Role::User, vec![text("x")])]);
    let format = raw(r#"{"type":"grammar","syntax":"lark","definition":"start: /x/"}"#);
    let mut patch = tool("apply_patch", ToolKind::Custom { format: Some(format) });
    patch.description = Some("Edits files.".into());
    let mut inner = tool("read", FUNCTION);
    inner.namespace = Some("files".into());
    let search = ToolKind::Other { origin: Dialect::Anthropic, value: raw(r#"{"type":"web_search_1"}"#) };
    request.tools = vec![patch, inner, tool("web_search", search)];
    request.tool_choice = Some(ToolChoice::Named { name: "read".into(), namespace: Some("files".into()) });
    let (body, lost, _) = encoded(&request);
    assert_eq!(lost, ["tools[].web_search"]);
    assert_eq!(body["tools"].as_array().unwrap().len(), 2);
    let function = &body["tools"][0]["function"];
    assert_eq!(function["parameters"]["required"], json!(["input"]));
    let description = function["description"].as_str().unwrap();
    assert!(description.starts_with("Edits files.\n\n") && description.ends_with("start: /x/"));
    assert_eq!(body["tools"][1]["function"]["name"], "files__read");
    assert_eq!(body["tool_choice"], json!({"type": "function", "function": {"name": "files__read"}}));
}

#[test]
fn too_many_deferred_tools_are_left_out_but_those_that_were_found() {
    let mut request = of(vec![
        message(
            Role::Assistant,
            vec![Part::ToolCall(ToolCall { id: "s".into(), name: "search".into(), ..ToolCall::default() })],
        ),
        message(
            Role::Tool,
            vec![Part::ToolOutput(ToolOutput {
                call_id: "s".into(),
                content: vec![Part::ToolReference("t199".into())],
                ..ToolOutput::default()
            })],
        ),
    ]);
    request.tools = (0..200)
        .map(|number| Tool { deferred: number > 0, ..tool(&format!("t{number}"), FUNCTION) })
        .collect();
    let (body, lost, _) = encoded(&request);
    let tools = body["tools"].as_array().unwrap();
    assert_eq!((tools.len(), lost), (128, vec!["tools[].defer_loading".to_owned()]));
    assert_eq!(tools[127]["function"]["name"], "t199");
}

#[test]
fn reasoning_is_asked_for_in_one_word() {
    let word = |thinking, effort, budget| {
        let reasoning = ReasoningWish { thinking, effort, budget, summary: None };
        let request = Request { reasoning, ..of(vec![message(Role::User, vec![text("x")])]) };
        encoded(&request).0.get("reasoning_effort").cloned()
    };
    assert_eq!(word(None, None, None), None);
    assert_eq!(word(Some(Thinking::Off), None, None), None);
    assert_eq!(word(Some(Thinking::Adaptive), None, None), None);
    assert_eq!(word(Some(Thinking::Adaptive), Some(Effort::High), None), Some(json!("high")));
    for (budget, wanted) in [(1024, "low"), (8192, "medium"), (24_576, "high"), (32_000, "xhigh")] {
        assert_eq!(word(Some(Thinking::On), None, Some(budget)), Some(json!(wanted)), "{budget}");
    }
    assert_eq!(word(None, Some(Effort::None), None), Some(json!("none")));
}

#[test]
fn what_has_no_place_is_named() {
    let mut request = of(vec![message(
        Role::Assistant,
        vec![
            text("x"),
            Part::Reasoning(Reasoning {
                text: String::new(),
                opaque: Some(Opaque {
                    origin: Dialect::Anthropic,
                    kind: OpaqueKind::Signature,
                    id: None,
                    data: "s".into(),
                }),
            }),
        ],
    )]);
    request.stop = (0..6).map(|number| number.to_string()).collect();
    request.service_tier = Some("ludicrous".into());
    request.extras = Extras::of(Dialect::Anthropic, json!({"container": "c"}).as_object().unwrap().clone());
    let (body, mut lost, _) = encoded(&request);
    lost.sort();
    assert_eq!(lost, ["container", "messages[].reasoning", "service_tier", "stop[4..]"]);
    assert_eq!(body["stop"], json!(["0", "1", "2", "3"]));
    assert!(body["messages"][0].get("reasoning_content").is_none());
}

#[test]
fn a_message_of_which_nothing_is_left_is_not_empty() {
    let other = Part::Other { origin: Dialect::Anthropic, value: json!({"type": "container_upload"}) };
    let (body, lost, _) = encoded(&of(vec![message(Role::User, vec![other])]));
    assert_eq!(body["messages"], json!([{"role": "user", "content": "[omitted]"}]));
    assert_eq!(lost, ["messages[].content[].container_upload"]);
}

#[test]
fn records_of_the_user_are_not_passed_on() {
    let user = |user: &str| {
        let request = Request { user: Some(user.into()), ..of(vec![message(Role::User, vec![text("x")])]) };
        encoded(&request).0["user"].as_str().unwrap().to_owned()
    };
    assert_eq!(user("ann@x.example"), "ann@x.example");
    assert!(!user(r#"{"device_id":"d1"}"#).contains("d1"));
}

#[test]
fn the_older_functions_are_tools() {
    let request = decoded(&json!({
        "model": "m",
        "functions": [{"name": "f", "parameters": {"type": "object"}}],
        "function_call": {"name": "f"},
        "messages": [
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{\"a\":1}"}},
            {"role": "function", "name": "f", "content": "42"},
        ],
    }));
    let (body, lost, _) = encoded(&request);
    assert!(lost.is_empty());
    assert_eq!(body["tool_choice"], json!({"type": "function", "function": {"name": "f"}}));
    let id = body["messages"][1]["tool_calls"][0]["id"].as_str().unwrap();
    assert_eq!(body["messages"][2], json!({"role": "tool", "tool_call_id": id, "content": "42"}));
}

#[test]
fn what_others_read_of_reasoning_and_cache_marks_is_understood() {
    let request = decoded(&json!({
        "model": "m", "n": 1, "presence_penalty": 0, "seed": 7,
        "thinking": {"type": "enabled", "budget_tokens": 2048},
        "reasoning": {"effort": "low"},
        "messages": [{"role": "user", "content": [
            {"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
            {"type": "file", "file": {"file_id": "f-1"}},
        ]}],
    }));
    let wish = &request.reasoning;
    assert_eq!(
        (wish.thinking, wish.effort, wish.budget),
        (Some(Thinking::On), Some(Effort::Low), Some(2048))
    );
    assert_eq!(request.extras.fields.keys().collect::<Vec<_>>(), ["seed"]);
    let [Part::Text(_), Part::Breakpoint(mark), Part::Audio { .. }, Part::Document(document)] =
        request.messages[0].parts.as_slice()
    else {
        panic!("{:?}", request.messages)
    };
    assert_eq!(mark, &Breakpoint { ttl: Some("1h".into()) });
    assert_eq!(document.source, DocumentSource::File("f-1".into()));
    assert!(!encoded(&request).0.to_string().contains("cache_control"), "cache marks are not for everyone");
}

const SIGNED: &str = r#"{"model":"m","messages":[{"role":"user","content":"x"},{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"},"extra_content":{"google": {"thought_signature": "abc"}}}]},{"role":"tool","tool_call_id":"c","content":"1"}]}"#;

#[test]
fn what_is_beside_a_call_goes_to_its_issuer_only() {
    let (envelope, facts) = read_chat(Bytes::from_static(SIGNED.as_bytes())).unwrap();
    // The provider wrote it without spaces.
    let reply = br#"{"choices":[{"message":{"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"},"extra_content":{"google":{"thought_signature":"abc"}}}]},"finish_reason":"tool_calls"}]}"#;
    let whole = read_whole(reply, &[], hr_core::time::Millis(0)).unwrap();
    assert_eq!(whole.opaque, facts.opaque);
    assert_eq!(facts.opaque.len(), 1);

    let quirks = Quirks::default();
    let plain = Outgoing::new("m", &quirks);
    assert_eq!(prepare(&envelope, &plain).body, SIGNED.as_bytes());
    let foreign = Outgoing { foreign: &facts.opaque, ..plain };
    let prepared = prepare(&envelope, &foreign);
    assert_eq!(
        String::from_utf8(prepared.body.to_vec()).unwrap(),
        SIGNED.replace(r#","extra_content":{"google": {"thought_signature": "abc"}}"#, "")
    );
    assert_eq!(prepared.losses[0].what, "messages[].tool_calls[].extra_content");

    let request = ClientHalf::decode(&OpenaiChat, &envelope).unwrap().request;
    let beside = |outgoing: &Outgoing<'_>| {
        let body = UpstreamHalf::encode(&OpenaiChat, &request, outgoing).body;
        let body: Value = serde_json::from_slice(&body).unwrap();
        body["messages"][1]["tool_calls"][0].get("extra_content").cloned()
    };
    assert_eq!(beside(&plain), Some(json!({"google": {"thought_signature": "abc"}})));
    assert_eq!(beside(&foreign), None);
}

/// Conversations in order, as the chat dialect can say them.
fn conversation() -> impl Strategy<Value = Vec<Message>> {
    let words = "[a-zé😀\"\\\\\n ]{0,8}[a-z]";
    let image = "[a-z]{1,5}".prop_map(|name| Part::Image {
        source: ImageSource::Url(format!("https://x.example/{name}")),
        detail: None,
    });
    let user = (words, proptest::option::of(image)).prop_map(|(said, image)| {
        message(Role::User, std::iter::once(Part::Text(said)).chain(image).collect())
    });
    let arguments = r#"\{"[a-zé]{1,4}":(1|1\.0|12345678901234567890|"x")\}"#;
    let calls = vec(("[a-z]{1,9}", arguments, words, any::<bool>()), 0..4);
    let turn = (user, proptest::option::of(words), proptest::option::of(words), calls);
    vec(turn, 1..4).prop_map(|turns| {
        let mut messages = Vec::new();
        for (place, (user, said, thought, calls)) in turns.into_iter().enumerate() {
            messages.push(user);
            let mut parts: Vec<Part> = Vec::new();
            let said = said.or_else(|| calls.is_empty().then(|| "done".to_owned()));
            parts.extend(thought.map(|text| Part::Reasoning(Reasoning { text, opaque: None })));
            parts.extend(said.map(Part::Text));
            let mut results = Vec::new();
            for (number, (name, arguments, result, is_custom)) in calls.into_iter().enumerate() {
                let id = format!("c{place}_{number}");
                let kind = if is_custom { CallKind::Custom } else { CallKind::Function };
                let content = vec![Part::Text(result)];
                let output = ToolOutput { call_id: id.clone(), kind, content, is_error: false };
                results.push(message(Role::Tool, vec![Part::ToolOutput(output)]));
                parts.push(Part::ToolCall(ToolCall { id, name, kind, arguments, ..ToolCall::default() }));
            }
            messages.push(message(Role::Assistant, parts));
            messages.append(&mut results);
        }
        messages
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn conversations_survive_the_hub(messages in conversation()) {
        let request = of(messages);
        let (body, lost, encoded) = encoded(&request);
        prop_assert!(lost.is_empty(), "{:?}", lost);
        prop_assert!(read_chat(encoded.body.clone()).is_ok(), "{}", body);
        let mut wanted = request;
        for part in wanted.messages.iter_mut().flat_map(|message| &mut message.parts) {
            match part {
                // Free text is wrapped, and what it was is known only where the tool is offered.
                Part::ToolCall(call) if call.kind == CallKind::Custom => {
                    call.arguments = json!({"input": call.arguments}).to_string();
                    call.kind = CallKind::Function;
                }
                Part::ToolOutput(output) => output.kind = CallKind::Function,
                _ => {}
            }
        }
        let again = decoded(&body);
        prop_assert_eq!(&again.messages, &wanted.messages);
        let (twice, ..) = self::encoded(&again);
        prop_assert_eq!(twice["messages"].to_string(), body["messages"].to_string());
    }
}
