//! The native lane's request: the caller's bytes with the few changes that a provider needs.

use bytes::Bytes;
use hr_core::catalog::Quirks;

use super::decoder::beside;
use super::quirk::{self, Workbench};
use crate::dialect::{Outgoing, Prepared};
use crate::envelope::{Draft, Envelope};
use crate::hub::Loss;
use crate::json::quoted;
use crate::{patch, verbs};

/// The fields that limit the answer.
const OUTPUT_LIMITS: [&str; 2] = ["max_tokens", "max_completion_tokens"];

/// The function that leaves out reasoning of earlier turns.
const WITHOUT_REASONING: &str = "strip_reasoning_history";

/// Makes the request of a chat attempt.
#[must_use]
pub fn prepare(envelope: &Envelope, outgoing: &Outgoing<'_>) -> Prepared {
    let mut draft = envelope.draft();
    let mut losses = Vec::new();
    draft.set("model", quoted(outgoing.model));
    let mut asked_for_usage = false;
    if outgoing.stream {
        asked_for_usage = !outgoing.quirks.drop.iter().any(|name| name == "stream_options");
        if asked_for_usage && !outgoing.caller_wants_usage {
            ask_for_usage(&mut draft);
        }
    }
    limit_output(&mut draft, outgoing);
    if !outgoing.foreign.is_empty() && leave_out_foreign(&mut draft, outgoing) {
        losses.push(Loss::dropped("messages[].tool_calls[].extra_content"));
    }
    let mut bench = Workbench::new(draft);
    for name in outgoing.quirks.functions.iter().chain(outgoing.model_quirks) {
        quirk::apply(name, &mut bench, &mut losses);
    }
    if outgoing.bare {
        quirk::apply(WITHOUT_REASONING, &mut bench, &mut losses);
    }
    let mut draft = bench.finish();
    verbs::apply(&mut draft, outgoing.quirks, &mut losses);
    Prepared { body: draft.finish(), headers: Vec::new(), asked_for_usage, losses }
}

/// Makes the request of an embeddings attempt.
#[must_use]
pub fn prepare_embeddings(envelope: &Envelope, model: &str, quirks: &Quirks) -> Bytes {
    let mut draft = envelope.draft();
    draft.set("model", quoted(model));
    verbs::apply(&mut draft, quirks, &mut Vec::new());
    draft.finish()
}

/// Adds `include_usage` to the stream options, whatever else is in them.
fn ask_for_usage(draft: &mut Draft<'_>) {
    let options = match draft.get("stream_options") {
        None | Some("null") => r#"{"include_usage":true}"#.to_owned(),
        Some(options) => match Envelope::read(Bytes::copy_from_slice(options.as_bytes())) {
            Ok(inner) => {
                let mut inner = inner.draft();
                inner.set("include_usage", "true");
                String::from_utf8_lossy(&inner.finish()).into_owned()
            }
            // The facts were read from it before, so it is an object; were it not, the provider would say so.
            Err(_) => return,
        },
    };
    draft.set("stream_options", options);
}

/// Adds the reserve and applies the cap. A body without a limit stays without one: providers have their own.
fn limit_output(draft: &mut Draft<'_>, outgoing: &Outgoing<'_>) {
    if outgoing.reasoning_reserve == 0 && outgoing.max_output_cap.is_none() {
        return;
    }
    for limit in OUTPUT_LIMITS {
        let Some(asked) = draft.get(limit).and_then(|value| value.parse::<u64>().ok()) else { continue };
        let wanted =
            asked.saturating_add(outgoing.reasoning_reserve).min(outgoing.max_output_cap.unwrap_or(u64::MAX));
        if wanted != asked {
            draft.set(limit, wanted.to_string());
        }
    }
}

/// Leaves out what others issued beside calls; tells whether there was any.
fn leave_out_foreign(draft: &mut Draft<'_>, outgoing: &Outgoing<'_>) -> bool {
    let is_foreign = |extra: &str| !outgoing.may_send(&beside(extra));
    let without = |call: &str| {
        patch::object(call, |call| {
            call.get("extra_content").is_some_and(is_foreign) && call.remove("extra_content")
        })
    };
    let of_calls = |calls: &str| patch::each(calls, |_, call| without(call).into());
    let messages = draft.get("messages").and_then(|messages| {
        patch::each(messages, |_, message| patch::within(message, "tool_calls", of_calls).into())
    });
    let Some(messages) = messages else { return false };
    draft.set("messages", messages);
    true
}
