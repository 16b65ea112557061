//! A request body as bytes, with an index of its top-level keys.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;

use crate::json::{Cursor, Syntax, quoted};

/// Keys that decide what the router does. Two of one kind would let a caller show one value to the router
/// and another to the provider, so they are refused.
const ACTED_ON: &[&str] = &[
    "model",
    "stream",
    "messages",
    "input",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "reasoning_effort",
    "temperature",
    "n",
];

/// How many top-level keys a body may have.
pub const MAX_KEYS: usize = 256;

/// A request that is refused before any provider is asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadRequest {
    /// The HTTP status of the refusal.
    pub status: u16,
    /// What is wrong, in words for the caller.
    pub message: String,
    /// Where it is wrong: `messages[2].content[0].type`.
    pub param: Option<String>,
    /// A stable word for programs.
    pub code: Option<&'static str>,
}

impl BadRequest {
    /// A 400 with these words.
    pub fn new(message: impl Into<String>) -> Self {
        Self { status: 400, message: message.into(), param: None, code: None }
    }

    /// A 400 about a parameter.
    pub fn about(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self { param: Some(param.into()), ..Self::new(message) }
    }

    /// The same refusal with a stable word for programs.
    #[must_use]
    pub fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// The same refusal seen from outside: `segment` is put before its parameter.
    #[must_use]
    pub(crate) fn within(mut self, segment: &str) -> Self {
        self.param = Some(match self.param {
            None => segment.to_owned(),
            Some(inner) if inner.starts_with('[') => format!("{segment}{inner}"),
            Some(inner) => format!("{segment}.{inner}"),
        });
        self
    }
}

/// A body that changes under our hands cannot happen: the envelope has checked the grammar before.
impl From<Syntax> for BadRequest {
    fn from(syntax: Syntax) -> Self {
        Self::new(format!("the value is not valid JSON: {} at byte {}", syntax.what, syntax.at))
            .code("invalid_json")
    }
}

/// One change of a top-level key.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit<'a> {
    /// Gives a key this value, where it stands or at the end.
    Set {
        /// The key.
        key: &'a str,
        /// Its value as JSON text.
        value_json: Cow<'a, str>,
    },
    /// Takes a key out, all of its occurrences.
    Remove {
        /// The key.
        key: &'a str,
    },
    /// Gives a key another name in its place; a key that already has this name goes.
    Rename {
        /// The name it has.
        from: &'a str,
        /// The name it gets.
        to: &'a str,
    },
}

/// A request body: JSON object, checked once, indexed by its top-level keys.
#[derive(Clone, Debug)]
pub struct Envelope {
    body: Bytes,
    entries: Vec<Entry>,
    sieve: Sieve,
}

/// Which keys may be there, by a bit each. Most keys that are looked for are not, which this tells without a look at
/// any.
#[derive(Clone, Copy, Debug, Default)]
struct Sieve(u64);

impl Sieve {
    fn bit(name: &[u8]) -> u64 {
        let (first, last) = (name.first().copied().unwrap_or(0), name.last().copied().unwrap_or(0));
        1 << ((usize::from(first) + 4 * usize::from(last) + 7 * name.len()) % 64)
    }

    fn add(&mut self, name: &str) {
        self.0 |= Self::bit(name.as_bytes());
    }

    fn may_have(self, name: &str) -> bool {
        self.0 & Self::bit(name.as_bytes()) != 0
    }
}

#[derive(Clone, Debug)]
struct Entry {
    /// The key with its quotes.
    key: Range<usize>,
    /// The key as it reads, when escapes make that differ from how it is written.
    name: Option<Box<str>>,
    value: Range<usize>,
}

impl Envelope {
    /// Checks and indexes a body. A byte order mark in front is skipped.
    pub fn read(body: Bytes) -> Result<Self, BadRequest> {
        Self::read_with(body, |_, _| ())
    }

    /// Checks and indexes a body, and shows the value of each top-level key to `visit` in passing: whoever
    /// wants to know what is in a large value need not walk it a second time. A value that `visit` leaves
    /// alone is stepped over.
    pub fn read_with(body: Bytes, visit: impl FnMut(&str, &mut Cursor<'_>)) -> Result<Self, BadRequest> {
        let body = if body.starts_with(b"\xEF\xBB\xBF") { body.slice(3..) } else { body };
        let text = simdutf8::compat::from_utf8(&body).map_err(|error| {
            BadRequest::new(format!(
                "the request body is not UTF-8: byte {} is not text",
                error.valid_up_to()
            ))
            .code("invalid_json")
        })?;
        if text.trim_ascii().is_empty() {
            return Err(
                BadRequest::new("the request body is empty; a JSON object is expected").code("invalid_json")
            );
        }
        let (entries, sieve) = index(text, MAX_KEYS, visit).map_err(|fault| fault.words(text))?;
        let envelope = Self { body, entries, sieve };
        envelope.refuse_duplicates()?;
        Ok(envelope)
    }

    /// Indexes an object somewhere inside a body that was checked as a whole; nothing when it is no object.
    pub(crate) fn part(text: &str) -> Option<Self> {
        let (entries, sieve) = index(text, usize::MAX, |_, _| ()).ok()?;
        Some(Self { body: Bytes::copy_from_slice(text.as_bytes()), entries, sieve })
    }

    /// The value of a key as JSON text; the last one, as parsers do, where an unknown key is there twice.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        if !self.sieve.may_have(key) {
            return None;
        }
        self.entries.iter().rev().find(|entry| self.is(entry, key)).map(|entry| self.text(&entry.value))
    }

    /// The same, but of a longer value only its beginning, of about so many bytes: to look at that, a large value need
    /// not be checked once more to be text.
    #[must_use]
    pub fn beginning(&self, key: &str, most: usize) -> Option<&str> {
        let entry = self.entries.iter().rev().find(|entry| self.is(entry, key))?;
        let Range { start, end } = entry.value;
        if end - start <= most {
            return Some(self.text(&entry.value));
        }
        // The first byte of a character is none that goes on.
        let cut = (start..=start + most).rev().find(|at| self.body[*at] & 0xC0 != 0x80)?;
        Some(self.text(&(start..cut)))
    }

    /// The top-level keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| self.name(entry))
    }

    /// The body as it came, without a byte order mark.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.body
    }

    /// The body with these changes, in order; every other byte stays.
    #[must_use]
    pub fn splice(&self, edits: &[Edit<'_>]) -> Bytes {
        let mut draft = self.draft();
        for edit in edits {
            match edit {
                Edit::Set { key, value_json } => draft.set(key, value_json.to_string()),
                Edit::Remove { key } => {
                    draft.remove(key);
                }
                Edit::Rename { from, to } => {
                    draft.rename(from, to);
                }
            }
        }
        draft.finish()
    }

    /// A set of changes in the making.
    #[must_use]
    pub fn draft(&self) -> Draft<'_> {
        let slots =
            self.entries.iter().map(|entry| Slot { entry: Some(entry), name: None, value: None }).collect();
        Draft { envelope: self, slots }
    }

    fn name<'a>(&'a self, entry: &'a Entry) -> &'a str {
        match &entry.name {
            Some(name) => name,
            None => self.text(&(entry.key.start + 1..entry.key.end - 1)),
        }
    }

    /// Whether an entry has this name. Names are looked for far more often than they are read, so it costs no more
    /// than to compare them.
    fn is(&self, entry: &Entry, name: &str) -> bool {
        match &entry.name {
            Some(decoded) => **decoded == *name,
            None => self.body[entry.key.start + 1..entry.key.end - 1] == *name.as_bytes(),
        }
    }

    /// The text of a span. Spans come from [`index`] over this very text, so the fallback is never taken.
    fn text(&self, span: &Range<usize>) -> &str {
        simdutf8::basic::from_utf8(&self.body[span.clone()]).unwrap_or_default()
    }

    fn refuse_duplicates(&self) -> Result<(), BadRequest> {
        for key in ACTED_ON.iter().filter(|key| self.sieve.may_have(key)) {
            if self.entries.iter().filter(|entry| self.is(entry, key)).count() > 1 {
                return Err(BadRequest::about(
                    *key,
                    format!("`{key}` is there more than once; send it once"),
                )
                .code("duplicate_parameter"));
            }
        }
        Ok(())
    }
}

/// Why a body could not be indexed.
enum Fault {
    Syntax(Syntax),
    NotAnObject(&'static str),
    TooManyKeys,
}

impl From<Syntax> for Fault {
    fn from(syntax: Syntax) -> Self {
        Self::Syntax(syntax)
    }
}

impl Fault {
    fn words(self, text: &str) -> BadRequest {
        match self {
            Self::Syntax(Syntax { at, what }) => {
                let before = &text.as_bytes()[..at.min(text.len())];
                let line = 1 + memchr::memchr_iter(b'\n', before).count();
                let column =
                    1 + before.len() - memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
                BadRequest::new(format!(
                    "the request body is not valid JSON: {what} at line {line}, column {column} (byte {at})"
                ))
                .code("invalid_json")
            }
            Self::NotAnObject(kind) => {
                BadRequest::new(format!("the request body must be a JSON object, not {kind}"))
                    .code("invalid_json")
            }
            Self::TooManyKeys => {
                BadRequest::new(format!("the request body has more than {MAX_KEYS} top-level keys"))
                    .code("too_many_parameters")
            }
        }
    }
}

fn index(
    text: &str,
    most_keys: usize,
    mut visit: impl FnMut(&str, &mut Cursor<'_>),
) -> Result<(Vec<Entry>, Sieve), Fault> {
    let mut cursor = Cursor::new(text);
    let kind = cursor.kind()?;
    if kind != crate::json::Kind::Object {
        // Half a JSON text is a syntax error first.
        cursor.skip()?;
        cursor.end()?;
        return Err(Fault::NotAnObject(kind.name()));
    }
    let mut entries = Vec::with_capacity(16);
    let mut sieve = Sieve::default();
    cursor.fields(|cursor, name| {
        if entries.len() == most_keys {
            return Err(Fault::TooManyKeys);
        }
        let start = name.at - 1;
        let value_start = cursor.at();
        let reads = name.decode();
        visit(&reads, cursor);
        sieve.add(&reads);
        if cursor.at() == value_start {
            cursor.skip()?;
        }
        entries.push(Entry {
            key: start..start + name.raw.len() + 2,
            name: name.escaped.then(|| reads.into()),
            value: value_start..cursor.at(),
        });
        Ok(())
    })?;
    cursor.end()?;
    Ok((entries, sieve))
}

/// Changes of an envelope in the making; [`Draft::finish`] writes them in one copy.
#[derive(Debug)]
pub struct Draft<'e> {
    envelope: &'e Envelope,
    slots: Vec<Slot<'e>>,
}

/// A key that will be written: from the body, from the body with changes, or new.
#[derive(Debug)]
struct Slot<'e> {
    entry: Option<&'e Entry>,
    name: Option<String>,
    value: Option<String>,
}

impl<'e> Draft<'e> {
    /// The value that a key will have.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.slots.iter().rev().find(|slot| slot.is(self.envelope, key)).map(|slot| self.value(slot))
    }

    /// The keys that will be there, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.slots.iter().map(|slot| self.name(slot))
    }

    /// Gives a key this value (JSON text), where it stands or at the end.
    pub fn set(&mut self, key: &str, value_json: impl Into<String>) {
        let value = Some(value_json.into());
        match self.slots.iter().position(|slot| slot.is(self.envelope, key)) {
            Some(first) => {
                self.slots[first].value = value;
                let mut index = 0;
                let envelope = self.envelope;
                self.slots.retain(|slot| {
                    index += 1;
                    index - 1 <= first || !slot.is(envelope, key)
                });
            }
            None => self.slots.push(Slot { entry: None, name: Some(key.to_owned()), value }),
        }
    }

    /// Takes a key out; tells whether it was there.
    pub fn remove(&mut self, key: &str) -> bool {
        let before = self.slots.len();
        let envelope = self.envelope;
        self.slots.retain(|slot| !slot.is(envelope, key));
        self.slots.len() != before
    }

    /// Gives a key another name in its place, and takes out one that already has it; tells whether it was
    /// there.
    pub fn rename(&mut self, from: &str, to: &str) -> bool {
        if from == to || self.get(from).is_none() {
            return self.get(from).is_some();
        }
        self.remove(to);
        let envelope = self.envelope;
        for slot in &mut self.slots {
            if slot.is(envelope, from) {
                slot.name = Some(to.to_owned());
            }
        }
        true
    }

    /// The body with the changes; every other byte stays.
    #[must_use]
    pub fn finish(self) -> Bytes {
        let body = &self.envelope.body;
        let entries = &self.envelope.entries;
        let grown: usize = self
            .slots
            .iter()
            .map(|slot| {
                slot.name.as_ref().map_or(0, |n| n.len() + 8) + slot.value.as_ref().map_or(0, String::len)
            })
            .sum();
        let mut out = Vec::with_capacity(body.len() + grown + 16);
        let (head, tail) = match (entries.first(), entries.last()) {
            (Some(first), Some(last)) => (first.key.start, last.value.end),
            _ => {
                let after_brace = memchr::memchr(b'{', body).map_or(0, |at| at + 1);
                (after_brace, after_brace)
            }
        };
        out.extend_from_slice(&body[..head]);
        for (place, slot) in self.slots.iter().enumerate() {
            match slot.entry {
                Some(entry) => self.write_old(&mut out, place, slot, entry),
                None => {
                    if place > 0 {
                        out.push(b',');
                    }
                    out.extend_from_slice(quoted(self.name(slot)).as_bytes());
                    out.push(b':');
                    out.extend_from_slice(self.value(slot).as_bytes());
                }
            }
        }
        out.extend_from_slice(&body[tail..]);
        Bytes::from(out)
    }

    fn write_old(&self, out: &mut Vec<u8>, place: usize, slot: &Slot<'e>, entry: &Entry) {
        let body = &self.envelope.body;
        if place > 0 {
            // The comma and the white space that stood before this key. The first key of the body has none.
            let entries = &self.envelope.entries;
            let index = entries.partition_point(|other| other.key.start < entry.key.start);
            match index.checked_sub(1) {
                Some(previous) => out.extend_from_slice(&body[entries[previous].value.end..entry.key.start]),
                None => out.push(b','),
            }
        }
        match &slot.name {
            Some(name) => {
                out.extend_from_slice(quoted(name).as_bytes());
                out.extend_from_slice(&body[entry.key.end..entry.value.start]);
            }
            None => out.extend_from_slice(&body[entry.key.start..entry.value.start]),
        }
        match &slot.value {
            Some(value) => out.extend_from_slice(value.as_bytes()),
            None => out.extend_from_slice(&body[entry.value.clone()]),
        }
    }

    fn name<'a>(&'a self, slot: &'a Slot<'e>) -> &'a str {
        slot.reads(self.envelope)
    }

    fn value<'a>(&'a self, slot: &'a Slot<'e>) -> &'a str {
        match (&slot.value, slot.entry) {
            (Some(value), _) => value,
            (None, Some(entry)) => self.envelope.text(&entry.value),
            (None, None) => "null",
        }
    }
}

impl Slot<'_> {
    fn is(&self, envelope: &Envelope, name: &str) -> bool {
        match (&self.name, self.entry) {
            (Some(new), _) => new == name,
            (None, Some(entry)) => envelope.is(entry, name),
            (None, None) => false,
        }
    }

    fn reads<'a>(&'a self, envelope: &'a Envelope) -> &'a str {
        match (&self.name, self.entry) {
            (Some(name), _) => name,
            (None, Some(entry)) => envelope.name(entry),
            (None, None) => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Envelope, BadRequest> {
        Envelope::read(Bytes::from(body.to_owned()))
    }

    fn spliced(body: &str, edits: &[Edit<'_>]) -> String {
        String::from_utf8(read(body).unwrap().splice(edits).to_vec()).unwrap()
    }

    #[test]
    fn keys_are_compared_as_they_read() {
        let envelope = read(r#"{"mod\u0065l":"x"}"#).unwrap();
        assert_eq!(envelope.get("model"), Some("\"x\""));
        let twice = read(r#"{"model":"x","mod\u0065l":"y"}"#).unwrap_err();
        assert_eq!(twice.param.as_deref(), Some("model"));
    }

    #[test]
    fn a_beginning_ends_between_characters() {
        let envelope = read("{\"a\":\"xéy\"}").unwrap();
        let of = |most| envelope.beginning("a", most).unwrap();
        assert_eq!((1..=6).map(of).collect::<Vec<_>>(), ["\"", "\"x", "\"x", "\"xé", "\"xéy", "\"xéy\""]);
        assert_eq!(envelope.beginning("b", 9), None);
    }

    #[test]
    fn a_byte_order_mark_is_skipped() {
        assert_eq!(read("\u{FEFF}{\"a\":1}").unwrap().splice(&[]), "{\"a\":1}");
    }

    #[test]
    fn errors_say_where() {
        let error = read("{\n  \"a\": tru\n}").unwrap_err();
        assert!(error.message.contains("line 2, column 8"), "{error}");
        assert!(read("").unwrap_err().message.contains("empty"));
        assert!(read("{} {}").unwrap_err().message.contains("follows the end"));
        assert!(read("[1]").unwrap_err().message.contains("not an array"));
        let invalid = Envelope::read(Bytes::from_static(b"{\"a\":\"\xff\"}")).unwrap_err();
        assert!(invalid.message.contains("byte 6"), "{invalid}");
    }

    #[test]
    fn edits_leave_the_rest_alone() {
        let body = "{ \"a\" : 1 ,\n \"b\":[2 ] , \"c\":3 }";
        let set = |key, value: &'static str| Edit::Set { key, value_json: value.into() };
        assert_eq!(spliced(body, &[set("b", "9")]), "{ \"a\" : 1 ,\n \"b\":9 , \"c\":3 }");
        assert_eq!(spliced(body, &[set("d", "9")]), "{ \"a\" : 1 ,\n \"b\":[2 ] , \"c\":3,\"d\":9 }");
        assert_eq!(spliced(body, &[Edit::Remove { key: "a" }]), "{ \"b\":[2 ] , \"c\":3 }");
        assert_eq!(spliced(body, &[Edit::Remove { key: "c" }]), "{ \"a\" : 1 ,\n \"b\":[2 ] }");
        assert_eq!(spliced(body, &[Edit::Rename { from: "a", to: "c" }]), "{ \"c\" : 1 ,\n \"b\":[2 ] }");
        let all = ["a", "b", "c"].map(|key| Edit::Remove { key });
        assert_eq!(spliced(body, &all), "{  }");
        assert_eq!(spliced("{}", &[set("model", "\"m\"")]), "{\"model\":\"m\"}");
    }
}
