//! The native lane's request: the caller's bytes with the few changes that a provider needs.

use super::compose::LEAST_OUTPUT;
use super::input::fingerprint;
use super::quirk::{self, Workbench};
use crate::dialect::{Outgoing, Prepared};
use crate::envelope::{Draft, Envelope};
use crate::hub::Loss;
use crate::hub::carrier::{self, Carried};
use crate::json::{Kind, quoted};
use crate::patch::{self, Fate};
use crate::verbs;

/// The field that limits the answer.
const OUTPUT_LIMIT: &str = "max_output_tokens";

/// Makes the request of an attempt.
pub(super) fn prepare(envelope: &Envelope, outgoing: &Outgoing<'_>) -> Prepared {
    let mut draft = envelope.draft();
    let mut losses = Vec::new();
    draft.set("model", quoted(outgoing.model));
    limit_output(&mut draft, outgoing);
    if let Some(input) = draft.get("input").and_then(|input| without_foreign(input, outgoing, &mut losses)) {
        draft.set("input", input);
    }
    let mut bench = Workbench::new(draft);
    for name in outgoing.quirks.functions.iter().chain(outgoing.model_quirks) {
        quirk::apply(name, &mut bench, &mut losses);
    }
    let (mut draft, headers) = bench.finish();
    verbs::apply(&mut draft, outgoing.quirks, &mut losses);
    Prepared { body: draft.finish(), headers, asked_for_usage: false, losses }
}

/// Adds the reserve and applies the cap. A body without a limit stays without one: providers have their own.
fn limit_output(draft: &mut Draft<'_>, outgoing: &Outgoing<'_>) {
    let Some(asked) = draft.get(OUTPUT_LIMIT).and_then(|value| value.parse::<u64>().ok()) else { return };
    let cap = outgoing.max_output_cap.unwrap_or(u64::MAX);
    let wanted = asked.saturating_add(outgoing.reasoning_reserve).min(cap).max(LEAST_OUTPUT.min(asked));
    if wanted != asked {
        draft.set(OUTPUT_LIMIT, wanted.to_string());
    }
}

/// The input without what somebody else encrypted, or what we wrapped for another dialect. What stood beside
/// reasoning goes on without its id: a provider that looked the id up would miss its reasoning.
fn without_foreign(input: &str, outgoing: &Outgoing<'_>, losses: &mut Vec<Loss>) -> Option<String> {
    if patch::kind(input) != Some(Kind::Array)
        || memchr::memmem::find(input.as_bytes(), b"encrypted_content").is_none()
    {
        return None;
    }
    let mut left_out = false;
    patch::each(input, |_, item| {
        let field = |key: &str| patch::field(item, key).and_then(patch::string);
        let is_foreign = || {
            field("encrypted_content").is_some_and(|blob| {
                let is_ours = matches!(carrier::unpack(&blob), Carried::Ours(_));
                is_ours || fingerprint(&blob).is_some_and(|known| outgoing.is_foreign(known))
            })
        };
        let kind = field("type");
        match kind.as_deref() {
            Some(kind @ ("reasoning" | "compaction" | "compaction_summary")) => {
                let goes = is_foreign();
                left_out = goes && kind == "reasoning";
                if !goes {
                    return Fate::Keep;
                }
                quirk::lose(losses, &format!("input[].{kind}"));
                Fate::Drop
            }
            Some("message") | None if field("role").as_deref() != Some("assistant") => {
                left_out = false;
                Fate::Keep
            }
            Some(kind) if kind.ends_with("_output") => {
                left_out = false;
                Fate::Keep
            }
            _ if left_out => patch::object(item, |draft| draft.remove("id")).into(),
            _ => Fate::Keep,
        }
    })
}
