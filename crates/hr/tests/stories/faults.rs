//! Ten thousand replies that have a fault, in every pair of dialects, whole and streamed: what is passed on as a
//! success says all that the good reply says.

use std::sync::Arc;

use bytes::Bytes;
use hermes_router::gate::lane::Lane;
use hr_core::catalog::Provider;
use hr_core::time::Millis;
use hr_testkit::{Answer, Dialect, Fake, Script};
use hr_wire::dialect::{Echo, client_half, upstream_half};
use hr_wire::hub::Names;
use hr_wire::refusal::Refusal;
use serde_json::Value;

use crate::chance::Dice;
use crate::dialects::{CLIENTS, Client, speaking};
use crate::house::House;

/// How many replies.
const REPLIES: usize = 10_000;

/// A dialect's good reply.
struct Good {
    dialect: Client,
    stream: bool,
    body: Bytes,
    provider: Arc<Provider>,
}

/// What a caller of this dialect gets.
#[derive(Debug, PartialEq)]
enum Outcome {
    /// Nothing of it; somebody else is asked.
    Nothing,
    /// A beginning, and then these bytes.
    Broken(String),
    /// A success.
    Success(String),
}

fn dialect(client: Client) -> hr_core::catalog::Dialect {
    match client {
        Client::Chat => hr_core::catalog::Dialect::OpenaiChat,
        Client::Messages => hr_core::catalog::Dialect::Anthropic,
        Client::Responses => hr_core::catalog::Dialect::OpenaiResponses,
    }
}

/// Good replies of every dialect: as they pass to a caller of the same one.
async fn good() -> Vec<Good> {
    let mut all = Vec::new();
    for (client, upstream) in [
        (Client::Chat, Dialect::Chat),
        (Client::Messages, Dialect::Anthropic),
        (Client::Responses, Dialect::Responses),
        (Client::Responses, Dialect::Codex),
    ] {
        for answer in [
            Answer::text("Grüße, \"all\" of it: {1, 2}").chunks(6),
            Answer::text("so be it").reasoning("let me think about it"),
            Answer::tool("look", r#"{"path":"a/b","depth":[1,2]}"#).and_tool("call_2", "list", "{}"),
        ] {
            for stream in [false, true] {
                let script = Script::new().otherwise(answer.clone());
                let fake = Fake::speaking(upstream, script).await.unwrap();
                let house = House::open(&[speaking("alpha", &fake)], "").await;
                let got = house.caller().post(client.path(), &client.question("hello", stream)).await;
                assert_eq!(got.status, 200, "{}", got.text());
                let provider = Arc::clone(&house.gate.live().roster.pool.members[0].provider);
                all.push(Good { dialect: client, stream, body: got.body, provider });
            }
        }
    }
    all
}

/// What becomes of a body that comes in pieces of this size at most, for a caller who wants a stream or not.
fn pass(client: Client, good: &Good, body: &[u8], piece: usize, stream: bool) -> Outcome {
    let native = client == good.dialect;
    let lane = Lane {
        client: client_half(dialect(client)),
        upstream: upstream_half(dialect(good.dialect)),
        names: (!native).then(Names::default),
        echo: Arc::new(Echo { model: "asked-for".into(), shows_reasoning: true, ..Echo::default() }),
        hide_usage: false,
        keep: false,
    };
    if stream && !good.stream {
        return match lane.streamed(&Bytes::copy_from_slice(body), &good.provider, Millis(0), false) {
            Ok((_, out)) => Outcome::Success(text(&out.concat())),
            Err(_) => Outcome::Nothing,
        };
    }
    if !stream {
        return match lane.whole(Bytes::copy_from_slice(body), &good.provider, Millis(0)) {
            Ok(translation) => Outcome::Success(text(&translation.body)),
            Err(_) => Outcome::Nothing,
        };
    }
    let mut watch = lane.watch(&good.provider, Millis(0), false);
    let mut out = Vec::new();
    let mut pushed = Ok(());
    for chunk in body.chunks(piece) {
        pushed = watch.push(Bytes::copy_from_slice(chunk), &mut out);
        if pushed.is_err() || watch.is_done() {
            break;
        }
    }
    // What was good before may have gone out at once.
    let begun = watch.is_good();
    match pushed.and_then(|()| watch.finish(&mut out)) {
        Ok(()) => Outcome::Success(text(&out.concat())),
        Err(_) if begun => {
            out.push(watch.fail(&Refusal::new(502, "the provider broke off")));
            Outcome::Broken(text(&out.concat()))
        }
        Err(_) => Outcome::Nothing,
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn events(stream: &str) -> Vec<Value> {
    let data = stream.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim);
    data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
}

/// All that a success says: its text, and the names and arguments of its calls.
fn said(client: Client, stream: bool, body: &str) -> String {
    if !stream {
        return said_whole(client, &serde_json::from_str(body).unwrap());
    }
    let events = events(body);
    let mut said = client.streamed(&events);
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match client {
        // The last event repeats all of it.
        Client::Responses => return said_whole(client, &events.last().unwrap()["response"]),
        Client::Chat => {
            for call in
                events.iter().filter_map(|event| event["choices"][0]["delta"]["tool_calls"].as_array())
            {
                for call in call {
                    said += &(word(&call["function"]["name"]) + &word(&call["function"]["arguments"]));
                }
            }
        }
        Client::Messages => {
            for event in &events {
                said += &word(&event["content_block"]["name"]);
                said += &word(&event["delta"]["partial_json"]);
            }
        }
    }
    said
}

fn said_whole(client: Client, reply: &Value) -> String {
    let mut said = client.text(reply);
    let calls = match client {
        Client::Chat => &reply["choices"][0]["message"]["tool_calls"],
        Client::Messages => &reply["content"],
        Client::Responses => &reply["output"],
    };
    for call in calls.as_array().into_iter().flatten() {
        let call = if client == Client::Chat { &call["function"] } else { call };
        if let Some(name) = call["name"].as_str() {
            said += name;
            match (&call["arguments"], &call["input"]) {
                (Value::String(arguments), _) => said += arguments,
                (_, input) => said += &input.to_string(),
            }
        }
    }
    said
}

/// Without blanks, which JSON has where it likes.
fn dense(said: &str) -> String {
    said.split_whitespace().collect()
}

/// A reply with a fault.
fn faulted(good: &Good, others: &[Good], dice: &mut Dice) -> (String, Vec<u8>) {
    let whole = &good.body[..];
    let mut cut = |whole: &[u8]| whole[..dice.below(whole.len() as u64) as usize].to_vec();
    let kinds = 12;
    let cut_off = cut(whole);
    let kind = dice.below(kinds);
    let body = match kind {
        0..=3 => cut_off,
        4 => Vec::new(),
        5 => b" \n\n".to_vec(),
        6 => b"<html><body>502 Bad Gateway</body></html>".to_vec(),
        7 => [&cut_off[..], b"<html><body>502 Bad Gateway</body></html>"].concat(),
        8 => br#"{"error":{"message":"we are overloaded","type":"server_error","code":null}}"#.to_vec(),
        9 => {
            let error =
                r#"{"type":"error","error":{"type":"api_error","message":"broke"},"message":"broke"}"#;
            match good.stream {
                // Between two events.
                true => {
                    let end =
                        text(whole).match_indices("\n\n").map(|(place, _)| place + 2).collect::<Vec<_>>();
                    let place = end[dice.below(end.len() as u64 - 1) as usize];
                    let event = format!("event: error\ndata: {error}\n\n");
                    [&whole[..place], event.as_bytes()].concat()
                }
                false => error.as_bytes().to_vec(),
            }
        }
        10 => {
            let hollow =
                ["{}", "null", "[]", "\"text\"", "{\"choices\":[]}", "{\"content\":[]}", "{\"output\":[]}"];
            let hollow = hollow[dice.below(hollow.len() as u64) as usize];
            match good.stream {
                true => format!("data: {hollow}\n\ndata: [DONE]\n\n").into_bytes(),
                false => hollow.as_bytes().to_vec(),
            }
        }
        _ => {
            let other: Vec<&Good> = others.iter().filter(|other| other.dialect != good.dialect).collect();
            other[dice.below(other.len() as u64) as usize].body.to_vec()
        }
    };
    (format!("fault {kind}"), body)
}

#[tokio::test]
async fn no_faulted_reply_is_passed_on_as_a_success() {
    let replies = good().await;
    let mut dice = Dice(20_261_123);
    let (mut nothing, mut broken, mut whole) = (0, 0, 0);
    for number in 0..REPLIES {
        let good = &replies[dice.below(replies.len() as u64) as usize];
        let client = CLIENTS[dice.below(3) as usize];
        let piece = 1 + dice.below(400) as usize;
        // Some servers only stream, and some never do.
        let stream = if dice.below(4) == 0 { !good.stream } else { good.stream };
        let (fault, body) = faulted(good, &replies, &mut dice);
        let name = format!("{number}: {fault}, {client:?} over {:?}, stream {stream}", good.dialect);
        let Outcome::Success(best) = pass(client, good, &good.body, piece, stream) else {
            panic!("{name}: the good reply failed: {}", text(&good.body));
        };
        let best = dense(&said(client, stream, &best));
        assert!(!best.is_empty(), "{name}");
        match pass(client, good, &body, piece, stream) {
            Outcome::Nothing => nothing += 1,
            Outcome::Broken(out) => {
                broken += 1;
                assert!(client.is_broken(&events(&out)), "{name}: {out}");
                assert!(!client.is_whole(&out), "{name}: {out}");
            }
            Outcome::Success(out) => {
                // Cut behind the last word, all the same.
                whole += 1;
                assert_eq!(dense(&said(client, stream, &out)), best, "{name}: {out}");
            }
        }
    }
    // The faults were faults, early ones and late ones.
    assert!(
        nothing > REPLIES / 4 && broken > REPLIES / 20 && whole < REPLIES / 10,
        "{nothing} {broken} {whole}"
    );
}
