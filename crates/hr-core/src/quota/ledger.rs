//! The buckets of one provider.

use std::time::Duration;

use super::reading::Said;
use super::view::OwnerQuota;
use crate::catalog::Limit;
use crate::failure::{Failure, FailureKind};
use crate::secret::KeyId;
use crate::time::Millis;
use crate::usage::Usage;

/// A key with a model, by the numbers that the ledger's user gave them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seat {
    /// The key.
    pub key: usize,
    /// The model.
    pub model: usize,
}

/// What a call is expected to take.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Need {
    /// Tokens of the prompt.
    pub input: u64,
    /// Tokens of the answer, as far as can be guessed.
    pub output: u64,
    /// US dollars, where the price is known.
    pub cost: f64,
}

/// Why a call has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Until when, as far as is known.
    pub until: Millis,
    /// [`FailureKind::RateLimited`] for a short span, [`FailureKind::QuotaSpent`] for a long one.
    pub because: FailureKind,
}

/// What is known of the quotas of a call that there is room for. Shares are of the tightest bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outlook {
    /// What only the catalogue or a guess says is used up: it goes last.
    pub likely_spent: bool,
    /// The part that is left of the quota that lapses next, from 0 to 1, when that is known.
    pub lapsing: Option<f32>,
    /// How long until what is left of it lapses.
    pub lapses_in: Option<Duration>,
    /// Calls that are left of the scarcest long (day or longer) quota, when that is known.
    pub scarce: Option<u32>,
}

/// Whether there is room for a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Headroom {
    /// There is, or nothing is known against it.
    Open(Outlook),
    /// There is none by what the provider said or did.
    Spent(Hold),
    /// There is none, by something that one call may put to the test now.
    Test(Hold, Trial),
}

/// What is put to the test by a call that there should be no room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trial {
    /// A provider's word on when a quota is back: the call takes its usual place.
    Claim,
    /// A limit that may have grown: the call is made when nobody else is left.
    Limit,
}

/// A call that is reserved in every bucket that applies. It must be settled or released.
#[must_use = "a reservation that is never settled keeps its quota for ever"]
#[derive(Debug)]
pub struct Reservation {
    /// Where it counts.
    pub seat: Seat,
    /// When it was made.
    pub at: Millis,
    /// What was reserved.
    pub need: Need,
    /// Whether it tests a claim.
    pub test: bool,
}

/// How a reserved call ended.
#[derive(Clone, Copy, Debug)]
pub enum End<'a> {
    /// It served.
    Served {
        /// What it used, as reported.
        usage: &'a Usage,
        /// What its reply said of limits.
        said: &'a Said,
    },
    /// It failed; only [`FailureKind::RateLimited`] and [`FailureKind::QuotaSpent`] say that a quota is used up.
    Failed(&'a Failure),
    /// It says nothing of itself: given up, or never sent.
    Dropped,
}

/// What the ledger has learned, to be told to people.
#[derive(Clone, Debug, PartialEq)]
pub enum Lesson {
    /// Calls with this key (and model, where one only) have to wait.
    Held {
        /// The key.
        key: usize,
        /// The model, where only one has to wait.
        model: Option<usize>,
        /// Why and until when.
        hold: Hold,
    },
    /// They need not wait any more, though that was said.
    Free {
        /// The key.
        key: usize,
        /// The model, where only one had to wait.
        model: Option<usize>,
    },
    /// Something else, as a clause for people.
    Told(String),
}

/// The buckets of one provider.
#[derive(Debug, Default)]
pub struct Ledger {}

impl Ledger {
    /// Makes a key known under this number, or notes that its declared owner changed.
    pub fn key(&mut self, _number: usize, _id: &KeyId, _owner: Option<&str>) {}

    /// Makes a model known under this number.
    pub fn model(&mut self, _number: usize, _id: &str) {}

    /// Takes note of what is published in the catalogue.
    pub fn publish(&mut self, _limits: &[Limit]) {}

    /// Whether there is room for a call.
    #[must_use]
    pub fn headroom(&self, _now: Millis, _seat: Seat, _need: Need) -> Headroom {
        Headroom::Open(Outlook::default())
    }

    /// Reserves a call in every bucket that applies, whether or not there is room.
    pub fn reserve(&mut self, now: Millis, seat: Seat, need: Need) -> Reservation {
        Reservation { seat, at: now, need, test: false }
    }

    /// Corrects a reservation to what the call took, and learns from its end.
    pub fn settle(&mut self, _now: Millis, _reservation: Reservation, _end: End<'_>) -> Vec<Lesson> {
        Vec::new()
    }

    /// The next instant at which a bucket frees something that calls wait for.
    #[must_use]
    pub fn next_wakeup(&self, _now: Millis) -> Option<Millis> {
        None
    }

    /// What is left of each quota of each owner.
    #[must_use]
    pub fn view(&self, _now: Millis, _provider: &str) -> Vec<OwnerQuota> {
        Vec::new()
    }

    /// What has changed since it was last asked: a stable id and what to keep of it, `None` to forget it.
    pub fn changes(&mut self) -> Vec<(String, Option<String>)> {
        Vec::new()
    }

    /// Takes back what was kept. Keys and models that are not known yet are remembered until they come.
    pub fn restore(&mut self, _now: Millis, _id: &str, _kept: &str) -> bool {
        false
    }
}
