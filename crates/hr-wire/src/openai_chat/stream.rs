//! Streams of this dialect.

pub use super::watch::{Watch, WatchOptions};
