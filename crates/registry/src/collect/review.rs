//! Judging one thing, and removing it.

use clock::Timestamp;
use db::Transaction;

use crate::error::Error;
use crate::store;
use crate::store::review::{Kind, ReviewRow};

/// When things removed here are looked at again, or their bytes deleted.
#[derive(Clone, Copy)]
pub(super) struct Times {
    pub(super) now: Timestamp,
    pub(super) blob_review_after: Timestamp,
    pub(super) delete_after: Timestamp,
}

/// What became of one entry of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Kept,
    BlobRemoved,
    ManifestRemoved,
}

/// Looks at one entry: removes it from the queue, and what it names when nothing needs it.
pub(super) async fn judge_in(
    transaction: &mut Transaction,
    row: &ReviewRow,
    times: Times,
) -> Result<Verdict, Error> {
    store::review::review_remove_in(transaction, row).await?;
    let named = store::manifests::edge_holder_in(transaction, row.repository_id, &row.digest).await?;
    if named.is_some() {
        return Ok(Verdict::Kept);
    }
    match row.kind {
        Kind::Blob => {
            let removed = unlink_in(transaction, row.repository_id, &row.digest, times.delete_after).await?;
            Ok(if removed { Verdict::BlobRemoved } else { Verdict::Kept })
        }
        Kind::Orphan | Kind::Untagged => judge_manifest_in(transaction, row, times).await,
    }
}

async fn judge_manifest_in(
    transaction: &mut Transaction,
    row: &ReviewRow,
    times: Times,
) -> Result<Verdict, Error> {
    let Some(id) = store::manifests::manifest_id_in(transaction, row.repository_id, &row.digest).await?
    else {
        return Ok(Verdict::Kept);
    };
    if store::tags::manifest_is_tagged_in(transaction, id).await? {
        return Ok(Verdict::Kept);
    }
    if let Some(subject) = store::referrers::referrer_subject_in(transaction, id).await? {
        let subject_lives =
            store::manifests::manifest_id_in(transaction, row.repository_id, &subject).await?.is_some();
        // A referrer may be pushed before its subject, so one whose subject never came is not garbage;
        // only a subject's deletion orphans it.
        if subject_lives || row.kind == Kind::Untagged {
            return Ok(Verdict::Kept);
        }
    }
    let removal = Removal { repository_id: row.repository_id, manifest_id: id, digest: &row.digest };
    manifest_remove_in(transaction, &removal, times.now, times.blob_review_after).await?;
    Ok(Verdict::ManifestRemoved)
}

/// A manifest about to go.
pub(crate) struct Removal<'a> {
    pub(crate) repository_id: i64,
    pub(crate) manifest_id: i64,
    pub(crate) digest: &'a str,
}

/// Removes a manifest that has no tag any more and asks for a look at everything that it held up: the
/// blobs and children that it named, and the manifests that refer to it.
pub(crate) async fn manifest_remove_in(
    transaction: &mut Transaction,
    removal: &Removal<'_>,
    manifest_review_after: Timestamp,
    blob_review_after: Timestamp,
) -> Result<(), Error> {
    let repository_id = removal.repository_id;
    for (target,) in store::manifests::edges_in(transaction, removal.manifest_id).await? {
        // A target is known by its digest alone: a child of an index may be a manifest or a blob, or both.
        store::review::review_add_in(transaction, repository_id, Kind::Blob, &target, blob_review_after)
            .await?;
        store::review::review_add_in(
            transaction,
            repository_id,
            Kind::Orphan,
            &target,
            manifest_review_after,
        )
        .await?;
    }
    let mut after = store::referrers::Position::START;
    loop {
        let page =
            store::referrers::referrers_of_in(transaction, repository_id, removal.digest, after, 256).await?;
        let Some(last) = page.last() else { break };
        after = store::referrers::Position { made_at: last.0, manifest_id: last.1 };
        for (_, _, digest) in &page {
            store::review::review_add_in(
                transaction,
                repository_id,
                Kind::Orphan,
                digest,
                manifest_review_after,
            )
            .await?;
        }
    }
    store::manifests::manifest_delete_in(transaction, removal.manifest_id).await?;
    Ok(())
}

/// Takes a repository's link to a blob away, and the object with it when that was the last link of anybody.
/// `false` when there was no such link.
pub(crate) async fn unlink_in(
    transaction: &mut Transaction,
    repository_id: i64,
    digest: &str,
    delete_after: Timestamp,
) -> Result<bool, Error> {
    let Some(object_id) = store::blobs::blob_unlink_in(transaction, repository_id, digest).await? else {
        return Ok(false);
    };
    if let Some(key) = store::blobs::object_remove_unlinked_in(transaction, object_id).await? {
        store::trash::trash_add_in(transaction, &key, delete_after).await?;
    }
    Ok(true)
}
