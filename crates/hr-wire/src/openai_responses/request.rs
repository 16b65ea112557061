//! Requests on their way to the hub.

use std::borrow::Cow;

use hr_core::catalog::Dialect;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::item;
use super::types::{WireReasoning, WireText, WireTool};
use crate::dialect::Decoded;
use crate::envelope::{BadRequest, Envelope};
use crate::hub::{
    Effort, Extras, Format, Loss, Message, Part, RawJson, Request, Role, Tool, ToolChoice, ToolKind,
};
use crate::neutral::is_neutral_text;

/// Fields that need no provider: the router itself keeps replies, brings back what is encrypted, and streams
/// without padding.
const OURS: &[&str] = &["store", "previous_response_id", "stream_options", "client_metadata"];

/// What of `include` the router gives back by itself.
const ENCRYPTED: &str = "reasoning.encrypted_content";

/// Fields that stand for words which somebody else keeps. Without those it would be another conversation.
const KEPT_ELSEWHERE: &[&str] = &["prompt", "conversation"];

/// Words of effort.
pub(super) const EFFORTS: [(&str, Effort); 7] = [
    ("none", Effort::None),
    ("minimal", Effort::Minimal),
    ("low", Effort::Low),
    ("medium", Effort::Medium),
    ("high", Effort::High),
    ("xhigh", Effort::ExtraHigh),
    ("max", Effort::Max),
];

/// Reads a request that [`super::facts::read`] has checked.
///
/// # Errors
/// What cannot be brought over and must not be left out, as the caller's mistake.
pub fn decode(envelope: &Envelope) -> Result<Decoded, BadRequest> {
    let mut request = Request { include_usage: true, ..Request::default() };
    let mut losses = Vec::new();
    let mut extras = Map::new();
    let mut instructions = None;
    for key in envelope.keys() {
        let Some(value) = envelope.get(key).filter(|value| *value != "null") else { continue };
        match key {
            "model" => request.model = read(key, value)?,
            "instructions" => instructions = Some(read::<String>(key, value)?),
            "input" => request.messages = item::messages(read(key, value)?, &mut request.tools, &mut losses)?,
            "tools" => {
                let offered: Vec<Box<RawValue>> = read(key, value)?;
                let mut tools = tools(&offered, None).map_err(|bad| bad.within(key))?;
                // Tools that items bring along come after those offered to all.
                merge(&mut tools, std::mem::take(&mut request.tools));
                request.tools = tools;
            }
            "tool_choice" => match tool_choice(&read(key, value)?) {
                Some(choice) => request.tool_choice = Some(choice),
                None => losses.push(Loss::dropped(key)),
            },
            "parallel_tool_calls" => request.parallel_tool_calls = read(key, value)?,
            "text" => {
                let text: WireText = read(key, value)?;
                request.verbosity = text.verbosity;
                request.format = text.format.and_then(|wire| match wire.kind.as_str() {
                    "text" => Some(Format::Text),
                    "json_object" => Some(Format::Json),
                    "json_schema" => Some(Format::Schema {
                        name: wire.name.unwrap_or_default(),
                        description: wire.description,
                        schema: wire.schema.map(RawJson),
                        strict: wire.strict,
                    }),
                    _ => None,
                });
            }
            "reasoning" => {
                let wish: WireReasoning = read(key, value)?;
                request.reasoning.effort = wish.effort.as_deref().and_then(|word| effort(word, &mut losses));
                request.reasoning.summary = wish.summary.or(wish.generate_summary);
                let more = [("context", wish.context, "auto"), ("mode", wish.mode, "standard")];
                let meant =
                    more.iter().filter(|(_, word, usual)| word.as_ref().is_some_and(|word| word != usual));
                losses.extend(meant.map(|(member, ..)| Loss::dropped(&format!("reasoning.{member}"))));
            }
            "include" => {
                let more = read::<Vec<String>>(key, value)?.into_iter().filter(|name| name != ENCRYPTED);
                losses.extend(more.map(|name| Loss::dropped(&format!("include.{name}"))));
            }
            "max_output_tokens" => request.max_output = read(key, value)?,
            "temperature" => request.temperature = read(key, value)?,
            "top_p" => request.top_p = read(key, value)?,
            "stream" => request.stream = read(key, value)?,
            "user" => request.user = read(key, value)?,
            "prompt_cache_key" => request.cache_key = read(key, value)?,
            "service_tier" => request.service_tier = read(key, value)?,
            _ if KEPT_ELSEWHERE.contains(&key) => {
                let words = format!("`{key}` is kept by one provider; send what it stands for as `input`");
                let bad = BadRequest { status: 422, ..BadRequest::about(key, words) };
                return Err(bad.code("unsupported_parameter"));
            }
            _ if OURS.contains(&key) || is_neutral_text(key, value) => {}
            _ => {
                extras.insert(key.to_owned(), read(key, value)?);
            }
        }
    }
    if let Some(text) = instructions.filter(|text| !text.is_empty()) {
        let parts = vec![Part::Text(text)];
        let message = Message { role: Role::System, name: None, parts, extras: Extras::default() };
        request.messages.insert(0, message);
    }
    request.extras = Extras::of(Dialect::OpenaiResponses, extras);
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

/// The word of an effort. Newer words for more than there is become the most.
fn effort(word: &str, losses: &mut Vec<Loss>) -> Option<Effort> {
    if let Some((_, effort)) = EFFORTS.iter().find(|(known, _)| *known == word) {
        return Some(*effort);
    }
    losses.push(Loss::changed("reasoning.effort", "became `max`"));
    Some(Effort::Max)
}

/// Reads tools, those of a namespace one by one.
pub(super) fn tools(offered: &[Box<RawValue>], namespace: Option<&str>) -> Result<Vec<Tool>, BadRequest> {
    let mut tools = Vec::with_capacity(offered.len());
    for (index, raw) in offered.iter().enumerate() {
        let at = |bad: BadRequest| bad.within(&format!("[{index}]"));
        let wire: WireTool = read("", raw.get()).map_err(at)?;
        match (wire.kind.as_str(), wire.tools) {
            ("namespace", Some(members)) => {
                tools.extend(
                    self::tools(&members, wire.name.as_deref()).map_err(|bad| at(bad.within("tools")))?,
                );
                continue;
            }
            (kind, _) if kind.starts_with("computer") => {
                let words = format!("`{kind}` cannot be bridged to a model of another API; leave it out");
                let bad = BadRequest { status: 422, ..BadRequest::about("type", words) };
                return Err(at(bad.code("unsupported_tool")));
            }
            _ => {}
        }
        let kind = match wire.kind.as_str() {
            "function" => {
                ToolKind::Function { parameters: wire.parameters.map(RawJson), strict: wire.strict }
            }
            "custom" => ToolKind::Custom { format: wire.format.map(RawJson) },
            _ => ToolKind::Other { origin: Dialect::OpenaiResponses, value: RawJson(raw.clone()) },
        };
        tools.push(Tool {
            name: wire.name.unwrap_or(wire.kind),
            namespace: namespace.map(str::to_owned),
            description: wire.description,
            kind,
            deferred: wire.defer_loading == Some(true),
            breakpoint: None,
        });
    }
    Ok(tools)
}

/// Adds tools whose names are not taken.
pub(super) fn merge(tools: &mut Vec<Tool>, more: Vec<Tool>) {
    for tool in more {
        if !tools.iter().any(|known| known.name == tool.name && known.namespace == tool.namespace) {
            tools.push(tool);
        }
    }
}

fn tool_choice(value: &Value) -> Option<ToolChoice> {
    let name = |value: &Value| value["name"].as_str().map(str::to_owned);
    match (value.as_str(), value["type"].as_str()) {
        (Some("auto"), _) => Some(ToolChoice::Auto),
        (Some("none"), _) => Some(ToolChoice::None),
        (Some("required"), _) => Some(ToolChoice::Required),
        (_, Some("function" | "custom")) => Some(ToolChoice::Named {
            name: name(value)?,
            namespace: value["namespace"].as_str().map(str::to_owned),
        }),
        (_, Some("allowed_tools")) => Some(ToolChoice::Allowed {
            names: value["tools"].as_array().into_iter().flatten().filter_map(name).collect(),
            required: value["mode"] == "required",
        }),
        _ => None,
    }
}

/// The address of an image as the hub has it.
pub(super) fn inline(url: &str) -> Option<(Cow<'_, str>, &str)> {
    let (media_type, data) = url.strip_prefix("data:")?.split_once(";base64,")?;
    // Parameters of the media type say nothing about bytes.
    Some((Cow::Borrowed(media_type.split(';').next().unwrap_or(media_type)), data))
}
