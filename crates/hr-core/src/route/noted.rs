//! Calls as they are noted before they go out.
//!
//! What is kept of quotas may be some calls behind when the process is killed. Each call has a number, what is kept
//! says up to which number it counts, and the calls beyond are counted from their notes.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::Router;
use super::plan::Candidate;
use super::saved::{Change, Table};
use super::settle::Ticket;
use super::slots::Roster;
use crate::quota::{End, Need, Seat};
use crate::secret::KeyId;
use crate::time::Millis;

/// The id, among the pieces of quotas, of the number up to which calls are counted in them. Notes have their own
/// number for an id; all others have a `/` in theirs.
const COUNTED: &str = "calls";

/// A call that goes out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Noted<'a> {
    /// Its number. It grows over restarts, too.
    pub number: u64,
    at: Millis,
    #[serde(borrow)]
    provider: Cow<'a, str>,
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(borrow)]
    model: Cow<'a, str>,
    need: Need,
}

impl Noted<'_> {
    /// The note as a piece that can be given back to [`Router::restore`]; `None` when it cannot be read.
    #[must_use]
    pub fn piece(line: &str) -> Option<Change> {
        let noted: Noted<'_> = serde_json::from_str(line).ok()?;
        Some(Change { table: Table::Quota, id: noted.number.to_string(), kept: Some(line.to_owned()) })
    }

    /// Up to which call these changes count, where they say so.
    #[must_use]
    pub fn counted<'c>(changes: impl IntoIterator<Item = &'c Change>) -> Option<u64> {
        let mut counted = changes.into_iter().filter(|change| is_of_calls(change) && change.id == COUNTED);
        counted.next()?.kept.as_deref()?.parse().ok()
    }
}

/// Whether a piece is of calls rather than of the quotas of one provider.
fn is_of_calls(change: &Change) -> bool {
    change.table == Table::Quota && !change.id.contains('/')
}

impl Ticket {
    /// Whether the call counts in any limit that is known. One that does not need not be noted.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        self.reservation.as_ref().is_some_and(|reservation| reservation.counted)
    }

    /// The note of this call, which goes to a candidate of this roster.
    #[must_use]
    pub fn noted<'r>(&self, roster: &'r Roster, candidate: Candidate) -> Noted<'r> {
        Noted {
            number: self.id,
            at: self.begun,
            provider: Cow::Borrowed(&roster.provider(candidate).id),
            key: Cow::Borrowed(&roster.key(candidate).id.0),
            model: Cow::Borrowed(roster.model_id(candidate)),
            need: self.need,
        }
    }
}

impl Router {
    /// The number up to which calls are counted, where it is another one than before.
    pub(super) fn counted(&mut self) -> Option<Change> {
        (self.begun != self.told).then(|| {
            self.told = self.begun;
            Change { table: Table::Quota, id: COUNTED.to_owned(), kept: Some(self.begun.to_string()) }
        })
    }

    /// Takes what is of calls out of what was kept.
    pub(super) fn calls_of(kept: &mut Vec<Change>) -> Vec<Change> {
        kept.extract_if(.., |change| is_of_calls(change)).collect()
    }

    /// Counts the calls that go beyond what was kept; returns how many could not be read.
    pub(super) fn count_again(&mut self, now: Millis, calls: &[Change]) -> usize {
        let counted = Noted::counted(calls).unwrap_or(0);
        self.begun = self.begun.max(counted);
        self.told = self.begun;
        let notes =
            calls.iter().filter(|change| change.id != COUNTED).filter_map(|change| change.kept.as_deref());
        let read: Vec<Option<Noted<'_>>> = notes.map(|note| serde_json::from_str(note).ok()).collect();
        let unreadable = read.iter().filter(|note| note.is_none()).count();
        let mut beyond: Vec<Noted<'_>> =
            read.into_iter().flatten().filter(|note| note.number > counted).collect();
        beyond.sort_by_key(|note| note.number);
        for note in beyond {
            self.begun = self.begun.max(note.number);
            let here = self.slots.providers.iter_mut().find(|provider| provider.id == note.provider);
            let Some(provider) = here else { continue };
            let key = provider.known_key(&KeyId(note.key.into_owned()));
            let (Some(key), Some(model)) = (key, provider.known_model(&note.model)) else { continue };
            let at = note.at.min(now);
            let reservation = provider.ledger.reserve(at, Seat { key, model }, note.need);
            // Whatever became of it: it may have counted there.
            provider.ledger.settle(at, reservation, End::Dropped);
        }
        unreadable
    }
}
