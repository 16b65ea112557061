//! A quick look at a reply or a chunk: what routing and accounting need, nothing built.

use hr_core::usage::Usage;

use super::decoder::beside;
use crate::hub::{Fingerprint, Finish};
use crate::json::{Cursor, Kind, Syntax, Text};

/// The highest choice that is followed by itself; SDKs accept no higher one.
const MAX_CHOICES: u32 = 128;

/// What a look found.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Glance {
    /// Whether there is a top-level `error` that is not `null`.
    pub error: bool,
    /// How many choices there are; `None` when there is no such array.
    pub choices: Option<usize>,
    /// Whether there is text that is not blank, a refusal, or another thing for the caller.
    pub content: bool,
    /// Whether there is a call of a tool.
    pub tool_call: bool,
    /// Whether there is reasoning.
    pub reasoning: bool,
    /// Whether strict clients could not read it as a chunk.
    pub odd: bool,
    /// The choices that are there, as bits.
    pub present: u128,
    /// The choices that finished, as bits.
    pub finished: u128,
    /// The last finish reason.
    pub finish: Option<Finish>,
    /// The usage.
    pub usage: Option<Usage>,
    /// The model that answered, as the provider names it.
    pub model: Option<String>,
    /// Opaque things beside calls.
    pub opaque: Vec<Fingerprint>,
}

impl Glance {
    /// Looks at JSON text; `choice_member` is `delta` in a chunk and `message` in a whole reply.
    pub(super) fn at(text: &str, choice_member: &str, with_model: bool) -> Result<Self, Syntax> {
        let mut glance = Self::default();
        let mut cursor = Cursor::new(text);
        cursor.fields(|cursor, name| {
            match name.raw {
                "error" => glance.error = cursor.kind()? != Kind::Null,
                "choices" if cursor.kind()? == Kind::Array => {
                    let mut count = 0;
                    cursor.items(|cursor, index| {
                        count = index + 1;
                        glance.choice(cursor, choice_member)
                    })?;
                    glance.choices = Some(count);
                }
                "usage" if cursor.kind()? == Kind::Object => glance.usage = Some(usage(cursor)?),
                "x_groq" if cursor.kind()? == Kind::Object => {
                    let usage = nested_usage(cursor)?;
                    glance.usage = glance.usage.or(usage);
                }
                "model" if with_model && cursor.kind()? == Kind::String => {
                    glance.model = Some(cursor.string()?.decode().into_owned());
                }
                _ => {}
            }
            Ok::<(), Syntax>(())
        })?;
        cursor.end()?;
        Ok(glance)
    }

    /// Whether there is anything that a caller would call an answer.
    pub(super) fn has_answer(&self) -> bool {
        self.content || self.tool_call
    }

    fn choice(&mut self, cursor: &mut Cursor<'_>, member: &str) -> Result<(), Syntax> {
        if cursor.kind()? != Kind::Object {
            return Ok(());
        }
        let mut index = 0;
        let mut finished = false;
        cursor.fields(|cursor, name| {
            match (name.raw, cursor.kind()?) {
                ("index", Kind::Number) => index = cursor.number()?.parse().unwrap_or(0),
                ("finish_reason", Kind::String) => {
                    let reason = cursor.string()?.decode();
                    // Some servers send the empty string until the end.
                    if !reason.is_empty() {
                        self.finish = Some(Finish::read(&reason));
                        finished = true;
                    }
                }
                ("usage", Kind::Object) if self.usage.is_none() => self.usage = Some(usage(cursor)?),
                (name, Kind::Object) if name == member => self.message(cursor)?,
                _ => {}
            }
            Ok::<(), Syntax>(())
        })?;
        let bit = 1_u128.checked_shl(index).filter(|_| index < MAX_CHOICES).unwrap_or(0);
        self.present |= bit;
        self.finished |= if finished { bit } else { 0 };
        Ok(())
    }

    fn message(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Syntax> {
        cursor.fields(|cursor, name| {
            match (name.raw, cursor.kind()?) {
                ("content", Kind::String) => self.content |= !cursor.string()?.is_blank(),
                ("content", Kind::Array) => {
                    self.odd = true;
                    cursor.items(|cursor, _| self.part(cursor))?;
                }
                ("refusal", Kind::String) => self.content |= !cursor.string()?.is_blank(),
                ("reasoning_content" | "reasoning" | "thinking", Kind::String) => {
                    self.reasoning |= !cursor.string()?.raw.is_empty();
                }
                ("reasoning_details", Kind::Array) => {
                    cursor.items(|_, _| {
                        self.reasoning = true;
                        Ok::<(), Syntax>(())
                    })?;
                }
                ("tool_calls", Kind::Array) => cursor.items(|cursor, _| self.call(cursor))?,
                ("function_call", Kind::Object) => self.tool_call = true,
                ("audio", Kind::Object) => self.content = true,
                ("images", Kind::Array) => {
                    cursor.items(|_, _| {
                        self.content = true;
                        Ok::<(), Syntax>(())
                    })?;
                }
                _ => {}
            }
            Ok(())
        })
    }

    /// A call of a tool; in a chunk it needs its index, and its type where its id is.
    fn call(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Syntax> {
        self.tool_call = true;
        if cursor.kind()? != Kind::Object {
            return Ok(());
        }
        let (mut index, mut id, mut kind) = (false, false, false);
        cursor.fields(|cursor, name| {
            match (name.raw, cursor.kind()?) {
                ("index", Kind::Number) => index = true,
                ("id", Kind::String) => id = true,
                ("type", Kind::String) => kind = true,
                ("extra_content", Kind::Object) => {
                    self.opaque.push(beside(cursor.skip()?).fingerprint());
                }
                _ => {}
            }
            Ok::<(), Syntax>(())
        })?;
        self.odd |= !index || (id && !kind);
        Ok(())
    }

    /// A part of content, as some providers send it: text, thinking, or an image.
    fn part(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Syntax> {
        if cursor.kind()? != Kind::Object {
            return Ok(());
        }
        let mut kind: Option<Text<'_>> = None;
        let mut says_something = false;
        cursor.fields(|cursor, name| {
            match (name.raw, cursor.kind()?) {
                ("type", Kind::String) => kind = Some(cursor.string()?),
                ("text" | "refusal", Kind::String) => says_something |= !cursor.string()?.is_blank(),
                (_, Kind::Array | Kind::Object) => says_something = true,
                _ => {}
            }
            Ok::<(), Syntax>(())
        })?;
        if says_something {
            match kind {
                Some(kind) if kind.is("thinking") || kind.is("reasoning") => self.reasoning = true,
                _ => self.content = true,
            }
        }
        Ok(())
    }
}

/// Usage in any of the spellings of compatible servers.
pub(super) fn usage(cursor: &mut Cursor<'_>) -> Result<Usage, Syntax> {
    let mut usage = Usage::default();
    let mut total = None;
    cursor.fields(|cursor, name| {
        match (name.raw, cursor.kind()?) {
            ("prompt_tokens" | "input_tokens", _) => usage.input = count(cursor)?.or(usage.input),
            ("completion_tokens" | "output_tokens", _) => usage.output = count(cursor)?.or(usage.output),
            ("total_tokens", _) => total = count(cursor)?,
            ("cached_tokens" | "prompt_cache_hit_tokens", _) => {
                usage.cached = count(cursor)?.or(usage.cached)
            }
            ("reasoning_tokens", _) => usage.reasoning = count(cursor)?.or(usage.reasoning),
            (
                "prompt_tokens_details"
                | "input_tokens_details"
                | "completion_tokens_details"
                | "output_tokens_details",
                Kind::Object,
            ) => details(cursor, &mut usage)?,
            _ => {}
        }
        Ok::<(), Syntax>(())
    })?;
    // Some leave the reasoning out of what was completed, and count it in the total only.
    if let (Some(input), Some(output), Some(total)) = (usage.input, usage.output, total)
        && total > input.saturating_add(output)
    {
        usage.output = Some(total - input);
    }
    Ok(usage)
}

fn details(cursor: &mut Cursor<'_>, usage: &mut Usage) -> Result<(), Syntax> {
    cursor.fields(|cursor, name| {
        match name.raw {
            "cached_tokens" => usage.cached = count(cursor)?.or(usage.cached),
            "cache_write_tokens" => usage.cache_write = count(cursor)?.or(usage.cache_write),
            "reasoning_tokens" => usage.reasoning = count(cursor)?.or(usage.reasoning),
            _ => {}
        }
        Ok(())
    })
}

/// The `usage` in an object that some server keeps it in.
pub(super) fn nested_usage(cursor: &mut Cursor<'_>) -> Result<Option<Usage>, Syntax> {
    let mut found = None;
    cursor.fields(|cursor, name| {
        if name.is("usage") && cursor.kind()? == Kind::Object {
            found = Some(usage(cursor)?);
        }
        Ok::<(), Syntax>(())
    })?;
    Ok(found)
}

/// A count of tokens; servers written in other languages send `12.0` or `"12"`.
pub(super) fn count(cursor: &mut Cursor<'_>) -> Result<Option<u64>, Syntax> {
    let written = match cursor.kind()? {
        Kind::Number => cursor.number()?,
        Kind::String => cursor.string()?.raw,
        _ => return Ok(None),
    };
    let whole = written.split_once('.').map_or(written, |(whole, _)| whole);
    Ok(whole.parse().ok())
}
