//! `hr auth`

use std::fs;
use std::process::Stdio;

use crate::scene::{Scene, mode};

#[test]
fn keys_are_stored_counted_and_never_shown() {
    let scene = Scene::new();
    let said = scene.run_with("auth add groq", "gsk_first_aaa111\n gsk_second_bbb222 , gsk_first_aaa111\n\n");
    said.well(&["Added 2 keys for groq: …aaa111, …bbb222", "Already stored: …aaa111", "groq now has 2 keys"])
        .never("gsk_first")
        .never("gsk_second");
    assert_eq!(mode(&scene.path("auth.json")), 0o600);
    assert_eq!(mode(&scene.path("install.key")), 0o600);
    assert_eq!(mode(&scene.path("")), 0o700);
    let stored: serde_json::Value = serde_json::from_str(&scene.read("auth.json")).unwrap();
    assert_eq!(stored["providers"]["groq"], serde_json::json!(["gsk_first_aaa111", "gsk_second_bbb222"]));
    scene.run("auth list").well(&["…aaa111", "credentials file", "2 keys in all", "auth.json"]).never("gsk_");
}

#[test]
fn a_provider_is_known_by_its_other_names_whatever_the_case() {
    let scene = Scene::new();
    scene.run_with("auth add Google", "AIza-123456").well(&["for gemini"]);
    scene.run_with("auth add Z.AI", "zai-123456").well(&["for zai"]);
    scene.run_with("auth add GROQ", "gsk-123456").well(&["for groq"]);
}

#[test]
fn an_unknown_provider_is_refused_with_suggestions() {
    let scene = Scene::new();
    scene.run_with("auth add grok", "x").refused(&[
        "unknown provider `grok`",
        "did you mean `groq`?",
        "gemini",
    ]);
    scene.run_with("auth add", "x").refused(&["no provider was named", "gemini"]);
    assert!(!scene.path("auth.json").exists());
}

#[test]
fn a_key_is_no_argument() {
    let scene = Scene::new();
    scene.run("auth add groq gsk_canary_1").refused(&["not taken as an argument", "hint:"]).never("canary");
    scene.run("auth add groq --key=gsk_canary_1").refused(&[]).never("canary");
    assert!(!scene.path("auth.json").exists());
}

#[test]
fn nothing_given_adds_nothing() {
    let scene = Scene::new();
    scene.run_with("auth add groq", " \n,\n").refused(&["no key was given"]);
    scene.run_with("auth add groq", "gsk with\tcontrol").refused(&["no request can carry"]).never("gsk");
    assert!(!scene.path("auth.json").exists());
}

#[test]
fn it_says_who_has_no_use_for_a_key_or_is_not_called() {
    let scene = Scene::new();
    scene.run_with("auth add local", "x").refused(&["needs no key", "LOCAL_BASE_URL", "LOCAL_API_KEY"]);
    scene.run_with("auth add codex", "x").refused(&["accounts", "hr auth login codex", "import-codex"]);
    scene.run_with("auth add anthropic", "sk-ant-123456").well(&["Added 1 key"]).never("not available yet");
    scene
        .run_with("auth add github_models", "ghp-123456")
        .well(&["Added 1 key"])
        .also("GITHUB_MODELS_BASE_URL");
}

#[test]
fn a_subscriptions_token_is_no_key() {
    let scene = Scene::new();
    let refused = scene.run_with("auth add anthropic", "sk-ant-api03-canary\nsk-ant-oat01-canary\n");
    refused.refused(&["sk-ant-oat", "subscription", "hint:"]).never("canary");
    assert!(!scene.path("auth.json").exists());
    scene.run_with("auth add claude", "sk-ant-api03-123456").well(&["Added 1 key for anthropic"]);
}

#[test]
fn an_owner_is_kept_with_its_keys() {
    let scene = Scene::new();
    scene.run_with("auth add groq", "gsk-111111").well(&[]).never("quota");
    let said = scene.run_with("auth add groq --owner my-project", "gsk-111111\ngsk-222222");
    said.well(&["Already stored: …111111", "Added 1 key", "quota is that of `my-project`"]);
    scene.run_with("auth add groq", "gsk-333333").well(&[]);
    let list = scene.run("auth list --json").well(&[]).never("gsk-").json();
    assert_eq!(list["total"], 3);
    let groq =
        list["providers"].as_array().unwrap().iter().find(|entry| entry["provider"] == "groq").unwrap();
    let owners: Vec<_> = groq["keys"].as_array().unwrap().iter().map(|key| key["owner"].as_str()).collect();
    assert_eq!(owners, [Some("my-project"), Some("my-project"), None]);
    scene.run_with("auth add groq --owner=", "gsk-444444").refused(&["owner"]);
}

#[test]
fn keys_of_the_environment_are_listed_with_their_source() {
    let scene = Scene::new().with("GROQ_API_KEY", "gsk_from_environment");
    scene.write(".env", "GEMINI_API_KEYS=AIza_canary_1,AIza_canary_2\n");
    scene
        .run("auth list")
        .well(&["`GROQ_API_KEY` in the environment", "`GEMINI_API_KEYS` in .env", "3 keys in all"])
        .never("canary")
        .never("gsk_from");
    scene
        .run("auth remove groq")
        .refused(&["no key of `groq` is stored", "`GROQ_API_KEY` in the environment"]);
}

#[test]
fn keys_are_removed_by_their_end() {
    let scene = Scene::new();
    scene.run("auth remove groq").refused(&["no key of `groq` is stored"]);
    scene.run_with("auth add groq", "gsk-x-same11\ngsk-y-same11\ngsk-z-other2").well(&[]);
    scene.run("auth remove groq").refused(&["several keys", "…same11", "…other2"]);
    scene.run("auth remove groq same11").refused(&["several keys"]);
    scene.run("auth remove groq nothere").refused(&["no stored key of `groq` ends"]);
    scene.run("auth remove groq gsk-q-canary-key").refused(&["ends so"]).never("canary");
    scene.run("auth remove groq x-same11").well(&["Removed 1 key of groq: …same11", "2 keys left"]);
    scene.run("auth remove groq other2 --yes").well(&["1 key left"]);
    scene.run("auth remove groq").well(&["0 keys left"]);
    scene.run_with("auth add groq", "gsk-1\ngsk-2").well(&[]);
    scene.run("auth remove groq --all").well(&["Removed 2 keys", "0 keys left"]);
}

#[test]
fn what_is_not_ours_in_the_file_stays() {
    let scene = Scene::new();
    let before = r#"{"codex_accounts": [{"account_id": "a", "refresh_token": "r", "x": 1.50}], "other": {"deep": [1e400]},
        "proxy_keys": {"sk-router-x": {"name": "me", "rpm": 3}}, "providers": {"gemini": ["AIza-1"]}}"#;
    scene.write("auth.json", before);
    scene.run_with("auth add groq", "gsk-123456").well(&[]);
    let after = scene.read("auth.json");
    for kept in [
        r#"{"account_id": "a", "refresh_token": "r", "x": 1.50}"#,
        "1e400",
        r#""rpm": 3"#,
        "AIza-1",
        "gsk-123456",
    ] {
        assert!(after.contains(kept), "`{kept}` is gone: {after}");
    }
    assert_eq!(scene.read("auth.json.bak"), before);
    assert_eq!(mode(&scene.path("auth.json.bak")), 0o600);
}

#[test]
fn a_corrupt_file_is_named_and_left_alone() {
    for corrupt in
        ["{\"providers\": {\"groq\": [\"gsk_canary", "", "[]", "{\"providers\": {\"groq\": \"gsk_canary\"}}"]
    {
        let scene = Scene::new();
        scene.write("auth.json", corrupt);
        for command in
            ["auth add groq", "auth remove groq --all", "auth list", "config check", "start --port 0"]
        {
            scene.run_with(command, "gsk-123456").refused(&["auth.json"]).never("canary");
        }
        assert_eq!(scene.read("auth.json"), corrupt);
    }
    let scene = Scene::new();
    scene.write("auth.json", "{\"providers\": {");
    let copy = scene.path("auth.json.bak").display().to_string();
    scene.run("auth list").refused(&[&format!("put the last good copy in its place: `{copy}`")]);
}

#[test]
fn twenty_at_once_lose_nothing() {
    const AT_ONCE: usize = 20;
    let scene = Scene::new();
    let children: Vec<_> = (0..AT_ONCE)
        .map(|number| {
            let input = scene.path("").with_file_name(format!("key-{number}"));
            fs::write(&input, format!("gsk-number-{number:06}\n")).unwrap();
            let input = fs::File::open(input).unwrap();
            scene.command("auth add groq").stdin(input).stdout(Stdio::null()).spawn().unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let list = scene.run("auth list --json").well(&[]).json();
    assert_eq!(list["total"], AT_ONCE);
    let tails: std::collections::BTreeSet<String> = list["providers"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|entry| entry["keys"].as_array().unwrap())
        .map(|key| key["tail"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(tails, (0..AT_ONCE).map(|number| format!("{number:06}")).collect());
}

#[test]
fn another_credentials_file_may_be_named() {
    let scene = Scene::new();
    scene.write(".env", "ROUTER_AUTH_FILE=deeper/keys.json\n");
    scene.run_with("auth add groq", "gsk-123456").well(&["deeper/keys.json"]);
    assert_eq!(mode(&scene.path("deeper/keys.json")), 0o600);
    assert!(!scene.path("auth.json").exists());
    scene.run("config path").well(&["deeper/keys.json"]);
}
