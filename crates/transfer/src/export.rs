//! Copying images into an OCI image layout.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _};
use oci::{Descriptor, Digest, Reference, Tag};
use tokio::sync::{OnceCell, Semaphore};

use crate::address::{ImageAddress, Site};
use crate::credentials::Credentials;
use crate::error::{Error, Failure};
use crate::import::connect;
use crate::layout::{Entry, Layout};
use crate::manifest::Body;
use crate::progress::{Progress, add};
use crate::remote::Remote;
use crate::retry::retry;
use crate::verify::{Verdict, verified};

const DEPTH: usize = 16;
const PARTS: usize = 8;

/// What to copy, and where to.
#[derive(Debug, Clone)]
pub struct ExportOptions {
    /// What to copy.
    pub images: Vec<ImageAddress>,
    /// The layout's directory; it is made, or added to.
    pub directory: PathBuf,
    /// Take all tags of images that are named without one.
    pub all_tags: bool,
    /// Also take what refers to the images: signatures, SBOMs, attestations.
    pub with_referrers: bool,
    /// How many things are read at once, at least one.
    pub concurrency: usize,
    /// Who we are at the registry; without it, what `docker login` remembers, or nobody.
    pub credentials: Option<Credentials>,
}

/// An export that has found both of its ends.
#[derive(Debug)]
pub struct Export {
    layout: Layout,
    images: Vec<(Arc<Remote>, ImageAddress)>,
    all_tags: bool,
    with_referrers: bool,
    /// Whether names need the repository in front of the tag to be told apart.
    many: bool,
    concurrency: usize,
    permits: Semaphore,
    manifests: Mutex<HashMap<Digest, Cell>>,
    blobs: Mutex<HashMap<Digest, Arc<tokio::sync::Mutex<bool>>>>,
    progress: Arc<Progress>,
    failures: Mutex<Vec<Failure>>,
}

type Cell = Arc<OnceCell<Result<(), Error>>>;

impl Export {
    /// Reaches the registries and opens the layout.
    pub async fn open(options: ExportOptions) -> Result<Self, Error> {
        let mut sites: Vec<(Site, Arc<Remote>)> = Vec::new();
        let mut images = Vec::new();
        for image in options.images {
            if image.reference.is_none() && !options.all_tags {
                let (host, repository) = (image.site.host(), &image.repository);
                return Err(Error::Other(format!(
                    "which image of {host}/{repository} is meant? add :tag or @digest to the address, or give --all-tags"
                )));
            }
            let known =
                sites.iter().find(|(site, _)| *site == image.site).map(|(_, remote)| Arc::clone(remote));
            let remote = if let Some(remote) = known {
                remote
            } else {
                let remote = Arc::new(connect(&image.site, options.credentials.clone()).await?);
                sites.push((image.site.clone(), Arc::clone(&remote)));
                remote
            };
            images.push((remote, image));
        }
        let repositories: HashSet<(String, &str)> =
            images.iter().map(|(_, image)| (image.site.host(), image.repository.as_str())).collect();
        let many = repositories.len() > 1;
        let directory = options.directory;
        let opened = tokio::task::spawn_blocking(move || Layout::open(&directory)).await;
        let layout = opened.unwrap_or_else(|error| Err(Error::Other(error.to_string())))?;
        let concurrency = options.concurrency.max(1);
        Ok(Self {
            layout,
            images,
            all_tags: options.all_tags,
            with_referrers: options.with_referrers,
            many,
            concurrency,
            permits: Semaphore::new(concurrency),
            manifests: Mutex::default(),
            blobs: Mutex::default(),
            progress: Arc::default(),
            failures: Mutex::default(),
        })
    }

    /// Numbers that grow while [`Self::run`] works.
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Copies everything that is not in the layout yet. What could not be copied is in the answer; an error
    /// means that going on makes no sense, such as a full disk.
    pub async fn run(self) -> Result<Vec<Failure>, Error> {
        add(&self.progress.repositories, self.images.len());
        for (remote, image) in &self.images {
            let repository = Repository { export: &self, remote, name: &image.repository };
            let references = match (&image.reference, self.all_tags) {
                (Some(reference), _) => Ok(vec![reference.clone()]),
                (None, _) => repository.tags().await,
            };
            add(&self.progress.repositories_listed, 1);
            match references {
                Ok(references) => repository.copy(references).await?,
                Err(error) => self.fail(&image.repository, "", error)?,
            }
        }
        self.layout.finish();
        Ok(std::mem::take(&mut self.failures.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    fn fail(&self, repository: &str, item: &str, error: Error) -> Result<(), Error> {
        if matches!(error, Error::Full(_)) {
            return Err(error);
        }
        add(&self.progress.failures, 1);
        let failure = Failure { repository: repository.to_owned(), item: item.to_owned(), error };
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).push(failure);
        Ok(())
    }
}

struct Repository<'a> {
    export: &'a Export,
    remote: &'a Arc<Remote>,
    name: &'a str,
}

impl Repository<'_> {
    async fn tags(&self) -> Result<Vec<Reference>, Error> {
        let tags = self.remote.tags(self.name).await?;
        let parse = |tag: &String| {
            let tag: Result<Tag, _> = tag.parse();
            tag.map(Reference::Tag).map_err(|error| Error::Other(error.to_string()))
        };
        tags.iter().map(parse).collect()
    }

    async fn copy(&self, references: Vec<Reference>) -> Result<(), Error> {
        let progress = &self.export.progress;
        add(&progress.items, references.len());
        let mut copied = stream::iter(references)
            .map(|reference| async move {
                let result = self.image(&reference).await;
                (reference, result)
            })
            .buffer_unordered(self.export.concurrency);
        while let Some((reference, result)) = copied.next().await {
            // What is complete is listed at once, so that an interruption loses little.
            let listed = result.and_then(|entries| self.export.layout.index_add(&entries));
            match listed {
                Ok(()) => add(&progress.items_done, 1),
                Err(error) => self.export.fail(self.name, &reference.to_string(), error)?,
            }
        }
        Ok(())
    }

    /// Copies one image with everything that belongs to it; the entries are for the layout's index.
    async fn image(&self, reference: &Reference) -> Result<Vec<Entry>, Error> {
        let body = self.manifest_read(reference).await?;
        let mut seen = Vec::new();
        self.manifest(body.clone(), 0, &mut seen).await?;
        let name = match reference {
            Reference::Tag(tag) if self.export.many => Some(format!("{}:{tag}", self.name)),
            Reference::Tag(tag) => Some(tag.to_string()),
            Reference::Digest(_) => None,
        };
        let mut entries = vec![Entry { name, ..entry(&body) }];
        if self.export.with_referrers {
            // A referrer is found by reading it, so the index has to list it. It may be an index itself, and
            // may have referrers of its own.
            let mut known: HashSet<Digest> = seen.iter().cloned().collect();
            while let Some(digest) = seen.pop() {
                for referrer in self.referrers(&digest).await? {
                    if known.insert(referrer.clone()) {
                        let body = self.manifest_read(&Reference::Digest(referrer)).await?;
                        entries.push(entry(&body));
                        let mut below = Vec::new();
                        self.manifest(body, 0, &mut below).await?;
                        known.extend(below.iter().cloned());
                        seen.extend(below);
                    }
                }
            }
        }
        Ok(entries)
    }

    async fn manifest_read(&self, reference: &Reference) -> Result<Body, Error> {
        let _permit = self.permit().await;
        self.remote.manifest(self.name, reference).await
    }

    async fn permit(&self) -> tokio::sync::SemaphorePermit<'_> {
        self.export.permits.acquire().await.expect("nobody closes the semaphore")
    }

    async fn referrers(&self, digest: &Digest) -> Result<Vec<Digest>, Error> {
        let _permit = self.permit().await;
        let listed = if let Some(listed) = self.remote.referrers(self.name, digest).await? {
            listed
        } else {
            // OCI distribution-spec, "Referrers Tag Schema".
            let tag: Tag = fallback_tag(digest).parse().expect("digests have the characters of tags");
            match self.remote.manifest(self.name, &Reference::Tag(tag)).await {
                Ok(body) => body.manifest.children.into_iter().map(|child| child.digest).collect(),
                Err(Error::Missing(_)) => Vec::new(),
                Err(error) => return Err(error),
            }
        };
        let supported =
            |digest: oci::AnyDigest| digest.to_supported().map_err(|error| Error::Other(error.to_string()));
        listed.into_iter().map(supported).collect()
    }

    /// Writes a manifest after everything that it names, and notes each manifest on the way in `seen`.
    fn manifest<'b>(
        &'b self,
        body: Body,
        depth: usize,
        seen: &'b mut Vec<Digest>,
    ) -> BoxFuture<'b, Result<(), Error>> {
        async move {
            if depth > DEPTH {
                return Err(Error::Other(format!("indexes lie within indexes more than {DEPTH} deep")));
            }
            seen.push(body.digest.clone());
            for child in &body.manifest.children {
                let digest = supported(child)?;
                let copied = if child.is_manifest_type() {
                    match self.manifest_read(&Reference::Digest(digest)).await {
                        Ok(child) => self.manifest(child, depth + 1, seen).await,
                        Err(error) => Err(error),
                    }
                } else {
                    self.blob(&digest).await
                };
                // A sparse index is whole without what the registry does not have.
                match copied {
                    Err(Error::Missing(_)) => {}
                    other => other?,
                }
            }
            let results: Vec<Result<(), Error>> = stream::iter(body.manifest.blobs.clone())
                .map(|blob| async move {
                    match self.blob(&supported(&blob)?).await {
                        Err(Error::Missing(_)) if blob.optional => Ok(()),
                        other => other,
                    }
                })
                .buffer_unordered(PARTS)
                .collect()
                .await;
            results.into_iter().collect::<Result<(), Error>>()?;
            let cell = {
                let mut manifests = self.export.manifests.lock().unwrap_or_else(PoisonError::into_inner);
                Arc::clone(manifests.entry(body.digest.clone()).or_default())
            };
            cell.get_or_init(|| self.manifest_write(&body.digest, &body.bytes)).await.clone()
        }
        .boxed()
    }

    async fn manifest_write(&self, digest: &Digest, bytes: &Bytes) -> Result<(), Error> {
        let progress = &self.export.progress;
        if self.export.layout.has(digest).await? {
            add(&progress.manifests_present, 1);
            return Ok(());
        }
        let bytes = bytes.clone();
        self.export.layout.put(digest, stream::once(async move { Ok(bytes) }).boxed()).await?;
        add(&progress.manifests, 1);
        Ok(())
    }

    async fn blob(&self, digest: &Digest) -> Result<(), Error> {
        let done = {
            let mut blobs = self.export.blobs.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(blobs.entry(digest.clone()).or_default())
        };
        let mut done = done.lock().await;
        if *done {
            return Ok(());
        }
        let _permit = self.permit().await;
        let progress = &self.export.progress;
        if self.export.layout.has(digest).await? {
            add(&progress.blobs_present, 1);
        } else {
            retry(|| async {
                let blob = self.remote.blob(self.name, digest).await?;
                let bytes = Arc::clone(&progress.bytes);
                let pieces = verified(blob, digest.clone(), Verdict::default()).inspect(move |piece| {
                    if let Ok(piece) = piece {
                        add(&bytes, piece.len());
                    }
                });
                self.export.layout.put(digest, pieces.boxed()).await
            })
            .await?;
            add(&progress.blobs, 1);
        }
        *done = true;
        Ok(())
    }
}

fn entry(body: &Body) -> Entry {
    Entry {
        digest: body.digest.clone(),
        media_type: body.kind.as_str().to_owned(),
        size: body.bytes.len() as u64,
        artifact_type: body.manifest.artifact_type.clone().filter(|_| body.manifest.subject.is_some()),
        name: None,
    }
}

fn supported(descriptor: &Descriptor) -> Result<Digest, Error> {
    descriptor.digest.to_supported().map_err(|error| Error::Other(error.to_string()))
}

/// Where clients keep the list of referrers for a registry that has none: `<algorithm>-<encoded>`, the parts cut
/// to 32 and 64 characters.
fn fallback_tag(digest: &Digest) -> String {
    let hex = digest.hex();
    format!("{}-{}", digest.algorithm(), &hex[..hex.len().min(64)])
}

#[cfg(test)]
mod tests {
    use oci::Algorithm;

    use super::*;

    #[test]
    fn fallback_tags_are_tags() {
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let tag = fallback_tag(&Digest::of(algorithm, b""));
            assert!(tag.parse::<Tag>().is_ok() && tag.len() == 71, "{tag}");
        }
    }
}
