//! Manifests and what they name.

use clock::Timestamp;
use db::{Db, Error, FromRow, Row, Transaction, params};

/// A stored manifest, as a pull needs it.
pub(crate) struct ManifestRow {
    pub(crate) digest: String,
    pub(crate) media_type: String,
    pub(crate) size: u64,
    /// Empty when only the head was asked for.
    pub(crate) body: Vec<u8>,
}

impl FromRow for ManifestRow {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self { digest: row.get(0)?, media_type: row.get(1)?, size: row.get(2)?, body: row.get(3)? })
    }
}

pub(crate) async fn manifest_by_tag(
    db: &Db,
    repository_id: i64,
    tag: &str,
    with_body: bool,
) -> Result<Option<ManifestRow>, Error> {
    let sql = if with_body {
        "SELECT m.digest, m.media_type, m.size, m.body FROM tags t JOIN manifests m ON m.id = t.manifest_id
         WHERE t.repository_id = $1 AND t.name = $2"
    } else {
        "SELECT m.digest, m.media_type, m.size, x'' FROM tags t JOIN manifests m ON m.id = t.manifest_id
         WHERE t.repository_id = $1 AND t.name = $2"
    };
    db.opt(sql, params![repository_id, tag]).await
}

pub(crate) async fn manifest_by_digest(
    db: &Db,
    repository_id: i64,
    digest: &str,
    with_body: bool,
) -> Result<Option<ManifestRow>, Error> {
    let sql = if with_body {
        "SELECT digest, media_type, size, body FROM manifests WHERE repository_id = $1 AND digest = $2"
    } else {
        "SELECT digest, media_type, size, x'' FROM manifests WHERE repository_id = $1 AND digest = $2"
    };
    db.opt(sql, params![repository_id, digest]).await
}

pub(crate) async fn manifest_id_in(
    transaction: &mut Transaction,
    repository_id: i64,
    digest: &str,
) -> Result<Option<i64>, Error> {
    let row: Option<(i64,)> = transaction
        .opt(
            "SELECT id FROM manifests WHERE repository_id = $1 AND digest = $2",
            params![repository_id, digest],
        )
        .await?;
    Ok(row.map(|(id,)| id))
}

/// When a manifest was pushed.
pub(crate) async fn manifest_created_in(
    transaction: &mut Transaction,
    repository_id: i64,
    digest: &str,
) -> Result<Option<Timestamp>, Error> {
    let row: Option<(i64,)> = transaction
        .opt(
            "SELECT created_at FROM manifests WHERE repository_id = $1 AND digest = $2",
            params![repository_id, digest],
        )
        .await?;
    Ok(row.map(|(millis,)| Timestamp::from_millis(millis)))
}

/// The bytes of a manifest.
pub(crate) async fn manifest_body_in(transaction: &mut Transaction, id: i64) -> Result<Vec<u8>, Error> {
    let (body,) = transaction.one("SELECT body FROM manifests WHERE id = $1", params![id]).await?;
    Ok(body)
}

/// A manifest to be stored.
#[derive(Clone)]
pub(crate) struct NewManifest {
    pub(crate) digest: String,
    pub(crate) media_type: String,
    pub(crate) artifact_type: Option<String>,
    pub(crate) config_type: Option<String>,
    pub(crate) body: bytes::Bytes,
    pub(crate) pushed_by: String,
}

pub(crate) async fn manifest_insert_in(
    transaction: &mut Transaction,
    repository_id: i64,
    new: &NewManifest,
    now: Timestamp,
) -> Result<i64, Error> {
    let (id,) = transaction
        .one(
            "INSERT INTO manifests
                 (repository_id, digest, media_type, artifact_type, config_type, size, pushed_by, created_at, body)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id",
            params![
                repository_id,
                &new.digest,
                &new.media_type,
                new.artifact_type.clone(),
                new.config_type.clone(),
                new.body.len() as u64,
                &new.pushed_by,
                now.as_millis(),
                new.body.to_vec()
            ],
        )
        .await?;
    Ok(id)
}

/// The same bytes may be pushed again under another type when the bytes name none; the last one counts.
pub(crate) async fn manifest_retype_in(
    transaction: &mut Transaction,
    id: i64,
    media_type: &str,
) -> Result<u64, Error> {
    transaction
        .exec(
            "UPDATE manifests SET media_type = $1 WHERE id = $2 AND media_type <> $1",
            params![media_type, id],
        )
        .await
}

/// Removes a manifest with its edges and its entry in referrers lists.
pub(crate) async fn manifest_delete_in(transaction: &mut Transaction, id: i64) -> Result<u64, Error> {
    transaction.exec("DELETE FROM manifests WHERE id = $1", params![id]).await
}

pub(crate) async fn manifests_of_repository_in(
    transaction: &mut Transaction,
    repository_id: i64,
    limit: u32,
) -> Result<Vec<(i64,)>, Error> {
    transaction
        .all("SELECT id FROM manifests WHERE repository_id = $1 LIMIT $2", params![repository_id, limit])
        .await
}

pub(crate) async fn edge_insert_in(
    transaction: &mut Transaction,
    manifest_id: i64,
    repository_id: i64,
    digest: &str,
) -> Result<u64, Error> {
    transaction
        .exec(
            "INSERT INTO edges (manifest_id, repository_id, digest) VALUES ($1, $2, $3)
             ON CONFLICT (manifest_id, digest) DO NOTHING",
            params![manifest_id, repository_id, digest],
        )
        .await
}

pub(crate) async fn edges_in(
    transaction: &mut Transaction,
    manifest_id: i64,
) -> Result<Vec<(String,)>, Error> {
    transaction.all("SELECT digest FROM edges WHERE manifest_id = $1", params![manifest_id]).await
}

pub(crate) async fn edges_of(db: &Db, manifest_id: i64) -> Result<Vec<(String,)>, Error> {
    db.all("SELECT digest FROM edges WHERE manifest_id = $1", params![manifest_id]).await
}

/// The digest of a manifest that names `digest` in this repository, if there is one.
pub(crate) async fn edge_holder_in(
    transaction: &mut Transaction,
    repository_id: i64,
    digest: &str,
) -> Result<Option<String>, Error> {
    let row: Option<(String,)> = transaction
        .opt(
            "SELECT m.digest FROM edges e JOIN manifests m ON m.id = e.manifest_id
             WHERE e.repository_id = $1 AND e.digest = $2 LIMIT 1",
            params![repository_id, digest],
        )
        .await?;
    Ok(row.map(|(digest,)| digest))
}

/// A manifest as scrub compares it: (id, digest, size, body).
pub(crate) type ManifestCheck = (i64, String, u64, Vec<u8>);

/// Manifests after `after`, in the order in which they came.
pub(crate) async fn manifests_page(db: &Db, after: i64, limit: u32) -> Result<Vec<ManifestCheck>, Error> {
    db.all(
        "SELECT id, digest, size, body FROM manifests WHERE id > $1 ORDER BY id LIMIT $2",
        params![after, limit],
    )
    .await
}

/// A manifest with what the record says of its push.
pub(crate) struct ManifestRecord {
    pub(crate) digest: String,
    pub(crate) media_type: String,
    pub(crate) pushed_by: String,
    pub(crate) created_at: i64,
    pub(crate) body: Vec<u8>,
}

impl FromRow for ManifestRecord {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            digest: row.get(0)?,
            media_type: row.get(1)?,
            pushed_by: row.get(2)?,
            created_at: row.get(3)?,
            body: row.get(4)?,
        })
    }
}

/// Manifests of one artifact type in a repository, after `after` by digest.
pub(crate) async fn manifests_of_type(
    db: &Db,
    repository_id: i64,
    artifact_type: &str,
    after: &str,
    limit: u32,
) -> Result<Vec<ManifestRecord>, Error> {
    db.all(
        "SELECT digest, media_type, pushed_by, created_at, body FROM manifests
         WHERE repository_id = $1 AND digest > $2 AND artifact_type = $3 ORDER BY digest LIMIT $4",
        params![repository_id, after, artifact_type, limit],
    )
    .await
}
