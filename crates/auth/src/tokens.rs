//! Stored tokens: personal ones that users make, and refresh tokens that clients get.

use std::fmt;
use std::time::Duration;

use clock::Timestamp;
use db::{Durability, Lock, Transaction, params};
use secrecy::{ExposeSecret, SecretString};

use crate::identity::{Credential, Identity};
use crate::secret_token::{self, Kind};
use crate::users::LONGEST_PAGE;
use crate::{AccountError, Auth, Unavailable, random};

/// Characters of a token's name at the most.
const LONGEST_NAME: usize = 100;
/// Personal tokens of one user at the most.
const MOST_PERSONAL: i64 = 500;
/// Refresh tokens of one user at the most; a client that signs in over and over pushes out the oldest.
const MOST_REFRESH: i64 = 100;
/// How long an expired token stays in the list, so that its owner sees why something stopped.
const EXPIRED_STAY: Duration = Duration::from_hours(7 * 24);
/// How many expired tokens one round removes.
const REMOVE_AT_ONCE: i64 = 500;

/// A personal token as it may be shown; the token itself is shown once, when it is made.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenView {
    /// Name of the token in paths. Later tokens have greater ones.
    pub id: String,
    /// Name that its owner gave it.
    pub name: String,
    /// Beginning and end of the token, to recognize it by.
    pub hint: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends, if it does.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to about ten minutes; none when never.
    pub last_used_at: Option<Timestamp>,
}

impl fmt::Debug for TokenView {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The hint has characters of the secret.
        formatter
            .debug_struct("TokenView")
            .field("id", &self.id)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

type Row = (String, String, String, i64, Option<i64>, Option<i64>);

fn view((id, name, hint, created_at, expires_at, last_used_at): Row) -> TokenView {
    TokenView {
        id,
        name,
        hint,
        created_at: Timestamp::from_millis(created_at),
        expires_at: expires_at.map(Timestamp::from_millis),
        last_used_at: last_used_at.map(Timestamp::from_millis),
    }
}

impl Auth {
    /// Makes a personal token. The secret is returned this once and stored only as a hash.
    ///
    /// [`AccountError::Invalid`] when the name is empty or longer than 100 characters, the end is not in the
    /// future, or the user has 500 tokens; [`AccountError::NotFound`] when there is no such user.
    pub async fn token_create(
        &self,
        user_id: i64,
        name: &str,
        expires_at: Option<Timestamp>,
    ) -> Result<(TokenView, SecretString), AccountError> {
        check_name(name)?;
        let now = self.0.clock.now();
        if expires_at.is_some_and(|end| end <= now) {
            return Err(AccountError::Invalid {
                field: "expires_at",
                reason: "expected a time in the future",
            });
        }
        self.token_insert(Kind::Personal, user_id, name, expires_at, MOST_PERSONAL).await
    }

    /// A page of a user's personal tokens, oldest first, beginning after the one named `after`; at most
    /// `limit`, which is held between 1 and 1000.
    pub async fn token_list(
        &self,
        user_id: i64,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<TokenView>, Unavailable> {
        let rows: Vec<Row> = self
            .0
            .db
            .all(
                "SELECT public_id, name, hint, created_at, expires_at, last_used_at FROM tokens \
                 WHERE user_id = $1 AND kind = $2 AND public_id > $3 ORDER BY public_id LIMIT $4",
                params![
                    user_id,
                    Kind::Personal.as_str(),
                    after.unwrap_or_default(),
                    limit.clamp(1, LONGEST_PAGE)
                ],
            )
            .await?;
        Ok(rows.into_iter().map(view).collect())
    }

    /// Deletes a personal token of this user. It and what was issued for it are over at once.
    ///
    /// [`AccountError::NotFound`] also when the token is another user's.
    pub async fn token_delete(&self, user_id: i64, id: &str) -> Result<(), AccountError> {
        let id = id.to_owned();
        self.0
            .db
            .write(Durability::Durable, move |tx| {
                Box::pin(async move {
                    tx.lock(Lock::Identity, 0).await?;
                    let deleted = tx
                        .exec(
                            "DELETE FROM tokens WHERE public_id = $1 AND user_id = $2 AND kind = $3",
                            params![id, user_id, Kind::Personal.as_str()],
                        )
                        .await?;
                    if deleted == 0 { Err(AccountError::NotFound) } else { Ok(()) }
                })
            })
            .await
    }

    /// A refresh token for one who signed in with a password, for the client named `client`. None for
    /// anybody else: a client that brought a token has one to keep already, and what is made from a personal
    /// token must not outlive it.
    pub async fn refresh_token_issue(
        &self,
        identity: &Identity,
        client: &str,
    ) -> Result<Option<SecretString>, AccountError> {
        let (Some(user_id), Credential::Password) = (identity.principal.user_id(), identity.credential)
        else {
            return Ok(None);
        };
        let name: String =
            client.chars().filter(|character| !character.is_control()).take(LONGEST_NAME).collect();
        let expires_at = self.0.clock.now() + self.0.settings.refresh_token_ttl;
        let (_, token) =
            self.token_insert(Kind::Refresh, user_id, &name, Some(expires_at), MOST_REFRESH).await?;
        Ok(Some(token))
    }

    /// Removes some of the tokens that expired more than a week ago, and tells how many. For the background
    /// worker, to be called again while there are any.
    pub async fn tokens_remove_expired(&self) -> Result<u64, Unavailable> {
        let before = (self.0.clock.now() - EXPIRED_STAY).as_millis();
        let removed: Result<u64, db::Error> = self
            .0
            .db
            .write(Durability::Relaxed, move |tx| {
                Box::pin(async move {
                    tx.exec(
                        "DELETE FROM tokens WHERE id IN \
                         (SELECT id FROM tokens WHERE expires_at < $1 ORDER BY expires_at LIMIT $2 \
                          FOR UPDATE SKIP LOCKED)",
                        params![before, REMOVE_AT_ONCE],
                    )
                    .await
                })
            })
            .await;
        Ok(removed?)
    }

    async fn token_insert(
        &self,
        kind: Kind,
        user_id: i64,
        name: &str,
        expires_at: Option<Timestamp>,
        most: i64,
    ) -> Result<(TokenView, SecretString), AccountError> {
        let token = secret_token::generate(kind);
        let secret_hash = secret_token::hash(token.expose_secret());
        let created_at = self.0.clock.now();
        let view = TokenView {
            id: public_id(created_at),
            name: name.to_owned(),
            hint: secret_token::hint(&token),
            created_at,
            expires_at,
            last_used_at: None,
        };
        let row = view.clone();
        self.0
            .db
            .write(Durability::Durable, move |tx| {
                Box::pin(async move {
                    tx.lock(Lock::Identity, 0).await?;
                    let user: Option<(i64,)> =
                        tx.opt("SELECT id FROM users WHERE id = $1 FOR KEY SHARE", params![user_id]).await?;
                    if user.is_none() {
                        return Err(AccountError::NotFound);
                    }
                    make_room(tx, kind, user_id, most).await?;
                    tx.exec(
                        "INSERT INTO tokens \
                             (public_id, user_id, kind, name, secret_hash, hint, created_at, expires_at) \
                             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                        params![
                            row.id,
                            user_id,
                            kind.as_str(),
                            row.name,
                            secret_hash,
                            row.hint,
                            row.created_at.as_millis(),
                            row.expires_at.map(Timestamp::as_millis)
                        ],
                    )
                    .await?;
                    Ok(())
                })
            })
            .await?;
        Ok((view, token))
    }
}

/// Keeps the number of one user's tokens bounded.
async fn make_room(tx: &mut Transaction, kind: Kind, user_id: i64, most: i64) -> Result<(), AccountError> {
    match kind {
        Kind::Personal => {
            let (present,): (i64,) = tx
                .one(
                    "SELECT count(*) FROM tokens WHERE user_id = $1 AND kind = $2",
                    params![user_id, kind.as_str()],
                )
                .await?;
            if present >= most {
                return Err(AccountError::Invalid {
                    field: "tokens",
                    reason: "a user has at most 500 personal tokens, delete one first",
                });
            }
        }
        Kind::Refresh => {
            tx.exec(
                "DELETE FROM tokens WHERE id IN (SELECT id FROM tokens WHERE user_id = $1 AND kind = $2 \
                 ORDER BY public_id DESC LIMIT 100 OFFSET $3)",
                params![user_id, kind.as_str(), most - 1],
            )
            .await?;
        }
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), AccountError> {
    let is_acceptable = !name.trim().is_empty()
        && name.chars().count() <= LONGEST_NAME
        && !name.chars().any(char::is_control);
    if is_acceptable {
        Ok(())
    } else {
        Err(AccountError::Invalid { field: "name", reason: "expected 1 to 100 characters on one line" })
    }
}

/// A name that nobody guesses and that sorts by time (UUID version 7, RFC 9562 §5.7).
fn public_id(now: Timestamp) -> String {
    let millis = u64::try_from(now.as_millis()).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(millis, &random::bytes()).into_uuid().to_string()
}

#[cfg(test)]
mod tests;
