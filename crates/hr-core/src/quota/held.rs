//! What a refusal led to: calls wait until an instant, longer each time, and now and then one puts that to the test.

use std::time::Duration;

use super::claim::{Block, Claim, NEVER};
use super::models::ModelSet;
use crate::failure::FailureKind;
use crate::route::policy::Rule;
use crate::time::Millis;

/// After so many refusals in a row of which nothing told the end, the end that we suppose is put to the test.
const DOUBTFUL: u8 = 2;

/// Calls of one owner to some models that wait, or have waited and not served since.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) models: ModelSet,
    pub(super) until: Millis,
    pub(super) because: FailureKind,
    pub(super) strikes: u8,
    /// The provider, or what we know of its limits, says until when.
    pub(super) stated: bool,
    /// The last refusal.
    pub(super) refused_at: Millis,
    pub(super) claim: Claim,
}

impl Held {
    pub(super) fn new(models: ModelSet, now: Millis, because: FailureKind) -> Self {
        Self {
            models,
            until: Millis(0),
            because,
            strikes: 0,
            stated: true,
            refused_at: now,
            claim: Claim::new(now, false),
        }
    }

    /// Begins or lengthens the wait after the refusal of a call that was begun at `begun`; true for news. Refusals of
    /// calls that were under way together are one strike.
    pub(super) fn strike(
        &mut self,
        now: Millis,
        begun: Millis,
        kind: FailureKind,
        stated: Option<Duration>,
        borne_out: bool,
    ) -> bool {
        let rule = Rule::of(kind);
        let fresh = begun >= self.until;
        if fresh {
            self.strikes = rule.strikes(self.strikes, self.until, now);
            self.claim = Claim::new(now, borne_out);
        }
        let until = now.after(rule.wait(self.strikes, stated));
        if until >= self.until {
            self.until = until;
            self.because = kind;
        }
        self.refused_at = now;
        self.stated = stated.is_some();
        fresh
    }

    /// Whether the success of a call begun then says that nobody need wait.
    pub(super) fn ends_by(&self, begun: Millis) -> bool {
        begun >= self.until || begun > self.refused_at
    }

    pub(super) fn block(&self, now: Millis) -> Option<Block> {
        let (until, test_from) = if now < self.until {
            (self.until, self.claim.test_from)
        } else if !self.stated && self.strikes >= DOUBTFUL && !self.is_forgotten(now) {
            // Nobody said that it is over: one call finds out for all.
            (self.until.after(Rule::of(self.because).cap), self.until)
        } else {
            return None;
        };
        Some(Block { until, because: self.because, test_from, trial_from: NEVER })
    }

    /// Whether nothing of it matters any more.
    pub(super) fn is_forgotten(&self, now: Millis) -> bool {
        now >= self.until.after(Rule::of(self.because).cap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strike(held: &mut Held, now: u64, begun: u64, stated: Option<u64>) -> u64 {
        let stated = stated.map(Duration::from_secs);
        held.strike(Millis(now), Millis(begun), FailureKind::RateLimited, stated, false);
        held.until.0
    }

    fn held() -> Held {
        Held::new(ModelSet::All, Millis(0), FailureKind::RateLimited)
    }

    #[test]
    fn waits_double_up_to_the_cap() {
        let (mut held, mut now) = (held(), 1_000_000);
        for seconds in [60, 120, 240, 480, 900, 900] {
            let until = strike(&mut held, now, now, None);
            assert_eq!(until - now, seconds * 1_000);
            now = until;
        }
    }

    #[test]
    fn refusals_of_one_burst_are_one_strike() {
        let mut held = held();
        assert_eq!(strike(&mut held, 1_000_000, 999_000, None), 1_060_000);
        assert_eq!(strike(&mut held, 1_000_500, 999_000, None), 1_060_500);
        assert_eq!(strike(&mut held, 1_001_000, 999_900, None), 1_061_000);
        assert_eq!(held.strikes, 1);
    }

    #[test]
    fn a_stated_wait_is_taken_within_bounds_and_never_shortened() {
        assert_eq!(strike(&mut held(), 0, 0, Some(7)), 7_000);
        assert_eq!(strike(&mut held(), 0, 0, Some(0)), 1_000);
        assert_eq!(strike(&mut held(), 0, 0, Some(999_999)), 3_600_000);
        let mut held = held();
        strike(&mut held, 0, 0, Some(100));
        assert_eq!(strike(&mut held, 10, 0, Some(5)), 100_000);
    }

    #[test]
    fn strikes_are_forgotten_after_a_quiet_time() {
        let mut held = held();
        strike(&mut held, 1_000_000, 1_000_000, None);
        let later = 1_060_000 + 900_000;
        assert!(held.is_forgotten(Millis(later)));
        assert_eq!(strike(&mut held, later, later, None), later + 60_000);
    }

    #[test]
    fn a_call_that_was_under_way_when_it_was_refused_proves_nothing() {
        let mut held = held();
        strike(&mut held, 1_000, 900, Some(10));
        assert!(!held.ends_by(Millis(950)));
        assert!(held.ends_by(Millis(1_001)), "one that was made in spite of it does");
        assert!(held.ends_by(Millis(11_000)));
    }
}
