//! `GET /v1/quota`: what is left of every limit that is known, owner by owner.

use hr_core::quota::OwnerQuota;
use hr_core::route::Roster;
use hr_core::secret::Secret;
use hr_core::time::Millis;
use http::StatusCode;
use serde_json::{Value, json};

use super::answer::{self, Answer};
use super::{Gate, Live};

/// What is left, when it returns, how sure that is, and where it is known from.
pub fn quota(gate: &Gate, live: &Live) -> Answer {
    let now = gate.clock.now();
    let quotas = gate.router().quota(now, &live.roster);
    answer::json(StatusCode::OK, &page(&live.roster, now, &quotas))
}

/// All that is told of quotas.
pub fn page(roster: &Roster, now: Millis, quotas: &[OwnerQuota]) -> Value {
    json!({ "now": now.to_rfc3339(), "owners": by_owner(roster, now, quotas) })
}

/// The quotas as they are told: keys by their tails, instants also in seconds from now.
pub fn by_owner(roster: &Roster, now: Millis, quotas: &[OwnerQuota]) -> Vec<Value> {
    quotas.iter().filter_map(|quota| owner(roster, now, quota)).collect()
}

/// One owner; nothing where it cannot be written, which no number of it may prevent.
fn owner(roster: &Roster, now: Millis, quota: &OwnerQuota) -> Option<Value> {
    let mut told = serde_json::to_value(quota).ok()?;
    let member = roster.pool.members.iter().find(|member| member.provider.id == quota.provider);
    told["name"] = json!(member.map(|member| &member.provider.name));
    let keys = quota.keys.iter().map(|id| {
        let key = member.and_then(|member| member.keys.iter().find(|key| key.id == *id));
        let tail = key.and_then(|key| key.secret.as_ref()).map(Secret::tail);
        json!({ "id": id, "key_tail": tail, "joined": quota.joined.contains(id) })
    });
    told["keys"] = keys.collect();
    for (list, ahead) in AHEAD {
        for entry in told.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            count_down(entry, ahead, now);
        }
    }
    Some(told)
}

/// The instants of an entry that lie ahead, with the name of how far that is.
const AHEAD: [(&str, &[(&str, &str)]); 2] = [
    ("buckets", &[("resets_at", "resets_in_s")]),
    ("held", &[("until", "until_in_s"), ("test_at", "test_in_s")]),
];

/// Says of each instant how far it is, and writes it so that people can read it. What is not known is `null` in both.
fn count_down(entry: &mut Value, ahead: &[(&str, &str)], now: Millis) {
    for (at, wait) in ahead {
        let instant = entry[at].as_u64().map(Millis);
        entry[wait] = json!(instant.map(|instant| now.until(instant).as_millis().div_ceil(1000)));
        entry[at] = json!(instant.map(Millis::to_rfc3339));
    }
    if entry.get("said_at").is_some() {
        let said = entry["said_at"].as_u64().map(Millis);
        entry["said_ago_s"] = json!(said.map(|instant| instant.until(now).as_secs()));
        entry["said_at"] = json!(said.map(Millis::to_rfc3339));
    }
}
