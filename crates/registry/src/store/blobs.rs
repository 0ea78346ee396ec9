//! Objects and the links that repositories have to them.

use clock::Timestamp;
use db::{Db, Error, Transaction, params};

use super::batch;
use super::group_roles::of_user;

/// Where a linked blob's bytes are.
pub(crate) struct BlobRow {
    pub(crate) object_key: String,
    pub(crate) size: u64,
}

const BLOB: &str = "SELECT o.key, o.size FROM blobs b JOIN objects o ON o.id = b.object_id
                    WHERE b.repository_id = $1 AND b.digest = $2";

pub(crate) async fn blob_get(db: &Db, repository_id: i64, digest: &str) -> Result<Option<BlobRow>, Error> {
    let row: Option<(String, u64)> = db.opt(BLOB, params![repository_id, digest]).await?;
    Ok(row.map(|(object_key, size)| BlobRow { object_key, size }))
}

/// The same for somebody who reads the blob right away; what builds on its existence asks [`blob_get`].
pub(crate) async fn blob_get_or_last(
    db: &Db,
    repository_id: i64,
    digest: &str,
) -> Result<Option<BlobRow>, Error> {
    let row: Option<(String, u64)> =
        db.opt_or_last(super::OUTAGE, BLOB, params![repository_id, digest]).await?;
    Ok(row.map(|(object_key, size)| BlobRow { object_key, size }))
}

/// The object that a repository's link leads to.
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

/// Holds those of the links that are there, and tells which.
pub(crate) async fn blobs_hold_in(
    transaction: &mut Transaction,
    repository_id: i64,
    digests: &[String],
) -> Result<Vec<String>, Error> {
    let mut held = Vec::new();
    for params in batch::lists(params![repository_id], digests) {
        let found: Vec<(String,)> = transaction
            .all(
                concat!(
                    "SELECT digest FROM blobs WHERE repository_id = $1 AND digest IN (",
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

/// Takes a link and tells which object it leads to.
pub(crate) async fn blob_take_in(
    transaction: &mut Transaction,
    repository_id: i64,
    digest: &str,
) -> Result<Option<i64>, Error> {
    let row: Option<(i64,)> = transaction
        .opt(
            "SELECT object_id FROM blobs WHERE repository_id = $1 AND digest = $2 FOR UPDATE",
            params![repository_id, digest],
        )
        .await?;
    Ok(row.map(|(id,)| id))
}

/// Links that a search without a source looks at: a digest may be in any number of repositories.
pub(crate) const MOUNT_CANDIDATES: u32 = 256;

/// A blob that was found: (object, path of the registry, name of the repository).
pub(crate) type PullableBlob = (i64, String, String);

/// Blobs with this digest in any repositories that the user may pull from, `limit` at the most.
pub(crate) async fn blobs_find_pullable_in(
    transaction: &mut Transaction,
    digest: &str,
    user_id: i64,
    limit: u32,
) -> Result<Vec<PullableBlob>, Error> {
    transaction
        .all(
            concat!(
                "SELECT b.object_id, g.path, r.name
                 FROM (SELECT repository_id, object_id FROM blobs WHERE digest = $1 LIMIT $2) b
                 JOIN repositories r ON r.id = b.repository_id
                 JOIN registries g ON g.id = r.registry_id
                 LEFT JOIN organization_members om
                     ON om.organization_id = g.organization_id AND om.user_id = $3
                 LEFT JOIN registry_members gm ON gm.registry_id = g.id AND gm.user_id = $3
                 WHERE g.deleted_at IS NULL AND r.quarantine IS NULL
                   AND (g.visibility = 'public' OR om.role IS NOT NULL OR gm.role IS NOT NULL
                        OR EXISTS (SELECT 1 FROM ",
                of_user!("$3"),
                " AND gr.organization_id = g.organization_id
                        AND (gr.registry_id IS NULL OR gr.registry_id = g.id)))
                 LIMIT $4"
            ),
            params![digest, MOUNT_CANDIDATES, user_id, limit],
        )
        .await
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

/// Takes a repository's link away.
pub(crate) async fn blob_unlink_in(
    transaction: &mut Transaction,
    repository_id: i64,
    digest: &str,
) -> Result<u64, Error> {
    transaction
        .exec("DELETE FROM blobs WHERE repository_id = $1 AND digest = $2", params![repository_id, digest])
        .await
}

/// Some objects that a repository links, in the order in which everybody locks them.
pub(crate) async fn objects_of_repository_in(
    transaction: &mut Transaction,
    repository_id: i64,
    limit: u32,
) -> Result<Vec<i64>, Error> {
    let rows: Vec<(i64,)> = transaction
        .all(
            "SELECT object_id FROM blobs WHERE repository_id = $1 ORDER BY digest LIMIT $2",
            params![repository_id, limit],
        )
        .await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// Takes a repository's links to these objects away.
pub(crate) async fn blobs_unlink_objects_in(
    transaction: &mut Transaction,
    repository_id: i64,
    objects: &[i64],
) -> Result<u64, Error> {
    let mut unlinked = 0;
    for params in batch::lists(params![repository_id], objects) {
        unlinked += transaction
            .exec(
                concat!(
                    "DELETE FROM blobs WHERE repository_id = $1 AND object_id IN (",
                    batch::parameters!(2),
                    ")"
                ),
                &params,
            )
            .await?;
    }
    Ok(unlinked)
}

/// One stored byte string: (id, key, size).
pub(crate) type ObjectRow = (i64, String, u64);

pub(crate) async fn object_by_sha256(db: &Db, sha256: [u8; 32]) -> Result<Option<ObjectRow>, Error> {
    db.opt("SELECT id, key, size FROM objects WHERE sha256 = $1", params![sha256]).await
}

/// Holds the object of this content.
pub(crate) async fn object_hold_by_sha256_in(
    transaction: &mut Transaction,
    sha256: [u8; 32],
) -> Result<Option<ObjectRow>, Error> {
    transaction
        .opt("SELECT id, key, size FROM objects WHERE sha256 = $1 FOR KEY SHARE", params![sha256])
        .await
}

/// Takes the object of this content.
pub(crate) async fn object_take_by_sha256_in(
    transaction: &mut Transaction,
    sha256: [u8; 32],
) -> Result<Option<ObjectRow>, Error> {
    transaction.opt("SELECT id, key, size FROM objects WHERE sha256 = $1 FOR UPDATE", params![sha256]).await
}

/// Holds an object. `false` when it is gone.
pub(crate) async fn object_hold_in(transaction: &mut Transaction, id: i64) -> Result<bool, Error> {
    let row: Option<(i64,)> =
        transaction.opt("SELECT id FROM objects WHERE id = $1 FOR KEY SHARE", params![id]).await?;
    Ok(row.is_some())
}

/// Takes those of the objects that are there.
pub(crate) async fn objects_take_in(transaction: &mut Transaction, ids: &[i64]) -> Result<(), Error> {
    for params in batch::lists(&[], ids) {
        let _taken: Vec<(i64,)> = transaction
            .all(
                concat!(
                    "SELECT id FROM objects WHERE id IN (",
                    batch::parameters!(1),
                    ") ORDER BY sha256 FOR UPDATE"
                ),
                &params,
            )
            .await?;
    }
    Ok(())
}

/// Makes an object's row. `None` when there is one of this content already.
pub(crate) async fn object_insert_in(
    transaction: &mut Transaction,
    key: &str,
    size: u64,
    sha256: [u8; 32],
    sha512: Option<[u8; 64]>,
    now: Timestamp,
) -> Result<Option<i64>, Error> {
    let row: Option<(i64,)> = transaction
        .opt(
            "INSERT INTO objects (key, size, sha256, sha512, created_at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (sha256) DO NOTHING RETURNING id",
            params![key, size, sha256, sha512, now.as_millis()],
        )
        .await?;
    Ok(row.map(|(id,)| id))
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

/// Removes those of the objects that no repository links. They have to be taken.
pub(crate) async fn objects_delete_unlinked_in(
    transaction: &mut Transaction,
    ids: &[i64],
) -> Result<u64, Error> {
    let mut deleted = 0;
    for params in batch::lists(&[], ids) {
        deleted += transaction
            .exec(
                concat!(
                    "DELETE FROM objects WHERE id IN (",
                    batch::parameters!(1),
                    ") AND NOT EXISTS (SELECT 1 FROM blobs WHERE blobs.object_id = objects.id LIMIT 1 OFFSET 0)"
                ),
                &params,
            )
            .await?;
    }
    Ok(deleted)
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
