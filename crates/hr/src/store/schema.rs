//! What the file looks like inside.

use hr_core::route::Table;

/// Tells our files from those of other programs: `hrst` in the header.
pub(super) const APPLICATION_ID: i32 = 0x6872_7374;

/// The format that this version writes; the header holds it as `user_version`.
pub(super) const VERSION: i32 = 1;

/// The tables. State is found by its stable id; decisions and requests are numbered in the order they came, so that
/// the oldest are at one end.
pub(super) const TABLES: &str = "
CREATE TABLE quota (id TEXT PRIMARY KEY NOT NULL, kept TEXT NOT NULL, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE rests (id TEXT PRIMARY KEY NOT NULL, kept TEXT NOT NULL, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE health (id TEXT PRIMARY KEY NOT NULL, kept TEXT NOT NULL, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE capabilities (id TEXT PRIMARY KEY NOT NULL, kept TEXT NOT NULL, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE decisions (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL, at INTEGER NOT NULL, record BLOB NOT NULL
) STRICT;
CREATE INDEX decisions_by_id ON decisions (id);
CREATE TABLE requests (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL, at INTEGER NOT NULL, provider TEXT, model TEXT,
    status INTEGER NOT NULL, attempts INTEGER NOT NULL, input_tokens INTEGER, output_tokens INTEGER, cost REAL,
    took_ms INTEGER NOT NULL
) STRICT;
";

/// The tables of state.
pub(super) const KEPT: [Table; 4] = [Table::Quota, Table::Rests, Table::Health, Table::Capabilities];

/// The statements about one table of state.
pub(super) struct Statements {
    pub(super) read: &'static str,
    pub(super) write: &'static str,
    pub(super) forget: &'static str,
    pub(super) prune: &'static str,
}

macro_rules! statements {
    ($table:literal) => {
        Statements {
            read: concat!("SELECT id, kept FROM ", $table),
            write: concat!("INSERT OR REPLACE INTO ", $table, " (id, kept, at) VALUES (?1, ?2, ?3)"),
            forget: concat!("DELETE FROM ", $table, " WHERE id = ?1"),
            prune: concat!("DELETE FROM ", $table, " WHERE at < ?1"),
        }
    };
}

/// The statements about a table of state.
pub(super) const fn statements(table: Table) -> Statements {
    match table {
        Table::Quota => statements!("quota"),
        Table::Rests => statements!("rests"),
        Table::Health => statements!("health"),
        Table::Capabilities => statements!("capabilities"),
    }
}

pub(super) const ADD_DECISION: &str = "INSERT INTO decisions (id, at, record) VALUES (?1, ?2, ?3)";

pub(super) const ADD_REQUEST: &str = "INSERT INTO requests (id, at, provider, model, status, attempts, input_tokens, \
                                      output_tokens, cost, took_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

pub(super) const DECISION: &str =
    "SELECT id, at, record FROM decisions WHERE id = ?1 ORDER BY number DESC LIMIT 1";

pub(super) const LAST_DECISION: &str = "SELECT id, at, record FROM decisions ORDER BY number DESC LIMIT 1";
