//! Upload sessions.

use clock::Timestamp;
use db::{Db, Error, FromRow, Row, Transaction, params};

/// A stored session.
#[derive(Clone)]
pub(crate) struct UploadRow {
    pub(crate) registry_id: i64,
    pub(crate) repository_name: String,
    pub(crate) user_id: i64,
    pub(crate) object_key: String,
    pub(crate) offset: u64,
    pub(crate) hash_state: Vec<u8>,
    pub(crate) completed: Option<String>,
    pub(crate) expires_at: i64,
}

impl FromRow for UploadRow {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            registry_id: row.get(0)?,
            repository_name: row.get(1)?,
            user_id: row.get(2)?,
            object_key: row.get(3)?,
            offset: row.get(4)?,
            hash_state: row.get(5)?,
            completed: row.get(6)?,
            expires_at: row.get(7)?,
        })
    }
}

const SELECT: &str = "SELECT registry_id, repository_name, user_id, object_key, offset_bytes, hash_state, \
                      completed, expires_at FROM uploads WHERE id = $1";

pub(crate) async fn upload_get(db: &Db, id: &str) -> Result<Option<UploadRow>, Error> {
    db.opt(SELECT, params![id]).await
}

pub(crate) async fn upload_get_in(
    transaction: &mut Transaction,
    id: &str,
) -> Result<Option<UploadRow>, Error> {
    transaction.opt(SELECT, params![id]).await
}

pub(crate) async fn upload_insert_in(
    transaction: &mut Transaction,
    id: &str,
    new: &UploadRow,
) -> Result<u64, Error> {
    transaction
        .exec(
            "INSERT INTO uploads
                 (id, registry_id, repository_name, user_id, object_key, offset_bytes, hash_state, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            params![
                id,
                new.registry_id,
                &new.repository_name,
                new.user_id,
                &new.object_key,
                new.offset,
                new.hash_state.clone(),
                new.expires_at
            ],
        )
        .await
}

/// How many sessions the user has open, counted no further than `limit`.
pub(crate) async fn uploads_open_in(
    transaction: &mut Transaction,
    user_id: i64,
    limit: u32,
) -> Result<i64, Error> {
    let (count,) = transaction
        .one(
            "SELECT count(*) FROM
                 (SELECT 1 FROM uploads WHERE user_id = $1 AND completed IS NULL LIMIT $2)",
            params![user_id, limit],
        )
        .await?;
    Ok(count)
}

/// Moves a session on, if it still stands where it stood.
pub(crate) async fn upload_advance_in(
    transaction: &mut Transaction,
    id: &str,
    from: u64,
    to: u64,
    hash_state: Vec<u8>,
    expires_at: Timestamp,
) -> Result<u64, Error> {
    transaction
        .exec(
            "UPDATE uploads SET offset_bytes = $1, hash_state = $2, expires_at = $3
             WHERE id = $4 AND offset_bytes = $5 AND completed IS NULL",
            params![to, hash_state, expires_at.as_millis(), id, from],
        )
        .await
}

pub(crate) async fn upload_complete_in(
    transaction: &mut Transaction,
    id: &str,
    digest: &str,
    expires_at: Timestamp,
) -> Result<u64, Error> {
    transaction
        .exec(
            "UPDATE uploads SET completed = $1, hash_state = x'', expires_at = $2
             WHERE id = $3 AND completed IS NULL",
            params![digest, expires_at.as_millis(), id],
        )
        .await
}

/// Ends a session that is not complete and gives its object's key.
pub(crate) async fn upload_abandon_in(
    transaction: &mut Transaction,
    id: &str,
) -> Result<Option<String>, Error> {
    let row: Option<(String,)> = transaction
        .opt("DELETE FROM uploads WHERE id = $1 AND completed IS NULL RETURNING object_key", params![id])
        .await?;
    Ok(row.map(|(key,)| key))
}

/// Sessions past their time: (id, object key, whether complete).
pub(crate) async fn uploads_expired_in(
    transaction: &mut Transaction,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<(String, String, bool)>, Error> {
    transaction
        .all(
            "SELECT id, object_key, completed IS NOT NULL FROM uploads
             WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2",
            params![now.as_millis(), limit],
        )
        .await
}

pub(crate) async fn upload_delete_in(transaction: &mut Transaction, id: &str) -> Result<u64, Error> {
    transaction.exec("DELETE FROM uploads WHERE id = $1", params![id]).await
}

pub(crate) async fn uploads_expire_of_registry_in(
    transaction: &mut Transaction,
    registry_id: i64,
    now: Timestamp,
) -> Result<u64, Error> {
    transaction
        .exec(
            "UPDATE uploads SET expires_at = $1 WHERE registry_id = $2 AND expires_at > $1",
            params![now.as_millis(), registry_id],
        )
        .await
}

pub(crate) async fn upload_of_registry_exists_in(
    transaction: &mut Transaction,
    registry_id: i64,
) -> Result<bool, Error> {
    let row: Option<(String,)> = transaction
        .opt("SELECT id FROM uploads WHERE registry_id = $1 LIMIT 1", params![registry_id])
        .await?;
    Ok(row.is_some())
}

/// Whether an open session writes to this object.
pub(crate) async fn upload_key_exists(db: &Db, key: &str) -> Result<bool, Error> {
    let row: Option<(String,)> =
        db.opt("SELECT id FROM uploads WHERE object_key = $1 LIMIT 1", params![key]).await?;
    Ok(row.is_some())
}
