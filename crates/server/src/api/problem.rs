//! Errors of the management API: problem details (RFC 9457).

use auth::{AccountError, SignInError};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use registry::{ErrorKind, PackageFault, Refusal};
use serde::Serialize;

use crate::cause::chain;
use crate::identify::IdentifyError;

/// An answer that is an error.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    field: Option<&'static str>,
    retry_after_secs: Option<u64>,
    request_id: Option<String>,
}

#[derive(Serialize)]
struct Details<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    code: &'a str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), field: None, retry_after_secs: None, request_id: None }
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    pub(super) fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "this path does not take the method; the Allow header says which it takes",
        )
    }

    pub(super) fn invalid(field: &'static str, detail: impl Into<String>) -> Self {
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail);
        problem.field = Some(field);
        problem
    }

    pub(super) fn malformed(status: StatusCode, detail: impl Into<String>) -> Self {
        Self::new(status, "malformed", detail)
    }

    pub(super) fn denied(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "denied", detail)
    }

    pub(super) fn unauthenticated(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail)
    }

    fn unavailable(cause: &dyn std::error::Error) -> Self {
        tracing::error!(error = %chain(cause), "a request could not be answered");
        let mut problem = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "the server cannot answer for the moment; try again, and tell its operator if it goes on",
        );
        problem.retry_after_secs = Some(2);
        problem
    }

    /// Names the request, so that whoever reports the problem can be helped from the log.
    pub(super) fn of_request(mut self, id: crate::context::RequestId) -> Self {
        self.request_id = Some(id.to_string());
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let details = Details {
            r#type: format!("urn:larder:problem:{}", self.code),
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            code: self.code,
            detail: &self.detail,
            field: self.field,
            request_id: self.request_id.as_deref(),
        };
        let body = serde_json::to_vec(&details).unwrap_or_default();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_secs {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Basic realm=\"larder\", charset=\"UTF-8\"");
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

impl From<registry::Error> for Problem {
    fn from(error: registry::Error) -> Self {
        let message = error.message();
        match error.kind() {
            ErrorKind::Refused(Refusal::Unasked) => Self::unauthenticated(message),
            // What the caller may not see is answered like what is not there.
            ErrorKind::Refused(Refusal::Hidden { .. }) | ErrorKind::NotFound(_) => Self::not_found(message),
            ErrorKind::Refused(Refusal::RoleTooLow { .. }) | ErrorKind::Forbidden => Self::denied(message),
            ErrorKind::Conflict => Self::new(StatusCode::CONFLICT, "conflict", message),
            ErrorKind::Package(fault) => package(*fault, message),
            ErrorKind::DigestMismatch
            | ErrorKind::SizeMismatch
            | ErrorKind::ManifestInvalid
            | ErrorKind::ManifestTooLarge
            | ErrorKind::ManifestBlobUnknown { .. }
            | ErrorKind::OutOfOrder { .. }
            | ErrorKind::BodyIncomplete
            | ErrorKind::InvalidRequest => Self::new(StatusCode::BAD_REQUEST, "malformed", message),
            ErrorKind::Busy { retry_after } => {
                let mut problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "busy", message);
                problem.retry_after_secs = Some(retry_after.as_secs().max(1));
                problem
            }
            ErrorKind::StorageFull => {
                tracing::error!(error = %chain(&error), "the storage is full");
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "storage_full", message)
            }
            ErrorKind::Unavailable => Self::unavailable(&error),
        }
    }
}

fn package(fault: PackageFault, message: &str) -> Problem {
    match fault {
        PackageFault::Invalid(_) => Problem::new(StatusCode::BAD_REQUEST, "malformed", message),
        PackageFault::TooLarge => Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message),
        PackageFault::Exists
        | PackageFault::Deleted
        | PackageFault::NameTaken
        | PackageFault::NameSimilar
        | PackageFault::NameReserved => Problem::new(StatusCode::CONFLICT, "conflict", message),
        PackageFault::Archived | PackageFault::Quarantined | PackageFault::Managed => {
            Problem::denied(message)
        }
        PackageFault::Gone => Problem::new(StatusCode::GONE, "deleted", message),
    }
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        match &error {
            AccountError::Invalid { field, .. } => Self::invalid(field, error.to_string()),
            AccountError::Conflict => Self::new(StatusCode::CONFLICT, "conflict", error.to_string()),
            AccountError::NotFound => Self::not_found(error.to_string()),
            AccountError::LastAdmin => Self::new(StatusCode::CONFLICT, "last_admin", error.to_string()),
            AccountError::Unavailable(cause) => Self::unavailable(cause),
        }
    }
}

impl From<auth::Unavailable> for Problem {
    fn from(error: auth::Unavailable) -> Self {
        Self::unavailable(&error)
    }
}

impl From<IdentifyError> for Problem {
    fn from(error: IdentifyError) -> Self {
        if let Some(cause) = error.unavailable() {
            return Self::unavailable(cause);
        }
        match error {
            IdentifyError::Basic(SignInError::Throttled { retry_after }) => {
                let mut problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "throttled", error.message());
                problem.retry_after_secs = Some(retry_after.as_secs().max(1));
                problem
            }
            IdentifyError::Malformed | IdentifyError::Basic(_) | IdentifyError::Bearer(_) => {
                Self::unauthenticated(error.message())
            }
        }
    }
}
