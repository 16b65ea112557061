//! Which facts are put over a pool, which models are taken from a list, and who is asked a tiny question.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::sync::Arc;
use std::time::Duration;

use hr_core::capability::{
    Ability, Fact, Facts, ListedModel, Listing, Source, Wishes, Witness, overlay, place, probe,
};
use hr_core::catalog::{LimitSpan, LimitUnit, Price, SpendClass, parse};
use hr_core::failure::FailureKind;
use hr_core::pool::{Key, KeySource, Member, Pool, PoolModel, RouteRules};
use hr_core::quota::{BucketView, Confidence, HoldView, OwnerQuota};
use hr_core::route::{Allowance, Candidate};
use hr_core::secret::KeyId;
use hr_core::settings::Discovery;
use hr_core::time::Millis;
use proptest::prelude::*;

const DAY: Duration = Duration::from_secs(86_400);
const ADDRESS: &str = "https://box.example/v1";
const SETTINGS: Discovery = Discovery { probe: true, believed: DAY, add_models: true, most_models: 4 };

/// A provider with these models of a file, and a key.
fn member(lines: &str) -> Member {
    let text = format!("id = \"box\"\nbase_url = \"{ADDRESS}\"\n{lines}\n");
    let provider = parse(&text, "box.toml").unwrap_or_else(|problem| panic!("{problem}"));
    let mut member = Member {
        base_url: provider.base_url.clone(),
        provider: Arc::new(provider),
        base_url_is_users: false,
        models: Vec::new(),
        excluded: Vec::new(),
        keys: vec![Key {
            id: KeyId("key".to_owned()),
            secret: None,
            account: None,
            source: KeySource::AuthFile,
            owner: None,
        }],
        embed_model: None,
        skip_tokens_over: None,
        max_output_tokens: None,
        headers: Vec::new(),
        token_url: None,
        off: None,
        wishes: Wishes::default(),
    };
    let ids: Vec<String> = member.provider.models.iter().map(|model| model.id.clone()).collect();
    member.models = ids.iter().map(|id| PoolModel::found(&member, id)).collect();
    member
}

fn pool(member: Member) -> Pool {
    Pool { members: vec![member], rules: RouteRules::default() }
}

fn listed(id: &str) -> ListedModel {
    ListedModel { id: id.to_owned(), ..ListedModel::default() }
}

fn priced(id: &str, input: f64) -> ListedModel {
    ListedModel { price: Some(Price { input, output: input, cached: None }), ..listed(id) }
}

/// What a member's models are called that are used unasked, with this list put over them.
fn with_list(member: Member, models: Vec<ListedModel>, settings: &Discovery) -> Vec<PoolModel> {
    let mut facts = Facts::default();
    facts.list(Millis(1), "box", (&place(ADDRESS), "keys"), Listing { models }, []);
    let mut pool = pool(member);
    overlay(&mut pool, &facts, settings, Millis(2));
    pool.members.remove(0).models
}

fn used(models: &[PoolModel]) -> Vec<&str> {
    models.iter().filter(|model| !model.by_request).map(|model| model.id.as_str()).collect()
}

#[test]
fn the_users_word_wins_and_the_catalogues_gives_way() {
    let mut plain = member("spend = \"free\"\n[[model]]\nid = \"a\"\ntools = true\ncontext = 1000");
    plain.models[0].evidence.reasoning = Some(Witness::OVERRIDE);
    plain.models[0].reasoning = Some(false);
    let mut facts = Facts::default();
    let said = ListedModel { tools: Some(false), reasoning: Some(true), context: Some(2000), ..listed("a") };
    facts.list(Millis(1), "box", (&place(ADDRESS), "keys"), Listing { models: vec![said] }, ["a"]);
    let over = |now: Millis, base_url: &str| {
        let mut pool = pool(plain.clone());
        pool.members[0].base_url = base_url.to_owned();
        overlay(&mut pool, &facts, &SETTINGS, now);
        pool.members.remove(0).models.remove(0)
    };
    let model = over(Millis(2), ADDRESS);
    assert_eq!((model.tools, model.reasoning, model.context), (Some(false), Some(false), Some(2000)));
    assert_eq!(model.evidence.tools.unwrap().source, Source::Listed);
    let later = over(Millis(1).after(DAY), ADDRESS);
    assert_eq!((later.tools, later.evidence.tools), (Some(true), None), "what is old is not believed");
    assert_eq!(over(Millis(2), "https://other.example/v1").tools, Some(true), "nor what another server told");
}

#[test]
fn models_are_added_by_price_quality_and_name_up_to_the_limit() {
    let own = member("spend = \"paid\"\n[[model]]\nid = \"mine\"\n[[model]]\nid = \"gone\"");
    let list = || {
        vec![
            priced("z-7b", 1.0),
            priced("a-7b", 1.0),
            priced("dear", 9.0),
            listed("mine"),
            listed("whisper-1"),
        ]
    };
    let mut asked = own.clone();
    asked.wishes.discover = Some(true);
    assert_eq!(used(&with_list(asked.clone(), list(), &SETTINGS)), ["mine", "a-7b", "z-7b", "dear"]);
    let few = Discovery { most_models: 2, ..SETTINGS };
    let models = with_list(asked, list(), &few);
    assert_eq!(used(&models), ["mine", "a-7b"]);
    assert!(models.iter().any(|model| model.id == "gone" && model.by_request), "it may still be named");
    assert_eq!(
        used(&with_list(own, list(), &SETTINGS)),
        ["mine", "gone"],
        "who charges is not asked unasked"
    );
}

#[test]
fn only_free_models_are_taken_where_ids_or_prices_tell() {
    let own = "spend = \"paid\"\n[[model]]\nid = \"mine:free\"\nspend = \"free\"\n";
    let list = || vec![listed("mine:free"), listed("big"), listed("small:free")];
    let by_id = member(&format!("{own}[discovery]\nfree_ids = [\"*:free\"]"));
    let models = with_list(by_id, list(), &SETTINGS);
    assert_eq!(used(&models), ["mine:free", "small:free"]);
    assert!(models.iter().all(|model| model.spend == SpendClass::Free));

    let by_price = member("spend = \"free\"\n[[model]]\nid = \"mine\"");
    let models =
        with_list(by_price, vec![listed("mine"), priced("dear", 2.0), priced("gift", 0.0)], &SETTINGS);
    assert_eq!(used(&models), ["mine", "gift"]);
}

#[test]
fn lists_that_say_nothing_of_use_change_nothing() {
    let own = || member("spend = \"free\"\n[[model]]\nid = \"mine\"");
    assert_eq!(used(&with_list(own(), vec![], &SETTINGS)), ["mine"]);
    assert_eq!(used(&with_list(own(), vec![listed("text-embedding-3")], &SETTINGS)), ["mine"]);
    let off = Discovery { add_models: false, ..SETTINGS };
    assert_eq!(used(&with_list(own(), vec![listed("new")], &off)), ["mine"]);
    let partial = member("spend = \"free\"\n[[model]]\nid = \"mine\"\n[discovery]\npartial = true");
    assert_eq!(used(&with_list(partial, vec![priced("new", 0.0)], &SETTINGS)), ["mine", "new"]);
    let mut excluded = own();
    excluded.excluded = vec!["new".to_owned()];
    assert_eq!(used(&with_list(excluded, vec![listed("mine"), listed("NEW")], &SETTINGS)), ["mine"]);
    // None of its own is left: the best of the list stands in.
    assert_eq!(used(&with_list(own(), vec![priced("only", 0.0)], &SETTINGS)), ["only"]);
}

#[test]
fn who_was_asked_lately_is_not_asked_again() {
    let pool = pool(member("spend = \"free\"\n[[model]]\nid = \"a\"\n[[model]]\nid = \"b\"\ntools = true"));
    let mut facts = Facts::default();
    assert_eq!(probe::due(&pool, &facts, &SETTINGS, Millis(5)), [(0, 0)], "of `b` it is known");
    facts.asks(Millis(5), "box", &place(ADDRESS), "a");
    assert_eq!(probe::due(&pool, &facts, &SETTINGS, Millis(6)), []);
    assert_eq!(probe::due(&pool, &facts, &SETTINGS, Millis(5).after(DAY)), [(0, 0)]);
    let off = Discovery { probe: false, ..SETTINGS };
    assert_eq!(probe::due(&pool, &Facts::default(), &off, Millis(5)), []);
}

fn quota(left: f64, span: LimitSpan, spent: bool) -> Vec<OwnerQuota> {
    let bucket = BucketView {
        scope: None,
        models: Vec::new(),
        unit: LimitUnit::Requests,
        span: Some(span),
        limit: Some(20.0),
        used: 20.0 - left,
        left: Some(left),
        resets_at: None,
        spent,
        source: hr_core::quota::Source::Header,
        confidence: Confidence::Sure,
        said_at: None,
    };
    vec![OwnerQuota {
        provider: "box".to_owned(),
        owner: None,
        keys: vec![KeyId("key".to_owned())],
        joined: Vec::new(),
        shared: false,
        buckets: vec![bucket],
        held: Vec::new(),
    }]
}

#[test]
fn a_quota_that_is_nearly_used_up_is_left_to_requests() {
    let pool = pool(member("spend = \"free\"\n[[model]]\nid = \"a\""));
    let may =
        |quotas: &[OwnerQuota]| probe::may_ask(quotas, &pool, Candidate { member: 0, model: 0, key: 0 });
    assert!(may(&[]));
    assert!(may(&quota(19.0, LimitSpan::Day, false)));
    assert!(!may(&quota(9.0, LimitSpan::Day, false)));
    assert!(may(&quota(3.0, LimitSpan::Minute, false)), "a minute comes back");
    assert!(!may(&quota(19.0, LimitSpan::Minute, true)));
    let mut foreign = quota(1.0, LimitSpan::Day, true);
    foreign[0].keys = vec![KeyId("another".to_owned())];
    assert!(may(&foreign));
    let mut held = quota(19.0, LimitSpan::Day, false);
    held[0].held = vec![HoldView {
        keys: Vec::new(),
        models: vec!["a".to_owned()],
        until: Millis(9),
        because: FailureKind::QuotaSpent,
        test_at: None,
    }];
    assert!(!may(&held), "a refusal is waited out");
}

fn any_class() -> impl Strategy<Value = SpendClass> {
    prop::sample::select(vec![SpendClass::Free, SpendClass::Included, SpendClass::Paid])
}

proptest! {
    /// Whatever is allowed, known and listed: a question costs nothing.
    #[test]
    fn a_question_never_costs_anything(
        classes in prop::collection::vec(any_class(), 1..6),
        allowed in any_class(),
        all_paid in any::<bool>(),
        prices in prop::collection::vec(prop::option::of(0.0..5.0_f64), 1..6),
        discover in prop::option::of(any::<bool>()),
        default in any_class(),
    ) {
        let written = |class: SpendClass| format!("{class:?}").to_lowercase();
        let models: String = classes.iter().enumerate()
            .map(|(at, class)| format!("[[model]]\nid = \"m{at}\"\nspend = \"{}\"\n", written(*class))).collect();
        let mut member = member(&format!("spend = \"{}\"\n{models}", written(default)));
        member.wishes = Wishes { discover, all_paid, ..Wishes::default() };
        let list = prices.iter().enumerate()
            .map(|(at, price)| price.map_or_else(|| listed(&format!("l{at}")), |price| priced(&format!("l{at}"), price)));
        let mut facts = Facts::default();
        facts.list(Millis(1), "box", (&place(ADDRESS), "keys"), Listing { models: list.collect() }, []);
        let mut pool = pool(member);
        pool.rules.spending.any = Allowance { most: allowed, per_request: None };
        overlay(&mut pool, &facts, &SETTINGS, Millis(2));
        for (at, model) in probe::due(&pool, &facts, &SETTINGS, Millis(3)) {
            let model = &pool.members[at].models[model];
            prop_assert_eq!(model.spend, SpendClass::Free);
            let dear = prices.iter().enumerate().any(|(at, price)| model.id == format!("l{at}") && price.is_some_and(|price| price > 0.0));
            prop_assert!(!dear, "{} has a price", model.id);
        }
        for model in &pool.members[0].models {
            let new = model.id.starts_with('l');
            prop_assert!(!new || model.spend <= allowed, "nothing is added that may not be called");
            prop_assert!(!(new && all_paid) || model.spend == SpendClass::Paid);
        }
    }

    /// A fact from any source, at any time: the user's own word stays.
    #[test]
    fn nothing_overrules_the_user(value in any::<bool>(), at in 0..u64::MAX / 2, mine in any::<bool>(), served in any::<bool>()) {
        let mut member = member("spend = \"free\"\n[[model]]\nid = \"a\"");
        (member.models[0].tools, member.models[0].evidence.tools) = (Some(mine), Some(Witness::OVERRIDE));
        let mut facts = Facts::default();
        let source = if served { Source::Served } else { Source::Refusal };
        facts.note("box", &place(ADDRESS), "a", Ability::Tools, Fact { value, source, at: Millis(at) }, DAY);
        let mut pool = pool(member);
        overlay(&mut pool, &facts, &SETTINGS, Millis(at));
        prop_assert_eq!(pool.members[0].models[0].tools, Some(mine));
    }
}
