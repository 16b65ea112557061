//! Conversations stay with the key that served them, as long as that is fair to ask.

use std::time::Duration;

use hr_core::catalog::SpendClass;
use hr_core::failure::FailureKind;
use hr_core::route::{Ask, Profile, Target, Tried};
use hr_core::secret::KeyId;

use crate::world::{World, ask, because, failure, member, model, one_provider, pool, success, two_providers};

fn session(number: u64) -> Ask {
    Ask { session: Some(number), ..ask() }
}

#[test]
fn a_conversation_stays_with_its_key_and_others_take_turns() {
    let mut world = two_providers();
    let home = world.serve(&session(1));
    for _ in 0..5 {
        assert_eq!(world.serve(&session(1)), home);
        world.serve(&ask());
    }
    let mut served: Vec<_> = (2..10).map(|number| world.serve(&session(number))).collect();
    served.sort();
    served.dedup();
    assert_eq!(served.len(), 4, "new conversations are spread over all keys");
    world.wait(3_599);
    assert_eq!(world.serve(&session(1)), home);
    world.wait(3_600);
    assert_eq!(world.first(&session(1)).terms.away, 0, "after an hour it is at home nowhere");
}

#[test]
fn one_busy_conversation_leaves_the_turns_of_new_ones_alone() {
    let mut world = one_provider(4);
    world.serve(&session(0));
    let served: Vec<_> = (1..=4)
        .map(|number| {
            world.serve(&session(0));
            world.serve(&session(number))
        })
        .collect();
    assert_eq!(served, ["a/m/1", "a/m/2", "a/m/3", "a/m/0"]);
}

#[test]
fn a_refusal_at_home_moves_in_one_hop_and_the_new_home_is_kept() {
    let mut world = two_providers();
    let ask = session(7);
    let home = world.serve(&ask);
    let choice = world.first(&ask);
    let limited = because(FailureKind::RateLimited, 30);
    world.fail(&choice, limited.clone());
    let mut tried = Tried::default();
    tried.note(&world.roster, choice.candidate, &limited);
    let next = world.replan(&ask, &tried).choices.into_iter().next().expect("somebody else");
    let moved = world.name(&next);
    assert_ne!(moved, home);
    world.run(&next, success(100));
    world.wait(60);
    for _ in 0..3 {
        assert_eq!(world.serve(&ask), moved, "the old home is back, but this is home now");
    }
}

#[test]
fn a_home_beats_what_is_measured_but_neither_money_nor_names_nor_strength() {
    let mut paid = model("paid", 3);
    paid.spend = SpendClass::Paid;
    let mut world = World::new(pool(vec![
        member("a", vec![model("weak", 5)], 1),
        member("b", vec![model("mid", 3)], 1),
        member("c", vec![paid], 1),
    ]));
    let all = [Profile::Balanced, Profile::Fast, Profile::Best, Profile::Frugal];
    for (number, profile) in (0..).zip(all) {
        let at_home = |world: &mut World, name: &str, number: u64| {
            let plan = world.plan(&Ask { profile, ..session(number) });
            let choice = plan.choices.into_iter().find(|choice| world.name(choice) == name);
            world.run(&choice.expect("it is offered"), success(8_000));
        };
        let ask = |number, difficulty| Ask { profile, difficulty, ..session(number) };
        at_home(&mut world, "c/paid/0", number);
        assert_ne!(world.order(&ask(number, 3))[0], "c/paid/0", "{profile:?}: others cost nothing");
        at_home(&mut world, "a/weak/0", 10 + number);
        if matches!(profile, Profile::Balanced | Profile::Frugal) {
            assert_eq!(world.order(&ask(10 + number, 4))[0], "a/weak/0", "{profile:?}: hardly too weak");
        }
        if profile != Profile::Best {
            let plain = world.order(&Ask { session: None, ..ask(0, 1) });
            assert_eq!(world.order(&ask(10 + number, 1)), plain, "{profile:?}: a much harder turn");
        }
        let named = Ask { target: Target::Prefer("mid".into()), ..ask(10 + number, 5) };
        assert_eq!(world.order(&named)[0], "b/mid/0", "{profile:?}");
    }
}

#[test]
fn who_issued_what_a_conversation_holds_comes_before_its_home() {
    let mut world = two_providers();
    let home = world.serve(&session(1));
    assert_eq!(home, "a/m/0");
    let theirs = Ask { issuers: vec![KeyId("b-1".into())], ..session(1) };
    assert_eq!(world.order(&theirs)[..2], ["b/m/1", "a/m/0"]);
}

#[test]
fn a_home_that_fails_or_is_gone_is_not_waited_for() {
    let mut world = two_providers();
    world.serve(&session(1));
    let choice = world.first(&session(1));
    world.fail(&choice, failure(FailureKind::ServerError));
    assert_ne!(world.name(&world.first(&session(1))), "a/m/0");
    world.reload(pool(vec![member("b", vec![model("m", 3)], 2)]));
    assert_eq!(world.order(&session(1)).len(), 2);
}

#[test]
#[expect(clippy::disallowed_macros, reason = "the figure is part of what the test tells")]
fn of_a_thousand_conversations_nearly_all_turns_stay_at_home() {
    let members = (0..10).map(|at| member(&format!("p{at}"), vec![model("m", 3)], 2)).collect();
    let mut world = World::new(pool(members));
    let mut homes: Vec<Option<String>> = vec![None; 1_000];
    let (mut stayed, mut moved, mut hops, mut draw) = (0, 0, 0, 1_u64);
    for turn in 0..20 {
        for (number, home) in homes.iter_mut().enumerate() {
            draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let difficulty = 3 + (draw >> 60) as u8 % 2;
            let ask = Ask { difficulty, ..session(number as u64) };
            let mut tried = Tried::default();
            let served = loop {
                let plan = world.replan(&ask, &tried);
                let choice = plan.choices.first().expect("somebody to ask").clone();
                // One call of five hundred is refused for a few seconds.
                if tried.is_empty() && (draw >> 33).is_multiple_of(500) {
                    let limited = because(FailureKind::RateLimited, 5);
                    world.fail(&choice, limited.clone());
                    tried.note(&world.roster, choice.candidate, &limited);
                    hops += 1;
                    continue;
                }
                world.run(&choice, success(200 + (draw >> 40) % 4_000));
                break world.name(&choice);
            };
            assert!(tried.attempts() <= 1, "a refusal at home costs one hop");
            if turn > 0 {
                if home.as_deref() == Some(&served) { stayed += 1 } else { moved += 1 }
            }
            *home = Some(served);
            world.now = world.now.after(Duration::from_millis(20));
        }
    }
    let share = f64::from(stayed) / f64::from(stayed + moved);
    println!("1,000 conversations over 20 keys: {:.2} % of turns stayed ({hops} refusals)", share * 100.0);
    assert!(share >= 0.95, "{share}");
    let mut keys: Vec<_> = homes.iter().flatten().collect();
    keys.sort();
    let mut counts: Vec<usize> = keys.chunk_by(|one, other| one == other).map(<[_]>::len).collect();
    counts.sort_unstable();
    assert!(counts.len() == 20 && counts[19] <= 2 * 50, "{counts:?}");
}
