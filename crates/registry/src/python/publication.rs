//! The one transaction in which a file joins the index.

use std::time::Duration;

use db::Transaction;
use oci::UploadId;
use python::{EMPTY_CONFIG, EMPTY_CONFIG_SHA256, FileName, NormalizedName, ProjectName, Status, Version};
use sha2::{Digest as _, Sha256};

use super::attest::{NewAttestation, attestations_add_in};
use super::release::{MANIFEST_TYPE, ProjectPlace, own_manifest, release_refresh_in};
use super::{PythonSettings, Times, hex_digest};
use crate::blob::{StoredObject, object_adopt_in};
use crate::error::{Error, ErrorKind, PackageFault, What};
use crate::grant::quarantined;
use crate::manifest::manifest_store_in;
use crate::store;
use crate::store::python_files::{FileRow, NewFile};
use crate::store::python_projects::{NewProject, ProjectRow};
use crate::store::repositories::Format;
use crate::tag::{Tagging, tag_move_in};

/// Bytes that wait under a session until something names them.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) session: UploadId,
    pub(super) object: StoredObject,
}

/// Everything that is written when a file joins, gathered before the transaction begins.
#[derive(Clone, Debug)]
pub(super) struct Publication {
    pub(super) registry_id: i64,
    pub(super) settings: PythonSettings,
    pub(super) file: FileName,
    /// The project as METADATA spells it.
    pub(super) display_name: ProjectName,
    /// The version as METADATA spells it.
    pub(super) version: Version,
    pub(super) sha256: String,
    pub(super) size: u64,
    pub(super) requires_python: Option<String>,
    pub(super) metadata: Vec<u8>,
    pub(super) metadata_sha256: String,
    pub(super) manifest: Vec<u8>,
    pub(super) warnings: Vec<String>,
    pub(super) actor: String,
    /// The file's bytes; `None` when the repository has them as a blob already.
    pub(super) content: Option<Held>,
    /// The config that all file manifests share; `None` when the server holds it already.
    pub(super) empty_config: Option<Held>,
    pub(super) attestations: Vec<NewAttestation>,
    pub(super) times: Times,
    pub(super) trash_delay: Duration,
    /// When it joined, when that is not now.
    pub(super) uploaded_at: Option<clock::Timestamp>,
}

/// What becomes of a file that exists already.
pub(super) enum Duplicate {
    /// It is the same: nothing is to be done.
    Same(Box<FileRow>),
    /// It is not there and never was.
    None,
}

/// Compares a file with the one of that name, if there is one.
pub(super) fn compare(existing: Option<FileRow>, file: &FileName, sha256: &str) -> Result<Duplicate, Error> {
    let Some(row) = existing else { return Ok(Duplicate::None) };
    let refused = |fault, message| Err(Error::new(ErrorKind::Package(fault), message));
    if row.deleted_at.is_some() {
        let message = format!(
            "This filename was previously used by a deleted file ('{}') and stays used; use a new version",
            row.filename
        );
        return refused(PackageFault::Deleted, message);
    }
    if row.filename != file.as_str() {
        let message = format!(
            "File already exists ('{}', the same name spelled differently); use a new version",
            row.filename
        );
        return refused(PackageFault::Exists, message);
    }
    if row.sha256 != sha256 {
        let message = format!(
            "File already exists ('{}'): content differs (sha256 {} stored, {} sent); use a new version",
            row.filename,
            short(&row.sha256),
            short(sha256)
        );
        return refused(PackageFault::Exists, message);
    }
    Ok(Duplicate::Same(Box::new(row)))
}

/// Enough of a digest to tell two apart in a line that terminals cut.
fn short(sha256: &str) -> &str {
    sha256.get(..16).unwrap_or(sha256)
}

/// Writes it all and tells whether the file is new.
pub(super) async fn publish_in(transaction: &mut Transaction, new: Publication) -> Result<bool, Error> {
    let times = new.times;
    transaction.lock(db::Lock::Python, new.registry_id).await?;
    for held in new.content.iter().chain(&new.empty_config).chain(new.attestations.iter().map(|it| &it.held))
    {
        if store::uploads::upload_abandon_in(transaction, held.session.as_str()).await?.is_none() {
            return Err(Error::not_found(What::Upload, "the upload has expired; send the file again"));
        }
    }
    let name = new.file.project();
    let (repository_id, format) = store::repositories::repository_claim_in(
        transaction,
        new.registry_id,
        name.as_str(),
        Format::Python,
        times.now,
    )
    .await?;
    if format != Format::Python {
        return Err(Error::new(
            ErrorKind::Package(PackageFault::NameTaken),
            format!(
                "repository {name} of this registry holds other artifacts, so no Python project can be called \
                 so; choose another name or another registry"
            ),
        ));
    }
    let project = project_ensure_in(transaction, repository_id, &new).await?;
    check_status(name, project.status, project.status_reason.as_deref())?;
    let place = ProjectPlace { id: project.id, repository_id };
    let canonical = new.file.canonical();
    let existing = store::python_files::file_by_canonical_in(transaction, project.id, &canonical).await?;
    if let Duplicate::Same(row) = compare(existing, &new.file, &new.sha256)? {
        // Both are there already, so what was brought of them goes to the trash.
        for held in new.content.iter().chain(&new.empty_config) {
            object_adopt_in(transaction, &held.object, times.now, new.trash_delay).await?;
        }
        attestations_add_in(transaction, place, &row, &new.attestations, &new.actor, times, new.trash_delay)
            .await?;
        return Ok(false);
    }
    link_in(transaction, repository_id, &new).await?;
    let manifest = own_manifest(MANIFEST_TYPE, new.manifest, &new.actor)?;
    let manifest_size = manifest.size();
    let stored = manifest_store_in(transaction, repository_id, &manifest, false, times.now).await?;
    let key = new.version.sort_key();
    let release = store::python_projects::release_ensure_in(
        transaction,
        project.id,
        &key,
        &new.version.to_string(),
        times.now,
    )
    .await?;
    let display: Version = release.version.parse()?;
    let tag = python::file_tag(&new.file, &display);
    let tagging = Tagging { repository_id, tag: &tag, actor: &new.actor, now: times.now };
    tag_move_in(transaction, &tagging, stored.id, manifest.digest()).await?;
    store::python_files::metadata_put_in(transaction, &new.metadata_sha256, new.metadata).await?;
    let row = NewFile {
        project_id: project.id,
        release_id: release.id,
        canonical: canonical.clone(),
        filename: new.file.as_str().to_owned(),
        kind: new.file.kind().as_str(),
        sha256: new.sha256,
        size: new.size,
        requires_python: new.requires_python,
        metadata_sha256: new.metadata_sha256,
        manifest_digest: manifest.digest().to_owned(),
        manifest_size,
        tag,
        warnings: serde_json::to_string(&new.warnings)
            .map_err(|error| Error::unavailable("cannot write down the warnings", error))?,
        uploaded_at: new.uploaded_at.unwrap_or(times.now),
        uploaded_by: new.actor.clone(),
    };
    store::python_files::file_insert_in(transaction, &row).await?;
    release_refresh_in(transaction, place, &release, &new.actor, times).await?;
    if !new.attestations.is_empty()
        && let Some(row) =
            store::python_files::file_by_canonical_in(transaction, project.id, &canonical).await?
    {
        attestations_add_in(transaction, place, &row, &new.attestations, &new.actor, times, new.trash_delay)
            .await?;
    }
    Ok(true)
}

/// The hash under which the server holds the config that all file manifests name.
pub(super) fn empty_config_sha256() -> [u8; 32] {
    Sha256::digest(EMPTY_CONFIG).into()
}

/// Links the file and the config that every file manifest names.
async fn link_in(transaction: &mut Transaction, repository_id: i64, new: &Publication) -> Result<(), Error> {
    let now = new.times.now;
    let digest = hex_digest(&new.sha256);
    // A link that was made before may be about to be collected; the look at it waits for the manifest that names it.
    for digest in [digest.as_str(), EMPTY_CONFIG_SHA256] {
        let after = new.times.review_after;
        store::review::review_of_blob_postpone_in(transaction, repository_id, digest, after).await?;
    }
    if let Some(held) = &new.content {
        let object = object_adopt_in(transaction, &held.object, now, new.trash_delay).await?;
        store::blobs::blob_link_in(transaction, repository_id, &digest, object, now).await?;
    }
    let empty = empty_config_sha256();
    let object = match (&new.empty_config, store::blobs::object_hold_by_sha256_in(transaction, empty).await?)
    {
        (Some(held), _) => object_adopt_in(transaction, &held.object, now, new.trash_delay).await?,
        (None, Some((id, _, _))) => id,
        // It was there a moment ago and its last user went meanwhile.
        (None, None) => return Err(Error::unavailable("try again", "the empty config was collected")),
    };
    store::blobs::blob_link_in(transaction, repository_id, EMPTY_CONFIG_SHA256, object, now).await?;
    Ok(())
}

/// The project's row; a new one when the name may be taken.
async fn project_ensure_in(
    transaction: &mut Transaction,
    repository_id: i64,
    new: &Publication,
) -> Result<ProjectRow, Error> {
    let name = new.file.project();
    if let Some(found) =
        store::python_projects::project_get_in(transaction, new.registry_id, name.as_str()).await?
    {
        return Ok(found);
    }
    let similarity_key = name.similarity_key();
    if !new.settings.allow_standard_library_names && python::is_standard_library(name) {
        return Err(Error::new(
            ErrorKind::Package(PackageFault::NameReserved),
            format!(
                "project {name} would be called like a module of Python itself; choose another name, or let an \
                 administrator allow such names in this registry"
            ),
        ));
    }
    if !new.settings.allow_similar_names
        && let Some(other) =
            store::python_projects::project_similar_in(transaction, new.registry_id, &similarity_key).await?
    {
        return Err(Error::new(
            ErrorKind::Package(PackageFault::NameSimilar),
            format!(
                "project name {name} is too similar to existing project '{other}'; choose another name, or let \
                 an administrator allow similar names in this registry"
            ),
        ));
    }
    let project = NewProject {
        registry_id: new.registry_id,
        repository_id,
        name: name.as_str(),
        display_name: new.display_name.as_str(),
        similarity_key: &similarity_key,
    };
    store::python_projects::project_insert_in(transaction, &project, new.times.now).await?;
    store::python_projects::project_get_in(transaction, new.registry_id, name.as_str())
        .await?
        .ok_or_else(|| Error::unavailable("a project vanished while it was made", "no row"))
}

/// Whether the project takes new files.
pub(super) fn check_status(name: &NormalizedName, status: Status, reason: Option<&str>) -> Result<(), Error> {
    match status {
        Status::Active | Status::Deprecated => Ok(()),
        Status::Archived => {
            let because = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
            Err(Error::new(
                ErrorKind::Package(PackageFault::Archived),
                format!(
                    "project {name} is archived{because} and takes no new files; an administrator of the \
                     registry can make it active again"
                ),
            ))
        }
        Status::Quarantined => Err(quarantined(name.as_str(), reason.unwrap_or_default())),
    }
}
