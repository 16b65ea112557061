//! Stories: the whole gateway in this process, over real sockets, named by what a user would complain of.
#![allow(missing_docs, clippy::unwrap_used)]

mod caller;
mod house;

mod chance;
mod decisions;
mod dialects;
mod failover;
mod faults;
mod hold;
mod limits;
mod line;
mod odd;
mod quota_truth;
mod replies;
mod scenarios;
mod scout;
mod seals;
mod secrets;
mod serving;
mod soak;
mod status;
mod surface;
mod translation;
mod wishes;
