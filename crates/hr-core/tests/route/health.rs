//! What is measured of models, and what follows.

use std::time::Duration;

use hr_core::failure::FailureKind;
use hr_core::route::Outcome;
use hr_core::route::health::LEAST_PATIENCE;

use crate::world::{World, ask, failure, success, two_providers};

fn patience(world: &World) -> Option<Duration> {
    let choice = world.choice("a/m/0");
    world.router.patience(world.now, &world.roster, choice.candidate)
}

#[test]
fn who_begins_quickly_is_not_waited_for_long_until_it_has_become_slower() {
    let mut world = two_providers();
    assert_eq!(patience(&world), None);
    for _ in 0..40 {
        let choice = world.choice("a/m/0");
        world.run(&choice, success(400));
    }
    assert_eq!(patience(&world), Some(LEAST_PATIENCE));
    let mut waited = 0;
    while let Some(wait) = patience(&world).filter(|wait| *wait < Duration::from_secs(40)) {
        let choice = world.choice("a/m/0");
        let ticket = world.begin(&choice).unwrap();
        world.now = world.now.after(wait);
        world.settle(ticket, Outcome::Failure(failure(FailureKind::Timeout)));
        world.wait(31);
        waited += 1;
        assert!(waited <= 5, "still {wait:?}");
    }
    assert!(patience(&world).is_none_or(|wait| wait >= Duration::from_secs(40)));
}

#[test]
fn who_fails_now_and_then_comes_after_who_never_does() {
    let mut world = two_providers();
    for turn in 0..20 {
        let choice = world.choice("a/m/0");
        let ends = if turn % 4 == 0 { Outcome::Failure(failure(FailureKind::Empty)) } else { success(100) };
        world.run(&choice, ends);
        let choice = world.choice("b/m/0");
        world.run(&choice, success(100));
        world.wait(2);
    }
    world.wait(200);
    let choice = world.choice("a/m/0");
    assert!(choice.terms.unreliable > 0 && choice.terms.trouble == 0, "{:?}", choice.terms);
    for _ in 0..4 {
        assert!(world.serve(&ask()).starts_with("b/"));
    }
    world.wait(2_000);
    assert!(world.choice("a/m/0").terms.unreliable == 0, "old news");
}
