//! What an upstream error means: status, shape and wording become one [`Failure`].

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hr_core::catalog::ErrorRow;
use hr_core::failure::{Failure, FailureKind, Scope};
use hr_core::quota::Said;
use hr_core::time::Millis;
use serde_json::Value;

use super::hint;
use super::refused::{self, Circumstances};
use super::wording::{self, Verdict};
use crate::json::head;
use crate::limits::when::Clock;

/// How much of an error body is looked at. Some servers quote the whole request in front of their reason.
pub const MAX_ERROR_BODY: usize = 1024 * 1024;

/// The parameter that is named where something opaque in the conversation was refused, whatever its dialect calls
/// it: no request has one of this name, so nothing is learned from it about the parameters that are taken.
pub const OPAQUE_PARAM: &str = "encrypted_content";

/// How much of the provider's words is kept for the log.
const MAX_MESSAGE: usize = 2048;

/// The header in which the body of an error comes, in base64, where something on the way replaced the body.
const HIDDEN_BODY: &str = "x-error-json";

/// Reads an error answer: the catalogue's rows first, then what all providers have in common.
#[must_use]
pub fn read_error<'h>(
    status: u16,
    headers: &dyn Fn(&str) -> Option<&'h str>,
    body: &[u8],
    rows: &[ErrorRow],
    now: Millis,
) -> Failure {
    let mut complaint = Complaint::read(status, &body[..body.len().min(MAX_ERROR_BODY)]);
    if complaint.shape != Shape::Json
        && let Some(hidden) = headers(HIDDEN_BODY).and_then(|value| STANDARD.decode(value.trim()).ok())
    {
        complaint = Complaint::read(status, &hidden[..hidden.len().min(MAX_ERROR_BODY)]);
    }
    let row = rows.iter().find(|row| complaint.meets(row));
    let verdict = match row {
        Some(row) => Verdict { kind: row.kind, scope: row.scope },
        None => wording::judge(&complaint),
    };
    // The windows of a plan are the account's: while one is used up, the account waits for its end.
    let window = hint::full_window(headers, now);
    let verdict = match (verdict.kind, window) {
        (FailureKind::RateLimited, Some(_)) => {
            Verdict { kind: FailureKind::QuotaSpent, scope: Some(Scope::Key) }
        }
        _ => verdict,
    };
    let spent = window.filter(|_| verdict.kind == FailureKind::QuotaSpent);
    let mut retry_after = spent.or_else(|| hint::in_headers(headers, now));
    let clock = Clock::new(headers("date"), now);
    if !complaint.hints_are_misleading() {
        let now = clock.server();
        retry_after = retry_after
            .or_else(|| complaint.body.as_ref().and_then(|body| hint::in_body(body, now)))
            .or_else(|| complaint.relayed.as_ref().and_then(|body| hint::in_body(body, now)))
            .or_else(|| hint::in_prose(&complaint.words));
    }
    let readings = refused::readings(&complaint, &Circumstances { verdict, row, wait: retry_after, clock });
    let whole = readings.iter().filter_map(|reading| reading.reset).max();
    let retry_after = retry_after.or_else(|| whole.map(|end| now.until(end).min(hint::LONGEST_HINT)));
    Failure {
        kind: verdict.kind,
        status: Some(status),
        retry_after: retry_after.or_else(|| row.and_then(|row| row.wait)),
        scope: verdict.scope,
        param: match verdict.kind {
            FailureKind::Unsupported if complaint.is_about_opaque() => Some(OPAQUE_PARAM.to_owned()),
            FailureKind::Unsupported => complaint.param(),
            FailureKind::TooLarge if complaint.asks_too_long() => complaint.param(),
            _ => None,
        },
        said: Said { readings, clock: clock.told() },
        message: complaint.message,
    }
}

/// An `error` inside an answer that began with a 200: its own number is the status, where it has one.
pub(crate) fn read_inner_error(body: &[u8], rows: &[ErrorRow], now: Millis) -> Failure {
    let complaint = Complaint::read(200, &body[..body.len().min(MAX_ERROR_BODY)]);
    read_error(complaint.inner_status().unwrap_or(200), &|_| None, body, rows, now)
}

/// What the body looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// JSON that says something.
    Json,
    /// Plain words.
    Text,
    /// A page for people.
    Html,
    /// Nothing.
    Empty,
    /// Bytes that are no text, or JSON that breaks off.
    Unreadable,
}

/// An error answer, taken apart.
#[derive(Debug)]
pub(super) struct Complaint {
    pub status: u16,
    pub shape: Shape,
    /// The words for people, cut to [`MAX_MESSAGE`].
    pub message: String,
    /// `code`, as a string.
    pub code: Option<String>,
    /// `type`.
    pub kind: Option<String>,
    /// All that was said, in lower case: message, type, code, and what is in the details.
    pub words: String,
    /// The body.
    body: Option<Value>,
    /// The body of another server that this one passes on as a string.
    relayed: Option<Value>,
    named_param: Option<String>,
}

impl Complaint {
    fn read(status: u16, bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let text = text.trim_start_matches('\u{FEFF}').trim();
        let body: Option<Value> = serde_json::from_str(text).ok();
        let shape = match (&body, text.as_bytes().first()) {
            (_, None) => Shape::Empty,
            (Some(_), _) => Shape::Json,
            (None, Some(b'<')) => Shape::Html,
            (None, Some(b'{' | b'[')) => Shape::Unreadable,
            (None, _) if text.contains('\u{FFFD}') => Shape::Unreadable,
            (None, _) => Shape::Text,
        };
        let mut complaint = Self {
            status,
            shape,
            message: String::new(),
            code: None,
            kind: None,
            words: String::new(),
            body: None,
            relayed: None,
            named_param: None,
        };
        match body {
            Some(body) => complaint.take(body),
            None => text.clone_into(&mut complaint.message),
        }
        complaint.words = format!(
            "{} {} {} {}",
            complaint.message,
            complaint.kind.as_deref().unwrap_or_default(),
            complaint.code.as_deref().unwrap_or_default(),
            complaint.body.as_ref().map(|body| unquoted(body).to_string()).unwrap_or_default(),
        )
        .to_lowercase();
        complaint.message.truncate(head(&complaint.message, MAX_MESSAGE).len());
        if complaint.message.is_empty() {
            complaint.message = format!("status {status} without words");
        }
        complaint
    }

    /// The part of the body that tells what is wrong.
    pub(super) fn error(&self) -> &Value {
        let body = self.body.as_ref().unwrap_or(&Value::Null);
        let outer = body.as_array().and_then(|items| items.first()).unwrap_or(body);
        if outer["error"].is_null() { outer } else { &outer["error"] }
    }

    /// Type and code, in lower case.
    pub(super) fn labels(&self) -> String {
        let (kind, code) =
            (self.kind.as_deref().unwrap_or_default(), self.code.as_deref().unwrap_or_default());
        format!("{kind} {code}").to_lowercase()
    }

    /// Finds message, type, code and parameter in any of the shapes.
    fn take(&mut self, body: Value) {
        let outer = match &body {
            Value::Array(items) => items.first().unwrap_or(&Value::Null),
            other => other,
        };
        let error = match &outer["error"] {
            Value::Null => outer,
            inner => inner,
        };
        let sources = [error, outer];
        let find = |keys: &[&str]| {
            sources
                .iter()
                .flat_map(|source| keys.iter().map(|key| &source[*key]))
                .find(|value| !value.is_null())
        };
        self.message = match error {
            Value::String(words) => words.clone(),
            _ => find(&["message", "detail", "msg", "title", "error_description"])
                .map(said)
                .unwrap_or_default(),
        };
        self.code = find(&["code", "error_code"]).and_then(word);
        self.kind = find(&["type", "status"]).and_then(word);
        self.named_param = find(&["param"]).and_then(Value::as_str).map(str::to_owned).or_else(|| {
            let details = [&error["message"]["detail"], &outer["detail"]];
            details.iter().find_map(|detail| Some(location(&detail.as_array()?.first()?["loc"]))).flatten()
        });
        self.relayed = error["metadata"]["raw"].as_str().and_then(|raw| serde_json::from_str(raw).ok());
        self.body = Some(body);
    }

    /// Whether all conditions of a row hold.
    fn meets(&self, row: &ErrorRow) -> bool {
        let said_code = |code: &String| self.code.as_ref() == Some(code) || self.kind.as_ref() == Some(code);
        row.status.is_none_or(|status| status == self.status)
            && row.code.as_ref().is_none_or(said_code)
            && row.contains.as_ref().is_none_or(|words| self.words.contains(&words.to_lowercase()))
            && (row.status.is_some() || row.code.is_some() || row.contains.is_some())
    }

    /// The limits that refill at midnight are sometimes announced with the delay of a shorter one.
    fn hints_are_misleading(&self) -> bool {
        self.words.contains("perday")
    }

    /// A status that an error inside a 200 names as its code.
    fn inner_status(&self) -> Option<u16> {
        let body = self.body.as_ref()?;
        let numbers = [
            &body["error"]["code"],
            &body["error"]["status"],
            &body["status"],
            &body["code"],
            &body["error"]["raw_status_code"],
        ];
        numbers
            .iter()
            .find_map(|number| number.as_u64().or_else(|| number.as_str()?.parse().ok()))
            .and_then(|number| u16::try_from(number).ok())
            .filter(|status| (400..600).contains(status))
    }

    /// Whether something opaque was refused that somebody else issued.
    fn is_about_opaque(&self) -> bool {
        wording::FOREIGN_OPAQUE.iter().any(|wording| self.words.contains(wording))
    }

    /// Whether a longer answer was asked for than this model gives.
    pub(super) fn asks_too_long(&self) -> bool {
        const BOUNDS: [&str; 3] = ["max_tokens", "max_completion_tokens", "max_output_tokens"];
        const WORDS: [&str; 5] = ["too large", "at most", "less than or equal", "exceeds", "maximum value"];
        self.param().is_some_and(|param| BOUNDS.contains(&param.as_str()))
            && WORDS.iter().any(|words| self.words.contains(words))
    }

    /// The parameter that was refused: as named, or quoted in the words.
    fn param(&self) -> Option<String> {
        self.named_param.clone().or_else(|| quoted_name(&self.message))
    }
}

/// Whether reasoning of earlier turns was refused: without it the same request may be served.
#[must_use]
pub fn refuses_reasoning(failure: &Failure) -> bool {
    const FIELD: &str = "reasoning_content";
    let named = failure.param.as_deref().is_some_and(|param| param.contains(FIELD));
    failure.kind == FailureKind::Unsupported && (named || failure.message.contains(FIELD))
}

/// An error without what it quotes of the request or of the model's output: whoever wrote that could otherwise
/// choose what the error is taken for.
fn unquoted(value: &Value) -> Value {
    const QUOTES: [&str; 2] = ["input", "failed_generation"];
    match value {
        Value::Array(items) => items.iter().map(unquoted).collect(),
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, _)| !QUOTES.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), unquoted(value)))
            .collect(),
        other => other.clone(),
    }
}

/// A message as words: a string, a list of complaints, or whatever else is there.
fn said(value: &Value) -> String {
    match value {
        Value::String(words) => words.clone(),
        Value::Array(items) => {
            let one = |item: &Value| match (location(&item["loc"]), item["msg"].as_str()) {
                (Some(place), Some(words)) => format!("{place}: {words}"),
                (None, Some(words)) => words.to_owned(),
                _ => item.to_string(),
            };
            items.iter().map(one).collect::<Vec<_>>().join("; ")
        }
        Value::Object(fields) if fields.contains_key("detail") => said(&fields["detail"]),
        other => other.to_string(),
    }
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(word) => Some(word.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// `["body", "messages", 0, "name"]` as `messages[0].name`.
fn location(value: &Value) -> Option<String> {
    let mut out = String::new();
    for step in value.as_array()? {
        match step {
            Value::String(step) if step == "body" && out.is_empty() => {}
            Value::String(step) => {
                if !out.is_empty() {
                    out.push('.');
                }
                out.push_str(step);
            }
            Value::Number(index) => out.push_str(&format!("[{index}]")),
            _ => return None,
        }
    }
    (!out.is_empty()).then_some(out)
}

/// The first word in quotes that could be the name of a parameter.
fn quoted_name(message: &str) -> Option<String> {
    let mut parts = message.split(['\'', '"', '`']);
    parts.next();
    parts
        .step_by(2)
        .map(|quoted| quoted.strip_prefix("body.").unwrap_or(quoted))
        .find(|quoted| {
            let starts = quoted.starts_with(|c: char| c.is_ascii_lowercase());
            starts
                && quoted.len() <= 64
                && quoted.chars().all(|c| c.is_ascii_alphanumeric() || "_.[]".contains(c))
        })
        .map(str::to_owned)
}

/// A failure of this kind that belongs to a model, whatever key is used.
pub(super) const fn of_model(kind: FailureKind) -> Verdict {
    Verdict { kind, scope: Some(Scope::Model) }
}
