//! Named deviations that the four verbs cannot say, as functions a catalogue file names.
//!
//! Each is named by what it does, never by who needs it. All of them work on JSON text, so that what they do
//! not change goes out as the caller wrote it; only a schema that has to be rewritten as a whole is parsed.

use crate::envelope::Draft;
use crate::hub::Loss;
use crate::patch::{self, Fate};

mod calls;
mod fields;
mod history;
mod schema;

type Quirk = fn(&mut Workbench<'_>, &mut Vec<Loss>);

/// All quirk functions by name.
const QUIRKS: &[(&str, Quirk)] = &[
    ("developer_to_system", history::developer_to_system),
    ("strip_reasoning_history", history::strip_reasoning_history),
    ("rename_reasoning_history", history::rename_reasoning_history),
    ("tool_ids_nine_alphanumeric", history::tool_ids_nine_alphanumeric),
    ("strip_extra_content", history::strip_extra_content),
    ("strip_message_names", history::strip_message_names),
    ("flatten_text_content", history::flatten_text_content),
    ("drop_empty_assistant", history::drop_empty_assistant),
    ("fill_reasoning_beside_calls", calls::fill_reasoning_beside_calls),
    ("fill_thought_signatures", calls::fill_thought_signatures),
    ("tool_choice_required_to_any", fields::tool_choice_required_to_any),
    ("tool_choice_auto_only", fields::tool_choice_auto_only),
    ("single_tool_calls", fields::single_tool_calls),
    ("one_max_tokens_field", fields::one_max_tokens_field),
    ("temperature_floor", fields::temperature_floor),
    ("drop_nulls", fields::drop_nulls),
    ("drop_text_response_format", fields::drop_text_response_format),
    ("json_schema_to_json_object", fields::json_schema_to_json_object),
    ("response_format_not_with_tools", fields::response_format_not_with_tools),
    ("effort_none_with_tools", fields::effort_none_with_tools),
    ("no_sampling_while_reasoning", fields::no_sampling_while_reasoning),
    ("effort_up_to_high", fields::effort_up_to_high),
    ("effort_from_low", fields::effort_from_low),
    ("effort_to_reasoning_object", fields::effort_to_reasoning_object),
    ("describe_tools", fields::describe_tools),
    ("strip_schema_keys", schema::strip_schema_keys),
    ("openapi_schema_subset", schema::openapi_schema_subset),
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

/// A request in the making.
pub(super) struct Workbench<'e> {
    draft: Draft<'e>,
}

impl<'e> Workbench<'e> {
    pub(super) fn new(draft: Draft<'e>) -> Self {
        Self { draft }
    }

    /// The draft with all changes.
    pub(super) fn finish(self) -> Draft<'e> {
        self.draft
    }

    /// The fields as text.
    fn draft(&mut self) -> &mut Draft<'e> {
        &mut self.draft
    }

    /// Changes the text of a field; tells whether it changed.
    fn change(&mut self, key: &str, change: impl FnOnce(&str) -> Option<String>) -> bool {
        let Some(new) = self.draft.get(key).and_then(change) else { return false };
        self.draft.set(key, new);
        true
    }

    /// Changes each message in which one of these words stands; `change` tells whether it changed this one.
    fn change_messages(&mut self, words: &[&str], mut change: impl FnMut(&mut Draft<'_>) -> bool) -> bool {
        self.change("messages", |messages| {
            if !mentions(messages, words) {
                return None;
            }
            patch::each(messages, |_, message| {
                if !mentions(message, words) {
                    return Fate::Keep;
                }
                patch::object(message, &mut change).into()
            })
        })
    }
}

/// Whether one of these words stands anywhere in a text: the cheap question before looking into it.
fn mentions(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| memchr::memmem::find(text.as_bytes(), word.as_bytes()).is_some())
}
