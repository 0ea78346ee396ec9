//! How far collection is.

use clock::Timestamp;

use crate::error::Error;
use crate::{Registry, store};

/// How much waits to be collected, and what was. Counts stop at a million, for a look must not cost more the
/// more there is to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollectionStatus {
    /// When it was looked at.
    pub at: Timestamp,
    /// Entries of the review queue that may be judged now.
    pub review_due: u64,
    /// Entries of the review queue whose time has not come.
    pub review_waiting: u64,
    /// Since when the oldest entry may be judged.
    pub review_oldest: Option<Timestamp>,
    /// Objects that may be deleted now.
    pub trash_due_objects: u64,
    /// Their bytes.
    pub trash_due_bytes: u64,
    /// Objects whose time has not come.
    pub trash_waiting_objects: u64,
    /// Their bytes.
    pub trash_waiting_bytes: u64,
    /// When the first object of the trash may be, or might have been, deleted.
    pub trash_oldest: Option<Timestamp>,
    /// Objects deleted since the beginning.
    pub deleted_objects: u64,
    /// Bytes freed since the beginning.
    pub deleted_bytes: u64,
}

impl Registry {
    /// How far collection is, for a look now and then.
    pub async fn collection_status(&self) -> Result<CollectionStatus, Error> {
        let at = self.now();
        let review = store::review::review_stats(self.db(), at).await?;
        let trash = store::trash::trash_stats(self.db(), at).await?;
        let (deleted_objects, deleted_bytes) = store::trash::collection_totals_get(self.db()).await?;
        Ok(CollectionStatus {
            at,
            review_due: review.due,
            review_waiting: review.waiting,
            review_oldest: review.oldest_due,
            trash_due_objects: trash.due_objects,
            trash_due_bytes: trash.due_bytes,
            trash_waiting_objects: trash.waiting_objects,
            trash_waiting_bytes: trash.waiting_bytes,
            trash_oldest: trash.oldest,
            deleted_objects,
            deleted_bytes,
        })
    }
}
