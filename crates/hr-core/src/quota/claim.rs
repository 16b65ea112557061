//! That something is used up until an instant is a claim: it is put to the test now and then, ever more seldom.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::failure::FailureKind;
use crate::time::Millis;

/// The first test of a claim, and the least time between two tests of one owner.
pub(super) const FIRST_TEST: Duration = Duration::from_secs(5 * 60);

/// The first test of a claim that our own count bears out.
const FIRST_TEST_IF_BORNE_OUT: Duration = Duration::from_secs(3600);

/// The longest time between two tests.
const LONGEST_STEP: Duration = Duration::from_secs(6 * 3600);

/// When a claim is put to the test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Claim {
    /// Since when it has been made.
    pub(super) since: Millis,
    pub(super) test_from: Millis,
    step: Duration,
}

impl Claim {
    pub(super) fn new(now: Millis, borne_out: bool) -> Self {
        let step = if borne_out { FIRST_TEST_IF_BORNE_OUT } else { FIRST_TEST };
        Self { since: now, test_from: now.after(step), step }
    }

    /// One call tests it now.
    pub(super) fn tested(&mut self, now: Millis) {
        self.step = (self.step * 2).min(LONGEST_STEP);
        self.test_from = now.after(self.step);
    }

    /// The claim as it can be true now: a clock may have been wrong when it was kept.
    pub(super) fn by(self, now: Millis) -> Self {
        let step = self.step.min(LONGEST_STEP);
        Self { since: self.since.min(now), test_from: self.test_from.min(now.after(step)), step }
    }

    /// The test said nothing: another may follow.
    pub(super) fn untested(&mut self, now: Millis) {
        self.step = (self.step / 2).max(FIRST_TEST);
        self.test_from = now.after(FIRST_TEST);
    }
}

/// Something that a call has to wait for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Block {
    pub(super) until: Millis,
    pub(super) because: FailureKind,
    /// From when one call may test it.
    pub(super) test_from: Millis,
    /// From when one call may find that the limit has grown.
    pub(super) trial_from: Millis,
}

/// Never, as an instant.
pub(super) const NEVER: Millis = Millis(u64::MAX);

/// The kind of refusal that a limit over such a span ends in.
pub(super) fn kind_of(lasts: Duration) -> FailureKind {
    if lasts <= Duration::from_secs(3600) { FailureKind::RateLimited } else { FailureKind::QuotaSpent }
}
