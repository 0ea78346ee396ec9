//! One closed list of what can go wrong; each surface maps it to its own wire format without a wildcard.

use std::time::Duration;

use crate::grant::Refusal;

/// Something that was not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// An organization.
    Organization,
    /// A registry of an organization.
    Registry,
    /// A repository of a registry.
    Repository,
    /// A blob of a repository.
    Blob,
    /// A manifest of a repository, by tag or digest.
    Manifest,
    /// An upload session.
    Upload,
    /// A member of an organization or a registry.
    Member,
}

/// What kind of failure it is, for the surface that has to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The caller may not; how much the answer may say is in the refusal.
    Refused(Refusal),
    /// It is not there, and the caller has the right to know.
    NotFound(What),
    /// The content does not hash to the digest that was given.
    DigestMismatch,
    /// The body is shorter or longer than was declared.
    SizeMismatch,
    /// The manifest breaks a rule.
    ManifestInvalid,
    /// The manifest is larger than any client could pull.
    ManifestTooLarge,
    /// The manifest names blobs or manifests that the repository does not hold.
    ManifestBlobUnknown {
        /// The digests that are missing.
        missing: Vec<String>,
    },
    /// A chunk does not begin where the upload stands; nothing was written and the session goes on.
    OutOfOrder {
        /// The number of bytes that the session holds.
        offset: u64,
    },
    /// The request's body ended early; the session holds what came.
    BodyIncomplete,
    /// A cursor, a number or a name in the request makes no sense.
    InvalidRequest,
    /// Something stands in the way: a name is taken, or something is still in use.
    Conflict,
    /// The rules of the registry forbid it, whoever asks.
    Forbidden,
    /// Too much is going on; the same request may work after the time given.
    Busy {
        /// When to come back.
        retry_after: Duration,
    },
    /// A disk is full.
    StorageFull,
    /// The database or the blob store does not answer.
    Unavailable,
}

/// A failed use case.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    pub(crate) fn not_found(what: What, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound(what), message)
    }

    pub(crate) fn unavailable(
        message: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { kind: ErrorKind::Unavailable, message: message.into(), source: Some(source.into()) }
    }

    /// The kind of failure.
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// What happened and what to do, for the person at the client. Never holds a cause from inside.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl From<db::Error> for Error {
    fn from(error: db::Error) -> Self {
        if matches!(error, db::Error::Full) {
            return Self {
                kind: ErrorKind::StorageFull,
                message: "the server's disk is full; ask its operator to free space, then try again"
                    .to_owned(),
                source: Some(Box::new(error)),
            };
        }
        Self::unavailable("the database does not answer; try again in a moment", error)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::new(ErrorKind::Refused(refusal.clone()), refusal.to_string())
    }
}
