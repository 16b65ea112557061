//! Whose turn it is among the keys of a model: a choice made of few numbers, so that it can be made again.

use serde::{Deserialize, Serialize};

use crate::pool::Rotation;

/// How the keys of a model take turns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turns {
    /// The rule.
    #[serde(rename = "r")]
    pub rotation: Rotation,
    /// How many keys the member has.
    #[serde(rename = "n")]
    pub keys: usize,
    /// The key whose turn was last, by index into the member.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    pub last: Option<usize>,
    /// Decides where a rotation begins.
    #[serde(rename = "d")]
    pub draw: u64,
}

impl Turns {
    /// The key that is asked first, if it may be.
    #[must_use]
    pub fn first(&self) -> usize {
        let count = self.keys.max(1);
        match (self.rotation, self.last) {
            (Rotation::Sequential, _) => 0,
            (Rotation::RoundRobin, Some(last)) => (last + 1) % count,
            (Rotation::RoundRobin, None) => {
                let count = u64::try_from(count).unwrap_or(u64::MAX);
                usize::try_from(self.draw % count).unwrap_or(0)
            }
        }
    }

    /// All keys in the order in which they are asked.
    pub fn order(&self) -> impl Iterator<Item = usize> + use<> {
        let first = self.first();
        (first..self.keys).chain(0..first.min(self.keys))
    }

    /// The one of these keys that is asked first.
    #[must_use]
    pub fn pick(&self, eligible: &[usize]) -> Option<usize> {
        let (first, count) = (self.first(), self.keys.max(1));
        eligible.iter().copied().min_by_key(|key| (key + count - first) % count)
    }
}
