//! One renewal of one account's tokens, alone among all processes that share the credentials file.
//!
//! A refresh token may be used once, so the order matters: take the account's turn, read the file *now*, and only
//! if nobody was quicker ask for new tokens; store them safely on disk, and only then let a request use them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use hr_core::catalog::Provider;
use hr_core::credentials::{Account, AuthFile, Renewal};
use hr_core::secret::Secret;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::response::Parts;
use http::{Method, Request, StatusCode, Uri};
use http_body_util::Full;
use sha2::{Digest, Sha256};

use super::body::UpstreamBody;
use super::client::{Client, Errand};
use super::known::wall;
use super::sign::OUR_USER_AGENT;
use crate::files::store::Held;
use crate::files::{edit, store};
use crate::watch::events::chain;

/// How long the answer of a token endpoint is waited for.
const ANSWER_WAIT: Duration = Duration::from_secs(30);
/// How often it is asked when the connection breaks. The answer that was lost may have used the token up, and an
/// endpoint that forgives this forgives it for a moment only.
const ASKS: u32 = 3;
/// How long another process may take for the same account: its own wait, and storing.
const TURN_PATIENCE: Duration = Duration::from_secs(75);
/// The most bytes of an answer.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;
/// The longest code of a refusal that is kept.
const MAX_CODE_CHARS: usize = 80;
/// Refusals that are for good whatever their status.
const FOR_GOOD: [&str; 3] = ["refresh_token_expired", "refresh_token_reused", "refresh_token_invalidated"];

/// What is to be renewed.
pub struct Order {
    /// The credentials file.
    pub auth: PathBuf,
    /// The account as it is known here.
    pub account: Arc<Account>,
    /// The access token that the provider has refused, when that is why.
    pub refused: Option<Secret>,
    /// What an earlier renewal could not store.
    pub unsaved: Option<Unsaved>,
    /// What calls the token endpoint.
    pub client: Arc<Client>,
    /// Whose account it is.
    pub provider: Arc<Provider>,
    /// The token endpoint.
    pub token_url: String,
}

/// New tokens that are not on disk yet.
#[derive(Clone)]
pub struct Unsaved {
    /// The account with them.
    pub account: Account,
    /// The refresh token that was used up for them.
    pub used: Secret,
}

/// How a renewal ended.
pub enum Ended {
    /// With tokens that are on disk.
    Stored {
        /// The account with them.
        account: Account,
        /// Whether they were made just now, and not found.
        renewed: bool,
    },
    /// Its user has to sign in again.
    SignedOut(Account),
    /// New tokens were made and are not on disk.
    Unsaved {
        /// What is to be stored.
        unsaved: Unsaved,
        /// Why it could not be.
        words: String,
    },
    /// Something that may pass; the tokens are the same.
    Trouble {
        /// What it was.
        words: String,
        /// When to try again, as the answer said.
        retry_after: Option<Duration>,
    },
}

impl Ended {
    fn trouble(words: impl Into<String>) -> Self {
        Self::Trouble { words: words.into(), retry_after: None }
    }
}

/// What the token endpoint said.
enum Answer {
    Renewal(Renewal),
    /// The refresh token is of no use any more; with the code.
    Refused(String),
    Trouble {
        words: String,
        retry_after: Option<Duration>,
    },
}

/// Renews the tokens, unless somebody else has.
pub async fn renew(order: Order) -> Ended {
    match alone(order).await {
        Ok(ended) => ended,
        Err(error) => Ended::trouble(format!("{error:#}")),
    }
}

async fn alone(order: Order) -> anyhow::Result<Ended> {
    let (auth, id) = (order.auth.clone(), order.account.id.clone());
    let _turn = blocking(move || Held::take_within(&turn_file(&auth, &id), TURN_PATIENCE)).await?;
    if let Some(unsaved) = order.unsaved {
        return keep(order.auth, unsaved).await;
    }
    let (auth, id) = (order.auth.clone(), order.account.id.clone());
    let stored = blocking(move || {
        let stored = read(&auth, &id)?;
        // New tokens that cannot be stored would be the end of the login.
        store::can_write(&auth)?;
        Ok(stored)
    })
    .await?;
    let Some(stored) = stored else { return Ok(Ended::trouble("the account is not stored any more")) };
    if stored.login_needed.is_some() {
        return Ok(Ended::SignedOut(stored));
    }
    let refused = order.refused.is_some() && stored.access_token == order.refused;
    if !refused && !stored.is_stale(wall()) {
        return Ok(Ended::Stored { account: stored, renewed: false });
    }
    match ask(&order, &stored.refresh_token).await {
        Answer::Renewal(renewal) => {
            let account = stored.renewed(renewal, wall());
            keep(order.auth, Unsaved { account, used: stored.refresh_token }).await
        }
        Answer::Refused(code) => mark(order.auth, stored, code).await,
        Answer::Trouble { words, retry_after } => Ok(Ended::Trouble { words, retry_after }),
    }
}

/// Marks the account as one that has to be signed in to again, unless it has other tokens by now than the refused
/// one. Nothing when the file could not be changed: the next refusal will try again.
pub async fn sign_out(order: Order, code: &str) -> Option<Ended> {
    let (code, refused, id) = (code.to_owned(), order.refused?, order.account.id.clone());
    let ended = change(order.auth, move |file| {
        let stored = file.account(&id)?.clone();
        if stored.access_token != Some(refused) {
            return Some(Ended::Stored { account: stored, renewed: false });
        }
        let marked = Account { login_needed: Some(code), ..stored };
        file.put_account(&marked);
        Some(Ended::SignedOut(marked))
    });
    ended.await.ok().flatten()
}

/// Stores renewed tokens in the place of those that were used for them. Somebody who has signed in meanwhile is
/// not undone, nor somebody who has removed the account.
async fn keep(auth: PathBuf, unsaved: Unsaved) -> anyhow::Result<Ended> {
    let Unsaved { account: renewed, used } = unsaved.clone();
    let kept = change(auth, move |file| match file.account(&renewed.id) {
        None => Ended::trouble("the account is not stored any more"),
        Some(stored) if stored.refresh_token != used => {
            Ended::Stored { account: stored.clone(), renewed: false }
        }
        Some(_) => {
            file.put_account(&renewed);
            Ended::Stored { account: renewed, renewed: true }
        }
    });
    Ok(match kept.await {
        Ok(ended) => ended,
        Err(error) => Ended::Unsaved { unsaved, words: format!("{error:#}") },
    })
}

/// Writes down that a refresh token is of no use, unless the account has another one by now.
async fn mark(auth: PathBuf, used: Account, code: String) -> anyhow::Result<Ended> {
    change(auth, move |file| match file.account(&used.id) {
        None => Ended::trouble("the account is not stored any more"),
        Some(stored) if stored.refresh_token != used.refresh_token => {
            let account = stored.clone();
            match account.is_stale(wall()) {
                true => Ended::trouble("the account was signed in to meanwhile"),
                false => Ended::Stored { account, renewed: false },
            }
        }
        Some(stored) => {
            let marked = Account { login_needed: Some(code), ..stored.clone() };
            file.put_account(&marked);
            Ended::SignedOut(marked)
        }
    })
    .await
}

async fn change<T: Send + 'static>(
    auth: PathBuf,
    change: impl FnOnce(&mut AuthFile) -> T + Send + 'static,
) -> anyhow::Result<T> {
    blocking(move || edit::tokens(&auth, change)).await
}

fn read(auth: &Path, id: &str) -> anyhow::Result<Option<Account>> {
    let shown = auth.display().to_string();
    let text = store::read(auth).with_context(|| format!("could not read `{shown}`"))?;
    let Some(text) = text else { return Ok(None) };
    Ok(AuthFile::parse(&text, &shown)?.account(id).cloned())
}

/// File work, off the threads that serve requests.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work).await.context("the work on the file was cut off")?
}

/// What stands for an account's turn: beside the credentials file, so that an edit of other things in it does not
/// have to wait for a token endpoint. An id may hold anything, so its hash names it.
fn turn_file(auth: &Path, id: &str) -> PathBuf {
    let digest = Sha256::digest(id.as_bytes());
    let name: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    store::beside(&store::real_path(auth), &format!(".{name}"))
}

/// Asks for new tokens.
async fn ask(order: &Order, refresh_token: &Secret) -> Answer {
    let trouble = |words: String| Answer::Trouble { words, retry_after: None };
    let client = order.provider.login.as_ref().map(|login| login.client.as_str()).unwrap_or_default();
    let body = serde_json::json!({
        "client_id": client,
        "grant_type": "refresh_token",
        "refresh_token": refresh_token.expose(),
    });
    let Ok(uri) = Uri::try_from(&order.token_url) else {
        return trouble("the address of the token endpoint is not usable".to_owned());
    };
    let body = Bytes::from(body.to_string());
    let asks = async {
        let mut asked = 1;
        loop {
            match exchange(&order.client, uri.clone(), body.clone()).await {
                Err(_) if asked < ASKS => asked += 1,
                last => return last,
            }
        }
    };
    match tokio::time::timeout(ANSWER_WAIT, asks).await {
        Err(_) => trouble("the token endpoint did not answer in time".to_owned()),
        Ok(Err(words)) => trouble(words),
        Ok(Ok((head, body))) => understand(head.status, &head.headers, &body),
    }
}

/// Asks once. A connection that broke is told in words without any content.
async fn exchange(client: &Client, uri: Uri, body: Bytes) -> Result<(Parts, Bytes), String> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static(OUR_USER_AGENT));
    let response = client.send(request, Errand::Upkeep).await.map_err(|error| chain(&error))?;
    let (head, incoming) = response.into_parts();
    match UpstreamBody::new(&head.headers, incoming).whole(MAX_ANSWER_BYTES).await {
        Ok(body) => Ok((head, body)),
        // A refusal is one also when its words are lost.
        Err(_) if head.status == StatusCode::UNAUTHORIZED => Ok((head, Bytes::new())),
        Err(error) => Err(chain(&error)),
    }
}

fn understand(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Answer {
    let retry_after = || {
        let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
        Some(Duration::from_secs(text.trim().parse().ok()?))
    };
    let trouble = |words: String| Answer::Trouble { words, retry_after: retry_after() };
    if status.is_success() {
        return match Renewal::read(body) {
            Some(renewal) => Answer::Renewal(renewal),
            None => trouble("the token endpoint answered with something else than tokens".to_owned()),
        };
    }
    let code = code(body);
    let for_good = code.as_deref().is_some_and(|code| FOR_GOOD.contains(&code));
    if status == StatusCode::UNAUTHORIZED || (status.is_client_error() && for_good) {
        return Answer::Refused(code.unwrap_or_else(|| "refused".to_owned()));
    }
    trouble(format!("the token endpoint answered with status {}", status.as_u16()))
}

/// The code of a refusal: in its error, as its error, or beside it. Only what looks like a code is taken, so that
/// nothing else of the answer is kept.
fn code(body: &[u8]) -> Option<String> {
    let answer: serde_json::Value = serde_json::from_slice(body).ok()?;
    let error = answer.get("error");
    let code = error
        .and_then(|error| error.get("code"))
        .and_then(serde_json::Value::as_str)
        .or_else(|| error.and_then(serde_json::Value::as_str))
        .or_else(|| answer.get("code").and_then(serde_json::Value::as_str))?;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    (!code.is_empty() && code.len() <= MAX_CODE_CHARS && code.chars().all(plain)).then(|| code.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_a_refusal_is_found_wherever_it_is() {
        for (body, found) in [
            (r#"{"error": {"code": "refresh_token_reused", "message": "m"}}"#, Some("refresh_token_reused")),
            (r#"{"error": "refresh_token_expired"}"#, Some("refresh_token_expired")),
            (r#"{"code": "refresh_token_invalidated"}"#, Some("refresh_token_invalidated")),
            (r#"{"error": {"code": "Not a code: rt_canary"}}"#, None),
            (r#"{"error": {"message": "m"}}"#, None),
            ("<html>", None),
        ] {
            assert_eq!(code(body.as_bytes()).as_deref(), found, "{body}");
        }
    }

    #[test]
    fn only_a_refusal_is_for_good() {
        let said = |status: u16, body: &str| {
            understand(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes())
        };
        let reused = r#"{"error": {"code": "refresh_token_reused"}}"#;
        for (status, body, code) in [
            (401, reused, "refresh_token_reused"),
            (401, "", "refused"),
            (400, reused, "refresh_token_reused"),
        ] {
            assert!(matches!(said(status, body), Answer::Refused(found) if found == code), "{status} {body}");
        }
        for (status, body) in
            [(400, "{}"), (403, "<html>"), (429, "{}"), (500, reused), (200, "{}"), (302, "")]
        {
            assert!(matches!(said(status, body), Answer::Trouble { .. }), "{status} {body}");
        }
        for status in [200, 201] {
            assert!(matches!(said(status, r#"{"access_token": "a"}"#), Answer::Renewal(_)), "{status}");
        }
    }

    #[test]
    fn a_stated_wait_is_heard() {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static("7"))]);
        let Answer::Trouble { retry_after, .. } = understand(StatusCode::TOO_MANY_REQUESTS, &headers, b"")
        else {
            panic!("a 429 passes")
        };
        assert_eq!(retry_after, Some(Duration::from_secs(7)));
    }

    #[test]
    fn turns_of_two_accounts_are_two_files_beside_the_credentials() {
        let auth = Path::new("/nowhere/auth.json");
        let (one, other) = (turn_file(auth, "a/../b"), turn_file(auth, "c"));
        assert_ne!(one, other);
        assert_eq!(one.parent(), auth.parent());
    }
}
