//! The end of a call: what it took is counted, and what it showed is learned.

use std::time::Duration;

use super::bare::MINUTE;
use super::bucket::Bucket;
use super::call::{End, Hold, Lesson, Need, Reservation, Trial};
use super::estimate::Estimate;
use super::gauge::Amounts;
use super::habit::Habit;
use super::heard::Moment;
use super::ledger::{EVERYONE, Ledger, UnderWay};
use super::models::ModelSet;
use super::reading::{Reading, Said, Source};
use super::window::{Fixed, Window};
use crate::catalog::{LimitUnit, OwnerScope};
use crate::failure::{Failure, FailureKind, Scope};
use crate::route::policy::MIN_WAIT;
use crate::time::Millis;
use crate::usage::Usage;

/// Clocks that differ by no more than this are held to be the same: replies take a moment, and tell whole seconds.
const SAME_CLOCK: u64 = 1_500;

/// A clock that is further off is not believed.
const WORST_CLOCK: u64 = 26 * 3_600_000;

/// The part of a limit by which the tokens that are used may be misjudged.
const MISJUDGED: f64 = 0.1;

/// What a call took in the end, and whether it counts as one.
struct Took {
    calls: f64,
    amounts: Amounts,
}

impl Took {
    fn of(&self, unit: LimitUnit) -> f64 {
        match unit {
            LimitUnit::Requests | LimitUnit::Concurrent => self.calls,
            unit => self.amounts.of(unit),
        }
    }

    fn by(end: &End<'_>, call: &UnderWay) -> Self {
        use FailureKind as K;
        let nothing = Amounts::default();
        let expected = call.amounts;
        let (calls, amounts) = match end {
            End::Served { usage, .. } => (1.0, reported(expected, usage)),
            End::Failed(failure) => match failure.kind {
                K::RateLimited | K::QuotaSpent => (0.0, nothing),
                // It may have worked on an answer that did not arrive.
                K::Timeout | K::Cut | K::Malformed | K::Empty => (1.0, expected),
                _ => (1.0, nothing),
            },
            End::Dropped => (1.0, Amounts { output: 0.0, ..expected }),
            End::Unsent => (0.0, nothing),
        };
        Self { calls, amounts }
    }
}

/// What was reported, or expected where nothing was.
fn reported(expected: Amounts, usage: &Usage) -> Amounts {
    let input = usage.input.map_or(expected.input, |tokens| tokens as f64);
    let output = usage.output.map_or(expected.output, |tokens| tokens as f64);
    let tokens = expected.input + expected.output;
    let cost = if tokens > 0.0 { expected.cost * (input + output) / tokens } else { expected.cost };
    Amounts { input, output, cost }
}

/// A call that has ended.
struct Ended<'a> {
    now: Millis,
    begun: Millis,
    call: UnderWay,
    need: Need,
    end: End<'a>,
    lessons: Vec<Lesson>,
}

/// Whom a hold on a set of models at an account is about.
fn scope_of(account: usize, models: &ModelSet) -> Scope {
    match (account == EVERYONE, models) {
        (false, ModelSet::All) => Scope::Key,
        (false, _) => Scope::KeyModel,
        (true, ModelSet::All) => Scope::Provider,
        (true, _) => Scope::Model,
    }
}

/// Whether a reading of a refusal says that it was this limit that refused the call.
fn is_spent(call: &UnderWay, reading: &Reading) -> bool {
    match reading.remaining {
        Some(left) => left <= 0.0 || left < call.amounts.of(reading.unit),
        None => reading.source == Source::Body,
    }
}

impl Ledger {
    /// Corrects a reservation to what the call took, and learns from its end.
    pub fn settle(&mut self, now: Millis, reservation: Reservation, end: End<'_>) -> Vec<Lesson> {
        let Some(call) = self.finish(reservation.place) else { return Vec::new() };
        let (begun, need) = (reservation.at, reservation.need);
        let mut ended = Ended { now, begun, call, need, end, lessons: Vec::new() };
        let said = match end {
            End::Served { said, .. } => Some(said),
            End::Failed(failure) => Some(&failure.said),
            End::Dropped | End::Unsent => None,
        };
        if let Some(clock) = said.and_then(|said| said.clock) {
            self.set_clock(now, clock);
        }
        let refusal = match end {
            End::Failed(failure)
                if matches!(failure.kind, FailureKind::RateLimited | FailureKind::QuotaSpent) =>
            {
                Some(failure)
            }
            _ => None,
        };
        if matches!(end, End::Served { .. }) {
            self.serve(&mut ended);
        }
        self.count(&ended);
        let unexpected = refusal.is_some_and(|failure| self.seemed_to_have_room(&ended, failure));
        if let Some(said) = said {
            self.hear(&mut ended, said, refusal.is_some());
        }
        if let Some(failure) = refusal {
            self.refuse(&mut ended, failure, unexpected);
        }
        self.end_trial(&ended, refusal.is_some());
        for account in self.accounts_of(call.key) {
            // Nobody looks at everybody's account while nothing is counted there.
            if account != EVERYONE || !self.accounts[EVERYONE].is_blank() {
                self.accounts[account].watch(call.model);
                self.accounts[account].refresh(now, Some(call.model));
            }
        }
        ended.lessons
    }

    /// Takes note of what the provider's clock shows.
    fn set_clock(&mut self, now: Millis, clock: Millis) {
        // It told whole seconds: the middle of this one.
        let theirs = clock.0.saturating_add(500);
        let off = now.0.abs_diff(theirs);
        let ahead = i64::try_from(theirs).unwrap_or(0) - i64::try_from(now.0).unwrap_or(0);
        if off > WORST_CLOCK || ahead.abs_diff(self.ahead) <= SAME_CLOCK {
            return;
        }
        self.ahead = if off <= SAME_CLOCK { 0 } else { ahead };
        for account in &mut self.accounts {
            let mut moved = false;
            for bucket in &mut account.buckets {
                moved |= bucket.window.shift(now, self.ahead);
            }
            if moved {
                account.refresh(now, None);
            }
        }
    }

    /// Counts what the call took in place of what was reserved.
    fn count(&mut self, ended: &Ended<'_>) {
        let Ended { now, begun, call, .. } = *ended;
        let took = Took::by(&ended.end, &call);
        for account in self.accounts_of(call.key) {
            let buckets = self.accounts[account].buckets.iter_mut();
            for bucket in buckets.filter(|bucket| bucket.models.covers(call.model)) {
                let unit = bucket.unit;
                bucket.settle(now, begun, call.amounts.of(unit), took.of(unit));
                if matches!(ended.end, End::Served { .. }) {
                    bucket.edge.serve(begun, bucket.limit(now).map_or(f64::INFINITY, |(limit, _)| limit));
                    bucket.outgrow(now, begun);
                }
            }
        }
    }

    /// The call served: what said that there was no room for it is disproved.
    fn serve(&mut self, ended: &mut Ended<'_>) {
        let Ended { now, begun, call, end, need, .. } = *ended;
        let End::Served { usage, .. } = end else { return };
        let place = call.model as usize;
        if self.estimates.len() <= place && place < self.models.len() {
            self.estimates.resize(place + 1, Estimate::default());
        }
        if let Some(estimate) = self.estimates.get_mut(place) {
            let before = *estimate;
            estimate.learn(&need, usage);
            if *estimate != before && !self.learned.contains(&call.model) {
                self.learned.push(call.model);
            }
        }
        let home = self.home(call.key);
        let joint = self.accounts[home].joint;
        let sure = self.sure_joint(home).is_some();
        let mut stranger = false;
        let tokens = reported(call.amounts, usage);
        for account in self.accounts_of(call.key) {
            let of = &mut self.accounts[account];
            let mut free = None;
            of.holds.retain(|held| {
                let ends = held.models.covers(call.model) && held.ends_by(begun);
                if ends {
                    of.changed = true;
                    free = Some(scope_of(account, &held.models));
                }
                !ends
            });
            for bucket in of.buckets.iter_mut().filter(|bucket| bucket.models.covers(call.model)) {
                let tried = bucket.trial_from.is_none() && call.trial == Some(Trial::Limit);
                let since = bucket.claim.filter(|claim| claim.since < begun);
                if tried && bucket.is_over_early(now, begun) {
                    continue;
                }
                // It may have arrived when the span had ended.
                let in_time = !bucket.is_late(begun);
                if in_time && (tried || since.is_some() && begun >= bucket.window.began(now)) {
                    // Calls are countable, and what fills evenly may have had room for one more.
                    let exact =
                        bucket.unit == LimitUnit::Requests && !matches!(bucket.window, Window::Draining(_));
                    stranger |= Some(account) == joint && (exact || !sure);
                    let (lies, doubted_until) = (bucket.lies, bucket.doubted_until);
                    bucket.disproved(now);
                    // How much a call takes may be misjudged, and who is one: the provider's word is not doubted for it.
                    if Some(account) == joint || bucket.unit != LimitUnit::Requests {
                        (bucket.lies, bucket.doubted_until) = (lies, doubted_until);
                    }
                    free = free.or(since.map(|_| scope_of(account, &bucket.models)));
                }
            }
            ended.lessons.extend(free.map(|scope| Lesson::Free { scope }));
            let mut patterns = Vec::new();
            for habit in of.habits.iter_mut().filter(|habit| habit.models.covers(call.model)) {
                let pattern = habit.serve(begun, tokens.input + tokens.output);
                patterns.extend(pattern.map(|pattern| (habit.models.clone(), pattern)));
            }
            if Some(account) != joint && account != EVERYONE {
                let alone = ModelSet::One(call.model);
                if !of.habits.iter().any(|habit| habit.models == alone) {
                    let mut habit = Habit::new(alone);
                    habit.serve(begun, tokens.input + tokens.output);
                    of.habits.push(habit);
                }
            }
            for (models, pattern) in patterns {
                self.learn(ended, account, models, pattern);
            }
        }
        if let Some(joint) = joint {
            let soon = self.unions.get(&joint).is_some_and(|union| union.is_disproved_by(home, begun, now));
            if stranger && sure {
                self.contradict(now, home, &mut ended.lessons);
            } else if stranger || soon {
                self.part(ended.now, home, &mut ended.lessons);
            }
        }
    }

    /// Makes a bucket of the limit that refusals have shown, unless one explains them.
    fn learn(
        &mut self,
        ended: &mut Ended<'_>,
        account: usize,
        models: ModelSet,
        pattern: super::habit::Pattern,
    ) {
        let (now, model) = (ended.now, ended.call.model);
        let known = self.accounts[account].buckets.iter().any(|bucket| {
            let near = bucket.length().is_some_and(|length| {
                length.as_secs_f64() >= pattern.lasts.as_secs_f64() * 0.5
                    && length.as_secs_f64() <= pattern.lasts.as_secs_f64() * 2.0
            });
            bucket.models.covers(model) && near && bucket.hard_limit(now).is_some()
        });
        let span = super::calendar::span_of(pattern.lasts);
        let found = self.accounts[account].find(&models, pattern.unit, span);
        let taken =
            found.is_some_and(|place| self.accounts[account].buckets[place].hard_limit(now).is_some());
        // By such lengths nobody counts: it is how often calls came.
        let odd = span.is_none() && pattern.lasts > MINUTE;
        if known || taken || odd {
            return;
        }
        let place = found.or_else(|| self.open(now, account, models, pattern.unit, span, None));
        let Some(place) = place else { return };
        let bucket = &mut self.accounts[account].buckets[place];
        // What lasts nearly a minute lasts a minute: it was told in whole seconds.
        let lasts = span.and_then(super::calendar::length).unwrap_or(pattern.lasts);
        let mut fixed = Fixed::going(Some(lasts), pattern.began, pattern.began.after(lasts));
        fixed.aligned = true;
        bucket.window = Window::Fixed(fixed);
        if pattern.unit == LimitUnit::Requests {
            bucket.window.add(now, now, bucket.under_way);
        }
        // The one that has just served has not been counted yet.
        bucket.reserve(now, ended.call.amounts.of(pattern.unit));
        bucket.set_limit(Source::Refusals, Some(pattern.limit.floor().max(1.0)));
        let (limit, seconds) = (pattern.limit.floor(), pattern.lasts.as_secs());
        let what = if pattern.unit == LimitUnit::Requests { "calls" } else { "tokens" };
        ended.lessons.push(Lesson::Told(format!("seems to allow {limit} {what} in {seconds} s")));
    }

    /// Whether there was room for a call, by a limit that had been named, in that which its refusal says to be used up:
    /// by more than what tokens may be misjudged by.
    fn seemed_to_have_room(&self, ended: &Ended<'_>, failure: &Failure) -> bool {
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

    /// Takes in what the reply said of limits.
    fn hear(&mut self, ended: &mut Ended<'_>, said: &Said, refused: bool) {
        let Ended { now, begun, call, .. } = *ended;
        let took = Took::by(&ended.end, &call);
        let moment = Moment { now, begun, calls: took.calls };
        let home = self.home(call.key);
        let mut heard: Vec<(usize, usize)> = Vec::new();
        let mut strange = false;
        for reading in &said.readings {
            let mut reading = reading.clone();
            if refused && reading.source == Source::Body && reading.remaining.is_none() {
                reading.remaining = Some(0.0);
            }
            for account in self.counted_at(home, reading.owner) {
                let Some(place) = self.bucket_of(moment, account, &reading, (call.model, &took)) else {
                    continue;
                };
                let bucket = &mut self.accounts[account].buckets[place];
                // That it is gone was learned by counting; how much there was is not what is said here.
                let taught = matches!(bucket.limit(now), Some((_, Source::Refusals)));
                if refused && taught && reading.source == Source::Body && reading.limit.is_none() {
                    heard.push((account, place));
                    continue;
                }
                bucket.tells_end |= !refused && reading.reset.is_some();
                // When to come again may be all that it says; that is looked at with the refusal.
                if refused && reading.span.is_none() && !bucket.tells_end {
                    reading.reset = None;
                }
                strange |= account != home && account != EVERYONE && Self::contradicts(now, bucket, &reading);
                bucket.hear(moment, &reading);
                if let (Some(limit), Some(left)) = (reading.limit, reading.remaining) {
                    self.suspect(now, begun, (account, place), limit - left);
                }
                heard.push((account, place));
            }
        }
        if strange && !refused {
            self.contradict(now, home, &mut ended.lessons);
        }
        for account in self.accounts_of(call.key) {
            let mut others = false;
            for place in 0..self.accounts[account].buckets.len() {
                let bucket = &mut self.accounts[account].buckets[place];
                if !bucket.models.covers(call.model) {
                    continue;
                }
                if !heard.contains(&(account, place)) {
                    bucket.unmentioned(now);
                }
                others |= !matches!(bucket.models, ModelSet::One(_));
                let fresh = bucket.observe(now);
                if fresh && !refused && bucket.kind() == FailureKind::QuotaSpent {
                    let scope = scope_of(account, &bucket.models);
                    let until = bucket.window.frees(now, 1.0).unwrap_or(now);
                    let hold = Hold { until, because: FailureKind::QuotaSpent };
                    ended.lessons.push(Lesson::Held { scope, hold });
                }
            }
            if others {
                self.accounts[account].refresh(now, None);
            }
        }
    }

    /// The accounts that a reading of a call from `home` is about.
    fn counted_at(&self, home: usize, owner: Option<OwnerScope>) -> impl Iterator<Item = usize> + use<> {
        let everybodys = owner == Some(OwnerScope::Address);
        let own = if everybodys { EVERYONE } else { home };
        let joint = self.accounts[home].joint.filter(|_| !everybodys);
        std::iter::once(own).chain(joint)
    }

    /// The bucket that a reading is about; in a new one, the call that has just ended counts.
    fn bucket_of(
        &mut self,
        Moment { now, begun, .. }: Moment,
        account: usize,
        reading: &Reading,
        (model, took): (u32, &Took),
    ) -> Option<usize> {
        let models = self.models.reached(&reading.reach, model);
        let found = self.accounts[account].find(&models, reading.unit, reading.span);
        if found.is_some() {
            return found;
        }
        let place = self.open(now, account, models, reading.unit, reading.span, reading.owner)?;
        let amount = took.of(reading.unit);
        let window = &mut self.accounts[account].buckets[place].window;
        if amount > 0.0 && !matches!(reading.unit, LimitUnit::Concurrent | LimitUnit::Percent) {
            window.add(now, now, amount);
            // Its span began with the call at the latest.
            if let Window::Fixed(fixed) = window {
                fixed.began = fixed.began.min(begun);
            }
        }
        Some(place)
    }

    /// The call was refused because a quota is used up, as far as the provider knows.
    fn refuse(&mut self, ended: &mut Ended<'_>, failure: &Failure, unexpected: bool) {
        let Ended { now, call, .. } = *ended;
        let home = self.home(call.key);
        let named: Vec<&Reading> =
            failure.said.readings.iter().filter(|reading| is_spent(&call, reading)).collect();
        let (account, models) = self.meant(home, call.model, failure, named.first().copied());
        // Where several are used up, the one that lasts longest is what calls wait for.
        let buckets: Vec<usize> =
            named.iter().filter_map(|reading| self.named(home, call.model, reading)).collect();
        // Who says only what is counted, and not how much there is, has named no limit.
        let nameless = named.iter().all(|reading| reading.limit.is_none())
            && buckets.iter().all(|place| {
                let bucket = &self.accounts[home].buckets[*place];
                bucket.unnamed || matches!(bucket.limit(now), None | Some((_, Source::Refusals)))
            });
        let mut guessed = nameless.then(|| self.guess(home, call.model, now, failure)).flatten();
        let mut stated = failure.retry_after;
        // Where the limit itself does not say when it is whole again, the wait does.
        for reading in &named {
            let Some(ends) = reading.reset.or(stated.map(|wait| now.after(wait))) else { continue };
            for account in self.counted_at(home, reading.owner) {
                let place = self.named(account, call.model, reading);
                let silent = |place: &usize| !self.accounts[account].buckets[*place].tells_end;
                if let Some(place) =
                    place.filter(|place| reading.reset.is_none() || reading.span.is_none() && silent(place))
                {
                    self.see_end(now, ended.begun, (account, place), ends);
                }
            }
        }
        let bare = named.is_empty() && stated.is_none() && account == home;
        if bare && failure.kind == FailureKind::RateLimited {
            let full = guessed.is_some_and(|place| self.accounts[home].buckets[place].borne_out(now));
            if !full && self.takes_places(now, ended.begun, home, &mut ended.lessons) {
                return;
            }
            guessed = guessed.or_else(|| self.last_minute(now, ended.begun, home, &call));
        }
        let mut sighted = None;
        let mut sibling = None;
        if let Some(until) = stated.map(|wait| now.after(wait)).filter(|_| nameless && account == home) {
            let taught = guessed.is_none_or(|place| self.accounts[home].buckets[place].sight.is_some());
            if let Some(joint) = self.sure_joint(home).filter(|_| taught) {
                self.see_together(now, ended.begun, joint, &call, until);
            } else if taught {
                sibling = self.sibling(now, ended.begun, home, &call, until);
                sighted = self.sight(now, ended.begun, home, &call, until);
            }
            match guessed.filter(|_| sighted.is_none()) {
                Some(place) => self.align(now, home, call.model, place, until),
                None => guessed = sighted,
            }
        }
        // What we work out ourselves is less exact than what a provider says.
        let worked_out = |wait: Duration| wait.max(MIN_WAIT);
        if bare {
            stated = self.bare_wait(now, home, call.model, guessed).map(worked_out);
        }
        if stated.is_none() {
            let ends =
                buckets.iter().filter_map(|place| self.accounts[home].buckets[*place].window.ends(now));
            stated = ends.max().map(|ends| worked_out(now.until(ends)));
        }
        let place = guessed.or(buckets.first().copied());
        let bucket = place.map(|place| &self.accounts[home].buckets[place]);
        let borne_out = bucket.is_some_and(|bucket| bucket.borne_out(now));
        let stated_until = stated.map(|wait| now.after(wait));
        let fresh = self.strike(ended, account, &models, failure.kind, stated, borne_out);
        // Who is one waits for the same, where nothing else tells what for.
        if let Some(joint) = self.sure_joint(home).filter(|_| account == home && nameless) {
            self.strike(ended, joint, &models, failure.kind, stated, borne_out);
        }
        if !fresh {
            if let Some(place) = guessed {
                self.accounts[home].buckets[place].refused_again(now);
            }
            return;
        }
        // It was said that somebody else had used it up, and it was tried whether that was so: it was.
        let surprised = place.is_some_and(|place| self.accounts[home].buckets[place].surprised);
        let expected = call.trial == Some(Trial::Limit) && surprised;
        if let Some(sibling) = sibling {
            self.bind(now, home, sibling, &models, &mut ended.lessons);
        }
        let joined = sibling.is_some()
            || account == home
                && !expected
                && (!borne_out || unexpected)
                && self.join(ended.now, home, &models, (place, unexpected), &mut ended.lessons);
        if let Some((joint, until)) =
            self.accounts[home].joint.zip(stated_until).filter(|_| joined && nameless)
        {
            self.see_together(now, ended.begun, joint, &call, until);
        }
        // A limit that was named need not show by habit.
        for account in [Some(account), self.accounts[home].joint]
            .into_iter()
            .flatten()
            .filter(|_| nameless && stated_until.is_some())
        {
            let habits = self.accounts[account].habits.iter_mut();
            habits
                .filter(|habit| habit.models.covers(call.model))
                .for_each(|habit| habit.refuse(now, stated_until));
        }
        if joined || account != home {
            return;
        }
        if let Some(place) = guessed {
            let bucket = &mut self.accounts[home].buckets[place];
            let before = bucket.limit(now);
            if sighted.is_some() {
                bucket.trial_over(now);
            } else {
                bucket.refused(now);
            }
            if let (Some((limit, source)), true) = (bucket.limit(now), bucket.limit(now) != before) {
                debug_assert!(source != Source::Catalog);
                ended
                    .lessons
                    .push(Lesson::Told(format!("seems to allow no more than {limit:.0} {}", what(bucket))));
            }
        } else {
            for place in buckets {
                self.accounts[home].buckets[place].trial_over(now);
            }
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
            of.holds.push(super::held::Held::new(models.clone(), now, kind));
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

    /// Settles what the call was to try.
    fn end_trial(&mut self, ended: &Ended<'_>, refused: bool) {
        let Ended { now, call, .. } = *ended;
        let Some(trial) = call.trial else { return };
        let served = matches!(ended.end, End::Served { .. });
        for account in self.accounts_of(call.key) {
            let account = &mut self.accounts[account];
            for bucket in account.buckets.iter_mut().filter(|bucket| bucket.models.covers(call.model)) {
                match trial {
                    Trial::Limit if bucket.trial_from.is_none() && refused => bucket.trial_over(now),
                    Trial::Limit if bucket.trial_from.is_none() => bucket.trial_from = Some(now),
                    Trial::Claim if !served && !refused => {
                        if let Some(claim) = &mut bucket.claim {
                            claim.untested(now);
                        }
                    }
                    _ => {}
                }
            }
            if trial == Trial::Claim && !served && !refused {
                let holds = account.holds.iter_mut().filter(|held| held.models.covers(call.model));
                holds.for_each(|held| held.claim.untested(now));
            }
        }
        if trial == Trial::Limit && !refused {
            self.trials.give_back();
        }
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
