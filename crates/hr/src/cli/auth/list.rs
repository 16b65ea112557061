//! `hr auth list`

use clap::Args;
use hr_core::credentials::{Account, collect_keys};
use hr_core::time::Millis;
use serde::Serialize;

use crate::cli::desk::Desk;
use crate::cli::paint::Paint;
use crate::cli::table::{Cell, Table};
use crate::cli::{print, words};

/// List every provider with its keys and accounts
///
/// A key is shown by its last characters, with where it was found and who its
/// quota is counted against; an account by who signed in, with its plan and when
/// its access ends unless it is renewed, which the router does by itself.
///
/// Examples:
///
///   hr auth list
///   hr auth list --json
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct List {
    /// Print the list as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Listing {
    auth_file: String,
    total: usize,
    providers: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    provider: String,
    keys: Vec<Key>,
}

#[derive(Serialize)]
struct Key {
    tail: Option<String>,
    id: String,
    source: String,
    owner: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<AccountEntry>,
}

#[derive(Serialize)]
struct AccountEntry {
    id: String,
    email: Option<String>,
    plan: Option<String>,
    expires: Option<String>,
    last_refresh: Option<String>,
    login_needed: Option<String>,
}

impl AccountEntry {
    fn of(account: &Account) -> Self {
        let claims = account.claims();
        Self {
            id: account.id.clone(),
            email: claims.email,
            plan: claims.plan,
            expires: claims.expires.map(Millis::to_rfc3339),
            last_refresh: account.last_refresh.map(Millis::to_rfc3339),
            login_needed: account.login_needed.clone(),
        }
    }

    fn name(&self) -> &str {
        self.email.as_deref().unwrap_or(&self.id)
    }
}

impl List {
    pub fn run(&self, desk: &Desk) -> anyhow::Result<()> {
        let listing = listing(desk)?;
        if self.json { print::json(&listing) } else { print::out(&table(&listing)) }
    }
}

fn listing(desk: &Desk) -> anyhow::Result<Listing> {
    let written = desk.written()?;
    let of = |provider: &std::sync::Arc<hr_core::catalog::Provider>| {
        let found = collect_keys(provider, &written.auth, &written.layers, &written.install);
        for problem in &found.problems {
            print::say(&format!("warning: {problem}"));
        }
        let keys = found.keys.into_iter().map(|key| Key {
            tail: key.secret.as_ref().map(|secret| secret.tail()),
            account: key.account.as_deref().map(AccountEntry::of),
            source: words::source(&key.source),
            owner: key.owner,
            id: key.id.0,
        });
        Entry { provider: provider.id.clone(), keys: keys.collect() }
    };
    let providers: Vec<Entry> = written.catalog.providers.iter().map(of).collect();
    let total = providers.iter().map(|entry| entry.keys.len()).sum();
    Ok(Listing { auth_file: desk.auth_path().display().to_string(), total, providers })
}

fn table(listing: &Listing) -> String {
    let paint = Paint::stdout();
    let mut table = Table::new(&["Provider", "Keys", "Key", "Source", "Owner"]);
    for entry in &listing.providers {
        let count = match entry.keys.len() {
            0 => Cell::painted("none", Paint::bad),
            number => number.to_string().into(),
        };
        let mut first = Some((Cell::from(entry.provider.as_str()), count));
        if entry.keys.is_empty() {
            table.row(first.take().into_iter().flat_map(|(provider, count)| [provider, count]));
        }
        for key in &entry.keys {
            let (provider, count) = first.take().unwrap_or_else(|| ("".into(), "".into()));
            let tail = match &key.account {
                Some(account) => account.name().to_owned(),
                None => key.tail.as_ref().map(|tail| format!("…{tail}")).unwrap_or_default(),
            };
            let owner = key.owner.clone().unwrap_or_default();
            table.row([provider, count, tail.into(), key.source.as_str().into(), owner.into()]);
        }
    }
    let total = words::count(listing.total, "key");
    let mut text = table.render(&paint);
    if let Some(accounts) = accounts(listing, &paint) {
        text.push_str(&format!("\n{accounts}"));
    }
    format!("{text}\n{total} in all; stored in {}\n", listing.auth_file)
}

/// What is to know of accounts and not of keys; nothing when there is none.
fn accounts(listing: &Listing, paint: &Paint) -> Option<String> {
    let mut table = Table::new(&["Account", "Of", "Plan", "Access until", "State", "Id"]);
    let mut any = false;
    for entry in &listing.providers {
        for account in entry.keys.iter().filter_map(|key| key.account.as_ref()) {
            any = true;
            let state = match &account.login_needed {
                Some(why) => Cell::painted(format!("log in again ({why})"), Paint::bad),
                None => Cell::painted("signed in", Paint::good),
            };
            let plan = account.plan.clone().unwrap_or_else(|| "unknown".to_owned());
            let until = account.expires.clone().unwrap_or_else(|| "unknown".to_owned());
            table.row([
                account.name().into(),
                entry.provider.as_str().into(),
                plan.into(),
                until.into(),
                state,
                account.id.as_str().into(),
            ]);
        }
    }
    any.then(|| table.render(paint))
}
