//! A call, from the question whether there is room for it to what its end taught.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::reading::Said;
use crate::failure::{Failure, FailureKind, Scope};
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    /// Whether anything is known that it counts in.
    pub counted: bool,
    /// Its place among the calls under way.
    pub(super) place: usize,
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
    /// It was given up. It may have reached the provider, so that it stays counted as a call with its prompt; what was
    /// reserved for the answer is given back.
    Dropped,
    /// It was never sent: all of it is given back.
    Unsent,
}

/// What the ledger has learned, to be told to people.
#[derive(Clone, Debug, PartialEq)]
pub enum Lesson {
    /// Calls like the one that ended have to wait.
    Held {
        /// Which calls: of its key, its model, or both.
        scope: Scope,
        /// Why and until when.
        hold: Hold,
    },
    /// They need not wait any more, though that was said.
    Free {
        /// Which calls: of its key, its model, or both.
        scope: Scope,
    },
    /// Something else, as a clause for people.
    Told(String),
}
