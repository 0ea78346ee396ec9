//! From a token to an identity.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use access::{Anchor, Limit, UserPrincipal};
use clock::Timestamp;
use db::{Durability, FromRow, Row, params};

use crate::access_token::Verified;
use crate::identity::{Credential, Identity, Source};
use crate::job_token::ANY_ACCOUNT;
use crate::secret_token::{self, Kind, PREFIX};
use crate::tokens::scopes_read;
use crate::{Auth, BearerError, SignInError, provider};

/// How exact the time of the last use is.
const NOTE_USE_EVERY: Duration = Duration::from_mins(10);

/// For how long users and tokens that were found count as they were while the database cannot be asked, so that
/// pulls go on. Nothing that changes anything is possible then.
pub(crate) const OUTAGE: Duration = Duration::from_mins(10);

/// A stored token that was found, with its owner.
struct Found {
    standing: Standing,
    token_id: i64,
    expires_at: Option<Timestamp>,
    last_used_at: Option<Timestamp>,
}

impl FromRow for Found {
    fn from_row(row: &Row<'_>) -> Result<Self, db::Error> {
        Ok(Self {
            standing: Standing::from_row(row)?,
            token_id: row.get(6)?,
            expires_at: row.get::<Option<i64>>(7)?.map(Timestamp::from_millis),
            last_used_at: row.get::<Option<i64>>(8)?.map(Timestamp::from_millis),
        })
    }
}

/// An account as it is now, and what the credentials that stand on it allow at most.
pub(crate) struct Standing {
    pub(crate) user: UserPrincipal,
    pub(crate) epoch: i64,
    pub(crate) limit: Limit,
}

impl Standing {
    pub(crate) fn identity(self, credential: Credential, source: Source) -> Identity {
        let source = Source { epoch: self.epoch, ..source };
        Identity::of_user(self.user, credential, source).limited(self.limit)
    }
}

/// The first six columns: id, username, `system_admin`, epoch, kind, scopes.
impl FromRow for Standing {
    fn from_row(row: &Row<'_>) -> Result<Self, db::Error> {
        let scopes = scopes_read(row, 5)?.map(Into::into);
        let kind = row.get::<String>(4)?.parse().map_err(|_| db::Error::UnexpectedType { index: 4 })?;
        Ok(Self {
            user: UserPrincipal {
                id: row.get(0)?,
                name: row.get::<String>(1)?.into(),
                system_admin: row.get(2)?,
                kind,
            },
            epoch: row.get(3)?,
            limit: Limit::of_scopes(scopes),
        })
    }
}

impl Auth {
    /// Who brings this bearer token from this address: an access token of ours, or in its place a stored token, an
    /// access token of an identity provider that is trusted with them, or the token of a job that exactly one
    /// binding matches.
    pub async fn identify_bearer(&self, token: &str, origin: IpAddr) -> Result<Identity, BearerError> {
        if token.starts_with(PREFIX) {
            return self.identify_stored(token, &Kind::CREDENTIALS, Some(origin)).await;
        }
        match self.verify_access_token(token).await {
            Ok(verified) => self.identify_verified(&verified).await,
            Err(BearerError::Invalid) if provider::looks_foreign(token) => self.identify_foreign(token).await,
            Err(error) => Err(error),
        }
    }

    /// Who brings this token that somebody else signed.
    async fn identify_foreign(&self, token: &str) -> Result<Identity, BearerError> {
        if let Some(identity) = self.identify_provider_token(token).await? {
            return Ok(identity);
        }
        self.identify_job(ANY_ACCOUNT, token).await.map_err(|error| match error {
            SignInError::Unavailable(error) => BearerError::Unavailable(error),
            _ => BearerError::Invalid,
        })
    }

    /// Who brings this refresh token. It stays valid: clients store it once, and use it from several places.
    pub async fn identify_refresh(&self, token: &str) -> Result<Identity, BearerError> {
        self.identify_stored(token, &[Kind::Refresh], None).await
    }

    /// Finds a stored token of one of these kinds. One read by its hash tells the token, its owner and the owner's
    /// epoch as they are now, so there is nothing to remember and a deleted token is over at once.
    pub(crate) async fn identify_stored(
        &self,
        token: &str,
        kinds: &[Kind],
        origin: Option<IpAddr>,
    ) -> Result<Identity, BearerError> {
        let Some(kind) = secret_token::parse(token).filter(|kind| kinds.contains(kind)) else {
            return Err(BearerError::Invalid);
        };
        let found = self.token_find(token, kind).await?.ok_or(BearerError::Invalid)?;
        if found.expires_at.is_some_and(|end| end <= self.0.clock.now()) {
            return Err(BearerError::Expired);
        }
        self.note_use(found.token_id, found.last_used_at, origin);
        let credential = match kind {
            Kind::Personal => Credential::PersonalToken,
            Kind::Service => Credential::ServiceToken,
            Kind::Job => Credential::JobToken,
            Kind::Refresh => Credential::RefreshToken,
        };
        let anchor = Anchor::Token(found.token_id);
        let source = Source { anchor, expires_at: found.expires_at, ..Source::default() };
        Ok(found.standing.identity(credential, source))
    }

    async fn token_find(&self, token: &str, kind: Kind) -> Result<Option<Found>, db::Error> {
        self.0
            .db
            .opt_or_last(
                OUTAGE,
                "SELECT users.id, users.username, users.system_admin, users.epoch, users.kind, tokens.scopes, \
                 tokens.id, tokens.expires_at, tokens.last_used_at \
                 FROM tokens JOIN users ON users.id = tokens.user_id \
                 WHERE tokens.secret_hash = $1 AND tokens.kind = $2 AND users.disabled_at IS NULL",
                params![secret_token::hash(token), kind.as_str()],
            )
            .await
    }

    async fn identify_verified(&self, verified: &Verified) -> Result<Identity, BearerError> {
        let source =
            Source { anchor: verified.anchor, expires_at: Some(verified.expires_at), ..Source::default() };
        let identity = match verified.user_id {
            None => Identity { source, credential: Credential::AccessToken, ..Identity::anonymous() },
            Some(id) => {
                let standing = self.standing(id, verified.anchor).await?.ok_or(BearerError::Invalid)?;
                standing.identity(Credential::AccessToken, source)
            }
        };
        if identity.source.epoch != verified.epoch {
            return Err(BearerError::Invalid);
        }
        let limit = identity.limit.clone().with_grants(Arc::clone(&verified.grants));
        Ok(identity.limited(limit))
    }

    /// The account as it is now, if it is still there and enabled, and so is the row that the credentials stand on.
    pub(crate) async fn standing(&self, id: i64, anchor: Anchor) -> Result<Option<Standing>, db::Error> {
        let db = &self.0.db;
        match anchor {
            Anchor::Account => {
                db.opt_or_last(
                    OUTAGE,
                    "SELECT id, username, system_admin, epoch, kind, NULL FROM users \
                     WHERE id = $1 AND disabled_at IS NULL",
                    params![id],
                )
                .await
            }
            Anchor::Token(token_id) => {
                db.opt_or_last(
                    OUTAGE,
                    "SELECT users.id, users.username, users.system_admin, users.epoch, users.kind, tokens.scopes \
                     FROM tokens JOIN users ON users.id = tokens.user_id \
                     WHERE tokens.id = $1 AND users.id = $2 AND users.disabled_at IS NULL",
                    params![token_id, id],
                )
                .await
            }
            Anchor::Binding(binding_id) => {
                db.opt_or_last(
                    OUTAGE,
                    "SELECT users.id, users.username, users.system_admin, users.epoch, users.kind, bindings.scopes \
                     FROM bindings JOIN users ON users.id = bindings.user_id \
                     WHERE bindings.id = $1 AND users.id = $2 AND users.disabled_at IS NULL",
                    params![binding_id, id],
                )
                .await
            }
        }
    }

    /// Writes down that a token was used: seldom, beside the request, and never a reason for it to fail.
    fn note_use(&self, token_id: i64, last_used_at: Option<Timestamp>, origin: Option<IpAddr>) {
        let now = self.0.clock.now();
        let is_recent = |at: Option<Timestamp>| at.is_some_and(|at| now.since(at) < NOTE_USE_EVERY);
        if is_recent(last_used_at) || is_recent(self.0.noted_uses.get(&token_id)) {
            return;
        }
        self.0.noted_uses.insert(token_id, now);
        let origin = origin.map(|address| address.to_canonical().to_string());
        let db = self.0.db.clone();
        tokio::spawn(async move {
            let written: Result<(), db::Error> = db
                .write(Durability::Relaxed, move |tx| {
                    Box::pin(async move {
                        tx.exec(
                            "UPDATE tokens SET last_used_at = $1, last_used_from = COALESCE($2, last_used_from) \
                             WHERE id = $3",
                            params![now.as_millis(), origin, token_id],
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
