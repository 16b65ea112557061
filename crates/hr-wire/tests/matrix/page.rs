//! One case as a page to look at, and the laws that hold on every page.

use std::fmt::Write as _;

use bytes::Bytes;
use hr_core::catalog::Dialect;
use hr_core::failure::Failure;
use hr_core::usage::Usage;
use hr_testkit::Strictness;
use hr_wire::dialect::upstream_half;
use hr_wire::hub::{Block, FinishKind, Loss, Reply};
use serde_json::Value;

use crate::case::Case;
use crate::way::{self, Asked, NOW, Sent, provider};

/// The page of a case.
pub fn of(case: &Case) -> String {
    let mut page = String::new();
    let asked = match Asked::read(case.dialect, &case.request) {
        Ok(asked) => asked,
        Err(mistake) => return format!("the caller's mistake: {}\n", mistake.message),
    };
    for other in Dialect::ALL {
        let sent = way::send(case.dialect, &asked, other);
        title(&mut page, &format!("the request for a provider that speaks {}", other.name()));
        if other == case.dialect {
            native(&mut page, &case.request, &sent.body);
            continue;
        }
        let _ = writeln!(page, "{}", pretty(&sent.body));
        losses(&mut page, &sent.losses);
        // `top_k` is not OpenAI's own, and taken by many who speak the same.
        let complaints = Strictness::new().taking(["top_k"]).complaints(strict(other), &sent.body);
        assert_eq!(complaints, [""; 0], "{} for {}", case.name, other.name());
        replies(&mut page, case, other, &sent);
    }
    page
}

/// What a caller of another dialect, who asks the same, gets as the reply.
fn replies(page: &mut String, case: &Case, other: Dialect, sent: &Sent) {
    let asked = Asked::read(other, &sent.body).expect("what the crate writes, it takes");
    let echo = asked.echo(other);
    let names = way::send(other, &asked, case.dialect).names;
    let mut told = None;
    if let Some(reply) = &case.reply {
        title(page, &format!("the whole reply for a caller who speaks {}", other.name()));
        match way::whole(case.dialect, other, &names, &echo, reply) {
            Ok(body) => {
                let _ = writeln!(page, "{}", pretty(&body));
                told = Some(body);
            }
            Err(failure) => failed(page, &failure),
        }
    }
    if let Some(stream) = &case.stream {
        let streamed = |size| way::streamed(case.dialect, other, &names, &echo, stream, size);
        let all = streamed(stream.len());
        assert_eq!(text(&streamed(1)), text(&all), "{} for {}: split at every byte", case.name, other.name());
        title(page, &format!("the stream for a caller who speaks {}", other.name()));
        events(page, &all);
        if let Some(told) = told {
            let whole = upstream_half(other).decode(&told, &provider(other).errors, NOW).unwrap();
            let folded = way::folded(other, &all).unwrap();
            assert_eq!(essence(folded), essence(whole), "{} for {}: folded", case.name, other.name());
        }
    }
}

/// The events of a stream: each has its data on one line, as clients expect it.
fn events(page: &mut String, stream: &[u8]) {
    for line in text(stream).lines().filter(|line| !line.is_empty()) {
        let _ = match line.strip_prefix("data: ").filter(|data| *data != "[DONE]") {
            Some(data) => writeln!(page, "data: {}", without_echo(json(data.as_bytes()))),
            None => writeln!(page, "{line}"),
        };
    }
}

/// An event without the request that it repeats, which the whole reply shows.
fn without_echo(mut data: Value) -> Value {
    const TOLD: [&str; 6] = ["id", "status", "error", "incomplete_details", "output", "usage"];
    if let Some(response) = data.get_mut("response").and_then(Value::as_object_mut) {
        response.retain(|name, _| TOLD.contains(&name.as_str()));
        response.insert("…".into(), "…".into());
    }
    data
}

/// A reply without what each answer names anew: ids, model and time; and without what is opaque, which is in the
/// caller's wrapping. Arguments that were cut off have a form of their own in whole replies of dialects whose
/// arguments are not text.
fn essence(reply: Reply) -> (Vec<Block>, Option<String>, Option<Usage>) {
    let cut = reply.finish.as_ref().is_some_and(|finish| finish.kind() == FinishKind::Length);
    let mut blocks = reply.blocks;
    for block in &mut blocks {
        match block {
            Block::Reasoning(reasoning) => reasoning.opaque = None,
            Block::ToolCall(call) if cut => call.arguments.clear(),
            _ => {}
        }
    }
    (blocks, reply.finish.map(|finish| finish.raw().to_owned()), reply.usage)
}

fn title(page: &mut String, words: &str) {
    let _ = writeln!(page, "{}=== {words} ===", if page.is_empty() { "" } else { "\n" });
}

/// In the native lane a body is only edited where it must be.
fn native(page: &mut String, came: &Bytes, sent: &Bytes) {
    let (came, sent): (Value, Value) = (json(came), json(sent));
    let fields = |value: &Value| value.as_object().unwrap().clone();
    let (came, sent) = (fields(&came), fields(&sent));
    let mut changes = Vec::new();
    for (name, value) in &sent {
        if came.get(name) != Some(value) {
            changes.push(format!("`{name}` is {value}"));
        }
    }
    changes
        .extend(came.keys().filter(|name| !sent.contains_key(*name)).map(|name| format!("`{name}` is gone")));
    let _ = writeln!(page, "as it came, but: {}", changes.join("; "));
}

fn losses(page: &mut String, losses: &[Loss]) {
    for Loss { what, became } in losses {
        let _ = match became {
            Some(became) => writeln!(page, "changed: {what}: {became}"),
            None => writeln!(page, "left out: {what}"),
        };
    }
}

fn failed(page: &mut String, failure: &Failure) {
    let _ = writeln!(page, "fails: {:?}: {}", failure.kind, failure.message);
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

fn pretty(bytes: &[u8]) -> String {
    serde_json::to_string_pretty(&json(bytes)).unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The strict fake of a dialect.
fn strict(dialect: Dialect) -> hr_testkit::Dialect {
    match dialect {
        Dialect::OpenaiChat => hr_testkit::Dialect::Chat,
        Dialect::OpenaiResponses => hr_testkit::Dialect::Responses,
        Dialect::Anthropic => hr_testkit::Dialect::Anthropic,
    }
}
