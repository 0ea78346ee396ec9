//! Docker: a real daemon, which does the pushing and pulling; the command line only asks it to.

use testkit::images::Image;
use testkit::{Dockerd, Output, Sandbox};

use crate::scene::{Account, NOT_LOGGED_IN, Scene, contains};

fn login(daemon: &Dockerd, home: &Sandbox, host: &str, account: &Account, password: &str) -> Output {
    daemon.docker_with_input(home, &["login", "--username", account.name, "--password-stdin", host], password)
}

#[test]
fn docker_pushes_and_pulls_the_same_bytes() {
    let scene = Scene::new();
    let daemon = Dockerd::start();
    let docker = |arguments: &[&str]| daemon.docker(&scene.home, arguments);
    let (image, reference) = (Image::random(), scene.reference("docker:1"));
    let archive = scene.home.path().join("image.tar");
    image.docker_archive_write(&archive, &reference);
    docker(&["load", "--input", &scene.home.file("image.tar")]).success();

    login(&daemon, &scene.home, &scene.host(), &scene.writer, &scene.writer.password)
        .success()
        .says("login succeeded");
    let digest = pushed_digest(&docker(&["push", &reference]).success());
    assert_eq!(testkit::sha256(&scene.manifest("docker", "1")), digest);
    assert_eq!(scene.admin.tag_list("demo/main/docker"), ["1"]);

    // By digest, after the daemon has forgotten it, so that every byte comes from the server.
    docker(&["image", "rm", &reference]).success();
    let pinned = scene.reference(&format!("docker@{digest}"));
    docker(&["pull", &pinned]).success().says(&digest);
    docker(&["pull", &reference]).success();
    let id = docker(&["image", "inspect", "--format", "{{.Id}}", &reference]).success();
    assert_eq!(id.stdout.trim(), image.config.digest());
    docker(&["save", "--output", &scene.home.file("saved.tar"), &reference]).success();
    let saved = std::fs::read(scene.home.path().join("saved.tar")).unwrap();
    assert!(contains(&saved, &image.payload), "the pulled image lacks the file that was pushed");
}

#[test]
fn docker_tells_why_not() {
    let scene = Scene::new();
    let daemon = Dockerd::start();
    let docker = |arguments: &[&str]| daemon.docker(&scene.home, arguments);
    let (image, reference) = (Image::random(), scene.reference("docker:1"));
    image.docker_archive_write(&scene.home.path().join("image.tar"), &reference);
    docker(&["load", "--input", &scene.home.file("image.tar")]).success();

    docker(&["push", &reference]).failure().says_one_of(NOT_LOGGED_IN);
    login(&daemon, &scene.home, &scene.host(), &scene.writer, "wrong").failure().says("unauthorized");
    login(&daemon, &scene.home, &scene.host(), &scene.writer, &scene.writer.password).success();
    docker(&["push", &reference]).success();
    docker(&["pull", &scene.reference("docker:unknown")]).failure().says("manifest unknown");
    docker(&["pull", &scene.reference("nothing:1")]).failure().says("unknown");

    // Somebody who may look meets the refusal at the first write, and reads the server's own words.
    login(&daemon, &scene.home, &scene.host(), &scene.viewer, &scene.viewer.password).success();
    docker(&["push", &reference]).failure().says("denied");

    login(&daemon, &scene.home, &scene.host(), &scene.stranger, &scene.stranger.password).success();
    docker(&["pull", &reference]).failure().says("denied");
    docker(&["push", &reference]).failure().says("denied");
    docker(&["pull", &scene.reference("nothing:1")])
        .failure()
        .says("denied")
        .says_nothing_of("manifest unknown");
}

/// The digest in docker's last line: `1: digest: sha256:… size: 528`.
#[track_caller]
fn pushed_digest(output: &Output) -> String {
    let words: Vec<_> = output.stdout.split_whitespace().collect();
    let place = words.iter().position(|word| *word == "digest:");
    place
        .and_then(|place| words.get(place + 1))
        .unwrap_or_else(|| panic!("no digest in {output}"))
        .to_string()
}
