//! `hr mode`

use clap::Args;
use hr_core::settings::Origin;
use hr_core::settings::define::Kind;
use hr_core::settings::define::general::ROTATION_MODE;

use crate::cli::desk::Desk;
use crate::cli::report::Advice;
use crate::cli::{print, words};
use crate::files::edit;

/// Show or choose how the keys of a provider take turns
///
/// `round-robin` spreads requests over all keys; `sequential` uses one key until
/// it runs dry. A router that runs changes over at once.
///
/// Examples:
///
///   hr mode                shows it
///   hr mode sequential     chooses it; `seq` will do
///   hr mode rr             and back
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Mode {
    /// `round-robin` (rr, roundrobin, round_robin) or `sequential` (seq)
    mode: Option<String>,
}

impl Mode {
    pub fn run(self, desk: &Desk) -> anyhow::Result<()> {
        let layers = desk.layers()?;
        let found = layers.get(ROTATION_MODE.name);
        let Some(typed) = self.mode else {
            let (value, origin) = match &found {
                Some(found) => (found.value, words::origin(&found.origin)),
                None => (ROTATION_MODE.default, words::origin(&Origin::Default)),
            };
            return print::out(&format!("{} ({origin})\n", meant(value).unwrap_or(value)));
        };
        let new = meant(&typed).ok_or_else(|| {
            let hint = format!("choose one of {}", ROTATION_MODE.kind.words());
            Advice::new(format!("unknown mode `{}`", typed.escape_debug()), hint)
        })?;
        let old = edit::set(&desk.home.env, ROTATION_MODE.name, new)?;
        if old.as_deref() == Some(new) {
            print::say(&format!("warning: the mode is `{new}` already"));
        } else {
            let old =
                old.filter(|old| !old.trim().is_empty()).unwrap_or_else(|| ROTATION_MODE.default.to_owned());
            print::out(&format!("`{old}` is now `{new}`\n"))?;
        }
        if found.is_some_and(|found| found.origin == Origin::Environment) {
            let name = ROTATION_MODE.name;
            print::say(&format!(
                "warning: `{name}` is set in the environment, which wins over the settings file"
            ));
        }
        Ok(())
    }
}

/// The mode that a word means.
fn meant(word: &str) -> Option<&'static str> {
    let Kind::Choice(choices) = ROTATION_MODE.kind else { return None };
    let word = word.trim().to_lowercase();
    choices
        .iter()
        .find(|(name, others)| *name == word || others.contains(&word.as_str()))
        .map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn understands_what_the_original_understood() {
        for word in ["round-robin", "rr", "RR", "roundrobin", "round_robin"] {
            assert_eq!(meant(word), Some("round-robin"), "{word}");
        }
        assert_eq!((meant("Sequential"), meant("seq")), (Some("sequential"), Some("sequential")));
        assert_eq!(meant("random"), None);
    }
}
