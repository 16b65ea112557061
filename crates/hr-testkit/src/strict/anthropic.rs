//! What Anthropic Messages takes: the fields of a request, its tools and how it thinks.

use serde_json::Value;

use super::kind::{Kind, is_plain, list, text};
use super::turns::Turns;
use super::{Fault, Inspected, Rule, Strictness};
use crate::dialect::Endpoint;

/// The top-level fields, and whether they count for a count of tokens too.
const FIELDS: &[(&str, Kind, bool)] = &[
    ("model", Kind::Name, true),
    ("messages", Kind::List, true),
    ("max_tokens", Kind::Whole, false),
    ("system", Kind::TextOrList, true),
    ("stop_sequences", Kind::List, false),
    ("stream", Kind::Flag, false),
    ("temperature", Kind::Number, false),
    ("top_p", Kind::Number, false),
    ("top_k", Kind::Whole, false),
    ("tools", Kind::List, true),
    ("tool_choice", Kind::Object, true),
    ("thinking", Kind::Object, true),
    ("output_config", Kind::Object, true),
    ("metadata", Kind::Object, false),
    ("service_tier", Kind::Text, false),
    ("cache_control", Kind::Object, true),
    ("container", Kind::Text, false),
    ("inference_geo", Kind::Text, false),
];

/// Fields that only a beta has, and the beginning of its name in `anthropic-beta`.
const BETA_FIELDS: &[(&str, &str)] = &[
    ("context_management", "context-management-"),
    ("mcp_servers", "mcp-client-"),
    ("speed", "fast-mode-"),
    ("output_format", "structured-outputs-"),
    ("fallbacks", ""),
    ("diagnostics", ""),
];

/// The fields of a tool that the caller defines.
const TOOL: [&str; 10] = [
    "type",
    "name",
    "description",
    "input_schema",
    "cache_control",
    "strict",
    "defer_loading",
    "eager_input_streaming",
    "allowed_callers",
    "input_examples",
];

/// The most characters of a tool's name.
const MAX_NAME: usize = 128;
/// The fewest tokens to think with.
const MIN_BUDGET: u64 = 1024;
/// The most marks of what is to be cached.
const MAX_CACHE_MARKS: usize = 4;
/// The most characters of a user's id.
const MAX_USER_ID: usize = 512;
/// The least `top_p` beside thinking.
const MIN_THINKING_TOP_P: f64 = 0.95;

pub(super) fn check(strictness: &Strictness, call: &Inspected<'_>, body: &Value, wrong: &mut Vec<Fault>) {
    let counting = call.endpoint == Endpoint::Count;
    check_fields(strictness, call, body, counting, wrong);
    let mut fault = |message: String| wrong.push(Fault::new(message));
    check_numbers(strictness, body, &mut fault);
    check_output(body, &mut fault);
    for (index, block) in list(&body["system"]).iter().enumerate() {
        if block["type"] != "text" {
            fault(format!("system.{index}.type: Input should be 'text'"));
        } else if text(&block["text"]).is_empty() {
            fault("system: text content blocks must be non-empty".into());
        }
        extra(block, &["type", "text", "cache_control", "citations"], &format!("system.{index}"), &mut fault);
    }
    check_tools(strictness, body, &mut fault);
    check_thinking(strictness, body, &mut fault);
    Turns { strictness, body, call }.check(&mut fault);
    let marks = marks(body);
    if marks > MAX_CACHE_MARKS {
        fault(format!(
            "A maximum of {MAX_CACHE_MARKS} blocks with cache_control may be provided. Found {marks}."
        ));
    }
}

fn check_fields(
    strictness: &Strictness,
    call: &Inspected<'_>,
    body: &Value,
    counting: bool,
    wrong: &mut Vec<Fault>,
) {
    let betas = call.headers.get_all("anthropic-beta");
    let betas: Vec<_> = betas.iter().filter_map(|value| value.to_str().ok()).collect();
    let has_beta = |beginning: &str| {
        betas.iter().flat_map(|value| value.split(',')).any(|beta| beta.trim().starts_with(beginning))
    };
    for (name, value) in body.as_object().into_iter().flatten() {
        let known = FIELDS.iter().find(|(known, _, counted)| known == name && (*counted || !counting));
        let beta = BETA_FIELDS.iter().any(|(known, beginning)| known == name && has_beta(beginning));
        let message = match known {
            _ if strictness.refuses(name) => format!("`{name}` is deprecated for this model."),
            Some((_, kind, _)) if !kind.takes(value) => {
                format!("{name}: Input should be a valid {}", kind.wanted())
            }
            None if !beta && !strictness.takes(name) => format!("{name}: Extra inputs are not permitted"),
            _ => continue,
        };
        wrong.push(Fault::new(message));
    }
    let required: &[&str] =
        if counting { &["model", "messages"] } else { &["model", "messages", "max_tokens"] };
    let missing = required.iter().filter(|name| body[**name].is_null());
    wrong.extend(missing.map(|name| Fault::new(format!("{name}: Field required"))));
}

fn check_numbers(strictness: &Strictness, body: &Value, fault: &mut impl FnMut(String)) {
    for name in ["temperature", "top_p"] {
        match body[name].as_f64() {
            Some(number) if number > 1.0 => fault(format!("{name}: Input should be less than or equal to 1")),
            Some(number) if number < 0.0 => {
                fault(format!("{name}: Input should be greater than or equal to 0"))
            }
            _ => {}
        }
    }
    if body["max_tokens"].as_i64().is_some_and(|tokens| tokens < 0) {
        fault("max_tokens: Input should be greater than or equal to 0".into());
    }
    if let (Some(cap), Some(tokens)) = (strictness.output_cap, body["max_tokens"].as_u64())
        && tokens > cap
    {
        let model = text(&body["model"]);
        fault(format!(
            "max_tokens: {tokens} > {cap}, which is the maximum allowed number of output tokens for {model}"
        ));
    }
    for (index, sequence) in list(&body["stop_sequences"]).iter().enumerate() {
        match sequence.as_str() {
            None => fault(format!("stop_sequences.{index}: Input should be a valid string")),
            Some(sequence) if sequence.trim().is_empty() => {
                fault("stop_sequences: each stop sequence must contain non-whitespace".into());
            }
            Some(_) => {}
        }
    }
    if text(&body["metadata"]["user_id"]).len() > MAX_USER_ID {
        fault(format!("metadata.user_id: String should have at most {MAX_USER_ID} characters"));
    }
    extra(&body["metadata"], &["user_id"], "metadata", fault);
    if !body["service_tier"].is_null() && !["auto", "standard_only"].contains(&text(&body["service_tier"])) {
        fault("service_tier: Input should be 'auto' or 'standard_only'".into());
    }
}

fn check_output(body: &Value, fault: &mut impl FnMut(String)) {
    let config = &body["output_config"];
    extra(config, &["effort", "format", "task_budget"], "output_config", fault);
    let efforts = ["low", "medium", "high", "xhigh", "max"];
    if !config["effort"].is_null() && !efforts.contains(&text(&config["effort"])) {
        fault("output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'".into());
    }
    let format = &config["format"];
    if format.is_null() {
        return;
    }
    extra(format, &["type", "schema"], "output_config.format", fault);
    if format["type"] != "json_schema" {
        fault("output_config.format.type: Input should be 'json_schema'".into());
    }
    if !format["schema"].is_object() {
        fault("output_config.format.schema: Field required".into());
    } else if has_open_object(&format["schema"]) {
        fault(
            "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false"
                .into(),
        );
    }
}

/// Whether some object of a schema takes further properties.
fn has_open_object(schema: &Value) -> bool {
    match schema {
        Value::Object(fields) => {
            let open = schema["type"] == "object" && schema["additionalProperties"] != false;
            let properties = schema["properties"].as_object();
            let inner = fields.iter().filter(|(key, _)| *key != "properties").map(|(_, value)| value);
            let mut below = properties.into_iter().flat_map(|properties| properties.values()).chain(inner);
            open || below.any(has_open_object)
        }
        Value::Array(items) => items.iter().any(has_open_object),
        _ => false,
    }
}

fn check_tools(strictness: &Strictness, body: &Value, fault: &mut impl FnMut(String)) {
    let tools = list(&body["tools"]);
    let mut names = Vec::new();
    for (index, tool) in tools.iter().enumerate() {
        let name = text(&tool["name"]);
        let custom = tool["type"].is_null() || tool["type"] == "custom";
        let path = if custom { format!("tools.{index}.custom") } else { format!("tools.{index}") };
        if tool["name"].is_null() {
            fault(format!("{path}.name: Field required"));
        } else if !is_plain(name, MAX_NAME) {
            fault(format!("{path}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,{MAX_NAME}}}$'"));
        }
        if names.contains(&name) {
            fault("tools: Tool names must be unique.".into());
        }
        names.push(name);
        if custom {
            check_schema(&tool["input_schema"], &path, fault);
            extra(tool, &TOOL, &path, fault);
            if tool.get("description").is_some_and(|description| !description.is_string()) {
                fault(format!("{path}.description: Input should be a valid string"));
            }
        }
        check_mark(&tool["cache_control"], &path, fault);
    }
    check_choice(strictness, body, &names, fault);
}

fn check_schema(schema: &Value, path: &str, fault: &mut impl FnMut(String)) {
    let path = format!("{path}.input_schema");
    if schema.is_null() {
        fault(format!("{path}: Field required"));
    } else if !schema.is_object() {
        fault(format!("{path}: Input should be a valid dictionary"));
    } else if schema["type"].is_null() {
        fault(format!("{path}.type: Field required"));
    } else if schema["type"] != "object" {
        fault(format!("{path}.type: Input should be 'object'"));
    }
    if ["oneOf", "allOf", "anyOf"].iter().any(|union| schema.get(union).is_some()) {
        fault(format!("{path}: input_schema does not support oneOf, allOf, or anyOf at the top level"));
    }
}

fn check_choice(strictness: &Strictness, body: &Value, names: &[&str], fault: &mut impl FnMut(String)) {
    let choice = &body["tool_choice"];
    if choice.is_null() {
        return;
    }
    if names.is_empty() {
        fault("tool_choice: tool_choice may only be specified while providing tools".into());
    }
    let kind = text(&choice["type"]);
    let known: &[&str] = match kind {
        "auto" | "any" => &["type", "disable_parallel_tool_use"],
        "none" => &["type"],
        "tool" => &["type", "name", "disable_parallel_tool_use"],
        _ => {
            fault(format!(
                "tool_choice: Input tag '{kind}' found using 'type' does not match any of the expected tags: \
                 'any', 'auto', 'none', 'tool'"
            ));
            return;
        }
    };
    extra(choice, known, &format!("tool_choice.{kind}"), fault);
    let name = text(&choice["name"]);
    if kind == "tool" && !names.contains(&name) {
        fault(format!("tool_choice: Tool '{name}' not found in provided tools"));
    }
    if ["any", "tool"].contains(&kind) {
        if is_thinking(body) {
            fault("Thinking may not be enabled when tool_choice forces tool use.".into());
        }
        if strictness.has(Rule::NoForcedTools) {
            fault("tool_choice: forcing tool use is not supported on this model".into());
        }
    }
}

/// Whether thinking is on.
pub(super) fn is_thinking(body: &Value) -> bool {
    ["enabled", "adaptive"].contains(&text(&body["thinking"]["type"]))
}

fn check_thinking(strictness: &Strictness, body: &Value, fault: &mut impl FnMut(String)) {
    let thinking = &body["thinking"];
    if thinking.is_null() {
        return;
    }
    let kind = text(&thinking["type"]);
    let known: &[&str] = match kind {
        "enabled" => &["type", "budget_tokens", "display"],
        "adaptive" => &["type", "display"],
        "disabled" => &["type"],
        _ => {
            fault(format!(
                "thinking: Input tag '{kind}' found using 'type' does not match any of the expected tags: \
                 'adaptive', 'disabled', 'enabled'"
            ));
            return;
        }
    };
    extra(thinking, known, &format!("thinking.{kind}"), fault);
    if kind == "adaptive" && strictness.has(Rule::BudgetOnly) {
        fault("adaptive thinking is not supported on this model".into());
    }
    if kind == "enabled" {
        if strictness.has(Rule::AdaptiveOnly) {
            fault(
                "\"thinking.type.enabled\" is not supported for this model. Use \"thinking.type.adaptive\"."
                    .into(),
            );
        }
        match thinking["budget_tokens"].as_u64() {
            None => fault("thinking.enabled.budget_tokens: Field required".into()),
            Some(budget) if budget < MIN_BUDGET => {
                fault(format!(
                    "thinking.enabled.budget_tokens: Input should be greater than or equal to {MIN_BUDGET}"
                ));
            }
            Some(budget) if body["max_tokens"].as_u64().is_some_and(|most| most <= budget) => {
                fault("`max_tokens` must be greater than `thinking.budget_tokens`.".into());
            }
            Some(_) => {}
        }
    }
    if kind == "disabled" {
        return;
    }
    if body["temperature"].as_f64().is_some_and(|temperature| temperature != 1.0) {
        fault("`temperature` may only be set to 1 when thinking is enabled.".into());
    }
    if !body["top_k"].is_null() {
        fault("`top_k` must be unset when thinking is enabled.".into());
    }
    if body["top_p"].as_f64().is_some_and(|top_p| top_p < MIN_THINKING_TOP_P) {
        fault(format!(
            "`top_p` must be greater than or equal to {MIN_THINKING_TOP_P} or unset when thinking is enabled."
        ));
    }
}

/// Complains about each key that is not known.
pub(super) fn extra(value: &Value, known: &[&str], path: &str, fault: &mut impl FnMut(String)) {
    for name in value.as_object().into_iter().flat_map(|fields| fields.keys()) {
        if !known.contains(&name.as_str()) {
            fault(format!("{path}.{name}: Extra inputs are not permitted"));
        }
    }
}

/// Checks a mark of what is to be cached.
pub(super) fn check_mark(mark: &Value, path: &str, fault: &mut impl FnMut(String)) {
    if mark.is_null() {
        return;
    }
    if mark["type"] != "ephemeral" {
        fault(format!("{path}.cache_control.type: Input should be 'ephemeral'"));
    }
    if !mark["ttl"].is_null() && !["5m", "1h"].contains(&text(&mark["ttl"])) {
        fault(format!("{path}.cache_control.ephemeral.ttl: Input should be '5m' or '1h'"));
    }
    extra(mark, &["type", "ttl"], &format!("{path}.cache_control.ephemeral"), fault);
}

/// How many blocks are marked to be cached.
fn marks(body: &Value) -> usize {
    fn below(blocks: &Value) -> usize {
        list(blocks)
            .iter()
            .map(|block| usize::from(block["cache_control"].is_object()) + below(&block["content"]))
            .sum()
    }
    below(&body["system"]) + below(&body["tools"]) + below(&body["messages"])
}
