//! Stopping and running again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use hr_testkit::{Answer, Fake, Script};
use rustix::process::Signal;
use serde_json::json;

use crate::caller::{Caller, question};
use crate::router::{KEY, Router, provider};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_lets_the_requests_in_flight_end() {
    let slow = Answer::text("a b c d").drip(4, Duration::from_millis(200));
    let fake = Fake::start(Script::new().otherwise(slow)).await.unwrap();
    let (name, text) = provider("alpha", &fake.base_url());
    let mut router = Router::start("ALPHA_API_KEY=sk-alpha", &[(&name, text)]).await;
    let caller = router.caller();
    let reading = tokio::spawn(async move { caller.stream("go on").await });
    fake.until(|calls| calls.len() == 1).await;
    router.signal(Signal::TERM);
    let got = reading.await.unwrap();
    assert_eq!(got.said(), "a b c d");
    assert!(got.done());
    assert_eq!(router.ended().await, Some(0), "{}", router.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn running_again_refuses_no_connection() {
    let fake = Fake::start(Script::new().otherwise(Answer::text("here"))).await.unwrap();
    let (name, text) = provider("alpha", &fake.base_url());
    let router = Router::start("ALPHA_API_KEY=sk-alpha", &[(&name, text)]).await;
    let before = router.caller().get("/health").await.json()["instance"].clone();
    let stop = Arc::new(AtomicBool::new(false));
    let served = Arc::new(AtomicUsize::new(0));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (stop, served, address) = (Arc::clone(&stop), Arc::clone(&served), router.address);
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    // A connection of its own for each request: each one must be let in.
                    let caller = Caller::new(address, Some(KEY));
                    let mut request =
                        caller.request("POST", "/v1/chat/completions", question("hi").to_string());
                    request.headers_mut().insert("connection", "close".parse().unwrap());
                    let got = caller.send(request).await;
                    assert_eq!(got.status, 200, "{}", got.text());
                    served.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for _ in 0..3 {
        let at = served.load(Ordering::Relaxed);
        router.signal(Signal::USR2);
        while served.load(Ordering::Relaxed) < at + 50 {
            let alive = callers.iter().all(|caller| !caller.is_finished());
            assert!(alive, "a request failed: {}", router.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
    let after = router.caller().get("/health").await.json()["instance"].clone();
    assert_ne!(before, after, "{}", router.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_added_while_it_runs_is_used() {
    let fake = Fake::start(Script::new().otherwise(Answer::text("new here"))).await.unwrap();
    let router = Router::start("LATER_API_KEY=sk-later", &[]).await;
    assert_eq!(router.caller().chat("hi").await.status, 503);
    let (_, text) = provider("later", &fake.base_url());
    std::fs::write(router.path("providers.d/later.toml"), text).unwrap();
    let mut body = question("hi");
    body["model"] = json!("later/later-model");
    loop {
        let got = router.caller().post("/v1/chat/completions", &body).await;
        if got.status == 200 {
            assert_eq!(got.header("x-provider"), "later");
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
