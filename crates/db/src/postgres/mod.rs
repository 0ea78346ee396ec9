//! The database that replicas share: a pool of connections, one transaction a connection.

mod connect;
mod dump;
mod memory;
mod statement;
mod write;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::value::Source;
use crate::{Durability, Error, FromRow, Row, Value, migrate};
use memory::Memory;
pub(crate) use write::PostgresTransaction;

/// How long a caller waits for a connection to become free, and for a new one to be made.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long one read may take: each is bounded and indexed, so more means that nobody is there any more.
const READ_LIMIT: Duration = Duration::from_secs(10);
/// For how long nobody asks again after the database could not be reached.
const PAUSE: Duration = Duration::from_millis(500);
/// Set on every connection. A statement that takes this long, or a transaction that is left open, holds up
/// others; both end in an error that callers may repeat. Names compare by their bytes whatever the database's
/// own order is, which the columns' collation says. Every statement is written for one plan, whatever it is asked
/// for, so none is planned anew for each execution: on long tables that would cost more than the answer.
const SESSION: &str = "SET statement_timeout = '30s'; SET lock_timeout = '10s'; \
                       SET idle_in_transaction_session_timeout = '60s'; SET timezone = 'UTC'; \
                       SET application_name = 'larder'; \
                       SET enable_seqscan = off; SET jit = off; \
                       SET plan_cache_mode = force_generic_plan";

pub(crate) struct Postgres {
    pool: Pool,
    durability: Durability,
    memory: Memory,
    /// Until when asking would be in vain.
    down_until: Mutex<Option<Instant>>,
    commits: AtomicU64,
}

impl Postgres {
    /// Connects, and brings the schema up to date.
    pub(crate) async fn open(url: &str, connections: usize, durability: Durability) -> Result<Self, Error> {
        let target = connect::Target::parse(url)?;
        migrate::postgres(&mut target.connect().await?, &target.place).await?;
        let settings = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(target.config, target.tls, settings);
        let pool = Pool::builder(manager)
            .max_size(connections.max(1))
            .runtime(deadpool_postgres::Runtime::Tokio1)
            .timeouts(deadpool_postgres::Timeouts {
                wait: Some(PATIENCE),
                create: Some(PATIENCE),
                recycle: Some(PATIENCE),
            })
            .post_create(Hook::async_fn(|client, _| {
                Box::pin(async move { client.batch_execute(SESSION).await.map_err(HookError::Backend) })
            }))
            .build()
            .map_err(|error| Error::Driver(Box::new(error)))?;
        Ok(Self {
            pool,
            durability,
            memory: Memory::new(),
            down_until: Mutex::new(None),
            commits: AtomicU64::new(0),
        })
    }

    /// What is applied and what is not, for a look that changes nothing.
    pub(crate) async fn schema(url: &str) -> Result<crate::SchemaState, Error> {
        let target = connect::Target::parse(url)?;
        migrate::postgres_state(&target.connect().await?, &target.place).await
    }

    pub(crate) async fn opt<T: FromRow>(
        &self,
        sql: &'static str,
        params: &[Value],
    ) -> Result<Option<T>, Error> {
        let rows = self.query(sql, params).await?;
        rows.first().map(|row| T::from_row(&Row(Source::Postgres(row)))).transpose()
    }

    pub(crate) async fn all<T: FromRow>(&self, sql: &'static str, params: &[Value]) -> Result<Vec<T>, Error> {
        let rows = self.query(sql, params).await?;
        rows.iter().map(|row| T::from_row(&Row(Source::Postgres(row)))).collect()
    }

    /// As [`opt`](Self::opt); while the database cannot be asked, the last answer counts for `max_age`.
    pub(crate) async fn opt_or_last<T: FromRow>(
        &self,
        max_age: Duration,
        sql: &'static str,
        params: &[Value],
    ) -> Result<Option<T>, Error> {
        let asked = Instant::now();
        let rows = match self.query(sql, params).await {
            Ok(rows) => rows,
            Err(error @ Error::Unavailable(_)) => {
                let Some(values) = self.memory.last(sql, params, max_age) else { return Err(error) };
                return T::from_row(&Row(Source::Kept(&values))).map(Some);
            }
            Err(error) => return Err(error),
        };
        self.memory.keep(sql, params, asked, rows.first())?;
        rows.first().map(|row| T::from_row(&Row(Source::Postgres(row)))).transpose()
    }

    async fn query(&self, sql: &'static str, params: &[Value]) -> Result<Vec<tokio_postgres::Row>, Error> {
        let mut again = true;
        loop {
            let client = self.client().await?;
            #[cfg(debug_assertions)]
            if statement::is_new(sql) {
                statement::assert_indexed(&client, sql, params, crate::plan::Place::Alone).await;
            }
            match tokio::time::timeout(READ_LIMIT, statement::query(&client, sql, params)).await {
                Ok(Ok(rows)) => return Ok(rows),
                // A connection that broke while it was idle says so only now; a read may be asked twice.
                Ok(Err(error)) if again && error.is_closed() => again = false,
                Ok(Err(error)) => return Err(Error::from_postgres(error)),
                Err(_) => {
                    drop(Object::take(client));
                    self.pause();
                    return Err(Error::unavailable("it did not answer a query"));
                }
            }
        }
    }

    /// A connection, or at once the news that there is none to be had.
    async fn client(&self) -> Result<Object, Error> {
        if let Some(until) = &mut *self.down_until.lock() {
            if Instant::now() < *until {
                return Err(Error::unavailable("it could not be reached a moment ago"));
            }
            // One caller finds out whether it is back; the others do not wait for that.
            *until = Instant::now() + PATIENCE;
        }
        match self.pool.get().await {
            Ok(client) => {
                *self.down_until.lock() = None;
                Ok(client)
            }
            Err(PoolError::Timeout(deadpool_postgres::TimeoutType::Wait)) => {
                Err(Error::unavailable("all of this server's connections to it are in use"))
            }
            Err(error) => {
                self.pause();
                Err(match error {
                    PoolError::Backend(error) => Error::from_postgres(error),
                    error => Error::Unavailable(Box::new(error)),
                })
            }
        }
    }

    fn pause(&self) {
        *self.down_until.lock() = Some(Instant::now() + PAUSE);
    }

    pub(crate) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Whether the database takes writes. A row is not touched for it: every replica asks every few seconds.
    pub(crate) async fn probe(&self) -> Result<(), Error> {
        let client = self.client().await?;
        let answer = tokio::time::timeout(
            PATIENCE,
            client.query_one(
                "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::bool",
                &[],
            ),
        );
        match answer.await {
            Ok(Ok(row)) if !row.get::<_, bool>(0) => Ok(()),
            Ok(Ok(_)) => Err(Error::unavailable("it takes no writes: it is a standby or set to read-only")),
            Ok(Err(error)) => Err(Error::from_postgres(error)),
            Err(_) => {
                drop(Object::take(client));
                self.pause();
                Err(Error::unavailable("it did not answer"))
            }
        }
    }
}
