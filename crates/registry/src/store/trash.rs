//! Objects that nothing names any more and whose bytes are still there.

use clock::Timestamp;
use db::{Db, Error, FromRow, Row, Transaction, Value, params};

use super::batch;

/// An object whose bytes are to be deleted.
#[derive(Clone, Debug)]
pub(crate) struct TrashRow {
    pub(crate) key: String,
    /// What the storage has to discard with it.
    pub(crate) staged: Option<Vec<u8>>,
    pub(crate) size: u64,
    /// How often deleting was begun, this time included.
    pub(crate) attempts: u64,
}

impl FromRow for TrashRow {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self { key: row.get(0)?, staged: row.get(1)?, size: row.get(2)?, attempts: row.get(3)? })
    }
}

/// Puts an object's bytes up for deletion, unless an object row still names them.
pub(crate) async fn trash_add_in(
    transaction: &mut Transaction,
    object_key: &str,
    staged: Option<Vec<u8>>,
    size: u64,
    delete_after: Timestamp,
) -> Result<u64, Error> {
    transaction
        .exec(
            "INSERT INTO trash (object_key, staged, size, delete_after)
             SELECT $1, $2, $3, $4 WHERE NOT EXISTS (SELECT 1 FROM objects WHERE key = $1)
             ON CONFLICT (object_key) DO NOTHING",
            params![object_key, staged, size, delete_after.as_millis()],
        )
        .await
}

/// Puts up for deletion the bytes of those objects that no repository links. They have to be taken.
pub(crate) async fn trash_add_unlinked_in(
    transaction: &mut Transaction,
    object_ids: &[i64],
    delete_after: Timestamp,
) -> Result<u64, Error> {
    let mut added = 0;
    for mut params in batch::lists(&[], object_ids) {
        params.push(Value::from(delete_after.as_millis()));
        added += transaction
            .exec(
                concat!(
                    "WITH unlinked AS (
                         SELECT key, size FROM objects WHERE id IN (",
                    batch::parameters!(1),
                    ") AND NOT EXISTS (SELECT 1 FROM blobs WHERE blobs.object_id = objects.id LIMIT 1 OFFSET 0))
                     INSERT INTO trash (object_key, size, delete_after)
                     SELECT key, size, $17 FROM unlinked WHERE true
                     ON CONFLICT (object_key) DO NOTHING"
                ),
                &params,
            )
            .await?;
    }
    Ok(added)
}

/// How much is due, (objects, bytes), for a look at what emptying the trash would delete. Counts no further than
/// `limit`.
pub(crate) async fn trash_due_in(
    transaction: &mut Transaction,
    now: Timestamp,
    limit: u32,
) -> Result<(u64, u64), Error> {
    transaction
        .one(
            "SELECT count(*), CAST(coalesce(sum(size), 0) AS BIGINT)
             FROM (SELECT size FROM trash WHERE delete_after <= $1 ORDER BY delete_after LIMIT $2) AS due",
            params![now.as_millis(), limit],
        )
        .await
}

/// Takes what is due for one worker: nobody else sees it as due before `lease_until`.
pub(crate) async fn trash_claim_in(
    transaction: &mut Transaction,
    now: Timestamp,
    lease_until: Timestamp,
    limit: u32,
) -> Result<Vec<TrashRow>, Error> {
    transaction
        .all(
            "WITH due AS (SELECT object_key FROM trash WHERE delete_after <= $1 ORDER BY delete_after LIMIT $2
                          FOR UPDATE SKIP LOCKED)
             UPDATE trash SET delete_after = $3, attempts = attempts + 1
             WHERE object_key IN (SELECT object_key FROM due)
             RETURNING object_key, staged, size, attempts",
            params![now.as_millis(), limit, lease_until.as_millis()],
        )
        .await
}

/// Lets something that could not be deleted wait.
pub(crate) async fn trash_postpone_in(
    transaction: &mut Transaction,
    object_key: &str,
    delete_after: Timestamp,
) -> Result<u64, Error> {
    transaction
        .exec(
            "UPDATE trash SET delete_after = $1 WHERE object_key = $2",
            params![delete_after.as_millis(), object_key],
        )
        .await
}

pub(crate) async fn trash_remove_in(transaction: &mut Transaction, keys: &[String]) -> Result<u64, Error> {
    let mut removed = 0;
    for params in batch::lists(&[], keys) {
        removed += transaction
            .exec(concat!("DELETE FROM trash WHERE object_key IN (", batch::parameters!(1), ")"), &params)
            .await?;
    }
    Ok(removed)
}

pub(crate) async fn trash_key_exists(db: &Db, key: &str) -> Result<bool, Error> {
    let row: Option<(i64,)> =
        db.opt("SELECT delete_after FROM trash WHERE object_key = $1", params![key]).await?;
    Ok(row.is_some())
}

/// How full the trash is. Numbers stop at [`MOST_COUNTED`](super::review::MOST_COUNTED) objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TrashStats {
    pub(crate) due_objects: u64,
    pub(crate) due_bytes: u64,
    pub(crate) waiting_objects: u64,
    pub(crate) waiting_bytes: u64,
    /// When the first of it is, or was, due.
    pub(crate) oldest: Option<Timestamp>,
}

/// How full the trash is. It walks an index, so it is for a look now and then.
pub(crate) async fn trash_stats(db: &Db, now: Timestamp) -> Result<TrashStats, Error> {
    let limit = super::review::MOST_COUNTED;
    let (due_objects, due_bytes, oldest_due): (u64, u64, Option<i64>) = db
        .one(
            "SELECT count(*), CAST(coalesce(sum(size), 0) AS BIGINT), min(delete_after)
             FROM (SELECT size, delete_after FROM trash WHERE delete_after <= $1
                   ORDER BY delete_after LIMIT $2) AS due",
            params![now.as_millis(), limit],
        )
        .await?;
    let (waiting_objects, waiting_bytes, oldest_waiting): (u64, u64, Option<i64>) = db
        .one(
            "SELECT count(*), CAST(coalesce(sum(size), 0) AS BIGINT), min(delete_after)
             FROM (SELECT size, delete_after FROM trash WHERE delete_after > $1
                   ORDER BY delete_after LIMIT $2) AS waiting",
            params![now.as_millis(), limit],
        )
        .await?;
    let oldest = oldest_due.or(oldest_waiting).map(Timestamp::from_millis);
    Ok(TrashStats { due_objects, due_bytes, waiting_objects, waiting_bytes, oldest })
}

/// Counts what collection gave back.
pub(crate) async fn collection_totals_add_in(
    transaction: &mut Transaction,
    objects: u64,
    bytes: u64,
) -> Result<u64, Error> {
    transaction
        .exec(
            "UPDATE collection_totals SET objects = objects + $1, bytes = bytes + $2 WHERE id = 1",
            params![objects, bytes],
        )
        .await
}

/// What collection has given back: (objects, bytes).
pub(crate) async fn collection_totals_get(db: &Db) -> Result<(u64, u64), Error> {
    db.one("SELECT objects, bytes FROM collection_totals WHERE id = 1", params![]).await
}
