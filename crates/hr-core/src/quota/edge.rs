//! The beginning of a span that was supposed to begin then, and of which nobody knows whether it has.
//!
//! Where a span ends as was supposed, all that there is may be used at once. Where it rolls, only a little has come back,
//! and whoever sends all that waits is refused with most of it. So the first calls after such an end are few: one, then
//! twice as many with each that serves, and with time. Once a whole span has been used up after an end, ends are trusted.

use std::time::Duration;

use crate::time::Millis;

/// The part of a span after which twice as many calls may be under way, whatever has come back.
const STEP: u32 = 32;
const SHORTEST_STEP: Duration = Duration::from_millis(100);
const LONGEST_STEP: Duration = Duration::from_secs(2);

/// The part of a limit that must have been served since an end for it to be proven.
const WHOLE: f64 = 0.9;

/// What is known of the ends of a bucket's spans.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Edge {
    /// The next end was told, not worked out from how long a span lasts.
    told: bool,
    /// Ends that were told are what they were supposed to be, and those that were worked out.
    proven: Proven,
    /// The last end that was passed, and what was sent and has served since.
    passed: Option<Passed>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Proven {
    told: bool,
    worked_out: bool,
}

/// How an end was known.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Known {
    Told,
    WorkedOut,
    /// By a call that served when none was expected to: it had come before, nobody knows when.
    Found,
}

#[derive(Clone, Copy, Debug)]
struct Passed {
    at: Millis,
    known: Known,
    step: Duration,
    sent: u32,
    served: u32,
}

impl Edge {
    /// A call is the first after an end.
    pub(super) fn pass(&mut self, now: Millis, length: Option<Duration>) {
        let known = if std::mem::take(&mut self.told) { Known::Told } else { Known::WorkedOut };
        self.begin(now, known, length);
    }

    /// A call has served that shows that an end has come.
    pub(super) fn find(&mut self, now: Millis, length: Option<Duration>) {
        self.begin(now, Known::Found, length);
    }

    fn begin(&mut self, now: Millis, known: Known, length: Option<Duration>) {
        let step = length.map_or(LONGEST_STEP, |length| length / STEP);
        let step = step.clamp(SHORTEST_STEP, LONGEST_STEP);
        self.passed = Some(Passed { at: now, known, step, sent: 0, served: 0 });
    }

    /// The next end was told.
    pub(super) fn tell(&mut self) {
        self.told = true;
    }

    /// Whether ends like the last are known to be what they were supposed to be, now.
    fn prove(&mut self, proven: bool) {
        match self.passed.map(|passed| passed.known) {
            Some(Known::Told) => self.proven.told = proven,
            Some(Known::WorkedOut) => self.proven.worked_out = proven,
            Some(Known::Found) | None => {}
        }
    }

    /// The last end that was passed, where nobody knows whether it was one.
    fn doubtful(&self) -> Option<Passed> {
        self.passed.filter(|passed| match passed.known {
            Known::Told => !self.proven.told,
            Known::WorkedOut => !self.proven.worked_out,
            Known::Found => true,
        })
    }

    /// A call is made.
    pub(super) fn send(&mut self) {
        if let Some(passed) = &mut self.passed {
            passed.sent = passed.sent.saturating_add(1);
        }
    }

    /// A call that was made then was not sent after all.
    pub(super) fn take_back(&mut self, begun: Millis) {
        if let Some(passed) = self.passed.as_mut().filter(|passed| begun >= passed.at) {
            passed.sent = passed.sent.saturating_sub(1);
        }
    }

    /// A call that was made then has served, of a limit of so much.
    pub(super) fn serve(&mut self, begun: Millis, limit: f64) {
        let Some(passed) = self.passed.as_mut().filter(|passed| begun >= passed.at) else { return };
        passed.served = passed.served.saturating_add(1);
        if f64::from(passed.served) >= limit * WHOLE {
            self.prove(true);
        }
    }

    /// A reply to a call that was made then said how much is used: no more than we have sent since the end.
    pub(super) fn hear(&mut self, begun: Millis, used: f64) {
        let since = self.passed.filter(|passed| begun >= passed.at);
        if since.is_some_and(|passed| used <= f64::from(passed.sent)) {
            self.prove(true);
        }
    }

    /// A call was refused that nothing explains but that an end was none.
    pub(super) fn refuse(&mut self) {
        self.prove(false);
    }

    /// How much was sent since the last end, if that has not been shown to be one.
    pub(super) fn sent(&self) -> Option<u32> {
        self.doubtful().map(|passed| passed.sent)
    }

    /// Whether nothing has served since the last end: the span before it may still go on.
    pub(super) fn is_barren(&self) -> bool {
        self.passed.is_some_and(|passed| passed.served == 0)
    }

    /// Until when no more calls are made, if as many are under way as may be.
    pub(super) fn narrow(&self, now: Millis) -> Option<Millis> {
        let passed = self.doubtful()?;
        let steps = passed.at.until(now).as_millis() / passed.step.as_millis().max(1);
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        let doublings = passed.served.saturating_add(steps);
        let width = 1u32.checked_shl(doublings).filter(|width| *width > 0).unwrap_or(u32::MAX);
        let under_way = passed.sent.saturating_sub(passed.served);
        (under_way >= width).then(|| passed.at.after(passed.step * steps.saturating_add(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Option<Duration> = Some(Duration::from_secs(60));

    /// As many as may be sent now.
    fn send(edge: &mut Edge, now: u64) -> u32 {
        let mut sent = 0;
        while sent < 1000 && edge.narrow(Millis(now)).is_none() {
            edge.send();
            sent += 1;
        }
        sent
    }

    #[test]
    fn what_is_not_proven_is_used_little_by_little() {
        let mut edge = Edge::default();
        assert_eq!(send(&mut edge, 0), 1000, "nothing has ended yet");
        edge.pass(Millis(0), MINUTE);
        assert_eq!(send(&mut edge, 0), 1);
        edge.serve(Millis(0), 10.0);
        assert_eq!(send(&mut edge, 1), 2);
        edge.serve(Millis(1), 10.0);
        assert_eq!(send(&mut edge, 2), 3);
        for _ in 0..8 {
            edge.serve(Millis(2), 10.0);
        }
        assert_eq!(send(&mut edge, 3), 1000, "it was whole");
        edge.pass(Millis(60_000), MINUTE);
        assert_eq!(send(&mut edge, 60_000), 1000, "and will be");
        edge.refuse();
        edge.pass(Millis(120_000), MINUTE);
        assert_eq!(send(&mut edge, 120_000), 1);
    }

    #[test]
    fn answers_that_take_long_do_not_hold_it_up() {
        let mut edge = Edge::default();
        edge.pass(Millis(0), MINUTE);
        assert_eq!(send(&mut edge, 0), 1);
        assert_eq!(edge.narrow(Millis(0)), Some(Millis(1875)));
        assert_eq!(send(&mut edge, 1875), 1);
        assert_eq!(send(&mut edge, 10 * 1875), 1000);
    }

    #[test]
    fn what_is_not_sent_holds_nothing_up() {
        let mut edge = Edge::default();
        edge.pass(Millis(10), MINUTE);
        assert_eq!(send(&mut edge, 10), 1);
        edge.take_back(Millis(9));
        assert_eq!(send(&mut edge, 10), 0, "it was made before");
        edge.take_back(Millis(10));
        assert_eq!(send(&mut edge, 10), 1);
    }

    #[test]
    fn one_word_that_it_is_whole_is_enough() {
        let mut edge = Edge::default();
        edge.pass(Millis(0), MINUTE);
        edge.send();
        edge.hear(Millis(0), 7.0);
        assert_eq!(edge.sent(), Some(1), "somebody has used six more");
        edge.hear(Millis(0), 1.0);
        assert_eq!(edge.sent(), None);
        assert_eq!(send(&mut edge, 5), 1000);
    }
}
