//! The embedded database: one writer thread, as many readers as there are tasks that read at once.

pub(crate) mod dump;
mod statement;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags};

use crate::{Durability, Error, Transaction, WriteFuture, migrate};
pub(crate) use statement::{all, all_in, exec_in, opt, opt_in};

/// Prepared statements that a connection keeps; more than the program has.
const STATEMENT_CACHE: usize = 256;
/// Read connections kept open for the next reader; more may be open while more read at once.
const IDLE_READERS: usize = 16;

pub(crate) struct Sqlite {
    path: PathBuf,
    readers: Mutex<Vec<Connection>>,
    writer: writer::Writer,
    commits: Arc<AtomicU64>,
}

impl Sqlite {
    pub(crate) fn open(path: PathBuf, durability: Durability) -> Result<Self, Error> {
        let mut connection =
            connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        configure_writer(&connection).map_err(Error::from_sqlite)?;
        migrate::sqlite(&mut connection, &path)?;
        let commits = Arc::new(AtomicU64::new(0));
        let writer = writer::Writer::start(connection, durability, Arc::clone(&commits));
        Ok(Self { path, readers: Mutex::new(Vec::new()), writer, commits })
    }

    /// Lends a read-only connection. A read takes microseconds, less than a hop to another thread, so it
    /// runs where it is asked.
    pub(crate) fn read<T>(&self, query: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
        let idle = self.readers.lock().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.connect_reader()?,
        };
        let result = query(&connection);
        let mut readers = self.readers.lock();
        if readers.len() < IDLE_READERS {
            readers.push(connection);
        }
        result
    }

    fn connect_reader(&self) -> Result<Connection, Error> {
        let connection = connect(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection
            .execute_batch("PRAGMA query_only = ON; PRAGMA mmap_size = 1073741824; PRAGMA cache_size = -512;")
            .map_err(Error::from_sqlite)?;
        Ok(connection)
    }

    pub(crate) async fn write<T, E, F>(&self, durability: Durability, work: F) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Transaction) -> WriteFuture<'t, T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.writer.write(durability, work).await
    }

    pub(crate) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, Error> {
    // Every connection is used by one thread at a time, so SQLite's own mutexes would only cost.
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(|source| Error::Open { path: path.to_owned(), source: Box::new(source) })?;
    connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
    // Without this the planner may choose by the values that are bound, and prepares a cached statement anew
    // at every use to do so. No statement here wants another plan for other values.
    connection
        .set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .map_err(Error::from_sqlite)?;
    // Another process (an administrator's command) may hold the write lock for a moment.
    connection.busy_timeout(std::time::Duration::from_secs(10)).map_err(Error::from_sqlite)?;
    Ok(connection)
}

fn configure_writer(connection: &Connection) -> rusqlite::Result<()> {
    // WAL lets readers go on while the writer commits. FULL syncs the log at each commit, which is what
    // makes an acknowledgement survive a power cut; the writer lowers it for batches that need less.
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
         PRAGMA cache_size = -4096; PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = 67108864;",
    )
}
