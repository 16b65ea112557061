//! Named deviations that the four verbs cannot say, as functions a catalogue file names.
//!
//! Each is named by what it does, never by who needs it. All of them work on JSON text, so that what they do
//! not change goes out as the caller wrote it.

use crate::envelope::Draft;
use crate::hub::Loss;

mod fields;
mod history;
mod lite;

type Quirk = fn(&mut Workbench<'_>, &mut Vec<Loss>);

/// All quirk functions by name.
const QUIRKS: &[(&str, Quirk)] = &[
    ("always_stream", fields::always_stream),
    ("store_nothing", fields::store_nothing),
    ("instructions_present", fields::instructions_present),
    ("include_encrypted_reasoning", fields::include_encrypted_reasoning),
    ("no_choice_without_tools", fields::no_choice_without_tools),
    ("newest_web_search", fields::newest_web_search),
    ("priority_tier_only", fields::priority_tier_only),
    ("drop_defaults", fields::drop_defaults),
    ("drop_reasoning_summary", fields::drop_reasoning_summary),
    ("input_as_items", history::input_as_items),
    ("system_to_developer", history::system_to_developer),
    ("stateless_items", history::stateless_items),
    ("strip_cache_breakpoints", history::strip_cache_breakpoints),
    ("responses_lite", lite::responses_lite),
];

/// Whether a catalogue file may name this function.
#[must_use]
pub fn quirk_exists(name: &str) -> bool {
    QUIRKS.iter().any(|(known, _)| *known == name)
}

/// The names of all quirk functions, for "did you mean" and for the docs.
pub fn quirk_names() -> impl Iterator<Item = &'static str> {
    QUIRKS.iter().map(|(name, _)| *name)
}

/// Applies one function. Unknown names are refused when the catalogue is read, so there is none here.
pub(super) fn apply(name: &str, bench: &mut Workbench<'_>, losses: &mut Vec<Loss>) {
    if let Some((_, quirk)) = QUIRKS.iter().find(|(known, _)| *known == name) {
        quirk(bench, losses);
    }
}

/// Names something of the history that was left out: once, however often it occurs.
pub(super) fn lose(losses: &mut Vec<Loss>, what: &str) {
    let loss = Loss::dropped(what);
    if !losses.contains(&loss) {
        losses.push(loss);
    }
}

/// A request in the making.
pub(super) struct Workbench<'e> {
    draft: Draft<'e>,
    headers: Vec<(&'static str, String)>,
}

impl<'e> Workbench<'e> {
    pub(super) fn new(draft: Draft<'e>) -> Self {
        Self { draft, headers: Vec::new() }
    }

    /// The draft with all changes, and the headers that they make necessary.
    pub(super) fn finish(self) -> (Draft<'e>, Vec<(&'static str, String)>) {
        (self.draft, self.headers)
    }

    /// Changes the text of a field.
    fn change(&mut self, key: &str, change: impl FnOnce(&str) -> Option<String>) {
        if let Some(new) = self.draft.get(key).and_then(change) {
            self.draft.set(key, new);
        }
    }

    /// The value of a field, unless it is `null`.
    fn said(&self, key: &str) -> Option<&str> {
        self.draft.get(key).filter(|value| *value != "null")
    }
}
