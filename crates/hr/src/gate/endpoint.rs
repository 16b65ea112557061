//! What a caller may ask of the pool, and the dialect in which it asks.

use hr_core::catalog::Dialect;
use hr_core::route::Work;
use hr_wire::dialect::{ClientHalf, client_half};
use hr_wire::openai_chat::Completions;

use super::crossed::Crossed;

/// An endpoint whose requests the pool serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `POST /v1/chat/completions`
    Chat,
    /// The same, asked in the dialect of Responses.
    Crossed,
    /// `POST /v1/completions`
    Completions,
    /// `POST /v1/messages`
    Messages,
    /// `POST /v1/responses`
    Responses,
    /// `POST /v1/embeddings`
    Embeddings,
}

impl Endpoint {
    /// What its callers speak.
    #[must_use]
    pub fn client(self) -> &'static dyn ClientHalf {
        match self {
            Self::Chat | Self::Embeddings => client_half(Dialect::OpenaiChat),
            Self::Crossed => &Crossed,
            Self::Completions => &Completions,
            Self::Messages => client_half(Dialect::Anthropic),
            Self::Responses => client_half(Dialect::OpenaiResponses),
        }
    }

    /// What kind of answer it gives.
    #[must_use]
    pub fn work(self) -> Work {
        match self {
            Self::Embeddings => Work::Embed,
            _ => Work::Chat,
        }
    }

    /// Whether its answers look back at the request: fields of it come again, or say how much is shown.
    #[must_use]
    pub fn recalls_request(self) -> bool {
        matches!(self, Self::Messages | Self::Responses)
    }

    /// Its name in the log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Chat | Self::Crossed => "chat",
            Self::Completions => "completions",
            Self::Messages => "messages",
            Self::Responses => "responses",
            Self::Embeddings => "embeddings",
        }
    }
}
