//! What one worker knows: everything that was acknowledged to it and has to be true from then on.
//!
//! A worker owns its tags and its manifests, which nobody else touches, and sends one request at a time. So
//! after a crash exactly two worlds are possible: the one before its last request and the one after it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use crate::content::Manifest;

/// Something in a repository: the repository's full name, and a digest or a tag.
pub(crate) type Key = (&'static str, String);

/// What a request asks for.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    BlobStored {
        key: Key,
        /// Until then the collector leaves it alone although nothing names it.
        promised_until: Instant,
    },
    BlobDeleted(Key),
    ManifestPut {
        repository: &'static str,
        manifest: Arc<Manifest>,
        tags: Vec<String>,
    },
    TagDeleted(Key),
    ManifestDeleted(Key),
}

/// A world that the worker takes for true.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// Each tag with the digest that it points to.
    pub(crate) tags: BTreeMap<Key, String>,
    pub(crate) manifests: BTreeMap<Key, Arc<Manifest>>,
    /// Blobs with the time until which they are promised even when nothing names them.
    pub(crate) blobs: BTreeMap<Key, Instant>,
    /// Deleted, and pushed by nobody since.
    pub(crate) gone_manifests: BTreeSet<Key>,
    pub(crate) gone_blobs: BTreeSet<Key>,
    /// Manifests that the collector may take at any time, because what they belonged to is gone.
    pub(crate) fading: BTreeMap<Key, Arc<Manifest>>,
    /// Manifests that lost an index or a subject; what still holds them may go too.
    threatened: BTreeSet<Key>,
}

impl Known {
    /// The world after an acknowledged change.
    pub(crate) fn apply(&mut self, change: &Change) {
        match change {
            Change::BlobStored { key, promised_until } => {
                let promise = self.blobs.entry(key.clone()).or_insert(*promised_until);
                *promise = (*promise).max(*promised_until);
                self.gone_blobs.remove(key);
            }
            Change::BlobDeleted(key) => {
                self.blobs.remove(key);
                self.gone_blobs.insert(key.clone());
            }
            Change::ManifestPut { repository, manifest, tags } => {
                let key = (*repository, manifest.digest.clone());
                self.manifests.insert(key, Arc::clone(manifest));
                for tag in tags {
                    self.tags.insert((repository, tag.clone()), manifest.digest.clone());
                }
            }
            Change::TagDeleted(key) => {
                self.tags.remove(key);
            }
            Change::ManifestDeleted(key) => {
                self.tags.retain(|(repository, _), digest| (*repository, &*digest) != (key.0, &key.1));
                if let Some(manifest) = self.manifests.remove(key) {
                    self.threaten_dependants(key, &manifest);
                }
                self.gone_manifests.insert(key.clone());
            }
        }
        self.settle();
    }

    /// Whether a blob has to be there for an answer that came at `now`.
    pub(crate) fn blob_is_certain(&self, key: &Key, now: Instant) -> bool {
        self.blobs.get(key).is_some_and(|promised_until| now < *promised_until) || self.blob_is_named(key)
    }

    fn blob_is_named(&self, key: &Key) -> bool {
        self.manifests
            .iter()
            .any(|((repository, _), manifest)| *repository == key.0 && manifest.blobs.contains(&key.1))
    }

    /// Whether an index that has to be there names the manifest, and whether any other may.
    pub(crate) fn holders(&self, key: &Key) -> (bool, bool) {
        let names = |(holder, manifest): (&Key, &Arc<Manifest>)| {
            holder.0 == key.0 && manifest.children.contains(&key.1)
        };
        (self.manifests.iter().any(names), self.fading.iter().any(names))
    }

    /// Digests of the manifests that refer to `subject` and have to be listed.
    pub(crate) fn referrers(&self, subject: &Key) -> BTreeSet<String> {
        refer_to(&self.manifests, subject)
    }

    /// Digests of the manifests that refer to `subject` and may be listed or not.
    pub(crate) fn fading_referrers(&self, subject: &Key) -> BTreeSet<String> {
        refer_to(&self.fading, subject)
    }

    /// Forgets blobs that nobody promises any more.
    pub(crate) fn forget_expired(&mut self, now: Instant) {
        let expired: Vec<Key> =
            self.blobs.keys().filter(|key| !self.blob_is_certain(key, now)).cloned().collect();
        for key in expired {
            self.blobs.remove(&key);
        }
    }

    fn threaten_dependants(&mut self, key: &Key, manifest: &Manifest) {
        let children = manifest.children.iter().cloned();
        let dependants: Vec<String> = children.chain(self.referrers(key)).collect();
        self.threatened.extend(dependants.into_iter().map(|digest| (key.0, digest)));
    }

    /// Gives up what is threatened and held by nothing, and with it what only that held.
    fn settle(&mut self) {
        while let Some(key) = self.threatened.iter().find(|key| self.is_loose(key)).cloned() {
            if let Some(manifest) = self.manifests.remove(&key) {
                self.threaten_dependants(&key, &manifest);
                self.fading.insert(key, manifest);
            }
        }
        self.threatened.retain(|key| self.manifests.contains_key(key));
    }

    fn is_loose(&self, key: &Key) -> bool {
        let Some(manifest) = self.manifests.get(key) else { return false };
        let is_tagged = self.tags.iter().any(|(tag, digest)| tag.0 == key.0 && *digest == key.1);
        let subject_lives = manifest
            .subject
            .as_ref()
            .is_some_and(|subject| self.manifests.contains_key(&(key.0, subject.clone())));
        !is_tagged && !subject_lives && !self.holders(key).0
    }
}

fn refer_to(manifests: &BTreeMap<Key, Arc<Manifest>>, subject: &Key) -> BTreeSet<String> {
    manifests
        .iter()
        .filter(|((repository, _), manifest)| {
            *repository == subject.0 && manifest.subject.as_deref() == Some(subject.1.as_str())
        })
        .map(|((_, digest), _)| digest.clone())
        .collect()
}
