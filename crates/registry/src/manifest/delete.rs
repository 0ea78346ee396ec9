use oci::{Digest, Reference, Tag};

use super::pull::unknown;
use crate::collect::removal_announce_in;
use crate::error::{Error, ErrorKind};
use crate::grant::{Delete, Granted};
use crate::python::{Times, is_managed, is_python_in, managed, python_file_delete_in};
use crate::tag::{Tagging, tag_lost_in, tag_remove_in, tags_losing_in};
use crate::{Registry, store};

impl Registry {
    /// Deletes a tag, or a manifest with all its tags. A manifest that an index names stays: the index was
    /// acknowledged as complete.
    pub async fn manifest_delete(
        &self,
        granted: &Granted<Delete>,
        reference: &Reference,
    ) -> Result<(), Error> {
        match reference {
            Reference::Tag(tag) => self.tag_delete(granted, tag).await,
            Reference::Digest(digest) => self.manifest_delete_by_digest(granted, digest).await,
        }
    }

    async fn tag_delete(&self, granted: &Granted<Delete>, tag: &Tag) -> Result<(), Error> {
        let repository_id = granted.existing()?;
        let (name, tag, actor) = (granted.name().clone(), tag.clone(), granted.caller.actor());
        let (now, grace) = (self.now(), self.settings().grace);
        let collect_untagged = self.settings().collect_untagged;
        self.db()
            .write(db::Durability::Durable, move |transaction| {
                Box::pin(async move {
                    if !store::repositories::repository_hold_in(transaction, repository_id).await? {
                        return Err(unknown(&name, &Reference::Tag(tag)));
                    }
                    if is_managed(tag.as_str()) && is_python_in(transaction, repository_id).await? {
                        return Err(managed(&name, tag.as_str()));
                    }
                    let review_after = now + grace;
                    let losing = if collect_untagged {
                        let tags = [tag.as_str().to_owned()];
                        tags_losing_in(transaction, repository_id, &tags, review_after).await?
                    } else {
                        Vec::new()
                    };
                    let tagging = Tagging { repository_id, tag: tag.as_str(), actor: &actor, now };
                    let Some(lost) = tag_remove_in(transaction, &tagging).await? else {
                        return Err(unknown(&name, &Reference::Tag(tag)));
                    };
                    if collect_untagged {
                        tag_lost_in(transaction, repository_id, lost, &losing, review_after).await?;
                    }
                    Ok(())
                })
            })
            .await
    }

    async fn manifest_delete_by_digest(
        &self,
        granted: &Granted<Delete>,
        digest: &Digest,
    ) -> Result<(), Error> {
        let repository_id = granted.existing()?;
        let registry_id = granted.resource.registry_id;
        let (name, digest, actor) = (granted.name().clone(), digest.clone(), granted.caller.actor());
        let now = self.now();
        let review_after = now + self.settings().grace;
        crash_point!("registry::delete_before_commit");
        self.db()
            .write(db::Durability::Durable, move |transaction| {
                Box::pin(async move {
                    let text = digest.as_str();
                    let unknown = || unknown(&name, &Reference::Digest(digest.clone()));
                    let is_python = is_python_in(transaction, repository_id).await?;
                    if is_python {
                        transaction.lock(db::Lock::Python, registry_id).await?;
                    }
                    if !store::repositories::repository_hold_in(transaction, repository_id).await? {
                        return Err(unknown());
                    }
                    let Some(manifest_id) =
                        store::manifests::manifest_id_in(transaction, repository_id, text).await?
                    else {
                        return Err(unknown());
                    };
                    let times = Times { now, review_after };
                    if is_python
                        && python_file_delete_in(transaction, repository_id, text, &actor, times).await?
                    {
                        return Ok(());
                    }
                    removal_announce_in(transaction, manifest_id, review_after, review_after).await?;
                    let Some(manifest_id) =
                        store::manifests::manifest_take_in(transaction, repository_id, text).await?
                    else {
                        return Err(unknown());
                    };
                    let holder = store::manifests::edge_holder_in(transaction, repository_id, text).await?;
                    if let Some(holder) = holder {
                        return Err(Error::new(
                            ErrorKind::Forbidden,
                            format!("index {holder} still names manifest {digest}; delete the index first"),
                        ));
                    }
                    let tags = store::tags::tags_take_of_manifest_in(transaction, manifest_id).await?;
                    // The index of a release goes when its files do.
                    if is_python && let Some((tag,)) = tags.iter().find(|(tag,)| is_managed(tag)) {
                        return Err(managed(&name, tag));
                    }
                    for (tag,) in tags {
                        let tagging = Tagging { repository_id, tag: &tag, actor: &actor, now };
                        tag_remove_in(transaction, &tagging).await?;
                    }
                    store::manifests::manifest_delete_in(transaction, manifest_id).await?;
                    Ok(())
                })
            })
            .await?;
        crash_point!("registry::delete_after_commit");
        Ok(())
    }
}
