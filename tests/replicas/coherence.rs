//! What one replica was told, the others know.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::python::Wheel;
use testkit::{Api, Method};

use crate::content::{Content, Dice, Manifest};
use crate::scene::{Scene, options};

const REPOSITORY: &str = "demo/main/coherence";
/// The longest time for which one replica may tell what another has changed.
const LIMIT: Duration = Duration::from_secs(2);
const ROUNDS: usize = 20;

/// Waits until `is_so` at every other replica than `changed`, at most as long as they may take; the longest
/// time that it took, counted from the change's acknowledgement.
#[track_caller]
fn until_others(changed: usize, is_so: &mut [impl FnMut() -> bool]) -> Duration {
    let acknowledged = Instant::now();
    for (replica, is_so) in is_so.iter_mut().enumerate().filter(|(replica, _)| *replica != changed) {
        loop {
            let asked = acknowledged.elapsed();
            if is_so() {
                break;
            }
            assert!(asked < LIMIT, "{asked:?} after the change, replica {replica} tells what was before");
        }
    }
    acknowledged.elapsed()
}

#[test]
fn i9_a_tag_that_was_moved_or_deleted_is_not_served_as_it_was() {
    let scene = Scene::with(3, options());
    let count = scene.replicas.count();
    let mut wires: Vec<_> = (0..count).map(|replica| scene.wire(replica)).collect();
    let config = Content::random(&mut Dice::new(1), 100);
    wires[0].blob_push(REPOSITORY, &config);
    let (mut moved, mut deleted) = (Duration::ZERO, Duration::ZERO);
    for round in 0..ROUNDS {
        let changed = round % count;
        let manifest = Manifest::image(&[&config], None, &format!("round {round}"));
        for wire in &mut wires {
            // So that whoever keeps answers keeps this one.
            wire.resolve(REPOSITORY, "tag");
        }
        wires[changed].manifest_put(REPOSITORY, "tag", &manifest);
        let expected = Some(manifest.digest.clone());
        let mut looks: Vec<_> = wires
            .iter_mut()
            .map(|wire| {
                let expected = &expected;
                move || wire.resolve(REPOSITORY, "tag") == *expected
            })
            .collect();
        moved = moved.max(until_others(changed, &mut looks));
        drop(looks);
        let changed = (round + 1) % count;
        wires[changed].ask("DELETE", &format!("/v2/{REPOSITORY}/manifests/tag"), &[202]);
        let mut looks: Vec<_> =
            wires.iter_mut().map(|wire| move || wire.resolve(REPOSITORY, "tag").is_none()).collect();
        deleted = deleted.max(until_others(changed, &mut looks));
    }
    eprintln!("the others knew of a moved tag after {moved:?} at most, of a deleted one after {deleted:?}");
}

#[test]
fn i9_deleted_content_never_comes_back_as_there() {
    let scene = Scene::with(3, options());
    let count = scene.replicas.count();
    let mut wires: Vec<_> = (0..count).map(|replica| scene.wire(replica)).collect();
    let mut dice = Dice::new(2);
    for round in 0..ROUNDS {
        let blob = Content::random(&mut dice, 1000);
        let manifest = Manifest::image(&[&blob], None, &format!("round {round}"));
        wires[0].blob_push(REPOSITORY, &blob);
        wires[0].manifest_put(REPOSITORY, "tag", &manifest);
        let targets = [
            format!("/v2/{REPOSITORY}/manifests/{}", manifest.digest),
            format!("/v2/{REPOSITORY}/blobs/{}", blob.digest),
        ];
        for wire in &mut wires {
            for target in &targets {
                wire.ask("GET", target, &[200]);
                wire.ask("HEAD", target, &[200]);
            }
        }
        // The blob can go when the manifest has gone. At once, and forever, nobody has either.
        for (turn, target) in targets.iter().enumerate() {
            wires[(round + turn) % count].ask("DELETE", target, &[202]);
            for wire in &mut wires {
                for _ in 0..3 {
                    wire.ask("HEAD", target, &[404]);
                    wire.ask("GET", target, &[404]);
                }
            }
        }
        for wire in &mut wires {
            wire.ask("GET", &format!("/v2/{REPOSITORY}/manifests/tag"), &[404]);
        }
    }
}

#[test]
fn i9_i11_a_yanked_or_deleted_python_file_is_so_on_every_page() {
    let scene = Scene::with(3, options());
    let count = scene.replicas.count();
    let apis: Vec<Api> = (0..count).map(|replica| scene.replicas.replica_api(replica)).collect();
    let page = |replica: usize| apis[replica].python_page("demo", "main", "acme").json();
    let (mut yanked, mut deleted) = (Duration::ZERO, Duration::ZERO);
    apis[0].python_upload("demo", "main", &Wheel::new("acme", "0.1").build()).expect(&[200]);
    for round in 0..ROUNDS / 4 {
        let version = format!("1.{round}");
        let wheel = Wheel::new("acme", &version).build();
        let changed = round % count;
        apis[changed].python_upload("demo", "main", &wheel).expect(&[200]);
        let file = |page: &Value| {
            let files = page["files"].as_array().into_iter().flatten();
            files.into_iter().find(|file| file["filename"] == wheel.filename.as_str()).cloned()
        };
        let until = |changed: usize, is_so: &dyn Fn(Option<Value>) -> bool| {
            let mut looks: Vec<_> = (0..count).map(|replica| move || is_so(file(&page(replica)))).collect();
            until_others(changed, &mut looks)
        };
        until(changed, &|file| file.is_some());
        let changed = (round + 1) % count;
        let path = format!("/projects/acme/releases/{version}");
        let body = json!({ "yanked": true, "reason": "broken" });
        apis[changed].python_manage(Method::PATCH, "demo", "main", &path, Some(&body)).expect(&[200, 204]);
        yanked = yanked.max(until(changed, &|file| file.is_some_and(|file| file["yanked"] == "broken")));
        let changed = (round + 2) % count;
        let path = format!("/projects/acme/files/{}", wheel.filename);
        apis[changed].python_manage(Method::DELETE, "demo", "main", &path, None).expect(&[204]);
        deleted = deleted.max(until(changed, &|file| file.is_none()));
    }
    eprintln!(
        "the others knew of a yanked file after {yanked:?} at most, of a deleted one after {deleted:?}"
    );
}
