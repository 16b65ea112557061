//! What a token says of itself. Nobody checks its signature here: the claims are used to know when to renew it
//! and what to show, never to decide who may do what.

use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::secret::Secret;
use crate::time::Millis;

/// The longest token that is looked into.
const MAX_TOKEN_CHARS: usize = 64 * 1024;
/// The longest text of a claim that is taken.
const MAX_TEXT_CHARS: usize = 256;
/// Under which claim the issuer keeps what it knows of the account.
const ACCOUNT_CLAIM: &str = "https://api.openai.com/auth";
/// Under which claim the issuer keeps what it knows of the person.
const PROFILE_CLAIM: &str = "https://api.openai.com/profile";

/// The claims of a JSON web token that are of use here; what cannot be read is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// When it ends.
    pub expires: Option<Millis>,
    /// The account that it is for.
    pub account_id: Option<String>,
    /// The plan of that account.
    pub plan: Option<String>,
    /// Who signed in.
    pub email: Option<String>,
}

impl Claims {
    /// Reads the payload of a token.
    #[must_use]
    pub fn of(token: &Secret) -> Self {
        payload(token.expose()).map(|claims| Self::read(&claims)).unwrap_or_default()
    }

    fn read(claims: &Value) -> Self {
        // Shown on terminals, which would obey what is no character of a text.
        let fits = |text: &&str| {
            !text.is_empty() && text.chars().count() <= MAX_TEXT_CHARS && !text.contains(char::is_control)
        };
        let text = |value: Option<&Value>| {
            value.and_then(Value::as_str).map(str::trim).filter(fits).map(str::to_owned)
        };
        let of_account = |name: &str| text(claims.get(ACCOUNT_CLAIM).and_then(|account| account.get(name)));
        Self {
            expires: claims.get("exp").and_then(instant),
            account_id: of_account("chatgpt_account_id"),
            plan: of_account("chatgpt_plan_type"),
            email: text(claims.get("email"))
                .or_else(|| text(claims.get(PROFILE_CLAIM).and_then(|profile| profile.get("email")))),
        }
    }

    /// These claims, and what only the other token tells.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            expires: self.expires.or(other.expires),
            account_id: self.account_id.or(other.account_id),
            plan: self.plan.or(other.plan),
            email: self.email.or(other.email),
        }
    }
}

fn payload(token: &str) -> Option<Value> {
    if token.len() > MAX_TOKEN_CHARS {
        return None;
    }
    let payload = token.split('.').nth(1)?;
    let bytes = URL_SAFE_NO_PAD.decode(payload).or_else(|_| URL_SAFE.decode(payload)).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Seconds since 1970; some issuers write them as a fraction.
fn instant(seconds: &Value) -> Option<Millis> {
    let whole = seconds.as_u64().or_else(|| {
        // A fraction of a second does not matter; what is no number of seconds at all becomes 0 or the most.
        seconds.as_f64().filter(|seconds| *seconds >= 0.0).map(|seconds| seconds as u64)
    })?;
    Some(Millis(whole.saturating_mul(1000)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(payload: &str) -> Secret {
        Secret::new(format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload)))
    }

    #[test]
    fn claims_are_read_where_they_are() {
        let claims = Claims::of(&token(
            r#"{"exp": 1788825600, "https://api.openai.com/profile": {"email": "a@example.com"},
                "https://api.openai.com/auth": {"chatgpt_account_id": "acc", "chatgpt_plan_type": "plus"}}"#,
        ));
        assert_eq!(claims.expires, Some(Millis(1_788_825_600_000)));
        assert_eq!((claims.account_id.as_deref(), claims.plan.as_deref()), (Some("acc"), Some("plus")));
        assert_eq!(claims.email.as_deref(), Some("a@example.com"));
        assert_eq!(Claims::of(&token(r#"{"exp": 12.9}"#)).expires, Some(Millis(12_000)));
        assert_eq!(
            Claims::of(&token(r#"{"email": "b@example.com"}"#)).email.as_deref(),
            Some("b@example.com")
        );
    }

    #[test]
    fn what_is_no_token_says_nothing() {
        for text in ["", "opaque", "a.b", "a.!!.c", "e30.W10.x", "e30.bm8.x"] {
            assert_eq!(Claims::of(&Secret::new(text)), Claims::default(), "{text}");
        }
        assert_eq!(Claims::of(&token(r#"{"exp": "soon", "email": 1}"#)), Claims::default());
        for email in [r"a\u001b[2Jb", r"a\nb", &"a".repeat(MAX_TEXT_CHARS + 1)] {
            assert_eq!(
                Claims::of(&token(&format!(r#"{{"email": "{email}"}}"#))),
                Claims::default(),
                "{email}"
            );
        }
        assert_eq!(Claims::of(&token(r#"{"exp": 1e300}"#)).expires, Some(Millis(u64::MAX)));
        assert_eq!(Claims::of(&token(r#"{"exp": -5}"#)).expires, None);
    }
}
