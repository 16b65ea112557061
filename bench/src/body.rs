//! Request bodies in the shape of real chats: many messages of mixed length, with line breaks, quotes, code and
//! letters outside ASCII, all of which cost a JSON reader something.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What the fake upstream shall do, carried in the `metadata` of the request so that it passes through
/// whoever is in between.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    /// Chunks that carry text.
    #[serde(default)]
    pub chunks: String,
    /// Milliseconds from one chunk to the next.
    #[serde(default)]
    pub interval: String,
}

impl Script {
    /// A stream of `chunks`, one every `interval`.
    pub fn new(chunks: usize, interval: Duration) -> Script {
        Script { chunks: chunks.to_string(), interval: interval.as_millis().to_string() }
    }
}

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

/// A chat request of about `bytes` bytes; streamed as `script` says, or plain when there is none.
pub fn chat(bytes: usize, script: Option<&Script>) -> String {
    let mut messages = vec![serde_json::json!({ "role": "system", "content": SYSTEM })];
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
        messages.push(serde_json::json!({ "role": role, "content": content }));
        turn += 1;
    }
    messages.push(serde_json::json!({ "role": "user", "content": QUESTION }));
    let mut request = serde_json::json!({ "model": "hermes-router", "messages": messages, "temperature": 0.2, "max_tokens": 256 });
    if let Some(script) = script {
        request["stream"] = true.into();
        request["metadata"] = serde_json::json!(script);
    }
    request.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{LARGE, MEDIUM, SMALL};

    #[test]
    fn bodies_have_about_the_size_asked_for() {
        for size in [MEDIUM, LARGE] {
            let length = chat(size, None).len();
            assert!(length.abs_diff(size) < size / 20, "{length} for {size}");
        }
        assert!(chat(SMALL, None).len() < 2 * SMALL);
    }

    #[test]
    fn a_script_comes_back_out_of_the_body() {
        #[derive(Deserialize)]
        struct Request {
            stream: bool,
            metadata: Script,
        }
        let script = Script::new(100, Duration::from_millis(20));
        let request: Request = serde_json::from_str(&chat(SMALL, Some(&script))).unwrap();
        assert!(request.stream);
        assert_eq!(request.metadata, script);
    }
}
