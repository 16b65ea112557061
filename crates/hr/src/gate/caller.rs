//! Who may come in: access keys, and the names under which the router may be addressed.

use hr_core::secret::Secret;
use hr_core::settings::Settings;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HOST, ORIGIN};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// The access keys in force, as digests: comparing digests takes the same time whatever was sent.
pub struct Callers {
    digests: Vec<[u8; 32]>,
}

/// The access key that a request came with, by its digest: what one caller leaves here no other one finds.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallerId([u8; 32]);

impl Callers {
    /// The callers that hold one of these keys.
    #[must_use]
    pub fn new(keys: &[Secret]) -> Self {
        Self { digests: keys.iter().map(|key| digest(key.expose().as_bytes())).collect() }
    }

    /// Whose key the headers carry: `Authorization: Bearer KEY`, `Authorization: KEY` or `x-api-key: KEY`. Clients
    /// send both when they have a login of their own beside ours, so either may be it.
    #[must_use]
    pub fn admit(&self, headers: &HeaderMap) -> Option<CallerId> {
        let authorization = headers.get(AUTHORIZATION).map(|value| without_scheme(value.as_bytes()));
        let api_key = headers.get("x-api-key").map(http::HeaderValue::as_bytes);
        [authorization, api_key].into_iter().flatten().find_map(|token| self.knows(token))
    }

    fn knows(&self, token: &[u8]) -> Option<CallerId> {
        let given = digest(token.trim_ascii());
        // Every key is compared, so that the time does not tell which one was near.
        let found = self.digests.iter().fold(Choice::from(0), |found, known| found | known.ct_eq(&given));
        bool::from(found).then_some(CallerId(given))
    }
}

impl CallerId {
    /// A number that tells callers apart and says nothing of the key.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn without_scheme(value: &[u8]) -> &[u8] {
    match value.split_at_checked(7) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => token,
        _ => value,
    }
}

/// The names under which the router may be addressed. A page in a browser that was led here by a name of
/// somebody else's (DNS rebinding), or that calls from another origin, is turned away.
pub struct Doors {
    names: Vec<String>,
    any: bool,
    bound_to_loopback: bool,
}

impl Doors {
    /// Loopback, the bound address and `ALLOWED_HOSTS` (`*` allows every name).
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let mut names: Vec<String> = settings.allowed_hosts.iter().map(|name| name.to_lowercase()).collect();
        names.push(settings.host.to_lowercase());
        names.push("localhost".to_owned());
        let bound_to_loopback = match settings.host.parse::<std::net::IpAddr>() {
            Ok(address) => address.is_loopback(),
            Err(_) => settings.host.eq_ignore_ascii_case("localhost"),
        };
        Self { any: names.iter().any(|name| name == "*"), names, bound_to_loopback }
    }

    /// Whether `Host` and, where a browser sent one, `Origin` name this router.
    #[must_use]
    pub fn open_to(&self, headers: &HeaderMap, authority: Option<&str>) -> bool {
        let mut hosts = headers.get_all(HOST).iter();
        let host = match (hosts.next(), hosts.next()) {
            (Some(host), None) => host.to_str().ok(),
            (None, _) => authority,
            (Some(_), Some(_)) => None,
        };
        let origin_fits = match headers.get(ORIGIN) {
            None => true,
            Some(origin) => origin
                .to_str()
                .ok()
                .and_then(|origin| origin.split_once("://"))
                .is_some_and(|(_, authority)| self.knows(authority)),
        };
        host.is_some_and(|host| self.knows(host)) && origin_fits
    }

    fn knows(&self, authority: &str) -> bool {
        if self.any {
            return true;
        }
        let host = host_of(authority);
        if self.names.iter().any(|name| name.eq_ignore_ascii_case(host)) {
            return true;
        }
        let name = host.to_lowercase();
        if let Ok(address) = name.trim_matches(['[', ']']).parse::<std::net::IpAddr>() {
            // An address cannot be rebound; a router that is bound to the network is called by any of its own.
            return address.is_loopback() || !self.bound_to_loopback || self.names.contains(&name);
        }
        self.names.contains(&name) || name.ends_with(".localhost")
    }
}

/// The host of an authority, without its port.
fn host_of(authority: &str) -> &str {
    match authority.rfind(':') {
        Some(colon) if !authority[colon..].contains(']') => &authority[..colon],
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_key_is_taken_from_either_header() {
        let callers = Callers::new(&[Secret::new("sk-one"), Secret::new("sk-two")]);
        for (name, value) in [
            ("authorization", "Bearer sk-one"),
            ("authorization", "bearer sk-two"),
            ("authorization", "sk-two"),
            ("x-api-key", "sk-one"),
        ] {
            assert!(callers.admit(&headers(&[(name, value)])).is_some(), "{name}: {value}");
        }
        for (name, value) in [
            ("authorization", "Bearer sk-on"),
            ("authorization", "Bearer "),
            ("authorization", ""),
            ("x-api-key", "sk-ones"),
        ] {
            assert!(callers.admit(&headers(&[(name, value)])).is_none(), "{name}: {value}");
        }
        assert!(callers.admit(&HeaderMap::new()).is_none());
        assert!(Callers::new(&[]).admit(&headers(&[("authorization", "Bearer ")])).is_none());
        let both = headers(&[("authorization", "Bearer of-another-login"), ("x-api-key", "sk-one")]);
        assert!(callers.admit(&both) == callers.admit(&headers(&[("authorization", "sk-one")])));
        assert!(callers.admit(&both) != callers.admit(&headers(&[("x-api-key", "sk-two")])));
    }

    #[test]
    fn a_name_of_somebody_else_is_turned_away() {
        let doors = Doors {
            names: vec!["127.0.0.1".into(), "localhost".into(), "box.lan".into()],
            any: false,
            bound_to_loopback: true,
        };
        for host in
            ["localhost", "localhost:8319", "127.0.0.1:8319", "[::1]:8319", "BOX.lan", "x.localhost:1"]
        {
            assert!(doors.open_to(&headers(&[("host", host)]), None), "{host}");
        }
        for host in ["evil.example", "evil.example:8319", "localhost.evil.example", "10.0.0.1", ""] {
            assert!(!doors.open_to(&headers(&[("host", host)]), None), "{host}");
        }
        assert!(!doors.open_to(&headers(&[("host", "localhost"), ("origin", "https://evil.example")]), None));
        assert!(!doors.open_to(&headers(&[("host", "localhost"), ("origin", "null")]), None));
        assert!(doors.open_to(&headers(&[("host", "localhost"), ("origin", "http://localhost:3000")]), None));
        assert!(!doors.open_to(&HeaderMap::new(), None));
    }
}
