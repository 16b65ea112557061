//! The four verbs of a catalogue file on the top-level fields of a request: drop, rename, clamp, force.

use std::borrow::Cow;

use hr_core::catalog::Quirks;

use crate::envelope::Draft;
use crate::hub::Loss;
use crate::neutral::is_neutral_text;

/// Applies the verbs, and names what of the caller's request they change.
pub(crate) fn apply(draft: &mut Draft<'_>, quirks: &Quirks, losses: &mut Vec<Loss>) {
    for name in &quirks.drop {
        let meant_something = draft.get(name).is_some_and(|value| !is_neutral_text(name, value));
        if draft.remove(name) && meant_something {
            losses.push(Loss::dropped(name));
        }
    }
    for (from, to) in &quirks.rename {
        draft.rename(from, to);
    }
    for (name, low, high) in &quirks.clamp {
        let Some(value) = draft.get(name).and_then(|value| value.parse::<f64>().ok()) else { continue };
        // Bounds come from a file, so they may be the wrong way round; `clamp` would panic.
        let kept = value.max(*low).min(*high);
        if kept != value {
            draft.set(name, number(kept));
            losses.push(Loss::changed(name, format!("`{value}` became `{kept}`")));
        }
    }
    for (name, value) in &quirks.force {
        let wanted = value.to_string();
        let before = draft.get(name).map(|old| Cow::from(old.to_owned()));
        if before.as_deref() == Some(wanted.as_str()) {
            continue;
        }
        if before.is_some_and(|old| old != "null") {
            losses.push(Loss::changed(name, format!("became `{wanted}`")));
        }
        draft.set(name, wanted);
    }
}

/// A number as JSON: whole ones without a decimal point, since token limits must be integers.
fn number(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 9e15 { format!("{value:.0}") } else { value.to_string() }
}
