//! Limits that move, lie and vanish; clocks and estimates that are wrong.

use std::time::Duration;

use hr_core::catalog::LimitSpan::{Day, Minute};
use hr_core::catalog::{LimitSpan, LimitUnit};
use hr_core::time::Millis;
use hr_testkit::sim::calendar::{DAY, HOUR, MINUTE};
use hr_testkit::sim::{
    Change, Clairvoyant, Foresight, HiddenLimit, Load, Reset, Routing, Spec, Telling, Voice, Words, World,
    pool, run, table,
};

use crate::stage::{SECOND, START, at, every, routed, within};

/// The ways of telling that limits are followed by.
fn voices() -> [(&'static str, Voice); 4] {
    [
        ("headers", Voice::OPEN),
        ("headers without resets", Voice { good: Telling::Left, ..Voice::SILENT }),
        ("bodies", Voice { words: Words::LimitAndWait, ..Voice::SILENT }),
        ("bare refusals", Voice::SILENT),
    ]
}

/// Twelve minutes at a call a second, a limit of thirty a minute, and what happens to it after four.
fn track(what: &str, change: &Change, then: u32, refusals: usize) {
    for (name, voice) in voices() {
        let limit = HiddenLimit::requests(30, Minute, Reset::Aligned);
        let spec = Spec::new("moving", voice).limit(limit);
        let requests = every(600, START, Millis(START.0 + 12 * MINUTE));
        let changes = [(Millis(START.0 + 4 * MINUTE), 0, change.clone())];
        let report = routed(&[spec], &requests, &changes);
        let minutes: Vec<_> = (0..12)
            .map(|minute| {
                within(&report, Millis(START.0 + minute * MINUTE), Millis(START.0 + (minute + 1) * MINUTE))
            })
            .collect();
        println!("{what}, {name}: served and refused by minute {minutes:?}");
        // Three windows after the change it is followed.
        for (served, refused) in &minutes[7..11] {
            assert!(*served as f64 >= 0.9 * f64::from(then), "{what}, {name}: {minutes:?}");
            assert!(*refused <= refusals, "{what}, {name}: {minutes:?}");
        }
    }
}

#[test]
fn a_limit_that_halves_is_followed() {
    track("halved", &Change::Scale(LimitUnit::Requests, Minute, 0.5), 15, 2);
}

#[test]
fn a_limit_that_doubles_is_followed() {
    track("doubled", &Change::Scale(LimitUnit::Requests, Minute, 2.0), 60, 2);
}

#[test]
fn a_limit_that_vanishes_is_forgotten() {
    track("vanished", &Change::Lift(LimitUnit::Requests, Minute), 100, 0);
}

#[test]
fn headers_that_promise_twice_as_much_are_not_believed_for_long() {
    let spec = Spec::new("boasting", Voice { words: Words::Bare, refusal: Telling::Nothing, ..Voice::OPEN })
        .limit(HiddenLimit::requests(30, Minute, Reset::Aligned));
    let requests = every(600, START, Millis(START.0 + 12 * MINUTE));
    let report = routed(&[spec], &requests, &[(START, 0, Change::Boasts(2.0))]);
    let minutes: Vec<_> = (0..12)
        .map(|minute| {
            within(&report, Millis(START.0 + minute * MINUTE), Millis(START.0 + (minute + 1) * MINUTE))
        })
        .collect();
    println!("lying headers: served and refused by minute {minutes:?}");
    for (served, refused) in &minutes[3..11] {
        assert!(*served >= 27, "{minutes:?}");
        assert!(*refused <= 2, "{minutes:?}");
    }
}

#[test]
fn estimates_that_are_half_the_truth_cost_little() {
    for (name, voice) in voices() {
        let spec = Spec::new("tokens", voice).limit(HiddenLimit::tokens(30_000, Minute, Reset::Bucket));
        let load = Load { start: START, lasts: 2 * HOUR, count: 2400.0, swing: 0.0, estimates: 1.0, seed: 3 };
        let mut requests = load.requests();
        requests.iter_mut().for_each(|request| request.estimate = request.input / 2);
        let specs = [spec];
        let report = routed(&specs, &requests, &[]);
        let best =
            run(World::new(&specs, START), &mut Clairvoyant::new(&World::new(&specs, START)), &requests, &[]);
        println!("half estimates, {name}:\n{}", table(&[&report, &best]));
        assert!(report.served as f64 >= 0.8 * best.served as f64, "{name}");
        assert!(report.refused(Foresight::Avoidable) as f64 <= 0.02 * report.calls.len() as f64, "{name}");
    }
}

/// How many milliseconds after its reset a daily quota, used up long before, serves again; and how many calls were
/// refused meanwhile.
fn returns(spec: Spec, used_up_by: Millis, reset: Millis) -> (i64, usize) {
    let start = Millis(used_up_by.0 - HOUR);
    let requests = every(SECOND, start, Millis(reset.0 + 10 * MINUTE));
    let report = routed(&[spec], &requests, &[]);
    let rests = report.calls.iter().find(|call| call.refused.is_some()).unwrap().at;
    assert!(rests < used_up_by, "it is used up");
    let again = report.calls.iter().find(|call| call.served && call.at > used_up_by).unwrap().at;
    let tests = within(&report, used_up_by, reset).1;
    (again.0 as i64 - reset.0 as i64, tests)
}

#[test]
fn a_clock_that_is_an_hour_off_does_not_move_the_reset() {
    for (off, midnight) in [(HOUR as i64, "2026-11-16T23:00:00Z"), (-(HOUR as i64), "2026-11-17T01:00:00Z")] {
        for words in [Words::Limit, Words::LimitAndWait] {
            let mut spec = Spec::new("off", Voice { words, ..Voice::SILENT })
                .limit(HiddenLimit::requests(500, Day, Reset::Aligned))
                .published(1.0);
            spec.clock_off = off;
            let (late, tests) = returns(spec, at("2026-11-16T12:00:00Z"), at(midnight));
            println!(
                "clock off by {} h, {words:?}: back {late} ms after the reset, {tests} refused",
                off / HOUR as i64
            );
            assert!((0..=5000).contains(&late), "{late}");
        }
    }
}

#[test]
fn both_changes_of_summer_time_reset_at_pacific_midnight() {
    for (used_up, midnight) in [
        ("2026-03-07T20:00:00Z", "2026-03-08T08:00:00Z"),
        ("2026-03-08T20:00:00Z", "2026-03-09T07:00:00Z"),
        ("2026-10-31T20:00:00Z", "2026-11-01T07:00:00Z"),
        ("2026-11-01T20:00:00Z", "2026-11-02T08:00:00Z"),
    ] {
        let spec = Spec::new("pacific", Voice { words: Words::Limit, ..Voice::SILENT })
            .limit(HiddenLimit::requests(500, Day, Reset::Pacific))
            .published(1.0);
        let (late, tests) = returns(spec, at(used_up), at(midnight));
        println!("Pacific midnight {midnight}: back {late} ms after the reset, {tests} refused");
        assert!((0..=5000).contains(&late), "{late}");
    }
}

#[test]
fn a_hint_of_seven_days_does_not_hold_what_came_back_after_ten_minutes() {
    for words in [Words::Wait, Words::LimitAndWait] {
        let spec = Spec::new("weekly", Voice { words, ..Voice::SILENT }).limit(HiddenLimit::requests(
            100,
            LimitSpan::Day,
            Reset::Aligned,
        ));
        let week = Duration::from_millis(7 * DAY);
        let spent = Millis(START.0 + 100 * SECOND);
        let back = Millis(spent.0 + 10 * MINUTE);
        let changes = [(START, 0, Change::Claims(Some(week))), (back, 0, Change::Refill)];
        let requests = every(SECOND, START, Millis(START.0 + HOUR));
        let specs = [spec];
        let mut router = Routing::new(START, pool(&specs));
        let report = run(World::new(&specs, START), &mut router, &requests, &changes);
        let again = report.calls.iter().find(|call| call.served && call.at > back);
        let idle = again.map_or(u64::MAX, |call| call.at.0 - back.0);
        let tests = within(&report, Millis(spent.0 + SECOND), back).1;
        println!(
            "a hint of seven days, {words:?}: idle {} s after recovery, {tests} tests before",
            idle / SECOND
        );
        assert!(idle <= 15 * MINUTE, "{idle}");
        assert!(tests <= 4, "{tests}");
    }
}
