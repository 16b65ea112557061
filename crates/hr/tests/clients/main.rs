//! Real clients against the real binary: the SDKs of OpenAI and Anthropic for Python and Node, LangChain, the
//! Vercel AI SDK, coding agents, and a checker of published schemas, over fake cloud providers of every dialect
//! and over a real llama.cpp server. What must hold for a caller is in the scripts in `tests/clients/`; here is
//! what they run against.
//!
//! Where Python or Node is missing, or their packages cannot be had, a test says so and passes; with
//! `HR_REQUIRE_CLIENTS=1` it fails.

#![allow(clippy::unwrap_used)] // A test that cannot be set up has failed.

mod agents;
mod comply;
mod dialects;
mod installed;
mod llama;
mod pool;
mod router;
mod upstream;
