//! `hr quota` and the bars of `hr status`: of a router that runs, and of what it has left behind.

use std::time::Duration;

use hr_testkit::{Answer, Fake, Hint, Match, Quota, Script, Told};
use rustix::process::Signal;
use serde_json::Value;

use crate::router::{Router, provider};
use crate::why::{hr, told};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Two keys of a declared owner, with five requests a day between them.
async fn scene() -> (Router, Fake) {
    let quota = Quota::new(Hint::RetryAfterSeconds)
        .requests(5, DAY)
        .owner(["sk-canary-alpha-000aaa", "sk-canary-alpha-000bbb"])
        .told(Told::Durations);
    let script = Script::new().quota(Match::any(), quota).otherwise(Answer::text("here"));
    let fake = Fake::start(script).await.unwrap();
    let (name, text) = provider("alpha", &fake.base_url());
    let limits = "\n[ratelimit]\nowner = \"project\"\nrequests = \"day\"\n";
    let settings = "ALPHA_API_KEYS=sk-canary-alpha-000aaa,sk-canary-alpha-000bbb";
    let text = text.replace("[[model]]", &format!("{limits}[[model]]"));
    (Router::start(settings, &[(&name, text)]).await, fake)
}

/// The bucket of requests a day of the owner of which most is known.
fn day(page: &Value) -> Value {
    let owners = page["owners"].as_array().unwrap();
    let buckets = owners.iter().flat_map(|owner| owner["buckets"].as_array().unwrap());
    let mut days = buckets.filter(|bucket| bucket["unit"] == "requests" && bucket["span"] == "day");
    days.next().cloned().unwrap_or_else(|| panic!("no requests a day in {page}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_is_told_while_it_runs_and_when_it_is_gone() {
    let (mut router, _fake) = scene().await;
    assert!(told(&router, "quota").await.contains("No limit is known yet"), "before anybody was asked");
    for _ in 0..2 {
        assert_eq!(router.caller().chat("hi").await.said(), "here");
    }
    let page = router.caller().get("/v1/quota").await.json();
    let bucket = day(&page);
    assert_eq!((&bucket["limit"], &bucket["source"]), (&5.0.into(), &"header".into()), "{bucket}");
    assert!(bucket["resets_in_s"].as_u64().unwrap() <= DAY.as_secs(), "{bucket}");

    let shown: Value = serde_json::from_str(&told(&router, "quota alpha --json").await).unwrap();
    assert_eq!(day(&shown)["left"], bucket["left"]);
    let text = told(&router, "quota").await;
    for words in ["alpha: key …000aaa", "of 5 requests a day", "[#", "whole in", "by a header"] {
        assert!(text.contains(words), "`{words}` is missing: {text}");
    }
    let unknown = hr(&router, "quota nobody").await;
    assert_eq!(unknown.status.code(), Some(1), "{unknown:?}");

    let status: Value = serde_json::from_str(&told(&router, "status --json").await).unwrap();
    let limits = &status["providers"]["alpha"]["limits"];
    assert!(limits[0]["buckets"].as_array().is_some_and(|buckets| !buckets.is_empty()), "{status}");
    assert!(told(&router, "status").await.contains("of 5 requests a day"));

    router.signal(Signal::TERM);
    assert_eq!(router.ended().await, Some(0), "{}", router.log());
    let text = told(&router, "quota").await;
    assert!(text.starts_with("No router runs at "), "{text}");
    assert!(text.contains("of 5 requests a day"), "{text}");
    let left: Value = serde_json::from_str(&told(&router, "quota --json").await).unwrap();
    assert_eq!(left["kept"], true);
    assert_eq!(day(&left)["left"], bucket["left"]);
}
