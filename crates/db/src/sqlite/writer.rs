//! The one writer. Work queues up while a commit is being synced; whatever waits then runs in the next
//! transaction together, each piece in a savepoint of its own, and shares one sync.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt as _;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::transaction::Engine;
use crate::{Durability, Error, Transaction, WriteFuture};

/// Pieces of work that may share one commit: bounds how long the first of them waits.
const BATCH: usize = 128;
/// Pieces of work that may wait; more callers wait in turn before they queue.
const QUEUE: usize = 1024;

/// What the writer thread is given: with a transaction it runs the work and returns what to do once the
/// commit is known; with an error it tells the caller so.
type Work = Box<dyn FnOnce(Result<&mut Transaction, Error>) -> Outcome + Send>;
/// Tells the caller of a piece of work how it ended, once the commit is known.
type Answer = Box<dyn FnOnce(Result<(), Error>) + Send>;
struct Outcome {
    keep: bool,
    answer: Answer,
}

struct Request {
    durability: Durability,
    work: Work,
}

pub(super) struct Writer {
    queue: mpsc::Sender<Request>,
    thread: parking_lot::Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl Writer {
    pub(super) fn start(connection: Connection, strictest: Durability, commits: Arc<AtomicU64>) -> Self {
        let (queue, requests) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("database-writer".to_owned())
            .spawn(move || run(connection, requests, strictest, &commits))
            .expect("the operating system starts a thread at start-up");
        Self { queue, thread: parking_lot::Mutex::new(Some(thread)) }
    }

    pub(super) async fn write<T, E, F>(&self, durability: Durability, work: F) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Transaction) -> WriteFuture<'t, T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let work: Work = Box::new(move |transaction| {
            // The transaction never waits for anything, so the future is ready when it is first asked.
            let result = match transaction {
                Ok(transaction) => work(transaction)
                    .now_or_never()
                    .unwrap_or_else(|| unreachable!("a write awaited something other than its transaction")),
                Err(error) => Err(error.into()),
            };
            Outcome {
                keep: result.is_ok(),
                answer: Box::new(move |committed| {
                    let answer = match (result, committed) {
                        (Ok(value), Ok(())) => Ok(value),
                        (Err(error), _) => Err(error),
                        (Ok(_), Err(error)) => Err(E::from(error)),
                    };
                    // The caller may have gone away; what it asked for is done all the same.
                    let _ = sender.send(answer);
                }),
            }
        });
        if self.queue.send(Request { durability, work }).await.is_err() {
            return Err(Error::Closed.into());
        }
        receiver.await.unwrap_or_else(|_| Err(Error::Closed.into()))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let (closed, _) = mpsc::channel(1);
        drop(std::mem::replace(&mut self.queue, closed));
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the database writer ended in a panic");
        }
    }
}

fn run(
    connection: Connection,
    mut requests: mpsc::Receiver<Request>,
    strictest: Durability,
    commits: &AtomicU64,
) {
    let mut transaction = Transaction(Engine::Sqlite(connection));
    let mut synced = true;
    let mut batch = Vec::with_capacity(BATCH);
    while requests.blocking_recv_many(&mut batch, BATCH) > 0 {
        let durable = strictest == Durability::Durable
            && batch.iter().any(|request| request.durability == Durability::Durable);
        // The level can only change between transactions. A later synced commit also syncs the log pages
        // of the relaxed ones before it.
        if durable != synced {
            let level = if durable { "PRAGMA synchronous = FULL" } else { "PRAGMA synchronous = NORMAL" };
            if let Err(error) = connection_of(&transaction).execute_batch(level) {
                tracing::error!(%error, "cannot change how the database syncs");
            } else {
                synced = durable;
            }
        }
        run_batch(&mut transaction, std::mem::take(&mut batch));
        commits.fetch_add(1, Ordering::Relaxed);
    }
}

/// Why nothing of a batch was kept; each of its callers gets a copy.
#[derive(Clone)]
enum BatchFailure {
    Full,
    Other(String),
}

impl BatchFailure {
    fn new(error: rusqlite::Error) -> Self {
        tracing::error!(%error, "a database transaction failed");
        match Error::from_sqlite(error) {
            Error::Full => Self::Full,
            other => Self::Other(other.to_string()),
        }
    }

    fn error(self) -> Error {
        match self {
            Self::Full => Error::Full,
            Self::Other(reason) => Error::Driver(reason.into()),
        }
    }
}

fn run_batch(transaction: &mut Transaction, batch: Vec<Request>) {
    let mut answers = Vec::with_capacity(batch.len());
    let mut result: Result<(), _> =
        connection_of(transaction).execute_batch("BEGIN IMMEDIATE").map_err(BatchFailure::new);
    for request in batch {
        if result.is_ok() {
            result = run_one(transaction, request.work).map(|answer| answers.extend(answer));
        } else {
            // Not run at all; the batch's failure is its answer too.
            let failure = result.clone().err().map_or(Error::Closed, BatchFailure::error);
            answers.push((request.work)(Err(failure)).answer);
        }
    }
    result =
        result.and_then(|()| connection_of(transaction).execute_batch("COMMIT").map_err(BatchFailure::new));
    if result.is_err() && !connection_of(transaction).is_autocommit() {
        let _ = connection_of(transaction).execute_batch("ROLLBACK");
    }
    for answer in answers {
        answer(result.clone().map_err(BatchFailure::error));
    }
}

/// Runs one piece of work in a savepoint. `Ok(None)` when it panicked: its caller then sees a closed
/// database, and everybody else in the batch is unharmed. An error condemns the whole batch.
fn run_one(transaction: &mut Transaction, work: Work) -> Result<Option<Answer>, BatchFailure> {
    const UNDO: &str = "ROLLBACK TO piece; RELEASE piece";
    connection_of(transaction).execute_batch("SAVEPOINT piece").map_err(BatchFailure::new)?;
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(Ok(transaction))));
    // A full disk or a failed read makes SQLite give up the transaction by itself. What ran before in this
    // batch is gone then, and what would run after must not run outside a transaction.
    if connection_of(transaction).is_autocommit() {
        if let Ok(outcome) = outcome {
            (outcome.answer)(Err(Error::Full));
        }
        return Err(BatchFailure::Full);
    }
    let keep = outcome.as_ref().is_ok_and(|outcome| outcome.keep);
    connection_of(transaction)
        .execute_batch(if keep { "RELEASE piece" } else { UNDO })
        .map_err(BatchFailure::new)?;
    if outcome.is_err() {
        tracing::error!("a write panicked and was rolled back");
    }
    Ok(outcome.ok().map(|outcome| outcome.answer))
}

/// The writer's transactions are on its own connection.
fn connection_of(transaction: &Transaction) -> &Connection {
    match &transaction.0 {
        Engine::Sqlite(connection) => connection,
        Engine::Postgres(_) => unreachable!("the embedded database's writer makes its own transactions"),
    }
}
