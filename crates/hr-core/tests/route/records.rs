//! What is kept of a decision: it fits, tells no text of the request, and can be computed again.

use std::time::Duration;

use hr_core::catalog::SpendClass;
use hr_core::failure::{Failure, FailureKind};
use hr_core::pool::{Member, Pool, PoolModel, Rotation};
use hr_core::route::record::{Draft, MADE_UP, MAX_BYTES, Outcome as Came, RULES, Record, Subject};
use hr_core::route::replay::{Replay, replay};
use hr_core::route::{Ask, Effort, Outcome, Profile, Target, Tried};
use hr_core::secret::KeyId;
use hr_core::time::Millis;
use proptest::prelude::*;

use crate::world::{KINDS, World, because, member, model, pool, success, two_providers};

/// The decisions that are computed again.
const DECISIONS: usize = 10_000;

/// The most attempts of a request.
const ATTEMPTS: usize = 24;

/// SplitMix64: the same numbers for the same seed.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn one_of<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    fn yes(&mut self) -> bool {
        self.next().is_multiple_of(2)
    }
}

fn any_model(numbers: &mut Numbers, id: String) -> PoolModel {
    PoolModel {
        context: numbers.one_of(&[None, Some(8_000), Some(200_000)]),
        tools: numbers.one_of(&[None, Some(true), Some(false)]),
        reasoning: numbers.one_of(&[None, Some(true)]),
        spend: numbers.one_of(&[SpendClass::Free, SpendClass::Included, SpendClass::Paid]),
        quality: numbers.below(300) as u32,
        ..model(&id, 1 + numbers.below(5) as u8)
    }
}

fn any_pool(numbers: &mut Numbers, members: usize, most_models: usize, most_keys: usize, name: &str) -> Pool {
    let members = (0..members).map(|index| {
        let models = 1 + numbers.below(most_models);
        let models = (0..models).map(|at| any_model(numbers, format!("{name}{at}"))).collect();
        let keys = 1 + numbers.below(most_keys);
        let mut member: Member = member(&format!("p{index}"), models, keys);
        member.off = numbers.next().is_multiple_of(15).then(|| "retired".to_owned());
        member
    });
    let mut pool = pool(members.collect());
    pool.rules.rotation = numbers.one_of(&[Rotation::RoundRobin, Rotation::Sequential]);
    pool
}

fn any_ask(numbers: &mut Numbers, name: &str) -> Ask {
    let profiles = [Profile::Balanced, Profile::Fast, Profile::Best, Profile::Frugal];
    let targets = [
        Target::Profile(Profile::Balanced),
        Target::Profile(Profile::Balanced),
        Target::Prefer(format!("{name}1")),
        Target::Pin { provider: "p0".to_owned(), model: format!("{name}0") },
    ];
    Ask {
        profile: numbers.one_of(&profiles),
        target: numbers.one_of(&targets),
        difficulty: 1 + numbers.below(5) as u8,
        prompt_tokens: numbers.one_of(&[10, 5_000, 60_000]),
        max_output: numbers.one_of(&[None, Some(100), Some(50_000)]),
        tools: numbers.yes(),
        effort: numbers.one_of(&[Effort::Unsaid, Effort::High]),
        session: numbers.one_of(&[None, Some(1), Some(2), Some(3)]),
        issuers: if numbers.below(4) == 0 { vec![KeyId("p1-0".to_owned())] } else { Vec::new() },
        ..Ask::default()
    }
}

/// Serves one request as the gateway would, and returns its record as it is kept.
fn serve(world: &mut World, numbers: &mut Numbers, ask: &Ask, failing: u64) -> Vec<u8> {
    let mut draft = Draft::new("req_0123456789abcdef".to_owned(), world.now, "chat", "0123456789ab");
    let mut tried = Tried::default();
    world.router.arrives(world.now);
    for attempt in 1.. {
        let plan = world.router.plan(world.now, &world.roster, ask, &tried, numbers.next());
        let roster = world.roster.clone();
        let subject = Subject { roster: &roster, ask, plan: &plan, made_up: false };
        let admitted = plan
            .choices
            .iter()
            .find_map(|choice| Some((choice, world.router.begin(world.now, &roster, choice).ok()?)));
        let Some((choice, ticket)) = admitted.filter(|_| attempt <= ATTEMPTS) else {
            draft.plan(&subject, None);
            return draft.close(503, "well", Duration::from_millis(attempt as u64)).to_json();
        };
        let after = Duration::from_millis(attempt as u64);
        draft.plan(&subject, Some(choice));
        draft.calls(&subject, choice.candidate, after);
        if numbers.next() % 100 >= failing {
            draft.answered(after);
            world.settle(ticket, success(numbers.next() % 9_000));
            break;
        }
        let wait = numbers.one_of(&[0, 1, 30, 3_600]);
        let failure = because(numbers.one_of(&KINDS), wait).status(429);
        draft.failed(&failure, after);
        tried.note(&world.roster, choice.candidate, &failure);
        world.settle(ticket, Outcome::Failure(failure));
    }
    draft.close(200, "well", Duration::from_millis(900)).to_json()
}

fn read(json: &[u8]) -> Record {
    serde_json::from_slice(json).expect("a record reads back")
}

#[test]
#[expect(clippy::disallowed_macros, reason = "the figure is part of what the test tells")]
fn ten_thousand_kept_decisions_come_out_the_same() {
    let mut numbers = Numbers(7);
    let (mut plans, mut calls, mut longest, mut bytes) = (0, 0, 0, 0);
    for world in 0..DECISIONS / 200 {
        let pool = any_pool(&mut numbers, 2 + world % 12, 3, 6, "m");
        let mut world = World::new(pool);
        for _ in 0..200 {
            let ask = any_ask(&mut numbers, "m");
            let json = serve(&mut world, &mut numbers, &ask, 40);
            let record = read(&json);
            let replayed = replay(&record);
            assert!(
                matches!(replayed, Replay::Same { .. }),
                "{replayed:?}: {}",
                String::from_utf8_lossy(&json)
            );
            assert!(json.len() <= MAX_BYTES);
            plans += record.plans.len();
            calls += record.plans.iter().filter(|plan| plan.chosen.is_some()).count();
            longest = longest.max(json.len());
            bytes += json.len();
            world.wait(numbers.next() % 20);
        }
    }
    assert!(calls > DECISIONS, "most of them called somebody: {calls}");
    println!(
        "{DECISIONS} decisions with {plans} plans came out the same; {} bytes each, {longest} at most",
        bytes / DECISIONS
    );
}

#[test]
fn what_was_changed_afterwards_comes_out_differently() {
    let mut world = two_providers();
    let record = read(&serve(&mut world, &mut Numbers(1), &Ask::default(), 0));
    assert_eq!(replay(&record), Replay::Same { plans: 1 });
    let differs = |change: &dyn Fn(&mut Record)| {
        let mut changed = record.clone();
        change(&mut changed);
        match replay(&changed) {
            Replay::Differs(difference) => difference.to_string(),
            other => panic!("{other:?}"),
        }
    };
    let rating = differs(&|record| record.plans[0].candidates[0].merits.rating = 2);
    assert!(rating.contains("plan 1: `") && rating.contains("points for `distance`"), "{rating}");
    let points = differs(&|record| {
        record.plans[0].candidates[1].points.insert("spend".into(), 7);
    });
    assert!(points.contains("gets 0 points for `spend`, but 7 were recorded"), "{points}");
    let order = differs(&|record| record.plans[0].candidates.swap(0, 1));
    assert!(order.contains("comes before"), "{order}");
    let key = differs(&|record| {
        let chosen = record.plans[0].chosen.expect("somebody was called");
        record.plans[0].chosen = Some(1 - chosen);
    });
    assert!(key.contains("it is the turn of key"), "{key}");
    let nobody = differs(&|record| record.plans[0].candidates.clear());
    assert!(nobody.contains("nobody could be called"), "{nobody}");
    let older = Record { rules: RULES - 1, ..record.clone() };
    assert_eq!(replay(&older), Replay::OtherRules { recorded: RULES - 1 });
}

#[test]
fn a_record_tells_what_happened() {
    let mut world = two_providers();
    let mut draft = Draft::new("req_1".to_owned(), world.now, "chat", "abc");
    let ask = Ask { tools: true, prompt_tokens: 1234, ..Ask::default() };
    let roster = world.roster.clone();
    let mut tried = Tried::default();
    let first = world.plan(&ask);
    let choice = first.choices[0].clone();
    let subject = Subject { roster: &roster, ask: &ask, plan: &first, made_up: false };
    draft.plan(&subject, Some(&choice));
    draft.calls(&subject, choice.candidate, Duration::from_millis(2));
    let failure = because(KINDS[10], 60).status(429);
    draft.failed(&failure, Duration::from_millis(102));
    tried.note(&roster, choice.candidate, &failure);
    world.fail(&choice, failure);
    let second = world.replan(&ask, &tried);
    let subject = Subject { plan: &second, ..subject };
    draft.plan(&subject, Some(&second.choices[0]));
    draft.calls(&subject, second.choices[0].candidate, Duration::from_millis(103));
    draft.answered(Duration::from_millis(203));
    draft.lost("logit_bias");
    let record = read(&draft.close(200, "well", Duration::from_millis(300)).to_json());
    assert_eq!((record.status, record.took_ms, record.lost.as_str()), (200, 300, "logit_bias"));
    let asked = record.ask.as_ref().expect("what was asked");
    assert_eq!((asked.tokens, asked.tools, asked.model.as_deref()), (1234, true, None));
    let calls: Vec<_> =
        record.attempts.iter().map(|call| (call.plan, call.outcome, call.status, call.ms)).collect();
    assert_eq!(calls, [(0, Came::Failed(KINDS[10]), Some(429), 100), (1, Came::Answered, None, 100)]);
    assert_eq!(record.plans.len(), 2);
    assert_ne!(record.attempts[0].who.key, record.attempts[1].who.key);
}

#[test]
fn who_is_passed_over_is_grouped_by_reason() {
    let mut world = World::new(pool(vec![
        member("a", vec![model("m", 3)], 2),
        member("b", vec![PoolModel { tools: Some(false), ..model("n", 3) }, model("o", 3)], 1),
    ]));
    let ask = Ask { tools: true, ..Ask::default() };
    for name in ["a/m/0", "a/m/1"] {
        let choice = world.choice(name);
        world.fail(&choice, because(KINDS[2], 60 * (1 + choice.candidate.key as u64)));
    }
    let record = read(&serve(&mut world, &mut Numbers(1), &ask, 0));
    let told: Vec<_> = record.plans[0]
        .excluded
        .iter()
        .map(|group| (group.gate.as_ref(), group.count, group.because, group.who.join(" ")))
        .collect();
    let first = record.plans[0].excluded[0].until.expect("a rest ends");
    assert_eq!(
        told,
        [("cooldown", 2, Some(KINDS[2]), "a/m#a-0 a/m#a-1".to_owned()), ("tools", 1, None, "b/n".to_owned())]
    );
    assert!(first > world.now && first < world.now.after(Duration::from_secs(3_600)), "{first:?}");
}

#[test]
fn what_holds_for_some_of_those_passed_over_is_not_said_of_all() {
    let mut world = World::new(pool(vec![member("a", vec![model("m", 3)], 2)]));
    for (name, kind) in [("a/m/0", FailureKind::BadKey), ("a/m/1", FailureKind::NoMoney)] {
        let choice = world.choice(name);
        world.fail(&choice, because(kind, 60));
    }
    let record = read(&serve(&mut world, &mut Numbers(1), &Ask::default(), 0));
    let rests = &record.plans[0].excluded;
    assert_eq!((rests.len(), rests[0].gate.as_ref(), rests[0].count), (1, "cooldown", 2), "{rests:?}");
    assert_eq!(rests[0].because, None, "one key is bad, and the other has no money");
}

#[test]
fn a_model_that_only_the_caller_knows_is_not_named() {
    let mut world = two_providers();
    let target = Target::Pin { provider: "a".to_owned(), model: "canary words".to_owned() };
    let ask = Ask { target: target.clone(), ..Ask::default() };
    world.roster = world.router.roster_for(&world.roster, &target).expect("it is taken in");
    let plan = world.plan(&ask);
    let subject = Subject { roster: &world.roster, ask: &ask, plan: &plan, made_up: true };
    let mut draft = Draft::new("req_1".to_owned(), Millis(1), "chat", "");
    draft.plan(&subject, plan.choices.first());
    draft.calls(&subject, plan.choices[0].candidate, Duration::ZERO);
    draft.failed(&Failure::new(KINDS[0], "canary words"), Duration::ZERO);
    let json = String::from_utf8(draft.close(400, "well", Duration::ZERO).to_json()).expect("text");
    assert!(!json.contains("canary"), "{json}");
    assert!(json.contains(MADE_UP), "{json}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_record_fits_however_large_the_pool_and_whatever_its_names(
        seed in any::<u64>(),
        members in 1..40_usize,
        models in 1..6_usize,
        keys in 1..40_usize,
        name in "[a-z\"\\\\\u{1}é]{1,120}",
        lost in "\\PC{0,300}",
    ) {
        let mut numbers = Numbers(seed);
        let pool = any_pool(&mut numbers, members, models, keys, &name);
        let mut world = World::new(pool);
        for _ in 0..4 {
            let ask = any_ask(&mut numbers, &name);
            let json = serve(&mut world, &mut numbers, &ask, 95);
            prop_assert!(json.len() <= MAX_BYTES, "{} bytes", json.len());
            let record = read(&json);
            prop_assert!(matches!(replay(&record), Replay::Same { .. }), "{:?}", replay(&record));
            prop_assert!(record.ask.is_some());
        }
        let mut draft = Draft::new("\u{1}".repeat(32), world.now, "embeddings", "f".repeat(12));
        draft.lost(&lost);
        prop_assert!(draft.close(200, "well", Duration::MAX).to_json().len() <= MAX_BYTES);
    }
}
