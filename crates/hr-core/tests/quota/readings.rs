//! Readings of headers: what is left is followed, whoever else uses it, and what cannot be true is passed over.

use std::time::Duration;

use hr_core::catalog::{LimitSpan, LimitUnit, OwnerScope};
use hr_core::failure::FailureKind;
use hr_core::quota::{End, Need, Reach, Reading, Said};
use hr_core::time::Millis;
use hr_core::usage::Usage;

use crate::world::{MINUTE, SECOND, World, per_minute, reading, refusal, said};

#[test]
fn a_burst_of_a_thousand_with_a_hundred_left_sends_a_hundred() {
    let mut world = World::new(1);
    let ends = Some(Millis(world.now.0 + 40_000));
    world.serve(0, &said(vec![per_minute(200.0, 100.0, ends)]));
    let mut under_way = Vec::new();
    for _ in 0..1_000 {
        if world.is_open(0) {
            under_way.push(world.reserve(0));
        }
    }
    println!("a burst of 1,000 with 100 left: {} sent", under_way.len());
    assert_eq!(under_way.len(), 100);
    // They end in any order, and what each says was true when it was said.
    for (ended, reservation) in under_way.into_iter().rev().enumerate() {
        world.served(reservation, &said(vec![per_minute(200.0, 99.0 - ended as f64, ends)]));
        assert!(!world.is_open(0), "after {ended}");
    }
    world.wait(40_000);
    assert!(world.is_open(0));
}

#[test]
fn what_an_older_call_heard_does_not_undo_what_a_newer_one_did() {
    let mut world = World::new(1);
    let ends = Some(Millis(world.now.0 + 40_000));
    let old = world.reserve(0);
    world.wait(SECOND);
    let new = world.reserve(0);
    world.wait(SECOND);
    world.served(new, &said(vec![per_minute(100.0, 10.0, ends)]));
    world.served(old, &said(vec![per_minute(100.0, 90.0, ends)]));
    let view = world.ledger.view(world.now, "p").remove(0);
    assert_eq!(view.buckets[0].left, Some(10.0));
}

#[test]
fn numbers_that_cannot_be_true_are_clamped() {
    let mut world = World::new(1);
    let end = |millis: u64| Some(Millis(world.now.0 + millis));
    let words = said(vec![
        per_minute(10.0, 4_000.0, end(30_000)),
        Reading {
            limit: Some(f64::NAN),
            remaining: Some(-4.0),
            reset: end(90 * 24 * 60 * MINUTE),
            ..reading(LimitUnit::Tokens, LimitSpan::Minute)
        },
        Reading { limit: Some(1e300), ..reading(LimitUnit::InputTokens, LimitSpan::Day) },
    ]);
    world.serve(0, &words);
    let view = world.ledger.view(world.now, "p").remove(0);
    let of = |unit| view.buckets.iter().find(|bucket| bucket.unit == unit);
    assert_eq!(of(LimitUnit::Requests).unwrap().left, Some(10.0));
    assert_eq!(of(LimitUnit::Tokens).unwrap().left, Some(0.0));
    assert!(of(LimitUnit::InputTokens).is_none());
    assert!(world.wait_of(0).as_secs() <= 63, "a minute is over after a minute");
}

#[test]
fn tokens_are_reserved_by_what_they_turned_out_to_be() {
    let mut world = World::new(1);
    let need = Need { input: 500, output: 500, cost: 0.0 };
    let usage = Usage { input: Some(1_000), output: Some(1_000), ..Usage::default() };
    let minute = |left: f64, now: Millis| {
        let reset = Some(Millis(now.0 + 50_000));
        let tokens = reading(LimitUnit::Tokens, LimitSpan::Minute);
        said(vec![Reading { limit: Some(20_000.0), remaining: Some(left), reset, ..tokens }])
    };
    let start = world.now;
    let reservation = world.ledger.reserve(world.now, World::seat(0), need);
    world.ledger.settle(
        world.now,
        reservation,
        End::Served { usage: &usage, said: &minute(18_000.0, start) },
    );
    // Half of what it takes was expected; nine more fit and not eighteen.
    let mut sent = Vec::new();
    while matches!(world.ledger.headroom(world.now, World::seat(0), need), hr_core::quota::Headroom::Open(_))
    {
        sent.push(world.ledger.reserve(world.now, World::seat(0), need));
    }
    println!("expected tokens half of the true ones: {} calls sent where 9 fit", sent.len());
    assert_eq!(sent.len(), 9);
}

#[test]
fn a_limit_of_an_address_is_shared_by_all_keys() {
    let mut world = World::new(3);
    let ends = Some(Millis(world.now.0 + 50_000));
    let shared =
        Reading { owner: Some(OwnerScope::Address), reach: Reach::AllModels, ..per_minute(5.0, 0.0, ends) };
    world.serve(0, &said(vec![shared]));
    assert!((0..3).all(|key| !world.may_call(key)));
    world.wait(50_000);
    assert!((0..3).all(|key| world.is_open(key)));
}

#[test]
fn models_share_what_their_names_say() {
    let mut world = World::new(1);
    world.ledger.model(2, "x:free");
    let ends = Some(Millis(world.now.0 + 50_000));
    let free = Reading { reach: Reach::Models(vec!["*:free".into()]), ..per_minute(5.0, 0.0, ends) };
    world.serve(0, &said(vec![free]));
    world.ledger.model(3, "later:free");
    let open = |model| {
        let seat = hr_core::quota::Seat { key: 0, model };
        matches!(world.ledger.headroom(world.now, seat, Need::default()), hr_core::quota::Headroom::Open(_))
    };
    assert_eq!([0, 1, 2, 3].map(open), [true, true, false, false]);
}

#[test]
fn a_bucket_that_fills_evenly_is_found_out() {
    // Three calls, and one more every twenty seconds; the end that is told is when it is full.
    let mut world = World::new(1);
    let (mut level, mut at, mut refused, mut served) = (3.0_f64, world.now, 0, 0);
    for _ in 0..3_600 {
        world.wait(SECOND);
        if !world.may_call(0) {
            continue;
        }
        let since = at.until(world.now).as_secs_f64();
        (level, at) = ((level + since / 20.0).min(3.0), world.now);
        let reservation = world.reserve(0);
        let full = |level: f64, now: Millis| Some(Millis(now.0 + ((3.0 - level) * 20_000.0) as u64));
        if level >= 1.0 {
            level -= 1.0;
            served += 1;
            let words = said(vec![per_minute(3.0, level.floor(), full(level, world.now))]);
            world.served(reservation, &words);
        } else {
            refused += 1;
            let mut failure = refusal(FailureKind::RateLimited, Some(((1.0 - level) * 20_000.0) as u64));
            failure.said = said(vec![per_minute(3.0, 0.0, full(level, world.now))]);
            world.failed(reservation, &failure);
        }
    }
    println!("an hour at a bucket of three that fills evenly: {served} of 183 served, {refused} refused");
    assert!(served >= 165, "{served} served");
    assert!(refused <= 4, "{refused} refused");
}

#[test]
fn calls_at_the_same_time_are_counted() {
    let mut world = World::new(1);
    let places = Reading { limit: Some(2.0), ..reading(LimitUnit::Concurrent, LimitSpan::Now) };
    world.serve(0, &said(vec![places]));
    let first = world.reserve(0);
    let second = world.reserve(0);
    assert!(!world.may_call(0));
    world.served(first, &Said::default());
    assert!(world.is_open(0));
    world.served(second, &Said::default());
}

#[test]
fn an_older_word_does_not_end_what_drains() {
    // Six a minute, of which one comes back every ten seconds; ends are told as the time until all is there.
    let mut world = World::new(1);
    let (mut used, mut last) = (0.0_f64, world.now);
    let mut call = |world: &World| {
        used = (used - last.until(world.now).as_secs_f64() / 10.0).max(0.0) + 1.0;
        last = world.now;
        let whole = world.now.after(Duration::from_secs_f64(used * 10.0));
        said(vec![per_minute(6.0, (6.0 - used).floor(), Some(whole))])
    };
    for _ in 0..3 {
        let said = call(&world);
        world.serve(0, &said);
        world.wait(3 * SECOND);
    }
    let mut under_way = Vec::new();
    while world.is_open(0) {
        let reserved = world.reserve(0);
        under_way.push((reserved, call(&world)));
        world.wait(SECOND);
    }
    for (reserved, said) in under_way.into_iter().rev() {
        world.served(reserved, &said);
    }
    assert!(world.wait_of(0) <= Duration::from_secs(11), "{:?}", world.wait_of(0));
}
