use bytes::Bytes;
use oci::{Digest, Reference};

use crate::error::{Error, What};
use crate::grant::{Granted, Pull};
use crate::store::manifests::ManifestRow;
use crate::{Registry, store};

/// What is known of a manifest without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestStat {
    /// The digest under which it was pushed, in the client's algorithm.
    pub digest: Digest,
    /// The media type with which it was pushed.
    pub media_type: String,
    /// Its length in bytes.
    pub size: u64,
}

/// A manifest with its bytes, exactly as they were pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestContent {
    /// What is known of it.
    pub stat: ManifestStat,
    /// The bytes.
    pub body: Bytes,
}

impl Registry {
    /// A manifest by tag or digest.
    pub async fn manifest_pull(
        &self,
        granted: &Granted<Pull>,
        reference: &Reference,
    ) -> Result<ManifestContent, Error> {
        let mut row = self.manifest_row(granted, reference, true).await?;
        let body = Bytes::from(std::mem::take(&mut row.body));
        Ok(ManifestContent { stat: stat(row)?, body })
    }

    /// What a pull would return, without the bytes.
    pub async fn manifest_stat(
        &self,
        granted: &Granted<Pull>,
        reference: &Reference,
    ) -> Result<ManifestStat, Error> {
        stat(self.manifest_row(granted, reference, false).await?)
    }

    async fn manifest_row(
        &self,
        granted: &Granted<Pull>,
        reference: &Reference,
        with_body: bool,
    ) -> Result<ManifestRow, Error> {
        let repository_id = granted.existing()?;
        let row = match reference {
            Reference::Tag(tag) => {
                store::manifests::manifest_by_tag(self.db(), repository_id, tag.as_str(), with_body).await?
            }
            Reference::Digest(digest) => {
                store::manifests::manifest_by_digest(self.db(), repository_id, digest.as_str(), with_body)
                    .await?
            }
        };
        row.ok_or_else(|| unknown(granted.name(), reference))
    }
}

fn stat(row: ManifestRow) -> Result<ManifestStat, Error> {
    let digest = row.digest.parse().map_err(|error: oci::DigestError| {
        Error::unavailable("the server's database holds a digest that is none", error)
    })?;
    Ok(ManifestStat { digest, media_type: row.media_type, size: row.size })
}

/// The honest "not there".
pub(super) fn unknown(name: &oci::RepositoryName, reference: &Reference) -> Error {
    let message = match reference {
        Reference::Tag(tag) => format!("tag {tag} is not in repository {name}; list its tags to see what is"),
        Reference::Digest(digest) => format!("manifest {digest} is not in repository {name}"),
    };
    Error::not_found(What::Manifest, message)
}
