//! What credentials stand for.

use access::{Action, Anchor, Basis, Limit, Principal, ScopeVerdict, UserPrincipal};
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

/// Kinds of credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Credential {
    /// None.
    None,
    /// User name and password.
    Password,
    /// A personal token.
    PersonalToken,
    /// A token of a service account.
    ServiceToken,
    /// A short-lived token that was given for the token of a job.
    JobToken,
    /// The token that a trusted issuer gave to a job, presented as it is.
    JobAssertion,
    /// A user name and a password that an identity provider checked.
    ProviderPassword,
    /// An access token that an identity provider issued.
    ProviderToken,
    /// A browser's session.
    Session,
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
    /// The row that was presented, or from which the access token came.
    pub anchor: Anchor,
    /// When the presented credentials end, if they do.
    pub expires_at: Option<Timestamp>,
}

impl Identity {
    /// Nobody in particular.
    pub fn anonymous() -> Self {
        Self {
            principal: Principal::Anonymous,
            limit: Limit::NONE,
            credential: Credential::None,
            source: Source::default(),
        }
    }

    pub(crate) fn of_user(user: UserPrincipal, credential: Credential, source: Source) -> Self {
        Self { principal: Principal::User(user), limit: Limit::NONE, credential, source }
    }

    /// The same, good for no more than this.
    pub(crate) fn limited(self, limit: Limit) -> Self {
        Self { limit, ..self }
    }

    /// The rows that this stands on; none when nobody in particular is calling.
    pub fn basis(&self) -> Option<Basis> {
        let user_id = self.principal.user_id()?;
        Some(Basis { user_id, epoch: self.source.epoch, anchor: self.source.anchor })
    }

    /// What the credentials say about an action on a repository, whatever the principal may.
    pub fn evaluate(&self, repository: &str, action: Action) -> ScopeVerdict {
        self.limit.verdict(repository, action)
    }
}
