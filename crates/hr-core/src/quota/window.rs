//! What was used in the span that a limit counts over, and when it is free again.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::calendar::{Cycle, LONGEST};
use crate::time::Millis;

/// The most entries of a rolling log. Neighbours are merged when it is full, into the later of them.
const MAX_ENTRIES: usize = 192;

/// Entries that are as near as this part of the span are merged then: a use is forgotten that much too late at most.
const MERGED_WITHIN: u64 = 160;

/// A use that is so many times nearer to the end of a span than it usually takes to arrive may count in the next one.
const LATE: u32 = 4;

/// Uses are noted no further ahead than this: calls arrive a moment after they are made.
const LATEST: Duration = Duration::from_secs(1);

/// How long a span is held to be of which nothing tells.
const UNKNOWN_LENGTH: Duration = Duration::from_secs(60);

/// How use comes and goes.
#[derive(Clone, Debug)]
pub(super) enum Window {
    /// Each use is forgotten when the span has passed since.
    Rolling(Rolling),
    /// All of it is forgotten at one instant.
    Fixed(Fixed),
    /// It is forgotten evenly, as water runs out of a bucket.
    Draining(Draining),
    /// Nothing is forgotten: what is under way counts, or what the provider says.
    Still { used: f64 },
}

/// Use in the time that has just passed.
#[derive(Clone, Debug, Default)]
pub(super) struct Rolling {
    pub(super) length: Duration,
    log: VecDeque<Use>,
    sum: f64,
}

/// One use, or several that were merged into the latest of them.
#[derive(Clone, Copy, Debug)]
struct Use {
    first: Millis,
    at: Millis,
    amount: f64,
}

/// Use until an instant.
#[derive(Clone, Debug, Default)]
pub(super) struct Fixed {
    /// How long a span is, as far as is known.
    pub(super) length: Option<Duration>,
    pub(super) cycle: Option<Cycle>,
    /// By how many milliseconds the provider's clock is ahead of ours.
    pub(super) ahead: i64,
    pub(super) began: Millis,
    /// Nobody has said when it ends, or it has ended and the next has not begun, when there is none.
    pub(super) ends: Option<Millis>,
    /// The next span begins where this one ends, whether or not there is a use.
    pub(super) aligned: bool,
    used: f64,
    /// What of it may have arrived when it had ended: that counts in the next.
    late: f64,
    /// When the span before it began.
    pub(super) before: Millis,
}

/// Use that runs out evenly.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Draining {
    /// How much is forgotten in a millisecond.
    pub(super) rate: f64,
    at: Millis,
    used: f64,
}

/// A window as it is kept over a restart; times in milliseconds.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum KeptWindow {
    Rolling {
        length: u64,
        log: Vec<(Millis, f64)>,
    },
    Fixed {
        length: Option<u64>,
        cycle: Option<Cycle>,
        began: Millis,
        ends: Option<Millis>,
        used: f64,
        #[serde(default)]
        aligned: bool,
    },
    Draining {
        rate: f64,
        at: Millis,
        used: f64,
    },
    Still {
        used: f64,
    },
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Rolling {
    pub(super) fn new(length: Duration) -> Self {
        Self { length, ..Self::default() }
    }

    fn gone(&self, now: Millis) -> (usize, f64) {
        let old = self.log.iter().take_while(|one| one.at.after(self.length) <= now);
        old.fold((0, 0.0), |(count, sum), one| (count + 1, sum + one.amount))
    }

    fn used(&self, now: Millis) -> f64 {
        (self.sum - self.gone(now).1).max(0.0)
    }

    /// Drops what is forgotten, and all trace of it when nothing else is left.
    fn forget(&mut self, now: Millis) {
        let (count, sum) = self.gone(now);
        self.log.drain(..count);
        self.sum -= sum;
        self.even_out();
    }

    fn even_out(&mut self) {
        self.sum = if self.log.is_empty() { 0.0 } else { self.sum.max(0.0) };
    }

    fn add(&mut self, now: Millis, at: Millis, amount: f64) {
        self.forget(now);
        let place = self.log.iter().rposition(|one| one.at <= at).map_or(0, |place| place + 1);
        match place.checked_sub(1).and_then(|before| self.log.get_mut(before)) {
            Some(one) if one.at == at => one.amount += amount,
            _ => self.log.insert(place, Use { first: at, at, amount }),
        }
        self.sum += amount;
        if self.log.len() > MAX_ENTRIES {
            self.merge();
        }
    }

    /// Merges neighbours that are near; the merged one is as late as the latest.
    fn merge(&mut self) {
        let near = millis(self.length) / MERGED_WITHIN;
        let mut merged: VecDeque<Use> = VecDeque::with_capacity(MAX_ENTRIES + 1);
        for one in &self.log {
            match merged.back_mut() {
                Some(last) if one.at.0.saturating_sub(last.first.0) <= near => {
                    *last = Use { first: last.first, at: one.at, amount: last.amount + one.amount };
                }
                _ => merged.push_back(*one),
            }
        }
        // Entries of more than a span are none that the ledger makes: the oldest are one then.
        while merged.len() > MAX_ENTRIES {
            let oldest = merged.pop_front().map_or(0.0, |one| one.amount);
            if let Some(next) = merged.front_mut() {
                next.amount += oldest;
            }
        }
        self.log = merged;
    }

    /// Takes back what was added last.
    fn take_back(&mut self, mut amount: f64) {
        while let Some(last) = self.log.back_mut().filter(|_| amount > 0.0) {
            let part = last.amount.min(amount);
            last.amount -= part;
            self.sum -= part;
            amount -= part;
            if last.amount <= 0.0 {
                self.log.pop_back();
            }
        }
        self.even_out();
    }

    /// Forgets the oldest until so much is left.
    fn lower(&mut self, now: Millis, wanted: f64) {
        self.forget(now);
        let mut surplus = self.sum - wanted;
        while let Some(oldest) = self.log.front_mut().filter(|_| surplus > 0.0) {
            let part = oldest.amount.min(surplus);
            oldest.amount -= part;
            self.sum -= part;
            surplus -= part;
            if oldest.amount <= 0.0 {
                self.log.pop_front();
            }
        }
        self.even_out();
    }

    /// When so much of what is used now will be forgotten.
    fn frees(&self, now: Millis, amount: f64) -> Millis {
        let mut freed = 0.0;
        for one in &self.log {
            let end = one.at.after(self.length);
            if end <= now {
                continue;
            }
            freed += one.amount;
            if freed + 1e-9 >= amount {
                return end;
            }
        }
        now.after(self.length)
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (Millis, f64)> {
        self.log.iter().map(|one| (one.at, one.amount))
    }
}

impl Fixed {
    /// A span that goes on.
    pub(super) fn going(length: Option<Duration>, began: Millis, ends: Millis) -> Self {
        Self { length, began, ends: Some(ends), ..Self::default() }
    }

    /// Takes in when it ends, and begins the next span if that is the one that is meant.
    pub(super) fn end_at(&mut self, now: Millis, ends: Millis) {
        if self.ends.is_none_or(|before| before <= now) {
            self.roll(now, now);
            self.began = now;
        }
        if self.ends.is_some_and(|before| ends > before.after(LATEST)) {
            self.late = 0.0;
        }
        self.ends = Some(ends);
    }

    fn over(&self, now: Millis) -> bool {
        self.end() <= now
    }

    /// When it ends, as far as can be told.
    fn end(&self) -> Millis {
        self.ends.unwrap_or(self.began.after(self.length.unwrap_or(UNKNOWN_LENGTH)))
    }

    fn used(&self, now: Millis) -> f64 {
        if self.over(now) { self.late } else { self.used }
    }

    /// Whether a call that is made now may arrive when the span has ended.
    fn is_late(&self, now: Millis, arrives: Millis) -> bool {
        self.ends.is_some_and(|ends| now.after(now.until(arrives) * LATE) >= ends)
    }

    /// Begins the next span if this one is over or none has begun, with a use that arrives then.
    fn roll(&mut self, now: Millis, arrives: Millis) {
        if self.over(now) {
            self.used = std::mem::take(&mut self.late);
            let end = self.end();
            (self.before, self.began) = (self.began, end);
            self.ends = None;
            if let Some(length) = self.length.filter(|length| self.aligned && !length.is_zero()) {
                let passed = end.until(now).as_millis() / length.as_millis().max(1);
                let whole = length * u32::try_from(passed).unwrap_or(0);
                self.began = end.after(whole);
                self.ends = Some(self.began.after(length)).filter(|ends| *ends > now);
            }
        }
        if self.ends.is_none() {
            let mut opens = self.began;
            if self.used == 0.0 {
                (self.began, opens) = (now, arrives);
            }
            self.ends = match self.cycle {
                Some(cycle) => Some(ours(cycle.next(theirs(now, self.ahead)), self.ahead)),
                None => self.length.map(|length| opens.after(length)).filter(|end| *end > now),
            };
        }
    }
}

/// An instant by a clock that is so far ahead of ours.
fn theirs(at: Millis, ahead: i64) -> Millis {
    Millis(at.0.saturating_add_signed(ahead))
}

/// An instant of theirs by our clock.
fn ours(at: Millis, ahead: i64) -> Millis {
    Millis(at.0.saturating_add_signed(-ahead))
}

impl Draining {
    fn used(&self, now: Millis) -> f64 {
        let gone = self.at.until(now).as_secs_f64() * 1000.0 * self.rate;
        (self.used - gone).max(0.0)
    }
}

impl Window {
    pub(super) fn fixed(length: Option<Duration>, cycle: Option<Cycle>, ahead: i64) -> Self {
        Self::Fixed(Fixed { length, cycle, ahead, ..Fixed::default() })
    }

    pub(super) fn draining(now: Millis, used: f64, rate: f64) -> Self {
        Self::Draining(Draining { rate, at: now, used })
    }

    pub(super) fn keep(&self) -> KeptWindow {
        match self {
            Self::Rolling(rolling) => {
                KeptWindow::Rolling { length: millis(rolling.length), log: rolling.entries().collect() }
            }
            Self::Fixed(fixed) => KeptWindow::Fixed {
                length: fixed.length.map(millis),
                cycle: fixed.cycle,
                began: fixed.began,
                ends: fixed.ends,
                used: fixed.used,
                aligned: fixed.aligned,
            },
            Self::Draining(Draining { rate, at, used }) => {
                KeptWindow::Draining { rate: *rate, at: *at, used: *used }
            }
            Self::Still { used } => KeptWindow::Still { used: *used },
        }
    }

    pub(super) fn used(&self, now: Millis) -> f64 {
        match self {
            Self::Rolling(rolling) => rolling.used(now),
            Self::Fixed(fixed) => fixed.used(now),
            Self::Draining(draining) => draining.used(now),
            Self::Still { used } => *used,
        }
    }

    pub(super) fn add(&mut self, now: Millis, at: Millis, amount: f64) {
        match self {
            Self::Rolling(rolling) => rolling.add(now, at, amount),
            Self::Fixed(fixed) => {
                fixed.roll(now, at);
                fixed.used += amount;
                if fixed.is_late(now, at) {
                    fixed.late += amount;
                }
            }
            Self::Draining(draining) => {
                let used = draining.used(now) + amount;
                *draining = Draining { used, at: now, ..*draining };
            }
            Self::Still { used } => *used += amount,
        }
    }

    /// Takes back what was added last, never more than there is.
    pub(super) fn take_back(&mut self, now: Millis, amount: f64) {
        match self {
            Self::Rolling(rolling) => rolling.take_back(amount),
            _ => {
                let wanted = (self.used(now) - amount).max(0.0);
                self.set(now, wanted);
            }
        }
    }

    /// Makes what is used this much: more of it was used just now, or the oldest of it is forgotten.
    pub(super) fn set(&mut self, now: Millis, wanted: f64) {
        let used = self.used(now);
        match self {
            Self::Rolling(rolling) if wanted < used => rolling.lower(now, wanted),
            Self::Fixed(fixed) => {
                fixed.roll(now, now);
                fixed.used = wanted;
                fixed.late = fixed.late.min(wanted);
            }
            Self::Draining(draining) => *draining = Draining { used: wanted, at: now, ..*draining },
            Self::Still { used } => *used = wanted,
            Self::Rolling(_) if wanted == used => {}
            Self::Rolling(rolling) => rolling.add(now, now, wanted - used),
        }
    }

    /// When so much of what is used now will be forgotten, as far as can be told.
    pub(super) fn frees(&self, now: Millis, amount: f64) -> Option<Millis> {
        match self {
            Self::Rolling(rolling) => Some(rolling.frees(now, amount)),
            Self::Fixed(fixed) if fixed.over(now) => Some(now),
            Self::Fixed(fixed) => Some(fixed.end()),
            Self::Draining(draining) => {
                let millis = (amount.min(draining.used(now)) / draining.rate).ceil();
                Some(now.after(Duration::from_millis(millis as u64)))
            }
            Self::Still { .. } => None,
        }
    }

    /// Whether a call that was made then may have arrived when the span had ended, or when there was room again.
    pub(super) fn is_late(&self, made: Millis, arrives: Millis) -> bool {
        match self {
            Self::Fixed(fixed) => fixed.is_late(made, arrives),
            Self::Rolling(rolling) => rolling.frees(made, 1.0) <= made.after(made.until(arrives) * LATE),
            Self::Draining(_) | Self::Still { .. } => false,
        }
    }

    /// Whether an instant is known at which all of it is forgotten, be it over.
    pub(super) fn is_going(&self) -> bool {
        matches!(self, Self::Fixed(fixed) if fixed.ends.is_some())
    }

    /// Whether it was whole again at an instant that we supposed, and nothing was used since.
    pub(super) fn has_ended(&self, now: Millis) -> bool {
        matches!(self, Self::Fixed(fixed) if fixed.cycle.is_none() && fixed.ends.is_some_and(|ends| ends <= now))
    }

    /// When all of it is forgotten, where that is one instant.
    pub(super) fn ends(&self, now: Millis) -> Option<Millis> {
        match self {
            Self::Fixed(fixed) => fixed.ends.filter(|ends| *ends > now),
            _ => None,
        }
    }

    /// When the span that goes on now began.
    pub(super) fn began(&self, now: Millis) -> Millis {
        match self {
            Self::Fixed(fixed) if fixed.over(now) => fixed.end(),
            Self::Fixed(fixed) => fixed.began,
            _ => self.length().map_or(Millis(0), |length| {
                Millis(now.0.saturating_sub(u64::try_from(length.as_millis()).unwrap_or(u64::MAX)))
            }),
        }
    }

    pub(super) fn length(&self) -> Option<Duration> {
        match self {
            Self::Rolling(rolling) => Some(rolling.length),
            Self::Fixed(fixed) => fixed.length,
            Self::Draining(_) | Self::Still { .. } => None,
        }
    }

    /// Takes note of how far the provider's clock is ahead of ours; true when that moves an end.
    pub(super) fn shift(&mut self, now: Millis, ahead: i64) -> bool {
        let Self::Fixed(fixed) = self else { return false };
        let Some(cycle) = fixed.cycle.filter(|_| fixed.ahead != ahead) else { return false };
        fixed.ahead = ahead;
        if fixed.ends.is_some() && !fixed.over(now) {
            fixed.ends = Some(ours(cycle.next(theirs(now, ahead)), ahead));
        }
        true
    }
}

impl KeptWindow {
    /// The window again, by a clock that may have been wrong when it was kept; the provider's is that far ahead.
    pub(super) fn back(self, now: Millis, ahead: i64) -> Window {
        let amount = |amount: f64| if amount.is_finite() { amount.max(0.0) } else { 0.0 };
        match self {
            Self::Rolling { length, log } => {
                let mut rolling = Rolling::new(Duration::from_millis(length.max(1)));
                for (at, used) in log.into_iter().take(MAX_ENTRIES * 2) {
                    let at = at.min(now.after(LATEST));
                    rolling.log.push_back(Use { first: at, at, amount: amount(used) });
                    rolling.sum += amount(used);
                }
                rolling.log.make_contiguous().sort_by_key(|one| one.at);
                Window::Rolling(rolling)
            }
            Self::Fixed { length, cycle, began, ends, used, aligned } => {
                let length = length.map(Duration::from_millis);
                let (began, ends) = (began.min(now), ends.map(|ends| ends.min(now.after(2 * LONGEST))));
                let fixed = Fixed { length, cycle, ahead, began, ends, aligned, ..Fixed::default() };
                Window::Fixed(Fixed { used: amount(used), ..fixed })
            }
            Self::Draining { rate, at, used } => Window::Draining(Draining {
                rate: amount(rate).max(1e-9),
                at: at.min(now),
                used: amount(used),
            }),
            Self::Still { used } => Window::Still { used: amount(used) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn what_rolls_is_forgotten_one_by_one() {
        let mut window = Window::Rolling(Rolling::new(MINUTE));
        for second in 0..10 {
            window.add(Millis(second * 1000), Millis(second * 1000), 1.0);
        }
        assert_eq!(window.used(Millis(9_000)), 10.0);
        assert_eq!(window.used(Millis(60_000)), 9.0);
        assert_eq!(window.frees(Millis(10_000), 3.0), Some(Millis(62_000)));
        window.take_back(Millis(10_000), 1.5);
        assert_eq!(window.used(Millis(10_000)), 8.5);
        window.set(Millis(10_000), 2.0);
        assert_eq!(window.used(Millis(10_000)), 2.0);
        assert_eq!(window.used(Millis(65_900)), 2.0, "the oldest went first");
        assert_eq!(window.used(Millis(68_000)), 0.0);
    }

    #[test]
    fn a_full_log_is_merged_within_one_hundredth() {
        let mut window = Window::Rolling(Rolling::new(MINUTE));
        let mut exact = VecDeque::new();
        for step in 0..20_000_u64 {
            let now = Millis(step * 7);
            window.add(now, now, 1.0);
            exact.push_back(now);
            while exact.front().is_some_and(|at: &Millis| at.after(MINUTE) <= now) {
                exact.pop_front();
            }
            let (used, truth) = (window.used(now), exact.len() as f64);
            assert!(used >= truth, "never too little");
            assert!(used <= truth * 1.01 + 1.0, "{used} for {truth}");
        }
        let Window::Rolling(rolling) = &window else { panic!() };
        assert!(rolling.log.len() <= MAX_ENTRIES + 1);
    }

    #[test]
    fn what_is_fixed_is_whole_at_its_end_and_begins_with_the_next_use() {
        let mut window = Window::fixed(Some(MINUTE), None, 0);
        window.add(Millis(5_000), Millis(5_000), 3.0);
        assert_eq!(window.ends(Millis(5_000)), Some(Millis(65_000)));
        assert_eq!((window.used(Millis(64_999)), window.used(Millis(65_000))), (3.0, 0.0));
        window.add(Millis(90_000), Millis(90_000), 1.0);
        assert_eq!(window.ends(Millis(90_000)), Some(Millis(150_000)));
    }

    #[test]
    fn a_clock_that_is_off_moves_the_end_of_a_day() {
        let hour = 3_600_000;
        let mut window = Window::fixed(None, Some(Cycle::UtcDay), 0);
        window.add(Millis(20 * hour), Millis(20 * hour), 1.0);
        assert_eq!(window.ends(Millis(20 * hour)), Some(Millis(24 * hour)));
        assert!(window.shift(Millis(20 * hour), hour as i64));
        assert_eq!(window.ends(Millis(20 * hour)), Some(Millis(23 * hour)));
        window.add(Millis(23 * hour), Millis(23 * hour), 1.0);
        assert_eq!(window.used(Millis(23 * hour)), 1.0);
        assert_eq!(window.ends(Millis(23 * hour)), Some(Millis(47 * hour)));
    }

    #[test]
    fn what_drains_is_forgotten_evenly() {
        let window = Window::draining(Millis(0), 10.0, 0.001);
        assert_eq!(window.used(Millis(4_000)), 6.0);
        assert_eq!(window.frees(Millis(4_000), 2.0), Some(Millis(6_000)));
        assert_eq!(window.used(Millis(60_000)), 0.0);
    }
}
