//! Copying whole repositories into a Larder.
//!
//! For each tag the target is asked first: what it has under the same digest is complete, because a registry
//! takes a manifest only when everything that it names is there. So a second run costs two short questions a
//! tag and reads no content.

mod repository;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use oci::{Digest, Reference, RepositoryName, Tag};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinSet;

use crate::address::{SourceAddress, TargetAddress};
use crate::client::Client;
use crate::credentials::Credentials;
use crate::disk::DataDirectory;
use crate::error::{Error, Failure};
use crate::pattern::Pattern;
use crate::progress::{Progress, add};
use crate::remote::Remote;
use crate::source::Source;

/// After this many things in a row that failed although each was tried again and again, nobody is there.
const FAULTS: u32 = 32;

/// Which repositories of the source are meant.
#[derive(Debug, Clone)]
pub enum Selection {
    /// All that it lists.
    All,
    /// Those that one of the patterns means.
    Matching(Vec<Pattern>),
}

/// What to copy, and from where to where.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// Where it comes from.
    pub source: SourceAddress,
    /// Where it goes.
    pub target: TargetAddress,
    /// What of it.
    pub selection: Selection,
    /// How many things are asked for or sent at once, at least one.
    pub concurrency: usize,
    /// Who we are at the source; without it, what `docker login` remembers, or nobody.
    pub source_credentials: Option<Credentials>,
    /// Who we are at the target; without it, what `docker login` remembers, or nobody.
    pub target_credentials: Option<Credentials>,
}

/// What an import would do with one repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// Its name at the source.
    pub source: String,
    /// Its name at the target.
    pub target: RepositoryName,
    /// How many tags it has.
    pub tags: usize,
    /// How many of them the target does not have, or has with other content.
    pub missing: usize,
}

/// An import that has found both of its ends.
#[derive(Debug)]
pub struct Import {
    source: Source,
    target: Remote,
    address: TargetAddress,
    selection: Selection,
    concurrency: usize,
    /// How many may read or write at once.
    permits: Semaphore,
    /// Where at the target a blob is known to be. The lock is held while it gets there, so that nothing is sent
    /// twice: whoever wants it next mounts it.
    blobs: Mutex<HashMap<Digest, Arc<tokio::sync::Mutex<Option<RepositoryName>>>>>,
    progress: Arc<Progress>,
    failures: Mutex<Vec<Failure>>,
    faults: AtomicU32,
    given_up: AtomicBool,
}

impl Import {
    /// Reaches the source and the target and checks that both are what they have to be.
    pub async fn open(options: ImportOptions) -> Result<Self, Error> {
        let source = match &options.source {
            SourceAddress::Directory(path) => {
                let path = path.clone();
                let opened = tokio::task::spawn_blocking(move || DataDirectory::open(&path)).await;
                Source::Directory(opened.unwrap_or_else(|error| Err(Error::Other(error.to_string())))?)
            }
            SourceAddress::Registry(registry) => {
                let remote = connect(&registry.site, options.source_credentials).await?;
                Source::Registry(Arc::new(remote))
            }
        };
        let target = connect(&options.target.site, options.target_credentials).await?;
        let concurrency = options.concurrency.max(1);
        Ok(Self {
            source,
            target,
            address: options.target,
            selection: options.selection,
            concurrency,
            permits: Semaphore::new(concurrency),
            blobs: Mutex::default(),
            progress: Arc::default(),
            failures: Mutex::default(),
            faults: AtomicU32::new(0),
            given_up: AtomicBool::new(false),
        })
    }

    /// Numbers that grow while [`Self::run`] works.
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Copies everything that was selected and is not there yet. What could not be copied is in the answer;
    /// an error means that nothing could.
    ///
    /// Dropping the future ends the work; running it again goes on.
    pub async fn run(self: Arc<Self>) -> Result<Vec<Failure>, Error> {
        let names = self.named(self.selected().await?);
        let Some((_, first)) = names.first() else { return Ok(self.taken_failures()) };
        self.target.may_push(first).await?;
        let mut running = JoinSet::new();
        for (source, target) in names {
            // One repository with many tags keeps everybody busy; many small ones have to be open together.
            if running.len() >= self.concurrency {
                self.joined(running.join_next().await);
            }
            let import = Arc::clone(&self);
            running.spawn(async move { repository::copy(&import, source, target).await });
        }
        while let Some(result) = running.join_next().await {
            self.joined(Some(result));
        }
        if self.given_up.load(Ordering::Relaxed) {
            let error = Error::Other(
                "given up, because nothing worked any more; see to what is named above and run the same command again"
                    .to_owned(),
            );
            self.fail(&self.target.host(), "", error);
        }
        Ok(self.taken_failures())
    }

    /// What [`Self::run`] would do. Only tags are compared.
    pub async fn plan(&self) -> Result<(Vec<Planned>, Vec<Failure>), Error> {
        let mut planned = Vec::new();
        for (source, target) in self.named(self.selected().await?) {
            let tags = match self.source.tags(&source).await {
                Ok(tags) => tags,
                Err(error) => {
                    self.fail(&source, "", error);
                    continue;
                }
            };
            let mut missing = 0;
            for tag in &tags {
                match self.is_there(&source, &target, tag).await {
                    Ok(there) => missing += usize::from(!there),
                    Err(error) => self.fail(&source, tag, error),
                }
            }
            planned.push(Planned { source, target, tags: tags.len(), missing });
        }
        Ok((planned, self.taken_failures()))
    }

    async fn is_there(&self, source: &str, target: &RepositoryName, tag: &str) -> Result<bool, Error> {
        let tag: Tag = tag.parse().map_err(|error: oci::TagError| Error::Other(error.to_string()))?;
        let reference = Reference::Tag(tag.clone());
        let there = match self.target.manifest_head(target.as_str(), &reference, None).await {
            // A repository that does not exist yet is not ours to see either.
            Ok(None) | Err(Error::Refused(_)) => return Ok(false),
            Ok(Some(head)) => head.digest,
            Err(error) => return Err(error),
        };
        let here = self.source.tag_head(source, &tag).await?.and_then(|head| head.digest);
        Ok(there.is_some() && there == here)
    }

    async fn selected(&self) -> Result<BTreeSet<String>, Error> {
        let patterns = match &self.selection {
            Selection::All => return Ok(self.source.repositories().await?.into_iter().collect()),
            Selection::Matching(patterns) => patterns,
        };
        let (exact, open): (Vec<_>, Vec<_>) = patterns.iter().partition(|pattern| pattern.is_exact());
        let mut selected: BTreeSet<String> =
            exact.into_iter().map(|pattern| pattern.as_str().to_owned()).collect();
        if !open.is_empty() {
            let listed = self.source.repositories().await?;
            for pattern in &open {
                let before = selected.len();
                selected.extend(listed.iter().filter(|name| pattern.matches(name)).cloned());
                if selected.len() == before && !listed.iter().any(|name| pattern.matches(name)) {
                    let error = "no repository of the source has such a name; look at its list, and quote the pattern";
                    self.fail(pattern.as_str(), "", Error::Missing(error.to_owned()));
                }
            }
        }
        Ok(selected)
    }

    /// What each repository is called at the target. Names that it cannot have are failures: a name that was
    /// changed silently would be found by nobody.
    fn named(&self, selected: BTreeSet<String>) -> Vec<(String, RepositoryName)> {
        let mut names = Vec::new();
        for source in selected {
            match self.address.repository(&source) {
                Ok(target) => names.push((source, target)),
                Err(error) => {
                    let source = crate::error::one_line(&source);
                    self.fail(&source, "", Error::Other(format!("its name cannot be used here: {error}")));
                }
            }
        }
        add(&self.progress.repositories, names.len());
        names
    }

    fn joined(&self, result: Option<Result<(), tokio::task::JoinError>>) {
        if let Some(Err(error)) = result {
            self.fail("", "", Error::Other(format!("a task ended: {error}; please report this")));
        }
    }

    /// Leave to read or write.
    async fn permit(&self) -> SemaphorePermit<'_> {
        self.permits.acquire().await.expect("nobody closes the semaphore")
    }

    fn fail(&self, repository: &str, item: &str, error: Error) {
        add(&self.progress.failures, 1);
        if matches!(error, Error::Exhausted(_)) {
            if self.faults.fetch_add(1, Ordering::Relaxed) + 1 >= FAULTS {
                self.given_up.store(true, Ordering::Relaxed);
            }
        } else {
            self.faults.store(0, Ordering::Relaxed);
        }
        let failure = Failure { repository: repository.to_owned(), item: item.to_owned(), error };
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).push(failure);
    }

    fn succeed(&self) {
        self.faults.store(0, Ordering::Relaxed);
    }

    fn has_given_up(&self) -> bool {
        self.given_up.load(Ordering::Relaxed)
    }

    fn taken_failures(&self) -> Vec<Failure> {
        std::mem::take(&mut self.failures.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn blob_place(&self, digest: &Digest) -> Arc<tokio::sync::Mutex<Option<RepositoryName>>> {
        let mut blobs = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(blobs.entry(digest.clone()).or_default())
    }
}

/// A registry that answers as one.
pub(crate) async fn connect(
    site: &crate::address::Site,
    credentials: Option<Credentials>,
) -> Result<Remote, Error> {
    let credentials = credentials.or_else(|| Credentials::remembered(&site.host()));
    let remote = Remote::new(Client::new(site.clone(), credentials)?);
    remote.check().await?;
    Ok(remote)
}
