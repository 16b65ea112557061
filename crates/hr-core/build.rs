//! Lists the files of `catalog/` so that adding a provider is adding one file, and no line of Rust.

#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "the build reads files and talks to cargo; the crate itself does neither"
)]

use std::fmt::Write as _;
use std::path::PathBuf;

fn main() {
    let manifest =
        PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    let folder = manifest.join("../../catalog");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("the catalog folder stands beside the crates folder")
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "toml"))
        .collect();
    files.sort();
    let mut code = String::from("&[\n");
    for path in &files {
        let name = path.file_name().expect("a file has a name").to_string_lossy();
        let full = path.canonicalize().expect("the file exists");
        println!("cargo::rerun-if-changed={}", full.display());
        writeln!(code, "    ({name:?}, include_str!({:?})),", full.display().to_string())
            .expect("writing to a string");
    }
    code.push_str("]\n");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    std::fs::write(out.join("catalog_files.rs"), code).expect("OUT_DIR is writable");
}
