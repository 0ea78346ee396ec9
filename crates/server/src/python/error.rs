//! From what went wrong to an answer that every Python client shows to its user.
//!
//! Some clients show the reason phrase of the status line and nothing else, others the body and nothing else,
//! so the same sentence is in both.

#[cfg(test)]
mod tests;

use std::time::Duration;

use auth::SignInError;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, RETRY_AFTER, VARY, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use hyper::ext::ReasonPhrase;
use python::{CallError, CallErrorReason};
use registry::{ErrorKind, PackageFault, Refusal, What};
use serde_json::json;

use super::form::FormError;
use crate::body::{Body, Response};
use crate::cause::chain;
use crate::identify::IdentifyError;

/// When to come back after the server could not answer.
const UNAVAILABLE_RETRY: Duration = Duration::from_secs(2);
/// The longest reason phrase, in bytes: clients and proxies bound the whole status line.
const MAX_REASON_BYTES: usize = 250;

/// An answer that is an error.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    code: &'static str,
    message: String,
    headers: Vec<(HeaderName, String)>,
}

impl Failure {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), headers: Vec::new() }
    }

    fn header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// No credentials where some are needed.
    pub(super) fn unauthenticated() -> Self {
        Self::unauthorized(
            "authentication is required: a user name with its password or a personal token, or __token__ with a \
             personal token",
        )
    }

    /// Credentials that are not accepted.
    fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", message)
    }

    /// Nobody may do this with these credentials.
    pub(super) fn denied(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "DENIED", message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", message)
    }

    pub(super) fn busy(message: impl Into<String>, retry_after: Duration) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", message)
            .header(RETRY_AFTER, retry_after.as_secs().max(1).to_string())
    }

    pub(super) fn unavailable() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "UNKNOWN",
            "the server cannot answer for the moment; try again, and tell its operator if it goes on",
        )
        .header(RETRY_AFTER, UNAVAILABLE_RETRY.as_secs().to_string())
    }

    /// What indexes took from clients before they took files.
    pub(super) fn retired(action: &str) -> Self {
        let action = oci::excerpt(action);
        Self::new(
            StatusCode::GONE,
            "UNSUPPORTED",
            format!("action {action} is gone: nothing is registered beforehand, upload a wheel or an sdist"),
        )
    }

    /// A refusal that depends on these headers of the request.
    pub(super) fn varying(self, headers: &str) -> Self {
        self.header(VARY, headers)
    }

    /// Asked for bytes that a file does not have.
    pub(super) fn outside(size: u64) -> Self {
        Self::new(
            StatusCode::RANGE_NOT_SATISFIABLE,
            "SIZE_INVALID",
            format!("the range is outside this file, which has {size} bytes"),
        )
        .header(CONTENT_RANGE, format!("bytes */{size}"))
    }

    /// The answer. `realm` names the registry that credentials are asked for.
    pub(super) fn respond(self, realm: &str) -> Response {
        let status = self.status;
        let body = json!({
            "message": self.message,
            // Read as one sentence by some clients; the word for programs is in `errors`.
            "code": format!("{} {}", status.as_u16(), self.message),
            "title": status.canonical_reason().unwrap_or("Error"),
            "errors": [{ "code": self.code, "message": self.message }],
        });
        let mut response = http::Response::new(Body::from(body.to_string().into_bytes()));
        *response.status_mut() = status;
        // The phrase holds no byte that a status line cannot.
        if let Ok(reason) = ReasonPhrase::try_from(reason(&self.message)) {
            response.extensions_mut().insert(reason);
        }
        let headers = response.headers_mut();
        // Without a parameter: one client compares the whole value before it reads the body.
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNAUTHORIZED {
            let challenge = format!("Basic realm=\"{realm}\", charset=\"UTF-8\"");
            if let Ok(challenge) = challenge.parse() {
                headers.insert(WWW_AUTHENTICATE, challenge);
            }
        }
        for (name, value) in self.headers {
            if let Ok(value) = value.parse() {
                headers.insert(name, value);
            }
        }
        response
    }
}

/// A sentence as a reason phrase (RFC 9112 §4): printable ASCII, since clients disagree about anything else.
fn reason(message: &str) -> String {
    let harmless = |character: char| if matches!(character, ' '..='~') { character } else { '?' };
    message.chars().map(harmless).take(MAX_REASON_BYTES).collect()
}

impl From<IdentifyError> for Failure {
    fn from(error: IdentifyError) -> Self {
        if let Some(cause) = error.unavailable() {
            tracing::error!(error = %chain(cause), "credentials could not be checked");
            return Self::unavailable();
        }
        match error {
            IdentifyError::Basic(SignInError::Throttled { retry_after }) => {
                Self::busy(error.message(), retry_after)
            }
            IdentifyError::Malformed | IdentifyError::Basic(_) | IdentifyError::Bearer(_) => {
                Self::unauthorized(error.message())
            }
        }
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let message = error.to_string();
        match error.reason {
            CallErrorReason::NotFound | CallErrorReason::Name => Self::not_found(message),
            CallErrorReason::UploadToIndex { allow } | CallErrorReason::MethodNotAllowed { allow } => {
                Self::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", message).header(ALLOW, allow)
            }
        }
    }
}

impl From<FormError> for Failure {
    fn from(error: FormError) -> Self {
        let code = match error {
            FormError::Invalid(_) => python::Code::Form.as_str(),
            FormError::TooLarge(_) => PackageFault::TooLarge.code(),
        };
        Self::new(error.status(), code, error.to_string())
    }
}

impl From<registry::Error> for Failure {
    fn from(error: registry::Error) -> Self {
        let message = error.message();
        let with = |status, code| Self::new(status, code, message);
        let invalid = || with(StatusCode::BAD_REQUEST, python::Code::Form.as_str());
        match error.kind() {
            ErrorKind::Refused(Refusal::Unasked) => Self::unauthenticated(),
            // An installer takes 404 as leave to look for the project elsewhere. It is said of projects alone,
            // and only to those who may know.
            ErrorKind::Refused(
                Refusal::Hidden { .. } | Refusal::Limited { .. } | Refusal::RoleTooLow { .. },
            )
            | ErrorKind::NotFound(What::Organization | What::Registry)
            | ErrorKind::Forbidden => Self::denied(message),
            ErrorKind::NotFound(
                What::Repository
                | What::Blob
                | What::Manifest
                | What::Upload
                | What::Member
                | What::Project
                | What::Release
                | What::File,
            ) => Self::not_found(message),
            ErrorKind::Conflict => with(StatusCode::CONFLICT, "CONFLICT"),
            ErrorKind::Package(fault) => with(status(*fault), fault.code()),
            ErrorKind::DigestMismatch => with(StatusCode::BAD_REQUEST, python::Code::Digest.as_str()),
            ErrorKind::SizeMismatch
            | ErrorKind::ManifestInvalid
            | ErrorKind::ManifestTooLarge
            | ErrorKind::ManifestBlobUnknown { .. }
            | ErrorKind::OutOfOrder { .. }
            | ErrorKind::BodyIncomplete
            | ErrorKind::InvalidRequest => invalid(),
            ErrorKind::Busy { retry_after } => Self::busy(message, *retry_after),
            ErrorKind::StorageFull => {
                tracing::error!(error = %chain(&error), "the storage is full");
                with(StatusCode::INSUFFICIENT_STORAGE, "UNKNOWN")
            }
            ErrorKind::Unavailable => {
                tracing::error!(error = %chain(&error), "a request could not be answered");
                with(StatusCode::SERVICE_UNAVAILABLE, "UNKNOWN")
                    .header(RETRY_AFTER, UNAVAILABLE_RETRY.as_secs().to_string())
            }
        }
    }
}

/// The status of what is wrong with a package.
fn status(fault: PackageFault) -> StatusCode {
    match fault {
        PackageFault::Invalid(_) => StatusCode::BAD_REQUEST,
        PackageFault::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        PackageFault::Exists
        | PackageFault::Deleted
        | PackageFault::NameTaken
        | PackageFault::NameSimilar
        | PackageFault::NameReserved => StatusCode::CONFLICT,
        PackageFault::Archived | PackageFault::Quarantined => StatusCode::FORBIDDEN,
        PackageFault::Gone => StatusCode::GONE,
        PackageFault::Managed => StatusCode::METHOD_NOT_ALLOWED,
    }
}
