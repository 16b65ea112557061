//! What is kept over a restart.

use hr_core::failure::FailureKind;
use hr_core::quota::{Ledger, Need, Reading, Seat};
use hr_core::secret::KeyId;
use hr_core::time::Millis;

use crate::world::{HOUR, World, per_minute, refusal, said};

/// A ledger that was taken back before its keys and models were known.
fn restarted(world: &mut World) -> World {
    let mut ledger = Ledger::default();
    for (id, kept) in world.ledger.changes() {
        if let Some(kept) = kept {
            assert!(ledger.restore(world.now, &id, &kept), "{id}: {kept}");
        }
    }
    ledger.model(0, "n");
    ledger.model(1, "m");
    for key in 0..3 {
        ledger.key(2 - key, &KeyId(format!("k{key}")), None);
    }
    World { ledger, now: world.now, lessons: Vec::new() }
}

fn after(world: &World, key: usize) -> hr_core::quota::Headroom {
    world.ledger.headroom(world.now, Seat { key, model: 1 }, Need::default())
}

#[test]
fn calls_under_way_at_a_kill_count_as_made() {
    let mut world = World::new(3);
    let ends = Some(Millis(world.now.0 + 50_000));
    world.serve(0, &said(vec![per_minute(10.0, 9.0, ends)]));
    let _lost: Vec<_> = (0..9).map(|_| world.reserve(0)).collect();
    assert!(!world.may_call(0));
    let again = restarted(&mut world);
    assert!(matches!(after(&again, 2), hr_core::quota::Headroom::Spent(_)), "{:?}", after(&again, 2));
    let view = again.ledger.view(again.now, "p").remove(0);
    assert_eq!((view.buckets[0].used, view.buckets[0].left), (10.0, Some(0.0)));
    assert_eq!(view.keys, [KeyId("k0".into())]);
    assert!(world.ledger.changes().is_empty(), "what has not changed is not kept anew");
}

#[test]
fn what_cooled_cools_on_and_what_was_joined_stays_joined() {
    let mut world = World::new(3);
    let ends = Some(Millis(world.now.0 + 50_000));
    for call in 1..=10 {
        world.serve(0, &said(vec![per_minute(10.0, 10.0 - f64::from(call), ends)]));
    }
    let mut failure = refusal(FailureKind::RateLimited, Some(50_000));
    failure.said = said(vec![per_minute(10.0, 0.0, ends)]);
    world.refuse(1, &failure);
    world.refuse(2, &refusal(FailureKind::QuotaSpent, Some(HOUR)));
    let joined = |world: &World| {
        let views = world.ledger.view(world.now, "p");
        views.into_iter().flat_map(|view| view.joined).collect::<Vec<_>>()
    };
    assert_eq!(joined(&world), [KeyId("k1".into())]);
    let mut again = restarted(&mut world);
    assert_eq!(joined(&again).len(), 1);
    for key in 0..3 {
        assert_eq!(world.look(key), after(&again, 2 - key), "key {key}");
    }
    again.wait(50_000);
    assert!(matches!(after(&again, 2), hr_core::quota::Headroom::Open(_)));
    assert!(!matches!(after(&again, 0), hr_core::quota::Headroom::Open(_)), "an hour is not over");
}

#[test]
fn what_cannot_be_read_is_said_so() {
    let mut ledger = Ledger::default();
    let now = Millis(0);
    assert!(!ledger.restore(now, "key:k", "{"));
    assert!(!ledger.restore(now, "nobody", "{}"));
    assert!(!ledger.restore(now, "key:k", r#"{"buckets":[{"unit":"calls"}]}"#));
    assert!(!ledger.restore(now, "estimates:m", "[]"));
    assert!(ledger.restore(now, "key:k", "{}"));
}

#[test]
fn estimates_are_kept() {
    let mut world = World::new(1);
    let need = Need { input: 100, output: 0, cost: 0.0 };
    let reservation = world.ledger.reserve(world.now, World::seat(0), need);
    let usage = hr_core::usage::Usage { input: Some(300), ..Default::default() };
    let tokens = Reading {
        unit: hr_core::catalog::LimitUnit::Tokens,
        ..per_minute(1_000.0, 700.0, Some(Millis(world.now.0 + 50_000)))
    };
    let words = said(vec![tokens]);
    let end = hr_core::quota::End::Served { usage: &usage, said: &words };
    world.ledger.settle(world.now, reservation, end);
    let again = restarted(&mut world);
    let fits = |input| {
        let need = Need { input, output: 0, cost: 0.0 };
        let seat = Seat { key: 2, model: 1 };
        matches!(again.ledger.headroom(again.now, seat, need), hr_core::quota::Headroom::Open(_))
    };
    assert!(fits(233) && !fits(234), "700 tokens are 233 expected ones");
}
