//! Which models of a provider are used.
//!
//! A choice is the setting `<P>_MODEL` in `.env`, edited in place; without one the defaults of the provider's
//! file hold. Which of them serves a request is routing's business, not this folder's.

mod list;
mod reset;
mod set;

use clap::Subcommand;
use hr_core::catalog::Provider;
use hr_core::settings::define::provider::MODEL;
use hr_core::settings::{Layers, Origin};

use crate::cli::desk::Desk;
use crate::cli::print;

/// List, set and reset the models that are used
#[derive(Subcommand)]
pub enum Model {
    List(list::List),
    Set(set::Set),
    Reset(reset::Reset),
}

impl Model {
    pub fn run(self, desk: &Desk) -> anyhow::Result<()> {
        match self {
            Self::List(list) => list.run(desk),
            Self::Set(set) => set.run(desk),
            Self::Reset(reset) => reset.run(desk),
        }
    }
}

/// The default models of a provider, as they would be written.
fn defaults(provider: &Provider) -> String {
    let ids = provider.models.iter().filter(|model| model.default).map(|model| model.id.as_str());
    ids.collect::<Vec<_>>().join(",")
}

/// The words between commas, without blank ones.
fn split(text: &str) -> Vec<&str> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty()).collect()
}

/// Says so when the process environment has a word on this that wins over the settings file.
fn warn_of_environment(layers: &Layers, provider: &Provider) {
    let variable = MODEL.of(provider);
    if layers.get(&variable).is_some_and(|found| found.origin == Origin::Environment) {
        print::say(&format!(
            "warning: `{variable}` is set in the environment, which wins over the settings file"
        ));
    }
}
