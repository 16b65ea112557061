//! A limit that a simulated provider enforces, and the meter that counts what was used of it.

use std::collections::VecDeque;

use hr_core::catalog::{LimitSpan, LimitUnit};
use hr_core::time::Millis;

use super::calendar::{DAY, HOUR, MINUTE, next_month, next_pacific_midnight};

/// What reckoning with fractions may be off by.
const ROUNDING: f64 = 1e-6;

/// When what was used comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// All at once, at each whole span of the provider's clock.
    Aligned,
    /// All at once, at midnight of the US Pacific coast.
    Pacific,
    /// All at once, when the month ends.
    Month,
    /// Each use by itself, a span after it.
    Rolling,
    /// Evenly: a whole limit within a span.
    Bucket,
}

/// A limit of one owner on one model, or on all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HiddenLimit {
    /// What it counts.
    pub unit: LimitUnit,
    /// Over which span.
    pub span: LimitSpan,
    /// How much there is in a span.
    pub amount: f64,
    /// When it comes back.
    pub reset: Reset,
    /// Whether all models of the owner share it.
    pub shared: bool,
    /// Whether headers tell of it.
    pub told: bool,
}

impl HiddenLimit {
    /// A limit of each model by itself that headers tell of, where the provider has any.
    #[must_use]
    pub fn new(unit: LimitUnit, amount: f64, span: LimitSpan, reset: Reset) -> Self {
        Self { unit, span, amount, reset, shared: false, told: true }
    }

    /// Calls in a span.
    #[must_use]
    pub fn requests(amount: u32, span: LimitSpan, reset: Reset) -> Self {
        Self::new(LimitUnit::Requests, f64::from(amount), span, reset)
    }

    /// Tokens in a span.
    #[must_use]
    pub fn tokens(amount: u32, span: LimitSpan, reset: Reset) -> Self {
        Self::new(LimitUnit::Tokens, f64::from(amount), span, reset)
    }

    /// Calls at the same time, whatever the model.
    #[must_use]
    pub fn at_once(amount: u32) -> Self {
        Self::new(LimitUnit::Concurrent, f64::from(amount), LimitSpan::Now, Reset::Aligned).shared().untold()
    }

    /// Shared by all models.
    #[must_use]
    pub fn shared(mut self) -> Self {
        self.shared = true;
        self
    }

    /// Not told by any header.
    #[must_use]
    pub fn untold(mut self) -> Self {
        self.told = false;
        self
    }

    /// Whether it is a long one, of which refusals say that a quota is spent.
    #[must_use]
    pub fn is_long(&self) -> bool {
        matches!(self.span, LimitSpan::Day | LimitSpan::Week | LimitSpan::Month)
    }

    /// The span in milliseconds.
    #[must_use]
    pub fn millis(&self) -> u64 {
        match self.span {
            LimitSpan::Now => 0,
            LimitSpan::Second => 1000,
            LimitSpan::Minute => MINUTE,
            LimitSpan::Hour => HOUR,
            LimitSpan::FiveHours => 5 * HOUR,
            LimitSpan::Day => DAY,
            LimitSpan::Week => 7 * DAY,
            LimitSpan::Month => 30 * DAY,
        }
    }
}

/// What was used of a limit. Times are those of the provider's clock.
#[derive(Clone, Debug)]
pub struct Meter {
    /// The limit in force.
    pub limit: HiddenLimit,
    used: f64,
    /// The end of the window, or for a bucket when it was last filled up to.
    edge: Millis,
    log: VecDeque<(Millis, f64)>,
    /// Which keys have used of what is not back yet, a bit each.
    pub users: u64,
    /// Whether somebody else has.
    pub foreign: bool,
    /// How often the limit was changed.
    pub version: u32,
}

impl Meter {
    /// A meter of which nothing is used.
    #[must_use]
    pub fn new(limit: HiddenLimit) -> Self {
        Self { limit, used: 0.0, edge: Millis(0), log: VecDeque::new(), users: 0, foreign: false, version: 0 }
    }

    /// Changes how much there is.
    pub fn change(&mut self, amount: f64) {
        self.limit.amount = amount;
        self.version += 1;
    }

    /// Forgets what was used.
    pub fn refill(&mut self) {
        *self = Self { version: self.version, ..Self::new(self.limit) };
    }

    /// Gives back what has come back by now.
    fn refresh(&mut self, now: Millis) {
        let span = self.limit.millis();
        match self.limit.reset {
            _ if self.limit.unit == LimitUnit::Concurrent => {}
            Reset::Aligned | Reset::Pacific | Reset::Month if now >= self.edge => {
                self.used = 0.0;
                self.edge = match self.limit.reset {
                    Reset::Pacific => next_pacific_midnight(now),
                    Reset::Month => next_month(now),
                    _ => Millis((now.0 / span + 1) * span),
                };
            }
            Reset::Aligned | Reset::Pacific | Reset::Month => {}
            Reset::Rolling => {
                while let Some((at, amount)) =
                    self.log.front().copied().filter(|(at, _)| at.0 + span <= now.0)
                {
                    let _ = at;
                    self.used -= amount;
                    self.log.pop_front();
                }
            }
            Reset::Bucket => {
                let passed = now.0.saturating_sub(self.edge.0) as f64;
                self.used = (self.used - passed * self.limit.amount / span as f64).max(0.0);
                self.edge = now;
            }
        }
        if self.used <= 0.0 {
            self.users = 0;
            self.foreign = false;
        }
    }

    /// How much is left; less than nothing when answers took more than there was.
    pub fn left(&mut self, now: Millis) -> f64 {
        self.refresh(now);
        self.limit.amount - self.used + ROUNDING
    }

    /// When all is there again, unless only the end of calls brings it back.
    pub fn whole_at(&mut self, now: Millis) -> Option<Millis> {
        self.refresh(now);
        if self.limit.unit == LimitUnit::Concurrent {
            return None;
        }
        Some(match self.limit.reset {
            Reset::Aligned | Reset::Pacific | Reset::Month => self.edge,
            Reset::Rolling => self.log.back().map_or(now, |(at, _)| Millis(at.0 + self.limit.millis())),
            Reset::Bucket => self.refilled(now, self.used),
        })
    }

    /// When so much is there, unless only the end of calls brings it; never, when it is more than the limit.
    pub fn room_at(&mut self, now: Millis, need: f64) -> Option<Millis> {
        let missing = need - self.left(now);
        if missing <= 0.0 {
            return Some(now);
        }
        if self.limit.unit == LimitUnit::Concurrent {
            return None;
        }
        Some(match self.limit.reset {
            Reset::Aligned | Reset::Pacific | Reset::Month => self.edge,
            Reset::Rolling => {
                let mut back = 0.0;
                let enough = self.log.iter().find(|(_, amount)| {
                    back += amount;
                    back >= missing
                });
                enough.or(self.log.back()).map_or(now, |(at, _)| Millis(at.0 + self.limit.millis()))
            }
            Reset::Bucket => self.refilled(now, missing),
        })
    }

    fn refilled(&self, now: Millis, amount: f64) -> Millis {
        let wait = amount * self.limit.millis() as f64 / self.limit.amount.max(f64::MIN_POSITIVE);
        Millis(now.0.saturating_add((wait - ROUNDING).ceil() as u64))
    }

    /// Counts a use by a key, or by somebody else.
    pub fn take(&mut self, now: Millis, amount: f64, key: Option<usize>) {
        self.refresh(now);
        self.used += amount;
        if self.limit.reset == Reset::Rolling && self.limit.unit != LimitUnit::Concurrent {
            self.log.push_back((now, amount));
        }
        match key {
            Some(key) => self.users |= 1 << (key % 64),
            None => self.foreign = true,
        }
    }

    /// Gives a place back.
    pub fn free(&mut self) {
        if self.limit.unit == LimitUnit::Concurrent {
            self.used = (self.used - 1.0).max(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Millis {
        Millis(1_795_000_020_000 + seconds * 1000)
    }

    fn used(reset: Reset) -> Meter {
        let mut meter = Meter::new(HiddenLimit::requests(6, LimitSpan::Minute, reset));
        for second in 0..6 {
            assert!(meter.left(at(second)) >= 1.0, "{reset:?} {second}");
            meter.take(at(second), 1.0, Some(0));
        }
        meter
    }

    #[test]
    fn each_reset_brings_back_what_it_promises() {
        let mut aligned = used(Reset::Aligned);
        let edge = aligned.whole_at(at(6)).unwrap();
        assert_eq!((edge.0 % MINUTE, aligned.left(at(6)).floor()), (0, 0.0));
        assert_eq!((aligned.left(edge).floor(), aligned.users), (6.0, 0));

        let mut rolling = used(Reset::Rolling);
        assert_eq!(rolling.room_at(at(6), 1.0), Some(at(60)));
        assert_eq!(rolling.room_at(at(6), 3.0), Some(at(62)));
        assert_eq!(rolling.left(at(62)).floor(), 3.0);

        let mut bucket = used(Reset::Bucket);
        assert!((bucket.left(at(6)) - 0.6).abs() < 1e-4);
        assert_eq!(bucket.room_at(at(6), 1.0), Some(at(10)));
        assert_eq!(bucket.whole_at(at(6)), Some(at(60)));
    }

    #[test]
    fn places_come_back_when_calls_end() {
        let mut places = Meter::new(HiddenLimit::at_once(1));
        places.take(at(0), 1.0, Some(0));
        assert_eq!((places.left(at(900)).floor(), places.room_at(at(900), 1.0)), (0.0, None));
        places.free();
        assert_eq!(places.left(at(900)).floor(), 1.0);
    }
}
