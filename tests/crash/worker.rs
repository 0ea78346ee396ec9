//! One client of many: pushes, moves, mounts, refers and deletes until the server is killed under it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::content::{Content, Dice, Manifest};
use crate::model::{Change, Key, Known};
use crate::wire::{Answer, Lost, Request, Wire, plain};

/// Where blobs are pushed to, and where they are mounted.
pub(crate) const REPOSITORIES: [&str; 2] = ["demo/main/one", "demo/main/two"];
/// Tags that each worker has in each repository.
const TAGS: usize = 4;
/// Manifests that a worker keeps; more are deleted, so that looking at all of them stays quick.
const MANIFESTS: usize = 14;

/// What the server promises, as it was configured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Promises {
    /// How long a blob that nothing names is kept.
    pub(crate) grace: Duration,
    /// How long an upload that nobody writes to is kept.
    pub(crate) upload: Duration,
}

/// An upload that goes on over several lives of the server.
#[derive(Debug)]
pub(crate) struct OpenUpload {
    pub(crate) location: String,
    pub(crate) content: Content,
    /// Bytes that the server acknowledged.
    pub(crate) offset: usize,
    /// Bytes that it may have besides: the answer to a chunk was lost.
    pub(crate) perhaps: Option<usize>,
    /// The answer to the closing request was lost. If that request stored the blob, it is promised until then.
    pub(crate) closing: Option<Change>,
    pub(crate) expires: Instant,
}

/// A client, and all that it knows.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) number: usize,
    pub(crate) known: Known,
    /// A change whose answer was lost: it happened or it did not.
    pub(crate) pending: Option<Change>,
    pub(crate) upload: Option<OpenUpload>,
    pub(crate) wire: Wire,
    /// Requests that were acknowledged.
    pub(crate) acknowledged: u64,
    promises: Promises,
    dice: Dice,
    /// Contents that every worker pushes.
    shared: Arc<Vec<Content>>,
    labels: u64,
}

impl Worker {
    pub(crate) fn new(
        number: usize,
        seed: u64,
        wire: Wire,
        shared: Arc<Vec<Content>>,
        promises: Promises,
    ) -> Self {
        let dice = Dice::new(seed ^ ((number as u64 + 1) << 32));
        Self {
            number,
            known: Known::default(),
            pending: None,
            upload: None,
            wire,
            acknowledged: 0,
            promises,
            dice,
            shared,
            labels: 0,
        }
    }

    /// The tags that belong to this worker, in every repository.
    pub(crate) fn tags(&self) -> Vec<Key> {
        let name = |number| format!("{}{number}", self.tag_prefix());
        REPOSITORIES
            .iter()
            .flat_map(|repository| (0..TAGS).map(move |number| (*repository, name(number))))
            .collect()
    }

    pub(crate) fn tag_prefix(&self) -> String {
        format!("worker{}-", self.number)
    }

    /// Works until the server is gone, which it may only be once `killing` says so.
    pub(crate) fn live(&mut self, killing: &AtomicBool) {
        loop {
            if let Err(lost) = self.step() {
                assert!(killing.load(Ordering::SeqCst), "nobody had killed the server: {lost}");
                return;
            }
        }
    }

    fn step(&mut self) -> Result<(), Lost> {
        self.known.forget_expired(Instant::now());
        if self.known.manifests.len() > MANIFESTS {
            return self.delete_manifest();
        }
        match self.dice.below(20) {
            0..6 => self.push_image(None),
            6..8 => self.push_referrer(),
            8..10 => self.push_index(),
            10..13 => self.move_tag(),
            13 => self.delete_tag(),
            14 => self.delete_manifest(),
            15 => self.delete_blob(),
            _ => self.upload_step(),
        }
    }

    /// An image of some blobs, under a tag, under several, or under none.
    fn push_image(&mut self, subject: Option<&str>) -> Result<(), Lost> {
        let repository = *self.dice.pick(&REPOSITORIES);
        let shared = Arc::clone(&self.shared);
        let own: Vec<Content> = (0..=self.dice.below(2)).map(|_| self.new_content()).collect();
        let mut blobs: Vec<&Content> = own.iter().collect();
        for _ in 0..self.dice.below(3) {
            blobs.push(self.dice.pick(&shared));
        }
        for blob in &blobs {
            if repository == REPOSITORIES[1] && self.dice.below(2) == 0 {
                self.mount(blob)?;
            } else {
                self.push_blob(repository, blob)?;
            }
        }
        self.labels += 1;
        let label = format!("worker {} manifest {}", self.number, self.labels);
        let manifest = Arc::new(Manifest::image(&blobs, subject, &label));
        let tags = self.some_tags();
        self.put_manifest(repository, &manifest, tags)
    }

    /// Something that refers to a manifest, or to one that never comes.
    fn push_referrer(&mut self) -> Result<(), Lost> {
        let subjects: Vec<String> = self.known.manifests.keys().map(|(_, digest)| digest.clone()).collect();
        let subject = if subjects.is_empty() || self.dice.below(8) == 0 {
            testkit::sha256(format!("{}{}", self.tag_prefix(), self.labels).as_bytes())
        } else {
            self.dice.pick(&subjects).clone()
        };
        self.push_image(Some(&subject))
    }

    fn push_index(&mut self) -> Result<(), Lost> {
        let repository = *self.dice.pick(&REPOSITORIES);
        let mut candidates: Vec<Arc<Manifest>> = self.manifests_in(repository);
        let mut children = Vec::new();
        while children.len() < 2 && !candidates.is_empty() {
            children.push(candidates.swap_remove(self.dice.below(candidates.len())));
        }
        self.labels += 1;
        let label = format!("worker {} index {}", self.number, self.labels);
        let children: Vec<&Manifest> = children.iter().map(Arc::as_ref).collect();
        let index = Arc::new(Manifest::index(&children, &label));
        let tags = self.some_tags();
        self.put_manifest(repository, &index, tags)
    }

    /// Points tags of this worker at a manifest that is there.
    fn move_tag(&mut self) -> Result<(), Lost> {
        let repository = *self.dice.pick(&REPOSITORIES);
        let candidates = self.manifests_in(repository);
        if candidates.is_empty() {
            return Ok(());
        }
        let manifest = Arc::clone(self.dice.pick(&candidates));
        let tags = self.some_tags();
        self.put_manifest(repository, &manifest, tags)
    }

    fn delete_tag(&mut self) -> Result<(), Lost> {
        let tags: Vec<Key> = self.known.tags.keys().cloned().collect();
        if tags.is_empty() {
            return Ok(());
        }
        let key = self.dice.pick(&tags).clone();
        let target = format!("/v2/{}/manifests/{}", key.0, key.1);
        let change = Change::TagDeleted(key);
        self.request(plain("DELETE", &target), Some(&change))?.expect(&[202]);
        self.known.apply(&change);
        Ok(())
    }

    fn delete_manifest(&mut self) -> Result<(), Lost> {
        let keys: Vec<Key> = self.known.manifests.keys().cloned().collect();
        if keys.is_empty() {
            return Ok(());
        }
        let key = self.dice.pick(&keys).clone();
        let (held, perhaps_held) = self.known.holders(&key);
        let expected: &[u16] = match (held, perhaps_held) {
            (true, _) => &[403],
            (false, true) => &[202, 403],
            (false, false) => &[202],
        };
        let target = format!("/v2/{}/manifests/{}", key.0, key.1);
        let change = Change::ManifestDeleted(key);
        // What is refused changes nothing, whether or not the refusal arrives.
        let pending = (!held).then_some(&change);
        if self.request(plain("DELETE", &target), pending)?.expect(expected).status == 202 {
            self.known.apply(&change);
        }
        Ok(())
    }

    /// Pushes a blob that nothing names and takes it away again.
    fn delete_blob(&mut self) -> Result<(), Lost> {
        let content = self.new_content();
        let repository = REPOSITORIES[0];
        self.push_blob(repository, &content)?;
        let key = (repository, content.digest);
        let certain_until = self.known.blobs.get(&key).copied();
        let target = format!("/v2/{}/blobs/{}", key.0, key.1);
        let change = Change::BlobDeleted(key);
        let answer = self.request(plain("DELETE", &target), Some(&change))?.expect(&[202, 404]);
        let collected = certain_until.is_none_or(|until| Instant::now() >= until);
        assert!(answer.status == 202 || collected, "a blob went before its time: {answer}");
        self.known.apply(&change);
        Ok(())
    }

    /// A blob in one of the ways that clients have.
    fn push_blob(&mut self, repository: &'static str, content: &Content) -> Result<(), Lost> {
        let uploads = format!("/v2/{repository}/blobs/uploads/");
        let change = self.stored(repository, content);
        let digest = &content.digest;
        let answer = match self.dice.below(3) {
            0 => {
                let target = format!("{uploads}?digest={digest}");
                let request = Request { body: &content.bytes, ..plain("POST", &target) };
                self.request(request, Some(&change))?
            }
            way => {
                let location = self.request(plain("POST", &uploads), None)?.expect(&[202]).location();
                let mut rest = content.bytes.as_slice();
                if way == 2 {
                    let (first, second) = rest.split_at(rest.len() / 2);
                    self.request(Request { body: first, ..plain("PATCH", &location) }, None)?.expect(&[202]);
                    rest = second;
                }
                let target = format!("{location}?digest={digest}");
                self.request(Request { body: rest, ..plain("PUT", &target) }, Some(&change))?
            }
        };
        answer.expect(&[201]);
        self.known.apply(&change);
        Ok(())
    }

    /// Pushes a blob to the first repository and mounts it from there to the second.
    fn mount(&mut self, content: &Content) -> Result<(), Lost> {
        let [source, target] = REPOSITORIES;
        self.push_blob(source, content)?;
        let change = self.stored(target, content);
        let path = format!("/v2/{target}/blobs/uploads/?mount={}&from={source}", content.digest);
        let answer = self.request(plain("POST", &path), Some(&change))?.expect(&[201, 202]);
        if answer.status == 201 {
            self.known.apply(&change);
            return Ok(());
        }
        let certain = self.known.blob_is_certain(&(source, content.digest.clone()), Instant::now());
        assert!(!certain, "a blob that has to be there was not mounted: {answer}");
        self.push_blob(target, content)
    }

    fn put_manifest(
        &mut self,
        repository: &'static str,
        manifest: &Arc<Manifest>,
        tags: Vec<String>,
    ) -> Result<(), Lost> {
        let mut target = format!("/v2/{repository}/manifests/");
        if tags.len() == 1 && self.dice.below(2) == 0 {
            target.push_str(&tags[0]);
        } else {
            target.push_str(&manifest.digest);
            for (count, tag) in tags.iter().enumerate() {
                target.extend([if count == 0 { "?tag=" } else { "&tag=" }, tag]);
            }
        }
        let change = Change::ManifestPut { repository, manifest: Arc::clone(manifest), tags };
        let headers = [("content-type", manifest.media_type)];
        let request = Request { method: "PUT", target: &target, headers: &headers, body: &manifest.body };
        let answer = self.request(request, Some(&change))?;
        if answer.refuses_with("MANIFEST_BLOB_UNKNOWN") {
            let now = Instant::now();
            let complete = manifest
                .blobs
                .iter()
                .all(|digest| self.known.blob_is_certain(&(repository, digest.clone()), now));
            assert!(!complete, "a blob that has to be there is not: {answer}");
            return Ok(());
        }
        answer.expect(&[201]);
        self.known.apply(&change);
        Ok(())
    }

    /// The next request of the upload that goes on over kills.
    fn upload_step(&mut self) -> Result<(), Lost> {
        let Some(mut upload) = self.upload.take() else { return self.upload_begin() };
        if Instant::now() >= upload.expires {
            return Ok(());
        }
        let rest = upload.content.bytes.len() - upload.offset;
        if rest > 0 && upload.closing.is_none() && self.dice.below(3) > 0 {
            let end = upload.offset + 1 + self.dice.below(rest);
            let expires = Instant::now() + self.promises.upload;
            let range = format!("{}-{}", upload.offset, end - 1);
            let headers = [("content-range", range.as_str())];
            let body = &upload.content.bytes[upload.offset..end];
            let request = Request { method: "PATCH", target: &upload.location, headers: &headers, body };
            let sent = self.request(request, None);
            if sent.is_err() {
                upload.perhaps = Some(end);
            } else {
                upload.offset = end;
                upload.expires = expires;
            }
            self.upload = Some(upload);
            sent?.expect(&[202]);
            return Ok(());
        }
        let repository = REPOSITORIES[0];
        // A repeated closing request is answered from the session: only the first one stored the blob.
        let change = upload.closing.take().unwrap_or_else(|| self.stored(repository, &upload.content));
        let target = format!("{}?digest={}", upload.location, upload.content.digest);
        let request = Request { body: &upload.content.bytes[upload.offset..], ..plain("PUT", &target) };
        let sent = self.request(request, Some(&change));
        if sent.is_err() {
            upload.closing = Some(change.clone());
            self.upload = Some(upload);
        }
        sent?.expect(&[201]);
        self.known.apply(&change);
        Ok(())
    }

    fn upload_begin(&mut self) -> Result<(), Lost> {
        let expires = Instant::now() + self.promises.upload;
        let target = format!("/v2/{}/blobs/uploads/", REPOSITORIES[0]);
        let location = self.request(plain("POST", &target), None)?.expect(&[202]).location();
        let content = self.new_content();
        self.upload =
            Some(OpenUpload { location, content, offset: 0, perhaps: None, closing: None, expires });
        Ok(())
    }

    /// Sends a request. When no answer comes, the change that it asked for is pending.
    fn request(&mut self, request: Request<'_>, change: Option<&Change>) -> Result<Answer, Lost> {
        let answered = self.wire.send(request);
        match &answered {
            Ok(answer) => {
                assert!(answer.status < 500, "the server failed: {answer}");
                self.acknowledged += 1;
            }
            Err(_) => self.pending = change.cloned(),
        }
        answered
    }

    fn stored(&self, repository: &'static str, content: &Content) -> Change {
        // Counted from before the request, so that the server's own count never ends earlier.
        let promised_until = Instant::now() + self.promises.grace;
        Change::BlobStored { key: (repository, content.digest.clone()), promised_until }
    }

    fn manifests_in(&self, repository: &str) -> Vec<Arc<Manifest>> {
        let here = self.known.manifests.iter().filter(|((place, _), _)| *place == repository);
        here.map(|(_, manifest)| Arc::clone(manifest)).collect()
    }

    /// Mostly one tag; several, or none, now and then.
    fn some_tags(&mut self) -> Vec<String> {
        let count = [0, 1, 1, 1, 2, 3][self.dice.below(6)];
        let prefix = self.tag_prefix();
        let tags: BTreeSet<String> =
            (0..count).map(|_| format!("{prefix}{}", self.dice.below(TAGS))).collect();
        tags.into_iter().collect()
    }

    /// Content of this worker alone. Some of it is longer than the pieces in which the server writes.
    fn new_content(&mut self) -> Content {
        let size = match self.dice.below(10) {
            0..6 => 100 + self.dice.below(4_000),
            6..9 => 10_000 + self.dice.below(50_000),
            _ => 270_000 + self.dice.below(300_000),
        };
        Content::random(&mut self.dice, size)
    }
}
