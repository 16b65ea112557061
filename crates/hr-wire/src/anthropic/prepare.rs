//! The request of an attempt: the caller's bytes with the few changes that a provider needs.

use memchr::memmem;

use super::foreign;
use super::quirk::{self, Bench};
use crate::dialect::{Outgoing, Prepared};
use crate::envelope::{Draft, Envelope};
use crate::hub::Loss;
use crate::json::quoted;
use crate::{patch, verbs};

/// The least budget that reasoning can have.
pub(super) const LEAST_BUDGET: u64 = 1024;
/// The version of the API that is spoken.
const VERSION: (&str, &str) = ("anthropic-version", "2023-06-01");

/// Makes the request.
pub(super) fn prepare(envelope: &Envelope, outgoing: &Outgoing<'_>) -> Prepared {
    let mut draft = envelope.draft();
    let mut losses = Vec::new();
    draft.set("model", quoted(outgoing.model));
    limit_output(&mut draft, outgoing, &mut losses);
    if !outgoing.foreign.is_empty() || memmem::find(envelope.bytes(), foreign::CARRIER).is_some() {
        foreign::leave_out(&mut draft, outgoing, &mut losses);
    }
    let mut bench = Bench { draft, cap: outgoing.max_output_cap, losses };
    for name in outgoing.quirks.functions.iter().chain(outgoing.model_quirks) {
        quirk::apply(name, &mut bench);
    }
    let Bench { mut draft, mut losses, .. } = bench;
    verbs::apply(&mut draft, outgoing.quirks, &mut losses);
    let headers = vec![(VERSION.0, VERSION.1.to_owned())];
    Prepared { body: draft.finish(), headers, asked_for_usage: true, losses }
}

/// Adds the reserve and applies the cap; the budget of the reasoning stays below what is left.
fn limit_output(draft: &mut Draft<'_>, outgoing: &Outgoing<'_>, losses: &mut Vec<Loss>) {
    let Some(asked) = draft.get("max_tokens").and_then(|value| value.parse::<u64>().ok()) else { return };
    // Nothing but the cache is wanted.
    if asked == 0 {
        return;
    }
    let cap = outgoing.max_output_cap.unwrap_or(u64::MAX);
    let wanted = asked.saturating_add(outgoing.reasoning_reserve).min(cap);
    if wanted == asked {
        return;
    }
    draft.set("max_tokens", wanted.to_string());
    let Some(thinking) = draft.get("thinking") else { return };
    let budget = patch::field(thinking, "budget_tokens").and_then(|value| value.parse::<u64>().ok());
    if budget.is_none_or(|budget| budget < wanted) {
        return;
    }
    let smaller = patch::within(thinking, "budget_tokens", |_| Some((wanted - 1).to_string()));
    match smaller {
        Some(thinking) if wanted > LEAST_BUDGET => draft.set("thinking", thinking),
        _ => {
            draft.remove("thinking");
            lose(losses, Loss::dropped("reasoning"));
        }
    }
}

/// Notes a loss once.
pub(super) fn lose(losses: &mut Vec<Loss>, loss: Loss) {
    if !losses.contains(&loss) {
        losses.push(loss);
    }
}
