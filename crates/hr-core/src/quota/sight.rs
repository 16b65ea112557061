//! What a refusal shows that tells when to come again, but not of which limit.
//!
//! How much was served until then, and how long before the end that was told it began, is a first guess at a limit and
//! its span. The next refusal after that end tells which of three it is: as much was served again, and a span begins
//! with its first call; less was, but in the last span it was just as much, and the span rolls; or less was, and spans
//! follow each other by the clock.

use std::cmp::Reverse;
use std::time::Duration;

use super::bucket::Bucket;
use super::calendar::LONGEST;
use super::habit::LEAST_LOG;
use super::ledger::{EVERYONE, Ledger, UnderWay};
use super::models::ModelSet;
use super::reading::Source;
use super::window::{Fixed, Rolling, Window};
use crate::catalog::LimitUnit;
use crate::time::Millis;

/// The longest span that is supposed at sight where nothing is told but its end: so short a one is used from its
/// beginning, and what was served in it is known.
const AT_SIGHT: Duration = Duration::from_secs(15);

/// How long ago a call may be that is supposed to be of the same span.
const LATELY: Duration = Duration::from_secs(60);

/// A span is supposed to be longer than it seemed by no more than this.
const LONGER: f64 = 1.25;

/// A span that is as much shorter is another one.
const SHORTER: f64 = 0.75;

/// How many milliseconds a call takes to arrive, where that is soon.
const ARRIVES: u32 = 5;

/// The part of a limit that is used beyond what was sent since an end, which makes it doubtful.
const MORE: f64 = 0.2;

/// With how many others an owner is compared whose refusals nothing else explains: those who were told to wait last.
const MOST_COMPARED: usize = 16;

/// What waits are often told in.
const WHOLE_SECOND: Duration = Duration::from_secs(1);

/// Two amounts are the same when they differ by no more than this part, or by one.
const ALIKE: f64 = 0.1;

/// What the refusals before have shown.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Past {
    /// When to come again, as they told, or when the span began that went on until now, if that is later.
    ends: Millis,
    amount: f64,
    length: Duration,
    rolls: bool,
}

/// What a bucket's refusals have shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sight {
    /// When the first of those that met the same end came.
    at: Millis,
    /// When to come again, as the last of them told.
    ends: Millis,
    /// What was known before the last of them: several calls may meet the same end.
    past: Option<Past>,
}

/// A limit, as a refusal shows it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Shown {
    /// So much from this instant until the end that was told.
    Span { began: Millis, length: Duration, amount: f64, aligned: bool },
    /// So much in any time this long.
    Rolling { length: Duration, amount: f64 },
    /// Nothing, but that it goes on until the end that was told.
    Later,
}

fn alike(one: f64, other: f64) -> bool {
    (one - other).abs() <= (other * ALIKE).max(1.0)
}

/// Whether an end seems to be told in whole seconds, as a wait or as an instant.
fn is_rounded(now: Millis, ends: Millis) -> bool {
    now.until(ends).subsec_millis() <= 1 || ends.0 % 1000 <= 1
}

/// What a refusal at `now` shows, given when the calls were begun that count, and how much there is where that is named.
fn show(now: Millis, log: &[Millis], ends: Millis, past: Option<Past>, named: Option<f64>) -> Option<Shown> {
    let since = |at: Millis| log.len() - log.partition_point(|begun| *begun < at);
    // The last so many calls, from the first of them on.
    let last = |amount: f64| {
        let began = *log.get(log.len().saturating_sub((amount as usize).max(1)))?;
        Some((began, began.until(ends)))
    };
    let Some(past) = past else {
        let lately = since(Millis(now.0.saturating_sub(LATELY.as_millis() as u64)));
        // Spans last whole seconds: where waits are told to the millisecond, the call shows that one began with.
        let whole =
            |at: &&Millis| at.until(ends).subsec_millis() <= ARRIVES && at.until(ends) >= WHOLE_SECOND;
        let rounded = is_rounded(now, ends);
        let calls = log[log.len() - lately..].iter().rev().filter(|_| !rounded);
        let first = calls.into_iter().find(whole).map(|at| since(*at));
        let (began, length) = last(named.unwrap_or(first.unwrap_or(lately) as f64))?;
        return Some(Shown::Span { began, length, amount: since(began) as f64, aligned: false });
    };
    let before = |at: Millis| since(Millis(at.0.saturating_sub(past.length.as_millis() as u64))) as f64;
    if past.rolls {
        let within = before(now);
        if within + 0.5 >= past.amount {
            return Some(Shown::Later);
        }
        // Either what was used comes back later, or less is allowed.
        let (_, length) = last(past.amount)?;
        if named.is_some() || length <= past.length.mul_f64(LONGER) {
            return Some(Shown::Rolling { length: length.min(past.length * 2), amount: past.amount });
        }
        return Some(Shown::Rolling { length: past.length, amount: within.max(1.0) });
    }
    let again = since(past.ends) as f64;
    let lately = [before(ends), before(now)].into_iter();
    let within = lately.filter(|within| *within > again).find(|within| alike(*within, past.amount));
    // Of a span that was told in whole seconds there may be as much in a little less.
    let age = |place: usize| log.iter().rev().nth(place).map(|at| at.until(now));
    let place = past.amount as usize;
    let counts = place > 0 && age(place - 1).is_some_and(|age| age < past.length);
    let exactly = age(place).filter(|_| counts).map(|age| age.min(past.length));
    let exactly = exactly.filter(|length| past.length.saturating_sub(*length) < WHOLE_SECOND);
    let exactly = exactly.filter(|_| within.is_none() && is_rounded(now, ends) && past.amount > again);
    if let Some(length) = exactly {
        return Some(Shown::Rolling { length, amount: past.amount });
    }
    let whole = last(again).filter(|_| again > 0.0 && again + 1.0 >= past.amount * (1.0 - ALIKE));
    // One that ends so much sooner than the last is none.
    let whole = whole.filter(|(_, length)| within.is_none() || *length >= past.length.mul_f64(SHORTER));
    if let Some((began, length)) = whole {
        // A wait that is told in whole seconds may seem longer; one that goes on after the supposed end is longer.
        let rounded = length.saturating_sub(past.length) < WHOLE_SECOND && now < began.after(past.length);
        let length = if rounded { length.min(past.length) } else { length };
        return Some(Shown::Span { began, length, amount: again, aligned: false });
    }
    if let Some(within) = within {
        return Some(Shown::Rolling { length: past.length, amount: within.min(past.amount) });
    }
    if again < 1.0 || named.is_some() {
        return Some(Shown::Later);
    }
    Some(Shown::Span { began: past.ends, length: past.ends.until(ends), amount: again, aligned: true })
}

impl Ledger {
    /// When the calls of an account to some models were begun that have served, and those before this one that may yet.
    fn log_of(&self, account: usize, models: &ModelSet, begun: Millis) -> Vec<Millis> {
        let members = self.unions.get(&account).map(|union| union.members.as_slice()).unwrap_or_default();
        let members = || members.iter().map(|(member, ..)| *member);
        let is_one = |other: usize| other == account || members().any(|member| member == other);
        let accounts = members().chain([account]).map(|place| &self.accounts[place]);
        let habits = accounts.flat_map(|account| &account.habits);
        let habits =
            habits.filter(|habit| matches!(habit.models, ModelSet::One(model) if models.covers(model)));
        let served = habits.flat_map(|habit| habit.log());
        let calls = self.under_way.iter().flatten();
        let calls = calls.filter(|other| models.covers(other.model) && other.at <= begun);
        let under_way = calls.filter(|other| is_one(self.home(other.key))).map(|other| other.at);
        let mut log: Vec<Millis> = served.chain(under_way).collect();
        log.sort_unstable();
        log
    }

    /// When calls of an account to some models were begun after this one that are under way. What they tell is not known,
    /// but they count.
    fn later_than(&self, begun: Millis, account: usize, models: &ModelSet) -> Vec<Millis> {
        let of = |call: &&UnderWay| {
            models.covers(call.model) && self.accounts_of(call.key).any(|one| one == account)
        };
        let calls = self.under_way.iter().flatten().filter(|call| call.at > begun);
        calls.filter(of).map(|call| call.at).collect()
    }

    /// The bucket that shows what refusals which name no limit are about, with what this one shows; none where that is
    /// a long time, or nothing was served.
    pub(super) fn sight(
        &mut self,
        now: Millis,
        begun: Millis,
        account: usize,
        call: &UnderWay,
        ends: Millis,
    ) -> Option<usize> {
        let alone = ModelSet::One(call.model);
        let log = self.log_of(account, &alone, begun);
        let found = self.accounts[account].find(&alone, LimitUnit::Requests, None);
        let known = found.map(|place| &self.accounts[account].buckets[place]);
        if known.is_some_and(|bucket| bucket.named(now).is_some()) {
            return None;
        }
        let Some(Shown::Span { length, .. }) = show(now, &log, ends, None, None) else { return None };
        if length > AT_SIGHT && known.is_none_or(|bucket| bucket.sight.is_none()) {
            return None;
        }
        let place = match found {
            Some(place) => place,
            None => self.open(now, account, alone, LimitUnit::Requests, None, None)?,
        };
        let bucket = &mut self.accounts[account].buckets[place];
        if bucket.unnamed {
            bucket.set_limit(Source::Body, None);
            bucket.unnamed = false;
        }
        self.see((now, begun), (account, place), &log, ends);
        Some(place)
    }

    /// Another owner with whom this one has used as much before this refusal as before the last, while alone it has not.
    pub(super) fn sibling(
        &self,
        now: Millis,
        begun: Millis,
        home: usize,
        call: &UnderWay,
        ends: Millis,
    ) -> Option<usize> {
        let alone = ModelSet::One(call.model);
        let bucket = |account: usize| {
            let place = self.accounts[account].find(&alone, LimitUnit::Requests, None)?;
            Some(&self.accounts[account].buckets[place])
        };
        let others = || (0..self.accounts.len()).filter(|other| *other != home && *other != EVERYONE);
        // Nobody else's span ends at the same instant by chance.
        if !is_rounded(now, ends) {
            let same = others().find(|other| {
                let sight = bucket(*other).and_then(|theirs| theirs.sight).filter(|sight| now < sight.ends);
                let same = sight.is_some_and(|sight| sight.ends.0.abs_diff(ends.0) <= u64::from(ARRIVES));
                same && self.may_be_one(now, home, *other)
            });
            if same.is_some() {
                return same;
            }
        }
        let own = bucket(home)?;
        let sight = own.sight.filter(|sight| sight.ends <= now)?;
        let length = own.length()?;
        let count = |log: &[Millis], from: Millis, to: Millis| {
            log.iter().filter(|at| (from..=to).contains(*at)).count()
        };
        let twice = |log: &[Millis], length: Duration| {
            let from = Millis(sight.ends.0.saturating_sub(length.as_millis() as u64));
            (count(log, from, sight.at), count(log, sight.ends, now))
        };
        let log = self.log_of(home, &alone, begun);
        let (before, again) = twice(&log, length);
        if before == again {
            return None;
        }
        // To look at all of many keys with each refusal would take long.
        let mut known: Vec<(Option<Millis>, usize, Duration)> = others()
            .filter_map(|other| {
                let theirs = bucket(other)?;
                Some((theirs.sight.map(|sight| sight.ends), other, theirs.length()?))
            })
            .collect();
        known.sort_unstable_by_key(|(ends, other, _)| (Reverse(*ends), *other));
        let mut latest = known.into_iter().take(MOST_COMPARED);
        let found = latest.find(|(_, other, theirs)| {
            let mut both = [log.as_slice(), &self.log_of(*other, &alone, begun)].concat();
            both.sort_unstable();
            let (before, again) = twice(&both, length.max(*theirs));
            before == again && before > 1 && self.may_be_one(now, home, *other)
        });
        found.map(|(_, other, _)| other)
    }

    /// The same for those who seem to be one: what each of them had shown alone is of no use any more.
    pub(super) fn see_together(
        &mut self,
        now: Millis,
        begun: Millis,
        joint: usize,
        call: &UnderWay,
        ends: Millis,
    ) {
        let members = self.unions.get(&joint).map(|union| union.members.clone()).unwrap_or_default();
        let alone = ModelSet::One(call.model);
        let mut first = false;
        for (member, ..) in members {
            let Some(place) = self.accounts[member].find(&alone, LimitUnit::Requests, None) else { continue };
            let bucket = &mut self.accounts[member].buckets[place];
            if bucket.sight.take().is_some() {
                first = true;
                bucket.set_limit(Source::Refusals, None);
                self.accounts[member].refresh(now, Some(call.model));
            }
        }
        let place = self.accounts[joint].find(&alone, LimitUnit::Requests, None);
        if let Some(place) = place.filter(|_| first) {
            self.accounts[joint].buckets[place].sight = None;
        }
        self.sight(now, begun, joint, call, ends);
        self.accounts[joint].refresh(now, Some(call.model));
    }

    /// Takes in when to come again, for a bucket of which the limit is named but never its end.
    pub(super) fn see_end(
        &mut self,
        now: Millis,
        begun: Millis,
        (account, place): (usize, usize),
        ends: Millis,
    ) {
        let bucket = &self.accounts[account].buckets[place];
        let countable = bucket.unit == LimitUnit::Requests && bucket.span.is_none();
        if !countable || bucket.named(now).is_none() {
            let ends = ends.min(now.after(LONGEST));
            return self.accounts[account].buckets[place].end_as_said(now, ends);
        }
        let log = self.log_of(account, &bucket.models, begun);
        self.see((now, begun), (account, place), &log, ends);
    }

    /// Takes a limit for one that rolls, if so little is said to be left after the end of a span that more is used than
    /// was sent since, and just as much was served in the time that a span lasts, or more than is remembered.
    pub(super) fn suspect(
        &mut self,
        now: Millis,
        begun: Millis,
        (account, place): (usize, usize),
        left: f64,
    ) {
        let bucket = &self.accounts[account].buckets[place];
        let (Window::Fixed(fixed), Some(sent)) = (&bucket.window, bucket.edge.sent()) else { return };
        let (Some(limit), Some(length)) = (bucket.named(now), bucket.length()) else { return };
        let used = limit - left.min(limit).max(0.0);
        let more = used - f64::from(sent);
        if fixed.cycle.is_some() || bucket.unit != LimitUnit::Requests || more < (limit * MORE).max(1.0) {
            return;
        }
        let log = self.log_of(account, &bucket.models, begun);
        let since = Millis(begun.0.saturating_sub(length.as_millis() as u64));
        let within = log.iter().filter(|at| **at > since).count();
        // Of many calls not all are remembered.
        let cut_off = within == log.len() && within >= LEAST_LOG;
        if alike(within as f64, used) || cut_off && used > within as f64 {
            let later = self.later_than(begun, account, &bucket.models);
            let bucket = &mut self.accounts[account].buckets[place];
            bucket.pace.rolls = true;
            bucket.roll(now, length, &log);
            bucket.window.set(now, bucket.window.used(now).max(used));
            bucket.count_again(now, &later);
        }
    }

    fn see(
        &mut self,
        (now, begun): (Millis, Millis),
        (account, place): (usize, usize),
        log: &[Millis],
        ends: Millis,
    ) {
        let later = self.later_than(begun, account, &self.accounts[account].buckets[place].models);
        let bucket = &mut self.accounts[account].buckets[place];
        let ends = ends.min(now.after(LONGEST));
        let past = match bucket.sight {
            // Another call of those that meet the same end.
            Some(sight) if now < sight.ends => sight.past,
            Some(sight) => bucket.length().zip(bucket.limit(now)).map(|(length, (amount, _))| Past {
                ends: bucket.span_began().map_or(sight.ends, |began| began.max(sight.ends)),
                amount,
                length,
                rolls: matches!(bucket.window, Window::Rolling(_)),
            }),
            None => None,
        };
        let named = bucket.named(now);
        let first = bucket.sight.filter(|sight| now < sight.ends).map_or(now, |sight| sight.at);
        bucket.sight = Some(Sight { at: first, ends, past });
        bucket.edge.refuse();
        match show(now, log, ends, past, named) {
            Some(Shown::Span { began, length, amount, aligned }) => {
                let mut fixed = Fixed::going(Some(length), began, ends);
                fixed.aligned = aligned;
                bucket.window = Window::Fixed(fixed);
                bucket.window.set(now, amount);
                bucket.count_again(now, &later);
                bucket.edge.tell();
                bucket.guessed = None;
                if named.is_none() {
                    bucket.set_limit(Source::Refusals, Some(amount.max(1.0)));
                }
            }
            Some(Shown::Rolling { length, amount }) => {
                bucket.roll(now, length, log);
                bucket.count_again(now, &later);
                if named.is_none() {
                    bucket.set_limit(Source::Refusals, Some(amount));
                }
            }
            Some(Shown::Later) | None => {
                if matches!(bucket.window, Window::Fixed(_)) {
                    bucket.end_as_said(now, ends);
                }
            }
        }
    }
}

impl Bucket {
    /// Makes the window one that rolls, in which these calls count.
    fn roll(&mut self, now: Millis, length: Duration, log: &[Millis]) {
        self.window = Window::Rolling(Rolling::new(length));
        self.count_again(now, log);
        self.guessed = None;
    }

    /// Counts calls in a window that is new.
    fn count_again(&mut self, now: Millis, calls: &[Millis]) {
        for at in calls {
            self.window.add(now, self.arrival(*at), 1.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Duration = Duration::from_secs(3);

    fn log(at: &[u64]) -> Vec<Millis> {
        at.iter().map(|at| Millis(*at)).collect()
    }

    fn past(ends: u64, amount: f64) -> Option<Past> {
        Some(Past { ends: Millis(ends), amount, length: SPAN, rolls: false })
    }

    #[test]
    fn the_first_shows_how_much_was_served_in_how_long() {
        let shown = show(Millis(1500), &log(&[1000, 1100, 1200]), Millis(4000), None, None);
        let span = Shown::Span { began: Millis(1000), length: SPAN, amount: 3.0, aligned: false };
        assert_eq!(shown, Some(span));
        assert_eq!(show(Millis(1500), &[], Millis(4000), None, None), None);
        // Of a limit that is named no more than that counts.
        let shown = show(Millis(1500), &log(&[100, 1000, 1100, 1200]), Millis(4000), None, Some(3.0));
        assert_eq!(shown, Some(span));
    }

    #[test]
    fn as_much_again_confirms_it() {
        let calls = log(&[1000, 1100, 1200, 4200, 4300, 4400]);
        let shown = show(Millis(4500), &calls, Millis(7200), past(4000, 3.0), None);
        let span = Shown::Span { began: Millis(4200), length: SPAN, amount: 3.0, aligned: false };
        assert_eq!(shown, Some(span));
        // In whole seconds.
        let shown = show(Millis(4500), &calls, Millis(7900), past(4000, 3.0), None);
        assert_eq!(shown, Some(span));
        // Refused after the end that was supposed, it lasts longer.
        let shown = show(Millis(7300), &calls, Millis(7900), past(4000, 3.0), None);
        let longer = Duration::from_millis(3700);
        let span = Shown::Span { began: Millis(4200), length: longer, amount: 3.0, aligned: false };
        assert_eq!(shown, Some(span));
    }

    #[test]
    fn less_again_but_as_much_in_the_last_span_rolls() {
        let calls = log(&[1000, 1100, 1500, 1900, 2100, 2300, 2500, 2700, 4000, 4105]);
        let shown = show(Millis(4110), &calls, Millis(4500), past(4000, 8.0), None);
        assert_eq!(shown, Some(Shown::Rolling { length: SPAN, amount: 8.0 }));
    }

    #[test]
    fn less_again_and_in_the_last_span_is_what_there_is_from_end_to_end() {
        let calls = log(&[100, 200, 300, 400, 500, 600, 700, 800, 4000, 4105, 4110]);
        let shown = show(Millis(4150), &calls, Millis(6000), past(4000, 8.0), None);
        let length = Duration::from_secs(2);
        let span = Shown::Span { began: Millis(4000), length, amount: 3.0, aligned: true };
        assert_eq!(shown, Some(span));
        // Where the limit is named, somebody else has used it.
        assert_eq!(show(Millis(4150), &calls, Millis(6000), past(4000, 8.0), Some(8.0)), Some(Shown::Later));
    }

    #[test]
    fn what_rolls_may_allow_less_or_last_longer() {
        let rolls = |amount| past(4000, amount).map(|past| Past { rolls: true, ..past });
        let calls = log(&[1000, 4000, 4100, 4200]);
        let shown = show(Millis(4300), &calls, Millis(6500), rolls(4.0), None);
        assert_eq!(shown, Some(Shown::Rolling { length: SPAN, amount: 3.0 }));
        let shown = show(Millis(4300), &calls, Millis(4600), rolls(4.0), None);
        assert_eq!(shown, Some(Shown::Rolling { length: Duration::from_millis(3600), amount: 4.0 }));
        // It was full as far as we knew.
        assert_eq!(show(Millis(4300), &calls, Millis(6500), rolls(3.0), None), Some(Shown::Later));
    }
}
