//! The list of models as the Codex command line wants it: `GET /v1/models?client_version=…`.

use bytes::Bytes;
use serde_json::{Value, json};

/// What the list says of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// The id that requests name.
    pub id: String,
    /// Tokens that prompt and answer share, where that is known.
    pub context: Option<u64>,
    /// Whether it sees images.
    pub vision: bool,
    /// Whether it reasons, and how much can be asked for.
    pub reasoning: bool,
}

/// The tokens of a tool's output that the client keeps.
const OUTPUT_KEPT: u64 = 10_000;

/// What the model is told where the client has nothing better to tell it.
const INSTRUCTIONS: &str = "You are a coding agent that works in the user's terminal. Read before you change \
things, keep changes small, use the tools you are given, and say plainly what you did.";

/// The efforts that can be asked for, with the words beside them.
const EFFORTS: &[(&str, &str)] =
    &[("low", "Answers sooner"), ("medium", "Balanced"), ("high", "Thinks longer about hard problems")];

/// The body of the list, in the order given.
///
/// Models behind the router are promised what every dialect carries and no more: plain requests, tools that
/// take JSON, no search of the provider's own.
#[must_use]
pub fn catalogue(models: &[Listed]) -> Bytes {
    let models: Vec<Value> = models.iter().enumerate().map(|(place, model)| entry(place, model)).collect();
    json!({"models": models}).to_string().into()
}

fn entry(place: usize, model: &Listed) -> Value {
    let efforts: &[(&str, &str)] = if model.reasoning { EFFORTS } else { &[] };
    let levels: Vec<Value> =
        efforts.iter().map(|(effort, words)| json!({"effort": effort, "description": words})).collect();
    let mut entry = json!({
        "slug": model.id,
        "display_name": model.id,
        "description": null,
        "supported_reasoning_levels": levels,
        "default_reasoning_level": model.reasoning.then_some("medium"),
        "shell_type": "shell_command",
        "visibility": "list",
        "supported_in_api": true,
        "priority": place,
        "upgrade": null,
        "base_instructions": INSTRUCTIONS,
        "supports_reasoning_summaries": model.reasoning,
        "default_reasoning_summary": "auto",
        "support_verbosity": false,
        "default_verbosity": null,
        // Files are edited through the shell: not every model can write patches as free text, and newer
        // clients know no other word here.
        "apply_patch_tool_type": null,
        "truncation_policy": {"mode": "tokens", "limit": OUTPUT_KEPT},
        "supports_parallel_tool_calls": true,
        "effective_context_window_percent": 95,
        "experimental_supported_tools": [],
        "input_modalities": if model.vision { json!(["text", "image"]) } else { json!(["text"]) },
        "use_responses_lite": false,
        "prefer_websockets": false,
    });
    if let Some(context) = model.context {
        entry["context_window"] = json!(context);
        entry["max_context_window"] = json!(context);
    }
    entry
}
