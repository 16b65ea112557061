//! Anthropic Messages: content in ordered blocks, reasoning that is signed, tools whose results are the person's.
//!
//! Callers of this dialect are read by [`facts`] and taken to the hub by [`request`]; what comes back to them is
//! written by [`reply`] and [`encoder`]. Providers get requests from [`compose`], or the caller's own bytes, both
//! finished by [`prepare`] and its quirks; their replies are read by [`whole`] and [`stream`], or pass under the
//! eyes of [`watch`]. [`count`] is the endpoint that counts tokens, [`error`] holds the words for the caller.

mod blocks;
mod bridge;
mod check;
mod compose;
pub mod count;
mod encoder;
pub mod error;
mod facts;
mod foreign;
mod format;
mod halves;
mod messages;
mod parts;
mod prepare;
mod quirk;
mod reply;
mod request;
mod stream;
mod tools;
pub mod types;
mod watch;
mod whole;

pub use facts::TOKENS_OF_AN_IMAGE;
pub use halves::Anthropic;
pub use quirk::{quirk_exists, quirk_names};
