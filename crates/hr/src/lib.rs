//! The program: I/O and people. What is decided here is decided in `hr-core`; what bytes mean is known in
//! `hr-wire`. Rooms: [`cli`] (commands and words for people), [`files`] (what a user keeps), [`gate`] (callers
//! and their requests), [`upstream`] (the way to the providers), [`scout`] (what models can do), [`store`] (what
//! outlives the process), [`watch`] (what happened, for operators).

// A program's documentation is for those who work on it: it names its private rooms, too.
#![allow(rustdoc::private_intra_doc_links)]

pub mod cli;
pub mod demo;
pub mod files;
pub mod gate;
pub mod scout;
pub mod store;
pub mod upstream;
pub mod watch;
