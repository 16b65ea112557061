//! Quirks of single top-level fields.

use super::Workbench;
use crate::hub::Loss;
use crate::json::quoted;
use crate::patch::{self, Fate};

/// What has to be asked for so that reasoning can be sent back.
const ENCRYPTED: &str = "reasoning.encrypted_content";

/// The answer is always a stream; whoever wants it whole gets it made whole by the router.
pub(super) fn always_stream(bench: &mut Workbench<'_>, _: &mut Vec<Loss>) {
    if bench.draft.get("stream") != Some("true") {
        bench.draft.set("stream", "true");
    }
}

/// Nothing is stored at the provider; the router has a memory of its own.
pub(super) fn store_nothing(bench: &mut Workbench<'_>, _: &mut Vec<Loss>) {
    if bench.draft.get("store") != Some("false") {
        bench.draft.set("store", "false");
    }
}

/// `instructions` must be there, be they empty.
pub(super) fn instructions_present(bench: &mut Workbench<'_>, _: &mut Vec<Loss>) {
    if bench.said("instructions").is_none() {
        bench.draft.set("instructions", "\"\"");
    }
}

/// Encrypted reasoning is asked for, whatever else is.
pub(super) fn include_encrypted_reasoning(bench: &mut Workbench<'_>, _: &mut Vec<Loss>) {
    let Some(include) = bench.said("include") else {
        return bench.draft.set("include", format!("[{}]", quoted(ENCRYPTED)));
    };
    let mut names = Vec::new();
    let kept = patch::each(include, |_, name| {
        names.push(name.to_owned());
        Fate::Keep
    });
    let wanted = quoted(ENCRYPTED);
    if kept.is_none() && !names.contains(&wanted) {
        names.push(wanted);
        bench.draft.set("include", format!("[{}]", names.join(",")));
    }
}

/// Without tools there is nothing to choose and nothing to call at once.
pub(super) fn no_choice_without_tools(bench: &mut Workbench<'_>, _: &mut Vec<Loss>) {
    let some = bench.said("tools").is_some_and(|tools| tools.bytes().any(|byte| byte == b'{'));
    if !some {
        for key in ["tools", "tool_choice", "parallel_tool_calls"] {
            bench.draft.remove(key);
        }
    }
}

/// Older names of the search in the web become the one that is known.
pub(super) fn newest_web_search(bench: &mut Workbench<'_>, _: &mut Vec<Loss>) {
    let rename = |kind: &str| {
        patch::string(kind)?.starts_with("web_search_preview").then(|| "\"web_search\"".to_owned())
    };
    bench.change("tools", |tools| patch::each(tools, |_, tool| patch::within(tool, "type", rename).into()));
    bench.change("tool_choice", |choice| patch::within(choice, "type", rename));
}

/// Of the tiers of service only `priority` means something.
pub(super) fn priority_tier_only(bench: &mut Workbench<'_>, losses: &mut Vec<Loss>) {
    match bench.draft.get("service_tier") {
        None | Some("\"priority\"") => {}
        Some(tier) => {
            if !matches!(tier, "null" | "\"auto\"" | "\"default\"") {
                losses.push(Loss::dropped("service_tier"));
            }
            bench.draft.remove("service_tier");
        }
    }
}

/// Randomness that is asked for as it is anyway is left out, so that dropping it is no loss.
pub(super) fn drop_defaults(bench: &mut Workbench<'_>, _: &mut Vec<Loss>) {
    for key in ["temperature", "top_p"] {
        if bench.draft.get(key).and_then(|value| value.parse::<f64>().ok()) == Some(1.0) {
            bench.draft.remove(key);
        }
    }
}

/// No summary of the reasoning is given.
pub(super) fn drop_reasoning_summary(bench: &mut Workbench<'_>, losses: &mut Vec<Loss>) {
    bench.change("reasoning", |reasoning| {
        patch::object(reasoning, |draft| {
            let said = draft.get("summary").is_some_and(|summary| summary != "null");
            if said {
                losses.push(Loss::dropped("reasoning.summary"));
            }
            draft.remove("summary") | draft.remove("generate_summary")
        })
    });
}
