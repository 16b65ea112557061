//! What is kept when another pool is put in force.

use hr_core::failure::FailureKind;
use hr_core::route::Tried;

use crate::world::{World, ask, because, failure, key, member, model, one_provider, pool};

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
