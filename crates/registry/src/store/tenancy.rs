//! Organizations and registries, and which of them somebody has a role on.

use clock::Timestamp;
use db::{Db, Error, FromRow, Row, Transaction, params};

use super::group_roles::of_user;
use crate::python::PythonSettings;
use crate::tenancy::RegistrySettings;

pub(crate) async fn first_start_is_complete(db: &Db) -> Result<bool, Error> {
    let row: Option<(i64,)> = db.opt("SELECT completed_at FROM first_start WHERE id = 1", params![]).await?;
    Ok(row.is_some())
}

pub(crate) async fn first_start_complete_in(
    transaction: &mut Transaction,
    now: Timestamp,
) -> Result<u64, Error> {
    transaction
        .exec(
            "INSERT INTO first_start (id, completed_at) VALUES (1, $1) ON CONFLICT (id) DO NOTHING",
            params![now.as_millis()],
        )
        .await
}

pub(crate) async fn organization_insert_in(
    transaction: &mut Transaction,
    name: &str,
    now: Timestamp,
) -> Result<i64, Error> {
    let (id,) = transaction
        .one(
            "INSERT INTO organizations (name, created_at) VALUES ($1, $2) RETURNING id",
            params![name, now.as_millis()],
        )
        .await?;
    Ok(id)
}

/// (name, created at) of one organization.
pub(crate) async fn organization_get(db: &Db, id: i64) -> Result<Option<(String, i64)>, Error> {
    db.opt("SELECT name, created_at FROM organizations WHERE id = $1", params![id]).await
}

/// Organizations that the user has a role in or in one of whose registries, by name.
pub(crate) async fn organizations_of_user(
    db: &Db,
    user_id: i64,
    after: &str,
    limit: u32,
) -> Result<Vec<(String, i64)>, Error> {
    // The user's own memberships bound the work, so they are gathered and sorted here rather than found by
    // walking the server's organizations in order of name.
    let mut found: Vec<(String, i64)> = db
        .all(
            concat!(
                "SELECT name, created_at FROM organizations
                 WHERE id IN (
                     SELECT organization_id FROM organization_members WHERE user_id = $1
                     UNION ALL
                     SELECT g.organization_id FROM registry_members gm JOIN registries g ON g.id = gm.registry_id
                     WHERE gm.user_id = $1
                     UNION ALL
                     SELECT gr.organization_id FROM ",
                of_user!("$1"),
                ")"
            ),
            params![user_id],
        )
        .await?;
    found.retain(|(name, _)| name.as_str() > after);
    found.sort_unstable();
    found.truncate(limit as usize);
    Ok(found)
}

pub(crate) async fn organizations_all(db: &Db, after: &str, limit: u32) -> Result<Vec<(String, i64)>, Error> {
    db.all(
        "SELECT name, created_at FROM organizations WHERE name > $1 ORDER BY name LIMIT $2",
        params![after, limit],
    )
    .await
}

/// The number of a registry of an organization.
pub(crate) async fn registry_id_in(
    transaction: &mut Transaction,
    organization_id: i64,
    name: &str,
) -> Result<Option<i64>, Error> {
    let row: Option<(i64,)> = transaction
        .opt(
            "SELECT id FROM registries WHERE organization_id = $1 AND name = $2 AND deleted_at IS NULL",
            params![organization_id, name],
        )
        .await?;
    Ok(row.map(|(id,)| id))
}

/// Deletes an organization that holds no registry. `false` when it holds one.
pub(crate) async fn organization_delete_in(transaction: &mut Transaction, id: i64) -> Result<bool, Error> {
    let registries: Option<(i64,)> =
        transaction.opt("SELECT id FROM registries WHERE organization_id = $1 LIMIT 1", params![id]).await?;
    if registries.is_some() {
        return Ok(false);
    }
    transaction.exec("DELETE FROM organizations WHERE id = $1", params![id]).await?;
    Ok(true)
}

pub(crate) async fn registry_insert_in(
    transaction: &mut Transaction,
    organization_id: i64,
    organization: &str,
    name: &str,
    settings: RegistrySettings,
    now: Timestamp,
) -> Result<i64, Error> {
    let (id,) = transaction
        .one(
            "INSERT INTO registries
                 (organization_id, name, path, visibility, sparse, read_only, redirect, python_settings, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id",
            params![
                organization_id,
                name,
                format!("{organization}/{name}/"),
                settings.visibility.as_str(),
                settings.sparse,
                settings.read_only,
                settings.redirect,
                settings.python.to_json(),
                now.as_millis()
            ],
        )
        .await?;
    Ok(id)
}

/// Settings as they are stored; nothing at all means the defaults.
pub(super) fn python_settings(text: &str, index: usize) -> Result<PythonSettings, Error> {
    if text.is_empty() {
        return Ok(PythonSettings::default());
    }
    serde_json::from_str(text).map_err(|_| Error::UnexpectedType { index })
}

/// One registry as it is shown.
pub(crate) struct RegistryRow {
    pub(crate) name: String,
    pub(crate) settings: RegistrySettings,
    pub(crate) created_at: Timestamp,
}

impl FromRow for RegistryRow {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            name: row.get(0)?,
            settings: RegistrySettings {
                visibility: stored(&row.get::<String>(1)?)?,
                sparse: row.get(2)?,
                read_only: row.get(3)?,
                redirect: row.get(4)?,
                python: python_settings(&row.get::<String>(5)?, 5)?,
            },
            created_at: Timestamp::from_millis(row.get(6)?),
        })
    }
}

pub(crate) async fn registry_get(db: &Db, id: i64) -> Result<Option<RegistryRow>, Error> {
    db.opt(
        "SELECT name, visibility, sparse, read_only, redirect, python_settings, created_at FROM registries WHERE id = $1",
        params![id],
    )
    .await
}

/// Registries of an organization that the user may see, by name. Members of the organization see all.
pub(crate) async fn registries_list(
    db: &Db,
    organization_id: i64,
    user_id: i64,
    after: &str,
    limit: u32,
) -> Result<Vec<RegistryRow>, Error> {
    db.all(
        concat!(
            "SELECT g.name, g.visibility, g.sparse, g.read_only, g.redirect, g.python_settings, g.created_at
             FROM registries g
             WHERE g.organization_id = $1 AND g.name > $2 AND g.deleted_at IS NULL
               AND (g.visibility = 'public'
                    OR EXISTS (SELECT 1 FROM organization_members om
                               WHERE om.organization_id = $1 AND om.user_id = $3)
                    OR EXISTS (SELECT 1 FROM registry_members gm
                               WHERE gm.registry_id = g.id AND gm.user_id = $3)
                    OR EXISTS (SELECT 1 FROM ",
            of_user!("$3"),
            " AND gr.organization_id = $1 AND (gr.registry_id IS NULL OR gr.registry_id = g.id)))
             ORDER BY g.name LIMIT $4"
        ),
        params![organization_id, after, user_id, limit],
    )
    .await
}

/// Holds a registry. `false` when it is gone or being deleted.
pub(crate) async fn registry_hold_in(transaction: &mut Transaction, id: i64) -> Result<bool, Error> {
    let row: Option<(i64,)> = transaction
        .opt("SELECT id FROM registries WHERE id = $1 AND deleted_at IS NULL FOR KEY SHARE", params![id])
        .await?;
    Ok(row.is_some())
}

/// Takes a registry. `false` when it is gone or being deleted.
pub(crate) async fn registry_take_in(transaction: &mut Transaction, id: i64) -> Result<bool, Error> {
    let row: Option<(i64,)> = transaction
        .opt("SELECT id FROM registries WHERE id = $1 AND deleted_at IS NULL FOR UPDATE", params![id])
        .await?;
    Ok(row.is_some())
}

/// Holds an organization. `false` when it is gone.
pub(crate) async fn organization_hold_in(transaction: &mut Transaction, id: i64) -> Result<bool, Error> {
    let row: Option<(i64,)> =
        transaction.opt("SELECT id FROM organizations WHERE id = $1 FOR KEY SHARE", params![id]).await?;
    Ok(row.is_some())
}

pub(crate) async fn registry_settings_in(
    transaction: &mut Transaction,
    id: i64,
) -> Result<Option<RegistrySettings>, Error> {
    let row: Option<RegistryRow> = transaction
        .opt(
            "SELECT name, visibility, sparse, read_only, redirect, python_settings, created_at FROM registries
             WHERE id = $1 AND deleted_at IS NULL",
            params![id],
        )
        .await?;
    Ok(row.map(|row| row.settings))
}

pub(crate) async fn registry_settings_set_in(
    transaction: &mut Transaction,
    id: i64,
    settings: RegistrySettings,
) -> Result<u64, Error> {
    transaction
        .exec(
            "UPDATE registries SET visibility = $1, sparse = $2, read_only = $3, redirect = $4, python_settings = $5
             WHERE id = $6",
            params![
                settings.visibility.as_str(),
                settings.sparse,
                settings.read_only,
                settings.redirect,
                settings.python.to_json(),
                id
            ],
        )
        .await
}

pub(crate) async fn registry_has_repositories_in(
    transaction: &mut Transaction,
    id: i64,
) -> Result<bool, Error> {
    let first: Option<(i64,)> = transaction
        .opt("SELECT id FROM repositories WHERE registry_id = $1 ORDER BY name LIMIT 1", params![id])
        .await?;
    Ok(first.is_some())
}

/// Takes a registry out of sight at once. The new name breaks the grammar, so no request can name it.
pub(crate) async fn registry_condemn_in(
    transaction: &mut Transaction,
    id: i64,
    now: Timestamp,
) -> Result<(), Error> {
    transaction
        .exec(
            "UPDATE registries SET name = $1, path = $1, visibility = 'private', deleted_at = $2
             WHERE id = $3",
            params![format!("~{id}"), now.as_millis(), id],
        )
        .await?;
    transaction.exec("DELETE FROM registry_members WHERE registry_id = $1", params![id]).await?;
    super::group_roles::group_roles_of_registry_delete_in(transaction, id).await?;
    super::invitations::invitations_of_registry_delete_in(transaction, id).await?;
    Ok(())
}

/// Takes deleted registries whose content is still there and that nobody has taken.
pub(crate) async fn registries_condemned_in(
    transaction: &mut Transaction,
    limit: u32,
) -> Result<Vec<(i64,)>, Error> {
    transaction
        .all(
            "SELECT id FROM registries WHERE deleted_at IS NOT NULL ORDER BY deleted_at LIMIT $1
             FOR UPDATE SKIP LOCKED",
            params![limit],
        )
        .await
}

/// Removes a registry that was taken and that holds nothing any more. 0 when it still does.
pub(crate) async fn registry_delete_in(transaction: &mut Transaction, id: i64) -> Result<u64, Error> {
    transaction
        .exec(
            "DELETE FROM registries WHERE id = $1
             AND NOT EXISTS (SELECT 1 FROM repositories WHERE registry_id = $1)
             AND NOT EXISTS (SELECT 1 FROM uploads WHERE registry_id = $1)",
            params![id],
        )
        .await
}

/// One registry that a caller may pull from: (id, path).
pub(crate) type VisibleRegistry = (i64, String);

/// Registries that the user has a role on, in path order from `from` on.
pub(crate) async fn registries_of_user(
    db: &Db,
    user_id: i64,
    from: &str,
    limit: u32,
) -> Result<Vec<VisibleRegistry>, Error> {
    // As with organizations: the user's own memberships bound the work.
    let mut found: Vec<VisibleRegistry> = db
        .all(
            concat!(
                "SELECT id, path FROM registries
                 WHERE id IN (
                     SELECT registry_id FROM registry_members WHERE user_id = $1
                     UNION ALL
                     SELECT g.id FROM organization_members om
                     JOIN registries g ON g.organization_id = om.organization_id
                     WHERE om.user_id = $1 AND g.deleted_at IS NULL
                     UNION ALL
                     SELECT gr.registry_id FROM ",
                of_user!("$1"),
                " AND gr.registry_id IS NOT NULL
                     UNION ALL
                     SELECT g.id FROM registries g
                     WHERE g.deleted_at IS NULL AND g.organization_id IN (SELECT gr.organization_id FROM ",
                of_user!("$1"),
                " AND gr.registry_id IS NULL))"
            ),
            params![user_id],
        )
        .await?;
    found.retain(|(_, path)| path.as_str() >= from);
    found.sort_unstable_by(|(_, one), (_, other)| one.cmp(other));
    found.truncate(limit as usize);
    Ok(found)
}

/// Public registries in path order from `from` on.
pub(crate) async fn registries_public(
    db: &Db,
    from: &str,
    limit: u32,
) -> Result<Vec<VisibleRegistry>, Error> {
    db.all(
        "SELECT id, path FROM registries WHERE visibility = 'public' AND path >= $1 ORDER BY path LIMIT $2",
        params![from, limit],
    )
    .await
}

/// Reads a stored role or visibility back into its type.
pub(crate) fn stored<T: std::str::FromStr>(text: &str) -> Result<T, Error> {
    text.parse().map_err(|_| Error::UnexpectedType { index: 0 })
}
