//! What a router knows outlives it: a second one that is given the pieces decides as the first would have.

use std::collections::BTreeMap;
use std::time::Duration;

use hr_core::catalog::{LimitSpan, LimitUnit};
use hr_core::failure::{Failure, FailureKind, Scope};
use hr_core::pool::Pool;
use hr_core::quota::{Reach, Reading, Said, Source};
use hr_core::route::{Ask, Change, MemberState, Noted, Outcome, Table, Target};
use hr_core::time::Millis;
use proptest::prelude::*;

use crate::world::{KINDS, World, ask, because, failure, member, model, pool, scoped, success};

/// Two providers with two models and keys; two keys of the first have an owner together.
fn build() -> Pool {
    let mut a = member("a", vec![model("m", 3), model("n", 3)], 3);
    a.keys[0].owner = Some("us".into());
    a.keys[2].owner = Some("us".into());
    pool(vec![a, member("b", vec![model("m", 3)], 2)])
}

/// The store: the last word about each piece.
#[derive(Default)]
struct Disk(BTreeMap<(Table, String), String>);

impl Disk {
    fn write(&mut self, changes: Vec<Change>) {
        for Change { table, id, kept } in changes {
            match kept {
                Some(kept) => self.0.insert((table, id), kept),
                None => self.0.remove(&(table, id)),
            };
        }
    }

    fn read(&self) -> Vec<Change> {
        let change = |((table, id), kept): (&(Table, String), &String)| Change {
            table: *table,
            id: id.clone(),
            kept: Some(kept.clone()),
        };
        self.0.iter().map(change).collect()
    }

    /// A router that begins at this time with what is kept.
    fn world(&self, now: Millis, pool: Pool) -> World {
        let mut world = World::new(pool);
        world.now = now;
        assert_eq!(world.router.restore(now, self.read()), 0);
        world
    }
}

#[test]
fn each_kind_of_rest_is_taken_up_again() {
    for scope in [Scope::KeyModel, Scope::Key, Scope::Model, Scope::Provider, Scope::Owner] {
        let (mut world, mut disk) = (World::new(build()), Disk::default());
        disk.write(world.router.changes());
        let choice = world.choice("a/m/0");
        world.fail(&choice, scoped(FailureKind::RateLimited, scope));
        disk.write(world.router.changes());
        let mut again = disk.world(world.now, build());
        assert_eq!(sorted(&again), sorted(&world), "{scope:?}");
        assert!(again.order(&ask()).len() < 8, "{scope:?}");
        assert_eq!(again.router.changes(), [], "it stands there as it is");
        // The strikes are remembered, too: the next rest is as long as it would have been.
        for world in [&mut world, &mut again] {
            world.wait(3600);
            let choice = world.choice("a/m/0");
            world.fail(&choice, scoped(FailureKind::RateLimited, scope));
        }
        assert_eq!(again.router.next_wakeup(again.now), world.router.next_wakeup(world.now), "{scope:?}");
    }
}

fn sorted(world: &World) -> Vec<String> {
    let mut order = world.order(&ask());
    order.sort();
    order
}

#[test]
fn a_rest_that_ended_is_forgotten() {
    let (mut world, mut disk) = (World::new(build()), Disk::default());
    for (kind, table) in [(FailureKind::BadKey, Table::Rests), (FailureKind::RateLimited, Table::Quota)] {
        let choice = world.choice("a/m/0");
        world.fail(&choice, because(kind, 60));
        disk.write(world.router.changes());
        assert!(disk.0.keys().any(|(other, _)| *other == table));
        world.wait(100);
        let choice = world.choice("a/m/0");
        world.run(&choice, success(100));
        disk.write(world.router.changes());
        // How many calls there were is kept with the quotas.
        let left = disk.0.keys().filter(|(other, id)| *other == table && id != "calls");
        assert_eq!(left.count(), 0, "{kind:?}");
    }
}

#[test]
fn calls_beyond_what_was_kept_are_counted_from_their_notes() {
    let (mut world, mut disk) = (World::new(build()), Disk::default());
    let choice = world.choice("b/m/0");
    let first = world.begin(&choice).unwrap();
    assert!(!first.is_counted(), "no limit is known yet");
    world.settle(first, Outcome::Unsent);
    let Outcome::Success { first_byte, total, usage, .. } = success(100) else { unreachable!() };
    let left = Reading {
        owner: None,
        reach: Reach::AllModels,
        unit: LimitUnit::Requests,
        span: Some(LimitSpan::Minute),
        limit: Some(10.0),
        remaining: Some(8.0),
        reset: Some(world.now.after(Duration::from_secs(60))),
        source: Source::Header,
    };
    let said = Said { readings: vec![left], clock: None };
    world.run(&choice, Outcome::Success { first_byte, total, usage, said });
    let mut notes = Vec::new();
    let mut call = |world: &mut World| {
        let ticket = world.begin(&choice).unwrap();
        assert!(ticket.is_counted());
        let note = serde_json::to_string(&ticket.noted(&world.roster, choice.candidate)).unwrap();
        notes.push(Noted::piece(&note).unwrap());
    };
    call(&mut world);
    call(&mut world);
    disk.write(world.router.changes());
    for _ in 0..3 {
        call(&mut world);
    }
    let of = |world: &World| {
        let views = world.router.quota(world.now, &world.roster);
        let requests = views.into_iter().flat_map(|view| view.buckets);
        requests.map(|bucket| bucket.left.unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(of(&world), [3.0]);

    for round in 0..2 {
        let mut again = World { now: world.now, ..World::new(build()) };
        let kept = disk.read().into_iter().chain(notes.clone());
        assert_eq!(again.router.restore(world.now, kept.collect()), 0);
        assert_eq!(of(&again), [3.0], "round {round}");
        disk.write(again.router.changes());
        let next = again.begin(&choice).unwrap();
        let number = next.noted(&again.roster, choice.candidate).number;
        let noted: Vec<u64> = notes.iter().map(|note| note.id.parse().unwrap()).collect();
        assert!(noted.iter().all(|noted| number > *noted), "numbers go on: {number} after {noted:?}");
        again.settle(next, Outcome::Unsent);
    }
    let torn = ["", "{", "7", "{\"number\":7}", "null"];
    assert!(torn.into_iter().all(|line| Noted::piece(line).is_none()));
}

#[test]
fn what_refusals_taught_is_known_again() {
    let (mut world, mut disk) = (World::new(build()), Disk::default());
    let choice = world.choice("b/m/0");
    let refused = Failure { param: Some("top_k".into()), ..failure(FailureKind::Unsupported) };
    world.fail(&choice, refused);
    disk.write(world.router.changes());
    let again = disk.world(world.now, build());
    let with = Ask { params: vec!["top_k".into()], ..ask() };
    let order = world.order(&with);
    assert!(order.iter().all(|name| !name.starts_with("b/")), "{order:?}");
    assert_eq!(again.order(&with), order);
}

#[test]
fn what_belongs_to_nobody_waits_until_they_come() {
    let (mut world, mut disk) = (World::new(build()), Disk::default());
    let choice = world.choice("a/m/1");
    world.fail(&choice, because(FailureKind::QuotaSpent, 3600));
    disk.write(world.router.changes());

    let mut again = disk.world(world.now, pool(vec![member("b", vec![model("m", 3)], 2)]));
    again.reload(pool(vec![member("a", vec![model("m", 3)], 1), member("b", vec![model("m", 3)], 2)]));
    assert_eq!(sorted(&again), ["a/m/0", "b/m/0", "b/m/1"]);
    again.reload(build());
    assert_eq!(sorted(&again), sorted(&world));
}

#[test]
fn a_model_that_only_a_caller_names_rests_on() {
    let (mut world, mut disk) = (World::new(build()), Disk::default());
    let target = Target::Pin { provider: "b".into(), model: "odd".into() };
    let pinned = Ask { target: target.clone(), ..ask() };
    let roster = world.roster.clone();
    world.roster = world.router.roster_for(&roster, &target).unwrap();
    let choice = world.first(&pinned);
    world.fail(&choice, scoped(FailureKind::RateLimited, Scope::Model));
    assert_eq!(world.order(&pinned), [""; 0]);
    disk.write(world.router.changes());

    let mut again = disk.world(world.now, build());
    let roster = again.roster.clone();
    again.roster = again.router.roster_for(&roster, &target).unwrap();
    assert_eq!(again.order(&pinned), [""; 0]);
}

#[test]
fn another_address_is_another_server() {
    let (mut world, mut disk) = (World::new(build()), Disk::default());
    let choice = world.choice("a/m/0");
    world.fail(&choice, scoped(FailureKind::BadKey, Scope::Key));
    let choice = world.choice("a/m/1");
    world.fail(&choice, because(FailureKind::QuotaSpent, 3600));
    disk.write(world.router.changes());
    let mut moved = build();
    moved.members[0].base_url = "https://elsewhere.example/v1".into();
    let again = disk.world(world.now, moved);
    let order = sorted(&again);
    assert!(order.contains(&"a/m/0".to_owned()), "{order:?}");
    assert!(!order.contains(&"a/m/1".to_owned()), "limits are the account's: {order:?}");
}

#[test]
fn a_rest_from_a_clock_that_was_wrong_ends() {
    let (mut world, mut disk) = (World::new(build()), Disk::default());
    let now = world.now;
    world.wait(10 * 365 * 24 * 3600);
    let choice = world.choice("b/m/0");
    world.fail(&choice, scoped(FailureKind::RateLimited, Scope::Provider));
    disk.write(world.router.changes());
    let mut again = disk.world(now, build());
    again.wait(24 * 3600);
    assert_eq!(again.order(&ask()).len(), 8);
}

#[test]
fn what_cannot_be_read_is_counted_and_left_out() {
    let change = |table, id: &str, kept: &str| Change { table, id: id.into(), kept: Some(kept.into()) };
    let mut world = World::new(build());
    let kept = vec![
        change(Table::Rests, "{\"provider\":\"a\"}", "nonsense"),
        change(Table::Rests, "nonsense", "{\"place\":\"x\"}"),
        change(Table::Health, "{\"provider\":\"a\"}", "{\"place\":\"x\",\"prompt\":7}"),
        change(Table::Quota, "nonsense", "{}"),
        change(Table::Rests, "{\"provider\":\"gone\"}", "{\"place\":\"x\"}"),
    ];
    assert_eq!(world.router.restore(world.now, kept), 4);
    assert_eq!(world.order(&ask()).len(), 8);
}

#[derive(Clone, Debug)]
enum Step {
    Serve(usize),
    Fail(usize, usize),
    Wait(u64),
    Keep,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..8usize).prop_map(Step::Serve),
        4 => (0..8usize, 0..KINDS.len()).prop_map(|(who, kind)| Step::Fail(who, kind)),
        2 => (0..400u64).prop_map(Step::Wait),
        1 => Just(Step::Keep),
    ];
    proptest::collection::vec(step, 1..40)
}

/// Who rests, until when and why, and what was measured.
fn told(world: &World) -> Vec<String> {
    let mut told = Vec::new();
    for MemberState { provider, cooling_until, because, keys, models, avg_latency_ms, .. } in world.snapshot()
    {
        let latency = avg_latency_ms.map(f64::round);
        told.push(format!("{provider} {cooling_until:?} {because:?} {latency:?}"));
        told.extend(keys.iter().map(|key| format!("{} {:?} {:?}", key.id.0, key.cooling_until, key.because)));
        told.extend(models.iter().map(|model| {
            // JSON may differ in the last digit of a fraction.
            let first_byte = model.first_byte_ms.map(f64::round);
            format!("{} {:?} {:?} {first_byte:?}", model.id, model.cooling_until, model.because)
        }));
    }
    told
}

proptest! {
    /// Whatever happens, and whenever it is written: the same candidates may be called after a restart.
    #[test]
    fn a_restart_changes_nobodys_turn(steps in steps()) {
        let (mut world, mut disk) = (World::new(build()), Disk::default());
        for step in steps {
            match step {
                Step::Wait(seconds) => world.wait(seconds),
                Step::Keep => disk.write(world.router.changes()),
                Step::Serve(who) | Step::Fail(who, _) => {
                    let choices = world.plan(&ask()).choices;
                    let Some(choice) = choices.get(who % choices.len().max(1)) else { continue };
                    let Ok(ticket) = world.begin(choice) else { continue };
                    let outcome = match step {
                        Step::Fail(_, kind) => Outcome::Failure(failure(KINDS[kind])),
                        _ => success(100),
                    };
                    world.router.settle(world.now, ticket, outcome);
                }
            }
        }
        disk.write(world.router.changes());
        let mut again = disk.world(world.now, build());
        prop_assert_eq!(told(&again), told(&world));
        prop_assert_eq!(again.router.changes(), []);
    }
}
