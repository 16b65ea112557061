//! The user's own machine: first for what is short or casual where speed is wanted, one of many elsewhere.

use hr_core::catalog::Provider;
use hr_core::failure::FailureKind;
use hr_core::pool::{Member, Pool};
use hr_core::route::{Ask, Effort, Profile};

use crate::world::{World, ask, failure, member, model, pool};

fn marked(id: &str, rating: u8, mark: impl FnOnce(&mut Provider)) -> Member {
    let mut member = member(id, vec![model("m", rating)], 1);
    let mut provider = (*member.provider).clone();
    mark(&mut provider);
    member.provider = provider.into();
    member
}

/// One that is like any other, one that is known to be quick, and the own machine with a model of this strength.
fn neighbours(local_rating: u8) -> Pool {
    pool(vec![
        member("plain", vec![model("m", 2)], 1),
        marked("quick", 2, |provider| provider.fast = true),
        marked("here", local_rating, |provider| provider.local = true),
    ])
}

fn order(world: &World, ask: &Ask) -> Vec<String> {
    world.order(ask).iter().map(|name| name.split('/').next().unwrap_or_default().to_owned()).collect()
}

fn fast() -> Ask {
    Ask { profile: Profile::Fast, difficulty: 3, prompt_tokens: 10, ..ask() }
}

#[test]
fn what_is_short_or_casual_is_served_here() {
    let world = World::new(neighbours(5));
    for difficulty in 3..=5 {
        assert_eq!(order(&world, &Ask { difficulty, ..fast() }), ["here", "quick", "plain"]);
    }
    let plain = Ask { profile: Profile::Balanced, ..fast() };
    assert_ne!(order(&world, &plain)[0], "here", "only where speed is wanted");
}

#[test]
fn what_is_heavier_goes_to_the_pool() {
    let world = World::new(neighbours(2));
    for heavy in [
        Ask { difficulty: 2, ..fast() },
        Ask { difficulty: 1, ..fast() },
        Ask { tools: true, ..fast() },
        Ask { prompt_tokens: 8_001, ..fast() },
        Ask { effort: Effort::Medium, ..fast() },
    ] {
        assert_eq!(order(&world, &heavy)[0], "quick", "{heavy:?}");
    }
    let edge = Ask { prompt_tokens: 8_000, effort: Effort::Low, ..fast() };
    assert_eq!(order(&world, &edge)[0], "here");
}

#[test]
fn short_prompts_prefer_the_quick_when_that_is_set() {
    let mut pool = neighbours(5);
    let hard = |prompt_tokens| Ask { difficulty: 2, prompt_tokens, ..ask() };
    assert_eq!(order(&World::new(pool.clone()), &hard(10)), ["plain", "quick", "here"]);
    pool.rules.fast_route_threshold = 100;
    let world = World::new(pool);
    assert_eq!(order(&world, &hard(10)), ["quick", "plain", "here"]);
    assert_eq!(order(&world, &hard(100)), ["plain", "quick", "here"]);
}

#[test]
fn a_server_that_is_not_there_is_asked_last_and_soon_not_at_all() {
    let mut world = World::new(neighbours(5));
    for failures in 1..=4 {
        world.wait(31);
        let choice = world.first(&fast());
        assert_eq!(world.name(&choice), "here/m/0");
        world.fail(&choice, failure(FailureKind::Network));
        assert_ne!(order(&world, &fast())[0], "here", "after {failures} failures");
    }
    assert_eq!(order(&world, &fast()), ["quick", "plain"], "its circuit is open");
    world.wait(60);
    assert_eq!(order(&world, &fast())[0], "here", "and it is looked for again");
}
