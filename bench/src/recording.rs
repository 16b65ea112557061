//! What the record of its decision costs a request: the core alone, without a gateway around it.

use std::time::{Duration, Instant};

use anyhow::Result;
use hr_core::pool::{Pool, RouteRules};
use hr_core::route::record::{Draft, Subject};
use hr_core::route::{Plan, Roster, Router, Tried};
use hr_core::time::Millis;
use hr_core::usage::Usage;

use crate::planning::{ask, member, request};
use crate::report::{Row, median};

/// Providers of the pool.
const PROVIDERS: usize = 12;
/// Keys of the pool: every other provider has three, the rest two.
const KEYS: [usize; 2] = [3, 2];
/// Requests that the pool has seen before.
const REQUESTS: u64 = 300;
/// Records that are timed together, since the clock is coarse.
const TOGETHER: u32 = 50;
/// How often they are.
const ROUNDS: usize = 101;
/// What a record is to cost at most, in microseconds.
const MOST: f64 = 20.0;

/// The row.
pub fn row() -> Result<Row> {
    let mut router = Router::new();
    let mut now = Millis(1_700_000_000_000);
    let members =
        (0..PROVIDERS).map(|index| member(index, KEYS[index % KEYS.len()])).collect::<Result<_>>()?;
    let roster = router.install(now, Pool { members, rules: RouteRules::default() });
    for number in 0..REQUESTS {
        now = now.after(Duration::from_millis(200));
        request(&mut router, &roster, now, number);
    }
    let plan = router.plan(now, &roster, &ask(7), &Tried::default(), 7);
    let times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..TOGETHER {
                std::hint::black_box(record(&roster, &plan, now));
            }
            start.elapsed().as_secs_f64() * 1e6 / f64::from(TOGETHER)
        })
        .collect();
    Ok(Row::absolute("recording a decision", "µs", None, median(&times), MOST))
}

/// All that is written down of a request that is served at the first try, as it is kept.
fn record(roster: &Roster, plan: &Plan, now: Millis) -> Vec<u8> {
    let ask = ask(7);
    let mut draft = Draft::new("req_0123456789abcdef".to_owned(), now, "chat", "0123456789ab");
    let subject = Subject { roster, ask: &ask, plan, made_up: false };
    if let Some(choice) = plan.choices.first() {
        draft.plan(&subject, Some(choice));
        draft.calls(&subject, choice.candidate, Duration::ZERO);
    }
    draft.answered(Duration::from_millis(300));
    draft.used(Usage { input: Some(1_500), output: Some(300), ..Usage::default() });
    draft.close(200, "well", Duration::from_millis(900)).to_json()
}
