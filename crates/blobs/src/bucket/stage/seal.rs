//! Finishing an object, so that it has exactly the content that was hashed, or is not acknowledged.

use std::io;

use bytes::Bytes;
use object_store::PutPayload;
use object_store::multipart::PartId;

use super::{SEALING, Staged, sync_error};
use crate::bucket::fault::{code_of, io_error};
use crate::{Finished, Hashes, ReadError, SyncError};

impl Staged {
    pub(crate) async fn seal(&mut self) -> Result<(), SyncError> {
        if self.sealed {
            return Ok(());
        }
        self.begin().map_err(SyncError::Io)?;
        let sealed = self.finish().await;
        self.under_way = false;
        if matches!(sealed, Err(SyncError::Lost)) {
            self.give_up_own().await;
        }
        let completed = sealed?;
        self.sealed = true;
        self.clear_away(completed).await;
        (self.tail, self.grant) = (Bytes::new(), None);
        Ok(())
    }

    /// Whether this request has completed the multipart upload, and not found the object finished.
    async fn finish(&mut self) -> Result<bool, SyncError> {
        let Some(hash) = self.hash.clone() else {
            return Err(SyncError::Io(io::Error::new(
                io::ErrorKind::InvalidInput,
                "an upload is sealed by the request that has appended its last bytes, even if there are none",
            )));
        };
        let expected = hash.finish();
        if self.finished_before {
            return self.compare(&expected).await.map(|()| false);
        }
        if self.now.length() + self.tail.len() as u64 != expected.size {
            return Err(SyncError::Io(io::Error::other(
                "the upload has another length than its hash; open the upload again",
            )));
        }
        if self.now.multipart.is_some() {
            self.complete(&expected).await
        } else {
            self.put(&expected).await.map(|()| false)
        }
    }

    /// A small object, in one request.
    async fn put(&mut self, expected: &Finished) -> Result<(), SyncError> {
        let object = self.inner.object(&self.key);
        let mut content = match self.inner.read_pieces(&self.key, &self.now.pieces).await {
            Ok(content) => content,
            // A request that finished the object has cleared them away.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.compare(expected).await,
            Err(error) => return Err(sync_error(error)),
        };
        content.push(self.tail.clone());
        let payload = content.into_iter().collect::<PutPayload>();
        if !self.inner.put_new(&object, payload).await.map_err(sync_error)? {
            return self.compare(expected).await;
        }
        let sealing_path = self.inner.staged(&self.key, SEALING);
        let (meta, sealing) = tokio::join!(self.inner.head(&object), self.inner.get(&sealing_path));
        // Another process that completes a multipart upload may replace the object at any time now.
        if sealing.map_err(sync_error)?.is_some_and(|text| text != text_of(expected)) {
            return Err(SyncError::Lost);
        }
        check_size(meta.map_err(sync_error)?.map(|meta| meta.size), expected)
    }

    /// A large object: the rest as its last part, and then all parts in their order.
    async fn complete(&mut self, expected: &Finished) -> Result<bool, SyncError> {
        let object = self.inner.object(&self.key);
        if !self.tail.is_empty() || !self.now.pieces.is_empty() {
            match self.put_last_part().await {
                Ok(()) => {}
                // The upload or its pieces are gone, as they are when the object is finished.
                Err(SyncError::Lost) => return self.compare(expected).await.map(|()| false),
                Err(error) => return Err(error),
            }
        }
        let sealing_path = self.inner.staged(&self.key, SEALING);
        let text = text_of(expected);
        if !self.inner.put_new(&sealing_path, text.clone().into()).await.map_err(sync_error)? {
            let other = self.inner.get(&sealing_path).await.map_err(sync_error)?;
            if other.is_some_and(|other| other != text) {
                return Err(SyncError::Lost);
            }
        }
        if self.inner.head(&object).await.map_err(sync_error)?.is_some() {
            return self.compare(expected).await.map(|()| false);
        }
        let Some(multipart) = &self.now.multipart else { return Err(SyncError::Lost) };
        let parts = multipart.parts.iter().map(|part| PartId { content_id: part.clone() }).collect();
        if let Err(error) =
            self.inner.client.multipart.complete_multipart(&object, &multipart.id, parts).await
        {
            // The answer may have been lost, or another request may have been faster.
            if self.inner.head(&object).await.map_err(sync_error)?.is_some() {
                return self.compare(expected).await.map(|()| false);
            }
            return Err(match code_of(&error).as_deref() {
                // A part was replaced by that of another process.
                Some("InvalidPart" | "InvalidPartOrder" | "NoSuchUpload" | "InvalidBlockList") => {
                    SyncError::Lost
                }
                _ => sync_error(io_error(&error)),
            });
        }
        let meta = self.inner.head(&object).await.map_err(sync_error)?;
        check_size(meta.map(|meta| meta.size), expected)?;
        Ok(true)
    }

    /// Whether the object that is there has the content that was hashed.
    async fn compare(&self, expected: &Finished) -> Result<(), SyncError> {
        let object = self.inner.object(&self.key);
        match self.inner.head(&object).await.map_err(sync_error)? {
            Some(meta) if meta.size == expected.size => {}
            Some(_) | None => return Err(SyncError::Lost),
        }
        match self.inner.hash_object(object, expected.size, Hashes::Sha256).await {
            Ok(hash) if hash.clone().finish().sha256 == expected.sha256 => Ok(()),
            Ok(_) | Err(ReadError::Missing) => Err(SyncError::Lost),
            Err(ReadError::Io(error)) => Err(SyncError::Io(error)),
        }
    }

    /// Gives up the multipart upload that no recorded state knows, and with it nobody else.
    async fn give_up_own(&mut self) {
        let Some(own) = self.now.multipart.take() else { return };
        if self.recorded.multipart.as_ref().is_none_or(|recorded| recorded.id != own.id) {
            // What stays after a fault is found by listing.
            let given_up = self.inner.abort(&self.key, &own.id).await;
            if given_up.is_ok() {
                let _ = self.inner.delete(&self.inner.staged(&self.key, &own.marker)).await;
            }
        }
    }

    /// Deletes what only an unfinished upload needs. What stays after a fault is found by listing.
    async fn clear_away(&mut self, completed: bool) {
        let mut names = std::mem::take(&mut self.deletable);
        names.extend(self.now.pieces.drain(..).map(|piece| piece.name));
        names.append(&mut self.now.spent);
        if let Some(multipart) = self.now.multipart.take() {
            // There is still one when an earlier request had finished the object.
            let gone = completed || self.inner.abort(&self.key, &multipart.id).await.is_ok();
            if gone {
                names.push(multipart.marker);
            }
            names.push(SEALING.to_owned());
        }
        let paths = names.iter().map(|name| self.inner.staged(&self.key, name)).collect();
        let _ = self.inner.delete_all(paths).await;
    }
}

/// What stands in the object that says which content is being finished.
fn text_of(expected: &Finished) -> String {
    format!("{} {}\n", hex::encode(expected.sha256), expected.size)
}

fn check_size(size: Option<u64>, expected: &Finished) -> Result<(), SyncError> {
    match size {
        Some(size) if size == expected.size => Ok(()),
        Some(size) => Err(SyncError::Io(io::Error::other(format!(
            "the object store says that the object has {size} bytes and not the {} that were sent",
            expected.size
        )))),
        None => Err(SyncError::Lost),
    }
}
