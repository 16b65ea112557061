//! Errors as an OpenAI client expects them.

use bytes::Bytes;

use crate::envelope::BadRequest;
use crate::json::write_string;
use crate::sse;

/// An error in OpenAI's shape; all four keys are there, as SDKs expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal<'a> {
    /// The HTTP status it is sent with.
    pub status: u16,
    /// Its `type`; see [`kind_of_status`].
    pub kind: &'a str,
    /// A stable word for programs.
    pub code: Option<&'a str>,
    /// What is wrong, in words.
    pub message: &'a str,
    /// The parameter it is about.
    pub param: Option<&'a str>,
}

impl<'a> Refusal<'a> {
    /// A refusal of this status, with the type that goes with it.
    #[must_use]
    pub fn new(status: u16, message: &'a str) -> Self {
        Self { status, kind: kind_of_status(status), code: None, message, param: None }
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        refuse(self.kind, self.code, self.message, self.param)
    }
}

impl<'a> From<&'a BadRequest> for Refusal<'a> {
    fn from(bad: &'a BadRequest) -> Self {
        Self { code: bad.code, param: bad.param.as_deref(), ..Self::new(bad.status, &bad.message) }
    }
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

/// The last event of a stream that broke after it had begun. Nothing follows it, no `[DONE]` either: SDKs
/// raise on it, and a stream that ends as usual would pass for a whole answer.
#[must_use]
pub fn encode_error_event(code: &str, message: &str) -> Bytes {
    let mut out = Vec::new();
    sse::encode(&mut out, None, &refuse("upstream_error", Some(code), message, None));
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_four_keys_are_there() {
        let body = Refusal { code: Some("c"), ..Refusal::new(404, "no \"x\"") }.body();
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            value,
            serde_json::json!({"error": {"message": "no \"x\"", "type": "invalid_request_error", "param": null, "code": "c"}})
        );
    }
}
