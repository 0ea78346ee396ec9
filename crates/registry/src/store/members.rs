//! Who has which role on organizations and registries of its own; groups have theirs beside it.

use access::Role;
use db::{Db, Error, Transaction, params};

use super::group_roles::{level_on_organization, level_on_registry, role_of_level};
use super::tenancy::stored;

/// (username, role) of one member.
pub(crate) type MemberRow = (String, String);

macro_rules! members {
    ($table:literal, $column:literal, $put:ident, $get:ident, $list:ident, $delete:ident) => {
        pub(crate) async fn $put(
            transaction: &mut Transaction,
            id: i64,
            user_id: i64,
            role: Role,
        ) -> Result<(), Error> {
            transaction
                .exec(
                    concat!(
                        "INSERT INTO ",
                        $table,
                        " (",
                        $column,
                        ", user_id, role) VALUES ($1, $2, $3)
                         ON CONFLICT (",
                        $column,
                        ", user_id) DO UPDATE SET role = excluded.role"
                    ),
                    params![id, user_id, role.as_str()],
                )
                .await
                .map(|_| ())
        }

        pub(crate) async fn $get(db: &Db, id: i64, user_id: i64) -> Result<Option<MemberRow>, Error> {
            db.opt(
                concat!(
                    "SELECT u.username, m.role FROM ",
                    $table,
                    " m JOIN users u ON u.id = m.user_id
                     WHERE m.",
                    $column,
                    " = $1 AND m.user_id = $2"
                ),
                params![id, user_id],
            )
            .await
        }

        pub(crate) async fn $list(
            db: &Db,
            id: i64,
            after_user_id: i64,
            limit: u32,
        ) -> Result<Vec<(i64, String, String)>, Error> {
            db.all(
                concat!(
                    "SELECT m.user_id, u.username, m.role FROM ",
                    $table,
                    " m JOIN users u ON u.id = m.user_id
                     WHERE m.",
                    $column,
                    " = $1 AND m.user_id > $2 ORDER BY m.user_id LIMIT $3"
                ),
                params![id, after_user_id, limit],
            )
            .await
        }

        pub(crate) async fn $delete(
            transaction: &mut Transaction,
            id: i64,
            user_id: i64,
        ) -> Result<u64, Error> {
            transaction
                .exec(
                    concat!("DELETE FROM ", $table, " WHERE ", $column, " = $1 AND user_id = $2"),
                    params![id, user_id],
                )
                .await
        }
    };
}

members!(
    "organization_members",
    "organization_id",
    organization_member_put_in,
    organization_member_get,
    organization_members_list,
    organization_member_delete_in
);
members!(
    "registry_members",
    "registry_id",
    registry_member_put_in,
    registry_member_get,
    registry_members_list,
    registry_member_delete_in
);

/// Somebody who can look after an organization: a person, who can sign in, with a role of its own. Roles of groups
/// do not count, because the next sign-in may take them away, and machines cannot invite a successor by
/// themselves.
macro_rules! administrator {
    () => {
        "m.role = 'admin' AND u.kind = 'person' AND u.disabled_at IS NULL AND u.is_unconfirmed = 0"
    };
}

/// Whether somebody other than the user is an administrator of the organization.
pub(crate) async fn organization_has_other_admin_in(
    transaction: &mut Transaction,
    id: i64,
    user_id: i64,
) -> Result<bool, Error> {
    let other: Option<(i64,)> = transaction
        .opt(
            concat!(
                "SELECT m.user_id FROM organization_members m JOIN users u ON u.id = m.user_id
                 WHERE m.organization_id = $1 AND m.user_id <> $2 AND ",
                administrator!(),
                " LIMIT 1"
            ),
            params![id, user_id],
        )
        .await?;
    Ok(other.is_some())
}

/// Some organizations that would have no administrator without this user.
pub(crate) async fn organizations_of_last_admin_in(
    transaction: &mut Transaction,
    user_id: i64,
    limit: usize,
) -> Result<Vec<(String,)>, Error> {
    transaction
        .all(
            concat!(
                "SELECT o.name FROM organization_members own JOIN organizations o ON o.id = own.organization_id
                 WHERE own.user_id = $1 AND own.role = 'admin'
                   AND NOT EXISTS (SELECT 1 FROM organization_members m JOIN users u ON u.id = m.user_id
                                   WHERE m.organization_id = own.organization_id AND m.user_id <> $1 AND ",
                administrator!(),
                " LIMIT 1 OFFSET 0) LIMIT $2"
            ),
            params![user_id, i64::try_from(limit).unwrap_or(i64::MAX)],
        )
        .await
}

/// The role of its own that a user has on an organization.
pub(crate) async fn organization_role_in(
    transaction: &mut Transaction,
    id: i64,
    user_id: i64,
) -> Result<Option<Role>, Error> {
    let row: Option<(String,)> = transaction
        .opt(
            "SELECT role FROM organization_members WHERE organization_id = $1 AND user_id = $2",
            params![id, user_id],
        )
        .await?;
    row.map(|(role,)| stored(&role)).transpose()
}

/// The role of its own that a user has on a registry.
pub(crate) async fn registry_role_in(
    transaction: &mut Transaction,
    id: i64,
    user_id: i64,
) -> Result<Option<Role>, Error> {
    let row: Option<(String,)> = transaction
        .opt(
            "SELECT role FROM registry_members WHERE registry_id = $1 AND user_id = $2",
            params![id, user_id],
        )
        .await?;
    row.map(|(role,)| stored(&role)).transpose()
}

/// All roles of its own that a user has on an organization and on registries of it; the name of the registry, or
/// none for the organization.
pub(crate) async fn roles_of_user(
    db: &Db,
    user_id: i64,
    organization_id: i64,
    limit: u32,
) -> Result<Vec<(Option<String>, Role)>, Error> {
    let own: Option<(String,)> = db
        .opt(
            "SELECT role FROM organization_members WHERE organization_id = $1 AND user_id = $2",
            params![organization_id, user_id],
        )
        .await?;
    let mut on_registries: Vec<(String, String)> = db
        .all(
            "SELECT g.name, m.role FROM registry_members m JOIN registries g ON g.id = m.registry_id
             WHERE m.user_id = $1 AND g.organization_id = $2 LIMIT $3",
            params![user_id, organization_id, limit],
        )
        .await?;
    on_registries.sort_unstable();
    let own = own.into_iter().map(|(role,)| (None, role));
    let all = own.chain(on_registries.into_iter().map(|(name, role)| (Some(name), role)));
    all.map(|(registry, role)| Ok((registry, stored(&role)?))).collect()
}

const STANDING: &str = concat!(
    "SELECT om.role, gm.role, ",
    level_on_organization!("u.id", "$1"),
    ", ",
    level_on_registry!("u.id", "$1", "$2"),
    " FROM users u
      LEFT JOIN organization_members om ON om.organization_id = $1 AND om.user_id = u.id
      LEFT JOIN registry_members gm ON gm.registry_id = $2 AND gm.user_id = u.id
      WHERE u.username = $3 AND u.disabled_at IS NULL"
);

type StandingRow = (Option<String>, Option<String>, Option<i64>, Option<i64>);

fn highest(row: Option<StandingRow>) -> Result<Option<Role>, Error> {
    let Some((organization, registry, organization_level, registry_level)) = row else { return Ok(None) };
    let own = |role: Option<String>| role.map(|role| stored::<Role>(&role)).transpose();
    Ok(own(organization)?
        .max(own(registry)?)
        .max(role_of_level(organization_level, 2)?)
        .max(role_of_level(registry_level, 3)?))
}

/// The highest role that somebody has now, by itself or through groups, on an organization or on one registry of
/// it. None for whoever is disabled or gone.
pub(crate) async fn standing(
    db: &Db,
    username: &str,
    organization_id: i64,
    registry_id: Option<i64>,
) -> Result<Option<Role>, Error> {
    // No registry has the number 0.
    highest(db.opt(STANDING, params![organization_id, registry_id.unwrap_or(0), username]).await?)
}

/// The same, as the transaction sees it.
pub(crate) async fn standing_in(
    transaction: &mut Transaction,
    username: &str,
    organization_id: i64,
    registry_id: Option<i64>,
) -> Result<Option<Role>, Error> {
    highest(transaction.opt(STANDING, params![organization_id, registry_id.unwrap_or(0), username]).await?)
}

/// An account that a role is given to: whether a machine's, and the organization that it belongs to.
pub(crate) struct AccountRow {
    pub(crate) is_service: bool,
    pub(crate) organization_id: Option<i64>,
}

/// Holds a user. `None` when it is gone.
pub(crate) async fn user_hold_in(
    transaction: &mut Transaction,
    id: i64,
) -> Result<Option<AccountRow>, Error> {
    let row: Option<(String, Option<i64>)> = transaction
        .opt("SELECT kind, organization_id FROM users WHERE id = $1 FOR KEY SHARE", params![id])
        .await?;
    row.map(|(kind, organization_id)| {
        let kind: access::AccountKind = stored(&kind)?;
        Ok(AccountRow { is_service: kind == access::AccountKind::Service, organization_id })
    })
    .transpose()
}
