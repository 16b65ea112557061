//! What a model can do, as its file says and as its refusals taught.

use hr_core::capability::{Source, Witness};
use hr_core::failure::{Failure, FailureKind};
use hr_core::route::{Ask, Effect, Effort, Gate, Tried, Verdict, room};

use crate::world::{World, ask, failure, member, model, one_provider, pool, two_providers};

#[test]
fn abilities_gate_only_when_known_to_lack() {
    let mut lacking = model("lacking", 3);
    (lacking.tools, lacking.vision, lacking.structured) = (Some(false), Some(false), Some(false));
    let mut unknown = model("unknown", 3);
    (unknown.tools, unknown.vision, unknown.structured) = (None, None, None);
    let world = World::new(pool(vec![member("a", vec![lacking, unknown, model("able", 3)], 1)]));
    for (ask, gate) in [
        (Ask { tools: true, ..ask() }, Gate::Tools),
        (Ask { vision: true, ..ask() }, Gate::Vision),
        (Ask { structured: true, ..ask() }, Gate::Structured),
    ] {
        let plan = world.plan(&ask);
        let mut names = world.names(&plan);
        names.sort();
        assert_eq!(names, ["a/able/0", "a/unknown/0"]);
        assert_eq!(plan.exclusions[0].gate, gate);
    }
    assert_eq!(world.order(&ask()).len(), 3);
    let effort = Ask { effort: Effort::High, ..ask() };
    assert_eq!(world.order(&effort).len(), 3, "reasoning never gates");
}

#[test]
fn who_once_answered_in_words_is_offered_tools_when_nobody_else_is_there() {
    let known = |id: &str, tools, source| {
        let mut model = model(id, 3);
        model.tools = Some(tools);
        model.evidence.tools = Some(Witness { source, at: None });
        member(&format!("p_{id}"), vec![model], 1)
    };
    let wordy = || known("wordy", false, Source::Probed);
    let listed = || known("listed", false, Source::Listed);
    let offered = Ask { tools: true, ..ask() };
    let world = World::new(pool(vec![wordy(), listed()]));
    assert_eq!(world.order(&offered), ["p_wordy/wordy/0"]);
    assert!(world.order(&Ask { tool_loop: true, ..offered.clone() }).is_empty(), "a loop needs calls");
    let world = World::new(pool(vec![wordy(), listed(), known("able", true, Source::Listed)]));
    assert_eq!(world.order(&offered), ["p_able/able/0"]);
    let world = World::new(pool(vec![listed()]));
    let lacks = Verdict::Unservable { feature: "tools".into() };
    assert_eq!(world.plan(&offered).verdict(&Tried::default()), lacks);
}

#[test]
fn prompt_and_answer_must_fit_the_known_window() {
    let mut small = model("small", 3);
    (small.context, small.max_output) = (Some(10_000), Some(4_000));
    let mut unknown = model("unknown", 3);
    unknown.context = None;
    let world = World::new(pool(vec![member("a", vec![small, unknown], 1)]));
    let order = |prompt_tokens, max_output| world.order(&Ask { prompt_tokens, max_output, ..ask() });
    assert_eq!(order(10_000, None).len(), 2);
    assert_eq!(order(10_001, None), ["a/unknown/0"]);
    assert_eq!(order(6_000, Some(1_000_000)).len(), 2, "the answer is clamped to the model's cap first");
    assert_eq!(order(6_001, Some(1_000_000)), ["a/unknown/0"]);
}

#[test]
fn an_answer_may_be_shorter_rather_than_not_be() {
    let mut small = model("small", 3);
    small.context = Some(10_000);
    let world = World::new(pool(vec![member("a", vec![small.clone()], 1)]));
    let asked = |prompt_tokens| Ask { prompt_tokens, max_output: Some(32_000), ..ask() };
    assert_eq!(world.order(&asked(4_000)), ["a/small/0"]);
    assert_eq!(room(&small, 4_000, 32_000), Some(5_500), "what the window leaves");
    assert_eq!(room(&small, 4_000, 6_000), None, "it holds both");
    assert_eq!(world.plan(&asked(9_900)).verdict(&Tried::default()), Verdict::TooLarge);
    let mut large = model("large", 5);
    large.context = Some(100_000);
    let world = World::new(pool(vec![member("a", vec![small, large], 1)]));
    assert_eq!(world.order(&asked(4_000)), ["a/large/0"], "as long as there is room for all of it elsewhere");
}

#[test]
fn prompts_above_the_set_size_are_not_sent() {
    let mut a = member("a", vec![model("m", 3)], 1);
    a.skip_tokens_over = Some(5_000);
    let world = World::new(pool(vec![a]));
    assert_eq!(world.order(&Ask { prompt_tokens: 5_000, ..ask() }).len(), 1);
    let plan = world.plan(&Ask { prompt_tokens: 5_001, ..ask() });
    assert_eq!(world.gates(&plan), ["a: skip_tokens_over"]);
    assert_eq!(plan.verdict(&Tried::default()), Verdict::TooLarge);
}

#[test]
fn too_large_asks_a_bigger_window_and_is_remembered() {
    let mut small = model("small", 3);
    small.context = Some(10_000);
    let mut same = model("same", 3);
    same.context = Some(10_000);
    let mut world =
        World::new(pool(vec![member("a", vec![small], 2), member("b", vec![same, model("big", 3)], 1)]));
    let large = Ask { prompt_tokens: 9_000, ..ask() };
    let choice = world.plan(&large).choices.into_iter().find(|choice| choice.candidate.member == 0).unwrap();
    let settled = world.fail(&choice, failure(FailureKind::TooLarge));
    assert!(
        matches!(&settled.effects[..], [Effect::Learned { what, .. }] if what == "refuses prompts of 9000 tokens")
    );
    let mut tried = Tried::default();
    tried.note(&world.roster, choice.candidate, &failure(FailureKind::TooLarge));
    assert_eq!(world.names(&world.replan(&large, &tried)), ["b/big/0"]);
    // The next request of that size does not ask the small one again; a smaller request does.
    assert!(world.order(&large).iter().all(|name| !name.starts_with("a/")));
    let smaller = Ask { prompt_tokens: 8_999, ..ask() };
    assert!(world.order(&smaller).iter().any(|name| name.starts_with("a/")));
    world.wait(6 * 3_600);
    assert!(world.order(&large).iter().any(|name| name.starts_with("a/")), "and not for ever");
}

#[test]
fn a_small_prompt_that_is_too_large_says_nothing_of_windows() {
    let mut world = two_providers();
    let small = Ask { prompt_tokens: 8_000, ..ask() };
    let choice = world.choice("a/m/0");
    world.fail(&choice, failure(FailureKind::TooLarge));
    let mut tried = Tried::default();
    tried.note(&world.roster, choice.candidate, &failure(FailureKind::TooLarge));
    let mut order = world.names(&world.replan(&small, &tried));
    order.sort();
    assert_eq!(order, ["b/m/0", "b/m/1"]);
}

#[test]
fn a_size_that_one_key_was_served_is_held_against_the_other_key_only() {
    let mut world = one_provider(2);
    let ask = Ask { prompt_tokens: 5_000, ..ask() };
    assert_eq!(world.serve(&ask), "a/m/0");
    let choice = world.first(&ask);
    assert_eq!(world.name(&choice), "a/m/1");
    world.fail(&choice, failure(FailureKind::TooLarge));
    assert_eq!(world.order(&ask), ["a/m/0"]);
}

#[test]
fn too_long_an_answer_is_remembered_by_its_length() {
    let mut world = one_provider(1);
    let long = Ask { max_output: Some(8_000), ..ask() };
    let choice = world.first(&long);
    world.fail(&choice, Failure { param: Some("max_tokens".into()), ..failure(FailureKind::TooLarge) });
    assert_eq!(world.gates(&world.plan(&long)), ["a: output_cap"]);
    assert_eq!(world.order(&Ask { max_output: Some(7_999), ..ask() }).len(), 1);
    assert_eq!(world.order(&ask()).len(), 1);
}

#[test]
fn a_refused_parameter_is_remembered() {
    let mut world = two_providers();
    let with = Ask { params: vec!["model".into(), "logit_bias".into()], ..ask() };
    let refusal = Failure { param: Some("logit_bias".into()), ..failure(FailureKind::Unsupported) };
    let choice = world.choice("a/m/0");
    let settled = world.fail(&choice, refusal.clone());
    assert!(matches!(&settled.effects[..], [Effect::Learned { what, .. }] if what == "refuses `logit_bias`"));
    let mut order = world.order(&with);
    order.sort();
    assert_eq!(order, ["b/m/0", "b/m/1"]);
    assert_eq!(world.order(&ask()).len(), 4);
    let choice = world.choice("b/m/0");
    world.fail(&choice, refusal);
    let plan = world.plan(&with);
    assert_eq!(plan.verdict(&Tried::default()), Verdict::Unservable { feature: "logit_bias".into() });
    world.wait(24 * 3_600);
    assert_eq!(world.order(&with).len(), 4);
}
