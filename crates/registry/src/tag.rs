//! Lists of tags.

use crate::error::Error;
use crate::grant::{Granted, Pull};
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
            store::tags::tags_list(self.db(), repository_id, last.unwrap_or_default(), limit + 1).await?;
        let mut tags: Vec<String> = rows.into_iter().map(|(name,)| name).collect();
        let more = tags.len() > limit as usize;
        tags.truncate(limit as usize);
        let next = if more { tags.last().cloned() } else { None };
        Ok(TagPage { tags, next })
    }
}
