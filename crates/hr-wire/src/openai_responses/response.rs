//! The response object: all that clients insist on, with what a reply repeats of its request.

use crate::dialect::Echo;
use crate::json::quoted;
use crate::patch;

/// Fields that a response repeats, with what stands there when the request does not say.
const ECHOED: &[(&str, &str)] = &[
    ("background", "false"),
    ("frequency_penalty", "0"),
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("max_tool_calls", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("presence_penalty", "0"),
    ("previous_response_id", "null"),
    ("prompt_cache_key", "null"),
    ("reasoning", r#"{"effort":null,"summary":null}"#),
    ("safety_identifier", "null"),
    ("service_tier", "\"default\""),
    ("store", "true"),
    ("temperature", "1.0"),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("tool_choice", "\"auto\""),
    ("tools", "[]"),
    ("top_logprobs", "0"),
    ("top_p", "1.0"),
    ("truncation", "\"disabled\""),
    ("user", "null"),
];

/// What a response says of itself; the rest is said by the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct State<'a> {
    /// Its id.
    pub id: &'a str,
    /// The model.
    pub model: &'a str,
    /// When it was made.
    pub created: u64,
    /// `in_progress`, `completed`, `incomplete` or `failed`.
    pub status: &'a str,
    /// Its items, each as JSON text.
    pub items: &'a [String],
    /// Its usage as JSON text, when it is known.
    pub usage: Option<&'a str>,
    /// Why it is not complete.
    pub incomplete: Option<&'a str>,
    /// Why it failed: code and words.
    pub error: Option<(&'a str, &'a str)>,
}

/// Writes the object.
pub(super) fn write(state: &State<'_>, echo: &Echo) -> String {
    let error = state.error.map(|(code, message)| error(code, message));
    let incomplete = state.incomplete.map(|reason| format!(r#"{{"reason":{}}}"#, quoted(reason)));
    let completed_at = if state.status == "completed" { echo.now.max(state.created) } else { 0 };
    let own = [
        ("id", quoted(state.id)),
        ("object", quoted("response")),
        ("created_at", state.created.to_string()),
        ("status", quoted(state.status)),
        ("completed_at", if completed_at > 0 { completed_at.to_string() } else { "null".into() }),
        ("error", error.unwrap_or_else(|| "null".into())),
        ("incomplete_details", incomplete.unwrap_or_else(|| "null".into())),
        ("model", quoted(state.model)),
        ("output", format!("[{}]", state.items.join(","))),
        ("usage", state.usage.unwrap_or("null").to_owned()),
    ];
    let mut out = String::with_capacity(1024);
    for (key, value) in own {
        out.push_str(if out.is_empty() { "{\"" } else { ",\"" });
        out.push_str(key);
        out.push_str("\":");
        out.push_str(&value);
    }
    for (key, unsaid) in ECHOED {
        out.push_str(",\"");
        out.push_str(key);
        out.push_str("\":");
        let said = echo.request.as_ref().and_then(|request| request.get(key));
        match said.filter(|said| *said != "null") {
            None => out.push_str(unsaid),
            Some(said) => out.push_str(filled(key, said).as_deref().unwrap_or(said)),
        }
    }
    out.push('}');
    // What the caller said is told as it was written, but an event has its data on one line. Line ends stand only
    // between the tokens of JSON, never in them.
    if memchr::memchr2(b'\n', b'\r', out.as_bytes()).is_some() {
        out.retain(|letter| !matches!(letter, '\n' | '\r'));
    }
    out
}

/// The `error` of a response.
pub(super) fn error(code: &str, message: &str) -> String {
    format!(r#"{{"code":{},"message":{}}}"#, quoted(code), quoted(message))
}

/// What a request said, with the members that it left out and a response must have.
fn filled(key: &str, said: &str) -> Option<String> {
    match key {
        "text" => with(said, &[("format", r#"{"type":"text"}"#)]).or(Some(said.to_owned())).map(|text| {
            patch::within(&text, "format", |format| {
                let is_schema = patch::field(format, "type")? == "\"json_schema\"";
                is_schema.then(|| with(format, &[("description", "null"), ("strict", "false")]))?
            })
            .unwrap_or(text)
        }),
        "reasoning" => with(said, &[("effort", "null"), ("summary", "null")]),
        "tools" => patch::each(said, |_, tool| {
            let is_function = patch::field(tool, "type") == Some("\"function\"");
            let members = [("description", "null"), ("parameters", "null"), ("strict", "true")];
            is_function.then(|| with(tool, &members)).flatten().into()
        }),
        _ => None,
    }
}

/// An object with these members where it has none of that name.
fn with(object: &str, members: &[(&str, &str)]) -> Option<String> {
    patch::object(object, |draft| {
        let mut changed = false;
        for (key, value) in members {
            if draft.get(key).is_none() {
                draft.set(key, *value);
                changed = true;
            }
        }
        changed
    })
}
