//! The words for a request that nobody served. Why is the core's verdict; here it becomes an answer.

use std::time::Duration;

use hr_core::pool::{Member, Pool};
use hr_core::route::{Ask, Target, Verdict};
use hr_core::time::Millis;
use http::StatusCode;

use super::answer::{Refusal, WORTH_A_RETRY, in_seconds};

/// What a coding agent takes for a limit of its user's plan, and tells the user so.
const USAGE_LIMIT: &str = "usage_limit_reached";

/// The words for each way in which nobody could serve a request.
#[must_use]
pub fn refusal(verdict: Verdict, now: Millis, attempts: u32) -> Refusal {
    let wait = |at: Option<Millis>| at.map(|at| now.until(at));
    match verdict {
        Verdict::RateLimited { retry_at } => Refusal::new(
            StatusCode::TOO_MANY_REQUESTS,
            "All providers exhausted: every quota that could serve this request is used up for now",
        )
        .code("rate_limit_exceeded")
        .retry_after(wait(retry_at)),
        Verdict::Unavailable { retry_at } => {
            let calls = match attempts {
                0 => "all who could serve this rest".to_owned(),
                1 => "the one call that was made brought no answer".to_owned(),
                calls => format!("{calls} calls were made and none brought an answer"),
            };
            Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("All providers exhausted: {calls} (`hr status` says why)"),
            )
            .code("all_providers_exhausted")
            .retry_after(wait(retry_at))
        }
        Verdict::NoProviders => {
            no_providers("no provider is set up for this (`hr auth add PROVIDER` adds one)")
        }
        Verdict::TooLarge => too_large(&Ask::default(), None),
        Verdict::Unservable { feature } => Refusal::new(
            StatusCode::BAD_REQUEST,
            format!("no model in the pool supports what the request needs: {feature}"),
        )
        .code("unsupported_by_pool"),
    }
}

/// That no window holds the request; the largest one is told where it is known, in the words that clients read the
/// numbers from.
#[must_use]
pub fn too_large(ask: &Ask, window: Option<u64>) -> Refusal {
    let (prompt, answer) = (ask.prompt_tokens, ask.max_output.unwrap_or(0));
    let words = "the request is larger than the context window of every model in the pool";
    let words = match window.filter(|window| prompt.saturating_add(answer) > *window) {
        None => words.to_owned(),
        Some(window) => format!(
            "{words}: the maximum context length is {window} tokens, but about {} tokens were requested ({prompt} in \
             the messages, {answer} in the completion)",
            prompt.saturating_add(answer)
        ),
    };
    Refusal::new(StatusCode::BAD_REQUEST, words).code("context_length_exceeded").param("messages")
}

/// That every quota is used up for now, for a coding agent which gives up at a 429. It comes back after a 503, so it
/// gets one where the wait is short; else what it shows its user as a limit, with the time of the end.
#[must_use]
pub fn limited_for_an_agent(retry_at: Option<Millis>, now: Millis) -> Refusal {
    let wait = retry_at.map(|at| now.until(at));
    let words = "All providers exhausted: every quota that could serve this request is used up for now";
    match (retry_at, wait) {
        (Some(at), Some(wait)) if wait > WORTH_A_RETRY => Refusal::new(
            StatusCode::TOO_MANY_REQUESTS,
            format!("{words}; the first comes back at {}", at.to_rfc3339()),
        )
        .kind(USAGE_LIMIT)
        .code(USAGE_LIMIT)
        .retry_after(Some(wait)),
        (_, wait) => {
            let seconds = in_seconds(wait.unwrap_or(Duration::ZERO));
            let words = format!("{words}; try again in {seconds} seconds");
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, words).code("rate_limit_exceeded").retry_after(wait)
        }
    }
}

/// That nobody is there to be asked, and why.
#[must_use]
pub fn no_providers(why: &str) -> Refusal {
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, format!("All providers exhausted: {why}"))
        .code("no_providers")
        .final_for_now()
}

/// That whoever could serve the request costs more than it may.
#[must_use]
pub fn too_dear() -> Refusal {
    let words = "whoever could serve this costs more than the request may (`SPEND` and `MAX_COST_PER_REQUEST` say how \
                 much, and the headers `X-Hermes-Spend` and `X-Hermes-Max-Cost`)";
    Refusal::new(StatusCode::PAYMENT_REQUIRED, words).code("spend_limit").final_for_now()
}

/// That a loop of tool calls is wanted and nobody is known to call tools.
#[must_use]
pub fn nobody_calls_tools() -> Refusal {
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "No tool-capable models available")
        .code("no_tool_capable_models")
        .final_for_now()
}

/// Why those who have a key and could be meant are not called; nothing when there are none.
#[must_use]
pub fn switched_off(pool: &Pool, target: &Target) -> Option<String> {
    let is_meant = |member: &&Member| match target {
        Target::Pin { provider, .. } => *provider == member.provider.id,
        _ => true,
    };
    let why =
        |member: &Member| Some(format!("`{}` is not called: {}", member.provider.id, member.off.as_ref()?));
    let reasons: Vec<String> = pool.members.iter().filter(is_meant).filter_map(why).collect();
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

/// That nobody knows a model, where names are strict.
#[must_use]
pub fn unknown_model(model: &str) -> Refusal {
    let shown: String = model.chars().take(100).collect();
    Refusal::new(
        StatusCode::NOT_FOUND,
        format!("the model `{shown}` is not known here (STRICT_MODELS is on; GET /v1/models lists what is)"),
    )
    .code("model_not_found")
    .param("model")
}

/// That a model which was named is not called.
#[must_use]
pub fn not_called(model: &str) -> Refusal {
    let shown: String = model.chars().take(100).collect();
    Refusal::new(
        StatusCode::NOT_FOUND,
        format!(
            "the model `{shown}` is not called here: the settings exclude it, or too many others were named"
        ),
    )
    .code("model_not_found")
    .param("model")
}
