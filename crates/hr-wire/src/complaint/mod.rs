//! What a provider's refusal means, whatever dialect it speaks.
//!
//! Servers word their errors alike across dialects, and compatible ones mix them, so there is one reading:
//! [`classify`] takes an answer apart and lets the catalogue's rows speak first, [`wording`] judges what all
//! providers have in common, [`hint`] finds when to come back, [`refused`] which limits were met.

mod classify;
mod hint;
mod refused;
mod wording;

pub(crate) use classify::read_inner_error;
pub use classify::{MAX_ERROR_BODY, OPAQUE_PARAM, read_error, refuses_reasoning};
pub use hint::LONGEST_HINT;
