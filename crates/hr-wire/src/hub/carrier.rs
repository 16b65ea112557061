//! Opaque things of one dialect inside a field that another dialect's clients send back unread: an Anthropic
//! `signature`, the `encrypted_content` of the Responses API.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hr_core::catalog::Dialect;
use serde::{Deserialize, Serialize};

use super::opaque::{Opaque, OpaqueKind};

/// What a carrier begins with. A signature or an encrypted text of a provider never does: both are base64
/// without a full stop.
const PREFIX: &str = "hr1.";

/// What a field holds that clients send back unread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carried {
    /// A provider's own bytes, as they came.
    Native(String),
    /// Ours: an opaque thing of some dialect, or nothing but the sign that the reasoning beside it was shown.
    Ours(Option<Opaque>),
}

#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    o: &'a str,
    k: &'a str,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    i: Option<String>,
    d: String,
}

const ORIGINS: [(&str, Dialect); 3] =
    [("c", Dialect::OpenaiChat), ("r", Dialect::OpenaiResponses), ("a", Dialect::Anthropic)];

const KINDS: [(&str, OpaqueKind); 4] = [
    ("s", OpaqueKind::Signature),
    ("r", OpaqueKind::Redacted),
    ("e", OpaqueKind::Encrypted),
    ("b", OpaqueKind::Beside),
];

/// Text for such a field. It is never empty: clients drop reasoning without a signature.
#[must_use]
pub fn carry(opaque: Option<&Opaque>) -> String {
    let Some(opaque) = opaque else { return PREFIX.to_owned() };
    let word = |found: Option<&'static str>| found.unwrap_or_default();
    let wire = Wire {
        o: word(ORIGINS.iter().find(|(_, origin)| *origin == opaque.origin).map(|(word, _)| *word)),
        k: word(KINDS.iter().find(|(_, kind)| *kind == opaque.kind).map(|(word, _)| *word)),
        i: opaque.id.clone(),
        d: opaque.data.clone(),
    };
    // Strings only: it cannot fail to be written.
    let json = serde_json::to_vec(&wire).unwrap_or_default();
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(json))
}

/// What such a field holds.
#[must_use]
pub fn unpack(field: &str) -> Carried {
    let Some(ours) = field.strip_prefix(PREFIX) else { return Carried::Native(field.to_owned()) };
    Carried::Ours(read(ours))
}

fn read(ours: &str) -> Option<Opaque> {
    let json = URL_SAFE_NO_PAD.decode(ours).ok()?;
    let wire: Wire<'_> = serde_json::from_slice(&json).ok()?;
    Some(Opaque {
        origin: ORIGINS.iter().find(|(word, _)| *word == wire.o)?.1,
        kind: KINDS.iter().find(|(word, _)| *word == wire.k)?.1,
        id: wire.i,
        data: wire.d,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_carried_comes_back() {
        let opaque = Opaque {
            origin: Dialect::OpenaiResponses,
            kind: OpaqueKind::Encrypted,
            id: Some("rs_1".into()),
            data: "gAAA==".into(),
        };
        assert_eq!(unpack(&carry(Some(&opaque))), Carried::Ours(Some(opaque)));
        assert_eq!(unpack(&carry(None)), Carried::Ours(None));
        assert_eq!(unpack("EqQB"), Carried::Native("EqQB".into()));
        assert_eq!(unpack("hr1.%"), Carried::Ours(None));
    }
}
