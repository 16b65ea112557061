//! The story of one request, top to bottom.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hr_core::failure::FailureKind;
use hr_core::pool::Member;
use hr_core::route::{Ask, Choice, Effort, Next, Plan, Roster, Ticket, Tried, Verdict};
use hr_core::settings::FirstByte;
use hr_core::time::Millis;
use hr_wire::dialect::Prepared;
use hr_wire::hub::Loss;
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use hyper::body::Incoming;

use super::answer::{self, Answer, Refusal};
use super::attempt::{Failed, Order, Started, attempt};
use super::endpoint::Endpoint;
use super::question::{Circumstances, Question};
use super::receipt::Receipt;
use super::reply::Stream;
use super::{Gate, Live, intake, routes, verdict};
use crate::watch::events::{Ended, RequestLine};

/// The provider that answered.
const PROVIDER: HeaderName = HeaderName::from_static("x-provider");
/// The model that answered.
const MODEL: HeaderName = HeaderName::from_static("x-hermes-model");
/// What the caller sent and the provider that answered did not get, by name.
const LOSS: HeaderName = HeaderName::from_static("x-hermes-loss");
/// How many calls were made for the answer.
const ATTEMPTS: HeaderName = HeaderName::from_static("x-hermes-attempts");

/// Calls that one request may spend on candidates that are known to be failing, or that have failed it. Large
/// enough that where six calls of ten fail, hardly one request of ten thousand runs out of it.
const KNOWN_BAD_BUDGET: u32 = 16;

/// How often candidates that have failed a request for a passing reason are asked again.
const REPEATS: u32 = 2;
/// The wait before candidates that have failed a request are asked again; half of it is left to chance.
const REPEAT_WAIT: Duration = Duration::from_millis(200);

/// How often a request waits for somebody's rest to end when nobody else is left.
const RESTS: u32 = 3;
/// The longest rest that is waited for; of a longer one the caller is told.
const SHORT_REST: Duration = Duration::from_secs(2);

/// Who comes with what, before the body is read.
pub struct Visit {
    /// The gateway.
    pub gate: Arc<Gate>,
    /// The snapshot that the request began with.
    pub live: Arc<Live>,
    /// The id that the caller sees as `X-Request-Id`.
    pub id: String,
    /// Where it is asked.
    pub endpoint: Endpoint,
    /// The headers of the request.
    pub headers: HeaderMap,
}

/// Serves one request: reads it, plans, tries candidates until one produces something good, and answers.
///
/// # Errors
/// A refusal: the caller's own mistake, or that nobody could serve it.
pub async fn converse(visit: Visit, body: Incoming) -> Result<Answer, Refusal> {
    let Visit { gate, live, .. } = &visit;
    let started = gate.clock.now();
    let patience = live.settings.timeouts.request_deadline;
    let bytes = intake::read(&visit.headers, body, live.settings.max_request_bytes, patience).await?;
    let circumstances = Circumstances { nonce: gate.chance.draw(), now: started.0 / 1000 };
    let question = Question::read(bytes, visit.endpoint, circumstances)?;
    serve(visit, question, started.after(patience)).await
}

/// Finds somebody who answers the question before the deadline.
async fn serve(visit: Visit, question: Question, deadline: Millis) -> Result<Answer, Refusal> {
    let Visit { gate, live, id, endpoint, headers } = &visit;
    let ask = question.ask(headers, live)?;
    let roster = gate
        .router()
        .roster_for(&live.roster, &ask.target)
        .ok_or_else(|| verdict::not_called(question.model()))?;
    let mut journey = Journey {
        gate,
        live,
        roster: &roster,
        deadline,
        tried: Tried::default(),
        known_bad: 0,
        repeats: 0,
        rests: 0,
        model: None,
        line: RequestLine::new(id.clone(), endpoint.name()),
    };
    let mut last_answer = None;
    loop {
        let (plan, admitted) = journey.admit(&ask);
        let Some((choice, ticket)) = admitted else {
            if journey.may_repeat(&plan, &ask).await || journey.may_rest(&plan).await {
                continue;
            }
            return Err(journey.refuse(&ask, &plan, last_answer));
        };
        let mut receipt = Receipt::new(Arc::clone(gate), Arc::clone(live), choice.candidate, ticket);
        journey.calls(&choice);
        let member = roster.member(choice.candidate);
        let prepared = question.body(&roster, choice.candidate);
        let order = Order {
            headers: accompany(gate, headers, &prepared),
            work: endpoint.work(),
            stream: question.stream(),
            wants_usage: question.wants_usage(),
            lane: question.lane(member, &prepared),
            alone: is_alone(&plan),
            wait: journey.wait(&plan, &ask, member),
            body: prepared.body,
        };
        match attempt(&mut receipt, order).await {
            Ok(started) => return Ok(journey.commit(started, receipt, &prepared.losses)),
            Err(Failed { failure, answer }) => {
                journey.tried.note(&roster, choice.candidate, &failure);
                let keep = matches!(failure.kind, FailureKind::TooLarge | FailureKind::Unsupported);
                let withheld = failure.kind == FailureKind::ContentRefused && answer.is_none();
                match receipt.fail(failure) {
                    Next::GiveBack if withheld => return Err(journey.withheld()),
                    Next::GiveBack => return Err(journey.give_back(answer)),
                    Next::Another if keep => last_answer = answer,
                    Next::Another => {}
                }
            }
        }
    }
}

/// Whether hardly anybody else is left than the first choice.
fn is_alone(plan: &Plan) -> bool {
    plan.choices.iter().filter(|choice| !choice.known_bad).count() <= 1
}

/// What a call needs beside the headers of every call to its candidate.
fn accompany(gate: &Gate, headers: &HeaderMap, prepared: &Prepared) -> HeaderMap {
    let mut extra = HeaderMap::with_capacity(1 + prepared.headers.len());
    extra.insert(routes::HOP_HEADER, routes::hops(gate, headers));
    for (name, value) in &prepared.headers {
        // Made by a dialect of what a caller wrote: a value that no header can hold is left out.
        if let Ok(value) = HeaderValue::from_str(value) {
            extra.insert(HeaderName::from_static(name), value);
        }
    }
    extra
}

/// One request on its way through the candidates.
struct Journey<'a> {
    gate: &'a Arc<Gate>,
    live: &'a Arc<Live>,
    /// The live one, but that a pinned model nobody listed is in it.
    roster: &'a Roster,
    deadline: Millis,
    tried: Tried,
    known_bad: u32,
    repeats: u32,
    rests: u32,
    /// The model that was called last. The line names it only where no caller made it up.
    model: Option<String>,
    line: RequestLine,
}

impl Journey<'_> {
    /// A plan, and its first choice that a budget remains for, admitted. Both under one lock: what others
    /// learn in between would leave a plan that nothing can be begun of.
    fn admit(&self, ask: &Ask) -> (Plan, Option<(Choice, Ticket)>) {
        let (now, draw) = (self.gate.clock.now(), self.gate.chance.draw());
        let mut router = self.gate.router();
        let plan = router.plan(now, self.roster, ask, &self.tried, draw);
        if self.line.attempts >= self.live.settings.max_attempts || now >= self.deadline {
            return (plan, None);
        }
        let admitted = plan
            .choices
            .iter()
            .filter(|choice| !choice.known_bad || self.known_bad < KNOWN_BAD_BUDGET)
            .find_map(|choice| Some((choice.clone(), router.begin(now, self.roster, choice).ok()?)));
        (plan, admitted)
    }

    fn calls(&mut self, choice: &Choice) {
        self.line.attempts += 1;
        self.known_bad += u32::from(choice.known_bad);
        let model = self.roster.model_id(choice.candidate);
        self.model = Some(model.to_owned());
        self.line.model = self.live.lists(model).then(|| model.to_owned());
        self.line.provider = Some(self.roster.provider(choice.candidate).id.clone());
    }

    /// How long this candidate may take until something good comes.
    fn wait(&self, plan: &Plan, ask: &Ask, member: &Member) -> Duration {
        let others = !is_alone(plan);
        let own = member.provider.first_byte_timeout;
        let wait = match self.live.settings.timeouts.first_byte {
            Some(set) => set,
            None if member.provider.local => own.unwrap_or(FirstByte::LOCAL),
            None if !ask.stream => own.map_or(FirstByte::WHOLE, |own| own.max(FirstByte::WHOLE)),
            None if others && ask.effort == Effort::High => FirstByte::MUCH_REASONING,
            None if others => FirstByte::OTHERS_REMAIN,
            None => own.map_or(FirstByte::LAST, |own| own.max(FirstByte::LAST)),
        };
        wait.min(self.gate.clock.now().until(self.deadline))
    }

    /// Whether candidates that failed for a passing reason may be tried again, after a short wait.
    async fn may_repeat(&mut self, plan: &Plan, ask: &Ask) -> bool {
        // With a choice left, it was a budget or the time that ended the tries.
        if self.repeats >= REPEATS || !plan.choices.is_empty() || !self.tried.forgive_passing() {
            return false;
        }
        let now = self.gate.clock.now();
        if self.gate.router().plan(now, self.roster, ask, &self.tried, 0).choices.is_empty() {
            // Whoever was forgiven rests.
            return false;
        }
        self.repeats += 1;
        self.pause(Duration::ZERO).await
    }

    /// Whether somebody's short rest ends while the request waits for it.
    async fn may_rest(&mut self, plan: &Plan) -> bool {
        let now = self.gate.clock.now();
        let rest = plan.earliest().map(|at| now.until(at)).filter(|rest| *rest <= SHORT_REST);
        let Some(rest) = rest.filter(|_| self.rests < RESTS && plan.choices.is_empty()) else { return false };
        self.rests += 1;
        // Those who failed have had a long pause then.
        self.tried.forgive_passing();
        self.repeats = 0;
        self.pause(rest).await
    }

    /// Waits a little longer than that, so that not all who wait come back at once; false when the time or
    /// the calls of the request are used up.
    async fn pause(&self, least: Duration) -> bool {
        let chance = (self.gate.chance.draw() % 1024) as u32;
        let wait = least + REPEAT_WAIT / 2 + REPEAT_WAIT / 2 * chance / 1024;
        let spent = self.line.attempts >= self.live.settings.max_attempts;
        if spent || self.gate.clock.now().after(wait) >= self.deadline {
            return false;
        }
        tokio::time::sleep(wait).await;
        true
    }

    /// The commit point: from here on no other candidate is tried.
    fn commit(mut self, started: Started, receipt: Receipt, losses: &[Loss]) -> Answer {
        let (provider, model) = (self.line.provider.clone(), self.model.take());
        let attempts = self.line.attempts;
        let mut answer = match started {
            Started::Whole { body, whole } => {
                receipt.succeed(whole.usage);
                self.line.end(200, Ended::Well);
                answer::whole(StatusCode::OK, "application/json", body)
            }
            Started::Stream(opening) => {
                let idle = self.live.settings.timeouts.stream_idle;
                answer::stream(Stream::new(opening, receipt, idle, self.line))
            }
        };
        mark(answer.headers_mut(), attempts, provider.as_deref(), model.as_deref());
        if let Some(value) = named(losses) {
            answer.headers_mut().insert(LOSS, value);
        }
        answer
    }

    /// The caller's own mistake goes back as the provider told it, without anything of ours in it.
    fn give_back(mut self, answer: Option<(StatusCode, Bytes)>) -> Refusal {
        let (status, body) = answer.unwrap_or((StatusCode::BAD_REQUEST, Bytes::new()));
        let text = String::from_utf8_lossy(&body);
        let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
        let mut back = Refusal::new(status, "the provider refused the request as malformed");
        if is_json {
            back = back.as_written(self.live.redact_json(&text));
        }
        self.line.end(status.as_u16(), Ended::Well);
        mark(back.headers_mut(), self.line.attempts, self.line.provider.as_deref(), self.model.as_deref());
        back
    }

    /// A content filter left nothing of a 200 that could go back: the caller learns what its own request did.
    fn withheld(mut self) -> Refusal {
        let words = "the provider's content filter withheld the answer";
        let mut back = Refusal::new(StatusCode::BAD_REQUEST, words).code("content_filter");
        self.line.end(back.status().as_u16(), Ended::Well);
        mark(back.headers_mut(), self.line.attempts, self.line.provider.as_deref(), self.model.as_deref());
        back
    }

    /// Nobody is left: says so once, truthfully, with the earliest time at which it may be different.
    fn refuse(mut self, ask: &Ask, plan: &Plan, last_answer: Option<(StatusCode, Bytes)>) -> Refusal {
        let mut told = plan.verdict(&self.tried);
        if let Verdict::Unservable { feature } = &mut told {
            // The name may be a provider's word.
            *feature = self.live.redact(feature);
        }
        if let (Verdict::TooLarge | Verdict::Unservable { .. }, Some(answer)) = (&told, last_answer) {
            return self.give_back(Some(answer));
        }
        let off = verdict::switched_off(&self.roster.pool, &ask.target);
        let mut refusal = match (&told, off) {
            (Verdict::NoProviders, Some(why)) => verdict::no_providers(&why),
            _ => verdict::refusal(told, self.gate.clock.now(), self.line.attempts),
        };
        self.line.provider = None;
        self.line.model = None;
        self.line.end(refusal.status().as_u16(), Ended::Well);
        mark(refusal.headers_mut(), self.line.attempts, None, None);
        refusal
    }
}

/// The names of what got lost, for a header; nothing when nothing did.
fn named(losses: &[Loss]) -> Option<HeaderValue> {
    if losses.is_empty() {
        return None;
    }
    let names: Vec<&str> = losses.iter().map(|loss| loss.what.as_str()).collect();
    HeaderValue::from_str(&names.join(", ")).ok()
}

fn mark(headers: &mut HeaderMap, attempts: u32, provider: Option<&str>, model: Option<&str>) {
    headers.insert(ATTEMPTS, HeaderValue::from(attempts));
    for (name, value) in [(PROVIDER, provider), (MODEL, model)] {
        // A model id that no header can hold is left out rather than mangled.
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
            headers.insert(name, value);
        }
    }
}
