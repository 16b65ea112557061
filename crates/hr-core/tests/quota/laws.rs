//! What holds whatever happens.

use hr_core::catalog::{LimitSpan, LimitUnit};
use hr_core::failure::FailureKind;
use hr_core::quota::{End, Headroom, Ledger, Need, Reading, Reservation, Said, Seat, Source};
use hr_core::secret::KeyId;
use hr_core::time::Millis;
use hr_core::usage::Usage;
use proptest::prelude::*;

use crate::world::{START, World, per_minute, published, reading, refusal, said};

/// Something that happens to a ledger.
#[derive(Clone, Debug)]
enum Event {
    Wait(u64),
    Reserve { key: usize, model: usize, tokens: u64 },
    Serve { which: usize, used: u64, readings: Vec<Reading> },
    Refuse { which: usize, kind: FailureKind, wait: Option<u64>, readings: Vec<Reading> },
    Drop { which: usize, sent: bool },
}

fn any_number() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        Just(None),
        (0.0..200.0).prop_map(Some),
        prop::sample::select(vec![f64::NAN, f64::INFINITY, -5.0, 0.0, 1e300]).prop_map(Some),
    ]
}

fn any_reading() -> impl Strategy<Value = Reading> {
    let units = [
        LimitUnit::Requests,
        LimitUnit::Tokens,
        LimitUnit::InputTokens,
        LimitUnit::Concurrent,
        LimitUnit::Percent,
    ];
    let spans = [
        None,
        Some(LimitSpan::Second),
        Some(LimitSpan::Minute),
        Some(LimitSpan::Day),
        Some(LimitSpan::Month),
    ];
    let sources = [Source::Header, Source::Body];
    let selected = (
        prop::sample::select(units.to_vec()),
        prop::sample::select(spans.to_vec()),
        prop::sample::select(sources.to_vec()),
    );
    (selected, any_number(), any_number(), prop::option::of(0..4_000_000_000_000_u64)).prop_map(
        |((unit, span, source), limit, remaining, reset)| Reading {
            span,
            limit,
            remaining,
            reset: reset.map(Millis),
            source,
            ..reading(unit, LimitSpan::Minute)
        },
    )
}

/// What a provider says that counts calls over spans without a name.
fn nameless_reading() -> impl Strategy<Value = Reading> {
    let ends = prop::option::of(0..400_000_u64);
    (1..12_u8, 0..12_u8, ends, any::<bool>()).prop_map(|(limit, left, ends, body)| Reading {
        span: None,
        source: if body { Source::Body } else { Source::Header },
        ..per_minute(f64::from(limit), f64::from(left), ends.map(|ends| Millis(START.0 + ends)))
    })
}

/// How long a refusal tells to wait: a moment, whole seconds, long, or what nobody can mean.
fn any_wait() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![
        Just(None),
        (0..20_000_u64).prop_map(Some),
        (0..20_u64).prop_map(|seconds| Some(seconds * 1_000)),
        (0..700_000_000_u64).prop_map(Some),
        prop::sample::select(vec![u64::MAX, u64::MAX / 1_000, 1]).prop_map(Some),
    ]
}

fn any_event() -> impl Strategy<Value = Event> {
    event_with(|| prop_oneof![2 => any_reading(), 1 => nameless_reading()], any_wait())
}

/// Nothing of what is forgotten with a restart: how sure the ends of spans are that have no name.
fn kept_event() -> impl Strategy<Value = Event> {
    event_with(any_reading, prop::option::of(60_000..700_000_000_u64))
}

fn event_with<S>(
    said: impl Fn() -> S,
    wait: impl Strategy<Value = Option<u64>>,
) -> impl Strategy<Value = Event>
where
    S: Strategy<Value = Reading>,
{
    let readings = || prop::collection::vec(said(), 0..3);
    prop_oneof![
        (0..200_000_u64).prop_map(Event::Wait),
        (0..3_000_u64).prop_map(Event::Wait),
        (0..3_usize, 0..2_usize, 0..5_000_u64).prop_map(|(key, model, tokens)| Event::Reserve {
            key,
            model,
            tokens
        }),
        (0..3_usize, 0..2_usize, 0..5_000_u64).prop_map(|(key, model, tokens)| Event::Reserve {
            key,
            model,
            tokens
        }),
        (0..9_usize, 0..9_000_u64, readings()).prop_map(|(which, used, readings)| Event::Serve {
            which,
            used,
            readings
        }),
        (0..9_usize, any::<bool>(), wait, readings()).prop_map(|(which, long, wait, readings)| {
            let kind = if long { FailureKind::QuotaSpent } else { FailureKind::RateLimited };
            Event::Refuse { which, kind, wait, readings }
        }),
        (0..9_usize, any::<bool>()).prop_map(|(which, sent)| Event::Drop { which, sent }),
    ]
}

fn world() -> World {
    let mut world = World::new(3);
    world.ledger.publish(&[
        published(LimitUnit::Requests, LimitSpan::Minute, 20.0, "rolling"),
        published(LimitUnit::Tokens, LimitSpan::Day, 50_000.0, "pacific-midnight"),
    ]);
    world
}

fn play(world: &mut World, open: &mut Vec<Reservation>, event: &Event) {
    let take = |open: &mut Vec<Reservation>, which: usize| {
        (!open.is_empty()).then(|| open.remove(which % open.len()))
    };
    let ended = match event {
        Event::Wait(millis) => return world.wait(*millis),
        Event::Reserve { key, model, tokens } => {
            let seat = Seat { key: *key, model: *model };
            let need = Need { input: *tokens, output: *tokens / 4, cost: 0.0 };
            return open.push(world.ledger.reserve(world.now, seat, need));
        }
        Event::Serve { which, .. } | Event::Refuse { which, .. } | Event::Drop { which, .. } => {
            take(open, *which)
        }
    };
    let Some(reservation) = ended else { return };
    let now = world.now;
    match event {
        Event::Serve { used, readings, .. } => {
            let usage = Usage { input: Some(*used), output: Some(1), ..Usage::default() };
            let said = said(readings.clone());
            world.ledger.settle(now, reservation, End::Served { usage: &usage, said: &said });
        }
        Event::Refuse { kind, wait, readings, .. } => {
            let mut failure = refusal(*kind, *wait);
            failure.said = said(readings.clone());
            world.ledger.settle(now, reservation, End::Failed(&failure));
        }
        Event::Drop { sent, .. } => {
            let end = if *sent { End::Dropped } else { End::Unsent };
            world.ledger.settle(now, reservation, end);
        }
        Event::Wait(_) | Event::Reserve { .. } => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn nothing_is_negative_or_without_end(events in prop::collection::vec(any_event(), 1..60)) {
        let (mut world, mut open) = (world(), Vec::new());
        for event in &events {
            play(&mut world, &mut open, event);
            for view in world.ledger.view(world.now, "p") {
                for bucket in &view.buckets {
                    prop_assert!(bucket.used >= 0.0 && bucket.used.is_finite(), "{bucket:?}");
                    prop_assert!(bucket.left.is_none_or(|left| left >= 0.0 && left.is_finite()), "{bucket:?}");
                    prop_assert!(bucket.limit.is_none_or(|limit| limit.is_finite()), "{bucket:?}");
                }
            }
            for key in 0..3 {
                if let Headroom::Spent(hold) | Headroom::Test(hold, _) = world.look(key) {
                    let days = world.now.until(hold.until).as_secs() / 86_400;
                    prop_assert!(hold.until > world.now && days <= 34, "{days} days");
                }
            }
        }
        // Whatever was said, all is open again in the end, and never later than somebody may test it.
        for reservation in open {
            world.ledger.settle(world.now, reservation, End::Unsent);
        }
        world.wait(40 * 86_400_000);
        for key in 0..3 {
            prop_assert!(world.may_call(key), "{:?}", world.look(key));
        }
    }

    #[test]
    fn what_is_reserved_and_never_sent_leaves_no_trace(
        calls in prop::collection::vec((0..3_usize, 0..3_000_u64), 1..40),
    ) {
        let mut world = world();
        for key in 0..3 {
            world.serve(key, &said(vec![per_minute(50.0, 40.0, Some(Millis(START.0 + 60_000)))]));
        }
        let before: Vec<_> = world.ledger.view(world.now, "p").into_iter().map(|view| view.buckets).collect();
        let reserved: Vec<_> = calls
            .iter()
            .map(|(key, input)| {
                let need = Need { input: *input, ..Need::default() };
                world.ledger.reserve(world.now, World::seat(*key), need)
            })
            .collect();
        for reservation in reserved.into_iter().rev() {
            world.ledger.settle(world.now, reservation, End::Unsent);
        }
        let after: Vec<_> = world.ledger.view(world.now, "p").into_iter().map(|view| view.buckets).collect();
        prop_assert_eq!(before, after);
    }

    #[test]
    fn the_gauge_says_what_working_it_out_says(events in prop::collection::vec(kept_event(), 1..40), later in 0..90_000_u64) {
        // A ledger that was kept and taken back has worked everything out anew.
        let (mut world, mut open) = (world(), Vec::new());
        for event in &events {
            play(&mut world, &mut open, event);
        }
        for reservation in open {
            world.ledger.settle(world.now, reservation, End::Unsent);
        }
        let mut again = self::world();
        for (id, kept) in world.ledger.changes() {
            if let Some(kept) = kept {
                prop_assert!(again.ledger.restore(world.now, &id, &kept), "{id}: {kept}");
            }
        }
        world.wait(later);
        again.now = world.now;
        for key in 0..3 {
            let (one, other) = (world.look(key), again.look(key));
            match (one, other) {
                (Headroom::Open(_), Headroom::Open(_)) => {}
                // What is guessed to be one is added up anew, and when that is tested begins anew too.
                (Headroom::Spent(one), Headroom::Spent(other)) | (Headroom::Test(one, _), Headroom::Test(other, _)) => {
                    // JSON may differ in the last digit of a fraction.
                    prop_assert!(one.until.0.abs_diff(other.until.0) <= 1, "{one:?} and {other:?}");
                    prop_assert_eq!(one.because, other.because);
                }
                (one, other) => prop_assert_eq!(one, other),
            }
        }
    }

    #[test]
    fn the_better_source_counts(header in 1.0..50.0_f64, body in 1.0..50.0_f64, catalogue in 1.0..50.0_f64) {
        let (header, body) = (header.floor(), body.floor());
        let mut world = World::new(1);
        world.ledger.publish(&[published(LimitUnit::Requests, LimitSpan::Minute, catalogue.floor(), "rolling")]);
        for (source, limit) in [(Source::Body, body), (Source::Header, header), (Source::Body, body)] {
            let reading = Reading { source, remaining: None, ..per_minute(limit, 0.0, None) };
            world.serve(0, &said(vec![reading]));
            let view = world.ledger.view(world.now, "p").remove(0).buckets.remove(0);
            let expected = if view.source == Source::Header { header } else { body };
            prop_assert_eq!(view.limit, Some(expected));
        }
        let view = world.ledger.view(world.now, "p").remove(0).buckets.remove(0);
        prop_assert_eq!(view.source, Source::Header);
    }
}

#[test]
fn what_only_the_catalogue_says_excludes_nobody() {
    let mut world = World::new(1);
    world.ledger.publish(&[published(LimitUnit::Requests, LimitSpan::Minute, 3.0, "rolling")]);
    for call in 0..5 {
        let Headroom::Open(outlook) = world.look(0) else { panic!("{:?}", world.look(0)) };
        assert_eq!(outlook.likely_spent, call >= 3, "call {call}");
        world.serve(0, &Said::default());
    }
    world.wait(61_000);
    assert!(matches!(world.look(0), Headroom::Open(outlook) if !outlook.likely_spent));
}

/// Keys by declared owner, limits by key as a careless count would have them: never more than the owner has.
#[test]
fn two_keys_of_one_owner_are_never_two_quotas() {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(10_000));
    let pools =
        (prop::collection::vec(0..4_usize, 2..8), 1..12_u64, any::<bool>(), any::<bool>(), 0..4_usize);
    let most = std::cell::Cell::new(0);
    runner
        .run(&pools, |(owners, limit, headers, late, redeclared)| {
            let mut ledger = Ledger::default();
            ledger.model(0, "m");
            for (number, owner) in owners.iter().enumerate() {
                let name = format!("owner-{owner}");
                // Some are only said to be somebody's after they were called.
                let declared = (!late || number != redeclared).then_some(name.as_str());
                ledger.key(number, &KeyId(format!("k{number}")), declared);
            }
            let mut world = World { ledger, now: START, lessons: Vec::new() };
            let mut used = [0_u64; 4];
            let mut refused = [0_u64; 4];
            for round in 0..40 {
                for (number, owner) in owners.iter().enumerate() {
                    if round == 1 && late && number == redeclared {
                        let name = format!("owner-{owner}");
                        world.ledger.key(number, &KeyId(format!("k{number}")), Some(&name));
                    }
                    if !world.is_open(number) {
                        continue;
                    }
                    let ends = Some(Millis(START.0 + 50_000));
                    let reservation = world.reserve(number);
                    if used[*owner] < limit {
                        used[*owner] += 1;
                        let left = (limit - used[*owner]) as f64;
                        let words =
                            if headers { vec![per_minute(limit as f64, left, ends)] } else { Vec::new() };
                        world.served(reservation, &said(words));
                    } else {
                        refused[*owner] += 1;
                        world.failed(reservation, &refusal(FailureKind::RateLimited, Some(50_000)));
                    }
                }
            }
            // With headers, nothing is called in vain but what was called before it was known whose it is; without,
            // the one refusal of an owner is enough for all of its keys.
            let allowed = u64::from(!headers) + u64::from(late);
            for (owner, refused) in refused.iter().enumerate() {
                prop_assert!(*refused <= allowed, "owner {owner} was refused {refused} times");
                most.set(most.get().max(*refused));
            }
            Ok(())
        })
        .unwrap();
    println!("10,000 pools: at most {} refusals an owner", most.get());
}
