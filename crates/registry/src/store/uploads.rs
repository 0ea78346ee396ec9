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
    /// What the storage needs to go on with it.
    pub(crate) staged: Option<Vec<u8>>,
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
            staged: row.get(8)?,
        })
    }
}

macro_rules! select_upload {
    ($lock:literal) => {
        concat!(
            "SELECT registry_id, repository_name, user_id, object_key, offset_bytes, hash_state, completed,
                    expires_at, staged
             FROM uploads WHERE id = $1",
            $lock
        )
    };
}

pub(crate) async fn upload_get(db: &Db, id: &str) -> Result<Option<UploadRow>, Error> {
    db.opt(select_upload!(""), params![id]).await
}

/// Takes a session.
pub(crate) async fn upload_get_in(
    transaction: &mut Transaction,
    id: &str,
) -> Result<Option<UploadRow>, Error> {
    transaction.opt(select_upload!(" FOR UPDATE"), params![id]).await
}

/// Opens a session in a registry that is there.
pub(crate) async fn upload_insert_in(
    transaction: &mut Transaction,
    id: &str,
    new: &UploadRow,
) -> Result<(), crate::Error> {
    if !super::tenancy::registry_hold_in(transaction, new.registry_id).await? {
        return Err(crate::error::registry_gone());
    }
    transaction
        .exec(
            "INSERT INTO uploads
                 (id, registry_id, repository_name, user_id, object_key, offset_bytes, hash_state, staged,
                  expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            params![
                id,
                new.registry_id,
                &new.repository_name,
                new.user_id,
                &new.object_key,
                new.offset,
                new.hash_state.clone(),
                new.staged.clone(),
                new.expires_at
            ],
        )
        .await?;
    Ok(())
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
                 (SELECT 1 FROM uploads WHERE user_id = $1 AND completed IS NULL LIMIT $2) AS open",
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
    staged: Option<Vec<u8>>,
    expires_at: Timestamp,
) -> Result<u64, Error> {
    transaction
        .exec(
            "UPDATE uploads SET offset_bytes = $1, hash_state = $2, staged = $3, expires_at = $4
             WHERE id = $5 AND offset_bytes = $6 AND completed IS NULL",
            params![to, hash_state, staged, expires_at.as_millis(), id, from],
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
            "UPDATE uploads SET completed = $1, hash_state = $2, staged = NULL, expires_at = $3
             WHERE id = $4 AND completed IS NULL",
            params![digest, Vec::<u8>::new(), expires_at.as_millis(), id],
        )
        .await
}

/// What is left of a session that ended before it was complete.
#[derive(Clone, Debug)]
pub(crate) struct AbandonedUpload {
    pub(crate) object_key: String,
    /// What the storage has to discard with the object.
    pub(crate) staged: Option<Vec<u8>>,
    pub(crate) size: u64,
}

/// Puts up for deletion what is left of a session that is over, however little the record says of it.
pub(crate) async fn upload_discard_in(
    transaction: &mut Transaction,
    left: AbandonedUpload,
    now: Timestamp,
) -> Result<u64, Error> {
    let AbandonedUpload { object_key, staged, size } = left;
    // That there is a state, if an empty one, tells that more than an object may be there.
    super::trash::trash_add_in(transaction, &object_key, Some(staged.unwrap_or_default()), size, now).await
}

/// Ends a session that is not complete.
pub(crate) async fn upload_abandon_in(
    transaction: &mut Transaction,
    id: &str,
) -> Result<Option<AbandonedUpload>, Error> {
    let row: Option<(String, Option<Vec<u8>>, u64)> = transaction
        .opt(
            "DELETE FROM uploads WHERE id = $1 AND completed IS NULL
             RETURNING object_key, staged, offset_bytes",
            params![id],
        )
        .await?;
    Ok(row.map(|(object_key, staged, size)| AbandonedUpload { object_key, staged, size }))
}

/// A session past its time.
#[derive(Clone, Debug)]
pub(crate) struct ExpiredUpload {
    pub(crate) id: String,
    pub(crate) complete: bool,
    pub(crate) abandoned: AbandonedUpload,
}

impl FromRow for ExpiredUpload {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        let abandoned = AbandonedUpload { object_key: row.get(2)?, staged: row.get(3)?, size: row.get(4)? };
        Ok(Self { id: row.get(0)?, complete: row.get(1)?, abandoned })
    }
}

/// Takes sessions past their time that nobody has taken.
pub(crate) async fn uploads_expired_in(
    transaction: &mut Transaction,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<ExpiredUpload>, Error> {
    transaction
        .all(
            "SELECT id, completed IS NOT NULL, object_key, staged, offset_bytes FROM uploads
             WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED",
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

/// Whether an open session writes to this object.
pub(crate) async fn upload_key_exists(db: &Db, key: &str) -> Result<bool, Error> {
    let row: Option<(String,)> =
        db.opt("SELECT id FROM uploads WHERE object_key = $1 LIMIT 1", params![key]).await?;
    Ok(row.is_some())
}
