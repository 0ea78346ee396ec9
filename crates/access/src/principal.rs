//! The one who asks.

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

    /// True for a user who runs the instance.
    pub fn is_system_admin(&self) -> bool {
        self.user().is_some_and(|user| user.system_admin)
    }
}
