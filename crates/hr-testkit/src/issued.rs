//! What a fake has issued and wants back unchanged: signatures, encrypted thoughts, and items that belong together.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;

/// The most things that are remembered; then all are forgotten, as no test lives so long.
const MAX_ISSUED: usize = 100_000;

/// How many pseudo-random bytes a seal has.
const SEAL_BYTES: usize = 96;

/// What a fake thinks of a seal that comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It was issued to this owner, for this text.
    Good,
    /// It was issued to somebody else.
    Foreign,
    /// It was issued for another text.
    Changed,
    /// It was never issued here.
    Unknown,
}

/// The memory of what was issued.
#[derive(Default)]
pub(crate) struct Issued {
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    /// Owner and text by seal.
    seals: HashMap<String, (String, String)>,
    /// The reasoning item that stood before an item, by the latter's id.
    leaders: HashMap<String, String>,
}

impl Issued {
    /// A new seal for this text; the same for the same arguments.
    pub(crate) fn seal(&self, owner: &str, sequence: usize, text: &str) -> String {
        let seal = STANDARD.encode(noise(&format!("{owner}\n{sequence}\n{text}")));
        self.remember(&seal, owner, text);
        seal
    }

    /// Remembers a seal that the script made up.
    pub(crate) fn remember(&self, seal: &str, owner: &str, text: &str) {
        let seals = &mut self.entries.lock().seals;
        if seals.len() >= MAX_ISSUED {
            seals.clear();
        }
        seals.insert(seal.to_owned(), (owner.to_owned(), text.to_owned()));
    }

    /// What to think of a seal; a text is only compared when one is given.
    pub(crate) fn judge(&self, seal: &str, owner: &str, text: Option<&str>) -> Verdict {
        match self.entries.lock().seals.get(seal) {
            None => Verdict::Unknown,
            Some((issued_to, _)) if issued_to != owner => Verdict::Foreign,
            Some((_, sealed)) if text.is_some_and(|text| text != sealed) => Verdict::Changed,
            Some(_) => Verdict::Good,
        }
    }

    /// Remembers that this item was led by that reasoning item.
    pub(crate) fn lead(&self, item: &str, reasoning: &str) {
        let leaders = &mut self.entries.lock().leaders;
        if leaders.len() >= MAX_ISSUED {
            leaders.clear();
        }
        leaders.insert(item.to_owned(), reasoning.to_owned());
    }

    /// The reasoning item that has to stand before this item.
    pub(crate) fn leader(&self, item: &str) -> Option<String> {
        self.entries.lock().leaders.get(item).cloned()
    }
}

/// Bytes that look random and depend on the text alone (FNV-1a, then a xorshift).
fn noise(text: &str) -> Vec<u8> {
    let mut state = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(SEAL_BYTES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_is_good_for_its_owner_and_text_only() {
        let issued = Issued::default();
        let seal = issued.seal("a", 1, "hm");
        assert_eq!(seal, issued.seal("a", 1, "hm"));
        assert_ne!(seal, issued.seal("b", 1, "hm"));
        assert_eq!(issued.judge(&seal, "a", Some("hm")), Verdict::Good);
        assert_eq!(issued.judge(&seal, "a", None), Verdict::Good);
        assert_eq!(issued.judge(&seal, "a", Some("oh")), Verdict::Changed);
        assert_eq!(issued.judge(&seal, "b", None), Verdict::Foreign);
        assert_eq!(issued.judge("else", "a", None), Verdict::Unknown);
    }
}
