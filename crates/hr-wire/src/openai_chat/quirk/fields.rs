//! Quirks of single top-level fields.

use super::Workbench;
use crate::hub::Loss;
use crate::json::quoted;
use crate::patch;

/// `tool_choice: "required"` is called `any`.
pub(super) fn tool_choice_required_to_any(bench: &mut Workbench<'_>, _: &mut Vec<Loss>) {
    if bench.draft().get("tool_choice") == Some("\"required\"") {
        bench.draft().set("tool_choice", "\"any\"");
    }
}

/// Only `auto` is understood: `none` takes the tools out, everything else becomes `auto`.
pub(super) fn tool_choice_auto_only(bench: &mut Workbench<'_>, losses: &mut Vec<Loss>) {
    let draft = bench.draft();
    match draft.get("tool_choice") {
        None | Some("\"auto\"") => {}
        Some("\"none\"") => {
            draft.remove("tool_choice");
            draft.remove("tools");
        }
        Some("null") => {
            draft.remove("tool_choice");
        }
        Some(_) => {
            draft.set("tool_choice", "\"auto\"");
            losses.push(Loss::changed("tool_choice", "became `auto`"));
        }
    }
}

/// One call at a time: `parallel_tool_calls` is false when there are tools, and absent otherwise.
pub(super) fn single_tool_calls(bench: &mut Workbench<'_>, losses: &mut Vec<Loss>) {
    let draft = bench.draft();
    if !has_tools(draft) {
        draft.remove("parallel_tool_calls");
        return;
    }
    if draft.get("parallel_tool_calls") == Some("true") {
        losses.push(Loss::changed("parallel_tool_calls", "became `false`"));
    }
    draft.set("parallel_tool_calls", "false");
}

fn has_tools(draft: &crate::envelope::Draft<'_>) -> bool {
    draft.get("tools").is_some_and(|tools| tools != "null")
}

/// Only one field limits the answer: when both are there, the older one goes.
pub(super) fn one_max_tokens_field(bench: &mut Workbench<'_>, _: &mut Vec<Loss>) {
    let draft = bench.draft();
    match draft.get("max_completion_tokens") {
        None => {}
        Some("null") => {
            draft.remove("max_completion_tokens");
        }
        Some(_) => {
            draft.remove("max_tokens");
        }
    }
}

/// A temperature of zero is not taken; the smallest that is means the same.
pub(super) fn temperature_floor(bench: &mut Workbench<'_>, _: &mut Vec<Loss>) {
    const SMALLEST: f64 = 1e-8;
    let draft = bench.draft();
    let temperature = draft.get("temperature").and_then(|value| value.parse::<f64>().ok());
    if temperature.is_some_and(|value| value < SMALLEST) {
        draft.set("temperature", "1e-8");
    }
}

/// `null` counts as present here, so fields that are `null` are left out.
pub(super) fn drop_nulls(bench: &mut Workbench<'_>, _: &mut Vec<Loss>) {
    let draft = bench.draft();
    let nulls: Vec<String> =
        draft.keys().filter(|key| draft.get(key) == Some("null")).map(str::to_owned).collect();
    for key in nulls {
        draft.remove(&key);
    }
}

/// Every tool has a `description`, which may be empty.
pub(super) fn describe_tools(bench: &mut Workbench<'_>, _: &mut Vec<Loss>) {
    bench.change("tools", |tools| {
        patch::each(tools, |_, tool| {
            let described = patch::within(tool, "function", |function| {
                patch::object(function, |function| {
                    let lacks = function.get("description").is_none_or(|text| text == "null");
                    if lacks {
                        function.set("description", quoted(""));
                    }
                    lacks
                })
            });
            described.into()
        })
    });
}

/// `response_format: {"type":"text"}` is the default and refused when said.
pub(super) fn drop_text_response_format(bench: &mut Workbench<'_>, _: &mut Vec<Loss>) {
    if response_format(bench).as_deref() == Some("text") {
        bench.draft().remove("response_format");
    }
}

/// A JSON schema is more than is understood; plain JSON is asked for instead.
pub(super) fn json_schema_to_json_object(bench: &mut Workbench<'_>, losses: &mut Vec<Loss>) {
    if response_format(bench).as_deref() == Some("json_schema") {
        bench.draft().set("response_format", r#"{"type":"json_object"}"#);
        losses.push(Loss::changed("response_format", "the schema became plain JSON"));
    }
}

/// Tools and a response format exclude each other; the tools stay.
pub(super) fn response_format_not_with_tools(bench: &mut Workbench<'_>, losses: &mut Vec<Loss>) {
    if !has_tools(bench.draft()) {
        return;
    }
    match response_format(bench).as_deref() {
        None => {}
        Some(kind) => {
            if kind != "text" {
                losses.push(Loss::dropped("response_format"));
            }
            bench.draft().remove("response_format");
        }
    }
}

/// Reasoning and tools exclude each other; the tools stay and the effort is `none`.
pub(super) fn effort_none_with_tools(bench: &mut Workbench<'_>, losses: &mut Vec<Loss>) {
    let draft = bench.draft();
    if !has_tools(draft) {
        return;
    }
    if draft.get("reasoning_effort").is_some_and(|effort| effort != "null" && effort != "\"none\"") {
        losses.push(Loss::changed("reasoning_effort", "became `none`, since tools are offered"));
    }
    draft.set("reasoning_effort", "\"none\"");
}

/// `high` is the most effort.
pub(super) fn effort_up_to_high(bench: &mut Workbench<'_>, losses: &mut Vec<Loss>) {
    replace_effort(bench, &["\"xhigh\"", "\"max\""], "high", losses);
}

/// `low` is the least effort beside none.
pub(super) fn effort_from_low(bench: &mut Workbench<'_>, losses: &mut Vec<Loss>) {
    replace_effort(bench, &["\"minimal\""], "low", losses);
}

fn replace_effort(bench: &mut Workbench<'_>, unknown: &[&str], nearest: &str, losses: &mut Vec<Loss>) {
    let draft = bench.draft();
    if draft.get("reasoning_effort").is_some_and(|effort| unknown.contains(&effort)) {
        draft.set("reasoning_effort", quoted(nearest));
        losses.push(Loss::changed("reasoning_effort", format!("became `{nearest}`")));
    }
}

/// While the model reasons, which it does unless the effort is `none`, words are not drawn as the caller says.
pub(super) fn no_sampling_while_reasoning(bench: &mut Workbench<'_>, losses: &mut Vec<Loss>) {
    const SAMPLING: [&str; 7] = [
        "temperature",
        "top_p",
        "presence_penalty",
        "frequency_penalty",
        "logprobs",
        "top_logprobs",
        "logit_bias",
    ];
    let draft = bench.draft();
    if draft.get("reasoning_effort") == Some("\"none\"") {
        return;
    }
    for name in SAMPLING {
        let Some(value) = draft.get(name) else { continue };
        // What is the default anyway is nobody's wish.
        let is_said = !matches!((name, value), (_, "null") | ("temperature" | "top_p", "1" | "1.0"));
        draft.remove(name);
        if is_said {
            losses.push(Loss::dropped(name));
        }
    }
}

/// `reasoning_effort` is sent as `reasoning: {"effort": …}`; a caller's own `reasoning` wins.
pub(super) fn effort_to_reasoning_object(bench: &mut Workbench<'_>, _: &mut Vec<Loss>) {
    let draft = bench.draft();
    let Some(effort) = draft.get("reasoning_effort").map(str::to_owned) else { return };
    draft.remove("reasoning_effort");
    if effort != "null" && draft.get("reasoning").is_none() {
        draft.set("reasoning", format!("{{{}:{effort}}}", quoted("effort")));
    }
}

/// The `type` of the response format.
fn response_format(bench: &mut Workbench<'_>) -> Option<String> {
    let kind = patch::field(bench.draft().get("response_format")?, "type")?;
    patch::string(kind).map(std::borrow::Cow::into_owned)
}
