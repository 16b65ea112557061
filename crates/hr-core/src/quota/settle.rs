//! The end of a call: what it took is counted, and what it showed is learned.

use super::bare::MINUTE;
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
use crate::failure::{FailureKind, Scope};
use crate::time::Millis;
use crate::usage::Usage;

/// Clocks that differ by no more than this are held to be the same: replies take a moment, and tell whole seconds.
const SAME_CLOCK: u64 = 1_500;

/// A clock that is further off is not believed.
const WORST_CLOCK: u64 = 26 * 3_600_000;

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
pub(super) struct Ended<'a> {
    pub(super) now: Millis,
    pub(super) begun: Millis,
    pub(super) call: UnderWay,
    need: Need,
    end: End<'a>,
    pub(super) lessons: Vec<Lesson>,
}

/// Whom a hold on a set of models at an account is about.
pub(super) fn scope_of(account: usize, models: &ModelSet) -> Scope {
    match (account == EVERYONE, models) {
        (false, ModelSet::All) => Scope::Key,
        (false, _) => Scope::KeyModel,
        (true, ModelSet::All) => Scope::Provider,
        (true, _) => Scope::Model,
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
                match ended.end {
                    End::Served { .. } => {
                        bucket.edge.serve(begun, bucket.limit(now).map_or(f64::INFINITY, |(limit, _)| limit));
                        bucket.outgrow(now, begun);
                    }
                    End::Unsent => bucket.edge.take_back(begun),
                    End::Failed(_) | End::Dropped => {}
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
                if let (Some(_), Some(left)) = (reading.limit, reading.remaining) {
                    self.suspect(now, begun, (account, place), left);
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
    pub(super) fn counted_at(
        &self,
        home: usize,
        owner: Option<OwnerScope>,
    ) -> impl Iterator<Item = usize> + use<> {
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
