//! `hr explain`

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use clap::Args;
use hr_core::route::record::{PassedOver, Row};
use hr_core::route::target::ROUTER_MODEL;
use hr_core::time::Millis;

use crate::cli::desk::Desk;
use crate::cli::paint::Paint;
use crate::cli::report::Advice;
use crate::cli::table::{Cell, Table};
use crate::cli::{decided, print, talk, words};
use crate::gate::decisions::{Explained, State, Wondering, explain_files};

/// The most candidates that a terminal is filled with.
const MAX_ROWS: usize = 20;

/// Show who would be asked for a request, in which order and why, without sending it
///
/// By all that the running router knows of quotas, rests and speeds; when none runs, by
/// the files alone. Points count against a candidate: the fewest go first.
///
/// Examples:
///
///   hr explain
///   hr explain --model hermes-router:best --tools --tokens 60000
///   hr explain --model groq/llama-3.3-70b-versatile --json
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Explain {
    /// What would stand in `model`: a profile, a model, or `provider/model`
    #[arg(long, default_value = ROUTER_MODEL)]
    model: String,

    /// The profile, where the model names none
    #[arg(long, value_parser = ["balanced", "fast", "best", "frugal"])]
    profile: Option<String>,

    /// The request offers tools
    #[arg(long)]
    tools: bool,

    /// An image is in the request
    #[arg(long)]
    vision: bool,

    /// How many tokens its prompt has
    #[arg(long, value_name = "N", default_value_t = 0)]
    tokens: u64,

    /// How many tokens its answer may have
    #[arg(long, value_name = "N")]
    max_output: Option<u64>,

    /// Print the plan as JSON
    #[arg(long)]
    json: bool,
}

impl Explain {
    pub fn run(self, desk: &Desk) -> anyhow::Result<()> {
        let wondering = Wondering {
            model: self.model,
            profile: self.profile,
            tokens: self.tokens,
            max_output: self.max_output,
            tools: self.tools,
            vision: self.vision,
        };
        let (address, key) = desk.way_in()?;
        let explained = match talk::get(address, &wondering.path(), key.as_ref()) {
            Ok(answer) => understood(&answer, address, desk)?,
            Err(_) => from_files(desk, &wondering)?,
        };
        if self.json {
            return print::json(&explained);
        }
        if explained.state == State::Files {
            print::say(&format!(
                "No router runs at http://{address}: by the files alone, as if nobody rested."
            ));
        }
        print::out(&shown(&explained, &Paint::stdout()))
    }
}

fn from_files(desk: &Desk, wondering: &Wondering) -> anyhow::Result<Explained> {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = Millis(0).after(since_epoch);
    explain_files(desk.load()?.pool, wondering, now)
        .map_err(|refusal| anyhow::anyhow!(refusal.words("").message.to_owned()))
}

fn understood(answer: &talk::Answer, address: SocketAddr, desk: &Desk) -> anyhow::Result<Explained> {
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    match (answer.status, body.pointer("/error/message").and_then(serde_json::Value::as_str)) {
        (200, _) => serde_json::from_value(body)
            .with_context(|| format!("the router at http://{address} is of another version: `hr restart`")),
        (400 | 404, Some(words)) => {
            Err(Advice::new(words, "`hr model list` lists models, `hr help explain` shows examples").into())
        }
        (status, _) => Err(decided::unwelcome(status, address, desk).into()),
    }
}

fn shown(explained: &Explained, paint: &Paint) -> String {
    let plan = &explained.plan;
    let mut text = format!("{}\n\n", decided::asked(&explained.ask));
    if plan.candidates.is_empty() {
        text.push_str("Nobody could be asked now.\n");
    } else {
        let mut table = Table::new(&["", "Candidate", "Keys", "Points", "Why"]);
        for (place, row) in plan.candidates.iter().take(MAX_ROWS).enumerate() {
            table.row(cells(place, row));
        }
        text.push_str(&table.render(paint));
        let more = plan.candidates.len().saturating_sub(MAX_ROWS) + plan.left_out as usize;
        if more > 0 {
            text.push_str(&format!(
                "… and {} (`--json` has up to a thousand)\n",
                words::count(more, "more candidate")
            ));
        }
    }
    if !plan.excluded.is_empty() {
        text.push_str("\nPassed over:\n");
        for group in &plan.excluded {
            text.push_str(&format!("  {}\n", passed_over(group, explained.at)));
        }
    }
    text
}

fn cells(place: usize, row: &Row) -> [Cell; 5] {
    [
        format!("{}.", place + 1).into(),
        format!("{}/{}", row.provider, row.model).into(),
        row.count.to_string().into(),
        row.total().to_string().into(),
        Cell::painted(decided::terms(row), Paint::faint),
    ]
}

fn passed_over(group: &PassedOver, now: Millis) -> String {
    let because = group.because.map(|kind| format!(" ({})", decided::plain(kind.code()))).unwrap_or_default();
    let until = group
        .until
        .map(|until| format!("; the first is back in {}", words::span(now.until(until).as_secs())));
    format!("{}{because}: {}{}", words::gate(&group.gate), decided::names(group), until.unwrap_or_default())
}
