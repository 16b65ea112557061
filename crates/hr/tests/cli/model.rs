//! `hr model` and `hr mode`

use crate::scene::{Scene, mode};

const ENV: &str = "# my router\nPORT=9000 # high\n\nexport NAME='kept as it is'\n";

#[test]
fn models_are_listed_with_their_source() {
    let scene = Scene::new();
    scene.write(".env", "GROQ_MODEL=one,two\n");
    let said = scene
        .run("model list")
        .well(&["Provider", "Model", "Source", "one, two", "override", ".env:1", "default"]);
    assert!(said.out.lines().count() > 15, "every provider has its line");
    let rows = scene.run("model list --json").well(&[]).json();
    let groq = rows.as_array().unwrap().iter().find(|row| row["provider"] == "groq").unwrap().clone();
    assert_eq!((&groq["models"], &groq["source"]), (&serde_json::json!(["one", "two"]), &"override".into()));
    let openai = rows.as_array().unwrap().iter().find(|row| row["provider"] == "openai").unwrap().clone();
    assert_eq!(
        (&openai["models"], &openai["source"]),
        (&serde_json::json!(["gpt-4o-mini"]), &"default".into())
    );
}

#[test]
fn models_are_set_and_reset_and_the_rest_of_the_file_stays() {
    let scene = Scene::new();
    scene.write(".env", ENV);
    scene.run("model set GPT gpt-x").well(&["openai: `gpt-4o-mini` (default) is now `gpt-x`"]);
    assert_eq!(scene.read(".env"), format!("{ENV}OPENAI_MODEL=gpt-x\n"));
    assert_eq!(mode(&scene.path(".env")), 0o600);
    scene.run("model set openai gpt-x, gpt-y").well(&["`gpt-x` is now `gpt-x,gpt-y`"]);
    scene.run("model set openai gpt-x,gpt-y").well(&[]).also("warning:");
    scene.run("model reset openai").well(&["`gpt-x,gpt-y` is now `gpt-4o-mini` (default)"]);
    assert_eq!(scene.read(".env"), ENV);
    scene.run("model reset openai").well(&[]).also("default already");
    scene.run("model set huggingface some/model:cheapest").well(&["some/model:cheapest"]);
}

#[test]
fn what_cannot_be_is_refused() {
    let scene = Scene::new();
    scene.run("model set opnai x").refused(&["unknown provider", "did you mean `openai`?"]);
    scene.run("model set").refused(&["no provider was named"]);
    scene.run("model set openai").refused(&["no model was named"]);
    scene.run("model set openai ,").refused(&["no model was named"]);
    scene.run("model reset nobody").refused(&["unknown provider"]);
    scene.run("mode random").refused(&["unknown mode `random`", "round-robin", "sequential"]);
    assert!(!scene.path(".env").exists());
}

#[test]
fn the_mode_is_shown_and_chosen() {
    let scene = Scene::new();
    scene.run("mode").well(&["round-robin (default)"]);
    for (typed, written) in [
        ("seq", "sequential"),
        ("RR", "round-robin"),
        ("sequential", "sequential"),
        ("round_robin", "round-robin"),
    ] {
        scene.run(&format!("mode {typed}")).well(&[written]);
        assert_eq!(scene.read(".env"), format!("ROTATION_MODE={written}\n"));
    }
    scene.run("mode rr").well(&[]).also("already");
    scene.run("mode").well(&["round-robin", ".env:1"]);
}

#[test]
fn a_wrong_value_can_be_mended_by_the_command_for_it() {
    let scene = Scene::new();
    scene.write(".env", "ROTATION_MODE=sideways\n");
    scene.run("config check").refused(&[".env:1", "ROTATION_MODE"]);
    scene.run("mode seq").well(&["`sideways` is now `sequential`"]);
    scene.run("config check").well(&["All is well"]);
}

#[test]
fn it_says_when_the_environment_wins() {
    let scene = Scene::new().with("OPENAI_MODEL", "from-environment").with("ROTATION_MODE", "sequential");
    scene.run("model set openai gpt-x").well(&[]).also("`OPENAI_MODEL` is set in the environment");
    scene.run("model list").well(&["from-environment", "environment"]);
    scene.run("mode rr").well(&[]).also("`ROTATION_MODE` is set in the environment");
}
