//! The parameters beside the messages: their types and ranges, as the stock API checks them.

use std::collections::BTreeSet;

use crate::check::{Rule, expect, missing, null, present, string, table, unknown_value};
use crate::envelope::{BadRequest, Envelope};
use crate::json::{Cursor, Kind};

const MESSAGES: &[(&str, Rule)] = &[
    ("stream", Rule::Boolean),
    ("max_tokens", Rule::Integer(0, i64::MAX)),
    ("temperature", Rule::Number(0.0, 1.0)),
    ("top_p", Rule::Number(0.0, 1.0)),
    ("top_k", Rule::Integer(0, i64::MAX)),
    ("metadata", Rule::Object),
    ("service_tier", Rule::String),
    ("cache_control", Rule::Object),
    ("context_management", Rule::Object),
];

/// The smallest budget for reasoning.
const LEAST_BUDGET: u64 = 1024;

/// What the checks found out on their way.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Offered {
    /// Whether tools are offered.
    pub tools: bool,
    /// How many bytes their JSON takes.
    pub bytes: usize,
    /// Whether a schema binds the answer.
    pub structured: bool,
}

/// Checks all of them; a request to count tokens needs no `max_tokens`.
pub(super) fn parameters(envelope: &Envelope, needs_limit: bool) -> Result<Offered, BadRequest> {
    table(envelope, MESSAGES)?;
    if needs_limit && present(envelope, "max_tokens").is_none() {
        return Err(missing("max_tokens"));
    }
    let mut offered = Offered::default();
    if let Some(words) = present(envelope, "stop_sequences") {
        stop_sequences(words).map_err(|bad| bad.within("stop_sequences"))?;
    }
    if let Some(tools) = present(envelope, "tools") {
        offered.tools = each_tool(tools).map_err(|bad| bad.within("tools"))? > 0;
        offered.bytes = tools.len();
    }
    if let Some(choice) = present(envelope, "tool_choice") {
        tool_choice(choice, offered.tools).map_err(|bad| bad.within("tool_choice"))?;
    }
    if let Some(thinking) = present(envelope, "thinking") {
        check_thinking(thinking).map_err(|bad| bad.within("thinking"))?;
    }
    if let Some(config) = present(envelope, "output_config") {
        offered.structured = output_config(config).map_err(|bad| bad.within("output_config"))?;
    }
    if let Some(old) = present(envelope, "output_format") {
        format(&mut Cursor::new(old)).map_err(|bad| bad.within("output_format"))?;
        offered.structured = true;
    }
    Ok(offered)
}

fn stop_sequences(value: &str) -> Result<(), BadRequest> {
    let mut cursor = Cursor::new(value);
    expect(&mut cursor, Kind::Array)?;
    cursor.items(|cursor, index| {
        let word = string(cursor).map_err(|bad| bad.within(&format!("[{index}]")))?;
        if word.is_blank() {
            let words = "each stop sequence must contain something other than white space";
            return Err(BadRequest::about(format!("[{index}]"), words).code("invalid_value"));
        }
        Ok(())
    })
}

fn each_tool(value: &str) -> Result<usize, BadRequest> {
    let mut cursor = Cursor::new(value);
    expect(&mut cursor, Kind::Array)?;
    let mut count = 0;
    let mut names = BTreeSet::new();
    cursor.items(|cursor, index| {
        count += 1;
        let name = tool(cursor).map_err(|bad| bad.within(&format!("[{index}]")))?;
        match name {
            Some(name) if names.contains(&name) => {
                Err(BadRequest::about(format!("[{index}].name"), "tool names must be unique")
                    .code("invalid_value"))
            }
            name => {
                names.extend(name);
                Ok(())
            }
        }
    })?;
    Ok(count)
}

/// A tool. Those with a type of their own belong to the API and pass.
fn tool<'a>(cursor: &mut Cursor<'a>) -> Result<Option<&'a str>, BadRequest> {
    expect(cursor, Kind::Object)?;
    let mut own = true;
    let (mut called, mut has_schema) = (None, false);
    cursor.fields(|cursor, name| {
        let read = match name.raw {
            "type" if null(cursor)? => Ok(()),
            "type" => string(cursor).map(|kind| own = kind.is("custom")),
            "name" => string(cursor).and_then(|name| match name.is_blank() {
                true => Err(BadRequest::new("`name` is empty").code("invalid_value")),
                false => {
                    called = Some(name.raw);
                    Ok(())
                }
            }),
            "description" if null(cursor)? => Ok(()),
            "description" => string(cursor).map(drop),
            "input_schema" => {
                has_schema = true;
                expect(cursor, Kind::Object)
            }
            _ => return Ok(()),
        };
        read.map_err(|bad| bad.within(name.raw))
    })?;
    match (own, called, has_schema) {
        (true, None, _) => Err(missing("name")),
        (true, Some(_), false) => Err(missing("input_schema")),
        (_, called, _) => Ok(called),
    }
}

fn tool_choice(value: &str, has_tools: bool) -> Result<(), BadRequest> {
    const TYPES: &[&str] = &["auto", "any", "tool", "none"];
    let mut cursor = Cursor::new(value);
    expect(&mut cursor, Kind::Object)?;
    let (mut kind, mut named) = (None, false);
    cursor.fields(|cursor, name| {
        match name.raw {
            "type" => kind = Some(string(cursor).map_err(|bad| bad.within("type"))?.decode()),
            "name" => named = string(cursor).map(|_| true).map_err(|bad| bad.within("name"))?,
            _ => {}
        }
        Ok::<(), BadRequest>(())
    })?;
    let kind = kind.ok_or_else(|| missing("type"))?;
    match &*kind {
        "tool" if !named => Err(missing("name")),
        "any" | "tool" if !has_tools => {
            Err(BadRequest::new("`tool_choice` asks for a tool, but there are no `tools`")
                .code("invalid_value"))
        }
        known if TYPES.contains(&known) => Ok(()),
        other => Err(unknown_value(other, TYPES).within("type")),
    }
}

/// How reasoning is switched. Words that are not known pass, for the provider to judge.
fn check_thinking(value: &str) -> Result<(), BadRequest> {
    let mut cursor = Cursor::new(value);
    expect(&mut cursor, Kind::Object)?;
    let (mut kind, mut budget) = (None, None);
    cursor.fields(|cursor, name| {
        match name.raw {
            "type" => kind = Some(string(cursor).map_err(|bad| bad.within("type"))?),
            "budget_tokens" if !null(cursor)? => {
                expect(cursor, Kind::Number).map_err(|bad| bad.within("budget_tokens"))?;
                budget = Some(cursor.number()?);
            }
            _ => {}
        }
        Ok::<(), BadRequest>(())
    })?;
    let kind = kind.ok_or_else(|| missing("type"))?;
    if !kind.is("enabled") {
        return Ok(());
    }
    let budget = budget.ok_or_else(|| missing("budget_tokens").within("enabled"))?;
    match budget.parse::<u64>() {
        Ok(tokens) if tokens >= LEAST_BUDGET => Ok(()),
        _ => Err(BadRequest::about(
            "enabled.budget_tokens",
            format!("`{budget}` is out of range; it must be a whole number of at least {LEAST_BUDGET}"),
        )
        .code("out_of_range")),
    }
}

/// Checks the effort and the format, and tells whether there is one.
fn output_config(value: &str) -> Result<bool, BadRequest> {
    let mut cursor = Cursor::new(value);
    expect(&mut cursor, Kind::Object)?;
    let mut structured = false;
    cursor.fields(|cursor, name| {
        match name.raw {
            "effort" if !null(cursor)? => {
                string(cursor).map(drop).map_err(|bad| bad.within("effort"))?;
            }
            "format" if !null(cursor)? => {
                format(cursor).map_err(|bad| bad.within("format"))?;
                structured = true;
            }
            _ => {}
        }
        Ok::<(), BadRequest>(())
    })?;
    Ok(structured)
}

fn format(cursor: &mut Cursor<'_>) -> Result<(), BadRequest> {
    expect(cursor, Kind::Object)?;
    let (mut kind, mut has_schema) = (None, false);
    cursor.fields(|cursor, name| {
        match name.raw {
            "type" => kind = Some(string(cursor).map_err(|bad| bad.within("type"))?),
            "schema" => {
                expect(cursor, Kind::Object).map_err(|bad| bad.within("schema"))?;
                has_schema = true;
            }
            _ => {}
        }
        Ok::<(), BadRequest>(())
    })?;
    match kind.ok_or_else(|| missing("type"))? {
        kind if kind.is("json_schema") && !has_schema => Err(missing("schema")),
        _ => Ok(()),
    }
}
