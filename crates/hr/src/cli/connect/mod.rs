//! `hr connect`: the configuration that points a program here.
//!
//! What each program needs is data ([`agents`]). The access key is never written into it unless that is asked
//! for: the configuration fetches it from here, so that it can be kept, shown and shared, and stays right when
//! the key changes.

mod agents;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};
use hr_core::secret::Secret;
use hr_core::settings::define::general::ROUTER_MODEL_ID;
use serde::Serialize;

use crate::cli::connect::agents::{Agent, Format, Router};
use crate::cli::desk::Desk;
use crate::cli::paint::Paint;
use crate::cli::report::Advice;
use crate::cli::table::Table;
use crate::cli::{print, talk, words};

/// The variable from which every configuration takes the access key.
const KEY_VARIABLE: &str = "HERMES_API_KEY";

/// Point a coding agent or an SDK at this router
///
/// Prints the configuration that the program needs, with the address and the
/// model of your router, ready to be pasted. The access key is not in it: it is
/// fetched with `hr connect --key` when it is needed. `--reveal` writes it in, for
/// another machine.
///
/// Examples:
///
///   hr connect                          which programs are known
///   hr connect claude-code              what to put into your shell
///   eval "$(hr connect claude-code)"    in force in this shell at once
///   hr connect codex                    what to put into ~/.codex/config.toml
///   hr connect --key                    the access key alone, for scripts
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Connect {
    /// The program
    #[arg(value_parser = known(), value_name = "PROGRAM", conflicts_with = "key")]
    program: Option<String>,

    /// Write the access key itself instead of a way to fetch it
    #[arg(long, requires = "program")]
    reveal: bool,

    /// Print the access key and nothing else
    #[arg(long, conflicts_with_all = ["reveal", "json"])]
    key: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// All programs, for completions and for "did you mean".
fn known() -> PossibleValuesParser {
    let values = agents::all().iter().map(|agent| {
        PossibleValue::new(agent.id.as_str())
            .help(agent.name.as_str())
            .aliases(agent.aliases.iter().map(String::as_str))
    });
    PossibleValuesParser::new(values)
}

/// A configuration as data.
#[derive(Serialize)]
struct Connection<'a> {
    program: &'a str,
    name: &'a str,
    /// Where the router is.
    root: &'a str,
    /// The same as OpenAI clients want it.
    base_url: String,
    model: &'a str,
    /// The variable that holds the access key.
    key_variable: &'static str,
    /// The access key, when it was asked for.
    access_key: Option<&'a str>,
    /// Whether the router runs.
    running: bool,
    steps: Vec<Piece>,
    start: Option<&'a str>,
}

/// A step with everything filled in.
#[derive(Serialize)]
struct Piece {
    file: Option<String>,
    says: Option<String>,
    format: Format,
    text: String,
}

impl Connect {
    pub fn run(self, desk: &Desk) -> anyhow::Result<()> {
        let (address, key) = desk.way_in()?;
        if self.key {
            let key = key.ok_or_else(no_key)?;
            return print::out(&format!("{}\n", key.expose()));
        }
        let Some(agent) = self.program.as_deref().and_then(agents::find) else {
            return self.list();
        };
        let root = format!("http://{}", talk::reachable(address));
        let router = Router { root, model: model(desk) };
        let running = desk.running()?.is_some();
        let pieces = pieces(agent, &router, self.reveal, key.as_ref())?;
        if self.json {
            return print::json(&Connection {
                program: &agent.id,
                name: &agent.name,
                root: &router.root,
                base_url: format!("{}/v1", router.root),
                model: &router.model,
                key_variable: KEY_VARIABLE,
                access_key: key.as_ref().filter(|_| self.reveal).map(Secret::expose),
                running,
                steps: pieces,
                start: agent.start.as_deref(),
            });
        }
        print::out(&text(agent, &router, &pieces))?;
        if key.is_none() {
            print::say("note: there is no access key yet; the first `hr start` makes one");
        }
        if !running {
            print::say(&format!("note: no router runs at {} now: start one with `hr start`", router.root));
        }
        Ok(())
    }

    /// Which programs are known.
    fn list(&self) -> anyhow::Result<()> {
        #[derive(Serialize)]
        struct Row<'a> {
            program: &'a str,
            aliases: &'a [String],
            name: &'a str,
        }
        if self.json {
            let row = |agent: &'static Agent| Row {
                program: &agent.id,
                aliases: &agent.aliases,
                name: &agent.name,
            };
            return print::json(&agents::all().iter().map(row).collect::<Vec<_>>());
        }
        let mut table = Table::new(&["Program", "What it is"]);
        for agent in agents::all() {
            table.row([agent.id.as_str().into(), agent.name.as_str().into()]);
        }
        print::out(&format!(
            "{}\nShow what one needs with `hr connect <program>`.\n",
            table.render(&Paint::stdout())
        ))
    }
}

fn no_key() -> anyhow::Error {
    Advice::new("there is no access key yet", "the first `hr start` makes one and shows it").into()
}

/// The name under which the pool is asked for.
fn model(desk: &Desk) -> String {
    let layers = desk.sources().legible_layers(&desk.home, &desk.environment, &Default::default());
    let written = layers.get(ROUTER_MODEL_ID.name).map(|found| found.value.to_owned());
    written.filter(|model| !model.is_empty()).unwrap_or_else(|| ROUTER_MODEL_ID.default.to_owned())
}

/// Everything that has to be written: the key first, then what the program needs.
fn pieces(agent: &Agent, router: &Router, reveal: bool, key: Option<&Secret>) -> anyhow::Result<Vec<Piece>> {
    let value = if reveal {
        words::for_shell(key.ok_or_else(no_key)?.expose())
    } else {
        "\"$(hr connect --key)\"".to_owned()
    };
    let first = Piece {
        file: None,
        says: None,
        format: Format::Sh,
        text: format!("export {KEY_VARIABLE}={value}\n"),
    };
    let own = agent.step.iter().map(|step| Piece {
        file: step.file.clone(),
        says: step.says.as_deref().map(|says| router.fill(says, step.format)),
        format: step.format,
        text: router.fill(&step.text, step.format),
    });
    // What a shell runs comes together, after what is written into files.
    let (files, mut shell): (Vec<Piece>, Vec<Piece>) = own.partition(|piece| piece.file.is_some());
    shell.insert(0, first);
    Ok(files.into_iter().chain(shell).collect())
}

/// The pieces one after the other, with words that a shell and TOML take for comments.
fn text(agent: &Agent, router: &Router, pieces: &[Piece]) -> String {
    let mut text = format!("# {}, by way of {} with the model {}\n", agent.name, router.root, router.model);
    let mut in_shell = false;
    for piece in pieces {
        match &piece.file {
            Some(file) => text.push_str(&format!("\n# In {file}")),
            None if !in_shell => text.push_str("\n# In your shell, or at the end of ~/.bashrc or ~/.zshrc"),
            None => {}
        }
        match (&piece.says, in_shell) {
            (Some(says), true) => text.push_str(&format!("# ({says})\n")),
            (Some(says), false) => text.push_str(&format!(" ({says}):\n")),
            (None, true) => {}
            (None, false) => text.push_str(":\n"),
        }
        in_shell = piece.file.is_none();
        text.push_str(&piece.text);
    }
    if let Some(start) = &agent.start {
        text.push_str(&format!("\n# Then start it: {start}\n"));
    }
    text
}
