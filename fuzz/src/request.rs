//! Requests of callers: whatever is accepted can be brought to every provider.

use bytes::Bytes;
use hr_core::catalog::{Dialect, Quirks};
use hr_wire::Envelope;
use hr_wire::dialect::{Outgoing, client_half, upstream_half};
use hr_wire::refusal::Refusal;
use serde_json::Value;

use crate::parsed;

/// Reads a request of this dialect, and writes it for providers of all.
pub fn check(dialect: Dialect, input: &[u8]) {
    let client = client_half(dialect);
    let body = Bytes::copy_from_slice(input);
    let envelope = match client.read(body) {
        Ok((envelope, _)) => envelope,
        Err(bad) => return is_object(&client.refuse(&Refusal::from(&bad))),
    };
    let quirks = Quirks::default();
    for stream in [false, true] {
        let outgoing = Outgoing { stream, ..Outgoing::new("the-model", &quirks) };
        // The native lane.
        names_the_model(&upstream_half(dialect).prepare(&envelope, &outgoing).body);
        let decoded = match client.decode(&envelope) {
            Ok(decoded) => decoded,
            Err(bad) => return is_object(&client.refuse(&Refusal::from(&bad))),
        };
        for target in Dialect::ALL {
            let upstream = upstream_half(target);
            let encoded = upstream.encode(&decoded.request, &outgoing);
            let written = Envelope::read(encoded.body).expect("what was written is a request");
            names_the_model(&upstream.prepare(&written, &outgoing).body);
        }
    }
}

fn is_object(bytes: &[u8]) {
    let value: Value = serde_json::from_slice(bytes).expect("a refusal is JSON");
    assert!(value.is_object(), "a refusal is an object: {value}");
}

fn names_the_model(body: &[u8]) {
    if let Some(body) = parsed(body) {
        assert_eq!(body["model"], "the-model");
    }
}
