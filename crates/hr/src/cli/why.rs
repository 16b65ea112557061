//! `hr why`

use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use hr_core::pool::Pool;
use hr_core::route::record::{Call, Outcome, PassedOver, Planned, Record, Row};
use hr_core::time::Millis;

use crate::cli::decided;
use crate::cli::desk::Desk;
use crate::cli::{print, words};

/// The most lines of an explanation.
const MAX_LINES: usize = 12;

/// The most lines about calls.
const MAX_CALLS: usize = 4;

/// Say why a request went where it went
///
/// In at most 12 lines: what was asked, who answered and why it stood first, who was
/// passed over and when they return, and what came of each call. Without an id it is
/// the request that ended last; the id of any other is in the header
/// `X-Hermes-Decision` of its response and in the log.
///
/// Examples:
///
///   hr why
///   hr why req_0f3a77c91b9e4205
///   hr why last --json     the whole record, as the router keeps it
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Why {
    /// The id of a request; `last` is the one that ended last
    #[arg(value_name = "ID", default_value = crate::gate::decisions::LAST)]
    id: String,

    /// Print the record as JSON
    #[arg(long)]
    json: bool,
}

impl Why {
    pub fn run(self, desk: &Desk) -> anyhow::Result<()> {
        let json = decided::record(desk, &self.id)?;
        if self.json {
            return decided::print(&json);
        }
        let record = decided::read(&json)?;
        // The files know more of a key than the record does; without them its id must do.
        let loaded = desk.load().ok();
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let tale = Tale {
            record: &record,
            pool: loaded.as_ref().map(|loaded| &loaded.pool),
            now: Millis(0).after(since_epoch),
        };
        let mut text = tale.lines().join("\n");
        text.push('\n');
        print::out(&text)
    }
}

/// A record, told.
struct Tale<'a> {
    record: &'a Record,
    pool: Option<&'a Pool>,
    now: Millis,
}

impl Tale<'_> {
    fn lines(&self) -> Vec<String> {
        let record = self.record;
        let mut lines = vec![self.headline()];
        lines.extend(record.ask.as_ref().map(|ask| format!("asked: {}", decided::asked(ask))));
        let told = record.plans.iter().rev().find(|plan| plan.chosen.is_some()).or(record.plans.last());
        if let Some(plan) = told {
            lines.extend(self.first(plan));
        }
        let calls = self.calls();
        let lost = (!record.lost.is_empty()).then(|| format!("not given to it: {}", record.lost));
        let room = MAX_LINES.saturating_sub(lines.len() + calls.len() + usize::from(lost.is_some()));
        // The first plan saw everybody; later ones leave out who was called before.
        if let Some(plan) = record.plans.first() {
            lines.extend(self.passed_over(plan, room));
        }
        lines.extend(calls);
        lines.extend(lost);
        lines.truncate(MAX_LINES);
        lines
    }

    fn headline(&self) -> String {
        let Record { id, at, endpoint, status, ended, took_ms, .. } = self.record;
        let ago = words::span(at.until(self.now).as_secs());
        let how = match ended.as_ref() {
            "well" | "refused" => String::new(),
            other => format!(" ({})", decided::plain(other)),
        };
        let answer = match self.served_by() {
            Some(call) => {
                format!("answered by {}/{} with {}", call.who.provider, call.who.model, self.key(call))
            }
            None => "answered by nobody".to_owned(),
        };
        format!("{id} ({endpoint}, {ago} ago): {answer}, HTTP {status}{how}, after {}", length(*took_ms))
    }

    fn served_by(&self) -> Option<&Call> {
        self.record.attempts.last().filter(|call| call.outcome == Outcome::Answered)
    }

    fn key(&self, call: &Call) -> String {
        decided::key_words(self.pool, &call.who.provider, &call.who.key)
    }

    /// Why the first candidate of a plan stood first.
    fn first(&self, plan: &Planned) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(best) = plan.candidates.first() {
            let of: u32 =
                plan.candidates.iter().map(|row| row.count).sum::<u32>().saturating_add(plan.left_out);
            let name = format!("{}/{}", best.provider, best.model);
            let of = words::count(of as usize, "candidate");
            lines.push(format!("first of {of}: {name}, {}", decided::points(best)));
            if let Some(next) = plan.candidates.get(1) {
                lines.push(format!("next: {}/{} {}", next.provider, next.model, behind(best, next)));
            }
        }
        if plan.not_begun > 0 {
            let many = words::count(plan.not_begun as usize, "better one");
            lines.push(format!("{many} could not be called at that moment"));
        }
        lines
    }

    fn passed_over(&self, plan: &Planned, room: usize) -> Vec<String> {
        let told = if plan.excluded.len() <= room { plan.excluded.len() } else { room.saturating_sub(1) };
        let mut lines: Vec<String> = plan.excluded[..told].iter().map(|group| self.group(group)).collect();
        let rest = &plan.excluded[told..];
        if !rest.is_empty() && room > 0 {
            let names: Vec<&str> = rest.iter().map(|group| words::gate(&group.gate)).collect();
            lines.push(format!("passed over besides: {}", names.join("; ")));
        }
        lines
    }

    fn group(&self, group: &PassedOver) -> String {
        let PassedOver { gate, until, because, .. } = group;
        let because = because.map(|kind| format!(", {}", decided::plain(kind.code()))).unwrap_or_default();
        let returns = until.map(|until| match self.now.until(until).as_secs() {
            0 => format!("; back {} later", length(self.record.at.until(until).as_millis() as u64)),
            wait => format!("; back in {}", words::span(wait)),
        });
        format!(
            "passed over, {}{because}: {}{}",
            words::gate(gate),
            decided::names(group),
            returns.unwrap_or_default()
        )
    }

    fn calls(&self) -> Vec<String> {
        let calls = &self.record.attempts;
        let skipped = calls.len().saturating_sub(MAX_CALLS);
        let left_out = skipped + self.record.attempts_left_out as usize;
        let told = calls.iter().take(1).chain(calls.iter().skip(1 + skipped));
        let mut lines: Vec<String> = told.map(|call| self.call(call)).collect();
        if left_out > 0
            && let Some(first) = lines.first_mut()
        {
            first.push_str(&format!("; then {} that failed too", words::count(left_out, "more call")));
        }
        lines
    }

    fn call(&self, call: &Call) -> String {
        let Call { who, outcome, status, after_ms, ms, .. } = call;
        let outcome = match (outcome, status) {
            (Outcome::Answered, _) => "answered".to_owned(),
            (Outcome::Abandoned, _) => "given up".to_owned(),
            (Outcome::Failed(kind), Some(status)) => {
                format!("{} (HTTP {status})", decided::plain(kind.code()))
            }
            (Outcome::Failed(kind), None) => decided::plain(kind.code()),
        };
        format!(
            "called at {}: {}/{} with {}: {outcome} after {}",
            length(*after_ms),
            who.provider,
            who.model,
            self.key(call),
            length(*ms)
        )
    }
}

/// What sets a row behind another.
fn behind(best: &Row, next: &Row) -> String {
    let of = |row: &Row, term: &str| row.points.get(term).copied().unwrap_or(0);
    let mut worse: Vec<(&str, i32)> = next
        .points
        .keys()
        .map(|term| (term.as_ref(), of(next, term) - of(best, term)))
        .filter(|(_, more)| *more > 0)
        .collect();
    worse.sort_by_key(|(_, more)| std::cmp::Reverse(*more));
    let worse: Vec<String> = worse
        .iter()
        .take(decided::MAX_TERMS)
        .map(|(term, more)| format!("{} +{more}", words::term(term)))
        .collect();
    match next.total() - best.total() {
        _ if next.merits.tier > best.merits.tier => {
            "because a call to it is likelier to be in vain".to_owned()
        }
        0 => "with as many points: turns decided".to_owned(),
        more => format!("with {more} more ({})", worse.join(", ")),
    }
}

/// A span of milliseconds in the unit that suits it.
fn length(millis: u64) -> String {
    match millis {
        0..=999 => format!("{millis} ms"),
        1_000..=119_999 => format!("{}.{} s", millis / 1000, millis % 1000 / 100),
        _ => words::span(millis / 1000),
    }
}
