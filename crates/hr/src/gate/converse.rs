//! The story of one request, top to bottom.

use std::sync::Arc;

use hr_core::failure::FailureKind;
use hr_core::pool::Member;
use hr_core::route::Next;
use hr_core::route::record::Name;
use hr_core::settings::Timeouts;
use hr_core::time::Millis;
use hr_wire::dialect::{Prepared, UpstreamHalf};
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue, USER_AGENT};
use hyper::body::Incoming;

use super::answer::{Answer, Refusal};
use super::attempt::{Failed, Order, attempt};
use super::caller::CallerId;
use super::endpoint::Endpoint;
use super::journey::{Admission, Journey, Limits, is_alone};
use super::line::Admitted;
use super::question::{Circumstances, Letter, Question};
use super::wishes::Wishes;
use super::{Gate, Live, held, intake, routes, session, verdict};
use crate::watch::events::Early;

/// Who comes with what, before the body is read.
pub struct Visit {
    /// The gateway.
    pub gate: Arc<Gate>,
    /// The snapshot that the request began with.
    pub live: Arc<Live>,
    /// The id that the caller sees as `X-Request-Id`.
    pub id: Name,
    /// When it came.
    pub at: Millis,
    /// Whose access key it came with.
    pub caller: CallerId,
    /// Where it is asked.
    pub endpoint: Endpoint,
    /// The headers of the request.
    pub headers: HeaderMap,
    /// What has gone out before anybody had answered.
    pub early: Arc<Early>,
}

/// Serves one request: reads it, plans, tries candidates until one produces something good, and answers.
///
/// # Errors
/// A refusal: the caller's own mistake, or that nobody could serve it.
pub async fn converse(visit: Visit, body: Incoming) -> Result<Answer, Refusal> {
    let Visit { gate, live, endpoint, .. } = &visit;
    let (started, patience) = (visit.at, live.settings.timeouts.request_deadline);
    let bytes = intake::read(&visit.headers, body, live.settings.max_request_bytes, patience).await?;
    let wishes = Wishes::read(&visit.headers)?;
    let circumstances = Circumstances { nonce: gate.chance.draw(), now: started.0 / 1000 };
    let mut question = Question::read(bytes, *endpoint, circumstances)?;
    if *endpoint == Endpoint::Responses {
        let (previous, request) = (question.previous(), question.envelope());
        if let Some(whole) = gate.replies.complete(started, visit.caller, previous, request)? {
            question = question.completed(whole, circumstances)?;
        }
    }
    let deadline = started.after(patience);
    if !question.stream() {
        return serve(visit, question, wishes, deadline).await;
    }
    let hold = live.settings.timeouts.hold;
    let voice = held::Voice {
        client: question.client(),
        echo: Arc::clone(question.echo()),
        id: visit.id.clone(),
        early: Arc::clone(&visit.early),
    };
    held::within(Arc::clone(gate), hold, voice, serve(visit, question, wishes, deadline)).await
}

/// Finds somebody who answers the question before the deadline.
async fn serve(
    visit: Visit,
    question: Question,
    wishes: Wishes,
    deadline: Millis,
) -> Result<Answer, Refusal> {
    let Visit { gate, live, endpoint, headers, .. } = &visit;
    let mut ask = question.ask(headers, live)?;
    wishes.apply(&mut ask, &live.roster.pool)?;
    let session = session::of(visit.caller, headers, *endpoint, question.envelope());
    ask.session = session.map(|session| session.key);
    ask.begins = session.is_some_and(|session| session.begins);
    let roster = {
        let mut router = gate.router();
        router.arrives(gate.clock.now());
        router.roster_for(&live.roster, &ask.target)
    };
    let roster = roster.ok_or_else(|| verdict::not_called(question.model()))?;
    let Timeouts { quota, request_deadline, .. } = live.settings.timeouts;
    let limits = Limits { deadline, patience: wishes.patience(quota, request_deadline) };
    let mut journey = Journey::new(&visit, &question, &roster, limits);
    journey.look_up_issuers(&mut ask);
    let mut last_answer = None;
    loop {
        let admitted = match journey.admit(&ask) {
            Admission::Call(admitted) => admitted,
            Admission::AfterDecoding => {
                journey.decode(&mut ask);
                continue;
            }
            Admission::Nobody(plan) => {
                if journey.may_repeat(&plan, &ask).await {
                    continue;
                }
                match journey.stand_in_line(plan, &mut ask).await {
                    Ok(Some(admitted)) => admitted,
                    Ok(None) => continue,
                    Err(plan) => return Err(journey.refuse(&ask, &plan, last_answer)),
                }
            }
        };
        let Admitted { plan, choice, mut receipt, .. } = *admitted;
        let Letter { prepared, lane } = match journey.letter(choice.candidate) {
            Ok(letter) => letter,
            Err(refusal) => {
                journey.cannot_write(choice.candidate, refusal);
                continue;
            }
        };
        if ask.strict && !prepared.losses.is_empty() {
            journey.would_lose(choice.candidate, prepared.losses);
            continue;
        }
        journey.calls(&ask, &plan, &choice);
        let member = roster.member(choice.candidate);
        let native = question.is_native(member);
        let order = Order {
            permit: choice.permit,
            headers: accompany(&visit, member, native.then_some(lane.upstream), &prepared),
            work: endpoint.work(),
            stream: question.stream(),
            wants_usage: question.wants_usage(),
            lane,
            alone: is_alone(&plan),
            wait: journey.wait(&plan, &ask, choice.candidate),
            body: prepared.body,
        };
        match attempt(&mut receipt, order).await {
            Ok(started) => return Ok(journey.commit(started, receipt, &prepared.losses)),
            Err(Failed { failure, answer }) => {
                journey.note(choice.candidate, &failure);
                let keep = matches!(failure.kind, FailureKind::TooLarge | FailureKind::Unsupported);
                let withheld = failure.kind == FailureKind::ContentRefused && answer.is_none();
                let told = answer.map(|answer| journey.told(native, answer, &failure));
                match receipt.fail(failure) {
                    Next::GiveBack if withheld => return Err(journey.withheld()),
                    Next::GiveBack => return Err(journey.give_back(told)),
                    Next::Another if keep => last_answer = told,
                    Next::Another => {}
                }
            }
        }
    }
}

/// What a call needs beside the headers of every call to its candidate. Of the caller's own headers only those go
/// along that its dialect names, to somebody who speaks it (`native`), and its name where it is wanted.
fn accompany(
    visit: &Visit,
    member: &Member,
    native: Option<&dyn UpstreamHalf>,
    prepared: &Prepared,
) -> HeaderMap {
    let Visit { gate, headers, .. } = visit;
    let mut extra = HeaderMap::with_capacity(2 + prepared.headers.len());
    extra.insert(routes::HOP_HEADER, routes::hops(gate, headers));
    for name in native.map_or(&[][..], |upstream| upstream.forwards()) {
        for value in headers.get_all(*name) {
            extra.append(HeaderName::from_static(name), value.clone());
        }
    }
    for (name, value) in &prepared.headers {
        // Made by a dialect of what a caller wrote: a value that no header can hold is left out.
        let Ok(value) = HeaderValue::from_str(value) else { continue };
        // A caller's own stays: two values of one header would be read as neither.
        extra.entry(*name).or_insert(value);
    }
    let own = headers.get(USER_AGENT).and_then(|agent| Some((agent, agent.to_str().ok()?)));
    if let Some((agent, text)) = own
        && member.provider.pass_user_agent.iter().any(|start| text.starts_with(start.as_str()))
    {
        extra.insert(USER_AGENT, agent.clone());
    }
    extra
}
