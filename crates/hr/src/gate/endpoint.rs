//! What a caller may ask of the pool, and the dialect in which it asks.

use hr_core::catalog::Dialect;
use hr_core::route::Work;
use hr_wire::dialect::{ClientHalf, client_half};

/// An endpoint whose requests the pool serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `POST /v1/chat/completions`
    Chat,
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
        client_half(match self {
            Self::Chat | Self::Embeddings => Dialect::OpenaiChat,
            Self::Messages => Dialect::Anthropic,
            Self::Responses => Dialect::OpenaiResponses,
        })
    }

    /// What kind of answer it gives.
    #[must_use]
    pub fn work(self) -> Work {
        match self {
            Self::Chat | Self::Messages | Self::Responses => Work::Chat,
            Self::Embeddings => Work::Embed,
        }
    }

    /// Its name in the log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Messages => "messages",
            Self::Responses => "responses",
            Self::Embeddings => "embeddings",
        }
    }
}
