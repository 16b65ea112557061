//! Streams of this dialect, read into hub events.
//!
//! Items are known by their place and their id. What they say may come in pieces, at the end of the part, at
//! the end of the item, with the end of the response, or in several of these; it is told once.

use hr_core::catalog::{Dialect, Provider};
use hr_core::failure::{Failure, FailureKind};
use hr_core::time::Millis;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use std::sync::Arc;

use super::item::{self, PARAGRAPH};
use super::reply::{finish_of, is_empty_item};
use super::types::WireResponse;
use super::whole::inner_error;
use crate::dialect::Decode;
use crate::hub::{CallKind, Event, Start};
use crate::sse;

/// How many items a reply may hold.
pub const MAX_ITEMS: usize = 1024;

/// An event, as far as it is read.
#[derive(Debug, Default, Deserialize)]
struct WireEvent {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    output_index: Option<u64>,
    #[serde(default)]
    item_id: Option<String>,
    #[serde(default)]
    content_index: Option<u64>,
    #[serde(default)]
    summary_index: Option<u64>,
    #[serde(default)]
    item: Option<Value>,
    #[serde(default)]
    delta: Option<Value>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default)]
    arguments: Option<String>,
    #[serde(default)]
    input: Option<String>,
    #[serde(default)]
    response: Option<WireResponse>,
    #[serde(default)]
    error: Option<Value>,
}

/// Reads events into hub events.
#[derive(Debug)]
pub struct Decoder {
    provider: Option<Arc<Provider>>,
    now: Millis,
    begun: bool,
    done: bool,
    next_block: usize,
    items: Vec<Item>,
    /// What comes after the last block, once the response has ended.
    ending: Vec<Event>,
}

/// An item that was heard of.
#[derive(Debug, Default)]
struct Item {
    index: Option<u64>,
    id: Option<String>,
    /// Its blocks: one for each part of a message, one for anything else.
    parts: Vec<Part>,
    /// The part of the summary that was told last.
    summary: Option<u64>,
    is_raw_reasoning: bool,
    done: bool,
}

/// A block under way.
#[derive(Debug)]
struct Part {
    /// Its place in the content of a message.
    content: u64,
    block: usize,
    /// How many bytes of it were told.
    told: usize,
    arguments: Arguments,
    ended: bool,
}

/// The input of a call.
#[derive(Debug, PartialEq)]
enum Arguments {
    /// It is no call.
    None,
    /// Free text.
    Text,
    /// JSON, kept to know whether it is whole.
    Json(String),
}

impl Decoder {
    /// A decoder for a stream of this provider that begins now.
    #[must_use]
    pub fn new(provider: Option<Arc<Provider>>, now: Millis) -> Self {
        Self {
            provider,
            now,
            begun: false,
            done: false,
            next_block: 0,
            items: Vec::new(),
            ending: Vec::new(),
        }
    }

    /// Takes the data of one event.
    ///
    /// # Errors
    /// When it says that something failed, or cannot be read.
    pub fn take(&mut self, data: &[u8], out: &mut Vec<Event>) -> Result<(), Failure> {
        let data = data.trim_ascii();
        if self.done || data == b"[DONE]" || data.is_empty() {
            return Ok(());
        }
        let event: WireEvent = serde_json::from_slice(data).map_err(|error| {
            let words = format!("an event of the stream has an unknown shape: {error}");
            Failure::new(FailureKind::Malformed, words).status(200)
        })?;
        let index = event.content_index.unwrap_or(0);
        match event.kind.as_str() {
            "error" | "response.failed" => return Err(self.error(data)),
            "response.created" | "response.in_progress" | "response.queued" => {
                self.begin(event.response.as_ref(), out);
            }
            "response.completed" | "response.incomplete" | "response.done" => {
                return self.end(event, data, out);
            }
            "response.output_item.added" => {
                let place = self.place(&event)?;
                if let Some(item) = &event.item {
                    self.added(place, item, out);
                }
            }
            "response.output_item.done" => {
                let place = self.place(&event)?;
                if let Some(item) = &event.item {
                    self.whole(place, item, out);
                }
            }
            "response.output_text.delta" => self.text(&event, Start::Text, index, out)?,
            "response.refusal.delta" => self.text(&event, Start::Refusal, index, out)?,
            "response.output_text.done" => self.text_done(&event, Start::Text, index, out)?,
            "response.refusal.done" => self.text_done(&event, Start::Refusal, index, out)?,
            "response.reasoning_summary_text.delta" => self.reasoning(&event, false, out)?,
            "response.reasoning_text.delta" => self.reasoning(&event, true, out)?,
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                let place = self.place(&event)?;
                let delta = event.delta.as_ref().and_then(Value::as_str).unwrap_or_default();
                self.arguments(place, delta, out);
            }
            "response.function_call_arguments.done" => {
                let place = self.place(&event)?;
                self.arguments_whole(place, event.arguments.as_deref().unwrap_or_default(), out);
            }
            "response.custom_tool_call_input.done" => {
                let place = self.place(&event)?;
                self.arguments_whole(place, event.input.as_deref().unwrap_or_default(), out);
            }
            "" if event.error.is_some_and(|error| !error.is_null()) => return Err(self.error(data)),
            _ => {}
        }
        Ok(())
    }

    fn error(&self, data: &[u8]) -> Failure {
        inner_error(data, self.provider.as_ref().map_or(&[], |provider| &provider.errors), self.now)
    }

    fn begin(&mut self, response: Option<&WireResponse>, out: &mut Vec<Event>) {
        if self.begun {
            return;
        }
        self.begun = true;
        let (id, model, created) = match response {
            Some(wire) => (wire.id.clone(), wire.model.clone(), wire.created()),
            None => Default::default(),
        };
        out.push(Event::Begin { id, model, created });
    }

    /// The place of the item that an event is about.
    fn place(&mut self, event: &WireEvent) -> Result<usize, Failure> {
        let id = event.item_id.as_deref().or_else(|| event.item.as_ref()?["id"].as_str());
        self.find(event.output_index, id)
    }

    fn find(&mut self, index: Option<u64>, id: Option<&str>) -> Result<usize, Failure> {
        let known = self.items.iter().position(|item| match (index, item.index) {
            (Some(index), Some(known)) => index == known,
            _ => id.is_some() && item.id.as_deref() == id,
        });
        if let Some(place) = known {
            return Ok(place);
        }
        if self.items.len() == MAX_ITEMS {
            let words = format!("the reply holds more than {MAX_ITEMS} items");
            return Err(Failure::new(FailureKind::Malformed, words).status(200));
        }
        self.items.push(Item { index, id: id.map(str::to_owned), ..Item::default() });
        Ok(self.items.len() - 1)
    }

    /// The part of an item; it begins now unless it has begun before.
    fn part(&mut self, place: usize, content: u64, start: Start, out: &mut Vec<Event>) -> &mut Part {
        self.begin(None, out);
        let item = &mut self.items[place];
        let at = item.parts.iter().position(|part| part.content == content).unwrap_or_else(|| {
            let block = self.next_block;
            self.next_block += 1;
            let arguments = match &start {
                Start::ToolCall { kind: CallKind::Function, .. } => Arguments::Json(String::new()),
                Start::ToolCall { kind: CallKind::Custom, .. } => Arguments::Text,
                _ => Arguments::None,
            };
            out.push(Event::Start { block, start });
            item.parts.push(Part { content, block, told: 0, arguments, ended: false });
            item.parts.len() - 1
        });
        &mut item.parts[at]
    }

    fn text(
        &mut self,
        event: &WireEvent,
        start: Start,
        content: u64,
        out: &mut Vec<Event>,
    ) -> Result<(), Failure> {
        let place = self.place(event)?;
        let delta = event.delta.as_ref().and_then(Value::as_str).unwrap_or_default();
        if !delta.is_empty() && !self.items[place].done {
            self.part(place, content, start, out).more(delta, out);
        }
        Ok(())
    }

    fn text_done(
        &mut self,
        event: &WireEvent,
        start: Start,
        content: u64,
        out: &mut Vec<Event>,
    ) -> Result<(), Failure> {
        let place = self.place(event)?;
        let whole = event.text.as_deref().or(event.refusal.as_deref()).unwrap_or_default();
        let known = self.items[place].parts.iter().any(|part| part.content == content);
        if (known || !whole.is_empty()) && !self.items[place].done {
            let part = self.part(place, content, start, out);
            part.rest(whole, out);
            part.end(out);
        }
        Ok(())
    }

    /// Reasoning, of which a summary and the thing itself may both come; the one that comes first is told.
    fn reasoning(&mut self, event: &WireEvent, raw: bool, out: &mut Vec<Event>) -> Result<(), Failure> {
        let place = self.place(event)?;
        let delta = event.delta.as_ref().and_then(Value::as_str).unwrap_or_default();
        let item = &mut self.items[place];
        if delta.is_empty() || item.done {
            return Ok(());
        }
        if item.parts.is_empty() {
            item.is_raw_reasoning = raw;
        }
        if item.is_raw_reasoning != raw {
            return Ok(());
        }
        let index = if raw { event.content_index } else { event.summary_index };
        let before = item.summary.replace(index.unwrap_or(0));
        let next_part = before.is_some_and(|before| before != index.unwrap_or(0));
        let part = self.part(place, 0, Start::Reasoning, out);
        if next_part {
            part.more(PARAGRAPH, out);
        }
        part.more(delta, out);
        Ok(())
    }

    /// An item begins: a call can be told of at once.
    fn added(&mut self, place: usize, item: &Value, out: &mut Vec<Event>) {
        if self.items[place].id.is_none() {
            self.items[place].id = item["id"].as_str().map(str::to_owned);
        }
        let is_named = item["name"].as_str().is_some_and(|name| !name.is_empty());
        let has_id = item["call_id"].as_str().is_some_and(|id| !id.is_empty());
        if is_call(item) && is_named && has_id {
            self.part(place, 0, call_start(item), out);
        }
    }

    fn arguments(&mut self, place: usize, delta: &str, out: &mut Vec<Event>) {
        // Before its item was heard of, a call has no name; what is missed here comes whole later.
        if let Some(part) =
            self.items[place].parts.first_mut().filter(|part| part.arguments != Arguments::None)
        {
            part.more(delta, out);
        }
    }

    fn arguments_whole(&mut self, place: usize, whole: &str, out: &mut Vec<Event>) {
        if let Some(part) =
            self.items[place].parts.first_mut().filter(|part| part.arguments != Arguments::None)
        {
            part.rest(whole, out);
        }
    }

    /// A whole item: whatever of it was not told is told now.
    fn whole(&mut self, place: usize, item: &Value, out: &mut Vec<Event>) {
        if self.items[place].done {
            return;
        }
        match item["type"].as_str() {
            Some("message") => {
                for (index, value) in item["content"].as_array().into_iter().flatten().enumerate() {
                    let index = index as u64;
                    let (start, text) = match value["type"].as_str() {
                        Some("output_text" | "text") => (Start::Text, value["text"].as_str()),
                        Some("refusal") => (Start::Refusal, value["refusal"].as_str()),
                        _ => continue,
                    };
                    let text = text.unwrap_or_default();
                    let known = self.items[place].parts.iter().any(|part| part.content == index);
                    if known || !text.is_empty() {
                        self.part(place, index, start, out).rest(text, out);
                    }
                }
            }
            Some("reasoning") => {
                let reasoning = item::reasoning(item);
                if !reasoning.text.is_empty() || reasoning.opaque.is_some() {
                    let part = self.part(place, 0, Start::Reasoning, out);
                    if part.told == 0 {
                        part.rest(&reasoning.text, out);
                    }
                    let block = part.block;
                    out.extend(reasoning.opaque.map(|opaque| Event::Opaque { block, opaque }));
                }
            }
            _ if is_call(item) => {
                let call = item::call(item);
                self.part(place, 0, call_start(item), out).rest(&call.arguments, out);
            }
            _ if is_empty_item(item) => {}
            _ => {
                let start = Start::Other { origin: Dialect::OpenaiResponses, value: item.clone() };
                self.part(place, 0, start, out);
            }
        }
        let item = &mut self.items[place];
        item.done = true;
        for part in &mut item.parts {
            part.end(out);
        }
    }

    fn end(&mut self, event: WireEvent, data: &[u8], out: &mut Vec<Event>) -> Result<(), Failure> {
        let response = event.response.unwrap_or_default();
        if response.has_failed() {
            return Err(self.error(data));
        }
        self.begin(Some(&response), out);
        let is_cut = event.kind == "response.incomplete" || response.status.as_deref() == Some("incomplete");
        for (index, item) in response.output.iter().flatten().enumerate() {
            let place = self.find(Some(index as u64), item["id"].as_str())?;
            self.whole(place, item, out);
        }
        for item in &mut self.items {
            for part in &mut item.parts {
                let whole = match &part.arguments {
                    Arguments::Json(arguments) => is_json(arguments),
                    Arguments::Text | Arguments::None => true,
                };
                if !whole && !is_cut && !part.ended {
                    let words = "the stream ended in the middle of a call of a tool";
                    return Err(Failure::new(FailureKind::Cut, words).status(200));
                }
                part.end(out);
            }
        }
        let calls =
            self.items.iter().flat_map(|item| &item.parts).any(|part| part.arguments != Arguments::None);
        self.ending.push(Event::Finish(finish_of(&response, is_cut).borne_out(calls)));
        self.ending.extend(response.usage.map(|usage| Event::Usage(usage.into())));
        self.done = true;
        Ok(())
    }
}

impl Part {
    fn more(&mut self, text: &str, out: &mut Vec<Event>) {
        if text.is_empty() || self.ended {
            return;
        }
        self.told += text.len();
        if let Arguments::Json(arguments) = &mut self.arguments {
            arguments.push_str(text);
        }
        out.push(Event::Delta { block: self.block, text: text.to_owned() });
    }

    /// What of the whole was not told yet.
    fn rest(&mut self, whole: &str, out: &mut Vec<Event>) {
        if let Some(rest) = whole.get(self.told..) {
            self.more(rest, out);
        }
    }

    fn end(&mut self, out: &mut Vec<Event>) {
        if !self.ended {
            self.ended = true;
            out.push(Event::End { block: self.block });
        }
    }
}

fn is_call(item: &Value) -> bool {
    matches!(item["type"].as_str(), Some("function_call" | "custom_tool_call"))
}

fn call_start(item: &Value) -> Start {
    let call = item::call(item);
    Start::ToolCall { id: call.id, name: call.name, namespace: call.namespace, kind: call.kind }
}

fn is_json(arguments: &str) -> bool {
    arguments.is_empty() || serde_json::from_str::<IgnoredAny>(arguments).is_ok()
}

impl Decode for Decoder {
    fn push(&mut self, frame: &sse::Frame, out: &mut Vec<Event>) -> Result<(), Failure> {
        match &frame.data {
            Some(data) => self.take(data, out),
            None => Ok(()),
        }
    }

    fn finish(&mut self, out: &mut Vec<Event>) -> Result<(), Failure> {
        if !self.done {
            return Err(super::whole::cut(self.begun));
        }
        out.append(&mut self.ending);
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.done
    }
}
