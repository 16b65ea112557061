//! Requests and replies as they are recorded, with something in them that should not be there: they are refused or
//! served, and whoever reads them stays on their feet.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped here fails the test")]
#![allow(clippy::disallowed_methods, reason = "a test may read what is recorded")]

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use hr_core::catalog::{Dialect, Provider, QUIRK_FUNCTIONS, Quirks, builtin};
use hr_core::time::Millis;
use hr_wire::Envelope;
use hr_wire::dialect::{Echo, Outgoing, WatchOptions, client_half, upstream_half};
use hr_wire::hub::{Fingerprint, Names};
use hr_wire::lane::{Translated, Watch, translate_whole};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

const NOW: Millis = Millis(1_790_000_000_000);

/// The recorded texts of a dialect whose names end so.
fn recorded(dialect: Dialect, end: &str) -> Vec<String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(dialect.name());
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.retain(|path| path.to_str().unwrap().ends_with(end));
    paths.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

static REQUESTS: LazyLock<Vec<(Dialect, Value)>> = LazyLock::new(|| values(".request.json"));
static REPLIES: LazyLock<Vec<(Dialect, Value)>> = LazyLock::new(|| values(".reply.json"));
static STREAMS: LazyLock<Vec<(Dialect, String)>> = LazyLock::new(|| {
    let all = |dialect| recorded(dialect, ".stream.txt").into_iter().map(move |text| (dialect, text));
    Dialect::ALL.into_iter().flat_map(all).collect()
});

fn values(end: &str) -> Vec<(Dialect, Value)> {
    let all = |dialect| {
        let read = move |text: String| Some((dialect, serde_json::from_str(&text).ok()?));
        recorded(dialect, end).into_iter().filter_map(read)
    };
    Dialect::ALL.into_iter().flat_map(all).collect()
}

fn provider(dialect: Dialect) -> Arc<Provider> {
    builtin().providers.iter().find(|provider| provider.dialect == dialect).cloned().unwrap()
}

/// What may be put anywhere.
fn odd() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(1e300),
        json!(18446744073709551615_u64),
        json!(""),
        json!(" "),
        json!("hr1."),
        json!("data:image/png;base64,"),
        json!("é😀\u{0}\n\"\\"),
        json!([]),
        json!([[]]),
        json!(["text", "a"]),
        json!([null, {}]),
        json!({}),
        json!({"type": "text"}),
        json!({"type": "tool_result", "tool_use_id": "x", "content": [{"type": "image"}]}),
        json!({"type": "thinking", "thinking": "", "signature": "hr1.e30"}),
        json!({"role": "tool", "tool_call_id": "x", "content": ""}),
        json!({"type": "function_call_output", "call_id": "x", "output": [{}]}),
    ])
}

/// Puts a value somewhere into another, in place of what is there or beside it.
fn mutate(whole: &mut Value, path: &[Index], odd: &Value, beside: bool) {
    let Some((step, rest)) = path.split_first() else { return whole.clone_from(odd) };
    let inner = match whole {
        Value::Array(items) if beside && rest.is_empty() => {
            let place = step.index(items.len() + 1);
            return items.insert(place, odd.clone());
        }
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
        Some(inner) => mutate(inner, rest, odd, beside),
        None => whole.clone_from(odd),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn an_odd_request_is_refused_or_written(
        case in any::<Index>(),
        path in vec(any::<Index>(), 1..7),
        odd in odd(),
        beside in any::<bool>(),
    ) {
        let (from, body) = case.get(&REQUESTS);
        let mut body = body.clone();
        mutate(&mut body, &path, &odd, beside);
        let Ok((envelope, facts)) = client_half(*from).read(body.to_string().into()) else { return Ok(()) };
        let Ok(decoded) = client_half(*from).decode(&envelope) else { return Ok(()) };
        let functions = QUIRK_FUNCTIONS.iter().map(|name| (*name).to_owned()).collect();
        let quirks = Quirks { functions, ..Quirks::default() };
        let mut foreign: Vec<Fingerprint> = facts.opaque.iter().step_by(2).copied().collect();
        foreign.sort_unstable();
        for to in Dialect::ALL {
            let outgoing =
                Outgoing { max_output_cap: Some(3000), foreign: &foreign, ..Outgoing::new("theirs", &quirks) };
            let written = if to == *from {
                envelope.clone()
            } else {
                Envelope::read(upstream_half(to).encode(&decoded.request, &outgoing).body).unwrap()
            };
            let sent = upstream_half(to).prepare(&written, &outgoing).body;
            prop_assert!(serde_json::from_slice::<Value>(&sent).unwrap().is_object());
        }
    }

    #[test]
    fn an_odd_reply_fails_or_is_told(
        case in any::<Index>(),
        path in vec(any::<Index>(), 1..7),
        odd in odd(),
        beside in any::<bool>(),
    ) {
        let (from, body) = case.get(&REPLIES);
        let mut body = body.clone();
        mutate(&mut body, &path, &odd, beside);
        let body = Bytes::from(body.to_string());
        let upstream = upstream_half(*from);
        upstream.read_whole(&body, &[], NOW).ok();
        upstream.to_stream(&body).ok();
        for to in Dialect::ALL {
            let (client, provider) = (client_half(to), provider(*from));
            let told = translate_whole(client, upstream, &Names::default(), &Echo::default(), &body, &provider, NOW);
            if let Ok(told) = told {
                prop_assert!(serde_json::from_slice::<Value>(&told.body).unwrap().is_object());
            }
        }
    }

    #[test]
    fn an_odd_event_fails_or_is_told(
        case in any::<Index>(),
        place in any::<Index>(),
        path in vec(any::<Index>(), 1..7),
        odd in odd(),
        beside in any::<bool>(),
    ) {
        let (from, text) = case.get(&STREAMS);
        let mut events: Vec<String> = text.split_inclusive("\n\n").map(str::to_owned).collect();
        let event = place.index(events.len());
        if let Some((head, data)) = events[event].split_once("data:")
            && let Ok(mut data) = serde_json::from_str::<Value>(data)
        {
            mutate(&mut data, &path, &odd, beside);
            events[event] = format!("{head}data:{data}\n\n");
        }
        let bytes = Bytes::from(events.concat());
        let upstream = upstream_half(*from);
        let options =
            WatchOptions { hide_usage: true, keep: true, echo: Arc::default(), provider: provider(*from), now: NOW };
        let mut lanes: Vec<Box<dyn Watch>> = vec![upstream.watch(options.clone())];
        for to in Dialect::ALL {
            let names = Names::default();
            lanes.push(Box::new(Translated::new(client_half(to), upstream, names, options.clone())));
        }
        for mut lane in lanes {
            let mut out = Vec::new();
            if lane.push(bytes.clone(), &mut out).and_then(|()| lane.finish(&mut out)).is_ok() {
                lane.reply();
                lane.keepsake();
            }
        }
        if let Ok(whole) = upstream.to_whole(&bytes, &provider(*from), NOW) {
            upstream.to_stream(&whole).ok();
        }
    }
}
