//! Looking at everything that a worker knows, after a crash.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use serde_json::Value;
use testkit::sha256;

use crate::model::{Key, Known};
use crate::wire::{Answer, plain};
use crate::worker::{REPOSITORIES, Worker};

/// Deleted things that are looked for after every crash; the end of the test looks for all of them.
const SOME_GONE: usize = 20;

/// How much a worker looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Everything that is there, and some of what is gone.
    Present,
    /// Everything that ever was.
    Everything,
}

/// What the server shows.
#[derive(Debug, Default)]
struct Observed {
    tags: BTreeMap<Key, String>,
    manifests: BTreeSet<Key>,
    blobs: BTreeMap<Key, Sight>,
    referrers: BTreeMap<Key, BTreeSet<String>>,
}

/// Whether a blob was there, and when that was known.
#[derive(Debug)]
struct Sight {
    there: bool,
    at: Instant,
}

impl Worker {
    /// Compares the server with the one or two worlds that are possible, and settles which of them is true.
    ///
    /// I1: what is served under a digest hashes to it. I2: a change is there whole or not at all. I3: what was
    /// acknowledged is there.
    pub(crate) fn verify(&mut self, depth: Depth) {
        let before = self.known.clone();
        let after = self.pending.take().map(|change| {
            let mut after = before.clone();
            after.apply(&change);
            (change, after)
        });
        let worlds: Vec<&Known> =
            std::iter::once(&before).chain(after.iter().map(|(_, world)| world)).collect();
        let observed = self.observe(&worlds, depth);
        let wrong_before = differences(&before, &observed);
        if wrong_before.is_empty() {
            // Both worlds may fit: a retry of what was already there.
            self.known = before;
        } else if let Some((change, after)) = after {
            let wrong_after = differences(&after, &observed);
            assert!(
                wrong_after.is_empty(),
                "worker {}: neither the state before {change:?} nor the one after it:\nagainst the first: \
                 {wrong_before:#?}\nagainst the second: {wrong_after:#?}",
                self.number
            );
            self.known = after;
        } else {
            panic!("worker {}: what was acknowledged is not so: {wrong_before:#?}", self.number);
        }
        self.upload_verify();
    }

    /// Everything that has to be there now, and of what may be there, what is: manifests and the blobs that
    /// they name.
    pub(crate) fn inventory(&mut self) -> (BTreeSet<Key>, BTreeSet<String>) {
        let mut manifests: BTreeSet<Key> = self.known.manifests.keys().cloned().collect();
        let mut blobs: BTreeSet<String> =
            self.known.manifests.values().flat_map(|manifest| manifest.blobs.clone()).collect();
        for (key, manifest) in self.known.fading.clone() {
            if self.manifest_is_there(&key) {
                manifests.insert(key);
                blobs.extend(manifest.blobs.clone());
            }
        }
        (manifests, blobs)
    }

    fn observe(&mut self, worlds: &[&Known], depth: Depth) -> Observed {
        let mut observed = Observed { tags: self.observe_tags(), ..Observed::default() };
        let gone = match depth {
            Depth::Present => SOME_GONE,
            Depth::Everything => usize::MAX,
        };
        let mut manifests = BTreeSet::new();
        let mut blobs = BTreeSet::new();
        let mut subjects = BTreeSet::new();
        for world in worlds {
            manifests.extend(world.manifests.keys().cloned());
            manifests.extend(world.gone_manifests.iter().rev().take(gone).cloned());
            blobs.extend(world.blobs.keys().cloned());
            blobs.extend(world.gone_blobs.iter().rev().take(gone).cloned());
            for ((repository, digest), manifest) in &world.manifests {
                blobs.extend(manifest.blobs.iter().map(|blob| (*repository, blob.clone())));
                subjects.extend(manifest.subject.iter().map(|subject| (*repository, subject.clone())));
                subjects.insert((repository, digest.clone()));
            }
        }
        for key in manifests {
            if self.manifest_is_there(&key) {
                observed.manifests.insert(key);
            }
        }
        for key in blobs {
            let there = self.blob_is_there(&key);
            observed.blobs.insert(key, Sight { there, at: Instant::now() });
        }
        for key in subjects {
            let listed = self.observe_referrers(&key);
            observed.referrers.insert(key, listed);
        }
        observed
    }

    /// The worker's tags one by one, which have to be those that the list shows.
    fn observe_tags(&mut self) -> BTreeMap<Key, String> {
        let mut tags = BTreeMap::new();
        for key in self.tags() {
            let answer = self.get(&format!("/v2/{}/manifests/{}", key.0, key.1)).expect(&[200, 404]);
            if answer.status == 200 {
                let digest = sha256(&answer.body);
                assert_eq!(answer.header("docker-content-digest"), Some(digest.as_str()), "{answer}");
                tags.insert(key, digest);
            }
        }
        for repository in REPOSITORIES {
            let answer = self.get(&format!("/v2/{repository}/tags/list")).expect(&[200, 404]);
            let list: Value = serde_json::from_slice(&answer.body).expect("lists and errors are JSON");
            let listed: BTreeSet<&str> =
                list["tags"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let own: BTreeSet<&str> =
                listed.into_iter().filter(|tag| tag.starts_with(&self.tag_prefix())).collect();
            let here = tags.keys().filter(|(place, _)| *place == repository);
            assert_eq!(own, here.map(|(_, tag)| tag.as_str()).collect(), "the list differs from the tags");
        }
        tags
    }

    /// The list of referrers, each of which has to be there as long as it is listed.
    fn observe_referrers(&mut self, subject: &Key) -> BTreeSet<String> {
        loop {
            let listed = self.referrers_list(subject);
            let missing: Vec<String> = listed
                .iter()
                .filter(|digest| !self.manifest_is_there(&(subject.0, (*digest).clone())))
                .cloned()
                .collect();
            if missing.is_empty() {
                return listed;
            }
            // The collector may have come in between; then it took the entry with the manifest.
            let still_listed = self.referrers_list(subject);
            let stale = missing.iter().find(|digest| still_listed.contains(*digest));
            assert!(stale.is_none(), "{stale:?} is listed for {subject:?} and is not there");
        }
    }

    fn referrers_list(&mut self, (repository, subject): &Key) -> BTreeSet<String> {
        let answer = self.get(&format!("/v2/{repository}/referrers/{subject}")).expect(&[200]);
        let index: Value = serde_json::from_slice(&answer.body).expect("a list of referrers is JSON");
        let entries = index["manifests"].as_array().expect("a list of referrers has entries");
        entries
            .iter()
            .map(|entry| entry["digest"].as_str().expect("an entry has a digest").to_owned())
            .collect()
    }

    fn manifest_is_there(&mut self, (repository, digest): &Key) -> bool {
        let answer = self.get(&format!("/v2/{repository}/manifests/{digest}"));
        is_intact(answer, digest)
    }

    fn blob_is_there(&mut self, (repository, digest): &Key) -> bool {
        let answer = self.get(&format!("/v2/{repository}/blobs/{digest}"));
        is_intact(answer, digest)
    }

    /// The session that goes on over kills stands where it was acknowledged to stand, or where the request
    /// that was lost brought it.
    fn upload_verify(&mut self) {
        let Some(mut upload) = self.upload.take() else { return };
        let answer = self.get(&upload.location).expect(&[204, 404]);
        if Instant::now() >= upload.expires {
            return;
        }
        if answer.status == 404 {
            assert!(upload.closing.is_some(), "worker {}: an open upload is gone: {answer}", self.number);
        } else {
            let range = answer.header("range").unwrap_or_default();
            let offset = range
                .strip_prefix("0-")
                .and_then(|last| last.parse::<i64>().ok())
                .and_then(|last| usize::try_from(last + 1).ok())
                .unwrap_or_else(|| panic!("no offset: {answer}"));
            let possible = offset == upload.offset || Some(offset) == upload.perhaps;
            assert!(
                possible,
                "worker {}: an upload stands at {offset} and neither at {} nor at {:?}",
                self.number, upload.offset, upload.perhaps
            );
            upload.offset = offset;
        }
        upload.perhaps = None;
        self.upload = Some(upload);
    }

    fn get(&mut self, target: &str) -> Answer {
        self.wire.send(plain("GET", target)).expect("the server runs while it is looked at")
    }
}

/// There and with the right bytes, or honestly not there.
#[track_caller]
fn is_intact(answer: Answer, digest: &str) -> bool {
    let answer = answer.expect(&[200, 404]);
    if answer.status == 200 {
        assert_eq!(sha256(&answer.body), digest, "served under a digest that it does not hash to");
    }
    answer.status == 200
}

/// In what the server differs from a world.
fn differences(known: &Known, observed: &Observed) -> Vec<String> {
    let mut wrong = Vec::new();
    if known.tags != observed.tags {
        wrong.push(format!("tags: expected {:?}, found {:?}", known.tags, observed.tags));
    }
    for (key, manifest) in &known.manifests {
        if !observed.manifests.contains(key) {
            wrong.push(format!("manifest {key:?} is not there"));
        }
        for digest in &manifest.blobs {
            if !observed.blobs.get(&(key.0, digest.clone())).is_some_and(|sight| sight.there) {
                wrong.push(format!("blob {digest} of manifest {key:?} is not there"));
            }
        }
    }
    for key in known.gone_manifests.iter().filter(|key| observed.manifests.contains(*key)) {
        wrong.push(format!("manifest {key:?} was deleted and is there"));
    }
    for key in &observed.manifests {
        let explained = known.manifests.contains_key(key)
            || known.gone_manifests.contains(key)
            || known.fading.contains_key(key);
        if !explained {
            wrong.push(format!("manifest {key:?} is there and was not pushed"));
        }
    }
    for (key, promised_until) in &known.blobs {
        if let Some(sight) = observed.blobs.get(key)
            && !sight.there
            && sight.at < *promised_until
        {
            wrong.push(format!("blob {key:?} is not there"));
        }
    }
    for key in &known.gone_blobs {
        if observed.blobs.get(key).is_some_and(|sight| sight.there) {
            wrong.push(format!("blob {key:?} was deleted and is there"));
        }
    }
    for (subject, listed) in &observed.referrers {
        let expected = known.referrers(subject);
        let allowed = known.fading_referrers(subject);
        let unexplained: Vec<_> =
            listed.difference(&expected).filter(|digest| !allowed.contains(*digest)).collect();
        let absent: Vec<_> = expected.difference(listed).collect();
        if !unexplained.is_empty() || !absent.is_empty() {
            wrong.push(format!("referrers of {subject:?}: {absent:?} absent, {unexplained:?} too many"));
        }
    }
    wrong
}
