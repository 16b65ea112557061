//! How many calls may be made once more to those who are known to be failing, for all requests together.
//!
//! A request's first call is always made: it is how recovery is seen. What comes after it is paid for out of one
//! budget, so that an outage is not answered with a storm: each request that comes pays in a part of a call, and each
//! call to a failing candidate that was served after all pays in several, since such calls are not in vain.

use std::time::Duration;

use crate::time::Millis;

/// What a request that comes pays in: with the first call of each, an outage costs less than 1.2 calls a request.
const SHARE: f64 = 0.15;

/// What a call pays in that was served by a failing candidate: while one call in four is, the budget lasts.
const PROOF: f64 = 4.0;

/// Calls that are there whatever the traffic, so that a single request may try again.
pub const FLOOR: f64 = 40.0;

/// The most calls that proofs add up to.
const MOST: f64 = 400.0;

/// Calls a second by which the floor fills up by itself.
const REFILL: f64 = 0.2;

/// In this time half of what is above the floor is gone: it speaks of the traffic of these moments.
const HALF_LIFE: Duration = Duration::from_secs(10);

/// Calls that may be made to failing candidates.
#[derive(Debug)]
pub(super) struct RetryBudget {
    calls: f64,
    at: Millis,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { calls: FLOOR, at: Millis::default() }
    }
}

impl RetryBudget {
    fn level(&self, now: Millis) -> f64 {
        let seconds = self.at.until(now).as_secs_f64();
        if self.calls > FLOOR {
            FLOOR + (self.calls - FLOOR) * (-seconds / HALF_LIFE.as_secs_f64()).exp2()
        } else {
            (self.calls + seconds * REFILL).min(FLOOR)
        }
    }

    /// Whether there is a call left.
    pub(super) fn allows(&self, now: Millis) -> bool {
        self.level(now) >= 1.0
    }

    /// A request came.
    pub(super) fn arrives(&mut self, now: Millis) {
        let level = self.level(now);
        self.put(now, level.max((level + SHARE).min(FLOOR)));
    }

    /// A call to a failing candidate is made.
    pub(super) fn withdraw(&mut self, now: Millis) {
        self.put(now, (self.level(now) - 1.0).max(0.0));
    }

    /// A call to a failing candidate was served.
    pub(super) fn proves(&mut self, now: Millis) {
        self.put(now, (self.level(now) + PROOF).min(MOST));
    }

    fn put(&mut self, now: Millis, calls: f64) {
        *self = Self { calls, at: now };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_requests_pay_in_is_what_they_may_spend() {
        let mut budget = RetryBudget::default();
        let mut made = 0.0;
        for second in 0..600_u64 {
            for _ in 0..200 {
                budget.arrives(Millis(second * 1_000));
                while budget.allows(Millis(second * 1_000)) {
                    budget.withdraw(Millis(second * 1_000));
                    made += 1.0;
                }
            }
        }
        assert!(made <= FLOOR + 120_000.0 * SHARE + 600.0 * REFILL + 1.0, "{made}");
        assert!(made >= 120_000.0 * SHARE, "{made}");
    }

    #[test]
    fn calls_that_are_not_in_vain_pay_for_themselves() {
        let mut budget = RetryBudget::default();
        for call in 0..10_000_u64 {
            assert!(budget.allows(Millis(call)), "call {call}");
            budget.withdraw(Millis(call));
            if call % 3 == 0 {
                budget.proves(Millis(call));
            }
        }
        assert!(budget.level(Millis(10_000)) <= MOST);
        assert!(budget.level(Millis(300_000)) < FLOOR + 1.0, "and are forgotten");
    }
}
