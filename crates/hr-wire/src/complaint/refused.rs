//! Which limits a refusal speaks of: what its body lists, quotes or tells in words, and what the catalogue's row knows.

use std::time::Duration;

use hr_core::catalog::{ErrorRow, LimitSpan, LimitUnit, Metering, OwnerScope, RefusedLimit, reach};
use hr_core::failure::{FailureKind, Scope};
use hr_core::quota::{Reach, Reading, Source, next_reset};
use hr_core::time::Millis;
use serde_json::Value;

use super::classify::Complaint;
use super::wording::Verdict;
use crate::limits::prose::{self, Told};
use crate::limits::when::{Clock, rfc3339};
use crate::limits::{MAX_READINGS, quoted};

/// What is known of a refusal beside its body.
pub(super) struct Circumstances<'c> {
    /// What it was taken for.
    pub verdict: Verdict,
    /// The row of the catalogue that fits it.
    pub row: Option<&'c ErrorRow>,
    /// When to come back, as the provider said.
    pub wait: Option<Duration>,
    /// The present.
    pub clock: Clock,
}

/// The limits that a refusal speaks of. It says that each of them was met.
pub(super) fn readings(complaint: &Complaint, circumstances: &Circumstances<'_>) -> Vec<Reading> {
    use FailureKind as Kind;
    let refused = circumstances.row.and_then(|row| row.limit.as_ref());
    let spoken = match circumstances.verdict.kind {
        Kind::RateLimited | Kind::QuotaSpent => true,
        Kind::NoMoney => refused.is_some(),
        // A limit of nothing.
        Kind::ModelForbidden => complaint.error()["details"].is_array(),
        _ => false,
    };
    if !spoken {
        return Vec::new();
    }
    let listed = listed(complaint, circumstances);
    if !listed.is_empty() || circumstances.verdict.kind == Kind::ModelForbidden {
        return listed;
    }
    let told = prose::read(&complaint.message.to_lowercase(), &complaint.labels());
    let quoted = headers(complaint, refused, &told, circumstances.clock);
    if !quoted.is_empty() {
        return quoted;
    }
    in_words(complaint, refused, told, circumstances).into_iter().collect()
}

/// The list of limits that some servers send, by ids like `GenerateRequestsPerDayPerProjectPerModel-FreeTier`.
fn listed(complaint: &Complaint, circumstances: &Circumstances<'_>) -> Vec<Reading> {
    let details = complaint.error()["details"].as_array().map(Vec::as_slice).unwrap_or_default();
    let violations = details.iter().filter_map(|detail| detail["violations"].as_array()).flatten();
    violations.filter_map(|violation| self::violation(violation, circumstances)).take(MAX_READINGS).collect()
}

fn violation(violation: &Value, circumstances: &Circumstances<'_>) -> Option<Reading> {
    const SPANS: [(&str, LimitSpan); 5] = [
        ("persecond", LimitSpan::Second),
        ("perminute", LimitSpan::Minute),
        ("perhour", LimitSpan::Hour),
        ("perday", LimitSpan::Day),
        ("permonth", LimitSpan::Month),
    ];
    const UNITS: [(&str, LimitUnit); 5] = [
        ("inputtoken", LimitUnit::InputTokens),
        ("outputtoken", LimitUnit::OutputTokens),
        ("token", LimitUnit::Tokens),
        ("request", LimitUnit::Requests),
        ("concurren", LimitUnit::Concurrent),
    ];
    let id = violation["quotaId"].as_str()?.to_lowercase();
    let span = SPANS.iter().find(|(word, _)| id.contains(word)).map(|(_, span)| *span);
    let unit = UNITS.iter().find(|(word, _)| id.contains(word)).map(|(_, unit)| *unit)?;
    let refused = circumstances.row.and_then(|row| row.limit.as_ref());
    let owner = if id.contains("perproject") {
        Some(OwnerScope::Project)
    } else if id.contains("peruser") {
        Some(OwnerScope::Account)
    } else {
        refused.and_then(|limit| limit.owner)
    };
    let each = id.contains("permodel") || violation["quotaDimensions"]["model"].is_string();
    Some(Reading {
        owner,
        reach: if each { Reach::ThisModel } else { Reach::AllModels },
        unit,
        span,
        limit: number(&violation["quotaValue"]),
        remaining: Some(0.0),
        reset: circumstances.end(None, refused.filter(|limit| limit.per == span), span),
        source: Source::Body,
    })
}

/// The headers of another reply that are quoted in this one.
fn headers(complaint: &Complaint, refused: Option<&RefusedLimit>, told: &Told, clock: Clock) -> Vec<Reading> {
    let Some(headers) = complaint.error()["metadata"]["headers"].as_object() else { return Vec::new() };
    let named: Vec<(String, String)> = headers
        .iter()
        .filter_map(|(name, value)| match value {
            Value::String(value) => Some((name.to_lowercase(), value.clone())),
            Value::Number(value) => Some((name.to_lowercase(), value.to_string())),
            _ => None,
        })
        .collect();
    let span = told.span.or(refused.and_then(|limit| limit.per));
    let metering = Metering {
        owner: refused.and_then(|limit| limit.owner).or(told.owner),
        models: refused.and_then(|limit| limit.models.clone()).unwrap_or_default(),
        requests: span,
        tokens: span,
    };
    quoted(named.iter().map(|(name, value)| (name.as_str(), value.as_str())), &metering, clock)
}

/// The one limit that the words tell of, and the row completes.
fn in_words(
    complaint: &Complaint,
    refused: Option<&RefusedLimit>,
    told: Told,
    circumstances: &Circumstances<'_>,
) -> Option<Reading> {
    if told.foreign {
        return None;
    }
    // What cannot be seen in the words, the row knows better.
    let special =
        |unit: &LimitUnit| matches!(unit, LimitUnit::Money | LimitUnit::Percent | LimitUnit::Concurrent);
    let known = refused.and_then(|limit| limit.unit);
    let per = refused.and_then(|limit| limit.per);
    let (unit, span) = match known.filter(special) {
        Some(unit) => (Some(unit), per.or(told.span)),
        None => (told.unit.or(known), told.span.or(per)),
    };
    let unit = unit.or(span.map(|_| LimitUnit::Requests))?;
    let zone = refused.and_then(|limit| limit.zone.as_deref());
    let named = named_end(&complaint.message.to_lowercase(), zone, circumstances.clock);
    let reset = circumstances.end(named, refused, span);
    if refused.is_none() && span.is_none() && reset.is_none() && told.limit.is_none() {
        return None;
    }
    let reach = match (refused.and_then(|limit| limit.models.as_deref()), circumstances.verdict.scope) {
        (Some(models), _) => reach(models),
        (None, Some(Scope::Key | Scope::Owner | Scope::Provider)) => Reach::AllModels,
        (None, _) => Reach::ThisModel,
    };
    let limit = told.limit.filter(|_| known.is_none_or(|known| !special(&known) || told.unit == Some(known)));
    let left = limit.zip(told.used).map_or(0.0, |(limit, used)| (limit - used).max(0.0));
    Some(Reading {
        owner: refused.and_then(|limit| limit.owner).or(told.owner),
        reach,
        unit,
        span,
        limit,
        remaining: Some(left),
        reset,
        source: Source::Body,
    })
}

impl Circumstances<'_> {
    /// When a limit is whole again: at the instant that was named, which is at most a span away; after the wait that
    /// was asked for; by the calendar of the row.
    fn end(
        &self,
        named: Option<Millis>,
        refused: Option<&RefusedLimit>,
        span: Option<LimitSpan>,
    ) -> Option<Millis> {
        let now = self.clock.now();
        let longest = span.and_then(LimitSpan::length).map(|length| now.after(length));
        let bounded = |end: Millis| longest.map_or(end, |longest| end.min(longest));
        let asked = || self.wait.map(|wait| now.after(wait));
        let calendar = || {
            let reset = refused.and_then(|limit| limit.reset.as_deref())?;
            next_reset(reset, self.clock.server()).map(|end| self.clock.ours(end))
        };
        named.map(bounded).or_else(asked).or_else(calendar)
    }
}

/// `will reset at 2026-09-08 01:02:03`, `regain access on 2026-12-01 at 00:00 utc`: by our clock. Without an offset it
/// is in the provider's zone, or in UTC where that is not known, or where it would be over there.
fn named_end(words: &str, zone: Option<&str>, clock: Clock) -> Option<Millis> {
    const ANCHORS: [&str; 6] =
        ["reset at ", "resets at ", "reset on ", "access on ", "access at ", "限额将在 "];
    let rest = ANCHORS.iter().find_map(|anchor| words.split_once(anchor).map(|(_, rest)| rest))?;
    let text = rest.trim_start().split([',', ';']).next()?;
    let whole = text.split_whitespace().next()?.trim_end_matches('.');
    if let Some(end) = rfc3339(whole) {
        return Some(clock.ours(end));
    }
    let mut parts = text.split_whitespace().filter(|word| *word != "at");
    let (date, time, said) = (parts.next()?, parts.next()?, parts.next());
    let time = time.split(|letter: char| !letter.is_ascii_digit() && letter != ':').next()?;
    let seconds = if time.len() == "00:00".len() { ":00" } else { "" };
    let end = |zone: &str| rfc3339(&format!("{date}T{time}{seconds}{zone}"));
    let zone = zone.filter(|_| said.is_none_or(|said| !said.starts_with("utc")));
    let there = zone.and_then(end).filter(|end| *end > clock.server());
    there.or_else(|| end("")).map(|end| clock.ours(end))
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok()).filter(|number| number.is_finite())
}
