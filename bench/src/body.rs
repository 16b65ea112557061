//! Request bodies in the shape of real chats: many messages of mixed length, with line breaks, quotes, code and
//! letters outside ASCII, all of which cost a JSON reader something.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::dialect::Dialect;

/// What the fake upstream shall do, written into the question: text is what passes through whoever is in between,
/// in whatever dialect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// Chunks that carry text.
    pub chunks: usize,
    /// The time from one chunk to the next.
    pub interval: Duration,
}

/// What a script begins with.
const SCRIPT: &str = "In pieces: ";

impl Script {
    /// The script that is written somewhere in the body of a request.
    pub fn find(body: &[u8]) -> Option<Script> {
        let body = std::str::from_utf8(body).ok()?;
        let (_, rest) = body.split_once(SCRIPT)?;
        let (chunks, rest) = rest.split_once(" each ")?;
        let (interval, _) = rest.split_once(" ms.")?;
        Some(Script { chunks: chunks.parse().ok()?, interval: Duration::from_millis(interval.parse().ok()?) })
    }
}

impl fmt::Display for Script {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{SCRIPT}{} each {} ms.", self.chunks, self.interval.as_millis())
    }
}

/// The name that is asked for: whoever is there.
const MODEL: &str = "hermes-router";
const SYSTEM: &str =
    "You are a careful assistant. Answer in the language of the question, and say so when you do not know.";
const QUESTION: &str = "What is the difference between a mutex and a semaphore, in two sentences?";

/// Paragraphs that long conversations are made of, in turn.
const PARAGRAPHS: [&str; 4] = [
    "The deployment failed again last night, and the log says only \"connection reset by peer\" without a hint which of the two services closed first. Could you look at the timings below and tell me where to start?\n\n",
    "```rust\nfn longest<'a>(left: &'a str, right: &'a str) -> &'a str {\n    if left.len() >= right.len() { left } else { right }\n}\n```\n\n",
    "1. Größere Änderungen gehören in einen eigenen Zweig.\n2. Что не проверено, то не работает.\n3. 測試先於發布。\n\n",
    "{\"path\": \"src\\\\main.rs\", \"line\": 214, \"note\": \"the value moved into the closure is used here again\"}\n",
];

/// A request in `dialect` of about `bytes` bytes; streamed as `script` says, or plain when there is none.
pub fn request(dialect: Dialect, bytes: usize, script: Option<&Script>) -> String {
    let mut messages = Vec::new();
    let mut size = SYSTEM.len() + QUESTION.len();
    let mut turn = 0;
    while size < bytes.saturating_sub(QUESTION.len()) {
        let role = if turn % 2 == 0 { "user" } else { "assistant" };
        let content: String =
            (0..=turn % 7).map(|part| PARAGRAPHS[(turn + part) % PARAGRAPHS.len()]).collect();
        // As JSON, so that escapes count.
        size += content.len()
            + content.matches(['\n', '"', '\\']).count()
            + r#"{"role":"assistant","content":""},"#.len();
        messages.push(json!({ "role": role, "content": content }));
        turn += 1;
    }
    let question = match script {
        Some(script) => format!("{QUESTION} {script}"),
        None => QUESTION.to_owned(),
    };
    messages.push(json!({ "role": "user", "content": question }));
    let mut request = in_dialect(dialect, messages);
    if script.is_some() {
        request["stream"] = true.into();
    }
    request.to_string()
}

fn in_dialect(dialect: Dialect, mut messages: Vec<Value>) -> Value {
    match dialect {
        Dialect::OpenaiChat => {
            messages.insert(0, json!({ "role": "system", "content": SYSTEM }));
            json!({ "model": MODEL, "messages": messages, "temperature": 0.2, "max_tokens": 256 })
        }
        Dialect::OpenaiResponses => json!({
            "model": MODEL, "instructions": SYSTEM, "input": messages, "temperature": 0.2, "max_output_tokens": 256,
        }),
        Dialect::Anthropic => json!({
            "model": MODEL, "system": SYSTEM, "messages": messages, "temperature": 0.2, "max_tokens": 256,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{LARGE, MEDIUM, SMALL};

    #[test]
    fn bodies_have_about_the_size_asked_for() {
        for dialect in Dialect::ALL {
            for size in [MEDIUM, LARGE] {
                let length = request(dialect, size, None).len();
                assert!(length.abs_diff(size) < size / 20, "{length} for {size}");
            }
            assert!(request(dialect, SMALL, None).len() < 2 * SMALL);
        }
    }

    #[test]
    fn a_script_comes_back_out_of_the_body() {
        let script = Script { chunks: 100, interval: Duration::from_millis(20) };
        for dialect in Dialect::ALL {
            let body = request(dialect, SMALL, Some(&script));
            assert!(body.contains(r#""stream":true"#));
            assert_eq!(Script::find(body.as_bytes()), Some(script.clone()));
            assert_eq!(Script::find(request(dialect, SMALL, None).as_bytes()), None);
        }
    }
}
