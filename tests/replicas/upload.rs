//! Uploads whose requests land on whichever replica.

use std::sync::Barrier;
use std::sync::mpsc::channel;
use std::thread::scope;
use std::time::{Duration, Instant};

use reqwest::blocking::{Body, Client};

use crate::content::{Content, Dice};
use crate::scene::{Exchanged, Scene, client, exchange};
use crate::stream::{Endless, digest_of};
use crate::wire::{Request, plain};

const REPOSITORY: &str = "demo/main/uploads";
const MEBIBYTE: u64 = 1 << 20;
const GIBIBYTE: u64 = 1 << 30;

/// A client that knows the protocol and nothing else, and turns to another replica with each request.
struct Uploader<'a> {
    client: Client,
    hosts: &'a [String],
    token: &'a str,
    requests: usize,
}

impl Uploader<'_> {
    fn next_host(&mut self) -> usize {
        self.requests += 1;
        self.requests % self.hosts.len()
    }

    fn send(
        &self,
        host: usize,
        method: &str,
        target: &str,
        range: Option<String>,
        body: Option<Body>,
    ) -> Result<Exchanged, String> {
        let method = method.parse().expect("a method is a token");
        let mut request = self
            .client
            .request(method, format!("http://{}{target}", self.hosts[host]))
            .bearer_auth(self.token);
        if let Some(range) = range {
            request = request.header("content-range", range);
        }
        // A request without a body says so too (RFC 9110 §8.6).
        request = match body {
            Some(body) => request.body(body),
            None => request.header("content-length", "0"),
        };
        exchange(request)
    }

    /// Where the upload stands, from the first replica that says so within half a minute.
    fn offset(&mut self, location: &str) -> u64 {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let host = self.next_host();
            let answer = self.send(host, "GET", location, None, None);
            match answer {
                Ok(answer) if answer.status == 204 => {
                    return offset_of(answer.header("range").expect("a status has a range"));
                }
                other => assert!(Instant::now() < deadline, "the upload's status is not told: {other:?}"),
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// The offset behind a range such as `0-99`; a range of nothing is `0-0` or has nothing behind the hyphen.
fn offset_of(range: &str) -> u64 {
    let (_, last) = range.trim_start_matches("bytes=").split_once('-').expect("a range has a hyphen");
    match last.parse::<i64>() {
        Ok(last) => u64::try_from(last + 1).expect("an offset is not negative"),
        Err(_) => 0,
    }
}

#[test]
fn i9_an_upload_goes_on_at_every_replica_while_one_is_killed_and_comes_back() {
    let mut scene = Scene::new();
    let content = Endless { seed: 7, length: 2 * GIBIBYTE };
    let (hosts, token) = (scene.hosts(), scene.token.clone());
    let mut dice = Dice::new(20);
    let mut uploader =
        Uploader { client: client(Duration::from_mins(2)), hosts: &hosts, token: &token, requests: 0 };

    let began = Instant::now();
    let opened = uploader.send(0, "POST", &format!("/v2/{REPOSITORY}/blobs/uploads/"), None, None);
    let mut location =
        path_of(opened.expect("a well replica answers").header("location").expect("a location"));
    let (mut offset, mut patches, mut recovered) = (0, 0_u64, 0_u64);
    let (mut killed, mut is_down) = (false, false);
    while offset < content.length {
        let end = (offset + size_of_patch(&mut dice)).min(content.length);
        let range = format!("{offset}-{}", end - 1);
        let part = content.part(offset, end);
        let host = uploader.next_host();
        patches += 1;
        let answer = if !killed && offset > content.length * 2 / 5 && end - offset > 8 * MEBIBYTE {
            (killed, is_down) = (true, true);
            let (reached_sender, reached) = channel();
            let (go_on, go_on_receiver) = channel();
            let part = part.pausing(offset + (end - offset) / 2, reached_sender, go_on_receiver);
            let body = Body::sized(part, end - offset);
            scope(|threads| {
                let (uploader, location) = (&uploader, &location);
                let patch =
                    threads.spawn(move || uploader.send(host, "PATCH", location, Some(range), Some(body)));
                reached.recv().expect("the body is read");
                scene.replicas.kill9(host);
                drop(go_on);
                let answer = patch.join().expect("the request ends");
                assert!(answer.is_err(), "a killed replica answered: {answer:?}");
                answer
            })
        } else {
            uploader.send(host, "PATCH", &location, Some(range), Some(Body::sized(part, end - offset)))
        };
        if is_down && offset > content.length * 7 / 10 {
            is_down = false;
            for number in 0..scene.replicas.count() {
                // The one that is down; the others are ready already.
                if scene.replicas.replica(number).host() == hosts[number] && !answers(&hosts[number]) {
                    scene.replicas.restart(number);
                }
            }
        }
        match answer {
            Ok(answer) if answer.status == 202 => {
                assert_eq!(offset_of(answer.header("range").expect("a range")), end, "{answer:?}");
                location = path_of(answer.header("location").expect("a location"));
                offset = end;
            }
            other => {
                let may_fail = other.as_ref().err().is_some() && (is_down || killed)
                    || other.as_ref().is_ok_and(|answer| answer.status == 416);
                assert!(may_fail, "a chunk was refused: {other:?}");
                recovered += 1;
                assert!(recovered < 2000, "the upload does not go on");
                let stands = uploader.offset(&location);
                assert!(
                    (offset..=end).contains(&stands),
                    "{offset} bytes were acknowledged and {end} sent, and the upload stands at {stands}"
                );
                offset = stands;
            }
        }
    }
    assert!(killed && !is_down, "nobody was killed, or nobody came back");
    assert_eq!(uploader.offset(&location), content.length);
    let digest = content.digest();
    let host = uploader.next_host();
    let closed = uploader.send(host, "PUT", &format!("{location}?digest={digest}"), None, None);
    let closed = closed.expect("a well replica answers");
    assert_eq!(closed.status, 201, "{closed:?}");
    let pushed = began.elapsed();

    for (number, host) in hosts.iter().enumerate() {
        // One of them gives the bytes itself, the others name where they are.
        let request =
            uploader.client.get(format!("http://{host}/v2/{REPOSITORY}/blobs/{digest}")).bearer_auth(&token);
        let request = if number == 0 { request.header("larder-redirect", "never") } else { request };
        let answer = request.send().expect("a pull is answered");
        if number == 0 {
            assert_eq!(answer.status(), 200);
            assert_eq!(digest_of(answer), (digest.clone(), content.length));
        } else {
            assert_eq!(answer.status(), 307);
        }
    }
    eprintln!(
        "2 GiB in {patches} chunks in {pushed:?}, {recovered} of them not acknowledged; {:?} with the pull",
        began.elapsed()
    );
}

/// From a byte to 64 MiB, most of the bytes in large chunks and many of the chunks small.
fn size_of_patch(dice: &mut Dice) -> u64 {
    let bits = dice.below(27);
    let small = 1 + dice.below(1 << bits) as u64;
    if dice.below(2) == 0 { small } else { 16 * MEBIBYTE + dice.below(48 << 20) as u64 }
}

fn answers(host: &str) -> bool {
    std::net::TcpStream::connect(host).is_ok()
}

/// A location without the server's address: the same path at every replica.
fn path_of(location: &str) -> String {
    match location.split_once("://") {
        Some((_, rest)) => rest[rest.find('/').expect("a location has a path")..].to_owned(),
        None => location.to_owned(),
    }
}

#[test]
fn i9_of_chunks_that_race_for_one_place_one_is_taken() {
    const ROUNDS: usize = 30;
    let scene = Scene::with(2, crate::scene::options());
    let mut dice = Dice::new(3);
    let opened = scene.wire(0).ask("POST", &format!("/v2/{REPOSITORY}/blobs/uploads/"), &[202]);
    let location = path_of(&opened.location());
    let mut expected: Vec<u8> = Vec::new();
    for _ in 0..ROUNDS {
        let size = [1, 1000, 300_000, 6_000_000][dice.below(4)];
        let bodies = [Content::random(&mut dice, size), Content::random(&mut dice, size)];
        let range = format!("{}-{}", expected.len(), expected.len() + size - 1);
        let start = Barrier::new(2);
        let answers = scope(|threads| {
            let race = |replica: usize| {
                let (mut wire, start, location, range) = (scene.wire(replica), &start, &location, &range);
                let body = &bodies[replica].bytes;
                threads.spawn(move || {
                    let headers = [("content-range", range.as_str())];
                    start.wait();
                    wire.must(
                        Request { method: "PATCH", target: location, headers: &headers, body },
                        &[202, 416],
                    )
                })
            };
            [race(0), race(1)].map(|racer| racer.join().expect("a racer ends well"))
        });
        let taken: Vec<usize> = (0..2).filter(|number| answers[*number].status == 202).collect();
        assert_eq!(taken.len(), 1, "one chunk is taken: {} {}", answers[0], answers[1]);
        expected.extend_from_slice(&bodies[taken[0]].bytes);
        for replica in 0..2 {
            let status = scene.wire(replica).ask("GET", &location, &[204]);
            assert_eq!(offset_of(status.header("range").expect("a range")), expected.len() as u64);
        }
    }

    // The end of the upload and one more chunk: whichever comes first is what counts.
    let digest = testkit::sha256(&expected);
    let start = Barrier::new(2);
    let (closed, appended) = scope(|threads| {
        let closing = threads.spawn(|| {
            let (mut wire, target) = (scene.wire(0), format!("{location}?digest={digest}"));
            start.wait();
            wire.ask("PUT", &target, &[201, 400, 416])
        });
        let appending = threads.spawn(|| {
            let (mut wire, range) = (scene.wire(1), format!("{0}-{0}", expected.len()));
            let headers = [("content-range", range.as_str())];
            start.wait();
            let request = Request { headers: &headers, body: b"x", ..plain("PATCH", &location) };
            wire.must(request, &[202, 404, 416])
        });
        (closing.join().expect("it ends well"), appending.join().expect("it ends well"))
    });
    assert!(
        (closed.status == 201) != (appended.status == 202),
        "both or none of a last chunk and a closing request were taken: {closed} {appended}"
    );
    if closed.status == 201 {
        for replica in 0..2 {
            scene.wire(replica).blob_has(REPOSITORY, &digest);
        }
    }
}
