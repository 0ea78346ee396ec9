//! Pages of a list: `?limit=` and `?cursor=`, answered with `items` and `next_cursor`.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};

/// Entries in a page when the client does not say.
const DEFAULT: u32 = 50;
/// Entries in a page at most.
const MOST: u32 = 200;

/// Which page is asked for.
#[derive(Debug, Default, Deserialize)]
pub(super) struct PageQuery {
    limit: Option<u32>,
    cursor: Option<String>,
}

impl PageQuery {
    /// Entries to read: one more than are shown, which tells whether there is more.
    pub(super) fn rows(&self) -> u32 {
        self.shown() + 1
    }

    fn shown(&self) -> u32 {
        self.limit.unwrap_or(DEFAULT).clamp(1, MOST)
    }

    /// The entry after which the page begins.
    pub(super) fn after(&self) -> &str {
        // Nothing that is listed holds a NUL, and PostgreSQL takes no text with one.
        self.cursor.as_deref().and_then(|cursor| cursor.split('\0').next()).unwrap_or_default()
    }

    /// The answer, from the rows that were read.
    pub(super) fn answer<T: Serialize>(&self, mut items: Vec<T>, cursor: impl Fn(&T) -> String) -> Response {
        let shown = self.shown() as usize;
        let more = items.len() > shown;
        items.truncate(shown);
        let next_cursor = if more { items.last().map(cursor) } else { None };
        Json(Page { items, next_cursor }).into_response()
    }
}

#[derive(Serialize)]
struct Page<T> {
    items: Vec<T>,
    next_cursor: Option<String>,
}

/// A moment as the API writes it (RFC 3339, UTC).
pub(super) fn time(moment: clock::Timestamp) -> String {
    jiff::Timestamp::from_millisecond(moment.as_millis()).map(|time| time.to_string()).unwrap_or_default()
}
