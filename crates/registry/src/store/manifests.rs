//! Manifests and what they name.

use clock::Timestamp;
use db::{Db, Error, FromRow, Row, Transaction, params};

use super::batch;

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
        Ok(Self {
            digest: row.get(0)?,
            media_type: row.get(1)?,
            size: row.get(2)?,
            body: row.get::<Option<_>>(3)?.unwrap_or_default(),
        })
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
        "SELECT m.digest, m.media_type, m.size, NULL FROM tags t JOIN manifests m ON m.id = t.manifest_id
         WHERE t.repository_id = $1 AND t.name = $2"
    };
    if with_body {
        return db.opt_or_last(super::TAG_OUTAGE, sql, params![repository_id, tag]).await;
    }
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
        "SELECT digest, media_type, size, NULL FROM manifests WHERE repository_id = $1 AND digest = $2"
    };
    // That something exists is only said when the database says so, because a push builds on it.
    if with_body {
        return db.opt_or_last(super::OUTAGE, sql, params![repository_id, digest]).await;
    }
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

/// Holds a manifest.
pub(crate) async fn manifest_hold_in(
    transaction: &mut Transaction,
    repository_id: i64,
    digest: &str,
) -> Result<Option<i64>, Error> {
    let row: Option<(i64,)> = transaction
        .opt(
            "SELECT id FROM manifests WHERE repository_id = $1 AND digest = $2 FOR KEY SHARE",
            params![repository_id, digest],
        )
        .await?;
    Ok(row.map(|(id,)| id))
}

/// Holds those of the manifests that are there, and tells which.
pub(crate) async fn manifests_hold_in(
    transaction: &mut Transaction,
    repository_id: i64,
    digests: &[String],
) -> Result<Vec<String>, Error> {
    let mut held = Vec::new();
    for params in batch::lists(params![repository_id], digests) {
        let found: Vec<(String,)> = transaction
            .all(
                concat!(
                    "SELECT digest FROM manifests WHERE repository_id = $1 AND digest IN (",
                    batch::parameters!(2),
                    ") ORDER BY digest FOR KEY SHARE"
                ),
                &params,
            )
            .await?;
        held.extend(found.into_iter().map(|(digest,)| digest));
    }
    Ok(held)
}

/// Takes a manifest.
pub(crate) async fn manifest_take_in(
    transaction: &mut Transaction,
    repository_id: i64,
    digest: &str,
) -> Result<Option<i64>, Error> {
    let row: Option<(i64,)> = transaction
        .opt(
            "SELECT id FROM manifests WHERE repository_id = $1 AND digest = $2 FOR UPDATE",
            params![repository_id, digest],
        )
        .await?;
    Ok(row.map(|(id,)| id))
}

/// The digest of a manifest.
pub(crate) async fn manifest_digest_in(
    transaction: &mut Transaction,
    id: i64,
) -> Result<Option<String>, Error> {
    let row: Option<(String,)> =
        transaction.opt("SELECT digest FROM manifests WHERE id = $1", params![id]).await?;
    Ok(row.map(|(digest,)| digest))
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

/// Makes a manifest's row. `None` when there is one already.
pub(crate) async fn manifest_insert_in(
    transaction: &mut Transaction,
    repository_id: i64,
    new: &NewManifest,
    now: Timestamp,
) -> Result<Option<i64>, Error> {
    let row: Option<(i64,)> = transaction
        .opt(
            "INSERT INTO manifests
                 (repository_id, digest, media_type, artifact_type, config_type, size, pushed_by, created_at, body)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             ON CONFLICT (repository_id, digest) DO NOTHING RETURNING id",
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
    Ok(row.map(|(id,)| id))
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

/// Removes some of a repository's manifests that nobody holds.
pub(crate) async fn manifests_delete_of_repository_in(
    transaction: &mut Transaction,
    repository_id: i64,
    limit: u32,
) -> Result<u64, Error> {
    transaction
        .exec(
            "WITH batch AS (SELECT id FROM manifests WHERE repository_id = $1 ORDER BY digest LIMIT $2
                           FOR UPDATE SKIP LOCKED)
             DELETE FROM manifests WHERE id IN (SELECT id FROM batch)",
            params![repository_id, limit],
        )
        .await
}

/// Records what a manifest names.
pub(crate) async fn edges_insert_in(
    transaction: &mut Transaction,
    manifest_id: i64,
    repository_id: i64,
    digests: &[String],
) -> Result<(), Error> {
    for params in batch::lists(params![manifest_id, repository_id], digests) {
        transaction
            .exec(
                "INSERT INTO edges (manifest_id, repository_id, digest)
                 SELECT $1, $2, column1
                 FROM (VALUES ($3), ($4), ($5), ($6), ($7), ($8), ($9), ($10), ($11), ($12), ($13), ($14),
                              ($15), ($16), ($17), ($18)) AS named
                 WHERE true
                 ON CONFLICT (manifest_id, digest) DO NOTHING",
                &params,
            )
            .await?;
    }
    Ok(())
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

/// All manifests that name `digest` in this repository.
pub(crate) async fn edge_holders_in(
    transaction: &mut Transaction,
    repository_id: i64,
    digest: &str,
) -> Result<Vec<String>, Error> {
    let rows: Vec<(String,)> = transaction
        .all(
            "SELECT m.digest FROM edges e JOIN manifests m ON m.id = e.manifest_id
             WHERE e.repository_id = $1 AND e.digest = $2",
            params![repository_id, digest],
        )
        .await?;
    Ok(rows.into_iter().map(|(digest,)| digest).collect())
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
