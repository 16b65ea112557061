//! The router itself as a contender: the same `hr-core` that the gateway drives.

use std::sync::Arc;
use std::time::Duration;

use hr_core::catalog::SpendClass;
use hr_core::pool::Pool;
use hr_core::route::{Allowance, Ask, Candidate, Next, Outcome, Roster, Router, Ticket};
use hr_core::time::Millis;

use super::contender::{Contender, Step, Visit};
use super::dice::Dice;
use super::load::Request;
use super::world::{Ending, Reply, World};

/// The gateway's own: calls that a request may cost.
const MAX_ATTEMPTS: u32 = 64;
/// The gateway's own: calls of a request that may go to whoever is known to be failing.
const KNOWN_BAD_BUDGET: u32 = 16;
/// The gateway's own: how often a request asks those again who failed it.
const REPEATS: u32 = 2;
/// The gateway's own: how long it waits before, in milliseconds, half of it by chance.
const REPEAT_WAIT: u64 = 200;

/// The router.
#[derive(Debug)]
pub struct Routing {
    /// The decisions.
    pub router: Router,
    roster: Arc<Roster>,
    spend: SpendClass,
    dice: Dice,
}

/// What is kept of a call under way.
#[derive(Debug)]
pub struct Held {
    ticket: Ticket,
    begun: Millis,
}

impl Routing {
    /// A router that knows a pool and nothing else.
    #[must_use]
    pub fn new(now: Millis, pool: Pool) -> Self {
        let mut router = Router::new();
        let roster = router.install(now, pool);
        Self { router, roster, spend: SpendClass::Paid, dice: Dice::new(7) }
    }

    /// Allows calls of this class at most.
    #[must_use]
    pub fn spend(mut self, most: SpendClass) -> Self {
        self.spend = most;
        self
    }

    /// The roster in force.
    #[must_use]
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// What the router is asked for a request.
    fn ask(&self, request: &Request) -> Ask {
        Ask {
            prompt_tokens: request.estimate,
            max_output: request.max_output,
            difficulty: request.difficulty,
            session: request.session,
            allowance: Allowance { most: self.spend, per_request: None },
            ..Ask::default()
        }
    }
}

impl Contender for Routing {
    type Held = Held;

    fn name(&self) -> &'static str {
        "hermes-router"
    }

    fn arrives(&mut self, now: Millis) {
        self.router.arrives(now);
    }

    fn next(&mut self, now: Millis, _world: &mut World, request: &Request, visit: &mut Visit) -> Step<Held> {
        if visit.attempts >= MAX_ATTEMPTS {
            return Step::Nobody;
        }
        let (ask, draw) = (self.ask(request), self.dice.draw());
        let plan = self.router.plan(now, &self.roster, &ask, &visit.tried, draw);
        for choice in &plan.choices {
            if choice.known_bad && visit.known_bad >= KNOWN_BAD_BUDGET {
                continue;
            }
            if let Ok(ticket) = self.router.begin(now, &self.roster, choice) {
                visit.known_bad += u32::from(choice.known_bad);
                let test = choice.is_test();
                return Step::Call { candidate: choice.candidate, held: Held { ticket, begun: now }, test };
            }
        }
        if visit.repeats < REPEATS && plan.choices.is_empty() && visit.tried.forgive_passing() {
            visit.repeats += 1;
            let wait = REPEAT_WAIT / 2 + self.dice.draw() % (REPEAT_WAIT / 2);
            return Step::Wait(Millis(now.0 + wait));
        }
        match plan.earliest() {
            Some(earliest) => Step::Wait(earliest.max(Millis(now.0 + 1))),
            None => Step::Nobody,
        }
    }

    fn ends(
        &mut self,
        now: Millis,
        (candidate, held): (Candidate, Held),
        _request: &Request,
        reply: &Reply,
        visit: &mut Visit,
    ) -> bool {
        let total = held.begun.until(now);
        let outcome = match &reply.ending {
            Ending::Served { usage, said } => Outcome::Success {
                first_byte: total.min(Duration::from_millis(600)),
                total,
                usage: *usage,
                said: said.clone(),
            },
            Ending::Failed(failure) => {
                visit.tried.note(&self.roster, candidate, failure);
                Outcome::Failure(failure.clone())
            }
        };
        self.router.settle(now, held.ticket, outcome).next == Next::Another
    }
}
