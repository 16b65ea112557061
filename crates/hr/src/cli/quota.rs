//! `hr quota`

use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use hr_core::route::Router;
use hr_core::time::Millis;
use serde_json::{Value, json};

use crate::cli::desk::{self, Desk};
use crate::cli::paint::Paint;
use crate::cli::report::Advice;
use crate::cli::{decided, fit, print, talk, words};
use crate::gate;
use crate::store::{Reader, StoreError};

/// How many marks a full bar has.
const BAR: usize = 10;
/// Below this part of a limit its bar is painted.
const LITTLE: f64 = 0.2;

/// Show what is left of each quota, and when it returns
///
/// Keys of one owner draw on one quota. Keys that were not said to be one owner's,
/// and seem to be, are marked; `hr auth add <provider> --owner NAME` says so for good.
///
/// How sure a number is: `sure` was said by the provider in this very span, `likely`
/// was learned from refusals or said some time ago, `guess` is only published.
///
/// Examples:
///
///   hr quota
///   hr quota groq         of one provider
///   hr quota --json       as the router's `/v1/quota` has it
///
/// Without a router that runs it tells what the last one has kept; as JSON that is
/// marked `"kept": true`.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Quota {
    /// Of this provider only
    provider: Option<String>,

    /// Print the router's answer as JSON
    #[arg(long)]
    json: bool,
}

impl Quota {
    pub fn run(self, desk: &Desk) -> anyhow::Result<()> {
        let (address, key) = desk.way_in()?;
        let mut told: Value = match talk::get(address, "/v1/quota", key.as_ref()) {
            Ok(answer) if answer.status == 200 => serde_json::from_slice(&answer.body)?,
            Ok(answer) => return Err(decided::unwelcome(answer.status, address, desk).into()),
            Err(error) => kept(desk)?.ok_or_else(|| {
                let what = format!("no router runs at http://{address}, and none has kept what is left");
                Advice::new(what, "start one with `hr start`").because(error)
            })?,
        };
        if let (Some(name), Some(owners)) = (&self.provider, told["owners"].as_array_mut()) {
            let catalog = desk.catalog()?;
            let wanted = desk::provider(&catalog, Some(name))?.id.as_str();
            owners.retain(|owner| owner["provider"] == wanted);
        }
        if self.json {
            return print::json(&told);
        }
        let owners = told["owners"].as_array().map(Vec::as_slice).unwrap_or_default();
        let width = fit::width();
        let heading = match told["kept"] == true {
            true => {
                let heading = format!("No router runs at http://{address}: this is what the last one knew.");
                format!("{}\n\n", fit::fold(&[heading], 0, width))
            }
            false => String::new(),
        };
        print::out(&(heading + &page(owners, width, &Paint::stdout())))
    }
}

/// What a router that does not run any more has kept; nothing where none ever ran.
fn kept(desk: &Desk) -> anyhow::Result<Option<Value>> {
    let advice = |error: StoreError| Advice::new(error.to_string(), error.hint());
    let Some(reader) = Reader::open(&desk.store_path()).map_err(advice)? else { return Ok(None) };
    let changes = reader.kept().map_err(advice)?;
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = Millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX));
    let mut router = Router::new();
    let roster = router.install(now, desk.load()?.pool);
    router.restore(now, changes);
    let mut told = gate::quota::page(&roster, now, &router.quota(now, &roster));
    told["kept"] = json!(true);
    Ok(Some(told))
}

/// All owners with all their limits.
fn page(owners: &[Value], width: Option<usize>, paint: &Paint) -> String {
    if owners.is_empty() {
        return "No limit is known yet: providers tell them with their answers.\n".to_owned();
    }
    let parts: Vec<String> = owners
        .iter()
        .map(|owner| {
            let remarks = remarks(owner).into_iter().map(|remark| format!("  {remark}"));
            let held = owner["held"].as_array().into_iter().flatten();
            let held = held.map(|held| format!("  {}", paint.doubtful(&waiting(held, owner))));
            let mut lines = vec![title(owner, width, paint)];
            lines.extend(remarks.map(|remark| fit::fold(&[remark], fit::BELOW, width)));
            lines.extend(
                owner["buckets"].as_array().into_iter().flatten().map(|bucket| line(bucket, width, paint)),
            );
            lines.extend(held.map(|held| fit::fold(&[held], fit::BELOW, width)));
            lines.join("\n") + "\n"
        })
        .collect();
    parts.join("\n")
}

/// `groq: my-team (2 keys: …aaa111, …bbb222)`
pub fn title(owner: &Value, width: Option<usize>, paint: &Paint) -> String {
    fit::fold(&[paint.strong(&name(owner))], fit::BELOW, width)
}

fn name(owner: &Value) -> String {
    let provider = owner["provider"].as_str().unwrap_or_default();
    let keys = owner["keys"].as_array().map(Vec::as_slice).unwrap_or_default();
    let tails = tails(owner, |_| true);
    let keys = match (keys.len(), tails.len()) {
        (0, _) => "whoever calls from here".to_owned(),
        (1, 1) => format!("key {}", tails[0]),
        (number, 0) => words::count(number, "key"),
        (number, _) => format!("{}: {}", words::count(number, "key"), tails.join(", ")),
    };
    match owner["owner"].as_str() {
        Some(name) => format!("{provider}: {name} ({keys})"),
        None => format!("{provider}: {keys}"),
    }
}

/// The ends of those keys of an owner, where they have one.
fn tails(owner: &Value, wanted: impl Fn(&Value) -> bool) -> Vec<String> {
    let keys = owner["keys"].as_array().into_iter().flatten().filter(|key| wanted(key));
    keys.filter_map(|key| key["key_tail"].as_str()).map(|tail| format!("…{tail}")).collect()
}

fn remarks(owner: &Value) -> Vec<String> {
    let joined = tails(owner, |key| key["joined"] == true);
    let mut remarks = Vec::new();
    if !joined.is_empty() {
        let seem = if joined.len() == 1 { "seems" } else { "seem" };
        remarks.push(format!(
            "{} {seem} to share this quota: a call was refused that the use of one key alone does not explain, and the \
             use of these keys together does",
            joined.join(", ")
        ));
    }
    if owner["shared"] == true {
        remarks.push("somebody else uses this quota too".to_owned());
    }
    remarks
}

/// `[######....] 612 of 1,000 requests a day, gpt-oss   returns in 3 h   sure, by a header`
pub fn line(bucket: &Value, width: Option<usize>, paint: &Paint) -> String {
    let (left, limit) = (bucket["left"].as_f64(), bucket["limit"].as_f64());
    let spent = bucket["spent"] == true;
    let part = match (left, limit) {
        _ if spent => Some(0.0),
        (Some(left), Some(limit)) if limit > 0.0 => Some((left / limit).clamp(0.0, 1.0)),
        _ => None,
    };
    let of = models(bucket).map_or_else(String::new, |models| format!(", {models}"));
    let mut parts = vec![format!("  {} {}{of}", tone(part)(paint, &bar(part)), amount(bucket, left, limit))];
    if let Some(wait) = bucket["resets_in_s"].as_u64() {
        let word = if spent { "returns in" } else { "whole in" };
        parts.push(format!("{word} {}", words::span(wait)));
    } else if spent {
        parts.push("used up".to_owned());
    }
    parts.push(paint.faint(&origin(bucket)));
    fit::fold(&parts, fit::BELOW, width)
}

/// A bar of what is left; of what is not known, one of question marks.
fn bar(part: Option<f64>) -> String {
    let Some(part) = part else { return format!("[{}]", "?".repeat(BAR)) };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from nothing to the whole bar"
    )]
    let full = ((part * BAR as f64).ceil() as usize).min(BAR);
    format!("[{}{}]", "#".repeat(full), ".".repeat(BAR - full))
}

fn tone(part: Option<f64>) -> fn(&Paint, &str) -> String {
    match part {
        Some(part) if part <= 0.0 => Paint::bad,
        Some(part) if part < LITTLE => Paint::doubtful,
        Some(_) => Paint::good,
        None => Paint::faint,
    }
}

fn amount(bucket: &Value, left: Option<f64>, limit: Option<f64>) -> String {
    let span = match bucket["span"].as_str() {
        Some("now") => " at once".to_owned(),
        Some("hour") => " an hour".to_owned(),
        Some("five_hours") => " in 5 hours".to_owned(),
        Some(span) => format!(" a {span}"),
        None => String::new(),
    };
    let unit = match bucket["unit"].as_str().unwrap_or_default() {
        "concurrent" => "calls".to_owned(),
        "input_tokens" => "tokens of prompts".to_owned(),
        "output_tokens" => "tokens of answers".to_owned(),
        "money" => "USD".to_owned(),
        "percent" => {
            return format!("{} % of the plan{span}", left.map_or("?".to_owned(), number));
        }
        unit => unit.to_owned(),
    };
    let of = match (left, limit) {
        (Some(left), Some(limit)) => format!("{} of {}", number(left), number(limit)),
        (Some(left), None) => format!("{} left of", number(left)),
        (None, Some(limit)) => format!("? of {}", number(limit)),
        (None, None) => format!("{} used of ?", number(bucket["used"].as_f64().unwrap_or(0.0))),
    };
    format!("{of} {unit}{span}")
}

fn models(bucket: &Value) -> Option<String> {
    let models: Vec<&str> = bucket["models"].as_array()?.iter().filter_map(Value::as_str).collect();
    (!models.is_empty()).then(|| models.join(" + "))
}

fn origin(bucket: &Value) -> String {
    let sure = bucket["confidence"].as_str().unwrap_or("guess");
    let source = match bucket["source"].as_str().unwrap_or_default() {
        "header" => "by a header",
        "body" => "by a refusal's words",
        "refusals" => "learned from refusals",
        _ => "published",
    };
    format!("{sure}, {source}")
}

/// Calls that wait after a refusal that named no limit; with their keys, where others of the owner do not.
fn waiting(held: &Value, owner: &Value) -> String {
    let models = models(held).unwrap_or_else(|| "all models".to_owned());
    let wait = words::span(held["until_in_s"].as_u64().unwrap_or(0));
    let because = held["because"].as_str().unwrap_or("refused").replace('_', " ");
    let test = held["test_in_s"].as_u64().map(|wait| format!(", tried again in {}", words::span(wait)));
    let waits = held["keys"].as_array().map(Vec::as_slice).unwrap_or_default();
    let all = owner["keys"].as_array().map_or(0, Vec::len);
    let keys = match tails(owner, |key| waits.contains(&key["id"])) {
        tails if tails.is_empty() || waits.len() >= all => String::new(),
        tails => format!(", only {}", tails.join(", ")),
    };
    format!("{models}: {because}, waits {wait}{}{keys}", test.unwrap_or_default())
}

/// `1,234,567`, and `0.05` where it is small.
fn number(number: f64) -> String {
    if number.fract() != 0.0 && number < 10.0 {
        return format!("{number:.2}");
    }
    let digits = format!("{number:.0}");
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_page_says_what_is_left_and_how_sure_that_is() {
        let owners = [
            json!({
                "provider": "groq", "owner": "team", "shared": true,
                "keys": [
                    { "id": "a", "key_tail": "aaa111", "joined": false },
                    { "id": "b", "key_tail": "bbb222", "joined": true },
                ],
                "buckets": [
                    {
                        "unit": "tokens", "span": "minute", "models": ["gpt-oss"], "limit": 8000.0, "left": 0.0,
                        "used": 8000.0, "spent": true, "resets_in_s": 42, "source": "body", "confidence": "sure",
                    },
                    {
                        "unit": "requests", "span": "day", "models": [], "limit": 1000.0, "left": 612.0,
                        "used": 388.0, "spent": false, "resets_in_s": 10_800, "source": "header",
                        "confidence": "likely",
                    },
                ],
                "held": [
                    { "keys": ["a", "b"], "models": [], "because": "rate_limited", "until_in_s": 30, "test_in_s": 5 },
                    { "keys": ["b"], "models": ["m"], "because": "quota_spent", "until_in_s": 50 },
                ],
            }),
            json!({
                "provider": "box", "owner": null, "shared": false, "keys": [{ "key_tail": "ccc333" }],
                "buckets": [
                    { "unit": "percent", "span": "week", "models": [], "limit": 100.0, "left": 12.5,
                      "spent": false, "source": "header", "confidence": "sure" },
                    { "unit": "money", "span": "month", "models": ["*:free"], "used": 0.25, "spent": false,
                      "source": "catalog", "confidence": "guess" },
                ],
            }),
        ];
        assert_eq!(
            page(&owners, None, &Paint::plain()),
            "groq: team (2 keys: …aaa111, …bbb222)\n  \
               …bbb222 seems to share this quota: a call was refused that the use of one key alone does not explain, \
                 and the use of these keys together does\n  \
               somebody else uses this quota too\n  \
               [..........] 0 of 8,000 tokens a minute, gpt-oss  returns in 42 s  sure, by a refusal's words\n  \
               [#######...] 612 of 1,000 requests a day  whole in 3 h  likely, by a header\n  \
               all models: rate limited, waits 30 s, tried again in 5 s\n  \
               m: quota spent, waits 50 s, only …bbb222\n\
             \n\
             box: key …ccc333\n  \
               [##........] 12 % of the plan a week  sure, by a header\n  \
               [??????????] 0.25 used of ? USD a month, *:free  guess, published\n"
        );
        assert!(page(&[], None, &Paint::plain()).contains("No limit is known yet"));
        assert!(page(&[json!(null)], None, &Paint::plain()).contains("whoever"));
        assert_eq!(
            page(&owners, Some(60), &Paint::plain()),
            "groq: team (2 keys: …aaa111, …bbb222)\n  \
             …bbb222 seems to share this quota: a call was refused that\n      \
             the use of one key alone does not explain, and the use\n      \
             of these keys together does\n  \
             somebody else uses this quota too\n  \
             [..........] 0 of 8,000 tokens a minute, gpt-oss\n      \
             returns in 42 s  sure, by a refusal's words\n  \
             [#######...] 612 of 1,000 requests a day  whole in 3 h\n      \
             likely, by a header\n  \
             all models: rate limited, waits 30 s, tried again in 5 s\n  \
             m: quota spent, waits 50 s, only …bbb222\n\
             \n\
             box: key …ccc333\n  \
             [##........] 12 % of the plan a week  sure, by a header\n  \
             [??????????] 0.25 used of ? USD a month, *:free\n      \
             guess, published\n"
        );
        for width in 24..120 {
            let text = page(&owners, Some(width), &Paint::plain());
            assert!(text.lines().all(|line| fit::visible(line) <= width), "{width}: {text}");
            let whole = page(&owners, None, &Paint::plain());
            assert!(text.split_whitespace().eq(whole.split_whitespace()), "{width}: {text}");
        }
    }

    #[test]
    fn little_is_seen_and_nothing_is_nothing() {
        assert_eq!(bar(Some(0.001)), "[#.........]");
        assert_eq!(bar(Some(0.0)), "[..........]");
        assert_eq!(bar(Some(1.0)), "[##########]");
        assert_eq!([999.0, 1000.0, 1_234_567.0].map(number), ["999", "1,000", "1,234,567"]);
    }
}
