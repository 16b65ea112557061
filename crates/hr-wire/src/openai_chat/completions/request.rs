//! A prompt, checked and made a conversation.

use bytes::Bytes;
use hr_core::catalog::Dialect;
use serde_json::{Map, Value};

use super::super::{check, request};
use crate::check::{Rule, missing, model, present, table};
use crate::dialect::Decoded;
use crate::difficulty::{KEYWORD_LIMIT, difficulty};
use crate::envelope::{BadRequest, Envelope};
use crate::facts::ChatFacts;
use crate::hub::{Extras, Loss, Message, Part, Role};
use crate::json::{Cursor, Kind, head};

const RULES: &[(&str, Rule)] = &[
    ("stream", Rule::Boolean),
    ("echo", Rule::Boolean),
    ("suffix", Rule::String),
    ("temperature", Rule::Number(0.0, 2.0)),
    ("top_p", Rule::Number(0.0, 1.0)),
    ("n", Rule::Integer(1, 128)),
    ("best_of", Rule::Integer(1, 128)),
    ("presence_penalty", Rule::Number(-2.0, 2.0)),
    ("frequency_penalty", Rule::Number(-2.0, 2.0)),
    ("logprobs", Rule::Integer(0, 5)),
    ("logit_bias", Rule::NumberMap(-100.0, 100.0)),
    ("max_tokens", Rule::Integer(1, i64::MAX)),
    ("stop", Rule::StringOrStrings(4)),
    ("seed", Rule::Integer(i64::MIN, i64::MAX)),
    ("user", Rule::String),
];

/// Fields that a conversation has no counterpart of.
const LOST: [&str; 3] = ["echo", "best_of", "logprobs"];

/// Checks a request and finds its facts.
pub(super) fn read(body: Bytes) -> Result<(Envelope, ChatFacts), BadRequest> {
    let envelope = Envelope::read(body)?;
    let model = model(&envelope)?;
    table(&envelope, RULES)?;
    let (stream, include_usage) = check::streaming(&envelope)?;
    let prompt = prompt(&envelope)?;
    if present(&envelope, "suffix").is_some_and(|suffix| suffix != "\"\"") {
        let words = "`suffix` is not supported, since nothing is inserted here; put all into `prompt`";
        return Err(BadRequest::about("suffix", words).code("unsupported_parameter"));
    }
    if present(&envelope, "n").is_some_and(|count| count != "1") {
        let words = "only one answer is given here; send the request several times instead of `n`";
        return Err(BadRequest::about("n", words).code("unsupported_value"));
    }
    let prompt_tokens = prompt.len() as u64 / 4 + 1;
    let facts = ChatFacts {
        model,
        stream,
        include_usage,
        prompt_tokens,
        max_output: present(&envelope, "max_tokens").and_then(|value| value.parse().ok()),
        difficulty: difficulty(head(&prompt, KEYWORD_LIMIT), prompt_tokens, prompt_tokens),
        params: envelope
            .keys()
            .filter(|key| !["model", "prompt", "stream"].contains(key))
            .map(str::to_owned)
            .collect(),
        ..ChatFacts::default()
    };
    Ok((envelope, facts))
}

/// The prompt: one text.
fn prompt(envelope: &Envelope) -> Result<String, BadRequest> {
    let value = present(envelope, "prompt").ok_or_else(|| missing("prompt"))?;
    text(value).map_err(|bad| bad.within("prompt"))
}

fn text(value: &str) -> Result<String, BadRequest> {
    let mut cursor = Cursor::new(value);
    match cursor.kind()? {
        Kind::String => Ok(cursor.string()?.decode().into_owned()),
        Kind::Array => {
            let mut texts = Vec::new();
            cursor.items(|cursor, index| {
                if cursor.kind()? != Kind::String {
                    let words =
                        "a prompt of tokens is not supported, since models differ in theirs; send text";
                    return Err(BadRequest::about(format!("[{index}]"), words).code("unsupported_value"));
                }
                texts.push(cursor.string()?.decode().into_owned());
                Ok(())
            })?;
            if texts.len() > 1 {
                let words = "several prompts in one request are not supported; send a request for each";
                return Err(BadRequest::new(words).code("unsupported_value"));
            }
            texts.pop().ok_or_else(crate::check::empty_array)
        }
        other => {
            Err(BadRequest::new(format!("expected a string, got {}", other.name())).code("invalid_type"))
        }
    }
}

/// Brings a request that was read into the hub's form. What it shares with a conversation is read as there.
pub(super) fn decode(envelope: &Envelope) -> Result<Decoded, BadRequest> {
    let prompt = prompt(envelope)?;
    let mut shared = envelope.draft();
    for field in ["prompt", "suffix", "n"].iter().chain(&LOST) {
        shared.remove(field);
    }
    let mut decoded = request::decode(&Envelope::read(shared.finish())?)?;
    decoded.request.messages = vec![Message {
        role: Role::User,
        name: None,
        parts: vec![Part::Text(prompt)],
        extras: Extras::of(Dialect::OpenaiChat, Map::new()),
    }];
    for field in LOST {
        let asked = present(envelope, field).and_then(|value| serde_json::from_str::<Value>(value).ok());
        if asked.is_some_and(|value| value != Value::Bool(false) && !(field == "best_of" && value == 1)) {
            decoded.losses.push(Loss::dropped(field));
        }
    }
    Ok(decoded)
}
