//! `hr start`, `hr status`, `hr restart`, `hr stop`

use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::scene::{Scene, mode};

/// Long enough for any machine: it is only used up when something is wrong.
const LONG: Duration = Duration::from_secs(60);

/// Settings by which no router is found unless one runs from the same home, whatever else this machine runs.
const NOBODY_LISTENS: &str = "PORT=1\n";

/// A router that runs in the background, on a free port.
struct Router<'a> {
    scene: &'a Scene,
    child: Child,
}

impl<'a> Router<'a> {
    fn start(scene: &'a Scene) -> Self {
        fs::create_dir_all(scene.path("")).unwrap();
        let log = File::create(scene.path("log")).unwrap();
        let child = scene.command("start --port 0").stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let mut router = Self { scene, child };
        until("the router runs", || {
            let ended = router.child.try_wait().unwrap();
            assert!(ended.is_none(), "it ended: {}", scene.read("log"));
            scene.run("status").code == Some(0)
        });
        router
    }

    fn address(&self) -> SocketAddr {
        self.claim()["address"].as_str().unwrap().parse().unwrap()
    }

    fn claim(&self) -> serde_json::Value {
        serde_json::from_str(&self.scene.read("router.pid")).unwrap()
    }

    /// How it ended, when it does.
    fn ended(mut self) -> ExitStatus {
        until("it ends", || self.child.try_wait().unwrap().is_some());
        self.child.wait().unwrap()
    }
}

impl Drop for Router<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let give_up = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < give_up, "never: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn access_key(scene: &Scene) -> String {
    let text = scene.read(".env");
    text.lines().find_map(|line| line.strip_prefix("PROXY_API_KEYS=")).expect("an access key").to_owned()
}

/// One request; an error when no connection came about or broke.
fn health(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(LONG))?;
    write!(stream, "GET /health HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn the_first_start_makes_an_access_key_that_no_log_shows() {
    let scene = Scene::new();
    scene.write(".env", "# mine\nLOG_LEVEL=trace\n");
    let router = Router::start(&scene);
    let key = access_key(&scene);
    assert!(key.starts_with("sk-router-") && key.len() == 42, "24 random bytes");
    assert!(scene.read(".env").starts_with("# mine\nLOG_LEVEL=trace\n"));
    assert_eq!(mode(&scene.path(".env")), 0o600);
    let log = scene.read("log");
    assert!(!log.contains(&key) && !log.contains(&key[10..]), "{log}");
    assert!(log.contains(".env") && log.contains("--reveal"), "it says where the key is: {log}");
    assert!(log.contains(&format!("listens on http://{}/v1", router.address())), "{log}");
    scene.run("config show").well(&[]).never(&key);
    scene.run("config show --reveal").well(&[&key]);
    drop(router);
    let _again = Router::start(&scene);
    assert_eq!(access_key(&scene), key, "one is enough");
}

#[test]
fn status_shows_what_runs_and_changes_are_in_force_at_once() {
    let scene = Scene::new();
    scene.write(".env", NOBODY_LISTENS);
    let router = Router::start(&scene);
    scene.run("status").well(&["No provider is set up", "Rotation: round-robin", "Breaker:"]);
    scene.run_with("auth add groq", "gsk_canary_ddd444").well(&["uses it at once"]);
    scene.run("mode seq").well(&[]);
    until("the key is in force", || scene.run("status").out.contains("groq"));
    until("the mode is in force", || scene.run("status").out.contains("Rotation: sequential"));
    scene.run("status").well(&["Provider", "Rating", "Health", "Keys", "Latency", "1 ready"]).never("canary");
    let status = scene.run("status --json").well(&[]).never("canary").json();
    assert_eq!(status["providers"]["groq"]["keys"][0]["key_tail"], "ddd444");

    scene.write("auth.json", "{");
    scene.run("status").well(&["groq"]).also("`hr config check`");
    let env = scene.read(".env");
    scene.write(".env", &format!("no line\n{env}"));
    scene.run("status").well(&["groq"]).also("`hr config check`");
    scene.write(".env", &env);
    drop(router);
    scene.write("auth.json", r#"{"providers": {"groq": ["gsk_canary_ddd444"]}}"#);
    let said = scene.run("status");
    assert_eq!(said.code, Some(1));
    assert!(said.out.contains("groq") && said.err.contains("No router runs"), "{said:?}");
    scene.run("status --json").refused(&["no router runs", "hr start"]);
}

#[test]
fn status_can_be_watched() {
    let scene = Scene::new();
    let _router = Router::start(&scene);
    let mut child = scene.command("status --watch").stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let rotations =
        lines.by_ref().filter(|line| line.as_ref().unwrap().starts_with("Rotation:")).take(2).count();
    assert_eq!(rotations, 2, "it looks again");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_key_that_is_not_accepted_is_not_taken_for_a_router_that_is_away() {
    let scene = Scene::new();
    let _router = Router::start(&scene);
    scene.write(".env", "PORT=0\nPROXY_API_KEYS=sk-router-first\n");
    until("the new key is in force", || scene.run("status").code == Some(0));
    let mut command = scene.command("status");
    let output = command.env("PROXY_API_KEYS", "sk-router-canary").output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(err.contains("does not accept the access key") && !err.contains("canary"), "{err}");
}

#[test]
fn a_home_has_one_router() {
    let scene = Scene::new();
    let router = Router::start(&scene);
    let address = router.address().to_string();
    scene.run("start --port 0").refused(&["a router runs already", &address, "hr restart"]);
    scene.run("status").well(&[]);
}

#[test]
fn a_port_that_is_taken_is_an_error_with_a_hint() {
    let scene = Scene::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let said = scene.run(&format!("start --port {port}"));
    said.refused(&["could not listen", &port.to_string(), "caused by:", "hint:", "--port"]);
    scene
        .run("start --port 0 --host 192.0.2.1")
        .refused(&["192.0.2.1", "must be an address of this machine"]);
    scene.run("start --port 0 --host no:good").refused(&["HOST"]);
}

#[test]
fn placeholders_of_old_instructions_open_nothing() {
    let scene = Scene::new().with("PROXY_API_KEYS", "sk-router-1,sk-my-router-key-1");
    scene.run("start --port 0").refused(&["placeholders", "unset `PROXY_API_KEYS`"]);
    let scene = Scene::new();
    scene.write(".env", "PROXY_API_KEYS=sk-router-1\n");
    let _router = Router::start(&scene);
    assert_ne!(access_key(&scene), "sk-router-1");
}

#[test]
fn paid_keys_are_named_with_their_source() {
    let scene = Scene::new().with("OPENAI_API_KEY", "sk-canary-eee555").with("ZAI_API_KEY", "canary-fff666");
    let _router = Router::start(&scene);
    let log = scene.read("log");
    assert!(!log.contains("paid: zai"), "its default costs nothing: {log}");
    assert!(log.contains("paid: openai …eee555, `OPENAI_API_KEY` in the environment"), "{log}");
    assert!(!log.contains("canary"), "{log}");
}

#[test]
fn stop_waits_until_it_has_ended_and_it_ends_well() {
    let scene = Scene::new();
    scene.write(".env", NOBODY_LISTENS);
    let router = Router::start(&scene);
    scene.run("stop").well(&["has stopped"]);
    assert!(router.ended().success());
    scene.run("stop").well(&[]).also("No router runs");
    scene.run("restart").refused(&["no router runs", "hr start"]);
}

#[test]
fn a_claim_left_behind_is_not_believed() {
    let scene = Scene::new();
    scene.write(".env", NOBODY_LISTENS);
    let own = std::process::id();
    let claim = format!("{{\"pid\":{own},\"program\":\"hr\",\"address\":\"127.0.0.1:1\",\"started\":1}}");
    scene.write("router.pid", &claim);
    scene.run("stop").well(&[]).also("No router runs");
    let _router = Router::start(&scene);
}

#[test]
fn a_stranger_at_the_port_is_not_stopped() {
    let (scene, other) = (Scene::new(), Scene::new());
    let router = Router::start(&scene);
    other.write(".env", &format!("PORT={}\n", router.address().port()));
    other.run("stop").refused(&["no router runs from this home"]);
    scene.run("status").well(&[]);
}

#[test]
fn restart_refuses_no_connection_and_keeps_the_address() {
    let scene = Scene::new();
    let router = Router::start(&scene);
    let (address, before) = (router.address(), router.claim());
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let callers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut answers = 0;
                    while !done.load(Ordering::SeqCst) {
                        match health(address) {
                            Ok(answer) if answer.starts_with("HTTP/1.1 200") => answers += 1,
                            // Let go before its request was read: any client asks again.
                            Ok(answer) if answer.is_empty() => {}
                            Err(error) if error.kind() != ErrorKind::ConnectionRefused => {}
                            other => panic!("after {answers}: {other:?}"),
                        }
                    }
                    answers
                })
            })
            .collect();
        for _ in 0..3 {
            scene.run("restart").well(&["has restarted", &address.to_string()]);
        }
        done.store(true, Ordering::SeqCst);
        for caller in callers {
            assert!(caller.join().unwrap() > 0);
        }
    });
    assert_eq!(router.address(), address);
    assert_ne!(router.claim()["started"], before["started"]);
    scene.run("status").well(&[]);
    scene.run("stop").well(&[]);
}

#[test]
fn restart_leaves_a_router_alone_that_would_not_come_back() {
    let scene = Scene::new();
    let router = Router::start(&scene);
    let before = router.claim();
    fs::write(scene.path("auth.json"), "{").unwrap();
    scene.run("restart").refused(&["auth.json"]);
    assert_eq!(router.claim(), before);
}
