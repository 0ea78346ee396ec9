use blobs::{ObjectKey, ReadError, Reader};
use oci::Digest;

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
    key: ObjectKey,
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
                        let linked =
                            store::blobs::blob_object_in(transaction, repository_id, &text).await?.is_some();
                        if linked {
                            store::review::review_add_in(
                                transaction,
                                repository_id,
                                store::review::Kind::Blob,
                                &text,
                                now + grace,
                            )
                            .await?;
                        }
                        Ok(linked)
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
        let blob = self.blob_row(granted, digest).await?;
        let key = parse_key(&blob.object_key)?;
        Ok(BlobContent { size: blob.size, key })
    }

    /// Reads `length` bytes of a blob from `first` on.
    pub async fn blob_read(&self, content: &BlobContent, first: u64, length: u64) -> Result<Reader, Error> {
        self.blobs().read(&content.key, first, length).await.map_err(|error| match error {
            // Either the blob was deleted this instant, or the disk lost it, which scrub reports.
            ReadError::Missing => Error::unavailable(
                "the content of this blob is missing from the server's storage; its operator can run \
                 `larder scrub`, and pushing the blob again repairs it",
                error,
            ),
            error @ ReadError::Io(_) => {
                Error::unavailable("the server cannot read its storage; try again in a moment", error)
            }
        })
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
