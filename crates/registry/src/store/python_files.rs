//! The files of Python projects.

use clock::Timestamp;
use db::{Db, Error, FromRow, Row, Transaction, params};

/// A stored file, deleted ones included.
#[derive(Clone, Debug)]
pub(crate) struct FileRow {
    pub(crate) id: i64,
    pub(crate) release_id: i64,
    pub(crate) filename: String,
    pub(crate) kind: String,
    pub(crate) sha256: String,
    pub(crate) size: u64,
    pub(crate) requires_python: Option<String>,
    pub(crate) metadata_sha256: String,
    pub(crate) manifest_digest: String,
    pub(crate) tag: String,
    pub(crate) yanked: Option<String>,
    pub(crate) attestations: u64,
    pub(crate) warnings: String,
    pub(crate) uploaded_at: Timestamp,
    pub(crate) uploaded_by: String,
    pub(crate) deleted_at: Option<i64>,
    pub(crate) deleted_by: Option<String>,
    pub(crate) delete_reason: Option<String>,
}

impl FromRow for FileRow {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            id: row.get(0)?,
            release_id: row.get(1)?,
            filename: row.get(2)?,
            kind: row.get(3)?,
            sha256: row.get(4)?,
            size: row.get(5)?,
            requires_python: row.get(6)?,
            metadata_sha256: row.get(7)?,
            manifest_digest: row.get(8)?,
            tag: row.get(9)?,
            yanked: row.get(10)?,
            attestations: row.get(11)?,
            warnings: row.get(12)?,
            uploaded_at: Timestamp::from_millis(row.get(13)?),
            uploaded_by: row.get(14)?,
            deleted_at: row.get(15)?,
            deleted_by: row.get(16)?,
            delete_reason: row.get(17)?,
        })
    }
}

macro_rules! select_file {
    ($rest:literal) => {
        concat!(
            "SELECT f.id, f.release_id, f.filename, f.kind, f.sha256, f.size, f.requires_python,
                    f.metadata_sha256, f.manifest_digest, f.tag, f.yanked, f.attestations, f.warnings,
                    f.uploaded_at, f.uploaded_by, f.deleted_at, f.deleted_by, f.delete_reason
             FROM python_files f ",
            $rest
        )
    };
}

const BY_CANONICAL: &str = select_file!("WHERE f.project_id = $1 AND f.canonical = $2");
const BY_MANIFEST: &str = select_file!("WHERE f.project_id = $1 AND f.manifest_digest = $2 LIMIT 1");

pub(crate) async fn file_by_canonical(
    db: &Db,
    project_id: i64,
    canonical: &str,
) -> Result<Option<FileRow>, Error> {
    db.opt(BY_CANONICAL, params![project_id, canonical]).await
}

pub(crate) async fn file_by_canonical_in(
    transaction: &mut Transaction,
    project_id: i64,
    canonical: &str,
) -> Result<Option<FileRow>, Error> {
    transaction.opt(BY_CANONICAL, params![project_id, canonical]).await
}

pub(crate) async fn file_by_manifest(
    db: &Db,
    project_id: i64,
    manifest_digest: &str,
) -> Result<Option<FileRow>, Error> {
    db.opt(BY_MANIFEST, params![project_id, manifest_digest]).await
}

pub(crate) async fn file_by_manifest_in(
    transaction: &mut Transaction,
    project_id: i64,
    manifest_digest: &str,
) -> Result<Option<FileRow>, Error> {
    transaction.opt(BY_MANIFEST, params![project_id, manifest_digest]).await
}

pub(crate) async fn file_by_name(db: &Db, project_id: i64, filename: &str) -> Result<Option<FileRow>, Error> {
    db.opt(select_file!("WHERE f.project_id = $1 AND f.filename = $2"), params![project_id, filename]).await
}

/// Files of a project after `after` by name, deleted ones included.
pub(crate) async fn files_list(
    db: &Db,
    project_id: i64,
    after: &str,
    limit: u32,
) -> Result<Vec<FileRow>, Error> {
    db.all(
        select_file!("WHERE f.project_id = $1 AND f.filename > $2 ORDER BY f.filename LIMIT $3"),
        params![project_id, after, limit],
    )
    .await
}

/// Files of a release after `after` by name, deleted ones included.
pub(crate) async fn files_of_release(
    db: &Db,
    release_id: i64,
    after: &str,
    limit: u32,
) -> Result<Vec<FileRow>, Error> {
    db.all(
        select_file!("WHERE f.release_id = $1 AND f.filename > $2 ORDER BY f.filename LIMIT $3"),
        params![release_id, after, limit],
    )
    .await
}

/// How many files of a release are there, are yanked, and were deleted.
pub(crate) async fn files_count(db: &Db, release_id: i64) -> Result<(u64, u64, u64), Error> {
    db.one(
        "SELECT count(CASE WHEN deleted_at IS NULL THEN 1 END),
                count(CASE WHEN deleted_at IS NULL AND yanked IS NOT NULL THEN 1 END), count(deleted_at)
         FROM python_files WHERE release_id = $1",
        params![release_id],
    )
    .await
}

/// What a page shows of a file: the release's version and sort key come first.
pub(crate) struct PageRow {
    pub(crate) version: String,
    pub(crate) filename: String,
    pub(crate) kind: String,
    pub(crate) sha256: String,
    pub(crate) size: u64,
    pub(crate) requires_python: Option<String>,
    pub(crate) metadata_sha256: String,
    pub(crate) yanked: Option<String>,
    pub(crate) attestations: u64,
    pub(crate) uploaded_at: i64,
}

impl FromRow for PageRow {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            version: row.get(0)?,
            filename: row.get(1)?,
            kind: row.get(2)?,
            sha256: row.get(3)?,
            size: row.get(4)?,
            requires_python: row.get(5)?,
            metadata_sha256: row.get(6)?,
            yanked: row.get(7)?,
            attestations: row.get(8)?,
            uploaded_at: row.get(9)?,
        })
    }
}

/// The files of a project's page, in the order of their versions and then of their names.
pub(crate) async fn files_of_page(db: &Db, project_id: i64) -> Result<Vec<PageRow>, Error> {
    let mut rows: Vec<PageRow> = db
        .all(
        "SELECT r.version, f.filename, f.kind, f.sha256, f.size, f.requires_python, f.metadata_sha256, f.yanked,
                f.attestations, f.uploaded_at
         FROM python_releases r JOIN python_files f ON f.release_id = r.id
         WHERE r.project_id = $1 AND f.deleted_at IS NULL
         ORDER BY r.sort_key",
        params![project_id],
    )
    .await?;
    // No index of one table orders by columns of two, and a release has few files.
    for release in rows.chunk_by_mut(|one, other| one.version == other.version) {
        release.sort_unstable_by(|one, other| one.filename.cmp(&other.filename));
    }
    Ok(rows)
}

/// What the index of a release says of a file.
pub(crate) struct IndexRow {
    pub(crate) filename: String,
    pub(crate) sha256: String,
    pub(crate) requires_python: Option<String>,
    pub(crate) manifest_digest: String,
    pub(crate) manifest_size: u64,
}

impl FromRow for IndexRow {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            filename: row.get(0)?,
            sha256: row.get(1)?,
            requires_python: row.get(2)?,
            manifest_digest: row.get(3)?,
            manifest_size: row.get(4)?,
        })
    }
}

/// The files of a release that are there, by name.
pub(crate) async fn files_of_index_in(
    transaction: &mut Transaction,
    release_id: i64,
) -> Result<Vec<IndexRow>, Error> {
    transaction
        .all(
            "SELECT filename, sha256, requires_python, manifest_digest, manifest_size FROM python_files
             WHERE release_id = $1 AND deleted_at IS NULL ORDER BY filename",
            params![release_id],
        )
        .await
}

/// A file to be stored.
#[derive(Debug)]
pub(crate) struct NewFile {
    pub(crate) project_id: i64,
    pub(crate) release_id: i64,
    pub(crate) canonical: String,
    pub(crate) filename: String,
    pub(crate) kind: &'static str,
    pub(crate) sha256: String,
    pub(crate) size: u64,
    pub(crate) requires_python: Option<String>,
    pub(crate) metadata_sha256: String,
    pub(crate) manifest_digest: String,
    pub(crate) manifest_size: u64,
    pub(crate) tag: String,
    pub(crate) warnings: String,
    pub(crate) uploaded_at: Timestamp,
    pub(crate) uploaded_by: String,
}

pub(crate) async fn file_insert_in(transaction: &mut Transaction, new: &NewFile) -> Result<i64, Error> {
    let (id,) = transaction
        .one(
            "INSERT INTO python_files
                 (project_id, release_id, canonical, filename, kind, sha256, size, requires_python,
                  metadata_sha256, manifest_digest, manifest_size, tag, warnings, uploaded_at, uploaded_by)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) RETURNING id",
            params![
                new.project_id,
                new.release_id,
                &new.canonical,
                &new.filename,
                new.kind,
                &new.sha256,
                new.size,
                new.requires_python.clone(),
                &new.metadata_sha256,
                &new.manifest_digest,
                new.manifest_size,
                &new.tag,
                &new.warnings,
                new.uploaded_at.as_millis(),
                &new.uploaded_by
            ],
        )
        .await?;
    Ok(id)
}

pub(crate) async fn file_attestations_add_in(
    transaction: &mut Transaction,
    id: i64,
    added: u64,
) -> Result<u64, Error> {
    transaction
        .exec("UPDATE python_files SET attestations = attestations + $1 WHERE id = $2", params![added, id])
        .await
}

pub(crate) async fn file_yank_in(
    transaction: &mut Transaction,
    id: i64,
    reason: Option<&str>,
) -> Result<u64, Error> {
    transaction.exec("UPDATE python_files SET yanked = $1 WHERE id = $2", params![reason, id]).await
}

/// Marks a file as deleted and keeps its manifest.
pub(crate) async fn file_delete_in(
    transaction: &mut Transaction,
    id: i64,
    manifest: Vec<u8>,
    deleted_by: &str,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<u64, Error> {
    transaction
        .exec(
            "UPDATE python_files SET deleted_at = $1, deleted_by = $2, delete_reason = $3, manifest = $4
             WHERE id = $5",
            params![now.as_millis(), deleted_by, reason, manifest, id],
        )
        .await
}

/// Takes the mark away and gives the manifest that was kept.
pub(crate) async fn file_restore_in(
    transaction: &mut Transaction,
    id: i64,
) -> Result<Option<Vec<u8>>, Error> {
    let row: Option<(Option<Vec<u8>>,)> =
        transaction.opt("SELECT manifest FROM python_files WHERE id = $1", params![id]).await?;
    transaction
        .exec(
            "UPDATE python_files
             SET deleted_at = NULL, deleted_by = NULL, delete_reason = NULL, manifest = NULL WHERE id = $1",
            params![id],
        )
        .await?;
    Ok(row.and_then(|(manifest,)| manifest))
}

/// Stores a METADATA file, unless it is there, and holds it.
pub(crate) async fn metadata_put_in(
    transaction: &mut Transaction,
    sha256: &str,
    body: Vec<u8>,
) -> Result<(), Error> {
    loop {
        let held: Option<(String,)> = transaction
            .opt("SELECT sha256 FROM python_metadata WHERE sha256 = $1 FOR KEY SHARE", params![sha256])
            .await?;
        if held.is_some() {
            return Ok(());
        }
        let made = transaction
            .exec(
                "INSERT INTO python_metadata (sha256, body) VALUES ($1, $2) ON CONFLICT (sha256) DO NOTHING",
                params![sha256, body.clone()],
            )
            .await?;
        if made > 0 {
            return Ok(());
        }
        // Somebody else made it meanwhile.
    }
}

pub(crate) async fn metadata_get(db: &Db, sha256: &str) -> Result<Option<Vec<u8>>, Error> {
    let row: Option<(Vec<u8>,)> =
        db.opt("SELECT body FROM python_metadata WHERE sha256 = $1", params![sha256]).await?;
    Ok(row.map(|(body,)| body))
}

/// Removes a batch of a repository's files with the metadata that nobody else has.
pub(crate) async fn files_remove_of_repository_in(
    transaction: &mut Transaction,
    repository_id: i64,
    limit: u32,
) -> Result<u64, Error> {
    let mut removed: Vec<(i64, String)> = transaction
        .all(
            "SELECT f.id, f.metadata_sha256 FROM python_projects p JOIN python_files f ON f.project_id = p.id
             WHERE p.repository_id = $1 LIMIT $2",
            params![repository_id, limit],
        )
        .await?;
    removed.sort_unstable_by(|(_, one), (_, other)| one.cmp(other));
    for (id, metadata_sha256) in &removed {
        transaction.exec("DELETE FROM python_files WHERE id = $1", params![*id]).await?;
        let _taken: Option<(String,)> = transaction
            .opt("SELECT sha256 FROM python_metadata WHERE sha256 = $1 FOR UPDATE", params![metadata_sha256])
            .await?;
        transaction
            .exec(
                "DELETE FROM python_metadata WHERE sha256 = $1
                 AND NOT EXISTS (SELECT 1 FROM python_files WHERE metadata_sha256 = $1)",
                params![metadata_sha256],
            )
            .await?;
    }
    Ok(removed.len() as u64)
}
