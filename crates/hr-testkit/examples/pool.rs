//! A pool of strict, obliging fakes, one for each dialect, for clients that are not written in Rust.
//!
//! It prints one line of JSON, the address of each fake by its dialect, and serves until its standard input ends.
//! Then it prints what the fakes did not accept, a line each, and fails if there was anything. With a subscription
//! goes a login: what to sign calls with, and where to renew it.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use hr_testkit::{Accounts, Behaviour, Dialect, Fake, Script, Strictness};

/// How long the login of the subscription is good for.
const LIFE: Duration = Duration::from_secs(24 * 3600);

#[tokio::main]
async fn main() -> std::io::Result<ExitCode> {
    let accounts = Accounts::new();
    let login = accounts.add("account-1", "plus", LIFE);
    let script = || Script::new().otherwise(Behaviour::Obliging).strict(Strictness::new());
    let chat = Fake::speaking(Dialect::Chat, script()).await?;
    let anthropic = Fake::speaking(Dialect::Anthropic, script()).await?;
    let responses = Fake::speaking(Dialect::Responses, script()).await?;
    let subscription = Fake::speaking(Dialect::Codex, script().accounts(&accounts)).await?;
    let addresses = serde_json::json!({
        "chat": chat.base_url(),
        "anthropic": anthropic.base_url(),
        "responses": responses.base_url(),
        "codex": subscription.base_url(),
        "token_url": format!("http://{}/oauth/token", subscription.address()),
        "login": {
            "account_id": login.account_id,
            "id_token": login.id_token,
            "access_token": login.access_token,
            "refresh_token": login.refresh_token,
        },
    });
    let mut out = std::io::stdout();
    writeln!(out, "{addresses}")?;
    out.flush()?;
    let ended = tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
    ended.await.map_err(std::io::Error::other)??;
    let mut accepted = true;
    for fake in [&chat, &anthropic, &responses, &subscription] {
        for violation in fake.violations() {
            writeln!(out, "{:?}, call {}: {}", fake.dialect(), violation.call, violation.what)?;
            accepted = false;
        }
    }
    Ok(if accepted { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
