//! What a refusal shows that says nothing but that it is one: no limit, no wait.
//!
//! Two things are usual. Only so many calls may be made at the same time: then there are others under way, and there is
//! room as soon as one of them ends. Or so many may be made in a minute: then as many as were served in the last one,
//! and there is room when the first of these is a minute old. What comes again in spite of either is something longer,
//! and calls wait ever longer for it.

use std::time::Duration;

use super::call::Lesson;
use super::ledger::{Ledger, UnderWay};
use super::models::ModelSet;
use super::reading::Source;
use super::window::{Rolling, Window};
use crate::catalog::{LimitSpan, LimitUnit};
use crate::time::Millis;

/// The span that is supposed first.
pub(super) const MINUTE: Duration = Duration::from_secs(60);

/// For how long refusals are not held to be for calls at the same time, after one that could not have been.
const NOT_PLACES_FOR: Duration = Duration::from_secs(24 * 3600);

/// How long after a refusal the room for calls at the same time is first tried again.
const PLACES_TRIED_AFTER: Duration = Duration::from_secs(3600);

/// How many calls at the same time an owner seems to be allowed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AtOnce {
    /// Until when that explains no refusal.
    refuted_until: Millis,
    /// The last refusal that it explained.
    refused_at: Millis,
}

impl Ledger {
    /// Whether a bare refusal is explained by the calls under way when its call was begun; if so, no more than those
    /// are made at the same time from now on.
    pub(super) fn takes_places(
        &mut self,
        now: Millis,
        begun: Millis,
        home: usize,
        lessons: &mut Vec<Lesson>,
    ) -> bool {
        let at_once = self.accounts[home].at_once;
        let others = self.others_under_way(home, begun) as f64;
        let known = self.accounts[home].find(&ModelSet::All, LimitUnit::Concurrent, Some(LimitSpan::Now));
        let limit = known.and_then(|place| self.accounts[home].buckets[place].hard_limit(now));
        if limit.is_none() && now < at_once.refuted_until {
            return false;
        }
        // Of those that were begun before the refusals were known, each sees fewer than the one before it.
        let together = begun <= at_once.refused_at;
        let refuted = others < 1.0 && !together || limit.is_some_and(|limit| others < limit && !together);
        if refuted {
            if let Some(place) = known.filter(|_| limit.is_some()) {
                self.accounts[home].buckets[place].set_limit(Source::Refusals, None);
                self.accounts[home].at_once.refuted_until = now.after(NOT_PLACES_FOR);
                self.accounts[home].refresh(now, None);
            }
            return false;
        }
        let most = limit.map_or(others, |limit| limit.min(others)).max(1.0);
        let place = match known {
            Some(place) => Some(place),
            None => self.open(now, home, ModelSet::All, LimitUnit::Concurrent, Some(LimitSpan::Now), None),
        };
        let Some(place) = place else { return false };
        let bucket = &mut self.accounts[home].buckets[place];
        bucket.set_limit(Source::Refusals, Some(most));
        bucket.trial_from = Some(now.after(PLACES_TRIED_AFTER));
        self.accounts[home].at_once.refused_at = now;
        self.accounts[home].refresh(now, None);
        if limit != Some(most) {
            lessons.push(Lesson::Told(format!("seems to allow {most:.0} calls at a time")));
        }
        true
    }

    /// Calls of an owner that were under way at this instant and still are.
    fn others_under_way(&self, home: usize, at: Millis) -> usize {
        let calls = self.under_way.iter().flatten();
        calls.filter(|call| call.at <= at && self.home(call.key) == home).count()
    }

    /// The bucket of the calls to a model in the last minute, if there were any: a refusal that nothing else explains
    /// may mean that it is full.
    pub(super) fn last_minute(
        &mut self,
        now: Millis,
        begun: Millis,
        home: usize,
        call: &UnderWay,
    ) -> Option<usize> {
        let alone = ModelSet::One(call.model);
        let habit = self.accounts[home].habits.iter().find(|habit| habit.models == alone)?;
        let served = habit.lately(now);
        if served.is_empty() {
            return None;
        }
        let span = Some(LimitSpan::Minute);
        if let Some(place) = self.accounts[home].find(&alone, LimitUnit::Requests, span) {
            return Some(place);
        }
        let place = self.open(now, home, alone, LimitUnit::Requests, span, None)?;
        let calls = self.under_way.iter().flatten();
        let own = calls.filter(|other| other.model == call.model && self.home(other.key) == home);
        let under_way: Vec<Millis> = own.map(|other| other.at).filter(|at| *at <= begun).collect();
        let bucket = &mut self.accounts[home].buckets[place];
        bucket.window = Window::Rolling(Rolling::new(MINUTE));
        for at in served.into_iter().chain(under_way) {
            let counts = bucket.arrival(at);
            bucket.window.add(now, counts, 1.0);
        }
        Some(place)
    }

    /// A refusal that named no limit told when to come again: a limit that refusals have taught ends its span then.
    pub(super) fn align(&mut self, now: Millis, home: usize, model: u32, place: usize, ends: Millis) {
        let alone = ModelSet::One(model);
        let account = &mut self.accounts[home];
        let Some(habit) = account.habits.iter().find(|habit| habit.models == alone) else { return };
        let bucket = &mut account.buckets[place];
        let taught = matches!(bucket.limit(now), Some((_, Source::Refusals)));
        let Some(length) = bucket.length().filter(|_| taught && bucket.models == alone) else { return };
        if bucket.unit != LimitUnit::Requests || now.until(ends) > length {
            return;
        }
        let Window::Fixed(fixed) = &mut bucket.window else { return };
        fixed.began = Millis(ends.0.saturating_sub(u64::try_from(length.as_millis()).unwrap_or(u64::MAX)));
        fixed.ends = Some(ends);
        fixed.aligned = true;
        let (began, under_way) = (fixed.began, bucket.under_way);
        bucket.window.set(now, habit.since(began) as f64 + under_way);
    }

    /// Calls were refused again though none had served in the last minute: it is no limit of a minute that does it.
    pub(super) fn refute_minute(&mut self, now: Millis, home: usize, model: u32) {
        let span = Some(LimitSpan::Minute);
        let known = self.accounts[home].find(&ModelSet::One(model), LimitUnit::Requests, span);
        if let Some(place) = known
            && let bucket = &mut self.accounts[home].buckets[place]
            && bucket.settled(now) < 1.0
        {
            bucket.set_limit(Source::Refusals, None);
        }
    }
}
