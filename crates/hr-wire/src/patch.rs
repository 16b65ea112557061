//! Changes deep inside JSON text that leave every other byte as it was.
//!
//! A value tree cannot do that: it rounds long numbers, drops the first of two equal keys, and refuses what
//! is legal JSON but no Rust value (`1e400`, half a surrogate pair). So whoever changes a message or a tool
//! works on its text. The text comes out of an envelope, which has checked its grammar; text that is no JSON
//! is left alone.

use std::borrow::Cow;
use std::ops::Range;

use crate::envelope::{Draft, Envelope};
use crate::json::{Cursor, Kind, Syntax};

/// What becomes of one item of an array or one field of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It stays as it is.
    Keep,
    /// Its value becomes this JSON text.
    Replace(String),
    /// It goes.
    Drop,
}

impl From<Option<String>> for Fate {
    fn from(new: Option<String>) -> Self {
        new.map_or(Self::Keep, Self::Replace)
    }
}

/// Decides about each item of an array or field of an object, whose name is given; nothing when all stay.
pub fn each(text: &str, mut fate: impl FnMut(Option<&str>, &str) -> Fate) -> Option<String> {
    let places = places(text).ok()?;
    let fates: Vec<Fate> =
        places.iter().map(|place| fate(place.name.as_deref(), &text[place.value.clone()])).collect();
    if fates.iter().all(|fate| *fate == Fate::Keep) {
        return None;
    }
    let (head, tail) = (places.first()?.start, places.last()?.value.end);
    let mut out = String::with_capacity(text.len() + 64);
    out.push_str(&text[..head]);
    let mut before: Option<usize> = None;
    let mut is_first = true;
    for (place, fate) in places.iter().zip(fates) {
        let end_before = before.replace(place.value.end);
        if fate == Fate::Drop {
            continue;
        }
        if let (false, Some(end)) = (is_first, end_before) {
            out.push_str(&text[end..place.start]);
        }
        is_first = false;
        out.push_str(&text[place.start..place.value.start]);
        match fate {
            Fate::Replace(new) => out.push_str(&new),
            Fate::Keep | Fate::Drop => out.push_str(&text[place.value.clone()]),
        }
    }
    out.push_str(&text[tail..]);
    Some(out)
}

/// Changes the value of one field of an object; nothing when it is not there or stays.
pub fn within(text: &str, key: &str, mut change: impl FnMut(&str) -> Option<String>) -> Option<String> {
    each(text, |name, value| if name == Some(key) { change(value).into() } else { Fate::Keep })
}

/// Changes the fields of an object; `change` tells whether it changed anything.
pub fn object(text: &str, change: impl FnOnce(&mut Draft<'_>) -> bool) -> Option<String> {
    let envelope = Envelope::part(text)?;
    let mut draft = envelope.draft();
    if !change(&mut draft) {
        return None;
    }
    String::from_utf8(draft.finish().into()).ok()
}

/// The value of a field as it stands in the text of an object; the last one, as parsers do.
#[must_use]
pub fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let mut found = None;
    let walked = Cursor::new(text).fields(|cursor, name| {
        if name.is(key) {
            found = Some(cursor.skip()?);
        }
        Ok::<(), Syntax>(())
    });
    walked.ok().and(found)
}

/// The string that this text is, if it is one.
#[must_use]
pub fn string(text: &str) -> Option<Cow<'_, str>> {
    Cursor::new(text).string().ok().map(|string| string.decode())
}

/// What kind of value this text is.
#[must_use]
pub fn kind(text: &str) -> Option<Kind> {
    Cursor::new(text).kind().ok()
}

/// Where an item or a field stands.
struct Place<'a> {
    name: Option<Cow<'a, str>>,
    /// Where its name begins, or its value when it has none.
    start: usize,
    value: Range<usize>,
}

fn places(text: &str) -> Result<Vec<Place<'_>>, Syntax> {
    let mut cursor = Cursor::new(text);
    let mut places = Vec::new();
    match cursor.kind()? {
        Kind::Object => cursor.fields(|cursor, name| {
            let start = cursor.at();
            cursor.skip()?;
            places.push(Place { name: Some(name.decode()), start: name.at - 1, value: start..cursor.at() });
            Ok::<(), Syntax>(())
        })?,
        Kind::Array => cursor.items(|cursor, _| {
            let start = cursor.at();
            cursor.skip()?;
            places.push(Place { name: None, start, value: start..cursor.at() });
            Ok::<(), Syntax>(())
        })?,
        _ => {}
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_keeps_its_bytes() {
        let text = "[ 1e400 ,\t\"\\ud800\" , 1.10,{\"a\" : 1,\"a\":2} ]";
        assert_eq!(each(text, |_, _| Fate::Keep), None);
        let drop = |out: &'static str| {
            each(text, move |_, value| if value == out { Fate::Drop } else { Fate::Keep })
        };
        assert_eq!(drop("1e400").unwrap(), "[ \"\\ud800\" , 1.10,{\"a\" : 1,\"a\":2} ]");
        assert_eq!(drop("1.10").unwrap(), "[ 1e400 ,\t\"\\ud800\",{\"a\" : 1,\"a\":2} ]");
        assert_eq!(each("[ 1 , 2 ]", |_, _| Fate::Drop).unwrap(), "[  ]");
    }

    #[test]
    fn a_field_is_found_by_how_its_name_reads() {
        let text = r#"{"\u0061":1,"b":{"c" : [12345678901234567890123]}}"#;
        assert_eq!(field(text, "a"), Some("1"));
        let changed = within(text, "b", |b| within(b, "c", |_| Some("0".into())));
        assert_eq!(changed.unwrap(), r#"{"\u0061":1,"b":{"c" : 0}}"#);
        assert_eq!(
            object(text, |draft| draft.remove("a")).unwrap(),
            r#"{"b":{"c" : [12345678901234567890123]}}"#
        );
    }

    #[test]
    fn what_is_no_container_is_left_alone() {
        assert_eq!(each("5", |_, _| Fate::Drop), None);
        assert_eq!(each("[1,", |_, _| Fate::Drop), None);
        assert_eq!(object("[]", |_| true), None);
        assert_eq!(string("5"), None);
    }
}
