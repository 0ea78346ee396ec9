//! From what went wrong to the protocol's error body, the one place that chooses status and code.

use std::sync::Arc;
use std::time::Duration;

use auth::{BearerError, SignInError};
use http::header::{ALLOW, CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use oci::{CallError, CallErrorReason, ErrorBody, ErrorCode, ErrorEntry, RepositoryName, UploadId};
use registry::{Caller, ErrorKind, PackageFault, Refusal, Right, What};

use super::{challenge, respond};
use crate::State;
use crate::body::{Body, Response};
use crate::cause::chain;
use crate::context::Context;
use crate::identify::IdentifyError;

/// When to come back after the server could not answer.
const UNAVAILABLE_RETRY: Duration = Duration::from_secs(2);

/// An answer that is an error.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    body: ErrorBody,
    headers: Vec<(HeaderName, String)>,
    challenge: Option<Challenge>,
}

#[derive(Debug)]
struct Challenge {
    scope: Option<String>,
    error: Option<&'static str>,
}

impl Failure {
    pub(super) fn new(status: StatusCode, code: ErrorCode, message: impl Into<String>) -> Self {
        Self { status, body: ErrorBody::new(code, message), headers: Vec::new(), challenge: None }
    }

    fn header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// No credentials, or credentials that say nothing about this: the client is told what to ask for.
    pub(super) fn unauthorized(message: impl Into<String>, scope: Option<String>) -> Self {
        let mut failure = Self::new(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized, message);
        failure.challenge = Some(Challenge { scope, error: None });
        failure
    }

    /// Credentials that were not accepted.
    pub(super) fn not_identified(error: &IdentifyError, scope: Option<String>) -> Self {
        if let Some(cause) = error.unavailable() {
            tracing::error!(error = %chain(cause), "credentials could not be checked");
            return Self::unavailable();
        }
        if let IdentifyError::Basic(SignInError::Throttled { retry_after }) = error {
            return Self::busy(error.message(), *retry_after);
        }
        let mut failure = Self::unauthorized(error.message(), scope);
        if let (IdentifyError::Bearer(BearerError::Invalid | BearerError::Expired), Some(challenge)) =
            (error, &mut failure.challenge)
        {
            challenge.error = Some("invalid_token");
        }
        failure
    }

    /// A right that was not granted.
    pub(super) fn refused<R: Right>(error: registry::Error, caller: &Caller, name: &RepositoryName) -> Self {
        match error.kind() {
            ErrorKind::Refused(Refusal::Unasked) => {
                Self::unasked(error.message(), caller, challenge::scope_of_right::<R>(name))
            }
            _ => error.into(),
        }
    }

    /// Credentials that say nothing about what is asked: others may. A client that sent a token hears that it
    /// was not enough; without one there is no error to name (RFC 6750 §3.1).
    pub(super) fn unasked(message: &str, caller: &Caller, scope: String) -> Self {
        let mut failure = Self::unauthorized(message, None);
        let error = caller.limit.grants().is_some().then_some("insufficient_scope");
        failure.challenge = Some(Challenge { scope: Some(scope), error });
        failure
    }

    /// The same failure, with another scope in its challenge if it has one.
    pub(super) fn asking_for(mut self, scope: String) -> Self {
        if let Some(challenge) = &mut self.challenge {
            challenge.scope = Some(scope);
        }
        self
    }

    pub(super) fn invalid_call(error: &CallError, status: StatusCode) -> Self {
        let failure = Self::new(status, error.code(), error.to_string());
        match error.reason {
            CallErrorReason::MethodNotAllowed { allow } => failure.header(ALLOW, allow),
            _ => failure,
        }
    }

    pub(super) fn busy(message: impl Into<String>, retry_after: Duration) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, ErrorCode::TooManyRequests, message)
            .header(RETRY_AFTER, retry_after.as_secs().max(1).to_string())
    }

    pub(super) fn unavailable() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::Unavailable,
            "the server cannot answer for the moment; try again, and tell its operator if it goes on",
        )
        .header(RETRY_AFTER, UNAVAILABLE_RETRY.as_secs().to_string())
    }

    /// How long the content is of which a range was asked that it does not have.
    pub(super) fn with_content_range(self, size: u64) -> Self {
        self.header(CONTENT_RANGE, format!("bytes */{size}"))
    }

    /// What a client needs in order to go on with an upload after an error.
    pub(super) fn with_upload(self, name: &RepositoryName, id: &UploadId, offset: u64) -> Self {
        self.header(LOCATION, respond::upload_location(name, id))
            .header(RANGE, respond::upload_range_truthful(offset))
            .header(HeaderName::from_static("docker-upload-uuid"), id.as_str())
    }

    pub(super) fn respond(self, state: &Arc<State>, context: &Context) -> Response {
        let mut response = http::Response::new(Body::from(self.body.to_json()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(challenge) = self.challenge {
            // A challenge on a repeated request tells the client whether asking again can help.
            let text = challenge::header(
                &context.base_url,
                state.auth.service(),
                challenge.scope.as_deref(),
                challenge.error,
            );
            if let Ok(value) = text.parse() {
                headers.insert(WWW_AUTHENTICATE, value);
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

impl From<registry::Error> for Failure {
    fn from(error: registry::Error) -> Self {
        use ErrorCode as Code;
        let message = error.message().to_owned();
        let with = |status, code| Self::new(status, code, message.clone());
        match error.kind() {
            ErrorKind::Refused(Refusal::Unasked) => Self::unauthorized(message, None),
            ErrorKind::Refused(
                Refusal::Hidden { .. } | Refusal::Limited { .. } | Refusal::RoleTooLow { .. },
            )
            | ErrorKind::Forbidden
            | ErrorKind::Conflict => with(StatusCode::FORBIDDEN, Code::Denied),
            ErrorKind::NotFound(what) => with(
                StatusCode::NOT_FOUND,
                match what {
                    What::Blob => Code::BlobUnknown,
                    What::Manifest | What::Release | What::File => Code::ManifestUnknown,
                    What::Upload => Code::BlobUploadUnknown,
                    What::Organization | What::Registry | What::Repository | What::Member | What::Project => {
                        Code::NameUnknown
                    }
                },
            ),
            ErrorKind::Package(fault) => package(*fault, &message),
            ErrorKind::DigestMismatch => with(StatusCode::BAD_REQUEST, Code::DigestInvalid),
            ErrorKind::SizeMismatch => with(StatusCode::BAD_REQUEST, Code::SizeInvalid),
            ErrorKind::ManifestInvalid => with(StatusCode::BAD_REQUEST, Code::ManifestInvalid),
            ErrorKind::ManifestTooLarge => with(StatusCode::PAYLOAD_TOO_LARGE, Code::SizeInvalid),
            ErrorKind::ManifestBlobUnknown { missing } => {
                let mut failure = with(StatusCode::BAD_REQUEST, Code::ManifestBlobUnknown);
                failure.body.errors = missing.iter().map(|digest| missing_entry(&message, digest)).collect();
                failure
            }
            ErrorKind::OutOfOrder { .. } => with(StatusCode::RANGE_NOT_SATISFIABLE, Code::BlobUploadInvalid),
            ErrorKind::BodyIncomplete => with(StatusCode::BAD_REQUEST, Code::BlobUploadInvalid),
            ErrorKind::InvalidRequest => with(StatusCode::BAD_REQUEST, Code::Unsupported),
            ErrorKind::Busy { retry_after } => Self::busy(message, *retry_after),
            ErrorKind::StorageFull => {
                tracing::error!(error = %chain(&error), "the storage is full");
                with(StatusCode::INSUFFICIENT_STORAGE, Code::Unavailable)
            }
            ErrorKind::Unavailable => {
                tracing::error!(error = %chain(&error), "a request could not be answered");
                with(StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable)
                    .header(RETRY_AFTER, UNAVAILABLE_RETRY.as_secs().to_string())
            }
        }
    }
}

/// What a client of this protocol hears of the rules for Python packages.
fn package(fault: PackageFault, message: &str) -> Failure {
    use ErrorCode as Code;
    let (status, code) = match fault {
        PackageFault::Invalid(_) => (StatusCode::BAD_REQUEST, Code::ManifestInvalid),
        PackageFault::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, Code::SizeInvalid),
        PackageFault::Exists
        | PackageFault::Deleted
        | PackageFault::NameTaken
        | PackageFault::NameSimilar
        | PackageFault::NameReserved
        | PackageFault::Archived
        | PackageFault::Quarantined => (StatusCode::FORBIDDEN, Code::Denied),
        PackageFault::Gone => (StatusCode::NOT_FOUND, Code::ManifestUnknown),
        PackageFault::Managed => (StatusCode::METHOD_NOT_ALLOWED, Code::Unsupported),
    };
    let failure = Failure::new(status, code, message);
    match fault {
        PackageFault::Managed => failure.header(ALLOW, "GET, HEAD"),
        _ => failure,
    }
}

/// Digests named one by one in a message; the rest are in the details.
fn missing_entry(message: &str, digest: &str) -> ErrorEntry {
    ErrorEntry {
        code: ErrorCode::ManifestBlobUnknown,
        message: message.to_owned(),
        detail: Some(serde_json::json!({ "digest": digest })),
    }
}
