//! What becomes of streams, good and bad, in the native lane.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped here fails the test")]

use bytes::Bytes;
use hr_core::failure::FailureKind;
use hr_wire::openai_chat::error;
use hr_wire::openai_chat::stream::Watch;
use hr_wire::refusal::Refusal;

const HELLO: &str =
    r#"data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"Hello"},"finish_reason":null}]}"#;
const STOP: &str = r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
const USAGE: &str = r#"data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#;
const DONE: &str = "data: [DONE]";

struct Seen {
    watch: Watch,
    out: String,
    ended: Result<(), FailureKind>,
}

fn see(hide_usage: bool, events: &[&str]) -> Seen {
    let stream: String = events.iter().map(|event| format!("{event}\n\n")).collect();
    let mut watch = Watch::new(hide_usage);
    let mut out = Vec::new();
    let ended = watch.push(Bytes::from(stream), &mut out).and_then(|()| watch.finish(&mut out));
    let out = String::from_utf8(out.concat()).unwrap();
    Seen { watch, out, ended: ended.map_err(|failure| failure.kind) }
}

fn kept(events: &[&str]) -> String {
    events.iter().map(|event| format!("{event}\n\n")).collect()
}

#[test]
fn a_chunk_of_good_events_goes_out_as_it_is() {
    let chunk = Bytes::from(kept(&[HELLO, HELLO]));
    let mut watch = Watch::new(false);
    let mut out = Vec::new();
    watch.push(chunk.clone(), &mut out).unwrap();
    assert_eq!((out.len(), out[0].as_ptr(), out[0].len()), (1, chunk.as_ptr(), chunk.len()));
}

#[test]
fn a_finish_reason_ends_a_stream_well() {
    let with = see(false, &[HELLO, STOP, DONE]);
    assert_eq!((with.ended, with.out), (Ok(()), kept(&[HELLO, STOP, DONE])));
    let without = see(false, &[HELLO, STOP]);
    assert_eq!((without.ended, without.out), (Ok(()), kept(&[HELLO, STOP, DONE])));
    let after = see(false, &[HELLO, STOP, DONE, HELLO, "data: nonsense", "data: more"]);
    assert_eq!((after.ended, after.out), (Ok(()), kept(&[HELLO, STOP, DONE])));
}

#[test]
fn an_end_without_a_finish_reason_is_a_cut() {
    assert_eq!(see(false, &[HELLO]).ended, Err(FailureKind::Cut));
    assert_eq!(see(false, &[HELLO, DONE]).ended, Err(FailureKind::Cut));
    let two = r#"data: {"choices":[{"index":1,"delta":{"content":"b"}}]}"#;
    assert_eq!(see(false, &[HELLO, two, STOP, DONE]).ended, Err(FailureKind::Cut));
    let half = see(false, &[HELLO, r#"data: {"choices":[{"index":0,"del"#]);
    assert_eq!(half.ended, Err(FailureKind::Cut));
}

#[test]
fn nothing_said_is_empty() {
    let blank = r#"data: {"choices":[{"index":0,"delta":{"role":"assistant","content":" \n"}}]}"#;
    assert_eq!(see(false, &[]).ended, Err(FailureKind::Empty));
    assert_eq!(see(false, &[": ping"]).ended, Err(FailureKind::Empty));
    let said_nothing = see(false, &[blank, STOP, DONE]);
    assert!(!said_nothing.watch.is_good());
    assert_eq!(said_nothing.ended, Err(FailureKind::Empty));
    let filtered = r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"content_filter"}]}"#;
    assert_eq!(see(false, &[filtered]).ended, Err(FailureKind::ContentRefused));
}

#[test]
fn what_is_good_is_known_at_once() {
    let deltas = [
        r#"{"content":"x"}"#,
        r#"{"reasoning_content":"x"}"#,
        r#"{"reasoning":"x"}"#,
        r#"{"refusal":"x"}"#,
        r#"{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]}"#,
        r#"{"content":[{"type":"text","text":"x"}]}"#,
    ];
    for delta in deltas {
        let event = format!(r#"data: {{"choices":[{{"index":0,"delta":{delta}}}]}}"#);
        assert!(see(false, &[&event]).watch.is_good(), "{delta}");
    }
    for delta in [r#"{"role":"assistant","content":""}"#, r#"{"tool_calls":[]}"#, r#"{"content":null}"#, "{}"]
    {
        let event = format!(r#"data: {{"choices":[{{"index":0,"delta":{delta}}}]}}"#);
        assert!(!see(false, &[&event]).watch.is_good(), "{delta}");
    }
}

#[test]
fn one_unreadable_event_is_withheld_and_a_second_ends_it() {
    let once = see(false, &[HELLO, "data: {\"choices\":[", STOP, DONE]);
    assert_eq!((once.ended, once.watch.withheld(), once.out), (Ok(()), 1, kept(&[HELLO, STOP, DONE])));
    let twice = see(false, &[HELLO, "data: oops", "data: 7", STOP, DONE]);
    assert_eq!((twice.ended, twice.out), (Err(FailureKind::Malformed), kept(&[HELLO])));
}

#[test]
fn errors_in_a_stream_are_failures() {
    let table = [
        (r#"data: {"error":{"message":"Rate limit exceeded","code":429}}"#, FailureKind::RateLimited),
        (r#"data: {"error":"something broke"}"#, FailureKind::ServerError),
        (
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}",
            FailureKind::Overloaded,
        ),
        (r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"error"}]}"#, FailureKind::ServerError),
        (r#"{"error":{"message":"bad key","code":401}}"#, FailureKind::BadKey),
        ("<html>", FailureKind::Malformed),
        (r#"{"id":"1","choices":[{"message":{"content":"x"}}]}"#, FailureKind::Malformed),
        (r#"data: {"status":429,"title":"Too Many Requests"}"#, FailureKind::RateLimited),
    ];
    for (event, kind) in table {
        assert_eq!(see(false, &[event]).ended, Err(kind), "{event}");
        let late = see(false, &[HELLO, event, STOP]);
        assert_eq!((late.ended, late.out), (Err(kind), kept(&[HELLO])), "{event}");
    }
}

#[test]
fn usage_is_hidden_only_where_it_was_not_asked_for() {
    let shown = see(false, &[HELLO, STOP, USAGE, DONE]);
    assert_eq!(shown.out, kept(&[HELLO, STOP, USAGE, DONE]));
    let hidden = see(true, &[HELLO, STOP, USAGE, DONE]);
    assert_eq!(hidden.out, kept(&[HELLO, STOP, DONE]));
    assert_eq!((hidden.watch.usage().input, hidden.watch.usage().output), (Some(3), Some(4)));
    let inside =
        r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":3}}"#;
    assert_eq!(see(true, &[HELLO, inside, DONE]).out, kept(&[HELLO, inside, DONE]));
}

#[test]
fn what_only_disturbs_clients_is_kept_from_them() {
    let named = format!("id: 7\nretry: 10\n{HELLO}");
    let seen = see(false, &[": note", "event: ping\ndata: {}", &named, STOP, "data: [DONE] "]);
    assert_eq!(seen.out, kept(&[": note", ": keep-alive", HELLO, STOP, DONE]));
    assert_eq!(seen.ended, Ok(()));
}

#[test]
fn a_cut_is_told_in_one_event() {
    let event = error::event(&Refusal::new(502, "the provider broke off").code("stream_interrupted"));
    let text = std::str::from_utf8(&event).unwrap();
    let json = text.strip_prefix("data: ").and_then(|rest| rest.strip_suffix("\n\n")).unwrap();
    let value: serde_json::Value = serde_json::from_str(json).unwrap();
    assert_eq!(value["error"]["code"], "stream_interrupted");
}

#[test]
fn a_last_event_without_its_empty_line_is_completed() {
    for missing in [1, 2] {
        let stream = kept(&[HELLO, STOP]);
        let mut watch = Watch::new(false);
        let mut out = Vec::new();
        watch.push(Bytes::from(stream[..stream.len() - missing].to_owned()), &mut out).unwrap();
        watch.finish(&mut out).unwrap();
        assert_eq!(String::from_utf8(out.concat()).unwrap(), kept(&[HELLO, STOP, DONE]));
    }
}
