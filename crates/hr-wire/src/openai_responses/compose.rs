//! Requests out of the hub.

use bytes::Bytes;
use hr_core::catalog::Dialect;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::file::wire_file;
use super::request::EFFORTS;
use super::types::{WireFormat, WireReasoning, WireText, WireTool};
use crate::dialect::{Encoded, Outgoing};
use crate::hub::{
    CallKind, Effort, Format, ImageSource, LONGEST_ID, Loss, Message, NameRules, Names, Opaque, OpaqueKind,
    Part, Reasoning, ReasoningWish, Request, Role, Thinking, Tool, ToolCall, ToolChoice, ToolKind,
    ToolOutput, legal_id, repair,
};
use crate::json::quoted;
use crate::neutral::is_neutral;

/// How tools may be called.
pub(super) const NAMES: NameRules = NameRules { longest: 64, namespaces: true, custom: true };

/// The least that an answer may be bounded to.
pub(super) const LEAST_OUTPUT: u64 = 16;

/// The tiers of service that are known here.
const TIERS: &[&str] = &["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"];

/// Fields that the older dialect of the same API has under the same name.
const SHARED: &[&str] =
    &["metadata", "safety_identifier", "store", "prompt_cache_retention", "prompt_cache_options"];

/// Writes a request. What the caller did not say stays unsaid, but that nothing is to be stored.
pub(super) fn encode(request: &Request, outgoing: &Outgoing<'_>) -> Encoded {
    let names = Names::of(&request.tools, NAMES);
    let mut body = Body::default();
    body.set("model", quoted(&request.model));
    let repaired = repair(request.messages.clone(), false);
    let mut writer = Writer { names: &names, outgoing, losses: repaired.losses, items: Vec::new() };
    let mut messages = repaired.messages.as_slice();
    if let [first, rest @ ..] = messages
        && !rest.is_empty()
        && let (Role::System, Some(text)) = (first.role, only_text(first))
    {
        body.set("instructions", quoted(&text));
        messages = rest;
    }
    for message in messages {
        writer.message(message);
    }
    let Writer { mut losses, items, .. } = writer;
    let refused = request.nothing_left(!items.is_empty(), false);
    body.set("input", Value::Array(items).to_string());
    body.tools(request, &names, &mut losses);
    body.wishes(request, &mut losses);
    let extras = &request.extras;
    for (key, value) in &extras.fields {
        let shared = extras.origin == Some(Dialect::OpenaiChat) && SHARED.contains(&key.as_str());
        if shared || extras.origin == Some(Dialect::OpenaiResponses) {
            body.set(key, value.to_string());
        } else if !is_neutral(key, value) {
            losses.push(Loss::dropped(key));
        }
    }
    if !body.has("store") {
        body.set("store", "false");
    }
    if request.stream {
        body.set("stream", "true");
    }
    let mut seen = Vec::new();
    losses.retain(|loss| {
        !seen.contains(loss) && {
            seen.push(loss.clone());
            true
        }
    });
    Encoded { body: body.finish(), losses, names, refused }
}

/// The text of a message that is nothing but text.
fn only_text(message: &Message) -> Option<String> {
    let texts: Option<Vec<&str>> = message
        .parts
        .iter()
        .filter(|part| !matches!(part, Part::Breakpoint(_)))
        .map(|part| if let Part::Text(text) = part { Some(text.as_str()) } else { None })
        .collect();
    texts.map(|texts| texts.join("\n\n"))
}

/// A body in the making.
#[derive(Default)]
struct Body {
    fields: Vec<(String, String)>,
}

impl Body {
    fn set(&mut self, key: &str, json: impl Into<String>) {
        self.fields.push((key.to_owned(), json.into()));
    }

    fn has(&self, key: &str) -> bool {
        self.fields.iter().any(|(known, _)| known == key)
    }

    fn finish(self) -> Bytes {
        let fields: Vec<String> =
            self.fields.iter().map(|(key, json)| format!("{}:{json}", quoted(key))).collect();
        format!("{{{}}}", fields.join(",")).into()
    }

    fn tools(&mut self, request: &Request, names: &Names, losses: &mut Vec<Loss>) {
        let tools = wire_tools(&request.tools, names, losses);
        if tools.is_empty() {
            return;
        }
        self.set("tools", format!("[{}]", tools.join(",")));
        let named = |name: &str, namespace: Option<&str>| {
            let custom = request
                .tools
                .iter()
                .any(|tool| tool.name == name && tool.namespace.as_deref() == namespace && is_custom(tool));
            let mut choice = json!({"type": if custom { "custom" } else { "function" }});
            choice["name"] = json!(names.wire(namespace, name));
            if let Some(namespace) = namespace {
                choice["namespace"] = json!(namespace);
            }
            choice
        };
        let choice = request.tool_choice.as_ref().map(|choice| match choice {
            ToolChoice::Auto => json!("auto"),
            ToolChoice::None => json!("none"),
            ToolChoice::Required => json!("required"),
            ToolChoice::Named { name, namespace } => named(name, namespace.as_deref()),
            ToolChoice::Allowed { names, required } => json!({
                "type": "allowed_tools",
                "mode": if *required { "required" } else { "auto" },
                "tools": names.iter().map(|name| named(name, None)).collect::<Vec<_>>(),
            }),
        });
        if let Some(choice) = choice {
            self.set("tool_choice", choice.to_string());
        }
        if let Some(parallel) = request.parallel_tool_calls {
            self.set("parallel_tool_calls", parallel.to_string());
        }
    }

    /// Everything about the answer.
    fn wishes(&mut self, request: &Request, losses: &mut Vec<Loss>) {
        let format = request.format.as_ref().map(wire_format);
        if format.is_some() || request.verbosity.is_some() {
            self.set("text", written(&WireText { format, verbosity: request.verbosity.clone() }));
        }
        let reasoning = wire_reasoning(&request.reasoning);
        let says = reasoning.effort.is_some() || reasoning.summary.is_some();
        let thinks = matches!(request.reasoning.thinking, Some(Thinking::On | Thinking::Adaptive));
        // Also who wants nothing to read of it carries it on to the next turn.
        if says || thinks {
            self.set("include", "[\"reasoning.encrypted_content\"]");
        }
        if says {
            self.set("reasoning", written(&reasoning));
        }
        let text = |text: &Option<String>| text.as_deref().map(quoted);
        let tier = request.service_tier.as_deref();
        if let Some(tier) = tier.filter(|tier| !TIERS.contains(tier)) {
            losses.push(Loss::changed("service_tier", format!("`{tier}` became the default")));
        }
        if let Some(most) = request.max_output.filter(|most| *most < LEAST_OUTPUT) {
            losses.push(Loss::changed("max_output_tokens", format!("`{most}` became `{LEAST_OUTPUT}`")));
        }
        let plain = [
            ("max_output_tokens", request.max_output.map(|most| most.max(LEAST_OUTPUT).to_string())),
            ("temperature", request.temperature.map(|number| json!(number).to_string())),
            ("top_p", request.top_p.map(|number| json!(number).to_string())),
            ("user", text(&request.user)),
            ("prompt_cache_key", text(&request.cache_key)),
            ("service_tier", tier.filter(|tier| TIERS.contains(tier)).map(quoted)),
        ];
        for (key, value) in plain {
            if let Some(value) = value {
                self.set(key, value);
            }
        }
        if !request.stop.is_empty() {
            losses.push(Loss::dropped("stop"));
        }
        if request.top_k.is_some() {
            losses.push(Loss::dropped("top_k"));
        }
    }
}

/// A wire shape as JSON text. Its keys are strings and its numbers finite, so it cannot fail.
fn written(wire: &impl serde::Serialize) -> String {
    serde_json::to_string(wire).unwrap_or_default()
}

fn is_custom(tool: &Tool) -> bool {
    matches!(tool.kind, ToolKind::Custom { .. })
}

/// Tools, neighbours of one namespace together.
fn wire_tools(tools: &[Tool], names: &Names, losses: &mut Vec<Loss>) -> Vec<String> {
    let mut out = Vec::with_capacity(tools.len());
    for run in tools.chunk_by(|a, b| a.namespace == b.namespace) {
        let members: Vec<String> = run.iter().filter_map(|tool| wire_tool(tool, names, losses)).collect();
        match run.first().and_then(|tool| tool.namespace.as_deref()) {
            Some(namespace) if !members.is_empty() => {
                let name = quoted(namespace);
                let members = members.join(",");
                out.push(format!(
                    r#"{{"type":"namespace","name":{name},"description":{name},"tools":[{members}]}}"#
                ));
            }
            _ => out.extend(members),
        }
    }
    out
}

fn wire_tool(tool: &Tool, names: &Names, losses: &mut Vec<Loss>) -> Option<String> {
    if tool.breakpoint.is_some() {
        losses.push(Loss::dropped("cache_control"));
    }
    let mut wire = WireTool {
        name: Some(names.wire(tool.namespace.as_deref(), &tool.name).into_owned()),
        description: tool.description.clone(),
        ..WireTool::default()
    };
    match &tool.kind {
        ToolKind::Function { parameters, strict } => {
            wire.kind = "function".into();
            // The field must be there, also where the caller's dialect takes a tool without.
            wire.parameters = parameters.clone().map(|raw| raw.0).or_else(no_parameters);
            // Unsaid is strict here and was not where the request comes from.
            wire.strict = Some(strict.unwrap_or(false));
        }
        ToolKind::Custom { format } => {
            wire.kind = "custom".into();
            wire.format = format.clone().map(|raw| raw.0);
        }
        ToolKind::Other { origin: Dialect::OpenaiResponses, value } => return Some(value.0.get().to_owned()),
        ToolKind::Other { .. } => {
            losses.push(Loss::dropped(&format!("tools[].{}", tool.name)));
            return None;
        }
    }
    Some(written(&wire))
}

/// The schema of a tool that takes nothing.
fn no_parameters() -> Option<Box<RawValue>> {
    serde_json::value::to_raw_value(&json!({"type": "object", "properties": {}})).ok()
}

fn wire_format(format: &Format) -> WireFormat {
    match format {
        Format::Text => WireFormat { kind: "text".into(), ..WireFormat::default() },
        Format::Json => WireFormat { kind: "json_object".into(), ..WireFormat::default() },
        Format::Schema { name, description, schema, strict } => WireFormat {
            kind: "json_schema".into(),
            name: Some(legal_id(name, NAMES.longest).into_owned()),
            description: description.clone(),
            schema: schema.clone().map(|raw| raw.0),
            strict: Some(strict.unwrap_or(false)),
        },
    }
}

fn wire_reasoning(wish: &ReasoningWish) -> WireReasoning {
    let off = wish.thinking == Some(Thinking::Off);
    let effort = wish.effort.or_else(|| wish.budget.filter(|_| !off).map(of_budget));
    let word = EFFORTS.iter().find(|(_, known)| Some(*known) == effort).map(|(word, _)| (*word).to_owned());
    let summary = match (wish.summary.as_deref(), wish.thinking) {
        (Some(word @ ("auto" | "concise" | "detailed")), _) => Some(word.to_owned()),
        (Some("omitted" | "none"), _) | (_, None | Some(Thinking::Off)) => None,
        (_, Some(Thinking::On | Thinking::Adaptive)) => Some("auto".to_owned()),
    };
    WireReasoning { effort: word, summary, ..WireReasoning::default() }
}

/// The effort that a budget of tokens stands for.
fn of_budget(tokens: u64) -> Effort {
    match tokens {
        0..=1024 => Effort::Low,
        1025..=8192 => Effort::Medium,
        8193..=24_576 => Effort::High,
        _ => Effort::ExtraHigh,
    }
}

/// Writes messages as items.
struct Writer<'a> {
    names: &'a Names,
    outgoing: &'a Outgoing<'a>,
    losses: Vec<Loss>,
    items: Vec<Value>,
}

impl Writer<'_> {
    fn message(&mut self, message: &Message) {
        if message.name.is_some() {
            self.losses.push(Loss::dropped("messages[].name"));
        }
        let mut content = Vec::new();
        for part in &message.parts {
            match part {
                Part::Reasoning(reasoning) => {
                    self.flush(message.role, &mut content);
                    self.reasoning(reasoning);
                }
                Part::ToolCall(call) => {
                    self.flush(message.role, &mut content);
                    self.call(call);
                }
                Part::ToolOutput(output) => {
                    self.flush(message.role, &mut content);
                    self.output(output);
                }
                Part::Other { origin: Dialect::OpenaiResponses, value }
                    if message.role == Role::Assistant =>
                {
                    self.flush(message.role, &mut content);
                    self.items.push(value.clone());
                }
                other => content.extend(self.content(other, message.role == Role::Assistant)),
            }
        }
        self.flush(message.role, &mut content);
        // Reasoning counts only before what came of it.
        while self.items.last().is_some_and(|item| item["type"] == "reasoning") {
            self.items.pop();
            self.losses.push(Loss::dropped("messages[].reasoning"));
        }
    }

    fn flush(&mut self, role: Role, content: &mut Vec<Value>) {
        if content.is_empty() {
            return;
        }
        let role = match role {
            Role::System => "system",
            Role::Developer => "developer",
            Role::User | Role::Tool => "user",
            Role::Assistant => "assistant",
        };
        self.items.push(json!({"type": "message", "role": role, "content": std::mem::take(content)}));
    }

    fn reasoning(&mut self, reasoning: &Reasoning) {
        let own = reasoning.opaque.as_ref().filter(|opaque| {
            opaque.origin == Dialect::OpenaiResponses
                && opaque.kind == OpaqueKind::Encrypted
                && self.outgoing.may_send(opaque)
        });
        let Some(Opaque { id, data, .. }) = own else {
            self.losses.push(Loss::dropped("messages[].reasoning"));
            return;
        };
        let mut item = json!({"type": "reasoning"});
        if let Some(id) = id.as_deref().filter(|id| id.starts_with("rs_") && id.len() <= LONGEST_ID) {
            item["id"] = json!(id);
        }
        let text = reasoning.text.as_str();
        let summary = (!text.is_empty()).then(|| json!({"type": "summary_text", "text": text}));
        item["summary"] = summary.into_iter().collect();
        item["encrypted_content"] = json!(data);
        self.items.push(item);
    }

    fn call(&mut self, call: &ToolCall) {
        let namespace = call.namespace.as_deref();
        let (kind, member) = match call.kind {
            CallKind::Function => ("function_call", "arguments"),
            CallKind::Custom => ("custom_tool_call", "input"),
        };
        let empty = call.arguments.is_empty() && call.kind == CallKind::Function;
        let mut item = json!({
            "type": kind,
            "call_id": legal_id(&call.id, LONGEST_ID),
            "name": self.names.wire(namespace, &call.name),
        });
        item[member] = json!(if empty { "{}" } else { &call.arguments });
        if let Some(namespace) = namespace {
            item["namespace"] = json!(namespace);
        }
        self.items.push(item);
    }

    fn output(&mut self, output: &ToolOutput) {
        let kind = match output.kind {
            CallKind::Function => "function_call_output",
            CallKind::Custom => "custom_tool_call_output",
        };
        let plain = output.content.iter().all(|part| {
            matches!(part, Part::Text(_) | Part::Refusal(_) | Part::ToolReference(_) | Part::Breakpoint(_))
        });
        let value = if plain {
            json!(output.text())
        } else {
            let mut content: Vec<Value> = Vec::new();
            if output.is_error {
                content.push(json!({"type": "input_text", "text": "Error:"}));
            }
            for part in &output.content {
                content.extend(self.content(part, false));
            }
            Value::Array(content)
        };
        self.items.push(json!({
            "type": kind,
            "call_id": legal_id(&output.call_id, LONGEST_ID),
            "output": value,
        }));
    }

    /// A part of content; a document with what was said about it is two.
    fn content(&mut self, part: &Part, of_model: bool) -> impl Iterator<Item = Value> {
        let about = match part {
            Part::Document(document) if !of_model => document.context.as_deref(),
            _ => None,
        };
        let about = about.map(|context| json!({"type": "input_text", "text": context}));
        about.into_iter().chain(self.one(part, of_model))
    }

    /// What the model itself said is called otherwise than what it was told.
    fn one(&mut self, part: &Part, of_model: bool) -> Option<Value> {
        let text_type = if of_model { "output_text" } else { "input_text" };
        match part {
            Part::Text(text) if text.is_empty() => None,
            Part::Text(text) => Some(json!({"type": text_type, "text": text})),
            Part::Refusal(text) if of_model => Some(json!({"type": "refusal", "refusal": text})),
            Part::Refusal(text) => Some(json!({"type": text_type, "text": text})),
            Part::ToolReference(name) => {
                Some(json!({"type": text_type, "text": format!("Tool now available: {name}")}))
            }
            Part::Image { source, detail } if !of_model => {
                let url = match source {
                    ImageSource::Url(url) => url.clone(),
                    ImageSource::Base64 { media_type, data } => format!("data:{media_type};base64,{data}"),
                };
                let mut image = json!({"type": "input_image", "image_url": url});
                image["detail"] = json!(detail.as_deref().unwrap_or("auto"));
                Some(image)
            }
            Part::Document(document) if !of_model => Some(wire_file(document)),
            Part::Audio { format, data } if !of_model => {
                Some(json!({"type": "input_audio", "input_audio": {"data": data, "format": format}}))
            }
            Part::Other { origin: Dialect::OpenaiResponses, value } => Some(value.clone()),
            Part::Breakpoint(_) => {
                self.losses.push(Loss::dropped("cache_control"));
                None
            }
            other => {
                self.losses.push(Loss::dropped(&format!("messages[].content[].{}", name_of(other))));
                None
            }
        }
    }
}

/// What a part is called where it is named as lost.
fn name_of(part: &Part) -> &str {
    match part {
        Part::Image { .. } => "image",
        Part::Document(_) => "document",
        Part::Audio { .. } => "audio",
        Part::Other { value, .. } => value["type"].as_str().unwrap_or("unknown"),
        _ => "part",
    }
}
