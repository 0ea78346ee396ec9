//! Pushing a manifest: one transaction holds the manifest, its edges, its subject and its tags.

use std::collections::BTreeSet;

use bytes::Bytes;
use db::Transaction;
use oci::{Algorithm, AnyDigest, Digest, Manifest, ManifestError, Reference, Tag};

use super::content::{NewContent, manifest_store_in};
use crate::error::{Error, ErrorKind};
use crate::grant::{Granted, Push};
use crate::python::{AttestedFile, attested_in, check_foreign, python_shaped};
use crate::store::repositories::Format;
use crate::store::review::Kind;
use crate::tag::{Tagging, tag_lost_in, tag_move_in, tags_losing_in};
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
#[derive(Clone)]
struct NewPush {
    registry_id: i64,
    repository_name: String,
    content: NewContent,
    tags: Vec<String>,
    /// Whether the registry takes a manifest over content that is not there.
    sparse: bool,
    /// The file of a Python project that this is an attestation of.
    attested: Option<AttestedFile>,
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
        if python_shaped(&manifest) {
            self.python_manifest_push(granted, &manifest, &digest, &tags, body).await?;
            return Ok(pushed);
        }
        let attested = self.python_attestation_push(granted, &manifest).await?;
        let push = NewPush {
            registry_id: granted.resource.registry_id,
            repository_name: granted.name().repository().to_owned(),
            content: NewContent::gather(manifest, &digest, body, granted.caller.actor())?,
            // In the order in which everybody locks them.
            tags: tags
                .iter()
                .map(|tag| tag.as_str().to_owned())
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect(),
            sparse: granted.resource.sparse,
            attested,
        };
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

/// Writes everything and tells how many digests are missing, which only a sparse registry lets pass.
async fn push_in(transaction: &mut Transaction, push: NewPush, times: PushTimes) -> Result<usize, Error> {
    if push.attested.is_some() {
        transaction.lock(db::Lock::Python, push.registry_id).await?;
    }
    let (repository_id, format) = store::repositories::repository_claim_in(
        transaction,
        push.registry_id,
        &push.repository_name,
        Format::Oci,
        times.now,
    )
    .await?;
    if format == Format::Python {
        check_foreign(&push.repository_name, push.content.is_referrer(), &push.tags)?;
    }
    let losing = if times.collect_untagged {
        tags_losing_in(transaction, repository_id, &push.tags, times.review_after).await?
    } else {
        Vec::new()
    };
    let digest = push.content.digest();
    if push.tags.is_empty() && times.collect_untagged {
        store::review::review_add_in(transaction, repository_id, Kind::Untagged, digest, times.review_after)
            .await?;
    }
    let stored = manifest_store_in(transaction, repository_id, &push.content, push.sparse, times.now).await?;
    if let Some(attested) = push.attested.filter(|_| stored.is_new) {
        attested_in(transaction, attested, times.now).await?;
    }
    for tag in &push.tags {
        let tagging = Tagging { repository_id, tag, actor: push.content.pushed_by(), now: times.now };
        if let Some(lost) = tag_move_in(transaction, &tagging, stored.id, digest).await?
            && times.collect_untagged
        {
            tag_lost_in(transaction, repository_id, lost, &losing, times.review_after).await?;
        }
    }
    Ok(stored.missing)
}

fn invalid(error: &ManifestError) -> Error {
    let kind = match error {
        ManifestError::TooLarge { .. } => ErrorKind::ManifestTooLarge,
        _ => ErrorKind::ManifestInvalid,
    };
    Error::new(kind, error.to_string())
}
