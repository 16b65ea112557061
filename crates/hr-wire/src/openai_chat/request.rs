//! Requests, to the hub and back.

use std::borrow::Cow;

use bytes::Bytes;
use hr_core::catalog::Dialect;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::types::{WireCall, WireFormat, WireMessage, WireSchema, WireTool, WireToolFunction};
use crate::dialect::Decoded;
use crate::envelope::{BadRequest, Edit, Envelope};
use crate::hub::{
    Effort, Extras, Format, ImageSource, Loss, Message, Part, RawJson, Reasoning, Request, Role, Tool,
    ToolCall, ToolChoice, ToolKind, ToolOutput,
};

/// Reads a request that [`super::read_chat`] has checked.
pub fn decode(envelope: &Envelope) -> Result<Decoded, BadRequest> {
    let mut request = Request::default();
    let mut losses = Vec::new();
    let mut extras = Map::new();
    for key in envelope.keys() {
        let Some(value) = envelope.get(key).filter(|value| *value != "null") else { continue };
        match key {
            "model" => request.model = read(key, value)?,
            "messages" => {
                let messages: Vec<WireMessage> = read(key, value)?;
                request.messages = messages.into_iter().map(message).collect();
            }
            "tools" => {
                for wire in read::<Vec<WireTool>>(key, value)? {
                    match wire.function {
                        Some(function) => request.tools.push(tool(function)),
                        None => losses.push(Loss::dropped(&format!("tools[].{}", wire.kind))),
                    }
                }
            }
            "tool_choice" => match tool_choice(&read(key, value)?) {
                Some(choice) => request.tool_choice = Some(choice),
                None => losses.push(Loss::dropped(key)),
            },
            "parallel_tool_calls" => request.parallel_tool_calls = read(key, value)?,
            "response_format" => match format(read(key, value)?) {
                Some(format) => request.format = Some(format),
                None => losses.push(Loss::dropped(key)),
            },
            "reasoning_effort" => match effort(&read::<String>(key, value)?) {
                Some(effort) => request.reasoning.effort = Some(effort),
                None => losses.push(Loss::dropped(key)),
            },
            "max_completion_tokens" => request.max_output = read(key, value)?,
            "max_tokens" => request.max_output = request.max_output.or(read(key, value)?),
            "temperature" => request.temperature = read(key, value)?,
            "top_p" => request.top_p = read(key, value)?,
            "stop" => {
                request.stop = match read(key, value)? {
                    Value::String(word) => vec![word],
                    words => serde_json::from_value(words).unwrap_or_default(),
                }
            }
            "stream" => request.stream = read(key, value)?,
            "stream_options" => {
                request.include_usage = read::<Value>(key, value)?["include_usage"] == true;
            }
            _ => {
                extras.insert(key.to_owned(), read(key, value)?);
            }
        }
    }
    request.extras = Extras::of(Dialect::OpenaiChat, extras);
    Ok(Decoded { request, losses })
}

/// Reads a value; only when that fails is it read again to find out where.
fn read<T: DeserializeOwned>(key: &str, value: &str) -> Result<T, BadRequest> {
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

fn message(wire: WireMessage) -> Message {
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
    let content = match wire.content {
        Some(Value::String(text)) => vec![Part::Text(text)],
        Some(Value::Array(items)) => items.into_iter().map(part).collect(),
        _ => Vec::new(),
    };
    let mut name = wire.name;
    match (role, wire.tool_call_id) {
        (Role::Tool, call_id) => {
            // The older `function` role names the function instead of the call.
            let call_id = call_id.or_else(|| name.take()).unwrap_or_default();
            parts.push(Part::ToolOutput(ToolOutput { call_id, content, ..ToolOutput::default() }));
        }
        _ => parts.extend(content),
    }
    parts.extend(wire.refusal.map(Part::Refusal));
    parts.extend(wire.tool_calls.into_iter().flatten().map(|call| {
        Part::ToolCall(ToolCall {
            arguments: call.function.arguments_text(),
            id: call.id.unwrap_or_default(),
            name: call.function.name.unwrap_or_default(),
            ..ToolCall::default()
        })
    }));
    Message { role, name, parts, extras: Extras::of(Dialect::OpenaiChat, wire.rest) }
}

fn part(value: Value) -> Part {
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
        _ => None,
    };
    known.unwrap_or(Part::Other { origin: Dialect::OpenaiChat, value })
}

fn image_source(url: &str) -> ImageSource {
    let inline = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    match inline {
        Some((media_type, data)) => ImageSource::Base64 { media_type: media_type.into(), data: data.into() },
        None => ImageSource::Url(url.into()),
    }
}

fn tool(function: WireToolFunction) -> Tool {
    Tool {
        name: function.name,
        namespace: None,
        description: function.description,
        kind: ToolKind::Function { parameters: function.parameters.map(RawJson), strict: function.strict },
        deferred: false,
        breakpoint: None,
    }
}

fn tool_choice(value: &Value) -> Option<ToolChoice> {
    match value.as_str() {
        Some("auto") => Some(ToolChoice::Auto),
        Some("none") => Some(ToolChoice::None),
        Some("required") => Some(ToolChoice::Required),
        _ => value["function"]["name"]
            .as_str()
            .map(|name| ToolChoice::Named { name: name.to_owned(), namespace: None }),
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

const EFFORTS: [(&str, Effort); 7] = [
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

/// Writes a request. What the caller did not say stays unsaid.
#[must_use]
pub fn encode(request: &Request) -> Bytes {
    let Ok(empty) = Envelope::read(Bytes::from_static(b"{}")) else { return Bytes::new() };
    let mut fields: Vec<(&str, String)> = vec![("model", Value::from(request.model.as_str()).to_string())];
    let messages: Vec<WireMessage> = request.messages.iter().map(wire_message).collect();
    fields.push(("messages", written(&messages)));
    if !request.tools.is_empty() {
        fields.push(("tools", written(&request.tools.iter().map(wire_tool).collect::<Vec<_>>())));
    }
    let choice = request.tool_choice.as_ref().and_then(|choice| match choice {
        ToolChoice::Auto => Some(json!("auto")),
        ToolChoice::None => Some(json!("none")),
        ToolChoice::Required => Some(json!("required")),
        ToolChoice::Named { name, .. } => Some(json!({"type": "function", "function": {"name": name}})),
        ToolChoice::Allowed { .. } => None,
    });
    let word = |wanted| EFFORTS.iter().find(|(_, effort)| *effort == wanted).map(|(word, _)| json!(word));
    let options = (request.stream && request.include_usage).then(|| json!({"include_usage": true}));
    let plain = [
        ("tool_choice", choice),
        ("parallel_tool_calls", request.parallel_tool_calls.map(Value::from)),
        ("reasoning_effort", request.reasoning.effort.and_then(word)),
        ("max_completion_tokens", request.max_output.map(Value::from)),
        ("temperature", request.temperature.map(Value::from)),
        ("top_p", request.top_p.map(Value::from)),
        ("stop", (!request.stop.is_empty()).then(|| Value::from(request.stop.clone()))),
        ("stream", request.stream.then(|| Value::from(true))),
        ("stream_options", options),
    ];
    fields.extend(plain.into_iter().filter_map(|(key, value)| Some((key, value?.to_string()))));
    fields.extend(request.format.as_ref().map(|format| ("response_format", written(&wire_format(format)))));
    for (key, value) in request.extras.for_dialect(Dialect::OpenaiChat).into_iter().flatten() {
        fields.push((key, value.to_string()));
    }
    let edits: Vec<Edit<'_>> =
        fields.iter().map(|(key, value)| Edit::Set { key, value_json: Cow::from(value) }).collect();
    empty.splice(&edits)
}

/// A wire shape as JSON text. Its keys are strings and its numbers finite, so it cannot fail.
fn written(wire: &impl serde::Serialize) -> String {
    serde_json::to_string(wire).unwrap_or_default()
}

fn wire_message(message: &Message) -> WireMessage {
    let role = match message.role {
        Role::System => "system",
        Role::Developer => "developer",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    let mut wire = WireMessage {
        role: role.into(),
        content: None,
        name: message.name.clone(),
        refusal: None,
        reasoning_content: None,
        reasoning: None,
        tool_calls: None,
        tool_call_id: None,
        rest: message.extras.for_dialect(Dialect::OpenaiChat).cloned().unwrap_or_default(),
    };
    let mut content = Vec::new();
    for part in &message.parts {
        match part {
            Part::Reasoning(part) => wire.reasoning_content.get_or_insert_default().push_str(&part.text),
            Part::Refusal(text) => wire.refusal.get_or_insert_default().push_str(text),
            Part::ToolCall(call) => wire.tool_calls.get_or_insert_default().push(WireCall::of(
                &call.id,
                &call.name,
                &call.arguments,
            )),
            Part::ToolOutput(output) => {
                wire.tool_call_id = Some(output.call_id.clone());
                content.extend(&output.content);
            }
            _ => content.push(part),
        }
    }
    wire.content = match content.as_slice() {
        [] => (wire.tool_calls.is_some() || wire.refusal.is_some()).then_some(Value::Null),
        [Part::Text(text)] => Some(Value::from(text.as_str())),
        parts => Some(parts.iter().filter_map(|part| wire_part(part)).collect()),
    };
    wire
}

fn wire_part(part: &Part) -> Option<Value> {
    match part {
        Part::Text(text) => Some(json!({"type": "text", "text": text})),
        Part::Image { source, detail } => {
            let url = match source {
                ImageSource::Url(url) => url.clone(),
                ImageSource::Base64 { media_type, data } => format!("data:{media_type};base64,{data}"),
            };
            let mut image = json!({"url": url});
            if let Some(detail) = detail {
                image["detail"] = json!(detail);
            }
            Some(json!({"type": "image_url", "image_url": image}))
        }
        Part::Other { origin: Dialect::OpenaiChat, value } => Some(value.clone()),
        _ => None,
    }
}

fn wire_tool(tool: &Tool) -> WireTool {
    WireTool {
        kind: "function".into(),
        function: Some(WireToolFunction {
            name: tool.name.clone(),
            description: tool.description.clone(),
            parameters: match &tool.kind {
                ToolKind::Function { parameters, .. } => parameters.clone().map(|raw| raw.0),
                _ => None,
            },
            strict: match tool.kind {
                ToolKind::Function { strict, .. } => strict,
                _ => None,
            },
        }),
    }
}

fn wire_format(format: &Format) -> WireFormat {
    match format {
        Format::Text => WireFormat { kind: "text".into(), json_schema: None },
        Format::Json => WireFormat { kind: "json_object".into(), json_schema: None },
        Format::Schema { name, description, schema, strict } => WireFormat {
            kind: "json_schema".into(),
            json_schema: Some(WireSchema {
                name: name.clone(),
                description: description.clone(),
                schema: schema.clone().map(|raw| raw.0),
                strict: *strict,
            }),
        },
    }
}
