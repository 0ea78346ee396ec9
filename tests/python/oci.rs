//! The same files as OCI artifacts, for the clients of that world.

use std::path::PathBuf;

use testkit::python::{Sdist, Wheel};

use crate::scene::{REGISTRY, Scene};

/// Signs the viewer in to the registry, for oras and for everything that reads the same file.
pub(crate) fn login(scene: &Scene, host: &str) {
    scene
        .home
        .run_with_input(
            "oras",
            &["login", "--plain-http", "--username", scene.viewer.name, "--password-stdin", host],
            &scene.viewer.password,
        )
        .success();
}

#[test]
fn a_release_is_pulled_whole_or_by_the_file() {
    let scene = Scene::new();
    let files = [
        Wheel::new("acme-demo", "1.0").build(),
        Wheel::new("acme-demo", "1.0").tag("cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64").build(),
        Sdist::new("acme-demo", "1.0").build(),
    ];
    let reference = |tag: &str| {
        let separator = if tag.starts_with("sha256:") { '@' } else { ':' };
        scene.server.reference(&format!("{}/{}/acme-demo{separator}{tag}", REGISTRY.0, REGISTRY.1))
    };
    let oras = |arguments: &[&str]| scene.home.run("oras", arguments).success();
    let pull = |tag: &str| -> Vec<(String, Vec<u8>)> {
        let folder: PathBuf = scene.home.path().join(format!("oras-{}", tag.replace(':', "-")));
        oras(&["pull", "--plain-http", "--output", folder.to_str().unwrap(), &reference(tag)]);
        let mut found: Vec<(String, Vec<u8>)> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
            .collect();
        found.sort();
        found
    };
    login(&scene, &scene.server.host());

    scene.publish(&files[0]);
    let one = vec![(files[0].filename.clone(), files[0].bytes.clone())];
    assert_eq!(pull("1.0"), one);
    let viewer = scene.api_of(&scene.viewer);
    let repository = format!("{}/{}/acme-demo", REGISTRY.0, REGISTRY.1);
    let manifest = viewer.manifest_get(&repository, "1.0").expect(&[200]).body;

    for file in &files[1..] {
        scene.publish(file);
    }
    let mut all: Vec<(String, Vec<u8>)> =
        files.iter().map(|file| (file.filename.clone(), file.bytes.clone())).collect();
    all.sort();
    // A folder that is new, because the version now leads to more.
    std::fs::rename(scene.home.path().join("oras-1.0"), scene.home.path().join("before")).unwrap();
    assert_eq!(pull("1.0"), all);
    assert_eq!(pull("1.0-py3-none-any"), one);
    assert_eq!(pull("1.0-sdist"), vec![(files[2].filename.clone(), files[2].bytes.clone())]);
    assert_eq!(pull(&testkit::sha256(&manifest)), one);

    // Copies of the release keep everything, in whatever client.
    let layout = scene.home.file("layout");
    scene.home.run("crane", &["pull", "--insecure", "--format", "oci", &reference("1.0"), &layout]).success();
    for file in &files {
        let blob = scene.home.path().join("layout/blobs/sha256").join(file.sha256());
        assert!(std::fs::read(blob).unwrap() == file.bytes, "{} was copied wrong", file.filename);
    }
    let credentials = format!("{}:{}", scene.viewer.name, scene.viewer.password);
    let (source, target) =
        (format!("docker://{}", reference("1.0")), format!("oci:{}", scene.home.file("copy")));
    scene
        .home
        .run(
            "skopeo",
            &["copy", "--all", "--src-tls-verify=false", "--src-creds", &credentials, &source, &target],
        )
        .success();
    for file in &files {
        let blob = scene.home.path().join("copy/blobs/sha256").join(file.sha256());
        assert!(std::fs::read(blob).unwrap() == file.bytes, "{} was copied wrong", file.filename);
    }
}

#[test]
fn the_longest_real_wheel_name_is_a_tag() {
    let scene = Scene::new();
    let name = "wrapt-1.17.0-cp311-cp311-manylinux_2_5_x86_64.manylinux1_x86_64.manylinux_2_17_x86_64.\
                manylinux2014_x86_64.whl";
    let file = crate::corpus::corpus_file(name);
    let path = scene.save(&file);
    scene.twine("twine", &[&path]).success();
    let tag = name.trim_start_matches("wrapt-").trim_end_matches(".whl");
    login(&scene, &scene.server.host());
    let reference = scene.server.reference(&format!("{}/{}/wrapt:{tag}", REGISTRY.0, REGISTRY.1));
    let back = scene.home.file("back");
    scene.home.run("oras", &["pull", "--plain-http", "--output", &back, &reference]).success();
    assert!(std::fs::read(format!("{back}/{name}")).unwrap() == file.bytes);
}
