//! What must hold for every input.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped here fails the test")]

use std::sync::Arc;

use bytes::Bytes;
use hr_core::catalog::Quirks;
use hr_core::time::Millis;
use hr_core::usage::Usage;
use hr_wire::dialect::{Echo, Encode as _, Outgoing};
use hr_wire::hub::{Block, Event, Finish, Reasoning, Reply, ToolCall, fold, unfold};
use hr_wire::openai_chat::stream::{Decoder, Encoder, Watch};
use hr_wire::openai_chat::{prepare, read_chat, reply};
use hr_wire::{Edit, Envelope, sse};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value};

/// Cuts bytes at these places, whatever they mean.
fn cut(bytes: &[u8], places: &[prop::sample::Index]) -> Vec<Bytes> {
    let mut places: Vec<usize> = places.iter().map(|place| place.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| Bytes::copy_from_slice(&bytes[pair[0]..pair[1]])).collect()
}

/// Event name, data, and whether the fields of the connection are there.
type Read = (Option<Bytes>, Option<Bytes>, bool);

fn frames(chunks: &[Bytes]) -> (Vec<Read>, Vec<u8>) {
    let mut decoder = sse::Decoder::default();
    let mut read = Vec::new();
    let mut raw = Vec::new();
    let mut take = |frame: sse::Frame| {
        raw.extend_from_slice(&frame.raw);
        // A carriage return whose line feed comes late makes an empty frame of its own, which says nothing.
        if frame.event.is_some() || frame.data.is_some() || frame.has_connection_fields {
            read.push((frame.event, frame.data, frame.has_connection_fields));
        }
    };
    for chunk in chunks {
        decoder.push(chunk.clone());
        while let Some(frame) = decoder.next_frame().unwrap() {
            take(frame);
        }
    }
    decoder.finish().into_iter().for_each(&mut take);
    (read, raw)
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "data: ?[a-zé😀:{}\"]{0,12}",
        1 => "event: ?[a-z]{1,6}",
        1 => Just("id: 7".to_owned()),
        1 => Just("retry:10".to_owned()),
        1 => ": ?[a-z]{0,8}",
        1 => "[a-zé]{0,6}",
        2 => Just(String::new()),
    ]
}

fn event_stream() -> impl Strategy<Value = Vec<u8>> {
    let end = prop_oneof![Just("\n"), Just("\r\n"), Just("\r")];
    (any::<bool>(), vec((line(), end), 0..24)).prop_map(|(mark, lines)| {
        let mut text = if mark { "\u{FEFF}".to_owned() } else { String::new() };
        for (line, end) in lines {
            text.push_str(&line);
            text.push_str(end);
        }
        text.into_bytes()
    })
}

fn text() -> impl Strategy<Value = String> {
    "[a-zé😀][a-zé😀\"\\\\\n ]{0,12}"
}

fn block() -> impl Strategy<Value = Block> {
    prop_oneof![
        text().prop_map(Block::Text),
        text().prop_map(|text| Block::Reasoning(Reasoning { text, opaque: None })),
        text().prop_map(Block::Refusal),
        ("[a-z0-9_]{1,9}", "[a-z]{1,6}", "[{}a-z\":é]{1,12}").prop_map(|(id, name, arguments)| {
            Block::ToolCall(ToolCall { id, name, arguments, ..ToolCall::default() })
        }),
    ]
}

/// Replies in the order that the wire has: reasoning, text, refusal, calls with ids of their own.
fn any_reply() -> impl Strategy<Value = Reply> {
    let usage = proptest::option::of((0..9_u64, 0..9_u64).prop_map(|(input, output)| Usage {
        input: Some(input),
        output: Some(output),
        ..Usage::default()
    }));
    (vec(block(), 1..6), any::<bool>(), usage).prop_map(|(mut blocks, length, usage)| {
        let rank = |block: &Block| match block {
            Block::Reasoning(_) => 0,
            Block::Text(_) => 1,
            Block::Refusal(_) => 2,
            Block::ToolCall(_) | Block::Other { .. } => 3,
        };
        blocks.sort_by_key(rank);
        blocks.dedup_by(|next, before| rank(next) < 3 && rank(next) == rank(before));
        for (place, block) in blocks.iter_mut().enumerate() {
            if let Block::ToolCall(ToolCall { id, .. }) = block {
                id.push_str(&place.to_string());
            }
        }
        let calls = blocks.iter().any(|block| rank(block) == 3);
        // Reasoning alone is an answer only where it was cut off.
        let length = length || blocks.iter().all(|block| rank(block) == 0);
        let reason = if length {
            "length"
        } else if calls {
            "tool_calls"
        } else {
            "stop"
        };
        Reply {
            id: "1".into(),
            model: "m".into(),
            created: 7,
            blocks,
            finish: Some(Finish::read(reason)),
            usage,
            extras: Default::default(),
        }
    })
}

/// A caller who wants to see all there is.
fn plain() -> Echo {
    Echo { include_usage: true, shows_reasoning: true, ..Echo::default() }
}

fn written(events: &[Event]) -> Vec<u8> {
    let mut encoder = Encoder::new(&Arc::new(plain()));
    let mut out = Vec::new();
    for event in events {
        encoder.push(event, &mut out);
    }
    encoder.finish(&mut out);
    out
}

fn decoded(chunks: &[Bytes]) -> Vec<Event> {
    let mut decoder = Decoder::default();
    let mut events = Vec::new();
    for (_, data, _) in frames(chunks).0 {
        decoder.push(&data.unwrap(), &mut events).unwrap();
    }
    decoder.finish(&mut events).unwrap();
    events
}

/// A JSON object as somebody might write it: any white space, any order, keys with escapes.
fn object() -> impl Strategy<Value = (String, Vec<(String, String)>)> {
    let key = prop_oneof![3 => "[a-e]", 1 => Just("model".to_owned()), 1 => Just("stream".to_owned()), 1 => "[a-z\"é\\\\]{1,4}"];
    let value = prop_oneof![
        Just("1".to_owned()),
        Just("-1.50e+3".to_owned()),
        Just("null".to_owned()),
        Just(r#"{"model":"inner","a":[1 , 2,{}]}"#.to_owned()),
        Just(r#""te\"x,}t\u00e9""#.to_owned()),
        Just("[ ]".to_owned()),
    ];
    let space = "[ \n\t]{0,2}";
    vec((key, value, space, space), 0..6).prop_map(|members| {
        let mut body = String::from("{ ");
        let mut kept: Vec<(String, String)> = Vec::new();
        for (key, value, before, after) in members {
            if kept.iter().any(|(known, _)| *known == key) {
                continue;
            }
            if !kept.is_empty() {
                body.push(',');
            }
            let written = serde_json::to_string(&key).unwrap();
            body.push_str(&format!("{before}{written}{after}:{before}{value}{after}"));
            kept.push((key, value));
        }
        body.push('}');
        (body, kept)
    })
}

fn edit() -> impl Strategy<Value = (u8, String, String)> {
    (0..3_u8, "[a-e]", "[a-f]")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_chunking_of_a_stream_decodes_alike(stream in event_stream(), places in vec(any::<prop::sample::Index>(), 0..12)) {
        let (whole, raw) = frames(&[Bytes::from(stream.clone())]);
        let (pieces, raw_of_pieces) = frames(&cut(&stream, &places));
        prop_assert_eq!(whole, pieces);
        let unmarked = stream.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(&stream);
        prop_assert_eq!(raw.as_slice(), unmarked);
        prop_assert_eq!(raw_of_pieces.as_slice(), unmarked);
    }

    #[test]
    fn edits_change_only_what_they_name((body, members) in object(), edits in vec(edit(), 0..5)) {
        let envelope = Envelope::read(Bytes::from(body.clone())).unwrap();
        prop_assert_eq!(envelope.keys().collect::<Vec<_>>(), members.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>());
        prop_assert_eq!(envelope.splice(&[]), body.as_bytes());

        let mut wanted: Vec<(String, String)> = members;
        let mut list = Vec::new();
        for (verb, key, other) in &edits {
            match verb {
                0 => {
                    match wanted.iter_mut().find(|(known, _)| known == key) {
                        Some((_, value)) => *value = "\"new\"".into(),
                        None => wanted.push((key.clone(), "\"new\"".into())),
                    }
                    list.push(Edit::Set { key, value_json: "\"new\"".into() });
                }
                1 => {
                    wanted.retain(|(known, _)| known != key);
                    list.push(Edit::Remove { key });
                }
                _ => {
                    if key != other && wanted.iter().any(|(known, _)| known == key) {
                        wanted.retain(|(known, _)| known != other);
                        for (known, _) in &mut wanted {
                            if known == key {
                                known.clone_from(other);
                            }
                        }
                    }
                    list.push(Edit::Rename { from: key, to: other });
                }
            }
        }
        let spliced = envelope.splice(&list);
        let again = Envelope::read(spliced.clone()).unwrap();
        let found: Vec<(String, String)> =
            again.keys().map(|key| (key.to_owned(), again.get(key).unwrap().to_owned())).collect();
        prop_assert_eq!(found, wanted);
        prop_assert!(serde_json::from_slice::<Map<String, Value>>(&spliced).is_ok());
    }

    #[test]
    fn a_native_body_differs_only_in_the_model(extra in "[a-zé\\\\\" ]{0,30}", model in "[a-z/:.-]{1,20}", space in "[ \n]{0,3}") {
        let extra = serde_json::to_string(&extra).unwrap();
        let head = format!("{{{space}\"x-unknown\":{extra},\"model\":{space}");
        let tail = format!("{space},\"messages\":[{{\"role\":\"user\",\"content\":{extra},\"odd\":1.0}}]{space}}}\n");
        let (envelope, _facts) = read_chat(Bytes::from(format!("{head}\"hermes-router\"{tail}"))).unwrap();
        let quirks = Quirks::default();
        let outgoing = Outgoing { max_output_cap: Some(100), reasoning_reserve: 10, ..Outgoing::new(&model, &quirks) };
        prop_assert_eq!(prepare(&envelope, &outgoing).body, format!("{head}\"{model}\"{tail}"));
    }

    #[test]
    fn the_events_of_a_reply_fold_to_it(reply in any_reply()) {
        prop_assert_eq!(fold(&unfold(&reply)), reply);
    }

    #[test]
    fn a_stream_says_what_the_whole_reply_says(reply in any_reply(), places in vec(any::<prop::sample::Index>(), 0..12)) {
        let stream = written(&unfold(&reply));
        prop_assert_eq!(&fold(&decoded(&cut(&stream, &places))), &reply);
        prop_assert_eq!(&reply::decode(&reply::encode(&reply, &plain()), &[], Millis(0)).unwrap(), &reply);
    }

    #[test]
    fn writing_and_reading_again_keeps_the_fold(reply in any_reply()) {
        let once = decoded(&[written(&unfold(&reply)).into()]);
        let twice = decoded(&[written(&once).into()]);
        prop_assert_eq!(fold(&once), fold(&twice));
    }

    #[test]
    fn a_watched_stream_is_the_same_however_it_is_cut(
        reply in any_reply(),
        crlf in any::<bool>(),
        places in vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut stream = written(&unfold(&reply));
        if crlf {
            stream = String::from_utf8(stream).unwrap().replace('\n', "\r\n").into_bytes();
        }
        let mut watch = Watch::new(false);
        let mut out = Vec::new();
        for chunk in cut(&stream, &places) {
            watch.push(chunk, &mut out).unwrap();
        }
        watch.finish(&mut out).unwrap();
        // The last line feed may still be on its way when the end is already known.
        let passed = out.concat();
        prop_assert!(stream.starts_with(&passed) && stream.len() - passed.len() <= 1);
        prop_assert_eq!(watch.usage(), reply.usage.unwrap_or_default());
        prop_assert_eq!(watch.finish_reason().unwrap().kind(), reply.finish.unwrap().kind());
    }

    #[test]
    fn no_bytes_make_the_watch_panic(chunks in vec(vec(any::<u8>(), 0..40), 0..6)) {
        let mut watch = Watch::new(false);
        let mut out = Vec::new();
        for chunk in chunks {
            if watch.push(chunk.into(), &mut out).is_err() {
                return Ok(());
            }
        }
        prop_assert!(watch.finish(&mut out).is_err() || watch.is_good());
    }

    #[test]
    fn no_body_makes_the_checks_panic(body in r#"[\[\]{}:," a-z0-9\\]{0,40}"#) {
        let _facts = read_chat(Bytes::from(format!("{{\"model\":\"m\",\"messages\":{body}}}")));
    }
}
