//! Taking a deleted registry apart, a little at a time.

use db::Transaction;

use super::review::{Times, unlink_in};
use crate::error::Error;
use crate::store;

/// Rows removed in one transaction.
const BATCH: u32 = 64;

/// Removes up to a batch of rows of a deleted registry and tells how many; 0 when none is left to remove.
pub(super) async fn dismantle_in(transaction: &mut Transaction, times: Times) -> Result<u64, Error> {
    for (registry_id,) in store::tenancy::registries_condemned_in(transaction, BATCH).await? {
        let Some(repository_id) = store::repositories::repository_first_in(transaction, registry_id).await?
        else {
            let expired =
                store::uploads::uploads_expire_of_registry_in(transaction, registry_id, times.now).await?;
            if expired > 0 {
                return Ok(expired);
            }
            // Its sessions go with the expired ones; until then the registry's row has to stay.
            if store::uploads::upload_of_registry_exists_in(transaction, registry_id).await? {
                continue;
            }
            return Ok(store::tenancy::registry_delete_in(transaction, registry_id).await?);
        };
        let files =
            store::python_files::files_remove_of_repository_in(transaction, repository_id, BATCH).await?;
        if files > 0 {
            return Ok(files);
        }
        let tags = store::tags::tags_delete_of_repository_in(transaction, repository_id, BATCH).await?;
        if tags > 0 {
            return Ok(tags);
        }
        let manifests =
            store::manifests::manifests_of_repository_in(transaction, repository_id, BATCH).await?;
        for (id,) in &manifests {
            store::manifests::manifest_delete_in(transaction, *id).await?;
        }
        if !manifests.is_empty() {
            return Ok(manifests.len() as u64);
        }
        let blobs = store::blobs::blobs_of_repository_in(transaction, repository_id, BATCH).await?;
        for (digest,) in &blobs {
            unlink_in(transaction, repository_id, digest, times.delete_after).await?;
        }
        if !blobs.is_empty() {
            return Ok(blobs.len() as u64);
        }
        return Ok(store::repositories::repository_delete_in(transaction, repository_id).await?);
    }
    Ok(0)
}
