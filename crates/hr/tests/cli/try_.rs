//! `hr try` against fake providers: what it says of good, bad, spent, slow and many keys.

use std::time::{Duration, Instant};

use hr_testkit::{Answer, Behaviour, Fake, Hint, Match, Refusal, Script};
use serde_json::Value;

use crate::scene::{Said, Scene};

/// A home with one provider at this fake, and these keys.
fn scene(fake: &Fake, keys: &[String], lines: &str) -> Scene {
    let scene = Scene::new();
    let toml = format!(
        "id = \"alpha\"\nbase_url = \"{}\"\nspend = \"free\"\nsign_up = \"https://alpha.example/keys\"\n{lines}\n",
        fake.base_url()
    );
    scene.write("providers.d/alpha.toml", &toml);
    scene.write(".env", &format!("ALPHA_API_KEYS={}\n", keys.join(",")));
    scene
}

fn keys(count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("sk-canary-key-{number:02}")).collect()
}

/// Runs a command while fakes in this process answer it.
async fn run(scene: Scene, arguments: &str) -> Said {
    let arguments = arguments.to_owned();
    tokio::task::spawn_blocking(move || scene.run(&arguments)).await.unwrap()
}

const MODEL: &str = "[[model]]\nid = \"m\"\ntools = true\nvision = false\n";

fn found(said: &Said) -> Value {
    serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_key_works_and_its_limits_are_told() {
    let answer = Answer::text("ok")
        .header("x-ratelimit-limit-requests", "50")
        .header("x-ratelimit-remaining-requests", "42")
        .header("openai-organization", "org-of-mine");
    let fake = Fake::start(Script::new().otherwise(answer)).await.unwrap();
    let said = run(scene(&fake, &keys(1), MODEL), "try").await;
    assert_eq!(said.code, Some(0), "{said:?}");
    for words in [
        "alpha …",
        "works",
        "m: answers, first token after",
        "tools yes (catalog)",
        "vision no",
        "42 of 50 requests",
        "org-of-mine",
        "1 key: 1 work, 0 do not",
    ] {
        assert!(said.out.contains(words), "{words}: {}", said.out);
    }
    assert!(!said.out.contains("sk-canary"), "{}", said.out);
    let chats: Vec<u64> = fake
        .calls()
        .iter()
        .filter(|call| call.path.ends_with("/chat/completions"))
        .map(|call| call.json()["max_tokens"].as_u64().unwrap())
        .collect();
    assert_eq!(chats, [32]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_key_is_told_by_itself_and_a_bad_one_fails_the_command() {
    let script = Script::new()
        .otherwise(Answer::text("ok"))
        .always(Match::key("sk-canary-key-02"), Refusal::bad_key().echoing_the_key())
        .always(
            Match::key("sk-canary-key-03"),
            Behaviour::rate_limited(Hint::RetryAfterSeconds, Duration::from_secs(3600)),
        )
        .always(
            Match::key("sk-canary-key-04"),
            Behaviour::from(Answer::text("ok")).after(Duration::from_millis(700)),
        );
    let fake = Fake::start(script).await.unwrap();
    let said = run(scene(&fake, &keys(4), MODEL), "try alpha --json").await;
    assert_eq!(said.code, Some(1), "{said:?}");
    let found = found(&said);
    let works: Vec<_> = found["keys"].as_array().unwrap().iter().map(|key| key["works"].as_bool()).collect();
    assert_eq!(works, [Some(true), Some(false), Some(false), Some(true)], "{found}");
    let valid: Vec<_> = found["keys"].as_array().unwrap().iter().map(|key| key["valid"].as_bool()).collect();
    assert_eq!(
        valid,
        [Some(true), Some(false), Some(true), Some(true)],
        "a key is good whose quota is used up"
    );
    let bad = &found["keys"][1]["models"][0];
    assert_eq!((&bad["kind"], &bad["status"]), (&"bad_key".into(), &401.into()), "{bad}");
    assert!(bad["advice"].as_str().unwrap().contains("https://alpha.example/keys"), "{bad}");
    let spent = &found["keys"][2]["models"][0];
    assert!(spent["advice"].as_str().unwrap().contains("the key is good"), "{spent}");
    assert!(spent["retry_after_s"].as_u64().unwrap() >= 3500, "{spent}");
    assert!(found["keys"][3]["models"][0]["first_token_ms"].as_u64().unwrap() >= 700);
    assert!(!said.out.contains("canary") && !said.err.contains("canary"), "{said:?}");
    let told = run(scene(&fake, &keys(4), MODEL), "try").await.out;
    assert!(told.contains("does not work") && told.contains("is valid, but serves nothing now"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_writes_at_most_32_tokens_over_all_models() {
    let fake = Fake::start(Script::new().otherwise(Behaviour::Obliging)).await.unwrap();
    let models: String = (1..=5).map(|number| format!("[[model]]\nid = \"m{number}\"\n")).collect();
    let said = run(scene(&fake, &keys(2), &models), "try --json").await;
    assert_eq!(said.code, Some(0), "{said:?}");
    for key in keys(2) {
        let most: u64 = fake
            .calls()
            .iter()
            .filter(|call| call.key.as_ref() == Some(&key) && call.path.ends_with("/chat/completions"))
            .map(|call| call.json()["max_tokens"].as_u64().unwrap())
            .sum();
        assert!(most <= 32 && most > 0, "{most}");
    }
    // Nobody had told whether they call tools, so the one call found out.
    let found = found(&said);
    assert_eq!(found["keys"][0]["models"][0]["tools"]["source"], "probed", "{found}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_without_tools_is_called_without_them() {
    let refuses =
        Refusal::new(400, "invalid_request_error", "", "this model does not support tools").param("tools");
    let script =
        Script::new().otherwise(Answer::text("ok")).always(Match::any().and_offering("get_weather"), refuses);
    let fake = Fake::start(script).await.unwrap();
    let said = run(scene(&fake, &keys(1), "[[model]]\nid = \"m\"\n"), "try --json").await;
    let found = found(&said);
    let model = &found["keys"][0]["models"][0];
    assert_eq!((&model["ending"], &model["tools"]["value"]), (&"served".into(), &false.into()), "{found}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_is_spent_only_where_that_is_allowed_and_said() {
    let fake = Fake::start(Script::new().otherwise(Answer::text("ok"))).await.unwrap();
    let paid =
        "[[model]]\nid = \"m\"\ntools = true\nspend = \"paid\"\nprice = { input = 3.0, output = 15.0 }\n";
    let scene = || scene(&fake, &keys(1), paid);
    let said = run(scene().with("SPEND", "free"), "try").await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("not called: it costs money"), "{}", said.out);
    assert!(fake.calls().iter().all(|call| !call.path.ends_with("/chat/completions")), "no call was made");
    let said = run(scene(), "try").await;
    assert!(said.err.contains("1 call to paid models: at most 0.00084 USD"), "{}", said.err);
    assert!(said.out.contains("its calls cost money"), "{}", said.out);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_slow_keys_and_a_silent_one_take_less_than_twenty_seconds() {
    let slow = Behaviour::from(Answer::text("ok")).after(Duration::from_secs(2));
    let script =
        Script::new().otherwise(slow).always(Match::key("sk-canary-key-30"), Behaviour::HangBeforeHeaders);
    let fake = Fake::start(script).await.unwrap();
    let began = Instant::now();
    let said = run(scene(&fake, &keys(30), MODEL), "try --json").await;
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let found = found(&said);
    let works = found["keys"].as_array().unwrap().iter().filter(|key| key["works"] == true).count();
    assert_eq!((said.code, works), (Some(1), 29), "{found}");
    assert_eq!(found["keys"][29]["models"][0]["kind"], "timeout");
}

#[test]
fn without_a_key_it_says_how_to_get_one() {
    let said = Scene::new().run("try");
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("there is no key to try") && said.err.contains("hr auth add"), "{}", said.err);
    let said = Scene::new().run("try nobody");
    assert!(said.err.contains("unknown provider `nobody`"), "{}", said.err);
}
