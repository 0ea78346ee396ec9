//! An open transaction, whichever engine carries it.

use rusqlite::Connection;

use crate::postgres::PostgresTransaction;
use crate::value::Source;
use crate::{Error, FromRow, Row, Value, sqlite};

/// Work that takes turns although it touches no row in common. The embedded database has one writer, so
/// there everything takes turns; PostgreSQL has as many as there are connections.
///
/// Who takes more than one takes them in the order in which they stand here, and before any row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// Users, tokens and keys.
    Identity,
    /// Organizations, registries and their members.
    Tenancy,
    /// The Python index of one registry.
    Python,
}

/// An open transaction.
///
/// Several may be open at once on PostgreSQL, where each statement sees what was committed before it began
/// (READ COMMITTED). A statement may therefore end in `FOR UPDATE`, `FOR KEY SHARE` and the like; the
/// embedded database, which has one writer, is given the statement without it.
pub struct Transaction(pub(crate) Engine);

pub(crate) enum Engine {
    /// Owned rather than borrowed so that futures over it may move between threads.
    Sqlite(Connection),
    Postgres(PostgresTransaction),
}

impl Transaction {
    /// Waits until no other transaction holds this lock, and holds it until the end of this one.
    pub async fn lock(&mut self, lock: Lock, id: i64) -> Result<(), Error> {
        match &mut self.0 {
            // One writer takes turns with nobody.
            Engine::Sqlite(_) => Ok(()),
            Engine::Postgres(transaction) => transaction.lock(lock, id).await,
        }
    }

    /// Runs a statement and tells how many rows it changed.
    pub async fn exec(&mut self, sql: &'static str, params: &[Value]) -> Result<u64, Error> {
        match &mut self.0 {
            Engine::Sqlite(connection) => sqlite::exec_in(connection, sql, params),
            Engine::Postgres(transaction) => transaction.exec(sql, params).await,
        }
    }

    /// The first row of a query, if there is one.
    pub async fn opt<T: FromRow>(&mut self, sql: &'static str, params: &[Value]) -> Result<Option<T>, Error> {
        match &mut self.0 {
            Engine::Sqlite(connection) => sqlite::opt_in(connection, sql, params),
            Engine::Postgres(transaction) => {
                let rows = transaction.query(sql, params).await?;
                rows.first().map(|row| T::from_row(&Row(Source::Postgres(row)))).transpose()
            }
        }
    }

    /// The first row of a query that always has one.
    pub async fn one<T: FromRow>(&mut self, sql: &'static str, params: &[Value]) -> Result<T, Error> {
        self.opt(sql, params).await?.ok_or(Error::NoRow)
    }

    /// All rows of a query. The query bounds their number.
    pub async fn all<T: FromRow>(&mut self, sql: &'static str, params: &[Value]) -> Result<Vec<T>, Error> {
        match &mut self.0 {
            Engine::Sqlite(connection) => sqlite::all_in(connection, sql, params),
            Engine::Postgres(transaction) => {
                let rows = transaction.query(sql, params).await?;
                rows.iter().map(|row| T::from_row(&Row(Source::Postgres(row)))).collect()
            }
        }
    }
}
