//! A conversation stays with the key that issued the opaque things in it, as long as that is fair to ask.

use hr_core::catalog::SpendClass;
use hr_core::failure::FailureKind;
use hr_core::pool::Rotation;
use hr_core::route::{Ask, Profile, Target};
use hr_core::secret::KeyId;
use proptest::prelude::*;
use proptest::sample::subsequence;

use crate::world::{World, ask, because, failure, member, model, pool, success, two_providers};

fn issued_by(keys: &[&str]) -> Ask {
    Ask { issuers: keys.iter().map(|name| KeyId((*name).to_owned())).collect(), ..ask() }
}

#[test]
fn the_latest_issuer_goes_first_and_turns_do_not_move_it() {
    let mut world = two_providers();
    let theirs = issued_by(&["a-0", "b-1"]);
    for _ in 0..3 {
        assert_eq!(world.order(&theirs)[..2], ["b/m/1", "a/m/0"]);
        assert_eq!(world.serve(&theirs), "b/m/1");
    }
    assert_eq!(world.order(&theirs).len(), 4, "the others are still there");
    assert_eq!(world.order(&issued_by(&["gone"])), world.order(&ask()), "an issuer nobody knows is none");
}

#[test]
fn an_issuer_that_rests_is_not_waited_for() {
    let mut world = two_providers();
    let theirs = issued_by(&["b-1"]);
    let choice = world.first(&theirs);
    world.fail(&choice, because(FailureKind::RateLimited, 60));
    assert!(!world.order(&theirs).contains(&"b/m/1".to_owned()));
    let before = world.order(&theirs);
    world.wait(60);
    assert_eq!(world.first(&theirs).terms.not_issuer, 0);
    assert_ne!(world.order(&theirs), before);
    let choice = world.first(&theirs);
    world.fail(&choice, failure(FailureKind::ServerError));
    assert_ne!(world.name(&world.first(&theirs)), "b/m/1", "nor one that fails");
}

#[test]
fn an_issuer_beats_neither_money_nor_the_model_that_was_named() {
    let mut paid = model("paid", 3);
    paid.spend = SpendClass::Paid;
    let world = World::new(pool(vec![
        member("a", vec![paid], 1),
        member("b", vec![model("m", 3)], 1),
        member("c", vec![model("n", 3)], 1),
    ]));
    for profile in [Profile::Balanced, Profile::Fast, Profile::Best, Profile::Frugal] {
        let sold = Ask { profile, ..issued_by(&["a-0"]) };
        assert_eq!(world.order(&sold)[2], "a/paid/0", "{profile:?}");
    }
    let named = Ask { target: Target::Prefer("n".into()), ..issued_by(&["b-0"]) };
    assert_eq!(world.order(&named)[..2], ["c/n/0", "b/m/0"]);
    assert_eq!(world.order(&issued_by(&["c-0"]))[0], "c/n/0");
}

#[test]
fn an_issuer_that_lacks_what_is_needed_stays_out() {
    let mut blind = model("blind", 3);
    blind.vision = Some(false);
    let world = World::new(pool(vec![member("a", vec![blind], 1), member("b", vec![model("m", 3)], 1)]));
    let seen = Ask { vision: true, ..issued_by(&["a-0"]) };
    assert_eq!(world.order(&seen), ["b/m/0"]);
}

#[test]
fn a_drained_key_gives_way_to_the_issuer_in_sequence() {
    let mut pool = pool(vec![member("a", vec![model("m", 3)], 3)]);
    pool.rules.rotation = Rotation::Sequential;
    let world = World::new(pool);
    assert_eq!(world.order(&issued_by(&["a-2"])), ["a/m/2", "a/m/0", "a/m/1"]);
}

proptest! {
    #[test]
    fn issuers_stand_first_in_their_own_order_and_the_rest_share_as_before(
        issuers in subsequence(vec!["a-0", "a-1", "a-2", "a-3", "a-4"], 0..=5).prop_shuffle(),
        draw in any::<u64>(),
        requests in 0..9_usize,
    ) {
        let mut world = World::new(pool(vec![member("a", vec![model("m", 3)], 5)]));
        for _ in 0..requests {
            let choice = world.first(&ask());
            world.run(&choice, success(100));
        }
        let plan = world.router.plan(world.now, &world.roster, &issued_by(&issuers), &Default::default(), draw);
        let keys: Vec<String> =
            plan.choices.iter().map(|choice| format!("a-{}", choice.candidate.key)).collect();
        let latest_first: Vec<&str> = issuers.iter().rev().copied().collect();
        prop_assert_eq!(&keys[..issuers.len()], latest_first);
        prop_assert_eq!(keys.len(), 5);
        // Whoever is next after the last turn is the first of the rest: nobody is skipped or favoured.
        let free: Vec<usize> = (0..5).filter(|key| !issuers.contains(&&*format!("a-{key}"))).collect();
        if requests > 0 && !free.is_empty() {
            let last = (requests - 1) % 5;
            let next = free.iter().find(|key| **key > last).unwrap_or(&free[0]);
            prop_assert_eq!(&keys[issuers.len()], &format!("a-{next}"));
        }
    }
}
