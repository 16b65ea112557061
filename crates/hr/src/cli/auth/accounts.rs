//! Accounts that sign in instead of keys: what both ways to one share.

use std::io::{self, IsTerminal};
use std::path::Path;

use anyhow::Context;
use hr_core::catalog::{Login, Provider};
use hr_core::credentials::{Account, Added, program};
use hr_core::problem::Problem;

use crate::cli::desk::Desk;
use crate::cli::{print, words};
use crate::files::{edit, store};

/// Where a provider's own program keeps its login in its folder.
pub const FILE: &str = "auth.json";
/// The settings file of that program in the same folder.
pub const SETTINGS: &str = "config.toml";

/// Says what whoever connects an account must know. On a terminal, asks whether to go on.
pub fn agree(provider: &Provider, login: &Login, yes: bool) -> anyhow::Result<bool> {
    print::say(&format!("warning: {}: {}", provider.id, login.warning));
    if yes || !io::stdin().is_terminal() {
        return Ok(true);
    }
    super::yes("Connect the account all the same?").context("could not read the answer from the terminal")
}

/// What is said when the answer was no.
pub fn declined() -> anyhow::Result<()> {
    print::out("Nothing was connected.\n")
}

/// The login in a file of the provider's own program; none when there is no such file.
pub fn read(path: &Path) -> anyhow::Result<Option<Account>> {
    let shown = path.display().to_string();
    let text = store::read(path).with_context(|| format!("could not read `{shown}`"))?;
    let read = |text: String| program::read_login(&text, &shown).map_err(anyhow::Error::from);
    text.map(read).transpose()
}

/// Stores an account, in the place of the same one if it is there, and says so.
pub fn adopt(desk: &Desk, provider: &Provider, account: &Account) -> anyhow::Result<()> {
    let path = desk.auth_path();
    let (added, count) = edit::credentials(&path, |file| {
        let added = file.put_account(account);
        Ok((added, file.accounts().count()))
    })?;
    let shown = described(account);
    let first = match added {
        Added::New => format!("Added the account {shown} for {}\n", provider.id),
        Added::Duplicate => format!("Stored new tokens of the account {shown} for {}\n", provider.id),
    };
    let mut text = first;
    text.push_str(&format!(
        "{} now has {} in {}\n",
        provider.id,
        words::count(count, "account"),
        path.display()
    ));
    if desk.running()?.is_some() {
        text.push_str("The router that runs uses it at once.\n");
    }
    print::out(&text)
}

/// An account as people know it: who signed in, else its id.
pub fn name(account: &Account) -> String {
    account.claims().email.unwrap_or_else(|| account.id.clone())
}

/// Accounts as people know them, with the id where one person has several.
pub fn names<'a>(accounts: impl Iterator<Item = &'a Account>) -> Vec<String> {
    let named: Vec<(String, &str)> = accounts.map(|account| (name(account), account.id.as_str())).collect();
    let several = |name: &String| named.iter().filter(|(other, _)| other == name).count() > 1;
    let told =
        |(name, id): &(String, &str)| if several(name) { format!("{id} ({name})") } else { name.clone() };
    named.iter().map(told).collect()
}

fn described(account: &Account) -> String {
    match account.claims().plan {
        Some(plan) => format!("{} ({plan})", name(account)),
        None => name(account),
    }
}

/// The provider, and how it signs in.
pub fn login(provider: &Provider) -> anyhow::Result<&Login> {
    provider.login.as_ref().ok_or_else(|| {
        let reason = format!("`{}` signs in with keys, not with accounts", provider.id);
        let problem = Problem::new("command line", reason);
        problem.hint(format!("store a key: `hr auth add {}`", provider.id)).into()
    })
}
