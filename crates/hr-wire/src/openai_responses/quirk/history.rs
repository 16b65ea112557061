//! Quirks of the input.

use super::{Workbench, lose};
use crate::hub::{LONGEST_ID, Loss, legal_id};
use crate::json::{Cursor, Kind, quoted};
use crate::patch::{self, Fate};

/// What the ids of items begin with that name none of their own.
const PREFIXES: &[(&str, &str)] = &[
    ("message", "msg"),
    ("reasoning", "rs"),
    ("function_call", "fc"),
    ("custom_tool_call", "ctc"),
    ("web_search_call", "ws"),
];

/// A text alone becomes the item that it stands for.
pub(super) fn input_as_items(bench: &mut Workbench<'_>, _: &mut Vec<Loss>) {
    bench.change("input", |input| {
        (patch::kind(input)? == Kind::String).then(|| {
            format!(
                r#"[{{"type":"message","role":"user","content":[{{"type":"input_text","text":{input}}}]}}]"#
            )
        })
    });
}

/// Messages of the system are the developer's.
pub(super) fn system_to_developer(bench: &mut Workbench<'_>, _: &mut Vec<Loss>) {
    bench.change("input", |input| {
        patch::each(input, |_, item| {
            patch::within(item, "role", |role| (role == "\"system\"").then(|| "\"developer\"".to_owned()))
                .into()
        })
    });
}

/// Nothing is looked up: references go, reasoning that is not whole goes, ids of items that would be refused, and
/// reasoning's content that is null;
/// ids of calls that are too long become shorter ones, the same at the call and at its result.
pub(super) fn stateless_items(bench: &mut Workbench<'_>, losses: &mut Vec<Loss>) {
    bench.change("input", |input| {
        patch::each(input, |_, item| {
            let field = |key: &str| patch::field(item, key).and_then(patch::string);
            let kind = field("type");
            match kind.as_deref() {
                Some("item_reference") => {
                    lose(losses, "input[].item_reference");
                    return Fate::Drop;
                }
                Some("reasoning") if field("encrypted_content").is_none() => {
                    lose(losses, "input[].reasoning");
                    return Fate::Drop;
                }
                _ => {}
            }
            let prefix = PREFIXES.iter().find(|(known, _)| kind.as_deref().unwrap_or("message") == *known);
            let is_legal = |id: &str| {
                let named = prefix.is_none_or(|(_, prefix)| {
                    id.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('_'))
                });
                id.len() <= LONGEST_ID && named
            };
            let drops_id = field("id").is_some_and(|id| !is_legal(&id));
            // Coding agents send it so; what they mean is that there is none.
            let is_empty =
                kind.as_deref() == Some("reasoning") && patch::field(item, "content") == Some("null");
            let long = field("call_id").filter(|id| id.len() > LONGEST_ID);
            patch::object(item, |draft| {
                if let Some(id) = &long {
                    draft.set("call_id", quoted(&legal_id(id, LONGEST_ID)));
                }
                let without_id = drops_id && draft.remove("id");
                let without_content = is_empty && draft.remove("content");
                without_id || without_content || long.is_some()
            })
            .into()
        })
    });
}

/// Marks in the content up to which the prompt is worth caching are not known.
pub(super) fn strip_cache_breakpoints(bench: &mut Workbench<'_>, _: &mut Vec<Loss>) {
    const MARK: &str = "prompt_cache_breakpoint";
    bench.change("input", |input| {
        memchr::memmem::find(input.as_bytes(), MARK.as_bytes())?;
        patch::each(input, |_, item| change_parts(item, |part| part.remove(MARK)).into())
    });
}

/// Changes each part of an item's content, or of a result's output.
pub(super) fn change_parts(
    item: &str,
    mut change: impl FnMut(&mut crate::envelope::Draft<'_>) -> bool,
) -> Option<String> {
    patch::each(item, |name, value| {
        let holds_parts =
            matches!(name, Some("content" | "output")) && Cursor::new(value).kind() == Ok(Kind::Array);
        if !holds_parts {
            return Fate::Keep;
        }
        patch::each(value, |_, part| patch::object(part, &mut change).into()).into()
    })
}
