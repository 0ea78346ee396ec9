//! One repository of an import.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _};
use oci::{Descriptor, Digest, ManifestKind, Reference, RepositoryName, Tag};
use tokio::sync::OnceCell;

use super::Import;
use crate::error::Error;
use crate::manifest::Body;
use crate::progress::add;
use crate::remote::{Head, Start};
use crate::retry::retry;

/// Indexes inside indexes; real ones have two levels.
const DEPTH: usize = 16;
/// How many parts of one manifest are under way together. The permits of the import bound the total.
const PARTS: usize = 8;

type Cell = Arc<OnceCell<Result<(), Error>>>;

struct Repository<'a> {
    import: &'a Import,
    source: String,
    target: RepositoryName,
    /// Each manifest is copied once, whoever asks.
    manifests: Mutex<HashMap<Digest, Cell>>,
    /// Blobs that are known to be in the repository.
    blobs: Mutex<HashSet<Digest>>,
    /// Manifests that are there now and of which nobody has asked yet what refers to them.
    fresh: Mutex<Vec<Digest>>,
}

/// What an import begins with; everything else is found from there.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Root {
    Tag(String),
    Manifest(Digest),
}

/// Copies a repository. What fails is noted in the import.
pub(super) async fn copy(import: &Import, source: String, target: RepositoryName) {
    let repository = Repository {
        import,
        source,
        target,
        manifests: Mutex::default(),
        blobs: Mutex::default(),
        fresh: Mutex::default(),
    };
    let listed = repository.listed().await;
    add(&import.progress.repositories_listed, 1);
    let (tags, revisions) = match listed {
        Ok(listed) => listed,
        Err(error) => return import.fail(&repository.source, "", error),
    };
    repository.roots(tags.into_iter().map(Root::Tag).collect()).await;
    let untagged = repository.unknown(revisions);
    repository.roots(untagged).await;
    // Referrers may have referrers: each round looks at what the one before has brought.
    loop {
        let referrers = repository.referrers().await;
        if referrers.is_empty() {
            return;
        }
        repository.roots(referrers).await;
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Repository<'_> {
    /// The tags, and every manifest where the source can list them.
    async fn listed(&self) -> Result<(Vec<String>, Vec<Digest>), Error> {
        let _permit = self.import.permit().await;
        let tags = match self.import.source.tags(&self.source).await {
            Err(Error::Missing(message)) => {
                return Err(Error::Missing(format!("there is no such repository at the source ({message})")));
            }
            other => other?,
        };
        Ok((tags, self.import.source.revisions(&self.source).await?))
    }

    async fn roots(&self, roots: Vec<Root>) {
        add(&self.import.progress.items, roots.len());
        stream::iter(roots).for_each_concurrent(self.import.concurrency, |root| self.root(root)).await;
    }

    /// Those manifests that nothing has led to yet.
    fn unknown(&self, digests: impl IntoIterator<Item = Digest>) -> Vec<Root> {
        let known = locked(&self.manifests);
        let new: HashSet<Digest> = digests.into_iter().filter(|digest| !known.contains_key(digest)).collect();
        new.into_iter().map(Root::Manifest).collect()
    }

    async fn root(&self, root: Root) {
        if self.import.has_given_up() {
            return;
        }
        let (item, done) = match &root {
            Root::Tag(tag) => (tag.clone(), self.tag(tag).await),
            Root::Manifest(digest) => {
                (digest.to_string(), self.manifest(digest, None, None, None, 0).await.map(|_| ()))
            }
        };
        match done {
            Ok(()) => {
                self.import.succeed();
                add(&self.import.progress.items_done, 1);
            }
            Err(error) => self.import.fail(&self.source, &item, error),
        }
    }

    async fn tag(&self, tag: &str) -> Result<(), Error> {
        let tag: Tag = tag.parse().map_err(|error: oci::TagError| Error::Other(error.to_string()))?;
        let reference = Reference::Tag(tag.clone());
        if let Some(there) = self.target_head(&reference).await?
            && let Some(digest) = there.digest.clone()
        {
            let here = {
                let _permit = self.import.permit().await;
                self.import.source.tag_head(&self.source, &tag).await?
            };
            if here.and_then(|here| here.digest) == there.digest {
                return self.manifest(&digest, None, Some(there), None, 0).await.map(|_| ());
            }
        }
        let body = self.source_manifest(&reference).await?;
        let tagged = self.manifest(&body.digest, Some(body.clone()), None, Some(&tag), 0).await?;
        if tagged {
            return Ok(());
        }
        let _permit = self.import.permit().await;
        self.import.target.manifest_put(&self.target, &body, Some(&tag)).await
    }

    async fn target_head(&self, reference: &Reference) -> Result<Option<Head>, Error> {
        let _permit = self.import.permit().await;
        // The same token that the pushes need.
        let scope = crate::remote::push_scope(&self.target);
        self.import.target.manifest_head(self.target.as_str(), reference, Some(&scope)).await
    }

    async fn source_manifest(&self, reference: &Reference) -> Result<Body, Error> {
        let _permit = self.import.permit().await;
        self.import.source.manifest(&self.source, reference).await
    }

    /// Brings a manifest and everything that it names, unless it is there. Says whether `tag` points at it now.
    fn manifest<'b>(
        &'b self,
        digest: &'b Digest,
        body: Option<Body>,
        there: Option<Head>,
        tag: Option<&'b Tag>,
        depth: usize,
    ) -> BoxFuture<'b, Result<bool, Error>> {
        async move {
            let cell = Arc::clone(locked(&self.manifests).entry(digest.clone()).or_default());
            let tagged = AtomicBool::new(false);
            let copied = cell.get_or_init(|| async {
                self.manifest_copy(digest, body, there, tag, depth).await.map(|done| {
                    tagged.store(done, Ordering::Relaxed);
                    locked(&self.fresh).push(digest.clone());
                })
            });
            copied.await.clone()?;
            Ok(tagged.load(Ordering::Relaxed))
        }
        .boxed()
    }

    async fn manifest_copy(
        &self,
        digest: &Digest,
        body: Option<Body>,
        there: Option<Head>,
        tag: Option<&Tag>,
        depth: usize,
    ) -> Result<bool, Error> {
        if depth > DEPTH {
            return Err(Error::Other(format!("indexes lie within indexes more than {DEPTH} deep")));
        }
        let there = match there {
            None => self.target_head(&Reference::Digest(digest.clone())).await?,
            known => known,
        };
        if let Some(head) = there {
            add(&self.import.progress.manifests_present, 1);
            // Everything that it names is there as well. What refers to its children may still be new.
            let may_be_index = head.kind.is_none_or(ManifestKind::is_index);
            if may_be_index && self.import.source.hides_referrers() {
                let body = match body {
                    Some(body) => body,
                    None => self.source_manifest(&Reference::Digest(digest.clone())).await?,
                };
                self.parts(&body, depth).await?;
            }
            return Ok(false);
        }
        let body = match body {
            Some(body) => body,
            None => self.source_manifest(&Reference::Digest(digest.clone())).await?,
        };
        let missing = self.parts(&body, depth).await?;
        let _permit = self.import.permit().await;
        let put = self.import.target.manifest_put(&self.target, &body, tag).await;
        put.map_err(|error| match missing.first() {
            None => error,
            Some(first) => {
                let count = missing.len();
                let text = format!("the source does not have {count} of its parts, the first is {first}");
                error.within(&text)
            }
        })?;
        add(&self.import.progress.manifests, 1);
        Ok(tag.is_some())
    }

    /// Brings what a manifest names. What the source does not have is in the answer: an index may be sparse,
    /// and whether that is acceptable is for the target to say.
    async fn parts(&self, body: &Body, depth: usize) -> Result<Vec<String>, Error> {
        let manifest = &body.manifest;
        let mut results: Vec<Result<Option<String>, Error>> = stream::iter(manifest.children.clone())
            .map(|child| async move { self.child(&child, depth).await })
            .buffer_unordered(PARTS)
            .collect()
            .await;
        results.extend(
            stream::iter(manifest.blobs.clone())
                .map(|blob| async move { self.part(&blob).await })
                .buffer_unordered(PARTS)
                .collect::<Vec<_>>()
                .await,
        );
        let found: Result<Vec<Option<String>>, Error> = results.into_iter().collect();
        Ok(found?.into_iter().flatten().collect())
    }

    async fn child(&self, child: &Descriptor, depth: usize) -> Result<Option<String>, Error> {
        let digest = supported(child)?;
        let copied = if child.is_manifest_type() {
            self.manifest(&digest, None, None, None, depth + 1).await.map(|_| ())
        } else {
            // Build caches list blobs in an index.
            self.blob(&digest).await
        };
        missing_is_told(copied, child)
    }

    async fn part(&self, blob: &Descriptor) -> Result<Option<String>, Error> {
        missing_is_told(self.blob(&supported(blob)?).await, blob)
    }

    async fn blob(&self, digest: &Digest) -> Result<(), Error> {
        let place = self.import.blob_place(digest);
        let mut place = place.lock().await;
        if locked(&self.blobs).contains(digest) {
            return Ok(());
        }
        let _permit = self.import.permit().await;
        let progress = &self.import.progress;
        if self.import.target.blob_exists(&self.target, digest).await? {
            add(&progress.blobs_present, 1);
        } else {
            let from = place.as_ref().filter(|from| **from != self.target);
            let mounted = retry(|| self.blob_copy(digest, from)).await?;
            add(if mounted { &progress.blobs_mounted } else { &progress.blobs }, 1);
        }
        *place = Some(self.target.clone());
        locked(&self.blobs).insert(digest.clone());
        Ok(())
    }

    /// Mounts or sends a blob. Says whether it was mounted.
    async fn blob_copy(&self, digest: &Digest, from: Option<&RepositoryName>) -> Result<bool, Error> {
        let (source, target) = (&self.import.source, &self.import.target);
        let start = target.upload_start(&self.target, from.map(|from| (digest, from))).await?;
        let Start::Session(session) = start else { return Ok(true) };
        let sent = async {
            // Opened once the target is ready to take it.
            let blob = source.blob(&self.source, digest).await?;
            target.upload_finish(&self.target, &session, digest, blob, &self.import.progress.bytes).await
        };
        if let Err(error) = sent.await {
            target.upload_cancel(&self.target, &session).await;
            return Err(error);
        }
        Ok(false)
    }

    /// What refers to the manifests that were copied since the last question.
    async fn referrers(&self) -> Vec<Root> {
        let fresh = std::mem::take(&mut *locked(&self.fresh));
        let source = &self.import.source;
        if !source.hides_referrers() {
            return Vec::new();
        }
        let found = stream::iter(fresh)
            .map(|digest| async move {
                if !source.hides_referrers() || self.import.has_given_up() {
                    return Vec::new();
                }
                let _permit = self.import.permit().await;
                let listed = source.referrers(&self.source, &digest).await;
                listed.unwrap_or_else(|error| {
                    let error = error.within("cannot ask what refers to it");
                    self.import.fail(&self.source, digest.as_str(), error);
                    Vec::new()
                })
            })
            .buffer_unordered(self.import.concurrency)
            .collect::<Vec<_>>()
            .await;
        let found = found.into_iter().flatten().filter_map(|digest| match digest.to_supported() {
            Ok(digest) => Some(digest),
            Err(error) => {
                self.import.fail(&self.source, digest.as_str(), Error::Other(error.to_string()));
                None
            }
        });
        self.unknown(found)
    }
}

fn supported(descriptor: &Descriptor) -> Result<Digest, Error> {
    descriptor.digest.to_supported().map_err(|error| Error::Other(error.to_string()))
}

/// Turns "the source does not have it" into an answer; content that may be absent is not even worth one.
fn missing_is_told(copied: Result<(), Error>, descriptor: &Descriptor) -> Result<Option<String>, Error> {
    match copied {
        Ok(()) => Ok(None),
        Err(Error::Missing(_)) if descriptor.optional => Ok(None),
        Err(Error::Missing(_)) => Ok(Some(descriptor.digest.to_string())),
        Err(error) => Err(error),
    }
}
