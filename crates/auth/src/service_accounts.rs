//! Service accounts: who machines are. An account of this kind belongs to one organization and falls with it. It has
//! no password and no sessions: tokens of its own and bindings are the ways in.

use clock::Timestamp;
use db::{Durability, FromRow, Lock, Row, Transaction, params};

use crate::users::LONGEST_PAGE;
use crate::{AccountError, Auth, Unavailable};

/// Service accounts of one organization at the most.
const MOST_ACCOUNTS: i64 = 500;
/// Bytes of a name at the most.
const LONGEST_NAME: usize = 32;
/// Characters of a description at the most.
const LONGEST_DESCRIPTION: usize = 500;
/// Stands between the organization and the name: no person's name and no organization's has it.
const SEPARATOR: char = '+';

/// A service account as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAccountView {
    /// Internal key, for tokens, bindings and memberships.
    pub id: i64,
    /// Name to sign in with: `<organization>+<name>`.
    pub username: String,
    /// What it is for.
    pub description: String,
    /// Since when nothing of it counts any more; none while it does.
    pub disabled_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl ServiceAccountView {
    /// Its name within the organization.
    pub fn name(&self) -> &str {
        self.username.split_once(SEPARATOR).map_or(&*self.username, |(_, name)| name)
    }
}

/// `id, username, description, disabled_at, created_at`.
impl FromRow for ServiceAccountView {
    fn from_row(row: &Row<'_>) -> Result<Self, db::Error> {
        Ok(Self {
            id: row.get(0)?,
            username: row.get(1)?,
            description: row.get(2)?,
            disabled_at: row.get::<Option<i64>>(3)?.map(Timestamp::from_millis),
            created_at: Timestamp::from_millis(row.get(4)?),
        })
    }
}

impl Auth {
    /// Makes a service account in an organization, with no right to anything yet.
    ///
    /// [`AccountError::Invalid`] when the name or the description is not acceptable or the organization has 500 of
    /// them, [`AccountError::Conflict`] when there is one of this name.
    pub async fn service_account_create(
        &self,
        organization_id: i64,
        organization: &str,
        name: &str,
        description: &str,
    ) -> Result<ServiceAccountView, AccountError> {
        check_name(name)?;
        check_description(description)?;
        let username = format!("{organization}{SEPARATOR}{name}");
        let description = description.to_owned();
        let now = self.0.clock.now();
        self.0
            .db
            .write(Durability::Durable, move |tx| {
                Box::pin(async move {
                    tx.lock(Lock::Identity, 0).await?;
                    let (present,): (i64,) = tx
                        .one("SELECT count(*) FROM users WHERE organization_id = $1", params![organization_id])
                        .await?;
                    if present >= MOST_ACCOUNTS {
                        return Err(AccountError::Invalid {
                            field: "service_accounts",
                            reason: "an organization has at most 500 service accounts, delete one first",
                        });
                    }
                    let inserted: Result<ServiceAccountView, db::Error> = tx
                        .one(
                            "INSERT INTO users (username, email, kind, organization_id, description, created_at) \
                             VALUES ($1, '', 'service', $2, $3, $4) \
                             RETURNING id, username, description, disabled_at, created_at",
                            params![username, organization_id, description, now.as_millis()],
                        )
                        .await;
                    inserted.map_err(|error| {
                        if error.is_unique_violation() { AccountError::Conflict } else { error.into() }
                    })
                })
            })
            .await
    }

    /// A page of an organization's service accounts by name, beginning after the one with the user name `after`; at
    /// most `limit`, which is held between 1 and 1000.
    pub async fn service_account_list(
        &self,
        organization_id: i64,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<ServiceAccountView>, Unavailable> {
        let found = self
            .0
            .db
            .all(
                "SELECT id, username, description, disabled_at, created_at FROM users \
                 WHERE organization_id = $1 AND username > $2 ORDER BY username LIMIT $3",
                params![organization_id, after.unwrap_or_default(), limit.clamp(1, LONGEST_PAGE)],
            )
            .await?;
        Ok(found)
    }

    /// The service account of this name in an organization.
    pub async fn service_account_get(
        &self,
        organization_id: i64,
        organization: &str,
        name: &str,
    ) -> Result<ServiceAccountView, AccountError> {
        let found: Option<ServiceAccountView> = self
            .0
            .db
            .opt(
                "SELECT id, username, description, disabled_at, created_at FROM users \
                 WHERE organization_id = $1 AND username = $2",
                params![organization_id, format!("{organization}{SEPARATOR}{name}")],
            )
            .await?;
        found.ok_or(AccountError::NotFound)
    }

    /// Says anew what a service account is for.
    pub async fn service_account_describe(
        &self,
        organization_id: i64,
        id: i64,
        description: &str,
    ) -> Result<ServiceAccountView, AccountError> {
        check_description(description)?;
        let description = description.to_owned();
        self.0
            .db
            .write(Durability::Durable, move |tx| {
                Box::pin(async move {
                    tx.lock(Lock::Identity, 0).await?;
                    let changed: Option<ServiceAccountView> = tx
                        .opt(
                            "UPDATE users SET description = $1 WHERE id = $2 AND organization_id = $3 \
                             RETURNING id, username, description, disabled_at, created_at",
                            params![description, id, organization_id],
                        )
                        .await?;
                    changed.ok_or(AccountError::NotFound)
                })
            })
            .await
    }

    /// Disables a service account, or enables it again. Disabled, nothing of it counts from the next request on;
    /// enabled again, its tokens and bindings count again and the access tokens from before do not.
    pub async fn service_account_set_disabled(
        &self,
        organization_id: i64,
        id: i64,
        disabled: bool,
    ) -> Result<ServiceAccountView, AccountError> {
        let now = self.0.clock.now();
        self.0
            .db
            .write(Durability::Durable, move |tx| {
                Box::pin(async move {
                    tx.lock(Lock::Identity, 0).await?;
                    let present = find_in(tx, organization_id, id).await?;
                    if present.disabled_at.is_some() == disabled {
                        return Ok(present);
                    }
                    let at = disabled.then_some(now.as_millis());
                    tx.exec(
                        "UPDATE users SET disabled_at = $1, epoch = epoch + 1 WHERE id = $2",
                        params![at, id],
                    )
                    .await?;
                    find_in(tx, organization_id, id).await
                })
            })
            .await
    }

    /// Deletes a service account with its tokens, its bindings and its roles. All of it is over at once.
    pub async fn service_account_delete(&self, organization_id: i64, id: i64) -> Result<(), AccountError> {
        self.0
            .db
            .write(Durability::Durable, move |tx| {
                Box::pin(async move {
                    tx.lock(Lock::Identity, 0).await?;
                    find_in(tx, organization_id, id).await?;
                    tx.exec("DELETE FROM users WHERE id = $1", params![id]).await?;
                    Ok(())
                })
            })
            .await
    }
}

async fn find_in(
    tx: &mut Transaction,
    organization_id: i64,
    id: i64,
) -> Result<ServiceAccountView, AccountError> {
    let found: Option<ServiceAccountView> = tx
        .opt(
            "SELECT id, username, description, disabled_at, created_at FROM users \
             WHERE id = $1 AND organization_id = $2 FOR UPDATE",
            params![id, organization_id],
        )
        .await?;
    found.ok_or(AccountError::NotFound)
}

fn check_name(name: &str) -> Result<(), AccountError> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_acceptable = (1..=LONGEST_NAME).contains(&name.len())
        && name.bytes().all(|byte| is_plain(byte) || matches!(byte, b'.' | b'_' | b'-'))
        && name.bytes().next().is_some_and(is_plain);
    if is_acceptable {
        return Ok(());
    }
    Err(AccountError::Invalid {
        field: "name",
        reason: "expected 1 to 32 lower case letters, digits, dots, underscores and dashes, beginning with a letter or digit",
    })
}

fn check_description(description: &str) -> Result<(), AccountError> {
    let is_acceptable =
        description.chars().count() <= LONGEST_DESCRIPTION && !description.chars().any(char::is_control);
    if is_acceptable {
        return Ok(());
    }
    Err(AccountError::Invalid { field: "description", reason: "expected at most 500 characters on one line" })
}

#[cfg(test)]
mod tests;
