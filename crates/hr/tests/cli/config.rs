//! `hr config`

use std::fs;

use crate::scene::Scene;

#[test]
fn values_are_shown_with_their_origin_and_secrets_by_their_end() {
    let scene = Scene::new().with("STRICT_MODELS", "1").with("GROQ_API_KEY", "gsk_canary_ccc333");
    scene.write(
        ".env",
        "# first\nPROXY_API_KEYS=sk-router-canary-aaa111,sk-router-canary-bbb222\nPORT=9000\n",
    );
    let said = scene.run("config show").well(&[
        "PORT",
        "9000",
        ".env:3",
        "environment",
        "default",
        "…aaa111,…bbb222",
        "…ccc333",
    ]);
    said.never("canary");
    scene.run("config show --json").well(&[]).never("canary");
    scene
        .run("config show --reveal")
        .well(&["sk-router-canary-aaa111,sk-router-canary-bbb222", "gsk_canary_ccc333"]);
    let values = scene.run("config show --reveal --json").well(&[]).json();
    let find =
        |name: &str| values.as_array().unwrap().iter().find(|value| value["name"] == name).unwrap().clone();
    assert_eq!(find("PROXY_API_KEYS")["shown"], "sk-router-canary-aaa111,sk-router-canary-bbb222");
    assert_eq!((&find("PORT")["shown"], &find("PORT")["default"]), (&"9000".into(), &false.into()));
    assert_eq!(find("HOST")["default"], true);
}

#[test]
fn a_check_says_everything_at_once() {
    let scene = Scene::new();
    scene.run("config check").well(&["All is well: 0 providers"]);
    scene.write(".env", "PORT=many\nBREAKER_ERROR_RATE=7\n");
    scene.run("config check").refused(&[".env:1", "`PORT`", ".env:2", "`BREAKER_ERROR_RATE`"]);
    scene.write(".env", "PORT 9000\nGROQ_API_KEY=gsk_canary\n");
    scene.write("auth.json", "{");
    scene.write("providers.d/bad.toml", "id = \"bad\"\n");
    scene.run("config check").refused(&[".env:1", "auth.json", "bad.toml", "hint:"]).never("canary");
    scene.run("config show").refused(&[".env:1"]);
}

#[test]
fn what_can_be_read_is_checked_although_something_cannot() {
    let scene = Scene::new().with("MAX_ATTEMPTS", "none");
    scene.write(".env", "PORT=many\nno line\nGROQ_API_KEY=\"gsk_canary\\n2\"\nOPENAI_BASE_URL=ftp://x\n");
    scene.write("auth.json", "[]");
    scene.write("providers.d/bad.toml", "id = \"bad\"\n");
    let places =
        [".env:1", ".env:2", ".env:3", ".env:4", "environment: `MAX_ATTEMPTS`", "auth.json", "bad.toml"];
    scene.run("config check").refused(&places).also("7 settings or files are wrong").never("canary");
}

#[test]
fn doubtful_places_are_warned_of() {
    let scene = Scene::new();
    scene.write(".env", "GROQ_API_KYE=gsk_canary\nPORT=9000\nOPENAI_API_KEY=sk-123456\nOPENAI_BASE_URL=http://localhost:9000/v1\n");
    scene
        .run("config check")
        .well(&["0 providers to call", "2 warnings"])
        .also("did you mean `GROQ_API_KEY`?")
        .also("leads back to this router")
        .never("canary");
}

#[test]
fn paths_are_shown_for_each_kind_of_home() {
    let scene = Scene::new();
    let paths = scene.run("config path --json").well(&[]).json();
    assert_eq!(paths["place"], "hr_home");
    assert_eq!(paths["settings"], scene.path(".env").display().to_string());
    scene.run("config path").well(&["`HR_HOME`", "auth.json", "providers.d", "(not there yet)"]);

    let user = tempfile::tempdir().unwrap();
    let place = |cwd: &std::path::Path| {
        let output = scene
            .command("config path --json")
            .env_remove("HR_HOME")
            .env("HOME", user.path())
            .current_dir(cwd)
            .output()
            .unwrap();
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let cwd = tempfile::tempdir().unwrap();
    assert_eq!(place(cwd.path())["place"], "xdg");
    let settings = user.path().join(".config/hermes-router/.env");
    assert_eq!(place(cwd.path())["settings"], settings.display().to_string());
    fs::write(cwd.path().join(".env"), "DATABASE_URL=x\n").unwrap();
    assert_eq!(place(cwd.path())["place"], "xdg", "any other project's file");
    fs::write(cwd.path().join(".env"), "PROXY_API_KEYS=x\n").unwrap();
    assert_eq!(place(cwd.path())["place"], "working_directory");
}

#[test]
fn a_home_that_cannot_be_made_is_said_so() {
    let scene = Scene::new().with("HR_HOME", "/dev/null/nowhere");
    scene.run_with("auth add groq", "gsk-123456").refused(&["/dev/null/nowhere"]);
}
