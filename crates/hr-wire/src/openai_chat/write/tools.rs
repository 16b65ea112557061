//! The tools of a request: all of them become functions.

use std::collections::BTreeSet;

use hr_core::catalog::Dialect;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::Writer;
use crate::hub::names::{INPUT, free_text};
use crate::hub::{Loss, Message, Part, RawJson, Request, Tool, ToolChoice, ToolKind};
use crate::openai_chat::types::{WireTool, WireToolFunction};

/// The most tools that a request may hold. Beyond it, deferred ones that nobody found are left out.
const MAX_TOOLS: usize = 128;

impl Writer<'_> {
    pub(super) fn tools(&mut self, request: &Request) -> Vec<WireItem> {
        let mut seen = BTreeSet::new();
        let mut tools: Vec<&Tool> = request.tools.iter().collect();
        if let Some(ToolChoice::Allowed { names, .. }) = &request.tool_choice {
            let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
            tools.retain(|tool| names.contains(tool.name.as_str()));
        }
        if tools.len() > MAX_TOOLS {
            let found = found(&request.messages);
            let mut room = MAX_TOOLS.saturating_sub(
                tools.iter().filter(|tool| !tool.deferred || found.contains(tool.name.as_str())).count(),
            );
            tools.retain(|tool| {
                let wanted = !tool.deferred || found.contains(tool.name.as_str()) || room > 0;
                if tool.deferred && !found.contains(tool.name.as_str()) {
                    room = room.saturating_sub(1);
                }
                wanted
            });
            self.lose(Loss::dropped("tools[].defer_loading"));
        }
        let mut items = Vec::with_capacity(tools.len());
        for tool in tools {
            let name = self.names.wire(tool.namespace.as_deref(), &tool.name).into_owned();
            let item = match &tool.kind {
                ToolKind::Other { origin: Dialect::OpenaiChat, value } => WireItem::Raw(value.0.clone()),
                ToolKind::Other { .. } => {
                    self.lose(Loss::dropped(&format!("tools[].{}", tool.name)));
                    continue;
                }
                // Two of one name are refused everywhere.
                _ if !seen.insert(name.clone()) => continue,
                ToolKind::Function { parameters, strict } => {
                    function(name, tool.description.clone(), parameters.clone(), *strict)
                }
                ToolKind::Custom { format } => {
                    let words = free_text(tool.description.as_deref(), format.as_ref());
                    function(name, Some(words), schema_of_text(), None)
                }
            };
            items.push(item);
        }
        items
    }

    pub(super) fn choice(&self, choice: &ToolChoice) -> Value {
        match choice {
            ToolChoice::Auto | ToolChoice::Allowed { required: false, .. } => json!("auto"),
            ToolChoice::None => json!("none"),
            ToolChoice::Required | ToolChoice::Allowed { required: true, .. } => json!("required"),
            ToolChoice::Named { name, namespace } => {
                let name = self.names.wire(namespace.as_deref(), name);
                json!({"type": "function", "function": {"name": name}})
            }
        }
    }
}

/// A tool on the wire: ours, or a provider's own as it came.
#[derive(serde::Serialize)]
#[serde(untagged)]
pub(super) enum WireItem {
    Ours(WireTool),
    Raw(Box<RawValue>),
}

fn function(
    name: String,
    description: Option<String>,
    parameters: Option<RawJson>,
    strict: Option<bool>,
) -> WireItem {
    // A tool without parameters takes an empty object; many servers want that said.
    let parameters = parameters.map(|raw| raw.0).or_else(|| raw(r#"{"type":"object","properties":{}}"#));
    WireItem::Ours(WireTool {
        kind: "function".into(),
        function: Some(WireToolFunction { name, description, parameters, strict }),
        custom: None,
        cache_control: None,
    })
}

fn raw(json: &str) -> Option<Box<RawValue>> {
    RawValue::from_string(json.to_owned()).ok()
}

/// The schema of a function that stands for a tool of free text.
fn schema_of_text() -> Option<RawJson> {
    let schema = json!({
        "type": "object",
        "properties": {INPUT: {"type": "string"}},
        "required": [INPUT],
        "additionalProperties": false,
    });
    raw(&schema.to_string()).map(RawJson)
}

/// The tools that a search has found in the conversation.
fn found(messages: &[Message]) -> BTreeSet<&str> {
    let outputs = messages.iter().flat_map(|message| &message.parts).filter_map(|part| match part {
        Part::ToolOutput(output) => Some(&output.content),
        _ => None,
    });
    outputs
        .flatten()
        .filter_map(|part| match part {
            Part::ToolReference(name) => Some(name.as_str()),
            _ => None,
        })
        .collect()
}
