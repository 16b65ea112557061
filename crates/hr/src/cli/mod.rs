//! The command line. One command a file; its doc comment is its help, and teaches with examples.
//!
//! [`report`] is how an error looks, [`mod@print`], [`paint`] and [`table`] how anything looks, [`talk`] asks a router
//! that runs. Commands work on the files and never need a running router; what they change is in force there
//! at once, because it watches the same files.

mod abilities;
mod auth;
mod complete;
mod config;
mod connect;
mod decided;
mod demo;
mod desk;
mod explain;
mod fit;
mod log;
mod mode;
mod model;
pub mod paint;
pub mod print;
mod providers;
mod quota;
mod replay;
mod report;
mod restart;
mod start;
mod status;
mod stop;
mod table;
mod talk;
mod try_;
mod why;
pub mod words;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ArgAction, CommandFactory, Parser, Subcommand};

use crate::cli::desk::Desk;
use crate::cli::paint::Paint;

/// One local, OpenAI-compatible address for a pool of language-model providers
///
/// Give it the keys you have, point any OpenAI client at it, and it finds who can
/// answer: when a key has run dry, a model is down or a provider refuses, the
/// next one answers instead.
///
/// First steps:
///
///   hr demo                  see it work: no key, no network
///   hr providers             who there is, and where to get a key
///   hr auth add <provider>   store a key (you are asked for it, it is not shown)
///   hr start                 run the router
///   hr connect               point your coding agent or SDK at it
///
/// Any other client: `http://127.0.0.1:8319/v1` as its base URL, the access key that
/// the first start shows, and the model `hermes-router`.
#[derive(Parser)]
#[command(
    name = "hr",
    bin_name = "hr",
    version,
    disable_version_flag = true,
    arg_required_else_help = true,
    verbatim_doc_comment,
    max_term_width = 100,
    after_help = "`hr help <command>` teaches one command."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,

    /// Print the version
    #[arg(short = 'v', long, visible_short_alias = 'V', action = ArgAction::Version)]
    version: Option<bool>,
}

#[derive(Subcommand)]
enum Command {
    Start(start::Start),
    Stop(stop::Stop),
    Restart(restart::Restart),
    Status(status::Status),
    Quota(quota::Quota),
    Why(why::Why),
    Replay(replay::Replay),
    Explain(explain::Explain),
    #[command(subcommand)]
    Auth(auth::Auth),
    #[command(subcommand)]
    Model(model::Model),
    Mode(mode::Mode),
    #[command(subcommand)]
    Config(config::Config),
    Providers(providers::Providers),
    #[command(name = "try")]
    Try(try_::Try),
    Connect(connect::Connect),
    Demo(demo::Demo),
    /// Print the version
    Version,
    Completions(complete::Completions),
    /// Write the manual page to standard output
    ///
    /// Example:
    ///
    ///   hr man > ~/.local/share/man/man1/hr.1
    #[command(verbatim_doc_comment)]
    Man,
}

/// Runs the command that was given to this process.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return not_understood(&error),
    };
    match run(arguments.command) {
        Ok(code) => code,
        Err(error) => {
            let report = report::report(&error, &Paint::stderr());
            print::say(report.trim_end());
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    let done = |result: anyhow::Result<()>| result.map(|()| ExitCode::SUCCESS);
    match command {
        Command::Start(start) => done(start.run(Desk::open()?)),
        Command::Stop(stop) => done(stop.run(&Desk::open()?)),
        Command::Restart(restart) => done(restart.run(&Desk::open()?)),
        Command::Status(status) => status.run(&Desk::open()?),
        Command::Why(why) => done(why.run(&Desk::open()?)),
        Command::Replay(replay) => done(replay.run(&Desk::open()?)),
        Command::Explain(explain) => done(explain.run(&Desk::open()?)),
        Command::Quota(quota) => done(quota.run(&Desk::open()?)),
        Command::Auth(auth) => done(auth.run(&Desk::open()?)),
        Command::Model(model) => done(model.run(&Desk::open()?)),
        Command::Mode(mode) => done(mode.run(&Desk::open()?)),
        Command::Config(config) => done(config.run(&Desk::open()?)),
        Command::Providers(providers) => done(providers.run(&Desk::open()?)),
        Command::Try(try_) => try_.run(&Desk::open()?),
        Command::Connect(connect) => done(connect.run(&Desk::open()?)),
        Command::Demo(demo) => done(demo.run()),
        Command::Version => done(print::out(&format!("{}\n", version()))),
        Command::Completions(completions) => done(completions.run(&mut Arguments::command())),
        Command::Man => done(complete::man(Arguments::command())),
    }
}

/// The name of the product and its version, as in the original.
fn version() -> String {
    format!("hermes-router {}", env!("CARGO_PKG_VERSION"))
}

/// Help and version are answers, not errors; anything else is one, with exit code 1 as in the original.
fn not_understood(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayVersion => {
            let _ = print::out(&format!("{}\n", version()));
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelp => {
            let _ = error.print();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand if std::env::args_os().len() <= 1 => {
            let help = Arguments::command().render_long_help();
            let text = if Paint::stdout().is_on() { help.ansi().to_string() } else { help.to_string() };
            let _ = print::out(&text);
            ExitCode::SUCCESS
        }
        _ => {
            let _ = error.print();
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_of_all_commands_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_says_what_it_does_and_shows_an_example() {
        fn check(command: &clap::Command) {
            for command in command.get_subcommands().filter(|command| command.get_name() != "help") {
                assert!(command.get_about().is_some(), "`{}` says nothing", command.get_name());
                let long = command.get_long_about().map(ToString::to_string).unwrap_or_default();
                let leaf = command.get_subcommands().next().is_none();
                assert!(
                    !leaf || command.get_name() == "version" || long.contains("Example"),
                    "`{}` has no example",
                    command.get_name()
                );
                check(command);
            }
        }
        check(&Arguments::command());
    }
}
