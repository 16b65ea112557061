//! What a chat provider takes.

use serde_json::Value;

use super::kind::{Kind, is_plain, list, text};
use super::{Fault, Inspected, Rule, Strictness};
use crate::dialect::Endpoint;

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

/// The fields of messages.
const MESSAGE: [&str; 9] =
    ["role", "content", "name", "refusal", "audio", "tool_calls", "tool_call_id", "function_call", "prefix"];

/// Tiers of service; not all providers have all of them.
const TIERS: [&str; 9] =
    ["auto", "default", "flex", "scale", "priority", "on_demand", "performance", "fast", "ultrafast"];

/// Where thoughts hide in messages.
const THOUGHTS: [&str; 3] = ["reasoning_content", "reasoning", "reasoning_details"];

/// What no plain schema has.
const FANCY: [&str; 6] = ["$schema", "additionalProperties", "$ref", "oneOf", "allOf", "const"];

/// The most characters of a tool's name.
const MAX_NAME: usize = 64;

pub(super) fn check(strictness: &Strictness, call: &Inspected<'_>, body: &Value, wrong: &mut Vec<Fault>) {
    if call.endpoint == Endpoint::Embeddings {
        check_fields(strictness, body, EMBEDDINGS, ["model", "input"], wrong);
        return;
    }
    check_fields(strictness, body, CHAT, ["model", "messages"], wrong);
    let mut fault = |message: String| wrong.push(Fault::new(message));
    if body.get("max_tokens").is_some() && body.get("max_completion_tokens").is_some() {
        fault("`max_tokens` and `max_completion_tokens` are both set".into());
    }
    let limit = body["max_tokens"].as_u64().or(body["max_completion_tokens"].as_u64());
    if let (Some(cap), Some(limit)) = (strictness.output_cap, limit)
        && limit > cap
    {
        fault(format!("`max_tokens` is {limit}, and the model gives at most {cap}"));
    }
    let tier = &body["service_tier"];
    if !tier.is_null() && !TIERS.contains(&text(tier)) {
        fault(format!("Invalid value: '{}'. `service_tier` must be one of {TIERS:?}", text(tier)));
    }
    if body["stream_options"].is_object() && body["stream"] != true {
        fault("`stream_options` without `stream`".into());
    }
    check_tools(strictness, body, &mut fault);
    let messages = list(&body["messages"]);
    for (index, message) in messages.iter().enumerate() {
        check_message(strictness, message, &format!("messages[{index}]"), &mut fault);
    }
    check_order(messages, &mut fault);
    let last = messages.last().map_or("user", |message| text(&message["role"]));
    if strictness.has(Rule::LastFromUser) && !["user", "tool"].contains(&last) {
        fault(format!(
            "Expected last role User or Tool (or Assistant with prefix True) for serving but got {last}"
        ));
    }
}

fn check_fields(
    strictness: &Strictness,
    body: &Value,
    known: &[(&str, Kind)],
    required: [&str; 2],
    wrong: &mut Vec<Fault>,
) {
    for (name, value) in body.as_object().into_iter().flatten() {
        let known = known.iter().find(|(known, _)| known == name);
        let message = match known {
            _ if strictness.refuses(name) => format!("`{name}` is not supported"),
            Some((_, kind)) if !kind.takes(value) => {
                format!("`{name}` has the wrong type: expected {kind:?}")
            }
            None if !strictness.takes(name) => format!("`{name}` is not a field of this request"),
            _ => continue,
        };
        wrong.push(Fault::new(message));
    }
    let missing = required.into_iter().filter(|name| body.get(name).is_none());
    wrong.extend(missing.map(|name| Fault::new(format!("`{name}` is missing"))));
}

fn check_tools(strictness: &Strictness, body: &Value, fault: &mut impl FnMut(String)) {
    let tools = list(&body["tools"]);
    for (field, value) in
        [("tool_choice", &body["tool_choice"]), ("parallel_tool_calls", &body["parallel_tool_calls"])]
    {
        if !value.is_null() && tools.is_empty() {
            fault(format!("'{field}' is only allowed when 'tools' are specified."));
        }
    }
    if body["tools"].is_array() && tools.is_empty() {
        fault("Invalid 'tools': empty array. Expected an array with minimum length 1".into());
    }
    let mut names = Vec::new();
    for (index, tool) in tools.iter().enumerate() {
        let kind = text(&tool["type"]);
        if !["function", "custom"].contains(&kind) {
            fault(format!("`tools[{index}].type` is `{kind}`"));
            continue;
        }
        let inner = &tool[kind];
        let name = text(&inner["name"]);
        if !is_plain(name, MAX_NAME) {
            fault(format!("`tools[{index}].{kind}.name` is `{name}`"));
        }
        if names.contains(&name) {
            fault(format!("`tools[{index}].{kind}.name` is there twice: `{name}`"));
        }
        names.push(name);
        let parameters = &inner["parameters"];
        if kind == "function" && !parameters.is_null() && parameters["type"] != "object" {
            fault(format!("Invalid schema for function '{name}': schema must be of 'type: \"object\"'"));
        }
        if strictness.has(Rule::DescribedTools) && !inner["description"].is_string() {
            fault(format!("`tools[{index}].{kind}.description` is missing"));
        }
        if strictness.has(Rule::PlainSchemas)
            && let Some(key) = fancy(parameters)
        {
            fault(format!(
                "Unknown name \"{key}\" at 'tools[{index}].function.parameters': Cannot find field."
            ));
        }
        if strictness.has(Rule::NoUnknownFields) {
            let known = ["name", "description", "parameters", "strict", "format"];
            unknown(tool, &["type", kind], &format!("tools[{index}]"), fault);
            unknown(inner, &known, &format!("tools[{index}].{kind}"), fault);
        }
    }
    check_choice(&body["tool_choice"], &names, fault);
    let structured = body["response_format"]["type"].as_str().is_some_and(|kind| kind != "text");
    if strictness.has(Rule::NoFormatWithTools) && structured && !tools.is_empty() {
        fault("json mode cannot be combined with tool/function calling".into());
    }
}

fn check_choice(choice: &Value, names: &[&str], fault: &mut impl FnMut(String)) {
    let chosen = match choice {
        Value::String(word) if ["none", "auto", "required"].contains(&word.as_str()) => return,
        Value::Null => return,
        Value::Object(_) if choice["type"] == "allowed_tools" => return,
        Value::Object(_) => text(&choice[text(&choice["type"])]["name"]),
        _ => "",
    };
    if !names.contains(&chosen) {
        fault(format!("`tool_choice` is not one of the tools: {choice}"));
    }
}

fn check_message(strictness: &Strictness, message: &Value, path: &str, fault: &mut impl FnMut(String)) {
    let role = text(&message["role"]);
    if !ROLES.contains(&role) {
        fault(format!("`{path}.role` is `{role}`"));
    }
    if !Kind::TextOrList.takes(&message["content"]) {
        fault(format!("`{path}.content` is neither text nor parts"));
    }
    let calls = list(&message["tool_calls"]);
    let speaks = calls.is_empty() && message["function_call"].is_null() && message["refusal"].is_null();
    if message["content"].is_null() && (role != "assistant" || speaks) {
        fault(format!("Invalid value for '{path}.content': expected a string, got null."));
    }
    if role == "tool" && !message["tool_call_id"].is_string() {
        fault(format!("`{path}.tool_call_id` is missing"));
    }
    if message["tool_calls"].is_array() && calls.is_empty() {
        fault(format!("Invalid '{path}.tool_calls': empty array. Expected an array with minimum length 1"));
    }
    for (index, part) in list(&message["content"]).iter().enumerate() {
        check_part(strictness, role, part, &format!("{path}.content[{index}]"), fault);
    }
    for (index, call) in calls.iter().enumerate() {
        check_call(strictness, call, index, &format!("{path}.tool_calls[{index}]"), fault);
    }
    if strictness.has(Rule::ShortIds) && role == "tool" {
        check_short(&message["tool_call_id"], fault);
    }
    if strictness.has(Rule::NoSpeakers) && !message["name"].is_null() {
        fault(format!("'{path}' : property 'name' is unsupported"));
    }
    let thoughts = THOUGHTS.into_iter().find(|field| message.get(field).is_some());
    if strictness.has(Rule::NoThoughts)
        && let Some(field) = thoughts
    {
        fault(format!(
            "'{path}' : for 'role:{role}' the following must be satisfied[('{path}' : property '{field}' is unsupported)]"
        ));
    }
    if strictness.has(Rule::ThoughtsBack)
        && !calls.is_empty()
        && text(&message["reasoning_content"]).is_empty()
    {
        fault("thinking is enabled but reasoning_content is missing in assistant tool call message".into());
    }
    if strictness.has(Rule::NoUnknownFields) {
        unknown(message, &MESSAGE, path, fault);
    }
}

fn check_part(strictness: &Strictness, role: &str, part: &Value, path: &str, fault: &mut impl FnMut(String)) {
    let kind = text(&part["type"]);
    let known: &[&str] = match role {
        "user" => &["text", "image_url", "input_audio", "file"],
        "assistant" => &["text", "refusal"],
        "tool" if !strictness.has(Rule::NoImageResults) => &["text", "image_url"],
        _ => &["text"],
    };
    if !known.contains(&kind) {
        fault(format!("Invalid value: '{kind}'. `{path}.type` must be one of {known:?} for `{role}`"));
    }
    if kind == "text" && !part["text"].is_string() {
        fault(format!("`{path}.text` is missing"));
    }
    if kind == "image_url" && !part["image_url"]["url"].is_string() {
        fault(format!("`{path}.image_url` is not an object with a `url`"));
    }
    if kind == "image_url" && strictness.has(Rule::NoImages) {
        fault("image_url content is not supported by this model".into());
    }
}

fn check_call(
    strictness: &Strictness,
    call: &Value,
    index: usize,
    path: &str,
    fault: &mut impl FnMut(String),
) {
    let kind = text(&call["type"]);
    let field = if kind == "custom" { "input" } else { "arguments" };
    if !["function", "custom"].contains(&kind) {
        fault(format!("`{path}.type` is `{kind}`"));
    } else if !is_plain(text(&call[kind]["name"]), MAX_NAME) {
        fault(format!("`{path}.{kind}.name` is `{}`", text(&call[kind]["name"])));
    } else if !call[kind][field].is_string() {
        fault(format!("`{path}.{kind}.{field}` is not text"));
    }
    if text(&call["id"]).is_empty() {
        fault(format!("`{path}.id` is missing"));
    }
    if strictness.has(Rule::ShortIds) {
        check_short(&call["id"], fault);
    }
    let signature = &call["extra_content"]["google"]["thought_signature"];
    if strictness.has(Rule::SignedCalls) && index == 0 && text(signature).is_empty() {
        fault("Function call is missing a thought_signature in functionCall parts.".into());
    }
    if strictness.has(Rule::NoExtraContent) && call.get("extra_content").is_some() {
        fault(format!("`{path}.extra_content`: Extra inputs are not permitted"));
    }
    if strictness.has(Rule::NoUnknownFields) {
        unknown(call, &["id", "type", "index", kind], path, fault);
    }
}

fn check_short(id: &Value, fault: &mut impl FnMut(String)) {
    let id = text(id);
    if id.len() != 9 || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        fault(format!("Tool call id was {id} but must be a-z, A-Z, 0-9, with a length of 9."));
    }
}

/// Each call is answered by the messages right after it, and each answer belongs to a call.
fn check_order(messages: &[Value], fault: &mut impl FnMut(String)) {
    let mut open: Vec<&str> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        if message["role"] == "tool" {
            let id = text(&message["tool_call_id"]);
            match open.iter().position(|call| *call == id) {
                Some(place) => drop(open.remove(place)),
                None => fault(format!(
                    "messages[{index}]: messages with role 'tool' must be a response to a preceding message with 'tool_calls'."
                )),
            }
            continue;
        }
        unanswered(&mut open, fault);
        open.extend(list(&message["tool_calls"]).iter().map(|call| text(&call["id"])));
    }
    unanswered(&mut open, fault);
}

fn unanswered(open: &mut Vec<&str>, fault: &mut impl FnMut(String)) {
    if !open.is_empty() {
        fault(format!(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. \
             The following tool_call_ids did not have response messages: {}",
            open.join(", ")
        ));
        open.clear();
    }
}

fn unknown(value: &Value, known: &[&str], path: &str, fault: &mut impl FnMut(String)) {
    for name in value.as_object().into_iter().flat_map(|fields| fields.keys()) {
        if !known.contains(&name.as_str()) && !THOUGHTS.contains(&name.as_str()) {
            fault(format!("`{path}.{name}`: Extra inputs are not permitted"));
        }
    }
}

/// A key in a schema that plain ones do not have; names of properties are none.
fn fancy(schema: &Value) -> Option<&'static str> {
    match schema {
        Value::Object(fields) => {
            let key = FANCY.into_iter().find(|key| fields.contains_key(*key));
            key.or_else(|| {
                let properties = fields.get("properties").and_then(Value::as_object);
                let inner = fields.iter().filter(|(key, _)| *key != "properties").map(|(_, value)| value);
                properties.into_iter().flat_map(|properties| properties.values()).chain(inner).find_map(fancy)
            })
        }
        Value::Array(items) => items.iter().find_map(fancy),
        _ => None,
    }
}
