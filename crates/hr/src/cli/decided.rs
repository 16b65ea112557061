//! Where commands find what was decided for a request: at the router that runs, else in its store.

use std::net::SocketAddr;

use anyhow::Context;
use hr_core::pool::Pool;
use hr_core::route::record::{Asked, PassedOver, Record, Row, short};
use hr_core::route::{Effort, Profile, Work};
use serde_json::Value;

use crate::cli::desk::Desk;
use crate::cli::report::Advice;
use crate::cli::{print, talk, words};
use crate::gate::decisions::LAST;
use crate::store::{Reader, StoreError};

/// The longest id that is looked for.
const MAX_ID: usize = 64;

/// The most terms that a sum of points is told with.
pub const MAX_TERMS: usize = 3;

/// The record of a request, as it is kept: JSON.
pub fn record(desk: &Desk, id: &str) -> anyhow::Result<Vec<u8>> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if id.is_empty() || id.len() > MAX_ID || !id.chars().all(plain) {
        let shown: String = id.chars().take(MAX_ID).flat_map(char::escape_debug).collect();
        return Err(not_kept(&shown).into());
    }
    let (address, key) = desk.way_in()?;
    match talk::get(address, &format!("/v1/decisions/{id}"), key.as_ref()) {
        Ok(answer) => answered(answer, address, desk, id),
        Err(_) => kept(desk, id),
    }
}

/// The record in the store of a router that does not run.
fn kept(desk: &Desk, id: &str) -> anyhow::Result<Vec<u8>> {
    let path = desk.store_path();
    let advice = |error: StoreError| Advice::new(error.to_string(), error.hint());
    let Some(reader) = Reader::open(&path).map_err(advice)? else { return Err(not_kept(id).into()) };
    let found = if id == LAST { reader.last_decision() } else { reader.decision(id) };
    found.map_err(advice)?.map(|found| found.record).ok_or_else(|| not_kept(id).into())
}

fn answered(answer: talk::Answer, address: SocketAddr, desk: &Desk, id: &str) -> anyhow::Result<Vec<u8>> {
    match answer.status {
        200 => Ok(answer.body.to_vec()),
        404 if is_ours(&answer.body) => Err(not_kept(id).into()),
        status => Err(unwelcome(status, address, desk).into()),
    }
}

/// Why an answer is of no use.
pub fn unwelcome(status: u16, address: SocketAddr, desk: &Desk) -> Advice {
    match status {
        401 | 403 => {
            let what = format!("the router at http://{address} runs, but does not accept the access key");
            let env = desk.home.env.display();
            Advice::new(what, format!("it may have another home or environment: here the key is in `{env}`"))
        }
        404 => {
            Advice::new(format!("the router at http://{address} is of another version"), "run `hr restart`")
        }
        other => {
            let what = format!("what answers at http://{address} is not a router, or not well: HTTP {other}");
            Advice::new(what, "`hr config show` shows `PORT` and `HOST`")
        }
    }
}

/// Whether a 404 says that there is no such decision, and not that there is no such page.
fn is_ours(body: &[u8]) -> bool {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    body.pointer("/error/code").is_some_and(|code| code == "decision_not_found")
}

fn not_kept(id: &str) -> Advice {
    if id == LAST {
        let hint = "send one to the router first, or see what would happen with `hr explain`";
        return Advice::new("no request has been decided yet", hint);
    }
    Advice::new(
        format!("no decision `{id}` is kept"),
        "the response header `X-Hermes-Decision` and the log's `request_id` have the id of a request; `hr why last` is about the last one",
    )
}

/// A record, read.
pub fn read(json: &[u8]) -> anyhow::Result<Record> {
    serde_json::from_slice(json)
        .context("the decision was written by another version of `hr` and cannot be read here")
}

/// What was asked, in words.
pub fn asked(ask: &Asked) -> String {
    let model = match (&ask.provider, &ask.model) {
        (Some(provider), Some(model)) => format!("only {provider}/{model}"),
        (_, Some(model)) => format!("{model} first"),
        (_, None) => "any model".to_owned(),
    };
    let profile = match ask.profile {
        Profile::Balanced => "balanced",
        Profile::Fast => "fast",
        Profile::Best => "best",
        Profile::Frugal => "frugal",
    };
    let mut words = vec![model, format!("profile {profile}"), format!("about {} tokens", ask.tokens)];
    match ask.work {
        Work::Chat => words.push(format!("difficulty {} of 1 (hardest) to 5", ask.difficulty)),
        Work::Embed => words.push("embeddings".to_owned()),
    }
    words.extend(ask.max_output.map(|most| format!("answer up to {most}")));
    let flags = [
        (ask.tools, "tools"),
        (ask.vision, "images"),
        (ask.structured, "a JSON schema"),
        (ask.effort > Effort::Unsaid, "reasoning"),
        (ask.stream, "streamed"),
        (ask.strict, "nothing may be lost"),
        (ask.tool_loop, "tools must be confirmed"),
        (ask.session, "part of a session"),
    ];
    words.extend(flags.into_iter().filter(|(holds, _)| *holds).map(|(_, word)| word.to_owned()));
    words.join(", ")
}

/// A row's sum, and what it is mostly made of.
pub fn points(row: &Row) -> String {
    match row.total() {
        0 if row.points.is_empty() => "nothing against it".to_owned(),
        total => format!("{total} points against it ({})", terms(row)),
    }
}

/// What a row's sum is mostly made of.
pub fn terms(row: &Row) -> String {
    let mut terms: Vec<(&str, i32)> =
        row.points.iter().map(|(term, points)| (term.as_ref(), *points)).collect();
    terms.sort_by_key(|(_, points)| std::cmp::Reverse(points.abs()));
    let told = terms.iter().take(MAX_TERMS).map(|(term, points)| format!("{} {points}", words::term(term)));
    told.collect::<Vec<_>>().join(", ")
}

/// Some of those who were passed over for one reason, and how many more there are.
pub fn names(group: &PassedOver) -> String {
    let names = group.who.join(", ");
    match (group.count as usize).saturating_sub(group.who.len()) {
        0 => names,
        more => format!("{names} and {more} more"),
    }
}

/// A code as words.
pub fn plain(code: &str) -> String {
    code.replace('_', " ")
}

/// Prints a record as the data that it is.
pub fn print(json: &[u8]) -> anyhow::Result<()> {
    let data: Value = serde_json::from_slice(json).context("the record is not JSON")?;
    print::json(&data)
}

/// How people know a key: its last characters and its owner, as far as the files still have it.
pub fn key_words(pool: Option<&Pool>, provider: &str, key: &str) -> String {
    let member = pool.and_then(|pool| pool.members.iter().find(|member| member.provider.id == provider));
    let found = member.and_then(|member| member.keys.iter().find(|one| short(&one.id) == key));
    let tail = found.and_then(|found| found.secret.as_ref()).map(|secret| format!("…{}", secret.tail()));
    let name = match tail {
        Some(tail) => format!("key {tail}"),
        None => format!("key {key}"),
    };
    match found.and_then(|found| found.owner.as_deref()) {
        Some(owner) => format!("{name} of {owner}"),
        None => name,
    }
}
