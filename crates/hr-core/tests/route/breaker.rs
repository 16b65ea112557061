//! A provider's circuit: when it opens, the one probe, and the last resort.

use std::time::Duration;

use hr_core::failure::FailureKind;
use hr_core::pool::PoolModel;
use hr_core::route::{BreakerPhase, Effect, Gate, Outcome};

use crate::world::{World, ask, because, failure, member, model, one_provider, pool, success, two_providers};

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
    // At first it opens for a quarter of its longest rest; `breaker.rs` holds how that grows.
    world.wait(14);
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

#[test]
fn a_member_rests_when_each_key_rests_with_each_model_on_offer() {
    let by_request = PoolModel { by_request: true, ..model("named", 3) };
    let mut world = World::new(pool(vec![member("a", vec![model("m", 3), model("n", 3), by_request], 2)]));
    let rests = |world: &World| {
        let state = world.snapshot().remove(0);
        let keys = state.keys.iter().map(|key| key.cooling_until.is_some()).collect::<Vec<_>>();
        (keys, state.cooling_until.map(|until| world.now.until(until).as_secs()), state.because)
    };
    let limit = |world: &mut World, name: &str, seconds: u64| {
        let choice = world.choice(name);
        world.fail(&choice, because(FailureKind::RateLimited, seconds));
    };
    limit(&mut world, "a/m/0", 50);
    assert_eq!(rests(&world), (vec![false, false], None, None));
    limit(&mut world, "a/n/0", 40);
    assert_eq!(world.snapshot()[0].models[0].cooling_until, None, "the other key has it");
    assert_eq!(rests(&world), (vec![true, false], None, None), "the model by request does not count");
    let choice = world.choice("a/m/1");
    world.fail(&choice, failure(FailureKind::BadKey));
    assert_eq!(rests(&world), (vec![true, true], Some(40), Some(FailureKind::RateLimited)));
    let models = &world.snapshot()[0].models;
    let waits = models.iter().map(|model| model.cooling_until.map(|until| world.now.until(until).as_secs()));
    assert_eq!(waits.collect::<Vec<_>>(), [Some(50), Some(40), None]);
    world.wait(40);
    assert_eq!(rests(&world), (vec![false, true], None, None));
}
