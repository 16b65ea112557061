//! Errors as clients of this dialect expect them.

use bytes::Bytes;

use super::encoder::{lifecycle, response_id};
use super::response::{self, State};
use crate::dialect::Echo;
use crate::json::{quoted, write_string};
use crate::refusal::Refusal;
use crate::sse;

/// The body of a refusal: `{"error":{"message","type","param","code"}}`, all four keys always there.
#[must_use]
pub fn body(refusal: &Refusal<'_>) -> Vec<u8> {
    format!(r#"{{"error":{}}}"#, object(refusal)).into_bytes()
}

fn object(refusal: &Refusal<'_>) -> String {
    let word = |word: Option<&str>| word.map_or_else(|| "null".to_owned(), quoted);
    let mut message = Vec::with_capacity(refusal.message.len() + 2);
    write_string(&mut message, refusal.message);
    format!(
        r#"{{"message":{},"type":{},"param":{},"code":{}}}"#,
        String::from_utf8_lossy(&message),
        quoted(refusal.kind.unwrap_or_else(|| kind_of(refusal.status))),
        word(refusal.param),
        word(refusal.code),
    )
}

fn kind_of(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        503 => "router_error",
        500.. => "server_error",
        _ => "invalid_request_error",
    }
}

/// The code that tells clients what to do: some are fatal to them, most are tried again.
#[must_use]
pub fn code_of<'a>(refusal: &Refusal<'a>) -> &'a str {
    refusal.code.unwrap_or(match refusal.status {
        429 => "rate_limit_exceeded",
        503 => "server_is_overloaded",
        500.. => "server_error",
        _ => "invalid_prompt",
    })
}

/// Writes the end of a stream that broke: the error, which SDKs raise, and the response that failed, which
/// coding agents wait for. The two take the sequence numbers from this one on.
pub(super) fn write_failure(refusal: &Refusal<'_>, sequence: u64, response: &str, out: &mut Vec<u8>) {
    let code = code_of(refusal);
    let refusal = Refusal { code: Some(code), ..*refusal };
    let data = format!(r#"{{"type":"error","sequence_number":{sequence},"error":{}}}"#, object(&refusal));
    sse::encode(out, Some("error"), data.as_bytes());
    lifecycle("response.failed", sequence + 1, response, out);
}

/// The whole stream of a reply that failed before anything was said.
#[must_use]
pub fn only_event(refusal: &Refusal<'_>, echo: &Echo) -> Bytes {
    let id = response_id(echo);
    let state = State {
        id: &id,
        model: &echo.model,
        created: echo.now,
        status: "failed",
        items: &[],
        usage: None,
        incomplete: None,
        error: Some((code_of(refusal), refusal.message)),
    };
    let mut out = Vec::new();
    write_failure(refusal, echo.signs.count(), &response::write(&state, echo), &mut out);
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_four_keys_are_there() {
        let body = body(&Refusal::new(404, "no \"x\"").code("c"));
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            value,
            serde_json::json!({"error": {
                "message": "no \"x\"", "type": "invalid_request_error", "param": null, "code": "c"
            }})
        );
    }
}
