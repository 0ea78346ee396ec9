//! Codes that are sent by mail, or handed over by an administrator: 256 random bits, stored as a hash, good once.
//!
//! A code belongs to the address that it was sent to: when the account's address is another one meanwhile, it is
//! good for nothing.

use std::net::IpAddr;
use std::time::Duration;

use clock::Timestamp;
use db::{Durability, Lock, Transaction, params};
use secrecy::{ExposeSecret, SecretString};

use crate::basic::LONGEST_SECRET;
use crate::mail::letters;
use crate::secret_token::random_text;
use crate::users::{UserView, check_email, user_in};
use crate::{AccountError, Auth, Unavailable, random, secret_token};

/// Characters of a code.
const CODE_LENGTH: usize = 43;
/// How many expired codes one round removes.
const REMOVE_AT_ONCE: i64 = 500;
/// How many codes of one kind an account has at a time; more are not sent.
const MOST_AT_A_TIME: i64 = 3;

/// What a code is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CodeKind {
    /// Shows that mail to the account's address arrives.
    Verify,
    /// Shows that mail to an address arrives that the account is to have.
    Change,
    /// Sets a new password.
    Reset,
}

impl CodeKind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Change => "change",
            Self::Reset => "reset",
        }
    }

    pub(crate) const fn life(self) -> Duration {
        match self {
            Self::Verify | Self::Change => Duration::from_hours(24),
            Self::Reset => Duration::from_hours(1),
        }
    }
}

/// Key, name and password of an account that was not confirmed yet.
type NewAccount = (i64, String, Option<String>);

/// A code that was shown and is used up with it.
pub(crate) struct Taken {
    pub(crate) user_id: i64,
    pub(crate) email: String,
}

/// A new code.
pub(crate) fn generate() -> SecretString {
    random_text(&random::bytes::<32>()).into()
}

/// Under what a code is stored, if it has the form of one.
fn hash(code: &SecretString) -> Option<[u8; 32]> {
    let code = code.expose_secret();
    let well_formed = code.len() == CODE_LENGTH && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    well_formed.then(|| secret_token::hash(code))
}

/// Stores a code, unless the account has several of this kind already: then nothing and false.
pub(crate) async fn insert_in(
    tx: &mut Transaction,
    kind: CodeKind,
    code: &SecretString,
    user_id: i64,
    email: &str,
    (now, life): (Timestamp, Duration),
) -> Result<bool, db::Error> {
    let (present,): (i64,) = tx
        .one(
            "SELECT count(*) FROM mail_codes WHERE user_id = $1 AND kind = $2 AND created_at > $3",
            params![user_id, kind.as_str(), (now - Duration::from_hours(1)).as_millis()],
        )
        .await?;
    if present >= MOST_AT_A_TIME {
        return Ok(false);
    }
    tx.exec(
        "INSERT INTO mail_codes (secret_hash, kind, user_id, email, created_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6)",
        params![
            secret_token::hash(code.expose_secret()),
            kind.as_str(),
            user_id,
            email,
            now.as_millis(),
            (now + life).as_millis()
        ],
    )
    .await?;
    Ok(true)
}

/// Takes a code out, if it is one of these kinds and its time is not over.
pub(crate) async fn take_in(
    tx: &mut Transaction,
    kind: CodeKind,
    code: &SecretString,
    now: Timestamp,
) -> Result<Option<Taken>, db::Error> {
    let Some(hash) = hash(code) else { return Ok(None) };
    let row: Option<(i64, String, i64)> = tx
        .opt(
            "DELETE FROM mail_codes WHERE secret_hash = $1 AND kind = $2 \
             RETURNING user_id, email, expires_at",
            params![hash, kind.as_str()],
        )
        .await?;
    Ok(row.and_then(|(user_id, email, expires_at)| {
        (now.as_millis() < expires_at).then_some(Taken { user_id, email })
    }))
}

/// Removes all codes of an account: what they were sent for has changed.
pub(crate) async fn clear_in(tx: &mut Transaction, user_id: i64) -> Result<(), db::Error> {
    tx.exec("DELETE FROM mail_codes WHERE user_id = $1", params![user_id]).await.map(|_| ())
}

/// Whether another account is known to get its mail there.
pub(crate) async fn is_taken_in(tx: &mut Transaction, email: &str, user_id: i64) -> Result<bool, db::Error> {
    let row: Option<(i64,)> = tx
        .opt(
            "SELECT id FROM users WHERE lower(email) = lower($1) AND id <> $2 AND is_unconfirmed = 0 \
             AND email_verified_at IS NOT NULL LIMIT 1",
            params![email, user_id],
        )
        .await?;
    Ok(row.is_some())
}

impl Auth {
    /// Takes note that mail arrives at the address that this code was sent to: confirms a new account, or gives an
    /// account the address that it asked for.
    ///
    /// A new account is confirmed by whoever reads the mail and knows the password that was chosen for it: somebody
    /// may have signed up with another one's address, and wait for that one to follow the link.
    ///
    /// [`AccountError::WrongLink`] when the code is not known, was used, has expired, or was sent to another
    /// address than the account has now. [`AccountError::Invalid`] when the password is missing that
    /// [`Auth::email_verify_needs_password`] tells of, [`AccountError::WrongPassword`] when it is another one; the
    /// code stays good then.
    pub async fn email_verify(
        &self,
        code: &SecretString,
        password: Option<&SecretString>,
        origin: IpAddr,
    ) -> Result<UserView, AccountError> {
        let proved = self.new_account_proved(code, password, origin).await?;
        let now = self.0.clock.now();
        let code = code.clone();
        let (before, after) = self
            .0
            .db
            .write(Durability::Durable, move |tx| {
                Box::pin(async move {
                    tx.lock(Lock::Identity, 0).await?;
                    let verified = take_in(tx, CodeKind::Verify, &code, now).await?;
                    let is_change = verified.is_none();
                    let taken = match verified {
                        None => take_in(tx, CodeKind::Change, &code, now).await?,
                        verified => verified,
                    };
                    let taken = taken.ok_or(AccountError::WrongLink)?;
                    let user = user_in(tx, taken.user_id).await?.ok_or(AccountError::WrongLink)?;
                    let is_other_address = !is_change && user.email != taken.email;
                    let is_unproved = user.is_unconfirmed && proved != Some(user.id);
                    if is_other_address
                        || is_unproved
                        || user.is_disabled
                        || is_taken_in(tx, &taken.email, taken.user_id).await?
                    {
                        return Err(AccountError::WrongLink);
                    }
                    tx.exec(
                        "UPDATE users SET email = $1, email_verified_at = $2, is_unconfirmed = 0 WHERE id = $3",
                        params![&taken.email, now.as_millis(), taken.user_id],
                    )
                    .await?;
                    clear_in(tx, taken.user_id).await?;
                    let after = user_in(tx, taken.user_id).await?.ok_or(AccountError::WrongLink)?;
                    Ok::<_, AccountError>((user, after))
                })
            })
            .await?;
        if before.email != after.email {
            // Who reads the old address has to learn of it: it may not have been the owner.
            self.letter_changed(&before.username, &before.email, "The address");
        }
        Ok(after)
    }

    /// Whether this code is that of a new account, which takes its password to be confirmed. Not for a code that is
    /// good for nothing.
    pub async fn email_verify_needs_password(&self, code: &SecretString) -> Result<bool, AccountError> {
        Ok(self.new_account(code).await?.is_some())
    }

    /// The new account that this code confirms, if it does: its key, name and password.
    async fn new_account(&self, code: &SecretString) -> Result<Option<NewAccount>, db::Error> {
        let Some(hash) = hash(code) else { return Ok(None) };
        let found: Option<(i64, String, Option<String>, bool)> = self
            .0
            .db
            .opt(
                "SELECT users.id, users.username, users.password_hash, users.is_unconfirmed \
                 FROM mail_codes JOIN users ON users.id = mail_codes.user_id \
                 WHERE mail_codes.secret_hash = $1 AND mail_codes.kind = $2",
                params![hash, CodeKind::Verify.as_str()],
            )
            .await?;
        Ok(found.and_then(|(id, username, password_hash, is_unconfirmed)| {
            is_unconfirmed.then_some((id, username, password_hash))
        }))
    }

    /// The new account of this code, after its password was shown; none when the code is not that of one.
    async fn new_account_proved(
        &self,
        code: &SecretString,
        password: Option<&SecretString>,
        origin: IpAddr,
    ) -> Result<Option<i64>, AccountError> {
        let Some((user_id, username, stored)) = self.new_account(code).await? else { return Ok(None) };
        let password = password.ok_or(AccountError::Invalid {
            field: "password",
            reason: "a new account is confirmed with the password that was chosen for it, send both",
        })?;
        if password.expose_secret().len() > LONGEST_SECRET {
            return Err(AccountError::WrongPassword);
        }
        let attempt = self
            .0
            .throttle
            .reserve(&username, origin)
            .map_err(|retry_after| AccountError::Throttled { retry_after })?;
        attempt.turn().await;
        match self.0.passwords.verify(password, stored).await {
            Ok(true) => {
                attempt.succeeded();
                Ok(Some(user_id))
            }
            Ok(false) => Err(AccountError::WrongPassword),
            Err(error) => {
                attempt.withdrawn();
                Err(error.into())
            }
        }
    }

    /// Gives an account another address: at once where no mail is sent, else when the code that goes there comes
    /// back. Tells whether it is in force.
    ///
    /// [`AccountError::Invalid`] when the address is not acceptable.
    pub async fn email_change(&self, user_id: i64, email: &str) -> Result<bool, AccountError> {
        check_email(email)?;
        if self.mail_is_on() {
            self.code_send(CodeKind::Change, user_id, Some(email)).await?;
            return Ok(false);
        }
        let email = email.to_owned();
        self.0
            .db
            .write(Durability::Durable, move |tx| {
                Box::pin(async move {
                    tx.lock(Lock::Identity, 0).await?;
                    let changed = tx
                        .exec(
                            "UPDATE users SET email = $1, email_verified_at = NULL \
                             WHERE id = $2 AND kind = 'person'",
                            params![email, user_id],
                        )
                        .await?;
                    clear_in(tx, user_id).await?;
                    if changed == 0 { Err(AccountError::NotFound) } else { Ok(true) }
                })
            })
            .await
    }

    /// Sends another code to the address of an account. Quietly nothing when three went there within an hour.
    pub async fn email_verify_send(&self, user_id: i64) -> Result<(), AccountError> {
        self.code_send(CodeKind::Verify, user_id, None).await
    }

    /// Sends a code for an account to its address or to another one.
    pub(crate) async fn code_send(
        &self,
        kind: CodeKind,
        user_id: i64,
        email: Option<&str>,
    ) -> Result<(), AccountError> {
        if !self.mail_is_on() {
            return Err(crate::mail::NO_MAIL);
        }
        let now = self.0.clock.now();
        let code = generate();
        let stored = code.clone();
        let email = email.map(str::to_owned);
        let sent: Option<(UserView, String)> = self
            .0
            .db
            .write(Durability::Durable, move |tx| {
                Box::pin(async move {
                    tx.lock(Lock::Identity, 0).await?;
                    let user = user_in(tx, user_id).await?.ok_or(AccountError::NotFound)?;
                    let email = email.unwrap_or_else(|| user.email.clone());
                    let life = kind.life();
                    if !insert_in(tx, kind, &stored, user_id, &email, (now, life)).await? {
                        return Ok::<_, AccountError>(None);
                    }
                    // Of several addresses that were asked for, the last one counts.
                    tx.exec(
                        "DELETE FROM mail_codes WHERE user_id = $1 AND kind = $2 AND email <> $3",
                        params![user_id, kind.as_str(), &email],
                    )
                    .await?;
                    Ok(Some((user, email)))
                })
            })
            .await?;
        let Some((user, email)) = sent else { return Ok(()) };
        self.letter_with_code(kind, &user, &email, &code)
    }

    /// Writes the letter that carries a code.
    pub(crate) fn letter_with_code(
        &self,
        kind: CodeKind,
        user: &UserView,
        email: &str,
        code: &SecretString,
    ) -> Result<(), AccountError> {
        let code = code.expose_secret();
        let link = |path: &str| self.mail_link(&format!("{path}?code={code}")).unwrap_or_default();
        let (service, name) = (self.service(), user.username.as_str());
        let (subject, text) = match kind {
            CodeKind::Verify if user.is_unconfirmed => letters::confirm(service, name, &link("/verify")),
            CodeKind::Verify | CodeKind::Change => letters::verify(service, name, &link("/verify")),
            CodeKind::Reset => letters::reset(service, name, &link("/reset-password")),
        };
        self.mail_send(email, &subject, &text)
    }

    /// Tells the owner of an account that something about it was changed, if mail can be sent.
    pub(crate) fn letter_changed(&self, username: &str, email: &str, what: &str) {
        let (subject, text) = letters::changed(self.service(), username, what);
        // Nobody reads it when there is no mail or no address: nothing else depends on it.
        let _ = self.mail_send(email, &subject, &text);
    }

    /// Removes some of the codes whose time is over, and tells how many. For the background worker, to be called
    /// again while there are any.
    pub async fn mail_codes_remove_expired(&self) -> Result<u64, Unavailable> {
        let now = self.0.clock.now().as_millis();
        let removed: Result<u64, db::Error> = self
            .0
            .db
            .write(Durability::Relaxed, move |tx| {
                Box::pin(async move {
                    tx.exec(
                        "DELETE FROM mail_codes WHERE secret_hash IN \
                         (SELECT secret_hash FROM mail_codes WHERE expires_at < $1 \
                          ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
                        params![now, REMOVE_AT_ONCE],
                    )
                    .await
                })
            })
            .await;
        Ok(removed?)
    }
}

#[cfg(test)]
mod tests;
