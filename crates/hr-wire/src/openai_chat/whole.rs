//! Replies that come in one piece.

use hr_core::catalog::ErrorRow;
use hr_core::failure::{Failure, FailureKind};
use hr_core::time::Millis;
use hr_core::usage::Usage;

use super::glance::Glance;
use crate::complaint::read_inner_error;
use crate::dialect::Whole;
use crate::hub::FinishKind;
use crate::json::{Cursor, Kind, Syntax};
use crate::lane::no_answer;

/// Reads the body of a 200 to a chat request: an answer, or the failure that it really is, by the rows of its
/// provider.
pub fn read_whole(body: &[u8], rows: &[ErrorRow], now: Millis) -> Result<Whole, Failure> {
    let text = readable(body)?;
    let glance = Glance::at(text, "message", true).map_err(|syntax| nonsense(text, syntax))?;
    if glance.error || (glance.choices.is_none() && glance.usage.is_none()) {
        return Err(read_inner_error(body, rows, now));
    }
    let reason = glance.finish.as_ref();
    if let Some(failure) = reason.and_then(|finish| broken_off(finish.raw())) {
        return Err(failure);
    }
    // A model that was cut off while it reasoned did answer, as far as it came.
    let cut_while_reasoning =
        glance.reasoning && reason.is_some_and(|finish| finish.kind() == FinishKind::Length);
    if glance.has_answer() || cut_while_reasoning {
        return Ok(Whole {
            usage: glance.usage.unwrap_or_default(),
            finish: glance.finish,
            model: glance.model,
            opaque: glance.opaque,
        });
    }
    Err(no_answer(reason))
}

/// Reads the body of a 200 to an embeddings request: what it cost, or the failure that it really is, by the
/// rows of its provider.
pub fn read_embedding(body: &[u8], rows: &[ErrorRow], now: Millis) -> Result<Usage, Failure> {
    let text = readable(body)?;
    let mut usage = Usage::default();
    let mut vectors = None;
    let mut cursor = Cursor::new(text);
    let read = cursor.fields(|cursor, name| {
        match (name.raw, cursor.kind()?) {
            ("data", Kind::Array) => {
                let mut count = 0;
                cursor.items(|_, index| {
                    count = index + 1;
                    Ok::<(), Syntax>(())
                })?;
                vectors = Some(count);
            }
            ("usage", Kind::Object) => usage = super::glance::usage(cursor)?,
            _ => {}
        }
        Ok::<(), Syntax>(())
    });
    read.and_then(|()| cursor.end()).map_err(|syntax| nonsense(text, syntax))?;
    match vectors {
        None => Err(read_inner_error(body, rows, now)),
        Some(0) => Err(Failure::new(FailureKind::Empty, "the answer holds no vector").status(200)),
        Some(_) => Ok(usage),
    }
}

/// The failure of a reply that ended for a reason that is none: the provider broke off.
pub(super) fn broken_off(word: &str) -> Option<Failure> {
    let kind = match word {
        "error" | "abort" | "network_error" => FailureKind::ServerError,
        "insufficient_system_resource" => FailureKind::Overloaded,
        _ => return None,
    };
    Some(Failure::new(kind, format!("the answer ended with the finish reason `{word}`")).status(200))
}

/// The text of a body that can be one.
pub(super) fn readable(body: &[u8]) -> Result<&str, Failure> {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let malformed = |words: &str| Err(Failure::new(FailureKind::Malformed, words).status(200));
    let Ok(text) = std::str::from_utf8(body) else { return malformed("the answer is not UTF-8") };
    let text = text.trim_ascii();
    match text.as_bytes().first() {
        None => Err(Failure::new(FailureKind::Empty, "the answer has no body").status(200)),
        Some(b'<') => malformed("the answer is a page of HTML"),
        _ => Ok(text),
    }
}

/// The failure of a text that is no JSON.
pub(super) fn nonsense(text: &str, syntax: Syntax) -> Failure {
    let head: String = text.chars().take(120).collect();
    let words = format!("the answer is not JSON: {} at byte {} of `{head}`", syntax.what, syntax.at);
    Failure::new(FailureKind::Malformed, words).status(200)
}
