//! Users: who has an account here.

use access::AccountKind;
use clock::Timestamp;
use db::{Durability, FromRow, Lock, Row, Transaction, WriteFuture, params};
use secrecy::{ExposeSecret, SecretString};

use crate::basic::LONGEST_SECRET;
use crate::secret_token::{Kind, PREFIX};
use crate::{AccountError, Auth, Unavailable, UserDeleteError};

/// Longest page of a list.
pub(crate) const LONGEST_PAGE: u32 = 1000;
/// Characters of a password at the least.
const SHORTEST_PASSWORD: usize = 12;
/// Bytes of an address at the most (RFC 5321 §4.5.3.1.3, less the angle brackets).
const LONGEST_EMAIL: usize = 254;
/// Bytes of a user name at the most.
const LONGEST_NAME: usize = 64;

/// A user to be.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// Name to sign in with: `[a-z0-9][a-z0-9._-]{0,63}`.
    pub username: String,
    /// Address for mail.
    pub email: String,
    /// Password, 12 characters to 1024 bytes.
    pub password: SecretString,
    /// Runs the instance.
    pub system_admin: bool,
}

/// A user as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserView {
    /// Internal key, for memberships.
    pub id: i64,
    /// Name to sign in with.
    pub username: String,
    /// A person, or an account that only machines use.
    pub kind: AccountKind,
    /// Address for mail.
    pub email: String,
    /// When mail to the address was last known to arrive; none when nobody knows.
    pub email_verified_at: Option<Timestamp>,
    /// Runs the instance.
    pub system_admin: bool,
    /// Nothing of this account counts.
    pub is_disabled: bool,
    /// Signed up and has not yet followed the link in the mail: nobody signs in to it.
    pub is_unconfirmed: bool,
    /// When the account was made.
    pub created_at: Timestamp,
}

impl FromRow for UserView {
    fn from_row(row: &Row<'_>) -> Result<Self, db::Error> {
        let kind = row.get::<String>(7)?.parse().map_err(|_| db::Error::UnexpectedType { index: 7 })?;
        Ok(Self {
            id: row.get(0)?,
            username: row.get(1)?,
            email: row.get(2)?,
            system_admin: row.get(3)?,
            created_at: Timestamp::from_millis(row.get(4)?),
            email_verified_at: row.get::<Option<i64>>(5)?.map(Timestamp::from_millis),
            is_disabled: row.get::<Option<i64>>(6)?.is_some(),
            kind,
            is_unconfirmed: row.get(8)?,
        })
    }
}

/// A row to be.
#[derive(Clone)]
pub(crate) struct NewRow {
    pub(crate) username: String,
    pub(crate) email: String,
    pub(crate) password_hash: Option<String>,
    pub(crate) system_admin: bool,
    pub(crate) is_unconfirmed: bool,
    pub(crate) created_at: Timestamp,
}

/// Makes a person's account. [`AccountError::Conflict`] when the name is taken.
pub(crate) async fn insert_in(tx: &mut Transaction, new: NewRow) -> Result<UserView, AccountError> {
    let taken: Option<(i64,)> =
        tx.opt("SELECT id FROM users WHERE username = $1", params![&new.username]).await?;
    if taken.is_some() {
        return Err(AccountError::Conflict);
    }
    let row: Result<(i64,), db::Error> = tx
        .one(
            "INSERT INTO users (username, email, password_hash, system_admin, is_unconfirmed, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
            params![
                &new.username,
                &new.email,
                new.password_hash,
                new.system_admin,
                new.is_unconfirmed,
                new.created_at.as_millis()
            ],
        )
        .await;
    match row {
        Ok((id,)) => Ok(UserView {
            id,
            username: new.username,
            kind: AccountKind::Person,
            email: new.email,
            email_verified_at: None,
            system_admin: new.system_admin,
            is_disabled: false,
            is_unconfirmed: new.is_unconfirmed,
            created_at: new.created_at,
        }),
        Err(error) if error.is_unique_violation() => Err(AccountError::Conflict),
        Err(error) => Err(error.into()),
    }
}

/// The person with this key, locked until the end of the transaction.
pub(crate) async fn user_in(tx: &mut Transaction, id: i64) -> Result<Option<UserView>, db::Error> {
    tx.opt(
        "SELECT id, username, email, system_admin, created_at, email_verified_at, disabled_at, kind, \
         is_unconfirmed FROM users WHERE id = $1 AND kind = 'person' FOR UPDATE",
        params![id],
    )
    .await
}

/// The person of this name, locked until the end of the transaction.
async fn person_in(tx: &mut Transaction, username: &str) -> Result<UserView, AccountError> {
    let user: Option<UserView> = tx
        .opt(
            "SELECT id, username, email, system_admin, created_at, email_verified_at, disabled_at, kind, \
             is_unconfirmed FROM users WHERE username = $1 AND kind = 'person' FOR UPDATE",
            params![username],
        )
        .await?;
    user.ok_or(AccountError::NotFound)
}

/// Ends what an account was signed in with: browsers, access tokens, refresh tokens, remembered passwords. Tokens
/// that its owner made stay.
pub(crate) async fn end_sign_ins_in(tx: &mut Transaction, user_id: i64) -> Result<(), db::Error> {
    tx.exec("UPDATE users SET epoch = epoch + 1 WHERE id = $1", params![user_id]).await?;
    tx.exec("DELETE FROM tokens WHERE user_id = $1 AND kind = $2", params![user_id, Kind::Refresh.as_str()])
        .await?;
    tx.exec("DELETE FROM sessions WHERE user_id = $1", params![user_id]).await?;
    Ok(())
}

/// [`AccountError::LastAdmin`] when nobody but this account could run the instance.
async fn keep_an_admin_in(tx: &mut Transaction, user: &UserView) -> Result<(), AccountError> {
    if !user.system_admin || user.is_disabled {
        return Ok(());
    }
    let other: Option<(i64,)> = tx
        .opt(
            "SELECT id FROM users WHERE system_admin = $1 AND id <> $2 AND disabled_at IS NULL \
             AND is_unconfirmed = 0 ORDER BY username LIMIT 1",
            params![true, user.id],
        )
        .await?;
    if other.is_some() { Ok(()) } else { Err(AccountError::LastAdmin) }
}

impl Auth {
    /// Makes a user.
    ///
    /// [`AccountError::Invalid`] when a field is not acceptable, [`AccountError::Conflict`] when the name is
    /// taken.
    pub async fn user_create(&self, user: NewUser) -> Result<UserView, AccountError> {
        let new = self.user_prepare(user).await?;
        self.0
            .db
            .write(Durability::Durable, move |tx| {
                Box::pin(async move {
                    tx.lock(Lock::Identity, 0).await?;
                    insert_in(tx, new).await
                })
            })
            .await
    }

    /// Checks what somebody gave for a new account, and hashes the password.
    pub(crate) async fn user_prepare(&self, user: NewUser) -> Result<NewRow, AccountError> {
        check_username(&user.username)?;
        check_email(&user.email)?;
        check_password(&user.password)?;
        let password_hash = self.0.passwords.hash(&user.password).await?;
        Ok(NewRow {
            username: user.username,
            email: user.email,
            password_hash: Some(password_hash),
            system_admin: user.system_admin,
            is_unconfirmed: false,
            created_at: self.0.clock.now(),
        })
    }

    /// The account of this name: a person's, or a machine's.
    pub async fn user_get(&self, username: &str) -> Result<UserView, AccountError> {
        let user: Option<UserView> = self
            .0
            .db
            .opt(
                "SELECT id, username, email, system_admin, created_at, email_verified_at, disabled_at, kind, \
                 is_unconfirmed FROM users WHERE username = $1",
                params![username],
            )
            .await?;
        user.ok_or(AccountError::NotFound)
    }

    /// The account with this key: a person's, or a machine's.
    pub async fn user_by_id(&self, id: i64) -> Result<UserView, AccountError> {
        let user: Option<UserView> = self
            .0
            .db
            .opt(
                "SELECT id, username, email, system_admin, created_at, email_verified_at, disabled_at, kind, \
                 is_unconfirmed FROM users WHERE id = $1",
                params![id],
            )
            .await?;
        user.ok_or(AccountError::NotFound)
    }

    /// A page of people by name, beginning after `after`; at most `limit`, which is held between 1 and 1000.
    /// Accounts of machines belong to their organization and are not among them.
    pub async fn user_list(&self, after: Option<&str>, limit: u32) -> Result<Vec<UserView>, Unavailable> {
        let users = self
            .0
            .db
            .all(
                "SELECT id, username, email, system_admin, created_at, email_verified_at, disabled_at, kind, \
                 is_unconfirmed FROM users WHERE username > $1 AND kind = 'person' ORDER BY username LIMIT $2",
                params![after.unwrap_or_default(), limit.clamp(1, LONGEST_PAGE)],
            )
            .await?;
        Ok(users)
    }

    /// Deletes a person with all its tokens. What the user was signed in with is over at once.
    ///
    /// Roles go with the account, and who may do without whom is not for this crate to say: `may_go` is asked with
    /// the user's key, in the same transaction and after every other change of roles.
    ///
    /// [`AccountError::LastAdmin`] when nobody else could run the instance.
    pub async fn user_delete<G, E>(&self, username: &str, may_go: G) -> Result<(), UserDeleteError<E>>
    where
        G: for<'t> FnOnce(&'t mut Transaction, i64) -> WriteFuture<'t, (), E> + Clone + Send + 'static,
        E: Send + 'static,
    {
        let username = username.to_owned();
        self.0
            .db
            .write(Durability::Durable, move |tx| {
                Box::pin(async move {
                    tx.lock(Lock::Identity, 0).await?;
                    tx.lock(Lock::Tenancy, 0).await?;
                    let user = person_in(tx, &username).await?;
                    keep_an_admin_in(tx, &user).await?;
                    may_go(tx, user.id).await.map_err(UserDeleteError::Needed)?;
                    tx.exec("DELETE FROM users WHERE id = $1", params![user.id]).await?;
                    Ok(())
                })
            })
            .await
    }

    /// Lets nothing of a person's account count any more, tokens included, until it is enabled again. What it was
    /// signed in with is over for good.
    ///
    /// [`AccountError::LastAdmin`] when nobody else could run the instance.
    pub async fn user_disable(&self, username: &str) -> Result<UserView, AccountError> {
        self.user_set_disabled(username, true).await
    }

    /// Lets a person's account count again.
    pub async fn user_enable(&self, username: &str) -> Result<UserView, AccountError> {
        self.user_set_disabled(username, false).await
    }

    async fn user_set_disabled(&self, username: &str, is_disabled: bool) -> Result<UserView, AccountError> {
        let username = username.to_owned();
        let now = self.0.clock.now().as_millis();
        self.0
            .db
            .write(Durability::Durable, move |tx| {
                Box::pin(async move {
                    tx.lock(Lock::Identity, 0).await?;
                    let user = person_in(tx, &username).await?;
                    if user.is_disabled == is_disabled {
                        return Ok(user);
                    }
                    if is_disabled {
                        keep_an_admin_in(tx, &user).await?;
                        crate::mail_codes::clear_in(tx, user.id).await?;
                    }
                    tx.exec(
                        "UPDATE users SET disabled_at = $1 WHERE id = $2",
                        params![is_disabled.then_some(now), user.id],
                    )
                    .await?;
                    end_sign_ins_in(tx, user.id).await?;
                    Ok(UserView { is_disabled, ..user })
                })
            })
            .await
    }

    /// Makes a person run the instance, or not any more. Browsers have to sign in again: what they may do has
    /// changed.
    ///
    /// [`AccountError::LastAdmin`] when nobody else could run the instance.
    pub async fn user_set_admin(&self, username: &str, is_admin: bool) -> Result<UserView, AccountError> {
        let username = username.to_owned();
        self.0
            .db
            .write(Durability::Durable, move |tx| {
                Box::pin(async move {
                    tx.lock(Lock::Identity, 0).await?;
                    let user = person_in(tx, &username).await?;
                    if user.system_admin == is_admin {
                        return Ok(user);
                    }
                    if !is_admin {
                        keep_an_admin_in(tx, &user).await?;
                    }
                    tx.exec("UPDATE users SET system_admin = $1 WHERE id = $2", params![is_admin, user.id])
                        .await?;
                    end_sign_ins_in(tx, user.id).await?;
                    Ok(UserView { system_admin: is_admin, ..user })
                })
            })
            .await
    }

    /// Gives a person a new password. The old one, browsers, access tokens and refresh tokens are over at once;
    /// personal tokens stay, since they were made to be independent of the password.
    pub async fn password_set(&self, username: &str, password: &SecretString) -> Result<(), AccountError> {
        check_password(password)?;
        let password_hash = self.0.passwords.hash(password).await?;
        let username = username.to_owned();
        self.0
            .db
            .write(Durability::Durable, move |tx| {
                Box::pin(async move {
                    tx.lock(Lock::Identity, 0).await?;
                    let user = person_in(tx, &username).await?;
                    password_set_in(tx, user.id, password_hash).await?;
                    Ok(())
                })
            })
            .await
    }
}

/// Stores a new password; what was signed in with the old one is over, and so is every link that was sent.
pub(crate) async fn password_set_in(
    tx: &mut Transaction,
    user_id: i64,
    password_hash: String,
) -> Result<(), db::Error> {
    tx.exec("UPDATE users SET password_hash = $1 WHERE id = $2", params![password_hash, user_id]).await?;
    crate::mail_codes::clear_in(tx, user_id).await?;
    end_sign_ins_in(tx, user_id).await
}

fn check(is_acceptable: bool, field: &'static str, reason: &'static str) -> Result<(), AccountError> {
    if is_acceptable { Ok(()) } else { Err(AccountError::Invalid { field, reason }) }
}

pub(crate) fn check_username(name: &str) -> Result<(), AccountError> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_acceptable = (1..=LONGEST_NAME).contains(&name.len())
        && name.bytes().all(|byte| is_plain(byte) || matches!(byte, b'.' | b'_' | b'-'))
        && name.bytes().next().is_some_and(is_plain);
    check(
        is_acceptable,
        "username",
        "expected 1 to 64 lower case letters, digits, dots, underscores and dashes, beginning with a letter or digit",
    )
}

/// Whether mail arrives there only mail can tell.
pub(crate) fn check_email(email: &str) -> Result<(), AccountError> {
    // What means something else in a letter's header is left out, quoted or not.
    let is_odd = |character: char| {
        character.is_whitespace() || character.is_control() || "()<>[]\\,;:\"".contains(character)
    };
    let is_acceptable = email.len() <= LONGEST_EMAIL
        && !email.chars().any(is_odd)
        && email
            .split_once('@')
            .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty() && !domain.contains('@'));
    check(is_acceptable, "email", "expected an address such as name@example.com of at most 254 bytes")
}

pub(crate) fn check_password(password: &SecretString) -> Result<(), AccountError> {
    let password = password.expose_secret();
    check(password.chars().count() >= SHORTEST_PASSWORD, "password", "expected at least 12 characters")?;
    check(password.len() <= LONGEST_SECRET, "password", "expected at most 1024 bytes")?;
    check(!password.starts_with(PREFIX), "password", "expected not to begin like a token, with \"lrd_\"")
}

#[cfg(test)]
mod tests;
