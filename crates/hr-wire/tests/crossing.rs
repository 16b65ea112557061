//! Replies that cross from one dialect into another: whole and streamed they say the same, wherever the bytes are
//! cut and whatever stands between them; and what is sent on unchanged is.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped here fails the test")]

use std::sync::Arc;

use bytes::Bytes;
use hr_core::catalog::{Dialect, Provider, builtin};
use hr_core::time::Millis;
use hr_core::usage::Usage;
use hr_wire::dialect::{Echo, Outgoing, WatchOptions, client_half, upstream_half};
use hr_wire::hub::{Block, Event, Finish, Names, Reasoning, Reply, ToolCall, fold, unfold};
use hr_wire::lane::{Translated, Watch, translate_whole};
use hr_wire::sse;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

const NOW: Millis = Millis(1_790_000_000_000);

fn provider(dialect: Dialect) -> Arc<Provider> {
    let same = |provider: &&Arc<Provider>| provider.dialect == dialect;
    let mut provider = Provider::clone(builtin().providers.iter().find(same).unwrap());
    provider.quirks = Default::default();
    Arc::new(provider)
}

/// A caller who wants to see all there is.
fn echo() -> Arc<Echo> {
    Arc::new(Echo {
        model: "asked".into(),
        include_usage: true,
        shows_reasoning: true,
        prompt_tokens: 9,
        nonce: 7,
        now: 1_790_000_000,
        ..Echo::default()
    })
}

fn options(dialect: Dialect) -> WatchOptions {
    WatchOptions { hide_usage: false, keep: false, echo: echo(), provider: provider(dialect), now: NOW }
}

/// Replies in the order that every dialect keeps: reasoning, text, calls.
fn reply() -> impl Strategy<Value = Reply> {
    let text = || "[a-zé😀][a-z\"\\\\\n{} ]{0,9}[a-z]";
    let call = ("[a-z]{1,4}", text()).prop_map(|(name, text)| (name, json!({ "text": text }).to_string()));
    let usage = (0..99_u64, 0..9_u64, 1..9_u64);
    const WORDS: &[&str] = &["stop", "length"];
    (
        proptest::option::of(text()),
        proptest::option::of(text()),
        vec(call, 0..4),
        prop::sample::select(WORDS),
        usage,
    )
        .prop_map(|(thought, said, calls, word, (fresh, cached, output))| {
            let mut blocks: Vec<Block> = Vec::new();
            blocks.extend(thought.map(|text| Block::Reasoning(Reasoning { text, opaque: None })));
            let said = if calls.is_empty() { Some(said.unwrap_or("so".into())) } else { said };
            blocks.extend(said.map(Block::Text));
            let word = if calls.is_empty() || word == "length" { word } else { "tool_calls" };
            for (place, (name, arguments)) in calls.into_iter().enumerate() {
                let id = format!("call_{place}");
                blocks.push(Block::ToolCall(ToolCall { id, name, arguments, ..ToolCall::default() }));
            }
            let usage = Usage {
                input: Some(fresh + cached),
                output: Some(output),
                cached: Some(cached),
                ..Usage::default()
            };
            Reply {
                id: "1".into(),
                model: "theirs".into(),
                created: 7,
                blocks,
                finish: Some(Finish::read(word)),
                usage: Some(usage),
                extras: Default::default(),
            }
        })
}

/// What a reply says, as far as all dialects can say it.
#[derive(Debug, PartialEq)]
struct Said {
    thought: String,
    text: String,
    calls: Vec<(String, String, String)>,
    finish: Option<String>,
    usage: [Option<u64>; 3],
}

fn said(reply: &Reply) -> Said {
    let mut said = Said {
        thought: String::new(),
        text: String::new(),
        calls: Vec::new(),
        finish: reply.finish.as_ref().map(|finish| format!("{:?}", finish.kind())),
        usage: reply
            .usage
            .map_or([None; 3], |usage| [usage.input, usage.output, Some(usage.cached.unwrap_or(0))]),
    };
    for block in &reply.blocks {
        match block {
            Block::Reasoning(thought) => said.thought.push_str(&thought.text),
            Block::Text(text) => said.text.push_str(text),
            Block::ToolCall(call) => {
                let ToolCall { id, name, arguments, .. } = call.clone();
                said.calls.push((id, name, arguments));
            }
            other => panic!("nobody said {other:?}"),
        }
    }
    said
}

/// The stream of a provider of this dialect who says this.
fn stream(dialect: Dialect, reply: &Reply) -> Bytes {
    let mut encoder = client_half(dialect).encoder(&echo());
    let mut out = Vec::new();
    for event in unfold(reply) {
        // Text and arguments in pieces, as they come.
        match event {
            Event::Delta { block, text } => {
                let letters: Vec<char> = text.chars().collect();
                for piece in letters.chunks(3) {
                    encoder.push(&Event::Delta { block, text: piece.iter().collect() }, &mut out);
                }
            }
            event => encoder.push(&event, &mut out),
        }
    }
    encoder.finish(&mut out);
    out.into()
}

fn read(dialect: Dialect, stream: &[u8]) -> Reply {
    let mut frames = sse::Decoder::default();
    frames.push(Bytes::copy_from_slice(stream));
    let mut decoder = upstream_half(dialect).decoder(&provider(dialect), NOW);
    let mut events: Vec<Event> = Vec::new();
    while let Some(frame) = frames.next_frame().unwrap() {
        decoder.push(&frame, &mut events).unwrap();
    }
    decoder.finish(&mut events).unwrap();
    fold(&events)
}

/// What comes out of the translated lane, and whether it ended well.
fn translated(from: Dialect, to: Dialect, chunks: impl IntoIterator<Item = Bytes>) -> (Vec<u8>, bool) {
    let mut lane = Translated::new(client_half(to), upstream_half(from), Names::default(), options(from));
    let mut out = Vec::new();
    let pushed = chunks.into_iter().try_for_each(|chunk| lane.push(chunk, &mut out));
    let ended = pushed.and_then(|()| lane.finish(&mut out));
    (out.concat(), ended.is_ok())
}

fn pairs() -> impl Iterator<Item = (Dialect, Dialect)> {
    Dialect::ALL.into_iter().flat_map(|from| Dialect::ALL.into_iter().map(move |to| (from, to)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn whole_and_streamed_a_reply_says_the_same_in_every_dialect(reply in reply()) {
        for (from, to) in pairs() {
            let (out, ended) = translated(from, to, [stream(from, &reply)]);
            prop_assert!(ended);
            prop_assert_eq!(said(&read(to, &out)), said(&reply), "streamed {:?} to {:?}", from, to);
            let body = client_half(from).encode(&reply, &echo());
            let (client, upstream) = (client_half(to), upstream_half(from));
            let whole = translate_whole(client, upstream, &Names::default(), &echo(), &body, &provider(from), NOW);
            let whole = upstream_half(to).decode(&whole.unwrap().body, &[], NOW).unwrap();
            prop_assert_eq!(said(&whole), said(&reply), "whole {:?} to {:?}", from, to);
        }
    }

    #[test]
    fn a_stream_that_breaks_off_is_an_error_or_all_was_said(reply in reply(), place in any::<prop::sample::Index>()) {
        for (from, to) in pairs() {
            let whole = stream(from, &reply);
            let (out, ended) = translated(from, to, [whole.slice(..place.index(whole.len()))]);
            if ended {
                let (heard, meant) = (said(&read(to, &out)), said(&reply));
                prop_assert_eq!((heard.text, heard.calls, heard.finish), (meant.text, meant.calls, meant.finish));
            }
        }
    }

    #[test]
    fn what_means_nothing_between_events_changes_nothing(
        reply in reply(),
        places in vec(any::<prop::sample::Index>(), 1..6),
        cuts in vec(any::<prop::sample::Index>(), 0..9),
        crlf in any::<bool>(),
    ) {
        for (from, to) in pairs() {
            let plain = String::from_utf8(stream(from, &reply).to_vec()).unwrap();
            let mut events: Vec<&str> = plain.split_inclusive("\n\n").collect();
            for place in &places {
                let noise = match from {
                    Dialect::OpenaiChat => ": busy\n\n",
                    Dialect::Anthropic => "event: ping\ndata: {\"type\": \"ping\"}\n\n",
                    Dialect::OpenaiResponses => "event: keepalive\ndata: {\"type\":\"keepalive\"}\n\n",
                };
                // Nothing may stand behind the last event.
                events.insert(place.index(events.len()), noise);
            }
            let mut noisy = events.concat().replace("\ndata: ", "\ndata:");
            if crlf {
                noisy = noisy.replace('\n', "\r\n");
            }
            let noisy = Bytes::from(noisy);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(noisy.len() + 1)).collect();
            cuts.extend([0, noisy.len()]);
            cuts.sort_unstable();
            let chunks = cuts.windows(2).map(|pair| noisy.slice(pair[0]..pair[1]));
            prop_assert_eq!(translated(from, to, chunks), translated(from, to, [Bytes::from(plain)]));
        }
    }

    #[test]
    fn no_shape_of_an_event_makes_the_lanes_panic(
        reply in reply(),
        place in any::<prop::sample::Index>(),
        path in vec(any::<prop::sample::Index>(), 1..5),
        value in prop::sample::select(vec![json!(null), json!([]), json!(["text", "a"]), json!({}), json!("x"), json!(-1), json!(1e300)]),
    ) {
        for (from, to) in pairs() {
            let whole = String::from_utf8(stream(from, &reply).to_vec()).unwrap();
            let mut events: Vec<String> = whole.split_inclusive("\n\n").map(str::to_owned).collect();
            let event = place.index(events.len());
            let event = &mut events[event];
            if let Some((head, data)) = event.split_once("data: ")
                && let Ok(mut data) = serde_json::from_str::<Value>(data)
            {
                mutate(&mut data, &path, &value);
                *event = format!("{head}data: {data}\n\n");
            }
            let bytes = Bytes::from(events.concat());
            translated(from, to, [bytes.clone()]);
            let mut watch = upstream_half(from).watch(WatchOptions { keep: true, ..options(from) });
            let mut out = Vec::new();
            if watch.push(bytes.clone(), &mut out).and_then(|()| watch.finish(&mut out)).is_ok() {
                watch.reply();
            }
            if let Ok(whole) = upstream_half(from).to_whole(&bytes, &provider(from), NOW) {
                upstream_half(from).to_stream(&whole).ok();
            }
            let body = client_half(from).encode(&reply, &echo());
            let mut body: Value = serde_json::from_slice(&body).unwrap();
            mutate(&mut body, &path, &value);
            let body = Bytes::from(body.to_string());
            let (client, upstream) = (client_half(to), upstream_half(from));
            translate_whole(client, upstream, &Names::default(), &echo(), &body, &provider(from), NOW).ok();
            upstream.to_stream(&body).ok();
        }
    }
}

/// Puts a value somewhere into another.
fn mutate(whole: &mut Value, path: &[prop::sample::Index], value: &Value) {
    let Some((step, rest)) = path.split_first() else { return whole.clone_from(value) };
    let inner = match whole {
        Value::Object(fields) if !fields.is_empty() => {
            let place = step.index(fields.len());
            fields.values_mut().nth(place)
        }
        Value::Array(items) if !items.is_empty() => {
            let place = step.index(items.len());
            items.get_mut(place)
        }
        _ => None,
    };
    match inner {
        Some(inner) => mutate(inner, rest, value),
        None => whole.clone_from(value),
    }
}

/// JSON as callers may write it: order, white space and numbers that no value tree keeps.
fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("-0.0e+1".to_owned()),
        Just("123456789012345678901234567890".to_owned()),
        "[a-z é\\\\\"]{0,8}".prop_map(|text| json!(text).to_string()),
        Just(r#""\u00e9\/\ud83d\ude00""#.to_owned()),
    ];
    leaf.prop_recursive(2, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|items| format!("[ {}]", items.join("\t,"))),
            vec(("[a-z]{1,4}", inner), 0..4).prop_map(|fields| {
                let fields: Vec<String> = fields
                    .iter()
                    .enumerate()
                    .map(|(place, (key, value))| format!("\"{key}{place}\" : {value}"))
                    .collect();
                format!("{{{}\n}}", fields.join(" ,"))
            }),
        ]
    })
}

/// A conversation in a dialect, with things in it that nobody knows.
fn conversation(dialect: Dialect, unknown: &str, text: &str) -> String {
    let text = json!(text);
    match dialect {
        Dialect::OpenaiChat => format!(
            r#""messages" : [ {{"role":"user","x":{unknown},"content":[{{"type":"text" ,"text":{text},"y" :{unknown}}}]}},{{"role":"assistant","content":{text}}}, {{"content":"go on","role":"user"}}]"#
        ),
        Dialect::Anthropic => format!(
            r#""max_tokens":16, "messages" : [ {{"role":"user","x":{unknown},"content":[{{"type":"text" ,"text":{text},"y" :{unknown}}},{{"type":"new","z":{unknown}}}]}},{{"role":"assistant","content":"yes"}}, {{"content":{text},"role":"user"}}]"#
        ),
        Dialect::OpenaiResponses => format!(
            r#""input" : [ {{"role":"user","x":{unknown},"content":[{{"type":"input_text" ,"text":{text},"y" :{unknown}}}]}}, {{"content":{text},"role":"user"}}],"store":false"#
        ),
    }
}

proptest! {
    // What a caller sends passes a provider of the same dialect ten thousand times.
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn all_but_the_model_passes_byte_for_byte(
        model in "[a-z0-9/:.-]{1,12}",
        unknown in any_json(),
        fields in vec(any_json(), 0..3),
        text in "[ -~é😀]{0,16}",
        space in "[ \n\t]{0,2}",
    ) {
        for dialect in Dialect::ALL {
            let fields: Vec<String> =
                fields.iter().enumerate().map(|(place, value)| format!("\"x_{place}\"{space}:{value},{space}")).collect();
            let talk = conversation(dialect, &unknown, &text);
            let body = |model: &str| format!("{space}{{ {}\"model\" :{space}{} ,{talk}{space}}}\n", fields.concat(), json!(model));
            let (envelope, _) = client_half(dialect).read(body(&model).into()).unwrap();
            let quirks = Default::default();
            let sent = upstream_half(dialect).prepare(&envelope, &Outgoing::new("their/model", &quirks));
            prop_assert_eq!(sent.body, body("their/model"));
            prop_assert!(sent.losses.is_empty());
        }
    }
}
