//! Spans that end by a calendar, and clocks that are off.

use hr_core::catalog::{LimitSpan, LimitUnit};
use hr_core::failure::FailureKind;
use hr_core::quota::{Reading, Said, Source};
use hr_core::time::Millis;

use crate::world::{HOUR, MINUTE, World, published, reading, refusal, said};

/// When a key whose day is used up is open again; `ahead` is by how much the provider's clock is ahead of ours.
fn back_at(reset: &str, now: &str, ahead: i64) -> Millis {
    let mut world = World::new(1);
    world.ledger.publish(&[published(LimitUnit::Requests, LimitSpan::Day, 20.0, reset)]);
    world.now = Millis::from_rfc3339(now).unwrap();
    let clock = |now: Millis| Some(Millis((now.0.saturating_add_signed(ahead)) / 1000 * 1000));
    world.serve(0, &Said { readings: Vec::new(), clock: clock(world.now) });
    let spent = Reading {
        limit: Some(20.0),
        remaining: None,
        source: Source::Body,
        ..reading(LimitUnit::Requests, LimitSpan::Day)
    };
    let mut failure = refusal(FailureKind::QuotaSpent, None);
    failure.said = Said { clock: clock(world.now), ..said(vec![spent]) };
    world.refuse(0, &failure);
    let wait = world.wait_of(0);
    assert!(!world.is_open(0));
    world.now = world.now.after(wait);
    assert!(world.is_open(0), "{:?}", world.look(0));
    world.now
}

#[test]
fn days_end_at_midnight_on_the_pacific_coast_over_both_changes_of_the_clock() {
    let mut worst = 0;
    for (now, end) in [
        ("2026-03-07T20:00:00Z", "2026-03-08T08:00:00Z"),
        ("2026-03-08T08:00:01Z", "2026-03-09T07:00:00Z"),
        ("2026-03-08T12:00:00Z", "2026-03-09T07:00:00Z"),
        ("2026-10-31T20:00:00Z", "2026-11-01T07:00:00Z"),
        ("2026-11-01T07:00:01Z", "2026-11-02T08:00:00Z"),
        ("2026-11-01T12:00:00Z", "2026-11-02T08:00:00Z"),
        ("2027-03-14T12:00:00Z", "2027-03-15T07:00:00Z"),
        ("2027-11-07T12:00:00Z", "2027-11-08T08:00:00Z"),
    ] {
        let off = back_at("pacific-midnight", now, 0).0.abs_diff(Millis::from_rfc3339(end).unwrap().0);
        assert!(off <= 5_000, "{now}: {off} ms off");
        worst = worst.max(off);
    }
    println!("midnight on the Pacific coast, both changes of the clock: at most {worst} ms off");
}

#[test]
fn a_clock_that_is_off_by_an_hour_still_gives_the_right_end() {
    let mut worst = 0;
    for (reset, end) in
        [("utc-midnight", "2026-11-24T00:00:00Z"), ("pacific-midnight", "2026-11-23T08:00:00Z")]
    {
        for ahead in [-(HOUR as i64), 0, HOUR as i64, 90_000, -4_200_000] {
            let right = Millis::from_rfc3339(end).unwrap().0.saturating_add_signed(-ahead);
            let off = back_at(reset, "2026-11-23T03:04:05.678Z", ahead).0.abs_diff(right);
            assert!(off <= 5_000, "{reset}, {ahead} ms ahead: {off} ms off");
            worst = worst.max(off);
        }
    }
    println!("clocks off by up to 70 minutes: at most {worst} ms off");
}

#[test]
fn a_clock_that_cannot_be_true_is_not_believed() {
    let mut world = World::new(1);
    world.ledger.publish(&[published(LimitUnit::Requests, LimitSpan::Day, 20.0, "utc-midnight")]);
    world.serve(0, &Said { readings: Vec::new(), clock: Some(Millis(0)) });
    let view = world.ledger.view(world.now, "p").remove(0);
    assert_eq!(view.buckets[0].resets_at, Millis::from_rfc3339("2026-11-24T00:00:00Z"));
}

#[test]
fn months_end_on_the_first() {
    let mut world = World::new(1);
    world.ledger.publish(&[published(LimitUnit::Requests, LimitSpan::Month, 1000.0, "calendar-month")]);
    world.serve(0, &Said::default());
    let view = world.ledger.view(world.now, "p").remove(0);
    assert_eq!(view.buckets[0].resets_at, Millis::from_rfc3339("2026-12-01T00:00:00Z"));
    assert_eq!(world.ledger.next_wakeup(world.now), None, "nobody waits for it");
}

#[test]
fn a_minute_is_not_taken_to_begin_with_the_clocks() {
    let mut world = World::new(1);
    let limit = Reading {
        limit: Some(5.0),
        remaining: None,
        source: Source::Header,
        ..reading(LimitUnit::Requests, LimitSpan::Minute)
    };
    for _ in 0..5 {
        world.serve(0, &said(vec![limit.clone()]));
        world.wait(10_000);
    }
    // Fifty seconds after the first call: the first is forgotten after a minute, and not at a full one.
    assert!(!world.is_open(0));
    assert!(world.wait_of(0).as_millis() as u64 <= 10_500);
    world.wait(10_500);
    assert!(world.is_open(0));
    world.serve(0, &said(vec![limit]));
    assert!(!world.is_open(0), "one was free, and one was taken");
    world.wait(MINUTE);
    assert!(world.is_open(0));
}
