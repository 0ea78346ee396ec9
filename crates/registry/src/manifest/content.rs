//! A manifest with everything that follows from what it says, and the one way to write it.

use bytes::Bytes;
use clock::Timestamp;
use db::Transaction;
use oci::{Digest, Manifest, ReferrerDescriptor};

use crate::error::{Error, ErrorKind};
use crate::store;
use crate::store::manifests::NewManifest;
use crate::store::referrers::NewReferrer;

/// A manifest to be written, gathered before the transaction begins.
#[derive(Clone)]
pub(crate) struct NewContent {
    manifest: NewManifest,
    /// What has to be in the repository: (digest, whether a manifest with this digest will do).
    required: Vec<(String, Requirement)>,
    edges: Vec<String>,
    referrer: Option<NewReferrer>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Requirement {
    Blob,
    Manifest,
}

/// What became of a manifest that was written.
pub(crate) struct StoredContent {
    pub(crate) id: i64,
    /// Whether the repository did not hold it before.
    pub(crate) is_new: bool,
    /// How many digests it names that the repository does not hold. Only sparse manifests name any.
    pub(crate) missing: usize,
}

impl NewContent {
    /// What there is to write for a manifest.
    pub(crate) fn gather(
        manifest: Manifest,
        digest: &Digest,
        body: Bytes,
        pushed_by: String,
    ) -> Result<Self, Error> {
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
            let requirement =
                if child.is_manifest_type() { Requirement::Manifest } else { Requirement::Blob };
            required.push((child.digest.as_str().to_owned(), requirement));
        }
        let referrer = match &manifest.subject {
            None => None,
            Some(subject) => {
                let descriptor = ReferrerDescriptor {
                    media_type: manifest.media_type.clone(),
                    digest: digest.clone(),
                    size: body.len() as u64,
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
        let manifest = NewManifest {
            digest: digest.as_str().to_owned(),
            media_type: manifest.media_type,
            artifact_type: manifest.artifact_type,
            config_type: manifest.config_media_type,
            body,
            pushed_by,
        };
        Ok(Self { manifest, required, edges, referrer })
    }

    pub(crate) fn digest(&self) -> &str {
        &self.manifest.digest
    }

    /// Its length in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.manifest.body.len() as u64
    }

    pub(crate) fn pushed_by(&self) -> &str {
        &self.manifest.pushed_by
    }

    /// Whether it refers to a subject.
    pub(crate) fn is_referrer(&self) -> bool {
        self.referrer.is_some()
    }
}

/// Writes a manifest with its edges and its entry in referrers lists, unless it is there already. What it names
/// is held from here on, and so is the manifest itself.
pub(crate) async fn manifest_store_in(
    transaction: &mut Transaction,
    repository_id: i64,
    new: &NewContent,
    sparse: bool,
    now: Timestamp,
) -> Result<StoredContent, Error> {
    let (id, missing) = loop {
        if let Some(id) = store::manifests::manifest_hold_in(transaction, repository_id, new.digest()).await?
        {
            // What it names is held by its edges already.
            store::manifests::manifest_retype_in(transaction, id, &new.manifest.media_type).await?;
            return Ok(StoredContent { id, is_new: false, missing: 0 });
        }
        let missing = missing_in(transaction, repository_id, &new.required).await?;
        // What a sparse manifest names and the repository lacks may come later; the edge waits for it.
        if !missing.is_empty() && !sparse {
            return Err(blobs_unknown(missing));
        }
        let made =
            store::manifests::manifest_insert_in(transaction, repository_id, &new.manifest, now).await?;
        if let Some(id) = made {
            break (id, missing);
        }
        // Somebody else pushed it meanwhile.
    };
    store::manifests::edges_insert_in(transaction, id, repository_id, &new.edges).await?;
    if let Some(referrer) = &new.referrer {
        store::referrers::referrer_insert_in(transaction, id, repository_id, referrer).await?;
    }
    Ok(StoredContent { id, is_new: true, missing: missing.len() })
}

/// What the manifest names and this very repository does not hold: what lies elsewhere on the server is
/// nobody's business here. What it does hold cannot go before the end of the transaction.
async fn missing_in(
    transaction: &mut Transaction,
    repository_id: i64,
    required: &[(String, Requirement)],
) -> Result<Vec<String>, Error> {
    let named = |wanted: Requirement| {
        let mut digests: Vec<String> = required
            .iter()
            .filter(|(_, requirement)| *requirement == wanted)
            .map(|(digest, _)| digest.clone())
            .collect();
        digests.sort_unstable();
        digests.dedup();
        digests
    };
    let (blobs, manifests) = (named(Requirement::Blob), named(Requirement::Manifest));
    let blobs = store::blobs::blobs_hold_in(transaction, repository_id, &blobs).await?;
    let manifests = store::manifests::manifests_hold_in(transaction, repository_id, &manifests).await?;
    let is_missing = |(digest, requirement): &&(String, Requirement)| match requirement {
        Requirement::Blob => blobs.binary_search(digest).is_err(),
        Requirement::Manifest => manifests.binary_search(digest).is_err(),
    };
    Ok(required.iter().filter(is_missing).map(|(digest, _)| digest.clone()).collect())
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
