//! The real program as a process: many streams, slow readers, signals, changes of its files under load.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../stories/caller.rs"]
mod caller;
mod router;

mod codex_login;
#[cfg(target_os = "linux")]
mod full_disk;
mod gone_file;
mod kills;
mod lists;
mod log;
mod many;
mod quota;
mod reload;
mod signals;
mod tls;
mod why;
