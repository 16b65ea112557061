//! OpenAI Chat Completions: the dialect that most of the world speaks.
//!
//! Native lane, where both ends speak it: [`read_chat`] checks a request and finds its facts, [`prepare`]
//! makes the few changes a provider needs, [`read_error`], [`read_whole`] and [`stream::Watch`] tell what
//! became of it while the bytes pass untouched.
//!
//! Translated lane: [`request`], [`reply`] and [`stream`] go to the hub and back, over the wire shapes in
//! [`types`]. [`Completions`] is the older endpoint of the same dialect, by translation only. [`error`] holds the words for the caller.

mod bridge;
mod check;
mod chunk;
mod completions;
mod decoder;
mod encoder;
pub mod error;
mod facts;
mod glance;
mod halves;
mod mend;
mod messages;
mod prepare;
mod quirk;
pub mod reply;
pub mod request;
pub mod stream;
mod tools;
pub mod types;
mod watch;
mod whole;
mod write;

pub use bridge::to_whole;
pub use completions::Completions;
pub use facts::{EmbedFacts, TOKENS_OF_AN_IMAGE, read_chat, read_embeddings};
pub use halves::OpenaiChat;
pub use prepare::{prepare, prepare_embeddings};
pub use quirk::{quirk_exists, quirk_names};
pub use whole::{read_embedding, read_whole};
