//! Clients at all replicas and at the same few blobs, while every replica collects all the time and protects
//! nothing, the database's connections are cut and replicas are killed.
//!
//! A client owns the manifests that it pushes. What was acknowledged to it has to be there whole until it
//! asks for the deletion; a request that was not answered, or answered with a failure that the server owns up
//! to, may have happened or not.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::scope;
use std::time::{Duration, Instant};

use testkit::{Replicas, run, sha256};

use crate::content::{Content, Dice, Manifest};
use crate::scene::{Scene, options};
use crate::wire::{Answer, Request, Wire, plain};

const REPOSITORIES: [&str; 2] = ["demo/main/one", "demo/main/two"];
const CLIENTS: usize = 8;
/// Manifests that a client keeps.
const KEPT: usize = 2;
/// How long a tag may be told as it was by a replica that just lost the database.
const STALE: Duration = Duration::from_secs(2);
/// Seconds of the race when nobody asks for another number.
const SECONDS: u64 = 30;

/// What all clients share.
struct Ground {
    hosts: Vec<String>,
    token: String,
    blobs: Vec<Content>,
    over: AtomicBool,
    pushed: AtomicU64,
    refused: AtomicU64,
    checked: AtomicU64,
    unanswered: AtomicU64,
    put_off: AtomicU64,
    stale: AtomicU64,
}

/// Where a manifest is: the repository's number, and the tag or, without one, the digest.
type Place = (usize, String);

/// A manifest that was acknowledged, and when.
struct Known {
    manifest: Manifest,
    since: Instant,
}

/// One client.
struct Racer<'a> {
    number: usize,
    dice: Dice,
    ground: &'a Ground,
    wires: Vec<Wire>,
    known: BTreeMap<Place, Known>,
    /// Manifests that may still be there and that nobody wants: they would keep their blobs for ever.
    litter: Vec<(usize, String)>,
    labels: u64,
    /// Part of the names of tags. A request that was not answered may still come to pass, so no later one
    /// names the same tag.
    generation: u64,
}

#[test]
fn i2_i3_i8_i9_nothing_acknowledged_is_lost_to_collectors_kills_and_cut_connections() {
    let seconds = std::env::var("LARDER_RACE_SECONDS").map_or(SECONDS, |text| {
        text.parse().unwrap_or_else(|_| panic!("LARDER_RACE_SECONDS={text} is no number"))
    });
    let mut scene = Scene::with(
        3,
        options()
            .env("LARDER_GC__INTERVAL", "1s")
            .env("LARDER_GC__GRACE", "0s")
            .env("LARDER_GC__TRASH_DELAY", "0s")
            .env("LARDER_UPLOADS__OPEN_PER_USER", "100000")
            .env("LARDER_LOG__LEVEL", "error"),
    );
    let mut dice = Dice::new(5);
    let ground = Ground {
        hosts: scene.hosts(),
        token: scene.token.clone(),
        blobs: (0..12).map(|number| Content::random(&mut dice, 300 << number)).collect(),
        over: AtomicBool::new(false),
        pushed: AtomicU64::new(0),
        refused: AtomicU64::new(0),
        checked: AtomicU64::new(0),
        unanswered: AtomicU64::new(0),
        put_off: AtomicU64::new(0),
        stale: AtomicU64::new(0),
    };
    let mut collector = scene.replicas.replica(0).command(&["gc", "--once"]);
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let (mut cuts, mut kills) = (0, 0);
    let (mut racers, collected) = scope(|threads| {
        let racers: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let mut racer = Racer::new(number, &ground);
                threads.spawn(move || {
                    let _end = EndOnPanic(&racer.ground.over);
                    while !racer.ground.over.load(Ordering::SeqCst) {
                        racer.step();
                    }
                    racer
                })
            })
            .collect();
        // A collector beside those in the replicas. A cut connection may end it.
        let collecting = threads.spawn(|| {
            let mut collected = 0;
            while !ground.over.load(Ordering::SeqCst) {
                collected += u64::from(run(&mut collector).status.success());
                std::thread::sleep(Duration::from_millis(100));
            }
            collected
        });
        let _end = EndOnPanic(&ground.over);
        while Instant::now() < deadline && !ground.over.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_secs(1));
            cuts += scene.replicas.database().cut_connections();
            if dice.below(3) == 0 {
                let victim = dice.below(scene.replicas.count());
                scene.replicas.kill9(victim);
                kills += 1;
                std::thread::sleep(Duration::from_millis(200 + dice.below(1500) as u64));
                scene.replicas.restart(victim);
            }
        }
        ground.over.store(true, Ordering::SeqCst);
        let racers: Vec<Racer<'_>> =
            racers.into_iter().map(|racer| racer.join().expect("a racer finds nothing wrong")).collect();
        (racers, collecting.join().expect("collectors end"))
    });
    ground.report();
    eprintln!("{cuts} connections cut, {kills} kills, {collected} collections beside the replicas'");
    assert!(ground.pushed.load(Ordering::SeqCst) > 20, "the clients did not get to push anything");
    assert!(ground.refused.load(Ordering::SeqCst) > 0, "no collector got to a blob before a manifest did");
    assert!(cuts > 0 && kills > 0 && collected > 0, "nothing happened");

    all_is_there(&mut scene.replicas, &mut racers);
}

/// When everything is well again, every replica has what was acknowledged, and the store has what the
/// database says.
fn all_is_there(replicas: &mut Replicas, racers: &mut [Racer<'_>]) {
    let count = replicas.count();
    replicas.balancer().wait_until_healthy(count);
    for racer in racers.iter_mut() {
        racer.wires = racer.ground.wires();
        for place in racer.known.keys().cloned().collect::<Vec<_>>() {
            for replica in 0..count {
                assert!(racer.look_at(&place, replica), "replica {replica} was not well");
            }
        }
    }
    run(&mut replicas.replica(0).command(&["gc", "--once"])).success();
    run(&mut replicas.replica(0).command(&["scrub"])).success().says(" 0 suspects");
    for racer in racers {
        for place in racer.known.keys().cloned().collect::<Vec<_>>() {
            assert!(racer.look_at(&place, 0), "the replica was not well");
        }
    }
}

impl Ground {
    fn wires(&self) -> Vec<Wire> {
        self.hosts.iter().map(|host| Wire::new(host, &self.token)).collect()
    }

    fn report(&self) {
        let [pushed, refused, checked, unanswered, put_off, stale] =
            [&self.pushed, &self.refused, &self.checked, &self.unanswered, &self.put_off, &self.stale]
                .map(|count| count.load(Ordering::SeqCst));
        eprintln!(
            "{pushed} manifests pushed, {refused} refused for a blob that went, {checked} looked at; {unanswered} \
             requests without an answer, {put_off} put off, {stale} answers of a moment ago"
        );
    }
}

/// Ends the race for everybody when one finds something wrong.
struct EndOnPanic<'a>(&'a AtomicBool);

impl Drop for EndOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::SeqCst);
        }
    }
}

impl<'a> Racer<'a> {
    fn new(number: usize, ground: &'a Ground) -> Self {
        let dice = Dice::new(77 + number as u64);
        Self {
            number,
            dice,
            ground,
            wires: ground.wires(),
            known: BTreeMap::new(),
            litter: Vec::new(),
            labels: 0,
            generation: 0,
        }
    }

    fn step(&mut self) {
        match self.dice.below(12) {
            0..6 => self.push(),
            6 => self.delete_blob(),
            7 | 8 => self.clean_up(),
            _ => self.look(),
        }
        if self.known.len() > KEPT {
            let places: Vec<Place> = self.known.keys().cloned().collect();
            let place = self.dice.pick(&places).clone();
            self.give_up(&place);
        }
    }

    /// Sends a request to any replica. `None`: no answer, or one that says that the server cannot now.
    fn send(&mut self, request: Request<'_>, expected: &[u16]) -> Option<Answer> {
        let replica = self.dice.below(self.wires.len());
        self.send_to(replica, request, expected)
    }

    fn send_to(&mut self, replica: usize, request: Request<'_>, expected: &[u16]) -> Option<Answer> {
        match self.wires[replica].send(request) {
            Ok(answer) if answer.status == 503 => {
                assert!(answer.header("retry-after").is_some(), "put off until when? {answer}");
                self.ground.put_off.fetch_add(1, Ordering::SeqCst);
                None
            }
            Ok(answer) => Some(answer.expect(expected)),
            Err(_) => {
                self.ground.unanswered.fetch_add(1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(20));
                None
            }
        }
    }

    /// An image over some of the common blobs, with a tag or without.
    fn push(&mut self) {
        let (ground, repository) = (self.ground, self.dice.below(REPOSITORIES.len()));
        let blobs: Vec<&Content> = (0..=self.dice.below(3)).map(|_| self.dice.pick(&ground.blobs)).collect();
        self.labels += 1;
        let label = format!("client {} manifest {}", self.number, self.labels);
        let manifest = Manifest::image(&blobs, None, &label);
        for blob in blobs {
            if !self.offer_blob(repository, blob) {
                return;
            }
        }
        let reference = match self.dice.below(4) {
            0 => manifest.digest.clone(),
            _ => format!("client{}-{}-{}", self.number, self.generation, self.dice.below(KEPT)),
        };
        let place = (repository, reference);
        let target = target(&place);
        let headers = [("content-type", manifest.media_type)];
        let request = Request { method: "PUT", target: &target, headers: &headers, body: &manifest.body };
        match self.send(request, &[201, 404, 400]) {
            Some(answer) if answer.status == 201 => {
                ground.pushed.fetch_add(1, Ordering::SeqCst);
                let known = Known { manifest, since: Instant::now() };
                if let Some(before) = self.known.insert(place.clone(), known) {
                    self.litter.push((repository, before.manifest.digest));
                }
                let replica = self.dice.below(self.wires.len());
                self.look_at(&place, replica);
            }
            Some(answer) => {
                assert!(answer.refuses_with("MANIFEST_BLOB_UNKNOWN"), "{answer}");
                ground.refused.fetch_add(1, Ordering::SeqCst);
            }
            // The tag may be the old one or the new one.
            None => {
                self.generation += 1;
                self.litter.push((repository, manifest.digest));
                self.give_up(&place);
            }
        }
    }

    /// Does not want a manifest any more. From now on it is not known whether it is there.
    fn give_up(&mut self, place: &Place) {
        if let Some(known) = self.known.remove(place) {
            self.litter.push((place.0, known.manifest.digest));
        }
        self.clean_up();
    }

    /// Deletes what nobody wants.
    fn clean_up(&mut self) {
        for (repository, digest) in std::mem::take(&mut self.litter) {
            let target = format!("/v2/{}/manifests/{digest}", REPOSITORIES[repository]);
            if self.send(plain("DELETE", &target), &[202, 404]).is_none() {
                self.litter.push((repository, digest));
            }
        }
    }

    /// Asks whether the blob is there, or for a mount, and only then sends the bytes. Whether it went well.
    fn offer_blob(&mut self, repository: usize, blob: &Content) -> bool {
        let (name, other) = (REPOSITORIES[repository], REPOSITORIES[1 - repository]);
        let digest = &blob.digest;
        if self.dice.below(3) > 0 {
            let target = format!("/v2/{name}/blobs/{digest}");
            match self.send(plain("HEAD", &target), &[200, 404]) {
                Some(answer) if answer.status == 200 => return true,
                Some(_) => {}
                None => return false,
            }
        }
        let uploads = format!("/v2/{name}/blobs/uploads/");
        match self.dice.below(3) {
            0 => {
                let target = format!("{uploads}?mount={digest}&from={other}");
                match self.send(plain("POST", &target), &[201, 202]) {
                    Some(answer) if answer.status == 202 => self.upload(&answer.location(), blob),
                    answer => answer.is_some(),
                }
            }
            1 => {
                let Some(answer) = self.send(plain("POST", &uploads), &[202]) else { return false };
                self.upload(&answer.location(), blob)
            }
            _ => {
                let target = format!("{uploads}?digest={digest}");
                self.send(Request { body: &blob.bytes, ..plain("POST", &target) }, &[201]).is_some()
            }
        }
    }

    /// In two parts, each to any replica. A client that is not answered gives up.
    fn upload(&mut self, location: &str, blob: &Content) -> bool {
        let location = match location.split_once("://") {
            Some((_, rest)) => &rest[rest.find('/').expect("a location has a path")..],
            None => location,
        };
        let (first, second) = blob.bytes.split_at(blob.bytes.len() / 2);
        if self.send(Request { body: first, ..plain("PATCH", location) }, &[202]).is_none() {
            return false;
        }
        let target = format!("{location}?digest={}", blob.digest);
        self.send(Request { body: second, ..plain("PUT", &target) }, &[201]).is_some()
    }

    /// A blob that a manifest names is refused to go.
    fn delete_blob(&mut self) {
        let ground = self.ground;
        let (repository, blob) = (*self.dice.pick(&REPOSITORIES), self.dice.pick(&ground.blobs));
        self.send(plain("DELETE", &format!("/v2/{repository}/blobs/{}", blob.digest)), &[202, 403, 404]);
    }

    fn look(&mut self) {
        let places: Vec<Place> = self.known.keys().cloned().collect();
        if !places.is_empty() {
            let place = self.dice.pick(&places).clone();
            let replica = self.dice.below(self.wires.len());
            self.look_at(&place, replica);
        }
    }

    /// A manifest that was acknowledged is there at this replica, and everything that it names. Whether the
    /// replica was well enough to say so.
    fn look_at(&mut self, place: &Place, replica: usize) -> bool {
        let Known { manifest, since } = &self.known[place];
        let (digest, blobs, since) = (Some(manifest.digest.clone()), manifest.blobs.clone(), *since);
        let who = format!("client {} at replica {replica}: {}", self.number, REPOSITORIES[place.0]);
        loop {
            let asked = since.elapsed();
            let Some(answer) = self.send_to(replica, plain("GET", &target(place)), &[200, 404]) else {
                return false;
            };
            let found = (answer.status == 200).then(|| sha256(&answer.body));
            if found == digest {
                break;
            }
            // A replica whose connection was just cut may answer as the database did a moment ago.
            let is_late = place.1.starts_with("sha256:") || asked > STALE;
            assert!(!is_late, "{who}: {} is {found:?} and not {digest:?} after {asked:?}", place.1);
            self.ground.stale.fetch_add(1, Ordering::SeqCst);
        }
        for blob in blobs {
            let target = format!("/v2/{}/blobs/{blob}", REPOSITORIES[place.0]);
            let Some(answer) = self.send_to(replica, plain("GET", &target), &[200, 404]) else {
                return false;
            };
            assert_eq!(answer.status, 200, "{who}: {} lost the blob {blob}", place.1);
            assert_eq!(sha256(&answer.body), blob, "{who}: wrong content");
        }
        self.ground.checked.fetch_add(1, Ordering::SeqCst);
        true
    }
}

fn target((repository, reference): &Place) -> String {
    format!("/v2/{}/manifests/{reference}", REPOSITORIES[*repository])
}
