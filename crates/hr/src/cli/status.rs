//! `hr status`

use std::net::SocketAddr;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use serde_json::Value;

use crate::cli::desk::Desk;
use crate::cli::paint::Paint;
use crate::cli::report::Advice;
use crate::cli::table::{Cell, Table};
use crate::cli::{abilities, fit, print, quota, talk, words};
use crate::files::load::Loaded;

/// How often `--watch` looks again.
const WATCH_EVERY: Duration = Duration::from_secs(2);

/// The share of failures from which a provider counts as degraded.
const DEGRADED_RATE: f64 = 0.1;

/// Show how the router and its providers are
///
/// Beside the providers it shows what is left of their limits, and what models can
/// do as far as that was found out. Exit code 1 when no router runs; what is set up is
/// listed all the same.
///
/// Examples:
///
///   hr status
///   hr status --watch      again every two seconds, until Ctrl-C
///   hr status --json       all there is to know, as the router's `/v1/status` has it
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Status {
    /// Print the router's answer as JSON
    #[arg(long)]
    json: bool,

    /// Look again every two seconds
    #[arg(long, short)]
    watch: bool,
}

impl Status {
    pub fn run(self, desk: &Desk) -> anyhow::Result<ExitCode> {
        if !self.watch {
            return self.look(desk);
        }
        loop {
            let paint = Paint::stdout();
            if paint.is_on() && !self.json {
                // To the top left, and everything below gone.
                print::out("\x1b[H\x1b[J")?;
            }
            // A router that is away may come back.
            self.look(desk)?;
            thread::sleep(WATCH_EVERY);
        }
    }

    fn look(&self, desk: &Desk) -> anyhow::Result<ExitCode> {
        let (address, key) = desk.way_in()?;
        let answer = match talk::get(address, "/v1/status", key.as_ref()) {
            Ok(answer) => answer,
            Err(error) if self.json => {
                let what = format!("no router runs at http://{address}");
                return Err(Advice::new(what, "start one with `hr start`").because(error).into());
            }
            Err(_) => {
                print::out(&set_up(&desk.load()?))?;
                print::say(&format!("No router runs at http://{address}: start one with `hr start`."));
                return Ok(ExitCode::FAILURE);
            }
        };
        let status = understood(&answer, address, desk)?;
        if self.json {
            print::json(&status)?;
        } else {
            print::out(&table(&status, fit::width()))?;
        }
        if desk.load().is_err() {
            print::say("warning: the files have mistakes that the router has refused: `hr config check`");
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The answer as data, or why it is none.
fn understood(answer: &talk::Answer, address: SocketAddr, desk: &Desk) -> anyhow::Result<Value> {
    match answer.status {
        200 => serde_json::from_slice(&answer.body)
            .with_context(|| format!("what answers at http://{address} is not a router")),
        401 | 403 => {
            let what = format!("the router at http://{address} runs, but does not accept the access key");
            let env = desk.home.env.display();
            let hint = format!("it may have another home or environment: here the key is in `{env}`");
            Err(Advice::new(what, hint).into())
        }
        other => {
            let what = format!("what answers at http://{address} is not a router, or not well: HTTP {other}");
            Err(Advice::new(what, "`hr config show` shows `PORT` and `HOST`").into())
        }
    }
}

/// What would be called, when nothing runs.
fn set_up(loaded: &Loaded) -> String {
    let mut table = Table::new(&["Provider", "Rating", "Health", "Keys", "Latency"]);
    for member in &loaded.pool.members {
        let rating = member.models.first().map(|model| model.rating.to_string()).unwrap_or_default();
        let health = match &member.off {
            Some(why) => Cell::painted(why.as_str(), Paint::doubtful),
            None => Cell::painted("not running", Paint::faint),
        };
        table.row([
            member.provider.id.as_str().into(),
            rating.into(),
            health,
            words::count(member.keys.len(), "key").into(),
            "".into(),
        ]);
    }
    if loaded.pool.members.is_empty() {
        return "No provider is set up: `hr providers` lists them, `hr auth add <provider>` stores a key.\n"
            .to_owned();
    }
    table.render_in(fit::width(), &Paint::stdout())
}

/// A provider's row, read from the router's answer.
struct Row {
    name: String,
    rating: Option<u64>,
    health: Cell,
    keys: Cell,
    latency: String,
}

fn row(name: &str, provider: &Value) -> Row {
    let number = |pointer: &str| provider.pointer(pointer).and_then(Value::as_f64);
    let is = |pointer: &str| provider.pointer(pointer).and_then(Value::as_bool);
    let rest = provider["because"].as_str().map(|because| {
        let wait = provider["cooling_for_s"].as_u64().unwrap_or(0);
        format!("{}, {}", because.replace('_', " "), words::span(wait))
    });
    let health = if let Some(why) = provider["off"].as_str() {
        Cell::painted(why, Paint::doubtful)
    } else if is("/breaker/open") == Some(true) {
        let wait = number("/breaker/opens_in_s").unwrap_or(0.0);
        Cell::painted(format!("breaker open ({wait:.0} s)"), Paint::bad)
    } else if is("/available") == Some(false) {
        Cell::painted(
            rest.map_or_else(|| "unavailable".into(), |rest| format!("unavailable ({rest})")),
            Paint::bad,
        )
    } else if let Some(rest) = rest {
        Cell::painted(format!("resting ({rest})"), Paint::doubtful)
    } else if let Some(rate) = number("/stats/error_rate").filter(|rate| *rate >= DEGRADED_RATE) {
        Cell::painted(format!("degraded ({:.0} % errors)", rate * 100.0), Paint::doubtful)
    } else {
        Cell::painted("ok", Paint::good)
    };
    let keys = provider["keys"].as_array().map(Vec::as_slice).unwrap_or_default();
    let cooling = keys.iter().filter(|key| key["status"] == "cooling").count();
    let keys = match (keys.len(), cooling) {
        (0, _) => Cell::painted("no keys", Paint::bad),
        (all, 0) => format!("{all} ready").into(),
        (all, cooling) => Cell::painted(format!("{all} ({cooling} cooling)"), Paint::doubtful),
    };
    let latency = number("/stats/avg_latency_ms").or(number("/latency_ms"));
    Row {
        name: name.to_owned(),
        rating: provider["rating"].as_u64(),
        health,
        keys,
        latency: latency.map(|ms| format!("{ms:.0} ms")).unwrap_or_default(),
    }
}

/// The table, sorted by rating and then by name, and what else matters.
fn table(status: &Value, width: Option<usize>) -> String {
    let providers = status["providers"].as_object();
    let mut rows: Vec<Row> =
        providers.into_iter().flatten().map(|(name, provider)| row(name, provider)).collect();
    rows.sort_by(|a, b| {
        let rank = |row: &Row| row.rating.unwrap_or(u64::MAX);
        rank(a).cmp(&rank(b)).then_with(|| a.name.cmp(&b.name))
    });
    let none = rows.is_empty();
    let mut table = Table::new(&["Provider", "Rating", "Health", "Keys", "Latency"]);
    for row in rows {
        let rating = row.rating.map(|rating| rating.to_string()).unwrap_or_default();
        table.row([row.name.into(), rating.into(), row.health, row.keys, row.latency.into()]);
    }
    let mut text = if none {
        "No provider is set up: `hr providers` lists them, `hr auth add <provider>` stores a key.\n"
            .to_owned()
    } else {
        table.render_in(width, &Paint::stdout())
    };
    text.push_str(&quotas(providers, width));
    for (name, provider) in providers.into_iter().flatten() {
        for hint in provider["hints"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            text.push_str(&format!("\n{}\n", fit::fold(&[format!("{name}: {hint}")], fit::BELOW, width)));
        }
    }
    if let Some(abilities) = abilities::table(status, width, &Paint::stdout()) {
        text.push_str(&format!("\n{abilities}"));
    }
    let mode = status.pointer("/rotation/mode").and_then(Value::as_str).unwrap_or("unknown");
    text.push_str(&format!("\nRotation: {mode}\n"));
    let breaker = &status["circuit_breaker"];
    if breaker.is_object() {
        let line = format!(
            "Breaker: opens at {:.0} % failures of the last {}, with {} at least, for {} s at most",
            breaker["error_rate"].as_f64().unwrap_or(0.0) * 100.0,
            breaker["window"],
            breaker["min_samples"],
            breaker["cooldown_s"].as_f64().unwrap_or(0.0)
        );
        text.push_str(&format!("{}\n", fit::fold(&[line], fit::BELOW, width)));
    }
    text
}

/// What is left of the limits that the providers have told: those that were only published are left to `hr quota`.
fn quotas(providers: Option<&serde_json::Map<String, Value>>, width: Option<usize>) -> String {
    let paint = Paint::stdout();
    let mut text = String::new();
    for owner in
        providers.into_iter().flatten().flat_map(|(_, provider)| provider["limits"].as_array()).flatten()
    {
        let buckets = owner["buckets"].as_array().into_iter().flatten();
        let mut lines = buckets.filter(|bucket| bucket["source"] != "catalog").peekable();
        if lines.peek().is_none() {
            continue;
        }
        text.push_str(&format!("\n{}\n", quota::title(owner, width, &Paint::plain())));
        for bucket in lines {
            text.push_str(&format!("{}\n", quota::line(bucket, width, &paint)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_table_is_sorted_by_rating_and_says_the_worst_first() {
        let ready = json!([{ "status": "ready" }]);
        let status = json!({
            "providers": {
                "zeta": {
                    "rating": 1, "keys": ready, "available": true, "stats": { "avg_latency_ms": 12.4 },
                    "limits": [{
                        "provider": "zeta", "keys": [{ "key_tail": "aaa111" }],
                        "buckets": [
                            { "unit": "requests", "span": "day", "limit": 50.0, "left": 5.0, "spent": false,
                              "resets_in_s": 60, "source": "header", "confidence": "sure" },
                            { "unit": "requests", "span": "minute", "limit": 5.0, "left": 5.0, "spent": false,
                              "source": "catalog", "confidence": "guess" },
                        ],
                    }],
                },
                "alpha": {
                    "rating": 2, "available": true, "stats": { "error_rate": 0.5 },
                    "breaker": { "open": true, "opens_in_s": 42 },
                    "keys": [{ "status": "ready" }, { "status": "cooling" }],
                },
                "beta": { "rating": 2, "keys": ready, "available": true, "stats": { "error_rate": 0.25 } },
                "gone": { "rating": 2, "keys": ready, "off": "ended on 2026-01-01" },
                "bare": { "keys": [], "available": false },
                "full": {
                    "rating": 3, "available": true, "because": "rate_limited", "cooling_for_s": 7,
                    "keys": [{ "status": "cooling" }], "stats": { "error_rate": 1.0 },
                },
                "lost": {
                    "rating": 3, "available": false, "because": "bad_key", "cooling_for_s": 600,
                    "hints": ["make another"],
                    "keys": [{ "status": "cooling" }],
                },
            },
            "rotation": { "mode": "sequential" },
            "circuit_breaker": { "window": 8, "min_samples": 4, "error_rate": 0.5, "cooldown_s": 60.0 },
        });
        assert_eq!(
            table(&status, None),
            "Provider  Rating  Health                         Keys           Latency\n\
             zeta      1       ok                             1 ready        12 ms\n\
             alpha     2       breaker open (42 s)            2 (1 cooling)\n\
             beta      2       degraded (25 % errors)         1 ready\n\
             gone      2       ended on 2026-01-01            1 ready\n\
             full      3       resting (rate limited, 7 s)    1 (1 cooling)\n\
             lost      3       unavailable (bad key, 10 min)  1 (1 cooling)\n\
             bare              unavailable                    no keys\n\
             \n\
             zeta: key …aaa111\n  \
               [#.........] 5 of 50 requests a day  whole in 60 s  sure, by a header\n\
             \n\
             lost: make another\n\
             \n\
             Rotation: sequential\n\
             Breaker: opens at 50 % failures of the last 8, with 4 at least, for 60 s at most\n"
        );
        assert_eq!(
            table(&status, Some(60)),
            "Provider  Rating  Health              Keys           Latency\n\
             zeta      1       ok                  1 ready        12 ms\n\
             alpha     2       breaker open (42    2 (1 cooling)\n                  \
             s)\n\
             beta      2       degraded (25 %      1 ready\n                  \
             errors)\n\
             gone      2       ended on            1 ready\n                  \
             2026-01-01\n\
             full      3       resting (rate       1 (1 cooling)\n                  \
             limited, 7 s)\n\
             lost      3       unavailable (bad    1 (1 cooling)\n                  \
             key, 10 min)\n\
             bare              unavailable         no keys\n\
             \n\
             zeta: key …aaa111\n  \
             [#.........] 5 of 50 requests a day  whole in 60 s\n      \
             sure, by a header\n\
             \n\
             lost: make another\n\
             \n\
             Rotation: sequential\n\
             Breaker: opens at 50 % failures of the last 8, with 4 at\n      \
             least, for 60 s at most\n"
        );
        assert_eq!(table(&status, Some(80)), table(&status, None), "that much room is enough");
    }

    #[test]
    fn an_answer_of_another_shape_is_no_reason_to_fail() {
        assert!(table(&json!({}), None).contains("No provider is set up"));
        assert!(table(&json!({ "providers": { "x": null }, "rotation": 7 }), None).contains("x"));
    }
}
