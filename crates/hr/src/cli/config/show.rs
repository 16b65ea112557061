//! `hr config show`

use clap::Args;

use crate::cli::desk::Desk;
use crate::cli::paint::Paint;
use crate::cli::table::{Cell, Table};
use crate::cli::{print, words};

/// Show every setting with its value and where it comes from
///
/// Secrets are shown by their last characters, unless you ask for all of them.
///
/// Examples:
///
///   hr config show
///   hr config show --reveal      with access keys and provider keys from settings in full
///   hr config show --json
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Show {
    /// Print secrets in full
    #[arg(long)]
    reveal: bool,

    /// Print the settings as JSON
    #[arg(long)]
    json: bool,
}

impl Show {
    pub fn run(&self, desk: &Desk) -> anyhow::Result<()> {
        let mut values = desk.load()?.values;
        if self.reveal {
            let layers = desk.layers()?;
            for value in &mut values {
                if let Some(found) = layers.get(&value.name) {
                    value.shown = found.value.to_owned();
                }
            }
        }
        if self.json {
            return print::json(&values);
        }
        let mut table = Table::new(&["Setting", "Value", "From"]);
        for value in values {
            let shown = match value.shown.as_str() {
                "" => Cell::painted("(not set)", Paint::faint),
                text => text.into(),
            };
            let mut origin = words::origin(&value.origin);
            if !value.used {
                origin.push_str(", not used yet");
            }
            let origin = if value.default { Cell::painted(origin, Paint::faint) } else { origin.into() };
            table.row([value.name.into(), shown, origin]);
        }
        print::out(&table.render(&Paint::stdout()))
    }
}
