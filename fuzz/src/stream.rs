//! Streams of providers: whatever comes, callers of every dialect get whole events and exactly one end, the same
//! however the network cuts it.

use std::sync::Arc;

use bytes::Bytes;
use hr_core::catalog::{Catalog, Dialect, Provider, builtin};
use hr_core::time::Millis;
use hr_wire::dialect::{ClientHalf, Echo, client_half, upstream_half};
use hr_wire::hub::Event;
use hr_wire::refusal::Refusal;
use hr_wire::sse;
use serde_json::Value;

use crate::{chunks, with_cuts};

/// When all of this happens, in milliseconds and seconds.
const NOW: u64 = 1_790_000_000;

/// Reads a stream of this dialect, writes it in all, and folds it to a whole reply.
pub fn check(dialect: Dialect, input: &[u8]) {
    let provider = provider(dialect);
    let (stream, cuts) = with_cuts(input);
    let (events, ended_well) = decode(dialect, &provider, stream, &[]);
    assert_eq!((&events, ended_well), (&{ decode(dialect, &provider, stream, cuts).0 }, ended_well));
    for client in Dialect::ALL {
        let written = encode(client_half(client), &events, ended_well);
        is_event_stream(&written);
    }
    let stream = Bytes::copy_from_slice(stream);
    if let Ok(whole) = upstream_half(dialect).to_whole(&stream, &provider, Millis(NOW * 1000)) {
        check_whole(dialect, &whole);
    }
}

/// Reads a whole reply of this dialect, and writes it in all.
pub fn check_whole(dialect: Dialect, body: &[u8]) {
    let upstream = upstream_half(dialect);
    let rows = &provider(dialect).errors;
    let read = upstream.read_whole(body, rows, Millis(NOW * 1000));
    let decoded = upstream.decode(body, rows, Millis(NOW * 1000));
    // The other way round may be: a caller of the same dialect can make more of an odd field than the hub.
    if let (Err(failure), Ok(reply)) = (&read, &decoded) {
        panic!("an answer for callers of other dialects, none for those of its own: {failure:?}, {reply:?}");
    }
    let Ok(reply) = decoded else { return };
    for client in Dialect::ALL {
        let written =
            client_half(client).encode(&reply, &Echo { model: "asked-for".into(), ..Echo::default() });
        let written: Value = serde_json::from_slice(&written).expect("a whole reply is JSON");
        assert!(written.is_object(), "a whole reply is an object: {written}");
    }
}

/// A provider of this dialect, with the rows that its errors are read by.
fn provider(dialect: Dialect) -> Arc<Provider> {
    static CATALOG: std::sync::LazyLock<Catalog> = std::sync::LazyLock::new(builtin);
    let mut all = CATALOG.providers.iter();
    all.find(|provider| provider.dialect == dialect).expect("each dialect has a provider").clone()
}

fn decode(dialect: Dialect, provider: &Arc<Provider>, stream: &[u8], cuts: &[u8]) -> (Vec<Event>, bool) {
    let mut frames = sse::Decoder::default();
    let mut decoder = upstream_half(dialect).decoder(provider, Millis(NOW * 1000));
    let mut events = Vec::new();
    for chunk in chunks(stream, cuts) {
        frames.push(Bytes::copy_from_slice(chunk));
        while let Some(frame) = frames.next_frame().expect("the input is far below the limit") {
            if decoder.push(&frame, &mut events).is_err() {
                return (events, false);
            }
            if decoder.is_done() {
                break;
            }
        }
    }
    if let Some(frame) = frames.finish()
        && !decoder.is_done()
        && decoder.push(&frame, &mut events).is_err()
    {
        return (events, false);
    }
    let ended_well = decoder.finish(&mut events).is_ok();
    (events, ended_well)
}

fn encode(client: &dyn ClientHalf, events: &[Event], ended_well: bool) -> Vec<u8> {
    let echo = Arc::new(Echo { model: "asked-for".into(), include_usage: true, now: NOW, ..Echo::default() });
    let mut encoder = client.encoder(&echo);
    let mut written = Vec::new();
    for event in events {
        encoder.push(event, &mut written);
        encoder.keep_alive(&mut written);
    }
    if ended_well {
        encoder.finish(&mut written);
    } else {
        encoder.fail(&Refusal::new(502, "the provider broke off"), &mut written);
    }
    written
}

fn is_event_stream(written: &[u8]) {
    let mut decoder = sse::Decoder::default();
    decoder.push(Bytes::copy_from_slice(written));
    while let Some(frame) = decoder.next_frame().expect("what was written is within the limit") {
        let Some(data) = frame.data.filter(|data| &data[..] != b"[DONE]") else { continue };
        let value: Value = serde_json::from_slice(&data).expect("an event is JSON");
        assert!(value.is_object(), "an event is an object: {value}");
    }
    assert_eq!(decoder.finish(), None, "the last event has no end");
}
