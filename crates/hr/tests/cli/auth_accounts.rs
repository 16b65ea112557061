//! `hr auth login`, `hr auth import-codex`, and accounts in the other commands.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::scene::{Scene, mode};

fn token(claims: &Value) -> String {
    format!("e30.{}.canary", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

/// What the provider's own program keeps of an account.
fn login(id: &str, email: &str, refresh: &str) -> String {
    let account = json!({ "chatgpt_account_id": id, "chatgpt_plan_type": "plus" });
    let claims = json!({ "exp": 1_900_000_000, "email": email, "https://api.openai.com/auth": account });
    json!({
        "auth_mode": "chatgpt",
        "OPENAI_API_KEY": null,
        "tokens": {
            "id_token": token(&claims),
            "access_token": token(&claims),
            "refresh_token": refresh,
            "account_id": id,
        },
        "last_refresh": "2026-11-20T08:00:00.123Z",
    })
    .to_string()
}

/// Where the program keeps its login unless it is told otherwise.
fn scene() -> Scene {
    let scene = Scene::new();
    let user = scene.path("user").display().to_string();
    scene.with("HOME", &user)
}

#[test]
fn a_login_is_imported_from_the_usual_place_and_listed() {
    let scene = scene();
    scene.write("user/.codex/auth.json", &login("acc-1", "a@example.com", "canary-1"));
    scene
        .run("auth import-codex")
        .well(&["Added the account a@example.com (plus) for codex", "codex now has 1 account"])
        .also("warning: codex")
        .also("the other copy is dead")
        .never("canary");
    assert_eq!(mode(&scene.path("auth.json")), 0o600);
    let stored: Value = serde_json::from_str(&scene.read("auth.json")).unwrap();
    let entry = &stored["codex_accounts"][0];
    assert_eq!((&entry["account_id"], &entry["refresh_token"]), (&json!("acc-1"), &json!("canary-1")));
    assert_eq!(entry["last_refresh"], "2026-11-20T08:00:00Z");
    scene
        .run("auth list")
        .well(&["a@example.com", "plus", "2030-03-17T17:46:40Z", "signed in"])
        .never("canary");
    let list = scene.run("auth list --json").well(&[]).never("canary").json();
    let codex =
        list["providers"].as_array().unwrap().iter().find(|entry| entry["provider"] == "codex").unwrap();
    let key = &codex["keys"][0];
    assert_eq!((&key["id"], &key["account"]["plan"]), (&json!("account:acc-1"), &json!("plus")));
    assert_eq!(key["account"]["login_needed"], Value::Null);
    // The original stays where it is.
    assert!(scene.read("user/.codex/auth.json").contains("canary-1"));
}

#[test]
fn other_places_are_named_by_flag_or_variable() {
    let scene = scene();
    scene.write("one/auth.json", &login("acc-1", "a@example.com", "r1"));
    scene.write("two.json", &login("acc-2", "b@example.com", "r2"));
    scene.write("three/auth.json", &login("acc-3", "c@example.com", "r3"));
    scene.run("auth import-codex --from home/one").well(&["a@example.com"]);
    scene.run("auth import-codex --from home/two.json --yes").well(&["b@example.com"]);
    let elsewhere = scene.path("three").display().to_string();
    let scene = scene.with("CODEX_HOME", &elsewhere);
    scene.run("auth import-codex").well(&["c@example.com", "3 accounts"]);
    let list = scene.run("auth list --json").well(&[]).json();
    assert_eq!(list["total"], 3);
}

#[test]
fn a_known_account_gets_new_tokens_and_loses_its_mark() {
    let scene = scene();
    scene.write(
        "auth.json",
        r#"{"codex_accounts": [{"account_id": "acc-1", "refresh_token": "old", "login_needed": "refresh_token_reused", "mine": 1.50}]}"#,
    );
    scene.run("auth list").well(&["acc-1", "log in again (refresh_token_reused)"]);
    scene.run("config check").well(&[]).also("the account `acc-1` of `codex` is signed out");
    scene.write("user/.codex/auth.json", &login("acc-1", "a@example.com", "new"));
    scene.run("auth import-codex").well(&["Stored new tokens", "1 account"]);
    let text = scene.read("auth.json");
    assert!(text.contains("1.50") && text.contains("\"new\"") && !text.contains("login_needed"), "{text}");
    scene.run("auth list").well(&["signed in"]);
}

#[test]
fn what_cannot_be_imported_says_what_to_do() {
    let scene = scene();
    let hint = "hr auth login codex";
    scene.run("auth import-codex").refused(&["there is no login in", ".codex/auth.json", hint, "keyring"]);
    for store in ["keyring", "auto"] {
        scene.write("user/.codex/config.toml", &format!("cli_auth_credentials_store = \"{store}\"\n"));
        scene.run("auth import-codex").refused(&[
            &format!("in the store `{store}`"),
            hint,
            "cli_auth_credentials_store = \"file\"",
        ]);
    }
    scene.write("user/.codex/auth.json", r#"{"OPENAI_API_KEY": "sk-canary"}"#);
    scene.run("auth import-codex").refused(&["API key", "hr auth add"]).never("canary");
    scene.write("user/.codex/auth.json", "{\"canary");
    scene.run("auth import-codex").refused(&["not a JSON object"]).never("canary");
    assert!(!scene.path("auth.json").exists());
}

#[test]
fn accounts_are_removed_by_name() {
    let scene = scene();
    for (id, email) in [("acc-1", "a@example.com"), ("acc-2", "b@example.com")] {
        scene.write("login.json", &login(id, email, "r"));
        scene.run("auth import-codex --from home/login.json").well(&[email]);
    }
    scene.run("auth remove codex").refused(&["several accounts", "a@example.com, b@example.com", "--all"]);
    scene.run("auth remove codex nobody").refused(&["no such account"]);
    scene
        .run("auth remove codex b@example.com")
        .well(&["Removed 1 account of codex: b@example.com", "1 account left"]);
    scene.run("auth remove chatgpt").well(&["Removed 1 account of codex: a@example.com", "0 accounts left"]);
    scene.run("auth remove codex --all").refused(&["no such account"]);
}

#[test]
fn accounts_of_one_person_are_told_apart_by_their_ids() {
    let scene = scene();
    for id in ["acc-1", "acc-2"] {
        scene.write("login.json", &login(id, "a@example.com", "r"));
        scene.run("auth import-codex --from home/login.json").well(&[]);
    }
    let both = "acc-1 (a@example.com), acc-2 (a@example.com)";
    scene.run("auth remove codex a@example.com").refused(&["several accounts", both]);
    scene.run("auth list").well(&["acc-1", "acc-2"]);
    scene.run("auth remove codex acc-2").well(&["Removed 1 account", "1 account left"]);
}

#[test]
fn a_terminal_is_told_nothing_that_it_would_obey() {
    let scene = scene();
    scene.write("user/.codex/auth.json", &login("acc-1", "a\u{1b}]0;owned\u{7}@example.com", "r"));
    scene.run("auth import-codex").well(&["acc-1"]).never("\u{1b}");
    scene.run("auth list").well(&["acc-1"]).never("\u{1b}");
}

/// A program of that name which says what it was told and signs in as this account.
fn program(scene: Scene, script: &str) -> Scene {
    let folder = scene.path("bin");
    scene.write("bin/codex", script);
    fs::set_permissions(folder.join("codex"), fs::Permissions::from_mode(0o755)).unwrap();
    scene.with("PATH", &format!("{}:/usr/bin:/bin", folder.display()))
}

#[test]
fn the_providers_program_signs_in_in_a_folder_of_its_own() {
    let scene = scene();
    scene.write("result.json", &login("acc-1", "a@example.com", "canary-1"));
    let result = scene.path("result.json").display().to_string();
    let told = scene.path("told").display().to_string();
    let scene = program(
        scene,
        &format!(
            "#!/bin/sh\necho \"$@\" > {told}\necho \"$CODEX_HOME\" >> {told}\n\
             cat \"$CODEX_HOME/config.toml\" >> {told}\nstat -c %a \"$CODEX_HOME\" >> {told}\n\
             cp {result} \"$CODEX_HOME/auth.json\"\n"
        ),
    );
    scene
        .run("auth login codex --device-auth")
        .well(&["Added the account a@example.com (plus) for codex"])
        .also("warning: codex")
        .never("canary");
    let told = scene.read("told");
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines[0], "login --device-auth");
    assert!(lines[1].starts_with(&scene.path("").display().to_string()), "{told}");
    assert_eq!(lines[2..], ["cli_auth_credentials_store = \"file\"", "700"]);
    assert!(!fs::exists(lines[1]).unwrap(), "nothing is shared");
    // Again is a new login of the same account.
    scene.run("auth login codex --yes").well(&["Stored new tokens", "1 account"]);
    let left = fs::read_dir(scene.path("")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(left.into_iter().all(|name| !name.to_string_lossy().contains("login-")));
}

#[test]
fn a_login_that_fails_stores_nothing() {
    let missing = scene().with("PATH", "/nowhere");
    missing.run("auth login codex").refused(&["`codex` is not installed", "npm install"]);
    let failing = program(scene(), "#!/bin/sh\nexit 3\n");
    failing.run("auth login codex").refused(&["did not sign in", "3"]);
    let idle = program(scene(), "#!/bin/sh\nexit 0\n");
    idle.run("auth login codex").refused(&["has left no login"]);
    idle.run("auth login groq").refused(&["signs in with keys", "hr auth add groq"]);
    idle.run("auth login").refused(&["no provider was named"]);
    for scene in [missing, failing, idle] {
        assert!(!scene.path("auth.json").exists());
    }
}

#[test]
fn nobody_signs_in_for_nothing() {
    let scene = scene();
    let asked = scene.path("asked").display().to_string();
    let scene = program(scene, &format!("#!/bin/sh\ntouch {asked}\n"));
    scene.write("auth.json", "{\"canary");
    scene.run("auth login codex").refused(&["auth.json", "not valid JSON"]).never("canary");
    assert!(!scene.path("asked").exists());
}

/// The folders of logins.
fn folders(scene: &Scene) -> Vec<PathBuf> {
    let entries = fs::read_dir(scene.path("")).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.display().to_string().contains(".codex-login-")).collect()
}

/// A program that writes a login and then waits for ever, started and waited for until it has.
fn hanging(scene: &Scene) -> Child {
    let child =
        scene.command("auth login codex").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    while !folders(scene).iter().any(|folder| folder.join("auth.json").exists()) {
        assert!(began.elapsed() < Duration::from_secs(60), "the program does not sign in");
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

/// What a program does that hangs after it has signed in: its own child has to end with it.
const HANGS: &str = "#!/bin/sh\necho '{}' > \"$CODEX_HOME/auth.json\"\nexec sleep 600\n";

#[test]
fn however_a_login_ends_its_folder_is_removed() {
    for end in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
        let scene = program(scene(), HANGS);
        let mut child = hanging(&scene);
        kill_process(Pid::from_child(&child), end).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(1), "{end:?}");
        assert_eq!(folders(&scene), Vec::<PathBuf>::new(), "{end:?}");
        assert!(!scene.path("auth.json").exists());
    }
}

#[test]
fn what_a_killed_login_left_is_removed_by_the_next_and_one_under_way_is_not() {
    let scene = program(scene(), &HANGS.replace("exec sleep", "echo $$ >> \"$HR_HOME/pids\"; exec sleep"));
    let mut killed = hanging(&scene);
    killed.kill().unwrap();
    killed.wait().unwrap();
    let left = folders(&scene);
    assert_eq!(left.len(), 1, "nobody could tidy up");
    fs::remove_file(left[0].join("auth.json")).unwrap();
    let mut under_way = hanging(&scene);
    assert!(!left[0].exists());
    scene.write("bin/codex", "#!/bin/sh\nexit 3\n");
    scene.run("auth login codex").refused(&["did not sign in"]);
    assert_eq!(folders(&scene).len(), 1);
    kill_process(Pid::from_child(&under_way), Signal::TERM).unwrap();
    under_way.wait().unwrap();
    // The first program lost its own and goes on.
    let orphan: i32 = scene.read("pids").lines().next().unwrap().parse().unwrap();
    let _ = kill_process(Pid::from_raw(orphan).unwrap(), Signal::KILL);
}
