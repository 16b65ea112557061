//! Limits that nobody names, that move, that lie and that vanish.

use std::time::Duration;

use hr_core::catalog::{LimitSpan, LimitUnit};
use hr_core::failure::{Failure, FailureKind};
use hr_core::quota::{Reading, Said, Source, Trial};

use crate::world::{HOUR, MINUTE, Provider, SECOND, World, per_minute, published, reading, refusal, said};

/// Calls a provider as fast as the ledger lets it, through one of its windows.
fn one_window(world: &mut World, provider: &mut Provider) -> (u64, u64) {
    let (served, refused) = (provider.served, provider.refused);
    let end = (world.now.0 / provider.window + 1) * provider.window;
    while world.now.0 < end {
        // When nobody else is left, trials are made too.
        if world.may_call(0) {
            provider.call(world, 0);
        } else {
            world.wait(200);
        }
        world.wait(20);
    }
    world.now = hr_core::time::Millis(end + 5);
    (provider.served - served, provider.refused - refused)
}

fn windows(world: &mut World, provider: &mut Provider, count: usize) -> Vec<(u64, u64)> {
    (0..count).map(|_| one_window(world, provider)).collect()
}

#[test]
fn a_named_limit_that_halves_or_doubles_is_followed_at_once() {
    for (before, after) in [(100, 50), (100, 200)] {
        let (mut world, mut provider) = (World::new(1), Provider::new(before, MINUTE));
        windows(&mut world, &mut provider, 3);
        provider.limit = after;
        let seen = windows(&mut world, &mut provider, 3);
        println!("named, {before} to {after}: served and refused by window {seen:?}");
        let (served, refused) = seen[2];
        assert_eq!((served, refused), (after, 0));
        assert!(seen.iter().map(|(_, refused)| refused).sum::<u64>() <= 1, "{seen:?}");
    }
}

#[test]
fn a_published_limit_that_nobody_names_is_followed_within_three_windows() {
    for (before, after) in [(100, 50), (100, 200)] {
        let (mut world, mut provider) = (World::new(1), Provider::new(before, MINUTE));
        provider.headers = false;
        let minute = published(LimitUnit::Requests, LimitSpan::Minute, before as f64, "rolling");
        world.ledger.publish(&[minute]);
        windows(&mut world, &mut provider, 6);
        provider.limit = after;
        let seen = windows(&mut world, &mut provider, 3);
        println!("published and not named, {before} to {after}: served and refused by window {seen:?}");
        let (served, refused) = seen[2];
        assert!(served as f64 >= 0.85 * after as f64, "{seen:?}");
        assert!(refused <= 1, "{seen:?}");
    }
}

#[test]
fn a_limit_of_which_nothing_is_known_is_learned_from_two_refusals() {
    let (mut world, mut provider) = (World::new(1), Provider::new(40, 30 * SECOND));
    provider.headers = false;
    let seen = windows(&mut world, &mut provider, 12);
    let calls: u64 = seen.iter().map(|(served, refused)| served + refused).sum();
    println!("40 calls in 30 s, nothing said: {seen:?}");
    assert!(seen[4..].iter().all(|(served, _)| *served >= 36), "{seen:?}");
    let refused: u64 = seen[4..].iter().map(|(_, refused)| refused).sum();
    assert!(refused <= 1 + calls / 100, "{seen:?}");
    let view = world.ledger.view(world.now, "p").remove(0);
    assert_eq!(view.buckets[0].source, Source::Refusals);
    assert!(world.told().iter().any(|told| told.contains("40 calls in")), "{:?}", world.told());
}

#[test]
fn headers_that_vanish_leave_what_they_taught() {
    let (mut world, mut provider) = (World::new(1), Provider::new(50, MINUTE));
    windows(&mut world, &mut provider, 3);
    provider.headers = false;
    let seen = windows(&mut world, &mut provider, 4);
    println!("headers vanish: served and refused by window {seen:?}");
    let (served, refused) = seen.iter().fold((0, 0), |sum, seen| (sum.0 + seen.0, sum.1 + seen.1));
    assert!(served >= 4 * 50 * 85 / 100, "{seen:?}");
    assert!(refused <= 4, "{seen:?}");
    let view = world.ledger.view(world.now, "p").remove(0);
    assert_eq!(view.buckets[0].source, Source::Refusals);
}

#[test]
fn headers_that_promise_too_much_are_found_out() {
    // Five hundred are said to be there, forty are.
    let mut world = World::new(1);
    let mut seen = Vec::new();
    for _ in 0..8 {
        let (mut used, mut refused, end) = (0, 0, world.now.0 + MINUTE);
        while world.now.0 < end {
            if world.may_call(0) {
                let left = 500.0 - f64::from(used);
                let words = said(vec![per_minute(500.0, left, Some(hr_core::time::Millis(end)))]);
                if used < 40 {
                    used += 1;
                    world.serve(0, &words);
                } else {
                    refused += 1;
                    let mut failure = refusal(FailureKind::RateLimited, Some(end - world.now.0));
                    failure.said = words;
                    world.refuse(0, &failure);
                }
            }
            world.wait(100);
        }
        world.now = hr_core::time::Millis(end + 5);
        seen.push((used, refused));
    }
    println!("500 promised, 40 there: served and refused by window {seen:?}");
    assert!(seen.iter().skip(3).all(|(used, refused)| *used >= 34 && *refused <= 1), "{seen:?}");
    assert!(seen.iter().skip(3).map(|(_, refused)| refused).sum::<u32>() <= 3, "{seen:?}");
}

#[test]
fn headers_that_say_nothing_is_left_while_there_is_are_found_out() {
    let mut world = World::new(1);
    let mut served = Vec::new();
    for _ in 0..6 {
        let (mut used, end) = (0, world.now.0 + MINUTE);
        while world.now.0 < end {
            if world.may_call(0) && used < 100 {
                used += 1;
                let end = Some(hr_core::time::Millis(end));
                world.serve(0, &said(vec![per_minute(100.0, 0.0, end)]));
            }
            world.wait(100);
        }
        world.now = hr_core::time::Millis(end + 5);
        served.push(used);
    }
    println!("100 there, nothing said to be left: served by window {served:?}");
    assert!(served[3..].iter().all(|used| *used >= 90), "{served:?}");
}

#[test]
fn trials_are_few() {
    let mut world = World::new(1);
    let refuse = |world: &mut World| world.refuse(0, &refusal(FailureKind::RateLimited, Some(1_000)));
    world.ledger.publish(&[published(LimitUnit::Requests, LimitSpan::Minute, 5.0, "rolling")]);
    let (mut calls, mut trials, mut used) = (0_u32, 0_u32, 0);
    let start = world.now.0;
    while world.now.0 < start + 24 * 60 * MINUTE {
        if (world.now.0 - start).is_multiple_of(MINUTE) {
            used = 0;
        }
        if world.may_call(0) {
            calls += 1;
            if world.trial(0) == Some(Trial::Limit) {
                trials += 1;
            }
            if used < 5 {
                used += 1;
                world.serve(0, &Default::default());
            } else {
                refuse(&mut world);
            }
        }
        world.wait(SECOND);
    }
    println!("a day at five calls a minute: {calls} calls, {trials} of them trials");
    assert!(trials <= 3 + 8 + calls / 200, "{trials} trials in {calls} calls");
    assert!(calls > 5 * 24 * 60 * 8 / 10, "{calls} calls");
}

#[test]
fn a_refusal_that_names_only_what_it_counts_shuts_no_later_span() {
    const LIMIT: usize = 6;
    let mut world = World::new(1);
    let begun = world.now;
    let mut served = Vec::new();
    for span in 0..6_u64 {
        let ends = begun.after(Duration::from_secs(5 * (span + 1)));
        let mut here = 0;
        while world.now < ends {
            if world.may_call(0) {
                if here < LIMIT {
                    here += 1;
                    world.serve(0, &Said::default());
                } else {
                    let wait = world.now.until(ends);
                    let reading = Reading {
                        limit: None,
                        span: None,
                        remaining: None,
                        reset: None,
                        source: Source::Body,
                        ..reading(LimitUnit::Requests, LimitSpan::Minute)
                    };
                    let failure = Failure::new(FailureKind::RateLimited, "Rate limit reached for requests");
                    world
                        .refuse(0, &Failure { said: said(vec![reading]), ..failure.retry_after(Some(wait)) });
                }
            }
            world.wait(100);
        }
        served.push(here);
    }
    println!("served of 6 a span: {served:?}");
    assert!(served[1..].iter().all(|served| *served >= LIMIT - 1), "{served:?}");
}

#[test]
fn a_limit_whose_end_nobody_tells_is_tried_again_however_often_it_was_refused() {
    let mut world = World::new(1);
    let spent = Reading { span: None, ..per_minute(10.0, 0.0, None) };
    world.serve(0, &said(vec![spent.clone()]));
    let mut failure = refusal(FailureKind::RateLimited, None);
    failure.said = said(vec![spent]);
    for refusals in 0..200 {
        let mut waited = 0;
        while !world.may_call(0) {
            world.wait(MINUTE);
            waited += MINUTE;
            assert!(waited <= 7 * HOUR, "nobody tries after {refusals} refusals");
        }
        world.refuse(0, &failure);
    }
}
