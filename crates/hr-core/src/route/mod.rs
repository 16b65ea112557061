//! Who is tried next, and why.
//!
//! [`Router`] is the whole routing state behind one short lock, never held across an await:
//! `plan` orders candidates and explains every exclusion, `begin` admits one attempt, `settle` learns from
//! its end, `next_wakeup` says when something changes by itself. Time and chance are arguments.
//!
//! [`plan`] walks [`gate`], then [`score`]; [`settle`] applies the one table of [`policy`] to what is kept in
//! slots: rests ([`cooldown`](Effect::Cooled)), a [`breaker`] a provider, and what refusals taught.

pub mod ask;
pub mod breaker;
mod cooldown;
pub mod gate;
pub mod learned;
pub mod merits;
pub mod plan;
pub mod policy;
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
pub use plan::{Candidate, Choice, Plan};
pub use merits::{Brief, Merits, Tier};
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
use crate::pool::{Pool, PoolModel};
use crate::quota::{Headroom, OwnerQuota};
use crate::time::Millis;
use plan::Planner;
use settle::Settlement;
use slots::Slots;

/// All that routing knows, and the decisions made from it.
#[derive(Debug, Default)]
pub struct Router {
    roster: Arc<Roster>,
    slots: Slots,
    /// Attempts begun so far: numbers tickets and orders turns.
    begun: u64,
    facts: Facts,
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
        let unlisted = PoolModel::unlisted(model, &member.provider);
        self.slots.with_model(roster, at, unlisted).map(Arc::new)
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
        let planner = || Planner::new(now, roster, ask, tried, draw);
        let plan = planner().run(&self.slots, roster);
        // Agents allow answers that are longer than many a window: rather a shorter one than none.
        let tight = || plan.exclusions.iter().any(|exclusion| exclusion.gate == Gate::Context);
        if plan.choices.is_empty() && ask.max_output.is_some() && tight() {
            return planner().shorten().run(&self.slots, roster);
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
        let Some(admission) = provider.breaker.admit(now, id, choice.last_resort) else {
            return Err(Exclusion::breaker(candidate.member, provider, now));
        };
        self.begun = id;
        provider.turn = id;
        provider.requests += 1;
        let model = &mut provider.models[address.model];
        model.requests += 1;
        model.last_key = Some(address.key);
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
            reservation: Some(reservation),
            prompt: choice.prompt,
            output: choice.output,
        })
    }

    /// Takes note that a request came: what calls to failing candidates are measured by.
    pub fn arrives(&mut self, _now: Millis) {}

    /// How long a candidate may take until its answer begins, by how long it took lately; `None` when too little
    /// is known of it.
    #[must_use]
    pub fn patience(&self, _now: Millis, _roster: &Roster, _candidate: Candidate) -> Option<Duration> {
        None
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
        self.facts.changes()
    }

    /// Takes back what was kept; returns how much of it could not be read. What belongs to keys and models that are
    /// not in the pool is remembered until they come.
    pub fn restore(&mut self, _now: Millis, kept: Vec<Change>) -> usize {
        let abilities = kept.iter().filter(|change| change.table == Table::Capabilities);
        let lost = abilities.filter_map(|change| Some((&change.id, change.kept.as_deref()?)));
        lost.filter(|(id, kept)| !self.facts.restore(id, kept)).count()
    }

    /// Tells that an attempt has begun to answer well, though it has not ended: enough to close a half-open
    /// breaker, whose probe may be a long stream.
    pub fn answered(&mut self, now: Millis, ticket: &Ticket) -> Vec<Effect> {
        let mut settlement = self.settlement(now, ticket);
        if ticket.admission != breaker::Admission::Free {
            settlement.answered();
        }
        settlement.effects
    }

    /// Learns from the end of an attempt.
    pub fn settle(&mut self, now: Millis, mut ticket: Ticket, outcome: Outcome) -> Settled {
        let reservation = ticket.reservation.take();
        let mut settlement = self.settlement(now, &ticket);
        if let Some(reservation) = reservation {
            settlement.account(reservation, &outcome);
        }
        let key = &mut settlement.provider.keys[ticket.address.key];
        key.in_flight = key.in_flight.saturating_sub(1);
        let next = match outcome {
            Outcome::Success { first_byte, total, spent, .. } => {
                settlement.success(first_byte, total);
                if let Some(wait) = spent {
                    settlement.spent(wait);
                }
                Next::Another
            }
            Outcome::Failure(failure) => settlement.failure(&failure),
            Outcome::Abandoned => {
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

    fn settlement<'a>(&'a mut self, now: Millis, ticket: &'a Ticket) -> Settlement<'a> {
        let provider = &mut self.slots.providers[ticket.address.provider];
        let rules = &self.roster.pool.rules.breaker;
        Settlement { now, ticket, provider, rules, effects: Vec::new() }
    }
}
