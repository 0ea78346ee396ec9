//! What may have become garbage, and when to look at it.

use clock::Timestamp;
use db::{Db, Error, Transaction, params};

/// Entries that are counted at the most when somebody asks how many there are.
pub(super) const MOST_COUNTED: u32 = 1_000_000;

/// Why something is to be looked at. Statements add a third kind, 'orphan': a manifest whose parent or subject
/// went away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A blob's link that no manifest may need.
    Blob,
    /// A manifest that was pushed without a tag, or lost it.
    Untagged,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Blob => "blob",
            Self::Untagged => "untagged",
        }
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
    // An entry that stays as it is is locked all the same: whoever judges it waits, or has been waited for.
    transaction
        .exec(
            "INSERT INTO review_queue (repository_id, kind, digest, review_after) VALUES ($1, $2, $3, $4)
             ON CONFLICT (repository_id, kind, digest) DO UPDATE SET review_after = excluded.review_after
             WHERE review_queue.review_after < excluded.review_after",
            params![repository_id, kind.as_str(), digest, review_after.as_millis()],
        )
        .await
}

/// Asks for a look at everything that a manifest holds up: the blobs and children that it names, and the
/// manifests that refer to it.
pub(crate) async fn review_add_dependents_in(
    transaction: &mut Transaction,
    manifest_id: i64,
    manifest_review_after: Timestamp,
    blob_review_after: Timestamp,
) -> Result<u64, Error> {
    // A target is known by its digest alone: a child of an index may be a manifest or a blob, or both.
    transaction
        .exec(
            "INSERT INTO review_queue (repository_id, kind, digest, review_after)
             SELECT repository_id, kind, digest, review_after FROM (
                 SELECT repository_id, 'blob' AS kind, digest, CAST($1 AS BIGINT) AS review_after
                 FROM edges WHERE manifest_id = $2
                 UNION SELECT repository_id, 'orphan', digest, CAST($3 AS BIGINT) FROM edges WHERE manifest_id = $2
                 UNION SELECT f.repository_id, 'orphan', r.digest, CAST($3 AS BIGINT)
                 FROM manifests m
                 JOIN referrers f ON f.repository_id = m.repository_id AND f.subject = m.digest
                 JOIN manifests r ON r.id = f.manifest_id
                 WHERE m.id = $2) AS dependents
             WHERE true
             ORDER BY repository_id, kind, digest
             ON CONFLICT (repository_id, kind, digest) DO UPDATE SET review_after = excluded.review_after
             WHERE review_queue.review_after < excluded.review_after",
            params![blob_review_after.as_millis(), manifest_id, manifest_review_after.as_millis()],
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

/// Lets a blob that is in the queue wait longer. An entry that is being judged is waited for.
pub(crate) async fn review_of_blob_postpone_in(
    transaction: &mut Transaction,
    repository_id: i64,
    digest: &str,
    review_after: Timestamp,
) -> Result<u64, Error> {
    transaction
        .exec(
            "UPDATE review_queue SET review_after = CASE WHEN review_after < $1 THEN $1 ELSE review_after END
             WHERE repository_id = $2 AND kind = 'blob' AND digest = $3",
            params![review_after.as_millis(), repository_id, digest],
        )
        .await
}

/// Entries that one transaction judges together. While it does, their time is this mark: no time is negative, so
/// statements find the entries by it, and nobody else ever sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark(i64);

impl Mark {
    pub(crate) fn random() -> Self {
        let (random, _) = uuid::Uuid::new_v4().as_u64_pair();
        Self(random.cast_signed() | i64::MIN)
    }
}

/// Takes what is due and what nobody else has taken, and tells how many entries that are.
pub(crate) async fn review_take_due_in(
    transaction: &mut Transaction,
    mark: Mark,
    now: Timestamp,
    limit: u32,
) -> Result<u64, Error> {
    transaction
        .exec(
            "WITH due AS (SELECT repository_id, kind, digest FROM review_queue
                          WHERE review_after <= $1 ORDER BY review_after LIMIT $2 FOR UPDATE SKIP LOCKED)
             UPDATE review_queue SET review_after = $3
             WHERE (repository_id, kind, digest) IN (SELECT repository_id, kind, digest FROM due)",
            params![now.as_millis(), limit, mark.0],
        )
        .await
}

/// Removes from the queue those of the marked entries whose blob or manifest is needed, or gone already.
///
/// A manifest is needed that has a tag, or that an index names. One that refers to a subject is needed as long as
/// the subject is there; and as a referrer may be pushed before its subject, only one whose subject was deleted
/// counts as an orphan.
pub(crate) async fn review_keep_needed_in(transaction: &mut Transaction, mark: Mark) -> Result<u64, Error> {
    // An offset, even of nothing, keeps PostgreSQL from answering a question for all rows of a table at once, which
    // it would do whenever it takes the batch for larger than it is.
    transaction
        .exec(
            "DELETE FROM review_queue WHERE review_after = $1 AND (
                 EXISTS (SELECT 1 FROM edges e
                         WHERE e.repository_id = review_queue.repository_id AND e.digest = review_queue.digest
                         LIMIT 1 OFFSET 0)
                 OR (kind = 'blob' AND NOT EXISTS (
                     SELECT 1 FROM blobs b
                     WHERE b.repository_id = review_queue.repository_id AND b.digest = review_queue.digest
                     LIMIT 1 OFFSET 0))
                 OR (kind <> 'blob' AND NOT EXISTS (
                     SELECT 1 FROM manifests m
                     WHERE m.repository_id = review_queue.repository_id AND m.digest = review_queue.digest
                       AND NOT EXISTS (SELECT 1 FROM tags t WHERE t.manifest_id = m.id LIMIT 1 OFFSET 0)
                       AND NOT EXISTS (
                           SELECT 1 FROM referrers f
                           WHERE f.manifest_id = m.id
                             AND (review_queue.kind = 'untagged' OR EXISTS (
                                 SELECT 1 FROM manifests s
                                 WHERE s.repository_id = f.repository_id AND s.digest = f.subject
                                 LIMIT 1 OFFSET 0))
                           LIMIT 1 OFFSET 0)
                     LIMIT 1 OFFSET 0)))",
            params![mark.0],
        )
        .await
}

/// How many of the marked entries are left that are about blobs, and how many about manifests.
pub(crate) async fn review_count_in(transaction: &mut Transaction, mark: Mark) -> Result<(u64, u64), Error> {
    transaction
        .one(
            "SELECT count(CASE WHEN kind = 'blob' THEN 1 END), count(CASE WHEN kind <> 'blob' THEN 1 END)
             FROM review_queue WHERE review_after = $1",
            params![mark.0],
        )
        .await
}

/// As [`review_add_dependents_in`], for all marked manifests. A marked entry that is among what they hold up
/// loses its mark and waits.
pub(crate) async fn review_add_marked_dependents_in(
    transaction: &mut Transaction,
    mark: Mark,
    manifest_review_after: Timestamp,
    blob_review_after: Timestamp,
) -> Result<u64, Error> {
    // CROSS JOIN: SQLite would rather walk all edges than begin with the few manifests.
    transaction
        .exec(
            "WITH leaving AS (
                 SELECT DISTINCT m.id, m.repository_id, m.digest
                 FROM review_queue q
                 JOIN manifests m ON m.repository_id = q.repository_id AND m.digest = q.digest
                 WHERE q.review_after = $1 AND q.kind <> 'blob')
             INSERT INTO review_queue (repository_id, kind, digest, review_after)
             SELECT repository_id, kind, digest, review_after FROM (
                 SELECT e.repository_id, 'blob' AS kind, e.digest, CAST($2 AS BIGINT) AS review_after
                 FROM leaving l CROSS JOIN edges e WHERE e.manifest_id = l.id
                 UNION SELECT e.repository_id, 'orphan', e.digest, CAST($3 AS BIGINT)
                 FROM leaving l CROSS JOIN edges e WHERE e.manifest_id = l.id
                 UNION SELECT f.repository_id, 'orphan', r.digest, CAST($3 AS BIGINT)
                 FROM leaving l CROSS JOIN referrers f CROSS JOIN manifests r
                 WHERE f.repository_id = l.repository_id AND f.subject = l.digest AND r.id = f.manifest_id
             ) AS dependents
             WHERE true
             ORDER BY repository_id, kind, digest
             ON CONFLICT (repository_id, kind, digest) DO UPDATE SET review_after = excluded.review_after
             WHERE review_queue.review_after < excluded.review_after",
            params![mark.0, blob_review_after.as_millis(), manifest_review_after.as_millis()],
        )
        .await
}

/// Takes the marked blobs and the objects that they lead to.
pub(crate) async fn review_take_blobs_in(transaction: &mut Transaction, mark: Mark) -> Result<(), Error> {
    // The tables are locked in the order in which they stand here. Within one repository the order of the objects
    // is that of the links: both are named by the same hash.
    let _taken: Vec<(i64,)> = transaction
        .all(
            "SELECT o.id FROM objects o
             JOIN blobs b ON b.object_id = o.id
             JOIN review_queue q ON q.repository_id = b.repository_id AND q.digest = b.digest
             WHERE q.review_after = $1 AND q.kind = 'blob'
             ORDER BY o.sha256 FOR UPDATE",
            params![mark.0],
        )
        .await?;
    Ok(())
}

/// Takes the marked manifests.
pub(crate) async fn review_take_manifests_in(transaction: &mut Transaction, mark: Mark) -> Result<(), Error> {
    let _taken: Vec<(i64,)> = transaction
        .all(
            "SELECT m.id FROM review_queue q
             JOIN manifests m ON m.repository_id = q.repository_id AND m.digest = q.digest
             WHERE q.review_after = $1 AND q.kind <> 'blob'
             ORDER BY m.repository_id, m.digest FOR UPDATE",
            params![mark.0],
        )
        .await?;
    Ok(())
}

/// Takes the links of the marked blobs away and gives the object of each.
pub(crate) async fn review_unlink_blobs_in(
    transaction: &mut Transaction,
    mark: Mark,
) -> Result<Vec<i64>, Error> {
    let objects: Vec<(i64,)> = transaction
        .all(
            "DELETE FROM blobs WHERE (repository_id, digest) IN (
                 SELECT repository_id, digest FROM review_queue WHERE review_after = $1 AND kind = 'blob')
             RETURNING object_id",
            params![mark.0],
        )
        .await?;
    Ok(objects.into_iter().map(|(id,)| id).collect())
}

/// Removes the marked manifests with their edges and their entries in referrers lists.
pub(crate) async fn review_delete_manifests_in(
    transaction: &mut Transaction,
    mark: Mark,
) -> Result<u64, Error> {
    transaction
        .exec(
            "DELETE FROM manifests WHERE (repository_id, digest) IN (
                 SELECT repository_id, digest FROM review_queue WHERE review_after = $1 AND kind <> 'blob')",
            params![mark.0],
        )
        .await
}

/// Removes what is still marked from the queue.
pub(crate) async fn review_finish_in(transaction: &mut Transaction, mark: Mark) -> Result<u64, Error> {
    transaction.exec("DELETE FROM review_queue WHERE review_after = $1", params![mark.0]).await
}

/// Removes some of a repository's entries that nobody has taken.
pub(crate) async fn review_delete_of_repository_in(
    transaction: &mut Transaction,
    repository_id: i64,
    limit: u32,
) -> Result<u64, Error> {
    transaction
        .exec(
            "WITH batch AS (SELECT kind, digest FROM review_queue WHERE repository_id = $1 LIMIT $2
                           FOR UPDATE SKIP LOCKED)
             DELETE FROM review_queue
             WHERE repository_id = $1 AND (kind, digest) IN (SELECT kind, digest FROM batch)",
            params![repository_id, limit],
        )
        .await
}

/// How long the queue is. Numbers stop at [`MOST_COUNTED`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReviewStats {
    pub(crate) due: u64,
    pub(crate) waiting: u64,
    /// Since when the first entry has been due.
    pub(crate) oldest_due: Option<Timestamp>,
}

/// How long the queue is. It walks an index, so it is for a look now and then.
pub(crate) async fn review_stats(db: &Db, now: Timestamp) -> Result<ReviewStats, Error> {
    let (due, oldest): (u64, Option<i64>) = db
        .one(
            "SELECT count(*), min(review_after)
             FROM (SELECT review_after FROM review_queue WHERE review_after <= $1
                   ORDER BY review_after LIMIT $2) AS due",
            params![now.as_millis(), MOST_COUNTED],
        )
        .await?;
    let (waiting,): (u64,) = db
        .one(
            "SELECT count(*) FROM (SELECT 1 FROM review_queue WHERE review_after > $1 LIMIT $2) AS waiting",
            params![now.as_millis(), MOST_COUNTED],
        )
        .await?;
    Ok(ReviewStats { due, waiting, oldest_due: oldest.map(Timestamp::from_millis) })
}
