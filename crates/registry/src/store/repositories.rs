//! Repositories.

use clock::Timestamp;
use db::{Db, Error, Transaction, params};

/// What a repository holds. The first manifest decides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Images, charts, and any other artifact.
    Oci,
    /// The files of one Python project.
    Python,
}

impl Format {
    fn as_str(self) -> &'static str {
        match self {
            Self::Oci => "oci",
            Self::Python => "python",
        }
    }
}

impl std::str::FromStr for Format {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "oci" => Ok(Self::Oci),
            "python" => Ok(Self::Python),
            _ => Err(Error::UnexpectedType { index: 1 }),
        }
    }
}

/// Holds a repository and tells its format. It is made when it is not there yet; the registry has to be.
///
/// The registry's row itself is not held: who deletes it would wait for a moment in which nobody pushes. What a push
/// that came through still adds to a deleted registry goes with the rest of its content.
async fn repository_find_or_make_in(
    transaction: &mut Transaction,
    registry_id: i64,
    name: &str,
    format: Format,
    now: Timestamp,
) -> Result<(i64, Format), crate::Error> {
    loop {
        let existing: Option<(i64, String)> = transaction
            .opt(
                "SELECT id, format FROM repositories
                 WHERE registry_id = $1 AND name = $2
                   AND EXISTS (SELECT 1 FROM registries WHERE id = $1 AND deleted_at IS NULL)
                 FOR KEY SHARE",
                params![registry_id, name],
            )
            .await?;
        if let Some((id, found)) = existing {
            return Ok((id, found.parse()?));
        }
        if !super::tenancy::registry_hold_in(transaction, registry_id).await? {
            return Err(crate::error::registry_gone());
        }
        let made: Option<(i64,)> = transaction
            .opt(
                "INSERT INTO repositories (registry_id, name, format, created_at) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (registry_id, name) DO NOTHING RETURNING id",
                params![registry_id, name, format.as_str(), now.as_millis()],
            )
            .await?;
        if let Some((id,)) = made {
            return Ok((id, format));
        }
        // Somebody else made it meanwhile.
    }
}

/// The repository's row, made when it is not there yet, for content that any format may have.
pub(crate) async fn repository_ensure_in(
    transaction: &mut Transaction,
    registry_id: i64,
    name: &str,
    now: Timestamp,
) -> Result<i64, crate::Error> {
    repository_find_or_make_in(transaction, registry_id, name, Format::Oci, now).await.map(|(id, _)| id)
}

/// The repository's row and the format that it has once a manifest of `format` asks for it: a repository
/// that holds no manifest and no project yet takes the format that is asked for.
pub(crate) async fn repository_claim_in(
    transaction: &mut Transaction,
    registry_id: i64,
    name: &str,
    format: Format,
    now: Timestamp,
) -> Result<(i64, Format), crate::Error> {
    let (id, found) = repository_find_or_make_in(transaction, registry_id, name, format, now).await?;
    if found == format || repository_is_settled_in(transaction, id).await? {
        return Ok((id, found));
    }
    // Whoever is about to settle it holds it, and is waited for.
    let _taken: Option<(i64,)> =
        transaction.opt("SELECT id FROM repositories WHERE id = $1 FOR UPDATE", params![id]).await?;
    if repository_is_settled_in(transaction, id).await? {
        return Ok((id, found));
    }
    transaction
        .exec("UPDATE repositories SET format = $1 WHERE id = $2", params![format.as_str(), id])
        .await?;
    Ok((id, format))
}

/// Whether what a repository holds has decided its format.
async fn repository_is_settled_in(transaction: &mut Transaction, id: i64) -> Result<bool, Error> {
    let (settled,) = transaction
        .one(
            "SELECT EXISTS (SELECT 1 FROM manifests WHERE repository_id = $1)
                 OR EXISTS (SELECT 1 FROM python_projects WHERE repository_id = $1)",
            params![id],
        )
        .await?;
    Ok(settled)
}

/// Holds a repository. `false` when it or its registry is gone.
pub(crate) async fn repository_hold_in(transaction: &mut Transaction, id: i64) -> Result<bool, Error> {
    let row: Option<(i64,)> = transaction
        .opt(
            "SELECT id FROM repositories
             WHERE id = $1
               AND EXISTS (SELECT 1 FROM registries g WHERE g.id = registry_id AND g.deleted_at IS NULL)
             FOR KEY SHARE",
            params![id],
        )
        .await?;
    Ok(row.is_some())
}

/// Shuts a repository off with a reason, or opens it again.
pub(crate) async fn repository_quarantine_in(
    transaction: &mut Transaction,
    id: i64,
    reason: Option<&str>,
) -> Result<u64, Error> {
    transaction.exec("UPDATE repositories SET quarantine = $1 WHERE id = $2", params![reason, id]).await
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

/// Repositories of a registry that hold Python projects, after `after` by name: (id, name).
pub(crate) async fn repositories_python(
    db: &Db,
    registry_id: i64,
    after: &str,
    limit: u32,
) -> Result<Vec<(i64, String)>, Error> {
    db.all(
        "SELECT id, name FROM repositories
         WHERE registry_id = $1 AND name > $2 AND format = 'python' ORDER BY name LIMIT $3",
        params![registry_id, after, limit],
    )
    .await
}

/// Takes a repository of a registry that nobody holds.
pub(crate) async fn repository_take_any_in(
    transaction: &mut Transaction,
    registry_id: i64,
) -> Result<Option<i64>, Error> {
    let first: Option<(i64,)> = transaction
        .opt(
            "SELECT id FROM repositories WHERE registry_id = $1 ORDER BY name LIMIT 1 FOR UPDATE SKIP LOCKED",
            params![registry_id],
        )
        .await?;
    Ok(first.map(|(id,)| id))
}

/// Removes a repository that holds nothing any more. 0 when it still does.
pub(crate) async fn repository_delete_in(transaction: &mut Transaction, id: i64) -> Result<u64, Error> {
    transaction
        .exec(
            "DELETE FROM repositories WHERE id = $1
             AND NOT EXISTS (SELECT 1 FROM tags WHERE repository_id = $1)
             AND NOT EXISTS (SELECT 1 FROM manifests WHERE repository_id = $1)
             AND NOT EXISTS (SELECT 1 FROM blobs WHERE repository_id = $1)
             AND NOT EXISTS (SELECT 1 FROM review_queue WHERE repository_id = $1)",
            params![id],
        )
        .await
}
