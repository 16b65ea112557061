//! The translated lane: what becomes of streams and whole replies on their way through the hub.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped here fails the test")]

use std::sync::Arc;

use bytes::Bytes;
use hr_core::catalog::{Provider, builtin};
use hr_core::failure::{Failure, FailureKind};
use hr_core::time::Millis;
use hr_wire::dialect::{ClientHalf, Echo, WatchOptions};
use hr_wire::hub::{NameRules, Names, Tool, ToolKind};
use hr_wire::lane::{Translated, Watch, translate_whole};
use hr_wire::openai_chat::{Completions, OpenaiChat};
use hr_wire::refusal::Refusal;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

fn provider() -> Arc<Provider> {
    Arc::clone(builtin().find("groq").unwrap())
}

fn echo() -> Echo {
    Echo {
        model: "asked".into(),
        include_usage: true,
        shows_reasoning: true,
        nonce: 7,
        now: 1_700_000_000,
        ..Echo::default()
    }
}

fn options(echo: Echo) -> WatchOptions {
    WatchOptions {
        hide_usage: false,
        keep: false,
        echo: Arc::new(echo),
        provider: provider(),
        now: Millis(0),
    }
}

fn lane(client: &dyn ClientHalf, names: Names, echo: Echo) -> Translated {
    Translated::new(client, &OpenaiChat, names, options(echo))
}

struct Seen {
    lane: Translated,
    out: String,
    ended: Result<(), Failure>,
}

fn drive(mut lane: Translated, chunks: impl IntoIterator<Item = Bytes>) -> Seen {
    let mut out = Vec::new();
    let mut ended = Ok(());
    for chunk in chunks {
        ended = ended.and_then(|()| lane.push(chunk, &mut out));
    }
    let ended = ended.and_then(|()| lane.finish(&mut out));
    Seen { lane, out: String::from_utf8(out.concat()).unwrap(), ended }
}

fn stream(events: &[Value]) -> Bytes {
    let mut text: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    text.push_str("data: [DONE]\n\n");
    text.into()
}

fn delta(delta: Value) -> Value {
    json!({"id": "r1", "model": "m", "created": 5, "choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
}

fn finish(word: &str) -> Value {
    json!({"choices": [{"index": 0, "delta": {}, "finish_reason": word}]})
}

fn call(index: u64, id: &str, name: &str, arguments: Value) -> Value {
    let function = json!({"name": name, "arguments": arguments});
    delta(json!({"tool_calls": [{"index": index, "id": id, "type": "function", "function": function}]}))
}

fn see(events: &[Value]) -> Seen {
    drive(lane(&OpenaiChat, Names::default(), echo()), [stream(events)])
}

fn chunks(out: &str) -> Vec<Value> {
    out.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect()
}

/// The id, the name and the input of a call.
type Called = (String, String, String);

/// What a client of this dialect puts together: text, reasoning, calls by index, finish.
fn heard(out: &str) -> (String, String, Vec<Called>, Option<String>) {
    let (mut text, mut reasoning, mut calls, mut finish) = (String::new(), String::new(), Vec::new(), None);
    for chunk in chunks(out) {
        let Some(choice) = chunk["choices"].get(0) else { continue };
        text.push_str(choice["delta"]["content"].as_str().unwrap_or_default());
        reasoning.push_str(choice["delta"]["reasoning_content"].as_str().unwrap_or_default());
        for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
            let index = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
            if let Some(id) = call["id"].as_str() {
                assert_eq!(index, calls.len(), "calls are numbered from 0");
                let kind = call["type"].as_str().unwrap();
                calls.push((id.to_owned(), call[kind]["name"].as_str().unwrap().to_owned(), String::new()));
            }
            for input in [&call["function"]["arguments"], &call["custom"]["input"]] {
                calls[index].2.push_str(input.as_str().unwrap_or_default());
            }
        }
        if let Some(word) = choice["finish_reason"].as_str() {
            assert_eq!(finish, None, "one finish reason");
            finish = Some(word.to_owned());
        }
    }
    (text, reasoning, calls, finish)
}

fn kind(seen: &Seen) -> FailureKind {
    let failure = seen.ended.as_ref().unwrap_err();
    assert!(!seen.out.contains("[DONE]"), "an end after a failure");
    assert!(!seen.out.contains("\"finish_reason\":\""), "a finish before a failure");
    failure.kind
}

#[test]
fn the_grammar_is_that_of_strict_clients() {
    let usage =
        json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 9}});
    let seen = see(&[
        delta(json!({"role": "assistant", "content": ""})),
        delta(json!({"role": "assistant", "reasoning": "hm"})),
        delta(json!({"content": "Hi"})),
        finish("stop"),
        usage,
    ]);
    seen.ended.unwrap();
    let chunks = chunks(&seen.out);
    assert_eq!(chunks[0]["choices"][0]["delta"], json!({"role": "assistant", "content": ""}));
    assert_eq!(seen.out.matches("\"role\"").count(), 1);
    for chunk in &chunks {
        assert_eq!((&chunk["object"], &chunk["created"]), (&json!("chat.completion.chunk"), &json!(5)));
        assert_eq!(chunk["id"], chunks[0]["id"]);
        assert!(chunk["id"].as_str().unwrap().starts_with("chatcmpl-"));
    }
    let last = chunks.last().unwrap();
    // What the total counts beside is reasoning that was left out.
    let counts = json!({"prompt_tokens": 3, "completion_tokens": 6, "total_tokens": 9});
    assert_eq!((&last["choices"], &last["usage"]), (&json!([]), &counts));
    assert_eq!(chunks.iter().filter(|chunk| !chunk["usage"].is_null()).count(), 1);
    assert!(seen.out.ends_with("data: [DONE]\n\n"));
    assert_eq!(heard(&seen.out).1, "hm");
}

#[test]
fn nothing_good_came_before_something_was_said() {
    let mut lane = lane(&OpenaiChat, Names::default(), echo());
    let mut out = Vec::new();
    let blank = stream(&[delta(json!({"role": "assistant", "content": "", "tool_calls": []}))]);
    lane.push(blank.slice(..blank.len() - 14), &mut out).unwrap();
    lane.push(Bytes::from_static(b": comment\n\n"), &mut out).unwrap();
    assert!(!lane.is_good());
    lane.push(format!("data: {}\n\n", delta(json!({"content": "x"}))).into(), &mut out).unwrap();
    assert!(lane.is_good() && !lane.is_finished());
    lane.push(format!("data: {}\n\n", finish("stop")).into(), &mut out).unwrap();
    assert!(lane.is_finished() && !lane.is_done());
    // The connection may end any way now.
    lane.finish(&mut out).unwrap();
    assert!(lane.is_done());
}

#[test]
fn the_finish_is_borne_out_by_what_was_said() {
    let called = call(0, "c", "f", json!("{\"a\":1}"));
    let word = |events: &[Value]| heard(&see(events).out).3;
    assert_eq!(word(&[called.clone(), finish("stop")]).as_deref(), Some("tool_calls"));
    assert_eq!(word(&[called.clone(), finish("")]).as_deref(), Some("tool_calls"), "the end mark is enough");
    assert_eq!(word(&[called.clone(), finish("length")]).as_deref(), Some("length"));
    assert_eq!(word(&[delta(json!({"content": "x"})), finish("tool_calls")]).as_deref(), Some("stop"));
    assert_eq!(word(&[delta(json!({"content": "x"})), finish("whatever")]).as_deref(), Some("stop"));
    let half = call(0, "c", "f", json!("{\"a\":"));
    assert_eq!(kind(&see(&[half.clone(), finish("tool_calls")])), FailureKind::Malformed);
    assert_eq!(word(&[half, finish("length")]).as_deref(), Some("length"));
}

#[test]
fn failures_inside_a_stream_are_failures() {
    let said = || delta(json!({"content": "Hello"}));
    let error = |error: Value| json!({"error": error});
    let limited =
        error(json!({"message": "Rate limit reached", "code": "rate_limit_exceeded", "code_": 429}));
    assert_eq!(kind(&see(&[said(), limited])), FailureKind::RateLimited);
    assert_eq!(kind(&see(&[json!({"status": 429, "title": "Too Many Requests"})])), FailureKind::RateLimited);
    assert_eq!(kind(&see(&[said(), finish("error")])), FailureKind::ServerError);
    assert_eq!(kind(&see(&[said()])), FailureKind::Cut);
    assert_eq!(kind(&see(&[finish("stop")])), FailureKind::Empty);
    assert_eq!(kind(&see(&[finish("content_filter")])), FailureKind::ContentRefused);
    let raw = |text: &'static str| {
        drive(lane(&OpenaiChat, Names::default(), echo()), [Bytes::from_static(text.as_bytes())])
    };
    assert_eq!(kind(&raw("")), FailureKind::Empty);
    assert_eq!(kind(&raw("<html>busy</html>")), FailureKind::Malformed);
    assert_eq!(kind(&raw(r#"{"error":{"message":"Rate limit","code":429}}"#)), FailureKind::RateLimited);
    assert_eq!(kind(&raw("event: error\ndata: {\"message\":\"overloaded\"}\n\n")), FailureKind::Overloaded);
}

#[test]
fn one_event_that_is_no_json_is_passed_over() {
    let with = |slips: usize| {
        let said = format!("data: {}\n\n", delta(json!({"content": "x"})));
        let end = format!("data: {}\n\ndata: [DONE]\n\n", finish("stop"));
        let text = format!("{said}{}{end}", "data: {\"cho\n\n".repeat(slips));
        drive(lane(&OpenaiChat, Names::default(), echo()), [text.into()])
    };
    let one = with(1);
    assert_eq!((one.ended.clone(), one.lane.withheld()), (Ok(()), 1));
    assert_eq!(kind(&with(2)), FailureKind::Malformed);
}

#[test]
fn calls_are_put_together_however_they_come() {
    let piece = |piece: Value| delta(json!({"tool_calls": [piece]}));
    let calls = |events: &[Value]| {
        let seen = see(&[events, &[finish("tool_calls")]].concat());
        assert_eq!(seen.ended, Ok(()));
        heard(&seen.out).2
    };
    let of = |id: &str, name: &str, arguments: &str| (id.to_owned(), name.to_owned(), arguments.to_owned());
    // Interleaved, starting at 1, with names repeated.
    let interleaved = calls(&[
        call(1, "x", "f", json!("")),
        call(1, "x", "f", json!("{\"a\":")),
        call(2, "y", "g", json!("{\"b\":")),
        piece(json!({"index": 1, "function": {"arguments": "1}"}})),
        piece(json!({"index": 2, "id": "", "function": {"name": "", "arguments": "2}"}})),
    ]);
    assert_eq!(interleaved, [of("x", "f", "{\"a\":1}"), of("y", "g", "{\"b\":2}")]);
    // All at index 0, told apart by their ids; no id twice.
    let alike = calls(&[call(0, "x", "f", json!("{}")), call(0, "y", "g", json!("{}"))]);
    assert_eq!(alike, [of("x", "f", "{}"), of("y", "g", "{}")]);
    let same = calls(&[call(0, "x", "f", json!("{}")), call(1, "x", "g", json!("{}"))]);
    assert_eq!(same, [of("x", "f", "{}"), of("x_2", "g", "{}")]);
    // The whole once more at the end, as text or as the value itself.
    let twice = calls(&[
        call(0, "x", "f", json!("{\"a\":1}")),
        piece(json!({"index": 0, "function": {"arguments": "{\"a\":1}"}})),
    ]);
    assert_eq!(twice, [of("x", "f", "{\"a\":1}")]);
    let value = calls(&[call(0, "x", "f", json!({"a": 1}))]);
    assert_eq!(value, [of("x", "f", "{\"a\":1}")]);
    // Without arguments, without an id, and the name in pieces.
    let none = calls(&[call(0, "x", "f", Value::Null)]);
    assert_eq!(none, [of("x", "f", "{}")]);
    let named = calls(&[
        call(0, "x", "get_", json!("")),
        piece(json!({"index": 0, "function": {"name": "weather", "arguments": "{}"}})),
    ]);
    assert_eq!(named, [of("x", "get_weather", "{}")]);
    let nameless = calls(&[
        piece(json!({"function": {"name": "f", "arguments": "{}"}})),
        piece(json!({"function": {"name": "g", "arguments": "{}"}})),
    ]);
    assert_eq!(nameless.iter().map(|call| call.1.as_str()).collect::<Vec<_>>(), ["f", "g"]);
    assert!(nameless[0].0.starts_with("call_") && nameless[0].0 != nameless[1].0);
}

#[test]
fn reasoning_is_said_once() {
    let spelled = json!({
        "reasoning": "hm", "reasoning_content": "hm",
        "reasoning_details": [{"type": "reasoning.text", "text": "hm"}], "content": "x",
    });
    let (text, reasoning, ..) = heard(&see(&[delta(spelled), finish("stop")]).out);
    assert_eq!((text.as_str(), reasoning.as_str()), ("x", "hm"));
    let parts = json!({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "x"}]});
    let (text, reasoning, ..) = heard(&see(&[delta(parts), finish("stop")]).out);
    assert_eq!((text.as_str(), reasoning.as_str()), ("x", "hm"));
    let hidden = Echo { shows_reasoning: false, ..echo() };
    let events = [delta(json!({"reasoning": "hm"})), finish("stop")];
    let seen = drive(lane(&OpenaiChat, Names::default(), hidden), [stream(&events)]);
    assert_eq!(kind(&seen), FailureKind::Empty, "an answer of which the caller sees nothing");
}

#[test]
fn what_is_beside_a_call_is_kept_for_the_caller() {
    let extra = json!({"google": {"thought_signature": "s"}});
    let mut signed = call(0, "c", "f", json!("{}"));
    signed["choices"][0]["delta"]["tool_calls"][0]["extra_content"] = extra.clone();
    let seen = see(&[delta(json!({"reasoning": "hm"})), signed, finish("tool_calls")]);
    let mut lane = seen.lane;
    let keepsake = lane.keepsake().unwrap();
    let opaque = keepsake.calls[0].opaque.clone().unwrap();
    assert_eq!((keepsake.calls[0].id.as_str(), opaque.data.as_str()), ("c", extra.to_string().as_str()));
    assert_eq!(keepsake.reasoning[0].text, "hm");
    assert_eq!(lane.issued(), [opaque.fingerprint()]);
    assert_eq!(lane.issued(), []);
    assert!(seen.out.contains(&extra.to_string()));
    assert_eq!(
        see(&[delta(json!({"reasoning": "hm", "content": "x"})), finish("stop")]).lane.keepsake(),
        None
    );
}

fn custom() -> Names {
    let tool = Tool {
        name: "apply patch".into(),
        namespace: Some("files".into()),
        description: None,
        kind: ToolKind::Custom { format: None },
        deferred: false,
        breakpoint: None,
    };
    Names::of(&[tool], NameRules { longest: 64, namespaces: false, custom: false })
}

#[test]
fn an_error_is_told_in_the_callers_dialect() {
    let mut lane = lane(&OpenaiChat, Names::default(), echo());
    let refusal = Refusal::new(502, "broke off").code("stream_interrupted");
    let told: Value = serde_json::from_slice(&lane.fail(&refusal)[6..]).unwrap();
    assert_eq!(
        (&told["error"]["code"], &told["error"]["message"]),
        (&json!("stream_interrupted"), &json!("broke off"))
    );
    assert_eq!(lane.keep_alive(), Bytes::from_static(b": keep-alive\n\n"));
}

#[test]
fn a_whole_reply_is_held_to_the_same_laws() {
    let whole = |message: Value, word: Value| {
        let body = json!({"id": "r", "model": "m", "created": 5, "choices": [{"index": 0, "message": message, "finish_reason": word}], "usage": {"prompt_tokens": 1, "completion_tokens": 2}});
        translate_whole(
            &OpenaiChat,
            &OpenaiChat,
            &Names::default(),
            &echo(),
            body.to_string().as_bytes(),
            &provider(),
            Millis(0),
        )
    };
    let calls = |arguments: &str| json!({"content": null, "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}]});
    let good = whole(calls(""), json!("stop")).unwrap();
    let body: Value = serde_json::from_slice(&good.body).unwrap();
    let choice = &body["choices"][0];
    assert_eq!((&choice["finish_reason"], &choice["logprobs"]), (&json!("tool_calls"), &Value::Null));
    assert_eq!(choice["message"]["tool_calls"][0]["function"]["arguments"], "{}");
    assert_eq!(
        (&choice["message"]["refusal"], &choice["message"]["annotations"]),
        (&Value::Null, &json!([]))
    );
    assert_eq!(body["usage"], json!({"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}));
    assert_eq!(whole(calls("{\"a\""), json!("tool_calls")).unwrap_err().kind, FailureKind::Malformed);
    assert!(whole(calls("{\"a\""), json!("length")).is_ok());
    assert_eq!(whole(json!({"content": ""}), json!("stop")).unwrap_err().kind, FailureKind::Empty);
    assert_eq!(whole(json!({"content": "half"}), json!("error")).unwrap_err().kind, FailureKind::ServerError);
    assert!(whole(json!({"content": "x"}), Value::Null).is_ok());
}

#[test]
fn prompts_are_continued() {
    let body = Bytes::from_static(br#"{"model":"m","prompt":["Once upon"],"max_tokens":9,"stream":true,"stream_options":{"include_usage":true},"seed":1,"echo":true,"best_of":1,"stop":"x"}"#);
    let (envelope, facts) = Completions.read(body).unwrap();
    assert_eq!((facts.max_output, facts.include_usage, facts.stream), (Some(9), true, true));
    let decoded = Completions.decode(&envelope).unwrap();
    assert_eq!(decoded.request.max_output, Some(9));
    assert_eq!(decoded.losses.iter().map(|loss| loss.what.as_str()).collect::<Vec<_>>(), ["echo"]);
    let refused = |prompt: &str| {
        Completions.read(format!(r#"{{"model":"m","prompt":{prompt}}}"#).into()).unwrap_err().param.unwrap()
    };
    assert_eq!(
        [refused("[\"a\",\"b\"]"), refused("[1,2]"), refused("null"), refused("[]")],
        ["prompt", "prompt[0]", "prompt", "prompt"]
    );

    let usage = json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}});
    let events =
        [delta(json!({"content": " a"})), delta(json!({"content": " time"})), finish("length"), usage];
    let seen = drive(lane(&Completions, Names::default(), echo()), [stream(&events)]);
    assert_eq!(seen.ended, Ok(()));
    let chunks = chunks(&seen.out);
    assert!(
        chunks.iter().all(|chunk| chunk["object"] == "text_completion"
            && chunk["id"].as_str().unwrap().starts_with("cmpl-"))
    );
    let text: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["text"].as_str()).collect();
    assert_eq!(text, " a time");
    assert_eq!(chunks[2]["choices"][0]["finish_reason"], "length");
    assert_eq!(chunks[3]["usage"]["total_tokens"], 7);
    assert!(seen.out.ends_with("data: [DONE]\n\n"));
    let whole =
        json!({"choices": [{"message": {"content": " a time"}, "finish_reason": "stop"}]}).to_string();
    let whole = translate_whole(
        &Completions,
        &OpenaiChat,
        &Names::default(),
        &echo(),
        whole.as_bytes(),
        &provider(),
        Millis(0),
    );
    let whole: Value = serde_json::from_slice(&whole.unwrap().body).unwrap();
    assert_eq!(
        whole["choices"],
        json!([{"text": " a time", "index": 0, "logprobs": null, "finish_reason": "stop"}])
    );
    assert_eq!((&whole["model"], &whole["created"]), (&json!("asked"), &json!(1_700_000_000)));
}

fn any_stream() -> impl Strategy<Value = Bytes> {
    let words = "[a-zé😀\"\\\\\n ]{1,6}";
    let piece = prop_oneof![
        words.prop_map(|text| delta(json!({"content": text}))),
        words.prop_map(|text| delta(json!({"reasoning_content": text}))),
        (0..3_u64, words).prop_map(|(index, text)| call(
            index,
            &format!("c{index}"),
            "f",
            json!({"a": text})
        )),
        Just(json!({"choices": [], "usage": {"prompt_tokens": 1}})),
    ];
    (vec(piece, 1..8), prop_oneof![Just("stop"), Just("length"), Just("tool_calls")], any::<bool>()).prop_map(
        |(mut pieces, word, crlf)| {
            pieces.push(delta(json!({"content": "x"})));
            pieces.push(finish(word));
            let text = String::from_utf8(stream(&pieces).to_vec()).unwrap();
            if crlf { text.replace('\n', "\r\n").into() } else { text.into() }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_cut_anywhere_is_an_error_and_a_border_anywhere_is_nothing(stream in any_stream()) {
        let whole = drive(lane(&OpenaiChat, Names::default(), echo()), [stream.clone()]);
        prop_assert_eq!(&whole.ended, &Ok(()));
        let says = heard(&whole.out);
        for at in 0..stream.len() {
            let (head, tail) = (stream.slice(..at), stream.slice(at..));
            let cut = drive(lane(&OpenaiChat, Names::default(), echo()), [head.clone()]);
            match cut.ended {
                Ok(()) => prop_assert_eq!(&heard(&cut.out), &says, "a shortened answer at {}", at),
                Err(_) => prop_assert!(!cut.out.contains("[DONE]")),
            }
            let split = drive(lane(&OpenaiChat, Names::default(), echo()), [head, tail]);
            prop_assert_eq!(&split.out, &whole.out);
        }
        let bytes = (0..stream.len()).map(|at| stream.slice(at..=at));
        let one_by_one = drive(lane(&OpenaiChat, Names::default(), echo()), bytes);
        prop_assert_eq!(&one_by_one.out, &whole.out);
    }

    #[test]
    fn free_text_comes_back_as_it_was(text in any::<String>(), places in vec(any::<prop::sample::Index>(), 0..4)) {
        let arguments = json!({"input": text}).to_string();
        let names = custom();
        let wire = names.wire(Some("files"), "apply patch").into_owned();
        let mut ends: Vec<usize> = places.iter().map(|place| place.index(arguments.len() + 1)).collect();
        ends.retain(|end| arguments.is_char_boundary(*end));
        ends.extend([0, arguments.len()]);
        ends.sort_unstable();
        let mut events = vec![call(0, "c", &wire, json!(""))];
        for pair in ends.windows(2) {
            let function = json!({"arguments": arguments[pair[0]..pair[1]]});
            events.push(delta(json!({"tool_calls": [{"index": 0, "function": function}]})));
        }
        events.push(finish("tool_calls"));
        let seen = drive(lane(&OpenaiChat, names, echo()), [stream(&events)]);
        prop_assert_eq!(&seen.ended, &Ok(()));
        prop_assert_eq!(&heard(&seen.out).2, &vec![("c".to_owned(), "apply patch".to_owned(), text)]);
    }

    #[test]
    fn no_bytes_make_the_lane_panic(chunks in vec(vec(any::<u8>(), 0..40), 0..6)) {
        let seen = drive(lane(&OpenaiChat, Names::default(), echo()), chunks.into_iter().map(Bytes::from));
        prop_assert!(seen.ended.is_err());
    }
}
