//! Writing: one transaction a piece of work, run again when writers got in each other's way.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use deadpool_postgres::Object;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use super::{Postgres, statement};
use crate::transaction::Engine;
use crate::{Durability, Error, Lock, Transaction, Value, WriteFuture};

/// How often a piece of work is begun: two writers may have to wait for each other in a circle, and the
/// database ends one of them.
const TRIES: u32 = 8;
/// The longest pause before the second try; later ones are longer.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// A transaction on a connection of its own. It is begun with its first statement, in the same round trip.
pub(crate) struct PostgresTransaction {
    client: Option<Object>,
    /// What begins it, until it has.
    begin: Option<&'static str>,
    /// Why it cannot be committed any more.
    failure: Option<Failure>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Failure {
    /// Nothing of it happened, and the same work may succeed if it is run again.
    Again,
    /// Running it again would end the same.
    Final,
}

impl Postgres {
    pub(crate) async fn write<T, E, F>(self: &Arc<Self>, durability: Durability, work: F) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Transaction) -> WriteFuture<'t, T, E> + Clone + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let this = Arc::clone(self);
        // A task of its own ends what it began even when the caller goes away.
        let task = tokio::spawn(async move { this.carry_out(durability, work).await });
        task.await.unwrap_or_else(|_| Err(Error::Closed.into()))
    }

    async fn carry_out<T, E, F>(&self, durability: Durability, work: F) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Transaction) -> WriteFuture<'t, T, E> + Clone + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let durable = self.durability == Durability::Durable && durability == Durability::Durable;
        let begin = if durable {
            "BEGIN ISOLATION LEVEL READ COMMITTED"
        } else {
            "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit = off"
        };
        for attempt in 1.. {
            let client = self.client().await?;
            let opened = PostgresTransaction { client: Some(client), begin: Some(begin), failure: None };
            let mut transaction = Transaction(Engine::Postgres(opened));
            let result = work.clone()(&mut transaction).await;
            let Engine::Postgres(opened) = transaction.0 else {
                unreachable!("a transaction does not change its engine")
            };
            let failure = opened.failure;
            if result.is_ok() && failure.is_none() {
                opened.commit().await?;
                self.commits.fetch_add(1, Ordering::Relaxed);
                return result;
            }
            opened.roll_back().await;
            match (failure, result) {
                (Some(Failure::Again), _) if attempt < TRIES => pause(attempt).await,
                (_, Err(error)) => return Err(error),
                // The work passed over a failed statement, and the database keeps nothing after one.
                (_, Ok(_)) => return Err(Error::Driver("a statement of a write failed".into()).into()),
            }
        }
        unreachable!("the last try returns")
    }
}

/// Waits before another try, long enough that whoever was in the way is likely done, and not as long as
/// somebody else who waits for the same reason.
async fn pause(attempt: u32) {
    let chance = getrandom::u32().unwrap_or_default() % 1000;
    tokio::time::sleep(FIRST_PAUSE * attempt * (chance + 1) / 1000).await;
}

impl PostgresTransaction {
    /// Waits for a lock that ends with the transaction.
    pub(crate) async fn lock(&mut self, lock: Lock, id: i64) -> Result<(), Error> {
        // The low bits tell the resource, the high ones the kind; migrations lock in another key space.
        const KIND_BITS: u32 = 56;
        let kind: i64 = match lock {
            Lock::Identity => 1,
            Lock::Tenancy => 2,
            Lock::Python => 3,
        };
        let key = (kind << KIND_BITS) | (id & ((1 << KIND_BITS) - 1));
        self.query("SELECT pg_advisory_xact_lock($1) IS NULL", &[Value::Integer(key)]).await.map(|_| ())
    }

    pub(crate) async fn query(&mut self, sql: &'static str, params: &[Value]) -> Result<Vec<Row>, Error> {
        #[cfg(debug_assertions)]
        self.assert_indexed(sql, params).await?;
        let client = self.client()?;
        let prepared = statement::prepare(client, sql, params).await;
        let result = match prepared {
            Err(error) => Err(error),
            Ok(prepared) => {
                let values = statement::borrowed(params);
                match self.begin.take() {
                    None => self.client()?.query(&prepared, &values).await,
                    Some(begin) => {
                        let client = self.client()?;
                        // Sent one after the other on the same connection, answered in one round trip.
                        let both = futures_util::future::join(
                            client.batch_execute(begin),
                            client.query(&prepared, &values),
                        );
                        let (started, rows) = both.await;
                        started.and(rows)
                    }
                }
            }
        };
        result.map_err(|error| self.failed(error))
    }

    pub(crate) async fn exec(&mut self, sql: &'static str, params: &[Value]) -> Result<u64, Error> {
        #[cfg(debug_assertions)]
        self.assert_indexed(sql, params).await?;
        if self.begin.is_some() {
            self.begin_now().await?;
        }
        let client = self.client()?;
        let result = match statement::prepare(client, sql, params).await {
            Ok(prepared) => self.client()?.execute(&prepared, &statement::borrowed(params)).await,
            Err(error) => Err(error),
        };
        result.map_err(|error| self.failed(error))
    }

    /// Asks for the plan of a statement that is new, in a savepoint of the transaction.
    #[cfg(debug_assertions)]
    async fn assert_indexed(&mut self, sql: &'static str, params: &[Value]) -> Result<(), Error> {
        if statement::is_new(sql) {
            self.begin_now().await?;
            statement::assert_indexed(self.client()?, sql, params, crate::plan::Place::Transaction).await;
        }
        Ok(())
    }

    /// Begins the transaction without a statement.
    async fn begin_now(&mut self) -> Result<(), Error> {
        let Some(begin) = self.begin.take() else { return Ok(()) };
        let result = self.client()?.batch_execute(begin).await;
        result.map_err(|error| self.failed(error))
    }

    fn client(&self) -> Result<&Object, Error> {
        self.client.as_ref().ok_or(Error::Closed)
    }

    fn failed(&mut self, error: tokio_postgres::Error) -> Error {
        let again = error.is_closed()
            || matches!(
                error.code(),
                Some(&SqlState::T_R_DEADLOCK_DETECTED | &SqlState::T_R_SERIALIZATION_FAILURE)
            );
        self.failure = Some(if again { Failure::Again } else { Failure::Final });
        Error::from_postgres(error)
    }

    async fn commit(mut self) -> Result<(), Error> {
        if self.begin.is_some() {
            // It has no statement, so there is nothing to commit.
            self.client = None;
            return Ok(());
        }
        // From here on a broken connection leaves open whether the commit happened, so nothing is repeated.
        let result = self.client()?.batch_execute("COMMIT").await;
        if result.is_ok() {
            self.client = None;
        }
        result.map_err(Error::from_postgres)
    }

    async fn roll_back(mut self) {
        if self.begin.is_some() {
            self.client = None;
            return;
        }
        let Ok(client) = self.client() else { return };
        if client.batch_execute("ROLLBACK").await.is_ok() {
            self.client = None;
        }
    }
}

impl Drop for PostgresTransaction {
    /// A connection whose transaction has no known end is closed rather than lent again.
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            drop(Object::take(client));
        }
    }
}
