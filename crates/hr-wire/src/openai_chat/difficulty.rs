//! How hard a request looks, from its text alone: 1 is hardest, 5 easiest.
//!
//! Judged on the last turn of the user: a long system prompt or history says how much there is to read, not
//! how hard the question is. The whole size only sets a floor. No model is asked.

use crate::json;

/// The words of a turn are looked at up to this many bytes; a turn that is longer is hard by its size.
pub const KEYWORD_LIMIT: usize = 4096;

const CODE: &[&str] = &["class", "def", "function", "import"];

const COMPLEX: &[&str] = &[
    "algorithm",
    "analyze",
    "analyse",
    "architect",
    "architecture",
    "build",
    "compare",
    "convert",
    "create a plan",
    "debug",
    "design",
    "develop",
    "explain how",
    "generate",
    "help me understand",
    "implement",
    "migrate",
    "optimize",
    "optimise",
    "prove",
    "refactor",
    "research",
    "step by step",
    "summarize",
    "summarise",
    "test cases",
    "walk me through",
    "write tests",
];

const SIMPLE: &[&str] = &[
    "define",
    "give me a number",
    "hello",
    "hi",
    "how many",
    "how old",
    "in one word",
    "one sentence",
    "spell",
    "thanks",
    "translate",
    "true or false",
    "what does",
    "what is",
    "what time",
    "what year",
    "who is",
    "yes or no",
];

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
    let words = spaced_words(head);
    let has = |phrases: &[&str]| phrases.iter().any(|phrase| contains_phrase(&words, phrase));
    let code = head.contains("```") || has(CODE);
    let complex = has(COMPLEX);
    match tokens {
        _ if code && complex => 1,
        801.. => 2,
        _ if complex => 2,
        301.. => 3,
        _ if code => 3,
        101.. => 4,
        _ if has(SIMPLE) => 5,
        _ => 4,
    }
}

/// The words in lower case, each with a space before and after it, so that a phrase can be found whole.
fn spaced_words(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(' ');
    for character in text.chars() {
        if character.is_alphanumeric() || character == '_' {
            out.push(character.to_ascii_lowercase());
        } else if !out.ends_with(' ') {
            out.push(' ');
        }
    }
    if !out.ends_with(' ') {
        out.push(' ');
    }
    out
}

fn contains_phrase(words: &str, phrase: &str) -> bool {
    memchr::memmem::find_iter(words.as_bytes(), phrase).any(|at| {
        let bytes = words.as_bytes();
        at > 0 && bytes[at - 1] == b' ' && bytes.get(at + phrase.len()) == Some(&b' ')
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
