//! Chunks that strict clients would stumble over, made sound.
//!
//! The native lane passes bytes untouched. The exception is a chunk that SDKs of this dialect cannot read:
//! calls of tools without `index` or `type`, and content that is an array of parts.

use serde_json::{Map, Value};

use super::chunk::{self, Said};
use super::decoder::MAX_CALLS;

/// Mends the odd chunks of one stream.
#[derive(Debug, Default)]
pub(super) struct Mender {
    /// The ids of the calls that had no index, in the order in which they came.
    calls: Vec<String>,
}

impl Mender {
    /// The chunk as it should have been; `None` when it cannot be read after all.
    pub(super) fn mend(&mut self, data: &[u8]) -> Option<Vec<u8>> {
        let mut chunk: Value = serde_json::from_slice(data).ok()?;
        let choices = chunk.get_mut("choices").and_then(Value::as_array_mut).into_iter().flatten();
        for delta in choices.filter_map(|choice| choice.get_mut("delta")?.as_object_mut()) {
            join_content(delta);
            for call in delta.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten() {
                if let Some(call) = call.as_object_mut() {
                    self.complete(call);
                }
            }
        }
        serde_json::to_vec(&chunk).ok()
    }

    /// Gives a call its place, and its type where it begins.
    fn complete(&mut self, call: &mut Map<String, Value>) {
        let id = call.get("id").and_then(Value::as_str).filter(|id| !id.is_empty()).map(str::to_owned);
        if !call.get("index").is_some_and(Value::is_u64) {
            let known = id.as_ref().and_then(|id| self.calls.iter().position(|known| known == id));
            let place = match (known, &id) {
                (Some(place), _) => place,
                (None, Some(id)) if self.calls.len() < MAX_CALLS => {
                    self.calls.push(id.clone());
                    self.calls.len() - 1
                }
                // A piece without an id belongs to the call before it.
                (None, _) => self.calls.len().saturating_sub(1),
            };
            call.insert("index".into(), place.into());
        }
        if id.is_some() && call.get("type").is_none_or(Value::is_null) {
            call.insert("type".into(), "function".into());
        }
    }
}

/// Content in parts becomes a string, and the thinking among it `reasoning_content`.
fn join_content(delta: &mut Map<String, Value>) {
    let Some(parts) = delta.get("content").filter(|content| content.is_array()) else { return };
    let (mut text, mut reasoning) = (String::new(), String::new());
    for said in chunk::parts(&parts.to_string()) {
        match said {
            Said::Text(more) | Said::Refusal(more) => text.push_str(&more),
            Said::Reasoning(more) => reasoning.push_str(&more),
        }
    }
    delta.insert("content".into(), text.into());
    if !reasoning.is_empty() {
        delta.insert("reasoning_content".into(), reasoning.into());
    }
}
