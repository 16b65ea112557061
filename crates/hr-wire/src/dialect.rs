//! The one table of dialects: what is spoken on the wire, and how the shell comes to it.

use bytes::Bytes;
use hr_core::catalog::Dialect;

use crate::openai_chat;

/// The few things that the shell asks of a dialect it does not know by name.
#[derive(Clone, Copy, Debug)]
pub struct Speech {
    /// The dialect.
    pub dialect: Dialect,
    /// The path of its endpoint for conversations, below the base address.
    pub chat_path: &'static str,
    /// The path of its endpoint for embeddings, when it has one.
    pub embeddings_path: Option<&'static str>,
    /// The body of an error: type, code, message, parameter.
    pub refuse: fn(&str, Option<&str>, &str, Option<&str>) -> Vec<u8>,
    /// The last event of a stream that broke: code, message.
    pub error_event: fn(&str, &str) -> Bytes,
    /// Whether a quirk function of this name exists.
    pub quirk_exists: fn(&str) -> bool,
}

/// All dialects that are built. One that the catalogue knows and this table does not is not available yet.
const SPOKEN: &[Speech] = &[Speech {
    dialect: Dialect::OpenaiChat,
    chat_path: "/chat/completions",
    embeddings_path: Some("/embeddings"),
    refuse: openai_chat::refuse,
    error_event: openai_chat::encode_error_event,
    quirk_exists: openai_chat::quirk_exists,
}];

/// How a dialect is spoken; `None` when it is not built.
#[must_use]
pub fn speech(dialect: Dialect) -> Option<&'static Speech> {
    SPOKEN.iter().find(|speech| speech.dialect == dialect)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_built_is_not_spoken() {
        assert!(speech(Dialect::OpenaiChat).is_some());
        assert!(speech(Dialect::Anthropic).is_none());
    }
}
