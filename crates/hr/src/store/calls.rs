//! Notes of calls, made before these go out: what was kept of quotas may be some calls behind when the process ends.
//!
//! A note is a line at the end of one of two small files beside the store. It is not forced to the disk, so it costs
//! next to nothing, and a kill loses none. When one file has grown and the store counts all calls of the other one,
//! that one is emptied and takes the next notes.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use hr_core::route::{Change, Noted, Table};
use parking_lot::Mutex;

use crate::files::store::beside;

/// What the names of the two files end in.
pub(super) const ENDINGS: [&str; 2] = ["-calls1", "-calls2"];

/// From this length on the other file is taken.
const TURN_AT: u64 = 64 * 1024;

/// Beyond this nothing more is noted: then the store cannot be written either.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Only the owner may read and write.
const OWNER_FILE: u32 = 0o600;

/// The notes of a store that is in use.
#[derive(Debug, Default)]
pub(super) struct Calls {
    notes: Mutex<Notes>,
}

#[derive(Debug, Default)]
struct Notes {
    pages: [Page; 2],
    current: usize,
}

/// One of the files; without one nothing is noted.
#[derive(Debug, Default)]
struct Page {
    file: Option<File>,
    length: u64,
    /// The highest number in it.
    last: u64,
}

impl Page {
    /// What cannot be opened takes no notes: serving goes on without.
    fn open(path: &Path, last: u64) -> Self {
        let mut file = OpenOptions::new().create(true).append(true).mode(OWNER_FILE).open(path).ok();
        let mut length = file.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |told| told.len());
        // A last line that was cut off must not take the next one with it.
        if let Some(file) = file.as_mut().filter(|_| length > 0) {
            length += file.write(b"\n").unwrap_or(0) as u64;
        }
        Self { file, length, last }
    }

    fn add(&mut self, line: &[u8], number: u64) {
        if let Some(file) = self.file.as_mut().filter(|_| self.length < MAX_BYTES) {
            self.length += file.write(line).unwrap_or(0) as u64;
            self.last = self.last.max(number);
        }
    }

    fn empty(&mut self) -> bool {
        let emptied = self.file.as_ref().is_some_and(|file| file.set_len(0).is_ok());
        if emptied {
            (self.length, self.last) = (0, 0);
        }
        emptied
    }
}

impl Calls {
    /// Opens the notes of a store that nobody else uses; what was noted so far is in `kept`.
    pub(super) fn open(path: &Path, kept: &[Change]) -> Self {
        let noted = kept.iter().filter(|change| change.table == Table::Quota);
        let last = noted.filter_map(|change| change.id.parse().ok()).max().unwrap_or(0);
        let pages = ENDINGS.map(|ending| Page::open(&beside(path, ending), last));
        Self { notes: Mutex::new(Notes { pages, current: 0 }) }
    }

    /// Notes a call. What cannot be noted may be forgotten by a kill, no more.
    pub(super) fn note(&self, call: &Noted<'_>) {
        let Ok(mut line) = serde_json::to_vec(call) else { return };
        line.push(b'\n');
        let mut notes = self.notes.lock();
        let Notes { pages, current } = &mut *notes;
        pages[*current].add(&line, call.number);
    }

    /// The store counts all calls up to this one.
    pub(super) fn counted(&self, number: u64) {
        let mut notes = self.notes.lock();
        let Notes { pages, current } = &mut *notes;
        let other = 1 - *current;
        if pages[*current].length >= TURN_AT && pages[other].last <= number && pages[other].empty() {
            *current = other;
        }
    }
}

/// All that is noted beside a store, as pieces of its state.
pub(super) fn read(path: &Path) -> Vec<Change> {
    let mut all = Vec::new();
    for ending in ENDINGS {
        let mut bytes = Vec::new();
        let Ok(file) = File::open(beside(path, ending)) else { continue };
        // What could be read before it failed is of use.
        let _ = file.take(2 * MAX_BYTES).read_to_end(&mut bytes);
        all.extend(String::from_utf8_lossy(&bytes).lines().filter_map(Noted::piece));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(number: u64) -> Noted<'static> {
        let line = format!(
            "{{\"number\":{number},\"at\":1,\"provider\":\"p\",\"key\":\"k\",\"model\":\"m\",\
             \"need\":{{\"input\":10,\"output\":20,\"cost\":0.0}}}}"
        );
        serde_json::from_str(Box::leak(line.into_boxed_str())).unwrap()
    }

    fn numbers(path: &Path) -> Vec<u64> {
        read(path).iter().map(|note| note.id.parse().unwrap()).collect()
    }

    #[test]
    fn what_is_noted_is_read_again_but_for_a_line_that_was_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        let calls = Calls::open(&path, &read(&path));
        (1..=3).for_each(|number| calls.note(&call(number)));
        assert_eq!(numbers(&path), [1, 2, 3]);
        let first = beside(&path, ENDINGS[0]);
        let length = first.metadata().unwrap().len();
        OpenOptions::new().write(true).open(&first).unwrap().set_len(length - 9).unwrap();
        assert_eq!(numbers(&path), [1, 2]);
        Calls::open(&path, &read(&path)).note(&call(4));
        assert_eq!(numbers(&path), [1, 2, 4]);
    }

    #[test]
    fn notes_of_calls_that_are_counted_make_room() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        let calls = Calls::open(&path, &[]);
        let mut most = 0;
        for number in 1..=5_000 {
            calls.note(&call(number));
            if number % 100 == 0 {
                calls.counted(number - 5);
                let noted = numbers(&path);
                assert!((number - 4..=number).all(|late| noted.contains(&late)), "{number}");
                most = most.max(noted.len() as u64);
            }
        }
        let each = serde_json::to_vec(&call(5_000)).unwrap().len() as u64;
        assert!(most * each < 3 * TURN_AT, "{most} notes");
    }
}
