//! Who has to wait for a quota waits in line, and is let go without a burst.

use std::time::Duration;

use hr_testkit::{Behaviour, Fake, Hint, Match, Quota, Script, Told};
use serde_json::json;
use tokio::task::JoinSet;

use crate::caller::question;
use crate::house::{Guest, House};

/// How many wait for one reset.
const MANY: usize = 1_000;
/// What the provider serves in a window, and the window.
const LIMIT: u64 = 250;
const WINDOW: Duration = Duration::from_secs(2);

/// Returns as soon as so many wait.
async fn until_wait(house: &House, count: usize) {
    let wait = async {
        while house.gate.line.waiting() != count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(10), wait).await;
    assert!(waited.is_ok(), "{} wait, not {count}", house.gate.line.waiting());
}

/// A house with one key that has just been told to wait so long.
async fn limited(wait: Duration, settings: &str) -> (Fake, House) {
    let told = Behaviour::rate_limited(Hint::RetryAfterSeconds, wait);
    let fake = Fake::start(Script::new().once(Match::any(), [told])).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake)], settings).await;
    let caller = house.caller();
    let mut request = caller.request("POST", "/v1/chat/completions", question("first").to_string());
    request.headers_mut().insert("x-hermes-max-wait", "0".parse().unwrap());
    assert_eq!(caller.send(request).await.status, 429);
    (fake, house)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_who_wait_for_one_reset_are_let_go_within_the_limit() {
    let quota = Quota::new(Hint::RetryAfterMillis).requests(LIMIT, WINDOW).told(Told::Durations);
    let fake = Fake::start(Script::new().quota(Match::any(), quota)).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake)], "MAX_WAIT=60").await;
    // One call tells the limit.
    assert_eq!(house.caller().chat("first").await.status, 200);
    let mut asked = JoinSet::new();
    for number in 0..MANY {
        let caller = house.caller();
        asked.spawn(async move { caller.chat(&format!("question {number}")).await.status });
    }
    let statuses = asked.join_all().await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    let calls = fake.calls();
    let refused = calls.iter().filter(|call| call.status == Some(429)).count();
    println!("{} calls for {} requests, {refused} refused", calls.len(), MANY + 1);
    assert_eq!(refused, 0, "of {} calls", calls.len());
}

#[tokio::test]
async fn they_are_served_in_the_order_in_which_they_came() {
    let quota = Quota::new(Hint::RetryAfterMillis).requests(1, Duration::from_secs(2)).told(Told::Durations);
    let fake = Fake::start(Script::new().quota(Match::any(), quota)).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake)], "MAX_WAIT=60").await;
    assert_eq!(house.caller().chat("number 0").await.status, 200);
    let mut asked = JoinSet::new();
    for number in 1..=4 {
        let caller = house.caller();
        asked.spawn(async move { caller.chat(&format!("number {number}")).await.status });
        until_wait(&house, number).await;
    }
    assert!(asked.join_all().await.iter().all(|status| *status == 200));
    let served = fake.calls().into_iter().filter(|call| call.status == Some(200));
    let said: Vec<_> = served.map(|call| call.json()["messages"][0]["content"].clone()).collect();
    let order: Vec<_> = (0..=4).map(|number| json!(format!("number {number}"))).collect();
    assert_eq!(said, order);
}

#[tokio::test]
async fn whoever_hangs_up_leaves_the_line_at_once() {
    let (fake, house) = limited(Duration::from_secs(30), "MAX_WAIT=60").await;
    let mut asked = JoinSet::new();
    for number in 0..5 {
        let caller = house.caller();
        let mut body = question(&format!("number {number}"));
        body["stream"] = json!(number % 2 == 0);
        asked.spawn(async move { caller.post("/v1/chat/completions", &body).await });
    }
    until_wait(&house, 5).await;
    asked.shutdown().await;
    tokio::time::timeout(Duration::from_secs(5), until_wait(&house, 0)).await.expect("all have left");
    assert_eq!(fake.calls().len(), 1);
}

#[tokio::test]
async fn who_can_be_served_by_somebody_else_does_not_stand_in_line() {
    let told = Behaviour::rate_limited(Hint::RetryAfterSeconds, Duration::from_secs(30));
    let busy = Fake::start(Script::new().once(Match::any(), [told])).await.unwrap();
    let free = Fake::start(Script::new()).await.unwrap();
    let house = House::open(&[Guest::new("busy", &busy), Guest::new("free", &free)], "MAX_WAIT=60").await;
    let mut pinned = question("hi");
    pinned["model"] = json!("busy/busy-model");
    let caller = house.caller();
    let waits = tokio::spawn(async move { caller.post("/v1/chat/completions", &pinned).await });
    until_wait(&house, 1).await;
    for _ in 0..5 {
        let got = house.caller().chat("hi").await;
        assert_eq!((got.status.as_u16(), got.header("x-provider")), (200, "free"), "{}", got.text());
    }
    assert_eq!((house.gate.line.waiting(), busy.calls().len()), (1, 1));
    waits.abort();
}

#[tokio::test]
async fn a_wait_that_would_be_too_long_is_not_begun() {
    let (fake, house) = limited(Duration::from_secs(30), "").await;
    let got = house.caller().chat("hi").await;
    assert_eq!(got.status, 429, "{}", got.text());
    let wait: u64 = got.header("retry-after").parse().unwrap();
    assert!((25..=30).contains(&wait), "{wait}");
    assert_eq!((house.gate.line.waiting(), fake.calls().len()), (0, 1));
}
