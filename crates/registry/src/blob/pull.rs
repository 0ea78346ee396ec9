use blobs::{ObjectKey, ReadError, Reader};
use oci::{Digest, RepositoryName};

use crate::error::Error;
use crate::grant::{Granted, Pull};
use crate::store::blobs::BlobRow;
use crate::{Registry, store};

/// What is known of a linked blob without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobStat {
    /// Its length in bytes.
    pub size: u64,
}

/// A linked blob, ready to be read.
#[derive(Clone, Debug)]
pub struct BlobContent {
    /// Its length in bytes.
    pub size: u64,
    pub(super) key: ObjectKey,
    /// Whether the registry lets clients fetch it from the object store.
    pub(super) may_redirect: bool,
    repository_id: i64,
    repository: RepositoryName,
    digest: Digest,
}

impl BlobContent {
    /// The bytes that a repository's link leads to.
    pub(crate) fn new(
        blob: &BlobRow,
        may_redirect: bool,
        repository_id: i64,
        repository: RepositoryName,
        digest: Digest,
    ) -> Result<Self, Error> {
        let key = parse_key(&blob.object_key)?;
        Ok(Self { size: blob.size, key, may_redirect, repository_id, repository, digest })
    }
}

impl Registry {
    /// Tells whether a blob is there. The promise holds for a while: a client that hears "yes" skips the
    /// upload and names the blob in a manifest next, so a blob that waits for its first use waits longer.
    pub async fn blob_stat(&self, granted: &Granted<Pull>, digest: &Digest) -> Result<BlobStat, Error> {
        let repository_id = granted.existing().map_err(|_| super::unknown(digest, granted.name()))?;
        let blob = self.blob_row(granted, digest).await?;
        let now = self.now();
        let grace = self.settings().grace;
        if let Some(due) = store::review::review_of_blob(self.db(), repository_id, digest.as_str()).await?
            // Often enough to keep the promise, seldom enough not to write at each question.
            && due < now + grace - grace / 6
        {
            let text = digest.as_str().to_owned();
            let still_there = self
                .db()
                .write::<bool, Error, _>(db::Durability::Relaxed, move |transaction| {
                    Box::pin(async move {
                        // Whoever judges it right now is waited for before the link is looked at.
                        store::review::review_of_blob_postpone_in(
                            transaction,
                            repository_id,
                            &text,
                            now + grace,
                        )
                        .await?;
                        Ok(store::blobs::blob_object_in(transaction, repository_id, &text).await?.is_some())
                    })
                })
                .await?;
            if !still_there {
                return Err(super::unknown(digest, granted.name()));
            }
        }
        Ok(BlobStat { size: blob.size })
    }

    /// Finds a blob for reading.
    pub async fn blob_pull(&self, granted: &Granted<Pull>, digest: &Digest) -> Result<BlobContent, Error> {
        let repository_id = granted.existing().map_err(|_| super::unknown(digest, granted.name()))?;
        let blob = store::blobs::blob_get_or_last(self.db(), repository_id, digest.as_str()).await?;
        let blob = blob.ok_or_else(|| super::unknown(digest, granted.name()))?;
        BlobContent::new(
            &blob,
            granted.resource.redirect,
            repository_id,
            granted.name().clone(),
            digest.clone(),
        )
    }

    /// Reads `length` bytes of a blob from `first` on. A blob that was deleted since it was found is not there.
    pub async fn blob_read(&self, content: &BlobContent, first: u64, length: u64) -> Result<Reader, Error> {
        let BlobContent { repository_id, repository, digest, .. } = content;
        let mut key = content.key;
        loop {
            let error = match self.blobs().read(&key, first, length).await {
                Ok(reader) => return Ok(reader),
                Err(error @ ReadError::Io(_)) => {
                    return Err(Error::unavailable(
                        "the server cannot read its storage; try again in a moment",
                        error,
                    ));
                }
                Err(error @ ReadError::Missing) => error,
            };
            // Nothing holds an object between the look at its row and the opening of its file: the link may
            // have been deleted meanwhile, and even been made again to other bytes of the same content.
            let now = store::blobs::blob_get(self.db(), *repository_id, digest.as_str()).await?;
            let now = parse_key(&now.ok_or_else(|| super::unknown(digest, repository))?.object_key)?;
            if now == key {
                return Err(Error::unavailable(
                    "the content of this blob is missing from the server's storage; its operator can run \
                     `larder scrub`, and pushing the blob again repairs it",
                    error,
                ));
            }
            key = now;
        }
    }

    async fn blob_row(&self, granted: &Granted<Pull>, digest: &Digest) -> Result<BlobRow, Error> {
        let unknown = || super::unknown(digest, granted.name());
        let repository_id = granted.existing().map_err(|_| unknown())?;
        store::blobs::blob_get(self.db(), repository_id, digest.as_str()).await?.ok_or_else(unknown)
    }
}

pub(crate) fn parse_key(key: &str) -> Result<ObjectKey, Error> {
    key.parse().map_err(|error: blobs::ParseObjectKeyError| {
        Error::unavailable("the server's database names an object in a way that it cannot be named", error)
    })
}

#[cfg(test)]
mod tests;
