//! Tags and what they pointed to before.

use clock::Timestamp;
use db::{Db, Error, Transaction, params};

pub(crate) async fn tags_list(
    db: &Db,
    repository_id: i64,
    after: &str,
    limit: u32,
) -> Result<Vec<(String,)>, Error> {
    db.all(
        "SELECT name FROM tags WHERE repository_id = $1 AND name > $2 ORDER BY name LIMIT $3",
        params![repository_id, after, limit],
    )
    .await
}

/// The manifest that a tag points to: (id, digest).
pub(crate) async fn tag_get_in(
    transaction: &mut Transaction,
    repository_id: i64,
    name: &str,
) -> Result<Option<(i64, String)>, Error> {
    transaction
        .opt(
            "SELECT m.id, m.digest FROM tags t JOIN manifests m ON m.id = t.manifest_id
             WHERE t.repository_id = $1 AND t.name = $2",
            params![repository_id, name],
        )
        .await
}

/// Takes a tag and tells which manifest it points to.
pub(crate) async fn tag_take_in(
    transaction: &mut Transaction,
    repository_id: i64,
    name: &str,
) -> Result<Option<i64>, Error> {
    let row: Option<(i64,)> = transaction
        .opt(
            "SELECT manifest_id FROM tags WHERE repository_id = $1 AND name = $2 FOR UPDATE",
            params![repository_id, name],
        )
        .await?;
    Ok(row.map(|(id,)| id))
}

/// Makes a tag. 0 when there is one already.
pub(crate) async fn tag_insert_in(
    transaction: &mut Transaction,
    repository_id: i64,
    name: &str,
    manifest_id: i64,
    now: Timestamp,
) -> Result<u64, Error> {
    transaction
        .exec(
            "INSERT INTO tags (repository_id, name, manifest_id, updated_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (repository_id, name) DO NOTHING",
            params![repository_id, name, manifest_id, now.as_millis()],
        )
        .await
}

/// Points a tag that was taken at another manifest.
pub(crate) async fn tag_repoint_in(
    transaction: &mut Transaction,
    repository_id: i64,
    name: &str,
    manifest_id: i64,
    now: Timestamp,
) -> Result<u64, Error> {
    transaction
        .exec(
            "UPDATE tags SET manifest_id = $1, updated_at = $2 WHERE repository_id = $3 AND name = $4",
            params![manifest_id, now.as_millis(), repository_id, name],
        )
        .await
}

pub(crate) async fn tag_delete_in(
    transaction: &mut Transaction,
    repository_id: i64,
    name: &str,
) -> Result<u64, Error> {
    transaction
        .exec("DELETE FROM tags WHERE repository_id = $1 AND name = $2", params![repository_id, name])
        .await
}

/// Takes all tags of a manifest.
pub(crate) async fn tags_take_of_manifest_in(
    transaction: &mut Transaction,
    manifest_id: i64,
) -> Result<Vec<(String,)>, Error> {
    transaction
        .all("SELECT name FROM tags WHERE manifest_id = $1 ORDER BY name FOR UPDATE", params![manifest_id])
        .await
}

/// The tags of the manifest with this digest.
pub(crate) async fn tags_of_digest(
    db: &Db,
    repository_id: i64,
    digest: &str,
) -> Result<Vec<(String,)>, Error> {
    db.all(
        "SELECT name FROM tags
         WHERE manifest_id = (SELECT id FROM manifests WHERE repository_id = $1 AND digest = $2)
         ORDER BY name",
        params![repository_id, digest],
    )
    .await
}

/// Records what a tag points to from now on; `None` when it is gone.
pub(crate) async fn tag_history_add_in(
    transaction: &mut Transaction,
    repository_id: i64,
    name: &str,
    digest: Option<&str>,
    changed_by: &str,
    now: Timestamp,
) -> Result<u64, Error> {
    transaction
        .exec(
            "INSERT INTO tag_history (repository_id, name, digest, changed_by, changed_at)
             VALUES ($1, $2, $3, $4, $5)",
            params![repository_id, name, digest, changed_by, now.as_millis()],
        )
        .await
}

/// Removes some of a repository's tags that nobody has taken.
pub(crate) async fn tags_delete_of_repository_in(
    transaction: &mut Transaction,
    repository_id: i64,
    limit: u32,
) -> Result<u64, Error> {
    transaction
        .exec(
            "WITH batch AS (SELECT name FROM tags WHERE repository_id = $1 ORDER BY name LIMIT $2
                           FOR UPDATE SKIP LOCKED)
             DELETE FROM tags WHERE repository_id = $1 AND name IN (SELECT name FROM batch)",
            params![repository_id, limit],
        )
        .await
}

/// Removes some of what a repository's tags pointed to before.
pub(crate) async fn tag_history_delete_of_repository_in(
    transaction: &mut Transaction,
    repository_id: i64,
    limit: u32,
) -> Result<u64, Error> {
    transaction
        .exec(
            "WITH batch AS (SELECT id FROM tag_history WHERE repository_id = $1 LIMIT $2)
             DELETE FROM tag_history WHERE id IN (SELECT id FROM batch)",
            params![repository_id, limit],
        )
        .await
}
