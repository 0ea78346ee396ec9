//! Error codes and the error body (OCI distribution-spec, "Error Codes").

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::Value;

/// What went wrong, in the words of the protocol. The first fourteen are the specification's; the last three
/// are the ones that registries of the Docker lineage add where the specification has no word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The blob is not in this repository.
    BlobUnknown,
    /// The upload cannot go on as asked.
    BlobUploadInvalid,
    /// There is no such upload session.
    BlobUploadUnknown,
    /// A digest is malformed, unsupported, or not that of the content.
    DigestInvalid,
    /// A manifest names a blob or a child that is not in this repository.
    ManifestBlobUnknown,
    /// The manifest is not one that can be stored.
    ManifestInvalid,
    /// The manifest is not in this repository.
    ManifestUnknown,
    /// The repository name does not follow the grammar.
    NameInvalid,
    /// There is no such repository.
    NameUnknown,
    /// A length is wrong, or beyond a limit.
    SizeInvalid,
    /// The caller has to say who they are.
    Unauthorized,
    /// The caller may not do this.
    Denied,
    /// The operation does not exist here.
    Unsupported,
    /// The caller has to wait.
    TooManyRequests,
    /// A page size is not a number that can be used.
    PaginationNumberInvalid,
    /// The server cannot answer for the moment.
    Unavailable,
    /// The server failed.
    Unknown,
}

impl ErrorCode {
    /// The code as it stands in the body.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BlobUnknown => "BLOB_UNKNOWN",
            Self::BlobUploadInvalid => "BLOB_UPLOAD_INVALID",
            Self::BlobUploadUnknown => "BLOB_UPLOAD_UNKNOWN",
            Self::DigestInvalid => "DIGEST_INVALID",
            Self::ManifestBlobUnknown => "MANIFEST_BLOB_UNKNOWN",
            Self::ManifestInvalid => "MANIFEST_INVALID",
            Self::ManifestUnknown => "MANIFEST_UNKNOWN",
            Self::NameInvalid => "NAME_INVALID",
            Self::NameUnknown => "NAME_UNKNOWN",
            Self::SizeInvalid => "SIZE_INVALID",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::Denied => "DENIED",
            Self::Unsupported => "UNSUPPORTED",
            Self::TooManyRequests => "TOOMANYREQUESTS",
            Self::PaginationNumberInvalid => "PAGINATION_NUMBER_INVALID",
            Self::Unavailable => "UNAVAILABLE",
            Self::Unknown => "UNKNOWN",
        }
    }

    /// The HTTP status that goes with the code where the situation does not ask for another one (416 for a
    /// chunk out of order, 413 for a manifest beyond the limit).
    pub const fn status(self) -> u16 {
        match self {
            Self::BlobUnknown | Self::BlobUploadUnknown | Self::ManifestUnknown | Self::NameUnknown => 404,
            Self::BlobUploadInvalid
            | Self::DigestInvalid
            | Self::ManifestBlobUnknown
            | Self::ManifestInvalid
            | Self::NameInvalid
            | Self::SizeInvalid
            | Self::PaginationNumberInvalid => 400,
            Self::Unauthorized => 401,
            Self::Denied => 403,
            Self::Unsupported => 405,
            Self::TooManyRequests => 429,
            Self::Unavailable => 503,
            Self::Unknown => 500,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The JSON body of an error response.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ErrorBody {
    /// At least one error.
    pub errors: Vec<ErrorEntry>,
}

/// One error of an [`ErrorBody`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ErrorEntry {
    /// For programs.
    pub code: ErrorCode,
    /// For the person at the terminal.
    pub message: String,
    /// What the error is about, for example the digest that is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<Value>,
}

impl ErrorBody {
    /// A body with one error and no detail.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { errors: vec![ErrorEntry { code, message: message.into(), detail: None }] }
    }

    /// The JSON text.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("only strings, numbers and JSON values are in it")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn body_has_the_shape_of_the_specification() {
        let body = ErrorBody::new(ErrorCode::NameUnknown, "no such repository");
        assert_eq!(
            String::from_utf8(body.to_json()).unwrap(),
            r#"{"errors":[{"code":"NAME_UNKNOWN","message":"no such repository"}]}"#
        );
        let detailed = ErrorBody {
            errors: vec![ErrorEntry {
                code: ErrorCode::ManifestBlobUnknown,
                message: "missing".to_owned(),
                detail: Some(serde_json::json!({"digest": "sha256:00"})),
            }],
        };
        assert_eq!(
            String::from_utf8(detailed.to_json()).unwrap(),
            r#"{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"missing","detail":{"digest":"sha256:00"}}]}"#
        );
    }
}
