//! Python projects and their releases.

use clock::Timestamp;
use db::{Db, Error, FromRow, Row, Transaction, params};
use python::Status;

/// A stored project.
#[derive(Clone, Debug)]
pub(crate) struct ProjectRow {
    pub(crate) id: i64,
    pub(crate) repository_id: i64,
    pub(crate) name: String,
    pub(crate) display_name: String,
    pub(crate) status: Status,
    pub(crate) status_reason: Option<String>,
    pub(crate) serial: i64,
    pub(crate) created_at: Timestamp,
}

impl FromRow for ProjectRow {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        let status = row.get::<String>(4)?.parse().map_err(|_| Error::UnexpectedType { index: 4 })?;
        Ok(Self {
            id: row.get(0)?,
            repository_id: row.get(1)?,
            name: row.get(2)?,
            display_name: row.get(3)?,
            status,
            status_reason: row.get(5)?,
            serial: row.get(6)?,
            created_at: Timestamp::from_millis(row.get(7)?),
        })
    }
}

const PROJECT: &str =
    "SELECT id, repository_id, name, display_name, status, status_reason, serial, created_at
     FROM python_projects WHERE registry_id = $1 AND name = $2";

pub(crate) async fn project_get(db: &Db, registry_id: i64, name: &str) -> Result<Option<ProjectRow>, Error> {
    db.opt(PROJECT, params![registry_id, name]).await
}

pub(crate) async fn project_get_in(
    transaction: &mut Transaction,
    registry_id: i64,
    name: &str,
) -> Result<Option<ProjectRow>, Error> {
    transaction.opt(PROJECT, params![registry_id, name]).await
}

/// The project that a repository belongs to.
pub(crate) async fn project_of_repository_in(
    transaction: &mut Transaction,
    repository_id: i64,
) -> Result<Option<i64>, Error> {
    let row: Option<(i64,)> = transaction
        .opt("SELECT id FROM python_projects WHERE repository_id = $1", params![repository_id])
        .await?;
    Ok(row.map(|(id,)| id))
}

/// Projects of a registry after `after`, by name.
pub(crate) async fn projects_list(
    db: &Db,
    registry_id: i64,
    after: &str,
    limit: u32,
) -> Result<Vec<ProjectRow>, Error> {
    db.all(
        "SELECT id, repository_id, name, display_name, status, status_reason, serial, created_at
         FROM python_projects WHERE registry_id = $1 AND name > $2 ORDER BY name LIMIT $3",
        params![registry_id, after, limit],
    )
    .await
}

/// Names of a registry's projects after `after`, in order.
pub(crate) async fn project_names(
    db: &Db,
    registry_id: i64,
    after: &str,
    limit: u32,
) -> Result<Vec<(String,)>, Error> {
    db.all(
        "SELECT name FROM python_projects WHERE registry_id = $1 AND name > $2 ORDER BY name LIMIT $3",
        params![registry_id, after, limit],
    )
    .await
}

/// Another project of the registry whose name people could mistake for one with this key.
pub(crate) async fn project_similar_in(
    transaction: &mut Transaction,
    registry_id: i64,
    similarity_key: &str,
) -> Result<Option<String>, Error> {
    let row: Option<(String,)> = transaction
        .opt(
            "SELECT name FROM python_projects WHERE registry_id = $1 AND similarity_key = $2 LIMIT 1",
            params![registry_id, similarity_key],
        )
        .await?;
    Ok(row.map(|(name,)| name))
}

/// A project to be made.
#[derive(Debug)]
pub(crate) struct NewProject<'a> {
    pub(crate) registry_id: i64,
    pub(crate) repository_id: i64,
    pub(crate) name: &'a str,
    pub(crate) display_name: &'a str,
    pub(crate) similarity_key: &'a str,
}

/// Makes a project, and with it a change of the registry's list.
pub(crate) async fn project_insert_in(
    transaction: &mut Transaction,
    new: &NewProject<'_>,
    now: Timestamp,
) -> Result<i64, Error> {
    let (id,) = transaction
        .one(
            "INSERT INTO python_projects
                 (registry_id, repository_id, name, display_name, similarity_key, status, serial, created_at)
             VALUES ($1, $2, $3, $4, $5, 'active', $6, $6) RETURNING id",
            params![
                new.registry_id,
                new.repository_id,
                new.name,
                new.display_name,
                new.similarity_key,
                now.as_millis()
            ],
        )
        .await?;
    transaction
        .exec(
            "UPDATE registries SET python_serial =
                 CASE WHEN python_serial < $1 THEN $1 ELSE python_serial + 1 END
             WHERE id = $2",
            params![now.as_millis(), new.registry_id],
        )
        .await?;
    Ok(id)
}

/// Says that a page of the project has changed.
pub(crate) async fn project_touch_in(
    transaction: &mut Transaction,
    id: i64,
    now: Timestamp,
) -> Result<u64, Error> {
    transaction
        .exec(
            "UPDATE python_projects SET serial = CASE WHEN serial < $1 THEN $1 ELSE serial + 1 END
             WHERE id = $2",
            params![now.as_millis(), id],
        )
        .await
}

pub(crate) async fn project_status_set_in(
    transaction: &mut Transaction,
    id: i64,
    status: Status,
    reason: Option<&str>,
) -> Result<u64, Error> {
    transaction
        .exec(
            "UPDATE python_projects SET status = $1, status_reason = $2 WHERE id = $3",
            params![status.as_str(), reason, id],
        )
        .await
}

/// A stored release.
#[derive(Clone, Debug)]
pub(crate) struct ReleaseRow {
    pub(crate) id: i64,
    pub(crate) version: String,
    pub(crate) sort_key: String,
    pub(crate) created_at: Timestamp,
}

impl FromRow for ReleaseRow {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            id: row.get(0)?,
            version: row.get(1)?,
            sort_key: row.get(2)?,
            created_at: Timestamp::from_millis(row.get(3)?),
        })
    }
}

/// By project and sort key.
const RELEASE: &str = "SELECT id, version, sort_key, created_at FROM python_releases
     WHERE project_id = $1 AND sort_key = $2";

pub(crate) async fn release_get(
    db: &Db,
    project_id: i64,
    sort_key: &str,
) -> Result<Option<ReleaseRow>, Error> {
    db.opt(RELEASE, params![project_id, sort_key]).await
}

pub(crate) async fn release_by_id_in(transaction: &mut Transaction, id: i64) -> Result<ReleaseRow, Error> {
    transaction
        .one("SELECT id, version, sort_key, created_at FROM python_releases WHERE id = $1", params![id])
        .await
}

/// The release of a version; the first spelling of the version stays.
pub(crate) async fn release_ensure_in(
    transaction: &mut Transaction,
    project_id: i64,
    sort_key: &str,
    version: &str,
    now: Timestamp,
) -> Result<ReleaseRow, Error> {
    transaction
        .exec(
            "INSERT INTO python_releases (project_id, sort_key, version, created_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (project_id, sort_key) DO NOTHING",
            params![project_id, sort_key, version, now.as_millis()],
        )
        .await?;
    transaction.one(RELEASE, params![project_id, sort_key]).await
}

/// Releases of a project whose sort key comes after `after`, in the order of their versions.
pub(crate) async fn releases_list(
    db: &Db,
    project_id: i64,
    after: &str,
    limit: u32,
) -> Result<Vec<ReleaseRow>, Error> {
    db.all(
        "SELECT id, version, sort_key, created_at FROM python_releases
         WHERE project_id = $1 AND sort_key > $2 ORDER BY sort_key LIMIT $3",
        params![project_id, after, limit],
    )
    .await
}
