//! The second factor of a person's account: one-time passwords of an authenticator program, and recovery codes for
//! the day when that is lost.

use std::fmt;
use std::sync::Arc;

use clock::Timestamp;
use db::{Durability, Lock, Transaction, params};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::seal::{Purpose, Sealer};
use crate::users::{end_sign_ins_in, user_in};
use crate::{AccountError, Auth, Unavailable, random, totp};

/// Recovery codes that are made at a time.
const RECOVERY_CODES: usize = 10;
/// Random bytes of a recovery code: 80 bits, so that a fast hash is enough.
const RECOVERY_BYTES: usize = 10;
/// Characters of a recovery code without its dashes.
const RECOVERY_LENGTH: usize = 16;

/// What to set up an authenticator program with, shown once.
pub struct NewSecondFactor {
    /// The secret as programs take it when it is typed.
    pub secret: SecretString,
    /// The same as an address that programs take as a QR code (`otpauth://totp/…`).
    pub url: SecretString,
}

impl fmt::Debug for NewSecondFactor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("NewSecondFactor").finish_non_exhaustive()
    }
}

/// The second factor of an account as its owner may see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SecondFactorView {
    /// Since when a code is asked for; none when it is not.
    pub confirmed_at: Option<Timestamp>,
    /// How many recovery codes are left.
    pub recovery_codes: u32,
}

/// Uses up a code: a step of the clock counts once, and so does a recovery code. [`AccountError::WrongCode`] when it
/// is none, or when the account has no second factor.
pub(crate) async fn use_in(
    tx: &mut Transaction,
    sealer: &Sealer,
    user_id: i64,
    code: &SecretString,
    now: Timestamp,
) -> Result<(), AccountError> {
    let row: Option<(Vec<u8>, i64)> = tx
        .opt(
            "SELECT secret, last_step FROM second_factors WHERE user_id = $1 AND confirmed_at IS NOT NULL \
             FOR UPDATE",
            params![user_id],
        )
        .await?;
    let (blob, last_step) = row.ok_or(AccountError::WrongCode)?;
    let secret = unseal(sealer, user_id, &blob);
    let step = secret.as_ref().and_then(|secret| totp::verify(secret, code.expose_secret(), now, last_step));
    if let (Some(step), Some(secret)) = (step, secret) {
        // What an earlier key sealed moves to the present one.
        let blob = if sealer.is_current(&blob) { blob } else { seal(sealer, user_id, &secret) };
        tx.exec(
            "UPDATE second_factors SET last_step = $1, secret = $2 WHERE user_id = $3",
            params![step, blob, user_id],
        )
        .await?;
        return Ok(());
    }
    let hash = recovery_hash(user_id, code).ok_or(AccountError::WrongCode)?;
    let used = tx
        .exec("DELETE FROM recovery_codes WHERE user_id = $1 AND code_hash = $2", params![user_id, hash])
        .await?;
    if used == 1 { Ok(()) } else { Err(AccountError::WrongCode) }
}

fn seal(sealer: &Sealer, user_id: i64, secret: &[u8]) -> Vec<u8> {
    sealer.seal(Purpose::SecondFactor, &user_id.to_string(), secret)
}

fn unseal(sealer: &Sealer, user_id: i64, blob: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let secret = sealer.open(Purpose::SecondFactor, &user_id.to_string(), blob);
    if secret.is_none() {
        tracing::error!(
            user_id,
            "the secret of a second factor cannot be opened, add the key that it was sealed with to \
             auth.sealing_keys_before"
        );
    }
    secret
}

/// Four groups of four characters.
fn recovery_code() -> SecretString {
    let text = totp::base32(&random::bytes::<RECOVERY_BYTES>()).to_ascii_lowercase();
    let groups = [&text[..4], &text[4..8], &text[8..12], &text[12..]];
    groups.join("-").into()
}

/// Under what a recovery code is stored, if it has the form of one.
fn recovery_hash(user_id: i64, code: &SecretString) -> Option<[u8; 32]> {
    let code = code.expose_secret();
    if code.len() > 64 {
        return None;
    }
    let plain: Zeroizing<String> = Zeroizing::new(
        code.chars()
            .filter(|character| !matches!(character, '-' | ' '))
            .map(|character| character.to_ascii_lowercase())
            .collect(),
    );
    let well_formed =
        plain.len() == RECOVERY_LENGTH && plain.bytes().all(|byte| byte.is_ascii_alphanumeric());
    well_formed.then(|| {
        Sha256::new()
            .chain_update("larder recovery code")
            .chain_update(user_id.to_be_bytes())
            .chain_update(plain.as_bytes())
            .finalize()
            .into()
    })
}

/// Replaces the recovery codes of an account.
async fn recovery_replace_in(
    tx: &mut Transaction,
    user_id: i64,
    codes: &[SecretString],
) -> Result<(), db::Error> {
    tx.exec("DELETE FROM recovery_codes WHERE user_id = $1", params![user_id]).await?;
    for hash in codes.iter().filter_map(|code| recovery_hash(user_id, code)) {
        tx.exec("INSERT INTO recovery_codes (user_id, code_hash) VALUES ($1, $2)", params![user_id, hash])
            .await?;
    }
    Ok(())
}

async fn remove_in(tx: &mut Transaction, user_id: i64) -> Result<u64, db::Error> {
    tx.exec("DELETE FROM recovery_codes WHERE user_id = $1", params![user_id]).await?;
    tx.exec("DELETE FROM second_factors WHERE user_id = $1", params![user_id]).await
}

impl Auth {
    /// The second factor of this account.
    pub async fn second_factor_get(&self, user_id: i64) -> Result<SecondFactorView, Unavailable> {
        let row: Option<(Option<i64>, i64)> = self
            .0
            .db
            .opt(
                "SELECT confirmed_at, (SELECT count(*) FROM recovery_codes WHERE user_id = $1) \
                 FROM second_factors WHERE user_id = $1",
                params![user_id],
            )
            .await?;
        Ok(row.map_or_else(SecondFactorView::default, |(confirmed_at, left)| SecondFactorView {
            confirmed_at: confirmed_at.map(Timestamp::from_millis),
            recovery_codes: u32::try_from(left).unwrap_or(u32::MAX),
        }))
    }

    /// Begins to set up a second factor. It counts when [`Auth::totp_confirm`] has seen a code; to begin again makes
    /// another secret.
    ///
    /// [`AccountError::SecondFactorOn`] when there is one, [`AccountError::NotConfigured`] without a sealing key
    /// that outlasts the program, [`AccountError::NotFound`] when there is no such person.
    pub async fn totp_begin(&self, user_id: i64) -> Result<NewSecondFactor, AccountError> {
        if !self.0.sealer.is_lasting() {
            return Err(AccountError::NotConfigured(
                "second factors need auth.sealing_key, ask an administrator",
            ));
        }
        let secret = Zeroizing::new(random::bytes::<{ totp::SECRET_LENGTH }>());
        let blob = seal(&self.0.sealer, user_id, secret.as_slice());
        let now = self.0.clock.now().as_millis();
        let user = self
            .0
            .db
            .write(Durability::Durable, move |tx| {
                Box::pin(async move {
                    tx.lock(Lock::Identity, 0).await?;
                    let user = user_in(tx, user_id).await?.ok_or(AccountError::NotFound)?;
                    let stored = tx
                        .exec(
                            "INSERT INTO second_factors (user_id, secret, last_step, created_at) \
                             VALUES ($1, $2, 0, $3) ON CONFLICT (user_id) DO UPDATE \
                             SET secret = excluded.secret, last_step = 0, created_at = excluded.created_at \
                             WHERE second_factors.confirmed_at IS NULL",
                            params![user_id, blob, now],
                        )
                        .await?;
                    if stored == 0 { Err(AccountError::SecondFactorOn) } else { Ok(user) }
                })
            })
            .await?;
        let secret = Zeroizing::new(totp::base32(secret.as_slice()));
        let service = utf8_percent_encode(self.service(), NON_ALPHANUMERIC);
        let username = utf8_percent_encode(&user.username, NON_ALPHANUMERIC);
        let url = format!("otpauth://totp/{service}:{username}?secret={}&issuer={service}", *secret);
        Ok(NewSecondFactor { secret: secret.as_str().into(), url: url.into() })
    }

    /// Puts the second factor into force, and returns recovery codes, shown this once. Everything that the account
    /// was signed in with by password is over, the browser that asked included: open a new session for it.
    ///
    /// [`AccountError::WrongCode`] when the code is not of the secret that [`Auth::totp_begin`] made last,
    /// [`AccountError::SecondFactorOn`] when it is in force already.
    pub async fn totp_confirm(
        &self,
        user_id: i64,
        code: &SecretString,
    ) -> Result<Vec<SecretString>, AccountError> {
        self.second_factor_gate(user_id)?;
        let now = self.0.clock.now();
        let code = code.clone();
        let codes: Vec<_> = (0..RECOVERY_CODES).map(|_| recovery_code()).collect();
        let stored = codes.clone();
        let sealer = Arc::clone(&self.0.sealer);
        let user = self
            .0
            .db
            .write(Durability::Durable, move |tx| {
                Box::pin(async move {
                    tx.lock(Lock::Identity, 0).await?;
                    let user = user_in(tx, user_id).await?.ok_or(AccountError::NotFound)?;
                    let row: Option<(Vec<u8>, Option<i64>)> = tx
                        .opt(
                            "SELECT secret, confirmed_at FROM second_factors WHERE user_id = $1 FOR UPDATE",
                            params![user_id],
                        )
                        .await?;
                    let (blob, confirmed_at) = row.ok_or(AccountError::WrongCode)?;
                    if confirmed_at.is_some() {
                        return Err(AccountError::SecondFactorOn);
                    }
                    let secret = unseal(&sealer, user_id, &blob).ok_or(AccountError::WrongCode)?;
                    let step = totp::verify(&secret, code.expose_secret(), now, 0);
                    let step = step.ok_or(AccountError::WrongCode)?;
                    tx.exec(
                        "UPDATE second_factors SET confirmed_at = $1, last_step = $2 WHERE user_id = $3",
                        params![now.as_millis(), step, user_id],
                    )
                    .await?;
                    recovery_replace_in(tx, user_id, &stored).await?;
                    end_sign_ins_in(tx, user_id).await?;
                    Ok(user)
                })
            })
            .await?;
        self.letter_changed(&user.username, &user.email, "The second factor");
        Ok(codes)
    }

    /// Takes the second factor away, for who can show a code of it. Everything that the account was signed in with
    /// by password is over, the browser that asked included: open a new session for it.
    pub async fn totp_disable(&self, user_id: i64, code: &SecretString) -> Result<(), AccountError> {
        self.second_factor_gate(user_id)?;
        let now = self.0.clock.now();
        let code = code.clone();
        let sealer = Arc::clone(&self.0.sealer);
        let user = self
            .0
            .db
            .write(Durability::Durable, move |tx| {
                Box::pin(async move {
                    tx.lock(Lock::Identity, 0).await?;
                    let user = user_in(tx, user_id).await?.ok_or(AccountError::NotFound)?;
                    use_in(tx, &sealer, user_id, &code, now).await?;
                    remove_in(tx, user_id).await?;
                    end_sign_ins_in(tx, user_id).await?;
                    Ok::<_, AccountError>(user)
                })
            })
            .await?;
        self.letter_changed(&user.username, &user.email, "The second factor");
        Ok(())
    }

    /// Takes away the second factor of somebody who lost it, for an administrator.
    ///
    /// [`AccountError::NotFound`] when there is no such user or no second factor.
    pub async fn second_factor_remove(&self, username: &str) -> Result<(), AccountError> {
        let user = self.user_get(username).await?;
        let id = user.id;
        self.0
            .db
            .write(Durability::Durable, move |tx| {
                Box::pin(async move {
                    tx.lock(Lock::Identity, 0).await?;
                    if remove_in(tx, id).await? == 0 {
                        return Err(AccountError::NotFound);
                    }
                    end_sign_ins_in(tx, id).await?;
                    Ok(())
                })
            })
            .await?;
        self.letter_changed(&user.username, &user.email, "The second factor");
        Ok(())
    }

    /// New recovery codes in the place of all earlier ones, shown this once, for who can show a code.
    pub async fn recovery_codes_renew(
        &self,
        user_id: i64,
        code: &SecretString,
    ) -> Result<Vec<SecretString>, AccountError> {
        self.second_factor_gate(user_id)?;
        let now = self.0.clock.now();
        let code = code.clone();
        let codes: Vec<_> = (0..RECOVERY_CODES).map(|_| recovery_code()).collect();
        let stored = codes.clone();
        let sealer = Arc::clone(&self.0.sealer);
        self.0
            .db
            .write(Durability::Durable, move |tx| {
                Box::pin(async move {
                    use_in(tx, &sealer, user_id, &code, now).await?;
                    recovery_replace_in(tx, user_id, &stored).await?;
                    Ok::<_, AccountError>(())
                })
            })
            .await?;
        Ok(codes)
    }
}

#[cfg(test)]
mod tests;
