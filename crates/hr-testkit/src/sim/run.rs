//! A simulation: requests come, are placed, answered and counted, on a clock that jumps.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use hr_core::catalog::SpendClass;
use hr_core::failure::FailureKind;
use hr_core::route::Candidate;
use hr_core::time::Millis;

use super::contender::{Contender, Step, Visit};
use super::judge::{Foresight, Judge};
use super::limit::HiddenLimit;
use super::load::Request;
use super::world::{Change, Ending, Reply, World};

/// How long a request may wait, in milliseconds, before it is refused.
pub const MAX_WAIT: u64 = 5000;

/// What happens at an instant; what is listed first happens first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// Something happens to a provider.
    Change(usize),
    /// A call ends.
    End(usize),
    /// A request that waited is looked at again.
    Return(usize),
    /// A request comes.
    Arrive(usize),
}

/// A call under way.
struct Call<H> {
    begun: Millis,
    candidate: Candidate,
    request: usize,
    held: H,
    reply: Reply,
}

/// One call, for those who look closely.
#[derive(Clone, Copy, Debug)]
pub struct Made {
    /// When it was made.
    pub at: Millis,
    /// When it ended.
    pub ended: Millis,
    /// For which request.
    pub request: usize,
    /// To whom.
    pub candidate: Candidate,
    /// Whether it served.
    pub served: bool,
    /// Why it was refused for a limit, if it was.
    pub refused: Option<Foresight>,
    /// The limit that refused it.
    pub limit: Option<HiddenLimit>,
}

/// What came of a simulation.
#[derive(Clone, Debug)]
pub struct Report {
    /// Who decided.
    pub name: &'static str,
    /// Requests that came.
    pub requests: usize,
    /// Requests that were served, each with the candidate.
    pub served: usize,
    /// Calls that went to something that costs money.
    pub paid: usize,
    /// Every call.
    pub calls: Vec<Made>,
}

impl Report {
    /// How many calls were refused for a limit, for this reason.
    #[must_use]
    pub fn refused(&self, why: Foresight) -> usize {
        self.calls.iter().filter(|call| call.refused == Some(why)).count()
    }

    /// How many calls were refused for a limit.
    #[must_use]
    pub fn refusals(&self) -> usize {
        self.calls.iter().filter(|call| call.refused.is_some()).count()
    }

    /// The part of the calls that were refused although that was to be foreseen.
    #[must_use]
    pub fn avoidable(&self) -> f64 {
        self.refused(Foresight::Avoidable) as f64 / self.calls.len().max(1) as f64
    }

    /// How many calls were made in each second.
    #[must_use]
    pub fn by_second(&self, start: Millis) -> Vec<u32> {
        let mut seconds = Vec::new();
        for call in &self.calls {
            let second = (call.at.0.saturating_sub(start.0) / 1000) as usize;
            if seconds.len() <= second {
                seconds.resize(second + 1, 0);
            }
            seconds[second] += 1;
        }
        seconds
    }
}

/// A simulation under way.
struct Run<'a, C: Contender> {
    world: World,
    contender: &'a mut C,
    judge: Judge,
    requests: &'a [Request],
    visits: Vec<Visit>,
    calls: Vec<Option<Call<C::Held>>>,
    events: BinaryHeap<Reverse<(Millis, Event)>>,
    report: Report,
}

/// Plays these requests through, with what happens meanwhile to a provider.
pub fn run<C: Contender>(
    world: World,
    contender: &mut C,
    requests: &[Request],
    changes: &[(Millis, usize, Change)],
) -> Report {
    let report = Report {
        name: contender.name(),
        requests: requests.len(),
        served: 0,
        paid: 0,
        calls: Vec::with_capacity(requests.len() * 2),
    };
    let arrivals = requests.iter().enumerate().map(|(number, request)| (request.at, Event::Arrive(number)));
    let others = changes.iter().enumerate().map(|(number, (at, ..))| (*at, Event::Change(number)));
    let mut run = Run {
        judge: Judge::new(&world),
        world,
        contender,
        requests,
        visits: std::iter::repeat_with(Visit::default).take(requests.len()).collect(),
        calls: Vec::new(),
        events: arrivals.chain(others).map(Reverse).collect(),
        report,
    };
    while let Some(Reverse((now, event))) = run.events.pop() {
        match event {
            Event::Change(number) => {
                let (_, member, change) = &changes[number];
                run.world.change(now, *member, change);
            }
            Event::End(call) => run.end(now, call),
            Event::Return(request) => run.place(now, request),
            Event::Arrive(request) => {
                run.contender.arrives(now);
                run.place(now, request);
            }
        }
    }
    run.report
}

impl<C: Contender> Run<'_, C> {
    /// Places a request, or lets it wait or go.
    fn place(&mut self, now: Millis, number: usize) {
        let request = &self.requests[number];
        let visit = &mut self.visits[number];
        match self.contender.next(now, &mut self.world, request, visit) {
            Step::Call { candidate, held, test } => {
                visit.attempts += 1;
                let attempt = visit.attempts;
                self.call(now, (candidate, held), (number, attempt), test);
            }
            Step::Wait(until) if until.0 <= request.at.0 + MAX_WAIT => {
                self.events.push(Reverse((until.max(now), Event::Return(number))));
            }
            Step::Wait(_) | Step::Nobody => {}
        }
    }

    fn call(
        &mut self,
        now: Millis,
        (candidate, held): (Candidate, C::Held),
        (number, attempt): (usize, u32),
        test: bool,
    ) {
        let request = &self.requests[number];
        let reply = self.world.call(now, candidate, request, attempt);
        let refused = reply
            .refused_by
            .map(|meter| self.judge.judge(now, &mut self.world, candidate, request, (meter, test)));
        let served = matches!(reply.ending, Ending::Served { .. });
        if served {
            self.judge.begins(&self.world, candidate, request);
        }
        self.report.paid += usize::from(self.world.spec(candidate).spend == SpendClass::Paid);
        let limit = reply.refused_by.map(|meter| self.world.meters[meter].limit);
        let made = Made { at: now, ended: reply.ends, request: number, candidate, served, refused, limit };
        self.report.calls.push(made);
        self.events.push(Reverse((reply.ends, Event::End(self.calls.len()))));
        self.calls.push(Some(Call { begun: now, candidate, request: number, held, reply }));
    }

    fn end(&mut self, now: Millis, call: usize) {
        let Some(Call { begun, candidate, request: number, held, reply }) = self.calls[call].take() else {
            return;
        };
        let request = &self.requests[number];
        let served = matches!(reply.ending, Ending::Served { .. });
        if served {
            self.world.ends(now, candidate, request);
            self.report.served += 1;
        }
        self.judge.sees((begun, now), &self.world, candidate, request, &reply);
        let visit = &mut self.visits[number];
        if let Ending::Failed(failure) = &reply.ending {
            let limited = matches!(failure.kind, FailureKind::RateLimited | FailureKind::QuotaSpent);
            visit.refusals += u32::from(limited);
        }
        let goes_on = self.contender.ends(now, (candidate, held), request, &reply, visit);
        if !served && goes_on {
            self.place(now, number);
        }
    }
}
