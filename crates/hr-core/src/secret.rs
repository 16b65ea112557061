//! A credential as a type that cannot be printed.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// How many characters of a key may be shown to people, as the original product shows them.
pub const TAIL_CHARS: usize = 6;

/// A credential. It has no `Display`, no `Serialize`, its `Debug` tells nothing, and it is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a credential that came from a file, the environment or a prompt.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The credential itself. Each call is a place to review: it may go into a request header or a 0600 file.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The last [`TAIL_CHARS`] characters, by which people tell keys apart; never the whole secret.
    #[must_use]
    pub fn tail(&self) -> String {
        let count = self.0.chars().count();
        let shown = TAIL_CHARS.min(count.saturating_sub(1));
        self.0.chars().skip(count - shown).collect()
    }

    /// Whether nothing was given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The installation's own secret, under which key ids are hashed: an id in a log tells nothing of its key.
#[derive(Clone, Debug)]
pub struct InstallSecret(pub Secret);

/// A stable name of a credential, safe to log and store: a keyed hash, or the account id for OAuth.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct KeyId(pub String);

impl KeyId {
    /// The id of an API key: HMAC-SHA256 under the installation's secret of provider and key, 16 hex digits.
    #[must_use]
    pub fn of(install: &InstallSecret, provider: &str, secret: &Secret) -> Self {
        let mut mac = Hmac::<Sha256>::new_from_slice(install.0.expose().as_bytes())
            .unwrap_or_else(|_| unreachable!("HMAC takes a key of any length"));
        mac.update(provider.as_bytes());
        mac.update(&[0]);
        mac.update(secret.expose().as_bytes());
        let digest = mac.finalize().into_bytes();
        Self(digest[..8].iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The id of an OAuth account: the account's own id.
    #[must_use]
    pub fn account(id: &str) -> Self {
        Self(format!("account:{id}"))
    }

    /// The id of a server that asks for no key.
    #[must_use]
    pub fn keyless() -> Self {
        Self("keyless".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tail_is_the_last_six_and_never_all() {
        assert_eq!(Secret::new("sk-test").tail(), "k-test");
        assert_eq!(Secret::new("abc").tail(), "bc");
        assert_eq!(Secret::new("").tail(), "");
    }

    #[test]
    fn debug_tells_nothing() {
        assert_eq!(format!("{:?}", Secret::new("canary")), "Secret(…)");
    }

    #[test]
    fn ids_are_stable_and_differ_by_provider_and_installation() {
        let (a, b) = (InstallSecret(Secret::new("one")), InstallSecret(Secret::new("two")));
        let key = Secret::new("sk-1");
        assert_eq!(KeyId::of(&a, "x", &key), KeyId::of(&a, "x", &key));
        assert_ne!(KeyId::of(&a, "x", &key), KeyId::of(&a, "y", &key));
        assert_ne!(KeyId::of(&a, "x", &key), KeyId::of(&b, "x", &key));
    }
}
