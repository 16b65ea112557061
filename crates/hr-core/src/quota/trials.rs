//! How often a call may try whether a limit has grown: a refusal that was to be expected is a rare price.

/// Trials that are left at first, and the most that are saved up.
const FIRST: f64 = 3.0;
const MOST: f64 = 8.0;

/// One trial for so many calls of the provider.
const CALLS_A_TRIAL: f64 = 256.0;

/// What is left of the budget. A trial that serves costs nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trials {
    left: f64,
}

impl Default for Trials {
    fn default() -> Self {
        Self { left: FIRST }
    }
}

impl Trials {
    pub(super) fn are_left(&self) -> bool {
        self.left >= 1.0
    }

    /// A call is made.
    pub(super) fn call(&mut self) {
        self.left = (self.left + 1.0 / CALLS_A_TRIAL).min(MOST);
    }

    pub(super) fn begin(&mut self) {
        self.left = (self.left - 1.0).max(0.0);
    }

    /// A trial was not refused.
    pub(super) fn give_back(&mut self) {
        self.left = (self.left + 1.0).min(MOST);
    }
}
