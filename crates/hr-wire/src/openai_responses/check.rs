//! The parameters beside the input: their types and ranges, as the stock API checks them.

use crate::check::{Rule, empty_array, expect, missing, null, present, string, table, unknown_value};
use crate::envelope::{BadRequest, Envelope};
use crate::json::{Cursor, Kind};

const PARAMS: &[(&str, Rule)] = &[
    ("instructions", Rule::String),
    ("stream", Rule::Boolean),
    ("store", Rule::Boolean),
    ("background", Rule::Boolean),
    ("previous_response_id", Rule::String),
    ("temperature", Rule::Number(0.0, 2.0)),
    ("top_p", Rule::Number(0.0, 1.0)),
    ("top_logprobs", Rule::Integer(0, 20)),
    ("max_output_tokens", Rule::Integer(1, i64::MAX)),
    ("max_tool_calls", Rule::Integer(1, i64::MAX)),
    ("parallel_tool_calls", Rule::Boolean),
    ("metadata", Rule::StringMap),
    ("user", Rule::String),
    ("prompt_cache_key", Rule::String),
    ("safety_identifier", Rule::String),
    ("service_tier", Rule::String),
    ("truncation", Rule::String),
    ("stream_options", Rule::Object),
];

/// What the checks found out on their way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Offered {
    /// Whether tools are offered.
    pub tools: bool,
    /// How many bytes their JSON takes.
    pub bytes: usize,
    /// Whether a schema or at least JSON binds the answer.
    pub structured: bool,
}

/// Checks all parameters but the input.
pub(super) fn params(envelope: &Envelope) -> Result<Offered, BadRequest> {
    table(envelope, PARAMS)?;
    let mut offered = Offered::default();
    if let Some(tools) = present(envelope, "tools") {
        offered.tools = self::tools(tools, false).map_err(|bad| bad.within("tools"))? > 0;
        offered.bytes = tools.len();
    }
    if let Some(choice) = present(envelope, "tool_choice") {
        tool_choice(choice).map_err(|bad| bad.within("tool_choice"))?;
    }
    if let Some(text) = present(envelope, "text") {
        offered.structured = self::text(text).map_err(|bad| bad.within("text"))?;
    }
    if let Some(reasoning) = present(envelope, "reasoning") {
        strings_of(reasoning, &["effort", "summary", "generate_summary", "context", "mode"])
            .map_err(|bad| bad.within("reasoning"))?;
    }
    if let Some(include) = present(envelope, "include") {
        include_list(include).map_err(|bad| bad.within("include"))?;
    }
    if present(envelope, "previous_response_id").is_some() && present(envelope, "conversation").is_some() {
        return Err(BadRequest::about(
            "previous_response_id",
            "`previous_response_id` and `conversation` exclude each other; send one of them",
        )
        .code("mutually_exclusive_parameters"));
    }
    Ok(offered)
}

/// Checks tools and counts them; `inside` a namespace there are no further ones.
fn tools(value: &str, inside: bool) -> Result<usize, BadRequest> {
    let mut cursor = Cursor::new(value);
    expect(&mut cursor, Kind::Array)?;
    let mut count = 0;
    cursor.items(|cursor, index| {
        count = index + 1;
        tool(cursor, inside).map_err(|bad| bad.within(&format!("[{index}]")))
    })?;
    Ok(count)
}

/// A tool. Types that are not known belong to some provider and pass.
fn tool(cursor: &mut Cursor<'_>, inside: bool) -> Result<(), BadRequest> {
    expect(cursor, Kind::Object)?;
    let mut kind = None;
    let mut named = false;
    let mut members = None;
    cursor.fields(|cursor, name| {
        let wanted = match name.raw {
            "type" => {
                kind = Some(string(cursor).map_err(|bad| bad.within("type"))?.decode().into_owned());
                return Ok(());
            }
            "name" => {
                let name = string(cursor).map_err(|bad| bad.within("name"))?;
                if name.is_blank() {
                    return Err(BadRequest::about("name", "`name` is empty").code("invalid_value"));
                }
                named = true;
                return Ok(());
            }
            "tools" => {
                members = Some(cursor.skip()?);
                return Ok(());
            }
            "description" => Kind::String,
            "parameters" => Kind::Object,
            "strict" | "defer_loading" => Kind::Bool,
            _ => return Ok(()),
        };
        if !null(cursor)? {
            expect(cursor, wanted).map_err(|bad| bad.within(name.raw))?;
        }
        Ok(())
    })?;
    match kind.as_deref() {
        None => Err(missing("type")),
        Some("") => Err(unknown_value("", &["function", "custom"]).within("type")),
        Some("function" | "custom" | "namespace") if !named => Err(missing("name")),
        Some("namespace") if inside => {
            Err(BadRequest::about("type", "a namespace holds tools and no other namespace")
                .code("invalid_value"))
        }
        Some("namespace") => {
            let members = members.ok_or_else(|| missing("tools"))?;
            tools(members, true).map(drop).map_err(|bad| bad.within("tools"))
        }
        Some(_) => Ok(()),
    }
}

fn tool_choice(value: &str) -> Result<(), BadRequest> {
    const WORDS: &[&str] = &["none", "auto", "required"];
    let mut cursor = Cursor::new(value);
    match cursor.kind()? {
        Kind::String => {
            let word = cursor.string()?.decode();
            if WORDS.contains(&&*word) { Ok(()) } else { Err(unknown_value(&word, WORDS)) }
        }
        Kind::Object => {
            let (mut kind, mut named) = (None, false);
            cursor.fields(|cursor, name| {
                match name.raw {
                    "type" => {
                        kind = Some(string(cursor).map_err(|bad| bad.within("type"))?.decode().into_owned());
                    }
                    "name" => named = cursor.kind()? == Kind::String,
                    _ => {}
                }
                Ok::<(), BadRequest>(())
            })?;
            match kind.as_deref() {
                None => Err(missing("type")),
                Some("function" | "custom") if !named => Err(missing("name")),
                Some(_) => Ok(()),
            }
        }
        other => Err(BadRequest::new(format!("expected a string or an object, got {}", other.name()))
            .code("invalid_type")),
    }
}

/// Checks `text` and tells whether it asks for JSON.
fn text(value: &str) -> Result<bool, BadRequest> {
    let mut cursor = Cursor::new(value);
    expect(&mut cursor, Kind::Object)?;
    let mut structured = false;
    cursor.fields(|cursor, name| {
        match name.raw {
            "format" if !null(cursor)? => {
                structured = format(cursor).map_err(|bad| bad.within("format"))?;
            }
            "verbosity" if !null(cursor)? => {
                string(cursor).map_err(|bad| bad.within("verbosity"))?;
            }
            _ => {}
        }
        Ok::<(), BadRequest>(())
    })?;
    Ok(structured)
}

fn format(cursor: &mut Cursor<'_>) -> Result<bool, BadRequest> {
    const TYPES: &[&str] = &["text", "json_object", "json_schema"];
    expect(cursor, Kind::Object)?;
    let (mut kind, mut named, mut schema) = (None, false, false);
    cursor.fields(|cursor, name| {
        match name.raw {
            "type" => kind = Some(string(cursor).map_err(|bad| bad.within("type"))?.decode().into_owned()),
            "name" => named = string(cursor).map(|_| true).map_err(|bad| bad.within("name"))?,
            "schema" => {
                expect(cursor, Kind::Object).map_err(|bad| bad.within("schema"))?;
                schema = true;
            }
            _ => {}
        }
        Ok::<(), BadRequest>(())
    })?;
    match kind.ok_or_else(|| missing("type"))?.as_str() {
        "json_schema" if !named => Err(missing("name")),
        "json_schema" if !schema => Err(missing("schema")),
        known if TYPES.contains(&known) => Ok(known != "text"),
        other => Err(unknown_value(other, TYPES).within("type")),
    }
}

/// An object in which these members, where they are there, are strings.
fn strings_of(value: &str, members: &[&str]) -> Result<(), BadRequest> {
    let mut cursor = Cursor::new(value);
    expect(&mut cursor, Kind::Object)?;
    cursor.fields(|cursor, name| {
        if members.contains(&name.raw) && !null(cursor)? {
            string(cursor).map_err(|bad| bad.within(name.raw))?;
        }
        Ok(())
    })
}

/// Names of things to include; none is fine.
fn include_list(value: &str) -> Result<(), BadRequest> {
    let mut cursor = Cursor::new(value);
    expect(&mut cursor, Kind::Array)?;
    cursor.items(|cursor, index| string(cursor).map(drop).map_err(|bad| bad.within(&format!("[{index}]"))))
}

/// The refusal of an input without items.
pub(super) fn empty_input() -> BadRequest {
    empty_array()
}
