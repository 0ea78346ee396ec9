//! What a decision rests on, one source after the other.

use access::{AccountKind, Visibility};
use db::{Db, Error, FromRow, Row, params};

use super::tenancy::stored;

/// An account that is asked about.
pub(crate) struct AccountFound {
    pub(crate) id: i64,
    pub(crate) username: String,
    pub(crate) system_admin: bool,
    pub(crate) kind: AccountKind,
    /// The organization that a service account belongs to.
    pub(crate) organization: Option<String>,
    pub(crate) is_disabled: bool,
}

impl FromRow for AccountFound {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            id: row.get(0)?,
            username: row.get(1)?,
            system_admin: row.get(2)?,
            kind: stored(&row.get::<String>(3)?)?,
            organization: row.get(4)?,
            is_disabled: row.get::<Option<i64>>(5)?.is_some() || row.get::<bool>(6)?,
        })
    }
}

pub(crate) async fn account_by_name(db: &Db, username: &str) -> Result<Option<AccountFound>, Error> {
    db.opt(
        "SELECT u.id, u.username, u.system_admin, u.kind, o.name, u.disabled_at, u.is_unconfirmed
         FROM users u LEFT JOIN organizations o ON o.id = u.organization_id
         WHERE u.username = $1",
        params![username],
    )
    .await
}

pub(crate) async fn account_by_id(db: &Db, id: i64) -> Result<Option<AccountFound>, Error> {
    db.opt(
        "SELECT u.id, u.username, u.system_admin, u.kind, o.name, u.disabled_at, u.is_unconfirmed
         FROM users u LEFT JOIN organizations o ON o.id = u.organization_id
         WHERE u.id = $1",
        params![id],
    )
    .await
}

/// What is asked about.
pub(crate) struct PlaceFound {
    pub(crate) organization_id: i64,
    pub(crate) visibility: Option<Visibility>,
    pub(crate) is_read_only: bool,
    pub(crate) is_quarantined: bool,
}

impl FromRow for PlaceFound {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            organization_id: row.get(0)?,
            visibility: row.get::<Option<String>>(1)?.map(|text| stored(&text)).transpose()?,
            is_read_only: row.get::<Option<bool>>(2)?.unwrap_or(false),
            is_quarantined: row.get::<Option<String>>(3)?.is_some(),
        })
    }
}

/// An organization, with a registry of it and a repository of that one where there are such. No name is empty, so
/// that an empty one asks for none.
pub(crate) async fn place_find(
    db: &Db,
    organization: &str,
    registry: &str,
    repository: &str,
) -> Result<Option<PlaceFound>, Error> {
    db.opt(
        "SELECT o.id, g.visibility, g.read_only, r.quarantine
         FROM organizations o
         LEFT JOIN registries g ON g.organization_id = o.id AND g.name = $1
         LEFT JOIN repositories r ON r.registry_id = g.id AND r.name = $2
         WHERE o.name = $3",
        params![registry, repository, organization],
    )
    .await
}
