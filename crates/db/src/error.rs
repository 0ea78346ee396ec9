use std::path::PathBuf;

use tokio_postgres::error::SqlState;

/// Why the database could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A row with the same unique key exists.
    #[error("a row with this key exists already")]
    Unique,
    /// A row that is named does not exist, or one that is still named was to be deleted.
    #[error("a row that is referred to does not exist")]
    ForeignKey,
    /// The disk that holds the database is full.
    #[error("the disk that holds the database is full; free space on it")]
    Full,
    /// A statement that must return a row returned none.
    #[error("a statement returned no row where one was due")]
    NoRow,
    /// A column holds another type than the program reads.
    #[error("column {index} holds an unexpected type")]
    UnexpectedType {
        /// The column's position, from 0.
        index: usize,
    },
    /// The database was written by a newer program.
    #[error(
        "the database at {place} has schema version {found}, this program knows up to {known}; \
         run the newer program or restore a backup"
    )]
    SchemaTooNew {
        /// Where the database is.
        place: String,
        /// The version that the database says.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// A migration that was applied is not the one that this program carries.
    #[error(
        "migration {version} ({name}) was changed after it was applied; restore the original program or a backup"
    )]
    MigrationChanged {
        /// The migration's number.
        version: i64,
        /// The migration's name.
        name: String,
    },
    /// The database cannot be asked now: it is away, starting, or too busy. What was asked for did not happen,
    /// or, when the connection broke in the middle of a commit, may have happened.
    #[error("the database does not answer")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The database's URL is not one.
    #[error(
        "database.url is not usable: {reason}; it is postgres://user:password@host:port/database or sqlite:PATH"
    )]
    InvalidUrl {
        /// What is wrong with it.
        reason: String,
    },
    /// The database cannot be reached or lets nobody in.
    #[error("cannot connect to the database at {place}: {reason}")]
    Connect {
        /// Where the database should be.
        place: String,
        /// What happened, and what to do.
        reason: String,
    },
    /// The writer ended, which happens only while the program shuts down.
    #[error("the database is closed")]
    Closed,
    /// Anything else that the driver reports.
    #[error("the database failed")]
    Driver(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The database file cannot be opened.
    #[error("cannot open the database at {path}; check that the folder exists and may be written")]
    Open {
        /// Where the database should be.
        path: PathBuf,
        /// What the driver says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// Whether a unique key refused the row.
    pub fn is_unique_violation(&self) -> bool {
        matches!(self, Error::Unique)
    }

    pub(crate) fn unavailable(reason: &'static str) -> Self {
        Error::Unavailable(reason.into())
    }

    pub(crate) fn from_postgres(error: tokio_postgres::Error) -> Self {
        let Some(state) = error.code() else {
            // No answer from the server: the connection is at fault, unless a value was.
            let reached = error.as_db_error().is_some();
            let broken = error.is_closed() || has_io_cause(&error);
            return if broken && !reached {
                Error::Unavailable(Box::new(error))
            } else {
                Error::Driver(Box::new(error))
            };
        };
        match *state {
            SqlState::UNIQUE_VIOLATION => Error::Unique,
            SqlState::FOREIGN_KEY_VIOLATION => Error::ForeignKey,
            SqlState::DISK_FULL => Error::Full,
            SqlState::ADMIN_SHUTDOWN
            | SqlState::CRASH_SHUTDOWN
            | SqlState::CANNOT_CONNECT_NOW
            | SqlState::TOO_MANY_CONNECTIONS
            | SqlState::READ_ONLY_SQL_TRANSACTION
            | SqlState::LOCK_NOT_AVAILABLE
            | SqlState::QUERY_CANCELED
            | SqlState::T_R_DEADLOCK_DETECTED
            | SqlState::T_R_SERIALIZATION_FAILURE
            | SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT => Error::Unavailable(Box::new(error)),
            // Class 08: connection exceptions.
            _ if state.code().starts_with("08") => Error::Unavailable(Box::new(error)),
            _ => Error::Driver(Box::new(error)),
        }
    }

    pub(crate) fn from_sqlite(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        use rusqlite::ffi;
        match &error {
            rusqlite::Error::QueryReturnedNoRows => Error::NoRow,
            rusqlite::Error::SqliteFailure(failure, _) => match (failure.code, failure.extended_code) {
                (_, ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY) => Error::Unique,
                (_, ffi::SQLITE_CONSTRAINT_FOREIGNKEY) => Error::ForeignKey,
                (ErrorCode::DiskFull, _) => Error::Full,
                _ => Error::Driver(Box::new(error)),
            },
            _ => Error::Driver(Box::new(error)),
        }
    }
}

fn has_io_cause(error: &tokio_postgres::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if error.is::<std::io::Error>() {
            return true;
        }
        cause = error.source();
    }
    false
}
