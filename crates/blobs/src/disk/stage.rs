//! Writing an object: one writer at a time, in as many pieces and requests as it takes.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::blocking::{blocking, is_full};
use crate::disk::{Disk, hash_prefix};
use crate::{ContentHash, Durability, Hashes, ObjectKey, StageError, SyncError};

mod append;
mod pieces;

/// The right to write one object. It ends when this is dropped and the last write in flight has ended.
///
/// An operation whose future was dropped before its end may still be writing; from then on this `Staged` refuses
/// everything, and the way on is to drop it and stage the object again.
#[derive(Debug)]
pub(crate) struct Staged {
    store: Disk,
    key: ObjectKey,
    /// The lock belongs to this open file. Writes in flight share it, so that they are covered to their end.
    file: Arc<File>,
    name_synced: bool,
    under_way: bool,
}

impl Disk {
    /// Takes the right to write the object, which is created empty if there is none.
    pub(crate) async fn stage(&self, key: &ObjectKey) -> Result<Staged, StageError> {
        let (store, key) = (self.clone(), *key);
        let locked = blocking(move || {
            loop {
                let file = store.inner.create_object(&key)?;
                match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                    Ok(()) => {}
                    Err(Errno::WOULDBLOCK) => return Ok(None),
                    Err(error) => return Err(error.into()),
                }
                // Between opening and locking, the file may have been deleted: then we hold a file without a
                // name, and what is written there would vanish.
                if store.inner.is_current(&key, &file)? {
                    crash_point!("blobs::staged_created");
                    return Ok(Some(Staged {
                        store,
                        key,
                        file: Arc::new(file),
                        name_synced: false,
                        under_way: false,
                    }));
                }
            }
        })
        .await;
        match locked {
            Ok(Some(staged)) => Ok(staged),
            Ok(None) => Err(StageError::Busy),
            Err(error) if is_full(&error) => Err(StageError::Full),
            Err(error) => Err(StageError::Io(error)),
        }
    }
}

impl Staged {
    /// The object being written.
    pub(crate) fn key(&self) -> &ObjectKey {
        &self.key
    }

    /// Makes what was appended survive a power failure: first the bytes, then the object's name. Only after this
    /// may a database row name the object as finished. Does nothing when the store's durability is relaxed.
    ///
    /// When this fails, the object is emptied, and its next [`append`](Self::append) answers
    /// [`Lost`](crate::AppendOutcome::Lost): the kernel reports a failed write once, drops the bytes, and would call
    /// the same file durable the next time.
    pub(crate) async fn sync(&mut self) -> Result<(), SyncError> {
        crash_point!("blobs::before_sync");
        if self.store.inner.durability == Durability::Durable {
            let (store, key, name_synced) = (self.store.clone(), self.key, self.name_synced);
            let synced = self.exclusively(move |file| {
                let synced = sync_content(file)
                    .and_then(|()| if name_synced { Ok(()) } else { store.inner.sync_name(&key) });
                if synced.is_err() {
                    // Best effort: a disk that fails here fails the next write as well.
                    let _ = file.set_len(0);
                }
                synced
            });
            match synced.await {
                Ok(()) => self.name_synced = true,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(SyncError::Lost),
                Err(error) if is_full(&error) => return Err(SyncError::Full),
                Err(error) => return Err(SyncError::Io(error)),
            }
        }
        crash_point!("blobs::after_sync");
        Ok(())
    }

    /// Reads the first `length` bytes again and hashes them: for a hash that nobody asked for at the start, or
    /// a stored state of another version. A shorter object is an error.
    pub(crate) async fn rehash(&mut self, length: u64, hashes: Hashes) -> io::Result<ContentHash> {
        self.begin()?;
        let hash = hash_prefix(Arc::clone(&self.file), length, hashes).await;
        self.under_way = false;
        hash
    }

    /// Runs one piece of work on the file, unless an earlier one may still be running.
    async fn exclusively<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&File) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        self.begin()?;
        let file = Arc::clone(&self.file);
        let result = blocking(move || work(&file)).await;
        self.under_way = false;
        result
    }

    /// Notes that an operation is under way. Whoever begins resets it at the end, which a dropped future does
    /// not reach.
    fn begin(&mut self) -> io::Result<()> {
        if self.under_way {
            return Err(io::Error::other(
                "an earlier write to this upload was abandoned; open the upload again",
            ));
        }
        self.under_way = true;
        Ok(())
    }
}

/// Puts the bytes on the medium, and sees to it that they still have a name.
fn sync_content(file: &File) -> io::Result<()> {
    // Syncing the data includes the length, which is all of the status that reading needs.
    file.sync_data()?;
    if file.metadata()?.nlink() == 0 {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
