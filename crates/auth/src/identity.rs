//! What credentials stand for.

use std::sync::Arc;

use access::{Action, Principal, ScopeGrant, ScopeVerdict, UserPrincipal};
use clock::Timestamp;

/// Who is calling, how that is known, and what the credentials are limited to.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Who it is.
    pub principal: Principal,
    /// What the credentials allow at most. The principal needs the right as well.
    pub limit: Limit,
    /// What was presented.
    pub credential: Credential,
    pub(crate) source: Source,
}

/// What credentials allow at most.
#[derive(Clone, Debug)]
pub enum Limit {
    /// Everything that the principal may.
    Unlimited,
    /// Only what the token says about each repository.
    Scopes(Arc<[ScopeGrant]>),
}

/// Kinds of credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Credential {
    /// None.
    None,
    /// User name and password.
    Password,
    /// A personal token.
    PersonalToken,
    /// An access token that this registry issued.
    AccessToken,
    /// A refresh token; good for getting access tokens and nothing else.
    RefreshToken,
}

/// What tokens issued to this identity depend on: when it goes, they go.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Source {
    /// Epoch of the user when it was identified.
    pub epoch: i64,
    /// Row of the stored token that was presented, or from which the access token came.
    pub token_id: Option<i64>,
    /// When the presented credentials end, if they do.
    pub expires_at: Option<Timestamp>,
}

impl Identity {
    /// Nobody in particular.
    pub fn anonymous() -> Self {
        Self {
            principal: Principal::Anonymous,
            limit: Limit::Unlimited,
            credential: Credential::None,
            source: Source::default(),
        }
    }

    pub(crate) fn of_user(user: UserPrincipal, credential: Credential, source: Source) -> Self {
        Self { principal: Principal::User(user), limit: Limit::Unlimited, credential, source }
    }

    /// What the credentials say about an action on a repository, whatever the principal may.
    pub fn evaluate(&self, repository: &str, action: Action) -> ScopeVerdict {
        match &self.limit {
            Limit::Unlimited => ScopeVerdict::Granted,
            Limit::Scopes(grants) => access::scope::evaluate(grants, repository, action),
        }
    }
}
