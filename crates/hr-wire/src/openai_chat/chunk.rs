//! A chunk of a stream, or a whole reply, as servers really send them: read leniently, borrowed where it can be.
//!
//! Reasoning has five spellings and is taken from one of them only; content may be parts; calls may come with
//! or without an index, with their arguments as text or as the value itself; usage lies in several places.

use std::borrow::Cow;

use hr_core::usage::Usage;

use super::glance;
use crate::json::{Cursor, Kind, Syntax};

/// What one chunk, or one whole reply, holds.
#[derive(Debug, Default)]
pub(super) struct Chunk<'a> {
    pub id: Option<Cow<'a, str>>,
    pub model: Option<Cow<'a, str>>,
    pub created: Option<u64>,
    /// Whether there is a top-level `error` that is not `null`.
    pub error: bool,
    /// Whether there are choices at all, be it none.
    pub has_choices: bool,
    /// The first choice.
    pub choice: Option<Choice<'a>>,
    pub usage: Option<Usage>,
    /// All other top-level fields, as written.
    pub rest: Vec<(Cow<'a, str>, &'a str)>,
}

/// A choice.
#[derive(Debug, Default)]
pub(super) struct Choice<'a> {
    index: u64,
    /// What is said, in the order that clients know: reasoning, content, refusal.
    pub said: Vec<Said<'a>>,
    pub calls: Vec<Piece<'a>>,
    pub finish: Option<Cow<'a, str>>,
    /// The stop word that was met, where the server tells.
    pub stop_word: Option<Cow<'a, str>>,
}

/// Something said.
#[derive(Debug)]
pub(super) enum Said<'a> {
    Text(Cow<'a, str>),
    Reasoning(Cow<'a, str>),
    Refusal(Cow<'a, str>),
}

/// A piece of a call, or a whole one.
#[derive(Debug, Default)]
pub(super) struct Piece<'a> {
    pub index: Option<u64>,
    pub id: Option<Cow<'a, str>>,
    pub name: Option<Cow<'a, str>>,
    pub arguments: Cow<'a, str>,
    /// Whether the arguments came as the value itself, whole.
    pub is_value: bool,
    /// Whether it takes free text.
    pub is_custom: bool,
    /// What the provider wants back beside the call, as written.
    pub extra: Option<&'a str>,
}

impl Piece<'_> {
    /// Whether it says nothing at all.
    pub(super) fn is_empty(&self) -> bool {
        self.id.is_none() && self.name.is_none() && self.arguments.is_empty()
    }
}

/// The spellings of reasoning beside the content, the best first.
const REASONING: [&str; 3] = ["reasoning_content", "reasoning", "thinking"];

impl<'a> Chunk<'a> {
    /// Reads JSON text; `member` is `delta` in a chunk and `message` in a whole reply.
    pub(super) fn read(text: &'a str, member: &str) -> Result<Self, Syntax> {
        let mut chunk = Self::default();
        let mut cursor = Cursor::new(text);
        cursor.fields(|cursor, name| {
            match (name.raw, cursor.kind()?) {
                ("id", Kind::String) => chunk.id = Some(cursor.string()?.decode()),
                ("model", Kind::String) => chunk.model = Some(cursor.string()?.decode()),
                ("created", Kind::Number) => chunk.created = glance::count(cursor)?,
                ("error", kind) => chunk.error = kind != Kind::Null,
                ("choices", Kind::Array) => {
                    chunk.has_choices = true;
                    cursor.items(|cursor, _| chunk.choice(cursor, member))?;
                }
                ("usage", Kind::Object) => chunk.usage = Some(glance::usage(cursor)?),
                ("x_groq", Kind::Object) => {
                    let usage = glance::nested_usage(cursor)?;
                    chunk.usage = chunk.usage.or(usage);
                }
                ("id" | "object" | "model" | "created" | "choices" | "usage", _) => {}
                _ => chunk.rest.push((name.decode(), cursor.skip()?)),
            }
            Ok::<(), Syntax>(())
        })?;
        cursor.end()?;
        Ok(chunk)
    }

    fn choice(&mut self, cursor: &mut Cursor<'a>, member: &str) -> Result<(), Syntax> {
        if cursor.kind()? != Kind::Object {
            return Ok(());
        }
        let mut choice = Choice::default();
        let mut usage = None;
        cursor.fields(|cursor, name| {
            match (name.raw, cursor.kind()?) {
                ("index", Kind::Number) => choice.index = glance::count(cursor)?.unwrap_or(0),
                ("finish_reason", Kind::String) => {
                    choice.finish = Some(cursor.string()?.decode()).filter(|word| !word.is_empty());
                }
                ("stop_reason", Kind::String) => choice.stop_word = Some(cursor.string()?.decode()),
                ("usage", Kind::Object) => usage = Some(glance::usage(cursor)?),
                (name, Kind::Object) if name == member => choice.answer(cursor)?,
                _ => {}
            }
            Ok::<(), Syntax>(())
        })?;
        self.usage = self.usage.or(usage);
        // The hub has one choice.
        if choice.index == 0 && self.choice.is_none() {
            self.choice = Some(choice);
        }
        Ok(())
    }
}

impl<'a> Choice<'a> {
    fn answer(&mut self, cursor: &mut Cursor<'a>) -> Result<(), Syntax> {
        let mut spellings: [Option<Cow<'a, str>>; REASONING.len()] = Default::default();
        let mut details = String::new();
        let mut content = Vec::new();
        let mut refusal = None;
        cursor.fields(|cursor, name| {
            let kind = cursor.kind()?;
            if let (Some(place), Kind::String) = (REASONING.iter().position(|known| *known == name.raw), kind)
            {
                spellings[place] = not_empty(cursor)?;
                return Ok(());
            }
            match (name.raw, kind) {
                ("content", Kind::String) => content.extend(not_empty(cursor)?.map(Said::Text)),
                ("content", Kind::Array) => cursor.items(|cursor, _| part(cursor, &mut content))?,
                ("refusal", Kind::String) => refusal = not_empty(cursor)?,
                ("reasoning_details", Kind::Array) => {
                    cursor.items(|cursor, _| texts(cursor, &["text", "summary"], &mut details))?;
                }
                ("tool_calls", Kind::Array) => cursor.items(|cursor, _| self.call(cursor))?,
                ("function_call", Kind::Object) => {
                    let mut piece = Piece::default();
                    function(cursor, &mut piece)?;
                    self.calls.push(piece);
                }
                _ => {}
            }
            Ok::<(), Syntax>(())
        })?;
        let spelled = spellings.into_iter().flatten().next();
        let beside = spelled.or((!details.is_empty()).then_some(Cow::Owned(details)));
        if beside.is_some() {
            content.retain(|said| !matches!(said, Said::Reasoning(_)));
        }
        self.said.extend(beside.map(Said::Reasoning));
        self.said.append(&mut content);
        self.said.extend(refusal.map(Said::Refusal));
        Ok(())
    }

    fn call(&mut self, cursor: &mut Cursor<'a>) -> Result<(), Syntax> {
        if cursor.kind()? != Kind::Object {
            return Ok(());
        }
        let mut piece = Piece::default();
        cursor.fields(|cursor, name| {
            match (name.raw, cursor.kind()?) {
                ("index", Kind::Number) => piece.index = glance::count(cursor)?,
                ("id", Kind::String) => piece.id = not_empty(cursor)?,
                ("function" | "custom", Kind::Object) => {
                    piece.is_custom = name.raw == "custom";
                    function(cursor, &mut piece)?;
                }
                ("extra_content", Kind::Object) => piece.extra = Some(cursor.skip()?),
                _ => {}
            }
            Ok::<(), Syntax>(())
        })?;
        self.calls.push(piece);
        Ok(())
    }
}

/// The function of a call, or its custom tool.
fn function<'a>(cursor: &mut Cursor<'a>, piece: &mut Piece<'a>) -> Result<(), Syntax> {
    cursor.fields(|cursor, name| {
        match (name.raw, cursor.kind()?) {
            ("name", Kind::String) => piece.name = not_empty(cursor)?,
            ("arguments" | "input", Kind::String) => piece.arguments = cursor.string()?.decode(),
            ("arguments", Kind::Null) => {}
            ("arguments", _) => {
                piece.arguments = Cow::Borrowed(cursor.skip()?);
                piece.is_value = true;
            }
            _ => {}
        }
        Ok(())
    })
}

/// What parts of content say; nothing where they cannot be read.
pub(super) fn parts(text: &str) -> Vec<Said<'_>> {
    let mut content = Vec::new();
    let mut cursor = Cursor::new(text);
    let read = cursor.items(|cursor, _| part(cursor, &mut content));
    if read.is_err() {
        content.clear();
    }
    content
}

/// A part of content: text, a refusal, or thinking that some providers put there.
fn part<'a>(cursor: &mut Cursor<'a>, content: &mut Vec<Said<'a>>) -> Result<(), Syntax> {
    if cursor.kind()? != Kind::Object {
        return Ok(());
    }
    cursor.fields(|cursor, name| {
        match (name.raw, cursor.kind()?) {
            ("text", Kind::String) => content.extend(not_empty(cursor)?.map(Said::Text)),
            ("refusal", Kind::String) => content.extend(not_empty(cursor)?.map(Said::Refusal)),
            ("thinking", Kind::String) => content.extend(not_empty(cursor)?.map(Said::Reasoning)),
            ("thinking", Kind::Array) => {
                let mut whole = String::new();
                cursor.items(|cursor, _| texts(cursor, &["text"], &mut whole))?;
                content.extend((!whole.is_empty()).then_some(Said::Reasoning(Cow::Owned(whole))));
            }
            _ => {}
        }
        Ok(())
    })
}

/// Adds the strings in these fields of an object.
fn texts(cursor: &mut Cursor<'_>, wanted: &[&str], whole: &mut String) -> Result<(), Syntax> {
    if cursor.kind()? != Kind::Object {
        return Ok(());
    }
    cursor.fields(|cursor, name| {
        if wanted.contains(&name.raw) && cursor.kind()? == Kind::String {
            whole.push_str(&cursor.string()?.decode());
        }
        Ok(())
    })
}

fn not_empty<'a>(cursor: &mut Cursor<'a>) -> Result<Option<Cow<'a, str>>, Syntax> {
    Ok(Some(cursor.string()?.decode()).filter(|text| !text.is_empty()))
}
