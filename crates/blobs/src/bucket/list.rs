//! Everything in the bucket, for the scrubber.

use std::fmt;
use std::io;

use futures_core::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use object_store::{ObjectMeta, ObjectStore};

use super::fault::io_error;
use super::{Bucket, modified};
use crate::{ListedObject, ObjectKey};

/// How many objects one batch has at most.
const BATCH: usize = 1000;

/// A walk through all objects; see [`Store::list`](crate::Store::list).
pub(crate) struct Listing {
    objects: BoxStream<'static, object_store::Result<ObjectMeta>>,
}

impl fmt::Debug for Listing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Listing").finish_non_exhaustive()
    }
}

impl Bucket {
    pub(crate) fn list(&self) -> Listing {
        Listing { objects: self.inner.client.store.list(Some(&self.inner.path("objects"))).fuse().boxed() }
    }

    /// Keys that uploads have left something of, beside finished objects: bytes that wait for more, or what was
    /// left by a process that died. Each key once, with the time of the youngest thing that is left.
    pub(crate) fn list_staged(&self) -> Listing {
        let objects = self.inner.client.store.list(Some(&self.inner.path("staged"))).fuse();
        // Names come in order, so those of one upload come together.
        let merged =
            futures_util::stream::try_unfold((objects, None::<ObjectMeta>), async |(mut rest, mut held)| {
                loop {
                    match rest.try_next().await? {
                        None => return Ok(held.map(|last| (last, (rest, None)))),
                        Some(next) => {
                            let same =
                                held.as_ref().is_some_and(|last| staged_key(last) == staged_key(&next));
                            match held {
                                Some(last) if !same => return Ok(Some((last, (rest, Some(next))))),
                                Some(last) => {
                                    let last_modified = last.last_modified.max(next.last_modified);
                                    held = Some(ObjectMeta {
                                        size: last.size + next.size,
                                        last_modified,
                                        ..next
                                    });
                                }
                                None => held = Some(next),
                            }
                        }
                    }
                }
            });
        Listing { objects: merged.fuse().boxed() }
    }
}

impl Listing {
    pub(crate) async fn next_batch(&mut self) -> io::Result<Vec<ListedObject>> {
        let mut batch = Vec::new();
        while batch.len() < BATCH {
            match self.objects.try_next().await {
                Ok(Some(meta)) => batch.extend(listed(&meta)),
                Ok(None) => break,
                Err(error) => {
                    self.objects = interrupted();
                    return Err(io_error(&error));
                }
            }
        }
        Ok(batch)
    }
}

fn interrupted() -> BoxStream<'static, object_store::Result<ObjectMeta>> {
    let error = || object_store::Error::Generic {
        store: "listing",
        source: "the listing of the blob store was interrupted; start a new one".into(),
    };
    futures_util::stream::repeat_with(move || Err(error())).boxed()
}

/// `None`: it is not an object where it would be looked for.
fn listed(meta: &ObjectMeta) -> Option<ListedObject> {
    let key = staged_key(meta).or_else(|| {
        let mut segments = meta.location.as_ref().rsplit('/');
        let key = segments.next()?.parse::<ObjectKey>().ok()?;
        (segments.next()? == key.folder()).then_some(key)
    })?;
    Some(ListedObject { key, size: meta.size, modified: modified(meta) })
}

/// The key of an upload that has left the object.
fn staged_key(meta: &ObjectMeta) -> Option<ObjectKey> {
    let mut segments = meta.location.as_ref().rsplit('/').skip(1);
    let key = segments.next()?.parse().ok()?;
    (segments.next()? == "staged").then_some(key)
}
