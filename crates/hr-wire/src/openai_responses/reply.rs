//! Whole replies, to the hub and back.

use std::sync::Arc;

use bytes::Bytes;
use hr_core::catalog::{Dialect, ErrorRow};
use hr_core::failure::{Failure, FailureKind};
use hr_core::time::Millis;
use serde_json::Value;

use super::encoder::Encoder;
use super::item;
use super::types::WireResponse;
use super::whole::read_whole;
use crate::dialect::{Echo, Encode};
use crate::hub::{Block, Finish, FinishKind, Reply, unfold};

impl WireResponse {
    /// Whether it says that nothing more comes and that it is no answer.
    pub(super) fn has_failed(&self) -> bool {
        let names_error = self.error.as_ref().is_some_and(|error| !error.is_null());
        names_error || matches!(self.status.as_deref(), Some("failed" | "cancelled"))
    }

    /// When it was made, in whole seconds.
    pub(super) fn created(&self) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a time is small and positive; the cast saturates"
        )]
        let seconds = self.created_at.unwrap_or(0.0) as u64;
        seconds
    }
}

/// Reads a whole reply.
///
/// # Errors
/// The failure that it really is.
pub fn decode(body: &[u8], rows: &[ErrorRow], now: Millis) -> Result<Reply, Failure> {
    read_whole(body, rows, now)?;
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let wire: WireResponse = serde_json::from_slice(body).map_err(|error| {
        let words = format!("the answer has an unknown shape: {error}");
        Failure::new(FailureKind::Malformed, words).status(200)
    })?;
    let is_cut = wire.status.as_deref() == Some("incomplete");
    let finish = Some(finish_of(&wire, is_cut));
    Ok(Reply {
        created: wire.created(),
        blocks: wire.output.iter().flatten().flat_map(blocks).collect(),
        finish,
        usage: wire.usage.map(Into::into),
        id: wire.id,
        model: wire.model,
        ..Reply::default()
    })
}

/// Why a response is cut where nobody says.
const CUT: &str = "max_output_tokens";

/// Why a response ended.
pub(super) fn finish_of(response: &WireResponse, is_cut: bool) -> Finish {
    let reason = response.incomplete_details.as_ref().and_then(|details| details.reason.as_deref());
    let calls = response
        .output
        .iter()
        .flatten()
        .any(|item| matches!(item["type"].as_str(), Some("function_call" | "custom_tool_call")));
    if !is_cut {
        return Finish::read("completed").borne_out(calls);
    }
    let finish = Finish::read(reason.unwrap_or(CUT));
    match finish.kind() {
        FinishKind::Length | FinishKind::ContentFilter => finish,
        // Whatever the reason: what is not complete must not pass for an end.
        FinishKind::Stop | FinishKind::ToolCalls | FinishKind::Other => Finish::read(CUT),
    }
}

/// Whether an item says nothing to anybody.
pub(super) fn is_empty_item(item: &Value) -> bool {
    item["type"].as_str().is_none_or(str::is_empty)
}

/// The blocks that an item is.
fn blocks(item: &Value) -> Vec<Block> {
    match item["type"].as_str() {
        Some("message") => {
            let parts = item["content"].as_array().into_iter().flatten();
            let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
            parts
                .filter_map(|part| match part["type"].as_str() {
                    Some("output_text" | "text") => text(&part["text"]).map(Block::Text),
                    Some("refusal") => text(&part["refusal"]).map(Block::Refusal),
                    _ => None,
                })
                .collect()
        }
        Some("reasoning") => {
            let reasoning = item::reasoning(item);
            let says = !reasoning.text.is_empty() || reasoning.opaque.is_some();
            says.then_some(Block::Reasoning(reasoning)).into_iter().collect()
        }
        Some("function_call" | "custom_tool_call") => vec![Block::ToolCall(item::call(item))],
        _ if is_empty_item(item) => Vec::new(),
        _ => vec![Block::Other { origin: Dialect::OpenaiResponses, value: item.clone() }],
    }
}

/// Writes a whole reply: what its stream would have ended with.
#[must_use]
pub fn encode(reply: &Reply, echo: &Echo) -> Bytes {
    let mut encoder = Encoder::silent(Arc::new(echo.clone()));
    let mut nothing = Vec::new();
    for event in unfold(reply) {
        encoder.push(&event, &mut nothing);
    }
    encoder.finish(&mut nothing);
    encoder.whole()
}
