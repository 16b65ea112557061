//! The providers as they really are: who calls them is told only what they say.

use std::time::Duration;

use hr_core::catalog::{LimitSpan, LimitUnit};
use hr_core::failure::{Failure, FailureKind, Scope};
use hr_core::quota::{Reach, Reading, Said, Source};
use hr_core::route::Candidate;
use hr_core::time::Millis;
use hr_core::usage::Usage;

use super::dice::Dice;
use super::limit::{HiddenLimit, Meter};
use super::load::Request;
use super::provider::{Spec, Telling, Words};

/// How long a refusal takes, in milliseconds.
const REFUSAL_TAKES: u64 = 120;
/// How long a call takes that fails for its own reasons.
const FAULT_TAKES: u64 = 700;
/// How long a call takes that nobody answers.
const TIMEOUT_TAKES: u64 = 10_000;

/// What comes back of a call.
#[derive(Clone, Debug)]
pub struct Reply {
    /// When it is over.
    pub ends: Millis,
    /// What it was.
    pub ending: Ending,
    /// The meter that refused it.
    pub refused_by: Option<usize>,
}

/// How a call ends.
#[derive(Clone, Debug)]
pub enum Ending {
    /// It served.
    Served {
        /// What it used.
        usage: Usage,
        /// What its headers said.
        said: Said,
    },
    /// It did not.
    Failed(Failure),
}

/// Something that happens to a provider.
#[derive(Clone, Debug)]
pub enum Change {
    /// Its limits of this unit and span are this many times what they were.
    Scale(LimitUnit, LimitSpan, f64),
    /// Its limits of this unit and span are there no more.
    Lift(LimitUnit, LimitSpan),
    /// All that was used is forgotten.
    Refill,
    /// It answers nothing but 503, or does so no more.
    Down(bool),
    /// Somebody else uses so much of the requests of its first owner.
    Foreign(f64),
    /// What it says of waits is off: they are said to be this long, or the truth is said again.
    Claims(Option<Duration>),
    /// What its headers say there is and is left is this many times the truth.
    Boasts(f64),
}

/// A provider.
#[derive(Debug)]
struct Place {
    spec: Spec,
    owners: Vec<usize>,
    /// The meters of each owner on each model.
    applies: Vec<Vec<Vec<usize>>>,
    down: bool,
    claims: Option<Duration>,
    boasts: f64,
}

/// All providers.
#[derive(Debug)]
pub struct World {
    places: Vec<Place>,
    /// Every meter of every owner.
    pub meters: Vec<Meter>,
}

impl World {
    /// The world of these providers.
    #[must_use]
    pub fn new(specs: &[Spec], now: Millis) -> Self {
        let mut world = Self { places: Vec::new(), meters: Vec::new() };
        for spec in specs {
            let mut applies = Vec::new();
            for owner in &spec.owners {
                let mut of_models = vec![Vec::new(); spec.models.len()];
                for limit in &spec.limits {
                    let own = HiddenLimit { amount: (limit.amount * owner.share).max(1.0).round(), ..*limit };
                    for (model, of_model) in of_models.iter_mut().enumerate() {
                        if model == 0 || !limit.shared {
                            world.meters.push(Meter::new(own));
                        }
                        of_model.push(world.meters.len() - 1);
                    }
                }
                applies.push(of_models);
            }
            let owners = spec.owner_of_each_key();
            world.places.push(Place {
                spec: spec.clone(),
                owners,
                applies,
                down: false,
                claims: None,
                boasts: 1.0,
            });
        }
        for place in 0..world.places.len() {
            world.use_up(place, now);
        }
        world
    }

    /// What was used before the simulation began.
    fn use_up(&mut self, place: usize, now: Millis) {
        let used = self.places[place].spec.used;
        let clock = self.clock(place, now);
        for meter in self.places[place].applies.concat().concat() {
            let meter = &mut self.meters[meter];
            if used > 0.0 && meter.limit.is_long() && meter.users == 0 {
                meter.take(clock, (meter.limit.amount * used).floor(), Some(0));
            }
        }
    }

    /// The providers' descriptions.
    pub fn specs(&self) -> impl Iterator<Item = &Spec> {
        self.places.iter().map(|place| &place.spec)
    }

    /// The provider of a candidate.
    #[must_use]
    pub fn spec(&self, candidate: Candidate) -> &Spec {
        &self.places[candidate.member].spec
    }

    /// The owner of a candidate's key, by its number at its provider.
    #[must_use]
    pub fn owner(&self, candidate: Candidate) -> usize {
        self.places[candidate.member].owners[candidate.key]
    }

    /// The meters of a candidate.
    #[must_use]
    pub fn meters_of(&self, candidate: Candidate) -> &[usize] {
        &self.places[candidate.member].applies[self.owner(candidate)][candidate.model]
    }

    /// Every key on every model.
    #[must_use]
    pub fn candidates(&self) -> Vec<Candidate> {
        let all = self.places.iter().enumerate().flat_map(|(member, place)| {
            let keys = 0..place.spec.keys();
            keys.flat_map(move |key| {
                (0..place.spec.models.len()).map(move |model| Candidate { member, model, key })
            })
        });
        all.collect()
    }

    /// What a provider's clock shows.
    #[must_use]
    pub fn clock(&self, member: usize, now: Millis) -> Millis {
        Millis(now.0.saturating_add_signed(self.places[member].spec.clock_off))
    }

    /// Our clock, when a provider's shows this.
    fn ours(&self, member: usize, its: Millis) -> Millis {
        Millis(its.0.saturating_add_signed(-self.places[member].spec.clock_off))
    }

    /// What a request needs of a limit before it is let in.
    #[must_use]
    pub fn need(unit: LimitUnit, request: &Request) -> f64 {
        match unit {
            LimitUnit::Requests | LimitUnit::Concurrent => 1.0,
            LimitUnit::Tokens | LimitUnit::InputTokens => request.input as f64,
            LimitUnit::OutputTokens => 1.0,
            LimitUnit::Money | LimitUnit::Percent => 0.0,
        }
    }

    /// Whether a model's window holds a request.
    #[must_use]
    pub fn fits(&self, candidate: Candidate, request: &Request) -> bool {
        let (_, window) = self.spec(candidate).models[candidate.model];
        let largest = request.max_output.unwrap_or(0).max(request.output);
        let whole = |meter: &usize| {
            let limit = &self.meters[*meter].limit;
            Self::need(limit.unit, request) <= limit.amount
        };
        request.input.max(request.estimate) + largest <= window && self.meters_of(candidate).iter().all(whole)
    }

    /// Whether a call would be let in now, and else when it would, as far as that is no matter of others' calls.
    ///
    /// # Errors
    /// The meter that refuses it, and when it would not.
    pub fn room(
        &mut self,
        now: Millis,
        candidate: Candidate,
        request: &Request,
    ) -> Result<(), (usize, Option<Millis>)> {
        let clock = self.clock(candidate.member, now);
        let mut worst: Option<(usize, Option<Millis>)> = None;
        let Self { places, meters } = self;
        let owner = places[candidate.member].owners[candidate.key];
        for &number in &places[candidate.member].applies[owner][candidate.model] {
            let meter = &mut meters[number];
            let need = Self::need(meter.limit.unit, request);
            if meter.left(clock) >= need {
                continue;
            }
            let until = meter.room_at(clock, need);
            if worst.is_none_or(|(_, known)| until > known) {
                worst = Some((number, until));
            }
        }
        match worst {
            None => Ok(()),
            Some((meter, until)) => Err((meter, until.map(|its| self.ours(candidate.member, its)))),
        }
    }

    /// Makes a call; `attempt` is its number within its request.
    pub fn call(&mut self, now: Millis, candidate: Candidate, request: &Request, attempt: u32) -> Reply {
        let place = &self.places[candidate.member];
        let mut dice = Dice::new(request.chance ^ ((candidate.member as u64 + 1) << 32) ^ u64::from(attempt));
        let fault = |kind, status, takes| Reply {
            ends: Millis(now.0 + takes),
            ending: Ending::Failed(Failure { status, ..Failure::new(kind, "made up") }),
            refused_by: None,
        };
        if place.down {
            return fault(FailureKind::Overloaded, Some(503), REFUSAL_TAKES);
        }
        if let Err((meter, until)) = self.room(now, candidate, request) {
            let failure = self.refusal(now, candidate, meter, until);
            let ends = Millis(now.0 + REFUSAL_TAKES);
            return Reply { ends, ending: Ending::Failed(failure), refused_by: Some(meter) };
        }
        let spec = &self.places[candidate.member].spec;
        if dice.share() < spec.faults {
            return match dice.draw() % 4 {
                0 => fault(FailureKind::Timeout, None, TIMEOUT_TAKES),
                1 => fault(FailureKind::Overloaded, Some(503), FAULT_TAKES),
                _ => fault(FailureKind::ServerError, Some(500), FAULT_TAKES),
            };
        }
        let takes = dice.between(spec.takes.0, spec.takes.1) as u64;
        let clock = self.clock(candidate.member, now);
        for number in self.meters_of(candidate).to_vec() {
            let meter = &mut self.meters[number];
            let amount = Self::need(meter.limit.unit, request);
            let amount = if meter.limit.unit == LimitUnit::OutputTokens { 0.0 } else { amount };
            meter.take(clock, amount, Some(candidate.key));
        }
        let said = self.said(now, candidate, self.places[candidate.member].spec.voice.good);
        let usage = Usage { input: Some(request.input), output: Some(request.output), ..Usage::default() };
        Reply { ends: Millis(now.0 + takes), ending: Ending::Served { usage, said }, refused_by: None }
    }

    /// Counts what is known when a good answer ends.
    pub fn ends(&mut self, now: Millis, candidate: Candidate, request: &Request) {
        let clock = self.clock(candidate.member, now);
        for number in self.meters_of(candidate).to_vec() {
            let meter = &mut self.meters[number];
            match meter.limit.unit {
                LimitUnit::Concurrent => meter.free(),
                LimitUnit::Tokens | LimitUnit::OutputTokens => {
                    meter.take(clock, request.output as f64, Some(candidate.key));
                }
                _ => {}
            }
        }
    }

    /// Lets something happen to a provider.
    pub fn change(&mut self, now: Millis, member: usize, change: &Change) {
        let clock = self.clock(member, now);
        let place = &mut self.places[member];
        let mut own = place.applies.concat().concat();
        own.sort_unstable();
        own.dedup();
        match *change {
            Change::Down(down) => place.down = down,
            Change::Claims(claims) => place.claims = claims,
            Change::Boasts(factor) => place.boasts = factor,
            Change::Scale(unit, span, factor) => {
                for meter in own {
                    let meter = &mut self.meters[meter];
                    if (meter.limit.unit, meter.limit.span) == (unit, span) {
                        meter.change((meter.limit.amount * factor).round());
                    }
                }
            }
            Change::Lift(unit, span) => {
                for owner in &mut place.applies {
                    for of_model in owner {
                        of_model.retain(|meter| {
                            let limit = &self.meters[*meter].limit;
                            (limit.unit, limit.span) != (unit, span)
                        });
                    }
                }
            }
            Change::Refill => {
                for meter in own {
                    self.meters[meter].refill();
                }
            }
            Change::Foreign(amount) => {
                for &meter in &self.places[member].applies[0][0] {
                    if self.meters[meter].limit.unit == LimitUnit::Requests {
                        self.meters[meter].take(clock, amount, None);
                    }
                }
            }
        }
    }

    /// What headers say.
    fn said(&mut self, now: Millis, candidate: Candidate, telling: Telling) -> Said {
        let clock = self.clock(candidate.member, now);
        let own = self.meters_of(candidate).to_vec();
        let told =
            own.into_iter().filter(|meter| telling != Telling::Nothing && self.meters[*meter].limit.told);
        let told: Vec<usize> = told.collect();
        let boasts = self.places[candidate.member].boasts;
        let readings = told.into_iter().map(|number| {
            let more = (self.meters[number].limit.amount * (boasts - 1.0)).round();
            let left = (self.meters[number].left(clock).max(0.0) + more).floor();
            let whole = self.meters[number].whole_at(clock).map(|its| self.ours(candidate.member, its));
            let reset = whole.filter(|_| telling == Telling::LeftAndReset);
            let reading = self.reading(candidate, number, Source::Header);
            let limit = reading.limit.map(|amount| amount + more);
            Reading { limit, remaining: Some(left), reset, ..reading }
        });
        let readings = readings.collect();
        Said { readings, clock: Some(clock) }
    }

    /// What can be said of a meter at any time.
    fn reading(&self, candidate: Candidate, meter: usize, source: Source) -> Reading {
        let limit = &self.meters[meter].limit;
        let spec = self.spec(candidate);
        let names = spec.voice.names;
        Reading {
            owner: names.then_some(spec.scope),
            reach: if limit.shared { Reach::AllModels } else { Reach::ThisModel },
            unit: limit.unit,
            span: names.then_some(limit.span),
            limit: Some(limit.amount),
            remaining: None,
            reset: None,
            source,
        }
    }

    fn refusal(&mut self, now: Millis, candidate: Candidate, meter: usize, until: Option<Millis>) -> Failure {
        let place = &self.places[candidate.member];
        let (voice, claims) = (place.spec.voice, place.claims);
        let limit = self.meters[meter].limit;
        let named = matches!(voice.words, Words::Limit | Words::LimitAndWait);
        let is_long = limit.is_long() && voice.words != Words::Bare && voice.words != Words::Wait;
        let kind = if is_long { FailureKind::QuotaSpent } else { FailureKind::RateLimited };
        let until = claims.map_or(until, |wait| Some(now.after(wait)));
        let states = matches!(voice.words, Words::Wait | Words::LimitAndWait);
        let until = until.filter(|_| states);
        // Providers state whole seconds, rounded up.
        let wait = until.map(|until| Duration::from_secs(now.until(until).as_millis().div_ceil(1000) as u64));
        let mut said = self.said(now, candidate, voice.refusal);
        if named {
            let span = voice.names.then_some(limit.span);
            let same = |known: &Reading| known.unit == limit.unit && known.span == span;
            if !said.readings.iter().any(same) {
                let reading = self.reading(candidate, meter, Source::Body);
                let reset = wait.map(|wait| now.after(wait));
                said.readings.push(Reading { remaining: Some(0.0), reset, ..reading });
            }
        }
        let scope = named.then_some(if limit.shared { Scope::Key } else { Scope::KeyModel });
        Failure { scope, said, ..Failure::new(kind, "made up").status(429).retry_after(wait) }
    }
}
