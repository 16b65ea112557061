//! A thousand changes of the files under load: no request fails, and what is broken is refused with its place.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use hr_testkit::{Answer, Fake, Script};

use crate::router::{KEY, Router, provider};

/// Changes in all.
const CHANGES: usize = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_changes_under_load_fail_no_request() {
    let fake = Fake::start(Script::new().otherwise(Answer::text("still here").chunks(3))).await.unwrap();
    let (name, text) = provider("alpha", &fake.base_url());
    let router = Router::start("ALPHA_API_KEY=sk-alpha", &[(&name, text.clone())]).await;
    let stop = Arc::new(AtomicBool::new(false));
    let served = Arc::new(AtomicUsize::new(0));
    let callers: Vec<_> = (0..8)
        .map(|number| {
            let (stop, served, caller) = (Arc::clone(&stop), Arc::clone(&served), router.caller());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let got =
                        if number % 2 == 0 { caller.chat("hi").await } else { caller.stream("hi").await };
                    assert_eq!(
                        (got.status.as_u16(), got.said().as_str()),
                        (200, "still here"),
                        "{}",
                        got.text()
                    );
                    served.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let env = format!("PROXY_API_KEYS={KEY}\nPORT=0\nALPHA_API_KEY=sk-alpha\n");
    for number in 0..CHANGES {
        let path = |name: &str| router.path(name);
        match number % 6 {
            0 => replace(&path(".env"), &format!("{env}# change {number}\n")),
            1 => replace(&path("auth.json"), &format!("{{\"providers\":{{\"alpha\":[\"sk-{number}\"]}}}}")),
            2 => replace(&path("providers.d/extra.toml"), &text.replace("alpha", &format!("extra{number}"))),
            // Broken in one way each; written in place, as a hasty editor does.
            3 => std::fs::write(path(".env"), format!("{env}this is no setting {number}\n")).unwrap(),
            4 => std::fs::write(path("auth.json"), format!("{{\"providers\": {{ {number}")).unwrap(),
            _ => std::fs::write(
                path("providers.d/extra.toml"),
                format!("id = \"extra\"\nbase_urk = {number}\n"),
            )
            .unwrap(),
        }
        // A few requests between changes, so that each meets another state of the files.
        let at = served.load(Ordering::Relaxed);
        while served.load(Ordering::Relaxed) < at + 2 {
            let alive = callers.iter().all(|caller| !caller.is_finished());
            assert!(alive, "a request failed after change {number}: {}", router.log());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
    // What is broken for good is told; among the changes before, each may have been over before anybody looked.
    std::fs::write(router.path(".env"), format!("{env}this is no setting\n")).unwrap();
    std::fs::write(router.path("auth.json"), "{\"providers\": {").unwrap();
    std::fs::write(router.path("providers.d/extra.toml"), "id = \"extra\"\nbase_urk = 1\n").unwrap();
    let told = async {
        for place in [".env:4", "auth.json:1", "extra.toml:2"] {
            while !router.log().contains(place) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), told).await.expect("each broken file is told in the log");
    // Mended, they are in force again.
    replace(&router.path(".env"), &format!("{env}ROUTER_MODEL_ID=renamed\n"));
    replace(&router.path("auth.json"), "{}");
    replace(&router.path("providers.d/extra.toml"), &text.replace("alpha", "extra"));
    let caller = router.caller();
    while caller.get("/v1/models").await.json()["data"][0]["id"] != "renamed" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Writes a file beside and renames it, as careful programs do.
fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(&beside, path).unwrap();
}
