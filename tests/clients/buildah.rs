//! Buildah: builds an image from a file of instructions, pushes it and looks into what it pulls.

use testkit::{Output, Sandbox, random_bytes};

use crate::scene::{Account, NOT_LOGGED_IN, Scene};

const PLAIN: &str = "--tls-verify=false";

fn login(home: &Sandbox, host: &str, account: &Account, password: &str) -> Output {
    home.run_with_input(
        "buildah",
        &["login", PLAIN, "--username", account.name, "--password-stdin", host],
        password,
    )
}

/// Builds an image with one random file under `reference` and returns what the file holds.
#[track_caller]
fn build(home: &Sandbox, reference: &str) -> Vec<u8> {
    let payload = random_bytes(64 * 1024);
    home.write("hello", &payload);
    home.write("Containerfile", "FROM scratch\nCOPY hello /hello\n");
    let file = home.file("Containerfile");
    home.run(
        "buildah",
        &["build", "--isolation", "chroot", "--file", &file, "--tag", reference, &home.file("")],
    )
    .success();
    payload
}

#[test]
fn buildah_builds_pushes_and_pulls_the_same_bytes() {
    let scene = Scene::new();
    let buildah = |arguments: &[&str]| scene.home.run("buildah", arguments);
    let reference = scene.reference("buildah:1");
    let payload = build(&scene.home, &reference);

    login(&scene.home, &scene.host(), &scene.writer, &scene.writer.password)
        .success()
        .says("login succeeded");
    buildah(&["push", PLAIN, "--digestfile", &scene.home.file("digest"), &reference]).success();
    let digest = std::fs::read_to_string(scene.home.path().join("digest")).unwrap();
    assert_eq!(testkit::sha256(&scene.manifest("buildah", "1")), digest);
    assert_eq!(scene.admin.tag_list("demo/main/buildah"), ["1"]);

    buildah(&["rmi", &reference]).success();
    buildah(&["pull", PLAIN, &scene.reference(&format!("buildah@{digest}"))]).success();
    let container = buildah(&["from", PLAIN, &reference]).success().stdout.trim().to_owned();
    let root = buildah(&["mount", &container]).success().stdout.trim().to_owned();
    let pulled = std::fs::read(format!("{root}/hello")).unwrap();
    buildah(&["umount", &container]).success();
    assert!(pulled == payload, "the pulled file differs from the pushed one");
}

#[test]
fn buildah_tells_why_not() {
    let scene = Scene::new();
    let buildah = |arguments: &[&str]| scene.home.run("buildah", arguments);
    let reference = scene.reference("buildah:1");
    build(&scene.home, &reference);

    buildah(&["push", PLAIN, &reference]).failure().says_one_of(NOT_LOGGED_IN);
    login(&scene.home, &scene.host(), &scene.writer, "wrong").failure().says("invalid username/password");
    login(&scene.home, &scene.host(), &scene.writer, &scene.writer.password).success();
    buildah(&["push", PLAIN, &reference]).success();
    buildah(&["pull", PLAIN, &scene.reference("buildah:unknown")]).failure().says("manifest unknown");
    buildah(&["pull", PLAIN, &scene.reference("nothing:1")]).failure().says("unknown");

    // Somebody who may look meets the refusal at the first write, and reads the server's own words.
    login(&scene.home, &scene.host(), &scene.viewer, &scene.viewer.password).success();
    buildah(&["push", PLAIN, &reference]).failure().says("denied");

    login(&scene.home, &scene.host(), &scene.stranger, &scene.stranger.password).success();
    buildah(&["pull", PLAIN, "--policy", "always", &reference]).failure().says("denied");
    buildah(&["push", PLAIN, &reference]).failure().says("403");
    buildah(&["pull", PLAIN, &scene.reference("nothing:1")])
        .failure()
        .says("denied")
        .says_nothing_of("unknown");
}
