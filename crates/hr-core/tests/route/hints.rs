//! What callers say of their work: hints, and loops in which tools must work.

use hr_core::route::{Ask, Gate, Hint, Tried, Verdict};

use crate::world::{World, ask, member, model, pool};

/// Models that differ in what they can do, one a provider: the one with nothing stands first.
fn shelf() -> World {
    let offer = |id: &str, tools, vision, reasoning| {
        let mut model = model(id, 3);
        (model.tools, model.vision, model.reasoning) = (tools, vision, reasoning);
        member(&format!("p_{id}"), vec![model], 1)
    };
    let (yes, no) = (Some(true), Some(false));
    let mut quick = offer("quick", no, no, no);
    let mut provider = (*quick.provider).clone();
    provider.fast = true;
    quick.provider = provider.into();
    World::new(pool(vec![
        offer("plain", no, no, no),
        offer("tools", yes, no, no),
        offer("maybe", None, no, no),
        offer("sees", no, yes, no),
        offer("reasons", no, no, yes),
        quick,
    ]))
}

fn first(world: &World, hint: Hint, ask: Ask) -> String {
    let order = world.order(&Ask { hint: Some(hint), ..ask });
    order[0].split('/').nth(1).expect("a model").to_owned()
}

#[test]
fn a_hint_brings_models_forward_that_fit() {
    let world = shelf();
    assert_eq!(world.order(&ask())[0], "p_plain/plain/0");
    assert_eq!(first(&world, Hint::Coding, ask()), "tools");
    assert_eq!(first(&world, Hint::Review, ask()), "reasons");
    assert_eq!(first(&world, Hint::Planning, ask()), "reasons");
    assert_eq!(first(&world, Hint::Debug, ask()), "quick");
    assert_eq!(first(&world, Hint::Vision, ask()), "plain", "there is no image");
    assert_eq!(first(&world, Hint::Vision, Ask { vision: true, ..ask() }), "sees");
}

#[test]
fn a_hint_never_promotes_a_model_that_is_too_weak() {
    let mut thinker = model("thinker", 4);
    thinker.reasoning = Some(true);
    let world =
        World::new(pool(vec![member("a", vec![thinker], 1), member("b", vec![model("strong", 2)], 1)]));
    let hard = Ask { difficulty: 2, ..ask() };
    assert_eq!(first(&world, Hint::Planning, hard), "strong");
    assert_eq!(first(&world, Hint::Planning, Ask { difficulty: 4, ..ask() }), "thinker");
}

#[test]
fn a_loop_of_tools_is_served_only_by_those_who_are_known_to_call_them() {
    let world = shelf();
    let looping = Ask { tool_loop: true, tools: true, ..ask() };
    assert_eq!(world.order(&looping), ["p_tools/tools/0"]);
    let plan = world.plan(&looping);
    let gate = |member| plan.exclusions.iter().find(|exclusion| exclusion.member == member).map(|e| e.gate);
    assert_eq!((gate(0), gate(2)), (Some(Gate::Tools), Some(Gate::Unconfirmed)));
    let mut maybe = model("maybe", 3);
    maybe.tools = None;
    let world = World::new(pool(vec![member("a", vec![maybe], 1)]));
    let verdict = world.plan(&looping).verdict(&Tried::default());
    assert!(matches!(verdict, Verdict::Unservable { .. }), "{verdict:?}");
}
