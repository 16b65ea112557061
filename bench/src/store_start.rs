//! How long a start takes with a store of 100 MB.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use hermes_router::store::{self, Decided, Reader, Written};
use hr_core::route::{Change, Table};
use hr_core::time::Millis;

/// The size of the store.
const BYTES: u64 = 100_000_000;

/// The size of a record: as large as one may be.
const RECORD_BYTES: usize = 2 * 1024;

/// Pieces of state, as a pool of a few hundred keys has.
const PIECES: usize = 2_000;

/// The size of a piece.
const PIECE_BYTES: usize = 400;

/// Decisions between two looks at what has been written.
const BATCH: u64 = 1_000;

/// Puts a store of [`BYTES`] into a home.
pub fn fill(home: &Path) -> Result<()> {
    let path = home.join("state.db");
    // Far in the future of any run: nothing is old enough to be forgotten.
    let now = Millis(4_000_000_000_000);
    let mut state: Option<Vec<Change>> = Some((0..PIECES).map(piece).collect());
    let opened = store::open(&path, None, now)?;
    let store = opened.start(move || state.take().unwrap_or_default(), move || now)?;
    store.changed();
    let size = || {
        [&path, &home.join("state.db-wal")]
            .iter()
            .filter_map(|path| Some(path.metadata().ok()?.len()))
            .sum::<u64>()
    };
    let mut number = 0_u64;
    while size() < BYTES {
        for _ in 0..BATCH {
            store.remember(decided(number, now).into());
            number += 1;
        }
        let last = (number - 1).to_string();
        while !is_written(&path, &last)? {
            std::thread::yield_now();
        }
    }
    store.close();
    let length = path.metadata().context("the store is gone")?.len();
    ensure!(length >= BYTES * 9 / 10, "the store has only {length} bytes");
    Ok(())
}

fn is_written(path: &Path, id: &str) -> Result<bool> {
    let reader = Reader::open(path)?.context("the store is gone")?;
    Ok(reader.decision(id)?.is_some())
}

fn piece(number: usize) -> Change {
    let kept = format!("{{\"text\":\"{}\"}}", "x".repeat(PIECE_BYTES));
    Change { table: Table::Health, id: format!("{{\"provider\":\"p{number}\"}}"), kept: Some(kept) }
}

fn decided(number: u64, at: Millis) -> Decided {
    // Bytes that differ, as those of real records do.
    let bytes = (0..RECORD_BYTES).map(|place| (place as u64).wrapping_mul(number | 1) as u8).collect();
    let record = Written::Bytes(bytes);
    Decided { id: number.to_string().into(), at, status: 200, attempts: 1, record, ..Decided::default() }
}
