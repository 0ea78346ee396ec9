//! Lists of what refers to a subject.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oci::{AnyDigest, ReferrerDescriptor};

use crate::error::{Error, ErrorKind};
use crate::grant::{Granted, Pull};
use crate::store::referrers::Position;
use crate::{Registry, store};

/// Entries in one page at most.
const PAGE: u32 = 1000;
/// Entries that a page holds however long they are: annotations have no limit of their own.
const ENTRIES_AT_LEAST: usize = 100;
/// Bytes after which a page ends; clients stop reading at 4 MiB.
const BYTES: usize = 1024 * 1024;
/// Bytes after which a page ends even before [`ENTRIES_AT_LEAST`].
const BYTES_AT_MOST: usize = 3 * 1024 * 1024;
/// Rows read at a time, so that a page of long entries does not read many more than it shows.
const ROWS: u32 = 100;

/// Which referrers are asked for.
#[derive(Clone, Debug, Default)]
pub struct ReferrerQuery {
    /// Only those of this artifact type.
    pub artifact_type: Option<String>,
    /// No more than this many.
    pub limit: Option<u64>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// Some of a subject's referrers, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferrerPage {
    /// The referrers.
    pub referrers: Vec<ReferrerDescriptor>,
    /// The cursor of the next page, when there are more.
    pub next: Option<String>,
}

impl Registry {
    /// What refers to a subject. A subject or a repository that does not exist has no referrers.
    pub async fn referrer_list(
        &self,
        granted: &Granted<Pull>,
        subject: &AnyDigest,
        query: &ReferrerQuery,
    ) -> Result<ReferrerPage, Error> {
        let mut page = ReferrerPage { referrers: Vec::new(), next: None };
        let mut after = match &query.cursor {
            Some(cursor) => cursor_parse(cursor)?,
            None => Position::START,
        };
        let limit = query.limit.map_or(PAGE, |limit| u32::try_from(limit).unwrap_or(PAGE).min(PAGE)) as usize;
        let Some(repository_id) = granted.resource.id else { return Ok(page) };
        let mut bytes = 0;
        if limit == 0 {
            return Ok(page);
        }
        loop {
            let rows = store::referrers::referrers_page(
                self.db(),
                repository_id,
                subject.as_str(),
                query.artifact_type.as_deref(),
                after,
                ROWS,
            )
            .await?;
            let last_rows = rows.len() < ROWS as usize;
            for (made_at, manifest_id, descriptor) in rows {
                let full = page.referrers.len() >= limit
                    || (bytes + descriptor.len() > BYTES && page.referrers.len() >= ENTRIES_AT_LEAST)
                    || (bytes + descriptor.len() > BYTES_AT_MOST && !page.referrers.is_empty());
                if full {
                    page.next = Some(cursor_render(after));
                    return Ok(page);
                }
                bytes += descriptor.len();
                after = Position { made_at, manifest_id };
                page.referrers.push(serde_json::from_str(&descriptor).map_err(|error| {
                    Error::unavailable("the server's database holds a descriptor that is none", error)
                })?);
            }
            if last_rows {
                return Ok(page);
            }
        }
    }
}

fn cursor_render(position: Position) -> String {
    URL_SAFE_NO_PAD.encode(format!("{}.{}", position.made_at, position.manifest_id))
}

fn cursor_parse(cursor: &str) -> Result<Position, Error> {
    let position = || {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
        let (made_at, manifest_id) = text.split_once('.')?;
        Some(Position { made_at: made_at.parse().ok()?, manifest_id: manifest_id.parse().ok()? })
    };
    position().ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidRequest,
            format!(
                "the page cursor {} was not issued by this server; begin again without it",
                oci::excerpt(cursor)
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back() {
        for position in [Position::START, Position { made_at: 0, manifest_id: 7 }] {
            assert_eq!(cursor_parse(&cursor_render(position)).expect("parses"), position);
        }
    }

    #[test]
    fn foreign_cursors_are_refused() {
        for cursor in ["", "!", "AAAA", "c2hhMjU2"] {
            assert_eq!(*cursor_parse(cursor).expect_err("refused").kind(), ErrorKind::InvalidRequest);
        }
    }
}
