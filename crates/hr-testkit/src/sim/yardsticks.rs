//! What the router is measured by: how most routers do it, and how it would be done by who knows everything.

use std::collections::HashMap;

use hr_core::catalog::LimitUnit;
use hr_core::failure::FailureKind;
use hr_core::route::Candidate;
use hr_core::time::Millis;

use super::calendar::MINUTE;
use super::contender::{Contender, Step, Visit};
use super::load::Request;
use super::world::{Ending, Reply, World};

/// How many calls either spends on a request.
const MAX_ATTEMPTS: u32 = 10;

/// Every key on every model in turn; whoever answers 429 is left out for a minute.
#[derive(Debug)]
pub struct RoundRobin {
    candidates: Vec<Candidate>,
    turn: usize,
    cooling: HashMap<Candidate, Millis>,
}

impl RoundRobin {
    /// One that begins.
    #[must_use]
    pub fn new(world: &World) -> Self {
        Self { candidates: world.candidates(), turn: 0, cooling: HashMap::new() }
    }
}

impl Contender for RoundRobin {
    type Held = ();

    fn name(&self) -> &'static str {
        "round robin, 60 s cooldown"
    }

    fn next(&mut self, now: Millis, world: &mut World, request: &Request, visit: &mut Visit) -> Step<()> {
        if visit.attempts >= MAX_ATTEMPTS {
            return Step::Nobody;
        }
        let mut earliest: Option<Millis> = None;
        for _ in 0..self.candidates.len() {
            let candidate = self.candidates[self.turn];
            self.turn = (self.turn + 1) % self.candidates.len();
            let (_, window) = world.spec(candidate).models[candidate.model];
            if visit.failed.contains(&candidate) || request.estimate > window {
                continue;
            }
            match self.cooling.get(&candidate).filter(|until| **until > now) {
                Some(until) => earliest = Some(earliest.map_or(*until, |known| known.min(*until))),
                None => return Step::Call { candidate, held: (), test: false },
            }
        }
        earliest.map_or(Step::Nobody, Step::Wait)
    }

    fn ends(
        &mut self,
        now: Millis,
        (candidate, ()): (Candidate, ()),
        _request: &Request,
        reply: &Reply,
        visit: &mut Visit,
    ) -> bool {
        if let Ending::Failed(failure) = &reply.ending {
            visit.failed.push(candidate);
            if matches!(failure.kind, FailureKind::RateLimited | FailureKind::QuotaSpent) {
                self.cooling.insert(candidate, Millis(now.0 + MINUTE));
            }
        }
        true
    }
}

/// One who knows every limit, what is left of it, and when it comes back, and is never refused.
///
/// Each request goes to whoever has room for it and whose quota would otherwise lapse first: the time until a quota
/// is whole again, less the time it takes to use up what is left of it. Whoever misses the fewest chances so serves
/// nearly the most that the limits allow; exactly the most it is not, since it does not know which requests come.
#[derive(Debug)]
pub struct Clairvoyant {
    candidates: Vec<Candidate>,
}

impl Clairvoyant {
    /// One that begins.
    #[must_use]
    pub fn new(world: &World) -> Self {
        let mut candidates = world.candidates();
        // Keys of one owner are one to who knows.
        let mut known = Vec::new();
        candidates.retain(|candidate| {
            let same = (candidate.member, world.owner(*candidate), candidate.model);
            let fresh = !known.contains(&same);
            known.push(same);
            fresh
        });
        Self { candidates }
    }

    /// How long a candidate can still wait before some of its quota lapses, in milliseconds.
    fn slack(now: Millis, world: &mut World, candidate: Candidate) -> f64 {
        let clock = world.clock(candidate.member, now);
        let meters = world.meters_of(candidate).to_vec();
        let mut slack = f64::MAX;
        for &meter in &meters {
            if world.meters[meter].limit.unit == LimitUnit::Concurrent {
                continue;
            }
            let left = world.meters[meter].left(clock);
            let whole =
                world.meters[meter].whole_at(clock).map_or(0, |whole| clock.until(whole).as_millis() as u64);
            // How fast the others of the same unit let it be used up.
            let (unit, own) = (world.meters[meter].limit.unit, world.meters[meter].limit.millis());
            let others = meters.iter().map(|other| world.meters[*other].limit);
            let faster =
                others.filter(|other| other.unit == unit && other.millis() < own && other.millis() > 0);
            let rate = faster.map(|other| other.amount / other.millis() as f64).fold(f64::MAX, f64::min);
            let drained = if rate < f64::MAX { left / rate } else { 0.0 };
            slack = slack.min(whole as f64 - drained);
        }
        slack
    }
}

impl Contender for Clairvoyant {
    type Held = ();

    fn name(&self) -> &'static str {
        "clairvoyant"
    }

    fn next(&mut self, now: Millis, world: &mut World, request: &Request, visit: &mut Visit) -> Step<()> {
        if visit.attempts >= MAX_ATTEMPTS {
            return Step::Nobody;
        }
        let mut earliest: Option<Millis> = None;
        let mut best: Option<(f64, Candidate)> = None;
        for &candidate in &self.candidates {
            if visit.failed.contains(&candidate) || !world.fits(candidate, request) {
                continue;
            }
            match world.room(now, candidate, request) {
                Ok(()) => {
                    let slack = Self::slack(now, world, candidate);
                    if best.is_none_or(|(least, _)| slack < least) {
                        best = Some((slack, candidate));
                    }
                }
                Err((_, until)) => {
                    // A place comes back when a call ends; a second on it is asked again.
                    let until = until.unwrap_or(Millis(now.0 + 1000));
                    earliest = Some(earliest.map_or(until, |known| known.min(until)));
                }
            }
        }
        match (best, earliest) {
            (Some((_, candidate)), _) => Step::Call { candidate, held: (), test: false },
            (None, Some(until)) => Step::Wait(until),
            (None, None) => Step::Nobody,
        }
    }

    fn ends(
        &mut self,
        _now: Millis,
        (candidate, ()): (Candidate, ()),
        _request: &Request,
        reply: &Reply,
        visit: &mut Visit,
    ) -> bool {
        if matches!(reply.ending, Ending::Failed(_)) {
            visit.failed.push(candidate);
        }
        true
    }
}
