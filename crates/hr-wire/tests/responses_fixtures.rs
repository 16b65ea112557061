//! The recorded cases of the Responses dialect: what is read from each, and that nothing is lost on the way.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped here fails the test")]

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use hr_core::catalog::{Dialect, Provider, Quirks, builtin};
use hr_core::failure::{Failure, FailureKind, Scope};
use hr_core::route::ask::Effort;
use hr_core::time::Millis;
use hr_core::usage::Usage;
use hr_wire::Envelope;
use hr_wire::dialect::{ClientHalf, Echo, Outgoing, UpstreamHalf, WatchOptions, client_half, upstream_half};
use hr_wire::hub::{Block, CallKind, Event, Fingerprint, FinishKind, Reply, fold};
use hr_wire::lane::Watch;
use hr_wire::refusal::Refusal;
use hr_wire::sse;
use serde_json::Value;

/// Cases with a whole reply and a stream that say the same.
const WHOLE: &[&str] = &[
    "text",
    "instructions",
    "usage",
    "tools",
    "parallel_tools",
    "custom_tool",
    "namespaces",
    "reasoning",
    "reasoning_tool_loop",
    "structured",
    "image",
    "file",
    "refusal",
    "length",
    "length_in_call",
    "web_search",
    "empty_output",
];

const NOW: Millis = Millis(1_790_000_000_000);

fn client() -> &'static dyn ClientHalf {
    client_half(Dialect::OpenaiResponses)
}

fn upstream() -> &'static dyn UpstreamHalf {
    upstream_half(Dialect::OpenaiResponses)
}

fn provider() -> Arc<Provider> {
    Arc::clone(builtin().find("codex").unwrap())
}

fn file(name: &str) -> Bytes {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/openai_responses");
    let mut bytes = Vec::new();
    let mut file = std::fs::OpenOptions::new().read(true).open(folder.join(name)).expect(name);
    std::io::Read::read_to_end(&mut file, &mut bytes).unwrap();
    bytes.into()
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

fn request(case: &str) -> Envelope {
    client().read(file(&format!("{case}.request.json"))).unwrap().0
}

fn frames(stream: &[u8]) -> Vec<sse::Frame> {
    let mut decoder = sse::Decoder::default();
    decoder.push(Bytes::copy_from_slice(stream));
    let mut frames = Vec::new();
    while let Some(frame) = decoder.next_frame().unwrap() {
        frames.push(frame);
    }
    frames.extend(decoder.finish());
    frames
}

/// The data of all events.
fn data(stream: &[u8]) -> Vec<Value> {
    frames(stream).into_iter().filter_map(|frame| Some(json(&frame.data?))).collect()
}

fn decoded(stream: &[u8]) -> Result<Vec<Event>, Failure> {
    let mut decoder = upstream().decoder(&provider(), NOW);
    let mut events = Vec::new();
    for frame in frames(stream) {
        decoder.push(&frame, &mut events)?;
    }
    decoder.finish(&mut events)?;
    Ok(events)
}

fn options(keep: bool) -> WatchOptions {
    let echo = Arc::new(Echo { nonce: 7, now: 1_790_000_000, ..Echo::default() });
    WatchOptions { hide_usage: false, keep, echo, provider: provider(), now: NOW }
}

fn watched(stream: &Bytes, size: usize) -> (Box<dyn Watch>, Vec<u8>, Result<(), Failure>) {
    let mut watch = upstream().watch(options(true));
    let mut out = Vec::new();
    for at in (0..stream.len()).step_by(size) {
        let chunk = stream.slice(at..(at + size).min(stream.len()));
        if let Err(failure) = watch.push(chunk, &mut out) {
            return (watch, out.concat(), Err(failure));
        }
    }
    let ended = watch.finish(&mut out);
    (watch, out.concat(), ended)
}

/// What a caller gets of a reply, streamed.
fn encoded(events: &[Event], echo: Echo) -> Vec<u8> {
    let mut encoder = client().encoder(&Arc::new(echo));
    let mut out = Vec::new();
    for event in events {
        encoder.push(event, &mut out);
    }
    encoder.finish(&mut out);
    out
}

/// The reply without what each speaker names anew: ids, model and time.
fn essence(reply: &Reply) -> Reply {
    let mut reply = Reply { id: String::new(), model: String::new(), created: 0, ..reply.clone() };
    for block in &mut reply.blocks {
        if let Block::Reasoning(reasoning) = block
            && let Some(opaque) = &mut reasoning.opaque
        {
            opaque.id = None;
        }
    }
    reply
}

#[test]
fn a_stream_folds_to_the_whole_reply() {
    for case in WHOLE {
        let whole = upstream().decode(&file(&format!("{case}.reply.json")), &[], NOW).unwrap();
        let folded = fold(&decoded(&file(&format!("{case}.stream.txt"))).unwrap());
        assert_eq!(folded, whole, "{case}");
    }
}

#[test]
fn a_watched_stream_passes_untouched() {
    for case in WHOLE.iter().filter(|case| **case != "empty_output") {
        let stream = file(&format!("{case}.stream.txt"));
        let (mut watch, out, ended) = watched(&stream, usize::MAX >> 1);
        assert_eq!(ended, Ok(()), "{case}");
        assert!(watch.is_good() && watch.is_finished() && watch.withheld() == 0, "{case}");
        assert_eq!(out, stream, "{case}");
        assert_eq!(json(&watch.reply().unwrap()), json(&file(&format!("{case}.reply.json"))), "{case}");
    }
}

#[test]
fn however_a_stream_is_cut_into_chunks_the_same_goes_out() {
    for case in WHOLE {
        let stream = file(&format!("{case}.stream.txt"));
        let whole = watched(&stream, usize::MAX >> 1).1;
        for size in [1, 2, 3, 7, 64, 1000] {
            let (_, out, ended) = watched(&stream, size);
            assert_eq!(ended, Ok(()), "{case} {size}");
            assert_eq!(out, whole, "{case} {size}");
        }
    }
}

#[test]
fn a_stream_that_breaks_off_anywhere_is_never_a_success() {
    for case in ["text", "tools", "custom_tool", "length", "empty_output"] {
        let stream = file(&format!("{case}.stream.txt"));
        // The last data may stand without the empty line that its sender forgot.
        let complete = stream.len() - 2;
        // Long streams are cut at every seventh byte: each cut reads all that came before it.
        let step = if complete > 8000 { 7 } else { 1 };
        for at in (0..complete).step_by(step) {
            let (mut watch, out, ended) = watched(&stream.slice(..at), usize::MAX >> 1);
            assert!(ended.is_err(), "{case} at {at}");
            assert!(!String::from_utf8_lossy(&out).contains("response.completed"), "{case} at {at}");
            assert_eq!(watch.reply(), None);
            let failure = decoded(&stream[..at]);
            assert!(failure.is_err(), "{case} at {at}: {failure:?}");
        }
    }
}

#[test]
fn what_breaks_ends_in_an_error_that_goes_on_counting() {
    for (case, kind) in [("cut", FailureKind::Cut), ("failed_midstream", FailureKind::ServerError)] {
        let stream = file(&format!("{case}.stream.txt"));
        let (mut watch, mut out, ended) = watched(&stream, usize::MAX >> 1);
        assert_eq!(ended.unwrap_err().kind, kind, "{case}");
        assert!(watch.is_good(), "{case}");
        out.extend_from_slice(&watch.fail(&Refusal::new(502, "it broke").code("stream_interrupted")));
        let events = data(&out);
        rises(&events);
        let [.., error, failed] = events.as_slice() else { panic!("{case}") };
        assert_eq!((&error["type"], &error["error"]["message"]), (&"error".into(), &"it broke".into()));
        assert_eq!(failed["type"], "response.failed");
        assert_eq!(failed["response"]["status"], "failed");
        assert_eq!(failed["response"]["error"]["code"], "stream_interrupted");
        assert_eq!(failed["response"]["id"], events[0]["response"]["id"]);
    }
}

fn rises(events: &[Value]) {
    let numbers: Vec<u64> = events.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
}

#[test]
fn a_usage_limit_benches_the_account_until_its_reset_in_all_three_forms() {
    let in_stream = watched(&file("usage_limit.stream.txt"), usize::MAX >> 1).2.unwrap_err();
    let translated = decoded(&file("usage_limit.stream.txt")).unwrap_err();
    let body = br#"{"error":{"type":"usage_limit_reached","message":"The usage limit has been reached","resets_at":1790400000}}"#;
    let none = |_: &str| None;
    let http = upstream().read_error(429, &none, body, &provider().errors, NOW);
    let headers = |name: &str| match name {
        "x-codex-primary-used-percent" => Some("100"),
        "x-codex-primary-reset-at" => Some("1790400000"),
        "x-codex-secondary-reset-at" => Some(""),
        _ => None,
    };
    let said = br#"{"error":{"type":"usage_limit_reached","message":"The usage limit has been reached"}}"#;
    let by_header = upstream().read_error(429, &headers, said, &provider().errors, NOW);
    for failure in [in_stream, translated, http, by_header] {
        assert_eq!((failure.kind, failure.scope), (FailureKind::QuotaSpent, Some(Scope::Key)), "{failure:?}");
        assert_eq!(failure.retry_after.unwrap().as_secs(), 400_000, "{failure:?}");
    }
}

#[test]
fn an_error_that_is_hidden_in_a_header_is_read() {
    // {"error":{"code":"usage_not_included","message":"no"}}
    let hidden = "eyJlcnJvciI6eyJjb2RlIjoidXNhZ2Vfbm90X2luY2x1ZGVkIiwibWVzc2FnZSI6Im5vIn19";
    let headers = |name: &str| (name == "x-error-json").then_some(hidden);
    let failure = upstream().read_error(403, &headers, b"<html>", &provider().errors, NOW);
    assert_eq!(failure.kind, FailureKind::NoMoney);
}

#[test]
fn facts_are_found() {
    let facts = |case: &str| client().read(file(&format!("{case}.request.json"))).unwrap().1;
    let text = facts("text");
    assert!(text.stream && text.keep && !text.tools && !text.vision && text.opaque.is_empty());
    assert_eq!((text.model.as_str(), text.difficulty), ("hermes-router", 5));
    assert_eq!(facts("usage").max_output, Some(64));
    assert!(facts("namespaces").tools && facts("structured").structured && facts("file").vision);
    assert_eq!(facts("reasoning").effort, Effort::High);
    let image = facts("image");
    assert!(image.vision && image.prompt_tokens >= 1600);
    let looped = facts("reasoning_tool_loop");
    assert_eq!(looped.opaque, [Fingerprint::of("gAAAAbefore==")]);
    assert!(!looped.keep);
}

#[test]
fn what_is_encrypted_is_known_when_it_passes() {
    let (mut watch, ..) = watched(&file("reasoning.stream.txt"), 100);
    // The one at the end counts; the one at the beginning is only a start of it.
    assert_eq!(watch.issued(), [Fingerprint::of("gAAAAfinal==")]);
    let whole = upstream().read_whole(&file("reasoning.reply.json"), &[], NOW).unwrap();
    assert_eq!(whole.opaque, [Fingerprint::of("gAAAAfinal==")]);
    assert_eq!(whole.model.as_deref(), Some("m-1"));
}

#[test]
fn usage_is_read() {
    let details =
        Usage { input: Some(12), output: Some(7), cached: Some(8), cache_write: Some(0), reasoning: Some(3) };
    assert_eq!(upstream().read_whole(&file("usage.reply.json"), &[], NOW).unwrap().usage, details);
    assert_eq!(watched(&file("usage.stream.txt"), 50).0.usage(), details);
}

#[test]
fn an_output_that_was_left_out_is_put_together_from_its_items() {
    let stream = file("empty_output.stream.txt");
    let (mut watch, out, ended) = watched(&stream, usize::MAX >> 1);
    assert_eq!(ended, Ok(()));
    let whole = json(&file("empty_output.reply.json"));
    assert_eq!(data(&out).last().unwrap()["response"], whole);
    assert_eq!(json(&watch.reply().unwrap()), whole);
    assert_eq!(json(&upstream().to_whole(&stream, &provider(), NOW).unwrap()), whole);
    let reply = fold(&decoded(&stream).unwrap());
    assert_eq!(reply.finish.unwrap().kind(), FinishKind::ToolCalls);
}

#[test]
fn a_whole_reply_can_become_a_stream_and_back() {
    for case in WHOLE {
        let body = file(&format!("{case}.reply.json"));
        let stream = upstream().to_stream(&body).unwrap();
        rises(&data(&stream));
        let back = upstream().to_whole(&stream, &provider(), NOW).unwrap();
        assert_eq!(json(&back), json(&body), "{case}");
        let decoded = fold(&decoded(&stream).unwrap());
        assert_eq!(decoded, upstream().decode(&body, &[], NOW).unwrap(), "{case}");
    }
}

#[test]
fn requests_survive_the_hub() {
    let quirks = Quirks::default();
    for case in WHOLE {
        let once = client().decode(&request(case)).unwrap();
        assert_eq!(once.losses, [], "{case}");
        let written = upstream().encode(&once.request, &Outgoing::new("m", &quirks));
        assert_eq!(written.losses, [], "{case}");
        let (again, _facts) = client().read(written.body).unwrap();
        assert_eq!(client().decode(&again).unwrap(), once, "{case}");
    }
}

#[test]
fn replies_survive_the_way_to_a_caller() {
    for case in WHOLE {
        let events = decoded(&file(&format!("{case}.stream.txt"))).unwrap();
        let echo = Echo { model: "asked".into(), nonce: 9, request: Some(request(case)), ..Echo::default() };
        let stream = encoded(&events, echo.clone());
        let told = data(&stream);
        rises(&told);
        grammar(&told);
        let reply = fold(&events);
        assert_eq!(essence(&fold(&decoded(&stream).unwrap())), essence(&reply), "{case}");
        let (_, passed, ended) = watched(&stream.clone().into(), usize::MAX >> 1);
        assert_eq!((ended, passed.len()), (Ok(()), stream.len()), "{case}");
        let mut last = told.last().unwrap()["response"].clone();
        let mut whole = json(&client().encode(&reply, &echo));
        // Events of a whole reply come in pieces of other sizes, but say the same.
        for response in [&mut last, &mut whole] {
            response["completed_at"] = Value::Null;
        }
        assert_eq!(last, whole, "{case}");
    }
}

/// The grammar of a stream: items begin, are added to, and end, each under its own place and id.
fn grammar(events: &[Value]) {
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds[..2], ["response.created", "response.in_progress"]);
    let last = kinds.last().unwrap();
    assert!(["response.completed", "response.incomplete"].contains(last), "{last}");
    let ids: Vec<&Value> =
        events.iter().map(|event| &event["response"]["id"]).filter(|id| !id.is_null()).collect();
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]));
    let mut open: Vec<(u64, String)> = Vec::new();
    let mut done = Vec::new();
    for event in events {
        let place = event["output_index"].as_u64();
        match event["type"].as_str().unwrap() {
            "response.output_item.added" => {
                let id = event["item"]["id"].as_str().unwrap().to_owned();
                assert!(id.len() <= 64 && open.iter().all(|(_, known)| *known != id), "{id}");
                assert_eq!(place, Some(open.len() as u64));
                open.push((place.unwrap(), id));
            }
            "response.output_item.done" => {
                assert_eq!(event["item"]["id"].as_str(), Some(open[place.unwrap() as usize].1.as_str()));
                done.push(event["item"].clone());
            }
            _ => {
                if let Some(id) = event["item_id"].as_str() {
                    assert_eq!(id, open[place.unwrap() as usize].1);
                }
            }
        }
    }
    let output = events.last().unwrap()["response"]["output"].as_array().unwrap();
    assert_eq!(&done, output);
    assert_eq!(done.len(), open.len());
    for item in output {
        let arguments = item["arguments"].as_str().unwrap_or("{}");
        let is_whole = serde_json::from_str::<Value>(arguments).is_ok();
        assert!(is_whole || item["status"] == "incomplete", "{item}");
    }
}

#[test]
fn a_patch_comes_back_byte_for_byte() {
    let sent = json(request("custom_tool").bytes());
    let reply = fold(&decoded(&file("custom_tool.stream.txt")).unwrap());
    let [Block::ToolCall(call)] = reply.blocks.as_slice() else { panic!("{reply:?}") };
    assert_eq!(
        (call.kind, call.arguments.as_str()),
        (CallKind::Custom, sent["input"][1]["input"].as_str().unwrap())
    );
    let decoded = client().decode(&request("custom_tool")).unwrap().request;
    let body = upstream().encode(&decoded, &Outgoing::new("m", &Quirks::default())).body;
    assert_eq!(json(&body)["input"][1]["input"], sent["input"][1]["input"]);
}

#[test]
fn numbers_in_schemas_stay_as_written() {
    let decoded = client().decode(&request("tools")).unwrap().request;
    let body = upstream().encode(&decoded, &Outgoing::new("m", &Quirks::default())).body;
    let text = String::from_utf8(body.to_vec()).unwrap();
    assert!(text.contains("12345678901234567890") && text.contains("1.1"), "{text}");
}

#[test]
fn what_is_incomplete_for_whatever_reason_is_no_end() {
    let item = r#"{"type":"message","id":"msg_1","role":"assistant","content":[{"type":"output_text","text":"half"}]}"#;
    for details in [r#"{"reason":"a_new_one"}"#, "{}", "null", r#"{"reason":"stop"}"#] {
        let response = format!(
            r#"{{"id":"resp_1","object":"response","status":"incomplete","incomplete_details":{details},"output":[{item}]}}"#
        );
        let whole = upstream().decode(response.as_bytes(), &[], Millis(0)).unwrap();
        assert_eq!(whole.finish.unwrap().kind(), FinishKind::Length, "{details}");
        let stream = format!(
            "event: response.incomplete\ndata: {{\"type\":\"response.incomplete\",\"response\":{response}}}\n\n"
        );
        let finish = decoded(stream.as_bytes()).unwrap().into_iter().find_map(|event| match event {
            Event::Finish(finish) => Some(finish.kind()),
            _ => None,
        });
        assert_eq!(finish, Some(FinishKind::Length), "{details}");
    }
}
