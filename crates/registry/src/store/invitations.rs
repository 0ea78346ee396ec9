//! Roles that wait for whoever brings the link.

use access::Role;
use clock::Timestamp;
use db::{Db, Error, FromRow, Row, Transaction, params};

use super::tenancy::stored;

/// Invitations of one organization that are open at once.
pub(crate) const MOST_INVITATIONS: u32 = 500;

/// One invitation that has not ended.
pub(crate) struct InvitationRow {
    pub(crate) public_id: String,
    pub(crate) organization_id: i64,
    pub(crate) organization: String,
    /// None: on the whole organization.
    pub(crate) registry_id: Option<i64>,
    pub(crate) registry: Option<String>,
    /// Empty when nobody said.
    pub(crate) email: String,
    pub(crate) role: Role,
    pub(crate) invited_by: String,
    pub(crate) created_at: i64,
    pub(crate) expires_at: i64,
}

impl FromRow for InvitationRow {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            public_id: row.get(0)?,
            organization_id: row.get(1)?,
            organization: row.get(2)?,
            registry_id: row.get(3)?,
            registry: row.get(4)?,
            email: row.get(5)?,
            role: stored(&row.get::<String>(6)?)?,
            invited_by: row.get(7)?,
            created_at: row.get(8)?,
            expires_at: row.get(9)?,
        })
    }
}

macro_rules! select {
    ($condition:literal) => {
        concat!(
            "SELECT i.public_id, i.organization_id, o.name, i.registry_id, g.name, i.email, i.role, i.invited_by,
                    i.created_at, i.expires_at
             FROM invitations i
             JOIN organizations o ON o.id = i.organization_id
             LEFT JOIN registries g ON g.id = i.registry_id
             WHERE ",
            $condition
        )
    };
}

const BY_SECRET: &str = select!("i.secret_hash = $1 AND i.expires_at > $2");

pub(crate) async fn invitation_by_secret(
    db: &Db,
    secret_hash: [u8; 32],
    now: Timestamp,
) -> Result<Option<InvitationRow>, Error> {
    db.opt(BY_SECRET, params![secret_hash, now.as_millis()]).await
}

/// The same, as the transaction sees it.
pub(crate) async fn invitation_by_secret_in(
    transaction: &mut Transaction,
    secret_hash: [u8; 32],
    now: Timestamp,
) -> Result<Option<InvitationRow>, Error> {
    transaction.opt(BY_SECRET, params![secret_hash, now.as_millis()]).await
}

/// Invitations to an organization and to its registries.
pub(crate) async fn invitations_of_organization(
    db: &Db,
    organization_id: i64,
    after: &str,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<InvitationRow>, Error> {
    db.all(
        select!(
            "i.organization_id = $1 AND i.public_id > $2 AND i.expires_at > $3 ORDER BY i.public_id LIMIT $4"
        ),
        params![organization_id, after, now.as_millis(), limit],
    )
    .await
}

/// Invitations to one registry: few, so that they are put in order here.
pub(crate) async fn invitations_of_registry(
    db: &Db,
    registry_id: i64,
    after: &str,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<InvitationRow>, Error> {
    let mut found: Vec<InvitationRow> = db
        .all(
            select!("i.registry_id = $1 AND i.expires_at > $2 LIMIT $3"),
            params![registry_id, now.as_millis(), MOST_INVITATIONS],
        )
        .await?;
    found.retain(|row| row.public_id.as_str() > after);
    found.sort_unstable_by(|one, other| one.public_id.cmp(&other.public_id));
    found.truncate(limit as usize);
    Ok(found)
}

/// Removes what has ended of an organization, and counts what is left.
pub(crate) async fn invitations_count_in(
    transaction: &mut Transaction,
    organization_id: i64,
    now: Timestamp,
) -> Result<u32, Error> {
    transaction
        .exec(
            "DELETE FROM invitations WHERE organization_id = $1 AND expires_at <= $2",
            params![organization_id, now.as_millis()],
        )
        .await?;
    let (count,): (i64,) = transaction
        .one(
            "SELECT count(*) FROM (SELECT id FROM invitations WHERE organization_id = $1 LIMIT $2) counted",
            params![organization_id, MOST_INVITATIONS],
        )
        .await?;
    Ok(u32::try_from(count).unwrap_or(MOST_INVITATIONS))
}

/// An invitation to be.
#[derive(Clone)]
pub(crate) struct NewInvitationRow {
    pub(crate) public_id: String,
    pub(crate) secret_hash: [u8; 32],
    pub(crate) organization_id: i64,
    pub(crate) registry_id: Option<i64>,
    pub(crate) email: String,
    pub(crate) role: Role,
    pub(crate) invited_by: String,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

pub(crate) async fn invitation_insert_in(
    transaction: &mut Transaction,
    new: &NewInvitationRow,
) -> Result<u64, Error> {
    transaction
        .exec(
            "INSERT INTO invitations
                 (public_id, secret_hash, organization_id, registry_id, email, role, invited_by, created_at,
                  expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            params![
                &new.public_id,
                new.secret_hash,
                new.organization_id,
                new.registry_id,
                &new.email,
                new.role.as_str(),
                &new.invited_by,
                new.created_at.as_millis(),
                new.expires_at.as_millis()
            ],
        )
        .await
}

/// Uses an invitation up. 0 when somebody else just did.
pub(crate) async fn invitation_use_in(
    transaction: &mut Transaction,
    secret_hash: [u8; 32],
) -> Result<u64, Error> {
    transaction.exec("DELETE FROM invitations WHERE secret_hash = $1", params![secret_hash]).await
}

pub(crate) async fn invitation_of_organization_delete_in(
    transaction: &mut Transaction,
    organization_id: i64,
    public_id: &str,
) -> Result<u64, Error> {
    transaction
        .exec(
            "DELETE FROM invitations WHERE public_id = $1 AND organization_id = $2",
            params![public_id, organization_id],
        )
        .await
}

pub(crate) async fn invitation_of_registry_delete_in(
    transaction: &mut Transaction,
    registry_id: i64,
    public_id: &str,
) -> Result<u64, Error> {
    transaction
        .exec(
            "DELETE FROM invitations WHERE public_id = $1 AND registry_id = $2",
            params![public_id, registry_id],
        )
        .await
}

/// Takes all invitations to one registry away.
pub(crate) async fn invitations_of_registry_delete_in(
    transaction: &mut Transaction,
    registry_id: i64,
) -> Result<u64, Error> {
    transaction.exec("DELETE FROM invitations WHERE registry_id = $1", params![registry_id]).await
}

/// Removes some that have ended.
pub(crate) async fn invitations_remove_expired_in(
    transaction: &mut Transaction,
    now: Timestamp,
    limit: u32,
) -> Result<u64, Error> {
    transaction
        .exec(
            "DELETE FROM invitations WHERE id IN (
                 SELECT id FROM invitations WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
            params![now.as_millis(), limit],
        )
        .await
}
