//! The three dialects as the benchmark speaks them: where they are asked, how a stream of each carries its text,
//! and how it ends.

use clap::ValueEnum;

/// Text that every chunk of a stream carries: short, as models send it, and all of it that a chunk says.
pub const PIECE: &str = " admits";

/// A dialect; its name is the one that `hr` knows it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Dialect {
    /// OpenAI's chat completions.
    OpenaiChat,
    /// OpenAI's Responses.
    OpenaiResponses,
    /// Anthropic's Messages.
    Anthropic,
}

impl Dialect {
    /// All of them, in the order of the report.
    pub const ALL: [Dialect; 3] = [Dialect::OpenaiChat, Dialect::Anthropic, Dialect::OpenaiResponses];

    /// Its place in [`Dialect::ALL`].
    pub fn index(self) -> usize {
        match self {
            Dialect::OpenaiChat => 0,
            Dialect::Anthropic => 1,
            Dialect::OpenaiResponses => 2,
        }
    }

    /// As settings and provider files have it.
    pub fn id(self) -> &'static str {
        match self {
            Dialect::OpenaiChat => "openai_chat",
            Dialect::OpenaiResponses => "openai_responses",
            Dialect::Anthropic => "anthropic",
        }
    }

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Dialect::OpenaiChat => "Chat",
            Dialect::OpenaiResponses => "Responses",
            Dialect::Anthropic => "Messages",
        }
    }

    /// Where it is asked.
    pub fn path(self) -> &'static str {
        match self {
            Dialect::OpenaiChat => "/v1/chat/completions",
            Dialect::OpenaiResponses => "/v1/responses",
            Dialect::Anthropic => "/v1/messages",
        }
    }

    /// Who is asked at `path`.
    pub fn at(path: &str) -> Option<Dialect> {
        Dialect::ALL.into_iter().find(|dialect| dialect.path() == path)
    }

    /// What stands before the piece of text in a chunk. Elsewhere a stream may have text too, such as the whole
    /// of it at the end.
    pub fn before_piece(self) -> &'static str {
        match self {
            Dialect::OpenaiChat => r#""content":"#,
            Dialect::OpenaiResponses => r#""delta":"#,
            Dialect::Anthropic => r#""text":"#,
        }
    }

    /// What the last event of a whole stream has.
    pub fn end(self) -> &'static str {
        match self {
            Dialect::OpenaiChat => "data: [DONE]",
            Dialect::OpenaiResponses => r#""type":"response.completed""#,
            Dialect::Anthropic => r#""type":"message_stop""#,
        }
    }
}
