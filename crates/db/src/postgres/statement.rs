//! Running one prepared statement.

use deadpool_postgres::Object;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Error, Row};

#[cfg(debug_assertions)]
use crate::plan::Place;
use crate::{Column, Value};

type Failure = Box<dyn std::error::Error + Sync + Send>;

impl ToSql for Value {
    fn to_sql(&self, kind: &Type, out: &mut bytes::BytesMut) -> Result<IsNull, Failure> {
        match self {
            Value::Null => Ok(IsNull::Yes),
            Value::Integer(value) => value.to_sql(kind, out),
            Value::Text(text) => text.to_sql(kind, out),
            Value::Bytes(bytes) => bytes.to_sql(kind, out),
        }
    }

    /// Statements are prepared for the types of their values, so nothing else arrives here.
    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Column<'a> {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Failure> {
        Ok(match *kind {
            Type::INT8 => Column::Integer(i64::from_sql(kind, raw)?),
            Type::INT4 => Column::Integer(i32::from_sql(kind, raw)?.into()),
            Type::BOOL => Column::Integer(bool::from_sql(kind, raw)?.into()),
            Type::BYTEA => Column::Bytes(raw),
            _ => Column::Text(<&str>::from_sql(kind, raw)?),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Failure> {
        Ok(Column::Null)
    }

    fn accepts(kind: &Type) -> bool {
        matches!(*kind, Type::INT8 | Type::INT4 | Type::BOOL | Type::BYTEA | Type::TEXT | Type::VARCHAR)
    }
}

/// What a parameter is. A null says nothing, so the server finds out from where it stands.
fn kind(value: &Value) -> Type {
    match value {
        Value::Null => Type::UNKNOWN,
        Value::Integer(_) => Type::INT8,
        Value::Text(_) => Type::TEXT,
        Value::Bytes(_) => Type::BYTEA,
    }
}

/// Prepares a statement, once a connection.
pub(super) async fn prepare(
    client: &Object,
    sql: &'static str,
    params: &[Value],
) -> Result<tokio_postgres::Statement, Error> {
    let kinds: Vec<Type> = params.iter().map(kind).collect();
    client.prepare_typed_cached(sql, &kinds).await
}

/// The parameters as the driver takes them.
pub(super) fn borrowed(params: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    params.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

pub(super) async fn query(client: &Object, sql: &'static str, params: &[Value]) -> Result<Vec<Row>, Error> {
    let statement = prepare(client, sql, params).await?;
    client.query(&statement, &borrowed(params)).await
}

/// Whether nobody has asked so before: each statement is judged once.
#[cfg(debug_assertions)]
pub(super) fn is_new(sql: &'static str) -> bool {
    use std::collections::HashSet;
    static KNOWN: parking_lot::Mutex<Option<HashSet<&'static str>>> = parking_lot::Mutex::new(None);
    KNOWN.lock().get_or_insert_default().insert(sql)
}

/// Fails on a statement that walks a table, judged by the plan that it has whatever its parameters are.
#[cfg(debug_assertions)]
pub(super) async fn assert_indexed(client: &Object, sql: &'static str, params: &[Value], place: Place) {
    let (begin, end, sorting) = match place {
        Place::Alone => ("BEGIN", "ROLLBACK", "off"),
        Place::Transaction => {
            ("SAVEPOINT larder_check", "ROLLBACK TO larder_check; RELEASE larder_check", "on")
        }
    };
    let kinds: Vec<String> = params.iter().map(|value| kind(value).name().to_owned()).collect();
    let named = if kinds.is_empty() { String::new() } else { format!("({})", kinds.join(", ")) };
    let nulls = vec!["NULL"; kinds.len()].join(", ");
    let values = if kinds.is_empty() { String::new() } else { format!("({nulls})") };
    // An index over few rows is soon read from end to end, so what does so is made dear too.
    let prepared = client
        .batch_execute(&format!(
            "{begin}; SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = {sorting}; \
             SET LOCAL enable_bitmapscan = off; SET LOCAL enable_hashjoin = off; \
             SET LOCAL enable_mergejoin = off; SET LOCAL plan_cache_mode = force_generic_plan; \
             PREPARE larder_check {named} AS {sql}"
        ))
        .await;
    let plan = match &prepared {
        Ok(()) => client.simple_query(&format!("EXPLAIN EXECUTE larder_check {values}")).await.ok(),
        // What cannot be prepared fails where it is used.
        Err(_) => None,
    };
    let _ = client.batch_execute(end).await;
    if prepared.is_ok() {
        let _ = client.batch_execute("DEALLOCATE larder_check").await;
    }
    let lines: Vec<String> = plan
        .into_iter()
        .flatten()
        .filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        })
        .collect();
    if let Some(step) = crate::plan::postgres_fault(sql, place, &lines) {
        panic!("a statement has no index that serves it ({step}): {sql}");
    }
}
