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
    /// A Python project of a registry.
    Project,
    /// A release of a Python project.
    Release,
    /// A file of a Python project.
    File,
}

/// What is wrong with a Python package, or with what is asked of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackageFault {
    /// What was uploaded breaks a rule of its format.
    Invalid(python::Code),
    /// The file is larger than the registry takes.
    TooLarge,
    /// A file of this name exists with other content, or under another spelling.
    Exists,
    /// A file of this name was deleted, so the name is used up.
    Deleted,
    /// The name belongs to a repository of another format.
    NameTaken,
    /// The name can be mistaken for that of another project.
    NameSimilar,
    /// The name is one of Python's own modules.
    NameReserved,
    /// The project takes no new files.
    Archived,
    /// The project is quarantined: nothing goes in or out.
    Quarantined,
    /// The file was deleted.
    Gone,
    /// Tags and indexes of a Python project are the server's own work.
    Managed,
}

impl PackageFault {
    /// The word for it in answers that programs read.
    pub fn code(self) -> &'static str {
        match self {
            Self::Invalid(code) => code.as_str(),
            Self::TooLarge => "SIZE_INVALID",
            Self::Exists => "PYTHON_FILE_EXISTS",
            Self::Deleted => "PYTHON_FILENAME_USED",
            Self::NameTaken => "PYTHON_NAME_TAKEN",
            Self::NameSimilar => "PYTHON_NAME_SIMILAR",
            Self::NameReserved => "PYTHON_NAME_RESERVED",
            Self::Archived => "PYTHON_PROJECT_ARCHIVED",
            Self::Quarantined => "PYTHON_PROJECT_QUARANTINED",
            Self::Gone => "PYTHON_FILE_DELETED",
            Self::Managed => "UNSUPPORTED",
        }
    }
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
    /// A Python package, or what is asked of one, breaks a rule.
    Package(PackageFault),
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

/// What somebody hears whose registry was deleted between the question for the right and the work.
pub(crate) fn registry_gone() -> Error {
    Error::not_found(What::Registry, "the registry was deleted just now")
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
        let away = matches!(error, db::Error::Unavailable(_) | db::Error::Closed);
        let message = if away {
            "the database does not answer; try again in a moment"
        } else {
            "the server could not carry this out; try again, and ask its operator to look into the log"
        };
        Self::unavailable(message, error)
    }
}

impl From<python::Invalid> for Error {
    fn from(invalid: python::Invalid) -> Self {
        Self::new(ErrorKind::Package(PackageFault::Invalid(invalid.code)), invalid.message)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::new(ErrorKind::Refused(refusal.clone()), refusal.to_string())
    }
}
