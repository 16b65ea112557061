//! The parts of the harness against each other: what the load generator accepts, and what it does not.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Output, Stdio};

/// A part that serves until it is dropped.
struct Part {
    child: Child,
    address: String,
}

impl Part {
    fn start(arguments: &[&str]) -> Part {
        let mut child = Command::new(env!("CARGO_BIN_EXE_hr-bench"))
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut address = String::new();
        BufReader::new(child.stdout.take().expect("its output"))
            .read_line(&mut address)
            .expect("its address");
        Part { child, address: address.trim().to_owned() }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn load(to: &str, dialect: &str, shape: [&str; 2]) -> Output {
    let [chunks, body_bytes] = shape;
    Command::new(env!("CARGO_BIN_EXE_hr-bench"))
        .args([
            "load",
            "--to",
            to,
            "--dialect",
            dialect,
            "--connections",
            "3",
            "--requests",
            "2",
            "--ramp",
            "0",
            "--interval",
            "1",
        ])
        .args(["--chunks", chunks, "--body-bytes", body_bytes])
        .output()
        .expect("the program starts")
}

#[test]
fn plain_and_streamed_replies_pass_through_the_proxy() {
    let upstream = Part::start(&["upstream"]);
    let proxy = Part::start(&["proxy", "--to", &upstream.address]);
    for dialect in ["openai_chat", "anthropic", "openai_responses"] {
        for shape in [["0", "400"], ["0", "1000000"], ["1", "400"], ["20", "400"]] {
            let output = load(&proxy.address, dialect, shape);
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success(), "{dialect}: {}", String::from_utf8_lossy(&output.stderr));
            assert!(said.starts_with("\"open\"\n") && said.contains("\"answered\":6"), "{said}");
        }
    }
}

#[test]
fn an_error_reply_fails_the_load() {
    let upstream = Part::start(&["upstream"]);
    let proxy = Part::start(&["proxy", "--to", &upstream.address]);
    drop(upstream);
    let output = load(&proxy.address, "openai_chat", ["0", "400"]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("status `502`"), "{output:?}");
}
