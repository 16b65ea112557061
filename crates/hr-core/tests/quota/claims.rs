//! What a provider says of when a quota is back is a claim: it is bounded, and put to the test.

use hr_core::catalog::{LimitSpan, LimitUnit};
use hr_core::failure::{Failure, FailureKind, Scope};
use hr_core::quota::{End, Headroom, Lesson, Reading, Said, Source, Trial};
use hr_core::usage::Usage;

use crate::world::{DAY, HOUR, MINUTE, SECOND, World, per_minute, reading, refusal, said};

/// Calls whenever the ledger lets one through, every so often; when the first was served after `back`.
fn idle_after(world: &mut World, hint: u64, back: u64, step: u64) -> (u64, u32) {
    let start = world.now.0;
    let (mut tests, mut at) = (0, 0);
    while at < 8 * DAY {
        world.wait(step);
        at = world.now.0 - start;
        if !world.may_call(0) {
            continue;
        }
        if at >= back {
            world.serve(0, &Said::default());
            assert!(world.is_open(0), "a success frees");
            return (at - back, tests);
        }
        tests += 1;
        world.refuse(0, &refusal(FailureKind::QuotaSpent, Some(hint - at)));
    }
    panic!("never served");
}

#[test]
fn a_hint_of_seven_days_does_not_outlive_the_quota_by_long() {
    let mut world = World::new(1);
    world.refuse(0, &refusal(FailureKind::QuotaSpent, Some(7 * DAY)));
    assert_eq!(world.wait_of(0).as_millis() as u64, 7 * DAY);
    let (idle, tests) = idle_after(&mut world, 7 * DAY, 10 * MINUTE, SECOND);
    println!(
        "a hint of seven days, back after ten minutes: idle for {} s, {tests} tests in vain",
        idle / SECOND
    );
    assert!(idle <= 15 * MINUTE, "idle for {idle} ms");
    assert!(tests <= 2);
    assert!(matches!(world.lessons.last(), Some(Lesson::Free { scope: Scope::KeyModel })));
}

#[test]
fn tests_are_ever_more_seldom_and_never_two_in_five_minutes() {
    let mut world = World::new(1);
    let long = |world: &World, model| Failure {
        scope: Some(Scope::KeyModel),
        ..refusal(FailureKind::QuotaSpent, Some(6 * DAY - (world.now.0 % DAY) + model as u64))
    };
    for model in 0..2 {
        let seat = hr_core::quota::Seat { key: 0, model };
        let reservation = world.ledger.reserve(world.now, seat, Default::default());
        let failure = long(&world, model);
        world.failed(reservation, &failure);
    }
    let (mut tests, start) = (Vec::new(), world.now.0);
    while world.now.0 < start + 5 * DAY {
        world.wait(10 * SECOND);
        for model in 0..2 {
            let seat = hr_core::quota::Seat { key: 0, model };
            if let Headroom::Test(_, trial) = world.ledger.headroom(world.now, seat, Default::default()) {
                assert_eq!(trial, Trial::Claim);
                tests.push(world.now.0 - start);
                let reservation = world.ledger.reserve(world.now, seat, Default::default());
                assert!(reservation.test);
                let failure = long(&world, model);
                world.failed(reservation, &failure);
            }
        }
    }
    assert!(tests.windows(2).all(|pair| pair[1] - pair[0] >= 5 * MINUTE), "{tests:?}");
    println!("two claims of one owner, five days: {} tests", tests.len());
    assert!(tests.len() <= 2 * 26, "{}", tests.len());
    assert!(tests[0] <= 5 * MINUTE + 10 * SECOND);
}

#[test]
fn a_claim_that_our_own_count_bears_out_is_tested_after_an_hour() {
    let mut world = World::new(1);
    let day = |left: f64, now: hr_core::time::Millis| {
        let reset = Some(hr_core::time::Millis(now.0 + 20 * HOUR));
        let reading = reading(LimitUnit::Requests, LimitSpan::Day);
        said(vec![Reading { limit: Some(20.0), remaining: Some(left), reset, ..reading }])
    };
    let start = world.now;
    for call in 1..=20 {
        let words = day(20.0 - f64::from(call), start);
        world.serve(0, &words);
    }
    assert!(!world.may_call(0));
    world.wait(59 * MINUTE);
    assert!(!world.may_call(0), "nothing suggests that it is back");
    world.wait(2 * MINUTE);
    assert_eq!(world.trial(0), Some(Trial::Claim));
    let mut failure = refusal(FailureKind::QuotaSpent, None);
    failure.said = day(0.0, start);
    world.refuse(0, &failure);
    world.wait(100 * MINUTE);
    assert!(!world.may_call(0), "and a refusal confirms");
    // The end that was told holds, whatever the tests were.
    world.now = hr_core::time::Millis(start.0 + 20 * HOUR);
    assert!(world.is_open(0), "{:?}", world.look(0));
}

#[test]
fn a_test_that_says_nothing_is_made_again() {
    let mut world = World::new(1);
    world.refuse(0, &refusal(FailureKind::QuotaSpent, Some(DAY)));
    world.wait(5 * MINUTE);
    let reservation = world.reserve(0);
    assert!(reservation.test && !world.may_call(0), "one at a time");
    world.ledger.settle(world.now, reservation, End::Unsent);
    world.wait(5 * MINUTE);
    assert!(world.may_call(0));
}

#[test]
fn a_refusal_holds_whom_it_names_within_bounds() {
    let mut world = World::new(2);
    world.refuse(0, &refusal(FailureKind::RateLimited, Some(30 * DAY)));
    assert_eq!(world.wait_of(0).as_secs(), 3600, "a short span does not last longer");
    assert!(world.is_open(1));
    let everywhere = Failure { scope: Some(Scope::Model), ..refusal(FailureKind::RateLimited, Some(5_000)) };
    world.refuse(1, &everywhere);
    world.wait(4_999);
    assert!(!world.is_open(1));
    world.wait(1);
    assert!(world.is_open(1));
}

#[test]
fn a_limit_of_nothing_means_that_the_model_is_not_for_this_key() {
    let mut world = World::new(2);
    let mut failure = refusal(FailureKind::QuotaSpent, None);
    let nothing = Reading { source: Source::Body, remaining: None, ..per_minute(0.0, 0.0, None) };
    failure.said = said(vec![nothing]);
    world.refuse(0, &failure);
    world.wait(2 * HOUR);
    let Headroom::Test(hold, Trial::Claim) = world.look(0) else { panic!("{:?}", world.look(0)) };
    assert_eq!(hold.because, FailureKind::QuotaSpent);
    assert!(world.is_open(1));
    let seat = hr_core::quota::Seat { key: 0, model: 1 };
    assert!(matches!(world.ledger.headroom(world.now, seat, Default::default()), Headroom::Open(_)));
}

#[test]
fn a_plan_of_which_nothing_is_left_rests_its_key() {
    let mut world = World::new(1);
    let reservation = world.reserve(0);
    let reset = Some(world.now.after(std::time::Duration::from_secs(3600)));
    let plan = Reading {
        reach: hr_core::quota::Reach::AllModels,
        remaining: Some(0.0),
        reset,
        ..reading(LimitUnit::Percent, LimitSpan::FiveHours)
    };
    let usage = Usage::default();
    let said = said(vec![plan]);
    let lessons = world.ledger.settle(world.now, reservation, End::Served { usage: &usage, said: &said });
    let [Lesson::Held { scope: Scope::Key, hold }] = lessons[..] else { panic!("{lessons:?}") };
    assert_eq!((Some(hold.until), hold.because), (reset, FailureKind::QuotaSpent));
    assert!(!world.may_call(0));
    world.wait(HOUR);
    assert!(world.is_open(0));
}

#[test]
fn a_quota_that_is_back_before_its_time_is_back_as_a_whole() {
    let mut world = World::new(1);
    world.serve(0, &Said::default());
    let gone = Reading { source: Source::Body, ..reading(LimitUnit::Requests, LimitSpan::Week) };
    let failure = refusal(FailureKind::QuotaSpent, Some(7 * DAY));
    world.refuse(0, &Failure { said: said(vec![gone]), ..failure });
    assert!(!world.may_call(0));
    world.wait(6 * MINUTE);
    assert!(world.may_call(0), "the claim is put to the test");
    world.serve(0, &Said::default());
    let mut served = 0;
    while served < 100 && world.is_open(0) {
        world.serve(0, &Said::default());
        served += 1;
    }
    println!("served at once after one test: {served} of 100");
    assert_eq!(served, 100);
}
