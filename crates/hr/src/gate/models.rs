//! `GET /v1/models`: the names that a caller may put into `model`, in the shape that the caller expects.

use hr_core::pool::{Pool, PoolModel};
use hr_core::time::Millis;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::answer::{self, Answer, Refusal};
use super::{Gate, Live};

/// The suffixes of the router's own name.
const PROFILES: [&str; 3] = [":fast", ":best", ":frugal"];
/// The owner of the router's own names.
const OURS: &str = "hermes-router";
/// Stands before the router's own names for clients that list only what begins so.
const ALIAS: &str = "claude-";
/// The window that is told of a name when none is known: what coding agents take for granted anyway.
const USUAL_WINDOW: u64 = 200_000;
/// The longest answer that is told of a name when none is known.
const USUAL_ANSWER: u64 = 32_000;
/// How much of a tool's output a coding agent keeps, in tokens.
const TOOL_OUTPUT: u64 = 10_000;
/// The efforts that a coding agent may offer.
const EFFORTS: [(&str, &str); 3] = [
    ("low", "quick answers with little reasoning"),
    ("medium", "a balance of speed and reasoning"),
    ("high", "much reasoning for hard problems"),
];
/// What a coding agent tells a model about itself where the caller says nothing else.
const INSTRUCTIONS: &str = "You are a coding agent in a terminal. Work in the user's project with the tools that \
                            you are given: look before you change, keep changes small and to the point, run what \
                            checks them, and say briefly what you did.";

/// Who asks, as far as the shape of the list goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Openai,
    Anthropic,
    Catalogue,
}

impl Shape {
    fn of(headers: &HeaderMap, query: Option<&str>) -> Self {
        let asks = |name: &str| {
            query.unwrap_or_default().split('&').any(|pair| pair.split('=').next() == Some(name))
        };
        if asks("client_version") {
            Self::Catalogue
        } else if headers.contains_key("anthropic-version")
            || (asks("limit") && headers.contains_key("x-api-key"))
        {
            Self::Anthropic
        } else {
            Self::Openai
        }
    }
}

/// A name, and what there is to know of what stands behind it.
struct Listed<'a> {
    id: String,
    owner: &'a str,
    window: Option<u64>,
    answer: Option<u64>,
    vision: bool,
}

/// Every name, the router's own first.
pub fn list(gate: &Gate, live: &Live, headers: &HeaderMap, query: Option<&str>) -> Answer {
    let shape = Shape::of(headers, query);
    let names = names(live, shape);
    let created = gate.clock.started_at();
    let entries: Vec<Value> =
        names.iter().enumerate().map(|(place, name)| entry(name, place, shape, created)).collect();
    let body = match shape {
        Shape::Openai => json!({ "object": "list", "data": entries }),
        Shape::Anthropic => json!({
            "data": entries,
            "has_more": false,
            "first_id": names.first().map(|name| &name.id),
            "last_id": names.last().map(|name| &name.id),
        }),
        Shape::Catalogue => json!({ "models": entries }),
    };
    answer::json(StatusCode::OK, &body)
}

/// One name.
///
/// # Errors
/// 404 for a name that is not listed.
pub fn one(
    gate: &Gate,
    live: &Live,
    id: &str,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Result<Answer, Refusal> {
    let id = percent_encoding::percent_decode_str(id).decode_utf8_lossy();
    let shape = Shape::of(headers, query);
    match names(live, shape).into_iter().find(|name| name.id == *id) {
        Some(name) => Ok(answer::json(StatusCode::OK, &entry(&name, 0, shape, gate.clock.started_at()))),
        None => Err(Refusal::new(
            StatusCode::NOT_FOUND,
            "there is no model of this name; GET /v1/models lists them",
        )
        .code("model_not_found")
        .param("model")),
    }
}

/// The name that is meant: the router's own, where it is asked for by its alias.
#[must_use]
pub fn meant<'a>(model: &'a str, pool: &Pool) -> &'a str {
    let own = |name: &str| {
        let name = name.split(':').next().unwrap_or_default();
        name.eq_ignore_ascii_case(&pool.rules.router_model) || name.eq_ignore_ascii_case(OURS)
    };
    model.strip_prefix(ALIAS).filter(|name| own(name)).unwrap_or(model)
}

fn names(live: &Live, shape: Shape) -> Vec<Listed<'_>> {
    let pool = &live.roster.pool;
    let called = || pool.members.iter().filter(|member| member.off.is_none());
    let all = || called().flat_map(|member| &member.models).filter(|model| !model.by_request);
    let name = pool.rules.router_model.as_str();
    // The router finds somebody with room for what it is sent, so what holds for the roomiest holds for it.
    let own = |id: String| Listed {
        id,
        owner: OURS,
        window: all().filter_map(|model| model.context).max(),
        answer: all().filter_map(|model| model.max_output).max(),
        vision: all().any(|model| model.vision != Some(false)),
    };
    let ours = || {
        std::iter::once(String::new()).chain(PROFILES.map(str::to_owned)).map(|end| format!("{name}{end}"))
    };
    let mut names: Vec<Listed<'_>> = ours().map(own).collect();
    if shape == Shape::Anthropic && !name.starts_with(ALIAS) {
        names.extend(ours().map(|id| own(format!("{ALIAS}{id}"))));
    }
    for id in pool.model_ids() {
        let offered = |model: &&PoolModel| model.id == id;
        let found = called().find_map(|member| Some((member, member.models.iter().find(offered)?)));
        names.push(Listed {
            id: id.to_owned(),
            owner: found.map_or(OURS, |(member, _)| member.provider.id.as_str()),
            window: found.and_then(|(_, model)| model.context),
            answer: found.and_then(|(_, model)| model.max_output),
            vision: found.is_none_or(|(_, model)| model.vision != Some(false)),
        });
    }
    names
}

fn entry(name: &Listed<'_>, place: usize, shape: Shape, created: Millis) -> Value {
    let Listed { id, owner, window, answer, vision } = name;
    match shape {
        Shape::Openai => {
            json!({ "id": id, "object": "model", "created": created.0 / 1000, "owned_by": owner })
        }
        Shape::Anthropic => json!({
            "type": "model",
            "id": id,
            "display_name": id,
            "created_at": created.to_rfc3339(),
            "max_input_tokens": window.unwrap_or(USUAL_WINDOW),
            "max_tokens": answer.unwrap_or(USUAL_ANSWER),
        }),
        Shape::Catalogue => {
            let efforts = EFFORTS.map(|(effort, words)| json!({ "effort": effort, "description": words }));
            let sees: &[&str] = if *vision { &["text", "image"] } else { &["text"] };
            json!({
                "slug": id,
                "display_name": id,
                "description": format!("served by {owner}"),
                "default_reasoning_level": "medium",
                "supported_reasoning_levels": efforts,
                "shell_type": "shell_command",
                "visibility": "list",
                "supported_in_api": true,
                "priority": place,
                "upgrade": null,
                "base_instructions": INSTRUCTIONS,
                "supports_reasoning_summaries": true,
                "support_verbosity": false,
                "default_verbosity": null,
                "apply_patch_tool_type": null,
                "truncation_policy": { "mode": "tokens", "limit": TOOL_OUTPUT },
                "supports_parallel_tool_calls": true,
                "context_window": window.unwrap_or(USUAL_WINDOW),
                "effective_context_window_percent": 95,
                "input_modalities": sees,
                "experimental_supported_tools": [],
                "use_responses_lite": false,
                "prefer_websockets": false,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alias_means_the_router_and_nobody_else() {
        let pool = Pool::default();
        assert_eq!(meant("claude-hermes-router", &pool), "hermes-router");
        assert_eq!(meant("claude-hermes-router:best", &pool), "hermes-router:best");
        assert_eq!(meant("claude-sonnet-5", &pool), "claude-sonnet-5");
        assert_eq!(meant("hermes-router", &pool), "hermes-router");
    }

    #[test]
    fn the_shape_is_what_the_caller_knows() {
        let asks = |name: Option<&'static str>, query| {
            let headers = name.map(|name| (http::HeaderName::from_static(name), "1".parse().unwrap()));
            Shape::of(&headers.into_iter().collect(), query)
        };
        assert_eq!(asks(None, None), Shape::Openai);
        assert_eq!(asks(None, Some("limit=5")), Shape::Openai);
        assert_eq!(asks(Some("x-api-key"), Some("limit=1000")), Shape::Anthropic);
        assert_eq!(asks(Some("anthropic-version"), None), Shape::Anthropic);
        assert_eq!(asks(None, Some("a=b&client_version=0.169.0")), Shape::Catalogue);
    }
}
