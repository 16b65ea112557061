//! What is in force, whether it is sound, and where it is written.
//!
//! These commands read the files as `hr start` would and change nothing. Secrets stay hidden unless they are
//! asked for.

mod check;
mod path;
mod show;

use clap::Subcommand;

use crate::cli::desk::Desk;

/// Show and check the settings
#[derive(Subcommand)]
pub enum Config {
    Show(show::Show),
    Check(check::Check),
    Path(path::Path),
}

impl Config {
    pub fn run(self, desk: &Desk) -> anyhow::Result<()> {
        match self {
            Self::Show(show) => show.run(desk),
            Self::Check(check) => check.run(desk),
            Self::Path(path) => path.run(desk),
        }
    }
}
