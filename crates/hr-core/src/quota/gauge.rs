//! The answer for a model at an owner, worked out beforehand, so that a plan over a thousand keys only looks it up.
//!
//! Time only ever frees something. What was open therefore stays open until a call is made; what was shut stays so
//! until the instant that is kept with it.

use super::call::{Headroom, Hold, Outlook, Trial};
use super::claim::{Block, NEVER};
use crate::catalog::LimitUnit;
use crate::time::Millis;

/// What a call takes, by unit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Amounts {
    pub(super) input: f64,
    pub(super) output: f64,
    pub(super) cost: f64,
}

impl Amounts {
    /// The least that any call takes.
    pub(super) const LEAST: Self = Self { input: 1.0, output: 0.0, cost: 0.0 };

    pub(super) fn of(&self, unit: LimitUnit) -> f64 {
        match unit {
            LimitUnit::Requests | LimitUnit::Concurrent => 1.0,
            LimitUnit::Tokens => self.input + self.output,
            LimitUnit::InputTokens => self.input,
            LimitUnit::OutputTokens => self.output,
            LimitUnit::Money => self.cost,
            LimitUnit::Percent => 0.0,
        }
    }
}

/// What is left for any one call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) tokens: f64,
    pub(super) input: f64,
    pub(super) output: f64,
    pub(super) cost: f64,
}

impl Room {
    const ENDLESS: Self =
        Self { tokens: f64::INFINITY, input: f64::INFINITY, output: f64::INFINITY, cost: f64::INFINITY };

    pub(super) fn bound(&mut self, unit: LimitUnit, left: f64) {
        let room = match unit {
            LimitUnit::Tokens => &mut self.tokens,
            LimitUnit::InputTokens => &mut self.input,
            LimitUnit::OutputTokens => &mut self.output,
            LimitUnit::Money => &mut self.cost,
            // For one call there is room, or it is shut.
            LimitUnit::Requests | LimitUnit::Concurrent | LimitUnit::Percent => return,
        };
        *room = room.min(left);
    }

    fn fits(&self, amounts: &Amounts) -> bool {
        amounts.input + amounts.output <= self.tokens
            && amounts.input <= self.input
            && amounts.output <= self.output
            && amounts.cost <= self.cost
    }
}

/// What is known beforehand for one model.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gauge {
    pub(super) room: Room,
    /// Anything but open, and until when that holds.
    pub(super) shut: Option<(Headroom, Millis)>,
    /// From when there is the room that is kept here, where it is shut now.
    pub(super) opens: Millis,
    pub(super) likely_spent_until: Millis,
    /// The part that is left of what lapses next, and when it does.
    pub(super) lapsing: Option<(f32, Millis)>,
    pub(super) scarce: Option<u32>,
}

impl Default for Gauge {
    fn default() -> Self {
        Self {
            room: Room::ENDLESS,
            shut: None,
            opens: Millis(0),
            likely_spent_until: Millis(0),
            lapsing: None,
            scarce: None,
        }
    }
}

impl Gauge {
    /// The answer, unless it has to be worked out.
    pub(super) fn read(&self, now: Millis, amounts: &Amounts) -> Option<Headroom> {
        match self.shut {
            None if self.room.fits(amounts) => Some(Headroom::Open(self.outlook(now))),
            Some((headroom, until)) if now < until => Some(headroom),
            Some(_) if now >= self.opens && self.room.fits(amounts) => {
                Some(Headroom::Open(self.outlook(now)))
            }
            _ => None,
        }
    }

    pub(super) fn outlook(&self, now: Millis) -> Outlook {
        let lapsing = self.lapsing.filter(|(_, at)| now < *at);
        Outlook {
            likely_spent: now < self.likely_spent_until,
            lapsing: lapsing.map(|(part, _)| part),
            lapses_in: lapsing.map(|(_, at)| now.until(at)),
            scarce: self.scarce,
        }
    }
}

/// Puts together what a call has to wait for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blocks {
    hold: Option<Hold>,
    /// Whether each may be tested now, and whether each may be tested or tried.
    testable: bool,
    triable: bool,
    /// When the answer changes by itself.
    changes: Millis,
}

impl Default for Blocks {
    fn default() -> Self {
        Self { hold: None, testable: true, triable: true, changes: NEVER }
    }
}

impl Blocks {
    pub(super) fn add(&mut self, now: Millis, block: Block) {
        let test = block.test_from <= now;
        self.testable &= test;
        self.triable &= test || block.trial_from <= now;
        self.changes = self.changes.min(block.until);
        for from in [block.test_from, block.trial_from] {
            if from > now {
                self.changes = self.changes.min(from);
            }
        }
        if self.hold.is_none_or(|hold| hold.until < block.until) {
            self.hold = Some(Hold { until: block.until, because: block.because });
        }
    }

    /// When the last of them ends.
    pub(super) fn end(&self) -> Option<Millis> {
        self.hold.map(|hold| hold.until)
    }

    /// The answer, and until when it holds; `None` when there is nothing to wait for.
    pub(super) fn answer(&self) -> Option<(Headroom, Millis)> {
        let hold = self.hold?;
        let headroom = match (self.testable, self.triable) {
            (true, _) => Headroom::Test(hold, Trial::Claim),
            (false, true) => Headroom::Test(hold, Trial::Limit),
            (false, false) => Headroom::Spent(hold),
        };
        Some((headroom, self.changes))
    }
}

/// The answer for a call that two owners' quotas apply to.
pub(super) fn both(one: Headroom, other: Headroom) -> Headroom {
    use Headroom as H;
    let later = |one: Hold, other: Hold| if one.until >= other.until { one } else { other };
    match (one, other) {
        (H::Open(one), H::Open(other)) => H::Open(tighter(one, other)),
        (H::Open(_), shut) | (shut, H::Open(_)) => shut,
        (H::Spent(one), H::Spent(other) | H::Test(other, _)) | (H::Test(one, _), H::Spent(other)) => {
            H::Spent(later(one, other))
        }
        (H::Test(one, Trial::Claim), H::Test(other, Trial::Claim)) => {
            H::Test(later(one, other), Trial::Claim)
        }
        (H::Test(one, _), H::Test(other, _)) => H::Test(later(one, other), Trial::Limit),
    }
}

fn tighter(one: Outlook, other: Outlook) -> Outlook {
    let first = match (one.lapses_in, other.lapses_in) {
        (Some(ours), Some(theirs)) if theirs < ours => other,
        (None, Some(_)) => other,
        _ => one,
    };
    let scarce = match (one.scarce, other.scarce) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    Outlook {
        likely_spent: one.likely_spent || other.likely_spent,
        lapsing: first.lapsing,
        lapses_in: first.lapses_in,
        scarce,
    }
}
