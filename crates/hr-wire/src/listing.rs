//! Providers' lists of models, in every shape that is known: what is there is read, what is missing stays unknown.
//!
//! A list is an array under `data` or `models`, or by itself; some servers tell of one model at a time. Names of the
//! same thing differ from one provider to the next, so each fact is looked for under all of them. Numbers that cannot
//! be true are no facts.

use hr_core::capability::{ListedModel, Listing, MAX_LISTED};
use hr_core::catalog::Price;
use serde_json::Value;

/// The most bytes of a list.
pub const MAX_LISTING_BYTES: usize = 16 * 1024 * 1024;
/// The longest id of a model.
const MAX_ID_CHARS: usize = 256;
/// What can be a window or the length of an answer, in tokens.
const TOKENS: std::ops::RangeInclusive<u64> = 16..=1_000_000_000;
/// What some lists put before each id.
const PREFIX: &str = "models/";
/// Tokens in the unit of the catalogue's prices.
const MILLION: f64 = 1e6;

/// Where the number of tokens in a window is found.
const CONTEXT: [&str; 10] = [
    "/context_length",
    "/context_window",
    "/max_context_length",
    "/max_model_len",
    "/loaded_context_length",
    "/max_input_tokens",
    "/inputTokenLimit",
    "/top_provider/context_length",
    "/limits/max_input_tokens",
    "/default_generation_settings/n_ctx",
];
/// Where the most tokens of an answer are found.
const MAX_OUTPUT: [&str; 6] = [
    "/top_provider/max_completion_tokens",
    "/max_completion_tokens",
    "/max_output_tokens",
    "/max_output_length",
    "/outputTokenLimit",
    "/limits/max_output_tokens",
];
/// Where it is said whether tools are called.
const TOOLS: [&str; 6] = [
    "/supports_tools",
    "/capabilities/function_calling",
    "/capabilities/tools",
    "/capabilities/tool_use",
    "/capabilities/trained_for_tool_use",
    "/supports_function_calling",
];
/// Where a server says that the model's own template has a place for tools. One without may be helped out by the
/// server, so only a yes says anything.
const TOOLS_IN_TEMPLATE: &str = "/chat_template_caps/supports_tools";
/// Where it is said whether images are seen.
const VISION: [&str; 6] = [
    "/supports_image_in",
    "/supports_vision",
    "/capabilities/vision",
    "/capabilities/image_input",
    "/capabilities/image_input/supported",
    "/modalities/vision",
];
/// Where it is said whether answers keep to a schema.
const STRUCTURED: [&str; 4] = [
    "/supports_structured_output",
    "/capabilities/structured_outputs",
    "/capabilities/structured_outputs/supported",
    "/capabilities/structured_output",
];
/// Where it is said whether the model reasons.
const REASONING: [&str; 6] = [
    "/supports_reasoning",
    "/capabilities/reasoning",
    "/capabilities/thinking",
    "/capabilities/thinking/supported",
    "/thinking",
    "/supports_thinking",
];

/// Reads a list; `None` when it is none.
#[must_use]
pub fn read(body: &[u8]) -> Option<Listing> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let array = |key: &str| body.get(key).and_then(Value::as_array);
    let entries = array("data").or_else(|| array("models")).or_else(|| body.as_array())?;
    let mut listing = Listing::default();
    let mut seen = std::collections::HashSet::new();
    for entry in entries.iter().take(MAX_LISTED) {
        if let Some(model) = model(entry).filter(|model| seen.insert(model.id.clone())) {
            listing.models.push(model);
        }
    }
    Some(listing)
}

/// Reads what a server tells of one model, which it need not name.
#[must_use]
pub fn read_one(id: &str, body: &[u8]) -> Option<ListedModel> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let facts = body.as_object().filter(|body| !body.contains_key("error"))?;
    let mut model = facts_of(&body);
    // The window of the model's file, under the name of its architecture.
    let of_file = facts.get("model_info").and_then(Value::as_object);
    let window = |info: &serde_json::Map<String, Value>| {
        info.iter().find(|(key, _)| key.ends_with(".context_length")).and_then(|(_, value)| tokens(value))
    };
    // What the server was told to give it is the truth; the file only says what could be.
    let set = facts.get("parameters").and_then(Value::as_str).and_then(set_window);
    model.context = set.or(model.context).or_else(|| of_file.and_then(window));
    model.id = id.to_owned();
    Some(model)
}

/// `num_ctx 8192` in the parameters of a model's file.
fn set_window(parameters: &str) -> Option<u64> {
    let line = parameters.lines().find_map(|line| line.trim().strip_prefix("num_ctx"))?;
    line.trim().parse().ok().filter(|tokens| TOKENS.contains(tokens))
}

fn model(entry: &Value) -> Option<ListedModel> {
    let id = ["id", "key", "slug", "name", "model"].iter().find_map(|key| entry[*key].as_str())?;
    let id = id.strip_prefix(PREFIX).unwrap_or(id);
    let odd = |c: char| c.is_whitespace() || c.is_control() || c == ',';
    if id.is_empty() || id.chars().count() > MAX_ID_CHARS || id.contains(odd) {
        return None;
    }
    Some(ListedModel { id: id.to_owned(), ..facts_of(entry) })
}

fn facts_of(entry: &Value) -> ListedModel {
    let flag = |places: &[&str]| places.iter().find_map(|place| entry.pointer(place)?.as_bool());
    let number = |places: &[&str]| places.iter().find_map(|place| tokens(entry.pointer(place)?));
    let backends = Backends::read(entry);
    let parameters = words(entry.get("supported_parameters").or_else(|| entry.get("supported_features")));
    let takes = |names: &[&str]| {
        let parameters = parameters.as_ref().filter(|known| !known.is_empty())?;
        Some(parameters.iter().any(|known| names.contains(&known.as_str())))
    };
    // A list of what it can do; other providers have an object of that name.
    let can = words(entry.get("capabilities"));
    let does = |names: &[&str]| Some(can.as_ref()?.iter().any(|known| names.contains(&known.as_str())));
    let sees = inputs(entry).map(|inputs| inputs.iter().any(|input| input == "image"));
    ListedModel {
        id: String::new(),
        context: number(&CONTEXT).or(backends.context),
        max_output: number(&MAX_OUTPUT).or_else(|| output_beside_window(entry)),
        tools: flag(&TOOLS)
            .or_else(|| takes(&["tools", "function_calling"]))
            .or_else(|| does(&["tools", "function_calling", "function-calling", "tool_use"]))
            .or_else(|| flag(&[TOOLS_IN_TEMPLATE]).filter(|yes| *yes))
            .or(backends.tools)
            .or_else(|| entry.get("supports_parallel_tool_calls").map(|_| true)),
        vision: flag(&VISION)
            .or(sees)
            .or_else(|| does(&["vision", "image"]))
            .or_else(|| is_type(entry, "vlm")),
        structured: flag(&STRUCTURED)
            .or_else(|| takes(&["structured_outputs", "structured_output", "json_schema"]))
            .or(backends.structured),
        reasoning: flag(&REASONING)
            .or_else(|| takes(&["reasoning", "include_reasoning", "reasoning_effort"]))
            .or_else(|| does(&["thinking", "reasoning"]))
            .or_else(|| has_efforts(entry)),
        chat: converses(entry, can.as_deref()),
        price: price(entry).or(backends.price),
    }
}

/// A number of tokens, as a number or as digits.
fn tokens(value: &Value) -> Option<u64> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
    Some(number).filter(|number| TOKENS.contains(number))
}

/// `max_tokens` is the longest answer where the window has another name beside it.
fn output_beside_window(entry: &Value) -> Option<u64> {
    entry.get("max_input_tokens").and_then(|_| tokens(entry.get("max_tokens")?))
}

fn words(value: Option<&Value>) -> Option<Vec<String>> {
    let words = value?.as_array()?.iter().filter_map(Value::as_str);
    Some(words.map(str::to_lowercase).collect())
}

/// What may be put in, where that is said.
fn inputs(entry: &Value) -> Option<Vec<String>> {
    let places = ["/architecture/input_modalities", "/input_modalities", "/modalities/input"];
    places.iter().find_map(|place| words(entry.pointer(place)))
}

fn is_type(entry: &Value, wanted: &str) -> Option<bool> {
    let kind = entry.get("type")?.as_str()?;
    matches!(kind, "llm" | "vlm").then(|| kind == wanted)
}

/// A list of efforts to choose from, or a preset one.
fn has_efforts(entry: &Value) -> Option<bool> {
    let levels = entry.get("supported_reasoning_levels").and_then(Value::as_array);
    levels.map(|levels| !levels.is_empty())
}

/// Whether it converses: puts out text, and is not said to do something else.
fn converses(entry: &Value, can: Option<&[String]>) -> Option<bool> {
    let flag = |place: &str| entry.pointer(place).and_then(Value::as_bool);
    if let Some(said) = flag("/capabilities/completion_chat") {
        return Some(said);
    }
    if let Some(outputs) = ["/architecture/output_modalities", "/output_modalities", "/modalities/output"]
        .iter()
        .find_map(|place| words(entry.pointer(place)))
    {
        return Some(outputs.iter().any(|output| output == "text"));
    }
    if let Some(methods) = words(entry.get("supportedGenerationMethods")) {
        return Some(methods.iter().any(|method| method == "generatecontent"));
    }
    if let Some(endpoints) = words(entry.get("endpoints")) {
        return Some(endpoints.iter().any(|endpoint| endpoint.contains("chat")));
    }
    if let Some(kind) = entry.get("type").and_then(Value::as_str) {
        let other = ["embed", "image", "audio", "rerank", "moderation", "transcri", "speech", "video"];
        return other.iter().any(|word| kind.contains(word)).then_some(false);
    }
    if entry.get("visibility").and_then(Value::as_str).is_some_and(|shown| shown != "list") {
        return Some(false);
    }
    can.filter(|can| !can.is_empty()).map(|can| can.iter().any(|word| word == "completion" || word == "chat"))
}

/// The price in USD per million tokens. Under `prompt` and `completion` it is told by the token.
fn price(entry: &Value) -> Option<Price> {
    let pricing = entry.get("pricing").or_else(|| entry.get("price"))?;
    let number = |key: &str| {
        let value = pricing.get(key)?;
        let number = value.as_f64().or_else(|| value.as_str()?.parse().ok())?;
        // A price below nothing stands for one that depends.
        (number.is_finite() && number >= 0.0).then_some(number)
    };
    let pair = |input: &str, output: &str, unit: f64| {
        Some(Price { input: number(input)? * unit, output: number(output)? * unit, cached: None })
    };
    pair("prompt", "completion", MILLION)
        .or_else(|| pair("per_input_token", "per_output_token", MILLION))
        .or_else(|| pair("input", "output", 1.0))
}

/// Several hosts of one model, of which any may answer: what all of those that say something agree on.
#[derive(Default)]
struct Backends {
    context: Option<u64>,
    tools: Option<bool>,
    structured: Option<bool>,
    price: Option<Price>,
}

impl Backends {
    fn read(entry: &Value) -> Self {
        let Some(hosts) = entry.get("providers").and_then(Value::as_array) else { return Self::default() };
        let live: Vec<&Value> = hosts
            .iter()
            .filter(|host| host.get("status").and_then(Value::as_str).is_none_or(|status| status == "live"))
            .collect();
        let agreed = |key: &str| {
            let mut said = live.iter().filter_map(|host| host.get(key)?.as_bool());
            let first = said.next()?;
            said.all(|other| other == first).then_some(first)
        };
        let dear = |a: &Price, b: &Price| (a.input + a.output).total_cmp(&(b.input + b.output));
        Self {
            context: live.iter().filter_map(|host| tokens(host.get("context_length")?)).min(),
            tools: agreed("supports_tools"),
            structured: agreed("supports_structured_output"),
            price: live.iter().filter_map(|host| price(host)).max_by(dear),
        }
    }
}
