//! Many writers at the same tags, and at tags beside each other.

use std::collections::BTreeMap;
use std::sync::Barrier;
use std::thread::scope;
use std::time::Instant;

use testkit::{Options, Server};

use crate::client::Client;
use crate::content::{Content, Dice, Manifest};

const WRITERS: usize = 64;
const REPOSITORY: &str = "demo/main/tags";
/// How often each writer writes.
const ROUNDS: usize = 5;

/// A server, a token, and a manifest for each writer and round.
fn prepare() -> (Server, String, Vec<Vec<Manifest>>) {
    let server = Server::start(Options::new(env!("CARGO_BIN_EXE_larder")).env("LARDER_LOG__LEVEL", "warn"));
    let token = Client::token(&server);
    let blob = Content::random(&mut Dice::new(7), 100);
    Client::new(&server, &token).blob_push(REPOSITORY, &blob, false);
    let manifest = |writer, round| Manifest::image(&[&blob], None, &format!("writer {writer} round {round}"));
    let manifests =
        (0..WRITERS).map(|writer| (0..ROUNDS).map(|round| manifest(writer, round)).collect()).collect();
    (server, token, manifests)
}

/// One write of a tag, as its writer saw it.
struct Write {
    digest: String,
    began: Instant,
    ended: Instant,
}

#[test]
fn the_last_of_many_writers_of_one_tag_wins() {
    let (server, token, manifests) = prepare();
    let start = Barrier::new(WRITERS);
    let writes: Vec<Write> = scope(|scope| {
        let writers: Vec<_> = manifests
            .iter()
            .map(|own| {
                let mut client = Client::new(&server, &token);
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    let write = |manifest: &Manifest| {
                        let began = Instant::now();
                        assert!(client.manifest_put(REPOSITORY, "one", manifest), "its blob is there");
                        Write { digest: manifest.digest.clone(), began, ended: Instant::now() }
                    };
                    own.iter().map(write).collect::<Vec<_>>()
                })
            })
            .collect();
        writers.into_iter().flat_map(|writer| writer.join().expect("a writer ends well")).collect()
    });

    let mut client = Client::new(&server, &token);
    let winner = client.resolve(REPOSITORY, "one").expect("the tag was written");
    let winner = writes.iter().find(|write| write.digest == winner).expect("somebody wrote what is there");
    let later = writes.iter().find(|write| write.began > winner.ended);
    assert!(later.is_none(), "a later write of the tag was lost");
    for write in &writes {
        assert!(client.has_manifest(REPOSITORY, &write.digest), "a manifest was lost with its tag");
    }
}

#[test]
fn no_tag_of_many_loses_an_update() {
    let (server, token, manifests) = prepare();
    scope(|scope| {
        for (number, own) in manifests.iter().enumerate() {
            let mut client = Client::new(&server, &token);
            scope.spawn(move || {
                let tag = tag_name(number);
                for manifest in own {
                    assert!(client.manifest_put(REPOSITORY, &tag, manifest), "its blob is there");
                    let digest = client.resolve(REPOSITORY, &tag);
                    assert_eq!(digest.as_ref(), Some(&manifest.digest), "{tag} is not what was just written");
                }
            });
        }
    });

    let mut client = Client::new(&server, &token);
    let expected: BTreeMap<String, String> = manifests
        .iter()
        .enumerate()
        .map(|(number, own)| (tag_name(number), own[ROUNDS - 1].digest.clone()))
        .collect();
    let listed = server.api().tag_list(REPOSITORY);
    assert_eq!(listed, expected.keys().cloned().collect::<Vec<_>>());
    for (tag, digest) in expected {
        assert_eq!(client.resolve(REPOSITORY, &tag), Some(digest), "{tag}");
    }
}

#[test]
fn tags_that_are_set_together_stay_together() {
    let (server, token, manifests) = prepare();
    let tags: Vec<String> = (0..16).map(tag_name).collect();
    let query = format!("?tag={}", tags.join("&tag="));
    scope(|scope| {
        for own in &manifests {
            let mut client = Client::new(&server, &token);
            let query = &query;
            scope.spawn(move || {
                for manifest in own {
                    let reference = format!("{}{query}", manifest.digest);
                    assert!(client.manifest_put(REPOSITORY, &reference, manifest), "its blob is there");
                }
            });
        }
    });

    let mut client = Client::new(&server, &token);
    let first = client.resolve(REPOSITORY, &tags[0]).expect("the tags were written");
    for tag in &tags {
        assert_eq!(client.resolve(REPOSITORY, tag).as_ref(), Some(&first), "{tag} and {} differ", tags[0]);
    }
}

fn tag_name(number: usize) -> String {
    format!("tag{number:02}")
}
