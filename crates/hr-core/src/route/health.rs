//! What is measured of a model at a provider: how long it takes to begin, how long its answers are, how often it serves.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Millis;

/// How long a measured latency is believed.
pub const LATENCY_MEMORY: Duration = Duration::from_secs(600);

/// The weight of a new measurement in a moving average.
const AVERAGE_WEIGHT: f64 = 0.2;

/// In this time half of what was seen of somebody's reliability is forgotten.
const RELIABILITY_HALF_LIFE: Duration = Duration::from_secs(300);

/// Ends from which on a share says something.
const LEAST_ENDS: f64 = 5.0;

/// The shares of bad ends that part the buckets of reliability.
const UNRELIABLE_STEPS: [f64; 2] = [0.1, 0.5];

/// Measurements from which on a distribution says something.
const LEAST_SAMPLES: u32 = 8;

/// Mean deviations above the mean in which nearly all answers have begun.
const PATIENT_DEVIATIONS: f64 = 6.0;

/// Nobody is given less time than this to begin: a prompt may be long, or a model thoughtful, for once.
pub const LEAST_PATIENCE: Duration = Duration::from_secs(8);

/// Who did not begin in the time it was given takes at least this many times as long, as far as is known: what is
/// asked of it grows until it answers again.
const LATE: u32 = 2;

/// A moving average, how far measurements stray from it, and when it was last fed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Average {
    mean: f64,
    deviation: f64,
    samples: u32,
    at: Millis,
}

impl Average {
    /// Takes a measured time into account, in milliseconds.
    pub(super) fn feed(average: &mut Option<Self>, now: Millis, sample: Duration) {
        Self::count(average, now, sample.as_secs_f64() * 1_000.0);
    }

    /// Takes a measured number into account.
    pub(super) fn count(average: &mut Option<Self>, now: Millis, sample: f64) {
        let fresh = Self { mean: sample, deviation: sample / 2.0, samples: 0, at: now };
        let old = average.unwrap_or(fresh);
        let stray = (sample - old.mean).abs();
        *average = Some(Self {
            mean: old.mean + AVERAGE_WEIGHT * (sample - old.mean),
            deviation: old.deviation + AVERAGE_WEIGHT * (stray - old.deviation),
            samples: old.samples.saturating_add(1),
            at: now,
        });
    }

    /// The average, while it is believed.
    pub(super) fn fresh(average: Option<Self>, now: Millis) -> Option<f64> {
        average.filter(|average| now < average.at.after(LATENCY_MEMORY)).map(|average| average.mean)
    }

    /// What most measurements stay below, however old they are.
    pub(super) fn usual(average: Option<Self>) -> Option<f64> {
        average.map(|average| average.mean + average.deviation)
    }

    /// Somebody was given so much time and did not begin.
    pub(super) fn late(average: &mut Option<Self>, now: Millis, waited: Duration) {
        Self::feed(average, now, waited.saturating_mul(LATE));
    }

    /// How long to wait for somebody to begin who takes this long on average.
    pub(super) fn patience(average: Option<Self>, now: Millis) -> Option<Duration> {
        let known = average.filter(|average| average.samples >= LEAST_SAMPLES)?;
        let mean = Self::fresh(average, now)?;
        let millis = mean + PATIENT_DEVIATIONS * known.deviation;
        Some(Duration::try_from_secs_f64(millis / 1_000.0).ok()?.max(LEAST_PATIENCE))
    }
}

/// How often somebody served lately, of all its calls that ended by its own doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Reliability {
    good: f64,
    all: f64,
    at: Millis,
}

impl Reliability {
    /// Takes an end into account.
    pub(super) fn note(&mut self, now: Millis, good: bool) {
        let left = self.left(now);
        *self =
            Self { good: self.good * left + f64::from(u8::from(good)), all: self.all * left + 1.0, at: now };
    }

    /// The bucket of the share of bad ends; 0 while too little is known.
    pub(super) fn bucket(self, now: Millis) -> u8 {
        if self.all < LEAST_ENDS || self.all * self.left(now) < LEAST_ENDS {
            return 0;
        }
        super::merits::bucket(1.0 - self.good / self.all, &UNRELIABLE_STEPS)
    }

    /// The part of what was seen that still counts.
    fn left(self, now: Millis) -> f64 {
        (-self.at.until(now).as_secs_f64() / RELIABILITY_HALF_LIFE.as_secs_f64()).exp2()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(times: &[u64]) -> Option<Average> {
        let mut average = None;
        for millis in times {
            Average::feed(&mut average, Millis(1_000), Duration::from_millis(*millis));
        }
        average
    }

    fn patience(average: Option<Average>) -> Option<u64> {
        Average::patience(average, Millis(1_000)).map(|wait| wait.as_secs())
    }

    #[test]
    fn patience_follows_what_was_measured() {
        assert_eq!(patience(fed(&[400; 7])), None, "too little is known");
        assert_eq!(patience(fed(&[400; 8])), Some(LEAST_PATIENCE.as_secs()));
        let slow = patience(fed(&[10_000; 40])).expect("enough is known");
        assert!((10..=12).contains(&slow), "{slow} s");
        let mixed =
            patience(fed(&[2_000, 10_000, 3_000, 9_000, 2_000, 10_000, 3_000, 9_000])).expect("enough");
        assert!(mixed > 20, "{mixed} s for one that strays");
        assert_eq!(Average::patience(fed(&[400; 8]), Millis(601_000)), None, "old news");
    }

    #[test]
    fn patience_grows_again_with_one_who_has_become_slower() {
        let mut average = fed(&[500; 40]);
        let mut tries = 0;
        while patience(average).is_some_and(|wait| wait < 60) {
            let waited = Average::patience(average, Millis(1_000)).expect("enough is known");
            Average::late(&mut average, Millis(1_000), waited);
            tries += 1;
            assert!(tries <= 5, "still {:?}", patience(average));
        }
    }

    #[test]
    fn reliability_is_a_share_that_ages() {
        let mut reliability = Reliability::default();
        for end in 0..20 {
            reliability.note(Millis(0), end % 4 != 0);
        }
        assert_eq!(reliability.bucket(Millis(0)), 1);
        for _ in 0..20 {
            reliability.note(Millis(0), false);
        }
        assert_eq!(reliability.bucket(Millis(0)), 2);
        assert_eq!(reliability.bucket(Millis(3_600_000)), 0, "forgotten");
        for _ in 0..9 {
            reliability.note(Millis(1_800_000), true);
        }
        assert_eq!(reliability.bucket(Millis(1_800_000)), 0, "forgiven");
    }
}
