//! The strict check of what a fake is sent: what the dialect knows, with the right types, and nothing else.

use std::fmt;

use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

/// How strict a fake is, and what this one takes beyond or short of the dialect.
#[derive(Clone, Debug)]
pub struct Strictness {
    refused: Vec<String>,
    extra: Vec<String>,
    status: u16,
    key_header: Option<String>,
}

impl Default for Strictness {
    fn default() -> Strictness {
        Strictness::new()
    }
}

impl Strictness {
    /// The dialect as it is published; violations are answered with 400.
    #[must_use]
    pub fn new() -> Strictness {
        Strictness {
            refused: Vec::new(),
            extra: Vec::new(),
            status: 400,
            key_header: Some(AUTHORIZATION.as_str().to_owned()),
        }
    }

    /// Refuses these top-level fields although the dialect knows them.
    #[must_use]
    pub fn refusing<S: Into<String>>(mut self, fields: impl IntoIterator<Item = S>) -> Strictness {
        self.refused.extend(fields.into_iter().map(Into::into));
        self
    }

    /// Takes these top-level fields too.
    #[must_use]
    pub fn taking<S: Into<String>>(mut self, fields: impl IntoIterator<Item = S>) -> Strictness {
        self.extra.extend(fields.into_iter().map(Into::into));
        self
    }

    /// Answers violations with 422.
    #[must_use]
    pub fn unprocessable(mut self) -> Strictness {
        self.status = 422;
        self
    }

    /// Expects the key as it is in this header, not as a bearer token.
    #[must_use]
    pub fn key_header(mut self, name: &str) -> Strictness {
        self.key_header = Some(name.to_lowercase());
        self
    }

    /// Expects no key at all, as local servers do.
    #[must_use]
    pub fn no_key(mut self) -> Strictness {
        self.key_header = None;
        self
    }

    /// The status of an answer to a violation.
    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    /// What is wrong with a call; empty when nothing is.
    pub(crate) fn check(&self, path: &str, headers: &HeaderMap, body: &[u8]) -> Vec<String> {
        let mut wrong = self.check_headers(headers);
        let fields = match (path.rsplit('/').next(), serde_json::from_slice(body)) {
            (Some("models"), _) => return wrong,
            (Some("embeddings"), Ok(Value::Object(fields))) => {
                self.check_fields(&fields, EMBEDDINGS, &mut wrong);
                fields
            }
            (_, Ok(Value::Object(fields))) => {
                self.check_fields(&fields, CHAT, &mut wrong);
                check_chat(&fields, &mut wrong);
                fields
            }
            _ => {
                wrong.push("the body is not a JSON object".into());
                return wrong;
            }
        };
        let names = names(body);
        if names.len() != fields.len() {
            wrong.push(format!("a top-level field is there twice: {}", names.join(", ")));
        }
        wrong
    }

    fn check_headers(&self, headers: &HeaderMap) -> Vec<String> {
        let mut wrong = Vec::new();
        let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if content_type.is_some_and(|content_type| !content_type.starts_with("application/json")) {
            wrong.push("the content type is not `application/json`".into());
        }
        for name in ["authorization", "x-api-key", "api-key"] {
            let values: Vec<_> =
                headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
            let expected = self.key_header.as_deref() == Some(name);
            match values.as_slice() {
                [] if expected => wrong.push(format!("the header `{name}` is missing")),
                [] => {}
                _ if !expected => wrong.push(format!("the header `{name}` does not belong here")),
                [value] if name == "authorization" && !is_bearer(value) => {
                    wrong.push("`authorization` is not `Bearer` and a key".into());
                }
                [_] => {}
                _ => wrong.push(format!("the header `{name}` is there twice")),
            }
        }
        wrong
    }

    fn check_fields(&self, fields: &Map<String, Value>, known: &[(&str, Kind)], wrong: &mut Vec<String>) {
        for (name, value) in fields {
            if self.refused.contains(name) {
                wrong.push(format!("`{name}` is not supported"));
                continue;
            }
            match known.iter().find(|(known, _)| known == name) {
                Some((_, kind)) if !kind.takes(value) => {
                    wrong.push(format!("`{name}` has the wrong type: expected {kind:?}"));
                }
                Some(_) => {}
                None if self.extra.contains(name) => {}
                None => wrong.push(format!("`{name}` is not a field of this request")),
            }
        }
        let required =
            if known.len() == EMBEDDINGS.len() { ["model", "input"] } else { ["model", "messages"] };
        for name in required {
            if !fields.contains_key(name) {
                wrong.push(format!("`{name}` is missing"));
            }
        }
    }
}

fn is_bearer(value: &str) -> bool {
    value.strip_prefix("Bearer ").is_some_and(|key| !key.trim().is_empty() && key.trim() == key)
}

/// The type of a field; `null` stands for not set, except where [`Kind::takes`] says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A string that is not empty, never `null`.
    Name,
    Text,
    Number,
    Whole,
    Flag,
    Object,
    List,
    /// A list that is not empty, never `null`.
    Filled,
    TextOrList,
    TextOrObject,
}

impl Kind {
    fn takes(self, value: &Value) -> bool {
        match self {
            Kind::Name => value.as_str().is_some_and(|text| !text.is_empty()),
            Kind::Filled => value.as_array().is_some_and(|items| !items.is_empty()),
            _ if value.is_null() => true,
            Kind::Text => value.is_string(),
            Kind::Number => value.is_number(),
            Kind::Whole => value.is_i64() || value.is_u64(),
            Kind::Flag => value.is_boolean(),
            Kind::Object => value.is_object(),
            Kind::List => value.is_array(),
            Kind::TextOrList => value.is_string() || value.is_array(),
            Kind::TextOrObject => value.is_string() || value.is_object(),
        }
    }
}

/// The top-level fields of a chat request.
const CHAT: &[(&str, Kind)] = &[
    ("model", Kind::Name),
    ("messages", Kind::Filled),
    ("audio", Kind::Object),
    ("frequency_penalty", Kind::Number),
    ("function_call", Kind::TextOrObject),
    ("functions", Kind::List),
    ("logit_bias", Kind::Object),
    ("logprobs", Kind::Flag),
    ("max_completion_tokens", Kind::Whole),
    ("max_tokens", Kind::Whole),
    ("metadata", Kind::Object),
    ("modalities", Kind::List),
    ("n", Kind::Whole),
    ("parallel_tool_calls", Kind::Flag),
    ("prediction", Kind::Object),
    ("presence_penalty", Kind::Number),
    ("prompt_cache_key", Kind::Text),
    ("reasoning_effort", Kind::Text),
    ("response_format", Kind::Object),
    ("safety_identifier", Kind::Text),
    ("seed", Kind::Whole),
    ("service_tier", Kind::Text),
    ("stop", Kind::TextOrList),
    ("store", Kind::Flag),
    ("stream", Kind::Flag),
    ("stream_options", Kind::Object),
    ("temperature", Kind::Number),
    ("tool_choice", Kind::TextOrObject),
    ("tools", Kind::List),
    ("top_logprobs", Kind::Whole),
    ("top_p", Kind::Number),
    ("user", Kind::Text),
    ("verbosity", Kind::Text),
    ("web_search_options", Kind::Object),
];

/// The top-level fields of an embeddings request.
const EMBEDDINGS: &[(&str, Kind)] = &[
    ("model", Kind::Name),
    ("input", Kind::TextOrList),
    ("dimensions", Kind::Whole),
    ("encoding_format", Kind::Text),
    ("user", Kind::Text),
];

/// The roles a message may have.
const ROLES: [&str; 6] = ["system", "developer", "user", "assistant", "tool", "function"];

/// What no single field shows.
fn check_chat(fields: &Map<String, Value>, wrong: &mut Vec<String>) {
    if fields.contains_key("max_tokens") && fields.contains_key("max_completion_tokens") {
        wrong.push("`max_tokens` and `max_completion_tokens` are both set".into());
    }
    let streams = fields.get("stream").and_then(Value::as_bool) == Some(true);
    if fields.get("stream_options").is_some_and(Value::is_object) && !streams {
        wrong.push("`stream_options` without `stream`".into());
    }
    let messages = fields.get("messages").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    for (index, message) in messages.iter().enumerate() {
        let role = message["role"].as_str().unwrap_or_default();
        if !ROLES.contains(&role) {
            wrong.push(format!("`messages[{index}].role` is `{role}`"));
        }
        if !Kind::TextOrList.takes(&message["content"]) {
            wrong.push(format!("`messages[{index}].content` is neither text nor parts"));
        }
        if role == "tool" && !message["tool_call_id"].is_string() {
            wrong.push(format!("`messages[{index}].tool_call_id` is missing"));
        }
    }
}

/// The top-level names of an object, repeated ones too; a value tree would keep only the last of them.
fn names(body: &[u8]) -> Vec<String> {
    struct Names;
    impl<'de> Visitor<'de> for Names {
        type Value = Vec<String>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<String>, A::Error> {
            let mut names = Vec::new();
            while let Some((name, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
                names.push(name);
            }
            Ok(names)
        }
    }
    serde_json::Deserializer::from_slice(body).deserialize_map(Names).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;
    use serde_json::json;

    use super::*;

    const PATH: &str = "/v1/chat/completions";

    fn bearer() -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("Bearer key"))])
    }

    fn check(body: &str) -> Vec<String> {
        Strictness::new().check(PATH, &bearer(), body.as_bytes())
    }

    fn chat(more: &str) -> String {
        format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}]{more}}}"#)
    }

    #[test]
    fn a_good_call_has_no_violation() {
        assert_eq!(check(&chat("")), [""; 0]);
        let more = r#","stream":true,"stream_options":{"include_usage":true},"temperature":0.5,"stop":null"#;
        assert_eq!(check(&chat(more)), [""; 0]);
    }

    #[test]
    fn each_fault_is_named() {
        for (more, named) in [
            (r#","wrong":1"#, "`wrong` is not a field"),
            (r#","temperature":"hot""#, "`temperature` has the wrong type"),
            (r#","max_tokens":1,"max_completion_tokens":2"#, "both set"),
            (r#","stream_options":{}"#, "`stream_options` without `stream`"),
            (r#","model":"n""#, "there twice"),
        ] {
            let wrong = check(&chat(more));
            assert!(wrong.len() == 1 && wrong[0].contains(named), "{more}: {wrong:?}");
        }
        assert!(check(r#"{"model":"m"}"#)[0].contains("`messages` is missing"));
        assert!(check(r#"{"messages":[{"role":"king","content":1}]}"#).len() == 3);
        assert!(check("[]")[0].contains("not a JSON object"));
    }

    #[test]
    fn the_key_belongs_into_one_header() {
        let body = chat("");
        let check =
            |strictness: Strictness, headers: &HeaderMap| strictness.check(PATH, headers, body.as_bytes());
        assert!(check(Strictness::new(), &HeaderMap::new())[0].contains("missing"));
        assert!(check(Strictness::new().no_key(), &bearer())[0].contains("does not belong"));
        let mut both = bearer();
        both.insert("x-api-key", HeaderValue::from_static("key"));
        assert_eq!(check(Strictness::new(), &both).len(), 1);
        assert_eq!(check(Strictness::new().key_header("X-Api-Key"), &both).len(), 1);
    }

    #[test]
    fn a_provider_may_take_more_or_less() {
        let strictness = Strictness::new().refusing(["seed"]).taking(["thinking"]);
        let body =
            json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "seed": 1, "thinking": {}});
        let wrong = strictness.check(PATH, &bearer(), body.to_string().as_bytes());
        assert_eq!(wrong, ["`seed` is not supported"]);
    }
}
