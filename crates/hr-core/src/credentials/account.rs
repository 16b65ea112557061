//! An account that was signed in to, as the credentials file keeps it.

use std::time::Duration;

use serde_json::{Map, Value};

use super::Claims;
use crate::secret::Secret;
use crate::time::Millis;

/// How long before its end an access token is renewed.
pub const RENEW_BEFORE_END: Duration = Duration::from_secs(5 * 60);
/// How long a renewed token is used before it is renewed again, however soon it ends.
pub const RENEW_AT_MOST_EVERY: Duration = Duration::from_secs(60);
/// How old the last renewal may be of a token that does not tell its end.
pub const RENEW_AFTER: Duration = Duration::from_secs(8 * 24 * 60 * 60);

/// An account and its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The account's own id, by which it is told apart.
    pub id: String,
    /// What signs a request; short-lived.
    pub access_token: Option<Secret>,
    /// What gets the next access token. Each may be used once: with the answer comes the next.
    pub refresh_token: Secret,
    /// Who signed in.
    pub id_token: Option<Secret>,
    /// When the tokens were renewed last.
    pub last_refresh: Option<Millis>,
    /// Why its user has to sign in again; nothing renews it then.
    pub login_needed: Option<String>,
}

/// What the token endpoint answered. Only what is there replaces what was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Renewal {
    /// The next access token.
    pub access_token: Option<Secret>,
    /// The next refresh token.
    pub refresh_token: Option<Secret>,
    /// The next id token.
    pub id_token: Option<Secret>,
}

impl Renewal {
    /// Reads the body of an answer; `None` when it is none. One field of another kind takes nothing from the others:
    /// the token that was used for them is gone.
    #[must_use]
    pub fn read(body: &[u8]) -> Option<Self> {
        let answer: Map<String, Value> = serde_json::from_slice(body).ok()?;
        let token = |name: &str| {
            let text = answer.get(name)?.as_str()?.trim();
            (!text.is_empty()).then(|| Secret::new(text))
        };
        // What no header may hold would make a usable account one that is not.
        let sendable = |token: &Secret| super::check(token.expose()).is_ok();
        let renewal = Self {
            access_token: token("access_token").filter(sendable),
            refresh_token: token("refresh_token"),
            id_token: token("id_token"),
        };
        (renewal != Self::default()).then_some(renewal)
    }
}

impl Account {
    /// What its tokens say: the access token first.
    #[must_use]
    pub fn claims(&self) -> Claims {
        let of = |token: &Option<Secret>| token.as_ref().map(Claims::of).unwrap_or_default();
        // An id token ends soon after the login, which says nothing of the access token.
        of(&self.access_token).or(Claims { expires: None, ..of(&self.id_token) })
    }

    /// When its access token ends, as far as that can be read.
    #[must_use]
    pub fn expires(&self) -> Option<Millis> {
        self.access_token.as_ref().and_then(|token| Claims::of(token).expires)
    }

    /// Whether it is time to renew its access token.
    #[must_use]
    pub fn is_stale(&self, now: Millis) -> bool {
        match (&self.access_token, self.expires()) {
            (None, _) => true,
            (Some(_), Some(end)) if now.until(end) <= RENEW_BEFORE_END => {
                let just_renewed =
                    self.last_refresh.is_some_and(|last| last.until(now) < RENEW_AT_MOST_EVERY);
                !just_renewed || end <= now
            }
            (Some(_), Some(_)) => false,
            (Some(_), None) => self.last_refresh.is_none_or(|last| last.until(now) > RENEW_AFTER),
        }
    }

    /// Whether its access token is certainly of no use any more.
    #[must_use]
    pub fn is_over(&self, now: Millis) -> bool {
        self.access_token.is_none() || self.expires().is_some_and(|end| end <= now)
    }

    /// The account after a renewal.
    #[must_use]
    pub fn renewed(&self, renewal: Renewal, now: Millis) -> Self {
        Self {
            id: self.id.clone(),
            access_token: renewal.access_token.or_else(|| self.access_token.clone()),
            refresh_token: renewal.refresh_token.unwrap_or_else(|| self.refresh_token.clone()),
            id_token: renewal.id_token.or_else(|| self.id_token.clone()),
            last_refresh: Some(now),
            login_needed: None,
        }
    }

    /// All its tokens.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        [Some(&self.refresh_token), self.access_token.as_ref(), self.id_token.as_ref()].into_iter().flatten()
    }
}
