//! What people see: plain lines that also read well in a pipe, coloured on a terminal.

use std::fmt::Write as _;

use hr_testkit::{Call, End};

use super::rests::Rests;
use super::scene::{Actor, Seen};
use super::tally::{Connection, Tally};
use super::visitor::Visit;
use crate::cli::paint::Paint;
use crate::cli::{print, words};

/// Writes to standard output, or stays silent where only the sums are wanted.
pub struct Screen {
    paint: Paint,
    silent: bool,
}

impl Screen {
    /// A screen that writes.
    pub fn lines() -> Screen {
        Screen { paint: Paint::stdout(), silent: false }
    }

    /// A screen that writes nothing.
    pub fn silent() -> Screen {
        Screen { paint: Paint::plain(), silent: true }
    }

    /// Who plays.
    pub fn opening(&self, actors: &[Actor]) -> anyhow::Result<()> {
        let title = "hermes-router demo: pretend providers on this machine, no key, no network";
        let heading =
            format!("  {:<13} {:<4}  what the router is not told, and finds out", "provider", "keys");
        let mut text = format!("{}\n\n{}\n", self.paint.strong(title), self.paint.faint(&heading));
        for Actor { id, keys, hidden, .. } in actors {
            let _ = writeln!(text, "  {id:<13} {:<4}  {hidden}", keys.len());
        }
        let heading = format!(
            "  {:>3}  {:<6}  {:<13} {:<13} {:>6}  on the way",
            "#", "asked", "answered by", "model", "took"
        );
        let _ = writeln!(text, "\n{}", self.paint.faint(&heading));
        self.out(&text)
    }

    /// One request, what it took, and who was passed over.
    pub fn request(&self, number: usize, visit: &Visit, seen: &[Seen], rested: &Rests) -> anyhow::Result<()> {
        let paint = &self.paint;
        let mut notes = Vec::new();
        let wasted = if visit.served { seen.split_last().map_or(&[][..], |(_, rest)| rest) } else { seen };
        if !wasted.is_empty() {
            let wasted: Vec<String> =
                wasted.iter().map(|seen| format!("{} {}", seen.who, became(&seen.call))).collect();
            notes.push(paint.doubtful(&wasted.join(", ")));
        }
        if !visit.served {
            notes.push(paint.bad(&format!("failed with {}", visit.status.as_u16())));
        }
        if !rested.is_empty() {
            notes.push(paint.faint(&format!("skips {}", rested.names().join(" "))));
        }
        let kind = if visit.stream { "stream" } else { "plain" };
        let provider = format!("{:<13}", visit.provider.as_deref().unwrap_or("-"));
        let provider = if visit.served { paint.good(&provider) } else { paint.bad(&provider) };
        let model = visit.model.as_deref().unwrap_or("-");
        let took = visit.took.as_millis();
        let line =
            format!("  {number:>3}  {kind:<6}  {provider} {model:<13} {took:>3} ms  {}", notes.join("; "));
        self.out(&format!("{}\n", line.trim_end()))
    }

    /// Who began to rest, and who is back.
    pub fn changes(&self, before: &Rests, after: &Rests) -> anyhow::Result<()> {
        for (who, rest) in after.begun_since(before) {
            let line = format!("       {who} rests for {}: {}", words::span(rest.seconds), rest.because);
            self.out(&format!("{}\n", self.paint.note(&line)))?;
        }
        for who in after.ended_since(before) {
            self.out(&format!("{}\n", self.paint.note(&format!("       {who} is back"))))?;
        }
        Ok(())
    }

    /// The sums.
    pub fn sums(&self, tally: &Tally) -> anyhow::Result<()> {
        let paint = &self.paint;
        let failed = format!("{} failed", tally.failed);
        let failed = if tally.failed == 0 { paint.good(&failed) } else { paint.bad(&failed) };
        let by_provider: Vec<String> =
            tally.by_provider.iter().map(|(provider, count)| format!("{provider} {count}")).collect();
        let Tally { requests, served, rescued, went_around, calls, wasted_calls, calls_too_early, .. } =
            tally;
        let text = format!(
            "\n{}  {requests} in {:.1} s: {served} served, {failed}\n\
             \x20         {rescued} would have been errors, and were answered by somebody else\n\
             \x20         {went_around} went around somebody who rested, without a call\n\
             {}     {calls} to providers, {wasted_calls} of them wasted, \
             {calls_too_early} on a key that was known to rest\n\
             {}   {}\n",
            paint.strong("requests"),
            tally.seconds,
            paint.strong("calls"),
            paint.strong("answers"),
            by_provider.join(", "),
        );
        self.out(&text)
    }

    /// How to do the same with real providers.
    pub fn farewell(&self, connection: &Connection) -> anyhow::Result<()> {
        let text = format!(
            "\nWith keys of your own: `hr providers`, `hr auth add PROVIDER`, `hr start`; then give any OpenAI client\n{}",
            connect(connection),
        );
        self.out(&text)
    }

    /// How to play on.
    pub fn serving(&self, connection: &Connection) -> anyhow::Result<()> {
        let Connection { base_url, api_key, model } = connection;
        let key = api_key.unwrap_or_default();
        let text = format!(
            "\n{} It runs until Ctrl-C. Give any OpenAI client\n{}\nor try\n\
             \x20 curl -i {base_url}/chat/completions -H 'Authorization: Bearer {key}' -d \
             '{{\"model\":\"{model}\",\"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]}}'\n\
             \x20 curl {base_url}/status -H 'Authorization: Bearer {key}'\n",
            self.paint.strong("Your turn."),
            connect(connection),
        );
        self.out(&text)
    }

    fn out(&self, text: &str) -> anyhow::Result<()> {
        if self.silent { Ok(()) } else { print::out(text) }
    }
}

/// The three lines that connect a client.
fn connect(connection: &Connection) -> String {
    let key = connection.api_key.unwrap_or("the one that the first `hr start` shows");
    format!("  base URL  {}\n  API key   {key}\n  model     {}\n", connection.base_url, connection.model)
}

/// What became of a call that brought no answer.
fn became(call: &Call) -> String {
    match (call.status, call.end(), call.told_to_wait) {
        (None, Some(End::Broken), _) => "broke off".to_owned(),
        (None, ..) => "was silent".to_owned(),
        (Some(200), ..) => "sent no answer".to_owned(),
        (Some(status), _, Some(wait)) => {
            format!("said {status}, wait {}", words::span(wait.as_secs_f64().ceil() as u64))
        }
        (Some(status), ..) => format!("said {status}"),
    }
}
