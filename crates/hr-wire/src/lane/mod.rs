//! The two lanes that a streamed reply can take: watched and passed on as it came (native), or read into the
//! hub and written in the caller's dialect (translated). The shell drives both through [`Watch`].
//!
//! [`Translated`] and [`translate_whole`] put two halves together; what makes an answer valid, whoever gave it,
//! is judged once, on hub events, so that no pair of dialects has rules of its own.

mod law;
pub(crate) mod pass;
mod translated;
mod whole;

pub(crate) use law::no_answer;
pub use law::{MAX_ARGUMENTS, MAX_BLOCKS, MAX_KEPT, MAX_TEXT};
pub use translated::Translated;
pub use whole::{Translation, translate_whole};

use bytes::Bytes;
use hr_core::failure::Failure;
use hr_core::usage::Usage;

use crate::hub::{Fingerprint, Reasoning, ToolCall};
use crate::refusal::Refusal;

/// Follows one reply as it streams: says what may go out, and finds out what became of it.
pub trait Watch: Send {
    /// Takes the next chunk and puts what may go out into `out`: whole events only.
    ///
    /// # Errors
    /// When the stream says that something failed, or cannot be read.
    fn push(&mut self, chunk: Bytes, out: &mut Vec<Bytes>) -> Result<(), Failure>;

    /// Takes the end of the stream.
    ///
    /// # Errors
    /// When the reply was not whole, or said nothing.
    fn finish(&mut self, out: &mut Vec<Bytes>) -> Result<(), Failure>;

    /// Whether something was seen that a caller would call an answer. Until then nothing may go out.
    fn is_good(&self) -> bool;

    /// Whether the reply is whole: what happens to the connection after that does not matter.
    fn is_finished(&self) -> bool;

    /// Whether the end mark has passed; nothing after it is looked at.
    fn is_done(&self) -> bool;

    /// The tokens reported so far.
    fn usage(&self) -> Usage;

    /// How many events were withheld because they could not be read.
    fn withheld(&self) -> u64;

    /// The end of a stream that broke: an error that the caller's SDK raises.
    fn fail(&mut self, refusal: &Refusal<'_>) -> Bytes;

    /// A sign of life for the caller, to stand between whole events.
    fn keep_alive(&mut self) -> Bytes;

    /// The opaque things that have passed since this was last asked.
    fn issued(&mut self) -> Vec<Fingerprint>;

    /// What must be remembered for the caller because its dialect cannot carry it.
    fn keepsake(&mut self) -> Option<Keepsake>;

    /// The whole reply, once finished, when it was asked for.
    fn reply(&mut self) -> Option<Bytes>;
}

/// What a turn with calls of tools must be sent back with, for callers whose dialect cannot carry it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Keepsake {
    /// The reasoning before the calls.
    pub reasoning: Vec<Reasoning>,
    /// The calls, with what is opaque beside them. Their ids are what the turn is known by, and their arguments
    /// tell it from others whose ids are the same.
    pub calls: Vec<ToolCall>,
}
