//! From a method, a path and a query to one typed value: the only place that reads registry paths.
//!
//! Whoever authorises a request and whoever answers it look at the same [`Call`], so they cannot disagree
//! about what it is aimed at (OCI distribution-spec, "Endpoints"; Docker Registry HTTP API V2 for the
//! catalog; ORAS artifacts-spec, manifest-referrers-api.md).

mod error;
mod path;
mod query;
#[cfg(test)]
mod tests;
mod upload_id;

use http::Method;

use crate::digest::{Algorithm, AnyDigest, Digest};
use crate::name::RepositoryName;
use crate::reference::{Reference, Tag};

pub use error::{CallError, CallErrorReason};
pub use query::MAX_TAGS_PER_PUSH;
pub use upload_id::{UploadId, UploadIdError};

/// One request of the registry protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// `GET /v2/`: is this a registry, and who am I?
    Ping,
    /// Download a blob.
    BlobGet {
        /// Where.
        name: RepositoryName,
        /// Which.
        digest: Digest,
    },
    /// Ask whether a blob is there.
    BlobHead {
        /// Where.
        name: RepositoryName,
        /// Which.
        digest: Digest,
    },
    /// Unlink a blob from the repository.
    BlobDelete {
        /// Where.
        name: RepositoryName,
        /// Which.
        digest: Digest,
    },
    /// Begin an upload, or finish one at once.
    UploadStart {
        /// Where.
        name: RepositoryName,
        /// How.
        mode: UploadStart,
    },
    /// How far has an upload come?
    UploadStatus {
        /// Where.
        name: RepositoryName,
        /// Which.
        id: UploadId,
    },
    /// Append a chunk to an upload.
    UploadPatch {
        /// Where.
        name: RepositoryName,
        /// Which.
        id: UploadId,
    },
    /// Append the last chunk, which may be empty, and finish.
    UploadPut {
        /// Where.
        name: RepositoryName,
        /// Which.
        id: UploadId,
        /// What the content has to hash to. `None` if the client sent none: an error of the request, which
        /// must not cost it the session.
        digest: Option<Digest>,
    },
    /// Give an upload up.
    UploadCancel {
        /// Where.
        name: RepositoryName,
        /// Which.
        id: UploadId,
    },
    /// Download a manifest.
    ManifestGet {
        /// Where.
        name: RepositoryName,
        /// Which.
        reference: Reference,
    },
    /// Ask for the headers of a manifest.
    ManifestHead {
        /// Where.
        name: RepositoryName,
        /// Which.
        reference: Reference,
    },
    /// Push a manifest.
    ManifestPut {
        /// Where.
        name: RepositoryName,
        /// The tag to set, or the digest that the body has to have.
        reference: Reference,
        /// More tags to set, without repetitions; only with a digest reference, at most
        /// [`MAX_TAGS_PER_PUSH`].
        tags: Vec<Tag>,
    },
    /// Delete a tag, or a manifest with all its tags.
    ManifestDelete {
        /// Where.
        name: RepositoryName,
        /// Which.
        reference: Reference,
    },
    /// List tags.
    TagList {
        /// Where.
        name: RepositoryName,
        /// At most how many.
        n: Option<u64>,
        /// Begin after this tag, which need not exist or even be a possible tag.
        last: Option<String>,
    },
    /// List what refers to a manifest, as the OCI specification has it.
    Referrers(ReferrersQuery),
    /// The same in the form of the ORAS drafts, outside `/v2/`.
    OrasReferrersDraft(ReferrersQuery),
    /// The same in the form of the ORAS release candidates.
    OrasReferrersRc(ReferrersQuery),
    /// List repositories.
    Catalog {
        /// At most how many.
        n: Option<u64>,
        /// Begin after this name, which need not exist or even be a possible name.
        last: Option<String>,
    },
    /// List the protocol's extensions, of one repository or of the registry.
    ExtensionDiscover {
        /// Where; `None` for the registry.
        name: Option<RepositoryName>,
    },
}

/// How an upload begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UploadStart {
    /// Link a blob that the registry has; if that cannot be done, begin a session.
    Mount {
        /// Which blob.
        digest: Digest,
        /// The repository to take it from. `None` if none was given, or one that cannot exist.
        from: Option<RepositoryName>,
        /// Whether the client named a source. If it did and `from` is `None`, there is no such source; if it
        /// did not, any repository that the caller may pull from will do.
        from_given: bool,
    },
    /// The body is the whole blob.
    Monolithic {
        /// What the body has to hash to.
        digest: Digest,
    },
    /// Begin a session.
    Session {
        /// The algorithm that the client announces for the digest at the end.
        algorithm: Option<Algorithm>,
    },
}

/// What a referrers listing is about, in all three forms of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferrersQuery {
    /// Where.
    pub name: RepositoryName,
    /// The subject, which need not exist.
    pub digest: AnyDigest,
    /// Only referrers of this artifact type.
    pub artifact_type: Option<String>,
    /// At most how many.
    pub n: Option<u64>,
    /// Where the page before ended, opaque here (`nextToken`).
    pub cursor: Option<String>,
}

impl Call {
    /// Reads a request. `path` and `query` are as they came in the request line, percent-encoded.
    pub fn parse(method: &Method, path: &str, query: Option<&str>) -> Result<Self, CallError> {
        path::parse(method, path, query)
    }

    /// The repository that the call is aimed at.
    pub fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Self::Ping | Self::Catalog { .. } => None,
            Self::ExtensionDiscover { name } => name.as_ref(),
            Self::Referrers(query) | Self::OrasReferrersDraft(query) | Self::OrasReferrersRc(query) => {
                Some(&query.name)
            }
            Self::BlobGet { name, .. }
            | Self::BlobHead { name, .. }
            | Self::BlobDelete { name, .. }
            | Self::UploadStart { name, .. }
            | Self::UploadStatus { name, .. }
            | Self::UploadPatch { name, .. }
            | Self::UploadPut { name, .. }
            | Self::UploadCancel { name, .. }
            | Self::ManifestGet { name, .. }
            | Self::ManifestHead { name, .. }
            | Self::ManifestPut { name, .. }
            | Self::ManifestDelete { name, .. }
            | Self::TagList { name, .. } => Some(name),
        }
    }

    /// A stable label of the operation, for metrics.
    pub fn endpoint(&self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::BlobGet { .. } => "blob_get",
            Self::BlobHead { .. } => "blob_head",
            Self::BlobDelete { .. } => "blob_delete",
            Self::UploadStart { mode: UploadStart::Mount { .. }, .. } => "blob_mount",
            Self::UploadStart { .. } => "upload_start",
            Self::UploadStatus { .. } => "upload_status",
            Self::UploadPatch { .. } => "upload_patch",
            Self::UploadPut { .. } => "upload_put",
            Self::UploadCancel { .. } => "upload_cancel",
            Self::ManifestGet { .. } => "manifest_get",
            Self::ManifestHead { .. } => "manifest_head",
            Self::ManifestPut { .. } => "manifest_put",
            Self::ManifestDelete { .. } => "manifest_delete",
            Self::TagList { .. } => "tag_list",
            Self::Referrers(_) => "referrers",
            Self::OrasReferrersDraft(_) => "oras_referrers_draft",
            Self::OrasReferrersRc(_) => "oras_referrers_rc",
            Self::Catalog { .. } => "catalog",
            Self::ExtensionDiscover { .. } => "extension_discover",
        }
    }
}
