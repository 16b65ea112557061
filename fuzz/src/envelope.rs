//! The envelope of a request: what it accepts is JSON, and an edit changes what it names and nothing else.

use bytes::Bytes;
use hr_wire::{Edit, Envelope};
use serde_json::Value;

use crate::parsed;

/// What an edit sets.
const NEW_VALUE: &str = r#"{"set":["é",1e3]}"#;

/// Reads a body, edits it in every way, and compares with a JSON parser of others.
pub fn check(input: &[u8]) {
    let Ok(envelope) = Envelope::read(Bytes::copy_from_slice(input)) else { return };
    let Some(object) = parsed(envelope.bytes()) else { return };
    let object = object.as_object().expect("the envelope accepts objects only");
    let keys: Vec<String> = envelope.keys().map(str::to_owned).collect();
    for key in &keys {
        let value = envelope.get(key).expect("a key that is there has a value");
        assert_eq!(&value_of(value), &object[key], "`{key}` reads differently");
    }

    assert_eq!(envelope.splice(&[]), envelope.bytes(), "no edit, and yet a change");
    for key in keys.iter().map(String::as_str).chain(["model", "a key that is not there"]) {
        let mut set = object.clone();
        set.insert(key.to_owned(), value_of(NEW_VALUE));
        same(&envelope.splice(&[Edit::Set { key, value_json: NEW_VALUE.into() }]), &set);

        let mut removed = object.clone();
        removed.shift_remove(key);
        same(&envelope.splice(&[Edit::Remove { key }]), &removed);
    }
}

fn value_of(text: &str) -> Value {
    serde_json::from_str(text).expect("a value of a JSON text that was accepted")
}

fn same(bytes: &[u8], expected: &serde_json::Map<String, Value>) {
    let found: Value = serde_json::from_slice(bytes).expect("an edited body is JSON");
    assert_eq!(found.as_object(), Some(expected));
}
