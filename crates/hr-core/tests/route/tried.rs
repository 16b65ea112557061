//! What one request has been through, and what it is told in the end.

use std::time::Duration;

use hr_core::failure::FailureKind;
use hr_core::pool::Member;
use hr_core::route::{Ask, Candidate, Tried, Verdict};
use hr_core::time::Millis;

use crate::world::{World, ask, because, failure, member, model, one_provider, pool, two_providers};

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
        assert!(seen.len() <= 4, "{seen:?}");
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
fn who_is_asked_twice_and_limits_twice_is_a_limit() {
    let mut world = one_provider(3);
    let mut tried = Tried::default();
    for _round in 0..2 {
        for name in ["a/m/0", "a/m/1"] {
            let choice = world.choice(name);
            let limited = because(FailureKind::RateLimited, 2);
            world.fail(&choice, limited.clone());
            tried.note(&world.roster, choice.candidate, &limited);
        }
        world.wait(3);
        tried.forgive_passing();
    }
    let verdict = |world: &World, tried: &Tried| world.replan(&ask(), tried).verdict(tried);
    assert!(matches!(verdict(&world, &tried), Verdict::Unavailable { .. }), "one was never asked");
    let last = world.choice("a/m/2");
    tried.note(&world.roster, last.candidate, &because(FailureKind::RateLimited, 2));
    assert!(matches!(verdict(&world, &tried), Verdict::RateLimited { .. }), "{:?}", verdict(&world, &tried));
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
