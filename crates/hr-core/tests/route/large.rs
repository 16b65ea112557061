//! Pools of very many keys: a plan holds as many choices as a request can use, and counts the rest.

use hr_core::failure::FailureKind;
use hr_core::route::plan::{CHOICES, EXCLUSIONS};
use hr_core::route::{Ask, Gate};
use hr_core::secret::KeyId;

use crate::world::{World, ask, because, member, model, pool};

const KEYS: usize = 1_000;

fn crowd() -> World {
    World::new(pool(vec![member("a", vec![model("m", 3)], KEYS), member("b", vec![model("m", 3)], KEYS)]))
}

#[test]
fn a_plan_holds_what_a_request_can_use_and_counts_the_rest() {
    let world = crowd();
    let plan = world.plan(&ask());
    assert_eq!(plan.choices.len(), CHOICES);
    assert_eq!(plan.choices.len() + plan.more, 2 * KEYS);
}

#[test]
fn all_keys_of_a_crowd_take_turns() {
    let mut world = World::new(pool(vec![member("a", vec![model("m", 3)], KEYS)]));
    for _ in 0..2 * KEYS {
        world.serve(&ask());
    }
    assert!(world.snapshot()[0].keys.iter().all(|key| key.requests == 2));
}

#[test]
fn home_and_issuer_are_found_in_a_crowd() {
    let mut world = crowd();
    let session = Ask { session: Some(1), ..ask() };
    let home = world.serve(&session);
    for _ in 0..KEYS {
        world.serve(&ask());
    }
    assert_eq!(world.serve(&session), home);
    let issued = Ask { issuers: vec![KeyId("b-777".into())], ..ask() };
    assert_eq!(world.order(&issued)[0], "b/m/777");
}

#[test]
fn keys_that_rest_for_one_reason_are_told_together() {
    let mut world = World::new(pool(vec![member("a", vec![model("m", 3)], KEYS)]));
    for index in 0..KEYS {
        let choice = world.first(&ask());
        world.fail(&choice, because(FailureKind::BadKey, 1_000 + index as u64));
    }
    let plan = world.plan(&ask());
    assert!(plan.choices.is_empty());
    let alike: u32 = plan.exclusions.iter().map(|exclusion| exclusion.alike).sum();
    assert_eq!(plan.exclusions.len() + alike as usize, KEYS, "nobody is forgotten");
    assert_eq!(plan.exclusions.len(), EXCLUSIONS as usize + 1);
    assert!(plan.exclusions.iter().all(|exclusion| exclusion.gate == Gate::Cooldown));
    let first = world.snapshot()[0].keys.iter().filter_map(|key| key.cooling_until).min();
    assert_eq!(plan.earliest(), first, "the first end is the first of all");
}
