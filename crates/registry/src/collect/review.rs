//! Judging what is due, and removing it.

use clock::Timestamp;
use db::Transaction;

use crate::error::Error;
use crate::store;
use crate::store::review::Mark;

/// When things removed here are looked at again, or their bytes deleted.
#[derive(Clone, Copy)]
pub(super) struct Times {
    pub(super) now: Timestamp,
    pub(super) blob_review_after: Timestamp,
    pub(super) delete_after: Timestamp,
}

/// What became of some entries of the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Judged {
    /// Entries that were due.
    pub(super) due: u64,
    /// Links to blobs that were removed.
    pub(super) blobs: u64,
    /// Manifests that were removed.
    pub(super) manifests: u64,
}

/// Judges up to `limit` entries that are due: removes them from the queue, and what they name when nothing needs
/// it. Any number of workers may do so at once.
///
/// All entries are judged together, by a number of statements that does not depend on theirs. Most of them are
/// about blobs that a manifest has named since, and need no more than the first two.
pub(super) async fn judge_in(
    transaction: &mut Transaction,
    times: Times,
    limit: u32,
) -> Result<Judged, Error> {
    let mark = Mark::random();
    let due = store::review::review_take_due_in(transaction, mark, times.now, limit).await?;
    let mut judged = Judged { due, ..Judged::default() };
    if due == 0 || store::review::review_keep_needed_in(transaction, mark).await? == due {
        return Ok(judged);
    }
    let (blobs, manifests) = store::review::review_count_in(transaction, mark).await?;
    if manifests > 0 {
        store::review::review_add_marked_dependents_in(transaction, mark, times.now, times.blob_review_after)
            .await?;
    }
    if blobs > 0 {
        store::review::review_take_blobs_in(transaction, mark).await?;
    }
    if manifests > 0 {
        store::review::review_take_manifests_in(transaction, mark).await?;
    }
    // Whoever named something of it meanwhile was waited for, and is seen now.
    store::review::review_keep_needed_in(transaction, mark).await?;
    if blobs > 0 {
        let objects = store::review::review_unlink_blobs_in(transaction, mark).await?;
        judged.blobs = objects.len() as u64;
        objects_remove_unlinked_in(transaction, &objects, times.delete_after).await?;
    }
    crash_point!("registry::review_between");
    if manifests > 0 {
        judged.manifests = store::review::review_delete_manifests_in(transaction, mark).await?;
    }
    store::review::review_finish_in(transaction, mark).await?;
    Ok(judged)
}

/// Asks for a look at everything that a manifest holds up, before anything is locked that whoever judges it may
/// wait for.
pub(crate) async fn removal_announce_in(
    transaction: &mut Transaction,
    manifest_id: i64,
    manifest_review_after: Timestamp,
    blob_review_after: Timestamp,
) -> Result<(), Error> {
    store::review::review_add_dependents_in(
        transaction,
        manifest_id,
        manifest_review_after,
        blob_review_after,
    )
    .await?;
    Ok(())
}

/// Takes a repository's link to a blob, and the object that it leads to. `false` when there is no such link.
pub(crate) async fn blob_take_in(
    transaction: &mut Transaction,
    repository_id: i64,
    digest: &str,
) -> Result<bool, Error> {
    let mut taken = None;
    // The object comes before the link, and only the link says which object it is.
    while let Some(object_id) = store::blobs::blob_object_in(transaction, repository_id, digest).await? {
        if taken == Some(object_id) {
            return Ok(true);
        }
        store::blobs::objects_take_in(transaction, &[object_id]).await?;
        taken = store::blobs::blob_take_in(transaction, repository_id, digest).await?;
    }
    Ok(false)
}

/// Takes away a link that was taken, and the object with it when that was the last link of anybody.
pub(crate) async fn unlink_in(
    transaction: &mut Transaction,
    repository_id: i64,
    digest: &str,
    delete_after: Timestamp,
) -> Result<(), Error> {
    let object = store::blobs::blob_object_in(transaction, repository_id, digest).await?;
    store::blobs::blob_unlink_in(transaction, repository_id, digest).await?;
    objects_remove_unlinked_in(transaction, object.as_slice(), delete_after).await
}

/// Removes those of the objects that were taken that nobody links any more, and puts their bytes into the trash.
pub(super) async fn objects_remove_unlinked_in(
    transaction: &mut Transaction,
    objects: &[i64],
    delete_after: Timestamp,
) -> Result<(), Error> {
    store::trash::trash_add_unlinked_in(transaction, objects, delete_after).await?;
    store::blobs::objects_delete_unlinked_in(transaction, objects).await?;
    Ok(())
}

#[cfg(test)]
mod tests;
