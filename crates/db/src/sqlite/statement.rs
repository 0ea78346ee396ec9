//! Running one prepared statement.

use std::borrow::Cow;

use rusqlite::types::ToSqlOutput;
use rusqlite::{CachedStatement, Connection, ToSql};

#[cfg(debug_assertions)]
use crate::plan::Place;
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

/// Fails on a statement that walks a table.
#[cfg(debug_assertions)]
pub(super) fn assert_indexed(connection: &Connection, sql: &'static str, place: Place) {
    use std::collections::HashSet;
    static CHECKED: parking_lot::Mutex<Option<HashSet<&'static str>>> = parking_lot::Mutex::new(None);
    if !CHECKED.lock().get_or_insert_default().insert(sql) {
        return;
    }
    let texts = |sql: &str, column: usize| -> rusqlite::Result<Vec<String>> {
        let mut statement = connection.prepare(sql)?;
        for index in 1..=statement.parameter_count() {
            statement.raw_bind_parameter(index, 0)?;
        }
        let mut rows = statement.raw_query();
        let mut texts = Vec::new();
        while let Some(row) = rows.next()? {
            texts.push(row.get(column)?);
        }
        Ok(texts)
    };
    let plan = texts(&format!("EXPLAIN QUERY PLAN {}", without_row_locks(sql)), 3);
    // What cannot be prepared fails where it is used.
    let (Ok(plan), Ok(tables)) = (plan, texts("SELECT name FROM sqlite_schema WHERE type = 'table'", 0))
    else {
        return;
    };
    if let Some(step) = crate::plan::sqlite_fault(sql, place, &plan, &tables) {
        panic!("a statement has no index that serves it ({step}): {sql}");
    }
}

pub(crate) fn opt<T: FromRow>(
    connection: &Connection,
    sql: &'static str,
    params: &[Value],
) -> Result<Option<T>, Error> {
    #[cfg(debug_assertions)]
    assert_indexed(connection, sql, Place::Alone);
    first(connection, sql, params)
}

pub(crate) fn all<T: FromRow>(
    connection: &Connection,
    sql: &'static str,
    params: &[Value],
) -> Result<Vec<T>, Error> {
    #[cfg(debug_assertions)]
    assert_indexed(connection, sql, Place::Alone);
    rows(connection, sql, params)
}

pub(crate) fn opt_in<T: FromRow>(
    connection: &Connection,
    sql: &'static str,
    params: &[Value],
) -> Result<Option<T>, Error> {
    #[cfg(debug_assertions)]
    assert_indexed(connection, sql, Place::Transaction);
    first(connection, sql, params)
}

pub(crate) fn all_in<T: FromRow>(
    connection: &Connection,
    sql: &'static str,
    params: &[Value],
) -> Result<Vec<T>, Error> {
    #[cfg(debug_assertions)]
    assert_indexed(connection, sql, Place::Transaction);
    rows(connection, sql, params)
}

pub(crate) fn exec_in(connection: &Connection, sql: &'static str, params: &[Value]) -> Result<u64, Error> {
    #[cfg(debug_assertions)]
    assert_indexed(connection, sql, Place::Transaction);
    let mut statement = prepare(connection, sql, params)?;
    statement.raw_execute().map(|rows| rows as u64).map_err(Error::from_sqlite)
}

fn first<T: FromRow>(
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

fn rows<T: FromRow>(connection: &Connection, sql: &'static str, params: &[Value]) -> Result<Vec<T>, Error> {
    let mut statement = prepare(connection, sql, params)?;
    let mut rows = statement.raw_query();
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(Error::from_sqlite)? {
        found.push(T::from_row(&Row(Source::Sqlite(row)))?);
    }
    Ok(found)
}
