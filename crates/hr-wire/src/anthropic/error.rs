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
/// The words by which they know that the answer which they ask for has to be.
const ANSWER_TOO_LONG: &str = "input length and `max_tokens` exceed context limit";

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
    out.extend_from_slice(b"},\"request_id\":");
    match refusal.id {
        Some(id) => write_string(&mut out, id),
        None => out.extend_from_slice(b"null"),
    }
    out.push(b'}');
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
        Some("context_length_exceeded") => return too_long(refusal.message),
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

/// The words for a request that a context window does not hold. Where its conversation alone would fit, clients
/// ask for a shorter answer instead of making the conversation shorter; they read the three numbers.
fn too_long(message: &str) -> String {
    if message.contains(TOO_LONG) || message.contains(ANSWER_TOO_LONG) {
        return message.to_owned();
    }
    match window(message) {
        Some([prompt, answer, window]) if prompt < window => format!(
            "{ANSWER_TOO_LONG}: {prompt} + {answer} > {window}, decrease input length or `max_tokens` and try \
             again"
        ),
        Some([prompt, _, window]) => format!("{TOO_LONG}: {prompt} tokens > {window} maximum"),
        None => format!("{TOO_LONG}: {message}"),
    }
}

/// What servers of other dialects say: the tokens of the conversation, those of the answer, and the window.
fn window(message: &str) -> Option<[u64; 3]> {
    let before = |mark: &str| {
        let head = message[..message.find(mark)?].trim_end();
        let digits = head.rfind(|letter: char| !letter.is_ascii_digit()).map_or(0, |place| place + 1);
        head[digits..].parse().ok()
    };
    let window = message.split("maximum context length is ").nth(1)?;
    let window = window.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()?;
    let prompt = before(" in the messages").or_else(|| before(" in your prompt"))?;
    let answer = before(" in the completion").or_else(|| before(" for the completion"))?;
    Some([prompt, answer, window])
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
    fn an_answer_that_does_not_fit_is_said_so_that_clients_ask_for_less() {
        let told = |message| {
            let said = said(&Refusal::new(400, message).code("context_length_exceeded"));
            said["error"]["message"].as_str().unwrap().to_owned()
        };
        let openai = "This model's maximum context length is 8192 tokens. However, you requested 9001 tokens \
                      (5001 in the messages, 4000 in the completion). Please reduce the length.";
        let ours = "input length and `max_tokens` exceed context limit: 5001 + 4000 > 8192, decrease input \
                    length or `max_tokens` and try again";
        assert_eq!(told(openai), ours);
        assert_eq!(told(ours), ours);
        let older = "This model's maximum context length is 4097 tokens, however you requested 4100 tokens (3100 in \
                     your prompt; 1000 for the completion).";
        assert!(told(older).contains("3100 + 1000 > 4097"), "{}", told(older));
        let prompt = "This model's maximum context length is 100 tokens. However, you requested 9001 tokens (5001 \
                      in the messages, 4000 in the completion).";
        assert_eq!(told(prompt), "prompt is too long: 5001 tokens > 100 maximum");
    }

    #[test]
    fn the_request_is_named_where_its_id_is_known() {
        let refusal = Refusal { id: Some("req_1"), ..Refusal::new(500, "odd") };
        assert_eq!(said(&refusal)["request_id"], "req_1");
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
