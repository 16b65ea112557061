//! The recorded cases of the Messages dialect: what is read from each, and that nothing is lost on the way.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped here fails the test")]

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use hr_core::catalog::{Dialect, Provider, Quirks, builtin};
use hr_core::failure::{Failure, FailureKind};
use hr_core::time::Millis;
use hr_core::usage::Usage;
use hr_wire::anthropic::{Anthropic, count};
use hr_wire::dialect::{ClientHalf, Echo, Outgoing, UpstreamHalf, WatchOptions};
use hr_wire::hub::{
    Block, Event, Fingerprint, FinishKind, Format, Part, Reply, Role, ToolKind, fold, unfold,
};
use hr_wire::lane::Watch;
use hr_wire::refusal::Refusal;
use hr_wire::{Envelope, sse};
use serde_json::{Value, json};

/// Cases with a whole reply and a stream that say the same.
const WHOLE: &[&str] = &[
    "text",
    "system",
    "tools",
    "parallel_tools",
    "tool_without_args",
    "tool_result_with_image",
    "thinking",
    "thinking_tool_loop",
    "redacted",
    "structured",
    "image",
    "document",
    "refusal",
    "length",
    "stop_sequence",
    "cache_usage",
    "mid_system",
    "server_tool",
];

/// Cases whose stream does not end well.
const BROKEN: &[&str] = &["cut", "error_midstream"];

const NOW: Millis = Millis(1_790_000_000_000);

fn provider() -> Arc<Provider> {
    Arc::clone(builtin().find("anthropic").unwrap())
}

fn file(name: &str) -> Bytes {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/anthropic");
    let mut bytes = Vec::new();
    let mut file = std::fs::OpenOptions::new().read(true).open(folder.join(name)).expect(name);
    std::io::Read::read_to_end(&mut file, &mut bytes).unwrap();
    bytes.into()
}

fn json_of(name: &str) -> Value {
    serde_json::from_slice(&file(name)).unwrap()
}

fn request(case: &str) -> (Envelope, hr_wire::facts::ChatFacts) {
    Anthropic.read(file(&format!("{case}.request.json"))).unwrap_or_else(|bad| panic!("{case}: {bad}"))
}

fn reply(case: &str) -> Reply {
    Anthropic.decode_reply(&file(&format!("{case}.reply.json"))).unwrap()
}

/// The two halves share the name `decode`; these say which is meant.
trait Halves {
    fn decode_reply(&self, body: &[u8]) -> Result<Reply, Failure>;
    fn decode_request(&self, envelope: &Envelope) -> hr_wire::dialect::Decoded;
}

impl Halves for Anthropic {
    fn decode_reply(&self, body: &[u8]) -> Result<Reply, Failure> {
        UpstreamHalf::decode(self, body, &[], NOW)
    }

    fn decode_request(&self, envelope: &Envelope) -> hr_wire::dialect::Decoded {
        ClientHalf::decode(self, envelope).unwrap()
    }
}

/// The events of a stream that is fed in pieces of this size.
fn events(stream: &Bytes, size: usize) -> Result<Vec<Event>, Failure> {
    let mut frames = sse::Decoder::default();
    let mut decoder = Anthropic.decoder(&provider(), NOW);
    let mut events = Vec::new();
    for chunk in stream.chunks(size) {
        frames.push(Bytes::copy_from_slice(chunk));
        while let Some(frame) = frames.next_frame().unwrap() {
            decoder.push(&frame, &mut events)?;
        }
    }
    if let Some(frame) = frames.finish() {
        decoder.push(&frame, &mut events)?;
    }
    decoder.finish(&mut events)?;
    Ok(events)
}

fn echo(model: &str) -> Echo {
    Echo { model: model.into(), shows_reasoning: true, prompt_tokens: 7, nonce: 11, ..Echo::default() }
}

fn watch(model: &str, keep: bool) -> Box<dyn Watch> {
    let echo = Arc::new(echo(model));
    Anthropic.watch(WatchOptions { hide_usage: false, keep, echo, provider: provider(), now: NOW })
}

fn watched(stream: &Bytes, size: usize, model: &str) -> (Vec<u8>, Result<(), Failure>, Box<dyn Watch>) {
    let mut watch = watch(model, true);
    let mut out = Vec::new();
    let mut ended = Ok(());
    for chunk in stream.chunks(size) {
        ended = ended.and_then(|()| watch.push(Bytes::copy_from_slice(chunk), &mut out));
    }
    let ended = ended.and_then(|()| watch.finish(&mut out));
    (out.concat(), ended, watch)
}

fn streamed(reply: &Reply, echo: &Echo) -> Vec<u8> {
    let mut encoder = Anthropic.encoder(&Arc::new(echo.clone()));
    let mut out = Vec::new();
    for event in unfold(reply) {
        encoder.push(&event, &mut out);
    }
    encoder.finish(&mut out);
    out
}

#[test]
fn a_stream_folds_to_the_whole_reply() {
    for case in WHOLE {
        let mut whole = reply(case);
        whole.extras = Default::default();
        let stream = file(&format!("{case}.stream.txt"));
        assert_eq!(fold(&events(&stream, stream.len()).unwrap()), whole, "{case}");
    }
}

#[test]
fn pieces_of_any_size_read_the_same() {
    for case in WHOLE {
        let stream = file(&format!("{case}.stream.txt"));
        let whole = events(&stream, stream.len()).unwrap();
        for size in [1, 2, 3, 7, 64] {
            assert_eq!(events(&stream, size).unwrap(), whole, "{case} by {size}");
            let (out, ended, watch) = watched(&stream, size, "");
            assert_eq!((ended, out), (Ok(()), stream.to_vec()), "{case} by {size}");
            assert!(watch.is_done() && watch.is_good(), "{case} by {size}");
        }
    }
}

#[test]
fn a_watched_stream_differs_by_its_model_alone() {
    for case in WHOLE {
        let stream = file(&format!("{case}.stream.txt"));
        let text = String::from_utf8(stream.to_vec()).unwrap();
        let own = reply(case).model;
        let expected = text.replace(&format!("\"model\":\"{own}\""), "\"model\":\"hermes \\\"x\\\"\"");
        assert_ne!(expected, text);
        let (out, ended, watch) = watched(&stream, 50, "hermes \"x\"");
        assert_eq!(ended, Ok(()));
        assert_eq!(String::from_utf8(out).unwrap(), expected, "{case}");
        assert_eq!(watch.usage(), reply(case).usage.unwrap(), "{case}");
        let whole = file(&format!("{case}.reply.json"));
        let passed = Anthropic.pass_whole(&whole, &echo("hermes"));
        let expected =
            String::from_utf8(whole.to_vec()).unwrap().replace(&format!("\"{own}\""), "\"hermes\"");
        assert_eq!(passed, expected, "{case}");
    }
}

#[test]
fn a_stream_and_a_whole_reply_become_each_other() {
    for case in WHOLE {
        let (stream, whole) = (file(&format!("{case}.stream.txt")), file(&format!("{case}.reply.json")));
        let folded = Anthropic.to_whole(&stream, &provider(), NOW).unwrap();
        assert_eq!(
            serde_json::from_slice::<Value>(&folded).unwrap(),
            json_of(&format!("{case}.reply.json")),
            "{case}"
        );
        let unfolded = Anthropic.to_stream(&whole).unwrap();
        let again = Anthropic.to_whole(&unfolded, &provider(), NOW).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&again).unwrap(), json_of(&format!("{case}.reply.json")));
        let (_, _, mut watch) = watched(&stream, 9, "mine");
        let kept: Value = serde_json::from_slice(&watch.reply().unwrap()).unwrap();
        assert_eq!(kept["model"], "mine", "{case}");
    }
}

#[test]
fn a_cut_anywhere_is_never_a_success() {
    for case in WHOLE.iter().chain(BROKEN) {
        let stream = file(&format!("{case}.stream.txt"));
        let text = std::str::from_utf8(&stream).unwrap();
        // After the stop reason nothing is missing, whatever happens to the connection.
        let whole = text
            .find("event: message_delta")
            .map_or(stream.len() + 1, |at| at + text[at..].find("\n\n").unwrap());
        for cut in 0..stream.len().min(whole) {
            let part = stream.slice(..cut);
            let (mut out, ended, mut watch) = watched(&part, part.len().max(1), "");
            let ended_whole = cut + 1 >= whole;
            assert!(ended.is_err() || ended_whole, "{case} cut at {cut} passes for whole");
            assert!(
                events(&part, part.len().max(1)).is_err() || ended_whole,
                "{case} decodes when cut at {cut}"
            );
            if ended.is_err() {
                out.extend_from_slice(&watch.fail(&Refusal::new(502, "it broke")));
                let told = String::from_utf8_lossy(&out).into_owned();
                assert!(told.ends_with("\n\n") && told.contains("event: error\n"), "{case} at {cut}");
                assert!(!told.contains("message_stop"), "{case} at {cut}");
            }
        }
    }
}

#[test]
fn broken_streams_say_what_broke() {
    let failure = |case: &str| watched(&file(&format!("{case}.stream.txt")), 33, "").1.unwrap_err();
    assert_eq!(failure("cut").kind, FailureKind::Cut);
    let overloaded = failure("error_midstream");
    assert_eq!((overloaded.kind, overloaded.status), (FailureKind::Overloaded, Some(529)));
    let decoded = events(&file("error_midstream.stream.txt"), 10).unwrap_err();
    assert_eq!(decoded.kind, FailureKind::Overloaded);
}

#[test]
fn replies_come_back_from_the_hub_as_they_were() {
    for case in WHOLE {
        let reply = reply(case);
        let written = ClientHalf::encode(&Anthropic, &reply, &echo("mine"));
        let again = Anthropic.decode_reply(&written).unwrap();
        let streamed = streamed(&reply, &echo("mine"));
        let folded = fold(&events(&streamed.into(), 100).unwrap());
        let plain = |mut other: Reply| {
            other.id = String::new();
            other.model = String::new();
            other.extras = Default::default();
            // An answer of words that refuses says them as text.
            other.blocks.retain(|block| !matches!(block, Block::Refusal(_)));
            other
        };
        let mut expected = plain(reply.clone());
        let refusal = reply.blocks.iter().find_map(|block| match block {
            Block::Refusal(words) => Some(Block::Text(words.clone())),
            _ => None,
        });
        expected.blocks.extend(refusal);
        assert_eq!(plain(again), expected, "{case}");
        assert_eq!(plain(folded), expected, "{case} streamed");
    }
}

#[test]
fn written_replies_have_every_key_of_the_schema() {
    let value: Value =
        serde_json::from_slice(&ClientHalf::encode(&Anthropic, &reply("thinking"), &echo("mine"))).unwrap();
    for key in [
        "id",
        "type",
        "role",
        "model",
        "content",
        "stop_reason",
        "stop_sequence",
        "stop_details",
        "container",
    ] {
        assert!(value.get(key).is_some(), "{key}");
    }
    let keys: Vec<&String> = value["usage"].as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "input_tokens",
            "cache_creation_input_tokens",
            "cache_read_input_tokens",
            "cache_creation",
            "output_tokens",
            "output_tokens_details",
            "server_tool_use",
            "service_tier",
            "inference_geo"
        ]
    );
    assert_eq!((&value["model"], &value["stop_reason"]), (&json!("mine"), &json!("end_turn")));
    assert!(value["id"].as_str().unwrap().starts_with("msg_"));
    let other = Echo { nonce: 12, ..echo("mine") };
    let other: Value =
        serde_json::from_slice(&ClientHalf::encode(&Anthropic, &reply("text"), &other)).unwrap();
    assert_ne!(other["id"], value["id"]);
}

#[test]
fn the_tokens_of_caches_are_added_once() {
    let usage = reply("cache_usage").usage.unwrap();
    let expected = Usage {
        input: Some(1050),
        output: Some(6),
        cached: Some(800),
        cache_write: Some(50),
        reasoning: None,
    };
    assert_eq!(usage, expected);
    let told: Value =
        serde_json::from_slice(&ClientHalf::encode(&Anthropic, &reply("cache_usage"), &echo("m"))).unwrap();
    assert_eq!(told["usage"]["input_tokens"], 200);
    assert_eq!(told["usage"]["cache_read_input_tokens"], 800);
    assert_eq!(reply("thinking").usage.unwrap().reasoning, Some(22));
}

#[test]
fn ends_are_told_by_their_meaning() {
    let kinds = [
        ("text", FinishKind::Stop),
        ("tools", FinishKind::ToolCalls),
        ("length", FinishKind::Length),
        ("refusal", FinishKind::ContentFilter),
        ("stop_sequence", FinishKind::Stop),
    ];
    for (case, kind) in kinds {
        assert_eq!(reply(case).finish.unwrap().kind(), kind, "{case}");
    }
    assert_eq!(reply("stop_sequence").finish.unwrap().stop_sequence(), Some("END"));
    assert_eq!(reply("refusal").blocks.last(), Some(&Block::Refusal("This cannot be answered.".into())));
}

#[test]
fn what_only_an_issuer_can_read_is_known_on_both_ways() {
    let data = |case: &str| -> Vec<Fingerprint> {
        let content = json_of(&format!("{case}.reply.json"))["content"].clone();
        let fields = content.as_array().unwrap().iter();
        fields
            .filter_map(|block| block["signature"].as_str().or(block["data"].as_str()).map(Fingerprint::of))
            .collect()
    };
    for case in ["thinking", "thinking_tool_loop", "redacted"] {
        let expected = data(case);
        assert_eq!(expected.len(), 1, "{case}");
        let whole = Anthropic.read_whole(&file(&format!("{case}.reply.json")), &[], NOW).unwrap();
        assert_eq!(whole.opaque, expected, "{case}");
        let (_, _, mut watch) = watched(&file(&format!("{case}.stream.txt")), 20, "");
        assert_eq!(watch.issued(), expected, "{case}");
    }
    let sent = request("thinking_tool_loop").1.opaque;
    assert_eq!(sent, [Fingerprint::of("EqQBCkYIBxgCKkDa0SHI1gTB5T0vGZ6bXo7A2bYx0J7Q==")]);
}

#[test]
fn facts_tell_what_a_request_needs() {
    let facts = |case: &str| request(case).1;
    assert!(facts("image").vision && facts("tool_result_with_image").vision && !facts("text").vision);
    assert!(facts("tools").tools && !facts("text").tools);
    assert!(facts("structured").structured);
    assert!(facts("thinking").shows_reasoning && !facts("text").shows_reasoning);
    assert!(!facts("mid_system").shows_reasoning, "only what is to be sent back is wanted");
    assert_eq!(facts("length").max_output, Some(5));
    assert!(facts("document").prompt_tokens > 20);
}

#[test]
fn the_shapes_of_a_coding_agent_are_understood() {
    let request = Anthropic.decode_request(&request("mid_system").0).request;
    let roles: Vec<Role> = request.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::System, Role::Assistant, Role::Tool, Role::User]);
    let names: Vec<&str> = request.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["ToolSearch", "WebSearch"], "what is never to be called is not offered");
    assert!(request.tools[1].deferred && !request.tools[0].deferred);
    let Part::ToolOutput(output) = &request.messages[4].parts[0] else { panic!("no result") };
    assert_eq!(output.text(), "Tools now available: WebSearch, NotebookEdit");
}

#[test]
fn what_names_the_person_or_the_client_stays_here() {
    let decoded = Anthropic.decode_request(&request("system").0);
    let told = format!("{decoded:?}");
    for word in ["d-1", "a-1", "s-1", "billing"] {
        assert!(!told.contains(word), "{word}");
    }
    assert_eq!(decoded.losses, []);
    assert!(decoded.request.cache_key.is_some());
    let system = &decoded.request.messages[0];
    assert_eq!(system.parts.len(), 3, "two texts and a mark: {system:?}");
}

#[test]
fn tools_that_the_api_knows_by_type_get_their_schema_or_stay_its_own() {
    let body = json!({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}], "tools": [
        {"type": "bash_20250124", "name": "bash"},
        {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"},
        {"type": "web_search_20250305", "name": "web_search"},
    ]});
    let envelope = Envelope::read(body.to_string().into()).unwrap();
    let tools = Anthropic.decode_request(&envelope).request.tools;
    let schema = |place: usize| match &tools[place].kind {
        ToolKind::Function { parameters: Some(schema), .. } => schema.0.get().to_owned(),
        other => panic!("{other:?}"),
    };
    assert!(schema(0).contains("\"command\"") && schema(1).contains("\"old_str\""));
    assert!(matches!(tools[2].kind, ToolKind::Other { origin: Dialect::Anthropic, .. }));
}

/// Requests of the hub are written so that they read the same again.
#[test]
fn requests_come_back_from_the_hub_as_they_were() {
    let quirks = Quirks::default();
    for case in WHOLE {
        let first = Anthropic.decode_request(&request(case).0).request;
        let outgoing = Outgoing::new(&first.model, &quirks);
        let encoded = UpstreamHalf::encode(&Anthropic, &first, &outgoing);
        let (envelope, _) =
            Anthropic.read(encoded.body.clone()).unwrap_or_else(|bad| panic!("{case}: {bad}"));
        let mut second = Anthropic.decode_request(&envelope).request;
        second.cache_key.clone_from(&first.cache_key);
        let mut expected = first;
        for message in &mut expected.messages {
            for part in &mut message.parts {
                let Part::ToolOutput(output) = part else { continue };
                if output.content.iter().any(|part| matches!(part, Part::ToolReference(_))) {
                    output.content = vec![Part::Text(output.text())];
                }
            }
        }
        // A schema that is read loses its white space.
        let shape = |request: &hr_wire::hub::Request| match &request.format {
            Some(Format::Schema { schema: Some(schema), .. }) => {
                serde_json::from_str(schema.0.get()).unwrap()
            }
            _ => Value::Null,
        };
        assert_eq!(shape(&second), shape(&expected), "{case}");
        second.format.clone_from(&expected.format);
        for tool in &mut expected.tools {
            // What was found is offered as any other.
            tool.deferred = false;
        }
        assert_eq!(second, expected, "{case}");
        assert_eq!(encoded.losses, [], "{case}");
    }
}

#[test]
fn counting_sees_all_that_costs() {
    let body = file("tool_result_with_image.request.json");
    let mut value: Value = serde_json::from_slice(&body).unwrap();
    value.as_object_mut().unwrap().remove("max_tokens");
    let (envelope, _) = count::read(value.to_string().into()).unwrap();
    let countable = count::countable(&envelope);
    let all = countable.texts.join(" ");
    for word in ["Look at a.png.", "1 by 1", "file_path", "Reads a file."] {
        assert!(all.contains(word), "{word}");
    }
    assert!(!all.contains("iVBOR"));
    assert!(countable.beside >= 800);
    let quirks = Quirks::default();
    let sent: Value =
        serde_json::from_slice(&count::prepare(&envelope, &Outgoing::new("up", &quirks))).unwrap();
    value["model"] = json!("up");
    assert_eq!(sent, value);
    assert_eq!(count::read_reply(&count::reply(12)), Some(12));
    assert_eq!(count::PATH, "/messages/count_tokens");
}
