//! What may have become garbage, and when to look at it.

use clock::Timestamp;
use db::{Db, Error, FromRow, Row, Transaction, params};

/// Why something is to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A blob's link that no manifest may need.
    Blob,
    /// A manifest whose parent or subject went away.
    Orphan,
    /// A manifest that was pushed without a tag, or lost it.
    Untagged,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Blob => "blob",
            Self::Orphan => "orphan",
            Self::Untagged => "untagged",
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct ReviewRow {
    pub(crate) repository_id: i64,
    pub(crate) kind: Kind,
    pub(crate) digest: String,
}

impl FromRow for ReviewRow {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        let kind = match row.get::<String>(1)?.as_str() {
            "blob" => Kind::Blob,
            "orphan" => Kind::Orphan,
            "untagged" => Kind::Untagged,
            _ => return Err(Error::UnexpectedType { index: 1 }),
        };
        Ok(Self { repository_id: row.get(0)?, kind, digest: row.get(2)? })
    }
}

/// Asks for a look at something no sooner than `review_after`. A later time wins over an earlier one.
pub(crate) async fn review_add_in(
    transaction: &mut Transaction,
    repository_id: i64,
    kind: Kind,
    digest: &str,
    review_after: Timestamp,
) -> Result<u64, Error> {
    transaction
        .exec(
            "INSERT INTO review_queue (repository_id, kind, digest, review_after) VALUES ($1, $2, $3, $4)
             ON CONFLICT (repository_id, kind, digest)
             DO UPDATE SET review_after = max(review_queue.review_after, excluded.review_after)",
            params![repository_id, kind.as_str(), digest, review_after.as_millis()],
        )
        .await
}

/// When a blob is due to be looked at, if it is in the queue.
pub(crate) async fn review_of_blob(
    db: &Db,
    repository_id: i64,
    digest: &str,
) -> Result<Option<Timestamp>, Error> {
    let row: Option<(i64,)> = db
        .opt(
            "SELECT review_after FROM review_queue WHERE repository_id = $1 AND kind = 'blob' AND digest = $2",
            params![repository_id, digest],
        )
        .await?;
    Ok(row.map(|(millis,)| Timestamp::from_millis(millis)))
}

pub(crate) async fn review_due_in(
    transaction: &mut Transaction,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<ReviewRow>, Error> {
    transaction
        .all(
            "SELECT repository_id, kind, digest FROM review_queue
             WHERE review_after <= $1 ORDER BY review_after LIMIT $2",
            params![now.as_millis(), limit],
        )
        .await
}

pub(crate) async fn review_remove_in(transaction: &mut Transaction, row: &ReviewRow) -> Result<u64, Error> {
    transaction
        .exec(
            "DELETE FROM review_queue WHERE repository_id = $1 AND kind = $2 AND digest = $3",
            params![row.repository_id, row.kind.as_str(), &row.digest],
        )
        .await
}
