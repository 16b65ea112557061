//! A rest: until when, why, and how many in a row.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::policy::Rule;
use crate::failure::FailureKind;
use crate::time::Millis;

/// The rest that a key, model or provider takes; also how long a candidate stays suspect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Cooldown {
    until: Millis,
    because: Option<FailureKind>,
    strikes: u8,
}

impl Cooldown {
    /// Whether it rests now.
    pub(super) fn holds(&self, now: Millis) -> bool {
        now < self.until
    }

    /// How often it failed since it last served.
    pub(super) fn strikes(&self) -> u8 {
        self.strikes
    }

    /// Until when it rests and why, when it does now.
    pub(super) fn active(&self, now: Millis) -> Option<(Millis, FailureKind)> {
        self.because.filter(|_| self.holds(now)).map(|kind| (self.until, kind))
    }

    /// Begins or lengthens the rest after a failure of an attempt that was begun at `begun`; returns its end.
    ///
    /// Only an attempt that was begun after the last rest is news: ten calls that were under way together
    /// and fail together are one strike, not ten.
    pub(super) fn strike(
        &mut self,
        now: Millis,
        begun: Millis,
        kind: FailureKind,
        rule: &Rule,
        stated: Option<Duration>,
    ) -> Millis {
        if begun >= self.until {
            self.strikes = rule.strikes(self.strikes, self.until, now);
        }
        let until = now.after(rule.wait(self.strikes, stated));
        if until >= self.until {
            self.until = until;
            self.because = Some(kind);
        }
        self.until
    }

    /// Forgets the strikes after a success; true when there were any. A success of an attempt that was begun
    /// before the rest ended says nothing.
    pub(super) fn recover(&mut self, begun: Millis) -> bool {
        let recovered = self.strikes > 0 && begun >= self.until;
        if recovered {
            *self = Self::default();
        }
        recovered
    }

    /// The rest as it was kept, if it `stays` for its reason. It is no longer than the table has it, whatever the
    /// clock was when it was kept.
    pub(super) fn again(self, now: Millis, stays: impl Fn(FailureKind) -> bool) -> Self {
        let Some(kind) = self.because.filter(|kind| stays(*kind)) else { return Self::default() };
        let rule = Rule::of(kind);
        Self { until: self.until.min(now.after(rule.cap.max(rule.stated_cap))), ..self }
    }

    /// Ends the rest if `pick` says so of its reason.
    pub(super) fn clear_if(&mut self, pick: impl Fn(FailureKind) -> bool) {
        if self.because.is_some_and(pick) {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule = Rule::of(FailureKind::RateLimited);

    fn strike(cooldown: &mut Cooldown, now: u64, begun: u64, stated: Option<u64>) -> u64 {
        let stated = stated.map(Duration::from_secs);
        cooldown.strike(Millis(now), Millis(begun), FailureKind::RateLimited, &RULE, stated).0
    }

    #[test]
    fn waits_double_up_to_the_cap() {
        let mut cooldown = Cooldown::default();
        let mut now = 1_000_000;
        for seconds in [60, 120, 240, 480, 900, 900] {
            let until = strike(&mut cooldown, now, now, None);
            assert_eq!(until - now, seconds * 1_000);
            now = until;
        }
    }

    #[test]
    fn failures_of_one_burst_are_one_strike() {
        let mut cooldown = Cooldown::default();
        assert_eq!(strike(&mut cooldown, 1_000_000, 999_000, None), 1_060_000);
        assert_eq!(strike(&mut cooldown, 1_000_500, 999_000, None), 1_060_500);
        assert_eq!(strike(&mut cooldown, 1_001_000, 999_900, None), 1_061_000);
    }

    #[test]
    fn a_stated_wait_is_taken_within_bounds() {
        assert_eq!(strike(&mut Cooldown::default(), 0, 0, Some(7)), 7_000);
        assert_eq!(strike(&mut Cooldown::default(), 0, 0, Some(0)), 1_000);
        assert_eq!(strike(&mut Cooldown::default(), 0, 0, Some(999_999)), 3_600_000);
    }

    #[test]
    fn a_shorter_wait_does_not_shorten_a_rest() {
        let mut cooldown = Cooldown::default();
        strike(&mut cooldown, 0, 0, Some(100));
        assert_eq!(strike(&mut cooldown, 10, 0, Some(5)), 100_000);
    }

    #[test]
    fn only_an_attempt_after_the_rest_proves_recovery() {
        let mut cooldown = Cooldown::default();
        strike(&mut cooldown, 1_000, 900, Some(10));
        assert!(!cooldown.recover(Millis(950)));
        assert!(cooldown.holds(Millis(10_999)));
        assert!(cooldown.recover(Millis(11_000)));
        assert!(!cooldown.recover(Millis(12_000)));
    }

    #[test]
    fn strikes_are_forgotten_after_a_quiet_time() {
        let mut cooldown = Cooldown::default();
        strike(&mut cooldown, 1_000_000, 1_000_000, None);
        let later = 1_060_000 + 900_000;
        assert_eq!(strike(&mut cooldown, later, later, None), later + 60_000);
    }
}
