//! From what went wrong to an answer that the upload tools show: one of them every `code` with its
//! `description`, the other the whole body.

use std::time::Duration;

use auth::JobTokenError;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::json;

use crate::cause::chain;

/// When to come back after the server could not answer.
const UNAVAILABLE_RETRY: Duration = Duration::from_secs(2);

/// The words for it that tools and their documentation know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The body is not what it has to be.
    InvalidPayload,
    /// The token is none of an issuer that is trusted, or is over.
    InvalidToken,
    /// The token was exchanged before.
    ReusedToken,
    /// No binding, or more than one, takes the token.
    InvalidPublisher,
    /// Too many tokens that were none came from there.
    TooManyRequests,
    /// The server cannot tell for the moment.
    Unavailable,
}

impl Reason {
    const fn code(self) -> &'static str {
        match self {
            Self::InvalidPayload => "invalid-payload",
            Self::InvalidToken => "invalid-token",
            Self::ReusedToken => "invalid-reuse-token",
            Self::InvalidPublisher => "invalid-publisher",
            Self::TooManyRequests => "too-many-requests",
            Self::Unavailable => "unavailable",
        }
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::InvalidPayload | Self::InvalidToken | Self::ReusedToken | Self::InvalidPublisher => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Self::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// An answer that is an error.
#[derive(Debug)]
pub(super) struct Failure {
    reason: Reason,
    description: String,
    retry_after: Option<Duration>,
}

impl Failure {
    pub(super) fn new(reason: Reason, description: impl Into<String>) -> Self {
        Self { reason, description: description.into(), retry_after: None }
    }

    /// So many tokens came from there that no more are looked at for some time.
    pub(super) fn throttled(after: Duration) -> Self {
        let message = "too many tokens were exchanged from this address, run the job again later";
        Self { retry_after: Some(after), ..Self::new(Reason::TooManyRequests, message) }
    }

    pub(super) fn respond(self) -> Response {
        let mut response = super::answer(
            self.reason.status(),
            &json!({
                "message": "Token request failed",
                "errors": [{ "code": self.reason.code(), "description": self.description }],
            }),
        );
        if let Some(after) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
        }
        response
    }
}

impl From<JobTokenError> for Failure {
    fn from(error: JobTokenError) -> Self {
        let message = error.to_string();
        match error {
            JobTokenError::Invalid => Self::new(Reason::InvalidToken, message),
            JobTokenError::Used => Self::new(Reason::ReusedToken, message),
            JobTokenError::NoBinding | JobTokenError::SeveralBindings => {
                Self::new(Reason::InvalidPublisher, message)
            }
            JobTokenError::Unavailable(cause) => {
                tracing::error!(error = %chain(&cause), "the token of a job could not be checked");
                let message = "the server cannot check tokens for the moment; run the job again";
                Self { retry_after: Some(UNAVAILABLE_RETRY), ..Self::new(Reason::Unavailable, message) }
            }
        }
    }
}
