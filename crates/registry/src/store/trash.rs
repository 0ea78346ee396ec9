//! Objects that nothing names any more and whose bytes are still there.

use clock::Timestamp;
use db::{Db, Error, Transaction, params};

/// Puts an object's bytes up for deletion, unless an object row still names them.
pub(crate) async fn trash_add_in(
    transaction: &mut Transaction,
    object_key: &str,
    delete_after: Timestamp,
) -> Result<u64, Error> {
    transaction
        .exec(
            "INSERT INTO trash (object_key, delete_after)
             SELECT $1, $2 WHERE NOT EXISTS (SELECT 1 FROM objects WHERE key = $1)
             ON CONFLICT (object_key) DO NOTHING",
            params![object_key, delete_after.as_millis()],
        )
        .await
}

const TRASH_DUE: &str =
    "SELECT object_key FROM trash WHERE delete_after <= $1 ORDER BY delete_after LIMIT $2";

pub(crate) async fn trash_due(db: &Db, now: Timestamp, limit: u32) -> Result<Vec<(String,)>, Error> {
    db.all(TRASH_DUE, params![now.as_millis(), limit]).await
}

/// The same inside a transaction, for a look at what it would leave.
pub(crate) async fn trash_due_in(
    transaction: &mut Transaction,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<(String,)>, Error> {
    transaction.all(TRASH_DUE, params![now.as_millis(), limit]).await
}

pub(crate) async fn trash_remove_in(transaction: &mut Transaction, object_key: &str) -> Result<u64, Error> {
    transaction.exec("DELETE FROM trash WHERE object_key = $1", params![object_key]).await
}

pub(crate) async fn trash_key_exists(db: &Db, key: &str) -> Result<bool, Error> {
    let row: Option<(i64,)> =
        db.opt("SELECT delete_after FROM trash WHERE object_key = $1", params![key]).await?;
    Ok(row.is_some())
}
