//! The recorded cases: what is read from each, and that nothing is lost on the way.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped here fails the test")]

use std::path::PathBuf;

use bytes::Bytes;
use hr_core::catalog::Quirks;
use hr_core::failure::FailureKind;
use hr_core::route::ask::Effort;
use hr_core::time::Millis;
use hr_core::usage::Usage;
use hr_wire::Envelope;
use hr_wire::dialect::{Outgoing, UpstreamHalf};
use hr_wire::hub::{Block, Event, FinishKind, Reply, fold};
use hr_wire::openai_chat::stream::{self, Watch};
use hr_wire::openai_chat::{OpenaiChat, prepare, read_chat, read_whole, reply, request};
use hr_wire::sse;

/// Cases with a whole reply and a stream that say the same.
const WHOLE: &[&str] = &[
    "text",
    "usage",
    "tools",
    "parallel_tools",
    "reasoning",
    "vision",
    "length",
    "refusal",
    "reasoning_other_name",
    "calls_without_index",
    "comments",
];

/// Cases whose stream does not end well.
const BROKEN: &[&str] = &["error_midstream", "cut"];

fn file(name: &str) -> Bytes {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/openai_chat");
    let mut bytes = Vec::new();
    let mut file = std::fs::OpenOptions::new().read(true).open(folder.join(name)).expect(name);
    std::io::Read::read_to_end(&mut file, &mut bytes).unwrap();
    bytes.into()
}

fn envelope(case: &str) -> Envelope {
    Envelope::read(file(&format!("{case}.request.json"))).unwrap()
}

fn events(stream: &Bytes) -> Vec<Event> {
    let mut frames = sse::Decoder::default();
    let mut decoder = stream::Decoder::default();
    let mut events = Vec::new();
    frames.push(stream.clone());
    while let Some(frame) = frames.next_frame().unwrap() {
        if let Some(data) = frame.data {
            decoder.push(&data, &mut events).unwrap();
        }
    }
    decoder.finish(&mut events).unwrap();
    events
}

fn watched(stream: Bytes, hide_usage: bool) -> (Watch, Vec<Bytes>, Result<(), hr_core::failure::Failure>) {
    let mut watch = Watch::new(hide_usage);
    let mut out = Vec::new();
    let ended = watch.push(stream, &mut out).and_then(|()| watch.finish(&mut out));
    (watch, out, ended)
}

#[test]
fn a_stream_folds_to_the_whole_reply() {
    for case in WHOLE {
        let mut whole = reply::decode(&file(&format!("{case}.reply.json")), &[], Millis(0)).unwrap();
        let folded = fold(&events(&file(&format!("{case}.stream.txt"))));
        whole.extras = Default::default();
        // Some streams do not report usage.
        whole.usage = folded.usage;
        assert_eq!(folded, whole, "{case}");
    }
}

#[test]
fn a_watched_stream_passes_untouched() {
    for case in WHOLE.iter().filter(|case| **case != "calls_without_index") {
        let stream = file(&format!("{case}.stream.txt"));
        let (watch, out, ended) = watched(stream.clone(), false);
        assert_eq!(ended, Ok(()), "{case}");
        assert!(watch.is_good() && watch.is_done() && watch.withheld() == 0, "{case}");
        let passed = out.concat();
        assert!(passed.starts_with(&stream), "{case}");
        assert!(passed.ends_with(b"data: [DONE]\n\n") || passed.ends_with(b"data: [DONE]\r\n\r\n"), "{case}");
        assert_eq!(out[0].as_ptr(), stream.as_ptr(), "{case}: the bytes were copied");
    }
}

#[test]
fn chunks_that_clients_cannot_read_are_mended() {
    let stream = file("calls_without_index.stream.txt");
    let (_, out, ended) = watched(stream.clone(), false);
    assert_eq!(ended, Ok(()));
    let passed = Bytes::from(out.concat());
    assert_eq!(fold(&events(&passed)), fold(&events(&stream)));
    let text = std::str::from_utf8(&passed).unwrap();
    let chunks: Vec<serde_json::Value> =
        text.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect();
    assert_eq!(chunks[0]["choices"][0]["delta"]["reasoning_content"], "Two cities.");
    assert_eq!(chunks[1]["choices"][0]["delta"]["content"], "Looking.");
    let calls = chunks[2]["choices"][0]["delta"]["tool_calls"].as_array().unwrap();
    let indexes: Vec<_> = calls.iter().map(|call| (call["index"].as_u64(), call["type"].as_str())).collect();
    assert_eq!(indexes, [(Some(0), Some("function")), (Some(1), Some("function"))]);
}

#[test]
fn whole_replies_are_answers() {
    for case in WHOLE {
        let whole = read_whole(&file(&format!("{case}.reply.json")), &[], Millis(0)).unwrap();
        assert!(whole.finish.is_some() && whole.model.as_deref() == Some("m-1"), "{case}");
    }
    let details =
        Usage { input: Some(12), output: Some(7), cached: Some(8), reasoning: Some(3), ..Usage::default() };
    assert_eq!(read_whole(&file("usage.reply.json"), &[], Millis(0)).unwrap().usage, details);
    assert_eq!(watched(file("usage.stream.txt"), true).0.usage(), details);
}

#[test]
fn usage_that_the_caller_did_not_ask_for_is_hidden() {
    let stream = file("usage.stream.txt");
    let passed = watched(stream.clone(), true).1.concat();
    assert!(!String::from_utf8(passed.clone()).unwrap().contains("prompt_tokens"));
    assert_eq!(
        passed.len(),
        stream.len()
            - stream
                .split(|b| *b == b'\n')
                .find(|l| l.windows(13).any(|w| w == b"prompt_tokens"))
                .unwrap()
                .len()
            - 2
    );
}

#[test]
fn streams_that_break_are_failures() {
    for case in BROKEN {
        let stream = file(&format!("{case}.stream.txt"));
        let (watch, out, ended) = watched(stream.clone(), false);
        assert!(watch.is_good(), "{case}");
        assert!(stream.starts_with(&out.concat()), "{case}");
        let kind = ended.expect_err(case).kind;
        assert_eq!(kind, if *case == "cut" { FailureKind::Cut } else { FailureKind::Overloaded }, "{case}");
    }
}

#[test]
fn facts_are_found() {
    let facts = |case| read_chat(envelope(case).bytes().clone()).unwrap().1;
    let text = facts("text");
    assert!(text.stream && !text.include_usage && !text.tools && !text.vision);
    assert_eq!((text.difficulty, text.model.as_str()), (5, "hermes-router"));
    assert_eq!(facts("usage").params, ["temperature", "max_tokens"]);
    assert!(facts("usage").include_usage);
    assert_eq!(facts("usage").max_output, Some(64));
    assert!(facts("parallel_tools").tools);
    assert_eq!(facts("reasoning").effort, Effort::High);
    let vision = facts("vision");
    assert!(vision.vision && vision.structured && vision.prompt_tokens >= 1600);
}

#[test]
fn requests_survive_the_hub() {
    for case in WHOLE.iter().chain(BROKEN) {
        let once = request::decode(&envelope(case)).unwrap();
        assert_eq!(once.losses, [], "{case}");
        let quirks = Quirks::default();
        let stream = once.request.stream;
        let written = UpstreamHalf::encode(
            &OpenaiChat,
            &once.request,
            &Outgoing { stream, ..Outgoing::new("m", &quirks) },
        );
        assert_eq!(written.losses, [], "{case}");
        let (again, _facts) = read_chat(written.body).unwrap();
        assert_eq!(request::decode(&again).unwrap(), once, "{case}");
    }
}

#[test]
fn a_whole_reply_can_become_a_stream() {
    for case in WHOLE {
        let body = file(&format!("{case}.reply.json"));
        let whole = reply::decode(&body, &[], Millis(0)).unwrap();
        let stream = stream::of_whole(&body, true).unwrap();
        let folded = fold(&events(&stream));
        assert_eq!(folded, Reply { extras: Default::default(), ..whole }, "{case}");
        assert_eq!(watched(stream, false).2, Ok(()), "{case}");
    }
}

#[test]
fn the_blocks_of_a_reply_are_in_order() {
    let reply = reply::decode(&file("calls_without_index.reply.json"), &[], Millis(0)).unwrap();
    assert_eq!(reply.finish.unwrap().kind(), FinishKind::ToolCalls);
    let [Block::Reasoning(reasoning), Block::Text(text), Block::ToolCall(call), Block::ToolCall(_)] =
        reply.blocks.as_slice()
    else {
        panic!("{:?}", reply.blocks)
    };
    assert_eq!(
        (reasoning.text.as_str(), text.as_str(), call.id.as_str()),
        ("Two cities.", "Looking.", "aB3dE6gH9")
    );
}

#[test]
fn a_plain_provider_gets_the_callers_bytes() {
    for case in WHOLE {
        let envelope = envelope(case);
        let quirks = Quirks::default();
        let outgoing = Outgoing::new("hermes-router", &quirks);
        assert_eq!(prepare(&envelope, &outgoing).body, envelope.bytes(), "{case}");
    }
}
