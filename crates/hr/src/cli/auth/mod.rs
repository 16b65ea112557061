//! Keys and accounts at providers: stored, signed in to, listed, removed.
//!
//! All of it works on `auth.json` alone, whether or not a router runs: one that does sees the change by itself.
//! A key is never an argument, and never printed but for its last characters.

mod accounts;
mod add;
mod import;
mod list;
mod login;
mod remove;

use std::io::{self, BufRead, Write};

use clap::Subcommand;

use crate::cli::desk::Desk;

/// Store, list and remove keys and accounts of providers
#[derive(Subcommand)]
pub enum Auth {
    Add(add::Add),
    Login(login::SignIn),
    ImportCodex(import::Import),
    List(list::List),
    Remove(remove::Remove),
}

impl Auth {
    pub fn run(self, desk: &Desk) -> anyhow::Result<()> {
        match self {
            Self::Add(add) => add.run(desk),
            Self::Login(login) => login.run(desk),
            Self::ImportCodex(import) => import.run(desk),
            Self::List(list) => list.run(desk),
            Self::Remove(remove) => remove.run(desk),
        }
    }
}

/// Asks a question on the terminal; anything but yes is no.
fn yes(question: &str) -> io::Result<bool> {
    let mut stderr = io::stderr().lock();
    write!(stderr, "{question} [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
