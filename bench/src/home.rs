//! The home of the measured `hr`: one provider, which is the fake upstream, one key, one caller.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::dialect::Dialect;

/// The caller's key.
pub const ACCESS_KEY: &str = "sk-bench";

/// The provider's key.
const UPSTREAM_KEY: &str = "sk-upstream";

/// A folder that `hr` lives in while it is measured.
pub struct Home {
    folder: TempDir,
}

impl Home {
    /// A home whose only provider is at `upstream` and speaks `dialect`.
    pub fn new(upstream: SocketAddr, dialect: Dialect) -> Result<Home> {
        let folder = tempfile::tempdir().context("no place for a temporary folder")?;
        let providers = folder.path().join("providers.d");
        std::fs::create_dir(&providers)?;
        std::fs::write(providers.join("bench.toml"), provider(upstream, dialect))?;
        Ok(Home { folder })
    }

    /// Has `command` live here and listen on `port`, with nothing from the environment of this process: its
    /// keys would join the pool.
    pub fn settle(&self, command: &mut Command, port: u16) {
        command
            .current_dir(self.folder.path())
            .env_clear()
            .env("HR_HOME", self.folder.path())
            .env("PORT", port.to_string())
            .env("PROXY_API_KEYS", ACCESS_KEY)
            .env("BENCH_API_KEY", UPSTREAM_KEY)
            .env("LOG_LEVEL", "warn");
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

fn provider(upstream: SocketAddr, dialect: Dialect) -> String {
    let dialect = dialect.id();
    format!(
        r#"id = "bench"
name = "The benchmark's upstream"
dialect = "{dialect}"
base_url = "http://{upstream}/v1"
spend = "free"

[[model]]
id = "bench-model"
"#
    )
}
