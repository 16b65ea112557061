//! Decisions that wait to be written: bounded, so that a full disk does not become a full memory.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::Decided;

/// The most decisions that wait; those that come while it is full are lost, and counted.
pub const MAX_WAITING: usize = 4_096;

/// The queue. What is being written stays in it until it is, so that it can be found at any time.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<VecDeque<Arc<Decided>>>,
    lost: AtomicU64,
}

impl Queue {
    /// Adds a decision, and tells whether it is the only one; gives it back when it is lost.
    pub(super) fn add(&self, decided: Arc<Decided>) -> Result<bool, Arc<Decided>> {
        let mut waiting = self.waiting.lock();
        if waiting.len() == MAX_WAITING {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return Err(decided);
        }
        waiting.push_back(decided);
        Ok(waiting.len() == 1)
    }

    /// The first so many.
    pub(super) fn first(&self, most: usize) -> Vec<Arc<Decided>> {
        self.waiting.lock().iter().take(most).cloned().collect()
    }

    /// Lets go of the first so many: they are written.
    pub(super) fn done(&self, count: usize) {
        let mut waiting = self.waiting.lock();
        let count = count.min(waiting.len());
        waiting.drain(..count);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.lock().is_empty()
    }

    /// How many were lost so far.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// The last one of this id, or of all.
    pub(super) fn find(&self, id: Option<&str>) -> Option<Arc<Decided>> {
        let waiting = self.waiting.lock();
        let mut found = waiting.iter().rev();
        match id {
            Some(id) => found.find(|decided| decided.id == *id).cloned(),
            None => found.next().cloned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(number: usize) -> Decided {
        Decided { id: number.to_string().into(), ..Decided::default() }
    }

    #[test]
    fn a_full_queue_loses_what_comes_and_counts_it() {
        let queue = Queue::default();
        for number in 0..MAX_WAITING {
            assert_eq!(queue.add(decided(number).into()), Ok(number == 0));
        }
        assert!(queue.add(decided(MAX_WAITING).into()).is_err());
        assert_eq!(queue.lost(), 1);
        assert_eq!(queue.first(2).iter().map(|decided| decided.id.as_str()).collect::<Vec<_>>(), ["0", "1"]);
        queue.done(2);
        assert!(queue.find(Some("1")).is_none());
        assert!(queue.find(Some("2")).is_some());
        assert_eq!(queue.find(None).unwrap().id, (MAX_WAITING - 1).to_string());
    }
}
