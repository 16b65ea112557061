//! What comes out of fakes that speak other dialects than chat, seen from the other end of a real connection.

#![allow(clippy::unwrap_used)]

#[path = "../client/mod.rs"]
mod client;

mod accounts;
mod answers;
mod caller;
mod strict;
mod strict_chat;
