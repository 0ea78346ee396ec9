//! Objects and the links that repositories have to them.

use clock::Timestamp;
use db::{Db, Error, Transaction, params};

/// Where a linked blob's bytes are.
pub(crate) struct BlobRow {
    pub(crate) object_key: String,
    pub(crate) size: u64,
}

pub(crate) async fn blob_get(db: &Db, repository_id: i64, digest: &str) -> Result<Option<BlobRow>, Error> {
    let row: Option<(String, u64)> = db
        .opt(
            "SELECT o.key, o.size FROM blobs b JOIN objects o ON o.id = b.object_id
             WHERE b.repository_id = $1 AND b.digest = $2",
            params![repository_id, digest],
        )
        .await?;
    Ok(row.map(|(object_key, size)| BlobRow { object_key, size }))
}

pub(crate) async fn blob_object_in(
    transaction: &mut Transaction,
    repository_id: i64,
    digest: &str,
) -> Result<Option<i64>, Error> {
    let row: Option<(i64,)> = transaction
        .opt(
            "SELECT object_id FROM blobs WHERE repository_id = $1 AND digest = $2",
            params![repository_id, digest],
        )
        .await?;
    Ok(row.map(|(id,)| id))
}

/// Links that a search without a source looks at: a digest may be in any number of repositories.
const MOUNT_CANDIDATES: u32 = 256;

/// A blob with this digest in any repository that the user may pull from.
pub(crate) async fn blob_find_pullable_in(
    transaction: &mut Transaction,
    digest: &str,
    user_id: i64,
) -> Result<Option<i64>, Error> {
    let row: Option<(i64,)> = transaction
        .opt(
            "SELECT b.object_id
             FROM (SELECT repository_id, object_id FROM blobs WHERE digest = $1 LIMIT $2) b
             JOIN repositories r ON r.id = b.repository_id
             JOIN registries g ON g.id = r.registry_id
             LEFT JOIN organization_members om
                 ON om.organization_id = g.organization_id AND om.user_id = $3
             LEFT JOIN registry_members gm ON gm.registry_id = g.id AND gm.user_id = $3
             WHERE g.deleted_at IS NULL AND r.quarantine IS NULL
               AND (g.visibility = 'public' OR om.role IS NOT NULL OR gm.role IS NOT NULL)
             LIMIT 1",
            params![digest, MOUNT_CANDIDATES, user_id],
        )
        .await?;
    Ok(row.map(|(id,)| id))
}

pub(crate) async fn blob_link_in(
    transaction: &mut Transaction,
    repository_id: i64,
    digest: &str,
    object_id: i64,
    now: Timestamp,
) -> Result<u64, Error> {
    transaction
        .exec(
            "INSERT INTO blobs (repository_id, digest, object_id, created_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (repository_id, digest) DO NOTHING",
            params![repository_id, digest, object_id, now.as_millis()],
        )
        .await
}

/// Takes a repository's link away and tells which object it led to.
pub(crate) async fn blob_unlink_in(
    transaction: &mut Transaction,
    repository_id: i64,
    digest: &str,
) -> Result<Option<i64>, Error> {
    let row: Option<(i64,)> = transaction
        .opt(
            "DELETE FROM blobs WHERE repository_id = $1 AND digest = $2 RETURNING object_id",
            params![repository_id, digest],
        )
        .await?;
    Ok(row.map(|(id,)| id))
}

pub(crate) async fn blobs_of_repository_in(
    transaction: &mut Transaction,
    repository_id: i64,
    limit: u32,
) -> Result<Vec<(String,)>, Error> {
    transaction
        .all("SELECT digest FROM blobs WHERE repository_id = $1 LIMIT $2", params![repository_id, limit])
        .await
}

/// One stored byte string: (id, key, size).
pub(crate) type ObjectRow = (i64, String, u64);

pub(crate) async fn object_by_sha256(db: &Db, sha256: [u8; 32]) -> Result<Option<ObjectRow>, Error> {
    db.opt("SELECT id, key, size FROM objects WHERE sha256 = $1", params![sha256]).await
}

pub(crate) async fn object_by_sha256_in(
    transaction: &mut Transaction,
    sha256: [u8; 32],
) -> Result<Option<ObjectRow>, Error> {
    transaction.opt("SELECT id, key, size FROM objects WHERE sha256 = $1", params![sha256]).await
}

pub(crate) async fn object_insert_in(
    transaction: &mut Transaction,
    key: &str,
    size: u64,
    sha256: [u8; 32],
    sha512: Option<[u8; 64]>,
    now: Timestamp,
) -> Result<i64, Error> {
    let (id,) = transaction
        .one(
            "INSERT INTO objects (key, size, sha256, sha512, created_at) VALUES ($1, $2, $3, $4, $5)
             RETURNING id",
            params![key, size, sha256, sha512, now.as_millis()],
        )
        .await?;
    Ok(id)
}

/// Points an object at other bytes of the same content.
pub(crate) async fn object_rekey_in(transaction: &mut Transaction, id: i64, key: &str) -> Result<u64, Error> {
    transaction.exec("UPDATE objects SET key = $1 WHERE id = $2", params![key, id]).await
}

pub(crate) async fn object_sha512_set_in(
    transaction: &mut Transaction,
    id: i64,
    sha512: [u8; 64],
) -> Result<u64, Error> {
    transaction
        .exec("UPDATE objects SET sha512 = $1 WHERE id = $2 AND sha512 IS NULL", params![sha512, id])
        .await
}

/// Removes an object that no repository links any more and gives its key for the trash.
pub(crate) async fn object_remove_unlinked_in(
    transaction: &mut Transaction,
    id: i64,
) -> Result<Option<String>, Error> {
    let row: Option<(String,)> = transaction
        .opt(
            "DELETE FROM objects
             WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM blobs WHERE object_id = $1)
             RETURNING key",
            params![id],
        )
        .await?;
    Ok(row.map(|(key,)| key))
}

pub(crate) async fn object_key_exists(db: &Db, key: &str) -> Result<bool, Error> {
    let row: Option<(i64,)> = db.opt("SELECT id FROM objects WHERE key = $1", params![key]).await?;
    Ok(row.is_some())
}

/// An object as scrub compares it: (id, key, size, sha256, sha512).
pub(crate) type ObjectCheck = (i64, String, u64, Vec<u8>, Option<Vec<u8>>);

/// Objects after `after`, in the order in which they came.
pub(crate) async fn objects_page(db: &Db, after: i64, limit: u32) -> Result<Vec<ObjectCheck>, Error> {
    db.all(
        "SELECT id, key, size, sha256, sha512 FROM objects WHERE id > $1 ORDER BY id LIMIT $2",
        params![after, limit],
    )
    .await
}
