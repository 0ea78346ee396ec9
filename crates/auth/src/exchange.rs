//! A job's token for one of ours: each once.
//!
//! The token of a platform lives for minutes and the push of a large image may take longer, so a job trades it for
//! one that lives as long as the binding says. The trade and the note that the token was used are one
//! transaction: of two who bring the same token at the same time, one gets something.

use clock::Timestamp;
use db::{Durability, Lock, params};
use secrecy::SecretString;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::bindings::LONGEST_TTL;
use crate::job_token::{Job, JobTokenError, note_arrival};
use crate::provider::Claims;
use crate::secret_token::{self, Kind};
use crate::tokens::{TokenRow, token_insert_in};
use crate::{Auth, Unavailable};

/// How long after its end a token is remembered as used: longer than any clock may be wrong by.
const REMEMBER_AFTER: std::time::Duration = std::time::Duration::from_mins(5);
/// How many notes of used tokens one round removes.
const REMOVE_AT_ONCE: i64 = 1000;

/// What a job got for its token.
#[derive(Clone, Debug)]
pub struct IssuedJobToken {
    /// A stored token, good for everything that the binding allows; to be used as password, or as bearer token.
    pub token: SecretString,
    /// Seconds until it ends.
    pub expires_in_secs: u64,
    /// User name of the service account that it stands for.
    pub account: String,
}

impl Auth {
    /// Exchanges a job's token (RFC 8693), for the service account with this user name or, without a name, for the
    /// only one that a binding leads to.
    ///
    /// All of [`JobTokenError`] can happen; only an administrator is told more than that it did not work.
    pub async fn job_exchange(
        &self,
        token: &str,
        service_account: Option<&str>,
    ) -> Result<IssuedJobToken, JobTokenError> {
        let Job { bound, claims } = self.job_find(token, service_account).await?;
        let now = self.0.clock.now();
        let expires_at = now + bound.binding.token_ttl.min(LONGEST_TTL);
        let fingerprint = fingerprint(&bound.binding.issuer, &claims, token);
        let remember_until = claims.expires_at().max(now) + REMEMBER_AFTER;
        let row = TokenRow {
            kind: Kind::Job,
            user_id: bound.user_id,
            name: bound.binding.name.clone(),
            scopes: bound.binding.scopes.clone(),
            created_by: bound.binding.id.clone(),
            expires_at: Some(expires_at),
            binding_id: Some(bound.binding_id),
            most: i64::MAX,
        };
        let binding_id = bound.binding_id;
        let issued: Result<SecretString, JobTokenError> = self
            .0
            .db
            .write(Durability::Durable, move |tx| {
                Box::pin(async move {
                    tx.lock(Lock::Identity, 0).await?;
                    let first = tx
                        .exec(
                            "INSERT INTO used_assertions (fingerprint, expires_at) VALUES ($1, $2) \
                             ON CONFLICT (fingerprint) DO NOTHING",
                            params![fingerprint, remember_until.as_millis()],
                        )
                        .await?;
                    if first == 0 {
                        return Err(JobTokenError::Used);
                    }
                    // It may have been deleted while the signature was checked.
                    let present: Option<(i64,)> = tx
                        .opt(
                            "UPDATE bindings SET last_used_at = $1 WHERE id = $2 RETURNING id",
                            params![now.as_millis(), binding_id],
                        )
                        .await?;
                    present.ok_or(JobTokenError::NoBinding)?;
                    let (_, secret) = token_insert_in(tx, row, now).await?;
                    Ok(secret)
                })
            })
            .await;
        let token = issued?;
        note_arrival(&bound, &claims, "a job exchanged its own token");
        Ok(IssuedJobToken { token, expires_in_secs: expires_at.since(now).as_secs(), account: bound.account })
    }

    /// Ends a token that [`Auth::job_exchange`] gave, before its time. Tells whether there was one: who asks may not
    /// need to know.
    pub async fn job_burn(&self, token: &str) -> Result<bool, Unavailable> {
        if secret_token::parse(token) != Some(Kind::Job) {
            return Ok(false);
        }
        let hash = secret_token::hash(token);
        let deleted: Result<u64, db::Error> = self
            .0
            .db
            .write(Durability::Durable, move |tx| {
                Box::pin(async move {
                    tx.lock(Lock::Identity, 0).await?;
                    tx.exec(
                        "DELETE FROM tokens WHERE secret_hash = $1 AND kind = $2",
                        params![hash, Kind::Job.as_str()],
                    )
                    .await
                })
            })
            .await;
        Ok(deleted? > 0)
    }

    /// Forgets some of the used tokens that nobody could use again anyway, and tells how many. For the background
    /// worker, to be called again while there are any.
    pub async fn used_assertions_remove_expired(&self) -> Result<u64, Unavailable> {
        let now: Timestamp = self.0.clock.now();
        let removed: Result<u64, db::Error> = self
            .0
            .db
            .write(Durability::Relaxed, move |tx| {
                Box::pin(async move {
                    tx.exec(
                        "DELETE FROM used_assertions WHERE fingerprint IN \
                         (SELECT fingerprint FROM used_assertions WHERE expires_at < $1 \
                          ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
                        params![now.as_millis(), REMOVE_AT_ONCE],
                    )
                    .await
                })
            })
            .await;
        Ok(removed?)
    }
}

/// What stays the same however often a token is brought: the name that its issuer gave it (`jti`, RFC 7519 §4.1.7),
/// else what was signed. Not the signature: of some algorithms there are several for one text.
fn fingerprint(issuer: &str, claims: &Claims, token: &str) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update((issuer.len() as u64).to_le_bytes());
    hasher.update(issuer);
    let name = match claims.0.get("jti") {
        Some(Value::String(name)) if !name.is_empty() => Some(name.clone()),
        Some(Value::Number(name)) => Some(name.to_string()),
        _ => None,
    };
    if let Some(name) = name {
        hasher.update(b"jti");
        hasher.update(name);
    } else {
        hasher.update(b"text");
        hasher.update(token.rsplit_once('.').map_or(token, |(signed, _)| signed));
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests;
