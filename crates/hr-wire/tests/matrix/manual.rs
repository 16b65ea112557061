//! `docs/translation.md` is written from what the crate really does with each thing. When it is stale this fails
//! once and leaves the right text behind: look at it and commit it.

use std::fmt::Write as _;
use std::path::PathBuf;

use bytes::Bytes;
use hr_core::catalog::Dialect;
use hr_wire::dialect::client_half;
use hr_wire::hub::Loss;

use crate::probe;
use crate::way::{self, Asked, Sent};

const FILE: &str = "docs/translation.md";

const INTRODUCTION: &str = "\
# What gets lost in translation

<!-- Written by `cargo test -p hr-wire --test matrix`; do not edit. -->

A request reaches a provider that speaks the caller's own dialect as it came. For any other provider it is
translated, and what that provider's dialect has no place for is a *loss*. Losses are named in the response header
`X-Hermes-Loss` and in the log, a candidate that loses nothing is preferred, and with `X-Hermes-Strict: 1` a request
is rather refused than served with a loss.

The tables show what becomes of each thing, as the dialects are; what a single provider or model does not take on
top of that is in its file in `catalog/`. A `✓` is carried over, or was a hint without which the answer is the same.
";

/// How people call a dialect.
fn title(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenaiChat => "OpenAI Chat Completions",
        Dialect::OpenaiResponses => "OpenAI Responses",
        Dialect::Anthropic => "Anthropic Messages",
    }
}

/// What becomes of a thing.
fn fate(from: Dialect, to: Dialect, body: &Bytes) -> String {
    let asked = match Asked::read(from, body) {
        Ok(asked) => asked,
        Err(mistake) => return format!("refused: {}", mistake.message),
    };
    if let Err(mistake) = client_half(from).decode(&asked.envelope) {
        return format!("refused: {}", mistake.message);
    }
    let Sent { losses, refused, .. } = way::send(from, &asked, to);
    if let Some(mistake) = refused {
        return format!("refused: {}", mistake.message);
    }
    if losses.is_empty() {
        return "✓".to_owned();
    }
    let told = losses.into_iter().map(|Loss { what, became }| match became {
        Some(became) => format!("`{what}`: {became}"),
        None => format!("`{what}` left out"),
    });
    told.collect::<Vec<_>>().join("; ")
}

fn manual() -> String {
    let mut manual = INTRODUCTION.to_owned();
    for from in Dialect::ALL {
        let others: Vec<_> = Dialect::ALL.into_iter().filter(|to| *to != from).collect();
        let _ = writeln!(manual, "\n## From {}\n", title(from));
        let heads: Vec<_> = others.iter().map(|to| format!("for {}", title(*to))).collect();
        let _ = writeln!(manual, "| What the caller sends | {} |", heads.join(" | "));
        let _ = writeln!(manual, "|---|---|---|");
        for (thing, over) in probe::all(from) {
            let body = Bytes::from(probe::request(from, &over).to_string());
            let fates: Vec<_> = others.iter().map(|to| fate(from, *to, &body).replace('|', "\\|")).collect();
            let _ = writeln!(manual, "| {thing} | {} |", fates.join(" | "));
        }
    }
    manual
}

#[test]
fn the_list_of_losses_is_up_to_date() {
    let text = manual();
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(FILE);
    if std::fs::read_to_string(&file).unwrap_or_default() != text {
        std::fs::write(&file, &text).expect("the repository is writable");
        panic!("`{FILE}` was stale and has been written anew: look at it and commit it");
    }
}
