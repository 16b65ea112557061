//! Simulations of the router on a virtual clock. `just sim` prints their tables; docs/simulation.md explains them.
#![allow(missing_docs, clippy::unwrap_used)]

mod day;
mod outage;
mod owners;
mod sessions;
mod spending;
mod stage;
mod tracks;
mod waiting;
