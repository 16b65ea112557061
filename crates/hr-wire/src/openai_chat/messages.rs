//! The messages of a chat request: their shapes, and what routing wants to know of them, in one walk.

use super::decoder::beside;
use crate::check::{empty_array, expect, missing, null, string, unknown_value};
use crate::difficulty::head_of;
use crate::envelope::BadRequest;
use crate::hub::Fingerprint;
use crate::json::{Cursor, Kind, Text};

const ROLES: &[&str] = &["system", "developer", "user", "assistant", "tool", "function"];

/// Types of content parts that are known somewhere; the ones after `file` come from single providers.
const PARTS: &[&str] = &[
    "text",
    "image_url",
    "input_audio",
    "file",
    "refusal",
    "thinking",
    "redacted_thinking",
    "reasoning",
    "video_url",
    "document_url",
];

/// What the messages tell.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Bytes of text as written. About four make a token, in most scripts: where a letter has more bytes, it
    /// also has more tokens.
    pub bytes: u64,
    /// How many images.
    pub images: u64,
    /// How many messages.
    pub messages: u64,
    /// The text of the last message of the user, as far as its words are looked at.
    pub last_turn: String,
    /// The bytes of all of it.
    pub last_turn_bytes: u64,
    /// Opaque things beside calls.
    pub opaque: Vec<Fingerprint>,
}

/// A walk over the messages, under way.
#[derive(Default)]
struct Walk<'a> {
    told: Told,
    /// The last message of the user, in pieces.
    last_turn: Vec<Text<'a>>,
}

/// Checks the messages that the cursor stands before, and tells what is in them.
pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Told, BadRequest> {
    let mut walk = Walk::default();
    messages(cursor, &mut walk).map_err(|bad| bad.within("messages"))?;
    Ok(Told { last_turn: head_of(&walk.last_turn), ..walk.told })
}

fn messages<'a>(cursor: &mut Cursor<'a>, walk: &mut Walk<'a>) -> Result<(), BadRequest> {
    expect(cursor, Kind::Array)?;
    cursor.items(|cursor, index| {
        walk.told.messages += 1;
        message(cursor, walk).map_err(|bad| bad.within(&format!("[{index}]")))
    })?;
    if walk.told.messages == 0 { Err(empty_array()) } else { Ok(()) }
}

/// What one message holds.
#[derive(Default)]
struct Message<'a> {
    role: Option<Text<'a>>,
    content: Option<Content<'a>>,
    name: bool,
    tool_call_id: bool,
    /// Whether something stands in for the content of an assistant.
    calls: bool,
}

/// The content of one message.
#[derive(Default)]
struct Content<'a> {
    null: bool,
    text: Vec<Text<'a>>,
    bytes: u64,
    images: u64,
    /// The index of the first part that only a user may send, with its type.
    user_only: Option<(usize, &'a str)>,
}

fn message<'a>(cursor: &mut Cursor<'a>, walk: &mut Walk<'a>) -> Result<(), BadRequest> {
    expect(cursor, Kind::Object)?;
    let mut message = Message::default();
    cursor.fields(|cursor, name| {
        let read = match name.raw {
            "role" => string(cursor).map(|role| message.role = Some(role)),
            "content" => content(cursor).map(|content| message.content = Some(content)),
            "name" => optional_string(cursor).map(|there| message.name = there),
            "tool_call_id" => optional_string(cursor).map(|there| message.tool_call_id = there),
            "tool_calls" => tool_calls(cursor, walk).map(|there| message.calls |= there),
            "function_call" => function_call(cursor).map(|there| message.calls |= there),
            "refusal" => optional_string(cursor).map(|there| message.calls |= there),
            "audio" | "reasoning_content" | "reasoning" | "reasoning_details" => {
                null(cursor).map(|null| message.calls |= !null)
            }
            _ => return Ok(()),
        };
        read.map_err(|bad| bad.within(name.raw))
    })?;
    let role = message.role.ok_or_else(|| missing("role"))?.decode();
    if !ROLES.contains(&&*role) {
        return Err(unknown_value(&role, ROLES).within("role"));
    }
    let fits = fits_role(&role, &message);
    fits?;
    let Some(content) = message.content else { return Ok(()) };
    walk.told.bytes += content.bytes;
    walk.told.images += content.images;
    if role == "user" {
        walk.last_turn = content.text;
        walk.told.last_turn_bytes = content.bytes;
    }
    Ok(())
}

fn fits_role(role: &str, message: &Message<'_>) -> Result<(), BadRequest> {
    let has_content = message.content.as_ref().is_some_and(|content| !content.null);
    match role {
        "assistant" if has_content || message.calls => {}
        "assistant" => {
            return Err(BadRequest::about("content", "an assistant message needs `content` or `tool_calls`")
                .code("missing_required_parameter"));
        }
        "tool" if !message.tool_call_id => return Err(missing("tool_call_id")),
        "function" if !message.name => return Err(missing("name")),
        "function" => {}
        _ if has_content => {}
        _ if message.content.is_some() => {
            return Err(BadRequest::about("content", "expected a string or an array of parts, got null")
                .code("invalid_type"));
        }
        _ => return Err(missing("content")),
    }
    match message.content.as_ref().and_then(|content| content.user_only) {
        Some((index, kind)) if matches!(role, "system" | "developer" | "assistant") => {
            Err(BadRequest::about(
                format!("content[{index}].type"),
                format!("a {role} message cannot hold `{kind}`"),
            )
            .code("invalid_value"))
        }
        _ => Ok(()),
    }
}

fn content<'a>(cursor: &mut Cursor<'a>) -> Result<Content<'a>, BadRequest> {
    let mut content = Content::default();
    match cursor.kind()? {
        Kind::Null => {
            cursor.skip()?;
            content.null = true;
        }
        Kind::String => content.add(cursor.string()?),
        Kind::Array => {
            let mut empty = true;
            cursor.items(|cursor, index| {
                empty = false;
                part(cursor, index, &mut content).map_err(|bad| bad.within(&format!("[{index}]")))
            })?;
            if empty {
                return Err(empty_array());
            }
        }
        other => {
            return Err(BadRequest::new(format!(
                "expected a string or an array of parts, got {}",
                other.name()
            ))
            .code("invalid_type"));
        }
    }
    Ok(content)
}

impl<'a> Content<'a> {
    fn add(&mut self, text: Text<'a>) {
        self.bytes += text.raw.len() as u64;
        self.text.push(text);
    }
}

fn part<'a>(cursor: &mut Cursor<'a>, index: usize, content: &mut Content<'a>) -> Result<(), BadRequest> {
    expect(cursor, Kind::Object)?;
    let mut kind: Option<Text<'a>> = None;
    let mut text: Option<Text<'a>> = None;
    let mut members: Vec<(&'a str, &'a str)> = Vec::new();
    cursor.fields(|cursor, name| {
        match name.raw {
            "type" => kind = Some(string(cursor).map_err(|bad| bad.within("type"))?),
            "text" => text = Some(string(cursor).map_err(|bad| bad.within("text"))?),
            "image_url" | "input_audio" | "file" | "refusal" => members.push((name.raw, cursor.skip()?)),
            _ => {}
        }
        Ok::<(), BadRequest>(())
    })?;
    let kind = kind.ok_or_else(|| missing("type"))?;
    let member = |name: &str| {
        members.iter().find(|(member, _)| *member == name).map(|(_, body)| *body).ok_or_else(|| missing(name))
    };
    match kind.raw {
        "text" => content.add(text.ok_or_else(|| missing("text"))?),
        "image_url" => {
            image(member("image_url")?).map_err(|bad| bad.within("image_url"))?;
            content.images += 1;
        }
        "input_audio" => {
            with_strings(member("input_audio")?, &["data", "format"])
                .map_err(|bad| bad.within("input_audio"))?;
        }
        "file" => with_strings(member("file")?, &[]).map_err(|bad| bad.within("file"))?,
        "refusal" => {
            string(&mut Cursor::new(member("refusal")?)).map(drop).map_err(|bad| bad.within("refusal"))?
        }
        other if PARTS.contains(&other) => {}
        _ => return Err(unknown_value(&kind.decode(), PARTS).within("type")),
    }
    if matches!(kind.raw, "image_url" | "input_audio" | "file" | "video_url" | "document_url") {
        content.user_only.get_or_insert((index, kind.raw));
    }
    Ok(())
}

/// An image: an object with a `url`, or the address alone, as some servers take it.
fn image(value: &str) -> Result<(), BadRequest> {
    match Cursor::new(value).kind()? {
        Kind::String => Ok(()),
        _ => with_strings(value, &["url"]),
    }
}

/// An object that has these members as strings.
fn with_strings(value: &str, wanted: &[&str]) -> Result<(), BadRequest> {
    let mut cursor = Cursor::new(value);
    expect(&mut cursor, Kind::Object)?;
    let mut found = 0_usize;
    cursor.fields(|cursor, name| {
        if wanted.contains(&name.raw) {
            string(cursor).map_err(|bad| bad.within(name.raw))?;
            found += 1;
        }
        Ok::<(), BadRequest>(())
    })?;
    if found >= wanted.len() {
        return Ok(());
    }
    let mut absent = wanted.to_vec();
    Cursor::new(value).fields(|_, name| {
        absent.retain(|wanted| *wanted != name.raw);
        Ok::<(), BadRequest>(())
    })?;
    Err(missing(absent.first().unwrap_or(&"type")))
}

/// Whether a string is there; `null` is as good as absent.
fn optional_string(cursor: &mut Cursor<'_>) -> Result<bool, BadRequest> {
    if null(cursor)? {
        return Ok(false);
    }
    string(cursor).map(|_| true)
}

fn tool_calls<'a>(cursor: &mut Cursor<'a>, walk: &mut Walk<'a>) -> Result<bool, BadRequest> {
    if null(cursor)? {
        return Ok(false);
    }
    expect(cursor, Kind::Array)?;
    let mut empty = true;
    cursor.items(|cursor, index| {
        empty = false;
        tool_call(cursor, walk).map_err(|bad| bad.within(&format!("[{index}]")))
    })?;
    if empty { Err(empty_array()) } else { Ok(true) }
}

fn tool_call<'a>(cursor: &mut Cursor<'a>, walk: &mut Walk<'a>) -> Result<(), BadRequest> {
    expect(cursor, Kind::Object)?;
    let mut has_id = false;
    let mut kind = None;
    let mut function = None;
    let mut custom = None;
    cursor.fields(|cursor, name| {
        match name.raw {
            "id" => has_id = string(cursor).map(|_| true).map_err(|bad| bad.within("id"))?,
            "type" => kind = Some(string(cursor).map_err(|bad| bad.within("type"))?),
            "function" => function = Some(cursor.skip()?),
            "custom" => custom = Some(cursor.skip()?),
            "extra_content" if !null(cursor)? => {
                walk.told.opaque.push(beside(cursor.skip()?).fingerprint());
            }
            _ => {}
        }
        Ok::<(), BadRequest>(())
    })?;
    if !has_id {
        return Err(missing("id"));
    }
    let kind = kind.ok_or_else(|| missing("type"))?;
    let (member, body, wanted): (_, _, &[&str]) = match kind.raw {
        "function" => ("function", function, &["name", "arguments"]),
        "custom" => ("custom", custom, &["name", "input"]),
        _ => return Err(unknown_value(&kind.decode(), &["function", "custom"]).within("type")),
    };
    let body = body.ok_or_else(|| missing(member))?;
    walk.told.bytes += body.len() as u64;
    with_strings(body, wanted).map_err(|bad| bad.within(member))
}

fn function_call(cursor: &mut Cursor<'_>) -> Result<bool, BadRequest> {
    if null(cursor)? {
        return Ok(false);
    }
    with_strings(cursor.skip()?, &["name", "arguments"]).map(|()| true)
}
