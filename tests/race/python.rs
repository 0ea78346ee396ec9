//! Many clients that upload wheels of one release at once, while the server lives and while it is killed: every
//! wheel is there once, the release names all of them, and nothing else is left.

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::python::{BuiltFile, Upload, Wheel};
use testkit::{Options, Server, run, sha256};

use crate::client::Client;
use crate::wire::{Answer, Lost, Request, Wire};

const PROJECT: &str = "acme-demo";
const REPOSITORY: &str = "demo/main/acme-demo";
const UPLOADS: &str = "/api/v1/demo/main/python";
/// Wheels of the release in most tests.
const WHEELS: usize = 32;
/// How long a client goes on with one upload.
const PATIENCE: Duration = Duration::from_mins(1);
/// Longer than any upload here, and short enough to wait for.
const EXPIRE_AFTER: Duration = Duration::from_secs(10);

fn start() -> (Server, String) {
    let server = Server::start(
        Options::new(env!("CARGO_BIN_EXE_larder"))
            // Collection happens when the test says so.
            .env("LARDER_GC__ENABLED", "false")
            .env("LARDER_GC__GRACE", "0s")
            .env("LARDER_GC__TRASH_DELAY", "0s")
            .env("LARDER_UPLOADS__EXPIRE_AFTER", &format!("{}s", EXPIRE_AFTER.as_secs()))
            .env("LARDER_LOG__LEVEL", "warn"),
    );
    let token = Client::token(&server);
    (server, token)
}

/// So many wheels of one release, which differ in their tags and in what is inside.
fn wheels(count: usize) -> Vec<BuiltFile> {
    let wheel = |number: usize| {
        let content = format!("number = {number}\n").repeat(20_000);
        Wheel::new("Acme.Demo", "1.0")
            .tag(&format!("cp3{number}-cp3{number}-manylinux_2_17_x86_64"))
            .header("Requires-Python", &format!(">=3.{number}"))
            .file("acme_demo/large.py", content)
            .build()
    };
    (0..count).map(wheel).collect()
}

fn upload(wire: &mut Wire, wheel: &BuiltFile) -> Result<Answer, Lost> {
    let content_type = Upload::content_type();
    let body = Upload::new(wheel).body();
    let headers = [("content-type", content_type.as_str())];
    wire.send(Request { method: "POST", target: UPLOADS, headers: &headers, body: &body })
}

/// Every wheel by a client of its own, all at the same moment.
fn upload_together(server: &Server, token: &str, wheels: &[&BuiltFile]) {
    let start = Barrier::new(wheels.len());
    scope(|scope| {
        for wheel in wheels {
            let (start, mut wire) = (&start, Wire::new(&server.host(), token));
            scope.spawn(move || {
                start.wait();
                upload(&mut wire, wheel).unwrap_or_else(|lost| panic!("{lost}")).expect(&[200]);
            });
        }
    });
}

/// The page, the release and its tags hold these wheels and nothing else.
fn check(server: &Server, token: &str, wheels: &[BuiltFile]) {
    let api = server.api();
    let expected: BTreeSet<&str> = wheels.iter().map(|wheel| wheel.filename.as_str()).collect();
    assert_eq!(expected.len(), wheels.len(), "the wheels have names of their own");

    let listed = api.python_files("demo", "main", PROJECT);
    assert_eq!(listed.len(), wheels.len(), "files on the page: {listed:?}");
    assert_eq!(listed.iter().map(String::as_str).collect::<BTreeSet<_>>(), expected);
    for wheel in wheels {
        let file = api.python_file("demo", "main", PROJECT, &wheel.filename).expect(&[200]);
        assert_eq!(sha256(&file.body), format!("sha256:{}", wheel.sha256()), "{}", wheel.filename);
    }

    let mut client = Client::new(server, token);
    let answer = client.plain("GET", &format!("/v2/{REPOSITORY}/manifests/1.0"), &[200]);
    let release: Value = serde_json::from_slice(&answer.body).expect("a manifest is JSON");
    let tags = api.tag_list(REPOSITORY);
    if wheels.len() == 1 {
        assert_eq!(release["layers"][0]["digest"], format!("sha256:{}", wheels[0].sha256()));
    } else {
        let entries = release["manifests"].as_array().expect("the release is an index");
        let text = |value: &Value| value.as_str().expect("a digest is text").to_owned();
        let digests: BTreeSet<String> = entries.iter().map(|entry| text(&entry["digest"])).collect();
        assert_eq!((entries.len(), digests.len()), (wheels.len(), wheels.len()), "{release}");
        // Each entry is a wheel of its own, and has a tag.
        let mut layers = BTreeSet::new();
        for digest in &digests {
            let answer = client.plain("GET", &format!("/v2/{REPOSITORY}/manifests/{digest}"), &[200]);
            let manifest: Value = serde_json::from_slice(&answer.body).expect("a manifest is JSON");
            layers.insert(text(&manifest["layers"][0]["digest"]));
        }
        assert_eq!(layers, wheels.iter().map(|wheel| format!("sha256:{}", wheel.sha256())).collect());
        let tagged = tags.iter().filter_map(|tag| client.resolve(REPOSITORY, tag)).collect::<BTreeSet<_>>();
        assert!(tagged.is_superset(&digests), "a file has no tag: {tags:?}");
    }
    assert_eq!(tags.len(), wheels.len() + 1, "a tag for each file and one for the release: {tags:?}");
}

/// What is stored is what the wheels need: each of them once, and the configuration that all manifests name.
fn check_store(server: &Server, wheels: &[BuiltFile]) {
    // What a killed server had begun belongs to sessions that nobody will go on with.
    sleep(EXPIRE_AFTER + Duration::from_millis(500));
    run(&mut server.command(&["gc", "--once"])).success();
    let scrub = run(&mut server.command(&["scrub"])).success().says(" 0 suspects");
    let numbers: Vec<usize> = scrub.stdout.split(' ').filter_map(|word| word.parse().ok()).collect();
    assert_eq!(numbers.first(), Some(&(wheels.len() + 1)), "objects are stored that no file needs:\n{scrub}");
}

#[test]
fn u12_wheels_of_one_release_that_arrive_together_are_all_there() {
    let (server, token) = start();
    let wheels = wheels(WHEELS);
    upload_together(&server, &token, &wheels.iter().collect::<Vec<_>>());
    check(&server, &token, &wheels);
    check_store(&server, &wheels);
    check(&server, &token, &wheels);
}

#[test]
fn u13_repeats_among_them_change_nothing() {
    let (server, token) = start();
    let wheels = wheels(50);
    let repeated = std::iter::repeat_n(&wheels[7], 10);
    upload_together(&server, &token, &wheels.iter().chain(repeated).collect::<Vec<_>>());
    check(&server, &token, &wheels);
    check_store(&server, &wheels);
    check(&server, &token, &wheels);
}

#[test]
fn u14_one_wheel_from_many_clients_is_one_file() {
    let (server, token) = start();
    let wheels = wheels(1);
    upload_together(&server, &token, &[&wheels[0]; 20]);
    check(&server, &token, &wheels);
    check_store(&server, &wheels);
    check(&server, &token, &wheels);
}

#[test]
fn u13_u15_wheels_survive_a_server_that_is_killed_among_them() {
    /// Uploads that were answered when the server is killed.
    const KILLS: [usize; 3] = [1, 10, 20];

    let (mut server, token) = start();
    let wheels = wheels(WHEELS);
    let answered = AtomicUsize::new(0);
    let retried = AtomicUsize::new(0);
    let begin = Barrier::new(WHEELS + 1);
    scope(|scope| {
        for wheel in &wheels {
            let mut wire = Wire::new(&server.host(), &token);
            let (answered, retried, begin) = (&answered, &retried, &begin);
            scope.spawn(move || {
                begin.wait();
                let deadline = Instant::now() + PATIENCE;
                loop {
                    match upload(&mut wire, wheel) {
                        Ok(answer) => {
                            answer.expect(&[200]);
                            answered.fetch_add(1, Ordering::SeqCst);
                            return;
                        }
                        Err(lost) => assert!(Instant::now() < deadline, "{lost}"),
                    }
                    retried.fetch_add(1, Ordering::SeqCst);
                    sleep(Duration::from_millis(20));
                }
            });
        }
        begin.wait();
        for kill in KILLS {
            let deadline = Instant::now() + PATIENCE;
            while answered.load(Ordering::SeqCst) < kill && Instant::now() < deadline {
                sleep(Duration::from_millis(1));
            }
            server.kill9();
            server.restart();
        }
    });
    assert_eq!(answered.load(Ordering::SeqCst), WHEELS);
    assert!(retried.load(Ordering::SeqCst) > 0, "the server was killed when everything was over");
    check(&server, &token, &wheels);
    // Clients that repeat themselves once more are told the same.
    for wheel in &wheels {
        upload(&mut Wire::new(&server.host(), &token), wheel).expect("the server runs").expect(&[200]);
    }
    check(&server, &token, &wheels);
    check_store(&server, &wheels);
    check(&server, &token, &wheels);
}
