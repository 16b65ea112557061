//! The ledger of one provider on a clock that is moved by hand: laws over random calls, and providers whose limits
//! move, lie or vanish. Each scene says its figure.

#![allow(clippy::disallowed_macros, reason = "the figures of the scenes are for people")]
#![allow(clippy::unwrap_used, reason = "what these scenes are made of is in them")]

mod world;

mod claims;
mod clocks;
mod kept;
mod laws;
mod learning;
mod owners;
mod readings;
mod spans;
