//! Where files may not grow any further, the router serves on, says so once, and writes again when it can.

use std::time::Duration;

use hermes_router::store::Reader;
use hr_core::route::{Change, Table};
use hr_testkit::{Answer, Fake, Script};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::router::{Router, provider};

/// What the router says when it cannot write.
const WARNING: &str = "cannot be kept";

/// What is kept of latencies; it changes with each request.
fn health(router: &Router) -> Vec<Change> {
    let reader = Reader::open(&router.path("state.db")).unwrap().expect("a store");
    reader.kept().unwrap().into_iter().filter(|change| change.table == Table::Health).collect()
}

fn limit_files(router: &Router, current: Option<u64>) {
    let limit = Rlimit { current, maximum: None };
    prlimit(Some(Pid::from_child(&router.child)), Resource::Fsize, limit).unwrap();
}

async fn until(mut holds: impl FnMut() -> bool) {
    while !holds() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serving_goes_on_when_nothing_more_can_be_written() {
    let fake = Fake::start(Script::new().otherwise(Answer::text("here"))).await.unwrap();
    let (name, text) = provider("alpha", &fake.base_url());
    let router = Router::start("ALPHA_API_KEY=sk-alpha", &[(&name, text)]).await;
    let caller = router.caller();
    for _ in 0..20 {
        assert_eq!(caller.chat("hi").await.status, 200);
    }
    until(|| !health(&router).is_empty()).await;
    // The log grows with each commit; its next page lies beyond the limit. What is printed is far below it.
    let log = std::fs::metadata(router.path("state.db-wal")).unwrap().len();
    limit_files(&router, Some(log));
    while !router.log().contains(WARNING) {
        assert_eq!(caller.chat("hi").await.status, 200);
    }
    let then = health(&router);
    for _ in 0..50 {
        assert_eq!(caller.chat("hi").await.status, 200);
    }
    assert_eq!(health(&router), then, "nothing can be written");
    assert_eq!(router.log().matches(WARNING).count(), 1, "{}", router.log());
    limit_files(&router, None);
    until(|| health(&router) != then).await;
    until(|| router.log().contains("kept again")).await;
}
