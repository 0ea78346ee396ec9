//! Errors of the management API: problem details (RFC 9457).

use std::time::Duration;

use auth::{AccountError, Allowance, ProviderError, SignInError, UserDeleteError};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use registry::{ErrorKind, PackageFault, Refusal};
use serde::Serialize;

use crate::cause::chain;
use crate::identify::IdentifyError;
use crate::rate_limit;
use crate::session::Forgery;

/// An answer that is an error.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    field: Option<&'static str>,
    retry_after_secs: Option<u64>,
    challenge: &'static str,
    request_id: Option<String>,
}

/// What a client is asked for that brought nothing, or something wrong.
const BASIC: &str = "Basic realm=\"larder\", charset=\"UTF-8\"";
/// The same for a browser's page, which asks for name and password itself: with a scheme that browsers know, they
/// would show a window of their own.
const PAGE: &str = "Cookie realm=\"larder\"";

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
        Self {
            status,
            code,
            detail: detail.into(),
            field: None,
            retry_after_secs: None,
            challenge: BASIC,
            request_id: None,
        }
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "this path does not take the method; the Allow header says which it takes",
        )
    }

    pub(crate) fn invalid(field: &'static str, detail: impl Into<String>) -> Self {
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail);
        problem.field = Some(field);
        problem
    }

    pub(crate) fn malformed(status: StatusCode, detail: impl Into<String>) -> Self {
        Self::new(status, "malformed", detail)
    }

    pub(crate) fn denied(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "denied", detail)
    }

    pub(crate) fn unauthenticated(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail)
    }

    /// The caller is who it should be, and has to show it once more.
    pub(crate) fn proof_needed() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "proof_needed",
            "it is a while ago that you signed in; send your password to /api/v1/auth/prove, or sign in again, \
             and repeat this",
        )
    }

    /// Too many attempts; one after this time is taken up.
    pub(crate) fn throttled(detail: impl Into<String>, retry_after: Duration) -> Self {
        let mut problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "throttled", detail);
        problem.retry_after_secs = Some(retry_after.as_secs().max(1));
        problem
    }

    /// The same at a gate.
    pub(crate) fn limited(allowance: &Allowance) -> Self {
        let seconds = rate_limit::seconds(allowance.next).max(1);
        Self::throttled(
            format!("too many requests of this kind from your address, try again in {seconds} seconds"),
            Duration::from_secs(seconds),
        )
    }

    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", detail)
    }

    /// With a challenge that makes no browser show a window of its own.
    pub(crate) fn for_browser_if(mut self, is_browser: bool) -> Self {
        if is_browser {
            self.challenge = PAGE;
        }
        self
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

    /// Which problem it is.
    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    /// What happened, and what to do next.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// The status, and what goes into the head of the answer.
    pub(crate) fn head(&self) -> (StatusCode, HeaderMap) {
        let mut headers = HeaderMap::new();
        if let Some(seconds) = self.retry_after_secs {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(self.challenge));
        }
        (self.status, headers)
    }

    /// Names the request, so that whoever reports the problem can be helped from the log.
    pub(crate) fn of_request(mut self, id: crate::context::RequestId) -> Self {
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
        let (status, headers) = self.head();
        let mut response = (status, headers, body).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(CONTENT_TYPE, kind);
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
            ErrorKind::Refused(Refusal::Limited { .. } | Refusal::RoleTooLow { .. })
            | ErrorKind::Forbidden => Self::denied(message),
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
            AccountError::WrongPassword => {
                Self::new(StatusCode::FORBIDDEN, "wrong_password", error.to_string())
            }
            AccountError::WrongCode => Self::new(StatusCode::FORBIDDEN, "wrong_code", error.to_string()),
            AccountError::SignInOver => Self::unauthenticated(error.to_string()).for_browser_if(true),
            AccountError::WrongLink => Self::new(StatusCode::FORBIDDEN, "wrong_link", error.to_string()),
            AccountError::Throttled { retry_after } => Self::throttled(error.to_string(), *retry_after),
            AccountError::SignUpClosed(_) => Self::denied(error.to_string()),
            AccountError::SecondFactorOn => Self::conflict(error.to_string()),
            AccountError::NotConfigured(_) => {
                Self::new(StatusCode::CONFLICT, "not_configured", error.to_string())
            }
            AccountError::Unavailable(cause) => Self::unavailable(cause),
        }
    }
}

impl From<UserDeleteError<registry::Error>> for Problem {
    fn from(error: UserDeleteError<registry::Error>) -> Self {
        match error {
            UserDeleteError::Account(error) => error.into(),
            UserDeleteError::Needed(error) => error.into(),
        }
    }
}

impl From<auth::Unavailable> for Problem {
    fn from(error: auth::Unavailable) -> Self {
        Self::unavailable(&error)
    }
}

impl From<ProviderError> for Problem {
    fn from(error: ProviderError) -> Self {
        match &error {
            ProviderError::Unknown => Self::not_found(error.to_string()),
            ProviderError::State => Self::new(StatusCode::FORBIDDEN, "sign_in_state", error.to_string()),
            ProviderError::Refused => Self::new(StatusCode::FORBIDDEN, "provider_refused", error.to_string()),
            ProviderError::NotAllowed => Self::denied(error.to_string()),
            ProviderError::LinkedElsewhere => Self::conflict(error.to_string()),
            ProviderError::Failed => Self::new(StatusCode::BAD_GATEWAY, "provider_failed", error.to_string()),
            ProviderError::Unavailable(cause) => Self::unavailable(cause),
        }
    }
}

impl From<Forgery> for Problem {
    fn from(forgery: Forgery) -> Self {
        let code = match forgery {
            Forgery::Origin => "cross_site",
            Forgery::Token => "csrf",
        };
        Self::new(StatusCode::FORBIDDEN, code, forgery.to_string())
    }
}

impl From<IdentifyError> for Problem {
    fn from(error: IdentifyError) -> Self {
        if let Some(cause) = error.unavailable() {
            return Self::unavailable(cause);
        }
        match &error {
            IdentifyError::Basic(SignInError::Throttled { retry_after }) => {
                Self::throttled(error.message(), *retry_after)
            }
            IdentifyError::Malformed | IdentifyError::Basic(_) | IdentifyError::Bearer(_) => {
                Self::unauthenticated(error.message())
            }
        }
    }
}
