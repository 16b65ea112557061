//! What the router knows, in pieces that can be kept over a restart.

use serde::{Deserialize, Serialize};

/// What a piece is about; each is a table of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    /// Buckets of quotas, and who shares them.
    Quota,
    /// Rests of keys, models and providers.
    Rests,
    /// How well keys and models have served.
    Health,
    /// What models can do.
    Capabilities,
}

/// One piece: what to keep under its stable id, or that there is nothing any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What it is about.
    pub table: Table,
    /// Its stable id within the table; holds no secret.
    pub id: String,
    /// What to keep, as JSON.
    pub kept: Option<String>,
}
