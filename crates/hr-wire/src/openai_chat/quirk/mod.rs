//! Named deviations that the four verbs cannot say, as functions a catalogue file names.
//!
//! Each is named by what it does, never by who needs it. Functions over top-level fields work on JSON text;
//! those over messages, tools or the response format share one parsed copy, made only when one of them finds
//! that it has something to do.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::envelope::Draft;
use crate::hub::Loss;

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
    ("effort_to_reasoning_object", fields::effort_to_reasoning_object),
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

/// A request in the making, with parsed copies of the fields that functions look into.
pub(super) struct Workbench<'e> {
    draft: Draft<'e>,
    trees: BTreeMap<&'static str, Tree>,
}

struct Tree {
    value: Value,
    touched: bool,
}

impl<'e> Workbench<'e> {
    pub(super) fn new(draft: Draft<'e>) -> Self {
        Self { draft, trees: BTreeMap::new() }
    }

    /// The draft with the changed copies written back.
    pub(super) fn finish(mut self) -> Draft<'e> {
        for (key, tree) in self.trees {
            if tree.touched {
                self.draft.set(key, tree.value.to_string());
            }
        }
        self.draft
    }

    /// The fields as text; not for a field that functions parse.
    fn draft(&mut self) -> &mut Draft<'e> {
        &mut self.draft
    }

    /// Whether one of these words stands anywhere in a field: the cheap question before parsing it.
    fn mentions(&self, key: &str, words: &[&str]) -> bool {
        // A parsed copy may have changed since, so it is always worth a look.
        self.trees.contains_key(key)
            || self.draft.get(key).is_some_and(|text| {
                words.iter().any(|word| memchr::memmem::find(text.as_bytes(), word.as_bytes()).is_some())
            })
    }

    /// Changes a field through its parsed copy; `change` tells whether it changed anything.
    fn change(&mut self, key: &'static str, change: impl FnOnce(&mut Value) -> bool) -> bool {
        if !self.trees.contains_key(key) {
            let Some(value) = self.draft.get(key).and_then(|text| serde_json::from_str(text).ok()) else {
                return false;
            };
            self.trees.insert(key, Tree { value, touched: false });
        }
        let Some(tree) = self.trees.get_mut(key) else { return false };
        let changed = change(&mut tree.value);
        tree.touched |= changed;
        changed
    }

    /// Changes each message; `change` tells whether it changed this one.
    fn change_messages(&mut self, mut change: impl FnMut(&mut Map<String, Value>) -> bool) -> bool {
        self.change("messages", |messages| {
            let messages = messages.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut);
            messages.fold(false, |changed, message| change(message) | changed)
        })
    }
}
