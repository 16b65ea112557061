//! The real binary, as a person at a terminal or a script would use it. Each test has a home of its own.

#![allow(clippy::unwrap_used)] // A test whose own means fail has failed.

mod auth;
mod auth_accounts;
mod config;
mod connect;
mod help;
mod life;
mod model;
mod providers;
mod scene;
mod state;
mod try_;
