//! Tags: lists of them, and the one way to move and to remove them.

use clock::Timestamp;
use db::Transaction;

use crate::catalog::before_nul;
use crate::error::Error;
use crate::grant::{Granted, Pull};
use crate::store::review::Kind;
use crate::{Registry, store};

/// Tags in one page when the client asks for no fewer.
const PAGE: u32 = 10_000;

/// Some of a repository's tags, in byte order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagPage {
    /// The tags.
    pub tags: Vec<String>,
    /// The tag to go on after, when there are more.
    pub next: Option<String>,
}

impl Registry {
    /// Up to `limit` tags after `last`, which need not exist.
    pub async fn tag_list(
        &self,
        granted: &Granted<Pull>,
        limit: Option<u64>,
        last: Option<&str>,
    ) -> Result<TagPage, Error> {
        let repository_id = granted.existing()?;
        let limit = limit.map_or(PAGE, |limit| u32::try_from(limit).unwrap_or(PAGE).min(PAGE));
        if limit == 0 {
            return Ok(TagPage { tags: Vec::new(), next: None });
        }
        // One more than asked tells whether there is more.
        let rows =
            store::tags::tags_list(self.db(), repository_id, before_nul(last.unwrap_or_default()), limit + 1)
                .await?;
        let mut tags: Vec<String> = rows.into_iter().map(|(name,)| name).collect();
        let more = tags.len() > limit as usize;
        tags.truncate(limit as usize);
        let next = if more { tags.last().cloned() } else { None };
        Ok(TagPage { tags, next })
    }
}

/// Who points which tag at something, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tagging<'a> {
    pub(crate) repository_id: i64,
    pub(crate) tag: &'a str,
    pub(crate) actor: &'a str,
    pub(crate) now: Timestamp,
}

/// Points a tag at a manifest, and tells which manifest lost it thereby. The manifest is held.
pub(crate) async fn tag_move_in(
    transaction: &mut Transaction,
    tagging: &Tagging<'_>,
    manifest_id: i64,
    digest: &str,
) -> Result<Option<i64>, Error> {
    let Tagging { repository_id, tag, actor, now } = *tagging;
    // The history is written by whoever has the tag, so it ends with what the tag points to.
    let before = loop {
        match store::tags::tag_take_in(transaction, repository_id, tag).await? {
            Some(before) if before == manifest_id => return Ok(None),
            Some(before) => {
                store::tags::tag_repoint_in(transaction, repository_id, tag, manifest_id, now).await?;
                break Some(before);
            }
            None => {
                if store::tags::tag_insert_in(transaction, repository_id, tag, manifest_id, now).await? > 0 {
                    break None;
                }
                // Somebody else made it meanwhile.
            }
        }
    };
    store::tags::tag_history_add_in(transaction, repository_id, tag, Some(digest), actor, now).await?;
    Ok(before)
}

/// Takes a tag away, and tells which manifest lost it thereby.
pub(crate) async fn tag_remove_in(
    transaction: &mut Transaction,
    tagging: &Tagging<'_>,
) -> Result<Option<i64>, Error> {
    let Tagging { repository_id, tag, actor, now } = *tagging;
    let Some(lost) = store::tags::tag_take_in(transaction, repository_id, tag).await? else {
        return Ok(None);
    };
    store::tags::tag_delete_in(transaction, repository_id, tag).await?;
    store::tags::tag_history_add_in(transaction, repository_id, tag, None, actor, now).await?;
    Ok(Some(lost))
}

/// Asks for a look at the manifests that are about to lose these tags, before anything is locked that whoever
/// judges them may wait for. What loses a tag in the end is told to [`tag_lost_in`].
pub(crate) async fn tags_losing_in(
    transaction: &mut Transaction,
    repository_id: i64,
    tags: &[String],
    review_after: Timestamp,
) -> Result<Vec<i64>, Error> {
    let mut losing = std::collections::BTreeMap::new();
    for tag in tags {
        if let Some((id, digest)) = store::tags::tag_get_in(transaction, repository_id, tag).await? {
            losing.insert(digest, id);
        }
    }
    for digest in losing.keys() {
        review_untagged_in(transaction, repository_id, digest, review_after).await?;
    }
    Ok(losing.into_values().collect())
}

/// Asks for a look at a manifest that lost a tag, unless that was foreseen.
pub(crate) async fn tag_lost_in(
    transaction: &mut Transaction,
    repository_id: i64,
    lost: i64,
    foreseen: &[i64],
    review_after: Timestamp,
) -> Result<(), Error> {
    if foreseen.contains(&lost) {
        return Ok(());
    }
    if let Some(digest) = store::manifests::manifest_digest_in(transaction, lost).await? {
        review_untagged_in(transaction, repository_id, &digest, review_after).await?;
    }
    Ok(())
}

async fn review_untagged_in(
    transaction: &mut Transaction,
    repository_id: i64,
    digest: &str,
    review_after: Timestamp,
) -> Result<(), Error> {
    store::review::review_add_in(transaction, repository_id, Kind::Untagged, digest, review_after).await?;
    Ok(())
}
