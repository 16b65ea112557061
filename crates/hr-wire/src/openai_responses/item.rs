//! The items of an input, on their way to the hub. What the model says in a row, in whatever items, is one
//! message there.

use hr_core::catalog::Dialect;
use serde_json::Value;
use serde_json::value::RawValue;

use super::request::{inline, merge, tools};
use crate::envelope::BadRequest;
use crate::hub::carrier::{self, Carried};
use crate::hub::{
    CallKind, Document, DocumentSource, Extras, ImageSource, Loss, Message, Opaque, OpaqueKind, Part,
    Reasoning, Role, Tool, ToolCall, ToolOutput,
};

/// The tool by which models look for other tools.
const SEARCH: &str = "tool_search";

/// Between the parts of a summary.
pub(super) const PARAGRAPH: &str = "\n\n";

/// The messages of an input; tools that items bring along are added to `offered`.
pub(super) fn messages(
    input: Value,
    offered: &mut Vec<Tool>,
    losses: &mut Vec<Loss>,
) -> Result<Vec<Message>, BadRequest> {
    let items = match input {
        Value::String(text) => return Ok(vec![message(Role::User, vec![Part::Text(text)])]),
        Value::Array(items) => items,
        _ => Vec::new(),
    };
    let mut messages: Vec<Message> = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        let read = read(item, offered, losses);
        let Some((role, parts)) = read.map_err(|bad| bad.within(&format!("input[{index}]")))? else {
            continue;
        };
        match messages.last_mut() {
            Some(last) if role == Role::Assistant && last.role == role => last.parts.extend(parts),
            _ => messages.push(message(role, parts)),
        }
    }
    Ok(messages)
}

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, name: None, parts, extras: Extras::default() }
}

/// Who says what in an item; nothing when it says nothing.
fn read(
    item: Value,
    offered: &mut Vec<Tool>,
    losses: &mut Vec<Loss>,
) -> Result<Option<(Role, Vec<Part>)>, BadRequest> {
    let kind = item["type"].as_str().unwrap_or("message");
    Ok(Some(match kind {
        "message" => {
            let role = match item["role"].as_str() {
                Some("system") => Role::System,
                Some("developer") => Role::Developer,
                Some("assistant") => Role::Assistant,
                _ => Role::User,
            };
            (role, content(&item["content"]).map_err(|bad| bad.within("content"))?)
        }
        "reasoning" => (Role::Assistant, vec![Part::Reasoning(reasoning(&item))]),
        "function_call" | "custom_tool_call" | "tool_search_call" => {
            (Role::Assistant, vec![Part::ToolCall(call(&item))])
        }
        "function_call_output" | "custom_tool_call_output" => {
            let output = ToolOutput {
                call_id: text(&item["call_id"]),
                kind: if kind == "function_call_output" { CallKind::Function } else { CallKind::Custom },
                content: content(&item["output"]).map_err(|bad| bad.within("output"))?,
                is_error: false,
            };
            (Role::Tool, vec![Part::ToolOutput(output)])
        }
        "tool_search_output" => {
            let found = brought(&item)?;
            let content = found.iter().map(|tool| Part::ToolReference(tool.name.clone())).collect();
            merge(offered, found);
            let call_id = text(&item["call_id"]);
            (Role::Tool, vec![Part::ToolOutput(ToolOutput { call_id, content, ..ToolOutput::default() })])
        }
        "additional_tools" => {
            merge(offered, brought(&item)?);
            return Ok(None);
        }
        // Notes that a client makes for itself.
        "ghost_snapshot" | "configuration_update" => return Ok(None),
        "item_reference" => {
            losses.push(Loss::dropped("input[].item_reference"));
            return Ok(None);
        }
        kind if kind.starts_with("computer") => {
            let words = format!("`{kind}` cannot be bridged to a model of another API");
            let bad = BadRequest { status: 422, ..BadRequest::about("type", words) };
            return Err(bad.code("unsupported_item"));
        }
        _ => (Role::Assistant, vec![Part::Other { origin: Dialect::OpenaiResponses, value: item }]),
    }))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The tools that an item brings along.
fn brought(item: &Value) -> Result<Vec<Tool>, BadRequest> {
    let raw = item["tools"].as_array().into_iter().flatten();
    let raw: Result<Vec<Box<RawValue>>, _> = raw.map(serde_json::value::to_raw_value).collect();
    // A value that was read can be written.
    tools(&raw.unwrap_or_default(), None).map_err(|bad| bad.within("tools"))
}

/// A reasoning item: what can be read of it, and what only its issuer can.
pub(super) fn reasoning(item: &Value) -> Reasoning {
    let texts = |member: &str| {
        let parts = item[member].as_array().into_iter().flatten();
        parts.filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join(PARAGRAPH)
    };
    let summary = texts("summary");
    let text = if summary.is_empty() { texts("content") } else { summary };
    let opaque = item["encrypted_content"].as_str().and_then(|blob| match carrier::unpack(blob) {
        Carried::Native(data) => Some(Opaque {
            origin: Dialect::OpenaiResponses,
            kind: OpaqueKind::Encrypted,
            id: item["id"].as_str().map(str::to_owned),
            data,
        }),
        Carried::Ours(opaque) => opaque,
    });
    Reasoning { text, opaque }
}

/// An item that calls a tool.
pub(super) fn call(item: &Value) -> ToolCall {
    let is_custom = item["type"] == "custom_tool_call";
    let arguments = match &item[if is_custom { "input" } else { "arguments" }] {
        Value::String(arguments) => arguments.clone(),
        Value::Null => String::new(),
        value => value.to_string(),
    };
    let searches = item["type"] == "tool_search_call";
    ToolCall {
        id: item["call_id"].as_str().or(item["id"].as_str()).unwrap_or_default().to_owned(),
        name: if searches { SEARCH.to_owned() } else { text(&item["name"]) },
        namespace: item["namespace"].as_str().map(str::to_owned),
        kind: if is_custom { CallKind::Custom } else { CallKind::Function },
        arguments,
        opaque: None,
    }
}

/// Content: a string or parts.
fn content(value: &Value) -> Result<Vec<Part>, BadRequest> {
    match value {
        Value::String(text) => Ok(vec![Part::Text(text.clone())]),
        Value::Array(parts) => parts
            .iter()
            .enumerate()
            .map(|(index, value)| part(value).map_err(|bad| bad.within(&format!("[{index}]"))))
            .collect(),
        _ => Ok(Vec::new()),
    }
}

fn part(value: &Value) -> Result<Part, BadRequest> {
    let string = |member: &str| value[member].as_str().map(str::to_owned);
    let known = match value["type"].as_str() {
        Some("input_text" | "output_text" | "text") => string("text").map(Part::Text),
        Some("refusal") => string("refusal").map(Part::Refusal),
        Some("input_image") => {
            let Some(url) = string("image_url") else {
                let words = "an uploaded image can only be seen by who has it; send it as `image_url`";
                let bad = BadRequest { status: 422, ..BadRequest::about("file_id", words) };
                return Err(bad.code("unsupported_file"));
            };
            let source = match inline(&url) {
                Some((media_type, data)) => {
                    ImageSource::Base64 { media_type: media_type.into_owned(), data: data.to_owned() }
                }
                None => ImageSource::Url(url),
            };
            Some(Part::Image { source, detail: string("detail") })
        }
        Some("input_file") => file(value).map(Part::Document),
        Some("input_audio") => {
            let audio = &value["input_audio"];
            match (audio["format"].as_str(), audio["data"].as_str()) {
                (Some(format), Some(data)) => {
                    Some(Part::Audio { format: format.to_owned(), data: data.to_owned() })
                }
                _ => None,
            }
        }
        _ => None,
    };
    Ok(known.unwrap_or_else(|| Part::Other { origin: Dialect::OpenaiResponses, value: value.clone() }))
}

fn file(value: &Value) -> Option<Document> {
    let string = |member: &str| value[member].as_str().map(str::to_owned);
    let source = match (string("file_data"), string("file_url"), string("file_id")) {
        (Some(data), ..) => match inline(&data) {
            Some((media_type, data)) => {
                DocumentSource::Base64 { media_type: media_type.into_owned(), data: data.to_owned() }
            }
            None => DocumentSource::Base64 { media_type: "application/pdf".to_owned(), data },
        },
        (_, Some(url), _) => DocumentSource::Url(url),
        (_, _, Some(id)) => DocumentSource::File(id),
        _ => return None,
    };
    Some(Document { source, title: string("filename"), context: None })
}
