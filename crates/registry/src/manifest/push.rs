//! Pushing a manifest: one transaction holds the manifest, its edges, its subject and its tags.

use bytes::Bytes;
use db::Transaction;
use oci::{Algorithm, AnyDigest, Digest, Manifest, ManifestError, Reference, ReferrerDescriptor, Tag};

use crate::error::{Error, ErrorKind};
use crate::grant::{Granted, Push};
use crate::store::manifests::NewManifest;
use crate::store::referrers::NewReferrer;
use crate::store::review::Kind;
use crate::{Registry, store};

/// A manifest that was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestPushed {
    /// Its digest: the one that the client named, or the SHA-256 of the body.
    pub digest: Digest,
    /// The subject that it refers to, as the body has it.
    pub subject: Option<AnyDigest>,
    /// The tags that were set from the query.
    pub tags: Vec<Tag>,
    /// How many digests it names that the repository does not hold. Only sparse manifests name any.
    pub missing: usize,
}

/// Everything that a push writes, gathered before the transaction begins.
struct NewPush {
    registry_id: i64,
    repository_name: String,
    manifest: NewManifest,
    /// What has to be in the repository: (digest, whether a manifest with this digest will do).
    required: Vec<(String, Requirement)>,
    edges: Vec<String>,
    referrer: Option<NewReferrer>,
    tags: Vec<String>,
    /// Whether the registry takes a manifest over content that is not there.
    sparse: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Requirement {
    Blob,
    Manifest,
}

impl Registry {
    /// Stores a manifest under a tag or its digest, and under further tags when it comes by digest.
    pub async fn manifest_push(
        &self,
        granted: &Granted<Push>,
        reference: &Reference,
        tags: &[Tag],
        content_type: Option<&str>,
        body: Bytes,
    ) -> Result<ManifestPushed, Error> {
        let manifest = Manifest::parse(content_type, &body).map_err(|error| invalid(&error))?;
        let (digest, tags) = match reference {
            Reference::Digest(digest) => {
                if !digest.matches(&body) {
                    let actual = Digest::of(digest.algorithm(), &body);
                    return Err(Error::new(
                        ErrorKind::DigestMismatch,
                        format!("the manifest hashes to {actual} and not to {digest}"),
                    ));
                }
                (digest.clone(), tags.to_vec())
            }
            Reference::Tag(tag) => (Digest::of(Algorithm::Sha256, &body), vec![tag.clone()]),
        };
        let mut pushed = ManifestPushed {
            digest: digest.clone(),
            subject: manifest.subject.as_ref().map(|subject| subject.digest.clone()),
            tags: if matches!(reference, Reference::Digest(_)) { tags.clone() } else { Vec::new() },
            missing: 0,
        };
        let push = gather(granted, manifest, &digest, &tags, body)?;
        let times = PushTimes {
            now: self.now(),
            review_after: self.now() + self.settings().grace,
            collect_untagged: self.settings().collect_untagged,
        };
        crash_point!("registry::manifest_before_commit");
        pushed.missing = self
            .db()
            .write(db::Durability::Durable, move |transaction| {
                Box::pin(async move { push_in(transaction, push, times).await })
            })
            .await?;
        crash_point!("registry::manifest_after_commit");
        Ok(pushed)
    }
}

#[derive(Clone, Copy)]
struct PushTimes {
    now: clock::Timestamp,
    review_after: clock::Timestamp,
    collect_untagged: bool,
}

fn gather(
    granted: &Granted<Push>,
    manifest: Manifest,
    digest: &Digest,
    tags: &[Tag],
    body: Bytes,
) -> Result<NewPush, Error> {
    let mut required = Vec::new();
    let mut edges = Vec::new();
    for blob in &manifest.blobs {
        edges.push(blob.digest.as_str().to_owned());
        if !blob.optional {
            required.push((blob.digest.as_str().to_owned(), Requirement::Blob));
        }
    }
    for child in &manifest.children {
        edges.push(child.digest.as_str().to_owned());
        // An index may name blobs: a build cache does. Its type says which of the two it is.
        let requirement = if child.is_manifest_type() { Requirement::Manifest } else { Requirement::Blob };
        required.push((child.digest.as_str().to_owned(), requirement));
    }
    let size = body.len() as u64;
    let referrer = match &manifest.subject {
        None => None,
        Some(subject) => {
            let descriptor = ReferrerDescriptor {
                media_type: manifest.media_type.clone(),
                digest: digest.clone(),
                size,
                artifact_type: manifest.artifact_type.clone(),
                annotations: manifest.annotations.clone(),
            };
            Some(NewReferrer {
                subject: subject.digest.as_str().to_owned(),
                artifact_type: manifest.artifact_type.clone(),
                made_at: manifest.created.unwrap_or(0),
                descriptor: serde_json::to_string(&descriptor)
                    .map_err(|error| Error::unavailable("cannot describe the manifest", error))?,
            })
        }
    };
    Ok(NewPush {
        registry_id: granted.resource.registry_id,
        repository_name: granted.name().repository().to_owned(),
        manifest: NewManifest {
            repository_id: 0,
            digest: digest.as_str().to_owned(),
            media_type: manifest.media_type,
            artifact_type: manifest.artifact_type,
            config_type: manifest.config_media_type,
            body,
            pushed_by: granted.caller.actor(),
        },
        required,
        edges,
        referrer,
        tags: tags.iter().map(|tag| tag.as_str().to_owned()).collect(),
        sparse: granted.resource.sparse,
    })
}

/// Writes everything and tells how many digests are missing, which only a sparse registry lets pass.
async fn push_in(transaction: &mut Transaction, mut push: NewPush, times: PushTimes) -> Result<usize, Error> {
    let repository_id = store::repositories::repository_ensure_in(
        transaction,
        push.registry_id,
        &push.repository_name,
        times.now,
    )
    .await?;
    push.manifest.repository_id = repository_id;
    let mut absent = 0;
    let existing =
        store::manifests::manifest_id_in(transaction, repository_id, &push.manifest.digest).await?;
    let manifest_id = if let Some(id) = existing {
        // What it names is held by its edges already.
        store::manifests::manifest_retype_in(transaction, id, &push.manifest.media_type).await?;
        id
    } else {
        let missing = missing_in(transaction, repository_id, &push.required).await?;
        // What a sparse manifest names and the repository lacks may come later; the edge waits for it.
        absent = missing.len();
        if absent > 0 && !push.sparse {
            return Err(blobs_unknown(missing));
        }
        let id = store::manifests::manifest_insert_in(transaction, &push.manifest, times.now).await?;
        for target in &push.edges {
            store::manifests::edge_insert_in(transaction, id, repository_id, target).await?;
        }
        if let Some(referrer) = &push.referrer {
            store::referrers::referrer_insert_in(transaction, id, repository_id, referrer).await?;
        }
        id
    };
    for tag in &push.tags {
        tag_move_in(transaction, repository_id, tag, manifest_id, &push.manifest, times).await?;
    }
    if push.tags.is_empty() && existing.is_none() && times.collect_untagged {
        let digest = &push.manifest.digest;
        store::review::review_add_in(transaction, repository_id, Kind::Untagged, digest, times.review_after)
            .await?;
    }
    Ok(absent)
}

/// What the manifest names and this very repository does not hold: what lies elsewhere on the server is
/// nobody's business here.
async fn missing_in(
    transaction: &mut Transaction,
    repository_id: i64,
    required: &[(String, Requirement)],
) -> Result<Vec<String>, Error> {
    let mut missing = Vec::new();
    for (digest, requirement) in required {
        let found = match requirement {
            Requirement::Manifest => {
                store::manifests::manifest_id_in(transaction, repository_id, digest).await?.is_some()
            }
            Requirement::Blob => {
                store::blobs::blob_object_in(transaction, repository_id, digest).await?.is_some()
            }
        };
        if !found {
            missing.push(digest.clone());
        }
    }
    Ok(missing)
}

fn blobs_unknown(missing: Vec<String>) -> Error {
    let first = missing.first().map(String::as_str).unwrap_or_default();
    let message = format!(
        "the manifest names {} that the repository does not hold, first {first}; push or mount that content to \
         this repository, then push the manifest again",
        if missing.len() == 1 { "1 digest".to_owned() } else { format!("{} digests", missing.len()) },
    );
    Error::new(ErrorKind::ManifestBlobUnknown { missing }, message)
}

async fn tag_move_in(
    transaction: &mut Transaction,
    repository_id: i64,
    tag: &str,
    manifest_id: i64,
    manifest: &NewManifest,
    times: PushTimes,
) -> Result<(), Error> {
    let before = store::tags::tag_get_in(transaction, repository_id, tag).await?;
    if before.as_ref().is_some_and(|(id, _)| *id == manifest_id) {
        return Ok(());
    }
    store::tags::tag_put_in(transaction, repository_id, tag, manifest_id, times.now).await?;
    store::tags::tag_history_add_in(
        transaction,
        repository_id,
        tag,
        Some(&manifest.digest),
        &manifest.pushed_by,
        times.now,
    )
    .await?;
    if let Some((_, lost)) = before
        && times.collect_untagged
    {
        store::review::review_add_in(transaction, repository_id, Kind::Untagged, &lost, times.review_after)
            .await?;
    }
    Ok(())
}

fn invalid(error: &ManifestError) -> Error {
    let kind = match error {
        ManifestError::TooLarge { .. } => ErrorKind::ManifestTooLarge,
        _ => ErrorKind::ManifestInvalid,
    };
    Error::new(kind, error.to_string())
}
