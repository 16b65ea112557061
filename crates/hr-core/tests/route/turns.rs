//! Whose turn it is: keys and providers, one after the other.

use hr_core::failure::FailureKind;
use hr_core::pool::Rotation;
use hr_core::route::{Outcome, Tried};

use crate::world::{World, ask, because, member, model, one_provider, pool, two_providers};

#[test]
fn keys_take_turns() {
    let mut world = one_provider(3);
    let served: Vec<_> = (0..6).map(|_| world.serve(&ask())).collect();
    assert_eq!(served, ["a/m/0", "a/m/1", "a/m/2", "a/m/0", "a/m/1", "a/m/2"]);
}

#[test]
fn a_burst_is_spread_over_keys_and_providers() {
    let mut world = two_providers();
    let mut tickets = Vec::new();
    for _ in 0..8 {
        let choice = world.first(&ask());
        tickets.push(world.begin(&choice).unwrap());
    }
    let states = world.snapshot();
    assert!(states.iter().flat_map(|state| &state.keys).all(|key| key.in_flight == 2));
    for ticket in tickets {
        world.settle(ticket, Outcome::Abandoned);
    }
    assert!(world.snapshot().iter().flat_map(|state| &state.keys).all(|key| key.in_flight == 0));
}

#[test]
fn turns_skip_who_rests_without_favouring_the_next() {
    let mut world = one_provider(3);
    let second = world.choice("a/m/1");
    world.fail(&second, because(FailureKind::RateLimited, 3_000));
    let mut count = [0; 3];
    for _ in 0..10 {
        let served = world.serve(&ask());
        count[usize::from(served.as_bytes()[4] - b'0')] += 1;
    }
    assert_eq!(count, [5, 0, 5]);
}

#[test]
fn sequential_drains_a_key_before_the_next() {
    let mut pool = pool(vec![member("a", vec![model("m", 3)], 3)]);
    pool.rules.rotation = Rotation::Sequential;
    let mut world = World::new(pool);
    for _ in 0..4 {
        assert_eq!(world.serve(&ask()), "a/m/0");
    }
    let first = world.first(&ask());
    world.fail(&first, because(FailureKind::RateLimited, 60));
    for _ in 0..4 {
        assert_eq!(world.serve(&ask()), "a/m/1");
    }
    world.wait(60);
    assert_eq!(world.serve(&ask()), "a/m/0");
}

#[test]
fn the_draw_decides_where_a_rotation_begins() {
    let world = one_provider(3);
    let first = |draw| {
        world.router.plan(world.now, &world.roster, &ask(), &Tried::default(), draw).choices[0].candidate.key
    };
    assert_eq!((0..6).map(first).collect::<Vec<_>>(), [0, 1, 2, 0, 1, 2]);
}
