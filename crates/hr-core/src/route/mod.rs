//! Who is tried next, and why.
//!
//! [`Router`] is the whole routing state behind one short lock, never held across an await:
//! `plan` orders candidates and explains every exclusion, `begin` admits one attempt, `settle` learns from
//! its end, `next_wakeup` says when something changes by itself. Time and chance are arguments.
//!
//! [`plan`] walks [`gate`], then [`score`]; [`settle`] applies the one table of [`policy`] to what is kept in
//! slots: rests ([`cooldown`](Effect::Cooled)), a [`breaker`] a provider, and what refusals taught.

pub mod affinity;
pub mod ask;
pub mod breaker;
pub mod budget;
mod cooldown;
pub mod gate;
pub mod health;
pub mod learned;
pub mod merits;
mod noted;
pub mod plan;
mod planner;
pub mod policy;
pub mod record;
pub mod replay;
pub mod saved;
pub mod score;
pub mod settle;
pub mod slots;
pub mod snapshot;
pub mod spend;
pub mod target;
pub mod tried;
pub mod turns;
pub mod verdict;

use std::sync::Arc;
use std::time::Duration;

pub use ask::{Ask, Effort, Hint, Losses, Profile, Target, Work};
pub use breaker::BreakerPhase;
pub use gate::{Exclusion, Gate, room};
pub use merits::{Brief, Merits, Tier};
pub use noted::Noted;
pub use plan::{Candidate, Choice, Plan};
pub use policy::Next;
pub use saved::{Change, Table};
pub use score::{Rank, Terms};
pub use settle::{Effect, Outcome, Settled, Ticket};
pub use slots::Roster;
pub use snapshot::{BreakerState, KeyState, MemberState, ModelState};
pub use spend::{Allowance, Permit};
pub use target::{UnknownModel, target};
pub use tried::Tried;
pub use turns::Turns;
pub use verdict::Verdict;

use crate::capability::Facts;
use crate::catalog::SpendClass;
use crate::failure::FailureKind;
use crate::pool::{Pool, PoolModel};
use crate::quota::{Headroom, OwnerQuota};
use crate::time::Millis;
use affinity::{Home, Homes};
use budget::RetryBudget;
use planner::{Planner, Scene};
use saved::Saved;
use settle::Settlement;
use slots::Average;
use slots::Slots;

/// All that routing knows, and the decisions made from it.
#[derive(Debug, Default)]
pub struct Router {
    roster: Arc<Roster>,
    slots: Slots,
    /// Attempts begun so far: numbers tickets and orders turns.
    begun: u64,
    /// How many of them were when that was told last.
    told: u64,
    homes: Homes,
    retries: RetryBudget,
    facts: Facts,
    saved: Saved,
}

impl Router {
    /// A router with an empty pool, which knows nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a pool in force. What is known of providers, keys and models that stay (by their stable ids) is
    /// kept; of keys that went, what still holds at `now` is kept for their return.
    pub fn install(&mut self, now: Millis, pool: Pool) -> Arc<Roster> {
        self.roster = Arc::new(self.slots.enlist(now, pool));
        self.saved.installed(&mut self.slots);
        Arc::clone(&self.roster)
    }

    /// The roster for a request that pins a model: the same one when the model is listed, else one that lists
    /// it for this request only. `None` when the provider is not in it, the settings exclude the model, or callers
    /// have named too many models.
    pub fn roster_for(&mut self, roster: &Arc<Roster>, target: &Target) -> Option<Arc<Roster>> {
        let Target::Pin { provider, model } = target else { return Some(Arc::clone(roster)) };
        let members = &roster.pool.members;
        let at = members.iter().position(|member| member.provider.id == *provider)?;
        let member = &members[at];
        let listed = member.models.iter().any(|known| known.id == *model);
        if listed || member.embed_model.as_deref() == Some(model) {
            return Some(Arc::clone(roster));
        }
        if member.excluded.contains(&model.to_lowercase()) {
            return None;
        }
        let mut unlisted = PoolModel::unlisted(model, &member.provider);
        if spend::is_sold(member) {
            unlisted.spend = SpendClass::Paid;
        }
        let own = roster.slots[at].provider;
        let known = self.slots.providers[own].models.len();
        let roster = self.slots.with_model(roster, at, unlisted).map(Arc::new);
        if self.slots.providers[own].models.len() > known {
            self.saved.arrived(&mut self.slots, own);
        }
        roster
    }

    /// The roster in force.
    #[must_use]
    pub fn roster(&self) -> Arc<Roster> {
        Arc::clone(&self.roster)
    }

    /// Orders the candidates for a request and explains every exclusion. `draw` is any number: it decides
    /// where a rotation begins, so that routers started together do not all begin with the same key.
    ///
    /// A burst of requests is spread evenly when nothing comes between a plan and its `begin`.
    #[must_use]
    pub fn plan(&self, now: Millis, roster: &Roster, ask: &Ask, tried: &Tried, draw: u64) -> Plan {
        let session = ask.session.filter(|_| ask.work == Work::Chat);
        let home = session.filter(|_| !ask.begins).and_then(|session| self.homes.find(now, session));
        let retries = self.retries.allows(now);
        let scene = Scene { now, roster, slots: &self.slots, ask, tried, draw, home, retries };
        let plan = Planner::new(scene).run();
        // Agents allow answers that are longer than many a window: rather a shorter one than none.
        let any = |gate| plan.exclusions.iter().any(|exclusion| exclusion.gate == gate);
        if !plan.choices.is_empty() {
            return plan;
        }
        let shorten = ask.max_output.is_some() && any(Gate::Context);
        // Tools that are offered need not be called: who answers in words is better than nobody.
        let wordy = !ask.tool_loop && any(Gate::Tools);
        if shorten || wordy {
            return Planner::new(scene).content_with(shorten, wordy).run();
        }
        plan
    }

    /// Admits one attempt if the candidate may be called *now*: another request may have cooled it since the
    /// plan.
    ///
    /// # Errors
    ///
    /// Says why it may not be called.
    pub fn begin(&mut self, now: Millis, roster: &Roster, choice: &Choice) -> Result<Ticket, Exclusion> {
        let candidate = choice.candidate;
        let address = roster.address(candidate);
        let provider = &mut self.slots.providers[address.provider];
        if let Some(rest) = gate::resting(now, provider, &address) {
            let exclusion = Exclusion::cooling(candidate.member, rest);
            return Err(exclusion.model(candidate.model).key(candidate.key));
        }
        let id = self.begun + 1;
        match provider.ledger.headroom(now, address.seat(), choice.need) {
            Headroom::Open(_) => {}
            Headroom::Test(..) if choice.test => {}
            Headroom::Test(hold, _) | Headroom::Spent(hold) => {
                let exclusion = Exclusion::quota(candidate.member, hold);
                return Err(exclusion.model(candidate.model).key(candidate.key));
            }
        }
        // The probe of a half-open breaker is what finds out.
        let probe = provider.breaker.phase(now) == BreakerPhase::HalfOpen && !provider.breaker.blocks(now);
        let retry = choice.retry && !probe;
        if retry && !self.retries.allows(now) {
            let exclusion = Exclusion::new(candidate.member, Gate::Retries);
            return Err(exclusion.model(candidate.model).key(candidate.key));
        }
        let Some(admission) = provider.breaker.admit(now, id, choice.merits.tier.is_shut()) else {
            return Err(Exclusion::breaker(candidate.member, provider, now));
        };
        if retry {
            self.retries.withdraw(now);
        }
        self.begun = id;
        provider.turn = id;
        provider.requests += 1;
        let model = &mut provider.models[address.model];
        model.requests += 1;
        // A conversation at home takes nobody's turn: new ones are spread over all keys.
        if !choice.merits.home {
            model.last_key = Some(address.key);
        }
        let key = &mut provider.keys[address.key];
        key.requests += 1;
        key.in_flight += 1;
        let reservation = provider.ledger.reserve(now, address.seat(), choice.need);
        Ok(Ticket {
            id,
            begun: now,
            address,
            admission,
            permit: choice.permit,
            need: choice.need,
            reservation: Some(reservation),
            prompt: choice.prompt,
            output: choice.output,
            session: choice.session,
            known_bad: choice.known_bad,
        })
    }

    /// Takes note that a request came: what calls to failing candidates are measured by.
    pub fn arrives(&mut self, now: Millis) {
        self.retries.arrives(now);
    }

    /// How long a candidate may take until its answer begins, by how long it took lately; `None` when too little
    /// is known of it.
    #[must_use]
    pub fn patience(&self, now: Millis, roster: &Roster, candidate: Candidate) -> Option<Duration> {
        let address = roster.address(candidate);
        Average::patience(self.slots.providers[address.provider].models[address.model].first_byte, now)
    }

    /// What is left of each quota of each owner of the roster's providers.
    #[must_use]
    pub fn quota(&self, now: Millis, roster: &Roster) -> Vec<OwnerQuota> {
        let members = roster.pool.members.iter().zip(&roster.slots);
        let views = members
            .map(|(member, own)| self.slots.providers[own.provider].ledger.view(now, &member.provider.id));
        views.flatten().collect()
    }

    /// What models can do, as far as anybody has told. It has its effect when it is put over a pool that is installed.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The same, to be learned from.
    pub fn facts_mut(&mut self) -> &mut Facts {
        &mut self.facts
    }

    /// What has changed since this was last asked, to be kept over a restart.
    pub fn changes(&mut self) -> Vec<Change> {
        let mut changes = self.saved.changes(&mut self.slots);
        changes.extend(self.facts.changes());
        changes.extend(self.counted());
        changes
    }

    /// Takes back what was kept; returns how much of it could not be read. What belongs to keys and models that are
    /// not in the pool is remembered until they come.
    pub fn restore(&mut self, now: Millis, mut kept: Vec<Change>) -> usize {
        let calls = Self::calls_of(&mut kept);
        let abilities = kept.iter().filter(|change| change.table == Table::Capabilities);
        let lost = abilities.filter_map(|change| Some((&change.id, change.kept.as_deref()?)));
        let lost = lost.filter(|(id, kept)| !self.facts.restore(id, kept)).count();
        lost + self.saved.restore(now, &mut self.slots, kept) + self.count_again(now, &calls)
    }

    /// Tells that an attempt has begun to answer well, though it has not ended: enough to close a half-open
    /// breaker, whose probe may be a long stream.
    pub fn answered(&mut self, now: Millis, ticket: &Ticket) -> Vec<Effect> {
        self.houses(now, ticket);
        let mut settlement = self.settlement(now, ticket);
        if ticket.admission != breaker::Admission::Free {
            settlement.answered();
        }
        settlement.effects
    }

    /// Learns from the end of an attempt.
    pub fn settle(&mut self, now: Millis, mut ticket: Ticket, outcome: Outcome) -> Settled {
        let reservation = ticket.reservation.take();
        self.saved.touch(ticket.address);
        self.measure(now, &ticket, &outcome);
        let mut settlement = self.settlement(now, &ticket);
        if let Some(reservation) = reservation {
            settlement.account(reservation, &outcome);
        }
        let key = &mut settlement.provider.keys[ticket.address.key];
        key.in_flight = key.in_flight.saturating_sub(1);
        let next = match outcome {
            Outcome::Success { first_byte, total, .. } => {
                settlement.success(first_byte, total);
                Next::Another
            }
            Outcome::Failure(failure) => settlement.failure(&failure),
            Outcome::Abandoned | Outcome::Unsent => {
                settlement.abandoned();
                Next::Another
            }
        };
        Settled { effects: settlement.effects, next }
    }

    /// The next instant at which something ends by itself, if anything does.
    #[must_use]
    pub fn next_wakeup(&self, now: Millis) -> Option<Millis> {
        snapshot::next_wakeup(now, &self.slots)
    }

    /// The health of every member of a roster.
    #[must_use]
    pub fn snapshot(&self, now: Millis, roster: &Roster) -> Vec<MemberState> {
        snapshot::snapshot(now, &self.slots, roster)
    }

    /// Takes note of how a call went, whoever made it.
    fn measure(&mut self, now: Millis, ticket: &Ticket, outcome: &Outcome) {
        let model = &mut self.slots.providers[ticket.address.provider].models[ticket.address.model];
        match outcome {
            Outcome::Success { usage, .. } => {
                model.reliability.note(now, true);
                if let Some(tokens) = usage.output {
                    #[expect(clippy::cast_precision_loss, reason = "no answer has that many tokens")]
                    Average::count(&mut model.answer, now, tokens as f64);
                }
                self.houses(now, ticket);
                if ticket.known_bad {
                    self.retries.proves(now);
                }
            }
            Outcome::Failure(failure) if policy::Rule::of(failure.kind).breaker => {
                model.reliability.note(now, false);
                if failure.kind == FailureKind::Timeout {
                    Average::late(&mut model.first_byte, now, ticket.begun.until(now));
                }
            }
            Outcome::Failure(_) | Outcome::Abandoned | Outcome::Unsent => {}
        }
    }

    /// The conversation is at home where it is answered.
    fn houses(&mut self, now: Millis, ticket: &Ticket) {
        if let Some(session) = ticket.session {
            self.homes.keep(now, session, Home::at(&ticket.address));
        }
    }

    fn settlement<'a>(&'a mut self, now: Millis, ticket: &'a Ticket) -> Settlement<'a> {
        let provider = &mut self.slots.providers[ticket.address.provider];
        let rules = &self.roster.pool.rules.breaker;
        Settlement { now, ticket, provider, rules, effects: Vec::new() }
    }
}
