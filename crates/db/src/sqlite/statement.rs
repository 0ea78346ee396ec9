//! Running one prepared statement.

use std::borrow::Cow;

use rusqlite::types::ToSqlOutput;
use rusqlite::{CachedStatement, Connection, ToSql};

use crate::value::Source;
use crate::{Error, FromRow, Row, Value};

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        use rusqlite::types::ValueRef;
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Integer(value) => ValueRef::Integer(*value),
            Value::Text(value) => ValueRef::Text(value.as_bytes()),
            Value::Bytes(value) => ValueRef::Blob(value),
        }))
    }
}

/// Row locks are for engines with several writers, and SQLite does not know the words.
fn without_row_locks(sql: &str) -> Cow<'_, str> {
    const LOCKS: [&str; 5] =
        ["FOR UPDATE SKIP LOCKED", "FOR UPDATE", "FOR NO KEY UPDATE", "FOR KEY SHARE", "FOR SHARE"];
    let mut sql = Cow::Borrowed(sql);
    if sql.contains("FOR ") {
        for lock in LOCKS {
            if sql.contains(lock) {
                sql = Cow::Owned(sql.replace(lock, ""));
            }
        }
    }
    sql
}

fn prepare<'c>(
    connection: &'c Connection,
    sql: &'static str,
    params: &[Value],
) -> Result<CachedStatement<'c>, Error> {
    let mut statement = connection.prepare_cached(&without_row_locks(sql)).map_err(Error::from_sqlite)?;
    debug_assert!(numbered_in_order(&statement), "parameters are not numbered in order of first use: {sql}");
    debug_assert_eq!(statement.parameter_count(), params.len(), "wrong number of parameters: {sql}");
    for (index, value) in params.iter().enumerate() {
        statement.raw_bind_parameter(index + 1, value).map_err(Error::from_sqlite)?;
    }
    Ok(statement)
}

/// SQLite treats `$2` as a name and numbers names as they appear; PostgreSQL takes the number. Both agree
/// only when the numbers rise.
fn numbered_in_order(statement: &CachedStatement<'_>) -> bool {
    (1..=statement.parameter_count())
        .all(|index| statement.parameter_name(index) == Some(&format!("${index}")))
}

/// A read that walks a table gets slower as the server grows. The check costs a second prepare, so only
/// debug builds make it, and only for reads outside a write.
#[cfg(debug_assertions)]
fn assert_indexed(connection: &Connection, sql: &'static str) {
    use std::collections::HashSet;
    static CHECKED: parking_lot::Mutex<Option<HashSet<&'static str>>> = parking_lot::Mutex::new(None);
    if !CHECKED.lock().get_or_insert_default().insert(sql) {
        return;
    }
    let plan: Vec<String> = connection
        .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
        .and_then(|mut statement| {
            for index in 1..=statement.parameter_count() {
                statement.raw_bind_parameter(index, 0)?;
            }
            let mut rows = statement.raw_query();
            let mut plan = Vec::new();
            while let Some(row) = rows.next()? {
                plan.push(row.get(3)?);
            }
            Ok(plan)
        })
        .unwrap_or_default();
    let walks = |step: &&String| {
        let scans = step.starts_with("SCAN") && !step.contains("USING") && !step.contains("CONSTANT ROW");
        let of_subquery = step.contains("(subquery")
            || plan.iter().any(|other| {
                // A subquery is listed under its alias; what it reads is a step of its own.
                other.starts_with("CO-ROUTINE") || other.starts_with("MATERIALIZE")
            });
        (scans && !of_subquery) || step.contains("TEMP B-TREE FOR ORDER BY")
    };
    if let Some(step) = plan.iter().find(walks) {
        panic!("a read has no index that serves it ({step}): {sql}");
    }
}

pub(crate) fn opt<T: FromRow>(
    connection: &Connection,
    sql: &'static str,
    params: &[Value],
) -> Result<Option<T>, Error> {
    #[cfg(debug_assertions)]
    assert_indexed(connection, sql);
    opt_unchecked(connection, sql, params)
}

pub(crate) fn all<T: FromRow>(
    connection: &Connection,
    sql: &'static str,
    params: &[Value],
) -> Result<Vec<T>, Error> {
    #[cfg(debug_assertions)]
    assert_indexed(connection, sql);
    all_unchecked(connection, sql, params)
}

pub(crate) fn opt_unchecked<T: FromRow>(
    connection: &Connection,
    sql: &'static str,
    params: &[Value],
) -> Result<Option<T>, Error> {
    let mut statement = prepare(connection, sql, params)?;
    let mut rows = statement.raw_query();
    match rows.next().map_err(Error::from_sqlite)? {
        Some(row) => T::from_row(&Row(Source::Sqlite(row))).map(Some),
        None => Ok(None),
    }
}

pub(crate) fn all_unchecked<T: FromRow>(
    connection: &Connection,
    sql: &'static str,
    params: &[Value],
) -> Result<Vec<T>, Error> {
    let mut statement = prepare(connection, sql, params)?;
    let mut rows = statement.raw_query();
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(Error::from_sqlite)? {
        found.push(T::from_row(&Row(Source::Sqlite(row)))?);
    }
    Ok(found)
}

pub(crate) fn exec(connection: &Connection, sql: &'static str, params: &[Value]) -> Result<u64, Error> {
    let mut statement = prepare(connection, sql, params)?;
    statement.raw_execute().map(|rows| rows as u64).map_err(Error::from_sqlite)
}
