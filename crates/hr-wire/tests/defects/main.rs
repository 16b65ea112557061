//! Mistakes that routers of this kind were found to make, each with the test that holds it off here or a line why
//! it cannot happen. The cases that no other test had are here too.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped here fails the test")]

mod requests;
mod streams;
mod table;
