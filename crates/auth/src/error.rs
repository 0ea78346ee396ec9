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
    /// A sealing key is not one.
    #[error(
        "{name} is not usable: expected the base64 of 32 random bytes, as `larder config new-key` prints"
    )]
    SealingKey {
        /// Name of the setting.
        name: &'static str,
    },
    /// Sign-up is limited to addresses that nobody could check.
    #[error(
        "sign-up is open to some e-mail domains only and no mail can be sent to check an address, set mail.url or remove auth.sign_up_domains"
    )]
    SignUpWithoutMail,
    /// The mail server's address or the sender is not usable.
    #[error("mail settings are not usable: {0}")]
    Mail(String),
    /// The settings of an identity provider are not usable.
    #[error("identity provider {name:?} is not usable: {reason}")]
    Provider {
        /// Name of the provider.
        name: String,
        /// What was expected.
        reason: &'static str,
    },
    /// The client for outgoing requests could not be made.
    #[error("outgoing connections cannot be prepared, check the certificate authorities of the system")]
    Egress(#[source] reqwest::Error),
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
    /// The password is right and not enough: the account has a second factor, which this way of signing in
    /// cannot ask for.
    #[error("this account has a second factor, sign in with a personal token instead of the password")]
    SecondFactor,
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
    /// The present password, which has to be shown again, is not this one.
    #[error("the present password is wrong, check it and try again")]
    WrongPassword,
    /// A code of the second factor is wrong, or was used before.
    #[error("the code is wrong or was used already, wait for the next one or use a recovery code")]
    WrongCode,
    /// There is no sign-in that waits for this, or it took too long.
    #[error("you are not signed in, or signing in took too long, begin again with user name and password")]
    SignInOver,
    /// A link that was sent is not known, was used, has expired, or was sent to an address that is not the
    /// account's any more.
    #[error("the link is not valid any more, ask for a new one")]
    WrongLink,
    /// Too many attempts. The credentials were not looked at.
    #[error("too many attempts, try again in {} seconds", retry_after.as_secs().max(1))]
    Throttled {
        /// Time after which an attempt is taken up.
        retry_after: Duration,
    },
    /// Nobody may sign up, or not with this address, or not without an invitation.
    #[error("{0}")]
    SignUpClosed(&'static str),
    /// The account has a second factor already.
    #[error("the account has a second factor already, switch it off first")]
    SecondFactorOn,
    /// It needs a setting that this registry does not have.
    #[error("{0}")]
    NotConfigured(&'static str),
    /// The database failed.
    #[error("accounts are not available")]
    Unavailable(#[source] Unavailable),
}

/// Why a person was not deleted.
#[derive(Debug, thiserror::Error)]
pub enum UserDeleteError<E> {
    /// It is about the account itself.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// Somebody else needs the account.
    #[error(transparent)]
    Needed(E),
}

impl<E> From<db::Error> for UserDeleteError<E> {
    fn from(error: db::Error) -> Self {
        Self::Account(error.into())
    }
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

impl From<SignInError> for AccountError {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Wrong | SignInError::SecondFactor => Self::WrongPassword,
            SignInError::Throttled { retry_after } => Self::Throttled { retry_after },
            SignInError::Unavailable(error) => Self::Unavailable(error),
        }
    }
}

unavailable_into!(SignInError, BearerError, AccountError);

impl From<db::Error> for OpenError {
    fn from(error: db::Error) -> Self {
        Self::Unavailable(error.into())
    }
}
