//! From bytes in the store to an object that rows may name.

use std::time::Duration;

use blobs::{
    AppendLimits, AppendOutcome, ContentHash, Finished, Hashes, ObjectKey, StageError, Staged, StagedState,
};
use bytes::Bytes;
use clock::Timestamp;
use db::Transaction;
use oci::UploadId;

use super::pull::parse_key;
use super::session::{storage_failed, storage_full, sync_failed};
use crate::error::Error;
use crate::{Registry, store};

/// Bytes that are in the store for good and that no row names yet.
#[derive(Clone, Debug)]
pub(crate) struct StoredObject {
    key: String,
    finished: Finished,
    /// Where the object of the same content lay that has lost its bytes; these take their place.
    replaces: Option<String>,
}

impl Registry {
    /// Bytes that were written and synced, ready for [`object_adopt_in`].
    pub(crate) async fn object_stored(
        &self,
        key: &ObjectKey,
        finished: Finished,
    ) -> Result<StoredObject, Error> {
        let replaces = match store::blobs::object_by_sha256(self.db(), finished.sha256).await? {
            Some((_, stored, size)) if stored != key.as_str() => {
                let found = self.blobs().size(&parse_key(&stored)?).await.map_err(storage_failed)?;
                (found != Some(size)).then_some(stored)
            }
            _ => None,
        };
        Ok(StoredObject { key: key.to_string(), finished, replaces })
    }

    /// Writes a few bytes under a session, which takes them away again should nobody adopt them.
    pub(crate) async fn object_write(
        &self,
        place: (i64, String),
        user_id: i64,
        bytes: Bytes,
    ) -> Result<(UploadId, StoredObject), Error> {
        let (session, key) = self.session_open(place, user_id, Hashes::Sha256).await?;
        let mut staged = self.object_stage(&key).await?;
        let limits = AppendLimits { length: None, idle: Duration::from_mins(1) };
        let body = futures_util::stream::iter([Ok::<_, std::convert::Infallible>(bytes)]);
        let appended = staged.append(ContentHash::new(Hashes::Sha256), limits, body).await;
        match appended.outcome {
            AppendOutcome::Complete => {}
            AppendOutcome::Full => return Err(storage_full()),
            AppendOutcome::Io(error) => return Err(storage_failed(error)),
            AppendOutcome::BodyFailed(never) => match never {},
            AppendOutcome::Stalled | AppendOutcome::TooLong | AppendOutcome::Lost => {
                return Err(storage_failed("bytes in memory did not reach the disk"));
            }
        }
        staged.seal().await.map_err(sync_failed)?;
        Ok((session, self.object_stored(&key, appended.hash.finish()).await?))
    }

    /// Takes an object that nobody else can know of for writing.
    pub(crate) async fn object_stage(&self, key: &ObjectKey) -> Result<Staged, Error> {
        self.blobs().stage(key, &StagedState::default()).await.map_err(|error| match error {
            StageError::Full => storage_full(),
            error @ (StageError::Busy | StageError::Io(_)) => storage_failed(error),
        })
    }
}

/// Makes stored bytes an object, or puts them into the trash when there is one of the same content. The object
/// is held from here on.
pub(crate) async fn object_adopt_in(
    transaction: &mut Transaction,
    stored: &StoredObject,
    now: Timestamp,
    trash_delay: Duration,
) -> Result<i64, db::Error> {
    let StoredObject { key, finished, replaces } = stored;
    let Finished { sha256, sha512, size } = *finished;
    let (object_id, other_key) = loop {
        let found = match replaces {
            None => store::blobs::object_hold_by_sha256_in(transaction, sha256).await?,
            // Its key is about to change, which holding it would not allow.
            Some(_) => store::blobs::object_take_by_sha256_in(transaction, sha256).await?,
        };
        if let Some((id, other_key, _)) = found {
            break (id, other_key);
        }
        if let Some(id) = store::blobs::object_insert_in(transaction, key, size, sha256, sha512, now).await? {
            return Ok(id);
        }
        // Somebody else made it meanwhile.
    };
    if other_key != *key {
        let loser = if replaces.as_ref() == Some(&other_key) {
            store::blobs::object_rekey_in(transaction, object_id, key).await?;
            &other_key
        } else {
            key
        };
        store::trash::trash_add_in(transaction, loser, None, size, now + trash_delay).await?;
    }
    if let Some(sha512) = sha512 {
        store::blobs::object_sha512_set_in(transaction, object_id, sha512).await?;
    }
    Ok(object_id)
}
