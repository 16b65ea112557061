//! A lighter form of the dialect, in which everything is an item of the input.

use super::history::change_parts;
use super::{Workbench, lose};
use crate::hub::Loss;
use crate::json::Kind;
use crate::patch;

/// The header that goes with it.
const HEADER: &str = "x-openai-internal-codex-responses-lite";

/// Tools and instructions become the first items of the input; calls come one at a time, reasoning looks at
/// all turns, and images are there themselves or not at all.
pub(super) fn responses_lite(bench: &mut Workbench<'_>, losses: &mut Vec<Loss>) {
    bench.headers.push((HEADER, "true".to_owned()));
    let mut first = Vec::new();
    if let Some(tools) = bench.said("tools") {
        first.push(format!(r#"{{"type":"additional_tools","role":"developer","tools":{tools}}}"#));
    }
    if let Some(text) = bench.said("instructions").filter(|text| *text != "\"\"") {
        first.push(format!(
            r#"{{"type":"message","role":"developer","content":[{{"type":"input_text","text":{text}}}]}}"#
        ));
    }
    bench.draft.remove("tools");
    bench.draft.remove("instructions");
    bench.change("input", |input| {
        let input = without_addresses(input, losses);
        if patch::kind(&input) != Some(Kind::Array) {
            return None;
        }
        let rest = input.trim().trim_start_matches('[').trim_end_matches(']').trim();
        if !rest.is_empty() {
            first.push(rest.to_owned());
        }
        Some(format!("[{}]", first.join(",")))
    });
    let reasoning = bench.said("reasoning").unwrap_or("{}");
    let reasoning = patch::object(reasoning, |draft| {
        draft.set("context", "\"all_turns\"");
        true
    });
    if let Some(reasoning) = reasoning {
        bench.draft.set("reasoning", reasoning);
    }
    bench.draft.set("parallel_tool_calls", "false");
}

/// Images at an address cannot be fetched from there, and no detail can be said.
fn without_addresses(input: &str, losses: &mut Vec<Loss>) -> String {
    let changed = patch::each(input, |_, item| {
        change_parts(item, |part| {
            if part.get("type") != Some("\"input_image\"") {
                return false;
            }
            let url = part.get("image_url").and_then(patch::string).unwrap_or_default().into_owned();
            let changed = part.remove("detail");
            if url.starts_with("data:") {
                return changed;
            }
            lose(losses, "input[].content[].image_url");
            part.set("type", "\"input_text\"");
            part.remove("image_url");
            part.set("text", crate::json::quoted(&format!("[image: {url}]")));
            true
        })
        .into()
    });
    changed.unwrap_or_else(|| input.to_owned())
}
