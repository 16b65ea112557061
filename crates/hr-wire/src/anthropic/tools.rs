//! Tools: to the hub, and from it.

use std::collections::BTreeSet;

use hr_core::catalog::Dialect;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::request::borrowed;
use super::types::WireTool;
use crate::envelope::BadRequest;
use crate::hub::{Breakpoint, Loss, Names, RawJson, Tool, ToolChoice, ToolKind, names};
use crate::json::Kind;
use crate::patch;

/// What a coding agent lists in place of the tools that it has not searched for yet; it is never to be called.
const PLACEHOLDER: &str = "DeferredToolPlaceholder";

/// Tools whose schema the API has built in and that the caller runs: what their type begins with, what they are
/// for, and the schema that others need to be told.
const BUILT_IN: [(&str, &str, &str); 4] = [
    (
        "bash_",
        "Runs a command in a shell that stays open between calls; `restart` opens a new one.",
        r#"{"type":"object","properties":{"command":{"type":"string"},"restart":{"type":"boolean"}}}"#,
    ),
    (
        "text_editor_",
        "Views, creates and edits text files. `command` is `view`, `create`, `str_replace` or `insert`.",
        r#"{"type":"object","properties":{"command":{"type":"string"},"path":{"type":"string"},"old_str":{"type":"string"},"new_str":{"type":"string"},"file_text":{"type":"string"},"insert_line":{"type":"integer"},"insert_text":{"type":"string"},"view_range":{"type":"array","items":{"type":"integer"}}},"required":["command","path"]}"#,
    ),
    (
        "computer_",
        "Uses a computer by its screen, mouse and keyboard; `action` says how.",
        r#"{"type":"object","properties":{"action":{"type":"string"},"coordinate":{"type":"array","items":{"type":"integer"}},"start_coordinate":{"type":"array","items":{"type":"integer"}},"text":{"type":"string"},"duration":{"type":"number"},"scroll_direction":{"type":"string"},"scroll_amount":{"type":"integer"},"region":{"type":"array","items":{"type":"integer"}}},"required":["action"]}"#,
    ),
    (
        "memory_",
        "Reads and writes the files of a memory under `/memories`. `command` is `view`, `create`, `str_replace`, `insert`, `delete` or `rename`.",
        r#"{"type":"object","properties":{"command":{"type":"string"},"path":{"type":"string"},"view_range":{"type":"array","items":{"type":"integer"}},"file_text":{"type":"string"},"old_str":{"type":"string"},"new_str":{"type":"string"},"insert_line":{"type":"integer"},"insert_text":{"type":"string"},"old_path":{"type":"string"},"new_path":{"type":"string"}},"required":["command"]}"#,
    ),
];

/// Reads the tools of a request.
pub(super) fn decode(list: &str, losses: &mut Vec<Loss>) -> Result<Vec<Tool>, BadRequest> {
    let list: Vec<&RawValue> = borrowed(list).map_err(|bad| bad.within("tools"))?;
    let mut tools = Vec::with_capacity(list.len());
    for (place, text) in list.into_iter().enumerate() {
        let wire: WireTool<'_> =
            borrowed(text.get()).map_err(|bad| bad.within(&format!("tools[{place}]")))?;
        if wire.name.as_deref() == Some(PLACEHOLDER) {
            continue;
        }
        let only_programs =
            wire.allowed_callers.as_ref().is_some_and(|all| !all.iter().any(|one| one == "direct"));
        let loss = Loss::dropped("tools[].allowed_callers");
        if only_programs && !losses.contains(&loss) {
            losses.push(loss);
        }
        tools.push(tool(wire, text));
    }
    Ok(tools)
}

fn tool(wire: WireTool<'_>, text: &RawValue) -> Tool {
    let breakpoint = wire.cache_control.map(|control| Breakpoint { ttl: control.ttl });
    let kind = wire.kind.unwrap_or_default();
    let name = wire.name.unwrap_or_else(|| kind.clone());
    let deferred = wire.defer_loading.unwrap_or_default();
    let of = |description, kind| Tool { name, namespace: None, description, kind, deferred, breakpoint };
    if matches!(kind.as_str(), "" | "custom") {
        let parameters = wire.input_schema.map(|schema| RawJson(schema.to_owned()));
        let shown = wire.input_examples.map(|examples| format!("Examples of its input: {examples}"));
        let words: Vec<String> = wire.description.into_iter().chain(shown).collect();
        return of(
            (!words.is_empty()).then(|| words.join("\n\n")),
            ToolKind::Function { parameters, strict: wire.strict },
        );
    }
    match BUILT_IN.iter().find(|(start, ..)| kind.starts_with(start)) {
        Some((_, description, schema)) => {
            let parameters = RawValue::from_string((*schema).to_owned()).ok().map(RawJson);
            of(Some((*description).to_owned()), ToolKind::Function { parameters, strict: None })
        }
        None => of(
            wire.description,
            ToolKind::Other { origin: Dialect::Anthropic, value: RawJson(text.to_owned()) },
        ),
    }
}

/// The tools of a request as JSON texts, those that may be called, by their names on the wire.
pub(super) fn encode(
    tools: &[Tool],
    choice: Option<&ToolChoice>,
    names: &Names,
    losses: &mut Vec<Loss>,
) -> Vec<(String, Option<Breakpoint>)> {
    let mut written: Vec<(String, Option<Breakpoint>)> = Vec::with_capacity(tools.len());
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let allowed: Option<BTreeSet<&str>> = match choice {
        Some(ToolChoice::Allowed { names, .. }) => Some(names.iter().map(String::as_str).collect()),
        _ => None,
    };
    for tool in tools {
        let wire = names.wire(tool.namespace.as_deref(), &tool.name).into_owned();
        let is_allowed = allowed
            .as_ref()
            .is_none_or(|names| names.contains(tool.name.as_str()) || names.contains(wire.as_str()));
        if !is_allowed || taken.contains(&wire) {
            continue;
        }
        let Some(text) = encode_one(tool, &wire, losses) else { continue };
        taken.insert(wire);
        written.push((text, tool.breakpoint.clone()));
    }
    written
}

fn encode_one(tool: &Tool, wire: &str, losses: &mut Vec<Loss>) -> Option<String> {
    let mut lose = |loss: Loss| {
        if !losses.contains(&loss) {
            losses.push(loss);
        }
    };
    let (description, schema) = match &tool.kind {
        ToolKind::Function { parameters, strict } => {
            if *strict == Some(true) {
                // Only a few tools of a request may be strict, and only with a smaller language of schemas.
                lose(Loss::dropped("tools[].strict"));
            }
            (tool.description.clone(), schema(parameters.as_ref()))
        }
        ToolKind::Custom { format } => {
            lose(Loss::changed("tools[].custom", "became a function with one string"));
            let words = names::free_text(tool.description.as_deref(), format.as_ref());
            let schema = json!({
                "type": "object",
                "properties": { names::INPUT: { "type": "string" } },
                "required": [names::INPUT],
            });
            ((!words.is_empty()).then_some(words), schema.to_string())
        }
        ToolKind::Other { origin: Dialect::Anthropic, value } => return Some(value.0.get().to_owned()),
        ToolKind::Other { .. } => {
            lose(Loss::dropped(&format!("tools[].{}", tool.name)));
            return None;
        }
    };
    let mut head = Map::new();
    head.insert("name".into(), wire.into());
    head.extend(description.map(|words| ("description".into(), Value::from(words))));
    let head = Value::Object(head).to_string();
    Some(format!("{},\"input_schema\":{schema}}}", head.trim_end_matches('}')))
}

/// A schema whose root is an object, as the API wants it; one that already is goes as it was written.
fn schema(parameters: Option<&RawJson>) -> String {
    const EMPTY: &str = r#"{"type":"object","properties":{}}"#;
    const UNIONS: [&str; 3] = ["oneOf", "anyOf", "allOf"];
    let Some(text) = parameters.map(|parameters| parameters.0.get()) else { return EMPTY.to_owned() };
    if patch::kind(text) != Some(Kind::Object) {
        return EMPTY.to_owned();
    }
    let is_union = UNIONS.iter().any(|union| patch::field(text, union).is_some());
    match patch::field(text, "type").and_then(patch::string) {
        Some(kind) if kind == "object" && !is_union => text.to_owned(),
        _ => match serde_json::from_str(text) {
            Ok(Value::Object(fields)) => Value::Object(rooted(fields, &UNIONS)).to_string(),
            _ => EMPTY.to_owned(),
        },
    }
}

/// The same with an object at its root. Of a union the properties of all branches are taken together, and only
/// what every branch of it wants is required.
fn rooted(mut fields: Map<String, Value>, unions: &[&str]) -> Map<String, Value> {
    let mut properties = match fields.remove("properties") {
        Some(Value::Object(properties)) => properties,
        _ => Map::new(),
    };
    let mut required: Vec<Value> =
        fields.remove("required").and_then(|list| list.as_array().cloned()).unwrap_or_default();
    for union in unions {
        let Some(Value::Array(branches)) = fields.remove(*union) else { continue };
        let wanted = |branch: &Value| branch["required"].as_array().cloned().unwrap_or_default();
        let common: Vec<Value> = match *union {
            "allOf" => branches.iter().flat_map(wanted).collect(),
            _ => {
                let first = branches.first().map(wanted).unwrap_or_default();
                first
                    .into_iter()
                    .filter(|name| branches.iter().all(|branch| wanted(branch).contains(name)))
                    .collect()
            }
        };
        required.extend(common);
        for branch in branches {
            if let Value::Object(mut branch) = branch
                && let Some(Value::Object(more)) = branch.remove("properties")
            {
                for (name, property) in more {
                    properties.entry(name).or_insert(property);
                }
            }
        }
    }
    fields.insert("type".into(), "object".into());
    fields.insert("properties".into(), properties.into());
    if !required.is_empty() {
        let mut once: Vec<Value> = Vec::with_capacity(required.len());
        for name in required {
            if !once.contains(&name) {
                once.push(name);
            }
        }
        fields.insert("required".into(), once.into());
    }
    fields
}
