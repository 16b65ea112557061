//! Coding agents do a turn of work through the router: they are told to call tools, call them, and say what came
//! of it. They run as a user runs them, but in a home of their own and without a network.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use hr_testkit::{Answer, Fake, Match, Script};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::installed::{Part, folder};
use crate::router::{ACCESS_KEY, Home, Router};
use crate::upstream::Upstream;

/// How long a turn may take on a busy machine.
const TURN_LIMIT: Duration = Duration::from_secs(180);
/// What the tools find, each in a file of its own. The provider says so only when it was told.
const FINDS: [&str; 2] = ["heron-7391", "plover-5520"];
/// What the agent says at the end.
const CONCLUSION: &str = "The birds are a heron and a plover.";
/// What the agent is asked.
const QUESTION: &str = "Which birds are in the files here?";

#[tokio::test(flavor = "multi_thread")]
async fn claude_code_over_chat() {
    claude_code(Upstream::Chat).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn claude_code_over_anthropic() {
    claude_code(Upstream::Anthropic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn claude_code_over_codex() {
    claude_code(Upstream::Codex).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn codex_cli_over_chat() {
    codex_cli(Upstream::Chat).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn codex_cli_over_anthropic() {
    codex_cli(Upstream::Anthropic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn codex_cli_over_codex() {
    codex_cli(Upstream::Codex).await;
}

/// A folder with the files, in which an agent works.
fn workplace() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("one.txt"), format!("{}\n", FINDS[0])).unwrap();
    std::fs::write(folder.path().join("two.txt"), format!("{}\n", FINDS[1])).unwrap();
    folder
}

/// Two tools at once in print mode, the one with a command and the other with a path.
async fn claude_code(upstream: Upstream) {
    let Some(node) = folder(Part::Node) else { return };
    let work = workplace();
    let path = work.path().join("two.txt").canonicalize().unwrap();
    let look = json!({ "command": "cat one.txt", "description": "Look into the first file" }).to_string();
    let read = json!({ "file_path": path }).to_string();
    let tools =
        Answer::text("I look.").and_tool("call_look", "Bash", &look).and_tool("call_read", "Read", &read);
    let [one, _] = FINDS;
    let script = Script::new()
        .always(Match::any().and_offering("Bash").and_answered(false), tools)
        .always(Match::any().and_answered(true).and_saying(one), Answer::text(CONCLUSION))
        .otherwise(Answer::text("Nothing to do."));
    let mut home = Home::new();
    let fake = upstream.start(&mut home, script).await;
    let router = home.start().await;

    let config = tempfile::tempdir().unwrap();
    let mut command = agent(node.join("bin/claude"), &work, &config);
    command
        .args(["--print", QUESTION, "--output-format", "json", "--allowedTools", "Bash", "Read"])
        .env("CLAUDE_CONFIG_DIR", config.path())
        .env("ANTHROPIC_BASE_URL", &router.address)
        .env("ANTHROPIC_AUTH_TOKEN", ACCESS_KEY)
        .env("ANTHROPIC_MODEL", "hermes-router")
        .env("ANTHROPIC_DEFAULT_HAIKU_MODEL", "hermes-router:fast")
        .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
        .env("DISABLE_AUTOUPDATER", "1");
    let told = run(command, &router).await;
    let answer: Value = serde_json::from_str(&told).unwrap_or_else(|error| panic!("{error}: {told}"));
    assert_eq!(answer["is_error"], false, "{answer:#}\n{}", router.log());
    assert_eq!(answer["result"], CONCLUSION, "{answer:#}\n{}", router.log());
    was_told_both(&fake);
}

/// A command, in exec mode.
async fn codex_cli(upstream: Upstream) {
    let Some(node) = folder(Part::Node) else { return };
    let work = workplace();
    let look = json!({ "cmd": "cat one.txt two.txt" }).to_string();
    let [one, _] = FINDS;
    let script = Script::new()
        .always(
            Match::any().and_offering("exec_command").and_answered(false),
            Answer::tool("exec_command", &look),
        )
        .always(Match::any().and_answered(true).and_saying(one), Answer::text(CONCLUSION))
        .otherwise(Answer::text("Nothing to do."));
    let mut home = Home::new();
    let fake = upstream.start(&mut home, script).await;
    let router = home.start().await;

    let config = tempfile::tempdir().unwrap();
    let settings = format!(
        "model = \"hermes-router\"\nmodel_provider = \"router\"\n\n[model_providers.router]\nname = \"router\"\n\
         base_url = \"{}\"\nwire_api = \"responses\"\nenv_key = \"ROUTER_KEY\"\nrequires_openai_auth = false\n",
        router.base_url()
    );
    std::fs::write(config.path().join("config.toml"), settings).unwrap();
    let mut command = agent(node.join("bin/codex"), &work, &config);
    command
        // Where the tests run there may be no room for a sandbox; the commands are those of the script above.
        .args([
            "exec",
            "--json",
            "--skip-git-repo-check",
            "--dangerously-bypass-approvals-and-sandbox",
            QUESTION,
        ])
        .env("CODEX_HOME", config.path())
        .env("ROUTER_KEY", ACCESS_KEY);
    let told = run(command, &router).await;
    let events: Vec<Value> = told.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let said = |kind: &str, field: &str| -> Vec<String> {
        let items =
            events.iter().filter(|event| event["type"] == "item.completed").map(|event| &event["item"]);
        let of_kind = items.filter(|item| item["type"] == kind);
        of_kind.map(|item| item[field].as_str().unwrap_or_default().to_owned()).collect()
    };
    let output = said("command_execution", "aggregated_output");
    assert_eq!(output, [format!("{}\n{}\n", FINDS[0], FINDS[1])], "{told}\n{}", router.log());
    assert_eq!(said("agent_message", "text"), [CONCLUSION], "{told}\n{}", router.log());
    assert!(events.iter().any(|event| event["type"] == "turn.completed"), "{told}");
    was_told_both(&fake);
}

/// An agent in this folder, with nothing of whoever runs the tests but the path to programs.
fn agent(program: PathBuf, work: &TempDir, home: &TempDir) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(work.path())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home.path())
        .env("NO_PROXY", "127.0.0.1")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Runs an agent to its end; what it printed.
async fn run(mut command: Command, router: &Router) -> String {
    let output = tokio::time::timeout(TURN_LIMIT, command.output())
        .await
        .unwrap_or_else(|_| panic!("the agent did not end in time; the router's log:\n{}", router.log()))
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {told}\n{complaint}\n{}", output.status, router.log());
    told
}

/// Whether the provider was told what both tools found, and was sent nothing that the real one would not take.
fn was_told_both(fake: &Fake) {
    assert_eq!(fake.violations(), [], "what the provider was sent");
    let calls = fake.calls();
    let told = |body: &[u8]| FINDS.iter().all(|find| String::from_utf8_lossy(body).contains(find));
    assert!(calls.iter().any(|call| told(&call.body)), "what the tools found did not get there");
}
