//! Keys that are one quota, by what people declare or by what refusals show.

use hr_core::failure::FailureKind;
use hr_core::quota::Said;
use hr_core::secret::KeyId;
use hr_core::time::Millis;

use crate::world::{MINUTE, SECOND, World, per_minute, refusal, said};

/// Two keys of one hidden owner with ten calls a minute, all of them used by the first.
fn used_up_by_the_first(keys: usize) -> World {
    let mut world = World::new(keys);
    let ends = Some(Millis(world.now.0 + 50_000));
    for call in 1..=10 {
        world.serve(0, &said(vec![per_minute(10.0, 10.0 - f64::from(call), ends)]));
    }
    assert!(!world.may_call(0));
    let mut failure = refusal(FailureKind::RateLimited, Some(50_000));
    failure.said = said(vec![per_minute(10.0, 0.0, ends)]);
    world.refuse(1, &failure);
    world
}

#[test]
fn a_refusal_that_own_use_does_not_explain_joins_two_keys() {
    let world = used_up_by_the_first(3);
    let views = world.ledger.view(world.now, "p");
    let joint = views.iter().find(|view| !view.joined.is_empty()).expect("two that are one");
    assert_eq!(joint.keys, [KeyId("k0".into()), KeyId("k1".into())]);
    assert_eq!(joint.joined, [KeyId("k1".into())]);
    assert_eq!(joint.buckets[0].used, 10.0);
    assert!(world.told().iter().any(|told| told.contains("key `k1` seems to share its quota with key `k0`")));
    assert!(world.is_open(2), "whoever was not refused is left alone");
}

#[test]
fn what_both_wait_for_is_shown_once_with_both_keys() {
    let mut world = used_up_by_the_first(2);
    world.wait(100);
    world.refuse(0, &refusal(FailureKind::RateLimited, Some(49_900)));
    let joint = world.ledger.view(world.now, "p").remove(0);
    let [held] = joint.held.as_slice() else { panic!("the same wait twice: {:?}", joint.held) };
    assert_eq!(held.keys, joint.keys);
    assert_eq!(world.now.until(held.until).as_millis(), 49_900);
}

#[test]
fn what_either_of_them_uses_then_counts_for_both() {
    let mut world = used_up_by_the_first(2);
    world.wait(50_000);
    let mut left = 10;
    let ends = Some(Millis(world.now.0 + MINUTE));
    for call in 0..20 {
        let key = call % 2;
        if !world.is_open(key) {
            break;
        }
        left -= 1;
        let words = said(vec![per_minute(10.0, f64::from(left), ends)]);
        world.serve(key, &words);
    }
    assert_eq!(left, 0, "ten were called, and no more");
    assert!(!world.is_open(0) && !world.is_open(1));
}

#[test]
fn a_success_that_should_not_have_been_parts_them() {
    let mut world = used_up_by_the_first(2);
    world.wait(1_000);
    world.serve(1, &Said::default());
    assert!(world.ledger.view(world.now, "p").iter().all(|view| view.joined.is_empty()));
    assert!(world.told().last().unwrap().contains("key `k1` has a quota of its own after all"));
    assert!(!world.may_call(0), "the first is still used up");
}

#[test]
fn own_use_that_explains_a_refusal_joins_nobody() {
    let mut world = World::new(2);
    let ends = Some(Millis(world.now.0 + 50_000));
    for key in 0..2 {
        for call in 1..=10 {
            world.serve(key, &said(vec![per_minute(10.0, 10.0 - f64::from(call), ends)]));
        }
        let mut failure = refusal(FailureKind::RateLimited, Some(50_000));
        failure.said = said(vec![per_minute(10.0, 0.0, ends)]);
        world.refuse(key, &failure);
    }
    assert!(world.ledger.view(world.now, "p").iter().all(|view| view.joined.is_empty()));
}

#[test]
fn what_people_declare_to_be_two_is_two() {
    let mut world = World::new(0);
    world.ledger.key(0, &KeyId("k0".into()), Some("one"));
    world.ledger.key(1, &KeyId("k1".into()), Some("other"));
    let ends = Some(Millis(world.now.0 + 50_000));
    for call in 1..=10 {
        world.serve(0, &said(vec![per_minute(10.0, 10.0 - f64::from(call), ends)]));
    }
    world.refuse(1, &refusal(FailureKind::RateLimited, Some(50_000)));
    assert!(world.ledger.view(world.now, "p").iter().all(|view| view.joined.is_empty()));
}

#[test]
fn somebody_elses_use_is_seen_and_lived_with() {
    let mut world = World::new(1);
    let ends = Some(Millis(world.now.0 + 50_000));
    world.serve(0, &said(vec![per_minute(30.0, 29.0, ends)]));
    // Each of our calls finds that two others were made.
    let (mut ours, mut left) = (1, 29.0);
    while world.is_open(0) {
        left -= 3.0_f64.min(left);
        ours += 1;
        world.serve(0, &said(vec![per_minute(30.0, left, ends)]));
    }
    println!("a quota of 30 that somebody else uses twice as fast: {ours} calls of ours, none refused");
    assert_eq!(ours, 11);
    let view = world.ledger.view(world.now, "p").remove(0);
    assert!(view.shared);
    assert_eq!(view.buckets[0].left, Some(0.0));
    world.wait(50_000);
    assert!(world.is_open(0));
    assert!(!world.ledger.view(world.now, "p")[0].shared, "the span is over");
}

#[test]
fn a_key_that_is_said_to_be_somebodys_brings_its_use_along() {
    let mut world = World::new(2);
    let ends = Some(Millis(world.now.0 + 50_000));
    for call in 1..=6 {
        world.serve(0, &said(vec![per_minute(10.0, 10.0 - f64::from(call), ends)]));
    }
    for key in 0..2 {
        world.ledger.key(key, &KeyId(format!("k{key}")), Some("us"));
    }
    let view = world.ledger.view(world.now, "p").remove(0);
    assert_eq!((view.owner.as_deref(), view.keys.len()), (Some("us"), 2));
    assert_eq!(view.buckets[0].left, Some(4.0));
    let mut more = 0;
    while world.is_open(1) {
        let reservation = world.reserve(1);
        world.served(reservation, &Said::default());
        more += 1;
    }
    assert_eq!(more, 4);
}

/// With each refusal an owner is compared with few others, however many there are: with those refused last.
#[test]
fn who_shares_a_quota_is_found_among_many_keys() {
    let mut world = World::new(100);
    let wait = refusal(FailureKind::RateLimited, Some(3 * SECOND));
    let calls = |world: &mut World, key: usize, calls: usize| {
        (0..calls).for_each(|_| world.serve(key, &Said::default()));
    };
    // Each of them on its own.
    for key in 0..100 {
        calls(&mut world, key, 1 + key % 4);
        world.refuse(key, &wait);
        world.wait(4 * SECOND);
    }
    world.lessons.clear();
    // These two have six calls together.
    calls(&mut world, 70, 4);
    calls(&mut world, 80, 2);
    world.refuse(70, &wait);
    world.refuse(80, &wait);
    world.wait(3 * SECOND + 1);
    world.lessons.clear();
    calls(&mut world, 70, 2);
    calls(&mut world, 80, 4);
    world.refuse(80, &wait);
    let told = ["key `k80` seems to share its quota with key `k70`"];
    assert_eq!(world.told(), told);
}
