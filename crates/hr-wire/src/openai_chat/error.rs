//! Errors as an OpenAI client expects them.

use bytes::Bytes;

use crate::json::write_string;
use crate::refusal::Refusal;
use crate::sse;

/// The body of a refusal, with the type that goes with its status where it says none.
#[must_use]
pub fn body(refusal: &Refusal<'_>) -> Vec<u8> {
    let kind = refusal.kind.unwrap_or_else(|| kind_of_status(refusal.status));
    refuse(kind, refusal.code, refusal.message, refusal.param)
}

/// The `type` that goes with a status.
#[must_use]
pub fn kind_of_status(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        503 => "router_error",
        500.. => "server_error",
        _ => "invalid_request_error",
    }
}

/// The body of an error: `{"error":{"message","type","param","code"}}`.
#[must_use]
pub fn refuse(kind: &str, code: Option<&str>, message: &str, param: Option<&str>) -> Vec<u8> {
    let mut out = Vec::with_capacity(96 + message.len());
    out.extend_from_slice(b"{\"error\":{\"message\":");
    write_string(&mut out, message);
    out.extend_from_slice(b",\"type\":");
    write_string(&mut out, kind);
    for (key, value) in [("param", param), ("code", code)] {
        out.extend_from_slice(b",\"");
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(b"\":");
        match value {
            Some(value) => write_string(&mut out, value),
            None => out.extend_from_slice(b"null"),
        }
    }
    out.extend_from_slice(b"}}");
    out
}

/// The last event of a stream that broke. Nothing follows it, no `[DONE]` either: SDKs raise on it, and a
/// stream that ends as usual would pass for a whole answer.
#[must_use]
pub fn event(refusal: &Refusal<'_>) -> Bytes {
    let mut out = Vec::new();
    sse::encode(&mut out, None, &body(refusal));
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
            serde_json::json!({"error": {"message": "no \"x\"", "type": "invalid_request_error", "param": null, "code": "c"}})
        );
    }
}
