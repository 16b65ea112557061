//! The circuit breaker of a provider: closed, open, half-open, moved by results and by the time passed in.

use std::collections::VecDeque;

use serde::Serialize;

use crate::pool::BreakerRules;
use crate::time::Millis;

/// The most results that are looked back upon, whatever is set.
pub const WINDOW_MAX: usize = 1_000;

/// What a breaker lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerPhase {
    /// Everything.
    Closed,
    /// Nothing, but what has no other way left.
    Open,
    /// One probe.
    HalfOpen,
}

/// How an attempt came past the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It was closed.
    Free,
    /// As the one probe of a half-open breaker.
    Probe,
    /// In spite of it, since nobody else was left.
    LastResort,
}

/// What a result says of the provider's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sample {
    /// It served.
    Good,
    /// It failed.
    Bad,
    /// It refused in good order: no sample of a rate, but a sign of life.
    Refusal,
}

/// A change of the breaker, to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Opened(Millis),
    Closed,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Closed,
    Open {
        until: Millis,
    },
    HalfOpen {
        probe: Option<u64>,
    },
}

/// The breaker of one provider.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    state: State,
    /// When it last opened or closed: results of attempts begun earlier are stale.
    since: Millis,
    /// When it opened first since it was last closed.
    away_since: Option<Millis>,
    /// The last results, oldest first; true is a failure.
    window: VecDeque<bool>,
    failures: usize,
}

impl Breaker {
    /// What it lets through now.
    pub(super) fn phase(&self, now: Millis) -> BreakerPhase {
        match self.state {
            State::Closed => BreakerPhase::Closed,
            State::Open { until } if now < until => BreakerPhase::Open,
            State::Open { .. } | State::HalfOpen { .. } => BreakerPhase::HalfOpen,
        }
    }

    /// Until when it stays open, when it is.
    pub(super) fn open_until(&self, now: Millis) -> Option<Millis> {
        match self.state {
            State::Open { until } if now < until => Some(until),
            _ => None,
        }
    }

    /// How many of the results in the window are failures.
    pub(super) fn recent_failures(&self) -> usize {
        self.failures
    }

    /// Whether it turns attempts away now: it is open, or its one probe is under way.
    pub(super) fn blocks(&self, now: Millis) -> bool {
        match self.state {
            State::Closed => false,
            State::Open { until } => now < until,
            State::HalfOpen { probe } => probe.is_some(),
        }
    }

    /// Lets the attempt `id` through or not; as the probe when the time for one has come.
    pub(super) fn admit(&mut self, now: Millis, id: u64, last_resort: bool) -> Option<Admission> {
        if matches!(self.state, State::Closed) {
            return Some(Admission::Free);
        }
        if self.blocks(now) {
            return last_resort.then_some(Admission::LastResort);
        }
        self.state = State::HalfOpen { probe: Some(id) };
        Some(Admission::Probe)
    }

    /// Whether the attempt `id` is the probe under way.
    pub(super) fn probes(&self, id: u64) -> bool {
        matches!(self.state, State::HalfOpen { probe } if probe == Some(id))
    }

    /// Frees the place of the probe `id`, which ended without a verdict.
    pub(super) fn release(&mut self, id: u64) {
        if self.probes(id) {
            self.state = State::HalfOpen { probe: None };
        }
    }

    /// Takes the result of the attempt `id` into account.
    pub(super) fn record(
        &mut self,
        now: Millis,
        rules: &BreakerRules,
        attempt: (u64, Millis, Admission),
        sample: Sample,
    ) -> Option<Change> {
        let (id, begun, admission) = attempt;
        if begun < self.since {
            self.release(id);
            return None;
        }
        match self.state {
            State::Closed => self.count(now, rules, sample),
            State::HalfOpen { .. } if self.probes(id) => match sample {
                Sample::Bad => Some(self.open(now, rules)),
                Sample::Good | Sample::Refusal => Some(self.close(now)),
            },
            State::Open { .. } | State::HalfOpen { .. } => {
                let proof = admission == Admission::LastResort && sample != Sample::Bad;
                proof.then(|| self.close(now))
            }
        }
    }

    fn count(&mut self, now: Millis, rules: &BreakerRules, sample: Sample) -> Option<Change> {
        let failed = match sample {
            Sample::Good => false,
            Sample::Bad => true,
            Sample::Refusal => return None,
        };
        self.window.push_back(failed);
        self.failures += usize::from(failed);
        let size = rules.window.clamp(1, WINDOW_MAX);
        while self.window.len() > size {
            self.failures -= usize::from(self.window.pop_front() == Some(true));
        }
        let enough = self.window.len() >= rules.min_samples.clamp(1, size);
        #[expect(clippy::cast_precision_loss, reason = "both are at most WINDOW_MAX")]
        let rate = self.failures as f64 / self.window.len() as f64;
        (failed && enough && rate >= rules.error_rate).then(|| self.open(now, rules))
    }

    /// Opens, for a third of the time that the provider has been away: it is back in use soon after it is back, and the
    /// longer it stays away the fewer are sent to find out.
    fn open(&mut self, now: Millis, rules: &BreakerRules) -> Change {
        let away = self.away_since.get_or_insert(now).until(now);
        let until = now.after((away / 3).clamp(rules.cooldown / 4, rules.cooldown));
        self.change(now, State::Open { until });
        Change::Opened(until)
    }

    fn close(&mut self, now: Millis) -> Change {
        self.away_since = None;
        self.change(now, State::Closed);
        Change::Closed
    }

    fn change(&mut self, now: Millis, state: State) {
        self.state = state;
        self.since = now;
        self.window.clear();
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn rules() -> BreakerRules {
        BreakerRules { window: 8, min_samples: 4, error_rate: 0.5, cooldown: Duration::from_secs(60) }
    }

    /// One attempt that begins and ends at `now`.
    fn attempt(breaker: &mut Breaker, now: u64, id: u64, sample: Sample) -> Option<Change> {
        let admission = breaker.admit(Millis(now), id, false)?;
        breaker.record(Millis(now), &rules(), (id, Millis(now), admission), sample)
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        for id in 0..3 {
            assert_eq!(attempt(&mut breaker, 0, id, Sample::Bad), None);
        }
        assert_eq!(attempt(&mut breaker, 0, 3, Sample::Bad), Some(Change::Opened(Millis(15_000))));
        breaker
    }

    #[test]
    fn a_success_does_not_wipe_the_window() {
        let mut breaker = Breaker::default();
        let samples = [Sample::Bad, Sample::Good, Sample::Bad, Sample::Good];
        for (id, sample) in (0..).zip(samples) {
            assert_eq!(attempt(&mut breaker, 0, id, sample), None);
        }
        assert_eq!(attempt(&mut breaker, 0, 9, Sample::Bad), Some(Change::Opened(Millis(15_000))));
    }

    #[test]
    fn failures_slide_out_of_the_window() {
        let mut breaker = Breaker::default();
        let pattern = [Sample::Bad, Sample::Good, Sample::Good, Sample::Good];
        for id in 0..400 {
            assert_eq!(attempt(&mut breaker, 0, id, pattern[id as usize % 4]), None);
        }
        assert!(breaker.recent_failures() <= 2);
    }

    #[test]
    fn refusals_are_no_samples() {
        let mut breaker = Breaker::default();
        for id in 0..100 {
            assert_eq!(attempt(&mut breaker, 0, id, Sample::Refusal), None);
        }
        assert_eq!(breaker.phase(Millis(0)), BreakerPhase::Closed);
    }

    #[test]
    fn one_probe_and_its_success_closes() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(Millis(14_999), 10, false), None);
        assert_eq!(breaker.admit(Millis(60_000), 11, false), Some(Admission::Probe));
        assert_eq!(breaker.admit(Millis(60_000), 12, false), None);
        let result = (11, Millis(60_000), Admission::Probe);
        assert_eq!(breaker.record(Millis(61_000), &rules(), result, Sample::Good), Some(Change::Closed));
        assert_eq!(breaker.admit(Millis(61_000), 13, false), Some(Admission::Free));
    }

    #[test]
    fn a_failed_probe_opens_again_and_an_abandoned_one_makes_room() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(Millis(60_000), 11, false), Some(Admission::Probe));
        breaker.release(11);
        assert_eq!(breaker.phase(Millis(60_000)), BreakerPhase::HalfOpen);
        assert_eq!(breaker.admit(Millis(60_000), 12, false), Some(Admission::Probe));
        let result = (12, Millis(60_000), Admission::Probe);
        let change = breaker.record(Millis(61_000), &rules(), result, Sample::Bad);
        assert_eq!(change, Some(Change::Opened(Millis(81_333))));
    }

    #[test]
    fn who_is_back_is_seen_within_a_third_of_the_time_it_was_away() {
        for away in [10_000, 40_000, 60_000, 150_000, 3_600_000_u64] {
            let (mut breaker, mut now, mut id) = (opened(), 0, 10);
            let seen = loop {
                now += 500;
                id += 1;
                let sample = if now < away { Sample::Bad } else { Sample::Good };
                if attempt(&mut breaker, now, id, sample) == Some(Change::Closed) {
                    break now;
                }
            };
            let most = (away / 3).clamp(15_000, 60_000);
            assert!(seen - away <= most + 500, "away {away}: seen after {}", seen - away);
        }
    }

    #[test]
    fn stale_results_change_nothing() {
        let mut breaker = opened();
        let stale = (5, Millis(0), Admission::Free);
        assert_eq!(breaker.admit(Millis(60_000), 11, false), Some(Admission::Probe));
        assert_eq!(breaker.record(Millis(60_001), &rules(), stale, Sample::Good), None);
        assert_eq!(breaker.phase(Millis(60_001)), BreakerPhase::HalfOpen);
        let probe = (11, Millis(60_000), Admission::Probe);
        breaker.record(Millis(60_002), &rules(), probe, Sample::Good);
        let late = (6, Millis(60_001), Admission::Free);
        for _ in 0..10 {
            assert_eq!(breaker.record(Millis(60_003), &rules(), late, Sample::Bad), None);
        }
    }

    #[test]
    fn a_last_resort_that_serves_closes_and_one_that_fails_changes_nothing() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(Millis(10), 20, true), Some(Admission::LastResort));
        let result = (20, Millis(10), Admission::LastResort);
        assert_eq!(breaker.record(Millis(20), &rules(), result, Sample::Bad), None);
        assert_eq!(breaker.open_until(Millis(20)), Some(Millis(15_000)));
        assert_eq!(breaker.record(Millis(20), &rules(), result, Sample::Good), Some(Change::Closed));
    }
}
