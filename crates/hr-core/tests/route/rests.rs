//! Who rests after which failure, for how long, and who does not.

use std::time::Duration;

use hr_core::catalog::{LimitSpan, LimitUnit};
use hr_core::failure::{FailureKind, Scope};
use hr_core::quota::{Reach, Reading, Said, Source};
use hr_core::route::{BreakerPhase, Effect, Gate, Next, Outcome};
use hr_core::secret::KeyId;

use crate::world::{
    KINDS, World, ask, because, failure, member, model, one_provider, pool, scoped, success, two_providers,
};

#[test]
fn each_scope_rests_whom_it_names() {
    let build = || {
        let mut a = member("a", vec![model("m", 3), model("n", 3)], 3);
        a.keys[0].owner = Some("us".into());
        a.keys[2].owner = Some("us".into());
        World::new(pool(vec![a, member("b", vec![model("m", 3)], 1)]))
    };
    let all = ["a/m/0", "a/m/1", "a/m/2", "a/n/0", "a/n/1", "a/n/2", "b/m/0"];
    // Whose limit it is when it is a key's: its owner's, with all keys that were declared to be theirs.
    let cases: [(Scope, &[&str]); 5] = [
        (Scope::KeyModel, &["a/m/0", "a/m/2"]),
        (Scope::Key, &["a/m/0", "a/m/2", "a/n/0", "a/n/2"]),
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
    assert_eq!((exclusion.gate, exclusion.because), (Gate::Quota, Some(FailureKind::RateLimited)));
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

#[test]
fn another_reason_for_the_same_rest_is_told() {
    let mut world = one_provider(2);
    let (first, second) = (world.choice("a/m/0"), world.choice("a/m/1"));
    let under_way = world.begin(&second).unwrap();
    world.fail(&first, failure(FailureKind::Loop));
    // Both rests last an hour: the later reason counts, and survives the reload that forgives the first.
    let settled = world.settle(under_way, Outcome::Failure(scoped(FailureKind::NoMoney, Scope::Provider)));
    let told = |effect: &Effect| matches!(effect, Effect::Cooled { because: FailureKind::NoMoney, .. });
    assert!(settled.effects.iter().any(told), "{:?}", settled.effects);
    let pool = world.roster.pool.clone();
    world.reload(pool);
    assert!(world.order(&ask()).is_empty());
}

#[test]
fn an_answer_that_says_the_quota_is_used_up_rests_its_key() {
    let mut world = one_provider(2);
    let choice = world.first(&ask());
    let Outcome::Success { first_byte, total, usage, .. } = success(100) else { unreachable!() };
    let spent = Reading {
        owner: None,
        reach: Reach::AllModels,
        unit: LimitUnit::Percent,
        span: None,
        limit: Some(100.0),
        remaining: Some(0.0),
        reset: Some(world.now.after(Duration::from_secs(3600))),
        source: Source::Header,
    };
    let said = Said { readings: vec![spent], clock: None };
    world.run(&choice, Outcome::Success { first_byte, total, usage, said });
    let resting = world.name(&choice);
    world.wait(3590);
    assert!(!world.order(&ask()).contains(&resting));
    world.wait(11);
    assert!(world.order(&ask()).contains(&resting));
}

#[test]
fn what_was_never_sent_uses_nothing_of_a_quota_and_what_was_given_up_may() {
    let mut world = one_provider(1);
    let choice = world.first(&ask());
    let left = Reading {
        owner: None,
        reach: Reach::AllModels,
        unit: LimitUnit::Requests,
        span: Some(LimitSpan::Minute),
        limit: Some(3.0),
        remaining: Some(2.0),
        reset: Some(world.now.after(Duration::from_secs(60))),
        source: Source::Header,
    };
    let Outcome::Success { first_byte, total, usage, .. } = success(100) else { unreachable!() };
    let said = Said { readings: vec![left], clock: None };
    world.run(&choice, Outcome::Success { first_byte, total, usage, said });
    for _ in 0..10 {
        let choice = world.first(&ask());
        world.run(&choice, Outcome::Unsent);
    }
    for _ in 0..2 {
        let choice = world.first(&ask());
        world.run(&choice, Outcome::Abandoned);
    }
    assert!(world.order(&ask()).is_empty(), "both may have counted there");
}

#[test]
fn a_quota_that_is_back_does_not_end_another_rest() {
    let mut world = one_provider(1);
    let first = world.first(&ask());
    world.fail(&first, because(FailureKind::RateLimited, 60));
    world.wait(60);
    let under_way = world.begin(&first).unwrap();
    world.fail(&first, because(FailureKind::Overloaded, 5));
    let settled = world.settle(under_way, success(10));
    assert_eq!(settled.effects, [], "it rests for another reason");
    assert!(world.order(&ask()).is_empty());
    world.wait(5);
    assert_eq!(world.order(&ask()).len(), 1);
}
