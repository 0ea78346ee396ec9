//! Why somebody was not signed in by a provider.

use super::egress::EgressError;
use super::foreign_token::ForeignTokenError;
use crate::Unavailable;

/// Why a provider did not sign somebody in. The details are in the log: they are for the operator.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ProviderError {
    /// There is no such provider in the configuration.
    #[error("there is no identity provider of this name")]
    Unknown,
    /// The answer belongs to no sign-in that this browser began, or it took too long, or was used already.
    #[error("this sign-in was not begun in this browser or took too long, begin again")]
    State,
    /// The provider, or whoever sat before it, refused.
    #[error("the identity provider did not sign you in, begin again or ask its administrator")]
    Refused,
    /// Signed in there, and not let in here: disabled, not in a group or domain that may, or unknown where nobody
    /// new is taken.
    #[error(
        "your account at the identity provider has no access here, ask an administrator of this registry"
    )]
    NotAllowed,
    /// It is somebody else's already.
    #[error("this account of the identity provider is linked to another user already, unlink it there first")]
    LinkedElsewhere,
    /// The provider could not be reached, or answered something that does not count.
    #[error(
        "the identity provider did not answer as it should, try again in a moment or ask an administrator"
    )]
    Failed,
    /// The question could not be answered.
    #[error("accounts are not available")]
    Unavailable(#[source] Unavailable),
}

impl From<Unavailable> for ProviderError {
    fn from(error: Unavailable) -> Self {
        Self::Unavailable(error)
    }
}

impl From<db::Error> for ProviderError {
    fn from(error: db::Error) -> Self {
        Self::Unavailable(error.into())
    }
}

impl ProviderError {
    /// Writes down for the operator what was wrong with an answer.
    pub(super) fn failed(provider: &str, part: &'static str, error: &EgressError) -> Self {
        tracing::warn!(provider, part, %error, "identity provider did not answer as it should");
        Self::Failed
    }

    /// Writes down for the operator what was wrong with a token.
    pub(super) fn token(provider: &str, error: &ForeignTokenError) -> Self {
        tracing::warn!(provider, %error, "token of the identity provider was refused");
        Self::Failed
    }
}
