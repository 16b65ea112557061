//! `hr-bench`: what a request costs in `hr`, as a ratio to a minimal pass-through proxy.
//!
//! `run` measures everything and prints the medians. It starts copies of itself as separate processes (a fake
//! upstream, the proxy, the load) and `hr`, so that each can be pinned to a core and its own CPU time read:
//! the measured ones on one core, what surrounds them on another. `bench/README.md` holds the results.

mod body;
mod compare;
mod course;
mod dialect;
mod gauge;
mod home;
mod load;
mod measure;
mod pin;
mod plan;
mod planning;
mod process;
mod proxy;
mod reading;
mod recording;
mod replies;
mod report;
mod store_start;
mod upstream;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand};

/// Measures `hr` against a minimal pass-through proxy in the same run.
#[derive(Parser)]
#[command(name = "hr-bench", version)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure everything and print the medians beside their targets
    Run(RunArgs),
    /// Measure two programs in turns and print what a request costs in the second against the first
    Compare(CompareArgs),
    /// Print what choosing a candidate costs in pools of 10 to 100,000 keys, recording it, and reading limits; also part of `run`
    Plans,
    /// Serve as the fake upstream (started by `run`)
    #[command(hide = true)]
    Upstream,
    /// Serve as the pass-through proxy (started by `run`)
    #[command(hide = true)]
    Proxy {
        /// Where requests are passed on to
        #[arg(long)]
        to: SocketAddr,
    },
    /// Send a load and print what was seen (started by `run`)
    #[command(hide = true)]
    Load(load::Load),
    /// Pin this process to a core, then become another program (started by `run`)
    #[command(hide = true)]
    Pinned {
        /// The core
        core: usize,
        /// The program and its arguments
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
}

/// How to measure.
#[derive(Args)]
struct RunArgs {
    /// The release binary to measure; without it `hr` is built and taken from beside this program
    #[arg(long, value_name = "PATH")]
    hr: Option<PathBuf>,
    /// Fewer and shorter rounds: a first impression in a minute and a half
    #[arg(long)]
    quick: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What to compare.
#[derive(Args)]
struct CompareArgs {
    /// The release binary of before, such as one built in a worktree of an older commit
    #[arg(value_name = "PATH")]
    before: PathBuf,
    /// The release binary of after; without it `hr` is built and taken from beside this program
    #[arg(long, value_name = "PATH")]
    hr: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    match dispatch(CommandLine::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command) -> Result<()> {
    match command {
        Command::Run(args) => run(&args),
        Command::Compare(args) => compare(&args),
        Command::Plans => plans(),
        Command::Upstream => upstream::serve(),
        Command::Proxy { to } => proxy::serve(to),
        Command::Load(load) => load.run(),
        Command::Pinned { core, command } => pin::become_pinned(core, &command),
    }
}

fn run(args: &RunArgs) -> Result<()> {
    let binary = measured(args.hr.as_deref())?;
    let plan = if args.quick { plan::QUICK } else { plan::FULL };
    let report = measure::run(&binary, &plan)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", report.table());
    }
    Ok(())
}

fn compare(args: &CompareArgs) -> Result<()> {
    let comparison = compare::compare(&found(&args.before)?, &measured(args.hr.as_deref())?)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&comparison)?);
    } else {
        print!("{}", comparison.table());
    }
    Ok(())
}

/// The binary at `path`, or one that is built now.
fn measured(path: Option<&Path>) -> Result<PathBuf> {
    anyhow::ensure!(
        !cfg!(debug_assertions),
        "a debug build measures nothing: use `cargo run --release -p hr-bench -- …`"
    );
    path.map_or_else(process::build_hr, found)
}

fn found(path: &Path) -> Result<PathBuf> {
    path.canonicalize().with_context(|| format!("`{}` cannot be found", path.display()))
}

fn plans() -> Result<()> {
    for row in planning::rows()?.into_iter().chain([recording::row()?, reading::row()]) {
        println!("{}: {:.1} {} (target {} {})", row.name, row.hr, row.unit, row.target, row.unit);
    }
    Ok(())
}
