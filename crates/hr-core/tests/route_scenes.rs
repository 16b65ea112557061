//! Scenes of routing: one small pool each, and what must follow.

mod world;

use std::time::Duration;

use hr_core::catalog::{Price, SpendClass};
use hr_core::failure::{Failure, FailureKind, Scope};
use hr_core::pool::{Member, Rotation};
use hr_core::route::{
    Ask, BreakerPhase, Candidate, Effect, Effort, Gate, Next, Outcome, Profile, Target, Tried, Verdict, Work,
};
use hr_core::secret::KeyId;
use hr_core::time::Millis;
use world::{KINDS, World, failure, key, member, model, pool, scoped, success};

fn ask() -> Ask {
    Ask::default()
}

fn two_providers() -> World {
    World::new(pool(vec![member("a", vec![model("m", 3)], 2), member("b", vec![model("m", 3)], 2)]))
}

fn one_provider(keys: usize) -> World {
    World::new(pool(vec![member("a", vec![model("m", 3)], keys)]))
}

fn because(kind: FailureKind, wait: u64) -> Failure {
    failure(kind).retry_after(Some(Duration::from_secs(wait)))
}

// ---- turns ----

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

// ---- rests ----

#[test]
fn each_scope_rests_whom_it_names() {
    let build = || {
        let mut a = member("a", vec![model("m", 3), model("n", 3)], 3);
        a.keys[0].owner = Some("us".into());
        a.keys[2].owner = Some("us".into());
        World::new(pool(vec![a, member("b", vec![model("m", 3)], 1)]))
    };
    let all = ["a/m/0", "a/m/1", "a/m/2", "a/n/0", "a/n/1", "a/n/2", "b/m/0"];
    let cases: [(Scope, &[&str]); 5] = [
        (Scope::KeyModel, &["a/m/0"]),
        (Scope::Key, &["a/m/0", "a/n/0"]),
        (Scope::Model, &["a/m/0", "a/m/1", "a/m/2"]),
        (Scope::Provider, &["a/m/0", "a/m/1", "a/m/2", "a/n/0", "a/n/1", "a/n/2"]),
        (Scope::Owner, &["a/m/0", "a/m/2", "a/n/0", "a/n/2"]),
    ];
    for (scope, resting) in cases {
        let mut world = build();
        let choice = world.choice("a/m/0");
        world.fail(&choice, scoped(FailureKind::RateLimited, scope));
        let mut order = world.order(&ask());
        order.sort();
        let expected: Vec<_> = all.iter().filter(|name| !resting.contains(name)).collect();
        assert_eq!(
            order.iter().map(String::as_str).collect::<Vec<_>>(),
            expected.into_iter().copied().collect::<Vec<_>>(),
            "{scope:?}"
        );
        world.wait(60);
        assert_eq!(world.order(&ask()).len(), all.len(), "{scope:?}");
    }
}

#[test]
fn owners_share_only_limits_and_only_at_their_provider() {
    let own = |id: &str| {
        let mut member = member(id, vec![model("m", 3)], 2);
        member.keys.iter_mut().for_each(|key| key.owner = Some("us".into()));
        member
    };
    let mut world = World::new(pool(vec![own("a"), own("b")]));
    let choice = world.choice("a/m/0");
    world.fail(&choice, scoped(FailureKind::BadKey, Scope::Owner));
    assert_eq!(world.order(&ask()).len(), 3);
    let choice = world.choice("a/m/1");
    world.fail(&choice, scoped(FailureKind::QuotaSpent, Scope::Owner));
    let mut order = world.order(&ask());
    order.sort();
    assert_eq!(order, ["b/m/0", "b/m/1"]);
}

#[test]
fn a_key_that_was_cooled_since_the_plan_is_not_begun() {
    let mut world = one_provider(2);
    let choice = world.first(&ask());
    world.fail(&choice, because(FailureKind::RateLimited, 30));
    let exclusion = world.begin(&choice).unwrap_err();
    assert_eq!((exclusion.gate, exclusion.because), (Gate::Cooldown, Some(FailureKind::RateLimited)));
    assert_eq!(exclusion.until, Some(world.now.after(Duration::from_secs(30))));
    world.wait(30);
    assert!(world.begin(&choice).is_ok());
}

#[test]
fn a_bad_key_is_that_key_only_and_no_sickness_of_the_provider() {
    let mut world = one_provider(12);
    for _ in 0..11 {
        let choice = world.first(&ask());
        let settled = world.fail(&choice, failure(FailureKind::BadKey));
        assert_eq!(settled.next, Next::Another);
    }
    assert_eq!(world.order(&ask()).len(), 1);
    assert_eq!(world.snapshot()[0].breaker.phase, BreakerPhase::Closed);
}

#[test]
fn refusals_in_good_order_never_open_a_breaker() {
    use FailureKind::*;
    let sick = [Overloaded, ServerError, Network, Timeout, Malformed, Empty, Cut];
    for kind in KINDS {
        let mut world = one_provider(50);
        for index in 0..20 {
            let Some(choice) = world.plan(&ask()).choices.into_iter().next() else { break };
            assert!(index == 0 || kind != ProviderGone);
            world.fail(&choice, failure(kind));
        }
        let opened = world.snapshot()[0].breaker.phase == BreakerPhase::Open;
        assert_eq!(opened, sick.contains(&kind), "{kind:?}");
    }
}

#[test]
fn the_callers_own_mistake_goes_back_and_harms_nobody() {
    for kind in [FailureKind::CallerMistake, FailureKind::ContentRefused] {
        let mut world = one_provider(1);
        for _ in 0..20 {
            let choice = world.first(&ask());
            assert_eq!(world.fail(&choice, failure(kind)).next, Next::GiveBack);
        }
        assert_eq!(world.snapshot()[0].errors, 0);
    }
}

#[test]
fn overload_with_a_stated_wait_rests_within_a_bound() {
    let mut world = one_provider(1);
    let choice = world.first(&ask());
    world.fail(&choice, because(FailureKind::Overloaded, 86_400));
    assert!(world.begin(&choice).is_err());
    world.wait(60);
    assert!(world.begin(&choice).is_ok());
}

#[test]
fn passing_trouble_moves_a_candidate_behind_the_healthy_ones_for_a_moment() {
    let mut world = two_providers();
    let choice = world.choice("a/m/0");
    world.fail(&choice, failure(FailureKind::ServerError));
    assert_eq!(world.order(&ask()), ["b/m/0", "b/m/1", "a/m/1", "a/m/0"]);
    world.wait(300);
    assert_eq!(world.order(&ask())[..2], ["b/m/0", "b/m/1"]);
    world.serve(&ask());
    assert_eq!(world.order(&ask())[..2], ["a/m/1", "a/m/0"]);
}

/// One provider whose breaker never opens.
fn patient(keys: usize) -> World {
    let mut world = one_provider(keys);
    let mut pool = world.roster.pool.clone();
    pool.rules.breaker.error_rate = 2.0;
    world.reload(pool);
    world
}

#[test]
fn who_fails_twice_in_a_row_is_known_to_be_bad() {
    let mut world = patient(2);
    let choice = world.choice("a/m/0");
    world.fail(&choice, failure(FailureKind::Empty));
    assert!(!world.choice("a/m/0").known_bad, "once may be chance");
    world.wait(1);
    let choice = world.choice("a/m/0");
    world.fail(&choice, failure(FailureKind::Empty));
    assert!(world.choice("a/m/0").known_bad);
    assert!(!world.choice("a/m/1").known_bad);
}

#[test]
fn suspicion_grows_with_each_failure_and_a_success_ends_it() {
    let mut world = patient(2);
    let fail = |world: &mut World, seconds: u64| {
        let choice = world.choice("a/m/0");
        world.fail(&choice, failure(FailureKind::Network));
        world.wait(seconds - 1);
        let last = world.order(&ask()).pop();
        assert_eq!(last.as_deref(), Some("a/m/0"), "still suspect after {seconds} s");
        let suspect = world.choice("a/m/0");
        world.wait(1);
        (suspect.known_bad, world.choice("a/m/0").known_bad)
    };
    assert_eq!(fail(&mut world, 1), (false, false));
    for seconds in [2, 4, 8, 16, 30, 30] {
        assert_eq!(fail(&mut world, seconds), (true, false), "{seconds}");
    }
    let choice = world.choice("a/m/0");
    world.run(&choice, success(10));
    assert_eq!(fail(&mut world, 1), (false, false));
}

#[test]
fn behind_an_open_breaker_those_are_bad_who_failed_and_all_when_nothing_works() {
    let mut world = one_provider(4);
    for (key, works) in [(0, false), (1, true), (2, false)] {
        let choice = world.choice(&format!("a/m/{key}"));
        world.run(&choice, if works { success(10) } else { Outcome::Failure(failure(FailureKind::Empty)) });
    }
    world.wait(2);
    let choice = world.choice("a/m/0");
    world.fail(&choice, failure(FailureKind::Empty));
    assert_eq!(world.snapshot()[0].breaker.phase, BreakerPhase::Open);
    let bad = |world: &World| {
        let mut bad: Vec<_> =
            world.plan(&ask()).choices.iter().filter(|c| c.known_bad).map(|c| c.candidate.key).collect();
        bad.sort_unstable();
        bad
    };
    assert_eq!(bad(&world), [0, 2]);
    for key in [1, 3] {
        let choice = world.choice(&format!("a/m/{key}"));
        world.fail(&choice, failure(FailureKind::Empty));
    }
    assert_eq!(bad(&world), [0, 1, 2, 3]);

    let mut dead = one_provider(8);
    open_breaker(&mut dead);
    assert_eq!(bad(&dead).len(), 8, "four failures in a row and nothing else");
}

#[test]
fn a_missing_model_is_that_model_only() {
    let mut world = World::new(pool(vec![member("a", vec![model("m", 3), model("n", 3)], 2)]));
    let choice = world.choice("a/m/0");
    world.fail(&choice, failure(FailureKind::ModelMissing));
    assert_eq!(world.order(&ask()), ["a/n/0", "a/n/1"]);
}

#[test]
fn what_has_just_worked_is_not_believed_to_be_gone_for_all() {
    let mut world = World::new(pool(vec![member("a", vec![model("m", 3)], 2)]));
    assert_eq!(world.serve(&ask()), "a/m/0");
    let choice = world.choice("a/m/1");
    world.fail(&choice, failure(FailureKind::ModelMissing));
    assert_eq!(world.order(&ask()), ["a/m/0"]);
    world.wait(600);
    let choice = world.choice("a/m/0");
    world.fail(&choice, failure(FailureKind::ModelMissing));
    assert!(world.order(&ask()).is_empty());
}

#[test]
fn recovery_is_told() {
    let mut world = one_provider(1);
    let choice = world.first(&ask());
    let settled = world.fail(&choice, because(FailureKind::RateLimited, 5));
    let until = world.now.after(Duration::from_secs(5));
    let cooled = Effect::Cooled {
        scope: Scope::KeyModel,
        provider: "a".into(),
        model: Some("m".into()),
        key: Some(KeyId("a-0".into())),
        until,
        because: FailureKind::RateLimited,
    };
    assert_eq!(settled.effects, [cooled]);
    assert_eq!(world.router.next_wakeup(world.now), Some(until));
    world.wait(5);
    assert_eq!(world.router.next_wakeup(world.now), None);
    let choice = world.first(&ask());
    let settled = world.run(&choice, success(10));
    assert!(matches!(&settled.effects[..], [Effect::Recovered { scope: Scope::KeyModel, .. }]));
}

// ---- reloads ----

#[test]
fn a_reload_keeps_what_is_known() {
    let mut world = one_provider(2);
    let choice = world.choice("a/m/0");
    world.fail(&choice, because(FailureKind::RateLimited, 600));
    let old = world.roster.clone();

    let mut other = member("a", vec![model("m", 3)], 0);
    other.keys = vec![key("new"), key("a-1"), key("a-0")];
    world.reload(pool(vec![member("z", vec![model("m", 3)], 1), other.clone()]));
    let mut order = world.order(&ask());
    order.sort();
    assert_eq!(order, ["a/m/0", "a/m/1", "z/m/0"], "the key now third still rests, the new one does not");

    other.keys.pop();
    world.reload(pool(vec![other.clone()]));
    other.keys.push(key("a-0"));
    world.reload(pool(vec![other]));
    assert_eq!(world.order(&ask()).len(), 2, "a key that comes back still rests");

    let stale = world.router.plan(world.now, &old, &ask(), &Tried::default(), 0);
    assert_eq!(stale.choices.len(), 1, "a request on the old roster sees the same state");
}

#[test]
fn another_address_is_another_server_but_the_same_account() {
    let at = |url: &str| {
        let mut member = member("a", vec![model("m", 3)], 3);
        member.base_url = url.to_owned();
        pool(vec![member])
    };
    let mut world = World::new(at("https://one.example"));
    let choice = world.choice("a/m/0");
    world.fail(&choice, failure(FailureKind::BadKey));
    let choice = world.choice("a/m/1");
    world.fail(&choice, failure(FailureKind::QuotaSpent));
    world.reload(at("https://one.example"));
    assert_eq!(world.order(&ask()), ["a/m/2"]);
    world.reload(at("https://two.example"));
    assert_eq!(world.order(&ask()).len(), 2);
}

#[test]
fn an_address_that_led_back_here_is_believed_again_after_a_reload() {
    let mut world = one_provider(2);
    let choice = world.first(&ask());
    world.fail(&choice, failure(FailureKind::Loop));
    assert!(world.order(&ask()).is_empty());
    world.reload(world.roster.pool.clone());
    assert_eq!(world.order(&ask()).len(), 2);
}

// ---- the breaker ----

/// Fails the provider `a` until its breaker opens.
fn open_breaker(world: &mut World) {
    for _ in 0..100 {
        if world.snapshot()[0].breaker.phase == BreakerPhase::Open {
            return;
        }
        let plan = world.plan(&ask());
        let choice = plan.choices.iter().find(|choice| choice.candidate.member == 0).expect("a probe");
        world.fail(choice, failure(FailureKind::ServerError));
    }
    panic!("the breaker never opened");
}

#[test]
fn an_open_breaker_passes_over_its_provider_while_others_remain() {
    let mut world = two_providers();
    open_breaker(&mut world);
    world.wait(59);
    let plan = world.plan(&ask());
    let mut order = world.names(&plan);
    order.sort();
    assert_eq!(order, ["b/m/0", "b/m/1"]);
    assert_eq!(world.gates(&plan), ["a: breaker"]);
    assert_eq!(plan.earliest(), Some(world.now.after(Duration::from_secs(1))));
}

#[test]
fn one_probe_goes_through_a_half_open_breaker() {
    let mut world = two_providers();
    open_breaker(&mut world);
    world.wait(60);
    let plan = world.plan(&ask());
    let probes: Vec<_> = plan.choices.iter().filter(|choice| choice.candidate.member == 0).cloned().collect();
    assert_eq!(probes.len(), 2);
    let probe = world.begin(&probes[0]).unwrap();
    assert!(probe.is_probe());
    assert_eq!(world.begin(&probes[1]).unwrap_err().gate, Gate::Breaker);
    assert_eq!(world.gates(&world.plan(&ask())), ["a: breaker"]);
    let settled = world.settle(probe, success(10));
    let half = Effect::BreakerHalfOpen { provider: "a".into() };
    assert_eq!(settled.effects, [half, Effect::BreakerClosed { provider: "a".into() }]);
    assert!(world.begin(&probes[1]).is_ok());
}

#[test]
fn a_probe_that_has_begun_to_answer_is_enough() {
    let mut world = two_providers();
    open_breaker(&mut world);
    world.wait(60);
    let plan = world.plan(&ask());
    let choice = plan.choices.iter().find(|choice| choice.candidate.member == 0).unwrap();
    let probe = world.begin(choice).unwrap();
    let effects = world.router.answered(world.now, &probe);
    assert!(effects.contains(&Effect::BreakerClosed { provider: "a".into() }));
    assert_eq!(world.settle(probe, success(10)).effects, []);
}

#[test]
fn a_breaker_is_no_reason_to_refuse_when_nobody_else_is_left() {
    let mut world = two_providers();
    open_breaker(&mut world);
    for name in ["b/m/0", "b/m/1"] {
        let choice = world.choice(name);
        world.fail(&choice, because(FailureKind::RateLimited, 600));
    }
    let plan = world.plan(&ask());
    assert_eq!(plan.choices.len(), 2);
    assert!(plan.choices.iter().all(|choice| choice.known_bad));
    let settled = world.run(&plan.choices[0], success(10));
    assert_eq!(settled.effects, [Effect::BreakerClosed { provider: "a".into() }]);
}

#[test]
fn a_suspect_choice_of_an_old_plan_is_no_second_probe() {
    let mut world = two_providers();
    let choice = world.choice("a/m/0");
    world.fail(&choice, failure(FailureKind::ServerError));
    let suspect = world.choice("a/m/0");
    open_breaker(&mut world);
    assert_eq!(world.begin(&suspect).unwrap_err().gate, Gate::Breaker);
    world.wait(60);
    let probe = world.begin(&suspect).unwrap();
    assert_eq!(world.begin(&suspect).unwrap_err().gate, Gate::Breaker);
    world.settle(probe, Outcome::Abandoned);
    assert!(world.begin(&suspect).unwrap().is_probe());
}

// ---- what a model can do ----

#[test]
fn abilities_gate_only_when_known_to_lack() {
    let mut lacking = model("lacking", 3);
    (lacking.tools, lacking.vision) = (Some(false), Some(false));
    let mut unknown = model("unknown", 3);
    (unknown.tools, unknown.vision) = (None, None);
    let world = World::new(pool(vec![member("a", vec![lacking, unknown, model("able", 3)], 1)]));
    for (ask, gate) in
        [(Ask { tools: true, ..ask() }, Gate::Tools), (Ask { vision: true, ..ask() }, Gate::Vision)]
    {
        let plan = world.plan(&ask);
        assert_eq!(world.names(&plan), ["a/able/0", "a/unknown/0"]);
        assert_eq!(plan.exclusions[0].gate, gate);
    }
    assert_eq!(world.order(&ask()).len(), 3);
    let effort = Ask { effort: Effort::High, ..ask() };
    assert_eq!(world.order(&effort).len(), 3, "reasoning never gates");
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

// ---- what one request has tried ----

#[test]
fn a_request_does_not_come_back_unasked() {
    let mut world = two_providers();
    let mut tried = Tried::default();
    let mut seen = Vec::new();
    while let Some(choice) = world.replan(&ask(), &tried).choices.into_iter().next() {
        let failure = failure(FailureKind::ServerError);
        world.fail(&choice, failure.clone());
        tried.note(&world.roster, choice.candidate, &failure);
        seen.push(world.name(&choice));
    }
    assert_eq!(seen, ["a/m/0", "b/m/0", "a/m/1", "b/m/1"], "another provider goes before another key");
    assert_eq!(tried.attempts(), 4);
    assert!(matches!(world.replan(&ask(), &tried).verdict(&tried), Verdict::Unavailable { .. }));
    assert!(tried.forgive_passing());
    let again = world.replan(&ask(), &tried);
    assert_eq!(again.choices.len(), 4);
    assert!(again.choices.iter().all(|choice| choice.known_bad));
    assert!(!tried.forgive_passing(), "once each");
}

#[test]
fn what_will_not_pass_is_not_forgiven() {
    let world = one_provider(1);
    for kind in [FailureKind::BadKey, FailureKind::Timeout, FailureKind::TooLarge, FailureKind::QuotaSpent] {
        let mut tried = Tried::default();
        let candidate = Candidate { member: 0, model: 0, key: 0 };
        tried.note(&world.roster, candidate, &failure(kind));
        assert!(!tried.forgive_passing(), "{kind:?}");
        assert!(world.replan(&ask(), &tried).choices.is_empty(), "{kind:?}");
    }
}

#[test]
fn the_verdict_names_the_one_reason() {
    use FailureKind::*;
    let run = |kinds: &[FailureKind], ask: &Ask, prepare: &dyn Fn(&mut Member)| {
        let mut member = member("a", vec![model("m", 3)], kinds.len().max(1));
        prepare(&mut member);
        let mut world = World::new(pool(vec![member]));
        let mut tried = Tried::default();
        for kind in kinds {
            let Some(choice) = world.replan(ask, &tried).choices.into_iter().next() else { break };
            let failure = because(*kind, 30);
            world.fail(&choice, failure.clone());
            tried.note(&world.roster, choice.candidate, &failure);
        }
        world.replan(ask, &tried).verdict(&tried)
    };
    let plain = |_: &mut Member| {};
    let at = Some(Millis(1_000_000_000).after(Duration::from_secs(30)));
    assert_eq!(run(&[RateLimited], &ask(), &plain), Verdict::RateLimited { retry_at: at });
    assert_eq!(run(&[RateLimited, QuotaSpent], &ask(), &plain), Verdict::RateLimited { retry_at: at });
    assert_eq!(run(&[RateLimited, ServerError], &ask(), &plain), Verdict::Unavailable { retry_at: at });
    assert_eq!(run(&[BadKey], &ask(), &plain), Verdict::Unavailable { retry_at: at });
    assert_eq!(run(&[TooLarge], &ask(), &plain), Verdict::TooLarge);
    assert_eq!(run(&[], &ask(), &|m| m.off = Some("retired".into())), Verdict::NoProviders);
    assert_eq!(run(&[], &ask(), &|m| m.keys.clear()), Verdict::NoProviders);
    assert_eq!(run(&[], &ask(), &|m| m.models.clear()), Verdict::NoProviders);
    let tools = Ask { tools: true, ..ask() };
    let lacking = |m: &mut Member| m.models[0].tools = Some(false);
    assert_eq!(run(&[], &tools, &lacking), Verdict::Unservable { feature: "tools".into() });
    let too_long = Ask { prompt_tokens: 100_001, ..ask() };
    assert_eq!(run(&[], &too_long, &plain), Verdict::TooLarge);
    assert_eq!(World::new(pool(vec![])).plan(&ask()).verdict(&Tried::default()), Verdict::NoProviders);
}

// ---- preferences ----

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
fn fast_prefers_the_own_machine_for_what_is_easy() {
    let mut local = member("here", vec![model("tiny", 5)], 1);
    let mut provider = (*local.provider).clone();
    provider.local = true;
    local.provider = provider.into();
    let mut quick = member("quick", vec![model("m", 2)], 1);
    let mut provider = (*quick.provider).clone();
    provider.fast = true;
    quick.provider = provider.into();
    let plain = member("plain", vec![model("m", 2)], 1);
    let mut pool = pool(vec![plain, quick, local]);
    let world = World::new(pool.clone());
    let order = |world: &World, profile, difficulty, prompt_tokens| {
        let ask = Ask { profile, difficulty, prompt_tokens, ..ask() };
        world.order(&ask).iter().map(|name| name.split('/').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(order(&world, Profile::Fast, 3, 10), ["here", "quick", "plain"]);
    assert_eq!(order(&world, Profile::Fast, 2, 10), ["quick", "plain", "here"]);
    assert_eq!(order(&world, Profile::Balanced, 2, 10), ["plain", "quick", "here"]);
    pool.rules.fast_route_threshold = 100;
    let world = World::new(pool);
    assert_eq!(order(&world, Profile::Balanced, 2, 10), ["quick", "plain", "here"]);
    assert_eq!(order(&world, Profile::Balanced, 2, 100), ["plain", "quick", "here"]);
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

// ---- what is shown ----

#[test]
fn the_snapshot_counts_and_tells_who_rests() {
    let mut world = one_provider(2);
    world.serve(&ask());
    let choice = world.choice("a/m/1");
    world.fail(&choice, because(FailureKind::QuotaSpent, 7_200));
    let state = &world.snapshot()[0];
    assert_eq!((state.provider.as_str(), state.requests, state.errors), ("a", 2, 1));
    assert_eq!((state.models[0].requests, state.models[0].errors), (2, 1));
    assert_eq!(state.keys[0].cooling_until, None);
    assert_eq!(state.keys[1].cooling_until, Some(world.now.after(Duration::from_secs(7_200))));
    assert_eq!(state.keys[1].because, Some(FailureKind::QuotaSpent));
    assert_eq!(state.avg_latency_ms, Some(100.0));
    let shown = serde_json::to_value(state).unwrap();
    assert_eq!(shown["breaker"]["state"], "closed");
    assert_eq!(shown["keys"][1]["because"], "quota_spent");
}
