//! Keeping everything twice: a backup in another store, snapshots of the database in this one, and the way back.
//!
//! A backup is a store like any other, in a folder or a bucket: the objects under the keys that they have here,
//! and beside them a dump of the database, which names them. Rows are dumped first and objects copied after
//! that, while the collector deletes no bytes; so whatever the dump names is there to be copied. The dump takes
//! its place last: until then the backup is the one from before, whole.
//!
//! Restoring goes the other way round: objects first, rows last, in one transaction. Until then the new place
//! is empty to anybody who looks, and restoring can be begun again.

mod copy;
mod hold;
mod objects;
mod restore;
mod save;
mod scratch;
mod snapshot;

use std::io;

use blobs::FileName;

use crate::Registry;
use crate::error::{Error, ErrorKind};
pub use restore::{RestoreOptions, RestoreReport};
pub use save::{BackupOptions, BackupReport};
pub use snapshot::{Snapshot, SnapshotTaken, snapshots_list};

/// The dump in a backup.
const DUMP: &str = "backup/database.larder";

/// What a backup or a restoring tells while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackupEvent {
    /// The dump was written or read, and is whole.
    Database {
        /// Rows in it.
        rows: u64,
        /// Objects that it names.
        objects: u64,
        /// When it was written (RFC 3339).
        written_at: String,
    },
    /// One more object was dealt with.
    Object {
        /// How many bytes were copied for it; none when it was there already.
        copied: Option<u64>,
    },
    /// An object that the dump names is missing or damaged.
    Bad {
        /// The object's key.
        key: String,
        /// The digest that it should have.
        digest: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// The name of a file beside the objects; `text` is one of this module's own.
fn file_name(text: &str) -> Result<FileName, Error> {
    text.parse().map_err(|error: blobs::ParseFileNameError| Error::unavailable(text.to_owned(), error))
}

fn dump_failed(what: &'static str) -> impl Fn(db::dump::DumpError) -> Error {
    use db::dump::DumpError;
    move |error| match error {
        DumpError::NotEmpty { .. } => not_empty(&error),
        DumpError::Database(db::Error::Full) => db::Error::Full.into(),
        error => Error::unavailable(what, error),
    }
}

fn not_empty(error: &db::dump::DumpError) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!("{error} with database.url or --data-dir, or move the old one out of the way first"),
    )
}

/// A failure of the place that is written to, or of the folder for temporary files.
fn write_failed(what: &str) -> impl Fn(io::Error) -> Error {
    move |error| match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::new(
            ErrorKind::StorageFull,
            format!("cannot write {what}: the disk is full; free some space"),
        ),
        _ => Error::unavailable(format!("cannot write {what}"), error),
    }
}

impl Registry {
    /// The present time as file names and headers have it.
    fn time_text(&self, format: &str) -> String {
        jiff::Timestamp::from_millisecond(self.now().as_millis())
            .unwrap_or_default()
            .strftime(format)
            .to_string()
    }
}
