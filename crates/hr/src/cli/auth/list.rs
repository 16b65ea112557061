//! `hr auth list`

use clap::Args;
use hr_core::catalog::AuthScheme;
use hr_core::credentials::collect_keys;
use serde::Serialize;

use crate::cli::desk::Desk;
use crate::cli::paint::Paint;
use crate::cli::table::{Cell, Table};
use crate::cli::{print, words};

/// List every provider with its keys
///
/// A key is shown by its last characters, with where it was found and who its
/// quota is counted against.
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
            // An account has no secret of its own here; its id tells it apart.
            tail: match provider.auth {
                AuthScheme::Oauth => Some(key.id.0.clone()),
                _ => key.secret.as_ref().map(|secret| secret.tail()),
            },
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
            let tail = key.tail.as_ref().map(|tail| format!("…{tail}")).unwrap_or_default();
            let owner = key.owner.clone().unwrap_or_default();
            table.row([provider, count, tail.into(), key.source.as_str().into(), owner.into()]);
        }
    }
    let total = words::count(listing.total, "key");
    format!("{}\n{total} in all; stored in {}\n", table.render(&paint), listing.auth_file)
}
