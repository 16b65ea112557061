//! The messages of a request: their shapes, and what routing wants to know of them, in one walk.
//!
//! Blocks of an unknown type pass: the API gets new ones faster than routers do.

use crate::check::{empty_array, expect, missing, null, string, unknown_value};
use crate::difficulty::head_of;
use crate::envelope::BadRequest;
use crate::hub::Fingerprint;
use crate::hub::carrier::{Carried, unpack};
use crate::json::{Cursor, Kind, Text};

const ROLES: &[&str] = &["user", "assistant", "system"];

/// Bytes of a document in base64 that are taken for one token: a page has about fifty thousand of them and
/// costs about two thousand tokens.
pub(super) const DOCUMENT_BYTES_OF_A_TOKEN: u64 = 25;

/// What clients put around words that are not the person's.
const REMINDER: &str = "<system-reminder>";

/// What the messages tell.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Bytes of text as written; about four make a token.
    pub bytes: u64,
    /// How many images.
    pub images: u64,
    /// What the documents come to, in tokens.
    pub document_tokens: u64,
    /// How many messages.
    pub messages: u64,
    /// The last words of the person, as far as they are looked at.
    pub last_turn: String,
    /// The bytes of all of them.
    pub last_turn_bytes: u64,
    /// Opaque things that only their issuer may get.
    pub opaque: Vec<Fingerprint>,
}

/// A walk over the messages, under way.
#[derive(Default)]
struct Walk<'a> {
    told: Told,
    /// The words of the message under way.
    words: Vec<Text<'a>>,
    /// The last words of the person.
    last_turn: Vec<Text<'a>>,
    /// The first block of the message under way that belongs to one role: its place, type and role.
    owned: Option<(usize, &'static str, &'static str)>,
}

/// Checks the messages that the cursor stands before, and tells what is in them.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Told, BadRequest> {
    let mut walk = Walk::default();
    messages(cursor, &mut walk).map_err(|bad| bad.within("messages"))?;
    let last_turn_bytes = walk.last_turn.iter().map(|piece| piece.raw.len() as u64).sum();
    Ok(Told { last_turn: head_of(&walk.last_turn), last_turn_bytes, ..walk.told })
}

/// Checks the system prompt, a string or blocks of text, and tells its bytes.
pub(super) fn system(value: &str) -> Result<u64, BadRequest> {
    let mut cursor = Cursor::new(value);
    match cursor.kind()? {
        Kind::String => Ok(cursor.string()?.raw.len() as u64),
        Kind::Array => {
            let mut walk = Walk::default();
            cursor.items(|cursor, index| {
                let kind =
                    block(cursor, index, &mut walk).map_err(|bad| bad.within(&format!("[{index}]")))?;
                match kind.is("text") {
                    true => Ok(()),
                    false => Err(unknown_value(&kind.decode(), &["text"]).within(&format!("[{index}].type"))),
                }
            })?;
            Ok(walk.told.bytes)
        }
        other => Err(neither(other)),
    }
}

fn messages<'a>(cursor: &mut Cursor<'a>, walk: &mut Walk<'a>) -> Result<(), BadRequest> {
    expect(cursor, Kind::Array)?;
    cursor.items(|cursor, index| {
        walk.told.messages += 1;
        message(cursor, walk).map_err(|bad| bad.within(&format!("[{index}]")))
    })?;
    if walk.told.messages == 0 { Err(empty_array()) } else { Ok(()) }
}

fn message<'a>(cursor: &mut Cursor<'a>, walk: &mut Walk<'a>) -> Result<(), BadRequest> {
    expect(cursor, Kind::Object)?;
    walk.words.clear();
    walk.owned = None;
    let mut role = None;
    let mut blocks = None;
    cursor.fields(|cursor, name| {
        let read = match name.raw {
            "role" => string(cursor).map(|text| role = Some(text)),
            "content" => content(cursor, walk).map(|count| blocks = Some(count)),
            _ => return Ok(()),
        };
        read.map_err(|bad| bad.within(name.raw))
    })?;
    let role = role.ok_or_else(|| missing("role"))?.decode();
    if !ROLES.contains(&&*role) {
        return Err(unknown_value(&role, ROLES).within("role"));
    }
    let blocks = blocks.ok_or_else(|| missing("content"))?;
    if blocks == 0 && role == "user" {
        return Err(empty_array().within("content"));
    }
    match walk.owned {
        Some((place, kind, owner)) if owner != role => {
            return Err(BadRequest::about(
                format!("content[{place}].type"),
                format!("`{kind}` blocks can only be in `{owner}` messages"),
            )
            .code("invalid_value"));
        }
        _ => {}
    }
    if role == "user" && !walk.words.is_empty() {
        walk.last_turn = std::mem::take(&mut walk.words);
    }
    Ok(())
}

/// Content: a string, which counts as one block, or blocks. Tells how many there are.
fn content<'a>(cursor: &mut Cursor<'a>, walk: &mut Walk<'a>) -> Result<usize, BadRequest> {
    match cursor.kind()? {
        Kind::String => {
            let text = cursor.string()?;
            walk.say(text);
            Ok(1)
        }
        Kind::Array => {
            let mut count = 0;
            cursor.items(|cursor, index| {
                count += 1;
                block(cursor, index, walk).map(drop).map_err(|bad| bad.within(&format!("[{index}]")))
            })?;
            Ok(count)
        }
        other => Err(neither(other)),
    }
}

fn neither(found: Kind) -> BadRequest {
    BadRequest::new(format!("expected a string or an array of blocks, got {}", found.name()))
        .code("invalid_type")
}

impl<'a> Walk<'a> {
    fn say(&mut self, text: Text<'a>) {
        self.told.bytes += text.raw.len() as u64;
        if !text.raw.trim_start().starts_with(REMINDER) {
            self.words.push(text);
        }
    }

    /// Notes what only an issuer can read, also inside a carrier of ours.
    fn opaque(&mut self, field: &Text<'_>) {
        let found = match unpack(&field.decode()) {
            Carried::Native(data) if data.is_empty() => None,
            Carried::Native(data) => Some(Fingerprint::of(&data)),
            Carried::Ours(opaque) => opaque.map(|opaque| opaque.fingerprint()),
        };
        self.told.opaque.extend(found);
    }
}

/// The members of a block that are looked at.
#[derive(Default)]
struct Members<'a> {
    strings: Vec<(&'a str, Text<'a>)>,
    source: Option<&'a str>,
    input: Option<&'a str>,
    content: Option<&'a str>,
}

impl<'a> Members<'a> {
    fn string(&self, name: &str) -> Result<Text<'a>, BadRequest> {
        self.strings
            .iter()
            .find(|(member, _)| *member == name)
            .map(|(_, text)| *text)
            .ok_or_else(|| missing(name))
    }
}

/// Checks a block and tells its type.
fn block<'a>(cursor: &mut Cursor<'a>, index: usize, walk: &mut Walk<'a>) -> Result<Text<'a>, BadRequest> {
    expect(cursor, Kind::Object)?;
    let start = cursor.at();
    let mut kind = None;
    let mut members = Members::default();
    cursor.fields(|cursor, name| {
        match name.raw {
            "type" => kind = Some(string(cursor).map_err(|bad| bad.within("type"))?),
            "source" => members.source = Some(cursor.skip()?),
            "input" => members.input = Some(cursor.skip()?),
            "content" if cursor.kind()? != Kind::Null => members.content = Some(cursor.skip()?),
            "text" | "thinking" | "signature" | "data" | "id" | "name" | "tool_use_id" | "tool_name"
                if cursor.kind()? == Kind::String =>
            {
                members.strings.push((name.raw, cursor.string()?));
            }
            "text" | "thinking" | "signature" | "id" | "name" | "tool_use_id"
                if cursor.kind()? != Kind::Null =>
            {
                string(cursor).map(drop).map_err(|bad| bad.within(name.raw))?;
            }
            _ => {}
        }
        Ok::<(), BadRequest>(())
    })?;
    let size = (cursor.at() - start) as u64;
    let kind = kind.ok_or_else(|| missing("type"))?;
    match kind.raw {
        "text" => walk.say(members.string("text")?),
        "image" => {
            source(members.source)?;
            walk.told.images += 1;
        }
        "document" => {
            source(members.source)?;
            walk.told.document_tokens += size / DOCUMENT_BYTES_OF_A_TOKEN;
        }
        "thinking" => {
            walk.owned.get_or_insert((index, "thinking", "assistant"));
            walk.told.bytes += members.string("thinking")?.raw.len() as u64;
            walk.opaque(&members.string("signature")?);
        }
        "redacted_thinking" => {
            walk.owned.get_or_insert((index, "redacted_thinking", "assistant"));
            walk.opaque(&members.string("data")?);
        }
        "tool_use" => {
            walk.owned.get_or_insert((index, "tool_use", "assistant"));
            members.string("id")?;
            members.string("name")?;
            let input = members.input.ok_or_else(|| missing("input"))?;
            expect(&mut Cursor::new(input), Kind::Object).map_err(|bad| bad.within("input"))?;
            walk.told.bytes += size;
        }
        "tool_result" => {
            walk.owned.get_or_insert((index, "tool_result", "user"));
            members.string("tool_use_id")?;
            if let Some(inner) = members.content {
                result(inner, walk).map_err(|bad| bad.within("content"))?;
            }
        }
        _ => walk.told.bytes += size,
    }
    Ok(kind)
}

/// What is in a result; its words are the tool's and not the person's.
fn result<'a>(value: &'a str, walk: &mut Walk<'a>) -> Result<(), BadRequest> {
    let (before, owned) = (walk.words.len(), walk.owned);
    content(&mut Cursor::new(value), walk)?;
    walk.words.truncate(before);
    walk.owned = owned;
    Ok(())
}

/// Where an image or a document is.
fn source(value: Option<&str>) -> Result<(), BadRequest> {
    let value = value.ok_or_else(|| missing("source"))?;
    let mut cursor = Cursor::new(value);
    let read = expect(&mut cursor, Kind::Object).and_then(|()| {
        let mut kind = None;
        let mut found = Vec::new();
        cursor.fields(|cursor, name| {
            match name.raw {
                "type" => kind = Some(string(cursor).map_err(|bad| bad.within("type"))?),
                "media_type" | "data" | "url" | "file_id" if !null(cursor)? => {
                    string(cursor).map(drop).map_err(|bad| bad.within(name.raw))?;
                    found.push(name.raw);
                }
                _ => {}
            }
            Ok::<(), BadRequest>(())
        })?;
        let wanted: &[&str] = match kind.ok_or_else(|| missing("type"))?.raw {
            "base64" => &["media_type", "data"],
            "text" => &["data"],
            "url" => &["url"],
            "file" => &["file_id"],
            _ => &[],
        };
        match wanted.iter().find(|member| !found.contains(member)) {
            Some(absent) => Err(missing(absent)),
            None => Ok(()),
        }
    });
    read.map_err(|bad| bad.within("source"))
}
