//! Replies that come in one piece, and streams where a whole reply was asked for or the reverse.

use std::sync::Arc;

use bytes::Bytes;
use hr_core::catalog::{ErrorRow, Provider};
use hr_core::failure::{Failure, FailureKind};
use hr_core::time::Millis;
use serde_json::{Value, json};

use super::encoder::lifecycle;
use super::glance::{self, Glance};
use super::reply::finish_of;
use super::types::WireResponse;
use super::watch::Watch;
use crate::complaint::read_inner_error;
use crate::dialect::{Echo, WatchOptions, Whole};
use crate::hub::FinishKind;
use crate::json::{Kind, Syntax};
use crate::lane::no_answer;
use crate::{lane, patch, sse};

/// Reads the body of a 200: an answer, or the failure that it really is, by the rows of its provider.
///
/// # Errors
/// The failure.
pub fn read_whole(body: &[u8], rows: &[ErrorRow], now: Millis) -> Result<Whole, Failure> {
    let malformed = |words: String| Failure::new(FailureKind::Malformed, words).status(200);
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let text = std::str::from_utf8(body).map_err(|_| malformed("the answer is not UTF-8".into()))?;
    match text.trim_ascii().bytes().next() {
        None => return Err(Failure::new(FailureKind::Empty, "the answer is empty").status(200)),
        Some(b'<') => return Err(malformed("the answer is a page of HTML".into())),
        Some(_) => {}
    }
    let nonsense = |syntax: Syntax| {
        let head: String = text.chars().take(120).collect();
        malformed(format!("the answer is not JSON: {} at byte {} of `{head}`", syntax.what, syntax.at))
    };
    Glance::at(text).map_err(nonsense)?;
    let wire: WireResponse = serde_json::from_str(text)
        .map_err(|error| malformed(format!("the answer has an unknown shape: {error}")))?;
    if wire.has_failed() || wire.output.is_none() {
        return Err(read_inner_error(body, rows, now));
    }
    let is_cut = wire.status.as_deref() == Some("incomplete");
    let finish = finish_of(&wire, is_cut);
    let items = glance::items(text);
    let reasoned = items.iter().any(|item| patch::field(item, "type") == Some("\"reasoning\""));
    // A model that was cut off while it reasoned did answer, as far as it came.
    if items.iter().any(|item| glance::answers(item)) || (reasoned && finish.kind() == FinishKind::Length) {
        return Ok(Whole {
            usage: wire.usage.map(Into::into).unwrap_or_default(),
            finish: Some(finish),
            model: (!wire.model.is_empty()).then_some(wire.model),
            opaque: items.iter().filter_map(|item| glance::opaque(item)).collect(),
        });
    }
    Err(no_answer(Some(&finish)))
}

/// The failure that an event tells of, wherever in it the error stands.
pub(super) fn inner_error(data: &[u8], rows: &[ErrorRow], now: Millis) -> Failure {
    let text = std::str::from_utf8(data).unwrap_or_default();
    let inner = patch::field(text, "response").and_then(|response| patch::field(response, "error"));
    match inner.filter(|error| patch::kind(error) == Some(Kind::Object)) {
        Some(error) => read_inner_error(format!(r#"{{"error":{error}}}"#).as_bytes(), rows, now),
        None => read_inner_error(data, rows, now),
    }
}

/// The failure of a stream that ended too early.
pub(super) fn cut(began: bool) -> Failure {
    if began {
        Failure::new(FailureKind::Cut, "the stream ended before the response was complete").status(200)
    } else {
        Failure::new(FailureKind::Empty, "the stream ended before its first event").status(200)
    }
}

/// The whole reply that a stream of this provider, which has ended, amounts to.
///
/// # Errors
/// When it holds an error, ends too early, or says nothing.
pub fn to_whole(body: &Bytes, provider: &Arc<Provider>, now: Millis) -> Result<Bytes, Failure> {
    let mut watch = Watch::new(WatchOptions {
        hide_usage: false,
        keep: true,
        echo: Arc::new(Echo::default()),
        provider: Arc::clone(provider),
        now,
    });
    let mut passed = Vec::new();
    lane::Watch::push(&mut watch, body.clone(), &mut passed)?;
    lane::Watch::finish(&mut watch, &mut passed)?;
    lane::Watch::reply(&mut watch).ok_or_else(|| cut(true))
}

/// A whole reply as the stream it should have been: some servers answer in one piece when a stream was asked
/// for.
///
/// # Errors
/// When it cannot be taken apart.
pub fn to_stream(body: &Bytes) -> Result<Bytes, Failure> {
    let whole = read_whole(body, &[], Millis(0))?;
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let text = std::str::from_utf8(body).unwrap_or_default().trim();
    let begun = patch::object(text, |draft| {
        draft.set("status", "\"in_progress\"");
        draft.set("output", "[]");
        draft.set("usage", "null");
        draft.set("incomplete_details", "null");
        true
    });
    let begun = begun.unwrap_or_else(|| text.to_owned());
    let mut unroll = Unroll { out: Vec::with_capacity(text.len() * 4), sequence: 0 };
    unroll.lifecycle("response.created", &begun);
    unroll.lifecycle("response.in_progress", &begun);
    for (place, item) in glance::items(text).into_iter().enumerate() {
        unroll.item(place, item);
    }
    let cut = whole
        .finish
        .is_some_and(|finish| matches!(finish.kind(), FinishKind::Length | FinishKind::ContentFilter));
    unroll.lifecycle(if cut { "response.incomplete" } else { "response.completed" }, text);
    Ok(unroll.out.into())
}

/// A whole reply being told as events.
struct Unroll {
    out: Vec<u8>,
    sequence: u64,
}

impl Unroll {
    fn lifecycle(&mut self, kind: &str, response: &str) {
        lifecycle(kind, self.sequence, response, &mut self.out);
        self.sequence += 1;
    }

    fn event(&mut self, kind: &str, fields: Value) {
        let mut event = json!({"type": kind, "sequence_number": self.sequence});
        self.sequence += 1;
        if let (Some(event), Value::Object(fields)) = (event.as_object_mut(), fields) {
            event.extend(fields);
        }
        // A value tree can be written.
        sse::encode(&mut self.out, Some(kind), &serde_json::to_vec(&event).unwrap_or_default());
    }

    /// An event that carries an item as it was written.
    fn carry(&mut self, kind: &str, place: usize, item: &str) {
        let data = format!(
            r#"{{"type":"{kind}","sequence_number":{},"output_index":{place},"item":{item}}}"#,
            self.sequence
        );
        self.sequence += 1;
        sse::encode(&mut self.out, Some(kind), data.replace(['\n', '\r'], " ").as_bytes());
    }

    fn item(&mut self, place: usize, item: &str) {
        let value: Value = serde_json::from_str(item).unwrap_or_default();
        let empty: &[(&str, &str)] = match value["type"].as_str() {
            Some("message") => &[("status", "\"in_progress\""), ("content", "[]")],
            Some("reasoning") => &[("summary", "[]")],
            Some("function_call") => &[("status", "\"in_progress\""), ("arguments", "\"\"")],
            Some("custom_tool_call") => &[("status", "\"in_progress\""), ("input", "\"\"")],
            _ => &[],
        };
        let added = patch::object(item, |draft| {
            empty.iter().for_each(|(key, value)| draft.set(key, *value));
            !empty.is_empty()
        });
        self.carry("response.output_item.added", place, added.as_deref().unwrap_or(item));
        self.pieces(place, &value);
        self.carry("response.output_item.done", place, item);
    }

    /// What lies between the beginning and the end of an item.
    fn pieces(&mut self, place: usize, item: &Value) {
        let at = |index: Option<(&str, usize)>, key: &str, value: Value| {
            let mut fields = json!({"item_id": item["id"], "output_index": place});
            if let Some((name, index)) = index {
                fields[name] = json!(index);
            }
            fields[key] = value;
            fields
        };
        match item["type"].as_str() {
            Some("message") => {
                for (index, part) in item["content"].as_array().into_iter().flatten().enumerate() {
                    let index = Some(("content_index", index));
                    let (kind, member) = match part["type"].as_str() {
                        Some("refusal") => ("response.refusal", "refusal"),
                        _ => ("response.output_text", "text"),
                    };
                    let text = part[member].clone();
                    let mut empty = part.clone();
                    if let Some(fields) = empty.as_object_mut() {
                        fields.insert(member.into(), json!(""));
                    }
                    self.event("response.content_part.added", at(index, "part", empty));
                    let mut delta = at(index, "delta", text.clone());
                    let mut done = at(index, member, text);
                    if member == "text" {
                        delta["logprobs"] = json!([]);
                        done["logprobs"] = json!([]);
                    }
                    self.event(&format!("{kind}.delta"), delta);
                    self.event(&format!("{kind}.done"), done);
                    self.event("response.content_part.done", at(index, "part", part.clone()));
                }
            }
            Some("reasoning") => {
                for (index, part) in item["summary"].as_array().into_iter().flatten().enumerate() {
                    let index = Some(("summary_index", index));
                    let text = part["text"].clone();
                    let empty = json!({"type": "summary_text", "text": ""});
                    self.event("response.reasoning_summary_part.added", at(index, "part", empty));
                    self.event("response.reasoning_summary_text.delta", at(index, "delta", text.clone()));
                    self.event("response.reasoning_summary_text.done", at(index, "text", text));
                    self.event("response.reasoning_summary_part.done", at(index, "part", part.clone()));
                }
            }
            Some("function_call") => {
                let arguments = item["arguments"].clone();
                self.event("response.function_call_arguments.delta", at(None, "delta", arguments.clone()));
                let mut done = at(None, "arguments", arguments);
                done["name"] = item["name"].clone();
                self.event("response.function_call_arguments.done", done);
            }
            Some("custom_tool_call") => {
                let input = item["input"].clone();
                self.event("response.custom_tool_call_input.delta", at(None, "delta", input.clone()));
                self.event("response.custom_tool_call_input.done", at(None, "input", input));
            }
            _ => {}
        }
    }
}
