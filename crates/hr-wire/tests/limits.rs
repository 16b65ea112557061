//! Recorded answers of providers, and which limits each speaks of: `fixtures/limits/*.json`.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped here fails the test")]
#![allow(clippy::disallowed_methods, reason = "tests may read fixtures")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hr_core::catalog::{LimitSpan, LimitUnit, OwnerScope, builtin};
use hr_core::failure::FailureKind;
use hr_core::quota::{Reach, Reading, Said};
use hr_core::time::Millis;
use hr_wire::complaint::read_error;
use hr_wire::limits;
use serde::Deserialize;
use serde_json::Value;

/// 2026-09-07T16:53:20Z.
const NOW: Millis = Millis(1_788_800_000_000);
/// As many as were promised.
const WANTED: usize = 60;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixture {
    provider: String,
    model: String,
    status: u16,
    headers: BTreeMap<String, String>,
    body: Value,
    expected: Expected,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    kind: Option<FailureKind>,
    /// In seconds.
    retry_in: Option<f64>,
    limits: Vec<ExpectedLimit>,
}

#[derive(Deserialize, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
struct ExpectedLimit {
    owner: Option<OwnerScope>,
    reach: ExpectedReach,
    unit: LimitUnit,
    span: Option<LimitSpan>,
    limit: Option<f64>,
    remaining: Option<f64>,
    /// In seconds.
    reset_in: Option<f64>,
}

#[derive(Deserialize, Debug, PartialEq)]
#[serde(untagged)]
enum ExpectedReach {
    /// `this` or `all`.
    Word(String),
    /// By their ids.
    Models(Vec<String>),
}

impl ExpectedLimit {
    fn of(reading: &Reading) -> Self {
        let reach = match &reading.reach {
            Reach::ThisModel => ExpectedReach::Word("this".to_owned()),
            Reach::AllModels => ExpectedReach::Word("all".to_owned()),
            Reach::Models(models) => ExpectedReach::Models(models.clone()),
        };
        Self {
            owner: reading.owner,
            reach,
            unit: reading.unit,
            span: reading.span,
            limit: reading.limit,
            remaining: reading.remaining,
            reset_in: reading.reset.map(|reset| NOW.until(reset).as_secs_f64()),
        }
    }
}

fn fixtures() -> Vec<(String, Fixture)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/limits");
    let mut fixtures: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let fixture = serde_json::from_slice(&std::fs::read(&path).unwrap());
            (name.clone(), fixture.unwrap_or_else(|error| panic!("{name}: {error}")))
        })
        .collect();
    fixtures.sort_by(|one, other| one.0.cmp(&other.0));
    fixtures
}

/// What the gateway makes of an answer.
fn heard(fixture: &Fixture) -> (Option<FailureKind>, Option<f64>, Said) {
    let catalog = builtin();
    let provider = catalog.find(&fixture.provider).unwrap();
    let headers = fixture.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let said = limits::read(headers, &provider.metering, &fixture.model, NOW);
    if fixture.status == 200 {
        return (None, None, said);
    }
    let body = match &fixture.body {
        Value::String(text) => text.clone().into_bytes(),
        body => serde_json::to_vec(body).unwrap(),
    };
    let header = |name: &str| fixture.headers.get(name).map(String::as_str);
    let failure = read_error(fixture.status, &header, &body, &provider.errors, NOW);
    let mut said = limits::joined(said, failure.said);
    limits::own(&mut said, &provider.metering);
    (Some(failure.kind), failure.retry_after.map(|wait| wait.as_secs_f64()), said)
}

#[test]
#[expect(clippy::disallowed_macros, reason = "the figure is part of what the test tells")]
fn every_recorded_answer_is_understood() {
    let mut wrong = Vec::new();
    let fixtures = fixtures();
    for (name, fixture) in &fixtures {
        let (kind, retry_in, said) = heard(fixture);
        let sorted = |mut limits: Vec<String>| {
            limits.sort();
            limits
        };
        let limits = sorted(said.readings.iter().map(|it| format!("{:?}", ExpectedLimit::of(it))).collect());
        let wanted = sorted(fixture.expected.limits.iter().map(|it| format!("{it:?}")).collect());
        let expected = &fixture.expected;
        if (kind, retry_in, &limits) != (expected.kind, expected.retry_in, &wanted) {
            wrong.push(format!(
                "{name}: {kind:?} {retry_in:?}\n  {limits:#?}\nnot {:?} {:?}\n  {wanted:#?}",
                expected.kind, expected.retry_in
            ));
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    let providers: BTreeSet<&str> = fixtures.iter().map(|(_, fixture)| fixture.provider.as_str()).collect();
    println!("{} recorded answers of {} providers are understood", fixtures.len(), providers.len());
    assert!(fixtures.len() >= WANTED, "there are only {}", fixtures.len());
}

#[test]
fn a_reply_without_limits_says_nothing_but_its_time() {
    let headers = [
        ("content-type", "application/json"),
        ("date", "Mon, 07 Sep 2026 16:53:00 GMT"),
        ("x-request-id", "1"),
        ("x-ratelimit-limit-requests", "\u{fffd}"),
        ("x-ratelimit-remaining-requests", "many"),
    ];
    let metering = hr_core::catalog::Metering::default();
    let headers = headers.iter().map(|(name, value)| (*name, value.as_bytes()));
    let said = limits::read(headers, &metering, "m", NOW);
    assert_eq!(said, Said { readings: Vec::new(), clock: Some(Millis(NOW.0 - 20_000)) });
}

#[test]
fn no_reply_can_say_too_much() {
    let names: Vec<String> = (0..1000).map(|n| format!("x-codex-f{n}-primary-used-percent")).collect();
    let policy = "\"a\";q=1;w=60,".repeat(1000);
    let headers = names.iter().map(|name| (name.as_str(), &b"50"[..]));
    let headers = headers.chain([("ratelimit-policy", policy.as_bytes()), ("ratelimit", policy.as_bytes())]);
    let said = limits::read(headers, &hr_core::catalog::Metering::default(), "m", NOW);
    assert!(said.readings.len() <= limits::MAX_READINGS);
}
