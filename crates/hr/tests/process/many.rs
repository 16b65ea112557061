//! Many at once, and slow.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hr_testkit::{Answer, Fake, Script};
use http_body_util::BodyExt;
use serde_json::json;
use tokio::sync::Barrier;

use crate::caller::question;
use crate::router::{Router, provider};

/// Streams at the same time.
const STREAMS: usize = 2_000;
/// The reply of the slow reader.
const BIG: u64 = 64 * 1024 * 1024;
/// What the router may grow by while a slow reader holds a big stream: socket buffers and a few chunks.
const GROWTH_KIB: u64 = 8 * 1024;

fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
}

async fn router(fake: &Fake) -> Router {
    let (name, text) = provider("alpha", &fake.base_url());
    Router::start("ALPHA_API_KEY=sk-alpha", &[(&name, text)]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_slow_streams_all_end_well() {
    raise_file_limit();
    let slow = Answer::text("a b c d e f g h").drip(8, Duration::from_millis(500));
    let fake = Fake::start(Script::new().otherwise(slow)).await.unwrap();
    let router = router(&fake).await;
    let caller = router.caller();
    let all_open = Arc::new(Barrier::new(STREAMS));
    let readers: Vec<_> = (0..STREAMS)
        .map(|_| {
            let (caller, all_open) = (caller.clone(), Arc::clone(&all_open));
            tokio::spawn(async move {
                let mut body = question("go on");
                body["stream"] = json!(true);
                let answer =
                    caller.open(caller.request("POST", "/v1/chat/completions", body.to_string())).await;
                assert_eq!(answer.status(), 200);
                all_open.wait().await;
                let text = answer.into_body().collect().await.unwrap().to_bytes();
                assert!(text.ends_with(b"data: [DONE]\n\n"), "{}", String::from_utf8_lossy(&text));
            })
        })
        .collect();
    for reader in readers {
        reader.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_does_not_grow_the_memory() {
    let fake = Fake::start(Script::new().otherwise(Answer::big(BIG))).await.unwrap();
    let router = router(&fake).await;
    let caller = router.caller();
    let mut body = question("all of it");
    body["stream"] = json!(true);
    // One quick run warms everything up.
    let quick = caller.open(caller.request("POST", "/v1/chat/completions", body.to_string())).await;
    let whole = read_to_end(quick.into_body(), 0).await;
    assert!(whole >= BIG, "{whole}");
    let before = router.resident_kib();
    let slow = caller.open(caller.request("POST", "/v1/chat/completions", body.to_string())).await;
    let mut slow = slow.into_body();
    let mut seen = 0;
    let mut most = 0;
    while let Some(frame) = slow.frame().await {
        seen += frame.unwrap().into_data().map_or(0, |data: Bytes| data.len() as u64);
        if seen < BIG / 16 {
            // Slower than the provider sends, so that whatever is kept in between piles up.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        most = most.max(router.resident_kib());
    }
    assert_eq!(seen, whole);
    assert!(most < before + GROWTH_KIB, "grew from {before} to {most} KiB");
}

async fn read_to_end(mut body: hyper::body::Incoming, mut seen: u64) -> u64 {
    while let Some(frame) = body.frame().await {
        seen += frame.unwrap().into_data().map_or(0, |data| data.len() as u64);
    }
    seen
}
