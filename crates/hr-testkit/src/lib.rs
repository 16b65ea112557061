//! Fake providers for tests, benchmarks and `hr demo`: real HTTP on a free loopback port, following a script.
//!
//! A [`Fake`] answers like a provider of its [`Dialect`], or misbehaves in every way that providers do, as its
//! [`Script`] says for a key or a model. It counts hidden [`Quota`]s, checks strictly what it is sent, and keeps
//! a log of every [`Call`]. Nothing is left to chance: the same calls in the same order get the same answers.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use std::time::Duration;
//! use hr_testkit::{Answer, Behaviour, Fake, Hint, Match, Script};
//!
//! let limited = Behaviour::rate_limited(Hint::RetryAfterSeconds, Duration::from_secs(20));
//! let fake = Fake::start(Script::new().once(Match::key("key-1"), [limited]).otherwise(Answer::text("Hello"))).await?;
//! println!("{}", fake.base_url());
//! # Ok(())
//! # }
//! ```

mod accounts;
mod answer;
mod behaviour;
mod call;
mod dialect;
mod embed;
mod fake;
mod gate;
mod hint;
mod issued;
mod obliging;
mod playback;
mod quota;
mod refusal;
mod render;
mod script;
mod serve;
pub mod sim;
mod stage;
mod state;
mod strict;
mod windows;

pub use accounts::{Accounts, Login, Outcome, Refresh};
pub use answer::{Answer, Ending, Framing, Stop, ToolCall, Usage};
pub use behaviour::Behaviour;
pub use call::{Call, End, Violation};
pub use dialect::Dialect;
pub use fake::Fake;
pub use gate::Gate;
pub use hint::Hint;
pub use quota::{Counted, Quota, Told};
pub use refusal::{Refusal, Shape};
pub use script::{Match, Script};
pub use strict::{Rule, Strictness};
pub use windows::{Window, Windows, anthropic_limits};
