//! `hr config check`

use clap::Args;

use crate::cli::desk::Desk;
use crate::cli::paint::Paint;
use crate::cli::{print, words};

/// Check all settings, credentials and providers
///
/// Says everything that is wrong at once, with file, line and a hint, and then
/// fails. Doubtful places are warned of.
///
/// Example:
///
///   hr config check && hr restart
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Check {}

impl Check {
    pub fn run(&self, desk: &Desk) -> anyhow::Result<()> {
        let loaded = desk.load()?;
        let paint = Paint::stderr();
        for warning in &loaded.warnings {
            print::say(&format!("{} {warning}", paint.doubtful("warning:")));
        }
        let callable = loaded.pool.members.iter().filter(|member| member.off.is_none());
        let (providers, keys) =
            callable.fold((0, 0), |(one, all), member| (one + 1, all + member.keys.len()));
        print::out(&format!(
            "All is well: {} to call with {}, {}\n",
            words::count(providers, "provider"),
            words::count(keys, "key"),
            words::count(loaded.warnings.len(), "warning"),
        ))
    }
}
