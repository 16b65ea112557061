//! Lists of models are read once in their time, whatever happens to the process.

use std::time::Duration;

use hr_testkit::{Answer, Behaviour, Fake, Match, Script};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::router::{KEY, Router};

/// How often something that must come is looked for.
const LOOK: Duration = Duration::from_millis(10);

/// Waits until the models that a list has added are in use.
async fn until_added(router: &Router) {
    let added = json!("added");
    loop {
        let status = router.caller().get("/v1/status").await.json();
        let models = status.pointer("/providers/alpha/models").and_then(Value::as_array).cloned();
        if models.is_some_and(|models| models.contains(&added)) {
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn lists(fake: &Fake) -> usize {
    fake.calls().iter().filter(|call| call.path.ends_with("/models")).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_is_read_again_for_other_keys_and_not_for_a_restart() {
    let models = json!({ "object": "list", "data": [{ "id": "old" }, { "id": "added" }] });
    let told = Behaviour::raw(200, models.to_string());
    let script = Script::new().otherwise(Answer::text("here")).always(Match::path("/models"), told);
    let fake = Fake::start(script).await.unwrap();
    let text = format!(
        "id = \"alpha\"\nbase_url = \"{}\"\nspend = \"free\"\n[[model]]\nid = \"old\"\n",
        fake.base_url()
    );
    let settings = "AUTO_DISCOVER_MODELS=1\nALPHA_API_KEYS=sk-one";
    let mut router = Router::start(settings, &[("alpha", text)]).await;
    until_added(&router).await;
    assert_eq!(lists(&fake), 1);
    router.signal(Signal::TERM);
    assert_eq!(router.ended().await, Some(0), "{}", router.log());
    router.start_again().await;
    until_added(&router).await;
    assert_eq!(lists(&fake), 1, "what was read is kept, with the models that it has added");

    let env = format!("PROXY_API_KEYS={KEY}\nPORT=0\nPROBE_AT_START=0\n{settings},sk-two\n");
    std::fs::write(router.path(".env"), env).unwrap();
    while lists(&fake) < 2 {
        tokio::time::sleep(LOOK).await;
    }
}
