//! Requests of callers, to the hub. The way back is [`super::compose`].

use std::collections::BTreeMap;

use hr_core::catalog::Dialect;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::parts::Parts;
use super::tools;
use super::types::WireMessage;
use crate::check::present;
use crate::dialect::Decoded;
use crate::envelope::{BadRequest, Envelope};
use crate::hub::{
    Breakpoint, Effort, Extras, Fingerprint, Format, Loss, Message, Part, RawJson, ReasoningWish, Request,
    Role, Thinking, ToolChoice,
};
use crate::neutral::is_neutral;

/// What a block of the system prompt begins with that tells the API which client it bills. It changes with every
/// request, so anybody else's cache would miss, and means nothing to them.
const BILLING: &str = "x-anthropic-billing-header:";

/// The words for efforts.
pub(super) const EFFORTS: [(&str, Effort); 5] = [
    ("low", Effort::Low),
    ("medium", Effort::Medium),
    ("high", Effort::High),
    ("xhigh", Effort::ExtraHigh),
    ("max", Effort::Max),
];

/// How much of the reasoning a caller wants to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Display {
    /// All of it.
    Whole,
    /// Only what it is to send back.
    Sealed,
    /// Nothing: it did not ask for any.
    Nothing,
}

impl Display {
    /// What a request asks for.
    pub(super) fn of(envelope: &Envelope) -> Self {
        let wish = wish(envelope);
        match wish.thinking {
            None | Some(Thinking::Off) => Self::Nothing,
            Some(_) if wish.summary.as_deref() == Some("omitted") => Self::Sealed,
            Some(_) => Self::Whole,
        }
    }
}

/// What a request wants of the reasoning.
pub(super) fn wish(envelope: &Envelope) -> ReasoningWish {
    #[derive(Default, Deserialize)]
    struct Switch {
        #[serde(rename = "type", default)]
        kind: String,
        #[serde(default)]
        budget_tokens: Option<u64>,
        #[serde(default)]
        display: Option<String>,
    }
    #[derive(Default, Deserialize)]
    struct Config {
        #[serde(default)]
        effort: Option<String>,
    }
    let switch: Option<Switch> =
        present(envelope, "thinking").and_then(|text| serde_json::from_str(text).ok());
    let config: Config = present(envelope, "output_config")
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let effort = config.effort.and_then(|word| EFFORTS.iter().find(|(known, _)| *known == word));
    let mut wish = ReasoningWish { effort: effort.map(|(_, effort)| *effort), ..ReasoningWish::default() };
    if let Some(switch) = switch {
        wish.thinking = Some(match switch.kind.as_str() {
            "disabled" => Thinking::Off,
            "enabled" => Thinking::On,
            _ => Thinking::Adaptive,
        });
        wish.budget = switch.budget_tokens;
        wish.summary = switch.display;
    }
    wish
}

/// Reads a request that was checked.
pub(super) fn decode(envelope: &Envelope) -> Result<Decoded, BadRequest> {
    let mut request = Request { include_usage: true, reasoning: wish(envelope), ..Request::default() };
    let mut losses = Vec::new();
    let mut extras = Map::new();
    for key in envelope.keys() {
        let Some(value) = present(envelope, key) else { continue };
        match key {
            "model" => request.model = read(key, value)?,
            "messages" | "system" | "tools" | "thinking" | "cache_control" => {}
            "tool_choice" => choose(&read(key, value)?, &mut request),
            "output_config" | "output_format" => format(key, value, &mut request)?,
            "max_tokens" => request.max_output = Some(read::<u64>(key, value)?),
            "temperature" => request.temperature = read(key, value)?,
            "top_p" => request.top_p = read(key, value)?,
            "top_k" => request.top_k = read(key, value)?,
            "stop_sequences" => request.stop = read(key, value)?,
            "stream" => request.stream = read(key, value)?,
            "service_tier" => request.service_tier = tier(&read::<String>(key, value)?),
            // It names the person, the device and the session: others get a hash to keep a conversation together.
            "metadata" => {
                let user = read::<Value>(key, value)?;
                request.cache_key =
                    user["user_id"].as_str().map(|user| format!("{:016x}", Fingerprint::of(user).0));
            }
            "mcp_servers" if read::<Value>(key, value)?.as_array().is_some_and(|list| !list.is_empty()) => {
                let words = "`mcp_servers` are called by the provider itself, and this one cannot";
                return Err(BadRequest::about(key, words).code("unsupported_parameter"));
            }
            _ => {
                let value = read(key, value)?;
                if !is_neutral(key, &value) {
                    extras.insert(key.to_owned(), value);
                }
            }
        }
    }
    if request.max_output == Some(0) {
        // It only fills a cache that nobody else has.
        request.max_output = Some(1);
        losses.push(Loss::changed("max_tokens", "`0` became `1`"));
    }
    if let Some(system) = present(envelope, "system") {
        request.messages.extend(system_prompt(system)?);
    }
    if let Some(list) = present(envelope, "tools") {
        request.tools = tools::decode(list, &mut losses)?;
    }
    if let Some(list) = present(envelope, "messages") {
        conversation(list, &mut request, &mut losses)?;
    }
    if let (Some(mark), Some(last)) = (present(envelope, "cache_control"), request.messages.last_mut()) {
        let ttl = read::<Value>("cache_control", mark)?["ttl"].as_str().map(str::to_owned);
        last.parts.push(Part::Breakpoint(Breakpoint { ttl }));
    }
    request.extras = Extras::of(Dialect::Anthropic, extras);
    Ok(Decoded { request, losses })
}

/// Reads a value; only when that fails is it read again to find out where.
pub(super) fn read<T: DeserializeOwned>(key: &str, value: &str) -> Result<T, BadRequest> {
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

/// Reads what borrows from the text.
pub(super) fn borrowed<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, BadRequest> {
    serde_json::from_str(text).map_err(|error| BadRequest::new(error.to_string()).code("invalid_type"))
}

fn system_prompt(value: &str) -> Result<Option<Message>, BadRequest> {
    let mut parts = Parts::default();
    parts.content(value).map_err(|bad| bad.within("system"))?;
    let mut kept = Vec::with_capacity(parts.said.len());
    let mut billing = false;
    for part in parts.said {
        billing = match &part {
            Part::Text(text) => text.starts_with(BILLING),
            // The mark of a block that goes, goes with it.
            Part::Breakpoint(_) => billing,
            _ => false,
        };
        if !billing {
            kept.push(part);
        }
    }
    Ok((!kept.is_empty()).then(|| message(Role::System, kept)))
}

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, name: None, parts, extras: Extras::default() }
}

fn conversation(list: &str, request: &mut Request, losses: &mut Vec<Loss>) -> Result<(), BadRequest> {
    let list: Vec<&RawValue> = borrowed(list).map_err(|bad| bad.within("messages"))?;
    // What became of tools that came or went on the way: the last word counts.
    let mut available: BTreeMap<String, bool> = BTreeMap::new();
    for (place, text) in list.into_iter().enumerate() {
        let mut parts = Parts::default();
        let within = |bad: BadRequest| bad.within(&format!("messages[{place}]"));
        let wire: WireMessage<'_> = borrowed(text.get()).map_err(within)?;
        parts.content(wire.content.get()).map_err(|bad| within(bad.within("content")))?;
        available.extend(parts.changes);
        for loss in parts.losses {
            if !losses.contains(&loss) {
                losses.push(loss);
            }
        }
        let role = match wire.role.as_str() {
            "assistant" => Role::Assistant,
            "system" => Role::System,
            _ => Role::User,
        };
        // Results come first in their turn, each in a message of its own.
        request.messages.extend(parts.results.into_iter().map(|result| message(Role::Tool, result)));
        if !parts.said.is_empty() {
            request.messages.push(message(role, parts.said));
        }
    }
    request.tools.retain(|tool| available.get(&tool.name) != Some(&false));
    Ok(())
}

fn choose(choice: &Value, request: &mut Request) {
    request.tool_choice = match choice["type"].as_str() {
        Some("auto") => Some(ToolChoice::Auto),
        Some("any") => Some(ToolChoice::Required),
        Some("none") => Some(ToolChoice::None),
        Some("tool") => {
            choice["name"].as_str().map(|name| ToolChoice::Named { name: name.to_owned(), namespace: None })
        }
        _ => None,
    };
    if choice["disable_parallel_tool_use"] == true {
        request.parallel_tool_calls = Some(false);
    }
}

/// The format of the answer: `output_config.format`, or the older `output_format`.
fn format(key: &str, value: &str, request: &mut Request) -> Result<(), BadRequest> {
    #[derive(Deserialize)]
    struct Config {
        #[serde(default)]
        format: Option<Shape>,
    }
    #[derive(Deserialize)]
    struct Shape {
        #[serde(rename = "type")]
        kind: String,
        #[serde(default)]
        schema: Option<Box<RawValue>>,
    }
    let shape = match key {
        "output_format" => Some(read::<Shape>(key, value)?),
        _ => read::<Config>(key, value)?.format,
    };
    if let Some(shape) = shape.filter(|shape| shape.kind == "json_schema") {
        request.format = Some(Format::Schema {
            name: "output".into(),
            description: None,
            schema: shape.schema.map(RawJson),
            strict: Some(true),
        });
    }
    Ok(())
}

/// The tier in the words that other dialects have for it too.
fn tier(word: &str) -> Option<String> {
    match word {
        "standard_only" => Some("default".into()),
        word => Some(word.into()),
    }
}
