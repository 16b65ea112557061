//! What is forgotten, in steps so small that nobody waits for one.

use std::time::Duration;

use hr_core::route::Table;
use hr_core::time::Millis;
use rusqlite::{Connection, params};

use super::rows::whole;
use super::schema::{KEPT, statements};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long decisions are kept, and how many.
pub(super) const DECISIONS: Bound = Bound { table: "decisions", age: DAY.saturating_mul(7), count: 50_000 };

/// How long the ledger of requests is kept, and how many lines of it.
pub(super) const REQUESTS: Bound = Bound { table: "requests", age: DAY.saturating_mul(90), count: 500_000 };

/// The most rows that one step deletes.
const STEP: i64 = 128;

/// How long state is kept that has not changed: beyond the longest quota.
const STATE_AGE: Duration = DAY.saturating_mul(100);

/// How long it is kept what models can do; `ROUTER_STATE_TTL_HOURS` may be as long.
const CAPABILITIES_AGE: Duration = DAY.saturating_mul(365);

/// How much of a table with numbered rows is kept.
pub(super) struct Bound {
    pub(super) table: &'static str,
    pub(super) age: Duration,
    pub(super) count: i64,
}

/// Deletes the oldest rows that are beyond a bound, at most a step of them; whether there may be more.
///
/// Rows go in the order they came, so that a look at the first ones is enough.
pub(super) fn step(connection: &Connection, now: Millis, bound: &Bound) -> rusqlite::Result<bool> {
    let Bound { table, age, count } = bound;
    let ends = format!(
        "SELECT coalesce((SELECT min(number) FROM {table}), 0), coalesce((SELECT max(number) FROM {table}), 0)"
    );
    let (first, last): (i64, i64) =
        connection.prepare_cached(&ends)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let delete = format!("DELETE FROM {table} WHERE number < ?1 AND (number <= ?2 OR at < ?3)");
    let deleted = connection.prepare_cached(&delete)?.execute(params![
        first.saturating_add(STEP),
        last.saturating_sub(*count),
        before(now, *age),
    ])?;
    Ok(i64::try_from(deleted).is_ok_and(|deleted| deleted == STEP))
}

/// Deletes state that has not changed for very long.
pub(super) fn stale_state(connection: &Connection, now: Millis) -> rusqlite::Result<()> {
    for table in KEPT {
        let age = if table == Table::Capabilities { CAPABILITIES_AGE } else { STATE_AGE };
        connection.prepare_cached(statements(table).prune)?.execute([before(now, age)])?;
    }
    Ok(())
}

fn before(now: Millis, age: Duration) -> i64 {
    whole(now.0).saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX))
}
