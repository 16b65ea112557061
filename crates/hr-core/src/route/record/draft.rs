//! A record in the making, and how it is made to fit.

use std::time::Duration;

use super::subject::cut;
use super::{Asked, Call, MAX_BYTES, Name, Outcome, Planned, RULES, Record, Subject, Who};
use crate::failure::Failure;
use crate::route::plan::{Candidate, Choice};
use crate::time::Millis;
use crate::usage::Usage;

/// The longest list of names of what was lost.
const MAX_LOST: usize = 120;

/// The most calls of a request that are taken down: the first ones, and the last.
const MAX_CALLS: usize = 12;

/// The most plans of a request that are taken down.
const MAX_PLANS: usize = 4;

/// The most candidates of a request's first plan that are taken down.
const MAX_CANDIDATES: usize = 6;

/// The most candidates of its later plans that are taken down: whoever was called. The others have hardly changed.
const MAX_LATER_CANDIDATES: usize = 1;

/// With so many candidates of its first plan it is still well told why the first of them was first.
const TELLING_CANDIDATES: usize = 3;

/// A record in the making, which goes along with its request.
#[derive(Clone, Debug)]
pub struct Draft {
    record: Box<Record>,
    plans: u32,
}

impl Draft {
    /// The record of a request that begins.
    #[must_use]
    pub fn new(id: impl Into<Name>, at: Millis, endpoint: &'static str, catalog: impl Into<Name>) -> Self {
        let (id, catalog) = (id.into(), catalog.into());
        // Most requests are planned once and called once.
        let record = Record {
            id,
            at,
            rules: RULES,
            catalog,
            endpoint: endpoint.into(),
            status: 0,
            ended: "".into(),
            took_ms: 0,
            usage: Usage::default(),
            ask: None,
            plans: Vec::with_capacity(1),
            plans_left_out: 0,
            attempts: Vec::with_capacity(1),
            attempts_left_out: 0,
            lost: String::new(),
        };
        Self { record: Box::new(record), plans: 0 }
    }

    /// Takes down a plan, and who was chosen from it.
    pub fn plan(&mut self, subject: &Subject<'_>, chosen: Option<&Choice>) {
        let record = &mut self.record;
        if record.ask.is_none() {
            record.ask = Some(Asked::of(subject));
        }
        if record.plans.len() == MAX_PLANS {
            // The first one and the last are what is asked for most.
            record.plans.remove(1);
            record.plans_left_out += 1;
        }
        let most = if self.plans == 0 { MAX_CANDIDATES } else { MAX_LATER_CANDIDATES };
        let planned = Planned::of(subject, self.plans, chosen, most);
        let tells_all = self.plans == 0 || chosen.is_none();
        record.plans.push(if tells_all { planned.and_excluded(subject) } else { planned });
        self.plans += 1;
    }

    /// Takes down that a candidate of the last plan is called now.
    pub fn calls(&mut self, subject: &Subject<'_>, candidate: Candidate, after: Duration) {
        let record = &mut self.record;
        if record.attempts.len() == MAX_CALLS {
            record.attempts.remove(MAX_CALLS / 2);
            record.attempts_left_out += 1;
        }
        record.attempts.push(Call {
            plan: self.plans.saturating_sub(1),
            who: Who::of(subject, candidate),
            outcome: Outcome::Abandoned,
            status: None,
            after_ms: millis(after),
            ms: 0,
        });
    }

    /// Takes down that the last call failed.
    pub fn failed(&mut self, failure: &Failure, after: Duration) {
        if let Some(call) = self.ends(Outcome::Failed(failure.kind), after) {
            call.status = failure.status;
        }
    }

    /// Takes down that the last call has begun to answer well.
    pub fn answered(&mut self, after: Duration) {
        self.ends(Outcome::Answered, after);
    }

    fn ends(&mut self, outcome: Outcome, after: Duration) -> Option<&mut Call> {
        let call = self.record.attempts.last_mut()?;
        call.outcome = outcome;
        call.ms = millis(after).saturating_sub(call.after_ms);
        Some(call)
    }

    /// Takes down what the provider that answered was not given, by name.
    pub fn lost(&mut self, names: &str) {
        self.record.lost = cut(names, MAX_LOST);
    }

    /// Takes down what it cost.
    pub fn used(&mut self, usage: Usage) {
        self.record.usage = usage;
    }

    /// The record of a request that has ended.
    #[must_use]
    pub fn close(mut self, status: u16, ended: &'static str, took: Duration) -> Box<Record> {
        self.record.status = status;
        self.record.ended = ended.into();
        self.record.took_ms = millis(took);
        self.record
    }
}

impl Record {
    /// The record as JSON of at most [`MAX_BYTES`]: what does not fit is left out, what matters least first.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let text = self.text();
        if text.len() <= MAX_BYTES {
            return text;
        }
        let mut smaller = self.clone();
        loop {
            let more = smaller.shed();
            let text = smaller.text();
            if text.len() <= MAX_BYTES || !more {
                return text;
            }
        }
    }

    fn text(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(MAX_BYTES);
        // Of what a record holds, nothing can fail to be written.
        let _ = serde_json::to_writer(&mut text, self);
        text
    }

    /// Leaves out what matters least of all that is still there; false when nothing is left to leave out.
    fn shed(&mut self) -> bool {
        // First names that could as well not be there, then candidates that were not called, then what lies between
        // the first plan and the last. The first candidate of a plan stays to the end: it was the choice.
        let named = |plan: &&mut Planned| plan.excluded.iter().any(|group| group.who.len() > 1);
        if let Some(plan) = self.plans.iter_mut().rev().find(named) {
            plan.excluded.iter_mut().for_each(|group| group.who.truncate(1));
            return true;
        }
        if self.drop_candidate(TELLING_CANDIDATES) {
            return true;
        }
        if self.plans.len() > 2 {
            self.plans.remove(1);
            self.plans_left_out += 1;
            return true;
        }
        if self.drop_candidate(1) {
            return true;
        }
        if self.attempts.len() > 2 {
            self.attempts.remove(1);
            self.attempts_left_out += 1;
            return true;
        }
        if let Some(plan) = self.plans.iter_mut().rev().find(|plan| !plan.excluded.is_empty()) {
            plan.excluded.pop();
            return true;
        }
        if self.plans.pop().is_some() {
            self.plans_left_out += 1;
            return true;
        }
        if self.attempts.pop().is_some() {
            self.attempts_left_out += 1;
            return true;
        }
        false
    }

    /// Leaves out the last candidate of a plan that has more than so many.
    fn drop_candidate(&mut self, least: usize) -> bool {
        let Some(plan) = self.plans.iter_mut().rev().find(|plan| plan.candidates.len() > least) else {
            return false;
        };
        let gone = plan.candidates.pop();
        plan.left_out += gone.map_or(0, |row| row.count);
        true
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
