//! Which manifests refer to which subject.

use db::{Db, Error, Transaction, params};

/// A place in a list of referrers: newest first by the time that the artifact claims, then by arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) made_at: i64,
    pub(crate) manifest_id: i64,
}

impl Position {
    /// Before everything.
    pub(crate) const START: Self = Self { made_at: i64::MAX, manifest_id: i64::MAX };
}

/// One entry: (made at, manifest, descriptor in JSON).
pub(crate) type ReferrerRow = (i64, i64, String);

/// A page of a list. Most artifacts do not say when they were made, so a list may be one long row of equal times;
/// SQLite finds its place by the first of two compared columns only, and so each of them is asked for by itself.
pub(crate) async fn referrers_page(
    db: &Db,
    repository_id: i64,
    subject: &str,
    artifact_type: Option<&str>,
    after: Position,
    limit: u32,
) -> Result<Vec<ReferrerRow>, Error> {
    let mut rows: Vec<ReferrerRow> = Vec::new();
    if after != Position::START {
        rows = referrers_made_at(db, repository_id, subject, artifact_type, after, limit).await?;
    }
    let wanted = limit.saturating_sub(u32::try_from(rows.len()).unwrap_or(u32::MAX));
    if wanted > 0 {
        rows.extend(
            referrers_made_before(db, repository_id, subject, artifact_type, after.made_at, wanted).await?,
        );
    }
    Ok(rows)
}

/// Those that were made at the time of a position and arrived before it.
async fn referrers_made_at(
    db: &Db,
    repository_id: i64,
    subject: &str,
    artifact_type: Option<&str>,
    after: Position,
    limit: u32,
) -> Result<Vec<ReferrerRow>, Error> {
    match artifact_type {
        None => {
            db.all(
                "SELECT made_at, manifest_id, descriptor FROM referrers
                 WHERE repository_id = $1 AND subject = $2 AND made_at = $3 AND manifest_id < $4
                 ORDER BY made_at DESC, manifest_id DESC LIMIT $5",
                params![repository_id, subject, after.made_at, after.manifest_id, limit],
            )
            .await
        }
        Some(artifact_type) => {
            db.all(
                "SELECT made_at, manifest_id, descriptor FROM referrers
                 WHERE repository_id = $1 AND subject = $2 AND artifact_type = $3
                   AND made_at = $4 AND manifest_id < $5
                 ORDER BY made_at DESC, manifest_id DESC LIMIT $6",
                params![repository_id, subject, artifact_type, after.made_at, after.manifest_id, limit],
            )
            .await
        }
    }
}

/// Those that were made before a time.
async fn referrers_made_before(
    db: &Db,
    repository_id: i64,
    subject: &str,
    artifact_type: Option<&str>,
    made_at: i64,
    limit: u32,
) -> Result<Vec<ReferrerRow>, Error> {
    match artifact_type {
        None => {
            db.all(
                "SELECT made_at, manifest_id, descriptor FROM referrers
                 WHERE repository_id = $1 AND subject = $2 AND made_at < $3
                 ORDER BY made_at DESC, manifest_id DESC LIMIT $4",
                params![repository_id, subject, made_at, limit],
            )
            .await
        }
        Some(artifact_type) => {
            db.all(
                "SELECT made_at, manifest_id, descriptor FROM referrers
                 WHERE repository_id = $1 AND subject = $2 AND artifact_type = $3 AND made_at < $4
                 ORDER BY made_at DESC, manifest_id DESC LIMIT $5",
                params![repository_id, subject, artifact_type, made_at, limit],
            )
            .await
        }
    }
}

#[derive(Clone)]
pub(crate) struct NewReferrer {
    pub(crate) subject: String,
    pub(crate) artifact_type: Option<String>,
    pub(crate) made_at: i64,
    pub(crate) descriptor: String,
}

pub(crate) async fn referrer_insert_in(
    transaction: &mut Transaction,
    manifest_id: i64,
    repository_id: i64,
    new: &NewReferrer,
) -> Result<u64, Error> {
    transaction
        .exec(
            "INSERT INTO referrers (manifest_id, repository_id, subject, artifact_type, made_at, descriptor)
             VALUES ($1, $2, $3, $4, $5, $6)",
            params![
                manifest_id,
                repository_id,
                &new.subject,
                new.artifact_type.clone(),
                new.made_at,
                &new.descriptor
            ],
        )
        .await
}

/// The subject that a manifest refers to.
pub(crate) async fn referrer_subject_in(
    transaction: &mut Transaction,
    manifest_id: i64,
) -> Result<Option<String>, Error> {
    let row: Option<(String,)> =
        transaction.opt("SELECT subject FROM referrers WHERE manifest_id = $1", params![manifest_id]).await?;
    Ok(row.map(|(subject,)| subject))
}
