//! Users: who has an account here.

use clock::Timestamp;
use db::{Durability, Lock, params};
use secrecy::{ExposeSecret, SecretString};

use crate::basic::LONGEST_SECRET;
use crate::secret_token::{Kind, PREFIX};
use crate::{AccountError, Auth, Unavailable};

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
    /// Address for mail.
    pub email: String,
    /// Runs the instance.
    pub system_admin: bool,
    /// When the account was made.
    pub created_at: Timestamp,
}

type Row = (i64, String, String, bool, i64);

fn view((id, username, email, system_admin, created_at): Row) -> UserView {
    UserView { id, username, email, system_admin, created_at: Timestamp::from_millis(created_at) }
}

impl Auth {
    /// Makes a user.
    ///
    /// [`AccountError::Invalid`] when a field is not acceptable, [`AccountError::Conflict`] when the name is
    /// taken.
    pub async fn user_create(&self, user: NewUser) -> Result<UserView, AccountError> {
        check_username(&user.username)?;
        check_email(&user.email)?;
        check_password(&user.password)?;
        let password_hash = self.0.passwords.hash(&user.password).await?;
        let created_at = self.0.clock.now();
        let NewUser { username, email, system_admin, .. } = user;
        self.0
            .db
            .write(Durability::Durable, move |tx| {
                Box::pin(async move {
                    tx.lock(Lock::Identity, 0).await?;
                    let row: Result<(i64,), db::Error> = tx
                        .one(
                            "INSERT INTO users (username, email, password_hash, system_admin, created_at) \
                             VALUES ($1, $2, $3, $4, $5) RETURNING id",
                            params![&username, &email, password_hash, system_admin, created_at.as_millis()],
                        )
                        .await;
                    match row {
                        Ok((id,)) => Ok(UserView { id, username, email, system_admin, created_at }),
                        Err(error) if error.is_unique_violation() => Err(AccountError::Conflict),
                        Err(error) => Err(error.into()),
                    }
                })
            })
            .await
    }

    /// The user of this name.
    pub async fn user_get(&self, username: &str) -> Result<UserView, AccountError> {
        let row: Option<Row> = self
            .0
            .db
            .opt(
                "SELECT id, username, email, system_admin, created_at FROM users WHERE username = $1",
                params![username],
            )
            .await?;
        row.map(view).ok_or(AccountError::NotFound)
    }

    /// A page of users by name, beginning after `after`; at most `limit`, which is held between 1 and 1000.
    pub async fn user_list(&self, after: Option<&str>, limit: u32) -> Result<Vec<UserView>, Unavailable> {
        let rows: Vec<Row> = self
            .0
            .db
            .all(
                "SELECT id, username, email, system_admin, created_at FROM users \
                 WHERE username > $1 ORDER BY username LIMIT $2",
                params![after.unwrap_or_default(), limit.clamp(1, LONGEST_PAGE)],
            )
            .await?;
        Ok(rows.into_iter().map(view).collect())
    }

    /// Deletes a user with all its tokens. What the user was signed in with is over at once.
    ///
    /// [`AccountError::LastAdmin`] when nobody else could run the instance.
    pub async fn user_delete(&self, username: &str) -> Result<(), AccountError> {
        let username = username.to_owned();
        self.0
            .db
            .write(Durability::Durable, move |tx| {
                Box::pin(async move {
                    tx.lock(Lock::Identity, 0).await?;
                    let row: Option<(i64, bool)> = tx
                        .opt("SELECT id, system_admin FROM users WHERE username = $1", params![&username])
                        .await?;
                    let (id, system_admin) = row.ok_or(AccountError::NotFound)?;
                    if system_admin {
                        let admins: Vec<(i64,)> = tx
                            .all(
                                "SELECT id FROM users WHERE system_admin = $1 ORDER BY username LIMIT 2",
                                params![true],
                            )
                            .await?;
                        if admins.len() < 2 {
                            return Err(AccountError::LastAdmin);
                        }
                    }
                    tx.exec("DELETE FROM users WHERE id = $1", params![id]).await?;
                    Ok(())
                })
            })
            .await
    }

    /// Gives a user a new password. The old one, access tokens and refresh tokens are over at once; personal
    /// tokens stay, since they were made to be independent of the password.
    pub async fn password_set(&self, username: &str, password: &SecretString) -> Result<(), AccountError> {
        check_password(password)?;
        let password_hash = self.0.passwords.hash(password).await?;
        let username = username.to_owned();
        self.0
            .db
            .write(Durability::Durable, move |tx| {
                Box::pin(async move {
                    tx.lock(Lock::Identity, 0).await?;
                    let row: Option<(i64,)> = tx
                        .opt(
                            "UPDATE users SET password_hash = $1, epoch = epoch + 1 WHERE username = $2 \
                             RETURNING id",
                            params![password_hash, &username],
                        )
                        .await?;
                    let (id,) = row.ok_or(AccountError::NotFound)?;
                    tx.exec(
                        "DELETE FROM tokens WHERE user_id = $1 AND kind = $2",
                        params![id, Kind::Refresh.as_str()],
                    )
                    .await?;
                    Ok(())
                })
            })
            .await
    }
}

fn check(is_acceptable: bool, field: &'static str, reason: &'static str) -> Result<(), AccountError> {
    if is_acceptable { Ok(()) } else { Err(AccountError::Invalid { field, reason }) }
}

fn check_username(name: &str) -> Result<(), AccountError> {
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
fn check_email(email: &str) -> Result<(), AccountError> {
    let is_acceptable = email.len() <= LONGEST_EMAIL
        && !email.chars().any(|character| character.is_whitespace() || character.is_control())
        && email
            .split_once('@')
            .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty() && !domain.contains('@'));
    check(is_acceptable, "email", "expected an address such as name@example.com of at most 254 bytes")
}

fn check_password(password: &SecretString) -> Result<(), AccountError> {
    let password = password.expose_secret();
    check(password.chars().count() >= SHORTEST_PASSWORD, "password", "expected at least 12 characters")?;
    check(password.len() <= LONGEST_SECRET, "password", "expected at most 1024 bytes")?;
    check(!password.starts_with(PREFIX), "password", "expected not to begin like a token, with \"lrd_\"")
}

#[cfg(test)]
mod tests;
