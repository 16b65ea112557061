//! `GET /v1/status`, `GET /health` and `GET /`: how the router is. The key sets are the original product's,
//! with ours added.

use std::collections::BTreeSet;

use hr_core::failure::FailureKind;
use hr_core::pool::{Member, PoolModel};
use hr_core::route::{BreakerPhase, MemberState};
use hr_core::time::Millis;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::answer::{self, Answer};
use super::{Gate, Live, quota};
use crate::scout::view;

/// What this is and where to go on.
pub fn welcome() -> Answer {
    let endpoints = [
        "/v1/chat/completions",
        "/v1/messages",
        "/v1/messages/count_tokens",
        "/v1/responses",
        "/v1/completions",
        "/v1/embeddings",
        "/v1/models",
        "/v1/status",
        "/v1/quota",
        "/v1/decisions/{id}",
        "/v1/explain",
        "/health",
        "/metrics",
    ];
    answer::json(
        StatusCode::OK,
        &json!({ "name": "hermes-router", "version": env!("CARGO_PKG_VERSION"), "endpoints": endpoints }),
    )
}

/// That the router lives, and whom it can call.
pub fn health(gate: &Gate, live: &Live) -> Answer {
    let providers: Vec<&str> = callable(live).map(|member| member.provider.id.as_str()).collect();
    answer::json(
        StatusCode::OK,
        &json!({
            "status": "ok",
            "providers": providers,
            "instance": gate.instance,
            "started_at_ms": gate.clock.started_at().0,
        }),
    )
}

fn callable(live: &Live) -> impl Iterator<Item = &Member> {
    live.roster.pool.members.iter().filter(|member| member.off.is_none())
}

/// Everything about the pool's state, without a secret in it.
pub fn status(gate: &Gate, live: &Live) -> Answer {
    let now = gate.clock.now();
    let (states, quotas) = {
        let router = gate.router();
        (router.snapshot(now, &live.roster), router.quota(now, &live.roster))
    };
    let limits = quota::by_owner(&live.roster, now, &quotas);
    let pool = &live.roster.pool;
    let providers: Map<String, Value> = pool
        .members
        .iter()
        .zip(&states)
        .map(|(member, state)| {
            let mut provider = provider(gate, now, member, state);
            let own = limits.iter().filter(|owner| owner["provider"] == member.provider.id.as_str());
            provider["limits"] = own.cloned().collect();
            (member.provider.id.clone(), provider)
        })
        .collect();
    let fast: Vec<&str> =
        pool.members.iter().filter(|m| m.provider.fast).map(|m| m.provider.id.as_str()).collect();
    let rules = &pool.rules;
    let body = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_s": gate.clock.uptime().as_secs(),
        "model": rules.router_model,
        "providers": providers,
        "rotation": { "mode": rules.rotation },
        "fast_routing": {
            "enabled": rules.fast_route_threshold > 0,
            "threshold_tokens": rules.fast_route_threshold,
            "fast_providers": fast,
        },
        "circuit_breaker": {
            "window": rules.breaker.window,
            "min_samples": rules.breaker.min_samples,
            "error_rate": rules.breaker.error_rate,
            "cooldown_s": rules.breaker.cooldown.as_secs_f64(),
        },
    });
    answer::json(StatusCode::OK, &body)
}

fn provider(gate: &Gate, now: Millis, member: &Member, state: &MemberState) -> Value {
    let wait = |until: Option<Millis>| until.map_or(0, |until| now.until(until).as_millis().div_ceil(1000));
    let keys: Vec<Value> = member
        .keys
        .iter()
        .zip(&state.keys)
        .map(|(key, state)| {
            json!({
                "key_tail": key.secret.as_ref().map(hr_core::secret::Secret::tail),
                "id": key.id,
                "source": key.source,
                "owner": key.owner,
                "status": if state.cooling_until.is_some() { "cooling" } else { "ready" },
                "ready_in": wait(state.cooling_until),
                "because": state.because,
                "requests": state.requests,
                "in_flight": state.in_flight,
            })
        })
        .collect();
    let caps: Vec<Value> = member
        .models
        .iter()
        .zip(&state.models)
        .map(|(model, state)| {
            let mut caps = capabilities(model);
            caps["abilities"] = view::abilities(model, now);
            caps["cooling_for_s"] = json!(wait(state.cooling_until));
            caps["because"] = json!(state.because);
            caps["first_byte_ms"] = json!(state.first_byte_ms);
            caps
        })
        .collect();
    let error_rate = if state.requests == 0 { 0.0 } else { state.errors as f64 / state.requests as f64 };
    let primary = member.models.first().filter(|model| !model.by_request);
    json!({
        "name": member.provider.name,
        "off": member.off,
        "note": member.provider.retired.as_ref().map(|retired| &retired.note),
        "spend": primary.map_or(member.provider.spend, |model| model.spend),
        "keys": keys,
        "stats": {
            "avg_latency_ms": state.avg_latency_ms,
            "error_rate": error_rate,
            "total_requests": state.requests,
            "errors": state.errors,
        },
        "breaker": {
            "state": state.breaker.phase,
            "open": state.breaker.phase != BreakerPhase::Closed,
            "opens_in_s": wait(state.breaker.until),
            "recent_health_fails": state.breaker.recent_failures,
        },
        "tokens": gate.metrics.tokens_of(&member.provider.id),
        "available": primary.is_some() && available(member, state),
        "cooling_for_s": wait(state.cooling_until),
        "because": state.because,
        "hints": hints(member, state),
        "model": primary.map(|model| &model.id),
        "models": member.models.iter().filter(|m| !m.by_request).map(|m| &m.id).collect::<Vec<_>>(),
        "rating": primary.map(|model| model.rating),
        "latency_ms": primary.and(state.models.first()).and_then(|model| model.first_byte_ms),
        "supports_tools": primary.and_then(|model| model.tools),
        "tools_confirmed": primary.is_some_and(|model| model.tools.is_some()),
        "reasoning": primary.and_then(|model| model.reasoning),
        "embed_model": member.embed_model,
        "skip_if_tokens_over": member.skip_tokens_over.unwrap_or(0),
        "max_output_tokens": member.max_output_tokens.unwrap_or(0),
        "model_caps": caps,
    })
}

/// What its owner can do about whatever rests.
fn hints<'a>(member: &'a Member, state: &MemberState) -> BTreeSet<&'a str> {
    let keys = state.keys.iter().filter_map(|key| key.because);
    let models = state.models.iter().filter_map(|model| model.because);
    let reasons = state.because.into_iter().chain(keys).chain(models);
    reasons.filter_map(|kind| member.provider.hint(kind)).collect()
}

/// Whether it can be called, now or once a quota is back: nothing is wrong with it that its owner has to mend.
fn available(member: &Member, state: &MemberState) -> bool {
    use FailureKind as K;
    let well = !matches!(
        state.because,
        Some(
            K::BadKey
                | K::NoMoney
                | K::ModelForbidden
                | K::ModelMissing
                | K::ModelGone
                | K::ProviderGone
                | K::Loop
        )
    );
    member.off.is_none() && !member.keys.is_empty() && well
}

fn capabilities(model: &PoolModel) -> Value {
    json!({
        "model": model.id,
        "by_request": model.by_request,
        "rating": model.rating,
        "spend": model.spend,
        "context": model.context,
        "max_output": model.max_output,
        "supports_tools": model.tools,
        "tools_confirmed": model.tools.is_some(),
        "supports_vision": model.vision,
        "reasoning": model.reasoning,
    })
}
