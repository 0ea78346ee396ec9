//! Everything in the store, for the scrubber.

use std::io;
use std::time::SystemTime;

use crate::{ObjectKey, bucket, disk};

/// An object as the store shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedObject {
    /// Its name.
    pub key: ObjectKey,
    /// Its length in bytes.
    pub size: u64,
    /// When bytes were last written to it. Young objects may belong to uploads that still run.
    pub modified: SystemTime,
}

/// A walk through all objects; see [`Store::list`](crate::Store::list).
#[derive(Debug)]
pub struct Listing(pub(crate) Kind);

#[derive(Debug)]
pub(crate) enum Kind {
    Disk(disk::Listing),
    Bucket(bucket::Listing),
    Empty,
}

impl Listing {
    /// The next objects, at most a thousand; an empty batch is the end. What is not an object is passed over.
    /// After an error, or when the future is dropped before its end, the listing cannot go on.
    pub async fn next_batch(&mut self) -> io::Result<Vec<ListedObject>> {
        match &mut self.0 {
            Kind::Disk(listing) => listing.next_batch().await,
            Kind::Bucket(listing) => listing.next_batch().await,
            Kind::Empty => Ok(Vec::new()),
        }
    }
}
