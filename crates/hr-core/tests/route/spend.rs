//! Money: what may not be paid for is not called, whatever happens.

use std::time::Duration;

use hr_core::catalog::{Price, SpendClass};
use hr_core::failure::Failure;
use hr_core::pool::{Member, Pool, PoolModel};
use hr_core::route::{Allowance, Ask, Gate, Hint, Outcome, Profile, Roster, Target, Tried, Work};
use hr_core::secret::KeyId;

use crate::world::{KINDS, World, ask, failure, member, model, pool, success};

/// A small generator of numbers, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 8
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    fn of<T: Copy>(&mut self, values: &[T]) -> T {
        values[usize::try_from(self.next()).unwrap_or(0) % values.len()]
    }
}

const CLASSES: [SpendClass; 3] = [SpendClass::Free, SpendClass::Included, SpendClass::Paid];

fn any_model(numbers: &mut Numbers, id: usize) -> PoolModel {
    let known = [None, Some(true), Some(false)];
    let usd = |numbers: &mut Numbers| [0.0, 0.1, 3.0, 75.0][numbers.below(4) as usize];
    PoolModel {
        spend: numbers.of(&CLASSES),
        price: numbers.one_in(2).then(|| Price { input: usd(numbers), output: usd(numbers), cached: None }),
        tools: numbers.of(&known),
        vision: numbers.of(&known),
        reasoning: numbers.of(&known),
        context: numbers.of(&[None, Some(8_000), Some(100_000)]),
        max_output: numbers.of(&[None, Some(4_000)]),
        by_request: numbers.one_in(5),
        ..model(&format!("m{id}"), 1 + numbers.below(5) as u8)
    }
}

fn any_member(numbers: &mut Numbers, index: usize) -> Member {
    let models = (0..1 + numbers.below(2)).map(|id| any_model(numbers, id as usize)).collect();
    let mut member = member(&format!("p{index}"), models, 1 + numbers.below(2) as usize);
    let mut provider = (*member.provider).clone();
    provider.spend = numbers.of(&CLASSES);
    if numbers.one_in(4) {
        // The user's own address: one where every call costs money.
        provider.paid_hosts = vec!["sold.example".to_owned()];
        member.base_url = "https://sold.example/v1".to_owned();
        member.models.iter_mut().for_each(|model| model.spend = SpendClass::Paid);
    }
    member.provider = provider.into();
    member.embed_model = numbers.one_in(2).then(|| "vectors".to_owned());
    member
}

fn any_pool(numbers: &mut Numbers) -> Pool {
    pool((0..1 + numbers.below(3)).map(|index| any_member(numbers, index as usize)).collect())
}

fn any_ask(numbers: &mut Numbers, allowance: Allowance) -> Ask {
    let pinned = || Target::Pin { provider: "p0".to_owned(), model: "m0".to_owned() };
    let unlisted = || Target::Pin { provider: "p0".to_owned(), model: "nobody-listed-it".to_owned() };
    let target = match numbers.below(8) {
        0 => Target::Prefer("m1".to_owned()),
        1 => pinned(),
        2 => unlisted(),
        _ => Target::Profile(Profile::Balanced),
    };
    Ask {
        target,
        profile: numbers.of(&[Profile::Balanced, Profile::Fast, Profile::Best, Profile::Frugal]),
        work: if numbers.one_in(6) { Work::Embed } else { Work::Chat },
        prompt_tokens: numbers.of(&[1, 3_000, 60_000]),
        max_output: numbers.of(&[None, Some(10), Some(20_000)]),
        difficulty: 1 + numbers.below(5) as u8,
        tools: numbers.one_in(3),
        vision: numbers.one_in(4),
        tool_loop: numbers.one_in(9),
        session: numbers.one_in(2).then(|| numbers.below(3)),
        hint: numbers.of(&[None, Some(Hint::Coding), Some(Hint::Debug)]),
        issuers: if numbers.one_in(5) { vec![KeyId("p0-0".to_owned())] } else { Vec::new() },
        allowance,
        ..Ask::default()
    }
}

fn any_outcome(numbers: &mut Numbers) -> Outcome {
    match numbers.below(8) {
        0..=4 => success(numbers.below(30_000)),
        5 => Outcome::Abandoned,
        _ => {
            let wait = numbers.one_in(2).then(|| Duration::from_secs(numbers.below(100)));
            Outcome::Failure(Failure::new(numbers.of(&KINDS), "made up").retry_after(wait))
        }
    }
}

/// What calls a model makes to it that cost money.
fn class(roster: &Roster, choice: hr_core::route::Candidate) -> SpendClass {
    let member = roster.member(choice);
    let sold = member.base_url.contains("sold.example");
    match member.models.get(choice.model) {
        _ if sold => SpendClass::Paid,
        Some(model) => model.spend,
        None => member.provider.spend,
    }
}

/// Requests of one run, and the calls that were made for them.
fn run(seed: u64, requests: usize) -> usize {
    let numbers = &mut Numbers(seed);
    let allowance = Allowance { most: SpendClass::Free, per_request: None };
    let (mut done, mut calls) = (0, 0);
    while done < requests {
        let mut world = World::new(any_pool(numbers));
        for _ in 0..200 {
            let allowance = Allowance { per_request: numbers.of(&[None, Some(1.0)]), ..allowance };
            let ask = any_ask(numbers, allowance);
            let Some(roster) = world.router.roster_for(&world.roster, &ask.target) else {
                done += 1;
                continue;
            };
            let mut tried = Tried::default();
            for _ in 0..3 {
                done += 1;
                let plan = world.router.plan(world.now, &roster, &ask, &tried, numbers.next());
                assert!(plan.choices.iter().all(|choice| choice.permit.class() == SpendClass::Free));
                let Some(choice) = plan.choices.first() else { break };
                assert_eq!(class(&roster, choice.candidate), SpendClass::Free, "{choice:?}");
                let Ok(ticket) = world.router.begin(world.now, &roster, choice) else { break };
                assert_eq!(ticket.permit().class(), SpendClass::Free);
                calls += 1;
                let outcome = any_outcome(numbers);
                if let Outcome::Failure(failure) = &outcome {
                    tried.note(&roster, choice.candidate, failure);
                }
                let ends = !matches!(outcome, Outcome::Failure(_));
                world.router.settle(world.now, ticket, outcome);
                if ends {
                    break;
                }
                tried.forgive_passing();
            }
            if numbers.one_in(5) {
                world.wait(numbers.below(4 * 3_600));
            }
        }
    }
    calls
}

/// Half a million requests that may cost nothing.
#[expect(clippy::disallowed_macros, reason = "the figure is part of what the test tells")]
fn half(seed: u64) {
    let calls = run(seed, 500_000);
    assert!(calls > 50_000, "only {calls} calls were made at all");
    println!("500,000 plans under SPEND=free: {calls} calls, none of them paid");
}

// A million in all; in halves, so that they run side by side.

#[test]
fn of_a_million_requests_that_may_cost_nothing_no_odd_one_makes_a_paid_call() {
    half(0x9E37_79B9_7F4A_7C15);
}

#[test]
fn of_a_million_requests_that_may_cost_nothing_no_even_one_makes_a_paid_call() {
    half(0xD134_2543_DE82_EF94);
}

/// One paid provider with this price, in US dollars for a million tokens.
fn sold(price: Option<f64>) -> World {
    let paid = PoolModel {
        spend: SpendClass::Paid,
        price: price.map(|usd| Price { input: usd, output: usd, cached: None }),
        max_output: Some(10_000),
        ..model("m", 3)
    };
    World::new(pool(vec![member("a", vec![paid], 3)]))
}

fn within(usd: f64, prompt_tokens: u64, max_output: Option<u64>) -> Ask {
    let allowance = Allowance { most: SpendClass::Paid, per_request: Some(usd) };
    Ask { allowance, prompt_tokens, max_output, ..ask() }
}

#[test]
fn a_call_that_may_cost_more_than_the_request_may_is_not_made() {
    let world = sold(Some(10.0));
    let offered = |ask: &Ask| !world.plan(ask).choices.is_empty();
    assert!(offered(&within(0.020, 1_000, Some(1_000))), "two thousand tokens for two cents");
    assert!(!offered(&within(0.019, 1_000, Some(1_000))));
    assert!(!offered(&within(0.1, 1_000, None)), "the longest answer has ten thousand");
    assert!(offered(&within(0.11, 1_000, None)));
    let plan = world.plan(&within(0.001, 1_000, None));
    assert_eq!(plan.exclusions[0].gate, Gate::Spend);
    let unknown = sold(None);
    assert!(unknown.plan(&within(1_000.0, 1, Some(1))).choices.is_empty(), "its price is unknown");
    assert_eq!(unknown.plan(&ask()).choices.len(), 3, "without a bound the key is the permit");
}

#[test]
fn what_failed_calls_may_have_cost_counts() {
    use hr_core::failure::FailureKind::{Cut, RateLimited};
    let mut world = sold(Some(10.0));
    let ask = within(0.05, 1_000, Some(1_000));
    let mut tried = Tried::default();
    let mut left = Vec::new();
    for kind in [RateLimited, Cut, Cut] {
        let Some(choice) = world.replan(&ask, &tried).choices.into_iter().next() else { break };
        world.fail(&choice, failure(kind));
        tried.note(&world.roster, choice.candidate, &failure(kind));
        tried.forgive_passing();
        left.push(world.replan(&ask, &tried).choices.len());
    }
    assert_eq!(left[1..], [2, 0], "two cut answers of two cents each leave one cent");
}

#[test]
fn an_embedding_model_is_as_dear_as_its_provider() {
    let vectors = |spend, host: &str| {
        let mut member = member("a", vec![], 1);
        let mut provider = (*member.provider).clone();
        provider.spend = spend;
        provider.paid_hosts = vec!["sold.example".to_owned()];
        member.provider = provider.into();
        member.base_url = format!("https://{host}/v1");
        member.embed_model = Some("vectors".to_owned());
        World::new(pool(vec![member]))
    };
    let free = Allowance { most: SpendClass::Free, per_request: None };
    let offered =
        |world: World| !world.plan(&Ask { work: Work::Embed, allowance: free, ..ask() }).choices.is_empty();
    assert!(offered(vectors(SpendClass::Free, "a.example")));
    assert!(!offered(vectors(SpendClass::Paid, "a.example")));
    assert!(!offered(vectors(SpendClass::Free, "sold.example")), "the address makes it paid");
}
