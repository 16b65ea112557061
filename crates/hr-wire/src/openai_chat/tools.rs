//! `tools`, `tool_choice`, the older `functions`, and `response_format`: their shapes.

use crate::check::{empty_array, expect, missing, null, present, string, unknown_value};
use crate::envelope::{BadRequest, Envelope};
use crate::json::{Cursor, Kind};

/// What the checks found out on their way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offered {
    /// Whether tools or functions are offered.
    pub tools: bool,
    /// How many bytes their JSON takes.
    pub bytes: usize,
    /// Whether a schema or at least JSON binds the answer.
    pub structured: bool,
}

/// Checks all of them.
pub(crate) fn check(envelope: &Envelope) -> Result<Offered, BadRequest> {
    let mut offered = Offered::default();
    if let Some(tools) = present(envelope, "tools") {
        array(tools, tool).map_err(|bad| bad.within("tools"))?;
        offered.tools = true;
        offered.bytes += tools.len();
    }
    if let Some(functions) = present(envelope, "functions") {
        array(functions, named_object).map_err(|bad| bad.within("functions"))?;
        offered.tools = true;
        offered.bytes += functions.len();
    }
    if let Some(choice) = present(envelope, "tool_choice") {
        tool_choice(choice, present(envelope, "tools").is_some()).map_err(|bad| bad.within("tool_choice"))?;
    }
    if let Some(call) = present(envelope, "function_call") {
        function_call(call).map_err(|bad| bad.within("function_call"))?;
    }
    if let Some(format) = present(envelope, "response_format") {
        offered.structured = response_format(format).map_err(|bad| bad.within("response_format"))?;
    }
    Ok(offered)
}

fn array(
    value: &str,
    mut item: impl FnMut(&mut Cursor<'_>) -> Result<(), BadRequest>,
) -> Result<(), BadRequest> {
    let mut cursor = Cursor::new(value);
    expect(&mut cursor, Kind::Array)?;
    let mut empty = true;
    cursor.items(|cursor, index| {
        empty = false;
        item(cursor).map_err(|bad| bad.within(&format!("[{index}]")))
    })?;
    if empty { Err(empty_array()) } else { Ok(()) }
}

/// A tool. Types that the standard does not know belong to some provider and pass.
fn tool(cursor: &mut Cursor<'_>) -> Result<(), BadRequest> {
    expect(cursor, Kind::Object)?;
    let mut kind = None;
    let mut function = None;
    let mut custom = None;
    cursor.fields(|cursor, name| {
        match name.raw {
            "type" => kind = Some(string(cursor).map_err(|bad| bad.within("type"))?.decode().into_owned()),
            "function" => function = Some(cursor.skip()?),
            "custom" => custom = Some(cursor.skip()?),
            _ => {}
        }
        Ok::<(), BadRequest>(())
    })?;
    let (member, body) = match kind.as_deref() {
        None => return Err(missing("type")),
        Some("function") => ("function", function),
        Some("custom") => ("custom", custom),
        Some("") => return Err(unknown_value("", &["function", "custom"]).within("type")),
        Some(_) => return Ok(()),
    };
    let body = body.ok_or_else(|| missing(member))?;
    named_object(&mut Cursor::new(body)).map_err(|bad| bad.within(member))
}

/// An object with a `name` that is not empty; `parameters` must be an object, `strict` a boolean.
fn named_object(cursor: &mut Cursor<'_>) -> Result<(), BadRequest> {
    expect(cursor, Kind::Object)?;
    let mut named = false;
    cursor.fields(|cursor, name| {
        let wanted = match name.raw {
            "name" => {
                let name = string(cursor).map_err(|bad| bad.within("name"))?;
                if name.is_blank() {
                    return Err(BadRequest::about("name", "`name` is empty").code("invalid_value"));
                }
                named = true;
                return Ok(());
            }
            "description" => Kind::String,
            "parameters" => Kind::Object,
            "strict" => Kind::Bool,
            _ => return Ok(()),
        };
        if !null(cursor)? {
            expect(cursor, wanted).map_err(|bad| bad.within(name.raw))?;
        }
        Ok(())
    })?;
    if named { Ok(()) } else { Err(missing("name")) }
}

fn tool_choice(value: &str, has_tools: bool) -> Result<(), BadRequest> {
    const WORDS: &[&str] = &["none", "auto", "required"];
    let mut cursor = Cursor::new(value);
    let binding = match cursor.kind()? {
        Kind::String => {
            let word = cursor.string()?.decode();
            if !WORDS.contains(&&*word) {
                return Err(unknown_value(&word, WORDS));
            }
            word == "required"
        }
        Kind::Object => {
            named_choice(&mut cursor)?;
            true
        }
        other => {
            return Err(BadRequest::new(format!("expected a string or an object, got {}", other.name()))
                .code("invalid_type"));
        }
    };
    if binding && !has_tools {
        return Err(
            BadRequest::new("`tool_choice` asks for a tool, but there is no `tools`").code("invalid_value")
        );
    }
    Ok(())
}

fn named_choice(cursor: &mut Cursor<'_>) -> Result<(), BadRequest> {
    const TYPES: &[&str] = &["function", "custom", "allowed_tools"];
    let mut kind = None;
    let mut members = Vec::new();
    cursor.fields(|cursor, name| {
        match name.raw {
            "type" => kind = Some(string(cursor).map_err(|bad| bad.within("type"))?.decode().into_owned()),
            "function" | "custom" | "allowed_tools" => members.push((name.raw, cursor.skip()?)),
            _ => {}
        }
        Ok::<(), BadRequest>(())
    })?;
    let kind = kind.ok_or_else(|| missing("type"))?;
    if !TYPES.contains(&kind.as_str()) {
        return Err(unknown_value(&kind, TYPES).within("type"));
    }
    let body = members.iter().find(|(name, _)| *name == kind).ok_or_else(|| missing(&kind))?.1;
    let mut cursor = Cursor::new(body);
    let checked = match kind.as_str() {
        "allowed_tools" => expect(&mut cursor, Kind::Object),
        _ => named_object(&mut cursor),
    };
    checked.map_err(|bad| bad.within(&kind))
}

fn function_call(value: &str) -> Result<(), BadRequest> {
    const WORDS: &[&str] = &["none", "auto"];
    let mut cursor = Cursor::new(value);
    match cursor.kind()? {
        Kind::String => {
            let word = cursor.string()?.decode();
            if WORDS.contains(&&*word) { Ok(()) } else { Err(unknown_value(&word, WORDS)) }
        }
        _ => named_object(&mut cursor),
    }
}

/// Checks the format and tells whether it asks for JSON.
fn response_format(value: &str) -> Result<bool, BadRequest> {
    const TYPES: &[&str] = &["text", "json_object", "json_schema"];
    let mut cursor = Cursor::new(value);
    expect(&mut cursor, Kind::Object)?;
    let mut kind = None;
    let mut wrapped = None;
    let mut bare_schema = false;
    cursor.fields(|cursor, name| {
        match name.raw {
            "type" => kind = Some(string(cursor).map_err(|bad| bad.within("type"))?.decode().into_owned()),
            "json_schema" => wrapped = Some(cursor.skip()?),
            "schema" => bare_schema = cursor.kind()? == Kind::Object,
            _ => {}
        }
        Ok::<(), BadRequest>(())
    })?;
    let kind = kind.ok_or_else(|| missing("type"))?;
    if !TYPES.contains(&kind.as_str()) {
        return Err(unknown_value(&kind, TYPES).within("type"));
    }
    if kind == "json_schema" {
        match wrapped {
            Some(wrapped) => schema_format(wrapped).map_err(|bad| bad.within("json_schema"))?,
            // Local servers take the schema without its wrapping.
            None if bare_schema => {}
            None => return Err(missing("json_schema")),
        }
    }
    Ok(kind != "text")
}

fn schema_format(value: &str) -> Result<(), BadRequest> {
    let mut cursor = Cursor::new(value);
    named_object(&mut cursor)?;
    Cursor::new(value).fields(|cursor, name| {
        if name.is("schema") && !null(cursor)? {
            expect(cursor, Kind::Object).map_err(|bad| bad.within("schema"))?;
        }
        Ok(())
    })
}
