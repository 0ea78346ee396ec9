use access::{Action, Limit};
use oci::Digest;

use crate::error::Error;
use crate::grant::{Granted, Pull, Push};
use crate::store::review::Kind;
use crate::{Registry, store};

/// How a mount ended. Not mounting is no error: the client then sends the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mounted {
    /// The blob is in the repository now.
    Yes,
    /// The blob was not found in a place that the caller may pull from.
    No,
}

impl Registry {
    /// Links a blob that is in another repository which the caller may pull from. Without a source, any such
    /// repository will do, as long as the caller's credentials could be used there.
    pub async fn blob_mount(
        &self,
        granted: &Granted<Push>,
        digest: &Digest,
        source: Option<&Granted<Pull>>,
    ) -> Result<Mounted, Error> {
        let source_id = match source.map(Granted::existing) {
            Some(Err(_)) => return Ok(Mounted::No),
            Some(Ok(id)) => Some(id),
            None => None,
        };
        let (user_id, limit) = (granted.caller.user_id(), granted.caller.limit.clone());
        let (target, text) = (granted.resource.clone(), digest.as_str().to_owned());
        let (now, grace) = (self.now(), self.settings().grace);
        let mounted = self
            .db()
            .write::<(), NotMounted, _>(db::Durability::Durable, move |transaction| {
                Box::pin(async move {
                    let object = match source_id {
                        Some(id) => store::blobs::blob_object_in(transaction, id, &text).await?,
                        None => find_in(transaction, &text, user_id, &limit).await?,
                    };
                    let object_id = object.ok_or(NotMounted::Unknown)?;
                    let repository_id = store::repositories::repository_ensure_in(
                        transaction,
                        target.registry_id,
                        target.name.repository(),
                        now,
                    )
                    .await?;
                    store::review::review_add_in(transaction, repository_id, Kind::Blob, &text, now + grace)
                        .await?;
                    if !store::blobs::object_hold_in(transaction, object_id).await? {
                        return Err(NotMounted::Unknown);
                    }
                    store::blobs::blob_link_in(transaction, repository_id, &text, object_id, now).await?;
                    Ok(())
                })
            })
            .await;
        match mounted {
            Ok(()) => Ok(Mounted::Yes),
            Err(NotMounted::Unknown) => Ok(Mounted::No),
            Err(NotMounted::Failed(error)) => Err(error),
        }
    }
}

/// A blob in a repository that the user may pull from and that the credentials reach.
async fn find_in(
    transaction: &mut db::Transaction,
    digest: &str,
    user_id: i64,
    limit: &Limit,
) -> Result<Option<i64>, db::Error> {
    // Without scopes the first will do.
    let candidates = if limit.scopes().is_some() { store::blobs::MOUNT_CANDIDATES } else { 1 };
    let found = store::blobs::blobs_find_pullable_in(transaction, digest, user_id, candidates).await?;
    let mut reached =
        found.into_iter().filter(|(_, path, name)| limit.reaches(&format!("{path}{name}"), Action::Pull));
    Ok(reached.next().map(|(object_id, _, _)| object_id))
}

/// Why nothing was written.
enum NotMounted {
    /// There is no such blob, or it is being collected.
    Unknown,
    Failed(Error),
}

impl From<Error> for NotMounted {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<db::Error> for NotMounted {
    fn from(error: db::Error) -> Self {
        Self::Failed(error.into())
    }
}

#[cfg(test)]
mod tests;
