//! What a ledger knows, in pieces that are kept over a restart.

use super::ledger::Ledger;
use crate::time::Millis;

impl Ledger {
    /// What has changed since it was last asked: a stable id and what to keep of it, `None` to forget it.
    pub fn changes(&mut self) -> Vec<(String, Option<String>)> {
        Vec::new()
    }

    /// Takes back what was kept. Keys and models that are not known yet are remembered until they come.
    pub fn restore(&mut self, _now: Millis, _id: &str, _kept: &str) -> bool {
        false
    }
}
