use std::path::PathBuf;

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
        "the database at {path} has schema version {found}, this program knows up to {known}; \
         run the newer program or restore a backup"
    )]
    SchemaTooNew {
        /// Where the database is.
        path: PathBuf,
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
