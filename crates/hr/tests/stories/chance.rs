//! A pool in which every candidate is as unreliable as a coin: whoever asks is served all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hr_testkit::{Answer, Behaviour, Fake, Hint, Match, Refusal, Script};
use serde_json::json;

use crate::caller::question;
use crate::house::{Guest, House};

/// Providers, and keys of each.
const PROVIDERS: [&str; 4] = ["alpha", "bravo", "charlie", "delta"];
const KEYS: usize = 3;
/// Requests in all, and at the same time: less than the pool could serve if nobody failed but for the limits.
const REQUESTS: usize = 400;
const AT_ONCE: usize = 2;
/// How long a candidate takes for whatever it does.
const PACE: Duration = Duration::from_millis(30);
/// What a candidate does in a row before it begins anew.
const ROUND: usize = 997;
/// Of a hundred calls, so many are told to wait a second.
const LIMITED: u64 = 10;

/// SplitMix64: the same faults in every run.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// What one candidate does, call by call: `failing` of a hundred calls have a fault that passes.
fn weather(dice: &mut Dice, failing: u64) -> Vec<Behaviour> {
    let faults: Vec<Behaviour> = vec![
        Refusal::server_error().into(),
        Refusal::unavailable().into(),
        Refusal::overloaded().into(),
        Behaviour::ResetBeforeHeaders,
        Behaviour::CloseBeforeHeaders,
        Behaviour::malformed_json(),
        Behaviour::html(502),
        Behaviour::empty_body(),
        Answer::empty().into(),
        Behaviour::HangBeforeHeaders,
    ];
    let limit = Behaviour::rate_limited(Hint::RetryAfterSeconds, Duration::from_secs(1));
    let mut one = || match dice.below(100) {
        roll if roll < failing => faults[dice.below(faults.len() as u64) as usize].clone(),
        roll if roll < failing + LIMITED => limit.clone(),
        _ => Answer::text("ok").chunks(3).into(),
    };
    std::iter::repeat_with(&mut one).take(ROUND).map(|one: Behaviour| one.after(PACE)).collect()
}

/// Sends all requests and counts the answers that were no answers, and the calls behind them.
async fn storm(failing: u64) -> (Vec<String>, usize) {
    let mut dice = Dice(failing);
    let mut fakes = Vec::new();
    for name in PROVIDERS {
        let mut script = Script::new();
        for key in 1..=KEYS {
            script = script.cycle(Match::key(format!("sk-{name}-{key}")), weather(&mut dice, failing));
        }
        fakes.push(Fake::start(script).await.unwrap());
    }
    let guests: Vec<_> =
        PROVIDERS.iter().zip(&fakes).map(|(name, fake)| Guest::new(name, fake).keys(KEYS)).collect();
    let house = Arc::new(House::open(&guests, "UPSTREAM_FIRST_BYTE_TIMEOUT=0.3").await);
    let next = Arc::new(AtomicUsize::new(0));
    let workers: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let (house, next) = (Arc::clone(&house), Arc::clone(&next));
            tokio::spawn(async move {
                let caller = house.caller();
                let mut failed = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= REQUESTS {
                        return failed;
                    }
                    let mut body = question("what is 2 + 2?");
                    body["stream"] = json!(number % 2 == 0);
                    let got = caller.post("/v1/chat/completions", &body).await;
                    if got.status != 200 || got.said() != "ok" {
                        failed.push(format!("{} {:?} {}", got.status, got.headers, got.text()));
                    }
                }
            })
        })
        .collect();
    let mut failed = Vec::new();
    for worker in workers {
        failed.extend(worker.await.unwrap());
    }
    (failed, fakes.iter().map(|fake| fake.calls().len()).sum())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_of_coins_serves_everybody() {
    let (third, half) = tokio::join!(storm(30), storm(50));
    for (failing, (failed, calls)) in [(30, third), (50, half)] {
        assert!(failed.is_empty(), "{failing} of 100: {}: {}", failed.len(), failed.join("\n"));
        // Every fault costs a call, and no more.
        let most = REQUESTS * 100 / (100 - failing - LIMITED as usize) * 3 / 2;
        assert!(calls <= most, "{failing} of 100: {calls} calls, not {most}");
    }
}

#[tokio::test]
async fn a_dead_pool_is_not_hammered() {
    let mut fakes = Vec::new();
    for _ in PROVIDERS {
        fakes.push(Fake::start(Script::new().otherwise(Refusal::server_error())).await.unwrap());
    }
    let guests: Vec<_> =
        PROVIDERS.iter().zip(&fakes).map(|(name, fake)| Guest::new(name, fake).keys(KEYS)).collect();
    let house = House::open(&guests, "").await;
    let mut before = 0;
    for round in 0..5 {
        assert_eq!(house.caller().chat("what is 2 + 2?").await.status, 503);
        let calls: usize = fakes.iter().map(|fake| fake.calls().len()).sum();
        // Nobody is known to be failing at first; then only the small budget is spent.
        let most = if round == 0 { 28 } else { 16 };
        assert!(calls - before <= most, "round {round}: {} calls", calls - before);
        before = calls;
    }
}

#[tokio::test]
async fn a_short_rest_of_the_only_candidate_is_waited_for() {
    let limited = Behaviour::rate_limited(Hint::RetryAfterSeconds, Duration::from_secs(1));
    let script = Script::new().once(Match::any(), [limited]).otherwise(Answer::text("rested"));
    let fake = Fake::start(script).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake)], "").await;
    let got = house.caller().chat("hi").await;
    assert_eq!((got.status.as_u16(), got.said().as_str()), (200, "rested"), "{}", got.text());
    assert!(fake.too_early(Duration::ZERO).is_empty());
}
