//! What the backend of a ChatGPT subscription takes: Responses with less, and worded in its own way.

use serde_json::Value;

use super::kind::{Kind, list};
use super::responses::{FIELDS, check_fields, check_meaning};
use super::{Fault, Inspected, Strictness};
use crate::dialect::Endpoint;

/// What the platform takes and this does not.
const REFUSED: [&str; 17] = [
    "max_output_tokens",
    "max_completion_tokens",
    "max_tokens",
    "max_tool_calls",
    "temperature",
    "top_p",
    "top_logprobs",
    "truncation",
    "user",
    "metadata",
    "safety_identifier",
    "prompt_cache_retention",
    "prompt_cache_options",
    "stream_options",
    "previous_response_id",
    "background",
    "context_management",
];

/// What the official client sends beyond the platform's fields.
const MORE: [(&str, Kind); 1] = [("client_metadata", Kind::Object)];

pub(super) fn check(strictness: &Strictness, call: &Inspected<'_>, body: &Value, wrong: &mut Vec<Fault>) {
    for name in body.as_object().into_iter().flat_map(|fields| fields.keys()) {
        if REFUSED.contains(&name.as_str()) || strictness.refuses(name) {
            wrong.push(Fault::detail(format!("Unsupported parameter: {name}")));
        }
    }
    if call.endpoint == Endpoint::Generate {
        if body["store"] != false {
            wrong.push(Fault::detail("Store must be set to false"));
        }
        if body["stream"] != true {
            wrong.push(Fault::detail("Stream must be set to true"));
        }
    }
    if !body["input"].is_array() {
        wrong.push(Fault::detail("Input must be a list"));
    }
    let items = list(&body["input"]);
    if items.iter().any(|item| item["role"] == "system") {
        wrong.push(Fault::detail("System messages are not allowed"));
    }
    let parts = items.iter().flat_map(|item| list(&item["content"]).iter().chain(list(&item["output"])));
    if parts.into_iter().any(|part| part.get("prompt_cache_breakpoint").is_some()) {
        let text = "prompt_cache_breakpoint is not supported on this model";
        wrong.push(Fault::at("input", "unsupported_parameter", text));
    }
    let tier = &body["service_tier"];
    if !tier.is_null() && tier != "priority" {
        wrong.push(Fault::detail(format!("Unsupported service_tier: {}", tier.as_str().unwrap_or_default())));
    }
    let mut known: Vec<_> = FIELDS.iter().copied().filter(|(name, _)| !REFUSED.contains(name)).collect();
    known.extend(MORE);
    let mut more = Vec::new();
    check_fields(&strictness.clone().taking(REFUSED), body, &known, &mut more);
    let mut plain = body.clone();
    if let Some(fields) = plain.as_object_mut() {
        fields.retain(|name, _| !REFUSED.contains(&name.as_str()));
    }
    check_meaning(strictness, call, &plain, &mut more);
    wrong.extend(more);
}
