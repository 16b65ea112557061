//! A call that was refused because a quota is used up: whose that is, for how long, and which limit it shows.

use std::time::Duration;

use super::bare::MINUTE;
use super::bucket::Bucket;
use super::call::{Hold, Lesson, Trial};
use super::held::Held;
use super::ledger::{EVERYONE, Ledger, UnderWay};
use super::models::ModelSet;
use super::reading::{Reading, Source};
use super::settle::{Ended, scope_of};
use crate::catalog::{LimitUnit, OwnerScope};
use crate::failure::{Failure, FailureKind, Scope};
use crate::route::policy::MIN_WAIT;
use crate::time::Millis;

/// The part of a limit by which the tokens that are used may be misjudged.
const MISJUDGED: f64 = 0.1;

/// Whether a reading of a refusal says that it was this limit that refused the call.
fn is_spent(call: &UnderWay, reading: &Reading) -> bool {
    match reading.remaining {
        Some(left) => left <= 0.0 || left < call.amounts.of(reading.unit),
        None => reading.source == Source::Body,
    }
}

/// What a refusal is supposed to be about.
struct Cause {
    /// The limits that it named.
    buckets: Vec<usize>,
    /// It named none.
    nameless: bool,
    /// The one that is supposed then.
    guessed: Option<usize>,
    /// By when to come again and what was served until now.
    sighted: bool,
    /// How much that allowed before, and where it was known from.
    before: Option<(f64, Source)>,
    /// Who seems to share it.
    sibling: Option<usize>,
    /// How long calls wait for it.
    wait: Option<Duration>,
}

impl Ledger {
    /// Whether there was room for a call, by a limit that had been named, in that which its refusal says to be used up:
    /// by more than what tokens may be misjudged by.
    pub(super) fn seemed_to_have_room(&self, ended: &Ended<'_>, failure: &Failure) -> bool {
        let Ended { now, call, .. } = *ended;
        let home = self.home(call.key);
        failure.said.readings.iter().filter(|reading| is_spent(&call, reading)).any(|reading| {
            let Some(place) = self.named(home, call.model, reading) else { return false };
            let bucket = &self.accounts[home].buckets[place];
            let Some((limit, source)) = bucket.limit(now) else { return false };
            let misjudged = if bucket.unit == LimitUnit::Requests { 0.0 } else { limit * MISJUDGED };
            let left = limit - bucket.taken(now);
            source <= Source::Body && !bucket.unnamed && left >= call.amounts.of(bucket.unit) + misjudged
        })
    }

    /// The call was refused because a quota is used up, as far as the provider knows.
    pub(super) fn refuse(&mut self, ended: &mut Ended<'_>, failure: &Failure, unexpected: bool) {
        let Ended { now, call, .. } = *ended;
        let home = self.home(call.key);
        let named: Vec<&Reading> =
            failure.said.readings.iter().filter(|reading| is_spent(&call, reading)).collect();
        let (account, models) = self.meant(home, call.model, failure, named.first().copied());
        self.take_ends(ended, &named, failure.retry_after);
        let Some(cause) = self.explain(ended, failure, &named, account == home) else { return };
        let place = cause.guessed.or(cause.buckets.first().copied());
        let borne_out = place.is_some_and(|place| self.accounts[home].buckets[place].borne_out(now));
        let fresh = self.strike(ended, account, &models, failure.kind, cause.wait, borne_out);
        // Who is one waits for the same, where nothing else tells what for.
        if let Some(joint) = self.sure_joint(home).filter(|_| account == home && cause.nameless) {
            self.strike(ended, joint, &models, failure.kind, cause.wait, borne_out);
        }
        if !fresh {
            if let Some(place) = cause.guessed {
                self.accounts[home].buckets[place].refused_again(now);
            }
            return;
        }
        // It was said that somebody else had used it up, and it was tried whether that was so: it was.
        let surprised = place.is_some_and(|place| self.accounts[home].buckets[place].surprised);
        let expected = call.trial == Some(Trial::Limit) && surprised;
        let joined = if let Some(sibling) = cause.sibling {
            self.bind(now, home, sibling, &models, &mut ended.lessons);
            true
        } else {
            account == home
                && !expected
                && (!borne_out || unexpected)
                && self.join(now, home, &models, (place, unexpected), &mut ended.lessons)
        };
        if let Some(until) = cause.wait.map(|wait| now.after(wait)).filter(|_| cause.nameless) {
            let joint = self.accounts[home].joint;
            if let Some(joint) = joint.filter(|_| joined) {
                self.see_together(now, ended.begun, joint, &call, until);
            }
            // A limit that was named need not show by habit.
            for account in [Some(account), joint].into_iter().flatten() {
                let habits = self.accounts[account].habits.iter_mut();
                let habits = habits.filter(|habit| habit.models.covers(call.model));
                habits.for_each(|habit| habit.refuse(now, Some(until)));
            }
        }
        if !joined && account == home {
            self.take_lesson(ended, home, &cause);
        }
    }

    /// Where a limit itself does not say when it is whole again, the wait does.
    fn take_ends(&mut self, ended: &Ended<'_>, named: &[&Reading], wait: Option<Duration>) {
        let Ended { now, begun, call, .. } = *ended;
        let home = self.home(call.key);
        for reading in named {
            let Some(ends) = reading.reset.or(wait.map(|wait| now.after(wait))) else { continue };
            for account in self.counted_at(home, reading.owner) {
                let Some(place) = self.named(account, call.model, reading) else { continue };
                let tells = self.accounts[account].buckets[place].tells_end;
                if reading.reset.is_none() || reading.span.is_none() && !tells {
                    self.see_end(now, begun, (account, place), ends);
                }
            }
        }
    }

    /// Which limit of a key's own account, or of the one it has with others, the refusal is supposed to be about, and
    /// how long calls wait for it; `None` when it was only about calls at the same time.
    fn explain(
        &mut self,
        ended: &mut Ended<'_>,
        failure: &Failure,
        named: &[&Reading],
        own: bool,
    ) -> Option<Cause> {
        let Ended { now, begun, call, .. } = *ended;
        let home = self.home(call.key);
        // Where several are used up, the one that lasts longest is what calls wait for.
        let buckets: Vec<usize> =
            named.iter().filter_map(|reading| self.named(home, call.model, reading)).collect();
        // Who says only what is counted, and not how much there is, has named no limit.
        let nameless = named.iter().all(|reading| reading.limit.is_none())
            && buckets.iter().all(|place| {
                let bucket = &self.accounts[home].buckets[*place];
                bucket.unnamed || matches!(bucket.limit(now), None | Some((_, Source::Refusals)))
            });
        let guessed = nameless.then(|| self.guess(home, call.model, now, failure)).flatten();
        let wait = failure.retry_after;
        let mut cause =
            Cause { buckets, nameless, guessed, sighted: false, before: None, sibling: None, wait };
        let bare = named.is_empty() && wait.is_none() && own;
        if bare && failure.kind == FailureKind::RateLimited {
            let full = guessed.is_some_and(|place| self.accounts[home].buckets[place].borne_out(now));
            if !full && self.takes_places(now, begun, home, &mut ended.lessons) {
                return None;
            }
            cause.guessed = guessed.or_else(|| self.last_minute(now, begun, home, &call));
        }
        if let Some(until) = wait.map(|wait| now.after(wait)).filter(|_| nameless && own) {
            self.look_closer(ended, &mut cause, until);
        }
        if let Some(place) = cause.guessed.filter(|_| !cause.sighted) {
            cause.before = self.accounts[home].buckets[place].limit(now);
        }
        // What we work out ourselves is less exact than what a provider says.
        let worked_out = |wait: Duration| wait.max(MIN_WAIT);
        if bare {
            cause.wait = self.bare_wait(now, home, call.model, cause.guessed).map(worked_out);
        }
        if cause.wait.is_none() {
            let of = |place: &usize| self.accounts[home].buckets[*place].window.ends(now);
            cause.wait = cause.buckets.iter().filter_map(of).max().map(|ends| worked_out(now.until(ends)));
        }
        Some(cause)
    }

    /// Takes in when to come again where that is all that was told.
    fn look_closer(&mut self, ended: &Ended<'_>, cause: &mut Cause, until: Millis) {
        let Ended { now, begun, call, .. } = *ended;
        let home = self.home(call.key);
        let known = cause.guessed.map(|place| &self.accounts[home].buckets[place]);
        if known.is_none_or(|bucket| bucket.sight.is_some()) {
            cause.before = known.and_then(|bucket| bucket.limit(now));
            if let Some(joint) = self.sure_joint(home) {
                self.see_together(now, begun, joint, &call, until);
            } else {
                cause.sibling = self.sibling(now, begun, home, &call, until);
                if let Some(place) = self.sight(now, begun, home, &call, until) {
                    (cause.guessed, cause.sighted) = (Some(place), true);
                    return;
                }
            }
        }
        if let Some(place) = cause.guessed {
            self.align(now, home, call.model, place, until);
        }
    }

    /// Lets the limits of an account that explain a refusal learn from it.
    fn take_lesson(&mut self, ended: &mut Ended<'_>, home: usize, cause: &Cause) {
        let now = ended.now;
        let Some(place) = cause.guessed else {
            for place in &cause.buckets {
                self.accounts[home].buckets[*place].trial_over(now);
            }
            return;
        };
        let bucket = &mut self.accounts[home].buckets[place];
        if cause.sighted {
            bucket.trial_over(now);
        } else {
            bucket.refused(now);
        }
        if let Some((limit, _)) = bucket.limit(now).filter(|limit| Some(*limit) != cause.before) {
            let told = format!("seems to allow no more than {limit:.0} {}", what(bucket));
            ended.lessons.push(Lesson::Told(told));
        }
    }

    /// How long calls wait after a refusal that says nothing, if that is supposed to be of this bucket.
    fn bare_wait(
        &mut self,
        now: Millis,
        home: usize,
        model: u32,
        supposed: Option<usize>,
    ) -> Option<Duration> {
        let alone = ModelSet::One(model);
        let habit = self.accounts[home].habits.iter_mut().find(|habit| habit.models == alone)?;
        habit.bare = habit.bare.saturating_add(1);
        if habit.bare > 1 {
            // Whenever a minute's limit counts anew, it has when the last that served is a minute old.
            if let Some(last) = habit.lately(now).last() {
                return Some(now.until(last.after(MINUTE)));
            }
            self.refute_minute(now, home, model);
            return None;
        }
        let bucket = &self.accounts[home].buckets[supposed?];
        if !bucket.borne_out(now) && bucket.length().is_none_or(|length| length > MINUTE) {
            return None;
        }
        let until = bucket.window.frees(now, 1.0).filter(|_| bucket.settled(now) >= 1.0)?;
        Some(now.until(until))
    }

    /// Whom a refusal is held against: an account, and models.
    fn meant(
        &self,
        home: usize,
        model: u32,
        failure: &Failure,
        named: Option<&Reading>,
    ) -> (usize, ModelSet) {
        match (failure.scope, named) {
            (None, Some(reading)) => {
                let everybodys = reading.owner == Some(OwnerScope::Address);
                let account = if everybodys { EVERYONE } else { home };
                (account, self.models.reached(&reading.reach, model))
            }
            (None | Some(Scope::KeyModel), _) => (home, ModelSet::One(model)),
            (Some(Scope::Key | Scope::Owner), _) => (home, ModelSet::All),
            (Some(Scope::Model), _) => (EVERYONE, ModelSet::One(model)),
            (Some(Scope::Provider), _) => (EVERYONE, ModelSet::All),
        }
    }

    /// The bucket of an owner that a reading has named.
    fn named(&self, home: usize, model: u32, reading: &Reading) -> Option<usize> {
        let models = self.models.reached(&reading.reach, model);
        self.accounts[home].find(&models, reading.unit, reading.span)
    }

    /// The bucket that a refusal means which names none: the shortest that is as long as the wait, else the fullest.
    fn guess(&self, home: usize, model: u32, now: Millis, failure: &Failure) -> Option<usize> {
        let part =
            |bucket: &Bucket| bucket.limit(now).map_or(0.0, |(limit, _)| bucket.taken(now) / limit.max(1.0));
        let fits = |bucket: &Bucket| {
            let counted = !matches!(bucket.unit, LimitUnit::Concurrent | LimitUnit::Percent);
            counted && !bucket.unnamed && bucket.models.covers(model) && bucket.limit(now).is_some()
        };
        let buckets = self.accounts[home].buckets.iter().enumerate();
        let candidates: Vec<(usize, &Bucket, Duration)> = buckets
            .filter(|(_, bucket)| fits(bucket) && bucket.kind() == failure.kind && bucket.settled(now) >= 1.0)
            .filter_map(|(place, bucket)| Some((place, bucket, bucket.length()?)))
            .filter(|(.., length)| failure.retry_after.is_none_or(|wait| wait <= length.mul_f64(1.05)))
            .collect();
        let shortest = failure.retry_after.and(candidates.iter().map(|(.., length)| *length).min());
        let alike =
            candidates.into_iter().filter(|(.., length)| shortest.is_none_or(|wanted| wanted == *length));
        alike.max_by(|(_, one, _), (_, other, _)| part(one).total_cmp(&part(other))).map(|(place, ..)| place)
    }

    /// Makes calls wait after a refusal; true when it is not one of a burst.
    fn strike(
        &mut self,
        ended: &mut Ended<'_>,
        account: usize,
        models: &ModelSet,
        kind: FailureKind,
        stated: Option<Duration>,
        borne_out: bool,
    ) -> bool {
        let (now, begun) = (ended.now, ended.begun);
        let of = &mut self.accounts[account];
        if of.held_mut(models).is_none() {
            of.holds.retain(|held| !held.is_forgotten(now));
            of.holds.push(Held::new(models.clone(), now, kind));
        }
        let Some(held) = of.held_mut(models) else { return false };
        let before = (held.until, held.because);
        let fresh = held.strike(now, begun, kind, stated, borne_out);
        let hold = Hold { until: held.until, because: held.because };
        if before != (hold.until, hold.because) {
            ended.lessons.push(Lesson::Held { scope: scope_of(account, models), hold });
        }
        if account == EVERYONE || *models != ModelSet::One(ended.call.model) {
            of.watch(ended.call.model);
            of.refresh(now, None);
        }
        fresh
    }
}

/// What a bucket counts, in words.
fn what(bucket: &Bucket) -> String {
    let unit = match bucket.unit {
        LimitUnit::Requests => "calls",
        LimitUnit::Tokens => "tokens",
        LimitUnit::InputTokens => "input tokens",
        LimitUnit::OutputTokens => "output tokens",
        LimitUnit::Concurrent => "calls at a time",
        LimitUnit::Money => "USD",
        LimitUnit::Percent => "percent",
    };
    match bucket.length() {
        Some(length) => format!("{unit} in {} s", length.as_secs()),
        None => unit.to_owned(),
    }
}
