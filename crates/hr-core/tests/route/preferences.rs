//! Profiles, names of models, and one stable provider for embeddings.

use hr_core::catalog::{Price, SpendClass};
use hr_core::failure::FailureKind;
use hr_core::route::{Ask, Candidate, Profile, Target, Tried, Verdict, Work};

use crate::world::{World, ask, failure, member, model, pool, success, two_providers};

/// Free, included and paid models of every strength, one a provider.
fn market() -> World {
    let offer = |id: &str, rating, spend, price: Option<f64>| {
        let mut model = model(id, rating);
        model.spend = spend;
        model.price = price.map(|usd| Price { input: usd / 2.0, output: usd / 2.0, cached: None });
        member(&format!("p_{id}"), vec![model], 1)
    };
    World::new(pool(vec![
        offer("free-strong", 1, SpendClass::Free, None),
        offer("free-mid", 3, SpendClass::Free, None),
        offer("free-weak", 5, SpendClass::Free, None),
        offer("included", 1, SpendClass::Included, None),
        offer("paid-cheap", 3, SpendClass::Paid, Some(0.3)),
        offer("paid-dear", 1, SpendClass::Paid, Some(20.0)),
        offer("paid-unknown", 3, SpendClass::Paid, None),
    ]))
}

fn models(world: &World, ask: &Ask) -> Vec<String> {
    world.order(ask).iter().map(|name| name.split('/').nth(1).expect("a model").to_owned()).collect()
}

#[test]
fn profiles_order_the_market() {
    let world = market();
    let order = |profile, difficulty| {
        models(&world, &Ask { target: Target::Profile(profile), profile, difficulty, ..ask() })
    };
    let easy =
        ["free-weak", "free-mid", "free-strong", "included", "paid-cheap", "paid-unknown", "paid-dear"];
    assert_eq!(order(Profile::Balanced, 5), easy);
    let middling =
        ["free-mid", "free-strong", "free-weak", "included", "paid-cheap", "paid-unknown", "paid-dear"];
    assert_eq!(order(Profile::Balanced, 3), middling);
    let hard =
        ["free-strong", "free-mid", "free-weak", "included", "paid-dear", "paid-cheap", "paid-unknown"];
    assert_eq!(order(Profile::Balanced, 1), hard);
    let best =
        ["free-strong", "included", "paid-dear", "free-mid", "paid-cheap", "paid-unknown", "free-weak"];
    assert_eq!(order(Profile::Best, 5), best);
    assert_eq!(order(Profile::Frugal, 1)[4], "paid-cheap");
    assert_eq!(order(Profile::Frugal, 1)[0], "free-strong");
}

#[test]
fn a_slow_provider_comes_later_until_that_is_old_news() {
    let mut world = two_providers();
    let choice = world.choice("a/m/0");
    world.run(&choice, success(20_000));
    let choice = world.choice("b/m/0");
    world.run(&choice, success(200));
    for _ in 0..3 {
        assert!(world.serve(&ask()).starts_with("b/"));
    }
    world.wait(601);
    assert!(world.serve(&ask()).starts_with("a/"));
}

#[test]
fn a_preferred_model_goes_first_wherever_it_is_and_then_the_pool() {
    let world = market();
    let order = models(&world, &Ask { target: Target::Prefer("paid-dear".into()), ..ask() });
    assert_eq!(order[..2], ["paid-dear", "free-mid"]);
    assert_eq!(order.len(), 7);
}

#[test]
fn a_pinned_model_is_served_by_nobody_else() {
    let world = World::new(pool(vec![
        member("a", vec![model("m", 3), model("n", 3)], 2),
        member("b", vec![model("m", 3)], 1),
    ]));
    let pin = |provider: &str, model: &str| Ask {
        target: Target::Pin { provider: provider.into(), model: model.into() },
        ..ask()
    };
    assert_eq!(world.order(&pin("a", "n")), ["a/n/0", "a/n/1"]);
    let plan = world.plan(&pin("b", "n"));
    assert_eq!(world.gates(&plan), ["a: not_asked", "b: excluded"]);
    assert_eq!(plan.verdict(&Tried::default()), Verdict::NoProviders);
}

#[test]
fn embeddings_stay_with_one_provider_as_long_as_it_lives() {
    let embedding = |id: &str, keys| {
        let mut member = member(id, vec![], keys);
        member.embed_model = Some(format!("{id}-embed"));
        member
    };
    let mut world =
        World::new(pool(vec![member("chat", vec![model("m", 1)], 1), embedding("a", 2), embedding("b", 1)]));
    let ask = Ask { work: Work::Embed, ..ask() };
    assert_eq!(world.order(&ask), ["a/a-embed/0", "a/a-embed/1", "b/b-embed/0"]);
    let choice = world.first(&ask);
    assert_eq!(choice.candidate.model, Candidate::EMBED);
    world.fail(&choice, failure(FailureKind::ServerError));
    assert_eq!(world.order(&ask), ["a/a-embed/1", "a/a-embed/0", "b/b-embed/0"]);
    for _ in 0..2 {
        let choice = world.first(&ask);
        world.fail(&choice, failure(FailureKind::BadKey));
    }
    assert_eq!(world.order(&ask), ["b/b-embed/0"]);
}
