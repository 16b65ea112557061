//! A pool as people have it: twelve providers, each after the manners of a real one.

use hr_core::catalog::{LimitSpan, LimitUnit, OwnerScope};
use hr_core::time::Millis;

use super::calendar::{DAY, MINUTE, is_summer};
use super::limit::{HiddenLimit, Reset};
use super::provider::{Owner, Spec, Telling, Voice, Words};

/// A third of a percent to two percent of all calls fail for no fault of the caller's.
const FEW_FAULTS: f64 = 0.004;
/// Some providers fail more often.
const MORE_FAULTS: f64 = 0.02;

/// Twelve providers with 30 keys of 17 owners.
#[must_use]
pub fn pool() -> Vec<Spec> {
    use LimitSpan::{Day, Hour, Minute, Month};
    use Reset::{Aligned, Bucket, Pacific, Rolling};
    let requests = HiddenLimit::requests;
    let tokens = HiddenLimit::tokens;
    vec![
        // Bodies only; each model of a project by itself; the day ends at midnight of the Pacific coast.
        Spec::new("pacific-bodies", Voice { words: Words::LimitAndWait, ..Voice::SILENT })
            .models(&[("strong", 1_000_000), ("lite", 1_000_000)])
            .owners(OwnerScope::Project, vec![Owner::of(2).declared(), Owner::of(2)])
            .limit(requests(10, Minute, Aligned))
            .limit(requests(400, Day, Pacific))
            .limit(tokens(60_000, Minute, Aligned))
            .faults(MORE_FAULTS)
            .published(1.0),
        // Bodies only; all models of an account together; the day ends at midnight UTC.
        Spec::new("daily-bodies", Voice { words: Words::LimitAndWait, ..Voice::SILENT })
            .models(&[("large", 131_072), ("small", 32_768)])
            .owners(OwnerScope::Account, vec![Owner::of(2), Owner::of(1).share(4.0)])
            .limit(requests(20, Minute, Aligned).shared())
            .limit(requests(250, Day, Aligned).shared())
            .faults(MORE_FAULTS),
        // Full headers, filled evenly; calls a day, tokens a minute; calls a minute are only in refusals.
        Spec::new("even-headers", Voice::OPEN)
            .models(&[("oss-large", 131_072), ("oss-small", 131_072)])
            .owners(OwnerScope::Organisation, vec![Owner::of(2), Owner::of(2).declared()])
            .limit(requests(30, Minute, Rolling).untold())
            .limit(requests(500, Day, Bucket))
            .limit(tokens(8_000, Minute, Bucket))
            .faults(FEW_FAULTS)
            .published(1.0),
        // Full headers that do not say over which span they count, filled evenly; an organisation's two keys.
        Spec::new("organisation", Voice { names: false, ..Voice::OPEN })
            .owners(OwnerScope::Organisation, vec![Owner::of(2).declared()])
            .limit(requests(2, Minute, Bucket))
            .limit(tokens(20_000, Minute, Bucket))
            .faults(FEW_FAULTS),
        // Dates as headers; tokens of prompts and of answers counted apart.
        Spec::new("dates", Voice::OPEN)
            .owners(OwnerScope::Organisation, vec![Owner::of(2)])
            .limit(requests(5, Minute, Bucket))
            .limit(HiddenLimit::new(LimitUnit::InputTokens, 10_000.0, Minute, Bucket))
            .limit(HiddenLimit::new(LimitUnit::OutputTokens, 2_000.0, Minute, Bucket))
            .faults(FEW_FAULTS),
        // A minute, an hour and a day at once; no headers on refusals.
        Spec::new("three-spans", Voice { refusal: Telling::Nothing, words: Words::Pace, ..Voice::OPEN })
            .owners(OwnerScope::Organisation, vec![Owner::of(2).declared(), Owner::of(1)])
            .limit(requests(5, Minute, Aligned).shared())
            .limit(requests(60, Hour, Aligned).shared())
            .limit(requests(800, Day, Aligned).shared())
            .limit(tokens(30_000, Minute, Aligned).shared())
            .faults(FEW_FAULTS)
            .published(1.2),
        // Headers without a reset; each model by itself; a month's tokens that only the refusals show.
        Spec::new("no-resets", Voice { good: Telling::Left, refusal: Telling::Left, ..Voice::SILENT })
            .models(&[("medium", 131_072)])
            .owners(OwnerScope::Organisation, vec![Owner::of(2), Owner::of(1)])
            .limit(requests(2, Minute, Aligned))
            .limit(tokens(25_000, Minute, Aligned))
            .limit(tokens(3_000_000, Month, Reset::Month).untold())
            .faults(FEW_FAULTS),
        // The body names calls a minute and calls a month.
        Spec::new("trial", Voice { words: Words::Limit, ..Voice::SILENT })
            .owners(OwnerScope::Account, vec![Owner::of(2)])
            .limit(requests(20, Minute, Rolling))
            .limit(requests(1000, Month, Reset::Month).shared())
            .faults(FEW_FAULTS)
            .published(1.0),
        // One call at a time, and a code that says no more.
        Spec::new("one-at-a-time", Voice { words: Words::Pace, ..Voice::SILENT })
            .owners(OwnerScope::Account, vec![Owner::of(2).declared()])
            .limit(HiddenLimit::at_once(1))
            .limit(requests(800, Day, Aligned).shared())
            .takes(2000.0, 9000.0)
            .faults(MORE_FAULTS),
        // A bare 429.
        Spec::new("silent", Voice::SILENT)
            .owners(OwnerScope::Account, vec![Owner::of(2)])
            .limit(requests(3, Minute, Rolling).shared())
            .faults(MORE_FAULTS),
        // Seconds since the epoch as headers.
        Spec::new("unix-headers", Voice::OPEN)
            .owners(OwnerScope::Account, vec![Owner::of(2).declared()])
            .limit(requests(20, Minute, Aligned))
            .limit(requests(400, Day, Aligned))
            .faults(MORE_FAULTS)
            .published(0.5),
        // `Retry-After` and nothing else.
        Spec::new("retry-after", Voice::RETRY_AFTER)
            .owners(OwnerScope::Account, vec![Owner::of(1)])
            .limit(requests(3, Minute, Aligned).shared())
            .limit(HiddenLimit::at_once(3))
            .faults(FEW_FAULTS),
    ]
}

/// Six other providers with 14 keys of 8 owners: other limits, told in other ways.
#[must_use]
pub fn other_pool() -> Vec<Spec> {
    use LimitSpan::{Day, Hour, Minute};
    use Reset::{Aligned, Bucket, Rolling};
    let requests = HiddenLimit::requests;
    let tokens = HiddenLimit::tokens;
    let account = OwnerScope::Account;
    vec![
        Spec::new("bare-aligned", Voice::SILENT)
            .owners(account, vec![Owner::of(3).declared()])
            .limit(requests(8, Minute, Aligned).shared())
            .faults(FEW_FAULTS),
        Spec::new("bodies-hourly", Voice { words: Words::LimitAndWait, ..Voice::SILENT })
            .owners(account, vec![Owner::of(1), Owner::of(2)])
            .limit(requests(6, Minute, Rolling).shared())
            .limit(requests(150, Hour, Aligned).shared())
            .faults(MORE_FAULTS),
        Spec::new("tokens-only", Voice::OPEN)
            .owners(account, vec![Owner::of(2).declared()])
            .limit(tokens(15_000, Minute, Bucket))
            .faults(FEW_FAULTS)
            .published(0.7),
        Spec::new("left-only", Voice { good: Telling::Left, refusal: Telling::Left, ..Voice::SILENT })
            .owners(account, vec![Owner::of(2)])
            .limit(requests(12, Minute, Aligned))
            .faults(FEW_FAULTS),
        Spec::new("two-at-a-time", Voice { words: Words::Pace, ..Voice::SILENT })
            .owners(account, vec![Owner::of(1), Owner::of(1)])
            .limit(HiddenLimit::at_once(2))
            .limit(requests(700, Day, Aligned).shared())
            .takes(1500.0, 6000.0)
            .faults(MORE_FAULTS),
        Spec::new("waits", Voice::RETRY_AFTER)
            .owners(account, vec![Owner::of(2).declared()])
            .limit(requests(10, Minute, Aligned).shared())
            .faults(FEW_FAULTS),
    ]
}

/// How many requests the limits of a pool allow from an instant on, if requests of this size came all the time:
/// for each owner and model the tightest of its limits, for limits that models share what they allow together.
#[must_use]
pub fn capacity(specs: &[Spec], start: Millis, lasts: u64, (input, output): (f64, f64)) -> f64 {
    let mut all = 0.0;
    for spec in specs {
        for owner in &spec.owners {
            let mut shared = f64::MAX;
            let mut single = f64::MAX;
            for limit in &spec.limits {
                let amount = (limit.amount * owner.share).round();
                let each = match limit.unit {
                    LimitUnit::Tokens => input + output,
                    LimitUnit::InputTokens => input,
                    LimitUnit::OutputTokens => output,
                    _ => 1.0,
                };
                let calls = if limit.unit == LimitUnit::Concurrent {
                    let (least, most) = spec.takes;
                    // The mean of what is drawn between the two.
                    amount * lasts as f64 * (most / least).ln() / (most - least)
                } else {
                    amount * windows(limit, start, lasts) / each
                };
                let bound = if limit.shared { &mut shared } else { &mut single };
                *bound = bound.min(calls);
            }
            all += shared.min(single * spec.models.len() as f64);
        }
    }
    all
}

/// How often a limit can be used up within a time.
fn windows(limit: &HiddenLimit, start: Millis, lasts: u64) -> f64 {
    let span = limit.millis();
    match limit.reset {
        Reset::Aligned => ((start.0 + lasts).div_ceil(span) - start.0 / span) as f64,
        Reset::Month => 1.0,
        Reset::Pacific => {
            let shift = if is_summer(start) { 7 * 60 * MINUTE } else { 8 * 60 * MINUTE };
            ((start.0 - shift + lasts).div_ceil(DAY) - (start.0 - shift) / DAY) as f64
        }
        Reset::Rolling => (lasts as f64 / span as f64).max(1.0),
        Reset::Bucket => 1.0 + lasts as f64 / span as f64,
    }
}
