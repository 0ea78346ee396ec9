//! The database is away for a while: refused, or swallowed by the network.

use std::time::{Duration, Instant};

use reqwest::Method;
use reqwest::blocking::Client;
use testkit::fault::Proxy;
use testkit::postgres::Postgres;
use testkit::{Visibility, sha256};

use crate::content::{Content, Dice, Manifest};
use crate::scene::{Exchanged, Scene, client, exchange, options};

const REPOSITORY: &str = "demo/public/app";
/// Longer than anybody waits for an answer, whatever it is.
const PATIENCE: Duration = Duration::from_secs(12);
/// How soon everything works again, and how soon the replicas say that it does not.
const SOON: Duration = Duration::from_secs(15);

/// Somebody who asks.
#[derive(Clone, Copy, Debug)]
enum Caller<'a> {
    Nobody,
    Token(&'a str),
    Password(&'a str),
    /// Fetches a token first, as clients do, with or without a password.
    Docker(Option<&'a str>),
}

struct Outage {
    scene: Scene,
    proxy: Proxy,
    client: Client,
    /// An access token of the kind that clients fetch.
    access: String,
    blob: Content,
    manifest: Manifest,
    /// The longest that anybody waited for an answer.
    longest: Duration,
}

#[test]
fn i8_while_the_database_refuses_everybody_what_was_pulled_is_pulled_and_all_heals() {
    let mut outage = Outage::prepare();
    outage.proxy.outage();
    outage.look("refused");
}

#[test]
fn i8_while_the_database_answers_nothing_what_was_pulled_is_pulled_and_all_heals() {
    let mut outage = Outage::prepare();
    outage.proxy.stall();
    outage.look("swallowed");
}

impl Outage {
    fn prepare() -> Self {
        let postgres = Postgres::shared();
        let proxy = Proxy::tcp(postgres.address());
        let scene = Scene::with(3, options().postgres(&postgres.database().through(&proxy)));
        let api = scene.replicas.api();
        api.registry_create("demo", "public", Visibility::Public);
        let answer = api.get(&format!("/token?service=larder&scope=repository:{REPOSITORY}:pull,push"));
        let access = answer.json()["token"].as_str().expect("a token is text").to_owned();
        let mut dice = Dice::new(6);
        let blob = Content::random(&mut dice, 300_000);
        let manifest = Manifest::image(&[&blob], None, "outage");
        scene.balanced().blob_push(REPOSITORY, &blob);
        scene.balanced().manifest_put(REPOSITORY, "one", &manifest);
        let client = client(PATIENCE + Duration::from_secs(8));
        let mut outage = Self { scene, proxy, client, access, blob, manifest, longest: Duration::ZERO };
        // Everybody has pulled it once from every replica.
        outage.pulls_go_on();
        outage
    }

    fn look(&mut self, how: &str) {
        let count = self.scene.replicas.count();
        let began = Instant::now();
        let ready = |outage: &mut Self, wanted: u16| {
            (0..count).all(|replica| {
                outage.ask(replica, Caller::Nobody, &Method::GET, "/readyz", b"").status == wanted
            })
        };
        while !ready(self, 503) {
            assert!(began.elapsed() < 2 * SOON, "a replica without a database says that it is ready");
        }
        eprintln!("{how}: every replica says so after {:?}", began.elapsed());

        let round = Instant::now();
        self.pulls_go_on();
        eprintln!("{how}: what was pulled before was pulled in {:?}", round.elapsed());
        let round = Instant::now();
        self.pushes_are_put_off();
        eprintln!("{how}: the pushes were refused in {:?}", round.elapsed());
        for replica in 0..count {
            let answer = self.ask(replica, Caller::Nobody, &Method::GET, "/healthz", b"");
            assert_eq!(answer.status, 200, "the process itself is well");
        }
        // Pulls go on as long as it takes.
        self.pulls_go_on();

        self.proxy.heal();
        let healed = Instant::now();
        while !ready(self, 200) {
            assert!(healed.elapsed() < SOON, "a replica does not find its database again");
            std::thread::sleep(Duration::from_millis(100));
        }
        eprintln!("{how}: every replica is ready {:?} after the database is back", healed.elapsed());
        self.scene.replicas.balancer().wait_until_healthy(count);
        let mut dice = Dice::new(began.elapsed().as_nanos().try_into().unwrap_or(9));
        for replica in 0..count {
            let blob = Content::random(&mut dice, 1000);
            self.scene.wire(replica).blob_push(REPOSITORY, &blob);
            self.scene.balanced().blob_has(REPOSITORY, &blob.digest);
            self.scene.wire(replica).manifest_has(REPOSITORY, "one", &self.manifest.digest);
        }
        eprintln!("{how}: the longest wait for an answer was {:?}", self.longest);
    }

    /// Every caller gets manifest and blob by digest from every replica.
    fn pulls_go_on(&mut self) {
        let (token, access) = (self.scene.token.clone(), self.access.clone());
        let password = self.scene.replicas.admin_password().to_owned();
        let callers = [
            Caller::Token(&token),
            Caller::Token(&access),
            Caller::Password(&password),
            Caller::Docker(None),
            Caller::Docker(Some(&password)),
        ];
        let pulls = [("manifests", &self.manifest.digest), ("blobs", &self.blob.digest)]
            .map(|(what, digest)| (format!("/v2/{REPOSITORY}/{what}/{digest}"), digest.clone()));
        for replica in 0..self.scene.replicas.count() {
            for (number, caller) in callers.iter().enumerate() {
                let fetched;
                let caller = match *caller {
                    Caller::Docker(password) => {
                        fetched = self.fetch_token(replica, password);
                        Caller::Token(&fetched)
                    }
                    caller => caller,
                };
                for (path, digest) in &pulls {
                    let answer = self.ask(replica, caller, &Method::GET, path, b"");
                    assert_eq!(answer.status, 200, "replica {replica}, caller {number}, {path}: {answer:?}");
                    assert_eq!(sha256(&answer.body), *digest, "wrong content");
                }
            }
        }
    }

    /// An access token for pulls, of somebody with a password or of nobody.
    fn fetch_token(&mut self, replica: usize, password: Option<&str>) -> String {
        let path = format!("/token?service=larder&scope=repository:{REPOSITORY}:pull");
        let caller = password.map_or(Caller::Nobody, Caller::Password);
        let answer = self.ask(replica, caller, &Method::GET, &path, b"");
        assert_eq!(answer.status, 200, "no token for {caller:?}: {}", String::from_utf8_lossy(&answer.body));
        let answer: serde_json::Value = serde_json::from_slice(&answer.body).expect("a token comes in JSON");
        answer["token"].as_str().expect("a token is text").to_owned()
    }

    /// What needs the database is refused in a way that a client understands, and its user too.
    fn pushes_are_put_off(&mut self) {
        let token = self.scene.token.clone();
        let new = Content::random(&mut Dice::new(99), 1000);
        let manifest = Manifest::image(&[&self.blob], None, "new");
        let uploads = format!("/v2/{REPOSITORY}/blobs/uploads/");
        let pulls = [("manifests", &self.manifest.digest), ("blobs", &self.blob.digest)]
            .map(|(what, digest)| format!("/v2/{REPOSITORY}/{what}/{digest}"));
        let requests = [
            (Method::POST, uploads.clone(), Vec::new()),
            (Method::POST, format!("{uploads}?digest={}", new.digest), new.bytes),
            (Method::PUT, format!("/v2/{REPOSITORY}/manifests/two"), manifest.body),
            (Method::DELETE, format!("/v2/{REPOSITORY}/manifests/{}", self.manifest.digest), Vec::new()),
        ];
        for replica in 0..self.scene.replicas.count() {
            // Whether something is there is for the database alone to say, because a push builds on it.
            for path in &pulls {
                let answer = self.ask(replica, Caller::Token(&token), &Method::HEAD, path, b"");
                assert_eq!(answer.status, 503, "HEAD {path}: {answer:?}");
            }
            for (method, path, body) in &requests {
                let answer = self.ask(replica, Caller::Token(&token), method, path, body);
                assert_eq!(answer.status, 503, "{method} {path}: {answer:?}");
                let retry_after = answer.header("retry-after").and_then(|value| value.parse::<u64>().ok());
                assert!(retry_after.is_some_and(|seconds| seconds > 0), "{method} {path}: {answer:?}");
                let body: serde_json::Value = serde_json::from_slice(&answer.body).expect("an error is JSON");
                let message = body["errors"][0]["message"].as_str().unwrap_or_default();
                assert!(message.split(' ').count() > 3, "{method} {path} is not explained: {body}");
                if replica == 0 {
                    eprintln!("{method} {path}: {message}");
                }
            }
        }
    }

    /// An answer in time, whatever it is.
    #[track_caller]
    fn ask(
        &mut self,
        replica: usize,
        caller: Caller<'_>,
        method: &Method,
        path: &str,
        body: &[u8],
    ) -> Exchanged {
        let url = format!("{}{path}", self.scene.replicas.replica(replica).url());
        let request = self.client.request(method.clone(), url);
        let request = match caller {
            Caller::Nobody | Caller::Docker(_) => request,
            Caller::Token(token) => request.bearer_auth(token),
            Caller::Password(password) => request.basic_auth("admin", Some(password)),
        };
        let request = match *method {
            Method::PUT => request.header("content-type", self.manifest.media_type),
            _ => request,
        };
        let request =
            if body.is_empty() { request.header("content-length", "0") } else { request.body(body.to_vec()) };
        let began = Instant::now();
        let answer = exchange(request);
        let took = began.elapsed();
        self.longest = self.longest.max(took);
        let answer =
            answer.unwrap_or_else(|error| panic!("{caller:?} {method} {path} after {took:?}: {error}"));
        assert!(took < PATIENCE, "{caller:?} {method} {path} took {took:?}: {answer:?}");
        answer
    }
}
