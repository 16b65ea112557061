//! A ledger, and a provider with hidden limits.

use std::time::Duration;

use hr_core::catalog::{Limit, LimitSpan, LimitUnit, OwnerScope};
use hr_core::failure::{Failure, FailureKind};
use hr_core::quota::{
    End, Headroom, Ledger, Lesson, Need, Reach, Reading, Reservation, Said, Seat, Source, Trial,
};
use hr_core::secret::KeyId;
use hr_core::time::Millis;
use hr_core::usage::Usage;

pub const SECOND: u64 = 1_000;
pub const MINUTE: u64 = 60 * SECOND;
pub const HOUR: u64 = 60 * MINUTE;
pub const DAY: u64 = 24 * HOUR;

/// Some time on a day in November, on no border of any span.
pub const START: Millis = Millis(1_795_403_045_678);

/// A reading that says nothing yet.
pub fn reading(unit: LimitUnit, span: LimitSpan) -> Reading {
    Reading {
        owner: None,
        reach: Reach::ThisModel,
        unit,
        span: Some(span),
        limit: None,
        remaining: None,
        reset: None,
        source: Source::Header,
    }
}

/// Requests of a minute: the limit and what is left of it.
pub fn per_minute(limit: f64, remaining: f64, reset: Option<Millis>) -> Reading {
    Reading {
        limit: Some(limit),
        remaining: Some(remaining),
        reset,
        ..reading(LimitUnit::Requests, LimitSpan::Minute)
    }
}

pub fn said(readings: Vec<Reading>) -> Said {
    Said { readings, clock: None }
}

pub fn published(unit: LimitUnit, per: LimitSpan, amount: f64, reset: &str) -> Limit {
    Limit {
        owner: OwnerScope::Key,
        models: Vec::new(),
        unit,
        per,
        amount,
        reset: Some(reset.to_owned()),
        source: None,
        date: None,
    }
}

/// A refusal with a stated wait in milliseconds.
pub fn refusal(kind: FailureKind, wait: Option<u64>) -> Failure {
    Failure::new(kind, "made up").retry_after(wait.map(Duration::from_millis))
}

/// A ledger and the time.
pub struct World {
    pub ledger: Ledger,
    pub now: Millis,
    pub lessons: Vec<Lesson>,
}

impl World {
    /// A ledger with so many keys of nobody in particular, and the models `m` and `n`.
    pub fn new(keys: usize) -> Self {
        let mut ledger = Ledger::default();
        for key in 0..keys {
            ledger.key(key, &KeyId(format!("k{key}")), None);
        }
        ledger.model(0, "m");
        ledger.model(1, "n");
        Self { ledger, now: START, lessons: Vec::new() }
    }

    pub fn wait(&mut self, millis: u64) {
        self.now = self.now.after(Duration::from_millis(millis));
    }

    pub fn seat(key: usize) -> Seat {
        Seat { key, model: 0 }
    }

    pub fn look(&self, key: usize) -> Headroom {
        self.ledger.headroom(self.now, Self::seat(key), Need::default())
    }

    pub fn is_open(&self, key: usize) -> bool {
        matches!(self.look(key), Headroom::Open(_))
    }

    /// Whether a call may be made with this key, a test included.
    pub fn may_call(&self, key: usize) -> bool {
        !matches!(self.look(key), Headroom::Spent(_))
    }

    /// How long until this key is free, as far as is known; zero when it is.
    pub fn wait_of(&self, key: usize) -> Duration {
        match self.look(key) {
            Headroom::Open(_) => Duration::ZERO,
            Headroom::Spent(hold) | Headroom::Test(hold, _) => self.now.until(hold.until),
        }
    }

    pub fn reserve(&mut self, key: usize) -> Reservation {
        self.ledger.reserve(self.now, Self::seat(key), Need::default())
    }

    pub fn served(&mut self, reservation: Reservation, said: &Said) {
        let usage = Usage::default();
        let end = End::Served { usage: &usage, said };
        self.lessons.extend(self.ledger.settle(self.now, reservation, end));
    }

    pub fn failed(&mut self, reservation: Reservation, failure: &Failure) {
        self.lessons.extend(self.ledger.settle(self.now, reservation, End::Failed(failure)));
    }

    /// A call that is served with these words.
    pub fn serve(&mut self, key: usize, said: &Said) {
        let reservation = self.reserve(key);
        self.served(reservation, said);
    }

    /// A call that is refused.
    pub fn refuse(&mut self, key: usize, failure: &Failure) {
        let reservation = self.reserve(key);
        self.failed(reservation, failure);
    }

    /// What the lessons told people.
    pub fn told(&self) -> Vec<&str> {
        let told = self.lessons.iter().filter_map(|lesson| match lesson {
            Lesson::Told(what) => Some(what.as_str()),
            _ => None,
        });
        told.collect()
    }

    /// The trial that a call would be.
    pub fn trial(&self, key: usize) -> Option<Trial> {
        match self.look(key) {
            Headroom::Test(_, trial) => Some(trial),
            _ => None,
        }
    }
}

/// A provider that counts calls in windows that end at fixed instants, as many do.
pub struct Provider {
    pub limit: u64,
    pub window: u64,
    /// Whether replies carry headers.
    pub headers: bool,
    /// Whether refusals say when to come back.
    pub hints: bool,
    began: u64,
    pub used: u64,
    pub served: u64,
    pub refused: u64,
}

impl Provider {
    pub fn new(limit: u64, window: u64) -> Self {
        Self { limit, window, headers: true, hints: true, began: 0, used: 0, served: 0, refused: 0 }
    }

    fn roll(&mut self, now: Millis) {
        let began = now.0 / self.window * self.window;
        if began != self.began {
            (self.began, self.used) = (began, 0);
        }
    }

    fn ends(&self) -> Millis {
        Millis(self.began + self.window)
    }

    fn said(&self) -> Said {
        let left = self.limit.saturating_sub(self.used) as f64;
        if self.headers {
            said(vec![per_minute(self.limit as f64, left, Some(self.ends()))])
        } else {
            Said::default()
        }
    }

    /// A call of this world's key; true when it was served.
    pub fn call(&mut self, world: &mut World, key: usize) -> bool {
        let reservation = world.reserve(key);
        self.roll(world.now);
        if self.used < self.limit {
            self.used += 1;
            self.served += 1;
            let said = self.said();
            world.served(reservation, &said);
            return true;
        }
        self.refused += 1;
        let hint = self.hints.then(|| world.now.until(self.ends()).as_millis() as u64);
        let mut failure = refusal(FailureKind::RateLimited, hint);
        failure.said = self.said();
        world.failed(reservation, &failure);
        false
    }
}
