//! `hr providers --scan` and what follows from it, against servers that are made up.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::thread;

use crate::scene::Scene;

/// Answers each request by its path and `User-Agent`, as long as the test runs.
fn server(answer: fn(&str, &str) -> (u16, String)) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            thread::spawn(move || {
                let mut request = Vec::new();
                let mut byte = [0];
                while !request.ends_with(b"\r\n\r\n") {
                    if stream.read_exact(&mut byte).is_err() {
                        return;
                    }
                    request.push(byte[0]);
                }
                let request = String::from_utf8_lossy(&request).to_lowercase();
                // A connection that is closed with something unread takes the answer with it.
                let length = request.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
                let mut body = vec![0; length.and_then(|length| length.trim().parse().ok()).unwrap_or(0)];
                if stream.read_exact(&mut body).is_err() {
                    return;
                }
                let (status, body) = answer(
                    request.split(' ').nth(1).unwrap_or_default(),
                    request
                        .split("user-agent: ")
                        .nth(1)
                        .and_then(|rest| rest.lines().next())
                        .unwrap_or_default(),
                );
                let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n", body.len());
                let _ = stream.write_all(format!("{head}{body}").as_bytes());
            });
        }
    });
    address
}

/// A home that knows of programs at these addresses, besides the usual ones.
fn looking_at(addresses: &[SocketAddr]) -> Scene {
    let scene = Scene::new();
    let mut file = "id = \"mine\"\nbase_url = \"http://127.0.0.1:9/v1\"\nauth = \"none\"\nspend = \"free\"\n\
                    local = true\nenabled_by = [\"MINE_MODEL\", \"MINE_BASE_URL\"]\n"
        .to_owned();
    for address in addresses {
        file.push_str(&format!(
            "[[server]]\nname = \"Attic\"\nbase_url = \"http://{address}/v1\"\ntold_by = \"/whoami\"\n\
             lists_at = \"/tags\"\n"
        ));
    }
    scene.write("providers.d/mine.toml", &file);
    scene
}

/// What a scan of this home found at an address.
fn found(scene: &Scene, address: SocketAddr) -> serde_json::Value {
    let scan = scene.run("providers --scan --json").well(&[]).json();
    let base_url = format!("http://{address}/v1");
    let all = scan["found"].as_array().unwrap();
    all.iter().find(|server| server["base_url"] == base_url.as_str()).cloned().unwrap_or_default()
}

fn attic(path: &str, _: &str) -> (u16, String) {
    match path {
        "/v1/models" => {
            (200, r#"{"data":[{"id":"tiny:7b"},{"id":"big$(x)"},{"id":"nomic-embed-text"}]}"#.to_owned())
        }
        "/whoami" => (200, r#"{"version":"1"}"#.to_owned()),
        _ => (404, String::new()),
    }
}

#[test]
fn a_server_that_runs_is_found_and_its_command_puts_it_into_the_pool() {
    let address = server(attic);
    let scene = looking_at(&[address]);
    let server = found(&scene, address);
    assert_eq!((&server["name"], &server["state"]), (&"Attic".into(), &"ready".into()));
    assert_eq!(server["models"], serde_json::json!(["tiny:7b", "big$(x)"]));
    assert_eq!(server["embedding_models"], serde_json::json!(["nomic-embed-text"]));
    assert_eq!(server["in_use"], false);
    let command = server["command"].as_str().unwrap().to_owned();
    assert_eq!(command, format!("hr model set mine 'tiny:7b,big$(x)' --base-url http://{address}/v1"));
    scene.run("providers --scan").well(&[
        &format!("Attic at http://{address}/v1: 3 models"),
        &command,
        &format!("MINE_BASE_URL=http://{address}/v1 MINE_MODEL='tiny:7b,big$(x)' MINE_EMBED_MODEL=nomic-embed-text hr start"),
    ]);

    scene
        .run(&format!("model set mine tiny:7b --base-url http://{address}/v1/"))
        .well(&[&format!("called at http://{address}/v1")]);
    assert_eq!(scene.read(".env"), format!("MINE_BASE_URL=http://{address}/v1\nMINE_MODEL=tiny:7b\n"));
    assert_eq!(found(&scene, address)["in_use"], true);
    scene.run("providers --scan").well(&["in the pool already"]);
}

#[test]
fn servers_that_are_not_ready_say_why() {
    let loading = server(|path, _| match path {
        "/whoami" => (200, "{}".to_owned()),
        _ => {
            (503, r#"{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}"#.to_owned())
        }
    });
    let empty = server(|path, _| match path {
        "/v1/models" => (200, r#"{"data":[]}"#.to_owned()),
        _ => (404, String::new()),
    });
    let locked = server(|_, _| (401, r#"{"error":"Unauthorized"}"#.to_owned()));
    let page = server(|_, _| (200, "<html>hello</html>".to_owned()));
    let closed = server(|_, _| (403, "<html>no</html>".to_owned()));
    let starting = server(|_, _| (503, "<html>no</html>".to_owned()));
    let scene = looking_at(&[loading, empty, locked, page, closed, starting]);
    let state = |address| found(&scene, address)["state"].clone();
    assert_eq!(state(loading), "loading");
    assert_eq!(state(empty), "empty");
    assert_eq!(state(locked), "asks_for_key");
    for other in [page, closed, starting] {
        assert_eq!(found(&scene, other), serde_json::Value::Null, "a web page is no server of models");
    }
    assert_eq!(found(&scene, empty)["name"], serde_json::Value::Null, "it did not tell");
    assert_eq!(found(&scene, locked)["command"], serde_json::Value::Null);
}

#[test]
fn an_old_server_lists_its_models_at_a_path_of_its_own() {
    let old = server(|path, _| match path {
        "/tags" => (200, r#"{"models":[{"name":"tiny:7b","model":"tiny:7b"},{"name":"b c"}]}"#.to_owned()),
        _ => (404, "404 page not found".to_owned()),
    });
    let page = server(|path, _| match path {
        "/tags" => (200, r#"{"tags":["birds"]}"#.to_owned()),
        _ => (404, String::new()),
    });
    let scene = looking_at(&[old, page]);
    let server = found(&scene, old);
    assert_eq!((&server["state"], &server["models"]), (&"ready".into(), &serde_json::json!(["tiny:7b"])));
    assert_eq!(found(&scene, page), serde_json::Value::Null, "tags of something else");
}

#[test]
fn a_server_that_never_answers_is_not_waited_for() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let scene = looking_at(&[address]);
    assert_eq!(found(&scene, address), serde_json::Value::Null);
    let scan = scene.run("providers --scan --json").well(&[]).json();
    let looked = scan["looked_at"].as_array().unwrap();
    assert!(looked.iter().any(|place| place["base_url"] == format!("http://{address}/v1").as_str()));
    assert!(looked.iter().any(|place| place["base_url"] == "http://127.0.0.1:11434/v1"));
}

#[test]
fn the_router_itself_is_no_such_server() {
    let address = server(attic);
    let scene = looking_at(&[address]).with("PORT", &address.port().to_string());
    assert_eq!(found(&scene, address), serde_json::Value::Null);
}

/// A router over this home, until it is dropped.
struct Router(Child);

impl Router {
    fn start(scene: &Scene) -> Self {
        let log = File::create(scene.path("log")).unwrap();
        let mut child = scene.command("start --port 0").stdout(Stdio::null()).stderr(log).spawn().unwrap();
        while scene.run("status").code != Some(0) {
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none(), "it ended: {}", scene.read("log"));
        }
        Self(child)
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asks the router for a chat as this program and gives back the status line.
fn chat(scene: &Scene, agent: &str) -> String {
    let claim: serde_json::Value = serde_json::from_str(&scene.read("router.pid")).unwrap();
    let mut stream = TcpStream::connect(claim["address"].as_str().unwrap()).unwrap();
    let body = r#"{"model":"hermes-router","messages":[{"role":"user","content":"hi"}]}"#;
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer k-1\r\nuser-agent: {agent}\r\n\
         content-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn a_plan_for_agents_that_refuses_says_what_to_do() {
    // As the plan does: by the name of the program that calls.
    let choosy = server(|_, agent| {
        if agent.starts_with("claude-cli/") {
            return (200, r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}"#.to_owned());
        }
        let message = "Kimi For Coding is currently only available for Coding Agents such as Kimi CLI, etc.";
        (403, format!(r#"{{"error":{{"message":"{message}","type":"access_terminated_error"}}}}"#))
    });
    let scene = Scene::new();
    scene.write(
        ".env",
        &format!("PROXY_API_KEYS=k-1\nKIMI_API_KEY=sk-kimi-abcdef\nKIMI_BASE_URL=http://{choosy}/v1\n"),
    );
    let _router = Router::start(&scene);
    assert_eq!(chat(&scene, "claude-cli/2.1.330 (external, cli)"), "HTTP/1.1 200 OK");
    assert_eq!(chat(&scene, "curl/8.0"), "HTTP/1.1 503 Service Unavailable");
    let hint = "kimi: the plan answers coding agents only";
    scene.run("status").well(&[hint, "1 cooling", "KIMI_BASE_URL=https://api.moonshot.ai/v1"]);
    let status = scene.run("status --json").well(&[]).json();
    let key = &status["providers"]["kimi"]["keys"][0];
    assert_eq!((&key["status"], &key["because"]), (&"cooling".into(), &"provider_gone".into()));
    assert!(scene.read("log").contains("the plan answers coding agents only"), "{}", scene.read("log"));
}

#[test]
fn a_server_that_lacks_the_model_says_how_to_get_it() {
    let lacking = server(|_, _| {
        let error =
            r#"{"error":{"message":"model 'x' not found, try pulling it first","type":"not_found_error"}}"#;
        (404, error.to_owned())
    });
    let scene = Scene::new();
    scene.write(".env", &format!("PROXY_API_KEYS=k-1\nLOCAL_MODEL=x\nLOCAL_BASE_URL=http://{lacking}/v1\n"));
    let _router = Router::start(&scene);
    chat(&scene, "curl/8.0");
    scene.run("status").well(&["local: see `hr providers --scan`", "ollama pull"]);
}

#[test]
fn a_server_of_ones_own_needs_no_key_and_is_told_how_to_be_used() {
    let scene = Scene::new();
    scene.run_with("auth add local", "").refused(&["needs no key", "hr providers --scan", "LOCAL_BASE_URL"]);
    scene.run("providers").well(&["hr providers --scan"]);
    scene.run("model set local x --base-url ftp://there").refused(&["`http://`", "--base-url"]);
    assert!(!scene.path(".env").exists(), "nothing of it was written");
    scene.run("model set local llama3.1").well(&["local"]);
    let rows = scene.run("providers --json").well(&[]).json();
    let local = rows.as_array().unwrap().iter().find(|row| row["id"] == "local").unwrap().clone();
    assert_eq!((&local["status"], &local["keys"]), (&"ready".into(), &0.into()));
}
