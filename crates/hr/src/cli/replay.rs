//! `hr replay`

use clap::Args;
use hr_core::route::record::{RULES, Record};
use hr_core::route::replay::{Replay as Outcome, replay};
use serde_json::json;

use crate::cli::decided;
use crate::cli::desk::Desk;
use crate::cli::report::Advice;
use crate::cli::{print, words};

/// Compute a decision again, and say whether it comes out the same
///
/// From the record alone, by the rules of this program: the points of each candidate,
/// their order, and whose turn it was. Exit code 1 when something else comes out.
///
/// Examples:
///
///   hr replay req_0f3a77c91b9e4205
///   hr replay last --json
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Replay {
    /// The id of a request; `last` is the one that ended last
    #[arg(value_name = "ID", default_value = crate::gate::decisions::LAST)]
    id: String,

    /// Print the outcome as JSON
    #[arg(long)]
    json: bool,
}

impl Replay {
    pub fn run(self, desk: &Desk) -> anyhow::Result<()> {
        let record = decided::read(&decided::record(desk, &self.id)?)?;
        let outcome = replay(&record);
        if self.json {
            print::json(&data(&record, &outcome))?;
        }
        match outcome {
            Outcome::Same { .. } if self.json => Ok(()),
            Outcome::Same { plans } => print::out(&format!("{}: same ({})\n", record.id, computed(plans))),
            Outcome::OtherRules { recorded } => {
                let what = format!(
                    "`{}` was decided by rules {recorded}; this program has rules {RULES}",
                    record.id
                );
                Err(Advice::new(
                    what,
                    "`hr why` tells what was recorded; the version of `hr` that served it can compute it",
                )
                .into())
            }
            Outcome::Differs(difference) => {
                let what = format!("`{}` comes out differently: {difference}", record.id);
                Err(Advice::new(what, "please report it, with what `hr why --json` prints").into())
            }
        }
    }
}

fn data(record: &Record, outcome: &Outcome) -> serde_json::Value {
    let (word, difference) = match outcome {
        Outcome::Same { .. } => ("same", None),
        Outcome::OtherRules { .. } => ("other_rules", None),
        Outcome::Differs(difference) => ("differs", Some(difference.to_string())),
    };
    json!({
        "id": record.id,
        "outcome": word,
        "same": word == "same",
        "difference": difference,
        "plans": record.plans.len(),
        "rules": { "recorded": record.rules, "here": RULES },
    })
}

fn computed(plans: usize) -> String {
    match plans {
        0 => "nothing was planned for it".to_owned(),
        plans => format!("{} computed again", words::count(plans, "plan")),
    }
}
