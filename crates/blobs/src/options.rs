//! Where a store lies and how it behaves.

use std::path::PathBuf;

/// Whether acknowledged content must survive a power failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// [`Staged::keep`](crate::Staged::keep) and [`Staged::seal`](crate::Staged::seal) return when content and
    /// name are on the medium.
    #[default]
    Durable,
    /// Nothing waits for the medium. For throw-away stores: content can be lost or torn after a power failure,
    /// though not after the death of the process. An object store knows no such thing and is always durable.
    Relaxed,
}

/// What holds the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A folder of a local disk, which one server at a time uses.
    Disk(PathBuf),
    /// A bucket of an object store, which any number of servers use at once: `s3://bucket/prefix?…`,
    /// `gs://bucket/prefix` or `az://container/prefix`.
    Url(String),
}

/// Where a store lies and how it behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder or the bucket.
    pub location: Location,
    /// What a power failure may cost.
    pub durability: Durability,
}
