//! What the router answers, held against the schemas that are published of each dialect, over a provider of every
//! dialect.

use hr_testkit::{Answer, Match, Script, Usage};
use serde_json::Value;
use tokio::process::Command;

use crate::installed::{Part, folder, say};
use crate::router::{ACCESS_KEY, Home};
use crate::upstream::Upstream;

/// A dialect as the checker knows it: its name, a model that it thinks capable of everything, and more arguments.
struct Format {
    name: &'static str,
    model: &'static str,
    arguments: &'static [&'static str],
}

const CHAT: Format = Format { name: "openai-chat", model: "gpt-5.5", arguments: &[] };
const RESPONSES: Format = Format { name: "open-responses", model: "gpt-5.5", arguments: &[] };
const ANTHROPIC: Format = Format {
    name: "anthropic",
    model: "claude-sonnet-4-5",
    arguments: &["--auth-header", "x-api-key", "--no-bearer", "-H", "anthropic-version:2023-06-01"],
};

#[tokio::test(flavor = "multi_thread")]
async fn chat_complies_over_chat() {
    complies(&CHAT, Upstream::Chat).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chat_complies_over_anthropic() {
    complies(&CHAT, Upstream::Anthropic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chat_complies_over_codex() {
    complies(&CHAT, Upstream::Codex).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn anthropic_complies_over_chat() {
    complies(&ANTHROPIC, Upstream::Chat).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn anthropic_complies_over_anthropic() {
    complies(&ANTHROPIC, Upstream::Anthropic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn anthropic_complies_over_codex() {
    complies(&ANTHROPIC, Upstream::Codex).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn responses_comply_over_chat() {
    complies(&RESPONSES, Upstream::Chat).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn responses_comply_over_anthropic() {
    complies(&RESPONSES, Upstream::Anthropic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn responses_comply_over_codex() {
    complies(&RESPONSES, Upstream::Codex).await;
}

async fn complies(format: &Format, upstream: Upstream) {
    let Some(python) = folder(Part::Python) else { return };
    let usage = Usage { prompt: 21, completion: 9, reasoning: 4, ..Usage::default() };
    let weather = Answer::tool("get_weather", r#"{"location":"San Francisco"}"#);
    let thought = Answer::text("555").reasoning("15 times 37 is 555.").full_usage(usage);
    let script = Script::new()
        .always(Match::any().and_offering("get_weather"), weather)
        .always(Match::any().and_saying("Show your reasoning"), thought)
        .otherwise(Answer::text("Hello to you"));
    let mut home = Home::new();
    let fake = upstream.start(&mut home, script).await;
    let router = home.start().await;

    let output = Command::new(python.join("bin/llm-comply"))
        .args(["--json", "--verbose", "--format", format.name, "--model", format.model])
        .args(["--base-url", &router.base_url(), "--api-key", ACCESS_KEY])
        .args(format.arguments)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("NO_PROXY", "127.0.0.1")
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let report: Value = serde_json::from_str(&told).unwrap_or_else(|error| panic!("{error}: {told}"));
    let results = report["results"].as_array().unwrap();
    let passed = results.iter().filter(|result| result["status"] == "passed").count();
    say(&format!("{} over {upstream:?}: {passed} of {} passed", format.name, results.len()));
    let others: Vec<String> = results
        .iter()
        .filter(|result| result["status"] != "passed")
        .map(|result| format!("{}: {}", result["id"], result["errors"]))
        .collect();
    assert!(!results.is_empty(), "no test ran: {told}");
    assert_eq!(others, [""; 0], "the router's log:\n{}", router.log());
    assert_eq!(fake.violations(), [], "what the provider was sent");
}
