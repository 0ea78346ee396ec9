//! SQL over the database that Larder is given: one text for every statement, one asynchronous interface.
//!
//! * **SQLite**: reads run at once on a read-only connection; writers that wait together share one synced
//!   commit, each in a savepoint of its own, so that one's failure leaves the others alone.
//! * **PostgreSQL**: a pool of connections; each write is a transaction of its own at READ COMMITTED, run again
//!   when the database ended it in favour of another.
//!
//! Reads are bounded and served by an index; a debug build refuses a statement whose plan walks a table, in a
//! transaction too. Writes are closures over a [`Transaction`].
//!
//! Statements are PostgreSQL's, in the words that SQLite shares; [`Transaction`] says what it is not given.
//! They number their parameters `$1`, `$2` … in order of first use. No other crate names a driver.

pub mod dump;
mod error;
mod migrate;
#[cfg(debug_assertions)]
mod plan;
mod postgres;
mod sqlite;
#[cfg(feature = "testing")]
pub mod testing;
mod transaction;
mod value;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

pub use error::Error;
pub use migrate::SchemaState;
pub use transaction::{Lock, Transaction};
pub use value::{Column, FromColumn, FromRow, Row, Value};

/// When a write may be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// After it is on stable storage: it survives a power cut.
    Durable,
    /// After the operating system has it: it survives the end of the process. For what a client can
    /// simply begin again, such as an upload session.
    Relaxed,
}

/// Where a database is.
#[derive(Clone, Debug)]
pub enum Location {
    /// An SQLite file. It is created when it does not exist.
    Sqlite(PathBuf),
    /// A PostgreSQL server.
    Postgres {
        /// As libpq has it: `postgres://user:password@host:port/database?sslmode=…`.
        url: String,
        /// How many connections to it are opened at most.
        connections: usize,
    },
}

/// How to open a database.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it is.
    pub location: Location,
    /// `Relaxed` makes every write relaxed, for throw-away use.
    pub durability: Durability,
}

/// A future that a write's closure returns.
pub type WriteFuture<'t, T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 't>>;

/// An open database. Clones share it.
#[derive(Clone)]
pub struct Db(Engine);

#[derive(Clone)]
enum Engine {
    Sqlite(Arc<sqlite::Sqlite>),
    Postgres(Arc<postgres::Postgres>),
}

impl Db {
    /// Opens the database and brings its schema up to date.
    pub async fn open(options: Options) -> Result<Self, Error> {
        let durability = options.durability;
        Ok(Self(match options.location {
            Location::Sqlite(path) => Engine::Sqlite(Arc::new(sqlite::Sqlite::open(path, durability)?)),
            Location::Postgres { url, connections } => {
                Engine::Postgres(Arc::new(postgres::Postgres::open(&url, connections, durability).await?))
            }
        }))
    }

    /// How the database's schema compares with what this program carries. Nothing is changed, and a database
    /// that does not exist is not created.
    pub async fn schema(location: &Location) -> Result<SchemaState, Error> {
        match location {
            Location::Sqlite(path) => migrate::sqlite_state(path),
            Location::Postgres { url, .. } => postgres::Postgres::schema(url).await,
        }
    }

    /// Whether several servers may use the database at once.
    pub fn is_shared(&self) -> bool {
        matches!(self.0, Engine::Postgres(_))
    }

    /// The first row of a query, if there is one.
    pub async fn opt<T: FromRow>(&self, sql: &'static str, params: &[Value]) -> Result<Option<T>, Error> {
        match &self.0 {
            Engine::Sqlite(sqlite) => sqlite.read(|connection| sqlite::opt(connection, sql, params)),
            Engine::Postgres(postgres) => postgres.opt(sql, params).await,
        }
    }

    /// As [`opt`](Self::opt). While a remote database cannot be asked, its last answer to the same question
    /// counts, unless the question was put longer than `max_age` ago.
    ///
    /// For what a pull needs: content goes on being served while the database is away for a moment. The limit
    /// says how long something that was changed by others in the meantime may still be served.
    pub async fn opt_or_last<T: FromRow>(
        &self,
        max_age: Duration,
        sql: &'static str,
        params: &[Value],
    ) -> Result<Option<T>, Error> {
        match &self.0 {
            Engine::Sqlite(_) => self.opt(sql, params).await,
            Engine::Postgres(postgres) => postgres.opt_or_last(max_age, sql, params).await,
        }
    }

    /// The first row of a query that always has one.
    pub async fn one<T: FromRow>(&self, sql: &'static str, params: &[Value]) -> Result<T, Error> {
        self.opt(sql, params).await?.ok_or(Error::NoRow)
    }

    /// All rows of a query. The query bounds their number.
    pub async fn all<T: FromRow>(&self, sql: &'static str, params: &[Value]) -> Result<Vec<T>, Error> {
        match &self.0 {
            Engine::Sqlite(sqlite) => sqlite.read(|connection| sqlite::all(connection, sql, params)),
            Engine::Postgres(postgres) => postgres.all(sql, params).await,
        }
    }

    /// Runs `work` in one transaction and returns once it is committed with the given durability.
    ///
    /// An error from `work` rolls back everything it did. `work` awaits nothing but the transaction. It may be
    /// run more than once when transactions of others are in its way; only one run is committed.
    /// When the caller goes away meanwhile, the transaction is still carried out or not at all.
    pub async fn write<T, E, F>(&self, durability: Durability, work: F) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Transaction) -> WriteFuture<'t, T, E> + Clone + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        match &self.0 {
            Engine::Sqlite(sqlite) => sqlite.write(durability, work).await,
            Engine::Postgres(postgres) => postgres.write(durability, work).await,
        }
    }

    /// How many commits reached the database since it was opened: what group commit saves shows here.
    pub fn commits(&self) -> u64 {
        match &self.0 {
            Engine::Sqlite(sqlite) => sqlite.commits(),
            Engine::Postgres(postgres) => postgres.commits(),
        }
    }

    /// Answers whether the database takes writes, for readiness checks.
    pub async fn probe(&self) -> Result<(), Error> {
        if let Engine::Postgres(postgres) = &self.0 {
            return postgres.probe().await;
        }
        self.write(Durability::Relaxed, |transaction| {
            Box::pin(async move {
                // A row is rewritten as it is.
                let sql = "UPDATE larder_schema SET name = name WHERE version = 1";
                transaction.exec(sql, &[]).await.map(|_| ())
            })
        })
        .await
    }
}
