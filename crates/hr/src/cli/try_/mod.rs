//! `hr try`: every key with every model, once. [`calls`] makes the calls, [`finding`] is what one has shown,
//! [`words`] tells it to people.

mod calls;
mod finding;
mod words;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use hr_core::pool::{Pool, PoolModel};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::cli::desk::{self, Desk};
use crate::cli::paint::Paint;
use crate::cli::print;
use crate::cli::report::Advice;
use crate::files::load::Loaded;
use crate::gate::{Configuration, Gate};
use finding::Tried;

/// Try each key: does it work, how fast, with what limits
///
/// Makes one tiny call per key and model, at most 32 tokens of answers a key, and
/// says what came back and what to do. A running router is not needed and not
/// asked. Paid models are called too, within `SPEND` and `MAX_COST_PER_REQUEST`:
/// what that may cost is said before. Exit code 1 when a key does not work.
///
/// Examples:
///
///   hr try                          every key
///   hr try <provider>               those of one provider
///   hr try <provider> --model NAME  with this model only
///   hr try --json                   for programs
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Try {
    /// Only the keys of this provider
    provider: Option<String>,

    /// Only this model
    #[arg(long, short)]
    model: Option<String>,

    /// Print what was found as JSON
    #[arg(long)]
    json: bool,
}

/// All that was found.
#[derive(Serialize)]
struct Found {
    keys: Vec<Tried>,
    took_ms: u64,
}

impl Try {
    pub fn run(self, desk: &Desk) -> anyhow::Result<ExitCode> {
        let mut loaded = desk.load()?;
        self.narrow(&mut loaded)?;
        self.warn_of_costs(&loaded.pool);
        let began = Instant::now();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .context("the runtime cannot be started")?;
        let gate = Gate::new(Configuration {
            settings: loaded.settings,
            catalog: loaded.catalog,
            pool: loaded.pool,
            auth: loaded.auth_path,
        })?;
        let bar = bar(self.json);
        let keys = runtime.block_on(async {
            let keys = calls::try_all(&gate, &bar).await;
            // Tokens that were renewed on the way must be stored.
            Arc::clone(&gate.accounts).settled().await;
            keys
        });
        runtime.shutdown_background();
        bar.finish_and_clear();
        let took = began.elapsed();
        let fails = keys.iter().any(Tried::fails);
        if self.json {
            print::json(&Found { keys, took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX) })?;
        } else {
            print::out(&words::told(&keys, took, &Paint::stdout()))?;
        }
        Ok(if fails { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    /// Leaves only what is to be tried.
    fn narrow(&self, loaded: &mut Loaded) -> anyhow::Result<()> {
        let members = &mut loaded.pool.members;
        if let Some(name) = &self.provider {
            let id = desk::provider(&loaded.catalog, Some(name))?.id.clone();
            members.retain(|member| member.provider.id == id);
            if members.is_empty() {
                let hint = format!("`hr auth add {id}` stores one");
                return Err(Advice::new(format!("there is no key of `{id}`"), hint).into());
            }
            if let Some(why) = members.iter().find_map(|member| member.off.as_ref()) {
                return Err(Advice::new(
                    format!("`{id}` is not called: {why}"),
                    "`hr providers` lists the others",
                )
                .into());
            }
        }
        members.retain(|member| member.off.is_none() && !member.keys.is_empty());
        if members.is_empty() {
            let hint = "`hr providers` lists who there is, `hr auth add <provider>` stores a key";
            return Err(Advice::new("there is no key to try", hint).into());
        }
        match &self.model {
            None => members.iter_mut().for_each(|member| member.models.retain(|model| !model.by_request)),
            Some(wanted) => {
                for member in members.iter_mut() {
                    let unlisted = PoolModel::unlisted(wanted, &member.provider);
                    member.models.retain(|model| model.id == *wanted);
                    if member.models.is_empty() && self.provider.is_some() {
                        member.models.push(unlisted);
                    }
                }
                members.retain(|member| !member.models.is_empty());
                if members.is_empty() {
                    let hint =
                        "`hr model list` shows those in use; with a provider, any model of it can be tried";
                    return Err(Advice::new(
                        format!("nobody has the model `{}`", wanted.escape_debug()),
                        hint,
                    )
                    .into());
                }
            }
        }
        Ok(())
    }

    /// Says what calls to paid models may cost, before they are made.
    fn warn_of_costs(&self, pool: &Pool) {
        if !self.json
            && let Some(line) = words::costs(pool)
        {
            print::say(&line);
        }
    }
}

/// A bar that goes on with each call; none where nobody would see it.
fn bar(silent: bool) -> ProgressBar {
    if silent || !std::io::stderr().is_terminal() {
        return ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    }
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos} of {len} calls, {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
