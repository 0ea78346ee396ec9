//! Stored tokens: those that people make for themselves, those of service accounts, those that are given for a
//! job's token, and the refresh tokens that clients get.

use std::fmt;
use std::time::Duration;

use access::limit::MAXIMUM_TOKEN_SCOPES;
use access::{Limit, TokenScope};
use clock::Timestamp;
use db::{Durability, FromRow, Lock, Row, Transaction, params};
use secrecy::{ExposeSecret, SecretString};

use crate::identity::{Credential, Identity};
use crate::secret_token::{self, Kind};
use crate::users::LONGEST_PAGE;
use crate::{AccountError, Auth, Unavailable, random};

/// Characters of a token's name at the most.
const LONGEST_NAME: usize = 100;
/// Tokens of one kind that one account has at the most, for the kinds that somebody makes on purpose.
const MOST_MADE: i64 = 500;
/// Refresh tokens of one user at the most; a client that signs in over and over pushes out the oldest.
const MOST_REFRESH: i64 = 100;
/// Life of a service account's token when nobody said how long.
const SERVICE_TTL: Duration = Duration::from_hours(90 * 24);
/// How long an old token may stay good beside the one that takes its place.
const LONGEST_OVERLAP: Duration = Duration::from_hours(30 * 24);
/// How long an expired token stays in the list, so that its owner sees why something stopped.
const EXPIRED_STAY: Duration = Duration::from_hours(7 * 24);
/// How many expired tokens one round removes.
const REMOVE_AT_ONCE: i64 = 500;

/// A token to be.
#[derive(Clone, Debug, Default)]
pub struct NewToken {
    /// What its owner recognizes it by: 1 to 100 characters on one line.
    pub name: String,
    /// What it is good for; everything that its owner may when none.
    pub scopes: Option<Vec<TokenScope>>,
    /// When it ends. Without it a person's token has no end, and a service account's ends after 90 days.
    pub expires_at: Option<Timestamp>,
}

/// A token as it may be shown; the token itself is shown once, when it is made.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenView {
    /// Name of the token in paths. Later tokens have greater ones.
    pub id: String,
    /// Name that its owner gave it.
    pub name: String,
    /// Beginning and end of the token, to recognize it by.
    pub hint: String,
    /// What it is good for; everything that its owner may when none.
    pub scopes: Option<Vec<TokenScope>>,
    /// User name of the one who made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends, if it does.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to about ten minutes; none when never.
    pub last_used_at: Option<Timestamp>,
    /// The address from which it was last used, as exact as the time.
    pub last_used_from: Option<String>,
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

/// `public_id, name, hint, scopes, created_by, created_at, expires_at, last_used_at, last_used_from`.
impl FromRow for TokenView {
    fn from_row(row: &Row<'_>) -> Result<Self, db::Error> {
        Ok(Self {
            id: row.get(0)?,
            name: row.get(1)?,
            hint: row.get(2)?,
            scopes: scopes_read(row, 3)?,
            created_by: row.get(4)?,
            created_at: Timestamp::from_millis(row.get(5)?),
            expires_at: row.get::<Option<i64>>(6)?.map(Timestamp::from_millis),
            last_used_at: row.get::<Option<i64>>(7)?.map(Timestamp::from_millis),
            last_used_from: row.get(8)?,
        })
    }
}

/// What a new row needs beside the secret.
#[derive(Clone)]
pub(crate) struct TokenRow {
    pub(crate) kind: Kind,
    pub(crate) user_id: i64,
    pub(crate) name: String,
    pub(crate) scopes: Option<Vec<TokenScope>>,
    pub(crate) created_by: String,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) binding_id: Option<i64>,
    /// How many of the kind an account may have.
    pub(crate) most: i64,
}

impl Auth {
    /// Makes a token for a person. The secret is returned this once and stored only as a hash.
    ///
    /// `maker` is who asks: no token is stronger than the credentials that made it, nor outlives them.
    ///
    /// [`AccountError::Invalid`] when the name is empty or longer than 100 characters, the end is not in the
    /// future, the scopes are none or too many or more than the maker's credentials allow, or the account has 500
    /// tokens; [`AccountError::NotFound`] when there is no such person.
    pub async fn token_create(
        &self,
        maker: &Identity,
        user_id: i64,
        new: NewToken,
    ) -> Result<(TokenView, SecretString), AccountError> {
        self.token_make(Kind::Personal, maker, user_id, new).await
    }

    /// Makes a token for a service account, as [`Auth::token_create`] does for a person.
    pub async fn service_token_create(
        &self,
        maker: &Identity,
        account_id: i64,
        new: NewToken,
    ) -> Result<(TokenView, SecretString), AccountError> {
        let expires_at = new.expires_at.unwrap_or(self.0.clock.now() + SERVICE_TTL);
        let new = NewToken { expires_at: Some(expires_at), ..new };
        self.token_make(Kind::Service, maker, account_id, new).await
    }

    async fn token_make(
        &self,
        kind: Kind,
        maker: &Identity,
        user_id: i64,
        new: NewToken,
    ) -> Result<(TokenView, SecretString), AccountError> {
        check_name(&new.name)?;
        let makers_end = match maker.credential {
            // Who proved to be there may make what stays when the browser is closed.
            Credential::Password | Credential::ProviderPassword | Credential::Session => None,
            _ => maker.source.expires_at,
        };
        let expires_at = match (new.expires_at, makers_end) {
            (Some(end), Some(makers_end)) => Some(end.min(makers_end)),
            (end, makers_end) => end.or(makers_end),
        };
        if expires_at.is_some_and(|end| end <= self.0.clock.now()) {
            return Err(AccountError::Invalid {
                field: "expires_at",
                reason: "expected a time in the future",
            });
        }
        check_scopes(new.scopes.as_deref())?;
        check_strength(&maker.limit, new.scopes.as_deref())?;
        let row = TokenRow {
            kind,
            user_id,
            name: new.name,
            scopes: new.scopes,
            created_by: maker.principal.user().map(|user| user.name.to_string()).unwrap_or_default(),
            expires_at,
            binding_id: None,
            most: MOST_MADE,
        };
        self.token_insert(row).await
    }

    /// A page of a person's tokens, oldest first, beginning after the one named `after`; at most `limit`, which
    /// is held between 1 and 1000.
    pub async fn token_list(
        &self,
        user_id: i64,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<TokenView>, Unavailable> {
        self.tokens_of(Kind::Personal, user_id, after, limit).await
    }

    /// A page of a service account's own tokens, as [`Auth::token_list`] gives a person's. The tokens that were
    /// given for tokens of jobs are not among them: they end by themselves.
    pub async fn service_token_list(
        &self,
        account_id: i64,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<TokenView>, Unavailable> {
        self.tokens_of(Kind::Service, account_id, after, limit).await
    }

    async fn tokens_of(
        &self,
        kind: Kind,
        user_id: i64,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<TokenView>, Unavailable> {
        let found = self
            .0
            .db
            .all(
                "SELECT public_id, name, hint, scopes, created_by, created_at, expires_at, last_used_at, \
                 last_used_from FROM tokens \
                 WHERE user_id = $1 AND kind = $2 AND public_id > $3 ORDER BY public_id LIMIT $4",
                params![user_id, kind.as_str(), after.unwrap_or_default(), limit.clamp(1, LONGEST_PAGE)],
            )
            .await?;
        Ok(found)
    }

    /// Deletes a token of this account. It and what was issued for it are over at once.
    ///
    /// [`AccountError::NotFound`] also when the token is another account's.
    pub async fn token_delete(&self, user_id: i64, id: &str) -> Result<(), AccountError> {
        let id = id.to_owned();
        self.0
            .db
            .write(Durability::Durable, move |tx| {
                Box::pin(async move {
                    tx.lock(Lock::Identity, 0).await?;
                    let deleted = tx
                        .exec(
                            "DELETE FROM tokens WHERE public_id = $1 AND user_id = $2 AND kind IN ($3, $4)",
                            params![id, user_id, Kind::Personal.as_str(), Kind::Service.as_str()],
                        )
                        .await?;
                    if deleted == 0 { Err(AccountError::NotFound) } else { Ok(()) }
                })
            })
            .await
    }

    /// Makes a token that takes the place of another one: the same name, scopes and length of life, a new secret.
    /// The old one stays good for `overlap`, 30 days at the most, and never longer than it would have been.
    ///
    /// [`AccountError::NotFound`] when the account has no such token or its time is over,
    /// [`AccountError::Invalid`] when it has too many.
    pub async fn token_rotate(
        &self,
        user_id: i64,
        id: &str,
        overlap: Duration,
    ) -> Result<(TokenView, SecretString), AccountError> {
        let id = id.to_owned();
        let now = self.0.clock.now();
        let old_ends_at = now + overlap.min(LONGEST_OVERLAP);
        self.0
            .db
            .write(Durability::Durable, move |tx| {
                Box::pin(async move {
                    tx.lock(Lock::Identity, 0).await?;
                    let (old, kind) = rotated_in(tx, user_id, &id, now).await?;
                    if old_ends_at > now {
                        let ends_at = old.expires_at.map_or(old_ends_at, |end| end.min(old_ends_at));
                        tx.exec(
                            "UPDATE tokens SET expires_at = $1 WHERE public_id = $2",
                            params![ends_at.as_millis(), &id],
                        )
                        .await?;
                    } else {
                        // Gone rather than at its end: with the row go the access tokens that came from it.
                        tx.exec("DELETE FROM tokens WHERE public_id = $1", params![&id]).await?;
                    }
                    let row = TokenRow {
                        kind,
                        user_id,
                        name: old.name,
                        scopes: old.scopes,
                        created_by: old.created_by,
                        expires_at: old.expires_at.map(|end| now + end.since(old.created_at)),
                        binding_id: None,
                        // One place more: a full list must not keep anybody from replacing what leaked.
                        most: MOST_MADE + 1,
                    };
                    token_insert_in(tx, row, now).await
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
        let (Some(user_id), Credential::Password | Credential::ProviderPassword) =
            (identity.principal.user_id(), identity.credential)
        else {
            return Ok(None);
        };
        let name: String =
            client.chars().filter(|character| !character.is_control()).take(LONGEST_NAME).collect();
        let row = TokenRow {
            kind: Kind::Refresh,
            user_id,
            name,
            scopes: None,
            created_by: String::new(),
            expires_at: Some(self.0.clock.now() + self.0.settings.refresh_token_ttl),
            binding_id: None,
            most: MOST_REFRESH,
        };
        let (_, token) = self.token_insert(row).await?;
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

    async fn token_insert(&self, row: TokenRow) -> Result<(TokenView, SecretString), AccountError> {
        let now = self.0.clock.now();
        self.0
            .db
            .write(Durability::Durable, move |tx| {
                Box::pin(async move {
                    tx.lock(Lock::Identity, 0).await?;
                    token_insert_in(tx, row, now).await
                })
            })
            .await
    }
}

/// The token that is to be replaced, held until the end of the transaction: of two who rotate at the same time the
/// second one finds what the first one left.
async fn rotated_in(
    tx: &mut Transaction,
    user_id: i64,
    id: &str,
    now: Timestamp,
) -> Result<(TokenView, Kind), AccountError> {
    for kind in [Kind::Personal, Kind::Service] {
        let found: Option<TokenView> = tx
            .opt(
                "SELECT public_id, name, hint, scopes, created_by, created_at, expires_at, last_used_at, \
                 last_used_from FROM tokens \
                 WHERE public_id = $1 AND user_id = $2 AND kind = $3 FOR UPDATE",
                params![id, user_id, kind.as_str()],
            )
            .await?;
        if let Some(found) = found.filter(|found| found.expires_at.is_none_or(|end| end > now)) {
            return Ok((found, kind));
        }
    }
    Err(AccountError::NotFound)
}

/// Writes a new token, whose secret is returned this once.
pub(crate) async fn token_insert_in(
    tx: &mut Transaction,
    row: TokenRow,
    now: Timestamp,
) -> Result<(TokenView, SecretString), AccountError> {
    let TokenRow { kind, user_id, name, scopes, created_by, expires_at, binding_id, most } = row;
    // Nobody gives a person a machine's token or the other way round, whatever key was handed in.
    let account: Option<(i64,)> = tx
        .opt(
            "SELECT id FROM users WHERE id = $1 AND kind = $2 AND disabled_at IS NULL FOR KEY SHARE",
            params![user_id, kind.account().as_str()],
        )
        .await?;
    if account.is_none() {
        return Err(AccountError::NotFound);
    }
    make_room(tx, kind, user_id, most).await?;
    let token = secret_token::generate(kind);
    let view = TokenView {
        id: public_id(now),
        name,
        hint: secret_token::hint(&token),
        scopes,
        created_by,
        created_at: now,
        expires_at,
        last_used_at: None,
        last_used_from: None,
    };
    tx.exec(
        "INSERT INTO tokens (public_id, user_id, kind, name, secret_hash, hint, scopes, created_by, \
         binding_id, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        params![
            &view.id,
            user_id,
            kind.as_str(),
            &view.name,
            secret_token::hash(token.expose_secret()),
            &view.hint,
            view.scopes.as_deref().map(scopes_text),
            &view.created_by,
            binding_id,
            now.as_millis(),
            expires_at.map(Timestamp::as_millis)
        ],
    )
    .await?;
    Ok((view, token))
}

/// Scopes as they are stored.
pub(crate) fn scopes_text(scopes: &[TokenScope]) -> String {
    serde_json::to_string(scopes).expect("patterns and words have a JSON form")
}

/// Scopes as they were stored. Only this program writes them: anything else is a damaged row, which must not pass for
/// a right.
pub(crate) fn scopes_read(row: &Row<'_>, index: usize) -> Result<Option<Vec<TokenScope>>, db::Error> {
    let text: Option<String> = row.get(index)?;
    let scopes = text.map(|text| serde_json::from_str(&text)).transpose();
    scopes.map_err(|_| db::Error::UnexpectedType { index })
}

/// Keeps the number of one user's tokens bounded.
async fn make_room(tx: &mut Transaction, kind: Kind, user_id: i64, most: i64) -> Result<(), AccountError> {
    match kind {
        // Who gives out tokens of jobs in any number lets them run out in any number.
        Kind::Job => {}
        Kind::Personal | Kind::Service => {
            let (present,): (i64,) = tx
                .one(
                    "SELECT count(*) FROM tokens WHERE user_id = $1 AND kind = $2",
                    params![user_id, kind.as_str()],
                )
                .await?;
            if present >= most {
                return Err(AccountError::Invalid {
                    field: "tokens",
                    reason: "an account has at most 500 tokens, delete one first",
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

pub(crate) fn check_name(name: &str) -> Result<(), AccountError> {
    let is_acceptable = !name.trim().is_empty()
        && name.chars().count() <= LONGEST_NAME
        && !name.chars().any(char::is_control);
    if is_acceptable {
        Ok(())
    } else {
        Err(AccountError::Invalid { field: "name", reason: "expected 1 to 100 characters on one line" })
    }
}

/// Whether these scopes can be given: none at all would be a token that is good for nothing.
pub(crate) fn check_scopes(scopes: Option<&[TokenScope]>) -> Result<(), AccountError> {
    let Some(scopes) = scopes else { return Ok(()) };
    let is_acceptable = (1..=MAXIMUM_TOKEN_SCOPES).contains(&scopes.len())
        && scopes.iter().all(|scope| !scope.actions.is_empty());
    if is_acceptable {
        Ok(())
    } else {
        let reason = "expected 1 to 32 scopes, each with at least one action";
        Err(AccountError::Invalid { field: "scopes", reason })
    }
}

/// Whether everything in these scopes is allowed by the credentials of the one who gives them.
pub(crate) fn check_strength(limit: &Limit, scopes: Option<&[TokenScope]>) -> Result<(), AccountError> {
    let is_weaker = match (limit.scopes(), scopes) {
        _ if limit.grants().is_some() => false,
        (None, _) => true,
        (Some(_), None) => false,
        (Some(held), Some(given)) => given.iter().all(|scope| held.iter().any(|other| other.includes(scope))),
    };
    if is_weaker {
        Ok(())
    } else {
        let reason = "a token cannot be stronger than the credentials that make it, sign in with a password";
        Err(AccountError::Invalid { field: "scopes", reason })
    }
}

/// A name that nobody guesses and that sorts by time (UUID version 7, RFC 9562 §5.7).
pub(crate) fn public_id(now: Timestamp) -> String {
    let millis = u64::try_from(now.as_millis()).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(millis, &random::bytes()).into_uuid().to_string()
}

#[cfg(test)]
mod tests;
