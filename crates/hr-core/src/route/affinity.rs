//! Where conversations are at home: the key and model that served one last, whose provider may still have the start of
//! it in its cache.

use std::collections::BTreeMap;
use std::time::Duration;

use super::slots::Address;
use crate::time::Millis;

/// The most conversations whose home is known; those that were silent longest go first.
pub const HOMES_MAX: usize = 16_384;

/// How long a home is one after the last answer from there: no provider keeps its cache for longer.
pub const HOME_MEMORY: Duration = Duration::from_secs(3_600);

/// Where a conversation is at home, by numbers of slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Home {
    pub(super) provider: usize,
    pub(super) key: usize,
    pub(super) model: usize,
}

impl Home {
    /// The home that an address is.
    pub(super) fn at(address: &Address) -> Self {
        Self { provider: address.provider, key: address.key, model: address.model }
    }
}

#[derive(Debug)]
struct Entry {
    home: Home,
    since: Millis,
    /// Its place in the order of use.
    used: u64,
}

/// The homes of conversations.
#[derive(Debug, Default)]
pub(super) struct Homes {
    entries: BTreeMap<u64, Entry>,
    /// Conversations in the order in which they were last served.
    order: BTreeMap<u64, u64>,
    served: u64,
}

impl Homes {
    /// Where a conversation is at home, if it is somewhere.
    pub(super) fn find(&self, now: Millis, session: u64) -> Option<Home> {
        let entry = self.entries.get(&session)?;
        (now < entry.since.after(HOME_MEMORY)).then_some(entry.home)
    }

    /// Notes that a conversation was served there.
    pub(super) fn keep(&mut self, now: Millis, session: u64, home: Home) {
        self.served += 1;
        let entry = Entry { home, since: now, used: self.served };
        if let Some(old) = self.entries.insert(session, entry) {
            self.order.remove(&old.used);
        }
        self.order.insert(self.served, session);
        if self.entries.len() > HOMES_MAX
            && let Some((_, silent)) = self.order.pop_first()
        {
            self.entries.remove(&silent);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: Home = Home { provider: 1, key: 2, model: 3 };

    #[test]
    fn a_home_is_forgotten_after_its_time() {
        let mut homes = Homes::default();
        homes.keep(Millis(1_000), 7, HOME);
        assert_eq!(homes.find(Millis(1_000), 7), Some(HOME));
        assert_eq!(homes.find(Millis(3_600_999), 7), Some(HOME));
        assert_eq!(homes.find(Millis(3_601_000), 7), None);
        assert_eq!(homes.find(Millis(1_000), 8), None);
    }

    #[test]
    fn the_one_that_was_silent_longest_makes_room() {
        let mut homes = Homes::default();
        let most = HOMES_MAX as u64;
        for session in 0..most {
            homes.keep(Millis(0), session, HOME);
        }
        homes.keep(Millis(0), 0, HOME);
        homes.keep(Millis(0), most, HOME);
        assert_eq!((homes.entries.len(), homes.order.len()), (HOMES_MAX, HOMES_MAX));
        assert_eq!(homes.find(Millis(0), 0), Some(HOME));
        assert_eq!(homes.find(Millis(0), 1), None);
    }
}
