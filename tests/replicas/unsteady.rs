//! An object store that fails every tenth request, in every way that networks and servers have.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::scope;
use std::time::{Duration, Instant};

use reqwest::blocking::Client;
use testkit::bucket::S3;
use testkit::fault::{Fault, Proxy, Rule};
use testkit::{run, sha256};

use crate::content::{Content, Dice};
use crate::scene::{Exchanged, Scene, client, exchange, options};

const REPOSITORY: &str = "demo/main/unsteady";
const SEED: u64 = 11;
/// How many blobs of how many bytes.
const SIZES: [(usize, usize); 4] = [(100, 1), (150, 100 << 10), (24, 6 << 20), (6, 20 << 20)];
const CLIENTS: usize = 4;
/// A user tries as often before giving up.
const TRIES: usize = 8;

/// Two replicas whose requests to the bucket meet the faults.
struct Unsteady {
    client: Client,
    hosts: Vec<String>,
    token: String,
    /// Requests that were refused or ended in nothing, and all of them.
    failed: AtomicUsize,
    asked: AtomicUsize,
}

#[test]
fn i1_i3_a_store_that_fails_every_tenth_request_makes_nothing_wrong() {
    let proxy = Proxy::http(S3::shared().address(), SEED);
    let bucket = S3::shared().bucket();
    let scene = Scene::with(2, options().bucket(&bucket.through(&proxy)));
    let unsteady = Unsteady {
        client: client(Duration::from_mins(2)),
        hosts: scene.hosts(),
        token: scene.token.clone(),
        failed: AtomicUsize::new(0),
        asked: AtomicUsize::new(0),
    };
    for fault in [
        Fault::Answer(500, "InternalError"),
        Fault::Answer(503, "SlowDown"),
        Fault::ResetBeforeBody,
        Fault::ResetDuringBody,
        Fault::ResetAfterBody,
    ] {
        proxy.add(Rule::new(fault).chance(0.016));
    }
    for length in [0, 1, 100_000, 3 << 20] {
        proxy.add(Rule::new(Fault::Truncate(length)).method("GET").chance(0.03));
    }

    let mut dice = Dice::new(SEED);
    let mut blobs: Vec<(usize, u64)> = SIZES
        .iter()
        .flat_map(|(count, size)| (0..*count).map(|number| (*size, number as u64)).collect::<Vec<_>>())
        .collect();
    for last in (1..blobs.len()).rev() {
        blobs.swap(last, dice.below(last + 1));
    }
    let (next, stored, began) = (AtomicUsize::new(0), Mutex::new(Vec::new()), Instant::now());
    scope(|threads| {
        for number in 0..CLIENTS {
            let (unsteady, blobs, next, stored) = (&unsteady, &blobs, &next, &stored);
            threads.spawn(move || {
                let mut dice = Dice::new(number as u64 + 100);
                while let Some((size, seed)) = blobs.get(next.fetch_add(1, Ordering::SeqCst)) {
                    // One byte has 256 values, and a hundred blobs of it are mostly the same ones again.
                    let content = Content::random(&mut Dice::new(seed + *size as u64 * 1000 + 1), *size);
                    if unsteady.push(&content, &mut dice) {
                        unsteady.pull(&content.digest, &mut dice);
                        stored.lock().expect("nobody panics with it").push(content.digest);
                    }
                }
            });
        }
    });
    let stored = stored.into_inner().expect("nobody panics with it");
    let (asked, failed) = (unsteady.asked.load(Ordering::SeqCst), unsteady.failed.load(Ordering::SeqCst));
    eprintln!(
        "{} of {} blobs stored in {:?}; {failed} of {asked} requests failed, {} faults in {} requests to the bucket",
        stored.len(),
        blobs.len(),
        began.elapsed(),
        proxy.faults(),
        proxy.requests(),
    );
    assert!(proxy.faults() * 20 > proxy.requests(), "the store did not fail often");
    assert!(failed * 5 < asked, "the replicas do not try again what failed at the store");
    assert_eq!(stored.len(), blobs.len(), "a user who tries {TRIES} times gets through");

    proxy.clear();
    let mut wire = scene.balanced();
    for digest in &stored {
        wire.blob_has(REPOSITORY, digest);
    }
    run(&mut scene.replicas.replica(0).command(&["scrub"])).success().says(" 0 suspects");
}

impl Unsteady {
    /// Pushes a blob in one of the ways that clients have, as often as a user would try. Whether it is
    /// acknowledged in the end.
    fn push(&self, content: &Content, dice: &mut Dice) -> bool {
        (0..TRIES).any(|_| match dice.below(3) {
            0 => self.push_in_one(content, dice),
            _ => self.push_in_parts(content, dice).unwrap_or(false),
        })
    }

    fn push_in_one(&self, content: &Content, dice: &mut Dice) -> bool {
        let target = format!("/v2/{REPOSITORY}/blobs/uploads/?digest={}", content.digest);
        self.ask(dice, "POST", &target, None, &content.bytes, &[201]).is_some()
    }

    /// In chunks at either replica. What is not acknowledged is looked up, as the protocol has it.
    fn push_in_parts(&self, content: &Content, dice: &mut Dice) -> Option<bool> {
        let target = format!("/v2/{REPOSITORY}/blobs/uploads/");
        let opened = self.ask(dice, "POST", &target, None, &[], &[202])?;
        let location = path_of(opened.header("location")?);
        let (mut offset, mut lost) = (0, 0);
        while offset < content.bytes.len() {
            let end = offset + 1 + dice.below(content.bytes.len() - offset);
            let range = format!("{offset}-{}", end - 1);
            let sent = self.ask(dice, "PATCH", &location, Some(range), &content.bytes[offset..end], &[202]);
            if sent.is_some() {
                offset = end;
                continue;
            }
            lost += 1;
            if lost > TRIES {
                return None;
            }
            let status = self.ask(dice, "GET", &location, None, &[], &[204])?;
            let last: usize = status.header("range")?.split_once('-')?.1.parse().unwrap_or(0);
            // A range cannot say "nothing yet".
            let stands = if last == 0 && offset == 0 { 0 } else { last + 1 };
            assert!((offset..=end).contains(&stands), "{offset} to {end} were sent, it stands at {stands}");
            offset = stands;
        }
        let target = format!("{location}?digest={}", content.digest);
        let closed = (0..3).any(|_| self.ask(dice, "PUT", &target, None, &[], &[201]).is_some());
        Some(closed)
    }

    /// Pulls what was acknowledged: what comes whole is right, and after some tries it does come.
    fn pull(&self, digest: &str, dice: &mut Dice) {
        let target = format!("/v2/{REPOSITORY}/blobs/{digest}");
        let pulled = (0..TRIES).any(|_| match self.ask(dice, "GET", &target, None, &[], &[200]) {
            Some(answer) => {
                assert_eq!(sha256(&answer.body), digest, "wrong content came as if it were whole");
                true
            }
            None => false,
        });
        assert!(pulled, "{digest} was acknowledged and cannot be pulled");
    }

    /// The answer, if it is one of those that were hoped for. Anything else has to be a failure of the server
    /// that it owns up to.
    fn ask(
        &self,
        dice: &mut Dice,
        method: &str,
        target: &str,
        range: Option<String>,
        body: &[u8],
        hoped_for: &[u16],
    ) -> Option<Exchanged> {
        let url = format!("http://{}{target}", dice.pick(&self.hosts));
        let verb = method.parse().expect("a method is a token");
        let mut request = self
            .client
            .request(verb, url)
            .bearer_auth(&self.token)
            // From the server itself: what the client would get from the bucket is no concern of ours.
            .header("larder-redirect", "never");
        if let Some(range) = range {
            request = request.header("content-range", range);
        }
        request =
            if body.is_empty() { request.header("content-length", "0") } else { request.body(body.to_vec()) };
        self.asked.fetch_add(1, Ordering::SeqCst);
        let failure = match exchange(request) {
            Ok(answer) if hoped_for.contains(&answer.status) => return Some(answer),
            Ok(answer) => {
                let text = String::from_utf8_lossy(&answer.body).into_owned();
                // After a failure the client's idea of the upload may be old, and the upload may be gone.
                assert!(
                    matches!(answer.status, 404 | 416 | 503),
                    "{target}: an answer that neither succeeds nor tells to try again: {} {text}",
                    answer.status
                );
                format!("{} {text}", answer.status)
            }
            Err(error) => error,
        };
        self.failed.fetch_add(1, Ordering::SeqCst);
        eprintln!("{method} {target}: {failure}");
        None
    }
}

/// A location without the server's address.
fn path_of(location: &str) -> String {
    match location.split_once("://") {
        Some((_, rest)) => rest[rest.find('/').expect("a location has a path")..].to_owned(),
        None => location.to_owned(),
    }
}
