//! Tokens that a reply cost, as the provider reported them.

use serde::{Deserialize, Serialize};

/// Tokens of one reply. Absent means not reported, which is not the same as zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt, cached ones included.
    pub input: Option<u64>,
    /// Tokens of the answer, reasoning included.
    pub output: Option<u64>,
    /// Tokens of the prompt that came from the provider's cache; part of `input`.
    pub cached: Option<u64>,
    /// Tokens of the prompt that were written to the provider's cache; part of `input`.
    pub cache_write: Option<u64>,
    /// Tokens spent on reasoning; part of `output`.
    pub reasoning: Option<u64>,
}

impl Usage {
    /// Input and output together; `None` when neither was reported.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        match (self.input, self.output) {
            (None, None) => None,
            (input, output) => Some(input.unwrap_or(0).saturating_add(output.unwrap_or(0))),
        }
    }
}
