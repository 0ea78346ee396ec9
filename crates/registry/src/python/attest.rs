//! Attestations (PEP 740): kept as artifacts that refer to the file's manifest.

use std::time::Duration;

use db::Transaction;
use sha2::{Digest as _, Sha256};

use super::publication::Held;
use super::release::{MANIFEST_TYPE, ProjectPlace, own_manifest};
use super::{Times, hex_digest};
use crate::blob::object_adopt_in;
use crate::error::Error;
use crate::manifest::manifest_store_in;
use crate::store;
use crate::store::python_files::FileRow;

/// An attestation whose bytes wait in the store.
#[derive(Clone, Debug)]
pub(super) struct NewAttestation {
    pub(super) predicate_type: String,
    pub(super) size: u64,
    /// In hexadecimal digits.
    pub(super) sha256: String,
    pub(super) held: Held,
}

/// The SHA-256 of an attestation's bytes in hexadecimal digits.
pub(super) fn sha256_of(json: &[u8]) -> String {
    hex::encode(Sha256::digest(json))
}

/// Makes each attestation that is not there yet a referrer of the file's manifest.
pub(super) async fn attestations_add_in(
    transaction: &mut Transaction,
    project: ProjectPlace,
    file: &FileRow,
    attestations: &[NewAttestation],
    actor: &str,
    times: Times,
    trash_delay: Duration,
) -> Result<(), Error> {
    if attestations.is_empty() {
        return Ok(());
    }
    let repository_id = project.repository_id;
    let manifest = store::manifests::manifest_hold_in(transaction, repository_id, &file.manifest_digest)
        .await?
        .ok_or_else(|| Error::unavailable("a file has lost its manifest", "no row"))?;
    let subject_size = store::manifests::manifest_body_in(transaction, manifest).await?.len() as u64;
    let mut added = 0;
    for new in by_content(attestations) {
        let object = object_adopt_in(transaction, &new.held.object, times.now, trash_delay).await?;
        let digest = hex_digest(&new.sha256);
        store::blobs::blob_link_in(transaction, repository_id, &digest, object, times.now).await?;
        let body = python::attestation_manifest(
            &file.manifest_digest,
            subject_size,
            &new.sha256,
            new.size,
            &new.predicate_type,
        );
        let content = own_manifest(MANIFEST_TYPE, body, actor)?;
        let stored = manifest_store_in(transaction, repository_id, &content, false, times.now).await?;
        added += u64::from(stored.is_new);
    }
    if added > 0 {
        store::python_files::file_attestations_add_in(transaction, file.id, added).await?;
        store::python_projects::project_touch_in(transaction, project.id, times.now).await?;
    }
    Ok(())
}

/// In the order in which everybody locks objects.
fn by_content(attestations: &[NewAttestation]) -> Vec<&NewAttestation> {
    let mut sorted: Vec<&NewAttestation> = attestations.iter().collect();
    sorted.sort_unstable_by(|one, other| one.sha256.cmp(&other.sha256));
    sorted
}
