//! Many pushes of tags at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::scope;
use std::time::Instant;

use crate::content::{Content, Dice, Manifest};
use crate::scene::Scene;

const TAGS: usize = 1000;
const PUSHERS: usize = 64;
const REPOSITORY: &str = "demo/main/tags";

#[test]
fn i9_a_thousand_tags_that_are_pushed_at_once_are_a_thousand_tags() {
    let scene = Scene::new();
    let config = Content::random(&mut Dice::new(1), 200);
    scene.balanced().blob_push(REPOSITORY, &config);
    let manifests: Vec<Manifest> =
        (0..TAGS).map(|number| Manifest::image(&[&config], None, &tag(number))).collect();

    let (next, began) = (AtomicUsize::new(0), Instant::now());
    scope(|threads| {
        for _ in 0..PUSHERS {
            let mut wire = scene.balanced();
            let (next, manifests) = (&next, &manifests);
            threads.spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    let Some(manifest) = manifests.get(number) else { return };
                    wire.manifest_put(REPOSITORY, &tag(number), manifest);
                }
            });
        }
    });
    eprintln!("{TAGS} tags by {PUSHERS} pushers in {:?}", began.elapsed());

    let expected: Vec<String> = (0..TAGS).map(tag).collect();
    for replica in 0..scene.replicas.count() {
        assert_eq!(all_tags(&scene, replica), expected, "replica {replica}");
    }
    scope(|threads| {
        for replica in 0..scene.replicas.count() {
            let (mut wire, manifests) = (scene.wire(replica), &manifests);
            threads.spawn(move || {
                for (number, manifest) in manifests.iter().enumerate() {
                    wire.manifest_has(REPOSITORY, &tag(number), &manifest.digest);
                }
            });
        }
    });
    let history = scene.replicas.database().query("SELECT name, digest FROM tag_history ORDER BY name");
    let expected: Vec<Vec<String>> = manifests
        .iter()
        .enumerate()
        .map(|(number, manifest)| vec![tag(number), manifest.digest.clone()])
        .collect();
    assert_eq!(history, expected, "each tag was set once");
}

/// Every page of the tags that a replica lists.
fn all_tags(scene: &Scene, replica: usize) -> Vec<String> {
    let api = scene.replicas.replica_api(replica);
    let (mut tags, mut path) = (Vec::new(), Some(format!("/v2/{REPOSITORY}/tags/list")));
    while let Some(next) = path {
        let answer = api.get(&next).expect(&[200]);
        let page = answer.json();
        let names = page["tags"].as_array().expect("tags are a list").iter();
        tags.extend(names.map(|name| name.as_str().expect("a tag is text").to_owned()));
        path = answer
            .header("link")
            .and_then(|link| Some(link.split_once('<')?.1.split_once('>')?.0.to_owned()));
    }
    tags
}

fn tag(number: usize) -> String {
    format!("tag{number:04}")
}
