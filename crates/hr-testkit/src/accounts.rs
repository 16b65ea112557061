//! Accounts of a subscription: tokens that are checked, run out, and are renewed, each refresh token once.
//!
//! A fake whose script has [`Accounts`] takes only access tokens that they issued, and renews them at
//! `/oauth/token` as the real login server does: a refresh token is used up by its first use.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use crate::behaviour::Behaviour;
use crate::gate::Gate;
use crate::refusal::{Refusal, Shape};

/// How long a renewed access token is good for, unless the script says otherwise.
const LIFE: Duration = Duration::from_secs(240 * 3600);

/// What somebody who logged in holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The account.
    pub account_id: String,
    /// Says who it is.
    pub id_token: String,
    /// Signs calls.
    pub access_token: String,
    /// Gets new tokens, once.
    pub refresh_token: String,
}

/// How an attempt to renew tokens ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With new tokens.
    Renewed,
    /// With new tokens for a refresh token that was used up a moment ago.
    WithinGrace,
    /// With new tokens that never arrived: the connection was closed.
    Lost,
    /// The refresh token had been used.
    Reused,
    /// The refresh token had run out.
    Expired,
    /// The refresh token had been withdrawn, or was never issued.
    Invalidated,
    /// The request was not one for new tokens.
    Malformed,
    /// The script refused.
    Scripted,
}

/// One attempt to renew tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refresh {
    /// Whose they were; `None` when the refresh token was never issued.
    pub account_id: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// When it came.
    pub received: Instant,
}

/// The state of a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Good,
    Used(Instant),
    Expired,
    Invalidated,
}

/// The state of an access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Until(SystemTime),
    Expired,
    Invalidated,
}

/// Accounts of a subscription; clones are the same accounts.
#[derive(Clone, Default)]
pub struct Accounts {
    book: Arc<Mutex<Book>>,
}

#[derive(Default)]
struct Book {
    plans: HashMap<String, String>,
    /// Whose a refresh token is, and what it is worth.
    refresh: HashMap<String, (String, Standing)>,
    access: HashMap<String, (String, Access)>,
    issued: u64,
    life: Option<Duration>,
    grace: Duration,
    delay: Duration,
    gate: Option<Gate>,
    left_out: Vec<String>,
    wording: Option<Shape>,
    lose: usize,
    scripted: VecDeque<Refusal>,
    refreshes: Vec<Refresh>,
}

impl fmt::Debug for Accounts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Accounts").field("refreshes", &self.refreshes().len()).finish_non_exhaustive()
    }
}

impl Accounts {
    /// No accounts yet.
    #[must_use]
    pub fn new() -> Accounts {
        Accounts::default()
    }

    /// Logs an account in: with an access token for so long; for no time at all, it has run out already.
    pub fn add(&self, account_id: &str, plan: &str, life: Duration) -> Login {
        let mut book = self.book.lock();
        book.plans.insert(account_id.to_owned(), plan.to_owned());
        book.issue(account_id, life)
    }

    /// Renewed access tokens are good for so long.
    pub fn life(&self, life: Duration) {
        self.book.lock().life = Some(life);
    }

    /// A refresh token gets new tokens for so long after its first use.
    pub fn grace(&self, grace: Duration) {
        self.book.lock().grace = grace;
    }

    /// New tokens are issued at once, and told so much later.
    pub fn delay(&self, delay: Duration) {
        self.book.lock().delay = delay;
    }

    /// New tokens are issued at once, and told when the gate opens.
    pub fn behind(&self, gate: &Gate) {
        self.book.lock().gate = Some(gate.clone());
    }

    /// Replies leave these fields out: `id_token`, `access_token`, `refresh_token`. A refresh token that is left
    /// out is not used up.
    pub fn leave_out(&self, fields: &[&str]) {
        self.book.lock().left_out = fields.iter().map(|field| (*field).to_owned()).collect();
    }

    /// Words refusals in this shape: nested, flat, or with the code as `error`.
    pub fn wording(&self, shape: Shape) {
        self.book.lock().wording = Some(shape);
    }

    /// Closes the next connections after new tokens were issued and before they are told.
    pub fn lose(&self, answers: usize) {
        self.book.lock().lose = answers;
    }

    /// Refuses the next attempt like this; several are done in their order.
    pub fn refuse(&self, refusal: Refusal) {
        self.book.lock().scripted.push_back(refusal);
    }

    /// The access tokens of an account run out.
    pub fn expire(&self, account_id: &str) {
        self.book.lock().set_access(account_id, Access::Expired);
    }

    /// The access tokens of an account are withdrawn; its refresh token still works.
    pub fn invalidate(&self, account_id: &str) {
        self.book.lock().set_access(account_id, Access::Invalidated);
    }

    /// The refresh tokens of an account run out.
    pub fn expire_login(&self, account_id: &str) {
        self.book.lock().set_refresh(account_id, Standing::Expired);
    }

    /// An account logs out everywhere: all its tokens are withdrawn.
    pub fn log_out(&self, account_id: &str) {
        let mut book = self.book.lock();
        book.set_access(account_id, Access::Invalidated);
        book.set_refresh(account_id, Standing::Invalidated);
    }

    /// All attempts to renew tokens so far.
    #[must_use]
    pub fn refreshes(&self) -> Vec<Refresh> {
        self.book.lock().refreshes.clone()
    }

    /// How many attempts ended so.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> usize {
        self.book.lock().refreshes.iter().filter(|refresh| refresh.outcome == outcome).count()
    }

    /// Whether this refresh token would get new tokens now.
    #[must_use]
    pub fn is_usable(&self, refresh_token: &str) -> bool {
        let book = self.book.lock();
        match book.refresh.get(refresh_token) {
            Some((_, Standing::Good)) => true,
            Some((_, Standing::Used(when))) => when.elapsed() < book.grace,
            _ => false,
        }
    }

    /// Why a call with this token for this account is refused; `None` when it is not.
    pub(crate) fn refusal(&self, access_token: &str, account_id: Option<&str>) -> Option<Refusal> {
        let book = self.book.lock();
        match book.access.get(access_token) {
            Some((owner, _)) if account_id.is_some_and(|account_id| account_id != owner) => {
                Some(Refusal::detail(401, "Unauthorized"))
            }
            Some((_, Access::Until(end))) if *end > SystemTime::now() => None,
            Some((_, Access::Until(_) | Access::Expired)) => Some(Refusal::token_expired()),
            Some((_, Access::Invalidated)) => Some(Refusal::token_invalidated()),
            None => Some(Refusal::detail(401, "Unauthorized")),
        }
    }

    /// Renews tokens, or not.
    pub(crate) fn renew(&self, content_type: &str, body: &[u8]) -> Behaviour {
        let mut book = self.book.lock();
        let fields = fields(content_type, body);
        let token = fields.get("refresh_token").and_then(Value::as_str).unwrap_or_default();
        let account_id = book.refresh.get(token).map(|(account_id, _)| account_id.clone());
        let (outcome, behaviour) = book.renew(&fields, token);
        book.refreshes.push(Refresh { account_id, outcome, received: Instant::now() });
        let behaviour = match &book.gate {
            Some(gate) => behaviour.behind(gate),
            None => behaviour,
        };
        if book.delay.is_zero() { behaviour } else { behaviour.after(book.delay) }
    }
}

impl Book {
    fn renew(&mut self, fields: &Map<String, Value>, token: &str) -> (Outcome, Behaviour) {
        if let Some(refusal) = self.scripted.pop_front() {
            return (Outcome::Scripted, refusal.into());
        }
        let client = fields.get("client_id").and_then(Value::as_str).unwrap_or_default();
        if fields.get("grant_type") != Some(&"refresh_token".into()) || client.is_empty() || token.is_empty()
        {
            let refusal = Refusal::new(400, "invalid_request_error", "invalid_request", "invalid_request");
            return (Outcome::Malformed, refusal.into());
        }
        let Some((account_id, standing)) = self.refresh.get(token).cloned() else {
            return self.refuse(Outcome::Invalidated);
        };
        let outcome = match standing {
            Standing::Good => Outcome::Renewed,
            Standing::Used(when) if when.elapsed() < self.grace => Outcome::WithinGrace,
            Standing::Used(_) => return self.refuse(Outcome::Reused),
            Standing::Expired => return self.refuse(Outcome::Expired),
            Standing::Invalidated => return self.refuse(Outcome::Invalidated),
        };
        let rotates = !self.left_out.iter().any(|field| field == "refresh_token");
        if outcome == Outcome::Renewed && rotates {
            self.refresh.insert(token.to_owned(), (account_id.clone(), Standing::Used(Instant::now())));
        }
        let login = self.issue(&account_id, self.life.unwrap_or(LIFE));
        if self.lose > 0 {
            self.lose -= 1;
            return (Outcome::Lost, Behaviour::CloseBeforeHeaders);
        }
        let mut reply = json!({
            "id_token": login.id_token,
            "access_token": login.access_token,
            "refresh_token": login.refresh_token,
        });
        if let Some(fields) = reply.as_object_mut() {
            fields.retain(|name, _| !self.left_out.contains(name));
        }
        (outcome, Behaviour::raw(200, reply.to_string()))
    }

    fn refuse(&self, outcome: Outcome) -> (Outcome, Behaviour) {
        let (code, text) = match outcome {
            Outcome::Reused => (
                "refresh_token_reused",
                "Your refresh token has already been used to generate a new access token. Please try signing in again.",
            ),
            Outcome::Expired => {
                ("refresh_token_expired", "Your refresh token has expired. Please try signing in again.")
            }
            _ => ("refresh_token_invalidated", "Your session has ended. Please try signing in again."),
        };
        let shape = self.wording.clone().unwrap_or(Shape::Nested);
        // The shape that is only a text has the code there.
        let text = if shape == Shape::Text { code } else { text };
        (outcome, Refusal::new(401, "invalid_request_error", code, text).shape(shape).into())
    }

    fn issue(&mut self, account_id: &str, life: Duration) -> Login {
        self.issued += 1;
        let plan = self.plans.get(account_id).map_or("plus", String::as_str);
        let now = SystemTime::now();
        let end = now + life;
        let access_token = token(account_id, plan, self.issued, now, end);
        let id_token = token(account_id, plan, self.issued, now, now + Duration::from_secs(3600));
        let refresh_token = format!("rt_fake_{account_id}_{}", self.issued);
        self.access.insert(access_token.clone(), (account_id.to_owned(), Access::Until(end)));
        self.refresh.insert(refresh_token.clone(), (account_id.to_owned(), Standing::Good));
        Login { account_id: account_id.to_owned(), id_token, access_token, refresh_token }
    }

    fn set_access(&mut self, account_id: &str, access: Access) {
        let own = self.access.values_mut().filter(|(owner, _)| owner == account_id);
        own.for_each(|(_, state)| *state = access);
    }

    fn set_refresh(&mut self, account_id: &str, standing: Standing) {
        let own = self.refresh.values_mut().filter(|(owner, _)| owner == account_id);
        own.for_each(|(_, state)| *state = standing);
    }
}

/// The fields of a request for tokens: JSON, or a form.
fn fields(content_type: &str, body: &[u8]) -> Map<String, Value> {
    if !content_type.starts_with("application/x-www-form-urlencoded") {
        return serde_json::from_slice(body).unwrap_or_default();
    }
    let form = String::from_utf8_lossy(body);
    let pairs = form.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decoded(name), decoded(value).into())).collect()
}

/// A part of a form without its escapes.
fn decoded(part: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = part.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let escaped = escaped.and_then(|two| u8::from_str_radix(two, 16).ok());
        match (first, escaped) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = after;
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A token whose claims can be read and whose signature means nothing.
fn token(account_id: &str, plan: &str, number: u64, now: SystemTime, end: SystemTime) -> String {
    let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let email = format!("{account_id}@example.com");
    let claims = json!({
        "iat": seconds(now),
        "exp": seconds(end),
        "jti": format!("fake-{number}"),
        "email": email,
        "https://api.openai.com/profile": {"email": email, "email_verified": true},
        "https://api.openai.com/auth": {
            "chatgpt_account_id": account_id,
            "chatgpt_plan_type": plan,
            "chatgpt_user_id": format!("user-{account_id}"),
        },
    });
    let part = |text: String| URL_SAFE_NO_PAD.encode(text);
    let head = part(json!({"alg": "RS256", "typ": "JWT"}).to_string());
    format!("{head}.{}.{}", part(claims.to_string()), part(format!("signature-{number}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_and_json_say_the_same() {
        let form =
            fields("application/x-www-form-urlencoded", b"grant_type=refresh_token&scope=a+b%2Fc&x=%zz");
        assert_eq!(form["grant_type"], "refresh_token");
        assert_eq!((&form["scope"], &form["x"]), (&json!("a b/c"), &json!("%zz")));
        assert_eq!(fields("application/json", br#"{"a":"b"}"#)["a"], "b");
    }

    #[test]
    fn a_refresh_token_works_once() {
        let accounts = Accounts::new();
        let login = accounts.add("one", "plus", Duration::ZERO);
        let ask = |token: &str| {
            let body = json!({"client_id": "app", "grant_type": "refresh_token", "refresh_token": token});
            accounts.renew("application/json", body.to_string().as_bytes());
        };
        assert!(accounts.refusal(&login.access_token, Some("one")).is_some(), "it has run out");
        ask(&login.refresh_token);
        ask(&login.refresh_token);
        ask("never issued");
        let outcomes: Vec<_> = accounts.refreshes().iter().map(|refresh| refresh.outcome).collect();
        assert_eq!(outcomes, [Outcome::Renewed, Outcome::Reused, Outcome::Invalidated]);
        accounts.grace(Duration::from_secs(3600));
        ask(&login.refresh_token);
        assert_eq!(accounts.count(Outcome::WithinGrace), 1);
    }

    #[test]
    fn access_is_checked() {
        let accounts = Accounts::new();
        let login = accounts.add("one", "plus", Duration::from_secs(3600));
        let refused = |account: &str| accounts.refusal(&login.access_token, Some(account));
        assert_eq!(refused("one"), None);
        assert!(refused("two").is_some());
        assert!(accounts.refusal("never issued", None).is_some());
        accounts.invalidate("one");
        assert_eq!(refused("one").map(|refusal| refusal.code), Some("token_invalidated".into()));
        accounts.expire("one");
        assert_eq!(refused("one").map(|refusal| refusal.code), Some("token_expired".into()));
        assert!(accounts.is_usable(&login.refresh_token));
        accounts.log_out("one");
        assert!(!accounts.is_usable(&login.refresh_token));
    }
}
