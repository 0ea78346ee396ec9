//! Bindings: which jobs of which issuer may act as a service account, without any secret that is stored.
//!
//! A binding is never changed: what was made through it falls with it, so whoever wants another one makes another
//! one.
//!
//! * `claims`: what one claim has to be.
//! * `platform`: what is known about the platforms that run jobs.
//! * `explain`: why a token does or does not match.

mod claims;
mod explain;
mod platform;

use std::time::Duration;

use access::{Action, TokenScope};
use clock::Timestamp;
use db::{Durability, FromRow, Lock, Row, params};
use serde_json::{Map, Value};

pub use claims::{ClaimMatch, ClaimRule};
pub use explain::BindingTrial;

use crate::tokens::{check_name, check_scopes, check_strength, public_id, scopes_read, scopes_text};
use crate::users::LONGEST_PAGE;
use crate::{AccountError, Auth, Identity, Unavailable, provider};

/// Bindings of one service account at the most.
const MOST_BINDINGS: i64 = 50;
/// Rules of one binding at the most.
const MOST_CLAIMS: usize = 20;
/// Bytes of an audience at the most.
const LONGEST_AUDIENCE: usize = 255;
/// Life of the tokens that are made through a binding when nobody said how long.
const USUAL_TTL: Duration = Duration::from_mins(15);
/// Their shortest and their longest life.
const SHORTEST_TTL: Duration = Duration::from_mins(1);
/// A job that pushes for longer than this asks again.
pub(crate) const LONGEST_TTL: Duration = Duration::from_hours(1);

/// A binding to be.
#[derive(Clone, Debug)]
pub struct NewBinding {
    /// What people recognize it by: 1 to 100 characters on one line.
    pub name: String,
    /// The issuer, byte for byte as its tokens spell it in `iss` (RFC 7519 §4.1.1).
    pub issuer: String,
    /// What the tokens have to say in `aud`, and nothing beside it (RFC 7519 §4.1.3).
    pub audience: String,
    /// What the claims have to be; all have to agree.
    pub claims: Vec<ClaimMatch>,
    /// What comes in through it is good for; everything that the account may when none.
    pub scopes: Option<Vec<TokenScope>>,
    /// Life of the tokens that are made through it, 1 to 60 minutes; 15 minutes when none.
    pub token_ttl: Option<Duration>,
    /// The issuer's keys (RFC 7517 §5), when they cannot be fetched from it.
    pub jwks: Option<String>,
}

/// A binding as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindingView {
    /// Name of the binding in paths. Later ones have greater ones.
    pub id: String,
    /// What people recognize it by.
    pub name: String,
    /// The issuer.
    pub issuer: String,
    /// The audience.
    pub audience: String,
    /// What the claims have to be.
    pub claims: Vec<ClaimMatch>,
    /// What comes in through it is good for.
    pub scopes: Option<Vec<TokenScope>>,
    /// Life of the tokens that are made through it.
    pub token_ttl: Duration,
    /// The issuer's keys, if they were given.
    pub jwks: Option<String>,
    /// User name of the one who made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When a job last came in through it, to about ten minutes; none when never.
    pub last_used_at: Option<Timestamp>,
}

impl BindingView {
    /// What whoever made it should know about it, such as that it matches more than one repository.
    pub fn notes(&self) -> Vec<&'static str> {
        platform::notes(&self.claims)
    }

    /// Why a token with these claims does not match; empty when it does. Says nothing about its signature.
    pub(crate) fn mismatches(&self, claims: &Map<String, Value>) -> Vec<String> {
        let mut reasons: Vec<String> = self.claims.iter().filter_map(|rule| rule.mismatch(claims)).collect();
        if let Some(event) = platform::strangers_event(claims)
            && self.may_change_content()
        {
            reasons.push(format!(
                "event {event:?} runs with the repository's rights on what strangers propose, and is good for bindings \
                 whose scopes are limited to pull"
            ));
        }
        reasons
    }

    fn may_change_content(&self) -> bool {
        let changes = |scope: &TokenScope| {
            scope.actions.contains(Action::Push) || scope.actions.contains(Action::Delete)
        };
        self.scopes.as_ref().is_none_or(|scopes| scopes.iter().any(changes))
    }
}

/// `public_id, name, issuer, audience, claims, scopes, token_ttl, jwks, created_by, created_at, last_used_at`.
impl FromRow for BindingView {
    fn from_row(row: &Row<'_>) -> Result<Self, db::Error> {
        let claims: String = row.get(4)?;
        // Written by this program: anything else is a damaged row, which must not pass for a right.
        Ok(Self {
            id: row.get(0)?,
            name: row.get(1)?,
            issuer: row.get(2)?,
            audience: row.get(3)?,
            claims: serde_json::from_str(&claims).map_err(|_| db::Error::UnexpectedType { index: 4 })?,
            scopes: scopes_read(row, 5)?,
            token_ttl: Duration::from_secs(row.get(6)?),
            jwks: row.get(7)?,
            created_by: row.get(8)?,
            created_at: Timestamp::from_millis(row.get(9)?),
            last_used_at: row.get::<Option<i64>>(10)?.map(Timestamp::from_millis),
        })
    }
}

/// A binding with the account that it leads to.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    pub(crate) binding: BindingView,
    pub(crate) binding_id: i64,
    pub(crate) user_id: i64,
    /// User name of the account.
    pub(crate) account: String,
    /// Whether the account is disabled.
    pub(crate) is_disabled: bool,
}

/// As [`BindingView`], and then `bindings.id, users.id, users.username, users.disabled_at`.
impl FromRow for Bound {
    fn from_row(row: &Row<'_>) -> Result<Self, db::Error> {
        Ok(Self {
            binding: BindingView::from_row(row)?,
            binding_id: row.get(11)?,
            user_id: row.get(12)?,
            account: row.get(13)?,
            is_disabled: row.get::<Option<i64>>(14)?.is_some(),
        })
    }
}

impl Auth {
    /// Makes a binding that leads to a service account.
    ///
    /// [`AccountError::Invalid`] when a field is not acceptable, when the claims of a known platform lack one that
    /// never changes hands, when the scopes are more than the credentials of `maker` allow, or when the account has
    /// 50 bindings; [`AccountError::NotFound`] when there is no such service account.
    pub async fn binding_create(
        &self,
        maker: &Identity,
        account_id: i64,
        new: NewBinding,
    ) -> Result<BindingView, AccountError> {
        check(&new)?;
        check_strength(&maker.limit, new.scopes.as_deref())?;
        let now = self.0.clock.now();
        let view = BindingView {
            id: public_id(now),
            name: new.name,
            issuer: new.issuer,
            audience: new.audience,
            claims: new.claims,
            scopes: new.scopes,
            token_ttl: new.token_ttl.unwrap_or(USUAL_TTL),
            jwks: new.jwks,
            created_by: maker.principal.user().map(|user| user.name.to_string()).unwrap_or_default(),
            created_at: now,
            last_used_at: None,
        };
        let row = view.clone();
        self.0
            .db
            .write(Durability::Durable, move |tx| {
                Box::pin(async move {
                    tx.lock(Lock::Identity, 0).await?;
                    let account: Option<(i64,)> = tx
                        .opt(
                            "SELECT id FROM users WHERE id = $1 AND kind = 'service' FOR KEY SHARE",
                            params![account_id],
                        )
                        .await?;
                    account.ok_or(AccountError::NotFound)?;
                    let (present,): (i64,) = tx
                        .one("SELECT count(*) FROM bindings WHERE user_id = $1", params![account_id])
                        .await?;
                    if present >= MOST_BINDINGS {
                        return Err(AccountError::Invalid {
                            field: "bindings",
                            reason: "a service account has at most 50 bindings, delete one first",
                        });
                    }
                    tx.exec(
                        "INSERT INTO bindings (public_id, user_id, name, issuer, audience, claims, scopes, \
                         token_ttl, jwks, created_by, created_at) \
                         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
                        params![
                            row.id,
                            account_id,
                            row.name,
                            row.issuer,
                            row.audience,
                            serde_json::to_string(&row.claims).expect("rules of text have a JSON form"),
                            row.scopes.as_deref().map(scopes_text),
                            row.token_ttl.as_secs(),
                            row.jwks,
                            row.created_by,
                            row.created_at.as_millis()
                        ],
                    )
                    .await?;
                    Ok(())
                })
            })
            .await
            .map(|()| view)
    }

    /// A page of a service account's bindings, oldest first, beginning after the one named `after`; at most
    /// `limit`, which is held between 1 and 1000.
    pub async fn binding_list(
        &self,
        account_id: i64,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<BindingView>, Unavailable> {
        let found = self
            .0
            .db
            .all(
                "SELECT public_id, name, issuer, audience, claims, scopes, token_ttl, jwks, created_by, \
                 created_at, last_used_at FROM bindings \
                 WHERE user_id = $1 AND public_id > $2 ORDER BY public_id LIMIT $3",
                params![account_id, after.unwrap_or_default(), limit.clamp(1, LONGEST_PAGE)],
            )
            .await?;
        Ok(found)
    }

    /// One binding of a service account.
    ///
    /// [`AccountError::NotFound`] also when it is another account's.
    pub async fn binding_get(&self, account_id: i64, id: &str) -> Result<BindingView, AccountError> {
        let found: Option<BindingView> = self
            .0
            .db
            .opt(
                "SELECT public_id, name, issuer, audience, claims, scopes, token_ttl, jwks, created_by, \
                 created_at, last_used_at FROM bindings WHERE public_id = $1 AND user_id = $2",
                params![id, account_id],
            )
            .await?;
        found.ok_or(AccountError::NotFound)
    }

    /// Deletes a binding. Everything that came in through it is over at once.
    ///
    /// [`AccountError::NotFound`] also when it is another account's.
    pub async fn binding_delete(&self, account_id: i64, id: &str) -> Result<(), AccountError> {
        let id = id.to_owned();
        self.0
            .db
            .write(Durability::Durable, move |tx| {
                Box::pin(async move {
                    tx.lock(Lock::Identity, 0).await?;
                    let deleted = tx
                        .exec(
                            "DELETE FROM bindings WHERE public_id = $1 AND user_id = $2",
                            params![id, account_id],
                        )
                        .await?;
                    if deleted == 0 { Err(AccountError::NotFound) } else { Ok(()) }
                })
            })
            .await
    }
}

fn check(new: &NewBinding) -> Result<(), AccountError> {
    let invalid = |field, reason| Err(AccountError::Invalid { field, reason });
    check_name(&new.name)?;
    check_scopes(new.scopes.as_deref())?;
    if let Err(reason) = provider::check_issuer_url(&new.issuer) {
        return invalid("issuer", reason);
    }
    let is_audience = (1..=LONGEST_AUDIENCE).contains(&new.audience.len())
        && !new.audience.chars().any(|character| character.is_control() || character.is_whitespace());
    if !is_audience {
        return invalid(
            "audience",
            "expected 1 to 255 bytes without spaces, as the job asks its platform for",
        );
    }
    if !(1..=MOST_CLAIMS).contains(&new.claims.len()) {
        return invalid(
            "claims",
            "expected 1 to 20 claims: without any, every job of the issuer would match",
        );
    }
    if let Some(reason) = new.claims.iter().find_map(ClaimMatch::fault) {
        return invalid("claims", reason);
    }
    if let Some(reason) = platform::fault(&new.issuer, &new.claims) {
        return invalid("claims", reason);
    }
    if new.token_ttl.is_some_and(|ttl| !(SHORTEST_TTL..=LONGEST_TTL).contains(&ttl)) {
        return invalid("token_ttl", "expected 60 to 3600 seconds");
    }
    if new.jwks.is_some() && platform::publishes_keys(&new.issuer) {
        return invalid("jwks", "everybody can fetch the keys of this issuer, leave them out");
    }
    if let Some(Err(reason)) = new.jwks.as_deref().map(provider::check_jwks) {
        return invalid("jwks", reason);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
