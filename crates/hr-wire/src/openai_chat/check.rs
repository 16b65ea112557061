//! The parameters beside the messages: their types and ranges, as the stock API checks them.

use crate::check::{Rule, boolean, expect, null, present, table};
use crate::envelope::{BadRequest, Envelope};
use crate::json::{Cursor, Kind};

const CHAT: &[(&str, Rule)] = &[
    ("stream", Rule::Boolean),
    ("temperature", Rule::Number(0.0, 2.0)),
    ("top_p", Rule::Number(0.0, 1.0)),
    ("n", Rule::Integer(1, 128)),
    ("presence_penalty", Rule::Number(-2.0, 2.0)),
    ("frequency_penalty", Rule::Number(-2.0, 2.0)),
    ("logprobs", Rule::Boolean),
    ("top_logprobs", Rule::Integer(0, 20)),
    ("logit_bias", Rule::NumberMap(-100.0, 100.0)),
    ("max_tokens", Rule::Integer(1, i64::MAX)),
    ("max_completion_tokens", Rule::Integer(1, i64::MAX)),
    ("stop", Rule::StringOrStrings(4)),
    ("seed", Rule::Integer(i64::MIN, i64::MAX)),
    ("user", Rule::String),
    ("parallel_tool_calls", Rule::Boolean),
    ("store", Rule::Boolean),
    ("metadata", Rule::StringMap),
    ("modalities", Rule::Strings),
    ("audio", Rule::Object),
    ("prediction", Rule::Object),
    ("service_tier", Rule::String),
    ("reasoning_effort", Rule::String),
    ("verbosity", Rule::String),
    ("safety_identifier", Rule::String),
    ("prompt_cache_key", Rule::String),
    ("web_search_options", Rule::Object),
];

const EMBEDDINGS: &[(&str, Rule)] = &[("dimensions", Rule::Integer(1, i64::MAX)), ("user", Rule::String)];

/// Checks the parameters of a chat request.
pub(crate) fn chat(envelope: &Envelope) -> Result<(), BadRequest> {
    table(envelope, CHAT)
}

/// Checks the parameters of an embeddings request.
pub(crate) fn embeddings(envelope: &Envelope) -> Result<(), BadRequest> {
    table(envelope, EMBEDDINGS)
}

/// `stream` and `stream_options.include_usage`.
pub(crate) fn streaming(envelope: &Envelope) -> Result<(bool, bool), BadRequest> {
    let stream = present(envelope, "stream") == Some("true");
    let Some(options) = present(envelope, "stream_options") else { return Ok((stream, false)) };
    let mut cursor = Cursor::new(options);
    let mut include_usage = false;
    let read = expect(&mut cursor, Kind::Object).and_then(|()| {
        cursor.fields(|cursor, name| {
            if name.is("include_usage") && !null(cursor)? {
                include_usage = boolean(cursor).map_err(|bad| bad.within("include_usage"))?;
            }
            Ok::<(), BadRequest>(())
        })
    });
    read.map_err(|bad| bad.within("stream_options"))?;
    if !stream {
        return Err(BadRequest::about(
            "stream_options",
            "`stream_options` is only allowed with `stream: true`",
        )
        .code("invalid_value"));
    }
    Ok((stream, include_usage))
}
