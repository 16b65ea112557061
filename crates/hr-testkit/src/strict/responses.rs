//! What OpenAI Responses take: the fields of a request, its tools and its form of output.

use serde_json::Value;

use super::items::Items;
use super::kind::{Kind, is_plain, list, text};
use super::{Fault, Inspected, Strictness};
use crate::dialect::Endpoint;

/// The top-level fields.
pub(super) const FIELDS: &[(&str, Kind)] = &[
    ("model", Kind::Name),
    ("input", Kind::TextOrList),
    ("instructions", Kind::Text),
    ("stream", Kind::Flag),
    ("stream_options", Kind::Object),
    ("store", Kind::Flag),
    ("previous_response_id", Kind::Text),
    ("conversation", Kind::TextOrObject),
    ("background", Kind::Flag),
    ("include", Kind::List),
    ("reasoning", Kind::Object),
    ("text", Kind::Object),
    ("tools", Kind::List),
    ("tool_choice", Kind::TextOrObject),
    ("parallel_tool_calls", Kind::Flag),
    ("max_output_tokens", Kind::Whole),
    ("max_tool_calls", Kind::Whole),
    ("temperature", Kind::Number),
    ("top_p", Kind::Number),
    ("top_logprobs", Kind::Whole),
    ("truncation", Kind::Text),
    ("metadata", Kind::Object),
    ("prompt_cache_key", Kind::Text),
    ("prompt_cache_retention", Kind::Text),
    ("prompt_cache_options", Kind::Object),
    ("safety_identifier", Kind::Text),
    ("user", Kind::Text),
    ("service_tier", Kind::Text),
    ("prompt", Kind::Object),
    ("context_management", Kind::List),
    ("moderation", Kind::Object),
];

/// What may be asked for besides.
const INCLUDE: [&str; 8] = [
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
];

/// Kinds of effort.
const EFFORTS: [&str; 9] =
    ["none", "minimal", "low", "medium", "high", "xhigh", "max", "ultra", "persistent"];

/// Tiers of service.
const TIERS: [&str; 7] = ["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"];

/// Tools that run at the provider, or whose form is built in.
const HOSTED: [&str; 14] = [
    "web_search",
    "web_search_2025_08_26",
    "web_search_preview",
    "web_search_preview_2025_03_11",
    "local_shell",
    "shell",
    "apply_patch",
    "tool_search",
    "image_generation",
    "file_search",
    "code_interpreter",
    "computer",
    "computer_use_preview",
    "mcp",
];

/// The fields of tools that the caller defines.
const FUNCTION: [&str; 8] = [
    "type",
    "name",
    "description",
    "parameters",
    "strict",
    "defer_loading",
    "output_schema",
    "allowed_callers",
];

/// The fewest tokens of an answer that may be asked for.
const MIN_OUTPUT: u64 = 16;
/// The most characters of a tool's name.
const MAX_NAME: usize = 64;
/// The most pairs of metadata.
const MAX_METADATA: usize = 16;

pub(super) fn check(strictness: &Strictness, call: &Inspected<'_>, body: &Value, wrong: &mut Vec<Fault>) {
    check_fields(strictness, body, FIELDS, wrong);
    check_meaning(strictness, call, body, wrong);
}

/// Types and names of the top-level fields.
pub(super) fn check_fields(
    strictness: &Strictness,
    body: &Value,
    known: &[(&str, Kind)],
    wrong: &mut Vec<Fault>,
) {
    for (name, value) in body.as_object().into_iter().flatten() {
        wrong.extend(match known.iter().find(|(known, _)| known == name) {
            _ if strictness.refuses(name) => Some(unsupported(name)),
            Some((_, kind)) if !kind.takes(value) => Some(invalid_type(name, *kind)),
            None if !strictness.takes(name) => Some(unknown_parameter(name)),
            _ => None,
        });
    }
    let missing = ["model", "input"].into_iter().filter(|name| body[*name].is_null());
    wrong.extend(missing.map(missing_parameter));
}

/// What the fields say.
pub(super) fn check_meaning(
    strictness: &Strictness,
    call: &Inspected<'_>,
    body: &Value,
    wrong: &mut Vec<Fault>,
) {
    check_values(strictness, body, wrong);
    check_text(&body["text"], wrong);
    check_tools(body, wrong);
    if matches!(call.endpoint, Endpoint::Generate | Endpoint::Compact) {
        Items { strictness, body, call }.check(wrong);
    }
}

fn check_values(strictness: &Strictness, body: &Value, wrong: &mut Vec<Fault>) {
    if let Some(tokens) = body["max_output_tokens"].as_u64() {
        if tokens < MIN_OUTPUT {
            let text = format!(
                "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= {MIN_OUTPUT}, but got {tokens} instead."
            );
            wrong.push(Fault::at("max_output_tokens", "integer_below_min_value", text));
        }
        if strictness.output_cap.is_some_and(|cap| tokens > cap) {
            let text = format!("max_output_tokens is too large: {tokens}.");
            wrong.push(Fault::at("max_output_tokens", "integer_above_max_value", text));
        }
    }
    for (name, most) in [("temperature", 2.0), ("top_p", 1.0)] {
        if body[name].as_f64().is_some_and(|number| !(0.0..=most).contains(&number)) {
            let text =
                format!("Invalid '{name}': decimal out of range. Expected a value between 0 and {most}.");
            wrong.push(Fault::at(name, "decimal_above_max_value", text));
        }
    }
    let tier = &body["service_tier"];
    if !tier.is_null() && !TIERS.contains(&text(tier)) {
        wrong.push(invalid_value("service_tier", tier, &TIERS));
    }
    for (index, value) in list(&body["include"]).iter().enumerate() {
        if !INCLUDE.contains(&text(value)) {
            wrong.push(invalid_value(&format!("include[{index}]"), value, &INCLUDE));
        }
    }
    let effort = &body["reasoning"]["effort"];
    if !effort.is_null() && !EFFORTS.contains(&text(effort)) {
        wrong.push(invalid_value("reasoning.effort", effort, &EFFORTS));
    }
    let summary = &body["reasoning"]["summary"];
    if !summary.is_null() && !["auto", "concise", "detailed"].contains(&text(summary)) {
        wrong.push(invalid_value("reasoning.summary", summary, &["concise", "detailed", "auto"]));
    }
    let reasoning = ["effort", "summary", "generate_summary", "context", "mode"];
    unknown(&body["reasoning"], &reasoning, "reasoning", wrong);
    unknown(&body["stream_options"], &["include_obfuscation"], "stream_options", wrong);
    if body["stream_options"].is_object() && body["stream"] != true {
        wrong.push(Fault::at(
            "stream_options",
            "invalid_value",
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
        ));
    }
    let metadata = body["metadata"].as_object();
    if metadata.is_some_and(|pairs| pairs.len() > MAX_METADATA || !pairs.values().all(Value::is_string)) {
        wrong.push(Fault::at("metadata", "invalid_type", "Invalid 'metadata': expected at most 16 strings."));
    }
    if let Some(previous) = body["previous_response_id"].as_str() {
        let text = format!("Previous response with id '{previous}' not found.");
        wrong.push(Fault::at("previous_response_id", "previous_response_not_found", text));
    }
}

fn check_text(output: &Value, wrong: &mut Vec<Fault>) {
    unknown(output, &["format", "verbosity"], "text", wrong);
    let verbosity = &output["verbosity"];
    if !verbosity.is_null() && !["low", "medium", "high"].contains(&text(verbosity)) {
        wrong.push(invalid_value("text.verbosity", verbosity, &["low", "medium", "high"]));
    }
    let format = &output["format"];
    match text(&format["type"]) {
        _ if format.is_null() => {}
        "text" | "json_object" => unknown(format, &["type"], "text.format", wrong),
        "json_schema" => {
            let fields = ["type", "name", "schema", "strict", "description"];
            unknown(format, &fields, "text.format", wrong);
            let missing = ["name", "schema"].into_iter().filter(|name| format[*name].is_null());
            wrong.extend(missing.map(|name| missing_parameter(&format!("text.format.{name}"))));
            if format["strict"] == true {
                let name = text(&format["name"]);
                check_closed(
                    &format["schema"],
                    &format!("response_format '{name}'"),
                    "text.format.schema",
                    wrong,
                );
            }
        }
        _ => wrong.push(invalid_value(
            "text.format.type",
            &format["type"],
            &["json_object", "json_schema", "text"],
        )),
    }
}

fn check_tools(body: &Value, wrong: &mut Vec<Fault>) {
    let mut names = Vec::new();
    for (index, tool) in list(&body["tools"]).iter().enumerate() {
        check_tool(tool, &format!("tools[{index}]"), &mut names, wrong);
    }
    let choice = &body["tool_choice"];
    let none = list(&body["tools"]).is_empty() && !has_tools_in_input(body);
    match choice {
        Value::Null => {}
        Value::String(word) if !["none", "auto", "required"].contains(&word.as_str()) => {
            wrong.push(invalid_value("tool_choice", choice, &["none", "auto", "required"]));
        }
        Value::String(word) if word == "required" && none => {
            let text = "Tool choice 'required' must be specified with 'tools' parameter.";
            wrong.push(Fault::at("tool_choice", "invalid_value", text));
        }
        Value::Object(_) => match text(&choice["type"]) {
            kind @ ("function" | "custom") => {
                unknown(choice, &["type", "name", "namespace"], "tool_choice", wrong);
                if choice["name"].is_null() {
                    wrong.push(missing_parameter("tool_choice.name"));
                } else if !names.contains(&text(&choice["name"])) {
                    let text = format!("Tool choice '{kind}' not found in 'tools' parameter.");
                    wrong.push(Fault::at("tool_choice", "invalid_value", text));
                }
            }
            "allowed_tools" => unknown(choice, &["type", "mode", "tools"], "tool_choice", wrong),
            "mcp" => unknown(choice, &["type", "server_label", "name"], "tool_choice", wrong),
            kind if HOSTED.contains(&kind) => {}
            _ => wrong.push(invalid_value(
                "tool_choice.type",
                &choice["type"],
                &["function", "custom", "allowed_tools", "mcp"],
            )),
        },
        _ => {}
    }
}

/// Whether the conversation brings tools of its own.
fn has_tools_in_input(body: &Value) -> bool {
    list(&body["input"]).iter().any(|item| item["type"] == "additional_tools")
}

fn check_tool<'a>(tool: &'a Value, path: &str, names: &mut Vec<&'a str>, wrong: &mut Vec<Fault>) {
    let kind = text(&tool["type"]);
    let known: &[&str] = match kind {
        "function" => &FUNCTION,
        "custom" => &["type", "name", "description", "format", "defer_loading", "allowed_callers"],
        "namespace" => &["type", "name", "description", "tools"],
        _ if HOSTED.contains(&kind) => return,
        _ => {
            wrong.push(invalid_value(
                &format!("{path}.type"),
                &tool["type"],
                &["function", "custom", "namespace"],
            ));
            return;
        }
    };
    let name = text(&tool["name"]);
    if tool["name"].is_null() {
        wrong.push(missing_parameter(&format!("{path}.name")));
    } else if !is_plain(name, MAX_NAME) {
        wrong.push(Fault::at(
            format!("{path}.name"),
            "invalid_value",
            format!(
                "Invalid '{path}.name': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."
            ),
        ));
    }
    unknown(tool, known, path, wrong);
    if kind == "namespace" {
        let mut inner = Vec::new();
        for (index, tool) in list(&tool["tools"]).iter().enumerate() {
            check_tool(tool, &format!("{path}.tools[{index}]"), &mut inner, wrong);
        }
        names.extend(inner);
    } else if names.contains(&name) {
        wrong.push(Fault::at(path, "invalid_value", format!("Tool names must be unique: '{name}'.")));
    }
    names.push(name);
    let parameters = &tool["parameters"];
    let at = format!("{path}.parameters");
    if kind == "function" && !parameters.is_null() && parameters["type"] != "object" {
        let text = format!(
            "Invalid schema for function '{name}': schema must be a JSON Schema of 'type: \"object\"', got 'type: {}'.",
            parameters["type"]
        );
        wrong.push(Fault::at(at, "invalid_function_parameters", text));
    } else if kind == "function" && tool["strict"] == true {
        check_closed(parameters, &format!("function '{name}'"), &at, wrong);
    }
}

/// A strict schema has only closed objects whose properties are all required.
fn check_closed(schema: &Value, whose: &str, param: &str, wrong: &mut Vec<Fault>) {
    if let Some(reason) = open_object(schema) {
        let text = format!("Invalid schema for {whose}: In context=(), {reason}");
        let code =
            if whose.starts_with("function") { "invalid_function_parameters" } else { "invalid_json_schema" };
        wrong.push(Fault::at(param, code, text));
    }
}

fn open_object(schema: &Value) -> Option<&'static str> {
    match schema {
        Value::Object(fields) => {
            let properties = schema["properties"].as_object();
            if schema["type"] == "object" && schema["additionalProperties"] != false {
                return Some("'additionalProperties' is required to be supplied and to be false.");
            }
            let required = list(&schema["required"]);
            let mut names = properties.into_iter().flat_map(|properties| properties.keys());
            if names.any(|name| !required.iter().any(|required| required == name.as_str())) {
                return Some(
                    "'required' is required to be supplied and to be an array including every key in properties.",
                );
            }
            let inner = fields.iter().filter(|(key, _)| *key != "properties").map(|(_, value)| value);
            properties
                .into_iter()
                .flat_map(|properties| properties.values())
                .chain(inner)
                .find_map(open_object)
        }
        Value::Array(items) => items.iter().find_map(open_object),
        _ => None,
    }
}

pub(super) fn unsupported(name: &str) -> Fault {
    let text = format!("Unsupported parameter: '{name}' is not supported with this model.");
    Fault::at(name, "unsupported_parameter", text)
}

pub(super) fn unknown_parameter(name: &str) -> Fault {
    Fault::at(name, "unknown_parameter", format!("Unknown parameter: '{name}'."))
}

pub(super) fn missing_parameter(name: &str) -> Fault {
    Fault::at(name, "missing_required_parameter", format!("Missing required parameter: '{name}'."))
}

pub(super) fn invalid_type(name: &str, kind: Kind) -> Fault {
    let text =
        format!("Invalid type for '{name}': expected {}, but got something else instead.", kind.wanted());
    Fault::at(name, "invalid_type", text)
}

pub(super) fn invalid_value(name: &str, value: &Value, known: &[&str]) -> Fault {
    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let known: Vec<_> = known.iter().map(|known| format!("'{known}'")).collect();
    let text = format!("Invalid value: '{value}'. Supported values are: {}.", known.join(", "));
    Fault::at(name, "invalid_value", text)
}

/// Complains about each key that is not known.
pub(super) fn unknown(value: &Value, known: &[&str], path: &str, wrong: &mut Vec<Fault>) {
    let names = value.as_object().into_iter().flat_map(|fields| fields.keys());
    let unknown = names.filter(|name| !known.contains(&name.as_str()));
    wrong.extend(unknown.map(|name| unknown_parameter(&format!("{path}.{name}"))));
}
