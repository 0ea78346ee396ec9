//! New passwords: by who knows the old one, by who gets the account's mail, or by an administrator's link.

use std::net::IpAddr;
use std::time::Duration;

use db::{Durability, Lock, params};
use secrecy::SecretString;

use crate::mail_codes::{self, CodeKind};
use crate::users::{check_password, password_set_in, user_in};
use crate::{AccountError, Auth, UserView};

/// Life of a link that an administrator hands over.
const HANDED_OVER_LIFE: Duration = Duration::from_hours(24);
/// How many accounts of one address get a letter.
const MOST_ACCOUNTS: i64 = 5;
/// Address of a code that was not sent anywhere.
const HANDED_OVER: &str = "";

impl Auth {
    /// Gives a person a new password in exchange for the present one; an account without one (its owner signs in
    /// through an identity provider) needs none. Everything that was signed in with the old one is over, the
    /// browser that asked included: open a new session for it.
    ///
    /// [`AccountError::WrongPassword`] after as long as signing in with it would take.
    pub async fn password_change(
        &self,
        user_id: i64,
        current: Option<&SecretString>,
        new: &SecretString,
        origin: IpAddr,
    ) -> Result<(), AccountError> {
        check_password(new)?;
        let user = self.user_by_id(user_id).await?;
        if self.has_password(user_id).await? {
            let current = current.ok_or(AccountError::WrongPassword)?;
            self.password_proved(&user.username, current, origin).await?;
        }
        self.password_set(&user.username, new).await?;
        self.letter_changed(&user.username, &user.email, "The password");
        Ok(())
    }

    /// Whether the account has a password of its own.
    pub async fn has_password(&self, user_id: i64) -> Result<bool, AccountError> {
        let row: Option<(bool,)> = self
            .0
            .db
            .opt("SELECT password_hash IS NOT NULL FROM users WHERE id = $1", params![user_id])
            .await?;
        row.map(|(has_password,)| has_password).ok_or(AccountError::NotFound)
    }

    /// Sends a link for a new password to the account of this name or to the accounts of this address, if there
    /// are any that sign in with a password. The answer is the same and comes as soon when there are none.
    ///
    /// [`AccountError::NotConfigured`] when no mail can be sent.
    pub fn password_forgot(&self, name_or_email: &str) -> Result<(), AccountError> {
        if !self.mail_is_on() {
            return Err(crate::mail::NO_MAIL);
        }
        let auth = self.clone();
        let name_or_email = name_or_email.to_owned();
        tokio::spawn(async move {
            if let Err(error) = auth.password_forgot_now(&name_or_email).await {
                tracing::warn!(%error, "links for a new password were not sent");
            }
        });
        Ok(())
    }

    pub(crate) async fn password_forgot_now(&self, name_or_email: &str) -> Result<(), AccountError> {
        let users: Vec<(i64,)> = if name_or_email.contains('@') {
            self.0
                .db
                .all(
                    "SELECT id FROM users WHERE lower(email) = lower($1) AND kind = 'person' \
                     AND password_hash IS NOT NULL AND disabled_at IS NULL AND is_unconfirmed = 0 LIMIT $2",
                    params![name_or_email, MOST_ACCOUNTS],
                )
                .await?
        } else {
            self.0
                .db
                .all(
                    "SELECT id FROM users WHERE username = $1 AND kind = 'person' \
                     AND password_hash IS NOT NULL AND disabled_at IS NULL AND is_unconfirmed = 0",
                    params![name_or_email],
                )
                .await?
        };
        for (user_id,) in users {
            self.code_send(CodeKind::Reset, user_id, None).await?;
        }
        Ok(())
    }

    /// A code with which a person sets a new password within 24 hours, for an administrator to hand over. Earlier
    /// ones are void.
    pub async fn password_reset_link(&self, username: &str) -> Result<SecretString, AccountError> {
        let user = self.user_get(username).await?;
        let code = mail_codes::generate();
        let stored = code.clone();
        let now = self.0.clock.now();
        self.0
            .db
            .write(Durability::Durable, move |tx| {
                Box::pin(async move {
                    tx.lock(Lock::Identity, 0).await?;
                    let user = user_in(tx, user.id).await?.ok_or(AccountError::NotFound)?;
                    tx.exec(
                        "DELETE FROM mail_codes WHERE user_id = $1 AND kind = $2",
                        params![user.id, CodeKind::Reset.as_str()],
                    )
                    .await?;
                    let time = (now, HANDED_OVER_LIFE);
                    mail_codes::insert_in(tx, CodeKind::Reset, &stored, user.id, HANDED_OVER, time).await?;
                    Ok::<_, AccountError>(())
                })
            })
            .await?;
        Ok(code)
    }

    /// Sets a new password in exchange for a code. A second factor stays: the mailbox alone does not sign in.
    ///
    /// [`AccountError::WrongLink`] when the code is not known, was used, has expired, or was sent to another
    /// address than the account has now.
    pub async fn password_reset(
        &self,
        code: &SecretString,
        new: &SecretString,
    ) -> Result<UserView, AccountError> {
        check_password(new)?;
        let password_hash = self.0.passwords.hash(new).await?;
        let now = self.0.clock.now();
        let code = code.clone();
        let user = self
            .0
            .db
            .write(Durability::Durable, move |tx| {
                Box::pin(async move {
                    tx.lock(Lock::Identity, 0).await?;
                    let taken = mail_codes::take_in(tx, CodeKind::Reset, &code, now).await?;
                    let taken = taken.ok_or(AccountError::WrongLink)?;
                    let user = user_in(tx, taken.user_id).await?.ok_or(AccountError::WrongLink)?;
                    let is_by_mail = taken.email != HANDED_OVER;
                    if user.is_disabled || (is_by_mail && taken.email != user.email) {
                        return Err(AccountError::WrongLink);
                    }
                    if is_by_mail {
                        tx.exec(
                            "UPDATE users SET email_verified_at = $1 WHERE id = $2",
                            params![now.as_millis(), user.id],
                        )
                        .await?;
                    }
                    password_set_in(tx, user.id, password_hash).await?;
                    Ok(user)
                })
            })
            .await?;
        self.letter_changed(&user.username, &user.email, "The password");
        Ok(user)
    }
}

#[cfg(test)]
mod tests;
