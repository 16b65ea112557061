//! Rows in and out.

use hr_core::route::{Change, Table};
use hr_core::time::Millis;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::schema::{self, statements};
use super::{Decided, Decision};

/// The most pieces of state that are read at the start, of each table.
const MAX_KEPT: usize = 200_000;

/// Sees that every statement that will be made fits the tables that are there.
pub(super) fn know_all(connection: &Connection) -> rusqlite::Result<()> {
    for table in schema::KEPT {
        let statements = statements(table);
        for text in [statements.read, statements.write, statements.forget, statements.prune] {
            connection.prepare(text)?;
        }
    }
    for text in [schema::ADD_DECISION, schema::ADD_REQUEST, schema::DECISION, schema::LAST_DECISION] {
        connection.prepare(text)?;
    }
    Ok(())
}

/// All pieces of state.
pub(super) fn read_kept(connection: &Connection) -> rusqlite::Result<Vec<Change>> {
    let mut kept = Vec::new();
    for table in schema::KEPT {
        let mut read = connection.prepare(statements(table).read)?;
        let rows =
            read.query_map([], |row| Ok(Change { table, id: row.get(0)?, kept: Some(row.get(1)?) }))?;
        for row in rows.take(MAX_KEPT) {
            kept.push(row?);
        }
    }
    Ok(kept)
}

/// Writes state and decisions, all or nothing.
pub(super) fn write<'a>(
    connection: &mut Connection,
    changes: impl IntoIterator<Item = &'a Change>,
    decided: &[std::sync::Arc<Decided>],
    now: Millis,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    for Change { table, id, kept } in changes {
        match kept {
            Some(kept) => put(&transaction, *table, id, kept, now)?,
            None => {
                transaction.prepare_cached(statements(*table).forget)?.execute(params![id])?;
            }
        }
    }
    if !decided.is_empty() {
        let mut decision = transaction.prepare_cached(schema::ADD_DECISION)?;
        let mut request = transaction.prepare_cached(schema::ADD_REQUEST)?;
        for decided in decided {
            let at = whole(decided.at.0);
            decision.execute(params![decided.id.as_str(), at, decided.record.bytes()])?;
            request.execute(params![
                decided.id.as_str(),
                at,
                decided.provider.as_deref(),
                decided.model.as_deref(),
                decided.status,
                decided.attempts,
                decided.usage.input.map(whole),
                decided.usage.output.map(whole),
                decided.cost,
                i64::try_from(decided.took.as_millis()).unwrap_or(i64::MAX),
            ])?;
        }
    }
    transaction.commit()
}

fn put(connection: &Connection, table: Table, id: &str, kept: &str, now: Millis) -> rusqlite::Result<()> {
    connection.prepare_cached(statements(table).write)?.execute(params![id, kept, whole(now.0)])?;
    Ok(())
}

/// The decision about a request, or the last one of all.
pub(super) fn decision(connection: &Connection, id: Option<&str>) -> rusqlite::Result<Option<Decision>> {
    match id {
        Some(id) => connection.prepare_cached(schema::DECISION)?.query_row([id], read_decision).optional(),
        None => connection.prepare_cached(schema::LAST_DECISION)?.query_row([], read_decision).optional(),
    }
}

fn read_decision(row: &Row<'_>) -> rusqlite::Result<Decision> {
    let at: i64 = row.get(1)?;
    Ok(Decision { id: row.get(0)?, at: Millis(u64::try_from(at).unwrap_or_default()), record: row.get(2)? })
}

/// SQLite's integers have a sign.
pub(super) fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
