//! Taking a deleted registry apart, a little at a time.

use db::Transaction;

use super::review::{Times, objects_remove_unlinked_in};
use crate::error::Error;
use crate::store;

/// Rows removed in one transaction.
const BATCH: u32 = 64;

/// Removes up to a batch of rows of a deleted registry and tells how many; 0 when none is left to remove.
pub(super) async fn dismantle_in(transaction: &mut Transaction, times: Times) -> Result<u64, Error> {
    for (registry_id,) in store::tenancy::registries_condemned_in(transaction, BATCH).await? {
        let repository = store::repositories::repository_take_any_in(transaction, registry_id).await?;
        let removed = if let Some(repository_id) = repository {
            repository_dismantle_in(transaction, repository_id, times).await?
        } else {
            // Its sessions go with the expired ones; until then the registry's row has to stay.
            match store::uploads::uploads_expire_of_registry_in(transaction, registry_id, times.now).await? {
                0 => store::tenancy::registry_delete_in(transaction, registry_id).await?,
                expired => expired,
            }
        };
        if removed > 0 {
            return Ok(removed);
        }
    }
    Ok(0)
}

/// Removes up to a batch of rows of a repository, and the repository when nothing is left in it. What another
/// worker has locked stays for later.
async fn repository_dismantle_in(
    transaction: &mut Transaction,
    repository_id: i64,
    times: Times,
) -> Result<u64, Error> {
    let files = store::python_files::files_remove_of_repository_in(transaction, repository_id, BATCH).await?;
    if files > 0 {
        return Ok(files);
    }
    let tags = store::tags::tags_delete_of_repository_in(transaction, repository_id, BATCH).await?;
    if tags > 0 {
        return Ok(tags);
    }
    let manifests =
        store::manifests::manifests_delete_of_repository_in(transaction, repository_id, BATCH).await?;
    if manifests > 0 {
        return Ok(manifests);
    }
    let objects = store::blobs::objects_of_repository_in(transaction, repository_id, BATCH).await?;
    store::blobs::objects_take_in(transaction, &objects).await?;
    let blobs = store::blobs::blobs_unlink_objects_in(transaction, repository_id, &objects).await?;
    if blobs > 0 {
        objects_remove_unlinked_in(transaction, &objects, times.delete_after).await?;
        return Ok(blobs);
    }
    let reviews = store::review::review_delete_of_repository_in(transaction, repository_id, BATCH).await?;
    if reviews > 0 {
        return Ok(reviews);
    }
    let history = store::tags::tag_history_delete_of_repository_in(transaction, repository_id, BATCH).await?;
    if history > 0 {
        return Ok(history);
    }
    Ok(store::repositories::repository_delete_in(transaction, repository_id).await?)
}
