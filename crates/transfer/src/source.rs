//! Where an import reads: a running registry or its directory.

use std::sync::Arc;

use oci::{AnyDigest, Digest, Reference, Tag};

use crate::disk::DataDirectory;
use crate::error::Error;
use crate::manifest::Body;
use crate::remote::{Head, Remote};
use crate::verify::Blob;

/// A source.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    Registry(Arc<Remote>),
    Directory(DataDirectory),
}

/// Reads a directory on a thread that may wait for the disk.
async fn blocking<T: Send + 'static>(
    data: &DataDirectory,
    read: impl FnOnce(&DataDirectory) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let data = data.clone();
    let done = tokio::task::spawn_blocking(move || read(&data)).await;
    done.unwrap_or_else(|error| Err(Error::Other(format!("reading the directory failed: {error}"))))
}

impl Source {
    pub(crate) async fn repositories(&self) -> Result<Vec<String>, Error> {
        match self {
            Self::Registry(remote) => remote.repositories().await,
            Self::Directory(data) => blocking(data, DataDirectory::repositories).await,
        }
    }

    pub(crate) async fn tags(&self, repository: &str) -> Result<Vec<String>, Error> {
        match self {
            Self::Registry(remote) => remote.tags(repository).await,
            Self::Directory(data) => {
                let repository = repository.to_owned();
                blocking(data, move |data| data.tags(&repository)).await
            }
        }
    }

    /// Manifests that are listed without a tag. The protocol has no such list.
    pub(crate) async fn revisions(&self, repository: &str) -> Result<Vec<Digest>, Error> {
        match self {
            Self::Registry(_) => Ok(Vec::new()),
            Self::Directory(data) => {
                let repository = repository.to_owned();
                blocking(data, move |data| data.revisions(&repository)).await
            }
        }
    }

    pub(crate) async fn manifest(&self, repository: &str, reference: &Reference) -> Result<Body, Error> {
        match self {
            Self::Registry(remote) => remote.manifest(repository, reference).await,
            Self::Directory(data) => {
                let (repository, reference) = (repository.to_owned(), reference.clone());
                blocking(data, move |data| data.manifest(&repository, &reference)).await
            }
        }
    }

    /// What a tag points at, as cheaply as the source can say it.
    pub(crate) async fn tag_head(&self, repository: &str, tag: &Tag) -> Result<Option<Head>, Error> {
        match self {
            Self::Registry(remote) => {
                remote.manifest_head(repository, &Reference::Tag(tag.clone()), None).await
            }
            Self::Directory(data) => {
                let (repository, tag) = (repository.to_owned(), tag.clone());
                let digest = blocking(data, move |data| data.tag(&repository, &tag)).await?;
                Ok(Some(Head { digest: Some(digest), kind: None }))
            }
        }
    }

    pub(crate) async fn blob(&self, repository: &str, digest: &Digest) -> Result<Blob, Error> {
        match self {
            Self::Registry(remote) => remote.blob(repository, digest).await,
            Self::Directory(data) => data.blob(digest).await,
        }
    }

    /// Whether there may be referrers that no tag and no list of manifests shows. Where the registry has no
    /// such listing, the fallback tag (OCI distribution-spec, "Referrers Tag Schema") is a tag like any other
    /// and its entries are the children of an index; a directory lists every manifest.
    pub(crate) fn hides_referrers(&self) -> bool {
        match self {
            Self::Registry(remote) => !remote.lacks_referrers(),
            Self::Directory(_) => false,
        }
    }

    pub(crate) async fn referrers(&self, repository: &str, digest: &Digest) -> Result<Vec<AnyDigest>, Error> {
        match self {
            Self::Registry(remote) => Ok(remote.referrers(repository, digest).await?.unwrap_or_default()),
            Self::Directory(_) => Ok(Vec::new()),
        }
    }
}
