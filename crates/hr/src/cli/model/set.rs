//! `hr model set`

use anyhow::bail;
use clap::Args;
use hr_core::catalog::Provider;
use hr_core::settings::address::Address;
use hr_core::settings::define::provider::{BASE_URL, MODEL};

use crate::cli::desk::{self, Desk};
use crate::cli::print;
use crate::cli::report::Advice;
use crate::files::edit;

/// Choose the models of a provider
///
/// Writes `<P>_MODEL` into the settings file. The first model is preferred among
/// equals. A router that runs uses them at once.
///
/// Examples:
///
///   hr model set <provider> some-model
///   hr model set <provider> large-model,small-model
///   hr model set local qwen3:8b --base-url http://127.0.0.1:11434/v1
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Set {
    /// The provider
    provider: Option<String>,

    /// One model, or several separated by commas
    #[arg(value_name = "MODEL[,MODEL…]")]
    models: Vec<String>,

    /// Also the address at which the provider is called
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
}

impl Set {
    pub fn run(self, desk: &Desk) -> anyhow::Result<()> {
        let catalog = desk.catalog()?;
        let provider = desk::provider(&catalog, self.provider.as_deref())?;
        // Several words come from a shell that split `a, b` at the space.
        let typed = self.models.join(",");
        let models = super::split(&typed);
        if models.is_empty() {
            let hint = format!("`hr model set {} <model>`; `hr model list` shows those in use", provider.id);
            return Err(Advice::new("no model was named", hint).into());
        }
        if let Some(bad) =
            models.iter().find(|model| model.contains(|c: char| c.is_whitespace() || c.is_control()))
        {
            bail!("`{}` is not a model name: it has white space in it", bad.escape_debug());
        }
        let layers = desk.layers()?;
        if let Some(url) = &self.base_url {
            set_address(desk, provider, url)?;
        }
        let new = models.join(",");
        let old = edit::set(&desk.home.env, &MODEL.of(provider), &new)?;
        if old.as_deref() == Some(new.as_str()) {
            print::say(&format!("warning: {} is set to `{new}` already", provider.id));
        } else {
            let old = match old.filter(|old| !old.trim().is_empty()) {
                Some(old) => format!("`{old}`"),
                None => format!("`{}` (default)", super::defaults(provider)),
            };
            print::out(&format!("{}: {old} is now `{new}`\n", provider.id))?;
        }
        super::warn_of_environment(&layers, provider);
        Ok(())
    }
}

/// Writes where a provider is called.
fn set_address(desk: &Desk, provider: &Provider, url: &str) -> anyhow::Result<()> {
    let address = Address::parse(url).map_err(|reason| {
        Advice::new(reason, "`--base-url` takes an address such as `http://127.0.0.1:11434/v1`")
    })?;
    edit::set(&desk.home.env, &BASE_URL.of(provider), address.as_str())?;
    print::out(&format!("{}: called at {}\n", provider.id, address.as_str()))
}
