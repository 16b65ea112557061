//! One request on its way through the candidates: what it has spent, tried and learned so far.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hr_core::capability::Ability;
use hr_core::catalog::Dialect;
use hr_core::failure::{Failure, FailureKind, Scope};
use hr_core::route::record::{Draft, Subject};
use hr_core::route::{Ask, Candidate, Choice, Effort, Gate as Reason, Plan, Roster, Tried, Verdict};
use hr_core::secret::KeyId;
use hr_core::settings::FirstByte;
use hr_core::time::Millis;
use hr_wire::complaint::{OPAQUE_PARAM, refuses_reasoning};
use hr_wire::dialect::Decoded;
use hr_wire::hub::{Fingerprint, FinishKind, Loss};
use hr_wire::lane::Translation;
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use super::answer::{self, Answer, AnswerBody, Refusal};
use super::attempt::Started;
use super::caller::CallerId;
use super::converse::Visit;
use super::endpoint::Endpoint;
use super::line::{self, Admitted, Found, Seeker, Sought, Turn, Wanted};
use super::question::{Letter, Question};
use super::receipt::{Receipt, Sequel};
use super::reply::Stream;
use super::{Gate, Live, losses, memory, verdict};
use crate::scout;
use crate::watch::diary::Entry;
use crate::watch::events::{Called, Ended, RequestLine};

/// The provider that answered.
const PROVIDER: HeaderName = HeaderName::from_static("x-provider");
/// The model that answered.
const MODEL: HeaderName = HeaderName::from_static("x-hermes-model");
/// What the caller sent and the provider that answered did not get, by name.
const LOSS: HeaderName = HeaderName::from_static("x-hermes-loss");
/// How many calls were made for the answer.
const ATTEMPTS: HeaderName = HeaderName::from_static("x-hermes-attempts");

/// The name that a coding agent gives itself.
const ORIGINATOR: HeaderName = HeaderName::from_static("originator");

/// Calls that one request may spend on candidates that are known to be failing, or that have failed it, of those that
/// the router allows to all together: one request does not use up what is for many. Large enough that where six calls
/// of ten fail, hardly one request of ten thousand runs out of it.
const KNOWN_BAD_BUDGET: u32 = 16;

/// How often candidates that have failed a request for a passing reason are asked again.
const REPEATS: u32 = 2;
/// The wait before candidates that have failed a request are asked again; half of it is left to chance.
const REPEAT_WAIT: Duration = Duration::from_millis(200);

/// How often a request may stand in the waiting line.
const MOST_TURNS: u32 = 16;

/// Who may be called now.
pub enum Admission {
    /// This one; nothing was sent yet.
    Call(Box<Admitted>),
    /// It speaks something else, and what a translation loses is not known yet.
    AfterDecoding,
    /// Nobody.
    Nobody(Plan),
}

/// How long a request may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// When it must have an answer that has begun.
    pub deadline: Millis,
    /// How long it may stand in the waiting line.
    pub patience: Duration,
}

/// One request on its way.
pub struct Journey<'a> {
    gate: &'a Arc<Gate>,
    live: &'a Arc<Live>,
    caller: CallerId,
    question: &'a Question,
    /// The request in the hub's form, once somebody needs it.
    decoded: Option<Box<Decoded>>,
    /// Why it has no form in the hub, or none that can be sent.
    undecodable: Option<Refusal>,
    /// Who issued the opaque things in the conversation, as far as that is known.
    issued: Vec<(Fingerprint, Option<Arc<KeyId>>)>,
    /// Who refused something opaque that was taken for their own, or reasoning, and gets none any more.
    bared: Vec<Candidate>,
    /// Whether it comes from a coding agent that takes a limit for final, whatever its headers say.
    is_agent: bool,
    /// The live one, but that a pinned model nobody listed is in it.
    roster: &'a Arc<Roster>,
    deadline: Millis,
    /// How much longer it may stand in the waiting line.
    patience: Duration,
    /// Its place there, once it had to wait.
    place: Option<u64>,
    turns: u32,
    tried: Tried,
    /// What would get lost on the way to those who are passed over for it.
    lost: Vec<Loss>,
    known_bad: u32,
    repeats: u32,
    line: RequestLine,
}

impl<'a> Journey<'a> {
    /// A journey that begins.
    #[must_use]
    pub fn new(visit: &'a Visit, question: &'a Question, roster: &'a Arc<Roster>, limits: Limits) -> Self {
        let Limits { deadline, patience } = limits;
        let (version, began) = (visit.live.catalog_version.clone(), Instant::now());
        let draft = Draft::new(visit.id.clone(), visit.at, visit.endpoint.name(), version);
        Self {
            gate: &visit.gate,
            live: &visit.live,
            caller: visit.caller,
            question,
            decoded: None,
            undecodable: None,
            issued: Vec::new(),
            bared: Vec::new(),
            is_agent: visit.endpoint == Endpoint::Responses && visit.headers.contains_key(ORIGINATOR),
            roster,
            deadline,
            patience,
            place: None,
            turns: 0,
            tried: Tried::default(),
            lost: Vec::new(),
            known_bad: 0,
            repeats: 0,
            line: RequestLine::new(visit.id.clone(), visit.endpoint.name(), Arc::clone(&visit.early), began)
                .and_entry(Entry::new(Arc::clone(&visit.gate.diary), draft, began)),
        }
    }

    /// Finds out who issued the opaque things that the caller sent along.
    pub fn look_up_issuers(&mut self, ask: &mut Ask) {
        self.add_issuers(self.question.opaque(), ask);
    }

    fn add_issuers(&mut self, things: &[Fingerprint], ask: &mut Ask) {
        if things.is_empty() {
            return;
        }
        let found = self.gate.memory.issuers(self.gate.clock.now(), things);
        for issuer in found.iter().filter_map(|(_, issuer)| issuer.as_deref()) {
            // The latest stands last.
            ask.issuers.retain(|known| known != issuer);
            ask.issuers.push(issuer.clone());
        }
        self.issued.extend(found);
    }

    /// The first choice of a plan that a budget remains for, admitted, behind those who wait.
    pub fn admit(&self, ask: &Ask) -> Admission {
        let (gate, roster) = (self.gate, self.roster);
        let now = gate.clock.now();
        if self.line.attempts >= self.live.settings.max_attempts || now >= self.deadline {
            let draw = gate.chance.draw();
            return Admission::Nobody(gate.router().plan(now, roster, ask, &self.tried, draw));
        }
        let seeker = Seeker { roster, ask, tried: &self.tried, dares: self.dares() };
        let is_ready = |choice: &Choice| {
            self.decoded.is_some() || self.question.is_native(roster.member(choice.candidate))
        };
        let sought = gate.line.behind(gate, |claims| line::admit(gate, &seeker, claims, is_ready));
        match sought.found {
            Found::Call(call) => {
                let (choice, ticket) = *call;
                let receipt = Receipt::new(Arc::clone(gate), Arc::clone(self.live), choice.candidate, ticket);
                let Sought { plan, draw, .. } = sought;
                Admission::Call(Box::new(Admitted { plan, draw, choice, receipt }))
            }
            Found::NotReady => Admission::AfterDecoding,
            Found::Nobody => Admission::Nobody(sought.plan),
        }
    }

    /// Whether it may call somebody who is known to be failing.
    fn dares(&self) -> bool {
        self.known_bad < KNOWN_BAD_BUDGET
    }

    /// Brings the request into the hub's form and tells the plan what translations lose. Where it has none, those
    /// who need one are passed over.
    pub fn decode(&mut self, ask: &mut Ask) {
        let mut decoded = match self.question.decode() {
            Ok(decoded) => Box::new(decoded),
            Err(refusal) => {
                self.undecodable = Some(refusal);
                let mut failure = Failure::new(FailureKind::Unsupported, "the request cannot be translated");
                failure.scope = Some(Scope::Provider);
                for member in 0..self.roster.pool.members.len() {
                    if !self.question.is_native(&self.roster.pool.members[member]) {
                        self.tried.note(self.roster, Candidate { member, model: 0, key: 0 }, &failure);
                    }
                }
                return;
            }
        };
        let now = self.gate.clock.now();
        let recalled = self.gate.memory.recall(now, self.caller, &mut decoded.request);
        self.add_issuers(&recalled, ask);
        if losses::matter(&self.roster.pool, ask) {
            self.lost = losses::count(self.question, &decoded, self.roster, ask);
        }
        self.decoded = Some(decoded);
    }

    /// The request for this candidate.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn letter(&self, candidate: Candidate) -> Result<Letter, Refusal> {
        let native = self.question.is_native(self.roster.member(candidate));
        let decoded = self.decoded.as_deref().filter(|_| !native);
        let bare = self.bared.contains(&candidate);
        self.question.letter(self.roster, candidate, decoded, &self.foreign_to(candidate), bare)
    }

    /// The opaque things that a candidate must not get.
    fn foreign_to(&self, candidate: Candidate) -> Vec<Fingerprint> {
        if self.bared.contains(&candidate) {
            let mut all: Vec<Fingerprint> = self.issued.iter().map(|(thing, _)| *thing).collect();
            all.sort_unstable();
            return all;
        }
        memory::foreign_to(candidate, self.roster, &self.issued)
    }

    /// Passes a candidate over for what it would not get. Nothing was sent to it.
    pub fn would_lose(&mut self, candidate: Candidate, losses: Vec<Loss>) {
        let failure = Failure::new(FailureKind::Unsupported, "something would be lost on the way");
        self.tried.note(self.roster, candidate, &failure);
        self.lost.extend(losses);
    }

    /// Passes a candidate over whose request cannot be written. Nothing was sent to it.
    pub fn cannot_write(&mut self, candidate: Candidate, refusal: Refusal) {
        let failure = Failure::new(FailureKind::Unsupported, "the request cannot be written");
        self.tried.note(self.roster, candidate, &failure);
        self.undecodable = Some(refusal);
    }

    /// Notes that a call failed. Who refused something opaque that was taken for its own, or reasoning of earlier
    /// turns, may be asked once more, without any.
    pub fn note(&mut self, candidate: Candidate, failure: &Failure) {
        self.line.entry(|entry| entry.failed(failure));
        let refuses_opaque = failure.param.as_deref() == Some(OPAQUE_PARAM);
        let has_opaque = self.foreign_to(candidate).len() < self.issued.len();
        let refuses_words = refuses_reasoning(failure) && !self.bared.contains(&candidate);
        if (refuses_opaque && has_opaque) || refuses_words {
            self.bared.push(candidate);
            return;
        }
        self.tried.note(self.roster, candidate, failure);
        scout::learn(self.gate, self.live, candidate, failure);
    }

    /// What may be written down of a plan.
    fn subject<'s>(&self, ask: &'s Ask, plan: &'s Plan) -> Subject<'s>
    where
        'a: 's,
    {
        // A model that was named and that nobody lists makes a roster of its own.
        let made_up = !Arc::ptr_eq(self.roster, &self.live.roster);
        Subject { roster: self.roster, ask, plan, made_up }
    }

    /// Notes whom is called now.
    pub fn calls(&mut self, ask: &Ask, plan: &Plan, choice: &Choice) {
        self.line.attempts += 1;
        let subject = self.subject(ask, plan);
        self.line.entry(|entry| entry.calls(&subject, choice));
        self.known_bad += u32::from(choice.known_bad);
        let candidate = choice.candidate;
        // A roster of its own has a model that only its caller named.
        let is_live = Arc::ptr_eq(self.roster, &self.live.roster);
        let listed = is_live || self.live.lists(self.roster.model_id(candidate));
        self.line.called = Some(Called { roster: Arc::clone(self.roster), candidate, listed });
    }

    /// How long this candidate may take until something good comes.
    pub fn wait(&self, plan: &Plan, ask: &Ask, candidate: Candidate) -> Duration {
        let member = self.roster.member(candidate);
        let now = self.gate.clock.now();
        let others = !is_alone(plan);
        let own = member.provider.first_byte_timeout;
        let set = self.live.settings.timeouts.first_byte;
        let adapts = ask.stream && others && ask.effort != Effort::High && !member.provider.local;
        let wait = match set {
            // A model that is quick as a rule and silent now is left for another one sooner.
            _ if adapts => {
                let most = set.unwrap_or(FirstByte::OTHERS_REMAIN);
                let learned = self.gate.router().patience(now, self.roster, candidate);
                learned.map_or(most, |learned| learned.min(most))
            }
            Some(set) => set,
            None if member.provider.local => own.unwrap_or(FirstByte::LOCAL),
            None if !ask.stream => {
                let usual = if others { FirstByte::WHOLE_OTHERS_REMAIN } else { FirstByte::WHOLE };
                own.map_or(usual, |own| own.max(usual))
            }
            None if others && ask.effort == Effort::High => FirstByte::MUCH_REASONING,
            None => own.map_or(FirstByte::LAST, |own| own.max(FirstByte::LAST)),
        };
        wait.min(now.until(self.deadline))
    }

    /// Whether candidates that failed for a passing reason may be tried again, after a short wait.
    pub async fn may_repeat(&mut self, plan: &Plan, ask: &Ask) -> bool {
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
        self.pause().await
    }

    /// Stands in the line when somebody is back within the time that the request may wait, until a call was begun for
    /// it or the wait is over. Gives the plan back when there is nothing to wait for.
    pub async fn stand_in_line(&mut self, plan: Plan, ask: &mut Ask) -> Result<Option<Box<Admitted>>, Plan> {
        let (gate, began) = (self.gate, self.gate.clock.now());
        let until = began.after(self.patience).min(self.deadline);
        let spent = self.turns >= MOST_TURNS || self.line.attempts >= self.live.settings.max_attempts;
        // With a choice left, it was a budget or the time that ended the tries.
        let hopeless = !plan.choices.is_empty() || plan.earliest().is_none_or(|at| at > until);
        if spent || hopeless || self.patience.is_zero() {
            return Err(plan);
        }
        let members = &self.roster.pool.members;
        if self.decoded.is_none() && members.iter().any(|member| !self.question.is_native(member)) {
            // It has to be ready for whoever is back first.
            self.decode(ask);
        }
        // Those who said that it should wait are asked again, and those who failed have had a pause then.
        let mut tried = self.tried.clone();
        tried.forget_waits();
        tried.forgive_passing();
        let (live, roster) = (Arc::clone(self.live), Arc::clone(self.roster));
        let wanted = Wanted { live, roster, ask: ask.clone(), tried, dares: self.dares(), until };
        let place = *self.place.get_or_insert_with(|| gate.line.number());
        let turn = gate.line.wait(gate, place, wanted).await;
        self.turns += 1;
        self.patience = self.patience.saturating_sub(began.until(gate.clock.now()));
        let admitted = match turn {
            Turn::Full => return Err(plan),
            Turn::Over => None,
            Turn::Admitted(admitted) => Some(admitted),
        };
        self.tried.forget_waits();
        self.tried.forgive_passing();
        self.repeats = 0;
        Ok(admitted)
    }

    /// Waits a moment, so that not all who wait come back at once; false when the time or the calls of the request
    /// are used up.
    async fn pause(&self) -> bool {
        let chance = (self.gate.chance.draw() % 1024) as u32;
        let wait = REPEAT_WAIT / 2 + REPEAT_WAIT / 2 * chance / 1024;
        let spent = self.line.attempts >= self.live.settings.max_attempts;
        if spent || self.gate.clock.now().after(wait) >= self.deadline {
            return false;
        }
        tokio::time::sleep(wait).await;
        true
    }

    /// The commit point: from here on no other candidate is tried.
    pub fn commit(mut self, started: Started, receipt: Receipt, losses: &[Loss]) -> Answer {
        self.line.entry(Entry::answered);
        let (attempts, roster, candidate) = (self.line.attempts, self.roster, receipt.candidate);
        let sequel = Sequel { caller: self.caller, request: self.question.kept().cloned() };
        let lost = losses::header(losses);
        self.line.lost(lost.as_ref().and_then(|names| names.to_str().ok()));
        let mut answer = match started {
            Started::Whole(translation) => {
                let Translation { body, whole, keepsake } = *translation;
                let reply = sequel.request.is_some().then(|| body.clone());
                receipt.remember(&sequel, &whole.opaque, keepsake, reply);
                if whole.finish.as_ref().is_some_and(|finish| finish.kind() == FinishKind::ToolCalls) {
                    scout::note(self.gate, self.live, receipt.candidate, Ability::Tools, true);
                }
                self.line.entry(|entry| entry.used(whole.usage));
                receipt.succeed(whole.usage);
                self.line.end(200, Ended::Well);
                answer::whole(StatusCode::OK, "application/json", body)
            }
            Started::Stream(opening) => {
                let stream = Stream::new(opening, receipt, sequel, self.line);
                answer::stream(AnswerBody::Stream(Box::new(stream)))
            }
        };
        let (provider, model) = (&roster.provider(candidate).id, roster.model_id(candidate));
        mark(answer.headers_mut(), attempts, Some((provider, model)));
        if let Some(names) = lost {
            answer.headers_mut().insert(LOSS, names);
        }
        answer
    }

    /// What a provider told of a request that it refused, for the caller: in the provider's own words, without
    /// anything of ours in them; and as they were written, where the caller speaks the same dialect.
    pub fn told(&self, native: bool, answer: (StatusCode, Bytes), failure: &Failure) -> Refusal {
        let (status, body) = answer;
        let code = match failure.kind {
            FailureKind::TooLarge => Some("context_length_exceeded"),
            FailureKind::ContentRefused => Some("content_filter"),
            _ => None,
        };
        let text = String::from_utf8_lossy(&body);
        let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
        // Servers of one dialect word that a conversation is too long in many ways; clients know one.
        let of_our_key = matches!(status.as_u16(), 401..=403 | 407);
        let as_it_is = native && failure.kind != FailureKind::TooLarge && !of_our_key;
        let words = if is_json && !failure.message.is_empty() {
            self.live.redact(&failure.message)
        } else {
            "the provider refused the request as malformed".to_owned()
        };
        if let Some(dialect) = self.question.client().native()
            && as_it_is
            && is_error_of(dialect, &body)
        {
            // The words are for an event, should the caller's stream have begun already.
            return Refusal::new(status, words).as_written(self.live.redact_json(&text));
        }
        // These would say that the caller's own key is wrong.
        let status = if code.is_some() || of_our_key { StatusCode::BAD_REQUEST } else { status };
        let refusal = Refusal::new(status, words);
        match code {
            Some(code) => refusal.code(code),
            None => refusal,
        }
    }

    /// The caller's own mistake goes back as the provider told it.
    pub fn give_back(mut self, told: Option<Refusal>) -> Refusal {
        let mut back = told.unwrap_or_else(|| {
            Refusal::new(StatusCode::BAD_REQUEST, "the provider refused the request as malformed")
        });
        self.line.end(back.status().as_u16(), Ended::Well);
        self.mark(&mut back);
        back
    }

    /// A content filter left nothing of a 200 that could go back: the caller learns what its own request did.
    pub fn withheld(mut self) -> Refusal {
        let words = "the provider's content filter withheld the answer";
        let mut back = Refusal::new(StatusCode::BAD_REQUEST, words).code("content_filter");
        self.line.end(back.status().as_u16(), Ended::Well);
        self.mark(&mut back);
        back
    }

    /// Nobody is left: says so once, truthfully, with the earliest time at which it may be different.
    pub fn refuse(mut self, ask: &Ask, plan: &Plan, last_answer: Option<Refusal>) -> Refusal {
        let subject = self.subject(ask, plan);
        self.line.entry(|entry| entry.refuses(&subject));
        let mut told = plan.verdict(&self.tried);
        if let Verdict::Unservable { feature } = &mut told {
            // The name may be a provider's word.
            *feature = self.live.redact(feature);
        }
        if let (Verdict::TooLarge | Verdict::Unservable { .. }, Some(answer)) = (&told, last_answer) {
            return self.give_back(Some(answer));
        }
        let off = verdict::switched_off(&self.roster.pool, &ask.target);
        let mut refusal = match (told, self.undecodable.take(), off) {
            (Verdict::Unservable { .. } | Verdict::NoProviders, ..) if passed_over(plan, Reason::Spend) => {
                verdict::too_dear()
            }
            (Verdict::Unservable { .. }, Some(undecodable), _) => undecodable,
            (Verdict::Unservable { .. }, ..) if ask.tool_loop && calls_no_tools(plan) => {
                verdict::nobody_calls_tools()
            }
            (Verdict::Unservable { .. }, None, _) if ask.strict && self.names_losses(ask, plan) => {
                losses::refusal(&self.lost)
            }
            (Verdict::NoProviders, _, Some(why)) => verdict::no_providers(&why),
            (Verdict::RateLimited { retry_at }, ..) if self.is_agent => {
                verdict::limited_for_an_agent(retry_at, self.gate.clock.now())
            }
            (Verdict::TooLarge, ..) => verdict::too_large(ask, self.largest_window(plan)),
            (told, ..) => verdict::refusal(told, self.gate.clock.now(), self.line.attempts),
        };
        self.line.called = None;
        self.line.end(refusal.status().as_u16(), Ended::Well);
        self.mark(&mut refusal);
        refusal
    }

    /// Says in a refusal how many calls were made, and who was called last.
    fn mark(&self, refusal: &mut Refusal) {
        let called = self.line.called.as_ref().map(|called| (called.provider(), called.model()));
        mark(refusal.headers_mut(), self.line.attempts, called);
    }

    /// The largest window of the models that were passed over for theirs.
    fn largest_window(&self, plan: &Plan) -> Option<u64> {
        let windows = plan.exclusions.iter().filter(|exclusion| exclusion.gate == Reason::Context);
        windows
            .filter_map(|exclusion| {
                self.roster.pool.members[exclusion.member].models.get(exclusion.model?)?.context
            })
            .max()
    }

    /// Collects what would get lost on the way to those who were passed over for it; whether there is any.
    fn names_losses(&mut self, ask: &Ask, plan: &Plan) -> bool {
        for exclusion in plan.exclusions.iter().filter(|exclusion| exclusion.gate == Reason::Loss) {
            let drops = &self.roster.pool.members[exclusion.member].provider.quirks.drop;
            let dropped = drops.iter().filter(|name| ask.params.contains(name));
            self.lost.extend(dropped.map(|name| Loss::dropped(name)));
        }
        !self.lost.is_empty()
    }
}

/// Whether clients of a dialect read a body as its error. Servers of one dialect have many shapes for theirs.
fn is_error_of(dialect: Dialect, body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Outer {
        #[serde(rename = "type")]
        kind: Option<Value>,
        error: Inner,
    }
    #[derive(Deserialize)]
    struct Inner {
        #[serde(rename = "type")]
        kind: Option<Value>,
        message: Value,
    }
    let Ok(Outer { kind, error }) = serde_json::from_slice(body) else { return false };
    let is_whole = match dialect {
        Dialect::Anthropic => {
            kind.is_some_and(|kind| kind == "error") && error.kind.is_some_and(|kind| kind.is_string())
        }
        Dialect::OpenaiChat | Dialect::OpenaiResponses => true,
    };
    is_whole && error.message.is_string()
}

/// Whether somebody was passed over for this reason.
fn passed_over(plan: &Plan, reason: Reason) -> bool {
    plan.exclusions.iter().any(|exclusion| exclusion.gate == reason)
}

/// Whether somebody was passed over for not being known to call tools.
fn calls_no_tools(plan: &Plan) -> bool {
    passed_over(plan, Reason::Unconfirmed) || passed_over(plan, Reason::Tools)
}

/// Whether hardly anybody else is left than the first choice.
#[must_use]
pub fn is_alone(plan: &Plan) -> bool {
    plan.choices.iter().filter(|choice| !choice.known_bad).count() <= 1
}

/// Says how many calls were made, and of which provider which model answered.
fn mark(headers: &mut HeaderMap, attempts: u32, called: Option<(&str, &str)>) {
    headers.insert(ATTEMPTS, HeaderValue::from(attempts));
    let Some((provider, model)) = called else { return };
    for (name, value) in [(PROVIDER, provider), (MODEL, model)] {
        // A model id that no header can hold is left out rather than mangled.
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
}
