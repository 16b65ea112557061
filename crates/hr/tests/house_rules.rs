//! The rules of ARCHITECTURE.md that a look at the tree can hold, and documents that name what is there.

#![allow(clippy::unwrap_used)] // A test that cannot read the tree has failed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The pure crates.
const PURE: [&str; 2] = ["hr-core", "hr-wire"];
/// What a pure crate has no use for.
const IMPURE: [&str; 10] =
    ["tokio", "hyper", "reqwest", "mio", "tracing", "log", "rand", "getrandom", "notify", "rustix"];
/// Providers whose names are words of other things too: of dialects, of a place, of a program that calls us.
const ALSO_WORDS: [&str; 4] = ["openai", "anthropic", "local", "codex"];

#[test]
fn rust_knows_no_provider() {
    let ids: Vec<String> = files(&root().join("catalog"), "toml").iter().map(|path| stem(path)).collect();
    assert!(ids.len() >= 19, "the catalogue was not found");
    let mut found = Vec::new();
    // The testkit plays providers: it has their paths and headers, and nothing of it is in the router's way.
    for path in sources().into_iter().filter(|path| !path.starts_with(root().join("crates/hr-testkit"))) {
        let code = code(&fs::read_to_string(&path).unwrap());
        for id in &ids {
            let literal = code.contains(&format!("\"{id}\""));
            let word =
                !ALSO_WORDS.contains(&id.as_str()) && words(&code).any(|word| word.eq_ignore_ascii_case(id));
            if literal || word {
                found.push(format!("{}: `{id}`", path.display()));
            }
        }
    }
    assert_eq!(found, [""; 0], "a provider belongs into catalog/, what is special about it into a quirk");
}

#[test]
fn the_pure_crates_have_no_way_out() {
    for krate in PURE {
        let folder = root().join("crates").join(krate);
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let dependencies = manifest.split_once("[dependencies]\n").unwrap().1.split("\n[").next().unwrap();
        let named =
            |name: &&str| dependencies.lines().any(|line| line.split(['.', ' ', '=']).next() == Some(*name));
        assert!(named(&"serde_json"), "the dependencies of {krate} were not found");
        let impure: Vec<&str> = IMPURE.into_iter().filter(named).collect();
        assert_eq!(impure, [""; 0], "in {krate}");
        let lints = fs::read_to_string(folder.join("clippy.toml")).unwrap();
        for banned in [
            "std::time::Instant::now",
            "std::env::var",
            "std::fs::read",
            "std::net::TcpStream",
            "std::println",
        ] {
            assert!(lints.contains(&format!("\"{banned}\"")), "{krate} does not ban {banned}");
        }
    }
}

#[test]
fn every_crate_keeps_the_lints_of_the_house() {
    let mut manifests: Vec<PathBuf> = fs::read_dir(root().join("crates"))
        .unwrap()
        .map(|entry| entry.unwrap().path().join("Cargo.toml"))
        .collect();
    manifests.push(root().join("bench/Cargo.toml"));
    for path in manifests {
        let manifest = fs::read_to_string(&path).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true\n"), "{}", path.display());
    }
    assert!(read("Cargo.toml").contains("unsafe_code = \"forbid\""));
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut documents = files(&root(), "md");
    documents.extend(files(&root().join("docs"), "md"));
    documents.extend(files(&root().join("bench"), "md"));
    let mut broken = Vec::new();
    for document in &documents {
        let text = fs::read_to_string(document).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap();
            let outside = target.contains("://") || path.is_empty();
            if !outside && !document.parent().unwrap().join(path).exists() {
                broken.push(format!("{}: {target}", document.display()));
            }
        }
    }
    assert_eq!(broken, [""; 0]);
}

#[test]
fn the_readme_and_the_ci_run_the_same_tests() {
    let line = "cargo test --workspace";
    assert!(read("README.md").contains(&format!("$ {line}\n")));
    let ci = read(".ci/run");
    let tests: Vec<&str> = ci.lines().filter(|line| line.contains("cargo test")).collect();
    // Its output is also counted; nothing is added to the command.
    assert_eq!(tests, [format!("{line} 2>&1 | tee \"$results\" || status=$?")]);
}

#[test]
fn the_documents_name_every_failure_and_every_refusal() {
    let kinds = read("crates/hr-core/src/failure.rs");
    let kinds: BTreeSet<&str> =
        kinds.split("=> \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(kinds.len() >= 20, "the kinds of failure were not found");
    let failover = read("docs/failover.md");
    let unnamed: Vec<&&str> = kinds.iter().filter(|kind| !failover.contains(&format!("`{kind}`"))).collect();
    assert!(unnamed.is_empty(), "docs/failover.md lacks {unnamed:?}");

    let api = read("docs/http-api.md");
    let mut codes = BTreeSet::new();
    for path in files(&root().join("crates/hr/src/gate"), "rs") {
        let text = code(&fs::read_to_string(path).unwrap());
        codes.extend(
            text.split(".code(\"").skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned),
        );
    }
    assert!(codes.contains("invalid_api_key"), "the codes of refusals were not found");
    let unnamed: Vec<&String> = codes.iter().filter(|code| !api.contains(&format!("`{code}`"))).collect();
    assert!(unnamed.is_empty(), "docs/http-api.md lacks {unnamed:?}");
}

#[test]
fn the_documents_name_every_quirk_and_every_header() {
    let manual = read("docs/custom-providers.md");
    let quirks = hr_core::catalog::QUIRK_FUNCTIONS.iter();
    let unnamed: Vec<_> = quirks.filter(|name| !manual.contains(&format!("`{name}`"))).collect();
    assert!(unnamed.is_empty(), "docs/custom-providers.md lacks {unnamed:?}");

    let api = read("docs/http-api.md").to_lowercase();
    let mut headers = BTreeSet::new();
    for path in files(&root().join("crates/hr/src/gate"), "rs") {
        let text = code(&fs::read_to_string(path).unwrap());
        let quoted = text.split('"').skip(1).step_by(2);
        headers.extend(quoted.filter(|word| word.starts_with("x-hermes-")).map(str::to_owned));
    }
    assert!(headers.contains("x-hermes-attempts"), "the headers were not found");
    let unnamed: Vec<&String> = headers.iter().filter(|header| !api.contains(*header)).collect();
    assert!(unnamed.is_empty(), "docs/http-api.md lacks {unnamed:?}");
}

#[test]
fn the_manual_of_commands_has_every_command() {
    let output = Command::new(env!("CARGO_BIN_EXE_hr")).arg("help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let commands = help.split_once("Commands:\n").unwrap().1.split("\n\n").next().unwrap();
    let commands: Vec<&str> = commands.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(commands.contains(&"start"), "{help}");
    let manual = read("docs/cli.md");
    let missing: Vec<_> =
        commands.iter().filter(|command| !manual.contains(&format!("`hr {command}"))).collect();
    assert!(missing.is_empty(), "docs/cli.md lacks {missing:?}");
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_str().unwrap().to_owned()
}

/// The files right in this folder that end so.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

/// Every Rust file that is part of a library or program.
fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> =
        fs::read_dir(root().join("crates")).unwrap().map(|entry| entry.unwrap().path().join("src")).collect();
    while let Some(folder) = folders.pop() {
        found.extend(files(&folder, "rs"));
        let entries = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        folders.extend(entries.filter(|path| path.is_dir()));
    }
    assert!(found.len() > 50, "the sources were not found");
    found
}

/// A file without its comments and without its tests, which stand at its end.
fn code(text: &str) -> String {
    let before_tests = text.split("#[cfg(test)]").next().unwrap();
    before_tests.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
}
