//! Laws of the router over random pools, requests and outcomes, on a clock that is moved by hand.
//!
//! The tests keep their own book of who rests, written only from the effects that the router tells, and hold
//! every plan and every admission against it.

use std::collections::HashMap;
use std::time::Duration;

use crate::world::{KINDS, World, key, member, model, pool, success};
use hr_core::catalog::SpendClass;
use hr_core::failure::{Failure, FailureKind, Scope};
use hr_core::pool::{Member, Pool, PoolModel, Rotation};
use hr_core::route::policy::{MIN_WAIT, Rule};
use hr_core::route::{
    Ask, BreakerPhase, Candidate, Choice, Effect, Gate, Outcome, Profile, Target, Ticket, Tried,
};
use hr_core::secret::KeyId;
use hr_core::time::Millis;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// Who rests until when and why, by scope, provider, model and key.
type Book = HashMap<(Scope, String, Option<String>, Option<String>), (Millis, FailureKind)>;

#[derive(Clone, Debug)]
enum Step {
    /// A request: plans, begins, and ends as told; or stays in flight.
    Request { ask: Ask, draw: u64, ends: Vec<End> },
    /// The oldest attempt in flight ends.
    Land(End),
    /// A choice of the last plan is begun though time has gone on.
    Stale(usize),
    /// Time passes.
    Wait(u64),
    /// Another part of the pool is put in force.
    Reload(usize),
}

#[derive(Clone, Debug)]
enum End {
    Well(u64),
    Badly(Failure),
    Abandoned,
    /// Not yet.
    Open,
}

fn any_failure() -> impl Strategy<Value = Failure> {
    let scopes = [Scope::KeyModel, Scope::Key, Scope::Model, Scope::Provider, Scope::Owner];
    let params = ["tools", "logit_bias", "max_tokens", "messages"];
    (
        select(&KINDS[..]),
        option::of(0..200_000_u64),
        option::weighted(0.3, select(scopes.to_vec())),
        option::of(select(params.to_vec())),
    )
        .prop_map(|(kind, wait, scope, param)| Failure {
            scope,
            param: param.map(str::to_owned),
            ..Failure::new(kind, "made up").retry_after(wait.map(Duration::from_secs))
        })
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        3 => (0..40_000_u64).prop_map(End::Well),
        6 => any_failure().prop_map(End::Badly),
        1 => Just(End::Abandoned),
        2 => Just(End::Open),
    ]
}

fn any_ask() -> impl Strategy<Value = Ask> {
    let profiles = [Profile::Balanced, Profile::Fast, Profile::Best, Profile::Frugal];
    let targets = [
        Target::Profile(Profile::Balanced),
        Target::Prefer("m1".to_owned()),
        Target::Pin { provider: "p0".to_owned(), model: "m0".to_owned() },
    ];
    (
        select(profiles.to_vec()),
        select(targets.to_vec()),
        1..=5_u8,
        select(&[10, 5_000, 60_000, 200_000_u64][..]),
        option::of(select(&[100, 50_000_u64][..])),
        any::<[bool; 3]>(),
        vec(select(&["p0-0", "p1-1", "p2-0", "p9-9"][..]), 0..3),
    )
        .prop_map(|(profile, target, difficulty, prompt_tokens, max_output, flags, issuers)| {
            let [tools, vision, biased] = flags;
            Ask {
                profile,
                target,
                difficulty,
                prompt_tokens,
                max_output,
                tools,
                vision,
                issuers: issuers.into_iter().map(|name| KeyId(name.to_owned())).collect(),
                params: if biased { vec!["logit_bias".to_owned()] } else { Vec::new() },
                ..Ask::default()
            }
        })
}

fn any_model() -> impl Strategy<Value = PoolModel> {
    let known = || select(&[None, Some(true), Some(false)][..]);
    let spend = [SpendClass::Free, SpendClass::Included, SpendClass::Paid];
    let window = select(&[None, Some(8_000), Some(100_000)][..]);
    (1..=5_u8, window, known(), known(), known(), select(spend.to_vec())).prop_map(
        |(rating, context, tools, vision, reasoning, spend)| PoolModel {
            context,
            tools,
            vision,
            reasoning,
            spend,
            ..model("", rating)
        },
    )
}

fn any_pool() -> impl Strategy<Value = Pool> {
    let shared = any::<[bool; 4]>();
    let part = (vec(any_model(), 0..3), 0..4_usize, shared, prop::bool::weighted(0.1));
    (vec(part, 1..5), any::<bool>()).prop_map(|(parts, sequential)| {
        let members = parts.into_iter().enumerate().map(|(index, (mut models, keys, shared, off))| {
            for (at, model) in models.iter_mut().enumerate() {
                model.id = format!("m{at}");
            }
            let mut member = member(&format!("p{index}"), models, keys);
            for (key, shared) in member.keys.iter_mut().zip(shared) {
                key.owner = shared.then(|| "us".to_owned());
            }
            member.off = off.then(|| "retired".to_owned());
            member
        });
        let mut pool = pool(members.collect());
        pool.rules.rotation = if sequential { Rotation::Sequential } else { Rotation::RoundRobin };
        pool
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (any_ask(), any::<u64>(), vec(end(), 1..6))
            .prop_map(|(ask, draw, ends)| Step::Request { ask, draw, ends }),
        2 => end().prop_map(Step::Land),
        2 => (0..9_usize).prop_map(Step::Stale),
        3 => select(&[0, 1, 30, 59, 60, 61, 900, 3_600, 90_000_u64][..]).prop_map(Step::Wait),
        1 => (0..5_usize).prop_map(Step::Reload),
    ]
}

/// A run of a router, with the book that is kept beside it.
struct Run {
    world: World,
    full: Pool,
    book: Book,
    in_flight: Vec<(Ticket, Candidate, String)>,
    last: Vec<Choice>,
}

impl Run {
    fn new(full: Pool) -> Self {
        let world = World::new(full.clone());
        Self { world, full, book: Book::new(), in_flight: Vec::new(), last: Vec::new() }
    }

    /// Where in the book a rest of this candidate may stand.
    fn places(&self, candidate: Candidate) -> Vec<(Scope, String, Option<String>, Option<String>)> {
        let roster = &self.world.roster;
        let provider = &roster.provider(candidate).id;
        let model = Some(roster.model_id(candidate).to_owned());
        let key = roster.key(candidate);
        let id = Some(key.id.0.clone());
        let mut places = vec![
            (Scope::Provider, provider.clone(), None, None),
            (Scope::Model, provider.clone(), model.clone(), None),
            (Scope::Key, provider.clone(), None, id.clone()),
            (Scope::KeyModel, provider.clone(), model, id),
        ];
        if let Some(owner) = &key.owner {
            places.push((Scope::Owner, provider.clone(), None, Some(owner.clone())));
        }
        places
    }

    /// Whether the book says that a candidate rests.
    fn is_down(&self, candidate: Candidate) -> bool {
        self.places(candidate)
            .iter()
            .any(|place| self.book.get(place).is_some_and(|(until, _)| self.world.now < *until))
    }

    /// Until when the book says that a choice rests. A call may put to the test that a quota is used up.
    fn rests(&self, choice: &Choice) -> Option<Millis> {
        let places = self.places(choice.candidate);
        let tested = |because: FailureKind| choice.is_test() && is_quota(because);
        let rests = places.iter().filter_map(|place| self.book.get(place));
        let rests = rests.filter(|(_, because)| !tested(*because)).map(|(until, _)| *until);
        rests.filter(|until| self.world.now < *until).max()
    }

    fn write(&mut self, effects: &[Effect]) -> Result<(), TestCaseError> {
        for effect in effects {
            match effect {
                Effect::Cooled { scope, provider, model, key, until, because } => {
                    let rule = Rule::of(*because);
                    let longest = rule.cap.max(rule.stated_cap).max(MIN_WAIT);
                    prop_assert!(*until <= self.world.now.after(longest), "{because:?} rests beyond its cap");
                    prop_assert!(*until >= self.world.now.after(MIN_WAIT));
                    let place = place(*scope, provider, model, key);
                    // A quota and a fault may rest in one place: what lasts longer is what counts.
                    let lasts = self.book.get(&place).is_some_and(|(other, reason)| {
                        is_quota(*reason) != is_quota(*because) && other > until
                    });
                    if !lasts {
                        self.book.insert(place, (*until, *because));
                    }
                }
                Effect::Recovered { scope, provider, model, key } => {
                    self.book.remove(&place(*scope, provider, model, key));
                    // A quota is its owner's: with one of the owner's keys all of them have recovered.
                    for sibling in self.siblings(provider, key) {
                        let at = place(*scope, provider, model, &Some(sibling));
                        if self.book.get(&at).is_some_and(|(_, because)| is_quota(*because)) {
                            self.book.remove(&at);
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The keys of the owner of this one.
    fn siblings(&self, provider: &str, key: &Option<KeyId>) -> Vec<KeyId> {
        let Some(member) = self.full.members.iter().find(|member| member.provider.id == provider) else {
            return Vec::new();
        };
        let owner =
            member.keys.iter().find(|own| Some(&own.id) == key.as_ref()).and_then(|own| own.owner.clone());
        let of_owner = member.keys.iter().filter(|own| owner.is_some() && own.owner == owner);
        of_owner.map(|own| own.id.clone()).collect()
    }

    fn begin(&mut self, choice: &Choice, plan_is_fresh: bool) -> Result<Option<Ticket>, TestCaseError> {
        let candidate = choice.candidate;
        let before = self.world.snapshot()[candidate.member].breaker.phase;
        let provider = self.world.roster.provider(candidate).id.clone();
        let probing = self.in_flight.iter().any(|(ticket, _, at)| ticket.is_probe() && *at == provider);
        match self.world.begin(choice) {
            Ok(ticket) => {
                prop_assert_eq!(self.rests(choice), None, "a resting candidate was begun");
                prop_assert!(!(probing && ticket.is_probe()), "a second probe");
                if before != BreakerPhase::Closed && !ticket.is_probe() {
                    prop_assert!(self.nobody_else(), "past a breaker only as its probe or the last resort");
                }
                Ok(Some(ticket))
            }
            Err(exclusion) => {
                prop_assert!(!plan_is_fresh, "what a plan offers can be begun: {exclusion:?}");
                let rests = self.rests(choice).is_some();
                match exclusion.gate {
                    Gate::Cooldown => prop_assert!(rests, "an invented rest"),
                    Gate::Breaker | Gate::Retries => prop_assert!(!rests, "a rest goes before {exclusion:?}"),
                    gate => {
                        prop_assert_eq!(gate, Gate::Quota);
                        let ends = exclusion.until.is_some_and(|until| self.world.now < until);
                        prop_assert!(ends, "used up, but not until when: {exclusion:?}");
                    }
                }
                Ok(None)
            }
        }
    }

    /// Whether the last plan had only those to offer whose breakers are not closed.
    fn nobody_else(&self) -> bool {
        let states = self.world.snapshot();
        let shut = |choice: &Choice| states[choice.candidate.member].breaker.phase != BreakerPhase::Closed;
        self.last.iter().all(shut)
    }

    fn land(&mut self, ticket: Ticket, end: &End) -> Result<(), TestCaseError> {
        let outcome = match end {
            End::Well(millis) => success(*millis),
            End::Badly(failure) => Outcome::Failure(failure.clone()),
            End::Abandoned | End::Open => Outcome::Abandoned,
        };
        let settled = self.world.settle(ticket, outcome);
        self.write(&settled.effects)
    }

    fn request(&mut self, ask: &Ask, draw: u64, ends: &[End]) -> Result<(), TestCaseError> {
        let mut tried = Tried::default();
        for end in ends {
            let plan = self.world.router.plan(self.world.now, &self.world.roster, ask, &tried, draw);
            self.check(&plan, ask)?;
            self.last.clone_from(&plan.choices);
            let Some(choice) = plan.choices.first().cloned() else { break };
            let Some(ticket) = self.begin(&choice, true)? else { break };
            match end {
                End::Open => {
                    let provider = self.world.roster.provider(choice.candidate).id.clone();
                    self.in_flight.push((ticket, choice.candidate, provider));
                    break;
                }
                End::Badly(failure) => {
                    tried.note(&self.world.roster, choice.candidate, failure);
                    self.land(ticket, end)?;
                }
                End::Well(_) | End::Abandoned => {
                    self.land(ticket, end)?;
                    break;
                }
            }
        }
        Ok(())
    }

    /// Everybody is offered once or passed over for a reason that holds; none who rests is offered.
    fn check(&self, plan: &hr_core::route::Plan, ask: &Ask) -> Result<(), TestCaseError> {
        for choice in &plan.choices {
            prop_assert_eq!(self.rests(choice), None, "a resting candidate is offered");
            let shown = serde_json::to_value(choice.terms).expect("terms can be shown");
            let parts = shown.as_object().expect("named terms");
            let sum: i64 =
                parts.iter().filter(|(name, _)| *name != "total").filter_map(|(_, v)| v.as_i64()).sum();
            prop_assert_eq!(sum, i64::from(choice.terms.total), "the terms add up");
        }
        let offered: Vec<_> = plan.choices.iter().map(|choice| choice.candidate).collect();
        for (at, member) in self.world.roster.pool.members.iter().enumerate() {
            for model in 0..member.models.len() {
                for key in 0..member.keys.len() {
                    let candidate = Candidate { member: at, model, key };
                    let times = offered.iter().filter(|other| **other == candidate).count();
                    let asked = match &ask.target {
                        Target::Pin { provider, model: id } => {
                            *provider == member.provider.id && *id == member.models[model].id
                        }
                        _ => true,
                    };
                    let reasons: Vec<_> = plan.exclusions.iter().filter(|e| covers(e, candidate)).collect();
                    if times == 0 && asked {
                        prop_assert!(!reasons.is_empty(), "{candidate:?} is neither offered nor excused");
                        let cools = reasons.iter().all(|reason| reason.gate == Gate::Cooldown);
                        prop_assert!(!cools || self.is_down(candidate), "an invented rest");
                    }
                    if times > 0 {
                        prop_assert!(times == 1 && asked && reasons.is_empty(), "{reasons:?}");
                        prop_assert!(member.off.is_none());
                        let offer = &member.models[model];
                        prop_assert!(!(ask.tools && offer.tools == Some(false)));
                        prop_assert!(!(ask.vision && offer.vision == Some(false)));
                        prop_assert!(offer.context.is_none_or(|window| ask.prompt_tokens <= window));
                    }
                }
            }
        }
        // The breaker keeps somebody out only while somebody else is offered.
        let shut = plan.exclusions.iter().any(|exclusion| exclusion.gate == Gate::Breaker);
        prop_assert!(!shut || !plan.choices.is_empty());
        Ok(())
    }

    fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Request { ask, draw, ends } => self.request(&ask, draw, &ends)?,
            Step::Land(end) => {
                if !self.in_flight.is_empty() {
                    let (ticket, ..) = self.in_flight.remove(0);
                    self.land(ticket, &end)?;
                }
            }
            Step::Stale(at) => {
                if let Some(choice) = self.last.get(at).cloned()
                    && let Some(ticket) = self.begin(&choice, false)?
                {
                    self.land(ticket, &End::Abandoned)?;
                }
            }
            Step::Wait(seconds) => self.world.wait(seconds),
            Step::Reload(keep) => {
                let mut pool = self.full.clone();
                for member in &mut pool.members {
                    let turn = keep.min(member.keys.len());
                    member.keys.rotate_left(turn);
                    member.keys.truncate(keep.max(1));
                }
                self.world.reload(pool);
                self.last.clear();
                // A reload believes again in addresses that led back here.
                self.book.retain(|_, (_, because)| *because != FailureKind::Loop);
                self.check_kept()?;
            }
        }
        Ok(())
    }

    /// What rested before a reload still rests.
    fn check_kept(&mut self) -> Result<(), TestCaseError> {
        let plan = self.world.plan(&Ask::default());
        for choice in plan.choices {
            prop_assert_eq!(self.rests(&choice), None, "a reload lost a rest");
        }
        Ok(())
    }
}

/// Where a rest stands in the book. The pools of these tests have one owner, whichever key it was learned by.
fn place(
    scope: Scope,
    provider: &str,
    model: &Option<String>,
    key: &Option<KeyId>,
) -> (Scope, String, Option<String>, Option<String>) {
    let key = if scope == Scope::Owner { Some("us".to_owned()) } else { key.clone().map(|key| key.0) };
    (scope, provider.to_owned(), model.clone(), key)
}

fn is_quota(because: FailureKind) -> bool {
    matches!(because, FailureKind::RateLimited | FailureKind::QuotaSpent)
}

/// Whether an exclusion is true of a candidate.
fn covers(exclusion: &hr_core::route::Exclusion, candidate: Candidate) -> bool {
    exclusion.member == candidate.member
        && exclusion.model.is_none_or(|model| model == candidate.model)
        && exclusion.key.is_none_or(|key| key == candidate.key)
}

/// A member with one model and so many keys.
fn equal_keys(keys: usize) -> Vec<Member> {
    vec![member("p0", vec![model("m0", 3)], keys)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn nobody_who_rests_is_called_and_nobody_who_may_be_is_forgotten(
        pool in any_pool(),
        steps in vec(step(), 1..40),
    ) {
        let mut run = Run::new(pool);
        for step in steps {
            run.step(step)?;
        }
        while let Some((ticket, ..)) = run.in_flight.pop() {
            run.land(ticket, &End::Abandoned)?;
        }
        let in_flight: u32 = run.world.snapshot().iter().flat_map(|m| &m.keys).map(|key| key.in_flight).sum();
        prop_assert_eq!(in_flight, 0, "what was begun is settled");
    }

    #[test]
    fn equal_keys_are_used_equally(keys in 1..20_usize, requests in 1..100_usize, draws in any::<u64>()) {
        let mut world = World::new(pool(equal_keys(keys)));
        for request in 0..requests as u64 {
            let plan = world.router.plan(
                world.now, &world.roster, &Ask::default(), &Tried::default(), draws.wrapping_mul(request),
            );
            world.run(&plan.choices[0], success(10));
        }
        let counts: Vec<_> = world.snapshot()[0].keys.iter().map(|key| key.requests).collect();
        prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{counts:?}");
    }

    #[test]
    fn equal_providers_are_used_equally(providers in 1..10_usize, requests in 1..100_usize) {
        let members = (0..providers).map(|at| member(&format!("p{at}"), vec![model("m0", 3)], 1 + at % 3));
        let mut world = World::new(pool(members.collect()));
        for _ in 0..requests {
            world.serve(&Ask::default());
        }
        let counts: Vec<_> = world.snapshot().iter().map(|member| member.requests).collect();
        prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{counts:?}");
    }

    #[test]
    fn sequential_never_touches_a_key_while_an_earlier_one_is_ready(
        keys in 1..6_usize,
        limits in vec(any::<bool>(), 1..60),
    ) {
        let mut pool = pool(equal_keys(keys));
        pool.rules.rotation = Rotation::Sequential;
        let mut world = World::new(pool);
        for limited in limits {
            world.wait(7);
            let Some(choice) = world.plan(&Ask::default()).choices.into_iter().next() else { continue };
            for earlier in world.snapshot()[0].keys.iter().take(choice.candidate.key) {
                prop_assert!(earlier.cooling_until.is_some());
            }
            if limited {
                let failure = Failure::new(FailureKind::RateLimited, "").retry_after(Some(Duration::from_secs(30)));
                world.fail(&choice, failure);
            } else {
                world.run(&choice, success(10));
            }
        }
    }

    #[test]
    fn a_key_that_is_added_inherits_nothing(failures in vec(any_failure(), 1..10)) {
        let mut world = World::new(pool(equal_keys(1)));
        for failure in failures {
            let Some(choice) = world.plan(&Ask::default()).choices.into_iter().next() else { break };
            let whole = matches!(failure.scope, Some(Scope::Model | Scope::Provider));
            let scope = if whole { Scope::Key } else { failure.scope.unwrap_or(Scope::KeyModel) };
            world.fail(&choice, Failure { scope: Some(scope), ..failure });
            world.wait(1);
        }
        let mut members = equal_keys(1);
        members[0].keys.push(key("added"));
        world.reload(pool(members));
        let state = &world.snapshot()[0].keys[1];
        prop_assert_eq!((state.requests, state.in_flight, state.cooling_until), (0, 0, None));
    }
}
