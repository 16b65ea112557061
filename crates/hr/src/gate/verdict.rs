//! The words for a request that nobody served. Why is the core's verdict; here it becomes an answer.

use hr_core::pool::{Member, Pool};
use hr_core::route::{Target, Verdict};
use hr_core::time::Millis;
use http::StatusCode;

use super::answer::Refusal;

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
        Verdict::TooLarge => Refusal::new(
            StatusCode::BAD_REQUEST,
            "the request is larger than the context window of every model in the pool",
        )
        .code("context_length_exceeded")
        .param("messages"),
        Verdict::Unservable { feature } => Refusal::new(
            StatusCode::BAD_REQUEST,
            format!("no model in the pool supports what the request needs: {feature}"),
        )
        .code("unsupported_by_pool"),
    }
}

/// That nobody is there to be asked, and why.
#[must_use]
pub fn no_providers(why: &str) -> Refusal {
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, format!("All providers exhausted: {why}"))
        .code("no_providers")
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
