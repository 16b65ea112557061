//! What must hold for any bytes, as functions that panic when it does not. The targets in `fuzz_targets/` each
//! hand one of them what the fuzzer makes up.
//!
//! Input has no structure but this: where a check cuts a stream, the last bytes of the input say how. So the
//! fixtures are good seeds as they are, and a finding is replayed by giving its file to the target.

pub mod envelope;
pub mod events;
pub mod limits;
pub mod listing;
pub mod request;
pub mod stream;

use serde::de::IgnoredAny;
use serde_json::Value;

/// What this JSON text says, when that can be said: the grammar, which is all that bytes are passed on by,
/// also has numbers that no double holds and halves of characters.
fn parsed(text: &[u8]) -> Option<Value> {
    if let Err(error) = serde_json::from_slice::<IgnoredAny>(text) {
        panic!("not JSON: {error}");
    }
    serde_json::from_slice(text).ok()
}

/// How many bytes of the input say how the rest is cut.
const CUTS: usize = 4;

/// A stream, and the lengths of the chunks that it comes in.
fn with_cuts(input: &[u8]) -> (&[u8], &[u8]) {
    input.split_at(input.len().saturating_sub(CUTS))
}

/// Cuts bytes into chunks whose lengths these bytes say, again and again; nothing said is one chunk.
fn chunks<'a>(bytes: &'a [u8], lengths: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = bytes;
    let mut at = 0;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let length = match lengths.get(at % lengths.len().max(1)) {
            Some(length) => usize::from(*length).max(1),
            None => rest.len(),
        };
        at += 1;
        let (chunk, after) = rest.split_at(length.min(rest.len()));
        rest = after;
        Some(chunk)
    })
}
