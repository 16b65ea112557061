//! Real clients against the real binary: OpenAI's SDKs for Python and Node, over fake cloud providers and over
//! a real llama.cpp server. What must hold for a caller is in `tests/clients/openai_python.py` and
//! `openai_node.mjs`; here is what they run against.
//!
//! Where Python or Node is missing, or their packages cannot be had, a test says so and passes; with
//! `HR_REQUIRE_CLIENTS=1` it fails.

#![allow(clippy::unwrap_used)] // A test that cannot be set up has failed.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;

use hermes_router::files::running;
use hr_testkit::{Answer, Behaviour, Ending, Fake, Hint, Match, Quota, Refusal, Script, Strictness};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// The access key of the routers here.
const ACCESS_KEY: &str = "sk-router-client-tests";
/// How long the router, or the llama.cpp server, may take to start on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long all checks of a scene may take on a busy machine.
const SCENE_LIMIT: Duration = Duration::from_secs(300);
/// How often a starting router is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// A wait that no retry of an SDK outlasts.
const LONG: Duration = Duration::from_secs(3600);

#[tokio::test(flavor = "multi_thread")]
async fn openai_python_over_a_pool_that_runs_dry() {
    over_pool(Sdk::Python).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn openai_node_over_a_pool_that_runs_dry() {
    over_pool(Sdk::Node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn openai_python_in_trouble() {
    over_trouble(Sdk::Python).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn openai_node_in_trouble() {
    over_trouble(Sdk::Node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn openai_python_over_llama_cpp() {
    over_llama(Sdk::Python).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn openai_node_over_llama_cpp() {
    over_llama(Sdk::Node).await;
}

/// A client library, and the language that it needs.
#[derive(Clone, Copy, Debug)]
enum Sdk {
    Python,
    Node,
}

/// `sick` always fails, `dry` has a small quota per key, `steady` serves; `tools`, which costs money and so comes
/// last, calls a tool whatever is asked.
async fn over_pool(sdk: Sdk) {
    let Some(folder) = prepared(sdk) else { return };
    let out_of_order = Refusal::new(503, "server_error", "", "out of order");
    let sick = Fake::start(Script::new().otherwise(out_of_order)).await.unwrap();
    let quota = Quota::new(Hint::RetryAfterSeconds).requests(3, LONG);
    let dry = Fake::start(Script::new().quota(Match::any(), quota).strict(Strictness::new())).await.unwrap();
    let steady = Fake::start(Script::new().strict(Strictness::new())).await.unwrap();
    let weather = Answer::tool("get_weather", r#"{"city":"Oslo"}"#);
    let tools = Fake::start(Script::new().otherwise(weather).strict(Strictness::new())).await.unwrap();

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
    router.run(sdk, &folder, "pool").await;

    for (name, fake) in [("sick", &sick), ("dry", &dry), ("steady", &steady), ("tools", &tools)] {
        assert!(!fake.calls().is_empty(), "`{name}` was not called");
        assert_eq!(fake.violations(), [], "what `{name}` was sent");
    }
}

/// `limited` is out for an hour, `broken` is broken, `cut` breaks off in the middle of every answer.
async fn over_trouble(sdk: Sdk) {
    let Some(folder) = prepared(sdk) else { return };
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
    router.run(sdk, &folder, "trouble").await;
}

/// The `local` provider for chat; a file in `providers.d/` for the server that embeds.
async fn over_llama(sdk: Sdk) {
    let Some(folder) = prepared(sdk) else { return };
    // The server is a Python package, whichever SDK calls it.
    let Some(python) = prepared(Sdk::Python) else { return };
    let mut server = Command::new(python.join("bin/python"))
        .arg(sources().join("llama_server.py"))
        // It serves until its standard input ends.
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let ready =
        tokio::time::timeout(START_LIMIT, lines.next_line()).await.expect("llama.cpp did not start in time");
    let ready = ready
        .unwrap()
        .expect("llama.cpp did not start: run tests/clients/llama_server.py by hand to see why");
    let addresses: Value = serde_json::from_str(&ready).unwrap();

    let mut home = Home::new();
    home.set("LOCAL_BASE_URL", addresses["chat"].as_str().unwrap());
    home.set("LOCAL_MODEL", "made-up-chat");
    let embedder = "auth = \"none\"\nlocal = true\n[embedding]\nmodel = \"made-up-embed\"\n";
    home.provider_at("embedder", addresses["embeddings"].as_str().unwrap(), embedder);
    let router = home.start().await;
    router.run(sdk, &folder, "llama").await;
}

/// A home with settings and providers in it, before a router runs from there.
struct Home {
    folder: TempDir,
    environment: Vec<(String, String)>,
}

impl Home {
    fn new() -> Home {
        let mut home = Home { folder: tempfile::tempdir().unwrap(), environment: Vec::new() };
        std::fs::create_dir(home.folder.path().join("providers.d")).unwrap();
        home.set("HR_HOME", home.folder.path().to_str().unwrap().to_owned());
        home.set("PORT", "0");
        home.set("PROXY_API_KEYS", ACCESS_KEY);
        home
    }

    fn set(&mut self, name: &str, value: impl Into<String>) {
        self.environment.push((name.to_owned(), value.into()));
    }

    /// Adds a provider that a fake plays; `rest` is the rest of its file.
    fn provider(&self, id: &str, fake: &Fake, rest: &str) {
        self.provider_at(id, &fake.base_url(), rest);
    }

    fn provider_at(&self, id: &str, base_url: &str, rest: &str) {
        let text = format!("id = \"{id}\"\nbase_url = \"{base_url}\"\n{rest}");
        std::fs::write(self.folder.path().join("providers.d").join(format!("{id}.toml")), text).unwrap();
    }

    /// Starts the real binary, and returns once it listens.
    async fn start(self) -> Running {
        let log = self.folder.path().join("log.txt");
        let mut process = Command::new(env!("CARGO_BIN_EXE_hr"))
            .arg("start")
            // Nothing of whoever runs the tests: neither keys nor addresses.
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let pid_file = self.folder.path().join("router.pid");
        let listening = async {
            loop {
                if let Some(running) = running::find(&pid_file).unwrap() {
                    return Ok(running.address);
                }
                if let Some(status) = process.try_wait().unwrap() {
                    return Err(status);
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        match tokio::time::timeout(START_LIMIT, listening).await {
            Ok(Ok(address)) => {
                Running { address: format!("http://{address}/v1"), _process: process, log, _home: self }
            }
            other => {
                panic!("the router did not start: {other:?}\n{}", std::fs::read_to_string(&log).unwrap())
            }
        }
    }
}

/// A router that runs; it ends with this value.
struct Running {
    address: String,
    _process: Child,
    log: PathBuf,
    _home: Home,
}

impl Running {
    /// Runs all checks of a scene, a line each.
    async fn run(&self, sdk: Sdk, folder: &Path, scene: &str) {
        let mut command = match sdk {
            Sdk::Python => {
                let mut command = Command::new(folder.join("bin/python"));
                command.arg(sources().join("openai_python.py"));
                command
            }
            Sdk::Node => {
                let mut command = Command::new("node");
                command.arg(sources().join("openai_node.mjs")).env("HR_NODE_MODULES", folder);
                command
            }
        };
        let mut child = command
            .arg(scene)
            .env("HR_BASE_URL", &self.address)
            .env("HR_API_KEY", ACCESS_KEY)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            // Loopback is not to be looked for behind somebody's proxy.
            .env("NO_PROXY", "127.0.0.1")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let checks = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                say(&format!("{sdk:?}, {scene}: {line}"));
            }
            child.wait().await.unwrap()
        };
        let status = tokio::time::timeout(SCENE_LIMIT, checks).await.expect("the checks did not end in time");
        assert!(status.success(), "{sdk:?}, {scene}: a check failed; the router's log:\n{}", self.log());
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// The folder that holds an SDK; `None`, with a word on why, when it cannot be had here.
fn prepared(sdk: Sdk) -> Option<PathBuf> {
    static PYTHON: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    static NODE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    // Once for all tests of this run: two installations into one folder would be in each other's way.
    let found = match sdk {
        Sdk::Python => PYTHON.get_or_init(|| prepare("python", &["python3"])),
        Sdk::Node => NODE.get_or_init(|| prepare("node", &["node", "npm"])),
    };
    match found {
        Ok(folder) => Some(folder.clone()),
        Err(reason) if std::env::var_os("HR_REQUIRE_CLIENTS").is_some_and(|value| value == "1") => {
            panic!("HR_REQUIRE_CLIENTS is set, and {reason}")
        }
        Err(reason) => {
            say(&format!("{sdk:?}: SKIPPED: {reason}"));
            None
        }
    }
}

/// Installs a part of the clients below the target folder, unless it is there.
fn prepare(part: &str, programs: &[&str]) -> Result<PathBuf, String> {
    for program in programs {
        let answers = run(program, &[OsStr::new("--version")]);
        answers.map_err(|_| format!("there is no `{program}` on this machine"))?;
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().ok_or("there is no target folder")?;
    let folder = target.join("clients");
    run(sources().join("prepare.sh"), &[OsStr::new(part), folder.as_os_str()])
        .map_err(|reason| format!("`tests/clients/prepare.sh {part}` failed: {reason}"))?;
    Ok(folder.join(part))
}

/// Runs a program to its end; the line that tells most when it fails.
fn run(program: impl AsRef<OsStr>, arguments: &[&OsStr]) -> Result<(), String> {
    let output =
        std::process::Command::new(program).args(arguments).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let telling = said.lines().find(|line| line.to_lowercase().contains("error"));
    Err(telling.or(said.lines().next_back()).unwrap_or("no reason given").to_owned())
}

/// The folder of the scripts.
fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients")
}

/// Says something also when the test passes: cargo holds back what the printing macros print.
fn say(line: &str) {
    // Nobody reads it when standard error is closed.
    let _ = writeln!(std::io::stderr(), "clients: {line}");
}
