//! A minute of the real gateway over fake providers with short windows, at more than they can serve.
//!
//! It is by itself, so that no other test takes the processor from it: what replies tell of windows this short is old
//! after some milliseconds.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../stories/caller.rs"]
#[allow(dead_code, reason = "the stories need more of it")]
mod caller;
#[path = "../stories/house.rs"]
#[allow(dead_code, reason = "the stories need more of it")]
mod house;

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hr_testkit::{Answer, Call, Counted, Fake, Hint, Match, Quota, Script, Told};

use crate::house::{Guest, House};

/// How long requests come.
const LASTS: Duration = Duration::from_secs(60);
/// How many come, times what the quotas allow.
const LOAD: f64 = 1.2;
/// How long a request may wait, for who knows everything as for the router.
const MAX_WAIT: Duration = Duration::from_secs(5);
/// A reply that was sent this long before a call was made was known to it.
const ON_ITS_WAY: Duration = Duration::from_millis(20);
/// Refusals that show a limit nobody named.
const SHOWN_BY: usize = 2;

/// A provider: its owners, each with its number of keys and whether that is declared, and its quota.
struct Provider {
    id: &'static str,
    owners: &'static [(usize, bool)],
    amount: u64,
    seconds: u64,
    told: Option<Told>,
    hint: Hint,
}

const fn provider(
    id: &'static str,
    owners: &'static [(usize, bool)],
    (amount, seconds): (u64, u64),
    told: Option<Told>,
    hint: Hint,
) -> Provider {
    Provider { id, owners, amount, seconds, told, hint }
}

/// Twelve providers with 30 keys of 17 owners.
const PROVIDERS: [Provider; 12] = {
    use Hint::{Bare, RetryAfterDate, RetryAfterFloat, RetryAfterMillis, RetryAfterSeconds};
    use Told::{Counts, Dates, Durations, Seconds, Unix};
    [
        provider("ash", &[(2, true), (2, false)], (12, 3), Some(Durations), RetryAfterMillis),
        provider("birch", &[(2, false), (1, false)], (20, 5), Some(Seconds), RetryAfterSeconds),
        provider("cedar", &[(2, true), (2, false)], (24, 6), Some(Dates), RetryAfterSeconds),
        provider("dogwood", &[(2, true)], (40, 10), Some(Unix), RetryAfterFloat),
        provider("elm", &[(2, false)], (8, 2), Some(Counts), RetryAfterMillis),
        provider("fir", &[(2, true), (1, false)], (16, 4), Some(Counts), RetryAfterFloat),
        provider("ginkgo", &[(2, false), (1, false)], (9, 3), None, RetryAfterFloat),
        provider("hazel", &[(2, true)], (30, 8), None, RetryAfterSeconds),
        provider("ivy", &[(2, false)], (4, 1), None, RetryAfterMillis),
        provider("juniper", &[(2, true)], (20, 5), None, RetryAfterDate),
        provider("katsura", &[(2, false)], (35, 9), Some(Durations), Bare),
        provider("larch", &[(1, false)], (28, 7), Some(Dates), Bare),
    ]
};

impl Provider {
    fn span(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// The keys of each owner.
    fn keys(&self) -> Vec<Vec<String>> {
        let mut number = 0;
        let mut next = || {
            number += 1;
            format!("sk-{}-{number}", self.id)
        };
        self.owners.iter().map(|(count, _)| (0..*count).map(|_| next()).collect()).collect()
    }

    async fn open(&self) -> Fake {
        let quota = Quota::new(self.hint).requests(self.amount, self.span()).counted(Counted::PerKey);
        let quota = self.told.into_iter().fold(quota, Quota::told);
        let quota = self.keys().into_iter().fold(quota, Quota::owner);
        Fake::start(Script::new().quota(Match::any(), quota).otherwise(Answer::text("ok"))).await.unwrap()
    }
}

/// What was seen at the fakes.
#[derive(Default)]
struct Seen {
    calls: usize,
    served: usize,
    refused: usize,
    avoidable: usize,
    sibling: usize,
    discovery: usize,
}

/// Whether each refusal of an owner's keys could have been foreseen, from the replies that were known before: it had
/// been told to stay away, or the limit was known, and that these keys are one.
fn judge(provider: &Provider, declared: bool, calls: &[&Call]) -> Seen {
    let mut seen = Seen::default();
    let mut together = declared;
    for (at, call) in calls.iter().enumerate() {
        seen.calls += 1;
        seen.served += usize::from(call.status == Some(200));
        if call.status != Some(429) {
            continue;
        }
        seen.refused += 1;
        let known = |other: &&&Call| other.ended.is_some_and(|(_, ended)| ended + ON_ITS_WAY < call.received);
        let before: Vec<&&Call> = calls[..at].iter().filter(known).collect();
        let refusals = || before.iter().filter(|other| other.status == Some(429));
        let ours = |other: &Call| together || other.key == call.key;
        let stay_away = refusals().any(|other| {
            let until = other.told_to_wait.map(|wait| other.received + wait);
            ours(other) && until.is_some_and(|until| until > call.received)
        });
        let siblings = calls[..at].iter().any(|other| {
            other.key != call.key
                && other.status == Some(200)
                && other.received + provider.span() > call.received
        });
        // A limit without a word on when it is whole again shows as little as none: somebody has to find that out.
        let named = provider.told.is_some_and(|told| told != Told::Counts) && !before.is_empty();
        if stay_away {
            seen.avoidable += 1;
        } else if siblings && !together {
            seen.sibling += 1;
            // Its answer shows that the keys are one; what was on its way by then could not know.
            together = refusals().any(|other| other.key != call.key) || refusals().count() > 0;
        } else if !named && refusals().count() < SHOWN_BY {
            seen.discovery += 1;
        } else {
            seen.avoidable += 1;
        }
    }
    seen
}

/// How many of so many requests, coming evenly, are served by who knows every window and waits as long.
fn clairvoyant(requests: usize) -> usize {
    struct Window {
        amount: u64,
        span: Duration,
        opened: Option<Duration>,
        used: u64,
    }
    let windows = PROVIDERS.iter().flat_map(|provider| {
        provider.owners.iter().map(|_| Window {
            amount: provider.amount,
            span: provider.span(),
            opened: None,
            used: 0,
        })
    });
    let mut windows: Vec<Window> = windows.collect();
    let gap = LASTS / u32::try_from(requests).unwrap();
    let (mut waiting, mut next, mut served) = (VecDeque::new(), 0, 0);
    let step = Duration::from_millis(5);
    let mut now = Duration::ZERO;
    while now < LASTS + MAX_WAIT {
        while next < requests && gap * u32::try_from(next).unwrap() <= now {
            waiting.push_back(now);
            next += 1;
        }
        while waiting.front().is_some_and(|came| *came + MAX_WAIT < now) {
            waiting.pop_front();
        }
        for window in &mut windows {
            if window.opened.is_some_and(|opened| opened + window.span <= now) {
                (window.opened, window.used) = (None, 0);
            }
        }
        while !waiting.is_empty() {
            // What lapses first goes first; a window that is not open opens last.
            let room = windows.iter_mut().filter(|window| window.used < window.amount);
            let ends =
                |window: &&mut Window| window.opened.map_or(Duration::MAX, |opened| opened + window.span);
            let Some(window) = room.min_by_key(ends) else { break };
            window.opened.get_or_insert(now);
            window.used += 1;
            served += 1;
            waiting.pop_front();
        }
        now += step;
    }
    served
}

/// How many a second the quotas allow.
fn capacity() -> f64 {
    let each = |provider: &Provider| provider.amount as f64 / provider.seconds as f64;
    PROVIDERS.iter().map(|provider| each(provider) * provider.owners.len() as f64).sum()
}

/// The part of what a clairvoyant serves that must be served, and the part of all calls that may be refused although
/// that could be foreseen.
const SERVED: f64 = 0.93;
const AVOIDABLE: f64 = 0.02;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_minute_at_more_than_capacity_hears_hardly_a_refusal() {
    let keys: usize = PROVIDERS.iter().flat_map(|provider| provider.owners).map(|(keys, _)| keys).sum();
    let owners: usize = PROVIDERS.iter().map(|provider| provider.owners.len()).sum();
    assert_eq!((keys, owners), (30, 17));
    let mut fakes = Vec::new();
    for provider in &PROVIDERS {
        fakes.push(provider.open().await);
    }
    let guests: Vec<_> = PROVIDERS
        .iter()
        .zip(&fakes)
        .map(|(provider, fake)| {
            let keys = provider.keys().concat();
            Guest::new(provider.id, fake).key_list(&keys.iter().map(String::as_str).collect::<Vec<_>>())
        })
        .collect();
    let house = House::open(&guests, "PROBE_AT_START=0").await;
    let declared: Vec<_> = PROVIDERS
        .iter()
        .flat_map(|provider| {
            let owners = provider.keys().into_iter().zip(provider.owners).enumerate();
            let declared = owners.filter(|(_, (_, (_, declared)))| *declared);
            declared.map(|(number, (keys, _))| (provider.id, keys, format!("owner-{number}")))
        })
        .collect();
    house.declare(&declared);

    let requests = (capacity() * LOAD * LASTS.as_secs_f64()) as usize;
    let gap = LASTS / u32::try_from(requests).unwrap();
    let caller = Arc::new(house.caller());
    let start = tokio::time::Instant::now();
    let began = Instant::now();
    let mut asked = Vec::new();
    for number in 0..requests {
        tokio::time::sleep_until(start + gap * u32::try_from(number).unwrap()).await;
        let caller = Arc::clone(&caller);
        asked.push(tokio::spawn(async move { caller.chat(&format!("what is {number} + 2?")).await.status }));
    }
    let mut answered = 0;
    for asked in asked {
        answered += usize::from(asked.await.unwrap() == 200);
    }

    let best = clairvoyant(requests);
    let mut table = format!(
        "{:<10}{:>14}{:>9}{:>9}{:>7}{:>11}{:>9}{:>11}\n",
        "", "allowed", "calls", "served", "429", "avoidable", "sibling", "discovery"
    );
    let mut all = Seen::default();
    for (provider, fake) in PROVIDERS.iter().zip(&fakes) {
        let calls = fake.calls_since(began);
        let mut own = Seen::default();
        for (keys, (_, declared)) in provider.keys().into_iter().zip(provider.owners) {
            let of_owner: Vec<_> =
                calls.iter().filter(|call| call.key.as_ref().is_some_and(|key| keys.contains(key))).collect();
            let seen = judge(provider, *declared || keys.len() == 1, &of_owner);
            for sum in [&mut own, &mut all] {
                sum.calls += seen.calls;
                sum.served += seen.served;
                sum.refused += seen.refused;
                sum.avoidable += seen.avoidable;
                sum.sibling += seen.sibling;
                sum.discovery += seen.discovery;
            }
        }
        let allowed = provider.amount * provider.owners.len() as u64 * LASTS.as_secs() / provider.seconds;
        let style =
            format!("{allowed} {:?}", provider.told.map_or("-".to_owned(), |told| format!("{told:?}")));
        row(&mut table, provider.id, &style, &own);
    }
    row(&mut table, "all", "", &all);
    let share = answered as f64 / best as f64;
    let avoidable = all.avoidable as f64 / all.calls.max(1) as f64;
    println!(
        "{table}{requests} requests, {answered} answered, {best} by a clairvoyant: {:.1} %; avoidable {:.2} % of calls",
        share * 100.0,
        avoidable * 100.0
    );
    house.close().await;
    assert!(share >= SERVED, "{share}\n{table}");
    assert!(avoidable <= AVOIDABLE, "{avoidable}\n{table}");
}

fn row(table: &mut String, name: &str, allowed: &str, seen: &Seen) {
    let Seen { calls, served, refused, avoidable, sibling, discovery } = seen;
    let _ = writeln!(
        table,
        "{name:<10}{allowed:>14}{calls:>9}{served:>9}{refused:>7}{avoidable:>11}{sibling:>9}{discovery:>11}"
    );
}
