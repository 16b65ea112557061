//! The headers of a call: content, our own name, the provider's extras and the credential.

use hr_core::catalog::AuthScheme;
use hr_core::pool::{Key, Member};
use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT,
};

/// How the router names itself to providers; it never poses as another product.
pub const OUR_USER_AGENT: &str = concat!("hermes-router/", env!("CARGO_PKG_VERSION"));

/// Why headers could not be made from what the user wrote.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The key holds something that no header may hold.
    #[error("the key holds a character that no HTTP header may hold")]
    Key,
    /// A header of the provider's entry cannot be sent.
    #[error("the header `{0}` cannot be sent")]
    Header(String),
}

/// The headers of every call to this member with this key. Made once a reload, cloned for each call.
///
/// # Errors
/// When the key or a configured header holds what no HTTP header may hold.
pub fn headers(member: &Member, key: &Key) -> Result<HeaderMap, SignError> {
    let mut headers = HeaderMap::with_capacity(8 + member.headers.len());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    // Inflating costs more than loopback and TLS gain, and a compressor holds events back.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(USER_AGENT, HeaderValue::from_static(OUR_USER_AGENT));
    for (name, value) in &member.headers {
        let refused = || SignError::Header(name.clone());
        let header = HeaderName::try_from(name.as_str()).map_err(|_| refused())?;
        headers.insert(header, HeaderValue::from_str(value).map_err(|_| refused())?);
    }
    let Some(secret) = &key.secret else { return Ok(headers) };
    let (name, text) = match &member.provider.auth {
        AuthScheme::Header(name) => {
            let header = HeaderName::try_from(name.as_str()).map_err(|_| SignError::Header(name.clone()))?;
            (header, secret.expose().to_owned())
        }
        AuthScheme::Bearer | AuthScheme::Oauth | AuthScheme::None => {
            (AUTHORIZATION, format!("Bearer {}", secret.expose()))
        }
    };
    let mut value = HeaderValue::from_str(&text).map_err(|_| SignError::Key)?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(headers)
}
