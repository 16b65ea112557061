//! How hard a request looks, from its text alone: 1 is hardest, 5 easiest.
//!
//! Judged on the last turn of the user: a long system prompt or history says how much there is to read, not
//! how hard the question is. The whole size only sets a floor. No model is asked.

use crate::json::{self, Text};

/// The words of a turn are looked at up to this many bytes; a turn that is longer is hard by its size.
pub const KEYWORD_LIMIT: usize = 4096;

/// The beginning of a turn that comes in these pieces: as much as is looked at.
pub(crate) fn head_of(pieces: &[Text<'_>]) -> String {
    let mut words = String::new();
    for piece in pieces {
        if words.len() >= KEYWORD_LIMIT {
            break;
        }
        // Escapes only shrink when they are read, so the limit may be applied to the text as written.
        let head = json::head(piece.raw, KEYWORD_LIMIT);
        let raw = if head.len() == piece.raw.len() { head } else { whole_escapes(head) };
        words.push_str(&Text { raw, ..*piece }.decode());
        words.push(' ');
    }
    words
}

/// The text without an escape that was cut in two at its end.
fn whole_escapes(raw: &str) -> &str {
    match raw.char_indices().rev().take(6).find(|(_, character)| *character == '\\') {
        Some((at, _)) => &raw[..at],
        None => raw,
    }
}

/// What a phrase says about the turn that it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signal {
    Code,
    Complex,
    Simple,
}

/// The phrases that begin with a letter, with what they say: whole words in lower case.
fn phrases(letter: u8) -> &'static [(&'static str, Signal)] {
    use Signal::{Code, Complex, Simple};
    match letter {
        b'a' => &[
            ("algorithm", Complex),
            ("analyse", Complex),
            ("analyze", Complex),
            ("architect", Complex),
            ("architecture", Complex),
        ],
        b'b' => &[("build", Complex)],
        b'c' => &[("class", Code), ("compare", Complex), ("convert", Complex), ("create a plan", Complex)],
        b'd' => &[
            ("debug", Complex),
            ("def", Code),
            ("define", Simple),
            ("design", Complex),
            ("develop", Complex),
        ],
        b'e' => &[("explain how", Complex)],
        b'f' => &[("function", Code)],
        b'g' => &[("generate", Complex), ("give me a number", Simple)],
        b'h' => &[
            ("hello", Simple),
            ("help me understand", Complex),
            ("hi", Simple),
            ("how many", Simple),
            ("how old", Simple),
        ],
        b'i' => &[("implement", Complex), ("import", Code), ("in one word", Simple)],
        b'm' => &[("migrate", Complex)],
        b'o' => &[("one sentence", Simple), ("optimise", Complex), ("optimize", Complex)],
        b'p' => &[("prove", Complex)],
        b'r' => &[("refactor", Complex), ("research", Complex)],
        b's' => {
            &[("spell", Simple), ("step by step", Complex), ("summarise", Complex), ("summarize", Complex)]
        }
        b't' => {
            &[("test cases", Complex), ("thanks", Simple), ("translate", Simple), ("true or false", Simple)]
        }
        b'w' => &[
            ("walk me through", Complex),
            ("what does", Simple),
            ("what is", Simple),
            ("what time", Simple),
            ("what year", Simple),
            ("who is", Simple),
            ("write tests", Complex),
        ],
        b'y' => &[("yes or no", Simple)],
        _ => &[],
    }
}

/// The difficulty of a request whose last user turn is `turn`, of about `turn_tokens`, in a prompt of
/// `prompt_tokens`.
#[must_use]
pub fn difficulty(turn: &str, turn_tokens: u64, prompt_tokens: u64) -> u8 {
    let by_size = match prompt_tokens {
        16_001.. => 2,
        4_001.. => 3,
        _ => 5,
    };
    by_size.min(of_turn(turn, turn_tokens))
}

fn of_turn(turn: &str, tokens: u64) -> u8 {
    if tokens > 2000 {
        return 1;
    }
    let head = json::head(turn, KEYWORD_LIMIT);
    let mut code = head.contains("```");
    let (mut complex, mut simple) = (false, false);
    for signal in signals(&spaced_words(head)) {
        match signal {
            Signal::Code => code = true,
            Signal::Complex => complex = true,
            Signal::Simple => simple = true,
        }
    }
    match tokens {
        _ if code && complex => 1,
        801.. => 2,
        _ if complex => 2,
        301.. => 3,
        _ if code => 3,
        101.. => 4,
        _ if simple => 5,
        _ => 4,
    }
}

/// The words in lower case with one space between them and one at the end, so that a phrase is found whole.
fn spaced_words(text: &str) -> Vec<u8> {
    let mut out = vec![b' '; text.len() + 1];
    let (mut length, mut last) = (0, b' ');
    for byte in text.bytes() {
        let folded = FOLDED[usize::from(byte)];
        out[length] = folded;
        // A space behind a space, or in front of all, is written over.
        length += usize::from(folded != b' ' || last != b' ');
        last = folded;
    }
    out[length] = b' ';
    out.truncate(length + 1);
    out
}

/// Each byte as it stands in words: letters in lower case, and a space for what belongs to none. Bytes beyond ASCII
/// belong to words; the phrases have none.
const FOLDED: [u8; 256] = {
    let mut folded = [b' '; 256];
    let mut byte: u8 = 0;
    loop {
        if byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii() {
            folded[byte as usize] = byte.to_ascii_lowercase();
        }
        if byte == u8::MAX {
            break folded;
        }
        byte += 1;
    }
};

/// What the phrases in these words say.
fn signals(words: &[u8]) -> impl Iterator<Item = Signal> {
    let starts = std::iter::once(0).chain(memchr::memchr_iter(b' ', words).map(|space| space + 1));
    starts.flat_map(|start| {
        let rest = &words[start..];
        let known = rest.first().map_or(&[][..], |letter| phrases(*letter));
        let found = known.iter().filter(|(phrase, _)| {
            rest.starts_with(phrase.as_bytes()) && rest.get(phrase.len()) == Some(&b' ')
        });
        found.map(|(_, signal)| *signal)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(turn: &str) -> u8 {
        let tokens = turn.chars().count() as u64 / 4;
        difficulty(turn, tokens, tokens)
    }

    #[test]
    fn turns_are_rated_by_words_and_size() {
        assert_eq!(of("What is the capital of France?"), 5);
        assert_eq!(of("Tell me about Paris."), 4);
        assert_eq!(of("Fix this: def area(r): return r"), 3);
        assert_eq!(of("Design a cache."), 2);
        assert_eq!(of("Refactor this function please"), 1);
        assert_eq!(of(&"word ".repeat(2000)), 1);
        assert_eq!(of(&"word ".repeat(700)), 2);
    }

    #[test]
    fn words_count_only_whole() {
        assert_eq!(of("I was in a rebuilding, undefined mood"), 4);
        assert_eq!(of("classic imports"), 4);
        assert_eq!(of("DEBUG!"), 2);
    }

    #[test]
    fn a_long_prompt_sets_a_floor() {
        assert_eq!(difficulty("what is this", 3, 5_000), 3);
        assert_eq!(difficulty("what is this", 3, 50_000), 2);
    }

    #[test]
    fn the_limit_may_fall_inside_a_character() {
        assert_eq!(difficulty(&"é".repeat(KEYWORD_LIMIT), 50, 50), 4);
    }
}
