//! What a reading does to its bucket. What cannot be true is clamped; what is old is passed over.

use std::time::Duration;

use super::bucket::{Bucket, NOTHING};
use super::calendar::LONGEST;
use super::reading::{Reading, Source};
use super::window::{Fixed, Window};
use crate::catalog::LimitUnit;
use crate::time::Millis;

/// No limit is larger; what claims to be is none.
const LARGEST: f64 = 1e12;

/// Two rates agree when they differ by no more than this part.
const ALIKE: f64 = 0.1;

/// Readings that must agree before the end of a span is taken for the time until a bucket is full.
const PROOFS: u8 = 2;

/// How ends of spans have been told so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    /// The end that was told last.
    last: Option<Millis>,
    /// Between which two it is forgotten in a millisecond, if it drains evenly.
    rate: Option<(f64, f64)>,
    /// Readings in a row by which it does.
    drains: u8,
    /// Spans that were not whole after the end that was told.
    torn: u8,
    /// Ends are not believed any more: it rolls.
    pub(super) rolls: bool,
}

/// When a reply was heard, and when its call began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) now: Millis,
    pub(super) begun: Millis,
    /// Whether it counts as a call.
    pub(super) calls: f64,
}

fn number(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite()).map(|value| value.max(0.0))
}

impl Bucket {
    /// Takes a reading in.
    pub(super) fn hear(&mut self, moment: Moment, reading: &Reading) {
        let Moment { now, begun, .. } = moment;
        if reading.source == Source::Header && now < self.doubted_until {
            return;
        }
        self.mentioned(now);
        if reading.owner.is_some() {
            self.scope = reading.owner;
        }
        let named = number(reading.limit).filter(|limit| *limit <= LARGEST);
        let named = if self.unit == LimitUnit::Percent { Some(100.0) } else { named };
        if let Some(limit) = named {
            self.unnamed = false;
            self.set_limit(reading.source, Some(limit));
            self.set_limit(Source::Refusals, None);
        }
        // Only a span that has a name bounds what may be said of its end: any other length was told like this one.
        let bound = self.span.and_then(super::calendar::length).unwrap_or(LONGEST);
        let bound = bound.mul_f64(1.05).max(Duration::from_secs(1));
        let reset = reading.reset.filter(|reset| *reset > now).map(|reset| reset.min(now.after(bound)));
        let fixed = matches!(self.window, Window::Fixed(_));
        // It speaks of a span that is over.
        if fixed && begun < self.window.began(now) && reading.reset.is_none_or(|reset| reset <= now) {
            return;
        }
        let newest = begun >= self.newest;
        let left = number(reading.remaining);
        if let (Some(reset), true) = (reading.reset, newest)
            && self.drains(moment, left, reset)
        {
            self.newest = begun;
            return;
        }
        // What drains has no end that an older word could tell.
        if !newest && matches!(self.window, Window::Draining(_)) {
            return;
        }
        let fell = self.count_as_said(moment, left, newest, reading.source);
        if newest {
            self.newest = begun;
        }
        if let Some(reset) = reset.filter(|_| newest || fell || self.window.ends(now).is_none()) {
            self.end_as_said(now, reset);
        }
    }

    /// Corrects what is used to what is said to be left; true when that is less than we thought.
    fn count_as_said(&mut self, moment: Moment, left: Option<f64>, newest: bool, source: Source) -> bool {
        let Moment { now, begun, calls } = moment;
        let Some(left) = left else { return false };
        if self.unit == LimitUnit::Concurrent {
            return false;
        }
        if self.unnamed || self.hard_limit(now).is_none() {
            if !newest {
                return false;
            }
            self.unnamed = true;
            self.set_limit(source, Some(self.settled(now) + left));
            return false;
        }
        let Some(limit) = self.hard_limit(now) else { return false };
        let said = (limit - left.min(limit)).max(0.0);
        self.edge.hear(begun, said);
        let (low, high) = (self.settled(now), self.taken(now).max(self.settled(now)));
        let used = self.window.used(now);
        if said > high + NOTHING {
            let more = said - high;
            self.window.set(now, used + more);
            // At the first word nobody knows whose it is: it may be ours of long ago.
            self.surprised = self.newest > Millis(0);
            self.note_foreign(now, more, limit);
            return true;
        }
        // Whose calls ended when this one was under way may have been counted after that was said.
        let own = if self.unit == LimitUnit::Requests { calls } else { 0.0 };
        let less = low - said - (self.ended_since(begun) - own).max(0.0);
        if less > NOTHING && newest {
            if matches!(&self.window, Window::Fixed(fixed) if fixed.length.is_none())
                && self.lapsed_unsaid(now)
            {
                self.begin_anew(begun, used - less);
            } else {
                self.window.set(now, used - less);
            }
            self.foreign = (self.foreign - less).max(0.0);
        }
        false
    }

    /// Whether nobody says when its spans end.
    fn lapsed_unsaid(&self, now: Millis) -> bool {
        self.guessed.is_some() || self.window.ends(now).is_none()
    }

    /// Somebody else has used so much of it.
    fn note_foreign(&mut self, now: Millis, more: f64, limit: f64) {
        if self.unit == LimitUnit::Percent {
            return;
        }
        if now >= self.foreign_until {
            self.foreign = 0.0;
            self.tell_torn(now, more, limit);
        }
        self.foreign += more;
        let length = self.length().unwrap_or(Duration::from_secs(60));
        self.foreign_until = self.window.ends(now).unwrap_or(now.after(length));
    }

    /// A span that was to be whole and is not when it has just begun: it rolls.
    fn tell_torn(&mut self, now: Millis, more: f64, limit: f64) {
        // Whose ends are only worked out has refusals that tell more.
        let Window::Fixed(fixed) = &self.window else { return };
        let Some(length) = self.length().filter(|_| self.sight.is_none()) else { return };
        let just_begun =
            fixed.cycle.is_none() && fixed.began.after(length / 10) > now && fixed.began > Millis(0);
        if just_begun && more >= limit * 0.2 && self.newest > Millis(0) {
            self.pace.torn = self.pace.torn.saturating_add(1);
            if self.pace.torn >= PROOFS {
                self.pace.rolls = true;
                self.roll_over(now, length);
            }
        }
    }

    /// Takes in when it is whole again.
    pub(super) fn end_as_said(&mut self, now: Millis, reset: Millis) {
        if self.pace.rolls {
            return;
        }
        let used = self.window.used(now);
        if used <= NOTHING && matches!(self.window, Window::Draining(_)) {
            return;
        }
        let served = self.settled(now);
        if let Window::Fixed(fixed) = &mut self.window {
            fixed.end_at(now, reset);
            self.edge.tell();
            self.guessed = None;
            // Where no span has a name, the next is as long as the longest that was told.
            if self.span.is_none() {
                let mut told = fixed.began.until(reset).min(LONGEST);
                // Nothing was served since the span before ended: it has not.
                let still = fixed.before > Millis(0) && served < 1.0;
                if still && fixed.length.is_some_and(|length| told < length / 4) {
                    told = fixed.before.until(reset).min(fixed.length.unwrap_or(told).mul_f64(1.25));
                }
                fixed.length = fixed.length.max(Some(told));
            }
            return;
        }
        let length = self.window.length().or_else(|| self.span.and_then(super::calendar::length));
        let mut fixed = Fixed::going(length, now, reset);
        if length.is_none() {
            fixed.length = Some(now.until(reset));
        }
        self.window = Window::Fixed(fixed);
        self.window.set(now, used);
    }

    /// Whether it fills evenly, and ends are told as the time until it is full: the more is used, the later. Such an
    /// end moves on before it has come. What was said was so when the call began; what is left is told in whole numbers.
    fn drains(&mut self, Moment { now, begun, .. }: Moment, left: Option<f64>, reset: Millis) -> bool {
        let (Some(limit), Some(left)) = (self.hard_limit(now), left) else { return false };
        if self.unnamed || self.unit == LimitUnit::Percent || reset <= begun {
            return matches!(self.window, Window::Draining(_));
        }
        let full_in = begun.until(reset).as_secs_f64() * 1000.0;
        let said = (limit - left).max(0.0);
        let rates = match self.span.and_then(super::calendar::length) {
            Some(span) => {
                let rate = limit / (span.as_secs_f64() * 1000.0);
                let used = full_in * rate;
                ((used - said).abs() <= 1.0 + ALIKE * said).then_some((rate, rate))
            }
            None => Some(((said - 1.0).max(0.0) / full_in * (1.0 - ALIKE), said / full_in * (1.0 + ALIKE))),
        };
        let before = self.pace.last.replace(reset);
        let moved = before.is_some_and(|before| before > begun && early(before, reset, full_in));
        let agreed = match (self.pace.rate, rates) {
            (Some((low, high)), Some((least, most))) => Some((low.max(least), high.min(most))),
            (_, rates) => rates,
        };
        match agreed.filter(|(low, high)| low <= high && *high > 0.0) {
            Some(agreed) => {
                self.pace.rate = Some(agreed);
                self.pace.drains = self.pace.drains.saturating_add(u8::from(moved));
            }
            // One word that does not agree, of many that do, is passed over.
            None if self.pace.drains > PROOFS => {
                self.pace.drains = PROOFS;
                return true;
            }
            None => (self.pace.rate, self.pace.drains) = (rates, 0),
        }
        let Some((low, high)) = self.pace.rate.filter(|_| self.pace.drains >= PROOFS) else { return false };
        let rate = if low > 0.0 { (low + high) / 2.0 } else { high };
        let least = (full_in - begun.until(now).as_secs_f64() * 1000.0).max(0.0) * rate;
        let used = self.window.used(now).max(least);
        // Tokens of answers are counted when these have ended, which is after it was said.
        let used = if self.unit == LimitUnit::Requests { used.min(least + self.under_way) } else { used };
        self.window = Window::draining(now, used, rate);
        true
    }
}

/// Whether an end that was told has moved on, by more than clocks and roundings explain.
fn early(before: Millis, reset: Millis, full_in: f64) -> bool {
    let moved = reset.0.saturating_sub(before.0) as f64;
    moved > (full_in * 0.02).max(50.0)
}
