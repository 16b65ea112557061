//! Requests, to the hub. The way back is in `write/`.

use hr_core::catalog::Dialect;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::decoder::beside;
use super::types::{WireFormat, WireFunction, WireMark, WireMessage, WireTool, WireToolFunction};
use crate::dialect::Decoded;
use crate::envelope::{BadRequest, Envelope};
use crate::hub::{
    Breakpoint, CallKind, Document, DocumentSource, Effort, Extras, Format, ImageSource, Loss, Message, Part,
    RawJson, Reasoning, Request, Role, Thinking, Tool, ToolCall, ToolChoice, ToolKind, ToolOutput,
};
use crate::neutral::is_neutral;

/// Reads a request that [`super::read_chat`] has checked.
///
/// # Errors
/// What cannot be read as what it should be.
pub fn decode(envelope: &Envelope) -> Result<Decoded, BadRequest> {
    let mut request = Request::default();
    let mut losses = Vec::new();
    let mut extras = Map::new();
    for key in envelope.keys() {
        let Some(value) = envelope.get(key).filter(|value| *value != "null") else { continue };
        match key {
            "model" => request.model = read(key, value)?,
            "messages" => request.messages = messages(read(key, value)?),
            "tools" => {
                for raw in read::<Vec<&RawValue>>(key, value)? {
                    request.tools.push(tool(read(key, raw.get())?, raw));
                }
            }
            "functions" => {
                let functions = read::<Vec<WireToolFunction>>(key, value)?;
                request.tools.extend(functions.into_iter().map(|function| function_tool(function, None)));
            }
            "tool_choice" => match tool_choice(&read(key, value)?) {
                Some(choice) => request.tool_choice = Some(choice),
                None => losses.push(Loss::dropped(key)),
            },
            "function_call" => request.tool_choice = legacy_choice(&read(key, value)?),
            "parallel_tool_calls" => request.parallel_tool_calls = read(key, value)?,
            "response_format" => match format(read(key, value)?) {
                Some(format) => request.format = Some(format),
                None => losses.push(Loss::dropped(key)),
            },
            "verbosity" => request.verbosity = read(key, value)?,
            "reasoning_effort" => match effort(&read::<String>(key, value)?) {
                Some(effort) => request.reasoning.effort = Some(effort),
                None => losses.push(Loss::dropped(key)),
            },
            "reasoning" | "thinking" => {
                wish(&read(key, value)?, &mut request);
            }
            "max_completion_tokens" => request.max_output = read(key, value)?,
            "max_tokens" => request.max_output = request.max_output.or(read(key, value)?),
            "temperature" => request.temperature = read(key, value)?,
            "top_p" => request.top_p = read(key, value)?,
            "top_k" => request.top_k = read::<Value>(key, value)?.as_u64(),
            "stop" => {
                request.stop = match read(key, value)? {
                    Value::String(word) => vec![word],
                    words => serde_json::from_value(words).unwrap_or_default(),
                }
            }
            "safety_identifier" => request.user = read(key, value)?,
            "user" => request.user = request.user.or(read(key, value)?),
            "prompt_cache_key" => request.cache_key = read(key, value)?,
            "service_tier" => request.service_tier = read(key, value)?,
            "stream" => request.stream = read(key, value)?,
            "stream_options" => {
                request.include_usage = read::<Value>(key, value)?["include_usage"] == true;
            }
            _ => {
                let value = read(key, value)?;
                if !is_neutral(key, &value) {
                    extras.insert(key.to_owned(), value);
                }
            }
        }
    }
    request.extras = Extras::of(Dialect::OpenaiChat, extras);
    Ok(Decoded { request, losses })
}

/// Reads a value; only when that fails is it read again to find out where.
fn read<'v, T: Deserialize<'v>>(key: &str, value: &'v str) -> Result<T, BadRequest> {
    serde_json::from_str(value).map_err(|_| {
        let mut deserializer = serde_json::Deserializer::from_str(value);
        match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
            Ok(_) => BadRequest::about(key, format!("`{key}` cannot be read")),
            Err(error) => {
                let path = error.path().to_string();
                let words = error.into_inner().to_string();
                let inner = if path == "." { BadRequest::new(words) } else { BadRequest::about(path, words) };
                inner.within(key).code("invalid_type")
            }
        }
    })
}

fn messages(wires: Vec<WireMessage>) -> Vec<Message> {
    // The older `function` role names the function instead of the call.
    let mut last_function: Option<(String, String)> = None;
    let mut messages = Vec::with_capacity(wires.len());
    for (place, mut wire) in wires.into_iter().enumerate() {
        let function = wire.function_call.take();
        let mut message = message(wire, last_function.as_ref());
        if let Some(WireFunction { name, .. }) = &function {
            let id = format!("call_{name}_{place}");
            last_function = Some((name.clone(), id.clone()));
            message.parts.extend(function.map(|function| {
                let arguments = function.arguments_text();
                Part::ToolCall(ToolCall { id, name: function.name, arguments, ..ToolCall::default() })
            }));
        }
        messages.push(message);
    }
    messages
}

fn message(wire: WireMessage, last_function: Option<&(String, String)>) -> Message {
    let role = match wire.role.as_str() {
        "system" => Role::System,
        "developer" => Role::Developer,
        "assistant" => Role::Assistant,
        "tool" | "function" => Role::Tool,
        _ => Role::User,
    };
    let mut parts: Vec<Part> = wire
        .reasoning_content
        .or(wire.reasoning)
        .map(|text| Part::Reasoning(Reasoning { text, opaque: None }))
        .into_iter()
        .collect();
    let mut content = Vec::new();
    match wire.content {
        Some(Value::String(text)) => content.push(Part::Text(text)),
        Some(Value::Array(items)) => items.into_iter().for_each(|item| part(item, &mut content)),
        _ => {}
    }
    let mut rest = wire.rest;
    let mark = rest.remove("cache_control").map(|mark| breakpoint(&mark));
    let mut name = wire.name;
    if role == Role::Tool {
        let call_id = wire.tool_call_id.or_else(|| {
            let name = name.take()?;
            let known = last_function.filter(|(function, _)| *function == name);
            Some(known.map_or(name, |(_, id)| id.clone()))
        });
        // A mark within a result is about all of it.
        let inner = content.iter().rposition(|part| matches!(part, Part::Breakpoint(_)));
        let inner = inner.map(|place| content.remove(place));
        content.retain(|part| !matches!(part, Part::Breakpoint(_)));
        parts.push(Part::ToolOutput(ToolOutput {
            call_id: call_id.unwrap_or_default(),
            content,
            ..ToolOutput::default()
        }));
        parts.extend(inner);
    } else {
        parts.append(&mut content);
    }
    parts.extend(wire.refusal.map(Part::Refusal));
    for call in wire.tool_calls.into_iter().flatten() {
        let opaque = call.extra_content.as_deref().map(|extra| beside(extra.get()));
        let id = call.id.unwrap_or_default();
        let call = match (call.function, call.custom) {
            (Some(function), _) => {
                let arguments = function.arguments_text();
                ToolCall { id, name: function.name, arguments, opaque, ..ToolCall::default() }
            }
            (None, Some(custom)) => ToolCall {
                id,
                name: custom.name,
                kind: CallKind::Custom,
                arguments: custom.input,
                opaque,
                ..ToolCall::default()
            },
            (None, None) => continue,
        };
        parts.push(Part::ToolCall(call));
    }
    parts.extend(mark);
    rest.retain(|key, value| !is_echo(key, value));
    Message { role, name, parts, extras: Extras::of(Dialect::OpenaiChat, rest) }
}

/// Whether a field only repeats what a client's SDK made of an answer, all members of it, set or not: many
/// send the whole object back as their turn.
fn is_echo(key: &str, value: &Value) -> bool {
    matches!(key, "annotations" | "parsed") || value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}

/// Reads a part of content, and the cache mark on it.
fn part(value: Value, content: &mut Vec<Part>) {
    let mark = ["cache_control", "prompt_cache_breakpoint"].into_iter().find_map(|key| value.get(key));
    let mark = mark.filter(|mark| !mark.is_null()).map(breakpoint);
    let text = |member: &str| value[member].as_str().map(str::to_owned);
    let known = match value["type"].as_str() {
        Some("text") => text("text").map(Part::Text),
        Some("refusal") => text("refusal").map(Part::Refusal),
        Some("image_url") => {
            let image = &value["image_url"];
            let url = image["url"].as_str().or_else(|| image.as_str());
            let detail = image["detail"].as_str().map(str::to_owned);
            url.map(|url| Part::Image { source: image_source(url), detail })
        }
        Some("input_audio") => {
            let audio = &value["input_audio"];
            audio["data"]
                .as_str()
                .zip(audio["format"].as_str())
                .map(|(data, format)| Part::Audio { format: format.to_owned(), data: data.to_owned() })
        }
        Some("file") => document(&value["file"]).map(Part::Document),
        _ => None,
    };
    content.push(known.unwrap_or(Part::Other { origin: Dialect::OpenaiChat, value }));
    content.extend(mark);
}

fn breakpoint(mark: &Value) -> Part {
    Part::Breakpoint(Breakpoint { ttl: mark["ttl"].as_str().map(str::to_owned) })
}

fn image_source(url: &str) -> ImageSource {
    match inline(url) {
        Some((media_type, data)) => ImageSource::Base64 { media_type: media_type.into(), data: data.into() },
        None => ImageSource::Url(url.into()),
    }
}

/// The media type and the bytes of a `data:` address.
fn inline(url: &str) -> Option<(&str, &str)> {
    url.strip_prefix("data:")?.split_once(";base64,")
}

fn document(file: &Value) -> Option<Document> {
    let title = file["filename"].as_str().map(str::to_owned);
    let source = match (file["file_data"].as_str(), file["file_id"].as_str()) {
        (Some(data), _) => {
            // Some clients send the bytes without saying what they are.
            let (media_type, data) = inline(data).unwrap_or(("application/pdf", data));
            DocumentSource::Base64 { media_type: media_type.into(), data: data.into() }
        }
        (None, Some(id)) => DocumentSource::File(id.to_owned()),
        (None, None) => return None,
    };
    Some(Document { source, title, context: None })
}

fn tool(wire: WireTool, raw: &RawValue) -> Tool {
    let mark = wire.cache_control.map(|WireMark { ttl }| Breakpoint { ttl });
    match (wire.kind.as_str(), wire.function, wire.custom) {
        ("function", Some(function), _) => function_tool(function, mark),
        ("custom", _, Some(custom)) => Tool {
            name: custom.name,
            namespace: None,
            description: custom.description,
            kind: ToolKind::Custom { format: custom.format.map(RawJson) },
            deferred: false,
            breakpoint: mark,
        },
        _ => Tool {
            name: wire.kind,
            namespace: None,
            description: None,
            kind: ToolKind::Other { origin: Dialect::OpenaiChat, value: RawJson(raw.to_owned()) },
            deferred: false,
            breakpoint: mark,
        },
    }
}

fn function_tool(function: WireToolFunction, breakpoint: Option<Breakpoint>) -> Tool {
    Tool {
        name: function.name,
        namespace: None,
        description: function.description,
        kind: ToolKind::Function { parameters: function.parameters.map(RawJson), strict: function.strict },
        deferred: false,
        breakpoint,
    }
}

fn tool_choice(value: &Value) -> Option<ToolChoice> {
    let named = |tool: &Value| {
        ["function", "custom"].iter().find_map(|kind| tool[*kind]["name"].as_str().map(str::to_owned))
    };
    match value.as_str() {
        Some("auto") => return Some(ToolChoice::Auto),
        Some("none") => return Some(ToolChoice::None),
        Some("required") => return Some(ToolChoice::Required),
        _ => {}
    }
    let Some(allowed) = value.get("allowed_tools") else {
        return named(value).map(|name| ToolChoice::Named { name, namespace: None });
    };
    let names = allowed["tools"].as_array()?.iter().filter_map(named).collect();
    Some(ToolChoice::Allowed { names, required: allowed["mode"] == "required" })
}

/// The choice in the words of the older `function_call`.
fn legacy_choice(value: &Value) -> Option<ToolChoice> {
    match value.as_str() {
        Some("none") => Some(ToolChoice::None),
        Some(_) => Some(ToolChoice::Auto),
        None => Some(ToolChoice::Named { name: value["name"].as_str()?.to_owned(), namespace: None }),
    }
}

fn format(wire: WireFormat) -> Option<Format> {
    match (wire.kind.as_str(), wire.json_schema) {
        ("text", _) => Some(Format::Text),
        ("json_object", _) => Some(Format::Json),
        ("json_schema", Some(schema)) => Some(Format::Schema {
            name: schema.name,
            description: schema.description,
            schema: schema.schema.map(RawJson),
            strict: schema.strict,
        }),
        _ => None,
    }
}

/// What other servers of this dialect read of reasoning: `reasoning: {effort, max_tokens, enabled}` and
/// `thinking: {type, budget_tokens}`.
fn wish(value: &Value, request: &mut Request) {
    let wish = &mut request.reasoning;
    let thinking = match (value["type"].as_str(), value["enabled"].as_bool()) {
        (Some("enabled"), _) | (None, Some(true)) => Some(Thinking::On),
        (Some("disabled"), _) | (None, Some(false)) => Some(Thinking::Off),
        (Some("adaptive"), _) => Some(Thinking::Adaptive),
        _ => None,
    };
    let budget = value["budget_tokens"].as_u64().or_else(|| value["max_tokens"].as_u64());
    wish.thinking = thinking.or(wish.thinking);
    wish.budget = budget.or(wish.budget);
    wish.effort = wish.effort.or_else(|| effort(value["effort"].as_str()?));
}

/// The words of this dialect for efforts.
pub(super) const EFFORTS: [(&str, Effort); 7] = [
    ("none", Effort::None),
    ("minimal", Effort::Minimal),
    ("low", Effort::Low),
    ("medium", Effort::Medium),
    ("high", Effort::High),
    ("xhigh", Effort::ExtraHigh),
    ("max", Effort::Max),
];

fn effort(word: &str) -> Option<Effort> {
    EFFORTS.iter().find(|(known, _)| *known == word).map(|(_, effort)| *effort)
}
