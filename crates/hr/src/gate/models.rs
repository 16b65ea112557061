//! `GET /v1/models`: the names that a caller may put into `model`.

use http::StatusCode;
use serde_json::{Value, json};

use super::answer::{self, Answer, Refusal};
use super::{Gate, Live};

/// The suffixes of the router's own name.
const PROFILES: [&str; 3] = [":fast", ":best", ":frugal"];
/// The owner of the router's own names.
const OURS: &str = "hermes-router";

/// Every name, the router's own first.
pub fn list(gate: &Gate, live: &Live) -> Answer {
    answer::json(StatusCode::OK, &json!({ "object": "list", "data": entries(gate, live) }))
}

/// One name.
///
/// # Errors
/// 404 for a name that is not listed.
pub fn one(gate: &Gate, live: &Live, id: &str) -> Result<Answer, Refusal> {
    let id = percent_encoding::percent_decode_str(id).decode_utf8_lossy();
    match entries(gate, live).into_iter().find(|entry| entry["id"] == *id) {
        Some(entry) => Ok(answer::json(StatusCode::OK, &entry)),
        None => Err(Refusal::new(
            StatusCode::NOT_FOUND,
            "there is no model of this name; GET /v1/models lists them",
        )
        .code("model_not_found")
        .param("model")),
    }
}

fn entries(gate: &Gate, live: &Live) -> Vec<Value> {
    let created = gate.clock.started_at().0 / 1000;
    let entry =
        |id: &str, owner: &str| json!({ "id": id, "object": "model", "created": created, "owned_by": owner });
    let pool = &live.roster.pool;
    let name = pool.rules.router_model.as_str();
    let mut entries = vec![entry(name, OURS)];
    entries.extend(PROFILES.iter().map(|suffix| entry(&format!("{name}{suffix}"), OURS)));
    for id in pool.model_ids() {
        let owner = pool
            .members
            .iter()
            .filter(|member| member.off.is_none())
            .find(|member| member.models.iter().any(|model| model.id == id))
            .map_or(OURS, |member| member.provider.id.as_str());
        entries.push(entry(id, owner));
    }
    entries
}
