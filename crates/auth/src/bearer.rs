//! From a token to an identity.

use std::sync::Arc;
use std::time::Duration;

use access::{Principal, UserPrincipal};
use clock::Timestamp;
use db::{Durability, params};

use crate::access_token::Verified;
use crate::identity::{Credential, Identity, Limit, Source};
use crate::secret_token::{self, Kind, PREFIX};
use crate::{Auth, BearerError};

/// How exact the time of the last use is.
const NOTE_USE_EVERY: Duration = Duration::from_mins(10);

/// For how long users and tokens that were found count as they were while the database cannot be asked, so that
/// pulls go on. Nothing that changes anything is possible then.
const OUTAGE: Duration = Duration::from_mins(10);

/// A stored token that was found, with its owner.
struct Found {
    token_id: i64,
    expires_at: Option<Timestamp>,
    last_used_at: Option<Timestamp>,
    user: UserPrincipal,
    epoch: i64,
}

impl Auth {
    /// Who brings this bearer token: an access token, or a personal token in its place.
    pub async fn identify_bearer(&self, token: &str) -> Result<Identity, BearerError> {
        if token.starts_with(PREFIX) {
            return self.identify_stored(token, Kind::Personal).await;
        }
        let verified = self.verify_access_token(token).await?;
        self.identify_verified(&verified).await
    }

    /// Who brings this refresh token. It stays valid: clients store it once, and use it from several places.
    pub async fn identify_refresh(&self, token: &str) -> Result<Identity, BearerError> {
        self.identify_stored(token, Kind::Refresh).await
    }

    /// Finds a stored token of one kind. One read by its hash tells the token, its owner and the owner's
    /// epoch as they are now, so there is nothing to remember and a deleted token is over at once.
    pub(crate) async fn identify_stored(&self, token: &str, kind: Kind) -> Result<Identity, BearerError> {
        if secret_token::parse(token) != Some(kind) {
            return Err(BearerError::Invalid);
        }
        let found = self.token_find(token, kind).await?.ok_or(BearerError::Invalid)?;
        if found.expires_at.is_some_and(|end| end <= self.0.clock.now()) {
            return Err(BearerError::Expired);
        }
        self.note_use(found.token_id, found.last_used_at);
        let credential = match kind {
            Kind::Personal => Credential::PersonalToken,
            Kind::Refresh => Credential::RefreshToken,
        };
        let source =
            Source { epoch: found.epoch, token_id: Some(found.token_id), expires_at: found.expires_at };
        Ok(Identity::of_user(found.user, credential, source))
    }

    async fn token_find(&self, token: &str, kind: Kind) -> Result<Option<Found>, db::Error> {
        type Row = (i64, Option<i64>, Option<i64>, i64, String, bool, i64);
        let row: Option<Row> = self
            .0
            .db
            .opt_or_last(
                OUTAGE,
                "SELECT tokens.id, tokens.expires_at, tokens.last_used_at, \
                 users.id, users.username, users.system_admin, users.epoch \
                 FROM tokens JOIN users ON users.id = tokens.user_id \
                 WHERE tokens.secret_hash = $1 AND tokens.kind = $2",
                params![secret_token::hash(token), kind.as_str()],
            )
            .await?;
        Ok(row.map(|(token_id, expires_at, last_used_at, id, name, system_admin, epoch)| Found {
            token_id,
            expires_at: expires_at.map(Timestamp::from_millis),
            last_used_at: last_used_at.map(Timestamp::from_millis),
            user: UserPrincipal { id, name: name.into(), system_admin },
            epoch,
        }))
    }

    async fn identify_verified(&self, verified: &Verified) -> Result<Identity, BearerError> {
        let (principal, epoch) = match verified.user_id {
            None => (Principal::Anonymous, 0),
            Some(id) => {
                let (user, epoch) =
                    self.user_now(id, verified.token_id).await?.ok_or(BearerError::Invalid)?;
                (Principal::User(user), epoch)
            }
        };
        if epoch != verified.epoch {
            return Err(BearerError::Invalid);
        }
        Ok(Identity {
            principal,
            limit: Limit::Scopes(Arc::clone(&verified.grants)),
            credential: Credential::AccessToken,
            source: Source { epoch, token_id: verified.token_id, expires_at: Some(verified.expires_at) },
        })
    }

    /// The user as it is now, if it is still there, and the stored token as well if one is named.
    pub(crate) async fn user_now(
        &self,
        id: i64,
        token_id: Option<i64>,
    ) -> Result<Option<(UserPrincipal, i64)>, db::Error> {
        let db = &self.0.db;
        let row: Option<(String, bool, i64)> = match token_id {
            None => {
                let sql = "SELECT username, system_admin, epoch FROM users WHERE id = $1";
                db.opt_or_last(OUTAGE, sql, params![id]).await?
            }
            Some(token_id) => {
                db.opt_or_last(
                    OUTAGE,
                    "SELECT users.username, users.system_admin, users.epoch \
                     FROM tokens JOIN users ON users.id = tokens.user_id \
                     WHERE tokens.id = $1 AND users.id = $2",
                    params![token_id, id],
                )
                .await?
            }
        };
        Ok(row.map(|(name, system_admin, epoch)| {
            (UserPrincipal { id, name: name.into(), system_admin }, epoch)
        }))
    }

    /// Writes down that a token was used: seldom, beside the request, and never a reason for it to fail.
    fn note_use(&self, token_id: i64, last_used_at: Option<Timestamp>) {
        let now = self.0.clock.now();
        let is_recent = |at: Option<Timestamp>| at.is_some_and(|at| now.since(at) < NOTE_USE_EVERY);
        if is_recent(last_used_at) || is_recent(self.0.noted_uses.get(&token_id)) {
            return;
        }
        self.0.noted_uses.insert(token_id, now);
        let db = self.0.db.clone();
        tokio::spawn(async move {
            let written: Result<(), db::Error> = db
                .write(Durability::Relaxed, move |tx| {
                    Box::pin(async move {
                        tx.exec(
                            "UPDATE tokens SET last_used_at = $1 WHERE id = $2",
                            params![now.as_millis(), token_id],
                        )
                        .await
                        .map(|_| ())
                    })
                })
                .await;
            if let Err(error) = written {
                tracing::warn!(%error, token_id, "time of last use of a token was not written");
            }
        });
    }
}

#[cfg(test)]
mod tests;
