//! `hr demo`

use anyhow::Context;
use clap::Args;

use crate::demo::{self, DEFAULT_REQUESTS, DemoOptions};

/// See the router at work: no key, no network
///
/// Starts pretend providers with small hidden quotas and faults, the real router
/// over them on a free port, and sends it requests. You see who answers, who runs
/// dry, and who is passed over and why; then what was served and the three lines
/// that connect a client.
///
/// Examples:
///
///   hr demo
///   hr demo --serve      keeps it running, to play with
///   hr demo --json       the sums only
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Demo {
    /// Keep the router and its pretend providers running until Ctrl-C
    #[arg(long)]
    serve: bool,

    /// How many requests to send
    #[arg(long, value_name = "NUMBER", default_value_t = DEFAULT_REQUESTS)]
    requests: usize,

    /// Print the sums as JSON, and nothing else
    #[arg(long)]
    json: bool,
}

impl Demo {
    pub fn run(self) -> anyhow::Result<()> {
        let options = DemoOptions {
            serve: self.serve,
            requests: self.requests,
            json: self.json,
            ..DemoOptions::default()
        };
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .context("could not start the runtime")?
            .block_on(demo::run(options))
    }
}
