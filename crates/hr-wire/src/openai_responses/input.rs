//! The input of a request: the shapes of its items, and what routing wants to know of them, in one walk.

use crate::check::{expect, missing, null, string, unknown_value};
use crate::difficulty::KEYWORD_LIMIT;
use crate::envelope::BadRequest;
use crate::hub::Fingerprint;
use crate::hub::carrier::{self, Carried};
use crate::json::{self, Cursor, Kind, Text};

use super::check::empty_input;

const ROLES: &[&str] = &["system", "developer", "user", "assistant"];

/// What the input tells.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Bytes of text as written; about four make a token.
    pub bytes: u64,
    /// How many images.
    pub images: u64,
    /// How many items.
    pub items: u64,
    /// The text of the last message of the user, as far as its words are looked at.
    pub last_turn: String,
    /// The bytes of all of it.
    pub last_turn_bytes: u64,
    /// Encrypted things that only their issuer may get.
    pub opaque: Vec<Fingerprint>,
    /// Whether items bring tools along.
    pub tools: bool,
}

/// A part of content, or an item, as far as it matters here.
#[derive(Default)]
struct Item<'a> {
    kind: Option<Text<'a>>,
    role: Option<Text<'a>>,
    content: Option<Result<Content<'a>, BadRequest>>,
    call_id: bool,
    name: bool,
    id: bool,
    arguments: Option<&'a str>,
    output: Option<Result<Content<'a>, BadRequest>>,
    summary: Option<&'a str>,
    encrypted: Option<Text<'a>>,
    tools: bool,
    bytes: usize,
}

/// What a message or a result says.
#[derive(Default)]
struct Content<'a> {
    pieces: Vec<Text<'a>>,
    images: u64,
}

/// A walk over the input.
#[derive(Default)]
struct Walk<'a> {
    told: Told,
    /// What the user said last; only the last words are looked at.
    last_turn: Vec<Text<'a>>,
}

/// Checks the input that the cursor stands before, and tells what is in it.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Told, BadRequest> {
    let mut walk = Walk::default();
    match cursor.kind()? {
        Kind::String => {
            walk.told.items = 1;
            walk.turn(vec![cursor.string()?]);
        }
        Kind::Array => {
            cursor
                .items(|cursor, index| {
                    walk.told.items += 1;
                    item(cursor, &mut walk).map_err(|bad| bad.within(&format!("[{index}]")))
                })
                .map_err(|bad: BadRequest| bad.within("input"))?;
            if walk.told.items == 0 {
                return Err(empty_input().within("input"));
            }
        }
        other => {
            let words = format!("expected a string or an array of items, got {}", other.name());
            return Err(BadRequest::about("input", words).code("invalid_type"));
        }
    }
    Ok(Told { last_turn: words(&walk.last_turn), ..walk.told })
}

/// The beginning of these pieces, as far as words are looked at.
fn words(pieces: &[Text<'_>]) -> String {
    let mut words = String::new();
    for piece in pieces {
        if words.len() >= KEYWORD_LIMIT {
            break;
        }
        words.push_str(json::head(&piece.decode(), KEYWORD_LIMIT));
        words.push(' ');
    }
    words
}

fn item<'a>(cursor: &mut Cursor<'a>, walk: &mut Walk<'a>) -> Result<(), BadRequest> {
    expect(cursor, Kind::Object)?;
    let mut item = Item::default();
    let start = cursor.at();
    cursor.fields(|cursor, name| {
        let read = match name.raw {
            "type" => string(cursor).map(|kind| item.kind = Some(kind)),
            "role" => string(cursor).map(|role| item.role = Some(role)),
            "call_id" => there(cursor).map(|there| item.call_id = there),
            "name" => there(cursor).map(|there| item.name = there),
            "id" => there(cursor).map(|there| item.id = there),
            "content" => content(cursor).map(|content| item.content = Some(content)),
            "arguments" | "input" => raw(cursor, &mut item.arguments),
            "output" => content(cursor).map(|output| item.output = Some(output)),
            "summary" => raw(cursor, &mut item.summary),
            "tools" => {
                item.tools = cursor.kind()? == Kind::Array;
                Ok(())
            }
            "encrypted_content" if !null(cursor)? => string(cursor).map(|blob| item.encrypted = Some(blob)),
            _ => Ok(()),
        };
        read.map_err(|bad: BadRequest| bad.within(name.raw))
    })?;
    item.bytes = cursor.at() - start;
    walk.take(item)
}

/// A value as it is written.
fn raw<'a>(cursor: &mut Cursor<'a>, member: &mut Option<&'a str>) -> Result<(), BadRequest> {
    *member = Some(cursor.skip()?);
    Ok(())
}

/// What is said here, in one walk; or why it is nothing that a message could say. That may be right for an item of
/// another type, whose type may come later.
fn content<'a>(cursor: &mut Cursor<'a>) -> Result<Result<Content<'a>, BadRequest>, BadRequest> {
    let mut ahead = cursor.clone();
    let read = Content::read(&mut ahead);
    if read.is_ok() {
        *cursor = ahead;
    } else {
        cursor.skip()?;
    }
    Ok(read)
}

impl<'a> Walk<'a> {
    fn take(&mut self, item: Item<'a>) -> Result<(), BadRequest> {
        let kind = item.kind.map(|kind| kind.decode());
        match kind.as_deref() {
            Some("message") | None => return self.message(item),
            Some("") => return Err(unknown_value("", &["message", "function_call"]).within("type")),
            Some("function_call" | "custom_tool_call") => {
                if !item.call_id {
                    return Err(missing("call_id"));
                }
                if !item.name {
                    return Err(missing("name"));
                }
                let member = if kind.as_deref() == Some("function_call") { "arguments" } else { "input" };
                let input = item.arguments.ok_or_else(|| missing(member))?;
                expect(&mut Cursor::new(input), Kind::String).map_err(|bad| bad.within(member))?;
            }
            Some("function_call_output" | "custom_tool_call_output") => {
                if !item.call_id {
                    return Err(missing("call_id"));
                }
                let output = item.output.ok_or_else(|| missing("output"))?;
                let output = output.map_err(|bad| bad.within("output"))?;
                self.told.images += output.images;
                self.told.bytes += output.bytes();
                return Ok(());
            }
            Some("reasoning") => {
                if let Some(summary) = item.summary {
                    expect(&mut Cursor::new(summary), Kind::Array).map_err(|bad| bad.within("summary"))?;
                }
                self.told.opaque.extend(item.encrypted.and_then(|blob| fingerprint(&blob.decode())));
            }
            Some("compaction" | "compaction_summary") => {
                let blob = item.encrypted.ok_or_else(|| missing("encrypted_content"))?;
                self.told.opaque.push(Fingerprint::of(&blob.decode()));
            }
            Some("item_reference") if !item.id => return Err(missing("id")),
            Some("additional_tools" | "tool_search_output") => self.told.tools |= item.tools,
            Some(_) => {}
        }
        // What cannot be read is only a number of bytes, and encrypted things cost their readable size at most.
        let blob = item.encrypted.map_or(0, |blob| blob.raw.len());
        self.told.bytes += (item.bytes - blob.min(item.bytes)) as u64;
        Ok(())
    }

    fn message(&mut self, item: Item<'a>) -> Result<(), BadRequest> {
        let role = item.role.ok_or_else(|| missing(if item.kind.is_some() { "role" } else { "type" }))?;
        let role = role.decode();
        if !ROLES.contains(&&*role) {
            return Err(unknown_value(&role, ROLES).within("role"));
        }
        let content = item.content.ok_or_else(|| missing("content"))?;
        let content = content.map_err(|bad| bad.within("content"))?;
        self.told.images += content.images;
        if role == "user" {
            self.turn(content.pieces);
        } else {
            self.told.bytes += content.bytes();
        }
        Ok(())
    }

    /// Notes a message of the user.
    fn turn(&mut self, pieces: Vec<Text<'a>>) {
        self.told.last_turn_bytes = pieces.iter().map(|piece| piece.raw.len() as u64).sum();
        self.told.bytes += self.told.last_turn_bytes;
        self.last_turn = pieces;
    }
}

impl<'a> Content<'a> {
    /// A string or parts.
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, BadRequest> {
        let mut content = Self::default();
        match cursor.kind()? {
            Kind::String => content.pieces.push(cursor.string()?),
            Kind::Array => cursor.items(|cursor, index| {
                content.part(cursor).map_err(|bad| bad.within(&format!("[{index}]")))
            })?,
            other => {
                let words = format!("expected a string or an array of parts, got {}", other.name());
                return Err(BadRequest::new(words).code("invalid_type"));
            }
        }
        Ok(content)
    }

    /// Bytes of text as written.
    fn bytes(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.raw.len() as u64).sum()
    }

    fn part(&mut self, cursor: &mut Cursor<'a>) -> Result<(), BadRequest> {
        expect(cursor, Kind::Object)?;
        let (mut kind, mut text, mut refusal, mut source) = (None, None, None, false);
        cursor.fields(|cursor, name| {
            let read = match name.raw {
                "type" => string(cursor).map(|found| kind = Some(found)),
                "text" => string(cursor).map(|found| text = Some(found)),
                "refusal" => string(cursor).map(|found| refusal = Some(found)),
                "image_url" | "file_id" | "file_url" | "file_data" => {
                    there(cursor).map(|there| source |= there)
                }
                _ => Ok(()),
            };
            read.map_err(|bad| bad.within(name.raw))
        })?;
        let kind = kind.ok_or_else(|| missing("type"))?.decode();
        match &*kind {
            "input_text" | "output_text" | "text" | "summary_text" | "reasoning_text" => {
                self.pieces.push(text.ok_or_else(|| missing("text"))?);
            }
            "refusal" => self.pieces.push(refusal.ok_or_else(|| missing("refusal"))?),
            "input_image" | "computer_screenshot" => {
                self.images += 1;
                if !source {
                    return Err(missing("image_url"));
                }
            }
            "input_file" if !source => return Err(missing("file_data")),
            "" => return Err(unknown_value("", &["input_text", "input_image", "input_file"]).within("type")),
            _ => {}
        }
        Ok(())
    }
}

/// Whether a string is there; `null` is as good as absent.
fn there(cursor: &mut Cursor<'_>) -> Result<bool, BadRequest> {
    if null(cursor)? {
        return Ok(false);
    }
    string(cursor).map(|_| true)
}

/// What an encrypted text is known by: a provider's own bytes, or the thing that ours carries.
pub(super) fn fingerprint(blob: &str) -> Option<Fingerprint> {
    match carrier::unpack(blob) {
        Carried::Native(data) => Some(Fingerprint::of(&data)),
        Carried::Ours(opaque) => opaque.map(|opaque| opaque.fingerprint()),
    }
}
