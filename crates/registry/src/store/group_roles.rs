//! Roles that groups of identity providers have. They join when a role is asked for, so a change of either side
//! counts at once.

use access::Role;
use clock::Timestamp;
use db::{Db, Error, FromRow, Row, Transaction, params};

/// Rows of one organization at the most: they are asked for in every authorization.
pub(crate) const MOST_GROUP_ROLES: u32 = 1000;

/// The groups of a user that have a role somewhere: `ug` is the user's, `gr` the role. What follows narrows it.
///
/// `CROSS JOIN` keeps SQLite to this order (SQLite documentation, "Manual Control Of Query Plans Using CROSS JOIN"):
/// most users are in no group or in few, while an organization may have given roles to many.
macro_rules! of_user {
    ($user:literal) => {
        concat!(
            "user_groups ug CROSS JOIN group_roles gr
             WHERE gr.provider = ug.provider AND gr.group_name = ug.group_name AND ug.user_id = ",
            $user
        )
    };
}

/// The highest level that groups give a user on an organization: an expression, null when there is none.
macro_rules! level_on_organization {
    ($user:literal, $organization:literal) => {
        concat!(
            "(SELECT max(gr.level) FROM ",
            $crate::store::group_roles::of_user!($user),
            " AND gr.organization_id = ",
            $organization,
            " AND gr.registry_id IS NULL)"
        )
    };
}

/// The same on one registry of an organization.
macro_rules! level_on_registry {
    ($user:literal, $organization:literal, $registry:literal) => {
        concat!(
            "(SELECT max(gr.level) FROM ",
            $crate::store::group_roles::of_user!($user),
            " AND gr.organization_id = ",
            $organization,
            " AND gr.registry_id = ",
            $registry,
            ")"
        )
    };
}

pub(crate) use {level_on_organization, level_on_registry, of_user};

/// The role of a level that was read. What the database holds was written by this program, so anything else is a
/// damaged row, which must not pass for a right.
pub(crate) fn role_of_level(level: Option<i64>, index: usize) -> Result<Option<Role>, Error> {
    let Some(level) = level else { return Ok(None) };
    Role::of_level(level).map(Some).ok_or(Error::UnexpectedType { index })
}

/// One role of a group.
pub(crate) struct GroupRoleRow {
    pub(crate) public_id: String,
    /// Name of the registry; none for the whole organization.
    pub(crate) registry: Option<String>,
    pub(crate) provider: String,
    pub(crate) group_name: String,
    pub(crate) role: Role,
    pub(crate) created_at: i64,
}

impl FromRow for GroupRoleRow {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            public_id: row.get(0)?,
            registry: row.get(1)?,
            provider: row.get(2)?,
            group_name: row.get(3)?,
            role: role_of_level(Some(row.get(4)?), 4)?.ok_or(Error::UnexpectedType { index: 4 })?,
            created_at: row.get(5)?,
        })
    }
}

pub(crate) async fn group_roles_list(
    db: &Db,
    organization_id: i64,
    after: &str,
    limit: u32,
) -> Result<Vec<GroupRoleRow>, Error> {
    db.all(
        "SELECT gr.public_id, g.name, gr.provider, gr.group_name, gr.level, gr.created_at
         FROM group_roles gr LEFT JOIN registries g ON g.id = gr.registry_id
         WHERE gr.organization_id = $1 AND gr.public_id > $2 ORDER BY gr.public_id LIMIT $3",
        params![organization_id, after, limit],
    )
    .await
}

pub(crate) async fn group_role_get(
    db: &Db,
    organization_id: i64,
    public_id: &str,
) -> Result<Option<GroupRoleRow>, Error> {
    db.opt(
        "SELECT gr.public_id, g.name, gr.provider, gr.group_name, gr.level, gr.created_at
         FROM group_roles gr LEFT JOIN registries g ON g.id = gr.registry_id
         WHERE gr.organization_id = $1 AND gr.public_id = $2",
        params![organization_id, public_id],
    )
    .await
}

/// Those of a user's groups that have a role on an organization or on a registry of it.
pub(crate) async fn group_roles_of_user(
    db: &Db,
    user_id: i64,
    organization_id: i64,
) -> Result<Vec<GroupRoleRow>, Error> {
    let mut found: Vec<GroupRoleRow> = db
        .all(
            "SELECT gr.public_id, g.name, gr.provider, gr.group_name, gr.level, gr.created_at
             FROM user_groups ug
             CROSS JOIN group_roles gr
             LEFT JOIN registries g ON g.id = gr.registry_id
             WHERE gr.provider = ug.provider AND gr.group_name = ug.group_name
               AND ug.user_id = $1 AND gr.organization_id = $2 LIMIT $3",
            params![user_id, organization_id, MOST_GROUP_ROLES],
        )
        .await?;
    found.sort_unstable_by(|one, other| one.public_id.cmp(&other.public_id));
    Ok(found)
}

/// How many an organization has.
pub(crate) async fn group_roles_count_in(
    transaction: &mut Transaction,
    organization_id: i64,
) -> Result<u32, Error> {
    let (count,): (i64,) = transaction
        .one(
            "SELECT count(*) FROM (SELECT id FROM group_roles WHERE organization_id = $1 LIMIT $2) counted",
            params![organization_id, MOST_GROUP_ROLES],
        )
        .await?;
    Ok(u32::try_from(count).unwrap_or(MOST_GROUP_ROLES))
}

/// Who a role is given to, and where.
#[derive(Clone)]
pub(crate) struct GroupPlace {
    pub(crate) organization_id: i64,
    /// None: the whole organization.
    pub(crate) registry_id: Option<i64>,
    pub(crate) provider: String,
    pub(crate) group_name: String,
}

/// Whether the group has a role there already.
pub(crate) async fn group_role_exists_in(
    transaction: &mut Transaction,
    place: &GroupPlace,
) -> Result<bool, Error> {
    // No registry has the number 0.
    let found: Option<(i64,)> = transaction
        .opt(
            "SELECT id FROM group_roles
             WHERE provider = $1 AND group_name = $2 AND organization_id = $3 AND coalesce(registry_id, 0) = $4
             LIMIT 1",
            params![&place.provider, &place.group_name, place.organization_id, place.registry_id.unwrap_or(0)],
        )
        .await?;
    Ok(found.is_some())
}

pub(crate) async fn group_role_insert_in(
    transaction: &mut Transaction,
    public_id: &str,
    place: &GroupPlace,
    role: Role,
    now: Timestamp,
) -> Result<u64, Error> {
    transaction
        .exec(
            "INSERT INTO group_roles
                 (public_id, organization_id, registry_id, provider, group_name, level, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            params![
                public_id,
                place.organization_id,
                place.registry_id,
                &place.provider,
                &place.group_name,
                role.level(),
                now.as_millis()
            ],
        )
        .await
}

pub(crate) async fn group_role_set_in(
    transaction: &mut Transaction,
    organization_id: i64,
    public_id: &str,
    role: Role,
) -> Result<u64, Error> {
    transaction
        .exec(
            "UPDATE group_roles SET level = $1 WHERE public_id = $2 AND organization_id = $3",
            params![role.level(), public_id, organization_id],
        )
        .await
}

pub(crate) async fn group_role_delete_in(
    transaction: &mut Transaction,
    organization_id: i64,
    public_id: &str,
) -> Result<u64, Error> {
    transaction
        .exec(
            "DELETE FROM group_roles WHERE public_id = $1 AND organization_id = $2",
            params![public_id, organization_id],
        )
        .await
}

/// Takes all roles that groups have on one registry away.
pub(crate) async fn group_roles_of_registry_delete_in(
    transaction: &mut Transaction,
    registry_id: i64,
) -> Result<u64, Error> {
    transaction.exec("DELETE FROM group_roles WHERE registry_id = $1", params![registry_id]).await
}
