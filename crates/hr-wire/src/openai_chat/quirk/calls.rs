//! Quirks of assistant messages with tool calls: what some providers miss beside calls that others made.

use serde_json::json;

use super::Workbench;
use crate::envelope::Draft;
use crate::hub::Loss;
use crate::json::{Kind, quoted};
use crate::patch::{self, Fate};

/// Stands for a signature that was lost on the way or that another provider never made. It is documented for
/// this, and costs some quality.
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// Calls come with `reasoning_content`. Where it was lost a blank takes its place, which is taken for it.
pub(super) fn fill_reasoning_beside_calls(bench: &mut Workbench<'_>, _: &mut Vec<Loss>) {
    bench.change_messages(&["tool_calls"], |message| {
        if !calls(message) || says_something(message.get("reasoning_content")) {
            return false;
        }
        let reasoning = message.get("reasoning").filter(|text| says_something(Some(text)));
        let text = reasoning.map_or_else(|| quoted(" "), str::to_owned);
        message.set("reasoning_content", text);
        true
    });
}

/// The first call of each turn carries a thought signature; where there is none, a word that says so.
pub(super) fn fill_thought_signatures(bench: &mut Workbench<'_>, _: &mut Vec<Loss>) {
    bench.change_messages(&["tool_calls"], |message| {
        let signed = message.get("tool_calls").and_then(with_signature);
        let changed = signed.is_some();
        if let Some(signed) = signed {
            message.set("tool_calls", signed);
        }
        changed
    });
}

/// The calls with a signature at the first; nothing when it has one.
fn with_signature(calls: &str) -> Option<String> {
    if patch::kind(calls) != Some(Kind::Array) {
        return None;
    }
    let mut first = true;
    patch::each(calls, |_, call| {
        if !std::mem::take(&mut first) || is_signed(call) {
            return Fate::Keep;
        }
        let signature = json!({ "google": { "thought_signature": NO_SIGNATURE } }).to_string();
        let sign = |call: &mut Draft<'_>| {
            call.set("extra_content", signature);
            true
        };
        patch::object(call, sign).into()
    })
}

fn is_signed(call: &str) -> bool {
    let google = patch::field(call, "extra_content").and_then(|extra| patch::field(extra, "google"));
    says_something(google.and_then(|google| patch::field(google, "thought_signature")))
}

/// Whether a message has at least one call.
fn calls(message: &Draft<'_>) -> bool {
    let calls = message.get("tool_calls");
    calls.is_some_and(|calls| patch::kind(calls) == Some(Kind::Array) && calls.contains('{'))
}

/// Whether a field is a string with something in it.
fn says_something(field: Option<&str>) -> bool {
    field.and_then(patch::string).is_some_and(|text| !text.is_empty())
}
