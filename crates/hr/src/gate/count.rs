//! `POST /v1/messages/count_tokens`: exact where whom the conversation would go to counts itself, else counted here.
//!
//! Clients ask this for dozens of pieces at once, and do not need it: nothing of it counts as a request of the pool,
//! few are passed on at the same time, and whatever goes wrong, there is a count.

use std::sync::Arc;
use std::time::Duration;

use hr_core::catalog::Dialect;
use hr_core::route::{self, Ask, Choice, Tried, Work};
use hr_wire::anthropic::count;
use hr_wire::dialect::{Outgoing, upstream_half};
use hr_wire::envelope::Envelope;
use hr_wire::facts::ChatFacts;
use http::{HeaderMap, HeaderName, Method, Request, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::sync::Semaphore;

use super::answer::{self, Answer, Refusal};
use super::routes::{self, HOP_HEADER};
use super::wishes::Wishes;
use super::{Gate, Live, intake, memory, models, tokens};
use crate::upstream::body::UpstreamBody;
use crate::upstream::client::Errand;

/// How many are passed on at the same time; the others are counted here.
const MOST_PASSED_ON: usize = 4;
/// How long a provider may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// The most bytes of its answer.
const MAX_REPLY_BYTES: usize = 64 * 1024;

/// The places of those that are passed on.
static PASSED_ON: Semaphore = Semaphore::const_new(MOST_PASSED_ON);

/// Counts a conversation.
///
/// # Errors
/// A refusal that points at what is wrong with it.
pub async fn count(
    gate: &Arc<Gate>,
    live: &Arc<Live>,
    headers: &HeaderMap,
    body: Incoming,
) -> Result<Answer, Refusal> {
    let patience = live.settings.timeouts.request_deadline;
    let bytes = intake::read(headers, body, live.settings.max_request_bytes, patience).await?;
    let wishes = Wishes::read(headers)?;
    let (envelope, facts) = count::read(bytes)?;
    let counted = match pass_on(gate, live, (headers, wishes), &envelope, &facts).await {
        Some(exact) => exact,
        None => {
            let countable = count::countable(&envelope);
            tokio::task::spawn_blocking(move || tokens::count(&countable))
                .await
                .map_err(|_| routes::defect())?
        }
    };
    Ok(answer::whole(StatusCode::OK, "application/json", count::reply(counted)))
}

/// The count of whom the conversation would go to; nothing where it cannot count or is not there to.
async fn pass_on(
    gate: &Gate,
    live: &Live,
    (headers, wishes): (&HeaderMap, Wishes),
    envelope: &Envelope,
    facts: &ChatFacts,
) -> Option<u64> {
    let pool = &live.roster.pool;
    let (target, profile) = route::target(models::meant(&facts.model, pool), None, pool).ok()?;
    // What others issued is not shown to this one, to be counted either.
    let issued = gate.memory.issuers(gate.clock.now(), &facts.opaque);
    let mut ask = Ask {
        target,
        profile,
        work: Work::Chat,
        prompt_tokens: facts.prompt_tokens,
        tools: facts.tools,
        vision: facts.vision,
        dialect: Some(Dialect::Anthropic),
        issuers: issued.iter().filter_map(|(_, issuer)| issuer.as_deref().cloned()).collect(),
        ..Ask::default()
    };
    wishes.apply(&mut ask, pool).ok()?;
    let plan = gate.router().plan(gate.clock.now(), &live.roster, &ask, &Tried::default(), 0);
    let &Choice { candidate, permit, .. } = plan.choices.first()?;
    let member = live.roster.member(candidate);
    let has_key = member.keys[candidate.key].secret.is_some();
    if member.provider.dialect != Dialect::Anthropic || !has_key {
        return None;
    }
    let _place = PASSED_ON.try_acquire().ok()?;
    let foreign = memory::foreign_to(candidate, &live.roster, &issued);
    let outgoing = Outgoing {
        foreign: &foreign,
        ..Outgoing::new(live.roster.model_id(candidate), &member.provider.quirks)
    };
    let mut request = Request::new(Full::new(count::prepare(envelope, &outgoing)));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = format!("{}{}", member.base_url, count::PATH).parse().ok()?;
    *request.headers_mut() = live.headers(candidate).clone();
    request.headers_mut().insert(HOP_HEADER, routes::hops(gate, headers));
    for name in upstream_half(Dialect::Anthropic).forwards() {
        for value in headers.get_all(*name) {
            request.headers_mut().append(HeaderName::from_static(name), value.clone());
        }
    }
    let asked = async {
        let (head, incoming) = live.client.send(request, Errand::Model(permit)).await.ok()?.into_parts();
        let body = UpstreamBody::new(&head.headers, incoming).whole(MAX_REPLY_BYTES).await.ok()?;
        count::read_reply(&body).filter(|_| head.status == StatusCode::OK)
    };
    tokio::time::timeout(PATIENCE, asked).await.ok()?
}
