//! Requests, from the hub. What one provider takes and another refuses is not known here: everything that the
//! dialect has a word for is written, and the provider's quirks take out what it does not want.

use std::borrow::Cow;
use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hr_core::catalog::Dialect;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::request::EFFORTS;
use super::types::{WireCall, WireFormat, WireMessage, WireSchema, WireTool, WireToolFunction};
use crate::dialect::{Encoded, Outgoing};
use crate::envelope::{Edit, Envelope};
use crate::hub::names::INPUT;
use crate::hub::{
    CallKind, Document, DocumentSource, Effort, Fingerprint, Format, ImageSource, LONGEST_ID, Loss, Message,
    NameRules, Names, Opaque, OpaqueKind, Part, RawJson, Reasoning, ReasoningWish, Repaired, Request, Role,
    Thinking, Tool, ToolCall, ToolChoice, ToolKind, ToolOutput, legal_id, repair,
};

const RULES: NameRules = NameRules { longest: 64, namespaces: false, custom: false };

/// The most tools that a request may hold. Beyond it, deferred ones that nobody found are left out.
const MAX_TOOLS: usize = 128;
/// The most stop words.
const MAX_STOPS: usize = 4;
/// The longest name of an end user that is sent as it is.
const LONGEST_USER: usize = 64;
/// What stands for a result that says nothing: several servers refuse an empty one.
const NO_OUTPUT: &str = "(no output)";
/// What stands where something of a result can only be shown below it.
const BELOW: &str = "[attached below]";

/// Writes a request. What the caller did not say stays unsaid.
#[must_use]
pub(super) fn encode(request: &Request, outgoing: &Outgoing<'_>) -> Encoded {
    let Repaired { messages, losses } = repair(request.messages.clone(), false);
    let mut writer = Writer { outgoing, names: Names::of(&request.tools, RULES), losses };
    let messages = writer.messages(messages);
    let tools = writer.tools(request);
    let mut fields: Vec<(&str, String)> =
        vec![("model", Value::from(request.model.as_str()).to_string()), ("messages", written(&messages))];
    if !tools.is_empty() {
        fields.push(("tools", written(&tools)));
        let choice = request.tool_choice.as_ref().map(|choice| writer.choice(choice).to_string());
        fields.extend(choice.map(|choice| ("tool_choice", choice)));
        let parallel = request.parallel_tool_calls.map(|parallel| parallel.to_string());
        fields.extend(parallel.map(|parallel| ("parallel_tool_calls", parallel)));
    }
    fields.extend(request.format.as_ref().map(|format| ("response_format", written(&wire_format(format)))));
    let plain = [
        ("verbosity", request.verbosity.as_deref().map(Value::from)),
        ("reasoning_effort", effort(&request.reasoning).map(Value::from)),
        ("max_completion_tokens", request.max_output.map(Value::from)),
        ("temperature", request.temperature.map(Value::from)),
        ("top_p", request.top_p.map(Value::from)),
        ("top_k", request.top_k.map(Value::from)),
        ("stop", writer.stop(request)),
        ("user", request.user.as_deref().map(|user| Value::from(&*pseudonym(user)))),
        (
            "prompt_cache_key",
            request.cache_key.as_deref().map(|key| Value::from(&*legal_id(key, LONGEST_ID))),
        ),
        ("service_tier", writer.tier(request.service_tier.as_deref())),
        ("stream", outgoing.stream.then(|| Value::from(true))),
        (
            "stream_options",
            (outgoing.stream && request.include_usage).then(|| json!({"include_usage": true})),
        ),
    ];
    fields.extend(plain.into_iter().filter_map(|(key, value)| Some((key, value?.to_string()))));
    match request.extras.for_dialect(Dialect::OpenaiChat) {
        Some(ours) => fields.extend(ours.iter().map(|(key, value)| (key.as_str(), value.to_string()))),
        None => writer.losses.extend(request.extras.fields.keys().map(|key| Loss::dropped(key))),
    }
    Encoded { body: body(&fields), losses: writer.losses, names: writer.names }
}

fn body(fields: &[(&str, String)]) -> Bytes {
    let Ok(empty) = Envelope::read(Bytes::from_static(b"{}")) else { return Bytes::new() };
    let edits: Vec<Edit<'_>> =
        fields.iter().map(|(key, value)| Edit::Set { key, value_json: Cow::from(value) }).collect();
    empty.splice(&edits)
}

/// A wire shape as JSON text. Its keys are strings and its numbers finite, so it cannot fail.
fn written(wire: &impl serde::Serialize) -> String {
    serde_json::to_string(wire).unwrap_or_default()
}

/// A request being written.
struct Writer<'a> {
    outgoing: &'a Outgoing<'a>,
    names: Names,
    losses: Vec<Loss>,
}

impl Writer<'_> {
    fn lose(&mut self, loss: Loss) {
        if !self.losses.contains(&loss) {
            self.losses.push(loss);
        }
    }

    fn messages(&mut self, messages: Vec<Message>) -> Vec<WireMessage> {
        let mut wires: Vec<WireMessage> = Vec::with_capacity(messages.len());
        // What results show that only a user may show here; it follows the last result of its group.
        let mut shown: Vec<Value> = Vec::new();
        let mut begun = false;
        for mut message in messages {
            let is_system = matches!(message.role, Role::System | Role::Developer);
            if is_system && begun {
                self.lose(Loss::changed("messages[].role", "later instructions became words of the user"));
                remind(&mut message);
            }
            begun |= !is_system;
            match message.role {
                Role::Tool => {
                    wires.push(self.result(message, &mut shown));
                    continue;
                }
                Role::System | Role::Developer => {
                    let text = texts(&message, "\n\n");
                    self.lose_others(&message, |part| matches!(part, Part::Text(_)));
                    match wires.last_mut() {
                        Some(WireMessage { content: Some(Value::String(whole)), .. }) => {
                            whole.push_str("\n\n");
                            whole.push_str(&text);
                        }
                        _ => wires.push(self.wire(&message, Some(Value::String(text)))),
                    }
                    continue;
                }
                Role::Assistant => {
                    flush(&mut wires, &mut shown);
                    let wire = self.assistant(message);
                    wires.extend(wire);
                }
                Role::User => {
                    let mut content = std::mem::take(&mut shown);
                    content.extend(message.parts.iter().filter_map(|part| self.part(part)));
                    match wires.last_mut().filter(|last| is_system_to_user(&message, last)) {
                        Some(last) => join(last, content),
                        None => {
                            let wire = self.wire(&message, Some(joined(content)));
                            wires.push(wire);
                        }
                    }
                }
            }
        }
        flush(&mut wires, &mut shown);
        wires
    }

    /// A message of this role, speaker and origin, with this content.
    fn wire(&mut self, message: &Message, content: Option<Value>) -> WireMessage {
        let role = match message.role {
            Role::System => "system",
            Role::Developer => "developer",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        };
        let rest = match message.extras.for_dialect(Dialect::OpenaiChat) {
            Some(ours) => ours.clone(),
            None => {
                for key in message.extras.fields.keys() {
                    self.lose(Loss::dropped(&format!("messages[].{key}")));
                }
                Map::new()
            }
        };
        WireMessage {
            role: role.into(),
            content,
            name: message.name.clone(),
            refusal: None,
            reasoning_content: None,
            reasoning: None,
            tool_calls: None,
            function_call: None,
            tool_call_id: None,
            rest,
        }
    }

    fn assistant(&mut self, message: Message) -> Option<WireMessage> {
        let text = texts(&message, "\n");
        let mut wire = self.wire(&message, None);
        let mut thoughts: Vec<&str> = Vec::new();
        for part in &message.parts {
            match part {
                Part::Text(_) | Part::Breakpoint(_) => {}
                Part::Refusal(text) => wire.refusal.get_or_insert_default().push_str(text),
                Part::Reasoning(Reasoning { text, opaque }) => {
                    if opaque.is_some() {
                        self.lose(Loss::dropped("messages[].reasoning"));
                    }
                    thoughts.push(text);
                }
                Part::ToolCall(call) => {
                    let call = self.call(call);
                    wire.tool_calls.get_or_insert_default().push(call);
                }
                other => self.lose_part(other),
            }
        }
        thoughts.retain(|thought| !thought.is_empty());
        wire.reasoning_content = (!thoughts.is_empty()).then(|| thoughts.join("\n"));
        let says = !text.is_empty();
        let stands = wire.tool_calls.is_some() || wire.refusal.is_some();
        wire.content = if says { Some(text.into()) } else { stands.then_some(Value::Null) };
        // Reasoning that cannot be shown is no message.
        (says || stands || wire.reasoning_content.is_some() || !wire.rest.is_empty()).then_some(wire)
    }

    fn call(&mut self, call: &ToolCall) -> WireCall {
        let name = self.names.wire(call.namespace.as_deref(), &call.name);
        let arguments = self.names.arguments(call.kind, &call.arguments);
        let arguments = if arguments.trim().is_empty() { Cow::Borrowed("{}") } else { arguments };
        let known = ToolCall {
            id: legal_id(&call.id, LONGEST_ID).into_owned(),
            kind: CallKind::Function,
            ..ToolCall::default()
        };
        let ours = call.opaque.as_ref().filter(|opaque| self.outgoing.may_send(opaque) && is_beside(opaque));
        let wire = WireCall::of(&known, &name, &arguments, ours);
        if call.opaque.is_some() && ours.is_none() {
            self.lose(Loss::dropped("messages[].tool_calls[].extra_content"));
        }
        wire
    }

    fn result(&mut self, message: Message, shown: &mut Vec<Value>) -> WireMessage {
        let mut wire = self.wire(&message, None);
        for part in &message.parts {
            let Part::ToolOutput(output) = part else { continue };
            let id = legal_id(&output.call_id, LONGEST_ID).into_owned();
            wire.content = Some(self.output(output, &id, shown).into());
            wire.tool_call_id = Some(id);
        }
        wire
    }

    /// A result as text; what is no text is put among what is shown below.
    fn output(&mut self, output: &ToolOutput, id: &str, shown: &mut Vec<Value>) -> String {
        let mut text = output.text();
        let mut add = |line: &str| {
            text.push_str(if text.is_empty() { "" } else { "\n" });
            text.push_str(line);
        };
        let mut below = Vec::new();
        for part in &output.content {
            match part {
                Part::Text(_) | Part::Refusal(_) | Part::ToolReference(_) | Part::Breakpoint(_) => {}
                Part::Document(document) if written_out(document).is_some() => {
                    add(&written_out(document).unwrap_or_default());
                }
                other => below.extend(self.part(other)),
            }
        }
        if !below.is_empty() {
            add(BELOW);
            shown.push(json!({"type": "text", "text": format!("[from tool call {id}]")}));
            shown.append(&mut below);
        }
        if text.is_empty() { NO_OUTPUT.to_owned() } else { text }
    }

    fn part(&mut self, part: &Part) -> Option<Value> {
        match part {
            Part::Text(text) | Part::Refusal(text) => Some(json!({"type": "text", "text": text})),
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
            Part::Audio { format, data } => {
                Some(json!({"type": "input_audio", "input_audio": {"data": data, "format": format}}))
            }
            Part::Document(document) => Some(self.document(document)),
            Part::Other { origin: Dialect::OpenaiChat, value } => Some(value.clone()),
            Part::Breakpoint(_) => None,
            other => {
                self.lose_part(other);
                None
            }
        }
    }

    fn document(&mut self, document: &Document) -> Value {
        if let Some(text) = written_out(document) {
            return json!({"type": "text", "text": text});
        }
        match &document.source {
            DocumentSource::Base64 { media_type, data } => {
                let name = document.title.as_deref().unwrap_or("document.pdf");
                let data = format!("data:{media_type};base64,{data}");
                json!({"type": "file", "file": {"filename": name, "file_data": data}})
            }
            DocumentSource::File(id) => json!({"type": "file", "file": {"file_id": id}}),
            DocumentSource::Url(url) => {
                self.lose(Loss::changed("messages[].content[].document", "its address was sent as text"));
                json!({"type": "text", "text": format!("[document at {url}]")})
            }
            // Written out above.
            DocumentSource::Text(text) => json!({"type": "text", "text": text}),
        }
    }

    fn lose_others(&mut self, message: &Message, kept: impl Fn(&Part) -> bool) {
        for part in message.parts.iter().filter(|part| !kept(part)) {
            self.lose_part(part);
        }
    }

    /// Names a part that has no place where it stands.
    fn lose_part(&mut self, part: &Part) {
        let what = match part {
            Part::Image { .. } => "image",
            Part::Document(_) => "document",
            Part::Audio { .. } => "audio",
            Part::Other { value, .. } => value["type"].as_str().unwrap_or("part"),
            _ => return,
        };
        let loss = Loss::dropped(&format!("messages[].content[].{what}"));
        self.lose(loss);
    }

    fn tools(&mut self, request: &Request) -> Vec<WireItem> {
        let mut seen = BTreeSet::new();
        let mut tools: Vec<&Tool> = request.tools.iter().collect();
        if let Some(ToolChoice::Allowed { names, .. }) = &request.tool_choice {
            tools.retain(|tool| names.contains(&tool.name));
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
                    function(name, Some(free_text(tool, format.as_ref())), schema_of_text(), None)
                }
            };
            items.push(item);
        }
        items
    }

    fn choice(&self, choice: &ToolChoice) -> Value {
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

    fn stop(&mut self, request: &Request) -> Option<Value> {
        if request.stop.len() > MAX_STOPS {
            self.lose(Loss::dropped("stop[4..]"));
        }
        let words: Vec<&String> = request.stop.iter().take(MAX_STOPS).collect();
        (!words.is_empty()).then(|| json!(words))
    }

    /// The tier in the words of this dialect.
    fn tier(&mut self, tier: Option<&str>) -> Option<Value> {
        match tier? {
            word @ ("auto" | "default" | "flex" | "priority" | "scale") => Some(word.into()),
            "standard_only" => Some("default".into()),
            _ => {
                self.lose(Loss::dropped("service_tier"));
                None
            }
        }
    }
}

/// A tool on the wire: ours, or a provider's own as it came.
#[derive(serde::Serialize)]
#[serde(untagged)]
enum WireItem {
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

/// What a tool of free text is for, with its grammar.
fn free_text(tool: &Tool, format: Option<&RawJson>) -> String {
    let mut words = tool.description.clone().unwrap_or_default();
    let format = format.and_then(|format| serde_json::from_str::<Value>(format.0.get()).ok());
    let grammar = format.as_ref().map(|format| match format.get("grammar") {
        Some(inner) if inner.is_object() => inner,
        _ => format,
    });
    if let Some(definition) = grammar.and_then(|grammar| grammar["definition"].as_str()) {
        let syntax = grammar.and_then(|grammar| grammar["syntax"].as_str()).unwrap_or("given");
        words.push_str(if words.is_empty() { "" } else { "\n\n" });
        words.push_str(&format!("`{INPUT}` must follow this {syntax} grammar:\n{definition}"));
    }
    words
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

/// Instructions within a conversation as words of the user, in their place: few servers take them there, and
/// in front they would change the beginning of every later request.
fn remind(message: &mut Message) {
    let text = texts(message, "\n\n");
    message.role = Role::User;
    message.parts.retain(|part| !matches!(part, Part::Text(_)));
    message.parts.insert(0, Part::Text(format!("<system-reminder>\n{text}\n</system-reminder>")));
}

/// The text of a message.
fn texts(message: &Message, between: &str) -> String {
    let texts: Vec<&str> = message
        .parts
        .iter()
        .filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    texts.join(between)
}

/// Whether a message of the user may join the one before it.
fn is_system_to_user(message: &Message, last: &WireMessage) -> bool {
    last.role == "user"
        && last.name == message.name
        && last.rest.is_empty()
        && message.extras.fields.is_empty()
}

/// Adds content to a message of the user.
fn join(last: &mut WireMessage, mut content: Vec<Value>) {
    let mut parts = match last.content.take() {
        Some(Value::Array(parts)) => parts,
        Some(Value::String(text)) => vec![json!({"type": "text", "text": text})],
        _ => Vec::new(),
    };
    parts.append(&mut content);
    last.content = Some(joined(parts));
}

/// Content that is nothing but text as one string: every server takes that.
fn joined(parts: Vec<Value>) -> Value {
    let texts: Option<Vec<&str>> =
        parts.iter().map(|part| part["text"].as_str().filter(|_| part["type"] == "text")).collect();
    match texts {
        Some(texts) => Value::from(texts.join("\n")),
        None => Value::Array(parts),
    }
}

/// What results show, as a message of the user after the last of them.
fn flush(wires: &mut Vec<WireMessage>, shown: &mut Vec<Value>) {
    if shown.is_empty() {
        return;
    }
    wires.push(WireMessage {
        role: "user".into(),
        content: Some(Value::Array(std::mem::take(shown))),
        name: None,
        refusal: None,
        reasoning_content: None,
        reasoning: None,
        tool_calls: None,
        function_call: None,
        tool_call_id: None,
        rest: Map::new(),
    });
}

/// A document that is text, with its title and what was said about it.
fn written_out(document: &Document) -> Option<String> {
    let body = match &document.source {
        DocumentSource::Text(text) => Cow::Borrowed(text.as_str()),
        DocumentSource::Base64 { media_type, data } if media_type.starts_with("text/") => {
            Cow::Owned(String::from_utf8(STANDARD.decode(data).ok()?).ok()?)
        }
        _ => return None,
    };
    let before = [document.title.as_deref(), document.context.as_deref()].into_iter().flatten();
    let lines: Vec<&str> = before.chain([&*body]).collect();
    Some(lines.join("\n"))
}

fn is_beside(opaque: &Opaque) -> bool {
    opaque.origin == Dialect::OpenaiChat && opaque.kind == OpaqueKind::Beside
}

/// The effort in the word of this dialect. A budget is as good as an effort; thinking that is switched off or
/// left to the model says nothing.
fn effort(wish: &ReasoningWish) -> Option<&'static str> {
    let of_budget = |budget: u64| match budget {
        0..=1024 => Effort::Low,
        1025..=8192 => Effort::Medium,
        8193..=24_576 => Effort::High,
        _ => Effort::ExtraHigh,
    };
    let wanted = match (wish.thinking, wish.effort) {
        (Some(Thinking::Off), effort) => effort.filter(|effort| *effort == Effort::None)?,
        (_, Some(effort)) => effort,
        (Some(Thinking::On), None) => wish.budget.map_or(Effort::Medium, of_budget),
        (_, None) => of_budget(wish.budget?),
    };
    EFFORTS.iter().find(|(_, effort)| *effort == wanted).map(|(word, _)| *word)
}

/// Who the end user is, without what others should not know: some clients write whole records there.
fn pseudonym(user: &str) -> Cow<'_, str> {
    let plain = |letter: char| letter.is_alphanumeric() || "_-.@:|".contains(letter);
    if user.len() <= LONGEST_USER && user.chars().all(plain) {
        return Cow::Borrowed(user);
    }
    Cow::Owned(format!("user_{:016x}", Fingerprint::of(user).0))
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
