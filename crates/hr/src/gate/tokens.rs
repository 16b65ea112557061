//! A tokenizer's count, for who asks how many tokens a conversation is. Never on the way of a request for an answer.

use std::sync::LazyLock;

use hr_wire::anthropic::count::Countable;
use tiktoken_rs::CoreBPE;

/// The count is raised by one part in this many. Models count in ways of their own, and a count that is a little
/// high does less harm than one that is low: clients shorten a conversation in time.
const SAFETY: u64 = 20;
/// Tokens that stand around each text: who speaks, where it begins and ends.
const AROUND_A_TEXT: u64 = 3;
/// Bytes of one text that are counted; the rest is estimated. Some texts are nothing but one long word, on which
/// a tokenizer spends far more than on words.
const MOST_COUNTED: usize = 1024 * 1024;
/// Bytes of all texts that are counted: more than the largest windows hold.
const MOST_COUNTED_IN_ALL: usize = 8 * 1024 * 1024;
/// Bytes of a token, on an average that is on the safe side.
const BYTES_OF_A_TOKEN: usize = 3;

/// Its tables take a moment to build, so they are built when somebody counts.
static TOKENIZER: LazyLock<Option<CoreBPE>> = LazyLock::new(|| tiktoken_rs::cl100k_base().ok());

/// How many tokens that is, rather more than less.
#[must_use]
pub fn count(countable: &Countable) -> u64 {
    let mut left = MOST_COUNTED_IN_ALL;
    let texts: u64 = countable.texts.iter().map(|text| of_text(text, &mut left) + AROUND_A_TEXT).sum();
    let all = texts + countable.beside;
    all + all.div_ceil(SAFETY)
}

/// The tokens of a text, of which at most what is `left` is counted.
fn of_text(text: &str, left: &mut usize) -> u64 {
    let mut end = text.len().min(MOST_COUNTED).min(*left);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    *left -= end;
    let (counted, estimated) = text.split_at(end);
    let tokens = match &*TOKENIZER {
        Some(tokenizer) => tokenizer.encode_ordinary(counted).len(),
        None => counted.len().div_ceil(BYTES_OF_A_TOKEN),
    };
    (tokens + estimated.len().div_ceil(BYTES_OF_A_TOKEN)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_a_little_high() {
        let texts = vec!["The quick brown fox jumps over the lazy dog.".to_owned()];
        let counted = count(&Countable { texts, beside: 100 });
        // Ten tokens, what stands around them, a hundred beside them, and a twentieth of it all.
        assert_eq!(counted, (10 + 3 + 100) + 6);
        assert_eq!(count(&Countable::default()), 0);
    }

    #[test]
    fn what_is_beyond_the_bounds_is_estimated() {
        let text = "a word and another".repeat(4);
        let counted = of_text(&text, &mut text.len());
        let mut left = 10;
        let estimated = of_text(&text, &mut left);
        assert_eq!(left, 0);
        assert_eq!(of_text(&text, &mut left), text.len().div_ceil(BYTES_OF_A_TOKEN) as u64);
        assert!(estimated > counted, "{estimated} and {counted}");
        // A bound within a character is one before it.
        assert_eq!(of_text("é", &mut 1), 1);
    }
}
