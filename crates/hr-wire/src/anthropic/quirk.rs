//! Named deviations of models and servers, as functions that a catalogue file names.
//!
//! Each is named by what it does. They work on JSON text after everything else was written, so they serve
//! callers of this dialect and of others alike, and what they do not change stays as it was.

use serde_json::{Value, json};

use super::prepare::{LEAST_BUDGET, lose};
use crate::envelope::Draft;
use crate::hub::Loss;
use crate::json::quoted;
use crate::patch::{self, Fate};

type Quirk = fn(&mut Bench<'_>);

/// All quirk functions by name.
const QUIRKS: &[(&str, Quirk)] = &[
    ("thinking_by_budget", thinking_by_budget),
    ("thinking_adaptive", thinking_adaptive),
    ("thinking_always", thinking_always),
    ("no_extra_high_effort", no_extra_high_effort),
    ("no_thinking", no_thinking),
    ("no_sampling", no_sampling),
    ("one_sampling_field", one_sampling_field),
    ("no_prefill", no_prefill),
    ("no_output_format", no_output_format),
    ("no_mid_system", no_mid_system),
    ("no_forced_tool_choice", no_forced_tool_choice),
];

/// The budget that stands for each effort where reasoning is bounded by a budget.
const BUDGETS: [(&str, u64); 5] =
    [("low", 4096), ("medium", 8192), ("high", 16_384), ("xhigh", 32_768), ("max", u64::MAX)];
/// The budget where no effort was said: the API's own default is high.
const USUAL_BUDGET: u64 = 16_384;

/// A request under way, the most tokens that its answer may have, and what got lost.
pub(super) struct Bench<'e> {
    pub draft: Draft<'e>,
    pub cap: Option<u64>,
    pub losses: Vec<Loss>,
}

/// Whether a catalogue file may name this function.
#[must_use]
pub fn quirk_exists(name: &str) -> bool {
    QUIRKS.iter().any(|(known, _)| *known == name)
}

/// The names of all quirk functions.
pub fn quirk_names() -> impl Iterator<Item = &'static str> {
    QUIRKS.iter().map(|(name, _)| *name)
}

/// Applies a function; one that another dialect has does nothing here.
pub(super) fn apply(name: &str, bench: &mut Bench<'_>) {
    if let Some((_, function)) = QUIRKS.iter().find(|(known, _)| *known == name) {
        function(bench);
    }
}

impl Bench<'_> {
    fn lose(&mut self, loss: Loss) {
        lose(&mut self.losses, loss);
    }

    fn value(&self, key: &str) -> Option<&str> {
        self.draft.get(key).filter(|value| *value != "null")
    }

    fn member(&self, key: &str, member: &str) -> Option<String> {
        patch::string(patch::field(self.value(key)?, member)?).map(Into::into)
    }

    fn thinking(&self) -> Option<String> {
        self.member("thinking", "type")
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.value(key)?.parse().ok()
    }

    /// Takes a member out of `output_config`, and that too when nothing else is in it; tells what it was.
    fn take(&mut self, member: &str) -> Option<String> {
        let config = self.value("output_config")?;
        let taken = patch::field(config, member)?.to_owned();
        let rest = patch::each(config, |name, _| if name == Some(member) { Fate::Drop } else { Fate::Keep })?;
        match patch::each(&rest, |_, _| Fate::Drop) {
            Some(_) => self.draft.set("output_config", rest),
            None => {
                self.draft.remove("output_config");
            }
        }
        Some(taken)
    }

    /// Takes the effort out; tells what it was.
    fn take_effort(&mut self) -> Option<String> {
        patch::string(&self.take("effort")?).map(Into::into)
    }

    fn drop_parameter(&mut self, key: &str) {
        // Words are drawn so when nobody says anything.
        let usual = |value: &str| key != "top_k" && matches!(value, "1" | "1.0");
        let said = self.value(key).is_some_and(|value| !usual(value));
        if self.draft.remove(key) && said {
            self.lose(Loss::dropped(key));
        }
    }

    /// Each message with its role, as text.
    fn messages(&self) -> Vec<(String, &str)> {
        let mut found = Vec::new();
        if let Some(messages) = self.value("messages") {
            patch::each(messages, |_, _| Fate::Keep);
            let mut cursor = crate::json::Cursor::new(messages);
            let walked = cursor.items(|cursor, _| {
                let message = cursor.skip()?;
                let role = patch::field(message, "role").and_then(patch::string).unwrap_or_default();
                found.push((role.into_owned(), message));
                Ok::<(), crate::json::Syntax>(())
            });
            if walked.is_err() {
                found.clear();
            }
        }
        found
    }
}

/// The types of the blocks of a message, in order.
fn block_types(message: &str) -> Vec<String> {
    let mut types = Vec::new();
    if let Some(content) = patch::field(message, "content") {
        // Nothing changes: this only looks.
        patch::each(content, |_, block| {
            types.extend(patch::field(block, "type").and_then(patch::string).map(String::from));
            Fate::Keep
        });
    }
    types
}

/// Reasoning is switched on with a budget; neither `adaptive` nor an effort is known.
fn thinking_by_budget(bench: &mut Bench<'_>) {
    let effort = bench.take_effort();
    match bench.thinking().as_deref() {
        Some("adaptive") => {}
        Some("enabled") => return without_its_blocks(bench),
        _ => return,
    }
    let wanted = effort.as_deref().and_then(|word| BUDGETS.iter().find(|(known, _)| *known == word));
    let budget = wanted.map_or(USUAL_BUDGET, |(_, budget)| *budget);
    let asked = bench.number("max_tokens").unwrap_or(u64::MAX);
    // As much as there is: all that was asked for, where nobody knows how much that may be.
    let most = if budget == u64::MAX { asked } else { u64::MAX };
    let cap = bench.cap.unwrap_or(most);
    // The budget counts as part of the answer: there must be room for both.
    let grown = if budget < asked { asked } else { asked.saturating_add(budget).min(cap.max(asked)) };
    let budget = budget.min(grown.saturating_sub(1));
    if budget < LEAST_BUDGET {
        bench.draft.remove("thinking");
        bench.lose(Loss::dropped("reasoning"));
        return;
    }
    if grown != asked {
        bench.draft.set("max_tokens", grown.to_string());
    }
    let mut thinking = json!({"type": "enabled", "budget_tokens": budget});
    if let Some(display) = bench.member("thinking", "display") {
        thinking["display"] = Value::from(display);
    }
    bench.draft.set("thinking", thinking.to_string());
    without_its_blocks(bench);
}

/// While tools are being called, such models want the reasoning of that turn back. Where it is gone, they are
/// not to reason now.
fn without_its_blocks(bench: &mut Bench<'_>) {
    let messages = bench.messages();
    let Some((role, last)) = messages.last() else { return };
    let in_a_loop = role == "user" && block_types(last).iter().any(|kind| kind == "tool_result");
    let turn = messages.iter().rfind(|(role, _)| role == "assistant");
    let reasoned = turn.is_some_and(|(_, turn)| {
        block_types(turn).first().is_some_and(|kind| kind == "thinking" || kind == "redacted_thinking")
    });
    if in_a_loop && !reasoned {
        bench.draft.set("thinking", r#"{"type":"disabled"}"#);
        bench.lose(Loss::dropped("reasoning"));
    }
}

/// Reasoning is as deep as the model sees fit or the effort says; budgets are not known.
fn thinking_adaptive(bench: &mut Bench<'_>) {
    if bench.thinking().as_deref() != Some("enabled") {
        return;
    }
    let budget = bench.value("thinking").and_then(|thinking| patch::field(thinking, "budget_tokens"));
    let budget = budget.and_then(|budget| budget.parse::<u64>().ok());
    let word =
        budget.and_then(|budget| BUDGETS.iter().find(|(_, most)| budget <= *most)).map(|(word, _)| *word);
    let mut thinking = json!({"type": "adaptive"});
    if let Some(display) = bench.member("thinking", "display") {
        thinking["display"] = Value::from(display);
    }
    bench.draft.set("thinking", thinking.to_string());
    bench.lose(Loss::changed("thinking.budget_tokens", "became an effort"));
    if let (Some(word), None) = (word, bench.member("output_config", "effort")) {
        let word = quoted(if word == "max" { "xhigh" } else { word });
        let config = match bench.value("output_config") {
            None => Some(format!("{{\"effort\":{word}}}")),
            Some(config) => patch::object(config, |config| {
                config.set("effort", word.clone());
                true
            }),
        };
        if let Some(config) = config {
            bench.draft.set("output_config", config);
        }
    }
}

/// Reasoning cannot be switched off: it is asked to be short.
fn thinking_always(bench: &mut Bench<'_>) {
    if bench.thinking().as_deref() != Some("disabled") {
        return;
    }
    bench.draft.remove("thinking");
    bench.lose(Loss::changed("reasoning", "as little as there is"));
    let config = match bench.value("output_config") {
        None => Some(r#"{"effort":"low"}"#.to_owned()),
        Some(config) => patch::object(config, |config| {
            config.set("effort", "\"low\"");
            true
        }),
    };
    if let Some(config) = config {
        bench.draft.set("output_config", config);
    }
}

/// There is no effort between high and the most.
fn no_extra_high_effort(bench: &mut Bench<'_>) {
    if bench.member("output_config", "effort").as_deref() != Some("xhigh") {
        return;
    }
    let config = bench
        .value("output_config")
        .and_then(|config| patch::within(config, "effort", |_| Some("\"high\"".to_owned())));
    if let Some(config) = config {
        bench.draft.set("output_config", config);
        bench.lose(Loss::changed("output_config.effort", "`xhigh` became `high`"));
    }
}

/// There is no reasoning.
fn no_thinking(bench: &mut Bench<'_>) {
    let wanted = bench.thinking().is_some_and(|kind| kind != "disabled");
    bench.draft.remove("thinking");
    if bench.take_effort().is_some() || wanted {
        bench.lose(Loss::dropped("reasoning"));
    }
}

/// The choice of words cannot be steered.
fn no_sampling(bench: &mut Bench<'_>) {
    for key in ["temperature", "top_p", "top_k"] {
        bench.drop_parameter(key);
    }
}

/// Of `temperature` and `top_p` only one is taken.
fn one_sampling_field(bench: &mut Bench<'_>) {
    if bench.value("temperature").is_some() {
        bench.drop_parameter("top_p");
    }
}

/// An answer that was begun cannot be gone on with: the person asks for the rest.
fn no_prefill(bench: &mut Bench<'_>) {
    const GO_ON: &str = r#"{"role":"user","content":"Continue."}"#;
    let begun = bench.messages().last().is_some_and(|(role, _)| role == "assistant");
    if !begun {
        return;
    }
    let Some(open) = bench.value("messages").and_then(|messages| messages.trim_end().strip_suffix(']'))
    else {
        return;
    };
    let longer = format!("{open},{GO_ON}]");
    bench.draft.set("messages", longer);
    bench.lose(Loss::changed("messages", "a turn of the person follows the answer that was begun"));
}

/// The shape of an answer is not bound by a schema: it is asked for in words.
fn no_output_format(bench: &mut Bench<'_>) {
    let Some(schema) =
        bench.take("format").as_deref().and_then(|format| patch::field(format, "schema")).map(str::to_owned)
    else {
        return;
    };
    let words = format!("Respond with JSON that follows this schema, and with nothing else:\n{schema}");
    let system = match bench.value("system") {
        None => quoted(&words),
        Some(system) => match (patch::string(system), system.trim_end().strip_suffix(']')) {
            (Some(text), _) => quoted(&format!("{text}\n\n{words}")),
            (None, Some(open)) => {
                let block = json!({"type": "text", "text": words});
                let comma = if open.trim_end().ends_with('[') { "" } else { "," };
                format!("{open}{comma}{block}]")
            }
            (None, None) => return,
        },
    };
    bench.draft.set("system", system);
    bench.lose(Loss::changed("output_config.format", "became an instruction"));
}

/// Instructions stand only before the conversation: later ones become words of the person where they stand, so
/// that what was cached before them stays.
fn no_mid_system(bench: &mut Bench<'_>) {
    let changed = bench.value("messages").and_then(|messages| {
        patch::each(messages, |_, message| {
            let role = patch::field(message, "role").and_then(patch::string);
            if role.as_deref() != Some("system") {
                return Fate::Keep;
            }
            let remind = |text: &str| quoted(&format!("<system-reminder>\n{text}\n</system-reminder>"));
            let reminded = patch::within(message, "content", |content| match patch::string(content) {
                Some(text) => Some(remind(&text)),
                None => patch::each(content, |_, block| {
                    patch::within(block, "text", |text| patch::string(text).map(|text| remind(&text))).into()
                }),
            });
            let message = reminded.as_deref().unwrap_or(message);
            patch::within(message, "role", |_| Some("\"user\"".to_owned())).into()
        })
    });
    if let Some(messages) = changed {
        bench.draft.set("messages", messages);
        bench.lose(Loss::changed("messages[].role", "instructions on the way became words of the user"));
    }
}

/// No tool can be forced.
fn no_forced_tool_choice(bench: &mut Bench<'_>) {
    let kind = bench.member("tool_choice", "type");
    if !matches!(kind.as_deref(), Some("any" | "tool")) {
        return;
    }
    let choice = bench.value("tool_choice").and_then(|choice| {
        patch::each(choice, |name, _| match name {
            Some("type") => Fate::Replace("\"auto\"".into()),
            Some("name") => Fate::Drop,
            _ => Fate::Keep,
        })
    });
    if let Some(choice) = choice {
        bench.draft.set("tool_choice", choice);
        bench.lose(Loss::changed("tool_choice", "became `auto`"));
    }
}
