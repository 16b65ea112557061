//! A total outage on a virtual clock, driven as a gateway drives it: how many calls it costs, and how soon it is over.

use std::collections::BinaryHeap;

use hr_core::failure::FailureKind;
use hr_core::route::{Choice, Outcome, Ticket, Tried};
use hr_core::time::Millis;

use crate::world::{World, ask, failure, member, model, pool, success};

/// Requests of a second.
const RATE: u64 = 200;
/// How long a call takes, in milliseconds.
const CALL: u64 = 120;
/// How often a request comes back to those who failed it, and the pause before, in milliseconds.
const REPEATS: u32 = 2;
const PAUSE: u64 = 150;
/// Calls that a request may make to those who are known to be failing.
const KNOWN_BAD: u32 = 16;

/// A request on its way.
struct Request {
    tried: Tried,
    known_bad: u32,
    repeats: u32,
}

/// Something that happens at a time: a call ends, or a request comes back.
struct Event {
    at: u64,
    number: u64,
    request: Request,
    call: Option<(Choice, Ticket)>,
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Event {}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Event {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

fn index(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// The course of some minutes.
struct Course<'a> {
    world: World,
    start: Millis,
    number: u64,
    events: BinaryHeap<Event>,
    /// Whether a call serves: the time, the provider, a number to draw from.
    serves: &'a dyn Fn(u64, usize, u64) -> bool,
    /// Calls that began in each second.
    calls: Vec<u64>,
    served: Vec<u64>,
    refused: Vec<u64>,
}

impl<'a> Course<'a> {
    fn new(providers: usize, keys: usize, serves: &'a dyn Fn(u64, usize, u64) -> bool) -> Self {
        let members = (0..providers).map(|at| member(&format!("p{at}"), vec![model("m", 3)], keys));
        let world = World::new(pool(members.collect()));
        let start = world.now;
        let (events, none) = (BinaryHeap::new(), Vec::new);
        Self { world, start, number: 0, events, serves, calls: none(), served: none(), refused: none() }
    }

    fn run(mut self, seconds: u64) -> Self {
        let counts = vec![0; index(seconds + 60)];
        (self.calls, self.served, self.refused) = (counts.clone(), counts.clone(), counts);
        for at in (0..seconds * 1_000).step_by(index(1_000 / RATE)) {
            self.until(at);
            self.world.router.arrives(self.world.now);
            self.step(at, Request { tried: Tried::default(), known_bad: 0, repeats: 0 });
        }
        self.until(u64::MAX);
        self
    }

    /// Lets everything happen that happens until then.
    fn until(&mut self, at: u64) {
        while self.events.peek().is_some_and(|event| event.at <= at) {
            let Some(Event { at, mut request, call, number }) = self.events.pop() else { break };
            self.world.now = Millis(self.start.0 + at);
            let Some((choice, ticket)) = call else {
                self.step(at, request);
                continue;
            };
            if (self.serves)(at, choice.candidate.member, number) {
                self.world.settle(ticket, success(CALL));
                self.served[index(at / 1_000)] += 1;
                continue;
            }
            let failed = failure(FailureKind::ServerError);
            request.tried.note(&self.world.roster, choice.candidate, &failed);
            self.world.settle(ticket, Outcome::Failure(failed));
            self.step(at, request);
        }
        if at != u64::MAX {
            self.world.now = Millis(self.start.0 + at);
        }
    }

    /// The next call of a request, its pause, or its end.
    fn step(&mut self, at: u64, mut request: Request) {
        self.number += 1;
        let number = self.number;
        let draw = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let (router, roster) = (&mut self.world.router, &self.world.roster);
        let plan = router.plan(self.world.now, roster, &ask(), &request.tried, draw);
        let next = plan.choices.iter().find(|next| !next.known_bad || request.known_bad < KNOWN_BAD);
        let second = index(at / 1_000);
        if let Some(choice) = next {
            let ticket = router.begin(self.world.now, roster, choice).expect("a fresh plan holds");
            request.known_bad += u32::from(choice.known_bad);
            self.calls[second] += 1;
            let call = Some((choice.clone(), ticket));
            self.events.push(Event { at: at + CALL, number, request, call });
        } else if request.repeats < REPEATS && plan.choices.is_empty() && request.tried.forgive_passing() {
            request.repeats += 1;
            self.events.push(Event { at: at + PAUSE + draw % 50, number, request, call: None });
        } else {
            self.refused[second] += 1;
        }
    }
}

/// Seconds of traffic before the outage.
const BEFORE: u64 = 20;

#[test]
#[expect(clippy::disallowed_macros, reason = "the figure is part of what the test tells")]
fn an_outage_costs_little_and_is_over_when_it_is_over() {
    for (providers, keys, lasts) in [(12, 3, 600), (1, 1, 60), (3, 40, 60)] {
        let serves = |at: u64, _: usize, _: u64| !(BEFORE * 1_000..(BEFORE + lasts) * 1_000).contains(&at);
        let course = Course::new(providers, keys, &serves).run(BEFORE + lasts + 30);
        let outage = BEFORE as usize..(BEFORE + lasts) as usize;
        let calls: u64 = course.calls[outage.clone()].iter().sum();
        let requests = lasts * RATE;
        let worst = *course.calls[outage.clone()].iter().max().unwrap();
        let back = course.refused.iter().rposition(|refused| *refused > 0).map_or(0, |second| second + 1);
        println!(
            "{providers} providers, {keys} keys each: {:.3} calls a request, worst second {worst} of {:.0} on average, \
             back {} s after the outage",
            calls as f64 / requests as f64,
            calls as f64 / lasts as f64,
            back.saturating_sub(outage.end),
        );
        assert!(calls * 10 <= requests * 12, "{calls} calls for {requests} requests");
        assert!(worst * lasts * 2 <= calls * 3, "{worst} calls in a second, {} on average", calls / lasts);
        assert!(back <= outage.end + 2, "back after {} s", back - outage.end);
        let after = &course.served[outage.end + 2..(BEFORE + lasts + 30) as usize];
        assert!(after.iter().all(|served| *served >= RATE * 9 / 10), "{after:?}");
    }
}

#[test]
#[expect(clippy::disallowed_macros, reason = "the figure is part of what the test tells")]
fn where_six_calls_of_ten_fail_hardly_a_request_does() {
    let serves =
        |_: u64, _: usize, number: u64| number.wrapping_mul(0xD134_2543_DE82_EF95) >> 32 & 1_023 >= 614;
    for (providers, keys) in [(3, 3), (12, 3)] {
        let course = Course::new(providers, keys, &serves).run(50);
        let refused: u64 = course.refused.iter().sum();
        let calls: u64 = course.calls.iter().sum();
        println!(
            "{providers} providers, {keys} keys each: {calls} calls for 10,000 requests, {refused} failed"
        );
        assert!(refused <= 1, "{refused} of 10,000 requests failed");
    }
}
