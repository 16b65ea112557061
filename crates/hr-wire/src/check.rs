//! Checks that every dialect's requests share: types and ranges of parameters, and the words when one is wrong.
//!
//! A parameter that is not in a table passes untouched, and `null` is as good as absent.

use crate::envelope::{BadRequest, Envelope};
use crate::json::{Cursor, Kind, Text};

/// What a parameter must be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rule {
    /// A number within these bounds.
    Number(f64, f64),
    /// A whole number within these bounds.
    Integer(i64, i64),
    Boolean,
    String,
    Object,
    /// A string or up to this many strings.
    StringOrStrings(usize),
    Strings,
    /// An object whose values are strings.
    StringMap,
    /// An object whose values are numbers within these bounds.
    NumberMap(f64, f64),
}

/// Checks parameters by a table.
pub(crate) fn table(envelope: &Envelope, rules: &[(&str, Rule)]) -> Result<(), BadRequest> {
    for (param, rule) in rules {
        if let Some(value) = present(envelope, param) {
            follow(*rule, value).map_err(|bad| bad.within(param))?;
        }
    }
    Ok(())
}

/// The value of a parameter that is there and not `null`.
pub(crate) fn present<'e>(envelope: &'e Envelope, param: &str) -> Option<&'e str> {
    envelope.get(param).filter(|value| *value != "null")
}

fn follow(rule: Rule, value: &str) -> Result<(), BadRequest> {
    let mut cursor = Cursor::new(value);
    match rule {
        Rule::Number(low, high) => number(&mut cursor, low, high).map(drop),
        Rule::Integer(low, high) => integer(&mut cursor, low, high).map(drop),
        Rule::Boolean => boolean(&mut cursor).map(drop),
        Rule::String => string(&mut cursor).map(drop),
        Rule::Object => expect(&mut cursor, Kind::Object),
        Rule::Strings => strings(&mut cursor, usize::MAX),
        Rule::StringOrStrings(most) => match cursor.kind()? {
            Kind::String => Ok(()),
            Kind::Array => strings(&mut cursor, most),
            other => Err(BadRequest::new(format!(
                "expected a string or an array of strings, got {}",
                other.name()
            ))
            .code("invalid_type")),
        },
        Rule::StringMap => {
            expect(&mut cursor, Kind::Object)?;
            cursor.fields(|cursor, name| string(cursor).map(drop).map_err(|bad| bad.within(&name.decode())))
        }
        Rule::NumberMap(low, high) => {
            expect(&mut cursor, Kind::Object)?;
            cursor.fields(|cursor, name| {
                number(cursor, low, high).map(drop).map_err(|bad| bad.within(&name.decode()))
            })
        }
    }
}

/// Refuses a value of another kind.
pub(crate) fn expect(cursor: &mut Cursor<'_>, kind: Kind) -> Result<(), BadRequest> {
    let found = cursor.kind()?;
    if found == kind {
        return Ok(());
    }
    Err(BadRequest::new(format!("expected {}, got {}", kind.name(), found.name())).code("invalid_type"))
}

/// A string, or the refusal of what is there instead.
pub(crate) fn string<'a>(cursor: &mut Cursor<'a>) -> Result<Text<'a>, BadRequest> {
    expect(cursor, Kind::String)?;
    Ok(cursor.string()?)
}

/// A boolean, or the refusal of what is there instead.
pub(crate) fn boolean(cursor: &mut Cursor<'_>) -> Result<bool, BadRequest> {
    expect(cursor, Kind::Bool)?;
    Ok(cursor.boolean()?)
}

/// Whether the next value is `null`, which is then stepped over.
pub(crate) fn null(cursor: &mut Cursor<'_>) -> Result<bool, BadRequest> {
    let null = cursor.kind()? == Kind::Null;
    if null {
        cursor.skip()?;
    }
    Ok(null)
}

/// The refusal of something that has to be there.
pub(crate) fn missing(param: &str) -> BadRequest {
    BadRequest::about(param, format!("`{param}` is missing")).code("missing_required_parameter")
}

/// The refusal of a value that is not one of those known.
pub(crate) fn unknown_value(found: &str, known: &[&str]) -> BadRequest {
    let found: String = found.chars().take(64).collect();
    let known = known.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    BadRequest::new(format!("`{found}` is not known here; use one of {known}")).code("invalid_value")
}

/// The refusal of an array that must not be empty.
pub(crate) fn empty_array() -> BadRequest {
    BadRequest::new("the array must not be empty").code("empty_array")
}

fn number(cursor: &mut Cursor<'_>, low: f64, high: f64) -> Result<f64, BadRequest> {
    expect(cursor, Kind::Number)?;
    let written = cursor.number()?;
    let value: f64 = written.parse().map_err(|_| BadRequest::new(format!("`{written}` is not a number")))?;
    if (low..=high).contains(&value) {
        return Ok(value);
    }
    Err(BadRequest::new(format!("`{written}` is out of range; it must be between {low} and {high}"))
        .code("out_of_range"))
}

fn integer(cursor: &mut Cursor<'_>, low: i64, high: i64) -> Result<i64, BadRequest> {
    expect(cursor, Kind::Number)?;
    let written = cursor.number()?;
    let value = match written.parse::<i64>() {
        Ok(value) => value,
        Err(_) if written.contains(['.', 'e', 'E']) => {
            return Err(
                BadRequest::new(format!("expected a whole number, got `{written}`")).code("invalid_type")
            );
        }
        Err(_) => return Err(BadRequest::new(format!("`{written}` is out of range")).code("out_of_range")),
    };
    if (low..=high).contains(&value) {
        return Ok(value);
    }
    let bounds = match (low, high) {
        (low, i64::MAX) => format!("it must be at least {low}"),
        (low, high) => format!("it must be between {low} and {high}"),
    };
    Err(BadRequest::new(format!("`{written}` is out of range; {bounds}")).code("out_of_range"))
}

fn strings(cursor: &mut Cursor<'_>, most: usize) -> Result<(), BadRequest> {
    expect(cursor, Kind::Array)?;
    let mut count = 0;
    cursor.items(|cursor, index| {
        count += 1;
        string(cursor).map(drop).map_err(|bad| bad.within(&format!("[{index}]")))
    })?;
    match count {
        0 => Err(empty_array()),
        count if count > most => {
            Err(BadRequest::new(format!("the array holds {count} strings; at most {most} are allowed"))
                .code("out_of_range"))
        }
        _ => Ok(()),
    }
}

/// The model's name: there, a string, not blank.
pub(crate) fn model(envelope: &Envelope) -> Result<String, BadRequest> {
    let value = envelope.get("model").ok_or_else(|| missing("model"))?;
    let name = string(&mut Cursor::new(value)).map_err(|bad| bad.within("model"))?.decode().into_owned();
    if name.trim().is_empty() {
        return Err(
            BadRequest::about("model", "`model` is empty; name a model or a profile").code("invalid_value")
        );
    }
    Ok(name)
}
