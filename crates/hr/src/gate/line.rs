//! The waiting line: requests that nobody can serve now, but somebody can before long.
//!
//! They are let go in the order in which they came, each admitted on the spot while nobody else is, so that none finds
//! taken what it was woken for. Whoever comes later stands behind: it gets only what nobody before it waits for. One
//! task looks after the line while somebody is in it. It sleeps until the first quota is back or something ended;
//! requests that are alike share one look, since what the first of them cannot have the others cannot either.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use hr_core::failure::FailureKind;
use hr_core::route::{Ask, Candidate, Choice, Exclusion, Gate as Reason, Plan, Roster, Ticket, Tried};
use hr_core::time::Millis;
use hr_wire::hub::Fingerprint;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use super::receipt::Receipt;
use super::{Gate, Live};

/// How many requests may wait.
const MOST_WAITING: usize = 4096;
/// How many kinds of requests are planned for in one look at the line; the others wait for the next.
const MOST_PLANS: usize = 64;
/// The time between two looks when something should be free and is not yet.
const PAUSE: Duration = Duration::from_millis(20);
/// How many are let go at once; twice as many after each pause. The first to meet a limit that is not known yet
/// are so followed by few.
const FIRST_BATCH: usize = 16;
/// Those who are back at nearly the same time are claimed together.
const TOGETHER: Duration = Duration::from_millis(50);

/// What routing looks at when a request asks to be admitted.
pub struct Seeker<'a> {
    /// The roster that it began with.
    pub roster: &'a Arc<Roster>,
    /// What it asks.
    pub ask: &'a Ask,
    /// What it has tried.
    pub tried: &'a Tried,
    /// Whether it may call somebody who is known to be failing.
    pub dares: bool,
}

/// Who may be called.
pub enum Found {
    /// This one, begun.
    Call(Box<(Choice, Ticket)>),
    /// Somebody, but the request is not ready for it.
    NotReady,
    /// Nobody.
    Nobody,
}

/// What came of looking for somebody.
pub struct Sought {
    /// The plan.
    pub plan: Plan,
    /// The draw that it was made with.
    pub draw: u64,
    /// Whom it led to.
    pub found: Found,
}

/// Makes a plan, and begins its first choice that nobody before has a claim on. Both under one lock: what others
/// learn in between would leave a plan that nothing can be begun of.
pub fn admit(
    gate: &Gate,
    seeker: &Seeker<'_>,
    claims: &Claims,
    is_ready: impl Fn(&Choice) -> bool,
) -> Sought {
    let Seeker { roster, ask, tried, dares } = *seeker;
    let (now, draw) = (gate.clock.now(), gate.chance.draw());
    let mut router = gate.router();
    let mut plan = router.plan(now, roster, ask, tried, draw);
    let mut passed_over = Vec::new();
    for choice in &plan.choices {
        if choice.known_bad && !dares {
            continue;
        }
        if let Some(until) = claims.on(roster, choice.candidate) {
            passed_over.push(claimed(choice.candidate, until));
            continue;
        }
        if !is_ready(choice) {
            return Sought { plan, draw, found: Found::NotReady };
        }
        match router.begin(now, roster, choice) {
            Ok(ticket) => {
                let call = Box::new((choice.clone(), ticket));
                return Sought { plan, draw, found: Found::Call(call) };
            }
            Err(exclusion) => passed_over.push(exclusion),
        }
    }
    drop(router);
    plan.choices.retain(|choice| choice.known_bad && !dares);
    plan.exclusions.append(&mut passed_over);
    Sought { plan, draw, found: Found::Nobody }
}

/// That somebody before waits for this one.
fn claimed(candidate: Candidate, until: Millis) -> Exclusion {
    let Candidate { member, model, key } = candidate;
    let because = Some(FailureKind::RateLimited);
    Exclusion {
        member,
        model: Some(model),
        key: Some(key),
        gate: Reason::Quota,
        until: Some(until),
        because,
        alike: 0,
    }
}

/// Whom those in the line wait for.
#[derive(Default)]
pub struct Claims {
    /// By the address of their roster, member, model and key; without a key it is all keys, likewise.
    seats: HashMap<(usize, usize, Option<usize>, Option<usize>), Millis>,
    /// There is more free than was let go at once; until then it is all theirs.
    everything: Option<Millis>,
}

impl Claims {
    /// Notes whom the request of this plan waits for: those who are back first.
    fn add(&mut self, roster: &Arc<Roster>, plan: &Plan) {
        let Some(earliest) = plan.earliest() else { return };
        let held = plan.exclusions.iter().filter(|exclusion| exclusion.gate == Reason::Quota);
        for exclusion in held {
            if let Some(until) = exclusion.until.filter(|until| *until <= earliest.after(TOGETHER)) {
                let Exclusion { member, model, key, .. } = *exclusion;
                self.seats.insert((Arc::as_ptr(roster).addr(), member, model, key), until);
            }
        }
    }

    /// Until when somebody has a claim on this one.
    fn on(&self, roster: &Arc<Roster>, candidate: Candidate) -> Option<Millis> {
        if self.everything.is_some() || self.seats.is_empty() {
            return self.everything;
        }
        let (roster, Candidate { member, model, key }) = (Arc::as_ptr(roster).addr(), candidate);
        [(Some(model), Some(key)), (None, Some(key)), (Some(model), None), (None, None)]
            .into_iter()
            .find_map(|(model, key)| self.seats.get(&(roster, member, model, key)).copied())
    }
}

/// A request as the line knows it.
pub struct Wanted {
    /// The snapshot that it began with.
    pub live: Arc<Live>,
    /// The roster that it began with.
    pub roster: Arc<Roster>,
    /// What it asks, ready for whoever may be called.
    pub ask: Ask,
    /// What it has tried.
    pub tried: Tried,
    /// Whether it may call somebody who is known to be failing.
    pub dares: bool,
    /// How long it waits at most.
    pub until: Millis,
}

impl Wanted {
    /// What requests have in common that must wait for the same: all that a gate looks at, sizes roughly.
    fn kind(&self) -> u64 {
        let rough = |tokens: u64| tokens.checked_ilog2().map_or(0, u64::from);
        let ask = Ask {
            prompt_tokens: rough(self.ask.prompt_tokens),
            max_output: self.ask.max_output.map(rough),
            difficulty: 0,
            issuers: Vec::new(),
            session: None,
            begins: false,
            hint: None,
            ..self.ask.clone()
        };
        Fingerprint::of(&format!("{:p} {} {ask:?}", Arc::as_ptr(&self.roster), self.dares)).0
    }
}

/// A call that was begun for somebody in the line.
pub struct Admitted {
    /// The plan that it is of.
    pub plan: Plan,
    /// The draw that the plan was made with.
    pub draw: u64,
    /// Who is called.
    pub choice: Choice,
    /// Its guard.
    pub receipt: Receipt,
}

/// How a wait ended.
pub enum Turn {
    /// A call was begun.
    Admitted(Box<Admitted>),
    /// There is nothing to wait for any more.
    Over,
    /// Too many wait already.
    Full,
}

/// Somebody in the line.
struct Waiter {
    wanted: Wanted,
    /// What it has in common with others; `None` when it is like nobody else.
    kind: Option<u64>,
    /// Dropped without a word when it waits in vain.
    turn: Option<oneshot::Sender<Box<Admitted>>>,
}

#[derive(Default)]
struct Queue {
    waiters: BTreeMap<u64, Waiter>,
    /// Whether the task runs that looks after the line.
    attended: bool,
    /// How many may be let go until the pause is over, and its end.
    batch: usize,
    left: usize,
    pause: Millis,
}

/// Requests that wait, in the order in which they came.
#[derive(Default)]
pub struct Line {
    queue: Mutex<Queue>,
    /// How many wait, to be read without the lock.
    count: AtomicUsize,
    numbers: AtomicU64,
    stirred: Notify,
}

impl Line {
    /// A number for a request that may have to wait: its place among those who do.
    pub fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Tells those who wait that something has ended: there may be room now.
    pub fn stir(&self) {
        if self.waiting() > 0 {
            self.stirred.notify_one();
        }
    }

    /// Lets those who wait have what is free, and then the newcomer what they leave.
    pub fn behind<R>(&self, gate: &Arc<Gate>, newcomer: impl FnOnce(&Claims) -> R) -> R {
        if self.waiting() == 0 {
            return newcomer(&Claims::default());
        }
        let mut queue = self.queue.lock();
        let (claims, _) = self.look(gate, &mut queue);
        newcomer(&claims)
    }

    /// Waits in the line at the place of this number. Whoever stops waiting has left it.
    pub async fn wait(&self, gate: &Arc<Gate>, number: u64, wanted: Wanted) -> Turn {
        let until = wanted.until;
        let (turn, mut called) = oneshot::channel();
        {
            let mut queue = self.queue.lock();
            if queue.waiters.len() >= MOST_WAITING {
                return Turn::Full;
            }
            let kind = wanted.tried.is_empty().then(|| wanted.kind());
            queue.waiters.insert(number, Waiter { wanted, kind, turn: Some(turn) });
            self.count.store(queue.waiters.len(), Ordering::Release);
            if !queue.attended {
                queue.attended = true;
                tokio::spawn(attend(Arc::clone(gate)));
            }
        }
        self.stirred.notify_one();
        let place = Place { line: self, number };
        let left = gate.clock.now().until(until);
        let admitted = tokio::time::timeout(left, &mut called).await;
        drop(place);
        // It may have been called in the very moment in which it gave up.
        let admitted = admitted.map_or_else(|_| called.try_recv().ok(), Result::ok);
        admitted.map_or(Turn::Over, Turn::Admitted)
    }

    /// Lets go whoever can be served now, in order; what the others wait for, and when to look again.
    fn look(&self, gate: &Arc<Gate>, queue: &mut Queue) -> (Claims, Millis) {
        let now = gate.clock.now();
        let Queue { waiters, batch, left, pause, .. } = queue;
        if now >= *pause {
            // After a full batch a larger one follows, unless it is long ago.
            let follows = *left == 0 && now < pause.after(PAUSE);
            *batch = if follows { batch.saturating_mul(2) } else { FIRST_BATCH };
            (*left, *pause) = (*batch, now.after(PAUSE));
        }
        let (mut claims, mut next) = (Claims::default(), Millis(u64::MAX));
        let mut held: HashMap<u64, Option<Millis>> = HashMap::new();
        let mut plans = 0;
        waiters.retain(|_, waiter| {
            let Waiter { wanted, kind, turn } = waiter;
            if turn.as_ref().is_none_or(oneshot::Sender::is_closed) {
                return false;
            }
            let known = kind.and_then(|kind| held.get(&kind).copied());
            let earliest = match known {
                Some(earliest) => earliest,
                None if *left == 0 || plans == MOST_PLANS => {
                    claims.everything = Some(*pause);
                    next = next.min(*pause);
                    return true;
                }
                None => {
                    plans += 1;
                    let Wanted { roster, ask, tried, dares, .. } = &*wanted;
                    let seeker = Seeker { roster, ask, tried, dares: *dares };
                    let Sought { plan, draw, found } = admit(gate, &seeker, &claims, |_| true);
                    if let Found::Call(call) = found {
                        *left -= 1;
                        plans -= 1;
                        let (choice, ticket) = *call;
                        let (gate, live) = (Arc::clone(gate), Arc::clone(&wanted.live));
                        let receipt = Receipt::new(gate, live, choice.candidate, ticket);
                        let admitted = Box::new(Admitted { plan, draw, choice, receipt });
                        // Whoever has left in this moment drops the receipt, which gives the call back.
                        let _ = turn.take().map(|turn| turn.send(admitted));
                        return false;
                    }
                    claims.add(roster, &plan);
                    let earliest = plan.earliest();
                    if let Some(kind) = kind {
                        held.insert(*kind, earliest);
                    }
                    earliest
                }
            };
            match earliest.filter(|at| *at <= wanted.until) {
                Some(at) => {
                    next = next.min(at);
                    true
                }
                None => false,
            }
        });
        self.count.store(waiters.len(), Ordering::Release);
        (claims, next.max(now.after(PAUSE)))
    }
}

/// A place in the line, free when dropped.
struct Place<'a> {
    line: &'a Line,
    number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut queue = self.line.queue.lock();
        let left = queue.waiters.remove(&self.number).is_some();
        self.line.count.store(queue.waiters.len(), Ordering::Release);
        drop(queue);
        if left {
            // Those behind may have what it waited for.
            self.line.stirred.notify_one();
        }
    }
}

/// Looks after the line until nobody waits.
async fn attend(gate: Arc<Gate>) {
    loop {
        let next = {
            let mut queue = gate.line.queue.lock();
            let (_, next) = gate.line.look(&gate, &mut queue);
            if queue.waiters.is_empty() {
                queue.attended = false;
                return;
            }
            next
        };
        let pause = gate.clock.now().until(next);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = gate.line.stirred.notified() => {}
        }
    }
}
