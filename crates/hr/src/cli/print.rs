//! Words to people and data to programs.

use std::io::{self, Write};

use anyhow::Context;
use serde::Serialize;

/// Writes to standard output. A reader that has gone (`hr providers | head -1`) is not an error.
pub fn out(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("could not write to standard output"),
    }
}

/// Writes data as indented JSON to standard output.
pub fn json(data: &impl Serialize) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(data).context("could not write the data as JSON")?;
    text.push('\n');
    out(&text)
}

/// Writes a line for people to standard error. Nobody reading it is no reason to fail.
pub fn say(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
