//! OpenAI's SDKs over a pool of chat providers: failover is not seen, and trouble is told as it is.

use std::time::Duration;

use hr_testkit::{Answer, Behaviour, Ending, Fake, Hint, Match, Quota, Refusal, Script, Strictness};

use crate::installed::folder;
use crate::router::{Home, part_of};

/// A wait that no retry of an SDK outlasts.
const LONG: Duration = Duration::from_secs(3600);

#[tokio::test(flavor = "multi_thread")]
async fn openai_python_over_a_pool_that_runs_dry() {
    over_pool("openai_python.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn openai_node_over_a_pool_that_runs_dry() {
    over_pool("openai_node.mjs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn openai_python_in_trouble() {
    over_trouble("openai_python.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn openai_node_in_trouble() {
    over_trouble("openai_node.mjs").await;
}

/// `sick` always fails, `dry` has a small quota per key, `steady` serves; `tools`, which costs money and so comes
/// last, calls a tool until it has the result.
async fn over_pool(script: &str) {
    let Some(folder) = folder(part_of(script)) else { return };
    let out_of_order = Refusal::new(503, "server_error", "", "out of order");
    let sick = Fake::start(Script::new().otherwise(out_of_order)).await.unwrap();
    let quota = Quota::new(Hint::RetryAfterSeconds).requests(3, LONG);
    let dry = Fake::start(Script::new().quota(Match::any(), quota).strict(Strictness::new())).await.unwrap();
    let steady = Fake::start(Script::new().strict(Strictness::new())).await.unwrap();
    let weather = Answer::tool("get_weather", r#"{"city":"Oslo"}"#);
    let calling = Script::new().always(Match::any().and_answered(false), weather).strict(Strictness::new());
    let tools = Fake::start(calling).await.unwrap();

    let mut home = Home::new();
    home.set("STRICT_MODELS", "1");
    let free = |model: &str, rating: u8| {
        format!("spend = \"free\"\n[[model]]\nid = \"{model}\"\nrating = {rating}\n")
    };
    home.provider("sick", &sick, &free("sick-chat", 1));
    home.provider("dry", &dry, &free("dry-chat", 1));
    home.provider("steady", &steady, &(free("steady-chat", 3) + "[embedding]\nmodel = \"steady-embed\"\n"));
    home.provider("tools", &tools, "spend = \"paid\"\n[[model]]\nid = \"tools-chat\"\nrating = 5\n");
    home.set("SICK_API_KEY", "sk-sick");
    home.set("DRY_API_KEYS", "sk-dry-one,sk-dry-two");
    home.set("STEADY_API_KEY", "sk-steady");
    home.set("TOOLS_API_KEY", "sk-tools");
    let router = home.start().await;
    router.run(script, &folder, "pool").await;

    for (name, fake) in [("sick", &sick), ("dry", &dry), ("steady", &steady), ("tools", &tools)] {
        assert!(!fake.calls().is_empty(), "`{name}` was not called");
        assert_eq!(fake.violations(), [], "what `{name}` was sent");
    }
}

/// `limited` is out for an hour, `broken` is broken, `cut` breaks off in the middle of every answer.
async fn over_trouble(script: &str) {
    let Some(folder) = folder(part_of(script)) else { return };
    let limited = Behaviour::rate_limited(Hint::RetryAfterSeconds, LONG);
    let limited = Fake::start(Script::new().otherwise(limited)).await.unwrap();
    let broken = Refusal::new(500, "server_error", "", "out of order");
    let broken = Fake::start(Script::new().otherwise(broken)).await.unwrap();
    let cut = Fake::start(Script::new().otherwise(Answer::text("cut in the middle").ending(Ending::Cut(2))))
        .await
        .unwrap();

    let mut home = Home::new();
    for (id, fake) in [("limited", &limited), ("broken", &broken), ("cut", &cut)] {
        home.provider(id, fake, &format!("[[model]]\nid = \"{id}-chat\"\n"));
        home.set(&format!("{}_API_KEY", id.to_uppercase()), "sk-trouble");
    }
    let router = home.start().await;
    router.run(script, &folder, "trouble").await;
}
