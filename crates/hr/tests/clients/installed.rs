//! The programs that play the callers: installed below the target folder, from lock files, on first use.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// What a client is written for, and so which folder it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A virtual environment.
    Python,
    /// A `node_modules`, and the coding agents.
    Node,
}

/// The folder of a part; `None`, with a word on why, when it cannot be had here.
pub fn folder(part: Part) -> Option<PathBuf> {
    static PYTHON: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    static NODE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    // Once for all tests of this run: two installations into one folder would be in each other's way.
    let found = match part {
        Part::Python => PYTHON.get_or_init(|| prepare("python", &["python3"])),
        Part::Node => NODE.get_or_init(|| prepare("node", &["node", "npm"])),
    };
    match found {
        Ok(folder) => Some(folder.clone()),
        Err(reason) if std::env::var_os("HR_REQUIRE_CLIENTS").is_some_and(|value| value == "1") => {
            panic!("HR_REQUIRE_CLIENTS is set, and {reason}")
        }
        Err(reason) => {
            say(&format!("{part:?}: SKIPPED: {reason}"));
            None
        }
    }
}

/// Installs a part of the clients, unless it is there.
fn prepare(part: &str, programs: &[&str]) -> Result<PathBuf, String> {
    for program in programs {
        let answers = run(program, &[OsStr::new("--version")]);
        answers.map_err(|_| format!("there is no `{program}` on this machine"))?;
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().ok_or("there is no target folder")?;
    let folder = target.join("clients");
    run(sources().join("prepare.sh"), &[OsStr::new(part), folder.as_os_str()])
        .map_err(|reason| format!("`tests/clients/prepare.sh {part}` failed: {reason}"))?;
    Ok(folder.join(part))
}

/// Runs a program to its end; the line that tells most when it fails.
fn run(program: impl AsRef<OsStr>, arguments: &[&OsStr]) -> Result<(), String> {
    let output =
        std::process::Command::new(program).args(arguments).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let telling = said.lines().find(|line| line.to_lowercase().contains("error"));
    Err(telling.or(said.lines().next_back()).unwrap_or("no reason given").to_owned())
}

/// The folder of the scripts.
pub fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients")
}

/// Says something also when the test passes: cargo holds back what the printing macros print.
pub fn say(line: &str) {
    // Nobody reads it when standard error is closed.
    let _ = writeln!(std::io::stderr(), "clients: {line}");
}
