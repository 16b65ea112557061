//! `hr providers`

mod scan;

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use hr_core::catalog::{AuthScheme, Dialect, Provider, SpendClass};
use hr_core::credentials::collect_keys;
use hr_core::pool::{Member, Pool};
use hr_core::settings::define::provider::BASE_URL;
use serde::Serialize;

use crate::cli::desk::{Desk, Written};
use crate::cli::paint::Paint;
use crate::cli::print;
use crate::cli::table::{Cell, Table};

/// List the providers, with where to get a key
///
/// Every provider of the catalogue and of your own `providers.d`: what its calls
/// cost, which variable holds its key (besides `hr auth add`), and whether it can
/// be called. With `--scan`, which model servers run on this machine (Ollama,
/// LM Studio, llama.cpp, vLLM at their usual ports), and the command that uses them.
///
/// Examples:
///
///   hr providers
///   hr providers --scan      finds servers on this machine
///   hr providers --json
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Providers {
    /// Print the list as JSON
    #[arg(long)]
    json: bool,

    /// Look for model servers that run on this machine
    #[arg(long)]
    scan: bool,
}

#[derive(Serialize)]
struct Row {
    id: String,
    name: String,
    aliases: Vec<String>,
    dialect: Dialect,
    base_url: String,
    /// What its default models cost.
    spend: BTreeSet<SpendClass>,
    key_vars: Vec<String>,
    enabled_by: Vec<String>,
    sign_up: Option<String>,
    note: Option<String>,
    models: Vec<String>,
    keys: usize,
    status: Status,
    because: Option<String>,
    #[serde(skip)]
    is_local: bool,
    file: String,
}

/// Whether a provider can be called.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    /// It has all it needs.
    Ready,
    /// A key is missing, or the variable that switches it on.
    NotSetUp,
    /// It ended.
    Retired,
    /// Its dialect or login has not landed.
    NotYet,
    /// It has a key and may not be called with it all the same.
    Off,
}

/// Why a provider with keys is not in the pool.
const HELD_BACK: &str = "its keys are held back from its address, see `hr config check`";

impl Providers {
    pub fn run(&self, desk: &Desk) -> anyhow::Result<()> {
        let written = desk.written()?;
        // While something is wrong there is no pool, and what is written has to do.
        let pool = desk.load().ok().map(|loaded| loaded.pool);
        if self.scan {
            return scan::run(desk, &written.catalog, pool.as_ref(), self.json);
        }
        let rows: Vec<Row> =
            written.catalog.providers.iter().map(|provider| row(provider, &written, pool.as_ref())).collect();
        if self.json { print::json(&rows) } else { print::out(&table(&rows)) }
    }
}

fn row(provider: &Provider, written: &Written, pool: Option<&Pool>) -> Row {
    let keys = collect_keys(provider, &written.auth, &written.layers, &written.install).keys.len();
    let is_set = |name: &str| written.layers.get(name).is_some();
    let asked_for = provider.enabled_by.is_empty() || provider.enabled_by.iter().any(|name| is_set(name));
    let own_address = is_set(&BASE_URL.of(provider));
    let member = pool.map(|pool| pool.members.iter().find(|member| member.provider.id == provider.id));
    let ready = match provider.auth {
        AuthScheme::None => asked_for,
        _ => keys > 0,
    };
    let (status, because) = match (&provider.unavailable, &provider.retired) {
        (Some(why), _) => (Status::NotYet, Some(why.clone())),
        (None, Some(retired)) if !own_address => (Status::Retired, Some(retired.note.clone())),
        _ if !ready => (Status::NotSetUp, None),
        _ => match member {
            Some(None) => (Status::Off, Some(HELD_BACK.to_owned())),
            Some(Some(Member { off: Some(why), .. })) => (Status::Off, Some(why.clone())),
            _ => (Status::Ready, None),
        },
    };
    let base_url = member.flatten().map_or(&provider.base_url, |member| &member.base_url).clone();
    Row {
        id: provider.id.clone(),
        name: provider.name.clone(),
        aliases: provider.aliases.clone(),
        dialect: provider.dialect,
        base_url,
        spend: spend(provider),
        key_vars: provider.key_vars.clone(),
        enabled_by: provider.enabled_by.clone(),
        sign_up: provider.sign_up.clone(),
        note: provider.note.clone(),
        models: provider.models.iter().filter(|model| model.default).map(|model| model.id.clone()).collect(),
        keys,
        status,
        because,
        is_local: provider.local,
        file: provider.file.clone(),
    }
}

/// The classes of the models that are used unless others are chosen.
fn spend(provider: &Provider) -> BTreeSet<SpendClass> {
    let defaults = provider.models.iter().filter(|model| model.default);
    let mut classes: BTreeSet<_> = defaults.map(|model| model.spend.unwrap_or(provider.spend)).collect();
    if classes.is_empty() {
        classes.insert(provider.spend);
    }
    classes
}

fn table(rows: &[Row]) -> String {
    let paint = Paint::stdout();
    let mut table = Table::new(&["Provider", "Status", "Keys", "Cost", "Key variable", "Sign up"]);
    for row in rows {
        let status = match row.status {
            Status::Ready => Cell::painted("ready", Paint::good),
            Status::NotSetUp => Cell::painted("-", Paint::faint),
            Status::Retired => Cell::painted("retired", Paint::doubtful),
            Status::NotYet => Cell::painted("not yet", Paint::doubtful),
            Status::Off => Cell::painted("off", Paint::doubtful),
        };
        let keys = if row.keys == 0 { String::new() } else { row.keys.to_string() };
        // Without a key, the variable that switches it on is the one to set.
        let variable = row.enabled_by.first().or(row.key_vars.first()).cloned().unwrap_or_default();
        table.row([
            row.id.as_str().into(),
            status,
            keys.into(),
            row.spend.iter().map(|class| class.name()).collect::<Vec<_>>().join(", ").into(),
            variable.into(),
            row.sign_up.clone().unwrap_or_default().into(),
        ]);
    }
    let mut text = table.render(&paint);
    // Said once a reason: several providers may wait for the same thing.
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for row in rows {
        if let Some(because) = &row.because {
            reasons.entry(because).or_default().push(&row.id);
        }
    }
    if !reasons.is_empty() {
        text.push('\n');
    }
    for (reason, ids) in reasons {
        text.push_str(&format!("{}: {reason}\n", ids.join(", ")));
    }
    text.push_str("\nStore a key with `hr auth add <provider>`. `hr providers --json` has everything.\n");
    if rows.iter().any(|row| row.is_local && row.status == Status::NotSetUp) {
        text.push_str("`hr providers --scan` finds model servers on this machine.\n");
    }
    text
}
