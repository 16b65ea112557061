//! What stands before every page: the door, the access key, the hop check; and behind it, who answers.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use hr_core::catalog::Dialect;
use hr_core::route::record::Name;
use hr_core::time::Millis;
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, StatusCode};
use hyper::body::Incoming;

use super::answer::{self, Answer, Refusal};
use super::caller::CallerId;
use super::converse::{Visit, converse};
use super::paths::{self, Page};
use super::{Gate, Live, count, decisions, intake, models, quota, status};
use crate::watch::events::Early;
use crate::watch::metrics;

/// Names every router that a request has passed, so that a circle is seen.
pub const HOP_HEADER: HeaderName = HeaderName::from_static("x-hermes-hop");
/// The id of a request, in every answer and every log line.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The same under the name that Anthropic's clients look for.
const ANTHROPIC_REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
/// More routers in a row than this are taken for a circle.
const MAX_HOPS: usize = 8;

/// Answers one request.
pub async fn answer(gate: Arc<Gate>, request: Request<Incoming>) -> Answer {
    let now = gate.clock.now();
    let id = Name::from(format!("req_{:016x}", gate.chance.number(now)));
    let client = paths::speaks(request.uri().path(), request.headers());
    let dispatched = pin!(dispatch(&gate, &id, now, request));
    let mut answer = match unless_it_panics(dispatched).await {
        Some(Ok(answer)) => answer,
        Some(Err(refusal)) => refusal.answer(client, &id),
        None => defect().answer(client, &id),
    };
    gate.metrics.answered(answer.status().as_u16());
    if let Ok(value) = HeaderValue::from_str(&id) {
        if client.native() == Some(Dialect::Anthropic) {
            answer.headers_mut().insert(ANTHROPIC_REQUEST_ID, value.clone());
        }
        answer.headers_mut().insert(REQUEST_ID, value);
    }
    answer
}

/// What comes of a future, or nothing when it panics. That ends one request and no other: what requests share
/// is changed under locks within which nothing can panic halfway.
async fn unless_it_panics<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|context| poll_unless_it_panics(future.as_mut(), context)).await
}

/// The same for who polls by hand.
pub fn poll_unless_it_panics<F: Future + ?Sized>(
    future: Pin<&mut F>,
    context: &mut Context<'_>,
) -> Poll<Option<F::Output>> {
    match catch_unwind(AssertUnwindSafe(|| future.poll(context))) {
        Ok(poll) => poll.map(Some),
        Err(_) => Poll::Ready(None),
    }
}

/// The words for a panic.
#[must_use]
pub fn defect() -> Refusal {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "a defect of the router; its log names the place")
        .code("internal_error")
}

async fn dispatch(
    gate: &Arc<Gate>,
    id: &Name,
    now: Millis,
    request: Request<Incoming>,
) -> Result<Answer, Refusal> {
    let live = gate.live();
    let (head, body) = request.into_parts();
    let checked = check(gate, &live, &head);
    // Pages that ask for nobody's key do not ask for the caller either.
    let (page, caller) = match checked {
        Ok(found) => found,
        Err(refusal) => {
            intake::linger(body);
            return Err(refusal);
        }
    };
    let caller = caller.ok_or_else(unknown_caller);
    match page {
        Page::Welcome => Ok(status::welcome()),
        Page::Favicon => Ok(answer::whole(StatusCode::NO_CONTENT, "image/x-icon", "")),
        Page::Health => Ok(status::health(gate, &live)),
        Page::Metrics => {
            let members = gate.router().snapshot(gate.clock.now(), &live.roster);
            let text = gate.metrics.render(gate.clock.uptime().as_secs(), &members);
            Ok(answer::whole(StatusCode::OK, metrics::CONTENT_TYPE, text))
        }
        Page::Models => Ok(models::list(gate, &live, &head.headers, head.uri.query())),
        Page::Model(id) => models::one(gate, &live, id, &head.headers, head.uri.query()),
        Page::Status => Ok(status::status(gate, &live)),
        Page::Quota => Ok(quota::quota(gate, &live)),
        Page::Decision(id) => decisions::show(gate, id).await,
        Page::Explain => decisions::explain(gate, &live, &head.headers, head.uri.query()),
        Page::Reply(id) if head.method == Method::DELETE => gate.replies.forget(now, caller?, id),
        Page::Reply(id) => gate.replies.show(now, caller?, id),
        Page::ReplyInput(id) => gate.replies.show_input(now, caller?, id),
        Page::Count => count::count(gate, &live, &head.headers, body).await,
        Page::Ask(endpoint) => {
            let caller = caller?;
            let early: Arc<Early> = Arc::default();
            let bare =
                decisions::Bare { gate, live: &live, id, endpoint, at: now, early: Arc::clone(&early) };
            let (gate, live, id) = (Arc::clone(gate), Arc::clone(&live), id.clone());
            let visit = Visit { gate, live, id, at: now, caller, endpoint, headers: head.headers, early };
            bare.mark(converse(visit, body).await)
        }
    }
}

/// What must hold before the body is read. Who calls is known of all who gave a key, also where none is needed.
fn check<'a>(
    gate: &Gate,
    live: &Live,
    head: &'a http::request::Parts,
) -> Result<(Page<'a>, Option<CallerId>), Refusal> {
    if !live.doors.open_to(&head.headers, head.uri.authority().map(http::uri::Authority::as_str)) {
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "the router is not known under this Host or Origin (ALLOWED_HOSTS names more)",
        )
        .code("host_not_allowed"));
    }
    let found = paths::page(head.uri.path());
    let open = match found {
        Some(Page::Welcome | Page::Favicon | Page::Health) => true,
        Some(Page::Metrics) => !live.settings.metrics_require_auth,
        _ => false,
    };
    let caller = live.callers.admit(&head.headers);
    if !open && caller.is_none() {
        return Err(unknown_caller());
    }
    let Some(page) = found else {
        return Err(Refusal::new(StatusCode::NOT_FOUND, "there is no such endpoint; the API is under /v1")
            .code("unknown_url"));
    };
    if !page.answers_to(&head.method) {
        return Err(Refusal::new(
            StatusCode::METHOD_NOT_ALLOWED,
            format!("this endpoint answers to {} only", page.allow()),
        )
        .code("method_not_allowed")
        .allow(page.allow()));
    }
    refuse_circles(gate, &head.headers)?;
    Ok((page, caller))
}

fn unknown_caller() -> Refusal {
    Refusal::new(
        StatusCode::UNAUTHORIZED,
        "no valid access key was given; send one of PROXY_API_KEYS as `Authorization: Bearer KEY` or `x-api-key`",
    )
    .code("invalid_api_key")
}

/// Refuses a request that has passed this router before.
fn refuse_circles(gate: &Gate, headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(hops) = headers.get(&HOP_HEADER) else { return Ok(()) };
    let hops = hops.to_str().unwrap_or_default();
    let circle = hops.split(',').any(|hop| hop.trim() == gate.instance);
    if circle || hops.split(',').count() >= MAX_HOPS {
        return Err(Refusal::new(
            StatusCode::LOOP_DETECTED,
            "a provider's address leads back to this router; check the *_BASE_URL settings",
        )
        .code("loop_detected"));
    }
    Ok(())
}

/// The hop header of the calls that are made for a request: those before us, and us.
#[must_use]
pub fn hops(gate: &Gate, headers: &HeaderMap) -> HeaderValue {
    let ours = HeaderValue::from_str(&gate.instance);
    let joined = match headers.get(&HOP_HEADER).and_then(|hops| hops.to_str().ok()) {
        Some(before) => HeaderValue::from_str(&format!("{before},{}", gate.instance)),
        None => ours,
    };
    joined.unwrap_or_else(|_| HeaderValue::from_static("unnamed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_one_request() {
        async fn defect(panics: bool) -> u8 {
            tokio::task::yield_now().await;
            assert!(!panics, "a defect");
            7
        }
        assert_eq!(unless_it_panics(pin!(defect(false))).await, Some(7));
        assert_eq!(unless_it_panics(pin!(defect(true))).await, None);
    }
}
