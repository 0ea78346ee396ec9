//! Deleting a file, which leaves its name used up, and bringing one back.

use db::Transaction;

use super::manage::{PythonTarget, check_reason};
use super::release::{MANIFEST_TYPE, ProjectPlace, own_manifest, release_refresh_in};
use super::{Times, hex_digest, project_hold_in};
use crate::collect::removal_announce_in;
use crate::error::{Error, ErrorKind};
use crate::grant::{Granted, PackagesDelete, PackagesManage};
use crate::manifest::manifest_store_in;
use crate::store::python_files::FileRow;
use crate::tag::{Tagging, tag_move_in, tag_remove_in};
use crate::{Registry, store};

impl Registry {
    /// Deletes a file or all files of a release. The names stay used: they never stand for other content.
    pub async fn python_delete(
        &self,
        granted: &Granted<PackagesDelete>,
        name: &python::NormalizedName,
        target: &PythonTarget,
        reason: Option<&str>,
    ) -> Result<(), Error> {
        check_reason(reason)?;
        let registry_id = granted.resource.registry_id;
        let place = self.project_place(granted, name).await?;
        let files = self.target_files(&place, name, target, |row| row.deleted_at.is_none()).await?;
        let (actor, times) = (granted.caller.actor(), self.python_times());
        let reason = reason.map(str::to_owned);
        self.db()
            .write(db::Durability::Durable, move |transaction| {
                Box::pin(async move {
                    project_hold_in(transaction, registry_id, place).await?;
                    for file in &files {
                        delete_in(transaction, place, file, &actor, reason.as_deref(), times).await?;
                    }
                    Ok(())
                })
            })
            .await
    }

    /// Brings a deleted file, or all deleted files of a release, back as they were, while their bytes are
    /// still there.
    pub async fn python_restore(
        &self,
        granted: &Granted<PackagesManage>,
        name: &python::NormalizedName,
        target: &PythonTarget,
    ) -> Result<(), Error> {
        let registry_id = granted.resource.registry_id;
        let place = self.project_place(granted, name).await?;
        let files = self.target_files(&place, name, target, |row| row.deleted_at.is_some()).await?;
        let (actor, times) = (granted.caller.actor(), self.python_times());
        self.db()
            .write(db::Durability::Durable, move |transaction| {
                Box::pin(async move {
                    project_hold_in(transaction, registry_id, place).await?;
                    for file in &files {
                        restore_in(transaction, place, file, &actor, times).await?;
                    }
                    Ok(())
                })
            })
            .await
    }
}

/// Deletes the file whose manifest this is; the caller has the lock of the registry's index. `false` when it is the manifest of no file.
pub(crate) async fn python_file_delete_in(
    transaction: &mut Transaction,
    repository_id: i64,
    manifest_digest: &str,
    actor: &str,
    times: Times,
) -> Result<bool, Error> {
    let found = store::python_projects::project_of_repository_in(transaction, repository_id).await?;
    let Some(project) = found else { return Ok(false) };
    let file = store::python_files::file_by_manifest_in(transaction, project, manifest_digest).await?;
    let Some(file) = file.filter(|file| file.deleted_at.is_none()) else { return Ok(false) };
    let place = ProjectPlace { id: project, repository_id };
    delete_in(transaction, place, &file, actor, None, times).await?;
    Ok(true)
}

async fn delete_in(
    transaction: &mut Transaction,
    place: ProjectPlace,
    file: &FileRow,
    actor: &str,
    reason: Option<&str>,
    times: Times,
) -> Result<(), Error> {
    let repository_id = place.repository_id;
    let digest = file.manifest_digest.as_str();
    // Somebody else may have deleted it since it was found.
    let Some(manifest_id) = store::manifests::manifest_id_in(transaction, repository_id, digest).await?
    else {
        return Ok(());
    };
    // Earlier indexes of the release still name it, and go with it.
    let mut leaving = vec![manifest_id];
    for holder in store::manifests::edge_holders_in(transaction, repository_id, digest).await? {
        leaving.extend(store::manifests::manifest_id_in(transaction, repository_id, &holder).await?);
    }
    for id in leaving {
        removal_announce_in(transaction, id, times.review_after, times.review_after).await?;
    }
    if store::manifests::manifest_take_in(transaction, repository_id, digest).await?.is_none() {
        return Ok(());
    }
    let body = store::manifests::manifest_body_in(transaction, manifest_id).await?;
    store::python_files::file_delete_in(transaction, file.id, body, actor, reason, times.now).await?;
    let release = store::python_projects::release_by_id_in(transaction, file.release_id).await?;
    release_refresh_in(transaction, place, &release, actor, times).await?;
    for (tag,) in store::tags::tags_take_of_manifest_in(transaction, manifest_id).await? {
        let tagging = Tagging { repository_id, tag: &tag, actor, now: times.now };
        tag_remove_in(transaction, &tagging).await?;
    }
    while let Some(holder) = store::manifests::edge_holder_in(transaction, repository_id, digest).await? {
        let Some(id) = store::manifests::manifest_take_in(transaction, repository_id, &holder).await? else {
            continue;
        };
        // What refers to a file may list others too, and is not the server's own.
        if store::referrers::referrer_subject_in(transaction, id).await?.is_some() {
            return Err(Error::new(
                ErrorKind::Forbidden,
                format!("index {holder} still names manifest {digest}; delete the index first"),
            ));
        }
        store::manifests::manifest_delete_in(transaction, id).await?;
    }
    store::manifests::manifest_delete_in(transaction, manifest_id).await?;
    Ok(())
}

async fn restore_in(
    transaction: &mut Transaction,
    place: ProjectPlace,
    file: &FileRow,
    actor: &str,
    times: Times,
) -> Result<(), Error> {
    let repository_id = place.repository_id;
    let content = hex_digest(&file.sha256);
    for digest in [content.as_str(), python::EMPTY_CONFIG_SHA256] {
        if store::blobs::blob_object_in(transaction, repository_id, digest).await?.is_none() {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "the content of '{}' was collected after it was deleted and cannot come back; upload a new \
                     version",
                    file.filename
                ),
            ));
        }
    }
    // Nothing is kept of a file that somebody else has brought back since.
    let Some(body) = store::python_files::file_restore_in(transaction, file.id).await? else { return Ok(()) };
    let manifest = own_manifest(MANIFEST_TYPE, body, &file.uploaded_by)?;
    let stored = manifest_store_in(transaction, repository_id, &manifest, false, times.now).await?;
    let tagging = Tagging { repository_id, tag: &file.tag, actor, now: times.now };
    tag_move_in(transaction, &tagging, stored.id, manifest.digest()).await?;
    let release = store::python_projects::release_by_id_in(transaction, file.release_id).await?;
    release_refresh_in(transaction, place, &release, actor, times).await
}
