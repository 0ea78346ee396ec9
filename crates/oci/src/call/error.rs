//! Why a request is not a call.

use crate::digest::DigestError;
use crate::error::ErrorCode;
use crate::name::{NameError, RepositoryName};
use crate::reference::TagError;

use super::query::MAX_TAGS_PER_PUSH;
use super::upload_id::UploadIdError;

/// A request that is not a [`super::Call`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct CallError {
    /// The repository, if the request got as far as naming one. Ask for authorization on it before answering,
    /// as for a call that is in order: what is wrong with the rest is not for everybody.
    pub name: Option<RepositoryName>,
    /// What is wrong.
    pub reason: CallErrorReason,
}

/// What is wrong with a request. Texts inside are already made harmless by [`crate::excerpt()`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallErrorReason {
    /// No endpoint has this path.
    #[error(
        "there is no such endpoint; the registry's paths begin with /v2/<organization>/<registry>/<repository>/"
    )]
    NotFound,
    /// The endpoint does not take this method.
    #[error("this endpoint does not take the method; use {allow}")]
    MethodNotAllowed {
        /// The value of the `Allow` header.
        allow: &'static str,
    },
    /// The path holds something that no name can hold, and that other programs may read differently.
    #[error("the path has {problem}; send it plain")]
    Path {
        /// What it holds.
        problem: &'static str,
    },
    /// The repository name is not one.
    #[error(transparent)]
    Name(NameError),
    /// A digest in path or query is not one, or not a supported one.
    #[error(transparent)]
    Digest(DigestError),
    /// Something to be read or deleted is named by what cannot be a tag, so it does not exist.
    #[error(transparent)]
    UnknownTag(TagError),
    /// Something to be written is named by what cannot be a tag.
    #[error(transparent)]
    InvalidTag(TagError),
    /// The upload session's identifier is none that was given out.
    #[error(transparent)]
    UploadId(UploadIdError),
    /// `n` is not a number.
    #[error("the page size n=\"{value}\" is not a number; send a whole number, not negative")]
    Pagination {
        /// The offending text.
        value: String,
    },
    /// More than [`MAX_TAGS_PER_PUSH`] tags in one push.
    #[error("more than {MAX_TAGS_PER_PUSH} tags in one push; push the manifest again with the others")]
    TooManyTags,
}

impl CallError {
    /// The code for the body.
    pub fn code(&self) -> ErrorCode {
        match &self.reason {
            CallErrorReason::NotFound | CallErrorReason::MethodNotAllowed { .. } => ErrorCode::Unsupported,
            CallErrorReason::Path { .. } | CallErrorReason::Name(_) => ErrorCode::NameInvalid,
            CallErrorReason::Digest(_) => ErrorCode::DigestInvalid,
            CallErrorReason::UnknownTag(_) => ErrorCode::ManifestUnknown,
            CallErrorReason::InvalidTag(_) | CallErrorReason::TooManyTags => ErrorCode::ManifestInvalid,
            CallErrorReason::UploadId(_) => ErrorCode::BlobUploadUnknown,
            CallErrorReason::Pagination { .. } => ErrorCode::PaginationNumberInvalid,
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match &self.reason {
            CallErrorReason::NotFound => 404,
            CallErrorReason::TooManyTags => 414,
            _ => self.code().status(),
        }
    }
}
