//! A memory with bounds: what is put there stays for a while, and what was not touched for longest goes first.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use hr_core::time::Millis;

/// Things by their key, up to a weight and an age.
pub struct Shelf<K, V> {
    most: usize,
    age: Duration,
    weight: usize,
    entries: HashMap<K, Entry<V>>,
    /// Keys in the order in which they were touched. Only the last mention of a key counts: the one whose turn
    /// the entry knows.
    order: VecDeque<(u64, K)>,
    turn: u64,
}

struct Entry<V> {
    value: V,
    weight: usize,
    until: Millis,
    turn: u64,
}

impl<K: Clone + Eq + Hash, V: Clone> Shelf<K, V> {
    /// An empty one that holds at most this weight, each thing for at most this long after it was last touched.
    #[must_use]
    pub fn new(most: usize, age: Duration) -> Self {
        Self { most, age, weight: 0, entries: HashMap::new(), order: VecDeque::new(), turn: 0 }
    }

    /// Puts a thing there, in place of what the key had. What is too heavy altogether is not kept.
    pub fn put(&mut self, now: Millis, key: K, value: V, weight: usize) {
        self.remove(&key);
        if weight > self.most {
            return;
        }
        self.weight += weight;
        let until = now.after(self.age);
        self.entries.insert(key.clone(), Entry { value, weight, until, turn: 0 });
        self.touch(key);
        self.tidy(now);
    }

    /// The thing of this key.
    pub fn get(&mut self, now: Millis, key: &K) -> Option<V> {
        self.entries.get(key).filter(|entry| now < entry.until).map(|entry| entry.value.clone())
    }

    /// The thing of this key, which stays for longer for being asked for.
    pub fn renew(&mut self, now: Millis, key: &K) -> Option<V> {
        let value = self.get(now, key)?;
        let until = now.after(self.age);
        if let Some(entry) = self.entries.get_mut(key) {
            entry.until = until;
        }
        self.touch(key.clone());
        Some(value)
    }

    /// Takes a thing away.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let entry = self.entries.remove(key)?;
        self.weight -= entry.weight;
        Some(entry.value)
    }

    fn touch(&mut self, key: K) {
        self.turn += 1;
        let turn = self.turn;
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.turn = turn;
        }
        self.order.push_back((turn, key));
        if self.order.len() > 2 * self.entries.len() + 64 {
            let entries = &self.entries;
            self.order.retain(|(turn, key)| entries.get(key).is_some_and(|entry| entry.turn == *turn));
        }
    }

    /// Drops what is too old, and the oldest until the rest is within its weight.
    fn tidy(&mut self, now: Millis) {
        while let Some((turn, key)) = self.order.front() {
            let stale = match self.entries.get(key) {
                Some(entry) if entry.turn == *turn => {
                    if self.weight <= self.most && now < entry.until {
                        return;
                    }
                    false
                }
                _ => true,
            };
            let Some((_, key)) = self.order.pop_front() else { return };
            if !stale {
                self.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn the_weight_stays_within_its_bound_and_the_oldest_goes() {
        let mut shelf = Shelf::new(10, HOUR);
        for number in 0..100 {
            shelf.put(Millis(number), number, "thing", 3);
            assert!(shelf.weight <= 10);
        }
        assert_eq!(shelf.entries.len(), 3);
        assert_eq!(shelf.get(Millis(100), &96), None);
        assert_eq!(shelf.get(Millis(100), &97), Some("thing"));
        shelf.put(Millis(101), 500, "too heavy", 11);
        assert_eq!(shelf.get(Millis(101), &500), None);
        assert_eq!(shelf.entries.len(), 3);
    }

    #[test]
    fn what_is_old_is_gone_and_what_is_renewed_stays() {
        let mut shelf = Shelf::new(10, HOUR);
        let (early, later) = (Millis(0).after(HOUR / 2), Millis(0).after(HOUR));
        shelf.put(Millis(0), "left alone", 1, 1);
        shelf.put(Millis(0), "renewed", 2, 1);
        assert_eq!(shelf.renew(early, &"renewed"), Some(2));
        assert_eq!(shelf.get(later, &"left alone"), None);
        assert_eq!(shelf.get(later, &"renewed"), Some(2));
        shelf.put(later, "new", 3, 1);
        assert_eq!(shelf.entries.len(), 2);
    }

    #[test]
    fn asking_again_and_again_does_not_grow_it() {
        let mut shelf = Shelf::new(10, HOUR);
        shelf.put(Millis(0), 1, 1, 1);
        for _ in 0..10_000 {
            shelf.renew(Millis(1), &1);
            shelf.put(Millis(1), 2, 2, 1);
        }
        assert!(shelf.order.len() < 100, "{}", shelf.order.len());
        assert_eq!(shelf.remove(&1), Some(1));
        assert_eq!(shelf.weight, 1);
    }
}
