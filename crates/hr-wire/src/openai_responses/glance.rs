//! A quick look at one event as it passes: what watching needs, as slices of its text.

use crate::hub::Fingerprint;
use crate::json::{Cursor, Kind, Syntax};
use crate::patch;

use super::input::fingerprint;

/// What a look found.
#[derive(Debug, Default)]
pub(super) struct Glance<'a> {
    /// The type of the event.
    pub kind: Option<std::borrow::Cow<'a, str>>,
    /// Its number in the stream.
    pub sequence: Option<u64>,
    /// The place of the item that it is about.
    pub output_index: Option<u64>,
    /// Whether it adds something.
    pub delta: bool,
    /// The item in it.
    pub item: Option<&'a str>,
    /// The response in it.
    pub response: Option<&'a str>,
    /// Whether there is an `error` that is not `null`.
    pub error: bool,
}

impl<'a> Glance<'a> {
    /// Looks at the data of an event.
    pub(super) fn at(text: &'a str) -> Result<Self, Syntax> {
        let mut glance = Self::default();
        let mut cursor = Cursor::new(text);
        cursor.fields(|cursor, name| {
            match (name.raw, cursor.kind()?) {
                ("type", Kind::String) => glance.kind = Some(cursor.string()?.decode()),
                ("sequence_number", Kind::Number) => glance.sequence = cursor.number()?.parse().ok(),
                ("output_index", Kind::Number) => glance.output_index = cursor.number()?.parse().ok(),
                ("delta", Kind::String) => glance.delta = !cursor.string()?.is_blank(),
                ("item", Kind::Object) => glance.item = Some(cursor.skip()?),
                ("response", Kind::Object) => glance.response = Some(cursor.skip()?),
                ("error", kind) => glance.error = kind != Kind::Null,
                _ => {}
            }
            Ok::<(), Syntax>(())
        })?;
        cursor.end()?;
        Ok(glance)
    }
}

/// Whether an item is something that a caller would call an answer.
pub(super) fn answers(item: &str) -> bool {
    let kind = patch::field(item, "type").and_then(patch::string);
    match kind.as_deref() {
        Some("message") => {
            let mut says = false;
            let content = patch::field(item, "content").unwrap_or("[]");
            let _read = Cursor::new(content).items(|cursor, _| {
                let part = cursor.skip()?;
                let text = ["text", "refusal"].iter().find_map(|member| patch::field(part, member));
                says |= text.and_then(patch::string).is_some_and(|text| !text.trim().is_empty());
                Ok::<(), Syntax>(())
            });
            says
        }
        Some("reasoning" | "") | None => false,
        Some(_) => true,
    }
}

/// What an item holds that only its issuer can read.
pub(super) fn opaque(item: &str) -> Option<Fingerprint> {
    patch::field(item, "encrypted_content").and_then(patch::string).and_then(|blob| fingerprint(&blob))
}

/// The items in a response, one by one.
pub(super) fn items(response: &str) -> Vec<&str> {
    let mut items = Vec::new();
    let output = patch::field(response, "output").unwrap_or("[]");
    if patch::kind(output) == Some(Kind::Array) {
        // The text was checked as a whole.
        let _read = Cursor::new(output).items(|cursor, _| {
            items.push(cursor.skip()?);
            Ok::<(), Syntax>(())
        });
    }
    items
}
