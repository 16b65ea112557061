//! The wire of hermes-router: bytes in, meaning out, and back.
//!
//! Pure: this crate reads no clock, opens no file or socket, and logs nothing; `clippy.toml` beside the
//! manifest holds it to that.
//!
//! | room | what is in it |
//! |---|---|
//! | [`json`] | a walk over JSON text that builds nothing |
//! | [`envelope`] | a request body as bytes with an index of its top-level keys, and edits of it |
//! | [`sse`] | server-sent events: decoder and encoder |
//! | [`hub`] | the canonical request, reply, stream event, and what got lost on the way |
//! | [`complaint`] | what a refusal of a provider means |
//! | [`limits`] | what replies say of limits |
//! | [`listing`] | what providers' lists of models say |
//! | [`facts`] | what routing wants to know of a request |
//! | [`dialect`] | what every dialect can do, in two halves, and the one table of them |
//! | [`difficulty`] | how hard a request is, from its text alone |
//! | [`lane`] | how a reply passes: watched, or translated |
//! | [`refusal`] | an error before it has a dialect's shape |
//! | [`anthropic`] | Messages: both halves, and the endpoint that counts tokens |
//! | [`openai_responses`] | Responses: both halves of both lanes |
//! | [`openai_chat`] | Chat Completions: both halves of the native lane, and the way to the hub and back |

pub mod anthropic;
mod check;
pub mod complaint;
pub mod dialect;
pub mod difficulty;
pub mod envelope;
pub mod facts;
pub mod hub;
pub mod json;
pub mod lane;
pub mod limits;
pub mod listing;
mod neutral;
pub mod openai_chat;
pub mod openai_responses;
mod patch;
pub mod refusal;
pub mod sse;
mod verbs;

pub use envelope::{BadRequest, Edit, Envelope};
