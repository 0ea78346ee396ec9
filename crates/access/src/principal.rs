//! The one who asks.

use std::str::FromStr;
use std::sync::Arc;

/// Who a request acts for, once its credentials were checked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Principal {
    /// Nobody in particular: no credentials were sent.
    Anonymous,
    /// A user of this instance.
    User(UserPrincipal),
    /// Whoever runs a command on the server itself. No credentials of a request ever stand for it.
    Operator,
}

/// A user as far as decisions need one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UserPrincipal {
    /// Internal key of the user; never shown outside.
    pub id: i64,
    /// User name, as it signs in and as it is shown.
    pub name: Arc<str>,
    /// Runs the instance. Gives no right to any tenant's content.
    pub system_admin: bool,
    /// Whether a person or a machine signs in to it.
    pub kind: AccountKind,
}

/// Who signs in to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccountKind {
    /// A person: with a password or at an identity provider.
    Person,
    /// A machine: with tokens of its own, or with those that a trusted issuer gives to its jobs. Belongs to one
    /// organization, and holds roles nowhere else.
    Service,
}

impl AccountKind {
    /// The word that stands for it in answers and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Service => "service",
        }
    }
}

/// The text is not the name of a kind of account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown kind of account, expected \"person\" or \"service\"")]
pub struct UnknownAccountKind;

impl FromStr for AccountKind {
    type Err = UnknownAccountKind;

    fn from_str(text: &str) -> Result<Self, UnknownAccountKind> {
        [Self::Person, Self::Service].into_iter().find(|kind| kind.as_str() == text).ok_or(UnknownAccountKind)
    }
}

impl Principal {
    /// The user, if it is one.
    pub fn user(&self) -> Option<&UserPrincipal> {
        match self {
            Self::Anonymous | Self::Operator => None,
            Self::User(user) => Some(user),
        }
    }

    /// Internal key of the user, if it is one.
    pub fn user_id(&self) -> Option<i64> {
        self.user().map(|user| user.id)
    }

    /// True when no credentials were sent.
    pub fn is_anonymous(&self) -> bool {
        matches!(self, Self::Anonymous)
    }

    /// True for a person who runs the instance: a machine never does.
    pub fn is_system_admin(&self) -> bool {
        self.user().is_some_and(|user| user.system_admin && user.kind == AccountKind::Person)
    }
}
