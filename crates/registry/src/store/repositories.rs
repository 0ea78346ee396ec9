//! Repositories.

use clock::Timestamp;
use db::{Db, Error, Transaction, params};

/// The repository's row, made when it is not there yet.
pub(crate) async fn repository_ensure_in(
    transaction: &mut Transaction,
    registry_id: i64,
    name: &str,
    now: Timestamp,
) -> Result<i64, Error> {
    let existing: Option<(i64,)> = transaction
        .opt("SELECT id FROM repositories WHERE registry_id = $1 AND name = $2", params![registry_id, name])
        .await?;
    if let Some((id,)) = existing {
        return Ok(id);
    }
    let (id,) = transaction
        .one(
            "INSERT INTO repositories (registry_id, name, format, created_at) VALUES ($1, $2, 'oci', $3)
             RETURNING id",
            params![registry_id, name, now.as_millis()],
        )
        .await?;
    Ok(id)
}

/// Names of a registry's repositories after `after`, in byte order.
pub(crate) async fn repositories_list(
    db: &Db,
    registry_id: i64,
    after: &str,
    limit: u32,
) -> Result<Vec<(String,)>, Error> {
    db.all(
        "SELECT name FROM repositories WHERE registry_id = $1 AND name > $2 ORDER BY name LIMIT $3",
        params![registry_id, after, limit],
    )
    .await
}

pub(crate) async fn repository_first_in(
    transaction: &mut Transaction,
    registry_id: i64,
) -> Result<Option<i64>, Error> {
    let first: Option<(i64,)> = transaction
        .opt("SELECT id FROM repositories WHERE registry_id = $1 LIMIT 1", params![registry_id])
        .await?;
    Ok(first.map(|(id,)| id))
}

pub(crate) async fn repository_delete_in(transaction: &mut Transaction, id: i64) -> Result<u64, Error> {
    transaction.exec("DELETE FROM repositories WHERE id = $1", params![id]).await
}
