//! What follows when the files of a release change: its index and its tag.

use std::time::Duration;

use bytes::Bytes;
use db::Transaction;
use oci::{Algorithm, Digest, Manifest};
use python::{IndexEntry, Version, release_index, version_tag};

use super::Times;
use crate::error::Error;
use crate::manifest::{NewContent, manifest_store_in};
use crate::store;
use crate::store::python_projects::ReleaseRow;
use crate::store::review::Kind;
use crate::tag::{Tagging, tag_move_in, tag_remove_in};

/// How long an index that a newer one replaced can still be pulled by its digest: as long as it was the current
/// one, within these bounds. Whoever pulls it now gets to its end, and whoever pinned it has time to notice;
/// but the many that the upload of one release makes are soon gone.
const SUPERSEDED_AT_LEAST: Duration = Duration::from_mins(10);
const SUPERSEDED_AT_MOST: Duration = Duration::from_hours(7 * 24);

pub(super) const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
pub(super) const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

/// A project's row and repository, as far as writing needs them.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProjectPlace {
    pub(super) id: i64,
    pub(super) repository_id: i64,
}

/// A manifest that the server makes itself, as one that somebody pushed.
pub(super) fn own_manifest(media_type: &str, body: Vec<u8>, actor: &str) -> Result<NewContent, Error> {
    let body = Bytes::from(body);
    let manifest = Manifest::parse(Some(media_type), &body)
        .map_err(|error| Error::unavailable("the server made a manifest that it cannot read", error))?;
    let digest = Digest::of(Algorithm::Sha256, &body);
    NewContent::gather(manifest, &digest, body, actor.to_owned())
}

/// Points the tag of a release at what its files now are: nothing, the one file, or an index of them.
pub(super) async fn release_refresh_in(
    transaction: &mut Transaction,
    project: ProjectPlace,
    release: &ReleaseRow,
    actor: &str,
    times: Times,
) -> Result<(), Error> {
    let repository_id = project.repository_id;
    let version: Version = release
        .version
        .parse()
        .map_err(|error: python::Invalid| Error::unavailable("a stored version cannot be read", error))?;
    let tag = version_tag(&version);
    let tagging = Tagging { repository_id, tag: &tag, actor, now: times.now };
    let files = store::python_files::files_of_index_in(transaction, release.id).await?;
    let lost = match files.as_slice() {
        [] => tag_remove_in(transaction, &tagging).await?,
        [only] => {
            let id = store::manifests::manifest_hold_in(transaction, repository_id, &only.manifest_digest)
                .await?
                .ok_or_else(|| Error::unavailable("a file has lost its manifest", "run larder scrub"))?;
            tag_move_in(transaction, &tagging, id, &only.manifest_digest).await?
        }
        _ => {
            let mut entries: Vec<IndexEntry<'_>> = files
                .iter()
                .map(|file| IndexEntry {
                    file: &file.filename,
                    sha256: &file.sha256,
                    requires_python: file.requires_python.as_deref(),
                    manifest_digest: &file.manifest_digest,
                    manifest_size: file.manifest_size,
                })
                .collect();
            let index = own_manifest(INDEX_TYPE, release_index(&mut entries), actor)?;
            let stored = manifest_store_in(transaction, repository_id, &index, false, times.now).await?;
            tag_move_in(transaction, &tagging, stored.id, index.digest()).await?
        }
    };
    // What lost the tag is an index that nobody needs for long, or a file, which has a tag of its own.
    if let Some(lost) = lost
        && let Some(lost) = store::manifests::manifest_digest_in(transaction, lost).await?
        && store::python_files::file_by_manifest_in(transaction, project.id, &lost).await?.is_none()
    {
        let since = store::manifests::manifest_created_in(transaction, repository_id, &lost).await?;
        let current = since.map_or(Duration::ZERO, |since| times.now.since(since));
        let after = times.now + current.clamp(SUPERSEDED_AT_LEAST, SUPERSEDED_AT_MOST);
        store::review::review_add_in(transaction, repository_id, Kind::Untagged, &lost, after).await?;
    }
    store::python_projects::project_touch_in(transaction, project.id, times.now).await?;
    Ok(())
}
