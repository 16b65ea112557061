//! `hr auth remove`

use std::io::{self, IsTerminal};

use clap::Args;
use hr_core::catalog::{AuthScheme, Provider};
use hr_core::credentials::{NotRemoved, Selector, collect_keys};
use hr_core::pool::KeySource;
use hr_core::secret::{Secret, TAIL_CHARS};

use super::accounts;
use crate::cli::desk::{self, Desk};
use crate::cli::report::Advice;
use crate::cli::{print, words};
use crate::files::{edit, install};

/// Remove stored keys or accounts of a provider
///
/// On a terminal you are asked first. A router that runs stops using a removed
/// key at once. An account is named by who signed in, or by its id.
///
/// Examples:
///
///   hr auth remove <provider> a1b2c3      the key that ends so, see `hr auth list`
///   hr auth remove <provider>             its only key
///   hr auth remove <provider> --all       all of them
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Remove {
    /// The provider
    provider: Option<String>,

    /// The last characters of the key
    #[arg(conflicts_with = "all")]
    tail: Option<String>,

    /// Remove all keys of the provider
    #[arg(long)]
    all: bool,

    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl Remove {
    pub fn run(self, desk: &Desk) -> anyhow::Result<()> {
        let catalog = desk.catalog()?;
        let provider = desk::provider(&catalog, self.provider.as_deref())?;
        let selector = match (self.all, self.tail) {
            (true, _) => Selector::All,
            (false, Some(tail)) => Selector::Tail(tail.trim_start_matches('…').to_owned()),
            (false, None) => Selector::Index(1),
        };
        let by_account = provider.auth == AuthScheme::Oauth;
        let question = match &selector {
            Selector::All if by_account => format!("Remove all accounts of {}?", provider.id),
            Selector::Tail(name) if by_account => format!("Remove the account {name} of {}?", provider.id),
            Selector::Index(_) if by_account => format!("Remove the account of {}?", provider.id),
            Selector::All => format!("Remove all keys of {}?", provider.id),
            Selector::Tail(tail) => {
                format!("Remove the key …{} of {}?", Secret::new(tail).tail(), provider.id)
            }
            Selector::Index(_) => format!("Remove the key of {}?", provider.id),
        };
        if !self.yes && io::stdin().is_terminal() && !super::yes(&question)? {
            return print::out("Nothing was removed.\n");
        }
        if by_account {
            remove_accounts(desk, provider, &selector)
        } else {
            remove(desk, provider, &selector)
        }
    }
}

fn remove_accounts(desk: &Desk, provider: &Provider, selector: &Selector) -> anyhow::Result<()> {
    let path = desk.auth_path();
    let (removed, left) = edit::credentials(&path, |file| {
        let names = accounts::names(file.accounts());
        let which = || {
            let what = format!("several accounts of `{}` are meant", provider.id);
            Advice::new(what, format!("say which: {}", names.join(", ")))
                .and("or remove them all with `--all`")
        };
        if matches!(selector, Selector::Index(_)) && names.len() > 1 {
            return Err(which().into());
        }
        let removed = file.remove_accounts(selector).map_err(|refusal| match refusal {
            NotRemoved::Ambiguous(_) => which(),
            NotRemoved::NotThere => {
                let what = format!("no such account of `{}` is stored", provider.id);
                Advice::new(what, "`hr auth list` shows what is stored")
            }
        })?;
        Ok((removed, file.accounts().count()))
    })?;
    let names = accounts::names(removed.iter());
    print::out(&format!(
        "Removed {} of {}: {}\n{} left in {}\n",
        words::count(removed.len(), "account"),
        provider.id,
        names.join(", "),
        words::count(left, "account"),
        path.display()
    ))
}

fn remove(desk: &Desk, provider: &Provider, selector: &Selector) -> anyhow::Result<()> {
    let install = install::secret(&desk.home.install_key)?;
    let path = desk.auth_path();
    let (removed, left) = edit::credentials(&path, |file| {
        let stored = file.keys(&provider.id).count();
        if matches!(selector, Selector::Index(_)) && stored > 1 {
            return Err(which(provider, file.keys(&provider.id)));
        }
        let removed = file.remove_key(&provider.id, selector, &install).map_err(|refusal| match refusal {
            NotRemoved::NotThere => not_there(desk, provider, selector),
            NotRemoved::Ambiguous(_) => which(provider, file.keys(&provider.id)),
        })?;
        Ok((removed, file.keys(&provider.id).count()))
    })?;
    let tails: Vec<String> = removed.iter().map(|key| format!("…{}", key.tail())).collect();
    print::out(&format!(
        "Removed {} of {}: {}\n{} left in {}\n",
        words::count(removed.len(), "key"),
        provider.id,
        tails.join(", "),
        words::count(left, "key"),
        path.display()
    ))
}

fn which<'a>(provider: &Provider, keys: impl Iterator<Item = &'a Secret>) -> anyhow::Error {
    let tails: Vec<String> = keys.map(|key| format!("…{}", key.tail())).collect();
    Advice::new(
        format!("several keys of `{}` are meant", provider.id),
        format!("say which, by as many of its last characters as it takes: {}", tails.join(", ")),
    )
    .and("or remove them all with `--all`")
    .into()
}

/// Why nothing was found, above all when the key comes from elsewhere.
fn not_there(desk: &Desk, provider: &Provider, selector: &Selector) -> anyhow::Error {
    let what = match selector {
        // What was typed may be a whole key.
        Selector::Tail(tail) if tail.chars().count() <= TAIL_CHARS => {
            format!("no stored key of `{}` ends in `{}`", provider.id, tail.escape_debug())
        }
        Selector::Tail(_) => format!("no stored key of `{}` ends so", provider.id),
        _ => format!("no key of `{}` is stored", provider.id),
    };
    let elsewhere = desk.written().ok().and_then(|written| {
        let keys = collect_keys(provider, &written.auth, &written.layers, &written.install).keys;
        let meant = |secret: &Secret| match selector {
            Selector::Tail(tail) => secret.expose().ends_with(tail.as_str()),
            _ => true,
        };
        keys.into_iter()
            .find(|key| key.source != KeySource::AuthFile && key.secret.as_ref().is_some_and(meant))
    });
    match elsewhere {
        Some(key) => {
            let place = words::source(&key.source);
            Advice::new(what, format!("the key comes from {place}; remove it there")).into()
        }
        None => Advice::new(what, "`hr auth list` shows what is stored").into(),
    }
}
