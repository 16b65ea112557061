//! The store at the start: made, refused with a name, taken over, and one router's alone.

use std::fs::{self, File};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::scene::{Scene, mode};

/// Long enough for any machine: it is only used up when something is wrong.
const LONG: Duration = Duration::from_secs(60);

/// A router in the background; killed when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(scene: &Scene) -> Running {
    fs::create_dir_all(scene.path("")).unwrap();
    let log = File::create(scene.path("log")).unwrap();
    let mut running =
        Running(scene.command("start --port 0").stdout(Stdio::null()).stderr(log).spawn().unwrap());
    let give_up = Instant::now() + LONG;
    while scene.run("status").code != Some(0) {
        assert!(running.0.try_wait().unwrap().is_none(), "it ended: {}", scene.read("log"));
        assert!(Instant::now() < give_up, "it never ran");
        thread::sleep(Duration::from_millis(20));
    }
    running
}

#[test]
fn a_start_makes_the_store_for_its_owner_alone() {
    let scene = Scene::new();
    let _running = start(&scene);
    assert_eq!(mode(&scene.path("state.db")), 0o600);
    assert!(fs::read(scene.path("state.db")).unwrap().starts_with(b"SQLite format 3\0"));
}

#[test]
fn a_damaged_store_ends_the_start_and_stays_as_it_is() {
    let scene = Scene::new();
    drop(start(&scene));
    let whole = fs::read(scene.path("state.db")).unwrap();
    let cases: [(&str, Vec<u8>); 4] = [
        ("cut off", whole[..whole.len() / 2].to_vec()),
        ("emptied", Vec::new()),
        ("overwritten", b"not what it was".to_vec()),
        ("another format", {
            let mut newer = whole.clone();
            newer[60..64].copy_from_slice(&7_i32.to_be_bytes());
            newer
        }),
    ];
    for (name, bytes) in cases {
        for ending in ["state.db-wal", "state.db-shm"] {
            let _ = fs::remove_file(scene.path(ending));
        }
        fs::write(scene.path("state.db"), &bytes).unwrap();
        let what = if name == "another format" { "has format 7" } else { "is damaged" };
        scene.run("start --port 0").refused(&[scene.path("state.db").to_str().unwrap(), what, "hint:"]);
        assert_eq!(fs::read(scene.path("state.db")).unwrap(), bytes, "{name}");
    }
}

#[test]
fn two_routers_cannot_have_one_store() {
    let shared = tempfile::tempdir().unwrap();
    let file = shared.path().join("shared.db").display().to_string();
    let first = Scene::new().with("ROUTER_STATE_FILE", &file);
    let running = start(&first);
    let second = Scene::new().with("ROUTER_STATE_FILE", &file);
    let process = format!("process {}", running.0.id());
    second.run("start --port 0").refused(&[&file, "in use", &process, "hint:"]);
    drop(running);
    start(&second);
}

#[test]
fn a_relative_name_starts_where_it_was_written() {
    let scene = Scene::new();
    scene.write(".env", "ROUTER_STATE_FILE=kept/here.db\n");
    let _running = start(&scene);
    let paths = scene.run("config path --json").well(&[]).json();
    assert_eq!(paths["state"], scene.path("kept/here.db").display().to_string());
    assert!(scene.path("kept/here.db").exists());
    assert!(!scene.path("state.db").exists());
}

#[test]
fn the_state_of_the_original_product_is_taken_over() {
    let text = r#"{"last_updated_ts": 1793520000.5, "providers": {},
        "model_state": {"alpha::m": {"supports_tools": false, "tools_confirmed": true}}}"#;
    let scene = Scene::new();
    scene.write(".env", "ROUTER_STATE_FILE=router_state.json\n");
    scene.write("router_state.json", text);
    drop(start(&scene));
    assert_eq!(scene.read("router_state.json.imported"), text);
    assert!(fs::read(scene.path("router_state.json")).unwrap().starts_with(b"SQLite format 3\0"));
    // The second start finds what the first one made.
    drop(start(&scene));
    assert!(!scene.path("router_state.json.imported-2").exists());
}

#[test]
fn a_json_file_of_another_kind_is_left_alone() {
    let text = r#"{"name": "a package", "version": "1.0.0"}"#;
    let scene = Scene::new();
    scene.write(".env", "ROUTER_STATE_FILE=package.json\n");
    scene.write("package.json", text);
    scene.run("start --port 0").refused(&["package.json", "is not a state file of hr", "hint:"]);
    assert_eq!(scene.read("package.json"), text);
}
