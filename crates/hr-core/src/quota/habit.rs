//! What refusals that name no limit teach when they come again in the same way.

use std::collections::VecDeque;
use std::time::Duration;

use super::bare::MINUTE;
use super::models::ModelSet;
use crate::catalog::LimitUnit;
use crate::time::Millis;

/// Two episodes agree when they differ by no more than this part.
const ALIKE: f64 = 0.2;

/// So do their lengths by no more than this one: by chance many are nearly as long.
const SAME_LENGTH: f64 = 0.05;

/// So many calls are remembered, however long ago they were.
pub(super) const LEAST_LOG: usize = 128;

/// And no more than these, of the last minute.
const MOST_LOG: usize = 1024;

/// From one reset to the next: what was served until it was refused.
#[derive(Clone, Copy, Debug)]
struct Episode {
    lasted: Duration,
    calls: f64,
    tokens: f64,
}

/// A limit that shows by how refusals come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pattern {
    pub(super) unit: LimitUnit,
    pub(super) limit: f64,
    pub(super) lasts: Duration,
    /// When the span that goes on now began.
    pub(super) began: Millis,
}

/// How calls to some models have been served and refused.
#[derive(Clone, Debug)]
pub(super) struct Habit {
    pub(super) models: ModelSet,
    /// What was served since the last reset.
    pub(super) calls: f64,
    tokens: f64,
    /// When the last reset was.
    reset: Option<Millis>,
    /// Since when calls are being refused, and when that is to end, where that was said.
    refused: Option<(Millis, Option<Millis>)>,
    last: Option<Episode>,
    /// When the calls were begun that served last.
    log: VecDeque<Millis>,
    /// Refusals that said nothing since the last that served.
    pub(super) bare: u8,
}

fn alike(one: f64, other: f64) -> bool {
    one > 0.0 && other > 0.0 && (one - other).abs() <= ALIKE * one.max(other)
}

impl Habit {
    pub(super) fn new(models: ModelSet) -> Self {
        Self {
            models,
            calls: 0.0,
            tokens: 0.0,
            reset: None,
            refused: None,
            last: None,
            log: VecDeque::new(),
            bare: 0,
        }
    }

    /// A call has been refused.
    pub(super) fn refuse(&mut self, now: Millis, until: Option<Millis>) {
        self.refused.get_or_insert((now, until));
    }

    /// A call has served; the pattern that shows, if the last two episodes were alike.
    pub(super) fn serve(&mut self, begun: Millis, tokens: f64) -> Option<Pattern> {
        let mut pattern = None;
        // One that was under way when the first was refused was served before.
        if let Some((_, until)) = self.refused.take_if(|(since, _)| *since < begun) {
            let reset = until.filter(|until| *until <= begun).unwrap_or(begun);
            if let Some(before) = self.reset {
                let episode = Episode { lasted: before.until(reset), calls: self.calls, tokens: self.tokens };
                pattern = self.last.and_then(|last| last.shows(&episode, reset));
                self.last = Some(episode);
            }
            self.reset = Some(reset);
            (self.calls, self.tokens) = (0.0, 0.0);
        }
        self.calls += 1.0;
        self.tokens += tokens;
        self.bare = 0;
        self.log.push_back(begun);
        while self.log.len() > LEAST_LOG
            && self.log.front().is_some_and(|at| self.log.len() > MOST_LOG || at.after(MINUTE) < begun)
        {
            self.log.pop_front();
        }
        pattern
    }

    /// How many of the calls that served were begun since.
    pub(super) fn since(&self, at: Millis) -> usize {
        self.log.iter().filter(|begun| **begun >= at).count()
    }

    /// When the calls were begun that served last.
    pub(super) fn log(&self) -> impl Iterator<Item = Millis> {
        self.log.iter().copied()
    }

    /// When the calls were begun that served within the last minute.
    pub(super) fn lately(&self, now: Millis) -> Vec<Millis> {
        self.log.iter().copied().filter(|at| at.after(MINUTE) > now).collect()
    }
}

impl Episode {
    fn shows(&self, next: &Self, began: Millis) -> Option<Pattern> {
        let (before, after) = (self.lasted.as_secs_f64(), next.lasted.as_secs_f64());
        if (before - after).abs() > SAME_LENGTH * before.max(after) {
            return None;
        }
        let (unit, limit) = if alike(self.calls, next.calls) {
            (LimitUnit::Requests, self.calls.min(next.calls))
        } else if alike(self.tokens, next.tokens) {
            (LimitUnit::Tokens, self.tokens.min(next.tokens))
        } else {
            return None;
        };
        Some(Pattern { unit, limit, lasts: self.lasted.max(next.lasted), began })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_episodes_alike_show_a_limit() {
        let mut habit = Habit::new(ModelSet::All);
        let mut shown = Vec::new();
        for window in 0..4_u64 {
            for call in 0..20 {
                shown.extend(habit.serve(Millis(window * 30_000 + call * 10), 5.0));
            }
            habit.refuse(Millis(window * 30_000 + 200), Some(Millis((window + 1) * 30_000)));
            habit.refuse(Millis(window * 30_000 + 201), Some(Millis((window + 2) * 30_000)));
        }
        assert_eq!(shown.len(), 1);
        let lasts = Duration::from_secs(30);
        let began = Millis(90_000);
        assert_eq!(shown[0], Pattern { unit: LimitUnit::Requests, limit: 20.0, lasts, began });
    }

    #[test]
    fn many_calls_are_remembered_for_a_minute() {
        let mut habit = Habit::new(ModelSet::All);
        let serve = |habit: &mut Habit, at: u64| habit.serve(Millis(at), 1.0);
        (0..1000).for_each(|call| _ = serve(&mut habit, call));
        assert_eq!(habit.log().count(), 1000);
        (0..1000).for_each(|call| _ = serve(&mut habit, 1000 + call));
        assert_eq!(habit.log().count(), MOST_LOG);
        serve(&mut habit, 90_000);
        assert_eq!(habit.log().count(), LEAST_LOG);
    }

    #[test]
    fn episodes_that_differ_show_nothing() {
        let mut habit = Habit::new(ModelSet::All);
        let mut now = 0;
        for (calls, lasted) in [(20, 30_000), (5, 60_000), (11, 5_000), (40, 90_000)] {
            for _ in 0..calls {
                assert_eq!(habit.serve(Millis(now), 1.0), None);
            }
            now += lasted;
            habit.refuse(Millis(now - 1), None);
        }
    }
}
