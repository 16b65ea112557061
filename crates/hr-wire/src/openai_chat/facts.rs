//! What the router wants to know of a request, found while it is checked.

use bytes::Bytes;
use hr_core::route::ask::Effort;

use super::check;
use super::messages::{self, Told};
use super::tools;
use crate::check::{empty_array, expect, missing, model, present, string, unknown_value};
use crate::difficulty::difficulty;
use crate::envelope::{BadRequest, Envelope};
use crate::facts::ChatFacts;
use crate::json::{Cursor, Kind, Syntax};
use crate::neutral::is_neutral_text;

/// Tokens that an image is taken for. Providers count between 85 and 1,600.
pub const TOKENS_OF_AN_IMAGE: u64 = 800;

/// Tokens that a message costs beside its text.
const TOKENS_OF_A_MESSAGE: u64 = 4;

/// The facts about an embeddings request.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbedFacts {
    /// The `model` as the caller wrote it.
    pub model: String,
    /// How many texts are to be embedded.
    pub inputs: usize,
    /// A cheap estimate of their tokens.
    pub prompt_tokens: u64,
    /// The length of a vector, when the caller said.
    pub dimensions: Option<u64>,
    /// The names of the top-level parameters.
    pub params: Vec<String>,
}

/// Reads a chat request: checks it and finds its facts in one walk over its body.
pub fn read_chat(body: Bytes) -> Result<(Envelope, ChatFacts), BadRequest> {
    let mut told = None;
    let envelope = Envelope::read_with(body, |key, cursor| {
        if key == "messages" {
            let mut ahead = cursor.clone();
            let read = messages::read(&mut ahead);
            if read.is_ok() {
                *cursor = ahead;
            }
            told = Some(read);
        }
    })?;
    let facts = chat_facts(&envelope, told)?;
    Ok((envelope, facts))
}

fn chat_facts(envelope: &Envelope, told: Option<Result<Told, BadRequest>>) -> Result<ChatFacts, BadRequest> {
    let model = model(envelope)?;
    check::chat(envelope)?;
    let (stream, include_usage) = check::streaming(envelope)?;
    let offered = tools::check(envelope)?;
    let told = told.ok_or_else(|| missing("messages"))??;

    let prompt_tokens = (told.bytes + offered.bytes as u64) / 4
        + told.images * TOKENS_OF_AN_IMAGE
        + told.messages * TOKENS_OF_A_MESSAGE;
    let limits = ["max_completion_tokens", "max_tokens"];
    Ok(ChatFacts {
        model,
        stream,
        include_usage,
        prompt_tokens,
        max_output: limits
            .iter()
            .find_map(|limit| present(envelope, limit))
            .and_then(|value| value.parse().ok()),
        difficulty: difficulty(&told.last_turn, told.last_turn_bytes / 4, prompt_tokens),
        tools: offered.tools,
        vision: told.images > 0,
        structured: offered.structured,
        effort: effort(envelope),
        shows_reasoning: true,
        opaque: told.opaque,
        params: params(envelope, &["model", "messages", "stream"]),
        ..ChatFacts::default()
    })
}

/// Checks an embeddings request and finds its facts.
pub fn read_embeddings(envelope: &Envelope) -> Result<EmbedFacts, BadRequest> {
    const FORMATS: &[&str] = &["float", "base64"];
    let model = model(envelope)?;
    check::embeddings(envelope)?;
    if let Some(value) = present(envelope, "encoding_format") {
        let format = string(&mut Cursor::new(value)).map_err(|bad| bad.within("encoding_format"))?.decode();
        if !FORMATS.contains(&&*format) {
            return Err(unknown_value(&format, FORMATS).within("encoding_format"));
        }
    }
    let input = envelope.get("input").ok_or_else(|| missing("input"))?;
    let (inputs, prompt_tokens) = embed_input(input).map_err(|bad| bad.within("input"))?;
    Ok(EmbedFacts {
        model,
        inputs,
        prompt_tokens,
        dimensions: present(envelope, "dimensions").and_then(|value| value.parse().ok()),
        params: params(envelope, &["model", "input"]),
    })
}

/// How many inputs there are, and about how many tokens: a text, texts, tokens, or lists of tokens.
fn embed_input(value: &str) -> Result<(usize, u64), BadRequest> {
    let mut cursor = Cursor::new(value);
    match cursor.kind()? {
        Kind::String => Ok((1, not_empty(&mut cursor)?)),
        Kind::Array => {
            let mut count = 0;
            let mut tokens = 0;
            let mut first = None;
            cursor.items(|cursor, index| {
                let kind = cursor.kind()?;
                count += 1;
                let read = match (*first.get_or_insert(kind), kind) {
                    (Kind::String, Kind::String) => not_empty(cursor),
                    (Kind::Number, Kind::Number) => token(cursor).map(|()| 1),
                    (Kind::Array, Kind::Array) => token_list(cursor),
                    (Kind::String | Kind::Number | Kind::Array, other) => Err(BadRequest::new(format!(
                        "all inputs must be of one kind, but this is {}",
                        other.name()
                    ))
                    .code("invalid_type")),
                    (_, other) => {
                        Err(BadRequest::new(format!("expected a string or tokens, got {}", other.name()))
                            .code("invalid_type"))
                    }
                };
                tokens += read.map_err(|bad| bad.within(&format!("[{index}]")))?;
                Ok::<(), BadRequest>(())
            })?;
            match (count, first) {
                (0, _) => Err(empty_array()),
                (_, Some(Kind::Number)) => Ok((1, tokens)),
                (count, _) => Ok((count, tokens)),
            }
        }
        other => Err(BadRequest::new(format!("expected a string or an array, got {}", other.name()))
            .code("invalid_type")),
    }
}

fn not_empty(cursor: &mut Cursor<'_>) -> Result<u64, BadRequest> {
    let text = string(cursor)?;
    if text.raw.is_empty() {
        return Err(BadRequest::new("an input must not be an empty string").code("invalid_value"));
    }
    Ok(text.raw.len() as u64 / 4 + 1)
}

fn token(cursor: &mut Cursor<'_>) -> Result<(), BadRequest> {
    expect(cursor, Kind::Number)?;
    let written = cursor.number()?;
    written.parse::<u32>().map(drop).map_err(|_| {
        BadRequest::new(format!("`{written}` is not a token; tokens are whole numbers")).code("invalid_type")
    })
}

fn token_list(cursor: &mut Cursor<'_>) -> Result<u64, BadRequest> {
    let mut count = 0;
    cursor.items(|cursor, index| {
        count += 1;
        token(cursor).map_err(|bad| bad.within(&format!("[{index}]")))
    })?;
    if count == 0 { Err(empty_array()) } else { Ok(count) }
}

fn params(envelope: &Envelope, without: &[&str]) -> Vec<String> {
    let says_something =
        |key: &&str| envelope.get(key).is_some_and(|value| value != "null" && !is_neutral_text(key, value));
    envelope.keys().filter(|key| !without.contains(key)).filter(says_something).map(str::to_owned).collect()
}

/// The effort asked for: `reasoning_effort`, or the objects that other providers read it from.
fn effort(envelope: &Envelope) -> Effort {
    if let Some(value) = present(envelope, "reasoning_effort") {
        return effort_of_word(value.trim_matches('"'));
    }
    for (object, member) in [("reasoning", "effort"), ("thinking", "type")] {
        let mut found = Effort::Unsaid;
        if let Some(value) = present(envelope, object) {
            // Not a standard parameter: whatever does not read as one says nothing.
            let _read = Cursor::new(value).fields(|cursor, name| {
                if name.is(member) && cursor.kind()? == Kind::String {
                    found = effort_of_word(&cursor.string()?.decode());
                }
                Ok::<(), Syntax>(())
            });
        }
        if found != Effort::Unsaid {
            return found;
        }
    }
    Effort::Unsaid
}

fn effort_of_word(word: &str) -> Effort {
    match word {
        "minimal" | "low" => Effort::Low,
        "medium" | "enabled" => Effort::Medium,
        "high" | "xhigh" | "max" => Effort::High,
        _ => Effort::Unsaid,
    }
}
