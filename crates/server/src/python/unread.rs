//! The part of a request's body that nobody has read.

use std::time::Duration;

use futures_util::StreamExt as _;
use http::HeaderMap;
use http::header::EXPECT;
use http_body_util::{BodyDataStream, BodyExt};
use hyper::body::{Body as _, Incoming};

/// Bytes that a refused client may go on sending.
const DRAIN_BYTES: usize = 8 * 1024 * 1024;
/// How long a refused client may go on sending.
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// A body as a stream of pieces.
pub(super) type Pieces = BodyDataStream<Incoming>;

/// A body, in the hands of whoever answers or back from whoever gave it up.
pub(super) struct Unread {
    pieces: Option<Pieces>,
    /// The client sends its body only when it is told to go on, which reading does.
    waits: bool,
}

impl Unread {
    pub(super) fn new(body: Incoming, headers: &HeaderMap) -> Self {
        let pieces = Some(body).filter(|body| !body.is_end_stream()).map(BodyExt::into_data_stream);
        Self { pieces, waits: headers.contains_key(EXPECT) }
    }

    /// The body, `None` if there is none.
    pub(super) fn take(&mut self) -> Option<Pieces> {
        self.waits = false;
        self.pieces.take()
    }

    /// What is left of a body that was taken.
    pub(super) fn put_back(&mut self, rest: Pieces) {
        self.pieces = Some(rest);
    }

    /// Reads on behind the answer for a while. A connection that is closed while its client still sends is
    /// reset, and a client that notices that before it has read the answer never shows the answer.
    pub(super) fn drain(self) {
        let Some(mut pieces) = self.pieces.filter(|_| !self.waits) else { return };
        tokio::spawn(async move {
            let read = async {
                let mut left = DRAIN_BYTES;
                while let Some(Ok(piece)) = pieces.next().await {
                    let Some(rest) = left.checked_sub(piece.len()) else { return };
                    left = rest;
                }
            };
            // Whoever still sends after this time is cut off.
            let _ = tokio::time::timeout(DRAIN_TIME, read).await;
        });
    }
}
