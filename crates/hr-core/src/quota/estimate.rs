//! How far expected tokens are from reported ones, learned by model.

use super::call::Need;
use super::gauge::Amounts;
use crate::usage::Usage;

/// The least weight of a new call: the last ten or so count.
const WEIGHT: f64 = 0.1;

/// No estimate is off by more.
const WIDEST: f64 = 20.0;

/// What reported tokens are of expected ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ratio {
    pub(super) value: f64,
    pub(super) calls: u32,
}

impl Default for Ratio {
    fn default() -> Self {
        Self { value: 1.0, calls: 0 }
    }
}

impl Ratio {
    fn learn(&mut self, expected: u64, reported: Option<u64>) {
        let (Some(reported), true) = (reported, expected > 0) else { return };
        let seen = (reported as f64 / expected as f64).clamp(1.0 / WIDEST, WIDEST);
        self.calls = self.calls.saturating_add(1);
        let weight = (1.0 / f64::from(self.calls)).max(WEIGHT);
        self.value += weight * (seen - self.value);
    }
}

/// The ratios of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Estimate {
    pub(super) input: Ratio,
    pub(super) output: Ratio,
}

impl Estimate {
    /// What a call will take, by what calls have taken.
    pub(super) fn amounts(&self, need: &Need) -> Amounts {
        Amounts {
            input: need.input as f64 * self.input.value,
            output: need.output as f64 * self.output.value,
            cost: need.cost,
        }
    }

    pub(super) fn learn(&mut self, need: &Need, usage: &Usage) {
        self.input.learn(need.input, usage.input);
        self.output.learn(need.output, usage.output);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_that_are_off_by_half_are_put_right() {
        let mut estimate = Estimate::default();
        let need = Need { input: 100, output: 50, cost: 0.0 };
        let usage = Usage { input: Some(200), output: Some(25), ..Usage::default() };
        estimate.learn(&need, &usage);
        let amounts = estimate.amounts(&need);
        assert_eq!((amounts.input, amounts.output), (200.0, 25.0));
        for _ in 0..50 {
            estimate.learn(&need, &Usage { input: Some(50), ..Usage::default() });
        }
        let amounts = estimate.amounts(&need);
        assert!((amounts.input - 50.0).abs() < 1.0, "{}", amounts.input);
        assert_eq!(amounts.output, 25.0, "what is not reported teaches nothing");
    }
}
