//! Conversations that go from one dialect to another and back: what was said is what arrives, and what did not
//! arrive was named.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped here fails the test")]

use bytes::Bytes;
use hr_core::catalog::{Dialect, Quirks};
use hr_wire::Envelope;
use hr_wire::dialect::{Decoded, Outgoing, client_half, upstream_half};
use hr_wire::hub::{
    Breakpoint, ImageSource, Message, Opaque, OpaqueKind, Part, RawJson, Reasoning, Request, Role, Tool,
    ToolCall, ToolChoice, ToolKind, ToolOutput,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::value::RawValue;

/// What dialects without a place for them say in front of pictures in results, and where they are.
const LABELS: [&str; 2] = ["[attached below]", "[from tool call "];
/// What may get lost of the conversations below: reasoning that is unsigned or signed by somebody else, and marks
/// beyond the most there may be.
const MAY_GO: [&str; 2] = ["messages[].reasoning", "cache_control"];

/// A turn of a conversation, as people would tell it.
#[derive(Clone, Debug)]
enum Turn {
    Person { words: Vec<String>, picture: Option<ImageSource>, mark: bool },
    Model { thought: Option<Reasoning>, words: Option<String>, calls: Vec<Called> },
}

/// A call and its result.
#[derive(Clone, Debug)]
struct Called {
    name: &'static str,
    arguments: String,
    result: Vec<String>,
    picture: Option<ImageSource>,
    is_error: bool,
}

fn words() -> impl Strategy<Value = String> {
    "[a-zé]{1,5}( [a-z\"{}]{1,5})?"
}

fn picture() -> impl Strategy<Value = ImageSource> {
    prop_oneof![
        "[a-z]{1,4}".prop_map(|name| ImageSource::Url(format!("https://example.com/{name}.png"))),
        "[A-Za-z0-9]{4}".prop_map(|data| ImageSource::Base64 {
            media_type: "image/png".into(),
            data: format!("iVBORw0KGgo{data}="),
        }),
    ]
}

fn thought() -> impl Strategy<Value = Reasoning> {
    let opaque = |(origin, kind), data| Some(Opaque { origin, kind, id: None, data });
    let kinds = prop_oneof![
        Just((Dialect::Anthropic, OpaqueKind::Signature)),
        Just((Dialect::OpenaiResponses, OpaqueKind::Encrypted)),
    ];
    (words(), option::of((kinds, "[A-Z]{4}"))).prop_map(move |(text, sealed)| Reasoning {
        text,
        opaque: sealed.and_then(|(kind, data)| opaque(kind, data)),
    })
}

fn called() -> impl Strategy<Value = Called> {
    let arguments = prop_oneof![
        Just("{}".to_owned()),
        Just(r#"{"z":12345678901234567890,"a":[1.0,{"b":null}]}"#.to_owned()),
        "[a-zé ]{0,6}".prop_map(|text| format!("{{\"text\":{}}}", serde_json::json!(text))),
    ];
    (
        prop_oneof![Just("read"), Just("write")],
        arguments,
        vec(words(), 0..3),
        option::of(picture()),
        any::<bool>(),
    )
        .prop_map(|(name, arguments, result, picture, is_error)| Called {
            name,
            arguments,
            result,
            picture,
            is_error,
        })
}

fn turn() -> impl Strategy<Value = Turn> {
    let person = (vec(words(), 1..3), option::of(picture()), any::<bool>())
        .prop_map(|(words, picture, mark)| Turn::Person { words, picture, mark });
    let model = (option::of(thought()), option::of(words()), vec(called(), 0..4))
        .prop_map(|(thought, words, calls)| Turn::Model { thought, words, calls });
    prop_oneof![person, model]
}

fn conversation() -> impl Strategy<Value = Request> {
    let choice = prop_oneof![
        Just(None),
        Just(Some(ToolChoice::Auto)),
        Just(Some(ToolChoice::None)),
        Just(Some(ToolChoice::Named { name: "read".into(), namespace: None })),
    ];
    (option::of(words()), words(), vec(turn(), 0..6), choice, option::of(any::<bool>())).prop_map(
        |(system, first, turns, tool_choice, parallel_tool_calls)| {
            let mut messages: Vec<Message> =
                system.map(|words| message(Role::System, vec![Part::Text(words)])).into_iter().collect();
            messages.push(message(Role::User, vec![Part::Text(first)]));
            let mut ids = 0..;
            for turn in turns {
                say(turn, &mut messages, &mut ids);
            }
            messages.push(message(Role::User, vec![Part::Text("and now?".into())]));
            Request {
                model: "m".into(),
                messages,
                tools: vec![tool("read"), tool("write")],
                tool_choice,
                parallel_tool_calls,
                max_output: Some(2048),
                ..Request::default()
            }
        },
    )
}

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, name: None, parts, extras: Default::default() }
}

fn tool(name: &str) -> Tool {
    let schema = r#"{"type":"object","properties":{"z":{"type":"integer"},"a":{}},"required":["z"]}"#;
    Tool {
        name: name.into(),
        namespace: None,
        description: Some("Does it.".into()),
        kind: ToolKind::Function {
            parameters: Some(RawJson(RawValue::from_string(schema.into()).unwrap())),
            strict: None,
        },
        deferred: false,
        breakpoint: None,
    }
}

fn say(turn: Turn, messages: &mut Vec<Message>, ids: &mut impl Iterator<Item = usize>) {
    let shown = |source| Part::Image { source, detail: None };
    match turn {
        Turn::Person { words, picture, mark } => {
            let mut parts: Vec<Part> = words.into_iter().map(Part::Text).collect();
            parts.extend(picture.map(shown));
            parts.extend(mark.then(|| Part::Breakpoint(Breakpoint::default())));
            messages.push(message(Role::User, parts));
        }
        Turn::Model { thought, words, calls } => {
            let mut parts: Vec<Part> = thought.map(Part::Reasoning).into_iter().collect();
            parts.extend(words.map(Part::Text));
            let mut results = Vec::new();
            for call in calls {
                let id = format!("call_{}", ids.next().unwrap());
                let mut content: Vec<Part> = call.result.into_iter().map(Part::Text).collect();
                content.extend(call.picture.map(shown));
                let output = ToolOutput {
                    call_id: id.clone(),
                    content,
                    is_error: call.is_error,
                    ..ToolOutput::default()
                };
                results.push(message(Role::Tool, vec![Part::ToolOutput(output)]));
                let (name, arguments) = (call.name.to_owned(), call.arguments);
                parts.push(Part::ToolCall(ToolCall { id, name, arguments, ..ToolCall::default() }));
            }
            messages.push(message(Role::Assistant, parts));
            messages.append(&mut results);
        }
    }
}

/// What a conversation says, however it is written down.
#[derive(Debug, Default, PartialEq)]
struct Said {
    /// Words, calls and results, in order, by who says them.
    lines: Vec<String>,
    /// All pictures, in order: dialects differ in whose they are.
    pictures: Vec<ImageSource>,
    tools: Vec<String>,
    choice: String,
    limit: Option<u64>,
}

fn said(request: &Request) -> Said {
    let mut said = Said { choice: choice(request), limit: request.max_output, ..Said::default() };
    for tool in &request.tools {
        let ToolKind::Function { parameters, .. } = &tool.kind else { panic!("a function became {tool:?}") };
        let schema = parameters.as_ref().map_or("", |schema| schema.0.get());
        said.tools.push(format!("{} {:?} {schema}", tool.name, tool.description));
    }
    for Message { role, parts, .. } in &request.messages {
        // Both are whoever runs the program; results are the person's in one dialect.
        let role = if *role == Role::Developer { Role::System } else { *role };
        for part in parts {
            match part {
                Part::Text(text) => said.words(&format!("{role:?}"), text),
                Part::Image { source, .. } => said.pictures.push(source.clone()),
                Part::ToolCall(ToolCall { id, name, arguments, .. }) => {
                    said.lines.push(format!("call {id} {name} {arguments}"));
                }
                Part::ToolOutput(output) => {
                    // Where there is no flag for it, the words say that it failed.
                    let text = output.text();
                    let words = text.strip_prefix("Error:");
                    let failed = if words.is_some() { ", failed" } else { "" };
                    said.lines.push(format!("result {}{failed}", output.call_id));
                    said.words("tool", words.unwrap_or(&text));
                    for part in &output.content {
                        if let Part::Image { source, .. } = part {
                            said.pictures.push(source.clone());
                        }
                    }
                }
                Part::Reasoning(_) | Part::Breakpoint(_) => {}
                other => panic!("nobody sent {other:?}"),
            }
        }
    }
    said
}

/// How tools are to be called. What goes without saying may be said: that the model chooses, and that it may call
/// several at once.
fn choice(request: &Request) -> String {
    let choice = request.tool_choice.clone().unwrap_or(ToolChoice::Auto);
    let one = request.parallel_tool_calls == Some(false) && choice != ToolChoice::None;
    format!("{choice:?}{}", if one { ", one at a time" } else { "" })
}

impl Said {
    fn words(&mut self, who: &str, text: &str) {
        let own =
            |line: &&str| !line.trim().is_empty() && !LABELS.iter().any(|label| line.starts_with(label));
        // What a result that says nothing must say somewhere.
        let silent = |line: &&str| line.trim() != "(no output)";
        self.lines
            .extend(text.lines().filter(own).filter(silent).map(|line| format!("{who}: {}", line.trim())));
    }
}

fn thoughts(request: &Request) -> Vec<&Reasoning> {
    let parts = request.messages.iter().flat_map(|message| &message.parts);
    parts.filter_map(|part| if let Part::Reasoning(thought) = part { Some(thought) } else { None }).collect()
}

fn marks(request: &Request) -> usize {
    let parts = request.messages.iter().flat_map(|message| &message.parts);
    parts.filter(|part| matches!(part, Part::Breakpoint(_))).count()
}

/// The request as it is after somebody of this dialect wrote it, and somebody of this dialect read it.
fn through(dialect: Dialect, request: &Request) -> (Request, Vec<String>, Bytes) {
    let quirks = Quirks::default();
    let outgoing = Outgoing::new("m", &quirks);
    let written = upstream_half(dialect).encode(request, &outgoing);
    let client = client_half(dialect);
    let (envelope, _) = client.read(written.body.clone()).unwrap_or_else(|bad| {
        panic!("{dialect:?} wrote what it does not read: {bad:?}\n{}", String::from_utf8_lossy(&written.body))
    });
    let Decoded { request, losses } = client.decode(&envelope).unwrap();
    let lost = written.losses.into_iter().chain(losses).map(|loss| loss.what).collect();
    (request, lost, written.body)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_conversation_comes_back_as_it_went(request in conversation()) {
        for near in Dialect::ALL {
            for far in Dialect::ALL {
                let (here, _, _) = through(near, &request);
                let (there, lost_there, _) = through(far, &here);
                let (back, lost_back, _) = through(near, &there);
                let lost: Vec<String> = lost_there.into_iter().chain(lost_back).collect();
                for what in &lost {
                    prop_assert!(MAY_GO.contains(&what.as_str()), "{near:?} {far:?} lost {what}");
                }
                prop_assert_eq!(said(&there), said(&here), "{:?} to {:?}", near, far);
                prop_assert_eq!(said(&back), said(&here), "{:?} to {:?} and back", near, far);
                if !lost.iter().any(|what| what == MAY_GO[0]) {
                    prop_assert_eq!(thoughts(&back), thoughts(&here), "{:?} to {:?} and back", near, far);
                }
            }
        }
    }

    #[test]
    fn what_was_written_once_is_written_the_same_again(request in conversation()) {
        for dialect in Dialect::ALL {
            let (once, _, first) = through(dialect, &request);
            prop_assert_eq!(&first, &through(dialect, &request).2, "the same request, other bytes");
            // What somebody has no place for is gone the first time; neighbours of it may join the second time.
            let (twice, _, _) = through(dialect, &once);
            let (again, _, third) = through(dialect, &twice);
            prop_assert_eq!(third, through(dialect, &again).2, "{:?} reads other than it writes", dialect);
        }
    }

    #[test]
    fn marks_stay_up_to_the_most_there_may_be(request in conversation()) {
        let (here, _, _) = through(Dialect::Anthropic, &request);
        prop_assert_eq!(marks(&here), marks(&request).min(4));
    }

    #[test]
    fn the_beginning_of_a_conversation_stays_as_it_grows(request in conversation()) {
        let mut request = request;
        for message in &mut request.messages {
            message.parts.retain(|part| !matches!(part, Part::Breakpoint(_)));
        }
        // Up to the last results: words at the end may be joined by more, or were only begun.
        let Some(end) = request.messages.iter().rposition(|message| message.role == Role::Tool) else {
            return Ok(());
        };
        let shorter = Request { messages: request.messages[..=end].to_vec(), ..request.clone() };
        for dialect in Dialect::ALL {
            let list = |body: Bytes| -> String {
                let envelope = Envelope::read(body).unwrap();
                envelope.get("messages").or_else(|| envelope.get("input")).unwrap().to_owned()
            };
            // All but what closes, within which the conversation goes on.
            let (before, after) = (list(through(dialect, &shorter).2), list(through(dialect, &request).2));
            let stem = before.trim_end_matches(['}', ']', '"']);
            prop_assert!(after.starts_with(stem), "{:?}:\n{}\n{}", dialect, before, after);
        }
    }
}
