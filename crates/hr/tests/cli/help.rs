//! What it says of itself.

use crate::scene::Scene;

#[test]
fn without_a_command_it_helps() {
    let scene = Scene::new();
    let help = scene.run("").well(&["First steps", "hr auth add", "Commands:", "providers"]);
    assert_eq!(help.err, "");
    scene.run("help auth add").well(&["Examples:", "standard input", "--owner"]);
    scene.run("auth add --help").well(&["Examples:"]);
    scene.run("-h").well(&["Commands:"]);
}

#[test]
fn the_version_has_the_original_form() {
    let scene = Scene::new();
    let expected = format!("hermes-router {}\n", env!("CARGO_PKG_VERSION"));
    for arguments in ["version", "--version", "-v", "-V"] {
        assert_eq!(scene.run(arguments).well(&[]).out, expected);
    }
}

#[test]
fn an_unknown_command_is_an_error_with_usage() {
    let scene = Scene::new();
    let said = scene.run("frobnicate").refused(&["frobnicate", "Usage: hr"]);
    assert_eq!(said.out, "");
    scene.run("stauts").refused(&["'status'"]);
    scene.run("auth").refused(&["add", "list", "remove"]);
    scene.run("start --port many").refused(&["many"]);
}

#[test]
fn completions_and_manual_come_from_the_same_definition() {
    let scene = Scene::new();
    for shell in ["bash", "zsh", "fish"] {
        scene.run(&format!("completions {shell}")).well(&["completions", "restart"]);
    }
    scene.run("man").well(&[".TH hr 1", "HR AUTH ADD", "password store"]);
    assert!(!scene.path("").exists(), "help leaves nothing behind");
}

#[test]
fn a_reader_that_goes_away_is_not_an_error() {
    let scene = Scene::new();
    let mut child = scene
        .command("man")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("it starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn providers_are_a_table_and_data() {
    let scene = Scene::new();
    scene.run("providers").well(&[
        "gemini",
        "GEMINI_API_KEY",
        "https://aistudio.google.com/",
        "github_models",
        "retired",
    ]);
    let rows = scene.run("providers --json").well(&[]).json();
    let find = |id: &str| rows.as_array().unwrap().iter().find(|row| row["id"] == id).unwrap().clone();
    assert_eq!(find("groq")["status"], "not_set_up");
    assert_eq!(find("github_models")["status"], "retired");
    assert_eq!(find("codex")["status"], "not_set_up");
    scene.run_with("auth add groq", "gsk_abcdef").well(&[]);
    scene.write(
        ".env",
        "LOCAL_MODEL=some\nGITHUB_MODELS_BASE_URL=https://models.example/v1\nGITHUB_MODELS_TOKEN=t-12345\n",
    );
    let rows = scene.run("providers --json").well(&[]).json();
    let status =
        |id: &str| rows.as_array().unwrap().iter().find(|row| row["id"] == id).unwrap()["status"].clone();
    assert_eq!(
        (status("groq"), status("local"), status("github_models")),
        ("ready".into(), "ready".into(), "ready".into())
    );
}

#[test]
fn a_provider_that_may_not_be_called_is_not_ready() {
    let scene = Scene::new();
    let status = |env: &str| {
        scene.write(".env", env);
        let rows = scene.run("providers --json").well(&[]).json();
        let row = rows.as_array().unwrap().iter().find(|row| row["id"] == "openai").unwrap().clone();
        (row["status"].as_str().unwrap().to_owned(), row["base_url"].as_str().unwrap().to_owned())
    };
    let ours = "http://localhost:8319/v1";
    assert_eq!(status(&format!("OPENAI_API_KEY=k-1\nOPENAI_BASE_URL={ours}\n")), ("off".into(), ours.into()));
    scene.run("providers").well(&["openai: `OPENAI_BASE_URL` leads back to this router"]);
    assert_eq!(status("PROXY_API_KEYS=k-1\nOPENAI_API_KEY=k-1\n").0, "off", "an access key of ours");
    let other = "http://localhost:9/v1";
    assert_eq!(
        status(&format!("OPENAI_API_KEY=k-1\nOPENAI_BASE_URL={other}\n")),
        ("ready".into(), other.into())
    );
    assert_eq!(status("OPENAI_API_KEY=k-1\nPORT=many\n").0, "ready", "while something else is wrong");
}

#[test]
fn a_users_own_provider_may_speak_any_dialect() {
    let scene = Scene::new().with("MINE_API_KEY", "key-123456");
    for dialect in ["openai_chat", "openai_responses", "anthropic"] {
        let file = format!(
            "id = \"mine\"\nbase_url = \"http://127.0.0.1:9/v1\"\ndialect = \"{dialect}\"\n[[model]]\nid = \"m\"\n"
        );
        scene.write("providers.d/mine.toml", &file);
        scene.run("config check").well(&["1 provider to call"]);
    }
}

#[test]
fn a_users_own_provider_is_one_of_them_and_a_bad_one_is_named() {
    let scene = Scene::new();
    scene.write("providers.d/mine.toml", "id = \"mine\"\nbase_url = \"http://127.0.0.1:9/v1\"\n");
    scene.run("providers").well(&["mine"]);
    scene.run_with("auth add mine", "key-123456").well(&["…123456"]);
    scene.write("providers.d/mine.toml", "id = \"mine\"\nbase_ulr = \"http://127.0.0.1:9/v1\"\n");
    scene.run("providers").refused(&["mine.toml:2", "base_ulr", "did you mean `base_url`?"]);
}
