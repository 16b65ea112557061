//! What single values in a provider's file may be. Each check says what is wrong in one clause.

use std::net::SocketAddr;

use super::Price;
use crate::settings::address::Address;
use crate::time::Millis;

/// The longest id, alias, prefix or variable name.
const MAX_NAME_CHARS: usize = 64;
/// The longest id of a model.
const MAX_MODEL_ID_CHARS: usize = 256;
/// The longest part of a wrong value that is repeated to the person who wrote it.
const MAX_SHOWN_CHARS: usize = 64;

/// The variables with the router's own access keys begin so.
const CALLERS_KEYS: &str = "PROXY_API_KEY";

/// What may be wrong with a value.
type Checked = Result<(), String>;

/// A wrong value as it is repeated: clipped, without line breaks.
pub(super) fn shown(value: &str) -> String {
    let mut shown: String =
        value.chars().take(MAX_SHOWN_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if value.chars().count() > MAX_SHOWN_CHARS {
        shown.push('…');
    }
    shown
}

/// An id of a provider.
pub(super) fn id(id: &str) -> Checked {
    let starts_well = id.starts_with(|c: char| c.is_ascii_lowercase());
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    if starts_well && id.chars().all(allowed) && id.len() <= MAX_NAME_CHARS {
        return Ok(());
    }
    Err(format!(
        "the id `{}` must be lower-case letters, digits, `_` and `-`, begin with a letter, and be at most {MAX_NAME_CHARS} long",
        shown(id)
    ))
}

/// Another name of a provider.
pub(super) fn alias(alias: &str) -> Checked {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-' | '.');
    if !alias.is_empty() && alias.chars().all(allowed) && alias.len() <= MAX_NAME_CHARS {
        return Ok(());
    }
    Err(format!("the alias `{}` must be lower-case letters, digits, `_`, `-` and `.`", shown(alias)))
}

/// A prefix of environment variables.
pub(super) fn prefix(prefix: &str) -> Checked {
    key_variable(&format!("{prefix}_API_KEY"))
}

/// The base name of variables that hold keys for a provider.
pub(super) fn key_variable(name: &str) -> Checked {
    if name.starts_with(CALLERS_KEYS) {
        return Err(format!("`{name}` holds the access keys of callers, which no provider may see"));
    }
    variable(name)
}

/// A name of an environment variable.
pub(super) fn variable(name: &str) -> Checked {
    let starts_well = name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_');
    let allowed = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    if starts_well && name.chars().all(allowed) && name.len() <= MAX_NAME_CHARS {
        return Ok(());
    }
    Err(format!("the variable name `{}` must be upper-case letters, digits and `_`", shown(name)))
}

/// Models that share a limit: an id, or one that begins or ends with `*`.
pub(super) fn model_pattern(pattern: &str) -> Checked {
    if pattern == "*" {
        return Ok(());
    }
    let rest = pattern.strip_prefix('*').or_else(|| pattern.strip_suffix('*')).unwrap_or(pattern);
    if rest.contains('*') {
        return Err(format!("`{}` may begin or end with `*`, not more", shown(pattern)));
    }
    model_id(rest)
}

/// An id of a model on the wire.
pub(super) fn model_id(id: &str) -> Checked {
    if !id.is_empty()
        && id.len() <= MAX_MODEL_ID_CHARS
        && !id.contains(|c: char| c.is_control() || c.is_whitespace() || c == ',')
    {
        return Ok(());
    }
    Err(format!(
        "the model id `{}` must be 1 to {MAX_MODEL_ID_CHARS} characters without spaces or commas",
        shown(id)
    ))
}

/// An address. Plain `http` is the user's to choose: their files name servers of their own network. A wrong
/// address is not repeated: it may hold a password.
pub(super) fn address(url: &str) -> Checked {
    Address::parse(url).map(drop)
}

/// An address on this machine, with its port.
pub(super) fn loopback(url: &str) -> Checked {
    Address::parse(url)?;
    let authority = url.split_once("://").map_or("", |(_, rest)| rest).split('/').next().unwrap_or_default();
    match authority.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() && url.starts_with("http://") => Ok(()),
        _ => Err("the address must be one of this machine, such as `http://127.0.0.1:8080/v1`".to_owned()),
    }
}

/// A path of an address.
pub(super) fn path(path: &str) -> Checked {
    if path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(format!("the path `{}` must begin with `/` and have no spaces", shown(path)))
}

/// A name of an HTTP header.
pub(super) fn header_name(name: &str) -> Checked {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if !name.is_empty() && name.len() <= MAX_NAME_CHARS && name.chars().all(token) {
        return Ok(());
    }
    Err(format!("the header name `{}` must be letters, digits and `-`", shown(name)))
}

/// A value of an HTTP header; a wrong one is not repeated because it may be secret.
pub(super) fn header_value(value: &str) -> Checked {
    if value.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
        return Ok(());
    }
    Err("the header's value must be printable ASCII".to_owned())
}

/// A number within bounds, both included.
pub(super) fn within(number: u64, low: u64, high: u64, unit: &str) -> Checked {
    if (low..=high).contains(&number) {
        return Ok(());
    }
    Err(format!("`{number}` must be from {low} to {high} {unit}"))
}

/// How much a limit allows.
pub(super) fn amount(amount: f64) -> Checked {
    if amount.is_finite() && amount >= 0.0 {
        return Ok(());
    }
    Err(format!("the amount `{amount}` must be zero or more"))
}

/// Bounds of a number field.
pub(super) fn bounds(bounds: &(f64, f64)) -> Checked {
    let (low, high) = bounds;
    if low.is_finite() && high.is_finite() && low <= high {
        return Ok(());
    }
    Err(format!("the bounds `[{low}, {high}]` must be the least and the most, in this order"))
}

/// What a model costs.
pub(super) fn price(price: &Price) -> Checked {
    [price.input, price.output, price.cached.unwrap_or(0.0)].into_iter().try_for_each(amount)
}

/// Words that are looked for in a body in lower case.
pub(super) fn lower_case(words: &str) -> Checked {
    if !words.is_empty() && words.to_lowercase() == words {
        return Ok(());
    }
    Err(format!("the words `{}` must be in lower case: the body is compared so", shown(words)))
}

/// `YYYY-MM` or `YYYY-MM-DD`.
pub(super) fn date(date: &str) -> Checked {
    let part = |text: Option<&str>, length: usize, low: u32, high: u32| {
        text.is_some_and(|text| {
            text.len() == length
                && text.bytes().all(|byte| byte.is_ascii_digit())
                && text.parse().is_ok_and(|number: u32| (low..=high).contains(&number))
        })
    };
    let mut parts = date.split('-');
    let begins_well = part(parts.next(), 4, 2000, 2999) && part(parts.next(), 2, 1, 12);
    let day = parts.next();
    if begins_well && (day.is_none() || part(day, 2, 1, 31)) && parts.next().is_none() {
        return Ok(());
    }
    Err(format!("the date `{}` must be `YYYY-MM-DD` or `YYYY-MM`", shown(date)))
}
/// How far a clock is ahead of UTC: `+08:00`.
pub(super) fn zone(zone: &str) -> Result<(), String> {
    match Millis::from_rfc3339(&format!("2000-01-02T00:00:00{zone}")) {
        Some(_) if zone.starts_with(['+', '-']) => Ok(()),
        _ => Err(format!("`{zone}` is no distance from UTC like `+08:00`")),
    }
}
