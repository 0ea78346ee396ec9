//! What can go wrong.

use std::io;
use std::path::PathBuf;

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process serves this folder.
    #[error(
        "the blob store in {} is in use by another server process; stop that one, or give this one a folder \
         of its own", .root.display()
    )]
    InUse {
        /// The store's folder.
        root: PathBuf,
    },
    /// There is no store here to attach to.
    #[error("there is no blob store in {}; check the path, or start the server once to create it", .root.display())]
    Missing {
        /// The store's folder.
        root: PathBuf,
    },
    /// The folder cannot be used.
    #[error(
        "the blob store could not {action} {}: {source}; check that the path is a folder on a mounted disk \
         and that this user may write there", .path.display()
    )]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The URL of the bucket cannot be understood, or the bucket cannot be used with these settings. One line
    /// that says which setting is wrong.
    #[error("{0}")]
    Bucket(String),
}

/// Why an object could not be staged.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// Another request is writing this object. On a disk it may be one of another process; between processes
    /// that share a bucket nobody is kept out, and who wrote is decided by whose state is recorded.
    #[error("another request is writing this upload; wait for it to end, then ask for the upload's state")]
    Busy,
    /// There is no room for one more file.
    #[error("the disk of the blob store is full; free some space or enlarge it")]
    Full,
    /// The store refused, or the state is not one that [`Staged::keep`](crate::Staged::keep) gave.
    #[error("the upload could not be opened for writing: {0}; check the storage")]
    Io(#[source] io::Error),
}

/// Why content could not be made durable.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The object was deleted while it was being written, or another process that shares the bucket wrote it
    /// first. What was appended does not count.
    #[error("the upload was removed or finished elsewhere while it was being written; start it again")]
    Lost,
    /// There is no room.
    #[error("the disk of the blob store is full; free some space or enlarge it")]
    Full,
    /// The store refused.
    #[error("the upload could not be made durable: {0}; check the storage")]
    Io(#[source] io::Error),
}

/// Why an object could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no such object.
    #[error("the stored object is missing; restore it from a backup, or push the content again")]
    Missing,
    /// The store did not give it.
    #[error("the stored object could not be read: {0}; check the storage")]
    Io(#[source] io::Error),
}

impl ReadError {
    pub(crate) fn from_open(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            _ => Self::Io(error),
        }
    }
}

/// What keeps the store from taking content.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The file system takes no writes.
    #[error("the blob store in {} is read-only; remount its disk for writing and check the disk's health", .0.display())]
    ReadOnly(PathBuf),
    /// There is no room left.
    #[error("the disk of the blob store in {} is full; free some space or enlarge it", .0.display())]
    Full(PathBuf),
    /// The folder is not the one that was opened any more.
    #[error(
        "the folder of the blob store in {} was removed, replaced or unmounted; bring it back and restart the server",
        .0.display()
    )]
    Gone(PathBuf),
    /// Something else.
    #[error("the blob store in {} cannot be written: {source}; check the disk and its permissions", .root.display())]
    Io {
        /// The store's folder.
        root: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The bucket does not take or give back a small object. One line that says what is wrong.
    #[error("{0}")]
    Bucket(String),
}
