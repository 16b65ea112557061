//! What hermes-router decides, and nothing else.
//!
//! Pure: this crate reads no clock, draws no number, opens no file or socket, and logs nothing. Time and
//! chance come in as arguments ([`time::Millis`], a `draw`), and what follows from a decision goes out as a
//! value. That is why a virtual day of traffic runs in a test in milliseconds, and why two runs over the
//! same arguments agree. `clippy.toml` beside the manifest holds it to that.
//!
//! Rooms: [`settings`] (what may be set, and what it means), [`catalog`] (who the providers are),
//! [`credentials`] (keys, and the file they live in), [`pool`] (the three put together), [`capability`] (what models
//! can do, and who says so), [`quota`] (what is left of each limit), [`route`] (who is tried next, and why).

pub mod capability;
pub mod catalog;
pub mod credentials;
pub mod failure;
pub mod pool;
pub mod problem;
pub mod quota;
pub mod route;
pub mod secret;
pub mod settings;
pub mod time;
pub mod usage;
