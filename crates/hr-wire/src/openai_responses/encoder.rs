//! Hub events as a stream of this dialect, in the grammar that strict clients need.
//!
//! An item is closed only when the next one begins or the reply has ended: not before is it known whether it
//! was cut. Nothing that was cut is ever called complete.

use std::sync::Arc;

use bytes::Bytes;
use hr_core::catalog::Dialect;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::error;
use super::response::{self, State};
use super::types::wire_usage;
use crate::dialect::{Echo, Encode};
use crate::hub::{CallKind, Event, Finish, FinishKind, Opaque, OpaqueKind, Start, carrier};
use crate::refusal::Refusal;
use crate::sse;

/// The most bytes of a reply: all of it is told once more at its end.
const MAX_REPLY: usize = 64 * 1024 * 1024;

/// The arguments of a call without any.
const NO_ARGUMENTS: &str = "{}";

/// Writes hub events as events of this dialect.
#[derive(Debug)]
pub struct Encoder {
    echo: Arc<Echo>,
    id: String,
    model: String,
    created: u64,
    sequence: u64,
    begun: bool,
    blocks: Vec<Block>,
    /// The items that are out, whole, as JSON text, and their places, in whose order they stand.
    items: Vec<String>,
    places: Vec<usize>,
    /// How many items were opened.
    opened: usize,
    /// How many bytes were said in them.
    said: usize,
    finish: Option<Finish>,
    usage: Option<String>,
    reply: Option<String>,
    /// The response that failed, when it did.
    failed: Option<String>,
    ended: bool,
    /// Whether only the whole reply is wanted, and no events on the way there.
    silent: bool,
}

/// A block, and the item that it became.
#[derive(Debug)]
struct Block {
    start: Start,
    /// The id of its item and the item's place, once it is open.
    item: Option<(String, usize)>,
    text: String,
    opaque: Option<Opaque>,
    /// Whether nothing more comes.
    ended: bool,
    closed: bool,
}

/// Whether a block was said to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Whole,
    Cut,
}

impl Ending {
    fn status(self) -> &'static str {
        match self {
            Self::Whole => "completed",
            Self::Cut => "incomplete",
        }
    }
}

/// The id of a response that this router makes up.
pub(super) fn response_id(echo: &Echo) -> String {
    format!("resp_{:016x}{:016x}", echo.nonce, echo.now)
}

impl Encoder {
    /// An encoder for the reply to this request.
    #[must_use]
    pub fn new(echo: Arc<Echo>) -> Self {
        Self {
            id: response_id(&echo),
            model: echo.model.clone(),
            created: echo.now,
            sequence: 0,
            begun: false,
            blocks: Vec::new(),
            items: Vec::new(),
            places: Vec::new(),
            opened: 0,
            said: 0,
            finish: None,
            usage: None,
            reply: None,
            failed: None,
            ended: false,
            silent: false,
            echo,
        }
    }

    /// An encoder for the reply to this request that writes no events: only the whole of it is wanted.
    #[must_use]
    pub fn silent(echo: Arc<Echo>) -> Self {
        Self { silent: true, ..Self::new(echo) }
    }

    fn event(&mut self, kind: &str, mut fields: Value, out: &mut Vec<u8>) {
        if self.silent {
            return;
        }
        fields["type"] = json!(kind);
        fields["sequence_number"] = json!(self.sequence);
        self.sequence += 1;
        // A value tree can be written.
        sse::encode(out, Some(kind), &serde_json::to_vec(&fields).unwrap_or_default());
    }

    /// An event about the whole response.
    fn lifecycle(&mut self, kind: &str, response: &str, out: &mut Vec<u8>) {
        if self.silent {
            return;
        }
        lifecycle(kind, self.sequence, response, out);
        self.sequence += 1;
    }

    fn response(&self, status: &str, incomplete: Option<&str>, error: Option<(&str, &str)>) -> String {
        let state = State {
            id: &self.id,
            model: &self.model,
            created: self.created,
            status,
            items: &self.items,
            usage: self.usage.as_deref(),
            incomplete,
            error,
        };
        response::write(&state, &self.echo)
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if self.begun {
            return;
        }
        self.begun = true;
        // Signs of life may have begun the stream already.
        self.sequence = self.echo.signs.count();
        if self.sequence == 0 && !self.silent {
            let response = self.response("in_progress", None, None);
            self.lifecycle("response.created", &response, out);
            self.lifecycle("response.in_progress", &response, out);
        }
    }

    fn item_id(&self, prefix: &str, place: usize) -> String {
        format!("{prefix}_{:016x}{:016x}{place:04x}", self.echo.nonce, self.echo.now)
    }

    /// Opens the item of a block, once there is something to say in it.
    fn open(&mut self, number: usize, out: &mut Vec<u8>) {
        let Some(block) = self.blocks.get(number) else { return };
        if block.item.is_some() {
            return;
        }
        // The response begins with its first item, not sooner: until then signs of life may begin it.
        self.begin(out);
        let Some(block) = self.blocks.get(number) else { return };
        let place = self.opened;
        let prefix = match &block.start {
            Start::Text | Start::Refusal => "msg",
            Start::Reasoning => "rs",
            Start::ToolCall { kind: CallKind::Function, .. } => "fc",
            Start::ToolCall { kind: CallKind::Custom, .. } => "ctc",
            Start::Other { .. } => "item",
        };
        let id = self.item_id(prefix, place);
        let item = match &block.start {
            Start::Text | Start::Refusal => {
                json!({"id": id, "type": "message", "status": "in_progress", "role": "assistant", "content": []})
            }
            Start::Reasoning => json!({"id": id, "type": "reasoning", "summary": []}),
            Start::ToolCall { .. } => call(block, &id, "", "in_progress"),
            Start::Other { value, .. } => value.clone(),
        };
        let part = match &block.start {
            Start::Text => Some((
                "content",
                json!({"type": "output_text", "text": "", "annotations": [], "logprobs": []}),
            )),
            Start::Refusal => Some(("content", json!({"type": "refusal", "refusal": ""}))),
            _ => None,
        };
        self.opened += 1;
        self.blocks[number].item = Some((id.clone(), place));
        self.event("response.output_item.added", json!({"output_index": place, "item": item}), out);
        if let Some((kind, part)) = part {
            let fields = json!({"item_id": id, "output_index": place, "content_index": 0, "part": part});
            self.event(&format!("response.{kind}_part.added"), fields, out);
        }
    }

    fn more(&mut self, number: usize, text: &str, out: &mut Vec<u8>) {
        let Some(block) = self.blocks.get(number) else { return };
        if text.is_empty() || block.closed || matches!(block.start, Start::Other { .. }) {
            return;
        }
        let first = block.text.is_empty();
        self.said = self.said.saturating_add(text.len());
        if self.said > MAX_REPLY {
            return;
        }
        self.open(number, out);
        let Some(block) = self.blocks.get_mut(number) else { return };
        block.text.push_str(text);
        let Some((id, place)) = block.item.clone() else { return };
        let at = json!({"item_id": id, "output_index": place});
        let (kind, index) = match &block.start {
            Start::Text => ("response.output_text.delta", Some("content_index")),
            Start::Refusal => ("response.refusal.delta", Some("content_index")),
            Start::Reasoning => ("response.reasoning_summary_text.delta", Some("summary_index")),
            Start::ToolCall { kind: CallKind::Function, .. } => {
                ("response.function_call_arguments.delta", None)
            }
            Start::ToolCall { kind: CallKind::Custom, .. } => ("response.custom_tool_call_input.delta", None),
            Start::Other { .. } => return,
        };
        let (is_text, is_reasoning) = (block.start == Start::Text, block.start == Start::Reasoning);
        let mut fields = at;
        if let Some(index) = index {
            fields[index] = json!(0);
        }
        if is_reasoning && first {
            let mut part = fields.clone();
            part["part"] = json!({"type": "summary_text", "text": ""});
            self.event("response.reasoning_summary_part.added", part, out);
        }
        fields["delta"] = json!(text);
        if is_text {
            fields["logprobs"] = json!([]);
        }
        self.event(kind, fields, out);
    }

    /// Closes all blocks of which nothing more comes, in order.
    fn close_ended(&mut self, out: &mut Vec<u8>) {
        for number in 0..self.blocks.len() {
            if self.blocks[number].ended {
                self.close(number, Ending::Whole, out);
            }
        }
    }

    /// Closes the item of a block.
    fn close(&mut self, number: usize, ending: Ending, out: &mut Vec<u8>) {
        let Some(block) = self.blocks.get(number) else { return };
        if block.closed {
            return;
        }
        if matches!(block.start, Start::Reasoning) && block.opaque.is_some() {
            self.open(number, out);
        }
        let block = &self.blocks[number];
        let takes_json = matches!(block.start, Start::ToolCall { kind: CallKind::Function, .. });
        if takes_json && block.text.is_empty() && ending == Ending::Whole {
            // The pieces of arguments, put together, are the arguments.
            self.more(number, NO_ARGUMENTS, out);
        }
        let block = &mut self.blocks[number];
        block.closed = true;
        let Some((id, place)) = block.item.clone() else { return };
        let text = std::mem::take(&mut block.text);
        let block = &self.blocks[number];
        let at = |index: &str, key: &str, value: Value| {
            let mut fields = json!({"item_id": id, "output_index": place});
            if !index.is_empty() {
                fields[index] = json!(0);
            }
            fields[key] = value;
            fields
        };
        let mut events: Vec<(&str, Value)> = Vec::new();
        let item = match &block.start {
            Start::Text | Start::Refusal => {
                let part = if block.start == Start::Text {
                    let mut done = at("content_index", "text", json!(text));
                    done["logprobs"] = json!([]);
                    events.push(("response.output_text.done", done));
                    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
                } else {
                    events.push(("response.refusal.done", at("content_index", "refusal", json!(text))));
                    json!({"type": "refusal", "refusal": text})
                };
                events.push(("response.content_part.done", at("content_index", "part", part.clone())));
                json!({
                    "id": id, "type": "message", "status": ending.status(), "role": "assistant",
                    "content": [part],
                })
            }
            Start::Reasoning => {
                let part = json!({"type": "summary_text", "text": text});
                let mut summary = Vec::new();
                if !text.is_empty() {
                    let done = at("summary_index", "text", json!(text));
                    events.push(("response.reasoning_summary_text.done", done));
                    events.push((
                        "response.reasoning_summary_part.done",
                        at("summary_index", "part", part.clone()),
                    ));
                    summary.push(part);
                }
                let own = block.opaque.as_ref().filter(|opaque| {
                    opaque.origin == Dialect::OpenaiResponses && opaque.kind == OpaqueKind::Encrypted
                });
                let blob = match own {
                    Some(opaque) => opaque.data.clone(),
                    None => carrier::carry(block.opaque.as_ref()),
                };
                json!({"id": id, "type": "reasoning", "summary": summary, "encrypted_content": blob})
            }
            Start::ToolCall { kind: CallKind::Function, name, .. } => {
                let mut done = at("", "arguments", json!(text));
                done["name"] = json!(name);
                if ending == Ending::Whole {
                    events.push(("response.function_call_arguments.done", done));
                }
                call(block, &id, &text, ending.status())
            }
            Start::ToolCall { kind: CallKind::Custom, .. } => {
                if ending == Ending::Whole {
                    events.push(("response.custom_tool_call_input.done", at("", "input", json!(text))));
                }
                call(block, &id, &text, ending.status())
            }
            Start::Other { value, .. } => value.clone(),
        };
        for (kind, fields) in events {
            self.event(kind, fields, out);
        }
        // Of calls that go on side by side, one that began later may be whole sooner.
        let at = self.places.partition_point(|known| *known < place);
        self.places.insert(at, place);
        self.items.insert(at, item.to_string());
        self.event("response.output_item.done", json!({"output_index": place, "item": item}), out);
    }

    /// Closes what is still open at the end; false when something is not whole that should be.
    fn close_all(&mut self, out: &mut Vec<u8>) -> bool {
        let kind = self.finish.as_ref().map(Finish::kind);
        let cut = matches!(kind, Some(FinishKind::Length | FinishKind::ContentFilter));
        let last = self.blocks.len().saturating_sub(1);
        let mut sound = true;
        for number in 0..self.blocks.len() {
            let block = &self.blocks[number];
            if block.closed {
                continue;
            }
            let ending = match &block.start {
                Start::ToolCall { kind: CallKind::Function, .. } if !is_json(&block.text) => Ending::Cut,
                Start::ToolCall { kind: CallKind::Custom, .. } if cut => Ending::Cut,
                Start::Text | Start::Refusal if cut && number == last => Ending::Cut,
                _ => Ending::Whole,
            };
            let call = matches!(block.start, Start::ToolCall { .. });
            if call && ending == Ending::Cut && !cut {
                // A call that nobody cut and nobody can read. It is left open: the response has failed.
                sound = false;
                continue;
            }
            self.close(number, ending, out);
        }
        sound
    }

    /// The whole reply, once it has ended: also one that failed.
    #[must_use]
    pub fn whole(mut self) -> Bytes {
        self.reply.take().or(self.failed.take()).unwrap_or_default().into()
    }

    fn failed(&mut self, code: &str, message: &str, refusal: &Refusal<'_>, out: &mut Vec<u8>) {
        self.begin(out);
        self.ended = true;
        let response = self.response("failed", None, Some((code, message)));
        error::write_failure(refusal, self.sequence, &response, out);
        self.sequence += 2;
        self.failed = Some(response);
    }
}

/// Writes an event about a whole response.
pub(super) fn lifecycle(kind: &str, sequence: u64, response: &str, out: &mut Vec<u8>) {
    let data = format!(r#"{{"type":"{kind}","sequence_number":{sequence},"response":{response}}}"#);
    sse::encode(out, Some(kind), data.as_bytes());
}

/// The item of a call.
fn call(block: &Block, id: &str, input: &str, status: &str) -> Value {
    let Start::ToolCall { id: call_id, name, namespace, kind } = &block.start else { return Value::Null };
    let (kind, member) = match kind {
        CallKind::Function => ("function_call", "arguments"),
        CallKind::Custom => ("custom_tool_call", "input"),
    };
    let mut item = json!({"id": id, "type": kind, "status": status, "call_id": call_id, "name": name});
    if let Some(namespace) = namespace {
        item["namespace"] = json!(namespace);
    }
    item[member] = json!(input);
    item
}

/// Whether arguments are whole. None at all stand for none.
fn is_json(arguments: &str) -> bool {
    arguments.is_empty() || serde_json::from_str::<IgnoredAny>(arguments).is_ok()
}

impl Encode for Encoder {
    fn push(&mut self, event: &Event, out: &mut Vec<u8>) {
        match event {
            Event::Begin { model, created, .. } => {
                if !model.is_empty() {
                    self.model.clone_from(model);
                }
                if *created > 0 {
                    self.created = *created;
                }
            }
            Event::Start { start, .. } => {
                self.close_ended(out);
                self.blocks.push(Block {
                    start: start.clone(),
                    item: None,
                    text: String::new(),
                    opaque: None,
                    ended: false,
                    closed: false,
                });
                let number = self.blocks.len() - 1;
                match start {
                    Start::ToolCall { .. } => self.open(number, out),
                    Start::Other { origin: Dialect::OpenaiResponses, .. } => {
                        self.open(number, out);
                        self.close(number, Ending::Whole, out);
                    }
                    _ => {}
                }
            }
            Event::Delta { block, text } => self.more(*block, text, out),
            Event::Opaque { block, opaque } => {
                if let Some(block) = self.blocks.get_mut(*block) {
                    block.opaque = Some(opaque.clone());
                }
            }
            Event::End { block } => {
                if let Some(block) = self.blocks.get_mut(*block) {
                    block.ended = true;
                }
            }
            Event::Finish(finish) => self.finish = Some(finish.clone()),
            Event::Usage(usage) => self.usage = Some(wire_usage(*usage).to_string()),
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        self.begin(out);
        if self.said > MAX_REPLY {
            let words = format!("the answer is longer than {MAX_REPLY} bytes");
            let refusal = Refusal::new(502, &words).code("server_error");
            return self.failed("server_error", &words, &refusal, out);
        }
        if !self.close_all(out) {
            let words = "the model's call of a tool cannot be read: its arguments are not JSON";
            let refusal = Refusal::new(502, words).code("invalid_tool_arguments");
            return self.failed("invalid_tool_arguments", words, &refusal, out);
        }
        self.ended = true;
        let reason = match self.finish.as_ref().map(Finish::kind) {
            Some(FinishKind::Length) => Some("max_output_tokens"),
            Some(FinishKind::ContentFilter) => Some("content_filter"),
            _ => None,
        };
        let status = if reason.is_some() { "incomplete" } else { "completed" };
        let response = self.response(status, reason, None);
        self.lifecycle(&format!("response.{status}"), &response, out);
        self.reply = Some(response);
    }

    fn fail(&mut self, refusal: &Refusal<'_>, out: &mut Vec<u8>) {
        if !self.ended {
            self.failed(error::code_of(refusal), refusal.message, refusal, out);
        }
    }

    fn keep_alive(&mut self, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        self.begin(out);
        let response = self.response("in_progress", None, None);
        self.lifecycle("response.in_progress", &response, out);
    }

    fn reply(&mut self) -> Option<Bytes> {
        self.reply.take().map(Bytes::from)
    }
}
