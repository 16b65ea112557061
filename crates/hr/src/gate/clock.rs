//! The shell's clock and its chance: the only places where the gateway reads either.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hr_core::time::Millis;

/// Wall-clock milliseconds that never run backwards while the process lives.
pub struct Clock {
    started: Instant,
    started_at: Millis,
}

impl Clock {
    /// A clock that reads the wall once, now.
    #[must_use]
    pub fn new() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started: Instant::now(), started_at: Millis(0).after(since_epoch) }
    }

    /// The present instant.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.started_at.after(self.started.elapsed())
    }

    /// The instant at which the clock was made: the start of the router.
    #[must_use]
    pub fn started_at(&self) -> Millis {
        self.started_at
    }

    /// How long the clock has run.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

/// The bits of a [`Chance::number`] that tell apart what comes in one millisecond.
const COUNT_BITS: u32 = 24;

/// A stream of draws: unpredictable enough to spread load and to name requests, not for secrets.
pub struct Chance {
    seed: u64,
    count: AtomicU64,
}

impl Chance {
    /// A stream seeded by the operating system.
    #[must_use]
    pub fn new() -> Self {
        // The standard library seeds its hash maps from the operating system; one hash of nothing is that seed.
        Self { seed: RandomState::new().hash_one(()), count: AtomicU64::new(0) }
    }

    /// The next draw.
    pub fn draw(&self) -> u64 {
        // SplitMix64: each step of the counter gives an independent-looking number.
        let step = self.count.fetch_add(1, Ordering::Relaxed);
        let mut z = self.seed.wrapping_add(step.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number to name something by that comes now. Later ones are larger, so that an index over many names grows at
    /// its end, where one over draws would change all over.
    pub fn number(&self, now: Millis) -> u64 {
        let step = self.count.fetch_add(1, Ordering::Relaxed);
        let count = self.seed.wrapping_add(step) & ((1 << COUNT_BITS) - 1);
        now.0 << COUNT_BITS | count
    }
}

impl Default for Chance {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn numbers_are_different_and_later_ones_larger() {
        let chance = Chance::new();
        let at = |now| (0..1_000).map(|_| chance.number(Millis(now))).collect::<BTreeSet<_>>();
        let (early, late) = (at(1_795_000_000_000), at(1_795_000_000_001));
        assert_eq!((early.len(), late.len()), (1_000, 1_000));
        assert!(early.last() < late.first());
    }
}
