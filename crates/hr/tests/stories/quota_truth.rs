//! A burst at more than a quota has left.

use std::sync::Arc;
use std::time::Duration;

use hr_testkit::{Answer, Fake, Hint, Match, Quota, Script, Told};

use crate::house::{Guest, House};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_a_thousand_with_a_hundred_left_sends_at_most_a_hundred_and_one() {
    let quota = Quota::new(Hint::RetryAfterSeconds)
        .requests(101, Duration::from_secs(600))
        .told(Told::Durations)
        .owner(["sk-oak-1", "sk-oak-2"]);
    let fake =
        Fake::start(Script::new().quota(Match::any(), quota).otherwise(Answer::text("ok"))).await.unwrap();
    let house = House::open(&[Guest::new("oak", &fake).keys(2)], "PROBE_AT_START=0\nMAX_WAIT=0.2").await;
    let keys = vec!["sk-oak-1".to_owned(), "sk-oak-2".to_owned()];
    house.declare(&[("oak", keys, "one".to_owned())]);
    assert_eq!(house.caller().chat("what is 1 + 1?").await.status, 200);
    let caller = Arc::new(house.caller());
    let asked: Vec<_> = (0..1000)
        .map(|number| {
            let caller = Arc::clone(&caller);
            tokio::spawn(async move { caller.chat(&format!("what is {number} + 2?")).await.status })
        })
        .collect();
    let mut answered = 0;
    for asked in asked {
        answered += usize::from(asked.await.unwrap() == 200);
    }
    let sent = fake.calls().len() - 1;
    println!("100 left, 1000 at once: {sent} sent, {answered} answered");
    assert!(sent <= 101, "{sent}");
    assert_eq!(answered, 100);
}
