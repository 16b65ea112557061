//! Spans without a name: how they come and go is learned from what little is told of them.

use std::collections::VecDeque;

use hr_core::failure::FailureKind;
use hr_core::quota::{Reading, Reservation, Said};
use hr_core::time::Millis;

use crate::world::{SECOND, START, World, per_minute, refusal, said};

/// How a provider counts.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// From the first call on.
    Opened,
    /// By the clock.
    Aligned,
    /// The last so many seconds.
    Rolling,
}

/// What it tells.
#[derive(Clone, Copy, Debug)]
enum Tells {
    /// With each reply how much is left, and when it is whole again.
    Ends,
    /// With each reply how much is left, and when it refuses how long to wait.
    Counts,
    /// When it refuses how long to wait.
    Waits,
    /// The same in whole seconds.
    WholeSeconds,
}

/// A provider that allows so many calls in so long.
struct Hidden {
    shape: Shape,
    tells: Tells,
    limit: usize,
    span: u64,
    began: Option<u64>,
    served: VecDeque<u64>,
}

/// How long a call takes to arrive, and how long a reply takes to come back.
const WAY: u64 = 1;

/// By how much the provider's clock is off from whole spans.
const PHASE: u64 = 777;

impl Hidden {
    /// Forgets what counts no more at this instant.
    fn roll(&mut self, at: u64) {
        let began = match self.shape {
            Shape::Rolling => {
                self.served.retain(|served| served + self.span > at);
                return;
            }
            Shape::Opened => match self.began {
                Some(began) if at < began + self.span => began,
                _ => at,
            },
            Shape::Aligned => (at - PHASE) / self.span * self.span + PHASE,
        };
        if self.began != Some(began) {
            self.began = Some(began);
            self.served.clear();
        }
    }

    /// When there is room again.
    fn ends(&self, at: u64) -> u64 {
        let began = match self.shape {
            Shape::Rolling => self.served.front().copied(),
            Shape::Opened | Shape::Aligned => self.began,
        };
        began.unwrap_or(at) + self.span
    }

    /// A call that arrives then: whether it is served, what is said, and how long to wait.
    fn call(&mut self, at: u64) -> (bool, Said, u64) {
        self.roll(at);
        let serves = self.served.len() < self.limit;
        if serves {
            self.served.push_back(at);
        }
        let left = (self.limit - self.served.len()) as f64;
        let ends = matches!(self.tells, Tells::Ends).then(|| Millis(self.ends(at) + WAY));
        let reading = Reading { span: None, ..per_minute(self.limit as f64, left, ends) };
        let told = matches!(self.tells, Tells::Ends | Tells::Counts);
        let wait = self.ends(at) - at;
        let wait =
            if matches!(self.tells, Tells::WholeSeconds) { wait.div_ceil(SECOND) * SECOND } else { wait };
        (serves, said(told.then_some(reading).into_iter().collect()), wait + WAY)
    }
}

/// A call under way: when its reply comes, and what that is.
type Reply = (u64, Reservation, bool, Said, u64);

/// A minute in which there is always somebody who waits: how many calls are served, and how many are refused.
fn minute(shape: Shape, tells: Tells, limit: usize, span: u64) -> (usize, usize) {
    let mut world = World::new(1);
    let mut hidden = Hidden { shape, tells, limit, span, began: None, served: VecDeque::new() };
    let mut under_way: VecDeque<Reply> = VecDeque::new();
    let (mut served, mut refused) = (0, 0);
    for passed in 0..60 * SECOND {
        world.now = Millis(START.0 + passed);
        while under_way.front().is_some_and(|(comes, ..)| *comes <= world.now.0) {
            let Some((_, reservation, serves, said, wait)) = under_way.pop_front() else { break };
            if serves {
                served += 1;
                world.served(reservation, &said);
            } else {
                refused += 1;
                let failure = refusal(FailureKind::RateLimited, Some(wait));
                world.failed(reservation, &hr_core::failure::Failure { said, ..failure });
            }
        }
        // At first they come one by one.
        let most = if passed < 4 * SECOND { usize::from(passed % 97 == 0) } else { usize::MAX };
        for _ in 0..most {
            let tries = under_way.is_empty() && world.may_call(0);
            if !world.is_open(0) && !tries {
                break;
            }
            let (serves, said, wait) = hidden.call(world.now.0 + WAY);
            let reservation = world.reserve(0);
            under_way.push_back((world.now.0 + 2 * WAY, reservation, serves, said, wait));
        }
    }
    (served, refused)
}

#[test]
fn a_minute_of_spans_without_a_name_is_used_well_whatever_their_shape() {
    use Shape::{Aligned, Opened, Rolling};
    use Tells::{Counts, Ends, Waits, WholeSeconds};
    for (limit, span) in [(12, 3 * SECOND), (30, 8 * SECOND), (4, SECOND), (20, 5 * SECOND)] {
        for shape in [Opened, Aligned, Rolling] {
            for tells in [Ends, Counts, Waits, WholeSeconds] {
                let (served, refused) = minute(shape, tells, limit, span);
                let whole = limit * 60 * SECOND as usize / span as usize;
                println!(
                    "{limit} in {span} ms, {shape:?}, {tells:?}: {served} of {whole}, {refused} refused"
                );
                // A span of a second is no longer than what waits are rounded to, and than the first look takes.
                let rounded = matches!(tells, WholeSeconds);
                let least = if span == SECOND {
                    0.5
                } else if rounded {
                    0.8
                } else {
                    0.9
                };
                assert!(
                    served as f64 >= least * whole as f64,
                    "{shape:?} {tells:?} {limit}: {served} of {whole}"
                );
                // At first two spans may be taken for one: then as much again is tried at the first end.
                let most = limit + served / 40;
                assert!(refused <= most, "{shape:?} {tells:?} {limit}: {refused} refused of {served}");
            }
        }
    }
}

#[test]
fn a_large_limit_that_rolls_is_not_run_into_again_and_again() {
    for (limit, span) in [(140, 5 * SECOND), (300, 5 * SECOND), (3000, 20 * SECOND)] {
        let (served, refused) = minute(Shape::Rolling, Tells::Ends, limit, span);
        let whole = limit * 60 * SECOND as usize / span as usize;
        println!("{limit} in {span} ms: {served} of {whole}, {refused} refused");
        assert!(served as f64 >= 0.9 * whole as f64, "{limit}: {served} of {whole}");
        assert!(refused <= limit, "{limit}: {refused} refused of {served}");
    }
}

#[test]
fn what_turns_out_to_roll_counts_the_calls_that_are_under_way() {
    let mut world = World::new(1);
    let words =
        |left: f64, ends: Option<Millis>| said(vec![Reading { span: None, ..per_minute(20.0, left, ends) }]);
    world.serve(0, &words(19.0, Some(Millis(START.0 + 5 * SECOND))));
    world.wait(3 * SECOND);
    (0..9).for_each(|call| world.serve(0, &words(18.0 - f64::from(call), None)));
    // After the end that was told, one is slow, and some are made meanwhile.
    world.wait(2 * SECOND + 100);
    let slow = world.reserve(0);
    world.wait(SECOND);
    let others: Vec<Reservation> = (0..3).map(|_| world.reserve(0)).collect();
    world.wait(SECOND / 2);
    // The nine from before the end still count.
    world.served(slow, &words(10.0, None));
    let used = |world: &World| world.ledger.view(world.now, "p")[0].buckets[0].used;
    assert_eq!(used(&world), 13.0);
    others.into_iter().for_each(|call| world.served(call, &said(Vec::new())));
    assert_eq!(used(&world), 13.0);
}
