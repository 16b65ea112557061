//! Whether a refusal could have been foreseen, judged by somebody who knows the truth and what was said of it.
//!
//! The judge sees the replies as they end, as the router does, and shares none of its code. A refusal is
//! *avoidable* when, from replies seen before its call began,
//!
//! - it had been said that nothing is left until a time that has not come, to a key of the same owner; or
//! - the limit was known (named in a header or a body, or met by two refusals), and so was all that was used of it:
//!   by keys that are one owner's, declared or shown by a refusal that the use of one alone does not explain. What a
//!   refusal shows so is a guess that the next success of the refused key ends.
//!
//! Everything else is not: the first meeting with a limit, a key whose sibling was not known, a limit that changed,
//! somebody else's use, a prompt larger than estimated, and tests: at most one an owner in five minutes.

use std::collections::HashMap;

use hr_core::catalog::LimitUnit;
use hr_core::route::Candidate;
use hr_core::time::Millis;

use super::calendar::MINUTE;
use super::load::Request;
use super::world::{Ending, Reply, World};

/// How long after a test the next one is.
const BETWEEN_TESTS: u64 = 5 * MINUTE;

/// Refusals that show a limit nobody named.
const SHOWN_BY: u32 = 2;

/// Why a call was refused, as far as anybody could know before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foresight {
    /// It was to be foreseen.
    Avoidable,
    /// Nobody had met the limit.
    Discovery,
    /// Nobody knew that another key counts against the same limit.
    Sibling,
    /// The limit had changed.
    Changed,
    /// Somebody else had used it.
    Foreign,
    /// The prompts were larger than they seemed.
    Estimate,
    /// It was a test, and one was due.
    Test,
}

impl Foresight {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Avoidable,
        Self::Discovery,
        Self::Sibling,
        Self::Changed,
        Self::Foreign,
        Self::Estimate,
        Self::Test,
    ];

    /// The heading of its column.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Avoidable => "avoidable",
            Self::Discovery => "discovery",
            Self::Sibling => "sibling",
            Self::Changed => "changed",
            Self::Foreign => "foreign",
            Self::Estimate => "estimate",
            Self::Test => "test",
        }
    }
}

/// What is known of a meter.
#[derive(Clone, Debug, Default)]
struct Seen {
    version: u32,
    named: bool,
    refusals: u32,
    /// By how many tokens the calls under way are larger than they seem.
    hidden: f64,
    /// Until when nothing is left, as a group of keys was told.
    until: HashMap<usize, Millis>,
}

/// The judge.
#[derive(Debug)]
pub struct Judge {
    seen: Vec<Seen>,
    /// Owners whose keys seem to belong together, by when which key was refused.
    joined: HashMap<(usize, usize), (Millis, usize)>,
    /// When an owner was last tested.
    tested: HashMap<(usize, usize), Millis>,
}

impl Judge {
    /// A judge who has seen nothing.
    #[must_use]
    pub fn new(world: &World) -> Self {
        Self {
            seen: vec![Seen::default(); world.meters.len()],
            joined: HashMap::new(),
            tested: HashMap::new(),
        }
    }

    /// The keys that are known from the start to be one with this one, as bits.
    fn group(world: &World, candidate: Candidate) -> (usize, u64) {
        let spec = world.spec(candidate);
        let owners = spec.owner_of_each_key();
        let owner = owners[candidate.key];
        if !spec.owners[owner].declared {
            return (candidate.key, 1 << (candidate.key % 64));
        }
        let own = owners.iter().enumerate().filter(|(_, other)| **other == owner);
        own.fold((usize::MAX, 0), |(first, bits), (key, _)| (first.min(key), bits | 1 << (key % 64)))
    }

    /// Judges a refusal at the moment of its call.
    pub fn judge(
        &mut self,
        now: Millis,
        world: &mut World,
        candidate: Candidate,
        request: &Request,
        (meter, test): (usize, bool),
    ) -> Foresight {
        let owner = (candidate.member, world.owner(candidate));
        let (group, bits) = Self::group(world, candidate);
        let together = self.joined.contains_key(&owner);
        let truth = &world.meters[meter];
        let seen = &mut self.seen[meter];
        if seen.version != truth.version {
            *seen = Seen { version: truth.version, hidden: seen.hidden, ..Seen::default() };
        }
        if test && self.tested.get(&owner).is_none_or(|last| now.0 >= last.0 + BETWEEN_TESTS) {
            self.tested.insert(owner, now);
            return Foresight::Test;
        }
        let said = seen.until.iter().any(|(to, until)| (*to == group || together) && *until > now);
        if said || test {
            return Foresight::Avoidable;
        }
        if truth.foreign {
            return Foresight::Foreign;
        }
        if truth.users & !bits != 0 && !together {
            return Foresight::Sibling;
        }
        if !seen.named && seen.refusals < SHOWN_BY {
            return if truth.version > 0 { Foresight::Changed } else { Foresight::Discovery };
        }
        let unit = truth.limit.unit;
        let hidden = seen.hidden;
        if matches!(unit, LimitUnit::Tokens | LimitUnit::InputTokens) {
            let clock = world.clock(candidate.member, now);
            let seems = request.estimate.min(request.input) as f64;
            if world.meters[meter].left(clock) + hidden.max(0.0) >= seems {
                return Foresight::Estimate;
            }
        }
        Foresight::Avoidable
    }

    /// Takes note that a call was let in.
    pub fn begins(&mut self, world: &World, candidate: Candidate, request: &Request) {
        self.hide(world, candidate, request.input as f64 - request.estimate as f64);
    }

    fn hide(&mut self, world: &World, candidate: Candidate, tokens: f64) {
        for &meter in world.meters_of(candidate) {
            if matches!(world.meters[meter].limit.unit, LimitUnit::Tokens | LimitUnit::InputTokens) {
                self.seen[meter].hidden += tokens;
            }
        }
    }

    /// Takes note of a reply that has ended, to a call that was begun then.
    pub fn sees(
        &mut self,
        (begun, now): (Millis, Millis),
        world: &World,
        candidate: Candidate,
        request: &Request,
        reply: &Reply,
    ) {
        let (group, bits) = Self::group(world, candidate);
        let (said, wait) = match &reply.ending {
            Ending::Served { said, .. } => {
                self.hide(world, candidate, request.estimate as f64 - request.input as f64);
                (said, None)
            }
            Ending::Failed(failure) => (&failure.said, failure.retry_after),
        };
        let owner = (candidate.member, world.owner(candidate));
        let served = matches!(reply.ending, Ending::Served { .. });
        let guess = self.joined.get(&owner).copied();
        if served && guess.is_some_and(|(refused, key)| key == candidate.key && begun > refused) {
            self.joined.remove(&owner);
        }
        for &meter in world.meters_of(candidate) {
            let truth = &world.meters[meter];
            let seen = &mut self.seen[meter];
            seen.named |= said.readings.iter().any(|reading| {
                reading.unit == truth.limit.unit
                    && reading.span.is_none_or(|span| span == truth.limit.span)
                    && reading.limit == Some(truth.limit.amount)
            });
            if reply.refused_by == Some(meter) {
                seen.refusals += 1;
                if let Some(wait) = wait {
                    seen.until.insert(group, now.after(wait));
                }
                if truth.users & !bits != 0 {
                    self.joined.insert(owner, (now, candidate.key));
                }
            }
        }
    }
}
