//! SQL over the database that Larder is given: one text for every statement, one asynchronous interface.
//!
//! * Reads run at once on a read-only connection. They are bounded and served by an index; a debug build
//!   refuses a statement whose plan walks a table.
//! * Writes are closures over a [`Transaction`]. Writers that wait together share one synced commit, each
//!   in a savepoint of its own, so that one's failure leaves the others alone.
//!
//! Statements number their parameters `$1`, `$2` … in order of first use. No other crate names a driver.

mod error;
mod migrate;
mod sqlite;
#[cfg(feature = "testing")]
pub mod testing;
mod value;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

pub use error::Error;
pub use sqlite::Transaction;
pub use value::{FromColumn, FromRow, Row, Value};

/// When a write may be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// After it is on stable storage: it survives a power cut.
    Durable,
    /// After the operating system has it: it survives the end of the process. For what a client can
    /// simply begin again, such as an upload session.
    Relaxed,
}

/// How to open a database.
#[derive(Clone, Debug)]
pub struct Options {
    /// The SQLite file. It is created when it does not exist.
    pub path: PathBuf,
    /// `Relaxed` makes every write relaxed, for throw-away use.
    pub durability: Durability,
}

/// A future that a write's closure returns.
pub type WriteFuture<'t, T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 't>>;

/// An open database. Clones share it.
#[derive(Clone)]
pub struct Db(Arc<sqlite::Sqlite>);

#[expect(clippy::unused_async, reason = "the embedded database answers at once; a remote one will not")]
impl Db {
    /// Opens the database and brings its schema up to date.
    pub fn open(options: Options) -> Result<Self, Error> {
        sqlite::Sqlite::open(options).map(|sqlite| Self(Arc::new(sqlite)))
    }

    /// The first row of a query, if there is one.
    pub async fn opt<T: FromRow>(&self, sql: &'static str, params: &[Value]) -> Result<Option<T>, Error> {
        self.0.read(|connection| sqlite::opt(connection, sql, params))
    }

    /// The first row of a query that always has one.
    pub async fn one<T: FromRow>(&self, sql: &'static str, params: &[Value]) -> Result<T, Error> {
        self.opt(sql, params).await?.ok_or(Error::NoRow)
    }

    /// All rows of a query. The query bounds their number.
    pub async fn all<T: FromRow>(&self, sql: &'static str, params: &[Value]) -> Result<Vec<T>, Error> {
        self.0.read(|connection| sqlite::all(connection, sql, params))
    }

    /// Runs `work` in one transaction and returns once it is committed with the given durability.
    ///
    /// An error from `work` rolls back everything it did. `work` awaits nothing but the transaction.
    /// When the caller goes away meanwhile, the transaction is still carried out or not at all.
    pub async fn write<T, E, F>(&self, durability: Durability, work: F) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Transaction) -> WriteFuture<'t, T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.0.write(durability, work).await
    }

    /// How many commits reached the database since it was opened: what group commit saves shows here.
    pub fn commits(&self) -> u64 {
        self.0.commits()
    }

    /// Answers whether the database takes writes, for readiness checks: it rewrites a row as it is.
    pub async fn probe(&self) -> Result<(), Error> {
        self.write(Durability::Relaxed, |transaction| {
            Box::pin(async move {
                transaction
                    .exec("UPDATE larder_schema SET name = name WHERE version = 1", &[])
                    .await
                    .map(|_| ())
            })
        })
        .await
    }
}
