//! Named files beside the objects.

use std::io;
use std::path::Path;

use futures_util::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, WriteMultipart};
use tokio::io::AsyncReadExt;

use super::fault::io_error;
use super::part::part_length;
use super::{Bucket, Reader, modified};
use crate::{FileName, ReadError, StoredFile};

impl Bucket {
    pub(crate) async fn file_write(&self, name: &FileName, source: &Path) -> io::Result<()> {
        let mut file = tokio::fs::File::open(source).await?;
        let length = file.metadata().await?.len();
        let path = self.inner.path(name.as_str());
        let _grant = self.inner.budget.take(2 * part_length(0)).await?;
        if length <= part_length(0) as u64 {
            let mut content = Vec::new();
            file.read_to_end(&mut content).await?;
            return self.inner.put(&path, content.into()).await;
        }
        let begun = self.inner.client.store.put_multipart(&path).await.map_err(|error| io_error(&error))?;
        // Ten thousand parts reach the length of any file.
        let part = part_length(0).max(usize::try_from(length / 9000).unwrap_or(usize::MAX));
        let mut upload = WriteMultipart::new_with_chunk_size(begun, part);
        let mut buffer = vec![0; 1024 * 1024];
        let copied = loop {
            match file.read(&mut buffer).await {
                Ok(0) => break Ok(()),
                Ok(read) => upload.write(&buffer[..read]),
                Err(error) => break Err(error),
            }
            if let Err(error) = upload.wait_for_capacity(1).await {
                break Err(io_error(&error));
            }
        };
        match copied {
            Ok(()) => upload.finish().await.map(|_| ()).map_err(|error| io_error(&error)),
            Err(error) => {
                // What cannot be taken back now stays until the bucket's own rules clear it away.
                let _ = upload.abort().await;
                Err(error)
            }
        }
    }

    pub(crate) async fn file_read(&self, name: &FileName) -> Result<Reader, ReadError> {
        let path = self.inner.path(name.as_str());
        let meta = self.inner.head(&path).await.map_err(ReadError::Io)?.ok_or(ReadError::Missing)?;
        Reader::open(self.inner.client.clone(), path, 0, meta.size).await
    }

    pub(crate) async fn files(&self, folder: &str) -> io::Result<Vec<StoredFile>> {
        let mut listed = self.inner.client.store.list(Some(&self.inner.path(folder)));
        let mut files = Vec::new();
        while let Some(meta) = listed.try_next().await.map_err(|error| io_error(&error))? {
            let name = meta.location.filename().map(|name| format!("{folder}/{name}").parse::<FileName>());
            if let Some(Ok(name)) = name
                && self.inner.path(name.as_str()) == meta.location
            {
                files.push(StoredFile { name, size: meta.size, modified: modified(&meta) });
            }
        }
        files.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(files)
    }

    pub(crate) async fn file_delete(&self, name: &FileName) -> io::Result<bool> {
        self.inner.delete(&self.inner.path(name.as_str())).await
    }
}
