//! Upload sessions as rows and as objects that are being written: opening one, taking it for a request, and ending
//! one that is not complete.

use blobs::{ContentHash, Hashes, ObjectKey, StageError, Staged, StagedState, SyncError};
use oci::UploadId;
use uuid::Uuid;

use super::pull::parse_key;
use crate::error::{Error, ErrorKind, What};
use crate::grant::{Granted, Push};
use crate::store::uploads::{AbandonedUpload, UploadRow};
use crate::{Registry, store};

/// A session that this request alone may write to.
pub(super) struct OpenUpload {
    pub(super) row: UploadRow,
    /// Where the row stands, whatever this request has appended since.
    pub(super) recorded: u64,
    pub(super) staged: Staged,
    pub(super) key: ObjectKey,
}

impl Registry {
    /// Opens a session for a repository of a registry (its number, the name in it).
    pub(crate) async fn session_open(
        &self,
        (registry_id, repository_name): (i64, String),
        user_id: i64,
        hashes: Hashes,
    ) -> Result<(UploadId, ObjectKey), Error> {
        let key = ObjectKey::random();
        let uuid = Uuid::new_v4().hyphenated().to_string();
        let row = UploadRow {
            registry_id,
            repository_name,
            user_id,
            object_key: key.to_string(),
            offset: 0,
            hash_state: ContentHash::new(hashes).to_bytes(),
            staged: None,
            completed: None,
            expires_at: (self.now() + self.settings().upload_ttl).as_millis(),
        };
        let id: UploadId = uuid
            .parse()
            .map_err(|error: oci::UploadIdError| Error::unavailable("cannot name an upload", error))?;
        let limit = self.settings().open_uploads_per_user;
        self.db()
            .write(db::Durability::Relaxed, move |transaction| {
                Box::pin(async move {
                    let open = store::uploads::uploads_open_in(transaction, row.user_id, limit).await?;
                    if open >= i64::from(limit) {
                        return Err(Error::new(
                            ErrorKind::Busy { retry_after: std::time::Duration::from_mins(1) },
                            format!(
                                "{open} uploads of this user are open, which is the limit; finish or cancel \
                                 some, or wait for them to expire"
                            ),
                        ));
                    }
                    store::uploads::upload_insert_in(transaction, &uuid, &row).await?;
                    Ok(())
                })
            })
            .await?;
        Ok((id, key))
    }

    /// The session, if it belongs to this caller and this repository. Anybody else's does not exist.
    pub(super) async fn upload_row(
        &self,
        granted: &Granted<Push>,
        id: &UploadId,
    ) -> Result<UploadRow, Error> {
        store::uploads::upload_get(self.db(), id.as_str())
            .await?
            .filter(|row| {
                row.registry_id == granted.resource.registry_id
                    && row.repository_name == granted.name().repository()
                    && row.user_id == granted.caller.user_id()
                    && row.expires_at > self.now().as_millis()
            })
            .ok_or_else(|| unknown(id))
    }

    /// Takes the session for writing. On a disk the lock is on the object's file, so it holds between processes
    /// and goes with the process that has it. In a bucket it holds in this process; servers that write the same
    /// session at once do each other no harm, and only the first to record what it wrote is acknowledged.
    pub(super) async fn upload_open(
        &self,
        granted: &Granted<Push>,
        id: &UploadId,
    ) -> Result<OpenUpload, Error> {
        let mut before = self.upload_row(granted, id).await?;
        loop {
            if before.completed.is_some() {
                return Err(unknown(id));
            }
            let key = parse_key(&before.object_key)?;
            let staged = match self.blobs().stage(&key, &state_of(&before)).await {
                Ok(staged) => staged,
                Err(StageError::Busy) => {
                    return Err(out_of_order(before.offset, "another request is writing to it"));
                }
                Err(StageError::Full) => return Err(storage_full()),
                Err(error @ StageError::Io(_)) => return Err(storage_failed(error)),
            };
            // Only what is read under the lock counts: another request may just have ended.
            let gone = match self.upload_row(granted, id).await {
                Ok(row) if row.completed.is_some() => unknown(id),
                Ok(row) if row.staged == before.staged => {
                    return Ok(OpenUpload { recorded: row.offset, row, staged, key });
                }
                Ok(row) => {
                    before = row;
                    continue;
                }
                Err(error) if matches!(error.kind(), ErrorKind::NotFound(_)) => error,
                Err(error) => return Err(error),
            };
            // Taking the lock may have made the file anew after a cancel; an object stays.
            drop(staged);
            self.discard(&key).await?;
            return Err(gone);
        }
    }

    /// Makes the session's object complete.
    pub(super) async fn upload_seal(
        &self,
        staged: &mut Staged,
        id: &UploadId,
        recorded: u64,
    ) -> Result<(), Error> {
        match staged.seal().await {
            Ok(()) => Ok(()),
            Err(SyncError::Lost) => Err(self.upload_lost(id, recorded).await?),
            Err(error) => Err(sync_failed(error)),
        }
    }

    /// What a request hears whose bytes cannot be kept: the session is as it was at `recorded`, and then it is
    /// ended because its bytes are gone; or another request moved it on, and its bytes are that one's.
    pub(super) async fn upload_lost(&self, id: &UploadId, recorded: u64) -> Result<Error, Error> {
        let (id, now) = (id.clone(), self.now());
        self.db()
            .write(db::Durability::Relaxed, move |transaction| {
                Box::pin(async move {
                    let row = store::uploads::upload_get_in(transaction, id.as_str()).await?;
                    let Some(row) = row.filter(|row| row.completed.is_none()) else {
                        return Ok(unknown(&id));
                    };
                    if row.offset != recorded {
                        return Ok(out_of_order(row.offset, "another request wrote to it"));
                    }
                    if let Some(left) = store::uploads::upload_abandon_in(transaction, id.as_str()).await? {
                        store::uploads::upload_discard_in(transaction, left, now).await?;
                    }
                    Ok(unknown(&id))
                })
            })
            .await
    }

    /// Ends a session that is not complete. `false` when there is none.
    pub(crate) async fn upload_abandon(&self, id: &UploadId) -> Result<bool, Error> {
        let (text, now) = (id.as_str().to_owned(), self.now());
        self.db()
            .write(db::Durability::Relaxed, move |transaction| {
                Box::pin(async move {
                    let Some(left) = store::uploads::upload_abandon_in(transaction, &text).await? else {
                        return Ok(false);
                    };
                    store::uploads::upload_discard_in(transaction, left, now).await?;
                    Ok(true)
                })
            })
            .await
    }

    async fn discard(&self, key: &ObjectKey) -> Result<(), Error> {
        let (key, now) = (key.to_string(), self.now());
        self.db()
            .write(db::Durability::Relaxed, move |transaction| {
                Box::pin(async move {
                    let left = AbandonedUpload { object_key: key, staged: None, size: 0 };
                    store::uploads::upload_discard_in(transaction, left, now).await?;
                    Ok(())
                })
            })
            .await
    }
}

/// The running hash where the session stands. A state that an older program wrote is made anew by reading, where
/// an unfinished object can be read.
pub(super) async fn resume(staged: &mut Staged, row: &UploadRow) -> Result<ContentHash, Error> {
    match ContentHash::from_bytes(&row.hash_state) {
        Ok(hash) => Ok(hash),
        Err(_) => staged.rehash(row.offset, Hashes::Both).await.map_err(storage_failed),
    }
}

/// What the storage kept for the session.
fn state_of(row: &UploadRow) -> StagedState {
    StagedState::from_bytes(row.staged.clone().unwrap_or_default())
}

pub(super) fn out_of_order(offset: u64, why: &str) -> Error {
    Error::new(
        ErrorKind::OutOfOrder { offset },
        format!("the upload stands at byte {offset} and {why}; ask for its status and go on from there"),
    )
}

pub(super) fn unknown(id: &UploadId) -> Error {
    Error::not_found(
        What::Upload,
        format!("upload {} is unknown in this repository or has expired; start a new one", id.as_str()),
    )
}

pub(crate) fn storage_failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::unavailable("the server cannot write to its storage; try again in a moment", error)
}

pub(crate) fn storage_full() -> Error {
    Error::new(
        ErrorKind::StorageFull,
        "the server's disk is full; ask its operator to free space, then push again",
    )
}

pub(crate) fn sync_failed(error: blobs::SyncError) -> Error {
    match error {
        blobs::SyncError::Full => storage_full(),
        error @ (blobs::SyncError::Lost | blobs::SyncError::Io(_)) => storage_failed(error),
    }
}
