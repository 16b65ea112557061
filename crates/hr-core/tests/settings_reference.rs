//! `docs/settings.md` and `.env.example` are written from the definition of the settings. When they are stale
//! this fails once and leaves the right text behind: look at it and commit it.

#![allow(clippy::disallowed_methods, reason = "comparing committed files is what this test is for")]

use std::path::PathBuf;

use hr_core::catalog::builtin;
use hr_core::settings::describe::{example_env, manual};

/// Compares a committed file with the text that it should have.
fn must_be_committed(path: &str, text: &str) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    if committed != text {
        std::fs::write(&file, text).expect("the repository is writable");
        panic!("`{path}` was stale and has been written anew: look at it and commit it");
    }
}

#[test]
fn the_manual_is_up_to_date() {
    must_be_committed("docs/settings.md", &manual(&builtin()));
}

#[test]
fn the_example_file_is_up_to_date() {
    must_be_committed(".env.example", &example_env(&builtin()));
}
