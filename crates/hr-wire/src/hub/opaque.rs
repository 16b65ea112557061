//! Things that only their issuer can read: signatures, encrypted reasoning, thought signatures.
//!
//! They are carried byte for byte to whoever made them and to nobody else: another account would refuse them,
//! and another provider has no business with them. Who made one is known by its [`Fingerprint`], which the
//! gateway remembers when it passes.

use std::hash::Hasher;

use hr_core::catalog::Dialect;

/// What an opaque thing is, in the words of its dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OpaqueKind {
    /// The signature over a block of reasoning (Anthropic `thinking.signature`).
    Signature,
    /// A block of reasoning that cannot be read at all (Anthropic `redacted_thinking.data`).
    Redacted,
    /// Reasoning in encrypted form (Responses `reasoning.encrypted_content`).
    Encrypted,
    /// What a provider wants back beside a call of a tool, as JSON text (Gemini's `extra_content`).
    Beside,
}

/// An opaque thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opaque {
    /// The dialect it was spoken in.
    pub origin: Dialect,
    /// What it is.
    pub kind: OpaqueKind,
    /// The id of the item that it belongs to, where its dialect has one (`rs_…`).
    pub id: Option<String>,
    /// The bytes.
    pub data: String,
}

impl Opaque {
    /// What it is known by.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.data)
    }
}

/// What an opaque thing is known by: a hash of its bytes, the same in every process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub u64);

impl Fingerprint {
    /// The fingerprint of these bytes.
    #[must_use]
    pub fn of(data: &str) -> Self {
        let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
        hasher.write(data.as_bytes());
        Self(hasher.finish())
    }
}

/// FNV-1a. The standard hasher promises nothing over versions, and a fingerprint may be stored one day.
struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}
