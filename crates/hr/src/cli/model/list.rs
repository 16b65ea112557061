//! `hr model list`

use clap::Args;
use hr_core::settings::define::provider::MODEL;
use serde::Serialize;

use crate::cli::desk::Desk;
use crate::cli::paint::Paint;
use crate::cli::table::{Cell, Table};
use crate::cli::{print, words};

/// List the models of every provider
///
/// The source is `default`, or `override` when `<P>_MODEL` is set.
///
/// Examples:
///
///   hr model list
///   hr model list --json
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct List {
    /// Print the list as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Row {
    provider: String,
    models: Vec<String>,
    source: &'static str,
    /// Where an override is written.
    origin: Option<String>,
}

impl List {
    pub fn run(&self, desk: &Desk) -> anyhow::Result<()> {
        let (catalog, layers) = (desk.catalog()?, desk.layers()?);
        let row = |provider: &std::sync::Arc<hr_core::catalog::Provider>| {
            let variable = MODEL.of(provider);
            let (text, source, origin) = match layers.get(&variable) {
                Some(found) => (found.value.to_owned(), "override", Some(words::origin(&found.origin))),
                None => (super::defaults(provider), "default", None),
            };
            let models = super::split(&text).into_iter().map(str::to_owned).collect();
            Row { provider: provider.id.clone(), models, source, origin }
        };
        let rows: Vec<Row> = catalog.providers.iter().map(row).collect();
        if self.json {
            return print::json(&rows);
        }
        let mut table = Table::new(&["Provider", "Model", "Source", ""]);
        for row in rows {
            let source = match row.origin {
                Some(_) => Cell::painted(row.source, Paint::doubtful),
                None => row.source.into(),
            };
            let origin = Cell::painted(row.origin.unwrap_or_default(), Paint::faint);
            table.row([row.provider.into(), row.models.join(", ").into(), source, origin]);
        }
        print::out(&table.render(&Paint::stdout()))
    }
}
