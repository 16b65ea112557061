//! The strict check of what a fake is sent: what its dialect knows, with the right types, and nothing else.
//!
//! Each dialect has a file with its rules, worded as its real server words them. [`Rule`]s are those that only
//! some servers or models have. A call with several faults is told the first one only, as real servers do it,
//! but in chat, where all of them are told.

mod anthropic;
mod chat;
mod codex;
mod items;
mod kind;
mod responses;
mod turns;

use hyper::HeaderMap;
use hyper::header::CONTENT_TYPE;
use serde_json::Value;

use crate::dialect::{Dialect, Endpoint};
use crate::issued::{Issued, Verdict};
use crate::refusal::{Refusal, Shape};
use kind::names;

/// A rule that only some servers or models have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Chat: no `reasoning_content`, `reasoning` or `reasoning_details` in messages.
    NoThoughts,
    /// Chat: a call of a tool must come with the `reasoning_content` that led to it.
    ThoughtsBack,
    /// Chat: a call of a tool must come with a signature in its `extra_content`, the first of each message.
    SignedCalls,
    /// Chat: no `extra_content` in calls of tools.
    NoExtraContent,
    /// Chat: no `name` in messages.
    NoSpeakers,
    /// Chat: the ids of calls have exactly nine letters and digits.
    ShortIds,
    /// Chat: the last message is from the user or a tool.
    LastFromUser,
    /// Chat: no fields in messages, calls and tools that the dialect does not know.
    NoUnknownFields,
    /// Chat: every tool has a description.
    DescribedTools,
    /// Chat: no images in the results of tools.
    NoImageResults,
    /// Chat: no images at all.
    NoImages,
    /// Chat: no structured output beside tools.
    NoFormatWithTools,
    /// Chat: no `$schema`, `additionalProperties`, `$ref`, `oneOf`, `allOf` or `const` in the schemas of tools.
    PlainSchemas,
    /// Anthropic: the last turn is the user's.
    NoPrefill,
    /// Anthropic: no turns with the role `system`.
    NoSystemTurns,
    /// Anthropic: thinking is adaptive or off; there is no budget.
    AdaptiveOnly,
    /// Anthropic: thinking has a budget or is off.
    BudgetOnly,
    /// Anthropic: no tool is forced.
    NoForcedTools,
    /// Anthropic, Responses: what was sealed for one key is not taken from another.
    OwnSealsOnly,
}

/// How strict a fake is, and what this one takes beyond or short of the dialect.
#[derive(Clone, Debug)]
pub struct Strictness {
    refused: Vec<String>,
    extra: Vec<String>,
    status: u16,
    key: KeyPlace,
    rules: Vec<Rule>,
    output_cap: Option<u64>,
}

/// Where a key belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
enum KeyPlace {
    /// Where the dialect wants it.
    OfDialect,
    Header(String),
    Nowhere,
}

/// Something that is wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    status: u16,
    code: Option<&'static str>,
    param: Option<String>,
    shape: Shape,
    pub(crate) message: String,
}

impl Fault {
    fn new(message: impl Into<String>) -> Fault {
        Fault { status: 400, code: None, param: None, shape: Shape::Nested, message: message.into() }
    }

    /// A fault in this field, with this code.
    fn at(param: impl Into<String>, code: &'static str, message: impl Into<String>) -> Fault {
        Fault { code: Some(code), param: Some(param.into()), ..Fault::new(message) }
    }

    /// A fault that is told as `detail`.
    fn detail(message: impl Into<String>) -> Fault {
        Fault { shape: Shape::Detail, ..Fault::new(message) }
    }

    fn status(self, status: u16) -> Fault {
        Fault { status, ..self }
    }

    /// The refusal of a call with this fault.
    pub(crate) fn refusal(&self) -> Refusal {
        let mut refusal =
            Refusal::new(self.status, "invalid_request_error", self.code.unwrap_or_default(), &self.message)
                .shape(self.shape.clone());
        refusal.param.clone_from(&self.param);
        refusal
    }
}

/// A call to be checked.
pub(crate) struct Inspected<'a> {
    pub(crate) dialect: Dialect,
    pub(crate) endpoint: Endpoint,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
    /// Whom seals must have been issued to.
    pub(crate) owner: &'a str,
    /// What was issued; without it every seal is a good one.
    pub(crate) issued: Option<&'a Issued>,
}

impl Inspected<'_> {
    /// Whether a seal comes back to where it was issued, for this text.
    fn is_issued(&self, strictness: &Strictness, seal: &str, sealed: Option<&str>) -> bool {
        let Some(issued) = self.issued else { return true };
        match issued.judge(seal, self.owner, sealed) {
            Verdict::Good => true,
            Verdict::Foreign => !strictness.has(Rule::OwnSealsOnly),
            Verdict::Changed | Verdict::Unknown => false,
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

impl Default for Strictness {
    fn default() -> Strictness {
        Strictness::new()
    }
}

impl Strictness {
    /// The dialect as it is published, and as its newest models have it; violations are answered with 400.
    #[must_use]
    pub fn new() -> Strictness {
        Strictness {
            refused: Vec::new(),
            extra: Vec::new(),
            status: 400,
            key: KeyPlace::OfDialect,
            rules: vec![Rule::NoPrefill, Rule::OwnSealsOnly, Rule::NoImageResults],
            output_cap: None,
        }
    }

    /// Refuses these top-level fields although the dialect knows them.
    #[must_use]
    pub fn refusing<S: Into<String>>(mut self, fields: impl IntoIterator<Item = S>) -> Strictness {
        self.refused.extend(fields.into_iter().map(Into::into));
        self
    }

    /// Takes these top-level fields although the dialect does not know them.
    #[must_use]
    pub fn taking<S: Into<String>>(mut self, fields: impl IntoIterator<Item = S>) -> Strictness {
        self.extra.extend(fields.into_iter().map(Into::into));
        self
    }

    /// With these rules too.
    #[must_use]
    pub fn with(mut self, rules: impl IntoIterator<Item = Rule>) -> Strictness {
        self.rules.extend(rules);
        self
    }

    /// Without this rule.
    #[must_use]
    pub fn without(mut self, rule: Rule) -> Strictness {
        self.rules.retain(|other| *other != rule);
        self
    }

    /// Refuses requests for longer answers.
    #[must_use]
    pub fn output_cap(mut self, tokens: u64) -> Strictness {
        self.output_cap = Some(tokens);
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
        self.key = KeyPlace::Header(name.to_lowercase());
        self
    }

    /// Expects no key at all, as local servers do.
    #[must_use]
    pub fn no_key(mut self) -> Strictness {
        self.key = KeyPlace::Nowhere;
        self
    }

    /// What a strict fake of this dialect would not accept of this request for an answer, apart from its headers
    /// and from what only the fake that issued it can know.
    #[must_use]
    pub fn complaints(&self, dialect: Dialect, body: &[u8]) -> Vec<String> {
        let headers = HeaderMap::new();
        let endpoint = Endpoint::Generate;
        let call = Inspected { dialect, endpoint, headers: &headers, body, owner: "", issued: None };
        let mut wrong = Vec::new();
        self.check_body(&call, &mut wrong);
        wrong.into_iter().map(|fault| fault.message).collect()
    }

    fn has(&self, rule: Rule) -> bool {
        self.rules.contains(&rule)
    }

    fn refuses(&self, field: &str) -> bool {
        self.refused.iter().any(|refused| refused == field)
    }

    fn takes(&self, field: &str) -> bool {
        self.extra.iter().any(|extra| extra == field)
    }

    /// What is wrong with a call; empty when nothing is.
    pub(crate) fn check(&self, call: &Inspected<'_>) -> Vec<Fault> {
        if call.endpoint == Endpoint::Token {
            return Vec::new();
        }
        let mut wrong = self.check_headers(call);
        if matches!(call.endpoint, Endpoint::Models | Endpoint::Usage) {
            return wrong;
        }
        self.check_dialect_headers(call, &mut wrong);
        self.check_body(call, &mut wrong);
        wrong
    }

    fn check_body(&self, call: &Inspected<'_>, wrong: &mut Vec<Fault>) {
        let Ok(Value::Object(fields)) = serde_json::from_slice(call.body) else {
            wrong.push(Fault::new("the body is not a JSON object"));
            return;
        };
        let names = names(call.body);
        if names.len() != fields.len() {
            wrong.push(Fault::new(format!("a top-level field is there twice: {}", names.join(", "))));
        }
        let body = Value::Object(fields);
        match call.dialect {
            Dialect::Chat => chat::check(self, call, &body, wrong),
            Dialect::Anthropic => anthropic::check(self, call, &body, wrong),
            Dialect::Responses => responses::check(self, call, &body, wrong),
            Dialect::Codex => codex::check(self, call, &body, wrong),
        }
    }

    /// Headers that one dialect alone wants.
    fn check_dialect_headers(&self, call: &Inspected<'_>, wrong: &mut Vec<Fault>) {
        if call.dialect == Dialect::Anthropic && call.header("anthropic-version").is_none() {
            wrong.push(Fault::new("anthropic-version: header is required"));
        }
        let account = call.header("chatgpt-account-id");
        if call.dialect == Dialect::Codex && account.is_none_or(str::is_empty) {
            wrong.push(Fault::detail("ChatGPT-Account-ID header is missing").status(401));
        }
    }

    /// The refusal of a call with these faults.
    pub(crate) fn refusal(&self, dialect: Dialect, wrong: &[Fault]) -> Option<Refusal> {
        let first = wrong.first()?;
        if dialect == Dialect::Chat && first.status == 400 {
            let all: Vec<_> = wrong.iter().map(|fault| fault.message.as_str()).collect();
            let kind = "invalid_request_error";
            return Some(Refusal::new(self.status, kind, "wrong_api_format", all.join("; ")));
        }
        Some(first.refusal())
    }

    fn check_headers(&self, call: &Inspected<'_>) -> Vec<Fault> {
        let mut wrong = Vec::new();
        if call.header(CONTENT_TYPE.as_str()).is_some_and(|value| !value.starts_with("application/json")) {
            wrong.push(Fault::new("the content type is not `application/json`"));
        }
        // Anthropic's own SDKs of different years use one or the other.
        let places: &[&str] = match (&self.key, call.dialect) {
            (KeyPlace::Header(name), _) => &[name.as_str()],
            (KeyPlace::Nowhere, _) => &[],
            (KeyPlace::OfDialect, Dialect::Anthropic) => &["x-api-key", "authorization"],
            (KeyPlace::OfDialect, _) => &["authorization"],
        };
        if let [first, ..] = places
            && !places.iter().any(|name| call.headers.contains_key(*name))
        {
            wrong.push(missing_key(call.dialect, first));
        }
        for name in ["authorization", "x-api-key", "api-key"] {
            let values: Vec<_> =
                call.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
            match values.as_slice() {
                [] => {}
                _ if !places.contains(&name) => {
                    wrong.push(Fault::new(format!("the header `{name}` does not belong here")));
                }
                [value] if name == "authorization" && !is_bearer(value) => {
                    wrong.push(Fault::new("`authorization` is not `Bearer` and a key"));
                }
                [_] => {}
                _ => wrong.push(Fault::new(format!("the header `{name}` is there twice"))),
            }
        }
        wrong
    }
}

fn missing_key(dialect: Dialect, name: &str) -> Fault {
    match dialect {
        Dialect::Chat => Fault::new(format!("the header `{name}` is missing")),
        Dialect::Anthropic => Fault::new("x-api-key header is required").status(401),
        Dialect::Responses => {
            let text =
                "You didn't provide an API key. You need to provide your API key in an Authorization header.";
            Fault::new(text).status(401)
        }
        Dialect::Codex => Fault::detail("Unauthorized").status(401),
    }
}

fn is_bearer(value: &str) -> bool {
    value.strip_prefix("Bearer ").is_some_and(|key| !key.trim().is_empty() && key.trim() == key)
}

#[cfg(test)]
mod tests {
    use hyper::header::{AUTHORIZATION, HeaderValue};
    use serde_json::json;

    use super::*;

    fn bearer() -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("Bearer key"))])
    }

    fn checked(strictness: &Strictness, headers: &HeaderMap, body: &str) -> Vec<String> {
        let call = Inspected {
            dialect: Dialect::Chat,
            endpoint: Endpoint::Generate,
            headers,
            body: body.as_bytes(),
            owner: "key",
            issued: None,
        };
        strictness.check(&call).into_iter().map(|fault| fault.message).collect()
    }

    fn check(body: &str) -> Vec<String> {
        checked(&Strictness::new(), &bearer(), body)
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
        let check = |strictness: Strictness, headers: &HeaderMap| checked(&strictness, headers, &body);
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
        let wrong = checked(&strictness, &bearer(), &body.to_string());
        assert_eq!(wrong, ["`seed` is not supported"]);
    }
}
