//! The messages of a request, as most servers take them: one message of instructions in front, text as one
//! string, results as text, and what a result shows in the words of the user below it.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hr_core::catalog::Dialect;
use serde_json::{Map, Value, json};

use super::Writer;
use crate::hub::{
    CallKind, Document, DocumentSource, ImageSource, LONGEST_ID, Loss, Message, Opaque, OpaqueKind, Part,
    Reasoning, Role, ToolCall, ToolOutput, legal_id,
};
use crate::openai_chat::types::{WireCall, WireMessage};

/// What stands for a result that says nothing: several servers refuse an empty one.
const NO_OUTPUT: &str = "(no output)";
/// What stands where something of a result can only be shown below it.
const BELOW: &str = "[attached below]";
/// What stands for a message of which nothing could be carried.
const OMITTED: &str = "[omitted]";

impl Writer<'_> {
    pub(super) fn messages(&mut self, messages: Vec<Message>) -> Vec<WireMessage> {
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
                    content.extend(message.parts.iter().flat_map(|part| self.part(part)));
                    match wires.last_mut().filter(|last| may_join(&message, last)) {
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

    /// A part of content; a document with what was said about it is two.
    fn part(&mut self, part: &Part) -> Vec<Value> {
        let about = match part {
            Part::Document(document) if written_out(document).is_none() => document.context.as_deref(),
            _ => None,
        };
        let about = about.map(|context| json!({"type": "text", "text": context}));
        about.into_iter().chain(self.one(part)).collect()
    }

    fn one(&mut self, part: &Part) -> Option<Value> {
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
fn may_join(message: &Message, last: &WireMessage) -> bool {
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
    if parts.is_empty() {
        return Value::from(OMITTED);
    }
    let texts: Option<Vec<&str>> =
        parts.iter().map(|part| part["text"].as_str().filter(|_| part["type"] == "text")).collect();
    match texts {
        Some(texts) => Value::from(texts.join("\n")),
        None => Value::Array(parts),
    }
}

/// Whether a message only holds the place of one of which nothing could be carried.
pub(super) fn says_nothing(wire: &WireMessage) -> bool {
    wire.role == "user" && wire.content.as_ref().is_some_and(|content| content == OMITTED)
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
