//! `hr why`, `hr replay` and `hr explain` beside a router that runs, and beside what it has left behind.

use std::process::{Command, Output};
use std::time::Duration;

use hr_testkit::{Answer, Behaviour, Fake, Hint, Script};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::caller::question;
use crate::router::{Router, provider};

/// The most lines of an explanation.
const MAX_LINES: usize = 12;

const KEY: &str = "sk-canary-upstream-55aa01";

/// Runs a command in the router's home.
pub async fn hr(router: &Router, arguments: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hr"));
    command
        .args(arguments.split_whitespace())
        .env_clear()
        .env("HR_HOME", router.folder.path())
        .current_dir(router.folder.path());
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// What a command says that works.
pub async fn told(router: &Router, arguments: &str) -> String {
    let output = hr(router, arguments).await;
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("canary"), "{text}");
    text
}

/// Two providers: one that refuses each call for a minute, and one that answers.
async fn scene() -> (Router, Fake, Fake) {
    let limited = Behaviour::rate_limited(Hint::RetryAfterSeconds, Duration::from_secs(60));
    let dry = Fake::start(Script::new().otherwise(limited)).await.unwrap();
    let well = Fake::start(Script::new().otherwise(Answer::text("a b c"))).await.unwrap();
    let (alpha, alphas) = provider("alpha", &dry.base_url());
    let (beta, betas) = provider("beta", &well.base_url());
    let settings = format!("ALPHA_API_KEY={KEY}\nBETA_API_KEY=sk-beta-000111");
    // What is easy goes to a model that is no stronger than needed.
    let files = [(alpha.as_str(), alphas + "rating = 5\n"), (beta.as_str(), betas + "rating = 4\n")];
    (Router::start(&settings, &files).await, dry, well)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_told_in_twelve_lines_and_computed_again() {
    let (mut router, _dry, _well) = scene().await;
    let mut body = question("hi");
    body["stream"] = json!(true);
    let got = router.caller().post("/v1/chat/completions", &body).await;
    let id = got.header("x-hermes-decision").to_owned();
    let why = told(&router, "why").await;
    assert!(why.lines().count() <= MAX_LINES, "{why}");
    for words in [
        id.as_str(),
        "answered by beta/beta-model with key …000111",
        "HTTP 200",
        "asked: any model, profile balanced",
        "streamed",
        "first of 1 candidate: beta/beta-model",
        "called at",
        "alpha/alpha-model with key …",
        "(HTTP 429) after",
        ": answered after",
    ] {
        assert!(why.contains(words), "`{words}` is missing: {why}");
    }
    assert_eq!(told(&router, &format!("why {id}")).await.lines().count(), why.lines().count());
    let again = told(&router, &format!("replay {id}")).await;
    assert!(again.contains(&format!("{id}: same (2 plans computed again)")), "{again}");
    let again: Value = serde_json::from_str(&told(&router, "replay last --json").await).unwrap();
    assert_eq!((&again["same"], &again["difference"]), (&json!(true), &Value::Null));
    let record: Value = serde_json::from_str(&told(&router, "why --json").await).unwrap();
    assert_eq!((&record["id"], &record["attempts"][1]["provider"]), (&json!(id), &json!("beta")));

    let next = router.caller().chat("hi").await;
    assert_eq!(next.status, 200);
    let why = told(&router, "why last").await;
    assert!(why.contains("passed over, ") && why.contains("; back in "), "{why}");
    let explained = told(&router, "explain --tokens 100").await;
    assert!(explained.contains("1.  beta/beta-model") && explained.contains("Passed over:"), "{explained}");
    assert!(explained.contains("alpha/alpha-model"), "{explained}");

    let unknown = hr(&router, "why req_nobody").await;
    let words = String::from_utf8(unknown.stderr).unwrap();
    assert_eq!(unknown.status.code(), Some(1));
    assert!(
        words.contains("no decision `req_nobody` is kept") && words.contains("X-Hermes-Decision"),
        "{words}"
    );
    let no_model = hr(&router, "explain --model alpha/ --tokens x").await;
    assert_eq!(no_model.status.code(), Some(1));
    for (mistake, words) in [
        ("explain --profile swift", "frugal"),
        ("quota aplha", "unknown provider `aplha`"),
        ("quota aplha", "`alpha`"),
    ] {
        let output = hr(&router, mistake).await;
        assert_eq!(output.status.code(), Some(1), "{mistake}");
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains(words), "{mistake}: {told}");
    }

    router.signal(Signal::TERM);
    assert_eq!(router.ended().await, Some(0));
    let kept = told(&router, &format!("why {id}")).await;
    assert!(kept.contains("answered by beta/beta-model with key …000111"), "{kept}");
    assert!(told(&router, &format!("replay {id}")).await.contains("same"));
    let unknown = hr(&router, "replay req_nobody").await;
    assert!(String::from_utf8(unknown.stderr).unwrap().contains("no decision `req_nobody` is kept"));
    let offline = hr(&router, "explain").await;
    assert!(String::from_utf8(offline.stderr).unwrap().contains("by the files alone"));
    let offline = String::from_utf8(offline.stdout).unwrap();
    assert!(offline.contains("alpha/alpha-model") && offline.contains("beta/beta-model"), "{offline}");
}
