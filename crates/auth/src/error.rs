//! What can go wrong, as far as a caller does something about it.

use std::sync::Arc;
use std::time::Duration;

/// The question could not be answered. Says nothing about the credentials.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Unavailable {
    /// The database failed.
    #[error("the database did not answer")]
    Database(#[source] Arc<db::Error>),
    /// The program is shutting down.
    #[error("the program is shutting down, try again in a moment")]
    Stopping,
}

impl From<db::Error> for Unavailable {
    fn from(error: db::Error) -> Self {
        Self::Database(Arc::new(error))
    }
}

/// Why [`Auth::open`](crate::Auth::open) failed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The cost of password hashes is outside what argon2 allows.
    #[error(
        "password cost is not usable ({0}), set memory to at least 8 KiB a lane and passes to at least 1"
    )]
    PasswordCost(argon2::Error),
    /// Keys could not be loaded.
    #[error("signing keys could not be loaded")]
    Unavailable(#[from] Unavailable),
}

/// Why a user name with a password or token was not accepted.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SignInError {
    /// No such user, or not its password, or not a token of it: never says which.
    #[error("user name or password is wrong, check both or sign in with a personal token")]
    Wrong,
    /// Too many failures for this account or from this address. The credentials were not looked at.
    #[error("too many failed attempts, try again in {} seconds", retry_after.as_secs().max(1))]
    Throttled {
        /// Time after which an attempt is taken up.
        retry_after: Duration,
    },
    /// The question could not be answered.
    #[error("credentials could not be checked")]
    Unavailable(#[source] Unavailable),
}

/// Why a bearer or refresh token was not accepted.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BearerError {
    /// Not a token of this registry, or not one for this use, or its user or the token was deleted, or the
    /// password was changed since.
    #[error("token is not valid, sign in again")]
    Invalid,
    /// It was valid and its time is over.
    #[error("token has expired, sign in again")]
    Expired,
    /// The question could not be answered.
    #[error("token could not be checked")]
    Unavailable(#[source] Unavailable),
}

/// Why something about a user or a token was not done.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AccountError {
    /// A value is not acceptable.
    #[error("{field} is not acceptable: {reason}")]
    Invalid {
        /// Name of the field as requests spell it.
        field: &'static str,
        /// What was expected.
        reason: &'static str,
    },
    /// There is a user of this name already.
    #[error("a user with this name exists already, choose another name")]
    Conflict,
    /// There is no such user or token.
    #[error("no such user or token")]
    NotFound,
    /// Without this user nobody could run the instance.
    #[error("the last system admin cannot be deleted, make another user system admin first")]
    LastAdmin,
    /// The database failed.
    #[error("accounts are not available")]
    Unavailable(#[source] Unavailable),
}

macro_rules! unavailable_into {
    ($($error:ty),+) => {$(
        impl From<Unavailable> for $error {
            fn from(error: Unavailable) -> Self {
                Self::Unavailable(error)
            }
        }

        impl From<db::Error> for $error {
            fn from(error: db::Error) -> Self {
                Self::Unavailable(error.into())
            }
        }
    )+};
}

unavailable_into!(SignInError, BearerError, AccountError);

impl From<db::Error> for OpenError {
    fn from(error: db::Error) -> Self {
        Self::Unavailable(error.into())
    }
}
