//! A state file that somebody deletes while the router runs is there again, with all that was in it.

use std::time::Duration;

use hermes_router::store::Reader;
use hr_core::route::{Change, Table};
use hr_testkit::{Answer, Fake, Script};

use crate::router::{Router, provider};

/// What the router says of it.
const WARNING: &str = "the state file was deleted";

fn kept(router: &Router) -> Option<Vec<Change>> {
    Some(Reader::open(&router.path("state.db")).unwrap()?.kept().unwrap())
}

fn has_health(kept: &Option<Vec<Change>>) -> bool {
    kept.iter().flatten().any(|change| change.table == Table::Health)
}

async fn until(mut holds: impl FnMut() -> bool) {
    while !holds() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_file_that_was_deleted_is_written_anew() {
    let fake = Fake::start(Script::new().otherwise(Answer::text("here"))).await.unwrap();
    let (name, text) = provider("alpha", &fake.base_url());
    let mut router = Router::start("ALPHA_API_KEY=sk-alpha", &[(&name, text)]).await;
    let first = router.caller().chat("hi").await;
    let decision = format!("/v1/decisions/{}", first.header("x-request-id"));
    until(|| has_health(&kept(&router))).await;
    assert_eq!(router.caller().get(&decision).await.status, 200);

    for ending in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(router.path(&format!("state.db{ending}")));
    }
    while kept(&router).is_none() {
        assert_eq!(router.caller().chat("hi").await.said(), "here");
    }
    assert!(has_health(&kept(&router)));
    assert_eq!(router.caller().get(&decision).await.status, 200, "what was decided before is known");
    assert_eq!(router.log().matches(WARNING).count(), 1, "{}", router.log());

    // What is learned from now on goes there, too.
    let last = router.caller().chat("hi").await;
    let id = last.header("x-request-id").to_owned();
    until(|| Reader::open(&router.path("state.db")).unwrap().unwrap().decision(&id).unwrap().is_some()).await;
    router.kill();
    router.start_again().await;
    assert_eq!(router.caller().get(&decision).await.status, 200, "{}", router.log());
}
