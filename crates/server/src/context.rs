//! What is known of a request before any surface looks at it.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Names one request in answers and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RequestId(u64, u64);

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}{:016x}", self.0, self.1)
    }
}

/// Gives out request identifiers: a random start for each process, then counting.
#[derive(Debug)]
pub(crate) struct RequestIds {
    process: u64,
    next: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new() -> Self {
        use std::hash::{BuildHasher as _, Hasher as _};
        let random = || std::hash::RandomState::new().build_hasher().finish();
        Self { process: random(), next: AtomicU64::new(random() >> 16) }
    }

    pub(crate) fn next(&self) -> RequestId {
        RequestId(self.process, self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// A request's surroundings.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// Names the request in the answer and in the log.
    pub(crate) request_id: RequestId,
    /// The client's address.
    pub(crate) client: IpAddr,
    /// Scheme and authority under which the client reached the server.
    pub(crate) base_url: Arc<str>,
}
