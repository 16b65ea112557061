//! `hr model reset`

use clap::Args;
use hr_core::settings::define::provider::MODEL;

use crate::cli::desk::{self, Desk};
use crate::cli::print;
use crate::files::edit;

/// Go back to the default models of a provider
///
/// Removes `<P>_MODEL` from the settings file.
///
/// Example:
///
///   hr model reset <provider>
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Reset {
    /// The provider
    provider: Option<String>,
}

impl Reset {
    pub fn run(self, desk: &Desk) -> anyhow::Result<()> {
        let catalog = desk.catalog()?;
        let provider = desk::provider(&catalog, self.provider.as_deref())?;
        let layers = desk.layers()?;
        let defaults = super::defaults(provider);
        match edit::remove(&desk.home.env, &MODEL.of(provider))? {
            Some(old) => print::out(&format!("{}: `{old}` is now `{defaults}` (default)\n", provider.id))?,
            None => print::say(&format!("warning: {} has its default already: `{defaults}`", provider.id)),
        }
        super::warn_of_environment(&layers, provider);
        Ok(())
    }
}
