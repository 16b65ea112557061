//! What the router wants to know of a request, whatever dialect it is in.

use hr_core::route::ask::Effort;

use crate::hub::Fingerprint;

/// The facts about a request for a reply.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChatFacts {
    /// The `model` as the caller wrote it.
    pub model: String,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// Whether the caller wants usage in the stream.
    pub include_usage: bool,
    /// A cheap estimate of the prompt's tokens, tools and images included.
    pub prompt_tokens: u64,
    /// The most tokens of the answer, when the caller said.
    pub max_output: Option<u64>,
    /// From 1 (hardest) to 5 (easiest).
    pub difficulty: u8,
    /// Whether tools are offered.
    pub tools: bool,
    /// Whether an image is in it.
    pub vision: bool,
    /// Whether the answer must be JSON.
    pub structured: bool,
    /// How much reasoning is wanted.
    pub effort: Effort,
    /// Whether the caller wants to see the reasoning, where its dialect makes that a question.
    pub shows_reasoning: bool,
    /// Opaque things in the conversation that only their issuer may get.
    pub opaque: Vec<Fingerprint>,
    /// The reply that this one goes on from, by its id, where the dialect keeps replies.
    pub previous: Option<String>,
    /// Whether the reply is to be kept, so that another request may go on from it.
    pub keep: bool,
    /// The names of the top-level parameters.
    pub params: Vec<String>,
}
