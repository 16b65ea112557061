//! Reasoning in a conversation that somebody else issued, left out so that the rest stays lawful.
//!
//! A block of reasoning whose signature another account or another provider made is refused by the API, and a
//! carrier of ours means nothing to it. Such blocks go; a turn of which nothing is left goes with them, since its
//! neighbours are of one role and are read as one. Every other byte stays.

use hr_core::catalog::Dialect;

use super::prepare::lose;
use crate::dialect::Outgoing;
use crate::envelope::Draft;
use crate::hub::carrier::{Carried, unpack};
use crate::hub::{Fingerprint, Loss};
use crate::json::{Kind, quoted};
use crate::patch::{self, Fate};

/// What our carriers begin with, to find out quickly that there is none.
pub(super) const CARRIER: &[u8] = b"hr1.";

/// Leaves out what was issued by somebody else, and takes what is this dialect's own out of its carriers.
pub(super) fn leave_out(draft: &mut Draft<'_>, outgoing: &Outgoing<'_>, losses: &mut Vec<Loss>) {
    let mut left_out = false;
    let changed = draft.get("messages").and_then(|messages| {
        patch::each(messages, |_, message| {
            let content = match patch::field(message, "content") {
                Some(content) if patch::kind(content) == Some(Kind::Array) => content,
                _ => return Fate::Keep,
            };
            let mut kept = 0;
            let new = patch::each(content, |_, block| {
                let fate = of_block(block, outgoing);
                kept += usize::from(fate != Fate::Drop);
                left_out |= fate == Fate::Drop;
                fate
            });
            match new {
                None => Fate::Keep,
                Some(_) if kept == 0 => Fate::Drop,
                Some(new) => patch::within(message, "content", |_| Some(new.clone())).into(),
            }
        })
    });
    if let Some(messages) = changed {
        draft.set("messages", messages);
    }
    if left_out {
        lose(losses, Loss::dropped("messages[].reasoning"));
    }
}

fn of_block(block: &str, outgoing: &Outgoing<'_>) -> Fate {
    let key = match patch::field(block, "type").and_then(patch::string).as_deref() {
        Some("thinking") => "signature",
        Some("redacted_thinking") => "data",
        _ => return Fate::Keep,
    };
    let Some(field) = patch::field(block, key).and_then(patch::string) else { return Fate::Keep };
    let is_foreign = |data: &str| outgoing.is_foreign(Fingerprint::of(data));
    match unpack(&field) {
        Carried::Native(data) if is_foreign(&data) => Fate::Drop,
        Carried::Native(_) => Fate::Keep,
        Carried::Ours(Some(opaque)) if opaque.origin == Dialect::Anthropic && !is_foreign(&opaque.data) => {
            patch::within(block, key, |_| Some(quoted(&opaque.data))).into()
        }
        Carried::Ours(_) => Fate::Drop,
    }
}
