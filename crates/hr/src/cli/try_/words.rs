//! What `hr try` has found, in words.

use std::fmt::Write as _;
use std::time::Duration;

use hr_core::catalog::{Provider, SpendClass};
use hr_core::failure::{Failure, FailureKind};
use hr_core::pool::{Member, Pool};
use hr_core::quota::Reading;
use hr_core::route::Allowance;
use hr_core::route::spend::worst_cost;

use super::calls::{PROMPT_TOKENS, share};
use super::finding::{Can, Ending, Finding, Tried};
use crate::cli::paint::Paint;
use crate::cli::words as common;

/// The word under which a value of the catalogue is written: `five hours`.
fn word(value: &impl serde::Serialize) -> String {
    let written = serde_json::to_value(value).ok();
    written.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default().replace('_', " ")
}

/// What the calls to paid models may cost, when there are any.
pub fn costs(pool: &Pool) -> Option<String> {
    let (mut calls, mut most, mut unknown) = (0, 0.0, 0);
    for member in &pool.members {
        let tokens = share(member.models.len());
        let may = |model: &&hr_core::pool::PoolModel| {
            model.spend == SpendClass::Paid
                && pool.rules.spending.any.permit(model, PROMPT_TOKENS, tokens).is_some()
        };
        for model in member.models.iter().filter(may) {
            calls += member.keys.len();
            match worst_cost(model, PROMPT_TOKENS, tokens) {
                Some(cost) => most += cost * member.keys.len() as f64,
                None => unknown += member.keys.len(),
            }
        }
    }
    (calls > 0).then(|| {
        let mut line = format!("{} to paid models: at most {most:.5} USD", common::count(calls, "call"));
        if unknown > 0 {
            let _ = write!(line, ", and {unknown} of them at a price that is not known");
        }
        line + "; `SPEND=free hr try` leaves them out"
    })
}

/// Why a model was not called.
pub fn not_allowed(allowance: Allowance, spend: SpendClass) -> &'static str {
    match spend {
        _ if spend <= allowance.most => "not called: it may cost more than `MAX_COST_PER_REQUEST`",
        SpendClass::Paid => "not called: it costs money, and `SPEND` does not allow that",
        SpendClass::Included | SpendClass::Free => {
            "not called: it draws on a plan, and `SPEND` does not allow that"
        }
    }
}

/// What to know of a paid key that works.
pub fn costs_money(member: &Member) -> String {
    format!(
        "its calls cost money: `SPEND=free` or removing the key (`hr auth remove {}`) keeps it unused",
        member.provider.id
    )
}

/// What to do about a failure, in plain words.
pub fn advice(provider: &Provider, model: &str, failure: &Failure) -> String {
    if let Some(hint) = provider.hint(failure.kind) {
        return hint.to_owned();
    }
    let id = &provider.id;
    let back = failure
        .retry_after
        .map_or_else(String::new, |wait| format!(", as it says for {}", common::span(wait.as_secs().max(1))));
    match failure.kind {
        FailureKind::BadKey => match &provider.sign_up {
            Some(place) => format!(
                "make a new key at {place}, then `hr auth add {id}`; `hr auth remove {id}` removes this one"
            ),
            None => format!("`hr auth add {id}` stores another key, `hr auth remove {id}` removes this one"),
        },
        FailureKind::NoMoney => "add credit to its account, or remove the key".to_owned(),
        FailureKind::ModelForbidden => {
            format!(
                "the key may not use it: choose another model with `hr model set {id}`, or ask for access"
            )
        }
        FailureKind::ModelMissing | FailureKind::ModelGone => {
            format!("`{model}` is not there: choose another model with `hr model set {id}`")
        }
        FailureKind::ProviderGone => {
            "the provider does not serve this place or client, or has ended".to_owned()
        }
        FailureKind::QuotaSpent => format!("the key is good; its quota is used up{back}"),
        FailureKind::RateLimited => format!("the key is good; too much was asked of it{back}"),
        FailureKind::Overloaded | FailureKind::ServerError => {
            "the provider has trouble: try again in a few minutes".to_owned()
        }
        FailureKind::Timeout => "it is slow or silent now: try again, or see its status page".to_owned(),
        FailureKind::Network | FailureKind::Loop => {
            format!("see whether this machine reaches the address of `{id}`: `hr config show`")
        }
        FailureKind::TooLarge | FailureKind::Unsupported | FailureKind::CallerMistake => {
            "the key was accepted, but not the question: the model may want something special".to_owned()
        }
        FailureKind::ContentRefused | FailureKind::Malformed | FailureKind::Empty | FailureKind::Cut => {
            "the answer was not one: see whether the address is right".to_owned()
        }
    }
}

/// Everything, for people.
pub fn told(keys: &[Tried], took: Duration, paint: &Paint) -> String {
    let mut text = String::new();
    for key in keys {
        let tail = key.key_tail.as_ref().map_or_else(|| "account".to_owned(), |tail| format!("…{tail}"));
        let verdict = match (key.works, key.valid) {
            (Some(true), _) => paint.good("works"),
            (Some(false), Some(true)) => paint.doubtful("is valid, but serves nothing now"),
            (Some(false), _) => paint.bad("does not work"),
            (None, _) => paint.doubtful("was not called"),
        };
        let owner = key.owner.as_ref().map_or_else(String::new, |owner| format!(", owner {owner}"));
        let place = common::source(&key.source);
        let _ = writeln!(text, "{} {tail} ({place}{owner}): {verdict}", paint.strong(&key.provider));
        for (name, value) in &key.account {
            let _ = writeln!(text, "  {name}: {value}");
        }
        for finding in &key.models {
            model(finding, paint, &mut text);
        }
    }
    let works = keys.iter().filter(|key| key.works == Some(true)).count();
    let fail = keys.iter().filter(|key| key.fails()).count();
    let _ = writeln!(
        text,
        "\n{}: {works} work, {fail} do not ({:.1} s)",
        common::count(keys.len(), "key"),
        took.as_secs_f64()
    );
    text
}

fn model(finding: &Finding, paint: &Paint, text: &mut String) {
    let said = match finding.ending {
        Ending::Served => {
            let first =
                finding.first_token_ms.map_or_else(String::new, |ms| format!(", first token after {ms} ms"));
            let can = |name: &str, can: Option<Can>| match can {
                Some(Can { value, source }) => {
                    format!("{name} {} ({})", if value { "yes" } else { "no" }, source.name())
                }
                None => format!("{name} not known"),
            };
            format!("answers{first}; {}; {}", can("tools", finding.tools), can("vision", finding.vision))
        }
        Ending::Failed => {
            let kind = finding.kind.as_ref().map(word).unwrap_or_default();
            let status = finding.status.map_or_else(String::new, |status| format!(" (HTTP {status})"));
            let message = finding.message.as_deref().filter(|message| !message.is_empty());
            let message = message.map_or_else(String::new, |message| format!(": {message}"));
            paint.bad(&format!("{kind}{status}")) + &message
        }
        Ending::Skipped => paint.faint(finding.message.as_deref().unwrap_or_default()),
    };
    let _ = writeln!(text, "  {}: {said}", finding.model);
    if !finding.limits.is_empty() {
        let limits: Vec<String> = finding.limits.iter().map(limit).collect();
        let _ = writeln!(text, "    limits: {}", limits.join("; "));
    }
    if let Some(advice) = &finding.advice {
        let _ = writeln!(text, "    {} {advice}", paint.note("→"));
    }
}

/// `48 of 50 requests a day left, whole again at 2026-11-01T08:00:00Z`.
fn limit(reading: &Reading) -> String {
    let unit = word(&reading.unit);
    let span = reading.span.as_ref().map_or_else(String::new, |span| match word(span).as_str() {
        "now" => " at the same time".to_owned(),
        "five hours" => " in five hours".to_owned(),
        "hour" => " an hour".to_owned(),
        span => format!(" a {span}"),
    });
    let amount = match (reading.remaining, reading.limit) {
        (Some(left), Some(limit)) => format!("{left} of {limit} {unit}{span} left"),
        (Some(left), None) => format!("{left} {unit}{span} left"),
        (None, Some(limit)) => format!("{limit} {unit}{span}"),
        (None, None) => format!("{unit}{span}"),
    };
    match reading.reset {
        Some(reset) => format!("{amount}, whole again at {}", reset.to_rfc3339()),
        None => amount,
    }
}
