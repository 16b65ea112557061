//! Refusals: an error status with a body in one of the shapes that providers use.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use crate::dialect::Dialect;

/// The shape of an error body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// As the dialect has it: `{"error":{"message","type","param","code"}}`, or Anthropic's envelope.
    Nested,
    /// `{"message","type","param","code"}`.
    Flat,
    /// The same with `"object":"error"` before it.
    FlatObject,
    /// `{"id","message"}`.
    Message,
    /// `{"status","title","detail"}`.
    Title,
    /// `{"detail":"text"}`.
    Detail,
    /// `{"error":"text"}`.
    Text,
    /// The nested shape as the only element of an array.
    Array,
    /// No JSON: the bare message.
    Prose,
    /// No JSON: the message in a page, as a proxy in between writes it.
    Page,
}

/// An error status with a body.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// What it says.
    pub message: String,
    /// The `type`.
    pub kind: Option<String>,
    /// The field of the request it complains about.
    pub param: Option<String>,
    /// The `code`: words, or a number.
    pub code: Value,
    /// The shape of the body.
    pub shape: Shape,
    /// Its `retry-after`.
    pub retry_after: Option<Duration>,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// Whether the key it was called with is repeated in the message.
    pub echo_key: bool,
    /// Further fields of the error.
    pub details: Map<String, Value>,
}

impl Refusal {
    /// A refusal in the nested shape.
    #[must_use]
    pub fn new(status: u16, kind: &str, code: &str, message: impl Into<String>) -> Refusal {
        Refusal {
            status,
            message: message.into(),
            kind: Some(kind.into()),
            param: None,
            code: if code.is_empty() { Value::Null } else { code.into() },
            shape: Shape::Nested,
            retry_after: None,
            headers: Vec::new(),
            echo_key: false,
            details: Map::new(),
        }
    }

    /// `{"detail":"…"}`, as the backend of a ChatGPT subscription words what it checks first.
    #[must_use]
    pub fn detail(status: u16, message: impl Into<String>) -> Refusal {
        Refusal::new(status, "invalid_request_error", "", message).shape(Shape::Detail)
    }

    /// A page, as a proxy in between writes it.
    #[must_use]
    pub fn page(status: u16) -> Refusal {
        Refusal::new(status, "", "", format!("error code: {status}")).shape(Shape::Page)
    }

    /// 429: a subscription has used what it may, and says when it may again.
    #[must_use]
    pub fn usage_limit(plan: &str, resets_at: SystemTime) -> Refusal {
        let at = resets_at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let wait = resets_at.duration_since(SystemTime::now()).unwrap_or_default();
        let text = "The usage limit has been reached";
        Refusal::new(429, "usage_limit_reached", "", text)
            .details("plan_type", plan.into())
            .details("resets_at", at.into())
            .details("resets_in_seconds", wait.as_secs().into())
            .details("eligible_promo", Value::Null)
    }

    /// 401: an access token that has run out.
    #[must_use]
    pub fn token_expired() -> Refusal {
        let text = "Provided authentication token is expired. Please try signing in again.";
        Refusal::new(401, "invalid_request_error", "token_expired", text)
    }

    /// 401: an access token that was withdrawn.
    #[must_use]
    pub fn token_invalidated() -> Refusal {
        let text = "Your authentication token has been invalidated. Please try signing in again.";
        Refusal::new(401, "invalid_request_error", "token_invalidated", text)
    }

    /// 400: the request is wrong, whoever is asked.
    #[must_use]
    pub fn caller_mistake() -> Refusal {
        let text = "Invalid type for 'messages[0].content': expected a string or an array, but got a number instead.";
        Refusal::new(400, "invalid_request_error", "invalid_type", text).param("messages[0].content")
    }

    /// 400: this provider does not take this parameter.
    #[must_use]
    pub fn unsupported_parameter(name: &str) -> Refusal {
        let text = format!("Unsupported parameter: '{name}' is not supported with this model.");
        Refusal::new(400, "invalid_request_error", "unsupported_parameter", text).param(name)
    }

    /// 401: the key is not known.
    #[must_use]
    pub fn bad_key() -> Refusal {
        Refusal::new(401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided.")
    }

    /// 402: no money is left.
    #[must_use]
    pub fn no_money() -> Refusal {
        Refusal::new(
            402,
            "insufficient_quota",
            "payment_required",
            "Insufficient credits. Add more to go on.",
        )
    }

    /// 403: this key may not use this model.
    #[must_use]
    pub fn forbidden() -> Refusal {
        Refusal::new(
            403,
            "permission_error",
            "model_not_allowed",
            "This model is not available on your tier.",
        )
    }

    /// 404: the model is not known.
    #[must_use]
    pub fn model_missing(model: &str) -> Refusal {
        let text = format!("The model `{model}` does not exist or you do not have access to it.");
        Refusal::new(404, "invalid_request_error", "model_not_found", text).param("model")
    }

    /// 410: the model was retired for good.
    #[must_use]
    pub fn model_gone(model: &str) -> Refusal {
        let text = format!("The model `{model}` has reached its end of life and has been retired.");
        Refusal::new(410, "invalid_request_error", "model_gone", text)
    }

    /// 413: the request does not fit this tier.
    #[must_use]
    pub fn too_large() -> Refusal {
        let text = "Request too large for model on tokens per minute (TPM): Limit 8000, Requested 11088, \
                    please reduce your message size and try again.";
        Refusal::new(413, "tokens", "rate_limit_exceeded", text)
    }

    /// 400: the prompt does not fit the model's window.
    #[must_use]
    pub fn context_exceeded() -> Refusal {
        let text = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens.";
        Refusal::new(400, "invalid_request_error", "context_length_exceeded", text).param("messages")
    }

    /// 422: a field that strict servers forbid.
    #[must_use]
    pub fn unprocessable(field: &str) -> Refusal {
        let text = format!("Extra inputs are not permitted: body.{field}");
        Refusal::new(422, "invalid_request_error", "extra_forbidden", text)
            .shape(Shape::FlatObject)
            .param(field)
    }

    /// 500: the provider broke.
    #[must_use]
    pub fn server_error() -> Refusal {
        Refusal::new(500, "server_error", "", "The server had an error while processing your request.")
    }

    /// 503: no capacity now.
    #[must_use]
    pub fn unavailable() -> Refusal {
        Refusal::new(503, "server_error", "", "The model is overloaded. Please try again later.")
    }

    /// 529: overloaded, by another number.
    #[must_use]
    pub fn overloaded() -> Refusal {
        Refusal::new(529, "overloaded_error", "", "Overloaded")
    }

    /// In another shape.
    #[must_use]
    pub fn shape(mut self, shape: Shape) -> Refusal {
        self.shape = shape;
        self
    }

    /// Complaining about this field.
    #[must_use]
    pub fn param(mut self, param: &str) -> Refusal {
        self.param = Some(param.into());
        self
    }

    /// With a `retry-after`.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Refusal {
        self.retry_after = Some(wait);
        self
    }

    /// With a further header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Refusal {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// With a further field in the error.
    #[must_use]
    pub fn details(mut self, name: &str, value: Value) -> Refusal {
        self.details.insert(name.into(), value);
        self
    }

    /// Repeating the key it was called with, as careless servers do.
    #[must_use]
    pub fn echoing_the_key(mut self) -> Refusal {
        self.echo_key = true;
        self
    }

    fn message_for(&self, key: Option<&str>) -> String {
        match key {
            Some(key) if self.echo_key => format!("{} You sent: {key}.", self.message),
            _ => self.message.clone(),
        }
    }

    /// The error as JSON, without a shape around it.
    fn inner(&self, key: Option<&str>) -> Map<String, Value> {
        let mut inner = Map::new();
        inner.insert("message".into(), self.message_for(key).into());
        inner.insert("type".into(), self.kind.clone().into());
        inner.insert("param".into(), self.param.clone().into());
        inner.insert("code".into(), self.code.clone());
        inner.extend(self.details.clone());
        inner
    }

    /// The error as JSON, without a shape around it.
    pub(crate) fn error(&self, key: Option<&str>) -> Value {
        self.inner(key).into()
    }

    /// The body and its content type.
    pub(crate) fn body(&self, dialect: Dialect, key: Option<&str>) -> (String, &'static str) {
        let body = match self.shape {
            Shape::Prose => return (self.message_for(key), "text/plain; charset=utf-8"),
            Shape::Page => return (page(self.status, &self.message_for(key)), "text/html; charset=utf-8"),
            Shape::Nested => dialect.envelope(self.status, &self.error(key)),
            Shape::Array => json!([{"error": self.inner(key)}]),
            Shape::Flat => Value::Object(self.inner(key)),
            Shape::FlatObject => {
                let mut body = Map::from_iter([("object".to_owned(), Value::from("error"))]);
                body.extend(self.inner(key));
                Value::Object(body)
            }
            Shape::Message => json!({"id": "0", "message": self.message_for(key)}),
            Shape::Title => {
                json!({"status": self.status, "title": "Request refused", "detail": self.message_for(key)})
            }
            Shape::Detail => json!({"detail": self.message_for(key)}),
            Shape::Text => json!({"error": self.message_for(key)}),
        };
        (body.to_string(), "application/json")
    }
}

/// A page of HTML, as a proxy in between writes it.
pub(crate) fn page(status: u16, words: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html><head><title>{status}</title></head><body><h1>{status}</h1><hr>{words}</body></html>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_carries_the_message() {
        let shapes = [
            (Shape::Nested, "/error/message"),
            (Shape::Array, "/0/error/message"),
            (Shape::Flat, "/message"),
            (Shape::FlatObject, "/message"),
            (Shape::Message, "/message"),
            (Shape::Title, "/detail"),
            (Shape::Detail, "/detail"),
            (Shape::Text, "/error"),
        ];
        for (shape, pointer) in shapes {
            let (body, _) = Refusal::server_error().shape(shape.clone()).body(Dialect::Chat, None);
            let body: Value = serde_json::from_str(&body).unwrap();
            let message = body.pointer(pointer).and_then(Value::as_str);
            assert_eq!(message, Some("The server had an error while processing your request."), "{shape:?}");
        }
    }

    #[test]
    fn the_key_is_repeated_only_on_wish() {
        let plain = Refusal::bad_key();
        assert!(!plain.body(Dialect::Chat, Some("sk-1")).0.contains("sk-1"));
        assert!(plain.echoing_the_key().body(Dialect::Chat, Some("sk-1")).0.contains("sk-1"));
    }
}
