//! Clients and collectors at the same few digests.
//!
//! Three kinds of manifests over the same blobs. *Lone* ones are pushed once and never again, so one that is
//! there before and after a look was there all the time. *Common* ones are pushed and deleted by everybody;
//! a count of the deletions tells whether one came in between. *Indexes* are lone, and hold children that are
//! common.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::scope;
use std::time::{Duration, Instant};

use testkit::{Options, Server, run};

use crate::client::Client;
use crate::content::{Content, Dice, Manifest};

const REPOSITORIES: [&str; 2] = ["demo/main/one", "demo/main/two"];
const CLIENTS: usize = 8;
/// Clients that do nothing but pull blobs, so that some of them are just being deleted.
const READERS: usize = 3;
const TAGS: [&str; 3] = ["red", "green", "blue"];
/// Lone manifests that a client keeps.
const KEPT: usize = 1;
/// Seconds of a race when nobody asks for another number.
const SECONDS: u64 = 12;

/// What all clients share.
struct Ground {
    blobs: Vec<Content>,
    common: Vec<Common>,
    /// Named by indexes, and otherwise left alone.
    children: Vec<Manifest>,
    over: AtomicBool,
    manifests: AtomicU64,
    refused: AtomicU64,
    checked: AtomicU64,
}

/// A manifest that everybody pushes and deletes, and the deletions in each repository.
struct Common {
    manifest: Manifest,
    deletions: [Deletions; REPOSITORIES.len()],
}

#[derive(Default)]
struct Deletions {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Deletions {
    /// A mark at a moment when no deletion is under way.
    fn quiet(&self) -> Option<u64> {
        let ended = self.ended.load(Ordering::SeqCst);
        (self.begun.load(Ordering::SeqCst) == ended).then_some(ended)
    }

    /// Whether none has begun since the mark.
    fn none_since(&self, mark: u64) -> bool {
        self.begun.load(Ordering::SeqCst) == mark
    }
}

#[test]
fn no_manifest_loses_a_blob_to_a_collector_that_runs_every_second() {
    race("1s", 1);
}

#[test]
fn no_manifest_loses_a_blob_to_a_collector_that_never_rests() {
    race("1ms", 2);
}

fn race(interval: &str, seed: u64) {
    let seconds = std::env::var("LARDER_RACE_SECONDS").map_or(SECONDS, |text| {
        text.parse().unwrap_or_else(|_| panic!("LARDER_RACE_SECONDS={text} is no number"))
    });
    let server = Server::start(
        Options::new(env!("CARGO_BIN_EXE_larder"))
            .env("LARDER_GC__INTERVAL", interval)
            .env("LARDER_GC__GRACE", "0s")
            .env("LARDER_GC__TRASH_DELAY", "0s")
            .env("LARDER_LOG__LEVEL", "warn"),
    );
    let token = Client::token(&server);
    let ground = Ground::new(seed);
    let deadline = Instant::now() + Duration::from_secs(seconds);
    scope(|scope| {
        for number in 0..CLIENTS {
            let racer = Racer {
                number,
                client: Client::new(&server, &token),
                dice: Dice::new((seed << 32) + number as u64),
                ground: &ground,
                lone: Vec::new(),
                labels: 0,
            };
            scope.spawn(move || racer.race());
        }
        for number in 0..READERS {
            let (mut client, mut dice) =
                (Client::new(&server, &token), Dice::new((seed << 40) + number as u64));
            let ground = &ground;
            scope.spawn(move || {
                let _end = EndOnPanic(&ground.over);
                while !ground.over.load(Ordering::SeqCst) {
                    let (repository, blob) = (*dice.pick(&REPOSITORIES), dice.pick(&ground.blobs));
                    client.has_blob(repository, &blob.digest);
                }
            });
        }
        // A second collector beside the one in the server, as an administrator may run it.
        while Instant::now() < deadline && !ground.over.load(Ordering::SeqCst) {
            run(&mut server.command(&["gc", "--once"])).success();
            std::thread::sleep(Duration::from_millis(50));
        }
        ground.over.store(true, Ordering::SeqCst);
    });
    let [manifests, refused, checked] =
        [&ground.manifests, &ground.refused, &ground.checked].map(|count| count.load(Ordering::SeqCst));
    eprintln!("{manifests} manifests pushed, {refused} refused for a blob that went, {checked} looked at");
    assert!(manifests > 20 && checked > 20, "the clients did not get to push anything");
    run(&mut server.command(&["gc", "--once"])).success();
    run(&mut server.command(&["scrub"])).success().says(" 0 suspects");
}

impl Ground {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let blobs: Vec<Content> = (0..12).map(|number| Content::random(&mut dice, 300 << number)).collect();
        let image = |numbers: &[usize], label: &str| {
            let blobs: Vec<&Content> = numbers.iter().map(|number| &blobs[*number]).collect();
            Manifest::image(&blobs, None, label)
        };
        let common = [[0, 1], [2, 3], [4, 5], [6, 11]];
        let common = common
            .map(|numbers| Common { manifest: image(&numbers, "common"), deletions: Default::default() });
        let children = vec![image(&[6, 7], "child"), image(&[8, 3], "child")];
        Self {
            common: common.into(),
            children,
            blobs,
            over: AtomicBool::new(false),
            manifests: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            checked: AtomicU64::new(0),
        }
    }

    fn blob(&self, digest: &str) -> &Content {
        self.blobs.iter().find(|blob| blob.digest == digest).expect("manifests are made of the blobs")
    }
}

/// A lone manifest of one client.
struct Lone {
    repository: usize,
    manifest: Manifest,
    /// It has no tag and refers to one that was deleted: the collector may take it.
    may_vanish: bool,
}

/// One client.
struct Racer<'a> {
    number: usize,
    client: Client,
    dice: Dice,
    ground: &'a Ground,
    lone: Vec<Lone>,
    labels: u64,
}

/// Ends the race for everybody when one client finds something wrong.
struct EndOnPanic<'a>(&'a AtomicBool);

impl Drop for EndOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::SeqCst);
        }
    }
}

impl Racer<'_> {
    fn race(mut self) {
        let _end = EndOnPanic(&self.ground.over);
        while !self.ground.over.load(Ordering::SeqCst) {
            match self.dice.below(16) {
                0..3 => self.push_common(),
                3..6 => self.push_lone(),
                6..8 => self.push_index(),
                8..10 => self.delete_common(),
                10 => self.delete_blob(),
                11 => self.delete_tag(),
                12 => self.look_at_a_tag(),
                _ => self.look_at_own(),
            }
            if self.lone.len() > KEPT {
                self.delete_lone();
            }
        }
        for lone in std::mem::take(&mut self.lone) {
            self.look_at_lone(&lone);
        }
    }

    fn push_common(&mut self) {
        let (ground, place) = (self.ground, self.dice.below(REPOSITORIES.len()));
        let common = self.dice.pick(&ground.common);
        let by_tag = self.dice.below(2) == 0;
        let tag = *self.dice.pick(&TAGS);
        let reference = if by_tag { tag } else { &common.manifest.digest };
        if self.push(place, reference, &common.manifest) {
            self.look_at_common(place, common);
        }
    }

    /// An image that nobody else pushes; now and then one that refers to another of this client.
    fn push_lone(&mut self) {
        let (ground, place) = (self.ground, self.dice.below(REPOSITORIES.len()));
        let here: Vec<&Lone> =
            self.lone.iter().filter(|lone| lone.repository == place && !lone.may_vanish).collect();
        let subject = if here.is_empty() || self.dice.below(3) > 0 {
            None
        } else {
            Some(self.dice.pick(&here).manifest.digest.clone())
        };
        let blobs: Vec<&Content> = (0..=self.dice.below(3)).map(|_| self.dice.pick(&ground.blobs)).collect();
        let manifest = Manifest::image(&blobs, subject.as_deref(), &self.label());
        let digest = manifest.digest.clone();
        if self.push(place, &digest, &manifest) {
            let lone = Lone { repository: place, manifest, may_vanish: false };
            assert!(self.look_at_lone(&lone), "a manifest that was just pushed is not there");
            self.lone.push(lone);
        }
    }

    fn push_index(&mut self) {
        let (ground, place) = (self.ground, self.dice.below(REPOSITORIES.len()));
        let children: Vec<&Manifest> = ground.children.iter().collect();
        for child in &children {
            self.push(place, &child.digest, child);
        }
        let manifest = Manifest::index(&children, &self.label());
        let digest = manifest.digest.clone();
        if self.push(place, &digest, &manifest) {
            let lone = Lone { repository: place, manifest, may_vanish: false };
            assert!(self.look_at_lone(&lone), "an index that was just pushed is not there");
            self.lone.push(lone);
        }
    }

    /// Sees to it that the blobs are there, as clients do, and puts the manifest.
    fn push(&mut self, place: usize, reference: &str, manifest: &Manifest) -> bool {
        for digest in &manifest.blobs {
            self.offer_blob(place, digest);
        }
        let pushed = self.client.manifest_put(REPOSITORIES[place], reference, manifest);
        let count = if pushed { &self.ground.manifests } else { &self.ground.refused };
        count.fetch_add(1, Ordering::SeqCst);
        pushed
    }

    /// Asks for a blob, then for a mount, and only then sends the bytes.
    fn offer_blob(&mut self, place: usize, digest: &str) {
        let (repository, other) = (REPOSITORIES[place], REPOSITORIES[1 - place]);
        let target = format!("/v2/{repository}/blobs/{digest}");
        if self.dice.below(3) > 0 && self.client.plain("HEAD", &target, &[200, 404]).status == 200 {
            return;
        }
        if self.dice.below(2) == 0 {
            let target = format!("/v2/{repository}/blobs/uploads/?mount={digest}&from={other}");
            let answer = self.client.plain("POST", &target, &[201, 202]);
            if answer.status == 201 {
                return;
            }
            self.client.plain("DELETE", &answer.location(), &[204]);
        }
        let in_parts = self.dice.below(2) == 0;
        self.client.blob_push(repository, self.ground.blob(digest), in_parts);
    }

    fn delete_common(&mut self) {
        let place = self.dice.below(REPOSITORIES.len());
        let common = self.dice.pick(&self.ground.common);
        let target = format!("/v2/{}/manifests/{}", REPOSITORIES[place], common.manifest.digest);
        let deletions = &common.deletions[place];
        deletions.begun.fetch_add(1, Ordering::SeqCst);
        self.client.plain("DELETE", &target, &[202, 404]);
        deletions.ended.fetch_add(1, Ordering::SeqCst);
    }

    fn delete_lone(&mut self) {
        let lone = self.lone.swap_remove(self.dice.below(self.lone.len()));
        let target = format!("/v2/{}/manifests/{}", REPOSITORIES[lone.repository], lone.manifest.digest);
        let expected: &[u16] = if lone.may_vanish { &[202, 404] } else { &[202] };
        self.client.plain("DELETE", &target, expected);
        let mut gone = vec![lone.manifest.digest];
        // What refers to it goes with it, and what refers to that.
        while let Some(subject) = gone.pop() {
            for other in &mut self.lone {
                if other.manifest.subject.as_deref() == Some(&subject) && !other.may_vanish {
                    other.may_vanish = true;
                    gone.push(other.manifest.digest.clone());
                }
            }
        }
    }

    /// A blob that a manifest names is refused to go.
    fn delete_blob(&mut self) {
        let repository = *self.dice.pick(&REPOSITORIES);
        let blob = self.dice.pick(&self.ground.blobs);
        let target = format!("/v2/{repository}/blobs/{}", blob.digest);
        self.client.plain("DELETE", &target, &[202, 403, 404]);
    }

    fn delete_tag(&mut self) {
        let repository = *self.dice.pick(&REPOSITORIES);
        let tag = *self.dice.pick(&TAGS);
        self.client.plain("DELETE", &format!("/v2/{repository}/manifests/{tag}"), &[202, 404]);
    }

    fn look_at_own(&mut self) {
        if self.lone.is_empty() {
            return;
        }
        let lone = self.lone.swap_remove(self.dice.below(self.lone.len()));
        let there = self.look_at_lone(&lone);
        assert!(there || lone.may_vanish, "client {}: a manifest is gone that nobody deleted", self.number);
        if there {
            self.lone.push(lone);
        }
    }

    /// A tag leads to a manifest that is all there.
    fn look_at_a_tag(&mut self) {
        let (ground, place) = (self.ground, self.dice.below(REPOSITORIES.len()));
        let tag = *self.dice.pick(&TAGS);
        if let Some(digest) = self.client.resolve(REPOSITORIES[place], tag) {
            let tagged = ground.common.iter().find(|common| common.manifest.digest == digest);
            self.look_at_common(place, tagged.expect("tags are only put on common manifests"));
        }
    }

    /// Everything that a lone manifest names is there as long as the manifest is. Tells whether it is.
    fn look_at_lone(&mut self, lone: &Lone) -> bool {
        let (repository, digest) = (REPOSITORIES[lone.repository], &lone.manifest.digest);
        if !self.client.has_manifest(repository, digest) {
            return false;
        }
        self.ground.checked.fetch_add(1, Ordering::SeqCst);
        let ground = self.ground;
        let children = ground.children.iter().filter(|child| lone.manifest.children.contains(&child.digest));
        let mut missing = Vec::new();
        for child in children.chain([&lone.manifest]) {
            if !self.client.has_manifest(repository, &child.digest) {
                missing.push(&child.digest);
            }
            let blobs = child.blobs.iter().filter(|blob| !self.client.has_blob(repository, blob));
            missing.extend(blobs);
        }
        let still_there = self.client.has_manifest(repository, digest);
        assert!(
            missing.is_empty() || !still_there,
            "{digest} is there, and of what it names is not: {missing:?}"
        );
        still_there
    }

    /// The same for a common manifest, unless somebody deleted it meanwhile.
    fn look_at_common(&mut self, place: usize, common: &Common) {
        let repository = REPOSITORIES[place];
        let Some(mark) = common.deletions[place].quiet() else { return };
        if !self.client.has_manifest(repository, &common.manifest.digest) {
            return;
        }
        self.ground.checked.fetch_add(1, Ordering::SeqCst);
        let blobs = common.manifest.blobs.iter();
        let missing: Vec<&String> = blobs.filter(|blob| !self.client.has_blob(repository, blob)).collect();
        let untouched = common.deletions[place].none_since(mark);
        assert!(
            missing.is_empty() || !untouched,
            "{} is there, and of what it names is not: {missing:?}",
            common.manifest.digest
        );
    }

    fn label(&mut self) -> String {
        self.labels += 1;
        format!("client {} manifest {}", self.number, self.labels)
    }
}
