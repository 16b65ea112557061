//! `hr connect`: what it prints can be used as it is, and never holds the key unasked.

use std::process::Command;

use crate::scene::Scene;

const KEY: &str = "sk-router-canary-0123456789";

fn set_up() -> Scene {
    let scene = Scene::new();
    scene.write(".env", &format!("PROXY_API_KEYS={KEY}\nPORT=8787\n"));
    scene
}

/// The variables that a shell has after this text; the program's own folder is in the `PATH`.
fn after(scene: &Scene, text: &str, variables: &[&str]) -> Vec<String> {
    let wanted: Vec<String> = variables.iter().map(|name| format!("\"${{{name}-unset}}\"")).collect();
    let script = format!("{text}\nprintf '%s\\n' {}", wanted.join(" "));
    let folder = std::path::Path::new(env!("CARGO_BIN_EXE_hr")).parent().unwrap().display().to_string();
    let output = Command::new("sh")
        .args(["-eu", "-c", &script])
        .env_clear()
        .env("HR_HOME", scene.path(""))
        .env("PATH", format!("{folder}:{}", std::env::var("PATH").unwrap_or_default()))
        .env("ANTHROPIC_API_KEY", "somebody-elses")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn all_programs_are_listed_and_a_slip_is_corrected() {
    let scene = set_up();
    scene.run("connect").well(&["claude-code", "codex", "opencode", "aider", "openai", "anthropic"]);
    let rows = scene.run("connect --json").well(&[]).json();
    assert_eq!(rows.as_array().unwrap().len(), 6);
    scene.run("connect claude-cod").refused(&["claude-cod", "'claude-code'"]);
    scene.run("connect claude").well(&["ANTHROPIC_BASE_URL"]);
    scene.run("completions bash").well(&["claude-code"]);
    scene.run("help connect").well(&["Examples:", "hr connect codex"]);
}

#[test]
fn nothing_holds_the_key_unless_that_is_asked_for() {
    let scene = set_up();
    for program in ["claude-code", "codex", "opencode", "aider", "openai", "anthropic"] {
        scene.run(&format!("connect {program}")).well(&["hr connect --key", ":8787"]).never(KEY);
        scene.run(&format!("connect {program} --json")).well(&["\"access_key\": null"]).never(KEY);
        scene.run(&format!("connect {program} --reveal")).well(&[&format!("export HERMES_API_KEY={KEY}")]);
        let revealed = scene.run(&format!("connect {program} --json --reveal")).well(&[]).json();
        assert_eq!((&revealed["access_key"], &revealed["running"]), (&KEY.into(), &false.into()));
    }
    assert_eq!(scene.run("connect --key").well(&[]).out, format!("{KEY}\n"));
    scene.run("connect --key codex").refused(&["cannot be used with"]);
}

#[test]
fn a_shell_has_what_the_claude_client_needs() {
    let scene = set_up();
    let said = scene.run("connect claude-code").well(&[]).also("no router runs");
    let names = [
        "ANTHROPIC_BASE_URL",
        "ANTHROPIC_AUTH_TOKEN",
        "ANTHROPIC_MODEL",
        "ANTHROPIC_DEFAULT_HAIKU_MODEL",
        "ANTHROPIC_SMALL_FAST_MODEL",
        "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY",
        "ANTHROPIC_API_KEY",
    ];
    let expected = [
        "http://127.0.0.1:8787",
        KEY,
        "hermes-router",
        "hermes-router:fast",
        "hermes-router:fast",
        "1",
        "unset",
    ];
    assert_eq!(after(&scene, &said.out, &names), expected);
}

#[test]
fn a_shell_has_what_sdks_and_aider_need() {
    let scene = set_up();
    for (program, names, expected) in [
        ("openai", ["OPENAI_BASE_URL", "OPENAI_API_KEY"], ["http://127.0.0.1:8787/v1", KEY]),
        ("anthropic", ["ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY"], ["http://127.0.0.1:8787", KEY]),
        ("aider", ["OPENAI_API_BASE", "OPENAI_API_KEY"], ["http://127.0.0.1:8787/v1", KEY]),
        ("aider", ["AIDER_MODEL", "AIDER_WEAK_MODEL"], ["openai/hermes-router", "openai/hermes-router:fast"]),
    ] {
        for reveal in ["", " --reveal"] {
            let said = scene.run(&format!("connect {program}{reveal}")).well(&[]);
            assert_eq!(after(&scene, &said.out, &names), expected, "{program}{reveal}");
        }
    }
}

#[test]
fn the_codex_file_is_the_documented_one() {
    let scene = set_up();
    let piece = scene.run("connect codex --json").well(&[]).json()["steps"][0].clone();
    assert_eq!((&piece["file"], &piece["format"]), (&"~/.codex/config.toml".into(), &"toml".into()));
    let expected = "model = \"hermes-router\"\nmodel_provider = \"hermes\"\n\n[model_providers.hermes]\n\
                    name = \"hermes-router\"\nbase_url = \"http://127.0.0.1:8787/v1\"\nwire_api = \"responses\"\n\
                    env_key = \"HERMES_API_KEY\"\nrequires_openai_auth = false\n";
    assert_eq!(piece["text"], expected);
    let said = scene.run("connect codex").well(&[expected]);
    let (before, _) = said.out.split_once("\n# In your shell").expect("the shell comes after the file");
    assert!(before.contains(expected));
}

#[test]
fn the_opencode_file_is_json_with_a_provider() {
    let scene = Scene::new();
    scene.write(".env", "PROXY_API_KEYS=k-1\nROUTER_MODEL_ID=my-pool\nHOST=0.0.0.0\n");
    let said = scene.run("connect opencode --json").well(&[]).json();
    let file: serde_json::Value = serde_json::from_str(said["steps"][0]["text"].as_str().unwrap()).unwrap();
    let provider = &file["provider"]["hermes"];
    assert_eq!(provider["npm"], "@ai-sdk/openai-compatible");
    assert_eq!(provider["options"]["baseURL"], "http://127.0.0.1:8319/v1");
    assert_eq!(provider["options"]["apiKey"], "{env:HERMES_API_KEY}");
    assert!(provider["models"]["my-pool"].is_object() && provider["models"]["my-pool:fast"].is_object());
    assert_eq!(
        (&file["model"], &file["small_model"]),
        (&"hermes/my-pool".into(), &"hermes/my-pool:fast".into())
    );
}

#[test]
fn without_a_key_it_says_where_one_comes_from() {
    let scene = Scene::new();
    scene.run("connect codex").well(&["hr connect --key"]).also("`hr start` makes one");
    scene.run("connect --key").refused(&["no access key yet", "hr start"]);
    scene.run("connect codex --reveal").refused(&["no access key yet"]);
}

#[test]
fn the_manual_shows_what_it_prints() {
    let scene = Scene::new();
    let manual = include_str!("../../../../docs/agents.md");
    for program in ["claude-code", "codex", "opencode", "aider", "openai", "anthropic"] {
        let said = scene.run(&format!("connect {program} --json")).well(&[]).json();
        for piece in said["steps"].as_array().unwrap() {
            let text = piece["text"].as_str().unwrap();
            assert!(manual.contains(text), "docs/agents.md lacks, for {program}:\n{text}");
        }
    }
}
