//! Ten thousand requests over a pool in which everything goes wrong that can go wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hr_testkit::{Answer, Behaviour, Fake, Hint, Match, Refusal, Script};
use serde_json::json;

use crate::caller::question;
use crate::house::{Guest, House};

/// Requests in all.
const REQUESTS: usize = 10_000;
/// Requests at the same time.
const AT_ONCE: usize = 64;
/// Each such request is one that the provider itself calls a mistake.
const MISTAKE_EVERY: usize = 100;
/// Calls that were on their way when their key was told to wait.
const GRACE: Duration = Duration::from_millis(500);

/// Good answers with one fault of the list after every few of them.
fn mostly_good(faults: Vec<Behaviour>, good_between: usize) -> Vec<Behaviour> {
    let good = || Behaviour::from(Answer::text("ok").chunks(3));
    faults
        .into_iter()
        .flat_map(|fault| std::iter::repeat_with(good).take(good_between).chain([fault]))
        .collect()
}

fn passing() -> Vec<Behaviour> {
    vec![
        Refusal::server_error().into(),
        Refusal::unavailable().into(),
        Refusal::overloaded().into(),
        Behaviour::ResetBeforeHeaders,
        Behaviour::CloseBeforeHeaders,
        Behaviour::malformed_json(),
        Behaviour::html(200),
        Behaviour::html(502),
        Behaviour::empty_body(),
        Answer::empty().into(),
        Answer::text("ok").gzip().into(),
        Behaviour::error_inside(Refusal::server_error()),
        Behaviour::HangBeforeHeaders,
        Behaviour::HangAfterHeaders,
    ]
}

fn limits() -> Vec<Behaviour> {
    let styles = [
        Hint::RetryAfterSeconds,
        Hint::RetryAfterFloat,
        Hint::RetryAfterMillis,
        Hint::Prose,
        Hint::RetryInfoMinute,
    ];
    styles.into_iter().map(|hint| Behaviour::rate_limited(hint, Duration::from_secs(2))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_caller_sees_what_goes_wrong_behind() {
    let mistake = || Match::model("mistake");
    // Passing faults of every kind, now and then.
    let alpha = Fake::start(
        Script::new()
            .always(mistake(), Refusal::caller_mistake())
            .cycle(Match::any(), mostly_good(passing(), 6)),
    )
    .await
    .unwrap();
    // Limits of every style on one key, a dead key, one without money.
    let bravo = Fake::start(
        Script::new()
            .cycle(Match::key("sk-bravo-1"), mostly_good(limits(), 20))
            .always(Match::key("sk-bravo-2"), Refusal::bad_key())
            .always(Match::key("sk-bravo-3"), Refusal::no_money())
            .otherwise(Answer::text("ok")),
    )
    .await
    .unwrap();
    // A model that is gone, and a provider that is down altogether.
    let charlie = Fake::start(
        Script::new().always(Match::model("charlie-model"), Refusal::model_gone("charlie-model")),
    )
    .await
    .unwrap();
    // One key that works; its neighbours fail all the time.
    let delta = Fake::start(
        Script::new()
            .always(Match::key("sk-delta-1"), Refusal::server_error())
            .always(Match::key("sk-delta-2"), Behaviour::ResetBeforeHeaders)
            .otherwise(Answer::text("ok")),
    )
    .await
    .unwrap();
    let guests = [
        Guest::new("alpha", &alpha).keys(3).and_model("mistake", "default = false"),
        Guest::new("bravo", &bravo).keys(3),
        Guest::new("charlie", &charlie).keys(3),
        Guest::new("delta", &delta).keys(3),
    ];
    let house = Arc::new(House::open(&guests, "UPSTREAM_FIRST_BYTE_TIMEOUT=1\nBREAKER_COOLDOWN=1").await);

    let next = Arc::new(AtomicUsize::new(0));
    let workers: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let (house, next) = (Arc::clone(&house), Arc::clone(&next));
            tokio::spawn(async move {
                let caller = house.caller();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= REQUESTS {
                        return;
                    }
                    let mut body = question("what is 2 + 2?");
                    body["stream"] = json!(number % 2 == 0);
                    let mistaken = number % MISTAKE_EVERY == 0;
                    if mistaken {
                        body["model"] = json!("alpha/mistake");
                    }
                    let got = caller.post("/v1/chat/completions", &body).await;
                    if mistaken {
                        assert_eq!(got.status, 400, "request {number}: {}", got.text());
                    } else {
                        assert_eq!(got.status, 200, "request {number}: {}", got.text());
                        assert_eq!(got.said(), "ok", "request {number}: {}", got.text());
                    }
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    for (name, fake) in [("alpha", &alpha), ("bravo", &bravo), ("charlie", &charlie), ("delta", &delta)] {
        let early = fake.too_early(GRACE);
        assert!(early.is_empty(), "{name}: {} calls on a key that was told to wait", early.len());
    }
    let of =
        |fake: &Fake, key: &str| fake.calls().iter().filter(|call| call.key.as_deref() == Some(key)).count();
    // A dead key is asked once by each request that was under way at the same time, and never again.
    assert!(of(&bravo, "sk-bravo-2") <= AT_ONCE, "{}", of(&bravo, "sk-bravo-2"));
    assert!(of(&bravo, "sk-bravo-3") <= AT_ONCE, "{}", of(&bravo, "sk-bravo-3"));
    assert!(charlie.calls().len() <= AT_ONCE, "{}", charlie.calls().len());
}
