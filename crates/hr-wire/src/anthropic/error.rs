//! Errors as an Anthropic client expects them.

use bytes::Bytes;
use hr_core::catalog::ErrorRow;
use hr_core::failure::Failure;
use hr_core::time::Millis;

use crate::complaint;
use crate::json::write_string;
use crate::refusal::Refusal;
use crate::sse;

/// A sign of life between events; clients check its data.
pub const PING: &[u8] = b"event: ping\ndata: {\"type\":\"ping\"}\n\n";

/// The words by which clients know that a conversation has to be made shorter.
const TOO_LONG: &str = "prompt is too long";

/// The `type` of an error and the status that goes with it, both ways.
const KINDS: [(u16, &str); 10] = [
    (400, "invalid_request_error"),
    (401, "authentication_error"),
    (402, "billing_error"),
    (403, "permission_error"),
    (404, "not_found_error"),
    (413, "request_too_large"),
    (429, "rate_limit_error"),
    (500, "api_error"),
    (504, "timeout_error"),
    (529, "overloaded_error"),
];

/// The `type` that goes with a status.
#[must_use]
pub fn kind_of_status(status: u16) -> &'static str {
    let exact = KINDS.iter().find(|(known, _)| *known == status).map(|(_, kind)| *kind);
    exact.unwrap_or(match status {
        408 => "timeout_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    })
}

/// The body of a refusal: `{"type":"error","error":{"type","message"},"request_id"}`.
#[must_use]
pub fn body(refusal: &Refusal<'_>) -> Vec<u8> {
    let message = words(refusal);
    let mut out = Vec::with_capacity(96 + message.len());
    out.extend_from_slice(b"{\"type\":\"error\",\"error\":{\"type\":");
    write_string(&mut out, kind_of_status(refusal.status));
    out.extend_from_slice(b",\"message\":");
    write_string(&mut out, &message);
    out.extend_from_slice(b"},\"request_id\":null}");
    out
}

/// The last event of a stream that broke. Nothing follows it: SDKs raise on it, and a stream that ends as usual
/// would pass for a whole answer.
#[must_use]
pub fn event(refusal: &Refusal<'_>) -> Bytes {
    let mut out = Vec::new();
    sse::encode(&mut out, Some("error"), &body(refusal));
    out.into()
}

/// The words, with the place in front that they are about: `messages.0.content.1.type: …`.
fn words(refusal: &Refusal<'_>) -> String {
    let message = match refusal.code {
        Some("missing_required_parameter") => "Field required",
        Some("context_length_exceeded") if !refusal.message.contains(TOO_LONG) => {
            return format!("{TOO_LONG}: {}", refusal.message);
        }
        _ => refusal.message,
    };
    match refusal.param {
        Some(param) if !param.is_empty() => {
            let path = param.replace('[', ".").replace(']', "");
            format!("{}: {message}", path.trim_start_matches('.'))
        }
        _ => message.to_owned(),
    }
}

/// Reads an answer that is not a 200.
pub(super) fn read<'h>(
    status: u16,
    headers: &dyn Fn(&str) -> Option<&'h str>,
    body: &[u8],
    rows: &[ErrorRow],
    now: Millis,
) -> Failure {
    complaint::read_error(status, headers, body, rows, now)
}

/// An error inside an answer that began with a 200: its `type` tells the status it would have been sent with.
pub(super) fn read_inner(body: &[u8], rows: &[ErrorRow], now: Millis) -> Failure {
    #[derive(serde::Deserialize)]
    struct Outer {
        error: Option<Inner>,
    }
    #[derive(serde::Deserialize)]
    struct Inner {
        #[serde(rename = "type")]
        kind: Option<String>,
    }
    let kind = serde_json::from_slice::<Outer>(body).ok().and_then(|outer| outer.error?.kind);
    let status =
        kind.and_then(|kind| KINDS.iter().find(|(_, known)| *known == kind)).map(|(status, _)| *status);
    match status {
        Some(status) => complaint::read_error(status, &|_| None, body, rows, now),
        None => complaint::read_inner_error(body, rows, now),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(refusal: &Refusal<'_>) -> serde_json::Value {
        serde_json::from_slice(&body(refusal)).unwrap()
    }

    #[test]
    fn places_are_written_as_the_api_writes_them() {
        let refusal = Refusal { param: Some("messages[2].content[0].type"), ..Refusal::new(400, "odd") };
        assert_eq!(
            said(&refusal),
            serde_json::json!({
                "type": "error",
                "error": {"type": "invalid_request_error", "message": "messages.2.content.0.type: odd"},
                "request_id": null
            })
        );
    }

    #[test]
    fn what_is_too_long_is_said_so_that_clients_compact() {
        let told = said(&Refusal::new(400, "the prompt has 9 tokens").code("context_length_exceeded"));
        assert_eq!(told["error"]["message"], "prompt is too long: the prompt has 9 tokens");
        let own = "prompt is too long: 9 tokens > 8 maximum";
        assert_eq!(said(&Refusal::new(400, own).code("context_length_exceeded"))["error"]["message"], own);
    }

    #[test]
    fn every_status_has_a_type() {
        for status in 100..600 {
            let kind = kind_of_status(status);
            assert!(KINDS.iter().any(|(_, known)| *known == kind), "{status}");
        }
        assert_eq!(kind_of_status(503), "api_error");
        assert_eq!(kind_of_status(529), "overloaded_error");
    }
}
