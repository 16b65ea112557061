//! Ids of calls that every provider takes.

use std::borrow::Cow;

use super::Fingerprint;

/// The longest id of a call that all providers take.
pub const LONGEST_ID: usize = 64;

/// The id itself where it holds only letters, digits, `_` and `-` and is no longer than this many bytes; else
/// one made of it that does. The same id always becomes the same, at the call and at its result; ids that
/// differ stay apart by the hash that is put behind, and what was made legal once is left alone.
#[must_use]
pub fn legal_id(id: &str, longest: usize) -> Cow<'_, str> {
    let is_legal = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    if !id.is_empty() && id.len() <= longest && id.chars().all(is_legal) {
        return Cow::Borrowed(id);
    }
    let hash = format!("{:016x}", Fingerprint::of(id).0);
    let mut legal: String = id.chars().map(|letter| if is_legal(letter) { letter } else { '_' }).collect();
    legal.truncate(longest.saturating_sub(hash.len() + 1));
    if legal.is_empty() {
        return Cow::Owned(hash.chars().take(longest).collect());
    }
    Cow::Owned(format!("{legal}_{hash}"))
}
