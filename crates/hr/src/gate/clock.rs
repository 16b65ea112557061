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
}

impl Default for Chance {
    fn default() -> Self {
        Self::new()
    }
}
