//! Why requests went where they went: a decision each, in the store; those that no store takes, the last ones in memory.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hr_core::catalog::{Price, SpendClass};
use hr_core::failure::Failure;
use hr_core::pool::PoolModel;
use hr_core::route::Choice;
use hr_core::route::record::{Draft, MADE_UP, Outcome, Record, Subject};
use hr_core::usage::Usage;
use parking_lot::Mutex;

use crate::store::{Decided, Store, StoreError, Written};

/// The most decisions that are kept in memory; each has at most [`hr_core::route::record::MAX_BYTES`].
const MOST_KEPT: usize = 512;

/// Tokens that a price is of.
const PRICED: f64 = 1_000_000.0;

/// The decisions about requests.
#[derive(Debug, Default)]
pub struct Diary {
    store: OnceLock<Arc<Store>>,
    /// The last ones that no store took, the latest last.
    late: Mutex<VecDeque<Arc<Decided>>>,
}

impl Diary {
    /// An empty diary.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes decisions into this store as well, from now on. A diary has one store; a second one is none of its.
    pub fn keep_in(&self, store: Arc<Store>) {
        let _ = self.store.set(store);
    }

    /// Writes a decision down. In memory the oldest goes when there is no room.
    fn keep(&self, decided: Decided) {
        let decided = Arc::new(decided);
        let left = match self.store.get() {
            Some(store) => store.remember(decided),
            None => Some(decided),
        };
        let Some(decided) = left else { return };
        let mut late = self.late.lock();
        let oldest = if late.len() == MOST_KEPT { late.pop_front() } else { None };
        late.push_back(decided);
        drop(late);
        // Not under the lock: it may be the last of its record.
        drop(oldest);
    }

    /// The decision about this request, or about the one that ended last, as far as it is in memory.
    fn late(&self, id: Option<&str>) -> Option<Arc<Decided>> {
        let late = self.late.lock();
        match id {
            Some(id) => late.iter().rev().find(|late| late.id == *id).cloned(),
            None => late.back().cloned(),
        }
    }

    /// The record of this request, or of the one that ended last. May read from the disk: not for a thread that serves
    /// others meanwhile.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn find(&self, id: Option<&str>) -> Result<Option<Bytes>, StoreError> {
        let late = self.late(id);
        let kept = match (self.store.get(), id, &late) {
            (Some(store), Some(id), None) => store.decision(id)?,
            (Some(store), None, _) => store.last_decision()?,
            (None, ..) | (_, Some(_), Some(_)) => None,
        };
        Ok(match (late, kept) {
            // Whichever ended later, where the last one is wanted.
            (Some(late), Some(kept)) if late.at < kept.at => Some(kept.record.into()),
            (Some(late), _) => Some(late.record.bytes().into_owned().into()),
            (None, kept) => kept.map(|kept| kept.record.into()),
        })
    }
}

/// What is written down of one request while it is under way.
#[derive(Debug)]
pub struct Entry {
    diary: Arc<Diary>,
    /// `None` once it is closed.
    draft: Option<Draft>,
    began: Instant,
    /// What the model that was called last costs.
    price: Option<Price>,
}

impl Entry {
    /// The entry of a request that began then.
    #[must_use]
    pub fn new(diary: Arc<Diary>, draft: Draft, began: Instant) -> Self {
        Self { diary, draft: Some(draft), began, price: None }
    }

    /// Notes a plan by which a candidate is called now.
    pub fn calls(&mut self, subject: &Subject<'_>, choice: &Choice) {
        self.price = price_of(subject.roster.member(choice.candidate).models.get(choice.candidate.model));
        let after = self.began.elapsed();
        if let Some(draft) = &mut self.draft {
            draft.plan(subject, Some(choice));
            draft.calls(subject, choice.candidate, after);
        }
    }

    /// Notes a plan by which nobody is called.
    pub fn refuses(&mut self, subject: &Subject<'_>) {
        if let Some(draft) = &mut self.draft {
            draft.plan(subject, None);
        }
    }

    /// Notes that the call failed.
    pub fn failed(&mut self, failure: &Failure) {
        let after = self.began.elapsed();
        if let Some(draft) = &mut self.draft {
            draft.failed(failure, after);
        }
    }

    /// Notes that the call has begun to answer well.
    pub fn answered(&mut self) {
        let after = self.began.elapsed();
        if let Some(draft) = &mut self.draft {
            draft.answered(after);
        }
    }

    /// Notes the names of what the provider that answered did not get.
    pub fn lost(&mut self, names: &str) {
        if let Some(draft) = &mut self.draft {
            draft.lost(names);
        }
    }

    /// Notes what the answer cost.
    pub fn used(&mut self, usage: Usage) {
        if let Some(draft) = &mut self.draft {
            draft.used(usage);
        }
    }

    /// Closes the entry and keeps it; only the first end counts.
    pub fn close(&mut self, status: u16, ended: &'static str) {
        let Some(draft) = self.draft.take() else { return };
        let took = self.began.elapsed();
        let record = draft.close(status, ended, took);
        self.diary.keep(decided(record, took, self.price));
    }
}

fn decided(record: Box<Record>, took: Duration, price: Option<Price>) -> Decided {
    let last = record.attempts.last();
    let served = last.is_some_and(|call| call.outcome == Outcome::Answered);
    let attempts = record.attempts.len() as u32 + record.attempts_left_out;
    Decided {
        id: record.id.clone(),
        at: record.at.after(took),
        provider: last.map(|call| call.who.provider.clone()),
        model: last.map(|call| call.who.model.clone()).filter(|model| *model != *MADE_UP),
        status: record.status,
        attempts,
        usage: record.usage,
        cost: cost(price, &record.usage).filter(|_| served),
        took,
        record: Written::Record(record),
    }
}

/// What calls to a model cost, where that is known.
fn price_of(model: Option<&PoolModel>) -> Option<Price> {
    let model = model?;
    if model.spend == SpendClass::Paid {
        model.price
    } else {
        Some(Price { input: 0.0, output: 0.0, cached: None })
    }
}

/// What tokens cost in US dollars at this price, where both are known.
fn cost(price: Option<Price>, usage: &Usage) -> Option<f64> {
    let (price, input, output) = (price?, usage.input?, usage.output?);
    let cached = usage.cached.unwrap_or(0).min(input);
    let of_input =
        price.input * (input - cached) as f64 + price.cached.unwrap_or(price.input) * cached as f64;
    Some((of_input + price.output * output as f64) / PRICED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_stay() {
        let diary = Diary::new();
        assert_eq!(diary.find(None).unwrap(), None);
        for number in 0..MOST_KEPT + 10 {
            let record = Written::Bytes(number.to_string().into_bytes());
            diary.keep(Decided { id: format!("req_{number}").into(), record, ..Decided::default() });
        }
        assert_eq!(diary.late.lock().len(), MOST_KEPT);
        assert_eq!(diary.find(Some("req_9")).unwrap(), None);
        assert_eq!(diary.find(Some("req_10")).unwrap().as_deref(), Some(&b"10"[..]));
        assert_eq!(diary.find(None).unwrap(), diary.find(Some(&format!("req_{}", MOST_KEPT + 9))).unwrap());
    }

    #[test]
    fn a_cost_is_told_only_where_all_of_it_is_known() {
        let price = Some(Price { input: 1.0, output: 2.0, cached: Some(0.5) });
        let usage =
            |output| Usage { input: Some(500_000), output, cached: Some(100_000), ..Usage::default() };
        assert_eq!(cost(price, &usage(Some(250_000))), Some(0.95));
        assert_eq!(cost(price, &usage(None)), None);
        assert_eq!(cost(None, &usage(Some(1))), None);
    }
}
