//! One operation on a server of its own: what has to be there before it, the request, and how to tell whether
//! it happened.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::python::BuiltFile;
use testkit::{Options, Server, run, sha256};

use crate::collect_and_scrub;
use crate::content::{Content, Dice, Manifest};
use crate::package;
use crate::points::State;
use crate::wire::{Answer, Lost, Request, Wire, plain};

/// What the process does when it dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// A blob in one request.
    BlobPush,
    /// A part of a blob in a session.
    ChunkAppend,
    /// The closing request of a session, with the rest of the blob.
    UploadFinish,
    /// A manifest with a subject, a new tag and a tag that moves.
    ManifestPush,
    /// A manifest that refers to another and has two tags.
    ManifestDelete,
    /// The second wheel of a release in the Python index.
    PackageUpload,
    /// `larder gc --once` beside the server, with two blobs that nothing names.
    Collection,
}

const REPOSITORY: &str = "demo/main/crash";
const SIGABRT: i32 = 6;
/// How long a process may take to start or to die.
const PATIENCE: Duration = Duration::from_secs(20);
/// Longer than the server needs to come back, so that a session is still there.
const EXPIRE_AFTER: Duration = Duration::from_secs(8);

/// A server on which an operation is about to happen.
#[derive(Debug)]
pub(crate) struct Scenario {
    operation: Operation,
    server: Server,
    wire: Wire,
    /// Two blobs; the first is longer than the pieces in which the server writes.
    blobs: [Content; 2],
    /// An image under the tags `base` and `moving`.
    base: Manifest,
    /// Refers to the base.
    referrer: Manifest,
    /// Two wheels of one release.
    wheels: [BuiltFile; 2],
    /// The location of the session, in the operations that have one.
    location: String,
    /// After this no session of the test is alive.
    expired: Instant,
}

impl Scenario {
    /// Starts a server and brings it to where the operation begins.
    pub(crate) fn prepare(operation: Operation) -> Self {
        let server = Server::start(
            Options::new(env!("CARGO_BIN_EXE_larder"))
                // Collection happens when the test says so.
                .env("LARDER_GC__ENABLED", "false")
                .env("LARDER_GC__GRACE", "0s")
                .env("LARDER_GC__TRASH_DELAY", "0s")
                .env("LARDER_UPLOADS__EXPIRE_AFTER", &format!("{}s", EXPIRE_AFTER.as_secs()))
                .env("LARDER_LOG__LEVEL", "warn"),
        );
        let token = server.api().token_create("crash")["token"].as_str().expect("a token is text").to_owned();
        let wire = Wire::new(&server.host(), &token);
        let mut dice = Dice::new(u64::from(std::process::id()));
        let kept = Content::random(&mut dice, 2_000);
        let blobs = [600_000, 3_000].map(|size| Content::random(&mut dice, size));
        let base = Manifest::image(&[&kept], None, "base");
        let referrer = Manifest::image(&[&blobs[1], &blobs[0]], Some(&base.digest), "referrer");
        let expired = Instant::now();
        let location = String::new();
        let wheels = package::wheels();
        let mut scenario = Self { operation, server, wire, blobs, base, referrer, wheels, location, expired };
        push(&mut scenario.wire, &kept).expect("the server runs").expect(&[201]);
        let target = format!("/v2/{REPOSITORY}/manifests/{}?tag=base&tag=moving", scenario.base.digest);
        put(&mut scenario.wire, &target, &scenario.base).expect("the server runs").expect(&[201]);
        scenario.prepare_operation();
        scenario.expired = Instant::now() + EXPIRE_AFTER;
        scenario
    }

    fn prepare_operation(&mut self) {
        match self.operation {
            Operation::BlobPush => {}
            Operation::ChunkAppend => self.location = self.session(),
            Operation::UploadFinish => {
                self.location = self.session();
                let body = &self.blobs[0].bytes[..HALF];
                let request = Request { body, ..plain("PATCH", &self.location) };
                self.wire.send(request).expect("the server runs").expect(&[202]);
            }
            Operation::ManifestPush | Operation::Collection => self.push_both(),
            Operation::ManifestDelete => {
                self.push_both();
                self.request().expect("the server runs").expect(&[201]);
            }
            Operation::PackageUpload => {
                package::upload(&mut self.wire, &self.wheels[0]).expect("the server runs").expect(&[200]);
            }
        }
    }

    /// Runs the operation in a process that dies at `point`, and starts the server again without it.
    pub(crate) fn die_at(&mut self, point: &str) {
        let failpoints = format!("{point}=return");
        if self.operation == Operation::Collection {
            let died = run(self.server.command(&["gc", "--once"]).env("FAILPOINTS", failpoints));
            assert_eq!(died.status.signal(), Some(SIGABRT), "it did not die at {point}:\n{died}");
            // The server beside it must come through, too.
            self.server.kill9();
        } else {
            self.server.stop();
            let mut serve = self.server.command(&["serve", "--listen", &self.server.host()]);
            let child = serve.env("FAILPOINTS", failpoints).spawn().expect("the program can be started");
            let status = self.request_and_wait(child);
            assert_eq!(status.signal(), Some(SIGABRT), "it did not die at {point}: {status}");
        }
        self.server.restart();
        self.expired = Instant::now() + EXPIRE_AFTER;
    }

    /// Sends the request to a server that is about to die of it.
    fn request_and_wait(&mut self, mut child: Child) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        while !self.wire.send(plain("GET", "/v2/")).is_ok_and(|answer| answer.status == 200) {
            if Instant::now() >= deadline {
                let _ = child.kill();
                panic!("the server did not answer: {:?}", child.wait());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let answered =
            if self.operation == Operation::ManifestDelete { self.delete() } else { self.request() };
        if let Ok(answer) = answered {
            let _ = child.kill();
            panic!("the server lives and answered ({:?}): {answer}", child.wait());
        }
        child.wait().expect("a child can be waited for")
    }

    /// Which of the two states is there; anything in between panics.
    pub(crate) fn state(&mut self) -> State {
        let happened = match self.operation {
            Operation::BlobPush | Operation::UploadFinish => vec![self.has_blob(0)],
            Operation::ChunkAppend => {
                let location = self.location.clone();
                match self.get(&location).expect(&[204]).header("range") {
                    Some("0--1") => vec![false],
                    Some(range) if range == format!("0-{}", HALF - 1) => vec![true],
                    range => panic!("the session stands at {range:?}"),
                }
            }
            Operation::ManifestPush => {
                assert!(self.resolve("moving").is_some(), "a tag that moves was lost on the way");
                self.sights_of_referrer()
            }
            Operation::ManifestDelete => self.sights_of_referrer().iter().map(|there| !there).collect(),
            Operation::PackageUpload => package::sights(&mut self.wire, &self.wheels),
            Operation::Collection => vec![!self.has_blob(0), !self.has_blob(1)],
        };
        assert!(
            happened.iter().all(|one| *one == happened[0]),
            "half of {:?} happened: {happened:?}",
            self.operation
        );
        if happened[0] { State::New } else { State::Old }
    }

    /// Every place where the referrer shows: its digest, its tags, the list of tags, the list of referrers.
    fn sights_of_referrer(&mut self) -> Vec<bool> {
        let digest = self.referrer.digest.clone();
        let by_digest = self.resolve(&digest);
        let (new, moving) = (self.resolve("new"), self.resolve("moving"));
        // The base keeps its own tag whatever happens.
        assert_eq!(self.resolve("base"), Some(self.base.digest.clone()));
        let tags = self.get(&format!("/v2/{REPOSITORY}/tags/list")).expect(&[200]);
        let tags: Value = serde_json::from_slice(&tags.body).expect("a list of tags is JSON");
        let listed = tags["tags"].as_array().expect("a list of tags").iter().any(|tag| tag == "new");
        let referrers = self.get(&format!("/v2/{REPOSITORY}/referrers/{}", self.base.digest)).expect(&[200]);
        let refers = String::from_utf8_lossy(&referrers.body).contains(&digest);
        let there = Some(digest);
        vec![by_digest == there, new == there, moving == there, listed, refers]
    }

    /// Sends the client's request again, as a client does that got no answer.
    pub(crate) fn repeat(&mut self, found: State) {
        match self.operation {
            Operation::Collection => {
                run(&mut self.server.command(&["gc", "--once"])).success();
            }
            Operation::ManifestDelete => {
                let expected = if found == State::Old { 202 } else { 404 };
                self.delete().expect("the server runs").expect(&[expected]);
            }
            Operation::ChunkAppend => {
                if found == State::Old {
                    self.request().expect("the server runs").expect(&[202]);
                }
            }
            Operation::BlobPush | Operation::UploadFinish | Operation::ManifestPush => {
                self.request().expect("the server runs").expect(&[201]);
            }
            Operation::PackageUpload => {
                self.request().expect("the server runs").expect(&[200]);
            }
        }
    }

    /// Ends what is under way and looks for remains: on the disk is what the manifests name, and nothing else.
    pub(crate) fn finish(mut self) {
        if self.operation == Operation::ChunkAppend {
            let target = format!("{}?digest={}", self.location, self.blobs[0].digest);
            let request = Request { body: &self.blobs[0].bytes[HALF..], ..plain("PUT", &target) };
            self.wire.send(request).expect("the server runs").expect(&[201]);
            assert!(self.has_blob(0));
        }
        // The request that died left a session that nobody knows.
        std::thread::sleep(
            self.expired.saturating_duration_since(Instant::now()) + Duration::from_millis(50),
        );
        let (objects, manifests) = collect_and_scrub(&self.server);
        let expected = match self.operation {
            Operation::ManifestPush => (3, 2),
            // Two wheels and the configuration of their manifests, which an index names.
            Operation::PackageUpload => (4, 4),
            _ => (1, 1),
        };
        assert_eq!((objects, manifests), expected, "objects and manifests after {:?}", self.operation);
        assert_eq!(count_files(&self.server.data_directory().join("objects")), objects, "files on the disk");
        assert_eq!(self.resolve("base"), Some(self.base.digest.clone()));
    }

    /// The request that the operation consists of, where that is not a deletion.
    fn request(&mut self) -> Result<Answer, Lost> {
        let Self { wire, blobs: [blob, _], wheels: [_, wheel], location, .. } = self;
        match self.operation {
            Operation::BlobPush => push(wire, blob),
            Operation::ChunkAppend => {
                wire.send(Request { body: &blob.bytes[..HALF], ..plain("PATCH", location) })
            }
            Operation::UploadFinish => {
                let target = format!("{location}?digest={}", blob.digest);
                wire.send(Request { body: &blob.bytes[HALF..], ..plain("PUT", &target) })
            }
            Operation::ManifestPush | Operation::ManifestDelete => {
                let digest = &self.referrer.digest;
                let target = format!("/v2/{REPOSITORY}/manifests/{digest}?tag=new&tag=moving");
                put(wire, &target, &self.referrer)
            }
            Operation::PackageUpload => package::upload(wire, wheel),
            Operation::Collection => unreachable!("collection is no request"),
        }
    }

    fn delete(&mut self) -> Result<Answer, Lost> {
        let target = format!("/v2/{REPOSITORY}/manifests/{}", self.referrer.digest);
        self.wire.send(plain("DELETE", &target))
    }

    fn session(&mut self) -> String {
        let target = format!("/v2/{REPOSITORY}/blobs/uploads/");
        self.wire.send(plain("POST", &target)).expect("the server runs").expect(&[202]).location()
    }

    fn push_both(&mut self) {
        for blob in &self.blobs {
            push(&mut self.wire, blob).expect("the server runs").expect(&[201]);
        }
    }

    fn has_blob(&mut self, number: usize) -> bool {
        let digest = self.blobs[number].digest.clone();
        let answer = self.get(&format!("/v2/{REPOSITORY}/blobs/{digest}")).expect(&[200, 404]);
        assert!(answer.status == 404 || sha256(&answer.body) == digest, "wrong content under {digest}");
        answer.status == 200
    }

    /// The digest of what lies under a reference.
    fn resolve(&mut self, reference: &str) -> Option<String> {
        let answer = self.get(&format!("/v2/{REPOSITORY}/manifests/{reference}")).expect(&[200, 404]);
        (answer.status == 200).then(|| sha256(&answer.body))
    }

    fn get(&mut self, target: &str) -> Answer {
        self.wire.send(plain("GET", target)).expect("the server runs")
    }
}

/// Where the first blob is divided in the operations that send it in two parts.
const HALF: usize = 300_000;

fn push(wire: &mut Wire, content: &Content) -> Result<Answer, Lost> {
    let target = format!("/v2/{REPOSITORY}/blobs/uploads/?digest={}", content.digest);
    wire.send(Request { body: &content.bytes, ..plain("POST", &target) })
}

fn put(wire: &mut Wire, target: &str, manifest: &Manifest) -> Result<Answer, Lost> {
    let headers = [("content-type", manifest.media_type)];
    wire.send(Request { method: "PUT", target, headers: &headers, body: &manifest.body })
}

fn count_files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).expect("the folder of the objects can be read");
    entries
        .map(|entry| entry.expect("the folder of the objects can be listed").path())
        .map(|path| if path.is_dir() { count_files(&path) } else { 1 })
        .sum()
}
